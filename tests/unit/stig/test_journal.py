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


def test_data_that_a_package_keeps_is_no_drift(host: Host, root: Path) -> None:
    database = root / "var/lib/fail2ban/fail2ban.sqlite3"
    status = root / "var/lib/dpkg/status"

    def apt(argv: list[str]) -> tuple[int, str]:
        if argv[0] == "apt-get":
            database.parent.mkdir()
            database.write_text("empty", "utf-8")
            (root / "etc/fail2ban.conf").write_text("a", "utf-8")
            status.write_text(
                status.read_text("utf-8") + "Package: fail2ban\nStatus: install ok installed\nVersion: 1\n\n", "utf-8"
            )
        return 0, ""

    wanted = {**REQUEST["controls"][0], "resources": [{"type": "package", "present": ["fail2ban"]}]}  # type: ignore[dict-item]
    enforced = engine.carry_out({**REQUEST, "controls": [wanted]}, Host(str(root), run=apt))
    assert enforced["document"]["findings"][0]["status"] == "pass"
    database.write_text("an address", "utf-8")
    (root / "etc/fail2ban.conf").write_text("b", "utf-8")
    audit = engine.carry_out({**REQUEST, "controls": [wanted], "mode": "audit"}, Host(str(root), run=apt))
    assert [one["path"] for one in audit["document"]["drift"]] == ["/etc/fail2ban.conf"]


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


SSHD = {
    "id": "UBTU-24-300022", "rule": "x11", "severity": "medium", "waiver": None,
    "resources": [{"type": "sshd", "option": "X11Forwarding", "value": "no"}],
}  # fmt: skip


def test_setting_that_sshd_refuses_is_mended_and_the_others_with_it(host: Host, root: Path, programs: Any) -> None:
    log_level = {"type": "sshd", "option": "LogLevel", "value": "VERBOSE"}
    controls = [SSHD, {**SSHD, "id": "STACKWRIGHT-000020", "resources": [log_level]}]
    config = root / "etc/ssh/sshd_config"
    config.parent.mkdir(parents=True)
    config.write_text("Include /etc/ssh/sshd_config.d/*.conf\nLogLevel 0\nX11Forwarding yes\n", "utf-8")

    def sshd(argv: list[str]) -> tuple[int, str]:
        files = [*sorted((config.parent / "sshd_config.d").glob("*.conf")), config]
        lines = [line.split() for one in files for line in one.read_text("utf-8").splitlines() if line[0] != "#"]
        values = {line[0]: line[1] for line in reversed(lines)}
        if values.get("LogLevel") == "0" or any(line == ["LogLevel", "0"] for line in lines):
            return 255, "unsupported log level '0'"
        return 0, "".join(f"{key.lower()} {value}\n" for key, value in values.items())

    host.run = lambda argv: sshd(argv) if argv[0] == "sshd" else (0, "")
    audit = engine.carry_out({**REQUEST, "mode": "audit", "controls": controls}, host)
    assert {one["status"] for one in audit["document"]["findings"]} == {"error"}
    assert "unsupported log level" in audit["document"]["findings"][0]["detail"]
    outcome = engine.carry_out({**REQUEST, "controls": controls}, Host(str(root), run=host.run))
    assert [one["status"] for one in outcome["document"]["findings"]] == ["pass", "pass"]


def test_undo_of_a_command_takes_the_restored_files_into_use(host: Host, root: Path, programs: Any) -> None:
    rules = root / "etc/ufw/user.rules"
    rules.parent.mkdir()
    rules.write_text("old\n", "utf-8")
    one = engine.Engine(host, {"mode": "enforce"})
    host.want_command(["ufw", "limit", "22/tcp"], ["/etc/ufw/*"], reload=["ufw", "reload"])
    one._run_commands(host.commands)
    rules.write_text("new\n", "utf-8")
    seen: list[str] = []

    def tool(argv: list[str]) -> tuple[int, str]:
        seen.append(f"{' '.join(argv)} with {rules.read_text('utf-8').strip()}")
        return 0, ""

    assert one._begin().undo(tool=tool) == []
    assert seen == ["ufw reload with old"]


