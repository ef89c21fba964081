"""What was changed can be taken back byte for byte, whatever happened in between."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.stig import enforce, engine, journal, resource, state
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.host import Host
from ansible_collections.stackwright.cloud.tests.stand_ins import Said


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
            "id": "UBTU-24-300030",
            "rule": "umask",
            "severity": "medium",
            "waiver": None,
            "resources": [
                {"type": "option", "file": "/etc/login.defs", "key": "UMASK", "value": "077", "separator": "\t"}
            ],
        }
    ],
}


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
        if argv[0] == "apt-get" and "-s" in argv:
            return 0, "Inst fail2ban (1 Debian:13 [all])\n"
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
    with pytest.raises(resource.EngineError, match="This is fedora"):
        engine.carry_out(REQUEST, host)


def test_unknown_run_is_named_with_the_known_ones(host: Host, root: Path) -> None:
    engine.carry_out(REQUEST, host)
    with pytest.raises(resource.EngineError, match=r"no run 2020.*The runs here"):
        engine.carry_out({"mode": "rollback", "run_id": "2020"}, Host(str(root)))


def test_algorithms_of_a_key_exchange_are_read() -> None:
    lists = [b"kex", b"key", b"enc-a,enc-b", b"enc-a", b"mac-a", b"mac-b", b"none", b"none", b"", b""]
    body = bytes([0, 20]) + bytes(16) + b"".join(len(one).to_bytes(4, "big") + one for one in lists)
    data = b"SSH-2.0-x\r\n" + len(body).to_bytes(4, "big") + body
    assert state.algorithm_lists(data)[:6] == ["kex", "key", "enc-a,enc-b", "enc-a", "mac-a", "mac-b"]


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
    one = enforce.Enforcement(host, {"mode": "enforce"})
    host.want_command(["ufw", "limit", "22/tcp"], ["/etc/ufw/*"], reload=["ufw", "reload"])
    host.run = lambda argv: (rules.write_text("new\n", "utf-8"), (0, ""))[1]
    assert one._run_commands(host.commands) == set()
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


def dpkg(root: Path, *blocks: str) -> None:
    """Write dpkg's database: a name, or several fields of a package that begin with its name."""
    fields = [one if "\n" in one else f"{one}\n" for one in blocks]
    text = "".join(
        f"Package: {one.partition(chr(10))[0]}\nStatus: install ok installed\nVersion: 1\n{one.partition(chr(10))[2]}\n"
        for one in fields
    )
    (root / "var/lib/dpkg/status").write_text(text, "utf-8")


