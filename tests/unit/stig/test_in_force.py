"""What decides who gets in is in force when a login proves it, or it is undone; one file that cannot be written stops
only itself."""

from __future__ import annotations

import errno
import fcntl
import multiprocessing
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.stig import (
    apt,
    engine,
    guard,
    journal,
    listeners,
    system,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.host import Host, UnitState

Put = Callable[[str, str], Path]
UMASK = {"type": "option", "file": "/etc/login.defs", "key": "UMASK", "value": "077", "separator": "\t"}
BANNER = {"type": "content", "file": "/etc/issue.net", "text": "stop\n"}
GROUPS = {"type": "sshd", "option": "AllowGroups", "value": "nosuchgroup"}
PAM = {"type": "option", "file": "/etc/security/faillock.conf", "key": "deny", "value": "3"}


def control(name: str, *resources: dict[str, Any]) -> dict[str, Any]:
    return {"id": name, "rule": name, "severity": "medium", "waiver": None, "resources": list(resources)}


def enforce(host: Host, *controls: dict[str, Any]) -> dict[str, Any]:
    return engine.carry_out({"mode": "enforce", "profile": "stig", "controls": list(controls)}, host)


@pytest.fixture
def refuses(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], None]:
    """Makes the system refuse to write a path."""

    def refuse(path: str, code: int) -> None:
        real = journal.write_atomically

        def write(name: str, *rest: Any, **more: Any) -> None:
            if name == path:
                raise OSError(code, os.strerror(code), name)
            real(name, *rest, **more)

        monkeypatch.setattr(journal, "write_atomically", write)

    return refuse


@pytest.fixture
def sshd(put: Put, programs: Any) -> Any:
    put("/etc/ssh/sshd_config", "Include /etc/ssh/sshd_config.d/*.conf\n")
    programs.answers["sshd -T"] = (0, "port 22\n")
    return programs


@pytest.mark.parametrize("code", [errno.EPERM, errno.EROFS, errno.EACCES])
def test_file_that_cannot_be_written_is_a_finding_of_its_own_control_only(
    host: Host, root: Path, sshd: Any, refuses: Any, code: int
) -> None:
    refuses("/etc/issue.net", code)
    outcome = enforce(host, control("A", BANNER), control("B", UMASK), control("C", GROUPS), control("P", PAM))
    status = {one["id"]: one["status"] for one in outcome["document"]["findings"]}
    reason = f"/etc/issue.net could not be written: {os.strerror(code)}"
    assert (status["A"], status["B"], status["P"]) == ("fail", "pass", "pass")
    assert outcome["document"]["findings"][0]["detail"] == reason
    assert outcome["problems"].count(reason) == 1
    # sshd was asked and its change is guarded
    assert ["sshd", "-t"] in sshd.calls
    assert outcome["unproved"] == ["pam", "sshd"]
    # the next run finds the same file, and changes nothing
    again = enforce(Host(str(root), run=sshd), control("A", BANNER), control("B", UMASK))
    assert (again["changed"], again["problems"]) == (False, [reason])
    assert again["document"]["findings"][0]["detail"] == reason


def test_access_that_only_fitted_in_part_on_a_full_disk_is_taken_back(
    host: Host, root: Path, sshd: Any, put: Put, refuses: Any
) -> None:
    put("/etc/sudoers", "@includedir /etc/sudoers.d\n")
    refuses("/etc/sudoers.d/b", errno.ENOSPC)
    rules = [{"type": "content", "file": f"/etc/sudoers.d/{name}", "text": "# ours\n"} for name in "abc"]
    outcome = enforce(host, control("C", GROUPS), control("S", *rules), control("T", {**BANNER, "file": "/etc/zz"}))
    # what comes before it was written and is in force; what belongs to what did not fit is as it was, and nothing
    # follows
    assert outcome["unproved"] == ["sshd"]
    assert not (root / "etc/sudoers.d/a").exists() and not (root / "etc/zz").exists()
    assert "The changes of group sudo are undone, since there was no room for all of them." in outcome["problems"]
    assert ["sshd", "-t"] in sshd.calls


