"""systemd keeps what runs, and gets back what it has lost."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.stig import journal, rollback, state
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.host import Host, HostError, UnitState

Put = Callable[[str, str], Path]
ALIAS = f"{journal.UNIT_DIRECTORY.lstrip('/')}/sshd.service"


def programs(root: Path, script: str = "") -> Path:
    """A systemctl that notes how it is called and then runs a script. Returns the note's path."""
    (root / "programs").mkdir(exist_ok=True)
    systemctl = root / "programs" / "systemctl"
    systemctl.write_text(f'#!/bin/sh\necho "systemctl $*" >> {root}/note\n{script}\n')
    systemctl.chmod(0o755)
    return root / "note"


class Systemd:
    """A systemd that loses a running unit at the reload after one of the names that it knows has become the unit's
    alias.

    It aborts when the main process of such a unit ends before it has read its units once more, as systemd 257 does.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.active = {"ssh.service": True, "sshd.service": False, "chrony.service": True, "chronyd.service": False}
        self.main = {"ssh.service": "177", "chrony.service": "178"}
        self.calls: list[str] = []
        self.refused = False

    def aliases(self) -> dict[str, str]:
        links = [one for one in (self.root / journal.UNIT_DIRECTORY[1:]).iterdir() if one.is_symlink()]
        return {one.name: os.path.basename(one.readlink()) for one in links}

    def __call__(self, argv: list[str]) -> tuple[int, str]:
        if argv[0] == "setsid":
            note = programs(self.root)
            subprocess.run(argv, check=True, env={"PATH": f"{self.root}/programs:/usr/bin:/bin"})
            for line in note.read_text().splitlines():
                self(line.split())
            note.unlink()
            return 0, ""
        self.calls.append(" ".join(argv))
        if argv == ["sshd", "-t"]:
            return (255, "bad configuration") if self.refused else (0, "")
        if argv[0] == "kill":
            ending = [unit for unit, process in self.main.items() if process in argv]
            assert all(self.active[unit] for unit in ending), "systemd aborts"
        if argv[0] == "systemctl":
            return self.systemctl(argv[1], [one for one in argv[2:] if not one.startswith("-")])
        return 0, ""

    def systemctl(self, verb: str, names: list[str]) -> tuple[int, str]:
        if verb == "daemon-reload":
            self.main = {unit: process for unit, process in self.main.items() if self.active[unit]}
            for alias, unit in self.aliases().items():
                if alias in self.active:
                    self.active[unit] = self.active.pop(alias)
        elif verb == "show":
            found = []
            for name in names:
                unit = name if name in self.active else self.aliases()[name]
                state = "active" if self.active[unit] else "inactive"
                found.append(f"Id={unit}\nActiveState={state}\nMainPID={self.main.get(unit, '0')}\n")
            return 0, "\n".join(found)
        for name in names:
            self.active[name] = verb != "stop"
            self.main.pop(name, None)
            if verb != "stop":
                self.main[name] = "200"
        return 0, ""


@pytest.fixture
def systemd(root: Path, put: Put) -> Systemd:
    put("/run/systemd/system/x", "")
    put("/usr/lib/systemd/system/ssh.service", "")
    (root / ALIAS).parent.mkdir(parents=True)
    (root / journal.UNIT_DIRECTORY[1:] / "chrony.service").symlink_to("/usr/lib/systemd/system/chrony.service")
    (root / journal.UNIT_DIRECTORY[1:] / "ctrl-alt-del.target").symlink_to("/dev/null")
    return Systemd(root)


def test_unit_that_gets_a_known_name_is_not_lost(root: Path, systemd: Systemd) -> None:
    (root / ALIAS).symlink_to("/usr/lib/systemd/system/ssh.service")
    assert journal.reload_units(systemd, str(root)) == []
    assert systemd.active == {"ssh.service": True, "chrony.service": True, "chronyd.service": False}
    assert [one for one in systemd.calls if "stop" in one or "start" in one] == [
        "systemctl stop ssh.service",
        "systemctl start ssh.service",
    ]


def test_unit_whose_name_systemd_has_taken_in_goes_on_unstopped(root: Path, systemd: Systemd) -> None:
    (root / ALIAS).symlink_to("/usr/lib/systemd/system/ssh.service")
    journal.reload_units(systemd, str(root))
    systemd.calls.clear()
    assert journal.reload_units(systemd, str(root)) == []
    assert systemd.calls[1:] == ["systemctl daemon-reload"]


def test_unit_comes_back_though_nobody_waits_for_it_any_more(root: Path) -> None:
    note = programs(
        root, '[ "$1" != stop ] || { touch "$0.stopping"; sleep 0.5; echo "to nobody"; echo stopped >> "$0.stopping"; }'
    )
    argv = ["setsid", "--wait", "sh", "-c", journal.RELOAD_AT_REST, "sh", "ssh.service"]
    read, write = os.pipe()
    # As a module whose connection breaks: it and its group are gone, and nothing reads any more.
    module = ["sh", "-c", '"$@"; true', "module", *argv]
    environment = {"PATH": f"{root}/programs:/usr/bin:/bin"}
    started = subprocess.Popen(module, stdout=write, stderr=write, env=environment, start_new_session=True)
    os.close(write)
    while not (root / "programs/systemctl.stopping").exists():
        time.sleep(0.01)
    os.close(read)
    os.killpg(started.pid, signal.SIGKILL)
    started.wait()
    deadline = time.monotonic() + 20
    while len(note.read_text().splitlines()) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert note.read_text().splitlines() == [
        "systemctl stop ssh.service",
        "systemctl daemon-reload",
        "systemctl start ssh.service",
    ]
    assert (root / "programs/systemctl.stopping").read_text() == "stopped\n"


@pytest.mark.parametrize(("failing", "code"), [("stop", 3), ("daemon-reload", 3), ("start", 3), ("nothing", 0)])
def test_reload_at_rest_goes_on_and_tells_what_failed(root: Path, systemd: Systemd, failing: str, code: int) -> None:
    (root / ALIAS).symlink_to("/usr/lib/systemd/system/ssh.service")
    note = programs(root, f'[ "$1" != {failing} ] || {{ echo "$1 refused"; exit 3; }}')

    def tool(argv: list[str]) -> tuple[int, str]:
        if argv[0] != "setsid":
            return systemd(argv)
        done = subprocess.run(argv, capture_output=True, text=True, env={"PATH": f"{root}/programs:/usr/bin:/bin"})
        return done.returncode, done.stdout

    told = f"systemctl daemon-reload while ssh.service rested failed (3): {failing} refused"
    assert journal.reload_units(tool, str(root)) == ([told] if code else [])
    assert len(note.read_text().splitlines()) == 3


def test_systemd_that_does_not_answer_is_no_host_without_units(
    root: Path, systemd: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Host, "root", "")
    host = Host("", run=lambda argv: (1, "Failed to connect to bus") if argv[0] == "systemctl" else (0, ""))
    monkeypatch.setattr(Host, "systemd", True)
    with pytest.raises(HostError, match=r"systemctl show ssh.service failed \(1\): Failed to connect to bus"):
        host.unit("ssh.service")
    host.expect_units(["ssh.service"])
    (told,) = state.resulting_state(host, [])
    assert not told.ok and "Failed to connect to bus" in told.detail


def test_sshd_that_would_not_come_back_is_not_stopped(root: Path, systemd: Systemd) -> None:
    (root / ALIAS).symlink_to("/usr/lib/systemd/system/ssh.service")
    systemd.refused = True
    (problem,) = journal.reload_units(systemd, str(root))
    assert "sshd refuses its configuration: bad configuration" in problem
    assert systemd.active["ssh.service"]


def test_rollback_that_restores_a_name_keeps_the_unit(root: Path, systemd: Systemd) -> None:
    run = journal.Journal("20260101T000000000000Z", str(root))
    run.begin({})
    (root / ALIAS).symlink_to("/usr/lib/systemd/system/ssh.service")
    path = f"/{ALIAS}"
    run.add([{"kind": "file", "group": "sshd", "path": path, "before": run.before(path)}])
    (root / ALIAS).unlink()
    assert run.undo(tool=systemd) == []
    assert systemd.active["ssh.service"]


@pytest.mark.parametrize("refused", [False, True])
@pytest.mark.parametrize("noted", [False, True])
def test_lost_sshd_is_given_back(root: Path, put: Put, systemd: Systemd, refused: bool, noted: bool) -> None:
    host = Host(str(root), run=systemd)
    systemd.active["ssh.service"] = False
    if not noted:
        del systemd.main["ssh.service"]
    systemd.refused = refused
    listener = put("/proc/177/cmdline", "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups")
    put("/proc/231/cmdline", "sshd-session: operator@notty")
    assert len(rollback.reclaim(host)) == refused
    assert (root / "run/sshd").is_dir()
    assert ("kill 177" in systemd.calls) != refused
    assert systemd.active["ssh.service"] != refused
    listener.unlink()
    systemd.calls.clear()
    assert rollback.reclaim(host) == []
    assert systemd.calls == []


def test_other_lost_units_are_given_back(
    host: Host, root: Path, systemd: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.run = systemd
    systemd.active["chrony.service"] = False
    monkeypatch.setattr(Host, "units", lambda _: {"chrony.service": UnitState("enabled", False, 178)})
    assert rollback.reclaim(host) == []
    assert systemd.calls[-3:] == [
        "kill 178",
        "timeout 10 tail --pid=178 -s 0.1 -f /dev/null",
        "systemctl restart chrony.service",
    ]
    assert systemd.active["chrony.service"]


def test_living_process_of_a_stopped_unit_is_seen(monkeypatch: pytest.MonkeyPatch, programs: Any) -> None:
    monkeypatch.setattr(Host, "systemd", True)
    blocks = [
        f"Id=a.service\nLoadState=loaded\nActiveState=inactive\nMainPID={os.getpid()}",
        "Id=b.service\nLoadState=loaded\nActiveState=inactive\nMainPID=0",
        f"Id=c.service\nLoadState=loaded\nActiveState=active\nMainPID={os.getpid()}",
    ]
    programs.answers["systemctl show"] = (0, "\n\n".join(blocks) + "\n")
    host = Host("/", run=programs)
    host.expect_units(["a.service", "b.service", "c.service"])
    assert [one.forgotten for one in host.units().values()] == [os.getpid(), 0, 0]
