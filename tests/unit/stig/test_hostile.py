"""Hosts that are full, read-only or meddled with are told of, and lose nothing."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.stig import engine, journal, resource
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.enforce import Enforcement
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.host import Host


def control(name: str, *resources: dict[str, Any]) -> dict[str, Any]:
    return {"id": name, "rule": name, "severity": "medium", "waiver": None, "resources": list(resources)}


UMASK = control("A", {"type": "option", "file": "/etc/login.defs", "key": "UMASK", "value": "077", "separator": "\t"})
BANNER = control("B", {"type": "content", "file": "/etc/issue.net", "text": "banner\n"})
LOGS = control("C", {"type": "permissions", "paths": ["/var/log"], "recursive": True, "kind": "file", "forbid": "0137"})


def enforce(root: Path, programs: Any, *controls: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    request = {"mode": "enforce", "profile": "stig", "controls": list(controls)}
    outcome = engine.carry_out(request, Host(str(root), run=programs))
    return outcome, {one["id"]: one["status"] for one in outcome["document"]["findings"]}


@pytest.mark.parametrize(
    ("number", "reason"), [(errno.ENOSPC, "No space left on device"), (errno.EROFS, "Read-only file system")]
)
def test_disk_that_fails_in_the_middle_stops_the_run_and_rolls_back(
    root: Path, programs: Any, monkeypatch: pytest.MonkeyPatch, number: int, reason: str
) -> None:
    before = (root / "etc/login.defs").read_bytes()
    real = journal.write_atomically

    def failing(path: str, *rest: Any, **more: Any) -> None:
        if path.endswith("/etc/login.defs"):
            raise OSError(number, reason, path)
        real(path, *rest, **more)

    monkeypatch.setattr(journal, "write_atomically", failing)
    outcome, statuses = enforce(root, programs, UMASK, BANNER)
    assert f"/etc/login.defs could not be written: {reason}" in outcome["problems"]
    assert statuses == {"A": "fail", "B": "pass"}
    monkeypatch.setattr(journal, "write_atomically", real)
    back = engine.carry_out({"mode": "rollback"}, Host(str(root), run=programs))
    assert back["problems"] == []
    assert (root / "etc/login.defs").read_bytes() == before
    assert not (root / "etc/issue.net").exists()


def test_journal_on_a_full_disk_stops_the_run_before_the_first_change(
    root: Path, programs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (root / "etc/login.defs").read_bytes()

    def full(*arguments: Any, **more: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(journal, "write_atomically", full)
    with pytest.raises(journal.JournalError, match=r"Nothing was changed\. Free space"):
        enforce(root, programs, UMASK)
    assert (root / "etc/login.defs").read_bytes() == before


def test_directory_in_place_of_a_file_is_named_and_the_rest_is_enforced(root: Path, programs: Any) -> None:
    (root / "etc/issue.net").mkdir()
    outcome, statuses = enforce(root, programs, UMASK, BANNER)
    assert statuses == {"A": "pass", "B": "error"}
    detail = outcome["document"]["findings"][1]["detail"]
    assert "/etc/issue.net is a directory; a configuration file belongs there. Move it away" in detail


def test_link_in_place_of_a_file_is_replaced_and_what_it_points_to_is_left_alone(root: Path, programs: Any) -> None:
    (root / "etc/issue.net").symlink_to(root / "etc/shadow")
    secret = (root / "etc/shadow").read_bytes()
    _, statuses = enforce(root, programs, BANNER)
    assert statuses == {"B": "pass"}
    assert not (root / "etc/issue.net").is_symlink()
    assert (root / "etc/shadow").read_bytes() == secret
    engine.carry_out({"mode": "rollback"}, Host(str(root), run=programs))
    assert os.readlink(root / "etc/issue.net") == str(root / "etc/shadow")


def test_huge_log_and_hostile_names_are_mended_and_taken_back(root: Path, programs: Any) -> None:
    base = os.fsencode(root / "var/log")
    os.makedirs(base)
    names = [b"large", b"new\nline", b"\xff\xfe bad", b"-rf", b"$(reboot)"]
    for name in names:
        with open(base + b"/" + name, "wb") as target:
            target.truncate(200 << 20)
        os.chmod(base + b"/" + name, 0o666)
    _, statuses = enforce(root, programs, LOGS)
    assert statuses == {"C": "pass"}
    assert {os.stat(base + b"/" + name).st_mode & 0o777 for name in names} == {0o640}
    kept = sum(one.stat().st_size for one in (root / "var/lib/stackwright").rglob("*") if one.is_file())
    assert kept < 4 << 20  # modes are journaled, not the logs
    engine.carry_out({"mode": "rollback"}, Host(str(root), run=programs))
    assert {os.stat(base + b"/" + name).st_mode & 0o777 for name in names} == {0o666}


def test_enforcement_without_root_is_refused_and_an_audit_is_not(
    root: Path, programs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = Host(str(root), run=programs)
    host.text("/etc/os-release")
    host.root = ""  # the machine of the tests, where the file below is not
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(Enforcement, "_begin", lambda self: pytest.fail("it would have changed this machine"))
    banner = control("B", {"type": "content", "file": "/etc/stackwright-no-such-file", "text": "banner\n"})
    request = {"mode": "audit", "profile": "stig", "controls": [banner]}
    assert engine.carry_out(request, host)["document"]["findings"][0]["status"] == "fail"
    with pytest.raises(resource.EngineError, match="needs root on the host: give become"):
        engine.carry_out({**request, "mode": "enforce"}, host)


def test_rollback_finds_its_room_on_a_disk_that_is_full_to_the_last_byte(
    root: Path, programs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk has room for the journal and the banner only; the reserve, given back, is room for the rollback."""
    real = journal.write_atomically
    banner = root / "etc/issue.net"
    banner.write_text("old\n", "utf-8")
    reserve = root / "var/lib/stackwright/hardening"

    def write(path: str, *rest: Any, **more: Any) -> None:
        full = path.endswith("/etc/login.defs") or banner.read_text("utf-8") == "banner\n"
        if full and list(reserve.glob("*/reserve")):
            raise OSError(errno.ENOSPC, "No space left on device", path)
        real(path, *rest, **more)

    monkeypatch.setattr(journal, "write_atomically", write)
    outcome, statuses = enforce(root, programs, UMASK, BANNER)
    assert statuses == {"A": "fail", "B": "pass"}
    assert [one.rpartition("/")[2] for one in outcome["problems"]] == [
        "login.defs could not be written: No space left on device",
        "enforced.json could not be written: No space left on device. Audits will tell of no drift since this run.",
    ]
    assert engine.carry_out({"mode": "rollback"}, Host(str(root), run=programs))["problems"] == []
    assert banner.read_text("utf-8") == "old\n"


def test_rollback_writes_nothing_where_nothing_differs(
    root: Path, programs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that refused the change refuses the restoration as well, and has nothing to restore."""
    run = journal.Journal("20260101T000000000000Z", str(root))
    run.begin({})
    run.add([{"kind": "file", "group": "files", "path": "/etc/shadow", "before": run.before("/etc/shadow")}])

    def refused(*arguments: Any, **more: Any) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    for name in ("chown", "chmod", "utime", "unlink"):
        monkeypatch.setattr(os, name, refused)
    journal.release_boot(run)
    assert run.undo(tool=programs) == []
