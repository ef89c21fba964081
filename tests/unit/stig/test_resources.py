"""Each resource type judges by the real semantics of its files and mends what it found."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.stig import access, files, journal, judge, system
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.host import Host, HostError, show

Put = Callable[[str, str], Path]
PAM = """auth\t[success=2 default=ignore]\tpam_unix.so nullok
auth\t[success=1 default=ignore]\tpam_sss.so use_first_pass
auth\trequisite\t\t\tpam_deny.so
auth\trequired\t\t\tpam_permit.so
"""
SSHD = "port 22\nx11forwarding yes\nciphers aes256-ctr,aes128-cbc\n"


def mend(host: Host, spec: dict[str, Any]) -> None:
    """The check fails, the remedy is planned, the check passes on the plan, and planning again changes nothing."""
    kind = judge.TYPES[spec["type"]]
    assert not kind.check(host, spec).ok
    assert kind.fix is not None
    kind.fix(host, spec)
    assert kind.check(host, spec).ok
    before = host.mutations
    kind.fix(host, spec)
    assert host.mutations == before


def test_option_is_set_where_it_stands_and_the_comment_stays(host: Host) -> None:
    mend(host, {"type": "option", "file": "/etc/login.defs", "key": "UMASK", "value": "077", "separator": "\t"})
    assert host.text("/etc/login.defs") == "# UMASK is explained here\nUMASK\t077\nPASS_MAX_DAYS\t99999\n"


def test_last_value_counts_and_a_dropin_wins(host: Host, put: Put) -> None:
    put("/etc/q.conf", "minlen = 20\n")
    put("/etc/q.conf.d/x.conf", "minlen = 4\n")
    spec = {
        "type": "option",
        "file": "/etc/q.conf",
        "dropins": "/etc/q.conf.d/*.conf",
        "key": "minlen",
        "value": 15,
        "min": 15,
    }
    mend(host, spec)
    assert host.text("/etc/q.conf.d/x.conf") == ""


def test_option_lands_in_its_section(host: Host, put: Put) -> None:
    put("/etc/s.conf", "[a]\nx = 1\n[b]\nx = 1\n")
    mend(host, {"type": "option", "file": "/etc/s.conf", "section": "b", "key": "x", "value": "2"})
    assert host.text("/etc/s.conf") == "[a]\nx = 1\n[b]\nx = 2\n"


def test_range_accepts_stricter_values(host: Host) -> None:
    spec = {"file": "/etc/login.defs", "key": "PASS_MAX_DAYS", "separator": "\t", "min": 1, "max": 60, "value": 60}
    assert not files.check_option(host, spec).ok
    assert files.check_option(host, {**spec, "max": 99999}).ok


def test_unwanted_line_becomes_a_comment(host: Host, put: Put) -> None:
    put("/etc/apt/apt.conf.d/9x", 'APT::Get::AllowUnauthenticated "true";\n')
    mend(host, {"type": "line", "files": ["/etc/apt/apt.conf.d/*"], "absent": r"^\s*APT::Get::AllowUnauthenticated"})


def test_directory_in_place_of_a_file_is_told(host: Host, root: Path) -> None:
    (root / "etc/issue.net").mkdir()
    with pytest.raises(HostError, match=r"/etc/issue.net is a directory.*Move it away"):
        files.fix_content(host, {"file": "/etc/issue.net", "text": "x"})


def test_walk_finds_hostile_names_and_mends_them(host: Host, root: Path) -> None:
    names = [b"plain", b"new\nline", b"\xff\xfe bad", b"spa ce"]
    base = os.fsencode(root / "var/log")
    os.makedirs(base)
    for name in names:
        with open(base + b"/" + name, "wb") as target:
            target.truncate(200 << 20)
        os.chmod(base + b"/" + name, 0o666)
    spec = {"type": "permissions", "paths": ["/var/log"], "recursive": True, "kind": "file", "forbid": "0137"}
    check = files.check_permissions(host, spec)
    assert len(check.evidence) == 4
    assert all("\n" not in one.where for one in check.evidence)
    files.fix_permissions(host, spec)
    assert {pending.bits(0o666) for pending in host.overlay.values()} == {0o640}


def test_walk_leaves_links_and_other_trees_alone(host: Host, root: Path) -> None:
    (root / "data").mkdir()
    (root / "data/open").mkdir()
    (root / "data/open").chmod(0o777)
    (root / "srv/node/d1").mkdir(parents=True)
    (root / "srv/node/d1").chmod(0o777)
    (root / "data/link").symlink_to("/etc/shadow")
    spec = {"paths": ["/"], "recursive": True, "kind": "directory", "world_writable": True, "require": "1000"}
    found = files.violations(host, spec).found
    assert [path for path, _ in found] == ["/data/open"]


LOGS = {
    "type": "permissions", "paths": ["/var/log"], "recursive": True, "kind": "directory", "new_files": "0640",
    "unless": "^/var/log/journal(/|$)",
}  # fmt: skip


def test_logs_are_closed_from_the_start_whatever_the_umask_until_that_is_taken_back(host: Host, root: Path) -> None:
    (root / "var/log/journal").mkdir(parents=True)
    (root / "var/log/nova").mkdir()
    check = files.check_permissions(host, LOGS)
    assert [one.where for one in check.evidence] == ["/var/log", "/var/log/nova"]
    files.fix_permissions(host, LOGS)
    assert "default ACL that limits new files" in host.diff()[0]["after"]
    run = journal.Journal("20260101T000000000000Z", str(root))
    run.begin({})
    assert host.commit(run) == []
    umask = os.umask(0)
    try:
        for name in ("new.log", "nova/new.log"):
            (root / "var/log" / name).write_text("", "ascii")
            assert stat.S_IMODE((root / "var/log" / name).stat().st_mode) == 0o640
        (root / "var/log/neutron").mkdir()  # made later, it inherits the list
    finally:
        os.umask(umask)
    host.forget()
    assert files.check_permissions(host, LOGS).ok
    assert run.undo(tool=lambda argv: (0, "")) == []
    assert files.default_acl(f"{root}/var/log") is None
    assert files.default_acl(f"{root}/var/log/nova") is None


def test_entries_of_single_accounts_stay_in_a_limited_list() -> None:
    entries = [(files.ACL_USER_OBJ, 7, files.ACL_NOBODY), (0x02, 4, 1000), (files.ACL_GROUP_OBJ, 7, files.ACL_NOBODY)]
    entries += [(files.ACL_MASK, 7, files.ACL_NOBODY), (files.ACL_OTHER, 4, files.ACL_NOBODY)]
    acl = files.ACL_HEAD.pack(2) + b"".join(files.ACL_ENTRY.pack(*one) for one in entries)
    limited = list(files.ACL_ENTRY.iter_unpack(files.limited_acl(acl, 0o640)[4:]))
    assert [bits for _, bits, _ in limited] == [7, 4, 7, 5, 0]
    assert limited[1] == entries[1]


def test_file_system_without_such_lists_is_no_failure(host: Host, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "var/log").mkdir(parents=True)

    def refuse(*_: Any, **__: Any) -> bytes:
        raise OSError(errno.ENOTSUP, "not supported")

    monkeypatch.setattr(files.os, "getxattr", refuse)
    assert files.check_permissions(host, LOGS).ok


def test_one_walk_answers_for_all_controls(host: Host, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "var/log").mkdir(parents=True)
    specs = [
        {"paths": ["/var/log"], "recursive": True, "kind": "file", "forbid": one} for one in ("0022", "0137", "0077")
    ]
    files.register(host, specs)
    walks: list[str] = []
    real = files.walk
    monkeypatch.setattr(files, "walk", lambda one: walks.append("") or real(one))
    for spec in specs:
        files.check_permissions(host, spec)
    assert len(walks) == 1


@pytest.mark.parametrize("jump", [1, 2])
def test_inserted_rule_does_not_change_where_jumps_land(jump: int) -> None:
    text = (
        f"auth [success={jump} default=ignore] pam_unix.so\nauth requisite pam_deny.so\nauth required pam_permit.so\n"
    )
    changed = access.insert_pam(text, 1, "auth [default=die] pam_faillock.so authfail", "auth")
    assert f"success={jump + 1}" in changed
    assert access.remove_pam(changed, 1, "auth") == text


def test_jump_that_ends_before_the_place_stays() -> None:
    text = "auth [success=1 default=ignore] a.so\nauth required b.so\nauth required c.so\nauth required d.so\n"
    assert "success=1" in access.insert_pam(text, 3, "auth required new.so", "auth")


def test_faillock_surrounds_every_module_that_asks_for_a_password(host: Host, put: Put) -> None:
    put("/etc/pam.d/common-auth", PAM)
    base = {"type": "pam", "stack": "common-auth", "kind": "auth", "module": "pam_faillock.so"}
    mend(host, {**base, "needs": ["preauth"], "control": "requisite", "before": ["pam_unix.so"]})
    mend(host, {**base, "needs": ["authfail"], "control": "[default=die]", "after": ["pam_unix.so", "pam_sss.so"]})
    lines = [one.module for one in access.pam_file(host, "/etc/pam.d/common-auth")]
    assert lines == ["pam_faillock.so", "pam_unix.so", "pam_sss.so", "pam_faillock.so", "pam_deny.so", "pam_permit.so"]
    jumps = [one.jumps.get("success") for one in access.pam_file(host, "/etc/pam.d/common-auth")]
    assert jumps[1:3] == ["3", "2"]


def test_authfail_before_the_password_is_asked_is_no_lock(host: Host, put: Put) -> None:
    put("/etc/pam.d/common-auth", "auth [default=die] pam_faillock.so authfail\n" + PAM)
    spec = {
        "stack": "common-auth",
        "kind": "auth",
        "module": "pam_faillock.so",
        "needs": ["authfail"],
        "after": ["pam_unix.so"],
    }
    assert not access.check_pam(host, spec).ok


def test_nullok_is_taken_away(host: Host, put: Put) -> None:
    put("/etc/pam.d/common-auth", PAM)
    mend(host, {"type": "pam", "stack": "common-auth", "kind": "auth", "module": "pam_unix.so", "forbidden": "nullok"})
    assert "nullok" not in (host.text("/etc/pam.d/common-auth") or "")


def test_sshd_is_judged_by_its_effective_settings(host: Host, put: Put, programs: Any) -> None:
    put("/etc/ssh/sshd_config", "Include /etc/ssh/sshd_config.d/*.conf\n#X11Forwarding no\nX11Forwarding yes\n")
    programs.answers["sshd -T"] = (0, SSHD)
    check = access.check_sshd(host, {"option": "X11Forwarding", "value": "no"})
    assert not check.ok
    assert check.evidence[0].where == "sshd -T"
    access.fix_sshd(host, {"option": "X11Forwarding", "value": "no"})
    text = host.text("/etc/ssh/sshd_config") or ""
    assert text.startswith(access.OURS + "X11Forwarding no\nInclude ")
    assert text.endswith("#X11Forwarding no\n# X11Forwarding yes\n")


def test_match_block_that_undoes_a_setting_is_found(host: Host, put: Put, programs: Any) -> None:
    put("/etc/ssh/sshd_config", "Include /etc/ssh/sshd_config.d/*.conf\nMatch User bob\n  X11Forwarding yes\n")
    programs.answers["sshd -T"] = (0, "x11forwarding no\n")
    check = access.check_sshd(host, {"option": "X11Forwarding", "value": "no"})
    assert not check.ok
    assert check.evidence[1].where == "/etc/ssh/sshd_config:3"
    access.fix_sshd(host, {"option": "X11Forwarding", "value": "no"})
    assert access.check_sshd(host, {"option": "X11Forwarding", "value": "no"}).ok


def test_dormant_dropins_of_sshd_stay_dormant(host: Host, put: Put, programs: Any) -> None:
    put("/etc/ssh/sshd_config", "PasswordAuthentication no\nX11Forwarding yes\n")
    put("/etc/ssh/sshd_config.d/50-cloud-init.conf", "PasswordAuthentication yes\nX11Forwarding yes\n")
    programs.answers["sshd -T"] = (0, SSHD)
    access.fix_sshd(host, {"option": "X11Forwarding", "value": "no"})
    text = host.text("/etc/ssh/sshd_config") or ""
    assert text == access.OURS + "X11Forwarding no\nPasswordAuthentication no\n# X11Forwarding yes\n"
    assert list(host.overlay) == ["/etc/ssh/sshd_config"]


def test_second_option_joins_the_first_at_the_head(host: Host, put: Put, programs: Any) -> None:
    put("/etc/ssh/sshd_config", "Include /etc/ssh/sshd_config.d/*.conf\n")
    programs.answers["sshd -T"] = (0, SSHD)
    for option in ("X11Forwarding", "UsePAM"):
        access.fix_sshd(host, {"option": option, "value": "no"})
    head = access.OURS + "UsePAM no\nX11Forwarding no\n"
    assert host.text("/etc/ssh/sshd_config") == head + "Include /etc/ssh/sshd_config.d/*.conf\n"


@pytest.mark.parametrize(
    "line",
    [
        "X11Forwarding=yes",
        "x11forwarding = yes",
        'X11Forwarding\t"yes"',
        "X11FORWARDING  'yes' # for Xavier",
        '"X11Forwarding" yes',
    ],
)
def test_match_block_is_read_as_sshd_reads_it(host: Host, put: Put, programs: Any, line: str) -> None:
    put("/etc/ssh/sshd_config", f"Match User sftp1\n\t{line}\nMatch all\n")
    programs.answers["sshd -T"] = (0, "x11forwarding no\n")
    spec = {"option": "X11Forwarding", "value": "no"}
    assert access.check_sshd(host, spec).evidence[-1].where == "/etc/ssh/sshd_config:2"
    access.fix_sshd(host, spec)
    assert access.check_sshd(host, spec).ok


def test_match_block_of_an_included_file_is_found_and_ends_with_it(host: Host, put: Put, programs: Any) -> None:
    put(
        "/etc/ssh/sshd_config", "Include site/*.conf\nLogLevel INFO\nMatch Address 10.0.0.0/8\nInclude /etc/ssh/inner\n"
    )
    put("/etc/ssh/site/a.conf", "Match Group staff\nX11Forwarding yes\n")
    put("/etc/ssh/inner", "AllowTcpForwarding yes\n")
    programs.answers["sshd -T"] = (0, "x11forwarding no\nallowtcpforwarding no\n")
    places = {one.keyword: (one.path, one.match) for one in access.sshd_settings(host)}
    assert places == {
        "x11forwarding": ("/etc/ssh/site/a.conf", "Group staff"),
        "loglevel": ("/etc/ssh/sshd_config", ""),
        "allowtcpforwarding": ("/etc/ssh/inner", "Address 10.0.0.0/8"),
    }
    for option in ("X11Forwarding", "AllowTcpForwarding"):
        assert not access.check_sshd(host, {"option": option, "value": "no"}).ok


def test_sshd_is_asked_for_the_connection_of_each_match_block(host: Host, put: Put, programs: Any) -> None:
    put("/etc/ssh/sshd_config", "Match User backup,root Address 10.1.0.0/16,192.0.2.*\nForceCommand /bin/true\n")
    programs.answers["sshd -T -C user=backup,host=host.invalid,addr=10.1.0.0"] = (0, "x11forwarding yes\n")
    programs.answers["sshd -T"] = (0, "x11forwarding no\n")
    check = access.check_sshd(host, {"option": "X11Forwarding", "value": "no"})
    assert check.evidence[-1].where.startswith("sshd -T -C user=backup,host=host.invalid,addr=10.1.0.0,")


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ("User *", "user=x,"),
        ("Group sudo", "user=ops,"),
        ("User=ops", "user=ops,"),
        ("Host *.example", "host=x.example,"),
    ],
)
def test_pattern_of_a_match_block_becomes_a_connection(host: Host, match: str, expected: str) -> None:
    assert expected in access.connection_for(host, match)


def test_sshd_that_wants_a_connection_for_its_match_blocks_gets_one(host: Host, put: Put, programs: Any) -> None:
    put("/etc/ssh/sshd_config", "Match LocalPort 2222\nX11Forwarding yes\n")
    programs.answers["sshd -T -C"] = (0, "x11forwarding no\n")
    programs.answers["sshd -T"] = (
        255,
        "'Match LocalPort' in configuration but 'lport' not in connection test specification.\n",
    )
    assert access.effective(host, "sshd") == {"x11forwarding": "no"}
    assert not access.check_sshd(host, {"option": "X11Forwarding", "value": "no"}).ok


@pytest.mark.parametrize("match", ["Group nobodys", "User !root"])
def test_match_block_that_no_connection_stands_for_has_none(host: Host, match: str) -> None:
    assert access.connection_for(host, match) == ""


def test_change_of_sshd_that_no_control_asked_for_is_told(host: Host, put: Put, programs: Any) -> None:
    put("/etc/ssh/sshd_config", "Match User backup\nForceCommand /bin/true\n")
    programs.answers["sshd -T"] = (0, "x11forwarding yes\npasswordauthentication no\n")
    access.fix_sshd(host, {"option": "X11Forwarding", "value": "no"})
    host.forget()
    programs.answers = {"sshd -T": (0, "x11forwarding no\npasswordauthentication no\n")}
    assert access.unasked(host) == []
    host.forget()
    programs.answers = {
        "sshd -T -C": (0, "x11forwarding no\n"),
        "sshd -T": (0, "x11forwarding no\npasswordauthentication yes\n"),
    }
    first, second = access.unasked(host)
    assert first == "passwordauthentication no becomes yes"
    assert second.startswith("passwordauthentication no becomes not set for user=backup,")


def test_root_login_that_ansible_needs_is_kept_and_told(host: Host, programs: Any) -> None:
    spec = {
        "option": "PermitRootLogin",
        "value": "prohibit-password",
        "allowed": ["no", "prohibit-password"],
        "best": "no",
    }
    for found, ok, note in (("no", True, False), ("without-password", True, True), ("yes", False, False)):
        programs.answers["sshd -T"] = (0, f"permitrootlogin {found}\n")
        host.forget()
        check = access.check_sshd(host, spec)
        assert (check.ok, bool(check.note)) == (ok, note)


def test_dropin_that_is_read_before_ours_is_silenced(host: Host, put: Put, programs: Any) -> None:
    put("/etc/ssh/sshd_config", "Include /etc/ssh/sshd_config.d/*.conf\n")
    put("/etc/ssh/sshd_config.d/00-0-site.conf", "X11Forwarding yes\nUsePAM yes\n")
    programs.answers["sshd -T"] = (0, SSHD)
    access.fix_sshd(host, {"option": "X11Forwarding", "value": "no"})
    assert host.text("/etc/ssh/sshd_config.d/00-0-site.conf") == "# X11Forwarding yes\nUsePAM yes\n"


def test_subset_of_approved_algorithms_passes(host: Host, programs: Any) -> None:
    programs.answers["sshd -T"] = (0, "ciphers aes256-ctr\n")
    approved = {"option": "Ciphers", "value": "aes256-ctr,aes128-ctr", "subset": True}
    assert access.check_sshd(host, approved).ok
    host.forget()
    programs.answers["sshd -T"] = (0, SSHD)
    assert not access.check_sshd(host, approved).ok


def test_nopasswd_is_struck_but_for_the_account_that_needs_it(host: Host, put: Put) -> None:
    put("/etc/sudoers", "@includedir /etc/sudoers.d\n")
    put("/etc/sudoers.d/ops", "ops ALL=(ALL) NOPASSWD: ALL\n")
    put("/etc/sudoers.d/more", "bob ALL=(ALL) \\\n  NOPASSWD: ALL\n")
    put("/etc/sudoers.d/old.bak", "eve ALL=(ALL) NOPASSWD: ALL\n")
    spec = {"type": "sudoers", "absent": r"\bNOPASSWD\b", "strike": r"\bNOPASSWD:\s*", "except_users": ["ops"]}
    mend(host, spec)
    assert "NOPASSWD" in (host.text("/etc/sudoers.d/ops") or "")
    assert host.text("/etc/sudoers.d/more") == "bob ALL=(ALL) \\\n  ALL\n"
    assert access.check_sudoers(host, spec).note.startswith("kept for ops")


NOPASSWD = {"type": "sudoers", "absent": r"\bNOPASSWD\s*:", "strike": r"\bNOPASSWD\s*:\s*", "except_users": ["ops"]}
AUTHENTICATE = {
    "type": "sudoers", "absent": r"(?<!!)!(!!)*\s*authenticate\b",
    "strike": r",\s*!+\s*authenticate\b|!+\s*authenticate\b\s*,?\s*", "except_users": ["ops"],
}  # fmt: skip


@pytest.mark.parametrize(
    "rule",
    [
        "#1001 ALL=(ALL) NOPASSWD: ALL",
        "%#1001 ALL=(ALL) NOPASSWD : ALL",
        "User_Alias ADMINS = bob, #1002\nADMINS ALL=(ALL) NOPASSWD:ALL",
        "bob ALL=(ALL) \\\n  NOPASSWD: ALL",
        "# a comment ends with its line \\\nbob ALL=(ALL) NOPASSWD: ALL",
        '"bob builder" ALL = NOPASSWD: ALL',
        "bob ALL=(#0) NOPASSWD: ALL # a comment",
        "ops ALL=(ALL) ALL\nALL ALL=(ALL) NOPASSWD: /bin/true",
    ],
)
def test_rule_without_password_is_found_however_it_is_spelled(host: Host, put: Put, rule: str) -> None:
    put("/etc/sudoers", f"{rule}\n")
    mend(host, NOPASSWD)
    assert "NOPASSWD" not in (host.text("/etc/sudoers") or "").replace("# bob", "")


@pytest.mark.parametrize(
    "text", ["#bob ALL=(ALL) NOPASSWD: ALL", "User_Alias NOPASSWD = bob", "bob ALL=/bin/x # NOPASSWD: no"]
)
def test_what_is_no_rule_without_password_stays(host: Host, put: Put, text: str) -> None:
    put("/etc/sudoers", f"{text}\n")
    assert access.check_sudoers(host, NOPASSWD).ok


@pytest.mark.parametrize(
    ("include", "name"),
    [
        ("#includedir /etc/sudoers.d", "sudoers.d/ops-rule"),
        ("@include sudoers.local", "sudoers.local"),
        ('@include "/etc/a b"', "a b"),
        ("#include /etc/a\\ b", "a b"),
        ("  @includedir /etc/more", "more/x"),
    ],
)
def test_included_rules_are_read_as_sudo_does(host: Host, put: Put, include: str, name: str) -> None:
    put("/etc/sudoers", f"{include}\n")
    put(f"/etc/{name}", "bob ALL=(ALL) NOPASSWD: ALL\n")
    assert not access.check_sudoers(host, NOPASSWD).ok


@pytest.mark.parametrize("rule", ["%sudo", "%#27", "ADMINS", "#1000", "ALL", "bob, ops", "%ops"])
def test_rule_that_lets_the_login_in_stays_whoever_it_names(host: Host, put: Put, rule: str) -> None:
    put("/etc/sudoers", f"User_Alias ADMINS = bob, ops\n{rule} ALL=(ALL:ALL) NOPASSWD: ALL\n")
    check = access.check_sudoers(host, NOPASSWD)
    assert check.ok
    assert "/etc/sudoers:2" in check.note
    assert "sudo_without_password" in check.note


def test_rule_for_a_group_loses_it_where_another_lets_the_login_in(host: Host, put: Put) -> None:
    put("/etc/sudoers", "%sudo ALL=(ALL:ALL) NOPASSWD: ALL\nops ALL=(ALL) NOPASSWD: ALL\n")
    mend(host, NOPASSWD)
    assert host.text("/etc/sudoers") == "%sudo ALL=(ALL:ALL) ALL\nops ALL=(ALL) NOPASSWD: ALL\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Defaults env_reset, !authenticate", "Defaults env_reset"),
        ("Defaults:bob !authenticate, insults", "Defaults:bob insults"),
        ("Defaults !!!authenticate", "# Defaults "),
        ("Defaults@web ! authenticate", "# Defaults@web "),
    ],
)
def test_setting_that_asks_nobody_is_struck_and_the_others_stay(host: Host, put: Put, before: str, after: str) -> None:
    put("/etc/sudoers", f"{before}\n")
    mend(host, AUTHENTICATE)
    assert host.text("/etc/sudoers") == f"{after}\n"


@pytest.mark.parametrize("text", ["Defaults !!authenticate", "Defaults:ops !authenticate", "Defaults authenticate"])
def test_setting_that_asks_or_is_for_the_login_stays(host: Host, put: Put, text: str) -> None:
    put("/etc/sudoers", f"{text}\n")
    assert access.check_sudoers(host, AUTHENTICATE).ok


@pytest.mark.parametrize(
    ("text", "ok"),
    [
        ("ALL ALL=(ALL) ALL", False),
        ("ALL ALL=ALL", False),
        ("ALL WEB=(ALL:ALL) NOPASSWD: ALL", False),
        ("User_Alias EVERY = bob, ALL\nCmnd_Alias ANYTHING = ALL\nEVERY ALL = (root) ANYTHING", False),
        ("ALL ALL=(games) ALL", True),
        ("ALL ALL=(ALL) /usr/bin/id", True),
        ("%sudo ALL=(ALL:ALL) ALL", True),
    ],
)
def test_rule_that_gives_everybody_everything_is_found_behind_aliases(
    host: Host, put: Put, text: str, ok: bool
) -> None:
    put("/etc/sudoers", f"{text}\n")
    spec = {"type": "sudoers", "absent": "ALL", "everybody": True}
    assert access.check_sudoers(host, spec).ok == ok
    if not ok:
        mend(host, spec)


def test_sysctl_of_a_later_file_that_says_otherwise_fails(host: Host, put: Put) -> None:
    put("/etc/sysctl.d/10-a.conf", "kernel.dmesg_restrict = 1\n")
    put("/etc/sysctl.d/99-b.conf", "kernel/dmesg_restrict=0\n")
    mend(host, {"type": "sysctl", "key": "kernel.dmesg_restrict", "value": "1"})
    assert host.text("/etc/sysctl.d/99-b.conf") == "# kernel/dmesg_restrict=0\n"


UFW = "Package: ufw\nStatus: install ok installed\nVersion: 1\n\n"
MARTIANS = {"type": "sysctl", "key": "net.ipv4.conf.all.log_martians", "value": "1"}


@pytest.mark.parametrize(
    ("enabled", "named", "counts"),
    [("yes", "/etc/ufw/sysctl.conf", True), ("no", "/etc/ufw/sysctl.conf", False), ("yes", "/etc/sysctl.conf", False)],
)
def test_values_of_the_firewall_count_only_where_it_sets_them(
    host: Host, put: Put, enabled: str, named: str, counts: bool
) -> None:
    put("/var/lib/dpkg/status", UFW)
    put("/etc/ufw/ufw.conf", f"ENABLED={enabled}\n")
    put("/etc/default/ufw", f"IPT_SYSCTL={named}\n")
    put("/etc/sysctl.d/10-a.conf", "net.ipv4.conf.all.log_martians = 1\n")
    put("/etc/ufw/sysctl.conf", "net/ipv4/conf/all/log_martians=0\n")
    assert system.check_sysctl(host, MARTIANS).ok == (not counts)
    if counts:
        mend(host, MARTIANS)
        assert host.text("/etc/ufw/sysctl.conf") == "# net/ipv4/conf/all/log_martians=0\n"


@pytest.mark.parametrize("path", ["/etc/ufw/sysctl.conf", "/etc/sysctl.conf"])
def test_value_in_a_file_that_no_boot_reads_is_written_where_it_is_read(host: Host, put: Put, path: str) -> None:
    put("/var/lib/dpkg/status", UFW)
    put("/etc/ufw/ufw.conf", "ENABLED=yes\n")
    put("/etc/default/ufw", "IPT_SYSCTL=/etc/ufw/sysctl.conf\n")
    put(path, "net.ipv4.conf.all.log_martians = 1\n")
    mend(host, MARTIANS)
    assert "net.ipv4.conf.all.log_martians = 1" in (host.text(system.SYSCTL_FILE) or "")


def test_value_of_each_interface_is_set_beside_that_of_all(
    host: Host, put: Put, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("all", "default", "lo", "eth0", "eth1", "eth0.7"):
        put(f"/proc/sys/net/ipv4/conf/{name}/accept_redirects", "1")
    put("/usr/lib/sysctl.d/50-default.conf", "net.ipv4.conf.*.accept_redirects = 1\n")
    put("/etc/sysctl.d/10-a.conf", "net.ipv4.conf.all.accept_redirects = 0\n")
    running = {"net.ipv4.conf.all.accept_redirects": "0", "net.ipv4.conf.eth0.accept_redirects": "0"}
    running["net.ipv4.conf.eth1.accept_redirects"] = "1"
    monkeypatch.setattr(host, "sysctl", running.get)
    wanted: dict[str, str] = {}
    monkeypatch.setattr(host, "want_sysctl", wanted.__setitem__)
    spec = {"type": "sysctl", "key": "net.ipv4.conf.all.accept_redirects", "value": "0", "interfaces": True}
    assert not system.check_sysctl(host, spec).ok
    system.fix_sysctl(host, spec)
    assert wanted == {"net.ipv4.conf.eth1.accept_redirects": "0"}
    running.update(wanted)
    assert system.check_sysctl(host, spec).ok
    text = host.text(system.SYSCTL_FILE) or ""
    assert text.endswith("net.ipv4.conf.*.accept_redirects = 0\nnet.ipv4.conf.all.accept_redirects = 0\n")
    before = host.mutations
    system.fix_sysctl(host, spec)
    assert host.mutations == before


def test_vendor_file_is_overridden_not_edited(host: Host, put: Put) -> None:
    put("/usr/lib/sysctl.d/50-x.conf", "kernel.dmesg_restrict = 0\n")
    mend(host, {"type": "sysctl", "key": "kernel.dmesg_restrict", "value": "1"})
    assert not any(one.startswith("/usr") for one in host.overlay)


@pytest.mark.parametrize(("flags", "own"), [(0, True), (os.ST_RDONLY, False)])
def test_shared_kernel_is_never_written(
    host: Host, monkeypatch: pytest.MonkeyPatch, put: Put, flags: int, own: bool
) -> None:
    put("/etc/sysctl.d/10-a.conf", "net.ipv4.tcp_syncookies = 1\n")
    check = {"key": "net.ipv4.tcp_syncookies", "value": "1"}
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_flag=flags))
    host._cache["container"] = True
    monkeypatch.setattr(host, "sysctl", lambda key: "0")
    assert (system.check_sysctl(host, check).ok, system.check_sysctl(host, check).testable) == (not own, own)
    host.root = ""
    for key in ("kernel.dmesg_restrict", "fs.suid_dumpable", "vm.mmap_min_addr"):
        host.want_sysctl(key, "1")
    assert host.sysctls_wanted == {}
    host.want_sysctl("net.ipv4.tcp_syncookies", "1")
    assert list(host.sysctls_wanted) == ["net.ipv4.tcp_syncookies"] * own


@pytest.mark.parametrize(
    "spelling",
    [
        "-a always,exit -F arch=b64 -S chown,fchown -F auid>=1000 -F auid!=unset -k x",
        "-a exit,always -S fchown -S chown -F arch=b64 -F auid>=1000 -F auid!=-1 -F key=other",
        "-a always,exit -F arch=b64 -F auid!=4294967295 -F auid>=1000 -S fchown,chown",
    ],
)
def test_audit_rules_are_compared_by_meaning(host: Host, put: Put, spelling: str) -> None:
    put("/etc/audit/rules.d/a.rules", spelling + "\n")
    rule = "-a always,exit -F arch=b64 -S chown,fchown -F auid>=1000 -F auid!=unset -F key=perm"
    assert system.check_audit(host, {"rules": [rule]}).ok
    assert not system.check_audit(host, {"rules": [rule.replace("b64", "b32")]}).ok


def test_missing_audit_rules_are_added_and_locked_last(host: Host, put: Put) -> None:
    put("/etc/audit/rules.d/zz.rules", "-e 1\n-w /x -p wa\n")
    mend(host, {"type": "audit", "rules": ["-w /etc/passwd -p wa -k id"]})
    mend(host, {"type": "audit_final"})
    assert host.text("/etc/audit/rules.d/zz.rules") == "-w /x -p wa\n-e 2\n"


@pytest.mark.parametrize("name", ["usb-storage", "usb_storage"])
def test_module_is_refused_and_listed_in_either_spelling(host: Host, put: Put, name: str) -> None:
    put("/etc/modprobe.d/x.conf", f"install {name} /bin/true\nblacklist {name}\n")
    assert system.check_module(host, {"name": "usb-storage"}).ok


def test_module_lines_are_added(host: Host) -> None:
    mend(host, {"type": "module", "name": "usb-storage"})


def test_accounts(host: Host, put: Put) -> None:
    put("/etc/shadow", "root:$6$x:1:0:99999:7:::\nbob::1:0:99999:7:::\n")
    mend(host, {"type": "account", "check": "no_empty_passwords"})
    mend(host, {"type": "account", "check": "root_locked"})
    assert host.text("/etc/shadow") == "root:!$6$x:1:0:99999:7:::\nbob:!:1:0:99999:7:::\n"
    mend(host, {"type": "account", "check": "administrators", "users": []})


def test_boot_argument_joins_the_others(host: Host, put: Put) -> None:
    put("/etc/default/grub", 'GRUB_CMDLINE_LINUX="quiet"\n')
    mend(host, {"type": "boot_argument", "argument": "audit=1"})
    assert host.text("/etc/default/grub") == 'GRUB_CMDLINE_LINUX="quiet audit=1"\n'


def test_paths_are_shown_without_control_characters() -> None:
    assert show("a\nb") == "a\\x0ab"
    assert show(os.fsdecode(b"\xff")) == "\\xff"


def test_definition_that_later_lines_use_is_put_first(host: Host, put: Put) -> None:
    put("/etc/aide.conf", "# Checksums = md5\ndatabase_attrs = Checksums\n")
    mend(host, {"type": "option", "file": "/etc/aide.conf", "key": "Checksums", "value": "sha512", "at": "start"})
    assert host.text("/etc/aide.conf") == "Checksums = sha512\n# Checksums = md5\ndatabase_attrs = Checksums\n"


def test_firewall_rules_are_taken_into_use_again_after_an_undo(host: Host, put: Put) -> None:
    put("/var/lib/dpkg/status", "Package: ufw\nStatus: install ok installed\nVersion: 1\n\n")
    put("/etc/default/ufw", 'DEFAULT_INPUT_POLICY="DROP"\n')
    put("/etc/ufw/user.rules", "### tuple ### allow tcp 8080 0.0.0.0/0 any 0.0.0.0/0 in\n")
    system.fix_firewall(host, {"check": "ports", "allow": []})
    deleted = next(one for one in host.commands if "delete" in one["argv"])
    assert deleted["argv"] == ["ufw", "--force", "delete", "allow", "8080/tcp"]
    assert deleted["reload"] == ["ufw", "reload"]


def test_default_of_sshd_is_not_enough_where_the_setting_must_stand(host: Host, put: Put, programs: Any) -> None:
    put("/etc/ssh/sshd_config", "Include /etc/ssh/sshd_config.d/*.conf\n#PubkeyAuthentication yes\n")
    programs.answers["sshd -T"] = (0, "pubkeyauthentication yes\n")
    mend(host, {"type": "sshd", "option": "PubkeyAuthentication", "value": "yes", "explicit": True})
    assert "\nPubkeyAuthentication yes\n" in (host.text("/etc/ssh/sshd_config") or "")


def test_names_that_sshd_prints_a_line_each_are_one_setting(host: Host, programs: Any) -> None:
    programs.answers["sshd -T"] = (0, "allowgroups ops\nallowgroups adm\n")
    assert access.check_sshd(host, {"option": "AllowGroups", "value": "ops adm"}).ok


def test_tree_that_is_reached_by_two_names_is_judged_once(host: Host, root: Path) -> None:
    (root / "usr/bin/deep").mkdir(parents=True)
    (root / "bin").symlink_to("usr/bin")
    for name in ("usr/bin/open", "usr/bin/deep/open"):
        (root / name).write_text("")
        (root / name).chmod(0o777)
    spec = {"paths": ["/bin", "/usr/bin", "/usr", "/usr/bin/deep"], "recursive": True, "kind": "file", "forbid": "0022"}
    assert sorted(path for path, _ in files.violations(host, spec).found) == ["/usr/bin/deep/open", "/usr/bin/open"]
    (root / "usr/bin").chmod(0o777)
    directories = {"paths": ["/bin", "/usr/bin", "/usr/b*"], "kind": "directory", "forbid": "0022"}
    assert [path for path, _ in files.violations(host, directories).found] == ["/usr/bin"]
    assert [one.where for one in files.check_permissions(host, spec).evidence] == [
        "/usr/bin/deep/open",
        "/usr/bin/open",
    ]


# ---------------------------------------------------------------- files


@pytest.mark.parametrize(
    ("text", "spec", "result"),
    [
        # behind the comment that explains it
        (
            "a 1\n#UMASK is explained\nb 2\n",
            {"key": "UMASK", "value": "077", "separator": " "},
            "a 1\n#UMASK is explained\nUMASK 077\nb 2\n",
        ),
        ("[a]\nx = 1\n[b]\ny = 1\n", {"section": "a", "key": "z", "value": 1}, "[a]\nz = 1\nx = 1\n[b]\ny = 1\n"),
        ("[a]\nx = 1\n\n\n", {"section": "new", "key": "z", "value": 1}, "[a]\nx = 1\n[new]\nz = 1\n"),
        ("", {"key": "z", "value": 1}, "z = 1\n"),
        ("even_deny_root = no\n", {"key": "even_deny_root", "flag": True}, "even_deny_root = no\neven_deny_root\n"),
        # what is set twice is set once
        ("x = 1 # why\ny = 2\nx = 3\n", {"key": "x", "value": 5, "first_wins": True}, "x = 5\ny = 2\n"),
        ("banner = 'old'\n", {"key": "banner", "value": "new", "quote": True, "unquote": True}, 'banner = "new"\n'),
    ],
)
def test_option_is_added_where_people_look_for_it(
    host: Host, put: Put, text: str, spec: dict[str, Any], result: str
) -> None:
    put("/etc/x.conf", text)
    mend(host, {"type": "option", "file": "/etc/x.conf", "mode": "0600", "activate": "rsyslog", **spec})
    assert host.text("/etc/x.conf") == result
    assert host.overlay["/etc/x.conf"].mode == 0o600 and list(host.activations) == ["rsyslog"]


def test_default_counts_where_it_is_a_good_one(host: Host) -> None:
    spec = {"file": "/etc/none.conf", "key": "x", "value": 1}
    assert not files.check_option(host, spec).ok
    assert files.check_option(host, {**spec, "default_ok": True}).ok


@pytest.mark.parametrize(
    ("found", "bounds", "ok"),
    [
        ("7", {"max": 5}, False),
        ("3", {"max": 5}, True),
        ("x", {"min": 1}, False),
        ("027", {"max": "23", "octal": True}, True),
    ],
)
def test_values_are_held_against_bounds(host: Host, put: Put, found: str, bounds: dict[str, Any], ok: bool) -> None:
    put("/etc/x.conf", f"x = {found}\n")
    check = files.check_option(host, {"file": "/etc/x.conf", "key": "x", "value": 1, **bounds})
    assert check.ok is ok
    assert check.evidence[0].expected.startswith("x = ")


def test_line_is_added_where_it_counts_and_replaces_what_it_stands_for(host: Host, put: Put) -> None:
    put("/etc/chrony/chrony.conf", "pool 2.debian.pool.ntp.org iburst\nmakestep 1 3\n\n")
    spec = {
        "type": "line",
        "file": "/etc/chrony/chrony.conf",
        "present": "server ntp.example iburst",
        "replaces": r"^(pool|server)\s",
    }
    mend(host, spec)
    assert host.text("/etc/chrony/chrony.conf") == "makestep 1 3\nserver ntp.example iburst\n"
    mend(
        host,
        {
            "type": "line",
            "file": "/etc/issue",
            "present": "first",
            "match": r"first\b",
            "at": "start",
            "activate": "sshd",
        },
    )
    assert host.text("/etc/issue") == "first\n"
    check = files.check_line(host, {"files": ["/etc/c*/*.conf"], "present": "makestep 1 3"})
    assert check.ok and check.evidence[0].where == "/etc/chrony/chrony.conf:1"


def test_prescribed_text_is_told_by_how_it_begins(host: Host, put: Put) -> None:
    spec = {"type": "content", "file": "/etc/issue.net", "text": "You are watched.\n", "mode": "0644"}
    assert files.check_content(host, spec).evidence[0].found == "no file"
    put("/etc/issue.net", "Welcome\nto Debian\n")
    host.forget()
    assert files.check_content(host, spec).evidence[0].found == "18 characters, beginning 'Welcome'"
    mend(host, spec)


def test_walk_stays_on_the_hosts_own_file_systems(host: Host, root: Path, put: Put) -> None:
    for name in ("data", "mnt/nfs", "mnt/with space"):
        (root / name).mkdir(parents=True)
        (root / name / "open").write_text("")
        (root / name / "open").chmod(0o666)
    put(
        "/proc/self/mountinfo",
        "1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 0:5 / /mnt/nfs rw - nfs4 x rw\n3 1 0:6 / "
        "/mnt/with\\040space ro - fuse.sshfs x ro\nbad\n",
    )
    left_out, read_only = files.local_mounts(host)
    assert read_only == {"/mnt/with space"} and "/mnt/nfs" in left_out
    spec = {"paths": ["/data", "/mnt"], "recursive": True, "kind": "file", "forbid": "0002"}
    found = [path for path, _ in files.violations(host, spec).found]
    assert "/data/open" in found and "/mnt/nfs/open" not in found


def test_owners_and_groups_are_given_to_the_first_that_exists(host: Host, root: Path, put: Put) -> None:
    put("/etc/passwd", f"me:x:{os.geteuid()}:{os.getegid()}::/:/bin/sh\nkeeper:x:4242:4242::/:/bin/sh\n")
    put("/etc/group", f"mine:x:{os.getegid()}:\nkeepers:x:4343:\n")
    for name in ("wrong", "named.old", "7"):
        put(f"/data/{name}", "").chmod(0o644)
    spec = {
        "type": "permissions",
        "paths": ["/data"],
        "recursive": True,
        "kind": "file",
        "owner": ["nobody-here", "keeper"],
        "group": ["keepers"],
        "name": "^[a-z]+",
        "unless": r"\.old$",
        "activate": "rsyslog",
    }
    check = files.check_permissions(host, spec)
    assert [(one.where, one.found) for one in check.evidence] == [("/data/wrong", "mode 0644, owner me, group mine")]
    assert check.evidence[0].expected == "owner nobody-here or keeper, group keepers"
    files.fix_permissions(host, spec)
    assert (host.overlay["/data/wrong"].uid, host.overlay["/data/wrong"].gid) == (4242, 4343)
    assert list(host.activations) == ["rsyslog"]


@pytest.mark.parametrize(
    ("mode", "group", "wrong"),
    [(0o104755, 27, False), (0o102755, 27, False), (0o100755, 27, True), (0o104755, 1000, True)],
)
def test_programs_that_run_as_a_group_of_the_system_may_belong_to_it(
    host: Host, mode: int, group: int, wrong: bool
) -> None:
    rule = files._rule(host, {"paths": ["/usr/bin"], "kind": "file", "group": ["root"], "system_groups": True})
    rule.test("/usr/bin/x", "x", os.stat_result((mode, 0, 0, 1, 0, group, 0, 0, 0, 0)))
    assert bool(rule.found) is wrong


def test_long_lists_of_files_are_cut(host: Host, root: Path) -> None:
    (root / "data").mkdir()
    for number in range(files.MAX_EVIDENCE + 5):
        (root / f"data/{number:03}").write_text("")
        (root / f"data/{number:03}").chmod(0o666)
    check = files.check_permissions(
        host, {"paths": ["/data"], "recursive": True, "kind": "file", "forbid": "0002", "require": "0400"}
    )
    assert len(check.evidence) == files.MAX_EVIDENCE + 1
    assert check.evidence[-1].found == "5 more"
    assert check.evidence[-1].expected == "none of the mode bits 0002, the mode bits 0400"


def test_file_that_went_since_the_walk_is_let_go(host: Host, root: Path) -> None:
    (root / "data").mkdir()
    path = root / "data/log"
    path.write_text("")
    path.chmod(0o666)
    spec = {"paths": ["/data"], "recursive": True, "kind": "file", "forbid": "0002"}
    files.check_permissions(host, spec)
    path.unlink()
    files.fix_permissions(host, spec)
    assert host.overlay == {}


# ---------------------------------------------------------------- access


def test_client_of_ssh_is_judged_for_a_host_without_an_entry(host: Host, put: Put, programs: Any) -> None:
    put(
        "/etc/ssh/ssh_config",
        "Include /etc/ssh/ssh_config.d/*.conf\nHost *\n    Ciphers aes128-cbc\n    ForwardX11 no\n",
    )
    programs.answers["ssh -G -F /etc/ssh/ssh_config host.invalid"] = (0, "ciphers aes128-cbc\n")
    spec = {"option": "Ciphers", "value": "aes256-ctr,aes128-ctr", "subset": True}
    check = access.check_ssh_client(host, spec)
    assert (check.ok, check.evidence[0].found) == (False, "Ciphers aes128-cbc")
    access.fix_ssh_client(host, spec)
    assert (host.text(access.SSH_DROPIN) or "").endswith("Host *\nCiphers aes256-ctr,aes128-ctr\n")
    assert "# " in (host.text("/etc/ssh/ssh_config") or "") and "ForwardX11 no" in (
        host.text("/etc/ssh/ssh_config") or ""
    )
    programs.answers = {"ssh -G": (127, "")}
    host.forget()
    with pytest.raises(HostError, match="ssh is not installed"):
        access.check_ssh_client(host, spec)


def test_host_without_sshd_or_sudo_needs_none_of_their_rules(host: Host, put: Put) -> None:
    put("/var/lib/dpkg/status", "Package: base-files\nStatus: install ok installed\nVersion: 1\n\n")
    assert not access.check_sshd(host, {"option": "UsePAM", "value": "yes"}).applicable
    assert not access.check_sudoers(host, {"absent": "x"}).applicable


def test_rule_of_sudo_without_a_word_to_strike_becomes_a_comment(host: Host, put: Put) -> None:
    put("/etc/sudoers", "Defaults !authenticate\n#include /etc/more\n@includedir sudoers.d\nroot ALL=(ALL) ALL\n")
    put("/etc/more", "#include /etc/sudoers\nDefaults:ops \\\n !authenticate\n")
    put("/etc/sudoers.d/kept~", "Defaults !authenticate\n")
    mend(host, {"type": "sudoers", "absent": "!authenticate"})
    assert host.text("/etc/more") == "#include /etc/sudoers\n# Defaults:ops \\\n#  !authenticate\n"
    assert "/etc/sudoers.d/kept~" not in host.overlay


QUALITY = (
    "password requisite pam_pwquality.so retry=5 enforce_for_root\npassword [success=1 default=ignore] "
    "pam_unix.so obscure\npassword requisite pam_deny.so\npassword required pam_permit.so\n"
)


@pytest.mark.parametrize(
    ("spec", "ok"),
    [
        ({"module": "pam_pwquality.so", "args": ["retry=3"]}, False),
        ({"module": "pam_pwquality.so", "args": ["retry=6"], "compare": "max"}, True),
        ({"module": "pam_pwquality.so", "args": ["retry=6"], "compare": "min"}, False),
        ({"module": "pam_unix.so", "args": ["remember=5"]}, False),
        ({"module": "pam_pwquality.so", "control": "required"}, False),
        ({"module": "pam_pwquality.so", "control": "requisite", "before": ["pam_unix.so"]}, True),
        ({"module": "pam_unix.so", "before": ["pam_pwquality.so"]}, False),
        ({"module": "pam_unix.so", "without": ["obscure"]}, False),
        ({"module": "pam_pwhistory.so"}, False),
    ],
)
def test_modules_of_a_stack_are_judged_by_place_control_and_arguments(
    host: Host, put: Put, spec: dict[str, Any], ok: bool
) -> None:
    put("/etc/pam.d/common-password", QUALITY)
    assert access.check_pam(host, {"stack": "common-password", "kind": "password", **spec}).ok is ok


def test_argument_that_is_no_number_is_no_bound(host: Host, put: Put) -> None:
    put("/etc/pam.d/common-password", QUALITY.replace("retry=5", "retry=many"))
    spec = {
        "stack": "common-password",
        "kind": "password",
        "module": "pam_pwquality.so",
        "args": ["retry=6"],
        "compare": "max",
    }
    assert not access.check_pam(host, spec).ok


@pytest.mark.parametrize(
    ("spec", "result"),
    [
        # in place, the comment stays
        (
            {"module": "pam_unix.so", "args": ["remember=5"], "without": ["obscure"]},
            (1, "password [success=1 default=ignore] pam_unix.so remember=5  # why"),
        ),
        (
            {"module": "pam_pwhistory.so", "control": "required", "args": ["remember=5"], "before": ["pam_unix.so"]},
            (1, "password\trequired\tpam_pwhistory.so remember=5"),
        ),
        (
            {"module": "pam_pwhistory.so", "control": "required", "at": "start"},
            (0, "password\trequired\tpam_pwhistory.so"),
        ),
        ({"module": "pam_pwhistory.so", "control": "required"}, (4, "password\trequired\tpam_pwhistory.so")),
        # with another control it is taken out and put back
        (
            {"module": "pam_pwquality.so", "control": "required", "before": ["pam_unix.so"]},
            (0, "password\trequired\tpam_pwquality.so"),
        ),
    ],
)
def test_modules_are_put_where_they_belong(host: Host, put: Put, spec: dict[str, Any], result: tuple[int, str]) -> None:
    put("/etc/pam.d/common-password", QUALITY.replace("pam_unix.so obscure", "pam_unix.so obscure # why"))
    mend(host, {"type": "pam", "stack": "common-password", "kind": "password", **spec})
    lines = (host.text("/etc/pam.d/common-password") or "").split("\n")
    assert lines[result[0]] == result[1]
    # whatever moved, success still leads past pam_deny
    rules = access.pam_file(host, "/etc/pam.d/common-password")
    (at,) = (number for number, one in enumerate(rules) if one.module == "pam_unix.so")
    assert rules[at + 1 + int(rules[at].jumps["success"])].module != "pam_deny.so"


def test_module_that_only_its_package_can_bring_is_asked_for(host: Host, put: Put) -> None:
    put("/etc/pam.d/common-auth", PAM)
    spec = {"stack": "common-auth", "kind": "auth", "module": "pam_sss.so", "args": ["x"]}
    with pytest.raises(HostError, match=r"pam_pkcs11\.so is not in the stack. Install the package that brings it"):
        access.fix_pam(host, {**spec, "module": "pam_pkcs11.so"})
    with pytest.raises(HostError, match=r"/etc/pam.d/common-none does not exist: is libpam-runtime installed"):
        access.check_pam(host, {**spec, "stack": "common-none"})


def test_rule_that_is_taken_out_does_not_change_where_jumps_land() -> None:
    text = (
        "auth [success=2 default=ignore] a.so\nauth required b.so\nauth requisite pam_deny.so\nauth "
        "required pam_permit.so\n"
    )
    assert "success=1" in access.remove_pam(text, 1, "auth")
    assert "success=2" in access.remove_pam(text, 3, "auth")


def test_accounts_of_people(host: Host, put: Put) -> None:
    put(
        "/etc/passwd",
        "root:x:0:0:root:/root:/bin/bash\ntoor:x:0:0::/root:/bin/sh\nops:x:1000:1000::/home/ops:/bin/bash\n",
    )
    check = access.check_account(host, {"check": "unique_uids"})
    assert (check.ok, check.evidence[0].found) == (False, "0: root, toor")
    with pytest.raises(HostError, match="for people to decide"):
        access.fix_account(host, {"check": "unique_uids"})
    put("/etc/gshadow", "sudo:*::ops,eve\nadm:*::\n")
    put("/etc/group", "sudo:x:27:ops,eve\nops:x:1000:\n")
    host.forget()
    mend(host, {"type": "account", "check": "administrators", "users": ["ops"]})
    assert (host.text("/etc/group"), host.text("/etc/gshadow")) == (
        "sudo:x:27:ops\nops:x:1000:\n",
        "sudo:*::ops\nadm:*::\n",
    )
    put("/etc/shadow", "temp:!:20000:0:99999:7:::\ndone:!:20000:0:99999:7::20100:\nother:!:20000:0:99999:7:::\n")
    host.forget()
    mend(host, {"type": "account", "check": "temporary_expire", "users": ["temp", "done"], "days": 3})
    expiry = {one[0]: one[7] for one in access.shadow(host)}
    assert expiry["done"] == "20100" and expiry["other"] == ""
    assert 0 <= int(expiry["temp"]) - int(time.time()) // 86400 - 2 <= 1


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "Defaults env_reset\nops ALL=ALL\n",
            'Defaults env_reset\nDefaults logfile="/var/log/sudo.log"\nops ALL=ALL\n',
        ),
        ("ops ALL=ALL\n", 'Defaults logfile="/var/log/sudo.log"\nops ALL=ALL\n'),
        ("Defaults logfile=/tmp/x, env_reset\n", 'Defaults env_reset\nDefaults logfile="/var/log/sudo.log"\n'),
        (
            'Defaults env_reset, logfile="/a,b"\nDefaults:bob !logfile\n',
            'Defaults env_reset\nDefaults logfile="/var/log/sudo.log"\n# Defaults:bob \n',
        ),
    ],
)
def test_setting_of_sudo_is_set_once_for_everybody(host: Host, put: Put, before: str, after: str) -> None:
    put("/etc/sudoers", before)
    mend(host, {"type": "sudo_default", "name": "logfile", "value": "/var/log/sudo.log"})
    assert host.text("/etc/sudoers") == after


@pytest.mark.parametrize(
    ("text", "ok"),
    [
        ("Defaults timestamp_timeout=5\n", True),
        ("Defaults timestamp_timeout=-1\n", False),
        ("Defaults timestamp_timeout = 90\n", False),
        ("Defaults timestamp_timeout=0\nDefaults>root timestamp_timeout=60\n", False),
        ("", False),
    ],
)
def test_number_of_a_setting_of_sudo_lies_in_its_range(host: Host, put: Put, text: str, ok: bool) -> None:
    put("/etc/sudoers", text)
    spec = {"type": "sudo_default", "name": "timestamp_timeout", "value": 5, "min": 0, "max": 15}
    assert access.check_sudo_default(host, spec).ok == ok
    if not ok:
        mend(host, spec)


def test_life_of_passwords_that_exist_is_limited_and_nobody_shut_out(host: Host, put: Put) -> None:
    today = int(time.time()) // 86400
    put(
        "/etc/shadow",
        f"root:*:1:0:99999:7:::\nnew:$6$x:{today}:0:99999:7:::\n"
        f"keen:$6$x:{today}:7:30:7:::\nold:$6$x:{today - 90}:0:99999:7:::\n",
    )
    spec = {"type": "account", "check": "password_life", "min": 1, "max": 60}
    assert [one.found.split(":")[0] for one in access.check_account(host, spec).evidence] == ["new", "old"]
    with pytest.raises(HostError, match=r"password of old is as old.*harden again"):
        access.fix_account(host, spec)
    lines = (host.text("/etc/shadow") or "").splitlines()
    assert lines[0] == "root:*:1:0:99999:7:::"
    assert lines[1] == f"new:$6$x:{today}:1:60:7:::"
    assert lines[2:] == [f"keen:$6$x:{today}:7:30:7:::", f"old:$6$x:{today - 90}:0:99999:7:::"]


@pytest.mark.parametrize(
    ("rule", "shown"),
    [
        (
            "ops ALL=(root) NOPASSWD: /usr/bin/mysql -pHunter-22 shop, /usr/bin/id",
            "ops ALL=(root) NOPASSWD: /usr/bin/mysql ..., /usr/bin/id",
        ),
        ("ops ALL = NOPASSWD:SETENV: /opt/a\\,b --key\\=Hunter-22", "ops ALL = NOPASSWD:SETENV: /opt/a\\,b ..."),
        ("%ops h1,h2 = (a,b) !/bin/sh, NOPASSWD: ALL", "%ops h1,h2 = (a,b) !/bin/sh, NOPASSWD: ALL"),
        ("Defaults !authenticate", "Defaults !authenticate"),
    ],
)
def test_finding_about_sudo_shows_no_arguments_of_programs(host: Host, put: Put, rule: str, shown: str) -> None:
    put("/etc/sudoers", f"{rule}\n")
    spec = {"absent": "NOPASSWD|!authenticate|!/bin/sh", "everybody": False}
    assert [one.found for one in access.check_sudoers(host, spec).evidence] == [shown]


def test_finding_about_a_setting_of_sudo_shows_that_setting_alone(host: Host, put: Put) -> None:
    put("/etc/sudoers", 'Defaults:ops passprompt="Hunter-22: ", timestamp_timeout=90\n')
    spec = {"type": "sudo_default", "name": "timestamp_timeout", "value": 5, "min": 0, "max": 15}
    assert access.check_sudo_default(host, spec).evidence[0].found == "Defaults:ops timestamp_timeout=90"
