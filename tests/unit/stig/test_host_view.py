"""The host as controls see it: what it is, what systemd says of it, and how plans reach the disk."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.stig import host as hosts
from ansible_collections.stackwright.cloud.plugins.module_utils.stig import journal as journals
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.host import Host, HostError, Meta, UnitState

Put = Callable[[str, str], Path]


def begin(root: Path) -> journals.Journal:
    one = journals.Journal("20260101T000000000000Z", str(root))
    one.begin({"time": "t", "profile": "stig"})
    return one


@pytest.mark.parametrize(
    ("path", "text", "container"),
    [
        ("/run/.containerenv", "", True),
        ("/proc/1/environ", "PATH=/bin\0container=podman\0", True),
        ("/proc/1/environ", "PATH=/bin\0HOME=/\0", False),
    ],
)
def test_container_is_recognised_by_its_marks(host: Host, put: Put, path: str, text: str, container: bool) -> None:
    put(path, text)
    assert host.container is container


@pytest.mark.parametrize(("namespace", "container"), [("pid:[4026531836]", False), ("pid:[4026532999]", True)])
def test_container_without_marks_is_recognised_by_its_processes(
    host: Host, root: Path, namespace: str, container: bool
) -> None:
    (root / "proc/self/ns").mkdir(parents=True)
    (root / "proc/self/ns/pid").symlink_to(namespace)
    assert host.container is container


def test_file_that_no_configuration_can_be_is_told(
    host: Host, root: Path, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    with put("/etc/huge", "").open("wb") as huge:
        huge.truncate(64 << 20)
    os.mkfifo(root / "etc/pipe")
    with pytest.raises(HostError, match=r"/etc/huge has 64 MB, which no configuration file has"):
        host.text("/etc/huge")
    with pytest.raises(HostError, match=r"/etc/pipe is not a regular file"):
        host.text("/etc/pipe")
    assert host.text("/etc/passwd/below") is None
    monkeypatch.setattr(
        Path, "read_bytes", lambda self: (_ for _ in ()).throw(PermissionError(13, "Permission denied"))
    )
    with pytest.raises(HostError, match=r"/etc/group cannot be read: Permission denied"):
        host.text("/etc/group")


def test_host_without_dpkg_is_told(host: Host, root: Path) -> None:
    (root / "var/lib/dpkg/status").unlink()
    with pytest.raises(HostError, match="dpkg's database cannot be read: No such file"):
        assert host.packages


def test_plans_are_seen_before_they_are_made(host: Host, root: Path, put: Put) -> None:
    host.write("/etc/new.conf", "x", mode=0o600)
    assert host.stat("/etc/new.conf") == Meta("file", 0o600, 0, 0, 1)
    assert host.exists("/etc/new.conf") and host.glob("/etc/*.conf") == ["/etc/new.conf"]
    host.remove("/etc/new.conf")
    host.remove("/etc/group")
    host.remove("/etc/no-such")
    assert host.stat("/etc/group") is None and host.text("/etc/group") is None and not host.exists("/etc/group")
    assert set(host.overlay) == {"/etc/new.conf", "/etc/group"}
    os.mkfifo(root / "etc/pipe")
    found = host.stat("/etc/pipe")
    assert found is not None and found.kind == "other"
    with pytest.raises(HostError, match=r"/etc is a directory; a configuration file belongs there"):
        host.write("/etc", "x")
    put("/etc/adduser.conf", "x").chmod(0o600)
    host.set_meta("/etc/adduser.conf", uid=5, gid=6)
    meta = host.stat("/etc/adduser.conf")
    assert meta is not None and (meta.mode, meta.uid, meta.gid) == (0o600, 5, 6)
    assert "+mode 0600 owner 5 group 6" in host.summary()


def test_numbers_without_a_name_stay_numbers(host: Host) -> None:
    assert (host.owner(1000), host.owner(4242), host.group_name(27), host.group_name(4242)) == (
        "ops",
        "4242",
        "sudo",
        "4242",
    )
    assert host.uid("nobody-here") is None and host.gid("nobody-here") is None


SHOWN = """Id=auditd.service
LoadState=loaded
UnitFileState=enabled
ActiveState=active
MainPID=0

Id=debug-shell.service
LoadState=masked
UnitFileState=masked-runtime
ActiveState=inactive
MainPID=0

Id=gone.service
LoadState=not-found
UnitFileState=
ActiveState=inactive
MainPID=0