def test_package_that_had_left_its_data_is_removed_and_not_purged(root: Path) -> None:
    before = {"a": "1", "aide (configuration)": "2", "gone": "3"}
    dpkg(root, "a", "aide", "new")
    commands = journal.Leaving({"before": before}, str(root)).commands()
    assert commands[0] == ["dpkg", "--remove", "--force-depends", "aide", "new"]
    assert commands[1][-2:] == ["install", "gone=3"]
    assert commands[2] == ["dpkg", "--purge", "--force-depends", "new"]
    del before["gone"]
    assert journal.Leaving({"before": before}, str(root)).commands() == [
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


# ---------------------------------------------------------------- the way back, piece by piece


def undone(root: Path, *entries: dict[str, Any], tool: Any = lambda argv: (0, "")) -> list[str]:
    """Undo a run with these entries; returns what could not be restored."""
    one = begin(root)
    one.add([{"group": "files", **entry} for entry in entries])
    return one.undo(tool=tool)


@pytest.mark.parametrize(
    ("container", "after", "told"),
    [
        (
            False,
            {"kernel/kptr_restrict": "1", "net/ipv4/ip_forward": "1"},
            ["sysctl kernel.one_way could not be set back to 0: Is a directory"],
        ),
        (True, {"kernel/kptr_restrict": "2", "net/ipv4/ip_forward": "1"}, []),
    ],
    ids=["machine", "container"],
)
def test_running_kernel_settings_are_set_back_where_they_are_the_hosts_own(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, container: bool, after: dict[str, str], told: list[str]
) -> None:
    settings = tmp_path / "settings"
    for place in ("kernel/one_way", "net/ipv4"):
        (settings / place).mkdir(parents=True)
    (settings / "kernel/kptr_restrict").write_text("2\n")
    (settings / "net/ipv4/ip_forward").write_text("0\n")
    monkeypatch.setattr(journal, "KERNEL_SETTINGS", str(settings))
    monkeypatch.setattr(journal, "in_container", lambda _: container)
    before = {"kernel.kptr_restrict": "1", "kernel.one_way": "0", "kernel.gone": "1", "net.ipv4.ip_forward": "1"}
    problems = undone(root, *({"kind": "sysctl", "key": key, "value": value} for key, value in before.items()))
    assert [problem.partition(". The")[0] for problem in problems] == told
    assert {place: (settings / place).read_text().strip() for place in after} == after


@pytest.mark.parametrize("now", ["absent", "file", "directory", "link"])
@pytest.mark.parametrize("before", ["absent", "file", "directory", "link"])
def test_whatever_stands_in_a_place_makes_room_for_what_was_there(root: Path, before: str, now: str) -> None:
    place = root / "etc/place"

    def put(kind: str, word: str) -> None:
        if kind == "file":
            place.write_text(word)
            place.chmod(0o640 if word == "before" else 0o604)
        elif kind == "directory":
            place.mkdir(mode=0o750 if word == "before" else 0o705)
            (place / word).touch()
        elif kind == "link":
            place.symlink_to(word)

    def look() -> tuple[str, Any]:
        if place.is_symlink():
            return "link", os.readlink(place)
        if place.is_dir():
            return "directory", place.stat().st_mode & 0o777
        return (
            ("file", (place.read_text(), place.stat().st_mode & 0o777, place.stat().st_mtime_ns))
            if place.exists()
            else ("absent", None)
        )

    put(before, "before")
    was = look()
    one = begin(root)
    entry = {"kind": "file", "group": "files", "path": "/etc/place", "before": one.before("/etc/place")}
    one.add([entry])
    if place.is_symlink() or place.is_file():
        place.unlink()
    elif place.exists():
        shutil.rmtree(place)
    put(now, "now")
    one.seal([entry])
    for path in place.glob("now") if place.is_dir() else []:
        path.unlink()  # what a run puts into a directory has an entry of its own
    assert one.undo(tool=lambda argv: (0, "")) == []
    assert look() == was


def test_attributes_of_a_file_come_back_with_it(root: Path) -> None:
    path = root / "etc/x"
    path.write_text("old")
    try:
        os.setxattr(path, "user.note", b"kept")
    except OSError:
        os.setxattr(path, "trusted.note", b"kept")
    was = journal.attributes(str(path))
    assert was
    one = begin(root)
    one.add([{"kind": "file", "group": "files", "path": "/etc/x", "before": one.before("/etc/x")}])
    path.unlink()
    path.write_text("new")
    assert journal.attributes(str(path)) == {}
    assert one.undo(tool=lambda argv: (0, "")) == []
    assert (path.read_text(), journal.attributes(str(path))) == ("old", was)


def test_units_run_again_as_before_and_what_is_gone_is_not_missed(root: Path) -> None:
    seen: list[str] = []

    def tool(argv: list[str]) -> tuple[int, str]:
        seen.append(" ".join(argv))
        if argv[-1] == "gone.service":
            return 5, "Failed to stop gone.service: Unit gone.service not loaded."
        return (1, "Job failed. See journalctl -xe") if argv[-1] == "b.service" else (0, "")

    entries = [
        {"kind": "unit", "unit": f"{name}.service", "active": active}
        for name, active in (("a", False), ("b", True), ("gone", False))
    ]
    assert undone(root, *entries, tool=tool) == ["systemctl start b.service failed (1): Job failed. See journalctl -xe"]
    assert seen == ["systemctl stop gone.service", "systemctl start b.service", "systemctl stop a.service"]


def test_run_that_could_not_be_undone_whole_can_be_undone_again(root: Path) -> None:
    one = begin(root)
    one.add([{"kind": "unit", "group": "files", "unit": "b.service", "active": True}])
    assert one.undo(tool=lambda argv: (1, "no"))
    assert one.head()["state"] == "running" and one.head().get("undone", []) == []
    assert one.undo(tool=lambda argv: (0, "")) == []
    assert one.head()["state"] == "rolled back" and one.head()["undone"] == ["files"]


def test_package_that_cannot_be_brought_back_is_told_and_files_are_restored_all_the_same(
    root: Path, put: Callable[[str, str], Path]
) -> None:
    one = begin(root)
    one.add([{"kind": "file", "group": "files", "path": "/etc/issue", "before": one.before("/etc/issue")}])
    one.add([{"kind": "packages", "group": "packages", "before": {"telnetd": "1", "openssh-server": "1:10"}}])
    put("/etc/issue", "new")
    # a package that removes itself leaves a copy of its configuration
    problems = one.undo(
        tool=lambda argv: (
            (100, "E: Version '1' for 'telnetd' was not found")
            if argv[0] == "apt-get" and put("/etc/x.dpkg-bak", "")
            else (0, "")
        )
    )
    assert len(problems) == 1 and "telnetd=1 failed (100): E: Version '1' for 'telnetd' was not found" in problems[0]
    assert not (root / "etc/issue").exists() and not (root / "etc/x.dpkg-bak").exists()


def test_commands_before_and_after_an_undo_run_once_each(root: Path) -> None:
    seen: list[str] = []
    disable, reload = (
        {"kind": "before-undo", "argv": ["ufw", "--force", "disable"]},
        {"kind": "after-undo", "argv": ["ufw", "reload"]},
    )
    assert undone(root, reload, disable, reload, tool=lambda argv: (seen.append(" ".join(argv)), (0, ""))[1]) == []
    assert seen == ["ufw --force disable", "ufw reload"]


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("run.json", "{", r"run.json cannot be read"),
        ("journal.jsonl", '{"kind"\n{}\n', r"journal.jsonl, line 1 is damaged"),
    ],
)
def test_journal_that_was_meddled_with_is_named(root: Path, name: str, text: str, told: str) -> None:
    one = begin(root)
    assert one.exists
    Path(f"{one.directory}/{name}").write_text(text)
    with pytest.raises(journal.JournalError, match=told):
        one.undo(tool=lambda argv: (0, ""))
    Path(f"{one.directory}/{name}").unlink()
    with pytest.raises(journal.JournalError, match=rf"{name} cannot be read"):
        one.undo(tool=lambda argv: (0, ""))


def test_write_that_fails_leaves_the_old_file_and_nothing_beside_it(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*words: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    before = listing(root)
    with pytest.raises(OSError, match="No space left"):
        journal.write_atomically(str(root / "etc/issue"), b"text", 0o644, 0, 0)
    assert listing(root) == before


def test_programs_run_with_an_environment_of_their_own_and_an_end(
    stand_ins: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = stand_ins.add("speaks", Said("out\n", 3, "err\n"))
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    code, output = journal.run_tool([said])
    assert (code, sorted(output.split())) == (3, ["err", "out"])
    assert (stand_ins.calls[0].environment["LC_ALL"], stand_ins.calls[0].environment["DEBIAN_FRONTEND"]) == (
        "C.UTF-8",
        "noninteractive",
    )
    assert journal.run_tool(["/no/such/program"]) == (127, "/no/such/program: No such file or directory")
    hangs = stand_ins.add("hangs", Said(hangs=True))
    assert journal.run_tool([hangs], timeout=0.4) == (124, f"{hangs}: no end after 0 seconds")