def test_access_is_not_changed_where_nothing_can_guard_it(
    host: Host, root: Path, sshd: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(run: journal.Journal) -> None:
        raise OSError(errno.EROFS, "Read-only file system", "/etc/systemd/system/x.service")

    monkeypatch.setattr(journal, "guard_boot", read_only)
    outcome = enforce(host, control("C", GROUPS), control("B", UMASK))
    assert [one["status"] for one in outcome["document"]["findings"]] == ["fail", "pass"]
    assert outcome["unproved"] == [] and list(root.glob("var/lib/stackwright/hardening/*/unproved")) == []
    assert (
        "Changes of group sshd were not made, since nothing could guard the change: /etc/systemd/system/x.service"
        in outcome["problems"][0]
    )
    assert not (root / "etc/ssh/sshd_config.d").exists()


def test_sshd_that_goes_on_as_before_is_told_and_its_change_is_never_confirmed(
    host: Host, root: Path, sshd: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listeners, "processes", lambda host: [4711])
    monkeypatch.setattr(listeners, "sockets_of", lambda host, number: {1, 2})
    monkeypatch.setattr(listeners, "SECONDS", 0)
    outcome = enforce(host, control("C", GROUPS))
    assert outcome["unproved"] == []
    assert "process 4711 still listens as before" in outcome["problems"][0]
    assert not list((root / "etc/ssh").glob("sshd_config.d/*"))


def test_sshd_has_read_its_configuration_when_it_listens_anew(
    host: Host, monkeypatch: pytest.MonkeyPatch, programs: Any
) -> None:
    sockets = iter([{1, 2}, {1, 2}, {1, 3}])
    monkeypatch.setattr(listeners, "processes", lambda host: [4711])
    monkeypatch.setattr(listeners, "sockets_of", lambda host, number: next(sockets))
    monkeypatch.setattr(listeners.time, "sleep", lambda seconds: None)
    assert listeners.take_into_use(host) == ""
    assert programs.calls == [["kill", "-HUP", "4711"]]
    programs.answers["kill"] = (1, "No such process")
    monkeypatch.setattr(listeners, "sockets_of", lambda host, number: {1})
    assert "kill -HUP 4711 failed (1): No such process" in listeners.take_into_use(host)


# ---------------------------------------------------------------- who listens


def net(put: Put, *rows: tuple[str, str, str, int]) -> None:
    """Write /proc/net: addresses with ports as the kernel shows them, state and inode."""
    for name in ("tcp", "tcp6", "udp"):
        lines = [
            f"   0: {address} 0:0 {state} 0:0 0:0 0 0 0 {inode} 1 0"
            for kind, address, state, inode in rows
            if kind == name
        ]
        put(f"/proc/net/{name}", "\n".join(["  sl", *lines, ""]))


def process(root: Path, number: int, name: str, command: str, *inodes: int) -> None:
    place = root / f"proc/{number}"
    (place / "fd").mkdir(parents=True)
    (place / "comm").write_text(f"{name}\n")
    (place / "cmdline").write_text(command)
    for at, inode in enumerate(inodes):
        (place / f"fd/{at}").symlink_to(f"socket:[{inode}]")


EVERYWHERE, LOCAL = "00000000", "0100007F"


def test_ports_are_those_that_sshd_listens_on_and_those_of_its_addresses(
    host: Host, root: Path, put: Put, programs: Any
) -> None:
    net(
        put,
        ("tcp", f"{EVERYWHERE}:08AE", "0A", 7),
        ("tcp", f"{LOCAL}:1F90", "0A", 8),
        ("tcp", f"{EVERYWHERE}:0050", "0A", 9),
    )
    process(root, 10, "sshd", "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups", 7, 8)
    process(root, 11, "nginx", "nginx: master", 9)
    programs.answers["sshd -T"] = (0, "port 22\nlistenaddress 0.0.0.0:2222\nlistenaddress [::]:2022\n")
    assert listeners.ports(host) == ["2022", "2222"]
    programs.answers["sshd -T"] = (255, "no host keys")
    assert listeners.ports(host) == ["2222"]
    assert listeners.served(host) == {"80/tcp": "nginx", "2222/tcp": "sshd"}


def test_sshd_of_the_clouds_own_units_logs_nobody_in(host: Host, root: Path, put: Put, programs: Any) -> None:
    net(put, ("tcp", f"{EVERYWHERE}:0016", "0A", 7), ("tcp", "1F0200C0:1F56", "0A", 8))
    process(root, 10, "sshd", "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups", 7)
    process(
        root,
        11,
        "sshd",
        "sshd: /usr/sbin/sshd -D -f /etc/stackwright/migration/sshd_config [listener] 0 of 10-100 startups",
        8,
    )
    put("/proc/10/cgroup", "0::/system.slice/ssh.service\n")
    put("/proc/11/cgroup", "0::/system.slice/stackwright-migration.service\n")
    programs.answers["sshd -T"] = (0, "port 22\n")
    assert listeners.processes(host) == [10]
    assert listeners.ports(host) == ["22"]


def test_ports_of_a_socket_are_systemds(host: Host, monkeypatch: pytest.MonkeyPatch, programs: Any) -> None:
    states = {"ssh.socket": UnitState("enabled", True), "ssh.service": UnitState("disabled", False)}
    monkeypatch.setattr(Host, "systemd", True)
    monkeypatch.setattr(Host, "unit", lambda self, name: states[name])
    programs.answers["systemctl show --no-pager --timestamp=us+utc --property=Listen -- ssh.socket"] = (
        0,
        "Listen=0.0.0.0:2222 (Stream)\nListen=[::]:2222 (Stream)\n",
    )
    programs.answers["sshd -T"] = (0, "port 22\nlistenaddress 0.0.0.0:22\n")
    assert listeners.ports(host) == ["2222"]
    assert listeners.places(host)[0] == ("127.0.0.1", 2222)
    # each connection reads the configuration anew: there is nothing to reload, and nothing to start beside the socket
    assert listeners.again(host) == [] and listeners.take_into_use(host) == ""
    spec = {"type": "unit", "name": "ssh.service", "enabled": True, "active": True}
    assert system.check_unit(host, spec).ok
    states["ssh.socket"] = UnitState("enabled", False)
    assert not system.check_unit(host, spec).ok
    system.fix_unit(host, spec)
    assert list(host.units_wanted) == ["ssh.socket"]
    states["ssh.socket"], states["ssh.service"] = UnitState("enabled", True), UnitState("disabled", True)
    assert listeners.again(host) == [["systemctl", "restart", "ssh.service"]]


@pytest.mark.parametrize(
    ("said", "first"),
    [
        ("port 22\nlistenaddress 0.0.0.0:22\naddressfamily any", ("127.0.0.1", 22)),
        ("port 22\nlistenaddress [::]:22\naddressfamily inet6", ("::1", 22)),
        ("port 2222\naddressfamily inet6", ("::1", 2222)),
        ("port 22\nlistenaddress 192.0.2.1:2022\naddressfamily any", ("192.0.2.1", 2022)),
    ],
)
def test_sshd_is_asked_where_it_listens(host: Host, programs: Any, said: str, first: tuple[str, int]) -> None:
    programs.answers["sshd -T"] = (0, said)
    assert listeners.places(host)[0] == first


def test_services_that_the_packet_filter_cuts_off_are_told_before(
    host: Host, root: Path, put: Put, programs: Any
) -> None:
    put("/var/lib/dpkg/status", "Package: ufw\nStatus: install ok installed\nVersion: 1\n\n")
    put("/etc/ufw/ufw.conf", "ENABLED=no\n")
    net(
        put,
        ("tcp", f"{EVERYWHERE}:0016", "0A", 7),
        ("tcp", f"{EVERYWHERE}:0050", "0A", 9),
        ("tcp", f"{EVERYWHERE}:01BB", "0A", 9),
        ("udp", f"{EVERYWHERE}:0035", "07", 5),
    )
    process(root, 11, "nginx", "nginx: master", 9)
    filters = [
        {"type": "firewall", "check": check, "ports": [22], "allow": ["443/tcp"]} for check in ("enabled", "ports")
    ]
    request = {"mode": "enforce", "check_mode": True, "controls": [control("F", *filters)]}
    told = engine.carry_out(request, host)["problems"]
    assert told == [
        "ufw refuses connections from outside to what listens here on 80/tcp (nginx), 53/udp (a "
        "program): name in hardening parameter "
        "firewall_allow what is to be reached."
    ]


# ---------------------------------------------------------------- the lock of dpkg


def _hold(path: str, ready: Any, done: Any) -> None:
    with open(path, "w", encoding="ascii") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        ready.set()
        done.wait(20)


def test_holder_of_dpkgs_lock_is_waited_for_and_named(
    host: Host, root: Path, programs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "var/lib/dpkg/lock-frontend").touch()
    assert apt.holder(str(root)) == ""
    context = multiprocessing.get_context("fork")
    ready, done = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(str(root / "var/lib/dpkg/lock-frontend"), ready, done))
    holder.start()
    assert ready.wait(20)
    try:
        request = {
            "mode": "enforce",
            "apt_wait": 0,
            "controls": [control("P", {"type": "package", "present": ["aide"]}), control("B", UMASK)],
        }
        outcome = engine.carry_out(request, host)
    finally:
        done.set()
        holder.join()
    assert (
        f"(process {holder.pid}) holds the lock of dpkg for more than 0 s: aide. Run again when it is done"
        in outcome["problems"][0]
    )
    assert [one["status"] for one in outcome["document"]["findings"]] == ["fail", "pass"]
    assert not any(call[0] == "apt-get" for call in programs.calls)
    asked = iter(["unattended-upgr (process 7)", "unattended-upgr (process 7)", ""])
    monkeypatch.setattr(apt, "holder", lambda root: next(asked))
    assert apt.wait_for_lock(str(root), 60, pause=0) == ""


