"""Programs end at their limit, with all that they started."""

from __future__ import annotations

import os
import select
import sys
import time
from pathlib import Path

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.common import command


def test_what_a_program_says_and_its_status_are_returned() -> None:
    done = command.run(["sh", "-c", "echo said; echo wrong >&2; pwd; exit 3"], 10, directory="/")
    assert (done.returncode, done.stdout, done.stderr) == (3, "said\n/\n", "wrong\n")


def test_program_gets_no_input_and_only_the_environment_given() -> None:
    done = command.run(["/bin/sh", "-c", "cat; echo $ONLY"], 10, environment={"ONLY": "this"})
    assert done.stdout == "this\n"


def test_program_that_does_not_exist_is_the_systems_error() -> None:
    with pytest.raises(FileNotFoundError):
        command.run(["/nowhere/program"], 10)


def ended(identifier: int) -> bool:
    """Whether a process is over; one that was killed may take a while where processors are few."""
    try:
        process = os.pidfd_open(identifier)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([process], [], [], 30)[0])
    finally:
        os.close(process)


def test_program_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    script = f"echo begun; sleep 600 & echo $! > {tmp_path}/child; wait"
    begun = time.monotonic()
    with pytest.raises(command.CommandTimeoutError, match=r"sh -c .* did not end within 0\.3 s; its last words: begun"):
        command.run(["sh", "-c", script], 0.3)
    assert time.monotonic() - begun < 60
    assert ended(int((tmp_path / "child").read_text()))


def test_child_that_left_and_holds_the_output_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(command, "LAST_SECONDS", 0.2)
    # a daemon that leaves the session and keeps the pipe: subprocess.run would wait for its end
    daemon = (
        "import os, sys, time\n"
        "if os.fork() == 0:\n    os.setsid()\n"
        f"    open({str(tmp_path / 'daemon')!r}, 'w').write(str(os.getpid()))\n    time.sleep(60)\n"
        "time.sleep(60)\n"
    )
    begun = time.monotonic()
    with pytest.raises(command.CommandTimeoutError):
        command.run([sys.executable, "-IS", "-c", daemon], 0.5)
    assert time.monotonic() - begun < 5
    os.kill(int((tmp_path / "daemon").read_text()), 9)


def test_open_descriptor_is_handed_on(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as lock:
        done = command.run(["sh", "-c", f"test -e /proc/self/fd/{lock.fileno()}"], 10, inherits=[lock.fileno()])
    assert done.returncode == 0
