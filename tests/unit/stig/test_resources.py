"""Each resource type judges by the real semantics of its files and mends what it found."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.stig import access, engine, files, system
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
    kind = engine.TYPES[spec["type"]]
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
    assert {pending.mode for pending in host.overlay.values()} == {0o640}


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
    assert "X11Forwarding no\n" in (host.text(access.SSHD_DROPIN) or "")
    assert (host.text("/etc/ssh/sshd_config") or "").endswith("#X11Forwarding no\n# X11Forwarding yes\n")


def test_match_block_that_undoes_a_setting_is_found(host: Host, put: Put, programs: Any) -> None:
    put("/etc/ssh/sshd_config", "Include /etc/ssh/sshd_config.d/*.conf\nMatch User bob\n  X11Forwarding yes\n")
    programs.answers["sshd -T"] = (0, "x11forwarding no\n")
    check = access.check_sshd(host, {"option": "X11Forwarding", "value": "no"})
    assert not check.ok
    assert check.evidence[1].where == "/etc/ssh/sshd_config:3"
    access.fix_sshd(host, {"option": "X11Forwarding", "value": "no"})
    assert access.check_sshd(host, {"option": "X11Forwarding", "value": "no"}).ok


def test_missing_include_is_put_first(host: Host, put: Put, programs: Any) -> None:
    put("/etc/ssh/sshd_config", "X11Forwarding yes\n")
    programs.answers["sshd -T"] = (0, SSHD)
    access.fix_sshd(host, {"option": "X11Forwarding", "value": "no"})
    assert (host.text("/etc/ssh/sshd_config") or "").startswith("Include /etc/ssh/sshd_config.d/*.conf\n")


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


def test_sysctl_of_a_later_file_that_says_otherwise_fails(host: Host, put: Put) -> None:
    put("/etc/sysctl.d/10-a.conf", "kernel.dmesg_restrict = 1\n")
    put("/etc/sysctl.d/99-b.conf", "kernel/dmesg_restrict=0\n")
    mend(host, {"type": "sysctl", "key": "kernel.dmesg_restrict", "value": "1"})
    assert host.text("/etc/sysctl.d/99-b.conf") == "# kernel/dmesg_restrict=0\n"


def test_sysctl_that_the_firewall_sets_back_when_it_starts_fails(host: Host, put: Put) -> None:
    put("/etc/sysctl.d/10-a.conf", "net.ipv4.conf.all.log_martians = 1\n")
    put("/etc/ufw/sysctl.conf", "net/ipv4/conf/all/log_martians=0\n")
    mend(host, {"type": "sysctl", "key": "net.ipv4.conf.all.log_martians", "value": "1"})
    assert host.text("/etc/ufw/sysctl.conf") == "# net/ipv4/conf/all/log_martians=0\n"


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
    assert "PubkeyAuthentication yes\n" in (host.text(access.SSHD_DROPIN) or "")


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
    assert [one.where for one in files.check_permissions(host, spec).evidence] == ["/usr/bin/deep/open", "/usr/bin/open"]
