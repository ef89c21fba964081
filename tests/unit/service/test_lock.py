"""Only one run works on a host at a time, also when an earlier one was killed and its command goes on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.service import bootstrap, lock

# Takes the lock, starts a step that reads its standard input, and is killed by the test while the step goes on.
KILLED = """
import functools, os, sys
from ansible_collections.stackwright.cloud.plugins.module_utils.service import bootstrap, lock
with lock.exclusive(sys.argv[1]) as held:
    told = sys.argv[2]
    script = f"echo begun > {told}; read line < {sys.argv[3]}; echo ended > {told}"
    step = bootstrap.Step("cell", ["/bin/sh", "-c", script])
    bootstrap.execute(step, held)
"""


def test_lock_is_free_after_the_block(tmp_path: Path) -> None:
    for _ in range(2):
        with lock.exclusive(str(tmp_path / "lock"), 0):
            pass


def test_lock_that_is_not_given_back_is_told(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    with (
        lock.exclusive(path),
        pytest.raises(lock.LockError, match="another run of Stackwright has been at work"),
        lock.exclusive(path, 0),
    ):
        pytest.fail("two runs hold the lock")


def test_step_of_a_killed_run_is_waited_for(tmp_path: Path) -> None:
    path, state, go = tmp_path / "lock", tmp_path / "state", tmp_path / "go"
    subprocess.run(["mkfifo", go], check=True)
    process = subprocess.Popen([sys.executable, "-c", KILLED, path, state, go])
    while not (state.exists() and state.read_text()):
        assert process.poll() is None
    process.kill()
    process.wait()
    with pytest.raises(lock.LockError), lock.exclusive(str(path), 0):
        pytest.fail("the step still runs")
    go.write_text("\n")
    with lock.exclusive(str(path), 20):
        assert state.read_text() == "ended\n"


def test_step_without_a_lock_runs_too() -> None:
    assert bootstrap.execute(bootstrap.Step("fine", ["/bin/true"])) == ""
    assert "ended with 1" in bootstrap.execute(bootstrap.Step("bad", ["/bin/false"]))