Id=made.mount
LoadState=loaded
UnitFileState=
ActiveState=reloading
MainPID=0
"""


def test_all_units_are_asked_for_at_once(host: Host, programs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Host, "systemd", True)
    host.root = ""
    programs.answers["systemctl show"] = (0, SHOWN)
    host.expect_units(["auditd.service", "debug-shell.service", "gone.service", "made.mount"])
    assert host.unit("auditd.service") == UnitState("enabled", True)
    assert host.unit("debug-shell.service").enabled == "masked"
    assert host.unit("gone.service").enabled == "missing"
    # a unit that is made and not installed, and one that is at work, run all the same
    assert host.unit("made.mount") == UnitState("static", True)
    assert len(programs.calls) == 1


def test_units_of_a_host_that_does_not_run_are_read_from_its_disk(host: Host, root: Path, put: Put) -> None:
    put("/usr/lib/systemd/system/a.service", "[Install]\nWantedBy=multi-user.target\n")
    put("/usr/lib/systemd/system/b.service", "")
    assert host.unit("a.service").enabled == "disabled"
    wants = root / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(parents=True)
    (wants / "a.service").symlink_to("/usr/lib/systemd/system/a.service")
    (root / "etc/systemd/system/b.service").symlink_to("/dev/null")
    host.forget()
    assert [host.unit(f"{name}.service").enabled for name in "abc"] == ["enabled", "masked", "missing"]


def test_links_of_a_unit_are_journaled_before_it_changes(host: Host, root: Path, put: Put) -> None:
    put(
        "/usr/lib/systemd/system/a.service",
        "[Install]\nWantedBy=multi-user.target graphical.target\nRequiredBy=x.target\nAlias=b.service\n",
    )
    host.want_unit("a.service", enabled=True, active=True)
    one = begin(root)
    assert host.commit(one) == []
    entries = one.entries()
    system = "/etc/systemd/system"
    targets = [f"{system}/multi-user.target.wants", f"{system}/graphical.target.wants", f"{system}/x.target.requires"]
    paths = [entry["path"] for entry in entries if entry["kind"] == "file"]
    assert set(paths) == {
        f"{system}/a.service",
        f"{system}/b.service",
        *targets,
        *(f"{one}/a.service" for one in targets),
    }
    # what is undone backwards removes a link before its directory
    assert all(paths.index(one) < paths.index(f"{one}/a.service") for one in targets)
    assert one.steps()[-1] == {"kind": "unit", "group": "files", "unit": "a.service", "active": False}


def test_units_are_changed_with_one_reload_and_faults_are_told(
    host: Host, programs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Host, "systemd", True)
    reloads: list[str] = []
    monkeypatch.setattr(journals, "reload_units", lambda run, root: reloads.append(root) or [])
    host.root = ""
    programs.answers["systemctl start"] = (1, "Job for b.service failed because the control process exited\n")
    wanted = {
        "a": {"masked": True, "group": "files"},
        "b": {"masked": False, "enabled": True, "active": True, "group": "files"},
        "c": {"enabled": False, "active": False, "group": "files"},
    }
    problems = host._apply_units({f"{name}.service": state for name, state in wanted.items()})
    assert [" ".join(call) for call in programs.calls] == [
        "systemctl --no-reload mask --now a.service",
        "systemctl --no-reload unmask b.service",
        "systemctl --no-reload enable b.service",
        "systemctl --no-reload disable c.service",
        "systemctl start b.service",
        "systemctl stop c.service",
    ]
    assert problems == [
        "systemctl start b.service failed (1): Job for b.service failed because the control process exited"
    ]
    assert reloads == [""]


def test_running_value_that_cannot_be_set_is_told(host: Host, root: Path) -> None:
    host.sysctls_wanted["net.no.such_key"] = ("1", "files")
    assert host.commit(begin(root)) == ["sysctl net.no.such_key could not be set to 1: No such file or directory"]
    assert host.sysctls_wanted == {}


def test_plans_of_owners_follow_no_link_and_miss_no_rotated_log(host: Host, root: Path, put: Put) -> None:
    secret = put("/etc/secret", "x")
    secret.chmod(0o600)
    (root / "var/log").mkdir(parents=True)
    (root / "var/log/link").symlink_to(secret)
    log = put("/var/log/syslog", "x")
    log.chmod(0o666)
    host.set_meta("/var/log/link", mode=0o666)
    host.set_meta("/var/log/gone", mode=0o640)
    host.set_meta("/var/log/syslog", mode=0o640, uid=os.geteuid(), gid=os.getegid())
    assert host.commit(begin(root)) == []
    assert secret.stat().st_mode & 0o777 == 0o600
    assert log.stat().st_mode & 0o777 == 0o640


def test_replaced_file_keeps_its_mode(host: Host, root: Path, put: Put) -> None:
    put("/etc/x", "old").chmod(0o4751)
    host.write("/etc/x", "new")
    host.commit(begin(root))
    assert (root / "etc/x").stat().st_mode & 0o7777 == 0o4751


def test_fingerprint_changes_with_what_matters(
    host: Host, root: Path, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put("/etc/x", "one")
    path.chmod(0o644)
    prints = [host.fingerprint("/etc/x")]
    path.write_text("two")
    prints.append(host.fingerprint("/etc/x"))
    path.chmod(0o600)
    prints.append(host.fingerprint("/etc/x"))
    os.mkfifo(root / "etc/pipe")
    (root / "etc/link").symlink_to("x")
    prints += [host.fingerprint(f"/etc/{name}") for name in ("pipe", "link", "none")] + [host.fingerprint("/etc")]
    assert len(set(prints)) == 7
    assert [one.split()[0] for one in prints] == ["file", "file", "file", "other", "link", "absent", "directory"]
    with path.open("wb") as large:
        large.truncate(8 << 20)
    assert host.fingerprint("/etc/x").endswith(" large")
    put("/etc/x", "small")
    monkeypatch.setattr(Path, "read_bytes", lambda self: (_ for _ in ()).throw(OSError(5, "Input/output error")))
    assert host.fingerprint("/etc/x").endswith(" unreadable (Input/output error)")


def test_secrets_are_not_shown_in_differences(host: Host) -> None:
    host.write("/etc/shadow", "root:$6$hash:1:0:99999:7:::\n")
    assert "hash" not in str(host.diff())
    assert host.diff()[0]["after"] == "(secret, changed)\n"


def test_names_of_values_escape_what_a_terminal_would_obey() -> None:
    assert hosts.show("\x1b[31m\u2028") == "\\x1b[31m\\u2028"