def test_logs_that_late_programs_leave_open_are_closed(host: Host, root: Path) -> None:
    (root / "var/log/aide").mkdir(parents=True)
    (root / "etc/hostname").write_text("n\n", "utf-8")

    def aide(argv: list[str]) -> tuple[int, str]:
        if argv[0] == "aideinit":
            (root / "var/log/aide/aideinit.log").write_text("done\n", "utf-8")
            (root / "var/log/aide/aideinit.log").chmod(0o644)
        return 0, ""

    resource = {"type": "permissions", "paths": ["/var/log"], "recursive": True, "kind": "file", "forbid": "0137"}
    controls = [{**SSHD, "id": "UBTU-24-700010", "resources": [resource]}]
    run = begin(root)
    outcome = engine.carry_out(
        {"mode": "confirm", "run_id": run.run_id, "controls": controls, "postponed": ["aide"]},
        Host(str(root), run=aide),
    )
    assert outcome["document"]["findings"][0]["status"] == "pass"
    assert (root / "var/log/aide/aideinit.log").stat().st_mode & 0o777 == 0o640


def test_package_that_had_left_its_data_is_removed_and_not_purged() -> None:
    before = {"a": "1", "aide (configuration)": "2", "gone": "3"}
    now = {"a": "1", "aide": "2", "new": "4"}
    commands = list(journal._package_commands({"before": before}, now))
    assert commands[0] == ["dpkg", "--remove", "--force-depends", "aide", "new"]
    assert commands[1][-2:] == ["install", "gone=3"]
    assert commands[2] == ["dpkg", "--purge", "--force-depends", "new"]
    del before["gone"]
    assert list(journal._package_commands({"before": before}, now)) == [
        ["dpkg", "--remove", "--force-depends", "aide"],
        ["dpkg", "--purge", "--force-depends", "new"],
    ]


def test_program_that_went_with_its_package_is_not_missed(host: Host, root: Path) -> None:
    one = begin(root)
    reload = {"kind": "after-undo", "group": "firewall", "argv": ["ufw", "reload"]}
    one.add([{"kind": "packages", "group": "packages", "before": {}}, reload])
    assert one.undo(tool=lambda argv: (127, "ufw: No such file or directory") if argv[0] == "ufw" else (0, "")) == []
    alone = journal.Journal("20260101T000000000001Z", str(root))
    alone.begin({})
    alone.add([reload])
    assert alone.undo(tool=lambda argv: (127, "ufw: No such file or directory"))


def test_undo_of_unproved_changes_survives_a_boot(host: Host, root: Path) -> None:
    one = begin(root)
    journal.guard_boot(one)
    name = f"stackwright-undo-{one.run_id}-boot.service"
    unit = (root / "etc/systemd/system" / name).read_text("utf-8")
    assert f"ConditionPathExists={journal.BASE}/{one.run_id}/unproved" in unit
    assert f"ExecStart=/usr/bin/python3 -I {journal.BASE}/{one.run_id}/undo.py" in unit
    wants = root / "etc/systemd/system/multi-user.target.wants" / name
    assert os.readlink(wants) == f"/etc/systemd/system/{name}"
    engine.confirm(host, one.run_id)
    assert not wants.is_symlink()
    assert not (root / "etc/systemd/system" / name).exists()


SUDO = {
    "id": "UBTU-24-300021", "rule": "sudo", "severity": "medium", "waiver": None,
    "resources": [{"type": "sudoers", "absent": "!authenticate"}],
}  # fmt: skip


def test_rules_of_sudo_that_visudo_refuses_are_not_written(host: Host, root: Path, programs: Any) -> None:
    sudoers = root / "etc/sudoers"
    sudoers.write_text("Defaults:ops !authenticate\nops ALL=(ALL) ALL\n", "utf-8")
    (root / "etc/login.defs").write_text("UMASK 022\n", "utf-8")
    programs.answers["visudo -c -q -f"] = (1, "parse error near line 1")
    controls = [SUDO, *REQUEST["controls"]]  # type: ignore[misc]
    outcome = engine.carry_out({**REQUEST, "controls": controls}, host)
    assert sudoers.read_text("utf-8").startswith("Defaults:ops")
    assert any("visudo refuses the new /etc/sudoers, which stays as it was" in one for one in outcome["problems"])
    assert [one["status"] for one in outcome["document"]["findings"]] == ["fail", "pass"]
    del programs.answers["visudo -c -q -f"]
    outcome = engine.carry_out({**REQUEST, "controls": controls}, Host(str(root), run=programs))
    assert sudoers.read_text("utf-8").startswith("# Defaults:ops")
    assert outcome["document"]["findings"][0]["status"] == "pass"
