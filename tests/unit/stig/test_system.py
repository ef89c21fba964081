"""Packages, units, kernel, audit, boot loader and firewall: judged by what counts on the host, mended without touching
what is right."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.stig import system
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.host import Host, HostError, UnitState

Put = Callable[[str, str], Path]


def installed(put: Put, *names: str) -> None:
    put(
        "/var/lib/dpkg/status",
        "".join(f"Package: {one}\nStatus: install ok installed\nVersion: 1\n\n" for one in names),
    )


# ---------------------------------------------------------------- packages and units


def test_packages_are_judged_and_changed_by_dpkgs_database(host: Host, put: Put) -> None:
    installed(put, "auditd", "telnetd")
    spec = {"present": ["auditd", "aide"], "absent": ["telnetd", "rsh-server"]}
    check = system.check_package(host, spec)
    assert not check.ok
    assert [(one.expected, one.found) for one in check.evidence] == [
        ("auditd installed", "1"),
        ("aide installed", "not installed"),
        ("telnetd not installed", "1"),
        ("rsh-server not installed", "not installed"),
    ]
    system.fix_package(host, spec)
    assert host.packages_wanted == {"aide": "present", "telnetd": "absent"}
    installed(put, "auditd", "aide")
    host.forget()
    assert system.check_package(host, spec).ok


@pytest.fixture
def units(host: Host, monkeypatch: pytest.MonkeyPatch) -> dict[str, UnitState]:
    """Units of a host that systemd runs; one that is not named is missing."""
    known: dict[str, UnitState] = {}
    monkeypatch.setattr(Host, "systemd", True)
    monkeypatch.setattr(Host, "unit", lambda self, name: known.get(name, UnitState("missing", False)))
    host._cache["container"] = False
    return known


@pytest.mark.parametrize(
    ("spec", "state", "ok", "found", "planned"),
    [
        ({"enabled": True, "active": True}, ("enabled", True), True, "enabled, running", None),
        (
            {"enabled": True, "active": True},
            ("enabled", False),
            False,
            "enabled, not running",
            {"enabled": True, "active": True},
        ),
        ({"enabled": True}, ("static", True), True, "static, running", None),
        # a mask would keep the unit off in spite of being enabled
        ({"enabled": True}, ("masked", False), False, "masked, not running", {"enabled": True, "masked": False}),
        (
            {"masked": True, "active": False},
            ("disabled", True),
            False,
            "disabled, running",
            {"masked": True, "active": False},
        ),
        ({"masked": True, "absent_ok": True}, None, True, "no such unit", None),
        ({"masked": True}, None, False, "missing, not running", {"masked": True}),
    ],
)
def test_units_are_judged_by_what_holds_at_boot_and_now(
    host: Host,
    units: dict[str, UnitState],
    spec: dict[str, Any],
    state: tuple[str, bool] | None,
    ok: bool,
    found: str,
    planned: dict[str, Any] | None,
) -> None:
    if state:
        units["x.service"] = UnitState(*state)
    check = system.check_unit(host, {"name": "x.service", **spec})
    assert (check.ok, check.evidence[0].found) == (ok, found)
    if not ok:
        system.fix_unit(host, {"name": "x.service", **spec})
        assert {key: value for key, value in host.units_wanted["x.service"].items() if key != "group"} == planned


def test_unit_whose_package_is_missing_is_told_and_one_that_is_to_be_off_is_not(
    host: Host, units: dict[str, UnitState]
) -> None:
    with pytest.raises(HostError, match=r"there is no unit auditd.service: its package is not installed"):
        system.fix_unit(host, {"name": "auditd.service", "enabled": True})
    system.fix_unit(host, {"name": "gone.service", "enabled": False})
    assert host.units_wanted == {}


def test_unit_that_needs_a_kernel_of_its_own_is_judged_on_disk_in_a_container(
    host: Host, units: dict[str, UnitState]
) -> None:
    host._cache["container"] = True
    units["auditd.service"] = UnitState("enabled", False)
    spec = {"name": "auditd.service", "enabled": True, "active": True, "kernel": True}
    check = system.check_unit(host, spec)
    assert check.ok and not check.testable
    assert check.note == "whether auditd.service runs cannot be judged in a container; it is enabled on disk"
    system.fix_unit(host, spec)
    assert "active" not in host.units_wanted["auditd.service"]


# ---------------------------------------------------------------- kernel


def test_loaded_module_fails_until_the_next_boot(host: Host, put: Put) -> None:
    host._cache["container"] = False
    system.fix_module(host, {"name": "usb-storage"})
    assert system.check_module(host, {"name": "usb-storage"}).ok
    put("/sys/module/usb_storage/initstate", "live\n")
    check = system.check_module(host, {"name": "usb-storage"})
    assert not check.ok
    assert check.evidence[-1].found == "loaded; it goes with the next boot"
    # what is compiled into the kernel has no initstate, and cannot be kept away
    Path(host.root + "/sys/module/usb_storage/initstate").unlink()
    assert system.check_module(host, {"name": "usb-storage"}).ok
    host._cache["container"] = True
    assert not system.check_module(host, {"name": "usb-storage"}).testable


def test_running_value_counts_beside_the_files(host: Host, put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    put("/etc/sysctl.d/10-a.conf", "kernel.dmesg_restrict = 1\n")
    host._cache["container"] = False
    monkeypatch.setattr(host, "sysctl", lambda key: "0")
    spec = {"key": "kernel.dmesg_restrict", "value": "1"}
    check = system.check_sysctl(host, spec)
    assert not check.ok and check.evidence[0].where == "running kernel"
    host.root = ""
    system.fix_sysctl(host, spec)
    assert host.sysctls_wanted == {"kernel.dmesg_restrict": ("1", "files")}


# ---------------------------------------------------------------- audit


def test_rule_that_cannot_be_parsed_is_compared_as_it_stands() -> None:
    assert system.normalise('-w "/unfinished') == '-w "/unfinished'
    assert system.normalise("# a comment") == ""
    assert system.normalise("-w /etc/shadow/ -p wa -k id") == system.normalise("-w /etc/shadow -k other -p aw")


def test_rules_on_disk_that_the_kernel_lacks_fail_where_that_can_be_asked(host: Host, put: Put, programs: Any) -> None:
    rules = ["-w /etc/passwd -p wa -k id", "-a always,exit -F arch=b64 -S chown,fchown -F key=perm"]
    put("/etc/audit/rules.d/a.rules", "-D\n-b 8192\n" + "\n".join(rules) + "\n-e 2\n")
    installed(put, "auditd")
    host._cache["container"] = False
    assert system.check_audit(host, {"rules": rules}).ok
    host.root, root = "", host.root
    kept = {key: value for key, value in host._cache.items() if key.startswith("audit rules")}

    def ask(code: int, output: str) -> Any:
        host._cache.clear()
        host._cache.update(kept, container=False, packages={"auditd": "1"})
        programs.answers["auditctl -l"] = (code, output)
        return system.check_audit(host, {"rules": rules})

    # the kernel has one of the two calls of the second rule only
    check = ask(0, "-w /etc/passwd -p wa -k id\n-a always,exit -F arch=b64 -S chown -F key=perm\n")
    assert not check.ok
    assert [(one.expected, one.found) for one in check.evidence] == [(rules[1], "not loaded")]
    assert ask(0, "\n".join(rules)).ok
    assert not ask(0, "No rules\n").ok
    # who may not ask learns nothing, and says nothing against the host
    assert ask(1, "You must be root\n").ok
    assert root


def test_container_says_that_the_kernels_rules_were_not_asked(host: Host, put: Put) -> None:
    put("/etc/audit/rules.d/a.rules", "-w /x -p wa\n-e 2\n")
    host._cache["container"] = True
    for check in (system.check_audit(host, {"rules": ["-w /x -p wa"]}), system.check_audit_final(host, {})):
        assert check.ok and not check.testable and check.note


def test_earlier_locks_are_taken_away(host: Host, put: Put) -> None:
    put("/etc/audit/rules.d/10-a.rules", "-w /x -p wa\n-e 2\n")
    put("/etc/audit/rules.d/20-b.rules", "-w /y -p wa\n")
    check = system.check_audit_final(host, {})
    assert (check.evidence[0].found, check.evidence[0].where) == ("-w /y -p wa", "/etc/audit/rules.d/20-b.rules:1")
    system.fix_audit_final(host, {})
    assert host.text("/etc/audit/rules.d/10-a.rules") == "-w /x -p wa\n"
    assert host.text(system.AUDIT_FINAL) == "-e 2\n"
    assert system.check_audit_final(host, {}).ok


# ---------------------------------------------------------------- boot loader


def test_boot_argument_of_a_dropin_counts_and_a_missing_line_is_added(host: Host, put: Put) -> None:
    put("/boot/grub/grub.cfg", "")
    put("/etc/default/grub", "GRUB_TIMEOUT=5\n")
    host._cache["container"] = False
    spec = {"argument": "audit=1"}
    assert not system.check_boot_argument(host, spec).ok
    system.fix_boot_argument(host, spec)
    assert host.text("/etc/default/grub") == 'GRUB_TIMEOUT=5\nGRUB_CMDLINE_LINUX="audit=1"\n'
    assert host.activations == {"grub": "files"}
    assert system.check_boot_argument(host, spec).testable
    put("/etc/default/grub.d/x.cfg", 'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX apparmor=1"\n')
    assert system.check_boot_argument(Host(host.root), {"argument": "apparmor=1"}).ok
    host.forget()
    system.fix_boot_argument(host, {"argument": "apparmor=1"})
    assert "apparmor" not in (host.text("/etc/default/grub") or "")


def test_boot_password_needs_a_superuser_and_the_operators_hash(host: Host, put: Put) -> None:
    spec = {"user": "root", "hash": ""}
    assert not system.check_boot_password(host, spec).applicable
    put("/boot/grub/grub.cfg", "")
    put("/etc/grub.d/40_custom", "password_pbkdf2 root grub.pbkdf2.sha512.1\n")
    host.forget()
    # a hash without a superuser protects nothing
    assert not system.check_boot_password(host, spec).ok
    with pytest.raises(HostError, match=r"grub-mkpasswd-pbkdf2 prints as hardening parameter grub_password_hash"):
        system.fix_boot_password(host, spec)
    system.fix_boot_password(host, {**spec, "hash": "grub.pbkdf2.sha512.10000.AB"})
    assert system.check_boot_password(host, spec).ok
    assert host.overlay["/etc/grub.d/41_stackwright-password"].mode == 0o700


# ---------------------------------------------------------------- firewall

TUPLE = "### tuple ### {} {} {} 0.0.0.0/0 any 0.0.0.0/0 in\n"


@pytest.fixture
def ufw(put: Put, programs: Any) -> Callable[..., None]:
    """A firewall with rules (action, protocol, port), on a host whose sshd listens on port 2222."""
    installed(put, "ufw", "openssh-server")
    programs.answers["sshd -T"] = (0, "port 2222\n")

    def write(*rules: tuple[str, str, str], enabled: str = "yes", policy: str = "DROP") -> None:
        put("/etc/ufw/ufw.conf", f"ENABLED={enabled}\nLOGLEVEL=low\n")
        put("/etc/default/ufw", f'DEFAULT_INPUT_POLICY="{policy}"\n')
        put("/etc/ufw/user.rules", "".join(TUPLE.format(*rule) for rule in rules))

    return write


def argvs(host: Host) -> list[str]:
    return [" ".join(one["argv"]) for one in host.commands]


def test_firewall_that_is_not_installed_fails(host: Host) -> None:
    check = system.check_firewall(host, {"check": "enabled"})
    assert not check.ok and check.evidence[0].found == "not installed"


def test_firewall_is_switched_on_only_after_ssh_was_let_in(host: Host, ufw: Callable[..., None]) -> None:
    ufw(enabled="no")
    spec = {"check": "enabled"}
    assert system.check_firewall(host, spec).evidence[0].found == "ENABLED=no"
    system.fix_firewall(host, spec)
    assert argvs(host) == ["ufw limit 2222/tcp", "ufw --force enable"]
    # the way back switches it off before its files are restored
    assert host.commands[1]["undo"] == ["ufw", "--force", "disable"]
    ufw()
    host.forget()
    assert system.check_firewall(host, spec).ok


def test_port_of_sshd_is_limited_wherever_it_listens(host: Host, ufw: Callable[..., None], programs: Any) -> None:
    ufw(("limit", "tcp", "22"))
    spec = {"check": "limit"}
    check = system.check_firewall(host, spec)
    assert (check.ok, check.evidence[0].found) == (False, "none on 2222")
    system.fix_firewall(host, spec)
    assert argvs(host) == ["ufw limit 2222/tcp"]
    # an open port without a limit is no limit
    ufw(("allow", "tcp", "2222"))
    host.forget()
    assert not system.check_firewall(host, spec).ok
    ufw(("limit", "tcp", "2222"))
    host.forget()
    assert system.check_firewall(host, spec).ok
    # an sshd that does not tell its port listens on its default
    programs.answers["sshd -T"] = (255, "bad configuration")
    host.forget()
    assert system.check_firewall(host, spec).evidence[0].expected == "limit on port 22"


def test_only_the_wanted_ports_are_open(host: Host, ufw: Callable[..., None]) -> None:
    ufw(
        ("limit", "tcp", "2222"),
        ("allow", "tcp", "8080"),
        ("allow", "any", "53"),
        ("deny", "tcp", "25"),
        policy="ACCEPT",
    )
    spec = {"check": "ports", "allow": ["5000/tcp", "53"]}
    check = system.check_firewall(host, spec)
    assert not check.ok
    assert check.evidence[0].found == "policy ACCEPT, open beside: 8080/tcp, missing: 5000/tcp"
    system.fix_firewall(host, spec)
    assert argvs(host) == [
        "ufw limit 2222/tcp",
        "ufw default deny incoming",
        "ufw --force delete allow 8080/tcp",
        "ufw allow 5000/tcp",
        "ufw allow 53",
    ]
    ufw(("limit", "tcp", "2222"), ("allow", "tcp", "5000"), ("allow", "any", "53"))
    host.forget()
    assert system.check_firewall(host, spec).ok


# ---------------------------------------------------------------- the rest


def test_database_of_aide_must_hold_something(host: Host, put: Put) -> None:
    assert not system.check_aide(host, {}).ok
    path = put("/var/lib/aide/aide.db", "")
    assert not system.check_aide(host, {}).ok
    path.write_text("x")
    assert system.check_aide(host, {}).ok
    system.fix_aide(host, {})
    assert list(host.activations) == ["aide"]


@pytest.mark.parametrize(("end", "ok"), [("2999-06-30", True), ("2020-06-30", False), (None, False)])
def test_release_must_have_support_today(host: Host, end: str | None, ok: bool) -> None:
    spec = {"name": "vendor_support", "support": {"13": end} if end else {"12": "2999-01-01"}}
    check = system.check_probe(host, spec)
    assert (check.ok, check.evidence[0].found) == (ok, f"Debian 13, supported until {end or 'unknown'}")


def test_clock_and_zone_are_set_to_utc(host: Host, put: Put, root: Path) -> None:
    spec = {"name": "utc"}
    put("/etc/timezone", "Europe/Berlin\n")
    put("/etc/adjtime", "0.0 0 0.0\n0\nLOCAL\n")
    check = system.check_probe(host, spec)
    assert (check.ok, check.evidence[0].found) == (False, "zone Europe/Berlin, clock LOCAL")
    with pytest.raises(HostError, match=r"/usr/share/zoneinfo/Etc/UTC is missing: install tzdata"):
        system.fix_probe(host, spec)
    put("/usr/share/zoneinfo/Etc/UTC", "TZif")
    host.forget()
    system.fix_probe(host, spec)
    assert host.text("/etc/timezone") == "Etc/UTC\n"
    assert host.text("/etc/adjtime") == "0.0 0 0.0\n0\nUTC\n"
    assert host.overlay["/etc/localtime"].link == "/usr/share/zoneinfo/Etc/UTC"
    assert system.check_probe(host, spec).ok
    # a host without these files keeps UTC by itself
    for name in ("timezone", "adjtime"):
        (root / "etc" / name).unlink()
    assert system.check_probe(Host(str(root)), spec).ok


def test_zone_that_programs_use_counts_whatever_is_written_for_people(host: Host, put: Put, root: Path) -> None:
    spec = {"name": "utc"}
    put("/etc/timezone", "Etc/UTC\n")
    (root / "etc/localtime").symlink_to("/usr/share/zoneinfo/Europe/Berlin")
    check = system.check_probe(host, spec)
    assert (check.ok, check.evidence[0].found) == (False, "zone Europe/Berlin, clock UTC")
    (root / "etc/localtime").unlink()
    (root / "etc/localtime").symlink_to("/usr/share/zoneinfo/Etc/UTC")
    assert system.check_probe(host, spec).ok
    # a copy of a zone's file has no name: it is judged by what is in it
    (root / "etc/localtime").unlink()
    put("/etc/localtime", "TZif Berlin")
    put("/usr/share/zoneinfo/Etc/UTC", "TZif")
    assert system.check_probe(Host(str(root)), spec).evidence[0].found == "zone of the file /etc/localtime, clock UTC"
    put("/etc/localtime", "TZif")
    assert system.check_probe(Host(str(root)), spec).ok


def test_fact_that_only_people_can_change_says_so(host: Host) -> None:
    with pytest.raises(HostError, match="this needs an operator"):
        system.fix_probe(host, {"name": "nx"})


def test_host_that_shows_no_interfaces_has_no_radio(host: Host) -> None:
    assert system.check_probe(host, {"name": "wireless"}).ok
    assert not os.path.exists(f"{host.root}/sys/class/net")


def test_outgoing_connections_are_dropped_but_for_named_ports(host: Host, put: Put) -> None:
    put("/var/lib/dpkg/status", "Package: ufw\nStatus: install ok installed\nVersion: 1\n\n")
    put("/etc/default/ufw", 'DEFAULT_INPUT_POLICY="DROP"\nDEFAULT_OUTPUT_POLICY="ACCEPT"\n')
    rules = (
        "### tuple ### allow any 53 0.0.0.0/0 any 0.0.0.0/0 out\n### tuple ### limit tcp 22 0.0.0.0/0 any "
        "0.0.0.0/0 in\n"
    )
    put("/etc/ufw/user.rules", rules)
    spec = {"check": "outgoing", "allow": ["53", "443/tcp"]}
    assert "missing: 443/tcp" in system.check_firewall(host, spec).evidence[0].found
    system.fix_firewall(host, spec)
    made = [" ".join(one["argv"]) for one in host.commands]
    assert made == ["ufw allow out 53", "ufw allow out 443/tcp", "ufw default deny outgoing"]
    put("/etc/default/ufw", 'DEFAULT_INPUT_POLICY="DROP"\nDEFAULT_OUTPUT_POLICY="DROP"\n')
    put("/etc/ufw/user.rules", rules + "### tuple ### allow tcp 443 0.0.0.0/0 any 0.0.0.0/0 out\n")
    host.forget()
    assert system.check_firewall(host, spec).ok
    assert system.check_firewall(host, {"check": "ports", "allow": []}).ok