def test_missing_package_source_is_told_once_with_all_that_is_missing(host: Host, programs: Any) -> None:
    programs.answers["apt-get"] = (100, "Reading package lists...\nE: Unable to locate package")
    outcome = enforce(host, control("P", {"type": "package", "present": ["aide", "auditd"]}), control("B", UMASK))
    assert outcome["problems"] == ["2 packages could not be changed: aide, auditd: E: Unable to locate package"]
    assert [one["status"] for one in outcome["document"]["findings"]] == ["fail", "pass"]


# ---------------------------------------------------------------- the timer


def test_timer_takes_sudo_back_first_and_leaves_the_rest_to_whoever_gets_in_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs: Any
) -> None:
    monkeypatch.setattr(journal, "UNIT_DIRECTORY", str(tmp_path / "systemd"))
    run = journal.Journal("20260101T000000000000Z", base=str(tmp_path))
    run.begin({}, b"")
    for group in ("sudo", "sshd"):
        path = tmp_path / group
        path.write_text("before\n")
        run.add([{"kind": "file", "group": group, "path": str(path), "before": run.before(str(path))}])
        path.write_text("changed\n")
    guard.arm(run, ["sshd", "sudo"], 60, programs, systemd=True)
    guard.taken(run, ["sshd", "sudo"])
    monkeypatch.setattr(journal, "__file__", f"{run.directory}/undo.py")

    def somebody_gets_in(seconds: float) -> None:
        assert ((tmp_path / "sudo").read_text(), (tmp_path / "sshd").read_text()) == ("before\n", "changed\n")
        assert guard.unproved(run) == ["sshd"]
        assert guard.confirm(run, programs, systemd=True) == []

    monkeypatch.setattr(journal.time, "sleep", somebody_gets_in)
    assert journal.main([]) == 0
    assert (tmp_path / "sshd").read_text() == "changed\n"
    # nobody does
    guard.arm(run, ["sshd", "sudo"], 60, programs, systemd=True)
    monkeypatch.setattr(journal.time, "sleep", lambda seconds: None)
    assert journal.main([]) == 0
    assert (tmp_path / "sshd").read_text() == "before\n" and guard.unproved(run) == []


def test_own_sockets_are_seen_through_the_kernels_tables() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        mine = [one for one in listeners.listening(Host()) if one.port == port]
        assert [(one.address, one.outside) for one in mine] == [("127.0.0.1", False)]
        assert mine[0].inode in listeners.sockets_of(Host(), os.getpid())
