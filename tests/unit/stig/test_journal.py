"""What was changed can be taken back byte for byte, whatever happened in between."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.stig import engine, journal
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.host import Host


def begin(root: Path) -> journal.Journal:
    one = journal.Journal("20260101T000000000000Z", str(root))
    one.begin({"time": "2026-01-01T00:00:00Z", "profile": "stig"})
    return one


def listing(root: Path) -> dict[str, tuple[Any, ...]]:
    found: dict[str, tuple[Any, ...]] = {}
    for path in sorted(root.rglob("*")):
        if "stackwright" in path.parts or str(path).startswith(str(root / "var/lib/stackwright")):
            continue
        status = path.lstat()
        content: Any = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        found[str(path)] = (status.st_mode, status.st_uid, status.st_gid, content)
    return found


def change(host: Host, root: Path) -> None:
    host.write("/etc/login.defs", "changed\n")
    host.write("/etc/new/deep/file", "new\n", mode=0o600)
    host.set_meta("/etc/group", mode=0o600)
    host.write("/etc/link", "no link any more\n")
    host.remove("/etc/gone")
    host.want_link("/etc/localtime", "/usr/share/zoneinfo/UTC")


def test_rollback_restores_the_tree(host: Host, root: Path) -> None:
    (root / "etc/link").symlink_to("login.defs")
    (root / "etc/gone").write_text("here", "utf-8")
    before = listing(root)
    one = begin(root)
    change(host, root)
    assert host.commit(one) == []
    assert (root / "etc/login.defs").read_text("utf-8") == "changed\n"
    assert not (root / "etc/link").is_symlink()
    assert listing(root) != before
    assert one.undo(tool=lambda argv: (0, "")) == []
    assert listing(root) == before
    assert one.head()["state"] == "rolled back"


def test_file_reached_by_a_link_is_not_written_through(host: Host, root: Path) -> None:
    (root / "etc/issue.net").symlink_to("shadow")
    secret = (root / "etc/shadow").read_bytes()
    host.write("/etc/issue.net", "banner\n")
    host.commit(begin(root))
    assert (root / "etc/shadow").read_bytes() == secret
    assert (root / "etc/issue.net").read_text("utf-8") == "banner\n"


def test_only_the_named_groups_are_undone(host: Host, root: Path) -> None:
    one = begin(root)
    host.write("/etc/a", "a\n")
    host.group = "sshd"
    host.write("/etc/b", "b\n")
    host.commit(one)
    one.undo(["sshd"], tool=lambda argv: (0, ""))
    assert (root / "etc/a").exists()
    assert not (root / "etc/b").exists()
    one.undo(tool=lambda argv: (0, ""))
    assert not (root / "etc/a").exists()


def test_half_written_last_entry_announces_nothing(host: Host, root: Path) -> None:
    one = begin(root)
    host.write("/etc/a", "a\n")
    host.commit(one)
    with Path(f"{one.directory}/journal.jsonl").open("ab") as log:
        log.write(b'{"kind": "file", "pa')
    assert one.undo(tool=lambda argv: (0, "")) == []
    assert not (root / "etc/a").exists()


def test_full_disk_in_the_middle_keeps_what_was_there(host: Host, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = listing(root)
    one = begin(root)
    change(host, root)
    real = journal.write_atomically
    count = 0

    def full(path: str, *rest: Any, **more: Any) -> None:
        nonlocal count
        count += not path.startswith(one.directory)
        if count > 1 and not path.startswith(one.directory):
            raise OSError(errno.ENOSPC, "No space left on device", path)
        real(path, *rest, **more)

    monkeypatch.setattr(journal, "write_atomically", full)
    problems = host.commit(one)
    assert "No space left" in problems[0]
    monkeypatch.setattr(journal, "write_atomically", real)
    assert one.undo(tool=lambda argv: (0, "")) == []
    assert listing(root) == before


def test_nothing_changes_when_the_journal_cannot_be_written(
    host: Host, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = begin(root)
    before = listing(root)
    change(host, root)

    def full(*arguments: Any) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(journal.Journal, "_append", full)
    with pytest.raises(journal.JournalError, match="Read-only"):
        host.commit(one)
    assert listing(root) == before


REQUEST = {
    "mode": "enforce",
    "profile": "stig",
    "controls": [
        {
            "id": "UBTU-24-300030", "rule": "umask", "severity": "medium", "waiver": None,
            "resources": [{"type": "option", "file": "/etc/login.defs", "key": "UMASK", "value": "077", "separator": "\t"}],
        }
    ],
}  # fmt: skip


def test_enforce_is_idempotent_and_taken_back(host: Host, root: Path) -> None:
    before = listing(root)
    first = engine.carry_out(REQUEST, host)
    assert first["changed"]
    assert first["document"]["findings"][0]["status"] == "pass"
    assert first["document"]["findings"][0]["changed"]
    second = engine.carry_out(REQUEST, Host(str(root)))
    assert not second["changed"]
    assert not second["document"]["findings"][0]["changed"]
    back = engine.carry_out({"mode": "rollback"}, Host(str(root)))
    assert back["rolled_back"]
    assert listing(root) == before


def test_check_mode_shows_the_change_and_makes_none(host: Host, root: Path) -> None:
    before = listing(root)
    outcome = engine.carry_out({**REQUEST, "check_mode": True}, host)
    assert outcome["changed"]
    assert "UMASK\t077" in outcome["diff"][0]["after"]
    assert listing(root) == before
    assert not (root / "var/lib/stackwright").exists()


def test_waived_control_is_not_enforced_and_never_passes(host: Host, root: Path) -> None:
    waiver = {"reason": "r", "owner": "o", "expires": "2030-01-01"}
    controls = [{**REQUEST["controls"][0], "waiver": waiver}]  # type: ignore[dict-item]
    outcome = engine.carry_out({**REQUEST, "controls": controls}, host)
    assert not outcome["changed"]
    assert outcome["document"]["findings"][0]["status"] == "waived"


def test_drift_names_the_file_and_what_changed(host: Host, root: Path) -> None:
    engine.carry_out(REQUEST, host)
    (root / "etc/login.defs").write_text("UMASK 022\n", "utf-8")
    audit = engine.carry_out({**REQUEST, "mode": "audit"}, Host(str(root)))
    assert [(one["path"], one["what"]) for one in audit["document"]["drift"]] == [
        ("/etc/login.defs", "content changed")
    ]
    assert audit["document"]["findings"][0]["status"] == "fail"


def test_other_systems_are_refused(host: Host, root: Path) -> None:
    (root / "etc/os-release").write_text("ID=fedora\n", "utf-8")
    with pytest.raises(engine.EngineError, match="This is fedora"):
        engine.carry_out(REQUEST, host)


def test_unknown_run_is_named_with_the_known_ones(host: Host, root: Path) -> None:
    engine.carry_out(REQUEST, host)
    with pytest.raises(engine.EngineError, match=r"no run 2020.*The runs here"):
        engine.carry_out({"mode": "rollback", "run_id": "2020"}, Host(str(root)))


def test_algorithms_of_a_key_exchange_are_read() -> None:
    lists = [b"kex", b"key", b"enc-a,enc-b", b"enc-a", b"mac-a", b"mac-b", b"none", b"none", b"", b""]
    body = bytes([0, 20]) + bytes(16) + b"".join(len(one).to_bytes(4, "big") + one for one in lists)
    data = b"SSH-2.0-x\r\n" + len(body).to_bytes(4, "big") + body
    assert engine.algorithm_lists(data)[:6] == ["kex", "key", "enc-a,enc-b", "enc-a", "mac-a", "mac-b"]
