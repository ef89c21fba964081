"""Resources that are the system's parts: packages, units, kernel settings and modules, audit rules, firewall, boot
loader."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import os
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.stig import listeners
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.findings import Evidence
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.host import Host, HostError, show
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.resource import Check, Resource, Spec, judged

AUDIT_FILE = "/etc/audit/rules.d/60-stackwright-stig.rules"
AUDIT_FINAL = "/etc/audit/rules.d/99-finalize.rules"
MODPROBE_FILE = "/etc/modprobe.d/stackwright-hardening.conf"
SYSCTL_FILE = "/etc/sysctl.d/99-zz-stackwright-hardening.conf"
GRUB_DEFAULT = "/etc/default/grub"


# ---------------------------------------------------------------- packages and units


def check_package(host: Host, spec: Spec) -> Check:
    """Packages are installed or not, by dpkg's database."""
    evidence, ok = [], True
    for name in spec.get("present", []):
        version = host.packages.get(name)
        ok = ok and version is not None
        evidence.append(Evidence(f"{name} installed", version or "not installed", "dpkg"))
    for name in spec.get("absent", []):
        version = host.packages.get(name)
        ok = ok and version is None
        evidence.append(Evidence(f"{name} not installed", version or "not installed", "dpkg"))
    return Check(ok, evidence)


def fix_package(host: Host, spec: Spec) -> None:
    """Plan the missing packages to be installed and the unwanted ones to be purged."""
    for name in spec.get("present", []):
        if name not in host.packages:
            host.want_package(name, "present")
    for name in spec.get("absent", []):
        if name in host.packages:
            host.want_package(name, "absent")


# Services that a socket unit may stand for: it listens, and starts them when somebody comes.
BY_SOCKET = {"ssh.service": "ssh.socket"}


def _stands_for(host: Host, name: str) -> str:
    """The unit that is to be enabled and to run: the socket where the site has chosen that, the named one otherwise."""
    other = BY_SOCKET.get(name, "")
    if other and (host.unit(other).active or host.unit(other).enabled == "enabled"):
        return other
    return str(name)


def check_unit(host: Host, spec: Spec) -> Check:
    """A unit is enabled and running, or stopped and masked. `kernel` units cannot run in containers."""
    name = _stands_for(host, spec["name"]) if spec.get("enabled") or spec.get("active") else spec["name"]
    state = host.unit(name)
    if spec.get("absent_ok") and state.enabled == "missing":
        return judged(True, f"{name} off", "no such unit", "systemd")
    wants, ok = [], True
    if "masked" in spec:
        wants.append("masked" if spec["masked"] else "not masked")
        ok = ok and (state.enabled == "masked") == spec["masked"]
    if "enabled" in spec:
        wants.append("enabled" if spec["enabled"] else "disabled")
        on = state.enabled in ("enabled", "static", "alias", "indirect", "generated", "enabled-runtime")
        ok = ok and on == spec["enabled"]
    testable = not ((spec.get("kernel") and host.container) or not host.systemd)
    if "active" in spec and testable:
        wants.append("running" if spec["active"] else "stopped")
        ok = ok and state.active == spec["active"]
    runs = f"lost to systemd as process {state.forgotten}" if state.forgotten else "not running"
    found = f"{state.enabled}, {'running' if state.active else runs}"
    check = judged(ok, f"{name} {' and '.join(wants)}", found, "systemd")
    if not testable and spec.get("active"):
        check.testable = False
        check.note = f"whether {name} runs cannot be judged in a container; it is enabled on disk"
    return check


def fix_unit(host: Host, spec: Spec) -> None:
    """Plan the unit's state; a unit that does not exist is an error unless it is to be off."""
    name = _stands_for(host, spec["name"]) if spec.get("enabled") or spec.get("active") else spec["name"]
    state = host.unit(name)
    if state.enabled == "missing" and not spec.get("masked"):
        if spec.get("enabled"):
            raise HostError(f"there is no unit {name}: its package is not installed")
        return
    if spec.get("masked") or spec.get("enabled") is False:  # a failed one would be shown as such until the next boot
        code, _ = host.run(["systemctl", "is-failed", "--quiet", name]) if host.systemd and not host.root else (1, "")
        if code == 0:
            host.want_command(["systemctl", "reset-failed", name], [])
    wanted: dict[str, Any] = {key: spec[key] for key in ("enabled", "masked") if key in spec}
    if "active" in spec and not (spec.get("kernel") and host.container):
        wanted["active"] = spec["active"]
    if state.enabled == "masked" and spec.get("enabled"):
        wanted["masked"] = False
    host.want_unit(name, **wanted)


# ---------------------------------------------------------------- kernel settings and modules


def boot_sysctl_files(host: Host) -> list[str]:
    """The files that systemd-sysctl reads at boot and whenever an interface appears, in their order (sysctl.d(5))."""
    chosen: dict[str, str] = {}
    for directory in ("/lib", "/usr/lib", "/usr/local/lib", "/run", "/etc"):
        for path in host.glob(f"{directory}/sysctl.d/*.conf"):
            chosen[path.rsplit("/", 1)[1]] = path  # a name in a later directory hides the earlier one
    return [chosen[name] for name in sorted(chosen)]


def firewall_sysctl_file(host: Host) -> str:
    """The file of values that ufw writes to the kernel when it starts; empty where it does not start or has none."""
    enabled = re.search(r"^ENABLED=[\"']?(\w+)", host.text("/etc/ufw/ufw.conf") or "", re.MULTILINE)
    if "ufw" not in host.packages or enabled is None or enabled[1].lower() != "yes":
        return ""
    named = re.search(r"^IPT_SYSCTL=[\"']?([^\"'\s]+)", host.text("/etc/default/ufw") or "", re.MULTILINE)
    return named[1] if named and host.exists(named[1]) else ""


def sysctl_files(host: Host) -> list[str]:
    """Every file that may change a value while the host runs: those of the boot, that of procps, then the
    firewall's."""
    last = [one for one in ("/etc/sysctl.conf", firewall_sysctl_file(host)) if one and host.exists(one)]
    return boot_sysctl_files(host) + last


def _sysctl_entries(host: Host, key: str, paths: list[str]) -> list[tuple[str, int, str]]:
    found = []
    for path in paths:
        for at, line in enumerate((host.text(path) or "").split("\n")):
            name, mark, value = line.partition("=")
            name = name.strip().lstrip("-").replace("/", ".")
            if mark and not name.startswith(("#", ";")) and name == key:
                found.append((path, at, value.strip()))
    return found


def _interface_key(spec: Spec) -> str:
    """The key with a star in place of ``all`` or ``default``: systemd-sysctl sets it for each interface, now and
    later."""
    return re.sub(r"\.(all|default)\.", ".*.", spec["key"]) if spec.get("interfaces") else ""


def _interface_keys(host: Host, spec: Spec) -> list[str]:
    """The running keys of this host's interfaces. Names with a dot have none that can be spelled with dots."""
    pattern = "/proc/sys/" + _interface_key(spec).replace(".", "/")
    names = [one.split("/")[6] for one in host.glob(pattern)] if spec.get("interfaces") else []
    return [
        _interface_key(spec).replace("*", one)
        for one in names
        if "." not in one and one not in ("all", "default", "lo")
    ]


def check_sysctl(host: Host, spec: Spec) -> Check:
    """Every file that sets the key, the one that counts at boot, and the running value where it is this host's own.

    With `interfaces` the same for each interface: for some keys that of an interface counts beside that of ``all``.
    """
    key = spec["key"]
    good = [str(one) for one in spec.get("allowed", [spec["value"]])]
    expected = f"{key} = {' or '.join(good)}"
    entries = _sysctl_entries(host, key, sysctl_files(host))
    evidence = [
        Evidence(expected, f"{key} = {value}", f"{p}:{at + 1}") for p, at, value in entries if value not in good
    ]
    at_boot = boot_sysctl_files(host)
    found = next((f"{p}:{at + 1}" for p, at, value in reversed(entries) if value in good and p in at_boot), "")
    if not found:
        evidence.append(Evidence(expected, "set in no file that is read at boot", SYSCTL_FILE))
    if glob := _interface_key(spec):
        each = _sysctl_entries(host, glob, at_boot)
        if not each or each[-1][2] not in good:
            where = f"{each[-1][0]}:{each[-1][1] + 1}" if each else SYSCTL_FILE
            evidence.append(Evidence(f"{glob} = {good[0]}", each[-1][2] if each else "set in no file", where))
    ok = not evidence
    own = host.owns_sysctl(key)
    for name in [key, *_interface_keys(host, spec)] if own else []:
        running = host.sysctl(name)
        if running is not None:
            ok = ok and running in good
            evidence.append(Evidence(f"{name} = {' or '.join(good)}", f"{name} = {running}", "running kernel"))
    check = Check(ok, evidence or [Evidence(expected, "set", found)])
    if not own:
        check.testable = False
        check.note = "the running value belongs to the kernel that this container shares; the files are right"
    return check


def fix_sysctl(host: Host, spec: Spec) -> None:
    """Write the key into a file of our own that is read last, take contrary values away, and set the running value."""
    key, value = spec["key"], str(spec["value"])
    good = [str(one) for one in spec.get("allowed", [spec["value"]])]
    entries = _sysctl_entries(host, key, sysctl_files(host))
    for path, at, found in reversed(entries):
        if found in good:
            continue
        lines = (host.text(path) or "").split("\n")
        if path.startswith(("/usr/", "/lib/")):
            host.write(
                f"/etc/sysctl.d/{path.rsplit('/', 1)[1]}",
                "\n".join(f"# {x}" if n == at else x for n, x in enumerate(lines)),
            )
        else:
            lines[at] = f"# {lines[at]}"
            host.write(path, "\n".join(lines))
    wanted = [f"{key} = {value}"] if not any(one[0] == SYSCTL_FILE and one[2] in good for one in entries) else []
    glob = _interface_key(spec)
    if glob and not any(one[2] in good for one in _sysctl_entries(host, glob, boot_sysctl_files(host))[-1:]):
        wanted.insert(0, f"{glob} = {value}")
    if wanted:
        lines = (host.text(SYSCTL_FILE) or "# Written by Stackwright's hardening.\n").rstrip("\n").split("\n")
        lines = [
            one for one in lines if not glob or one.partition(" = ")[0] != glob or f"{glob} = {value}" not in wanted
        ]
        host.write(SYSCTL_FILE, "\n".join([*lines, *wanted]) + "\n")
    for name in [key, *_interface_keys(host, spec)]:
        running = host.sysctl(name)
        if running is not None and running not in good:
            host.want_sysctl(name, value)


def check_module(host: Host, spec: Spec) -> Check:
    """modprobe refuses the module, it is on the blacklist, and it is not loaded."""
    name = spec["name"]
    spelled = re.sub(r"[-_]", "[-_]", name)
    pattern = re.compile(rf"^\s*install\s+{spelled}\s+/(?:usr/)?bin/(?:false|true)")
    blacklist = re.compile(rf"^\s*blacklist\s+{spelled}\s*$")
    lines = [
        (path, at, line)
        for directory in ("/etc/modprobe.d", "/usr/lib/modprobe.d", "/run/modprobe.d")
        for path in host.glob(f"{directory}/*.conf")
        for at, line in enumerate((host.text(path) or "").split("\n"), 1)
    ]
    refused = next((f"{path}:{at}" for path, at, line in lines if pattern.match(line)), "")
    listed = next((f"{path}:{at}" for path, at, line in lines if blacklist.match(line)), "")
    evidence = [
        Evidence(f"install {name} /bin/false", "set" if refused else "not set", refused or MODPROBE_FILE),
        Evidence(f"blacklist {name}", "set" if listed else "not set", listed or MODPROBE_FILE),
    ]
    check = Check(bool(refused and listed), evidence)
    if host.container:
        check.testable, check.note = False, "which modules are loaded is the machine's matter; the files are right"
    elif os.path.isdir(f"{host.root}/sys/module/{name.replace('-', '_')}") and os.path.exists(
        f"{host.root}/sys/module/{name.replace('-', '_')}/initstate"
    ):
        check.ok = False
        check.evidence.append(Evidence(f"{name} not loaded", "loaded; it goes with the next boot", "/sys/module"))
    return check


def fix_module(host: Host, spec: Spec) -> None:
    """Refuse the module in a file of our own."""
    text = host.text(MODPROBE_FILE) or "# Written by Stackwright's hardening.\n"
    for line in (f"install {spec['name']} /bin/false", f"blacklist {spec['name']}"):
        if line not in text.split("\n"):
            text = text.rstrip("\n") + f"\n{line}\n"
    host.write(MODPROBE_FILE, text)


# ---------------------------------------------------------------- audit


def normalise(rule: str) -> str:
    """An audit rule in one form: fields sorted, number and name spellings of "unset" and perm order unified, key
    dropped."""
    try:
        words = shlex.split(rule, comments=True)
    except ValueError:
        return rule
    if not words:
        return ""
    if words[0] in ("-w", "-W"):
        values = dict(zip(words[::2], words[1::2], strict=False))
        return f"-w {words[1].rstrip('/') or '/'} -p {''.join(sorted(values.get('-p', 'rwxa')))}"
    head, calls, fields, arch = "", [], [], ""
    for flag, value in zip(words[::2], words[1::2], strict=False):
        if flag in ("-a", "-A"):
            head = ",".join(sorted(value.split(",")))
        elif flag == "-S":
            calls += value.split(",")
        elif flag in ("-F", "-C"):
            value = re.sub(r"^auid!=(-1|4294967295|unset)$", "auid!=unset", value)
            value = re.sub(r"^exit=-?(EPERM|1)$", "exit=-EPERM", value)
            value = re.sub(r"^exit=-?(EACCES|13)$", "exit=-EACCES", value)
            value = re.sub(r"^perm=(\w+)$", lambda one: "perm=" + "".join(sorted(one[1])), value)
            if value.startswith("arch="):
                arch = value
            elif not value.startswith("key="):
                fields.append(f"{flag} {value}")
    return " ".join(
        one for one in (f"-a {head}", arch, *sorted(set(fields)), "-S " + ",".join(sorted(set(calls)))) if one
    )


def audit_rules(host: Host) -> dict[str, str]:
    """The rules that augenrules would compile, normalised, each with its place. `-D` empties what came before."""

    def gather() -> dict[str, str]:
        found: dict[str, str] = {}
        for path in host.glob("/etc/audit/rules.d/*.rules"):
            for at, line in enumerate((host.text(path) or "").split("\n"), 1):
                words = line.split("#", 1)[0].split()
                if not words:
                    continue
                if words[0] == "-S" or words[0] not in ("-w", "-a", "-A", "-e"):
                    continue
                if words[0] == "-e":
                    found[f"-e {words[1]}"] = f"{path}:{at}"
                    continue
                rule = normalise(line)
                found[rule] = f"{path}:{at}"
                head, mark, calls = rule.rpartition("-S ")
                if mark:
                    for call in calls.split(","):
                        found[f"{head}-S {call}"] = f"{path}:{at}"
        return found

    # The overlay changes while remedies are planned, so its size is part of the key.
    state = tuple(hash(host.overlay[one].content) for one in sorted(host.overlay) if one.startswith("/etc/audit/"))
    return host.cached(f"audit rules {state}", gather)  # type: ignore[no-any-return]


def _single_calls(rule: str) -> list[str]:
    head, mark, calls = normalise(rule).rpartition("-S ")
    return [f"{head}-S {one}" for one in calls.split(",")] if mark else [normalise(rule)]


def _raw_rules(spec: Spec) -> list[str]:
    return [str(one) for one in spec["rules"]]


def check_audit(host: Host, spec: Spec) -> Check:
    """Every rule is among those that augenrules compiles; whether the kernel has them is asked outside containers
    only."""
    known = audit_rules(host)
    evidence = []
    for rule in _raw_rules(spec):
        missing = [one for one in _single_calls(rule) if one not in known]
        if missing:
            evidence.append(Evidence(rule, "no such rule", "/etc/audit/rules.d"))
    ok = not evidence
    check = Check(ok, evidence or [Evidence(one, "there", known[_single_calls(one)[0]]) for one in _raw_rules(spec)])
    if host.container:
        check.testable, check.note = (
            False,
            "the kernel's audit rules cannot be asked or loaded in a container; the files are right",
        )
    elif ok and "auditd" in host.packages and not host.root:
        loaded = host.cached("loaded audit rules", lambda: _loaded(host))
        absent = [rule for rule in _raw_rules(spec) if not all(one in loaded for one in _single_calls(rule))]
        if loaded and absent:
            check.ok = False
            check.evidence = [Evidence(one, "not loaded", "auditctl -l") for one in absent]
    return check


def _loaded(host: Host) -> set[str]:
    code, output = host.run(["auditctl", "-l"])
    if code:
        return set()
    found: set[str] = set()
    for line in output.splitlines():
        for one in _single_calls(line):
            found.add(one)
    return found


def fix_audit(host: Host, spec: Spec) -> None:
    """Add the missing rules to a file of our own, and have the rules compiled."""
    known = audit_rules(host)
    text = host.text(AUDIT_FILE) or "## Written by Stackwright's hardening.\n"
    for rule in _raw_rules(spec):
        if any(one not in known for one in _single_calls(rule)):
            text = text.rstrip("\n") + f"\n{rule}\n"
    host.write(AUDIT_FILE, text, mode=0o600)
    host.activate("audit")


def check_audit_final(host: Host, spec: Spec) -> Check:
    """The last word of the compiled rules is `-e 2`, which locks them until the next boot."""
    last, where = "nothing", AUDIT_FINAL
    for path in host.glob("/etc/audit/rules.d/*.rules"):
        for at, line in enumerate((host.text(path) or "").split("\n"), 1):
            if line.split("#", 1)[0].strip():
                last, where = line.strip(), f"{path}:{at}"
    check = judged(last == "-e 2", "-e 2 as the last rule", show(last), where)
    if host.container:
        check.testable, check.note = False, "a container cannot lock the kernel's audit rules; the file is right"
    return check


def fix_audit_final(host: Host, spec: Spec) -> None:
    """Remove other `-e` lines and end the last file with `-e 2`."""
    final = max([*host.glob("/etc/audit/rules.d/*.rules"), AUDIT_FINAL])
    for path in host.glob("/etc/audit/rules.d/*.rules"):
        text = host.text(path) or ""
        changed = re.sub(r"^\s*-e\s+\d.*\n?", "", text, flags=re.MULTILINE)
        if changed != text and path != final:
            host.write(path, changed)
    text = re.sub(r"^\s*-e\s+\d.*\n?", "", host.text(final) or "", flags=re.MULTILINE)
    host.write(final, (text.rstrip("\n") + "\n-e 2\n").lstrip("\n"), mode=0o600)
    host.activate("audit")


# ---------------------------------------------------------------- boot loader


def _has_boot_loader(host: Host) -> bool:
    return host.exists("/boot/grub/grub.cfg") or host.exists("/boot/grub2/grub.cfg")


def check_boot_argument(host: Host, spec: Spec) -> Check:
    """The kernel command line that grub is configured with has the argument."""
    text = host.text(GRUB_DEFAULT) or ""
    for path in host.glob("/etc/default/grub.d/*.cfg"):
        text += "\n" + (host.text(path) or "")
    lines = re.findall(r'^\s*GRUB_CMDLINE_LINUX=(["\']?)(.*?)\1\s*$', text, re.MULTILINE)
    # Later files may build upon the variable, so every line counts.
    found = " ".join(one[1] for one in lines).split()
    check = judged(
        spec["argument"] in found,
        f"{spec['argument']} on the kernel's command line",
        " ".join(found) or "nothing",
        GRUB_DEFAULT,
    )
    if host.container or not _has_boot_loader(host):
        check.testable, check.note = False, "there is no boot loader here; /etc/default/grub is right"
    return check


def fix_boot_argument(host: Host, spec: Spec) -> None:
    """Add the argument to GRUB_CMDLINE_LINUX."""
    if check_boot_argument(host, spec).ok:
        return
    lines = (host.text(GRUB_DEFAULT) or "").rstrip("\n").split("\n")
    for at, line in enumerate(lines):
        if match := re.match(r'^\s*GRUB_CMDLINE_LINUX=(["\']?)(.*?)\1\s*$', line):
            lines[at] = f'GRUB_CMDLINE_LINUX="{(match[2] + " " + spec["argument"]).strip()}"'
            break
    else:
        lines.append(f'GRUB_CMDLINE_LINUX="{spec["argument"]}"')
    host.write(GRUB_DEFAULT, "\n".join(lines).lstrip("\n") + "\n")
    host.activate("grub")


def check_boot_password(host: Host, spec: Spec) -> Check:
    """grub asks for a superuser's password before its menu can be edited."""
    texts = {path: host.text(path) or "" for path in host.glob("/etc/grub.d/*")}
    if not texts and not _has_boot_loader(host):
        return Check(True, [Evidence("a boot loader password", "no boot loader here", "/boot/grub")], applicable=False)
    user = any(re.search(r"^\s*set superusers=", one, re.MULTILINE) for one in texts.values())
    secret = any(re.search(r"^\s*password_pbkdf2\s+\S+\s+grub\.pbkdf2", one, re.MULTILINE) for one in texts.values())
    return judged(
        user and secret, "superusers and password_pbkdf2", "set" if user and secret else "not set", "/etc/grub.d"
    )


def fix_boot_password(host: Host, spec: Spec) -> None:
    """Write the superuser and its hash, where the operator gave one."""
    if not spec.get("hash"):
        raise HostError("give the hash that grub-mkpasswd-pbkdf2 prints as hardening parameter grub_password_hash")
    host.write(
        "/etc/grub.d/41_stackwright-password",
        f'#!/bin/sh\nexec tail -n +3 "$0"\nset superusers="{spec["user"]}"\npassword_pbkdf2 '
        f"{spec['user']} {spec['hash']}\n",
        mode=0o700,
    )
    host.activate("grub")


# ---------------------------------------------------------------- firewall


def check_firewall(host: Host, spec: Spec) -> Check:
    """ufw is set to start, its rules hold the wanted ones, and the kernel has its chains where that can be asked."""
    what = spec["check"]
    if "ufw" not in host.packages:
        return judged(False, "ufw installed", "not installed", "dpkg")
    rules = host.text("/etc/ufw/user.rules") or ""
    known = re.findall(r"^### tuple ### (\S+) (\S+) (\S+) \S+ \S+ \S+ (\S+)", rules, re.MULTILINE)
    tuples = [one for one in known if not one[3].startswith("out")]
    if what == "outgoing":
        return _check_outgoing(host, spec, [one for one in known if one[3].startswith("out")])
    if what == "enabled":
        enabled = re.search(r"^ENABLED=(\S+)", host.text("/etc/ufw/ufw.conf") or "", re.MULTILINE)
        on = bool(enabled) and enabled is not None and enabled[1].lower() == "yes"
        return judged(on, "ENABLED=yes", enabled[0] if enabled else "not set", "/etc/ufw/ufw.conf")
    if what == "limit":
        ports = [str(one) for one in spec.get("ports", [])] or host.cached("ssh ports", lambda: listeners.ports(host))
        limited = {port for action, _, port, _ in tuples if action == "limit"}
        missing = [one for one in ports if one not in limited]
        return judged(
            not missing,
            f"limit on port {', '.join(ports)}",
            f"none on {', '.join(missing)}" if missing else "there",
            "/etc/ufw/user.rules",
        )
    ports = host.cached("ssh ports", lambda: listeners.ports(host))
    wanted = {(str(one).partition("/")[0], str(one).partition("/")[2] or "any") for one in spec.get("allow", [])}
    opened = {(port, proto) for action, proto, port, _ in tuples if action in ("allow", "limit")} - {
        (one, "tcp") for one in ports
    }
    surplus = sorted(opened - wanted)
    missing_rules = sorted(wanted - opened)
    policy = re.search(r'^DEFAULT_INPUT_POLICY="?(\w+)', host.text("/etc/default/ufw") or "", re.MULTILINE)
    ok = not surplus and not missing_rules and policy is not None and policy[1] in ("DROP", "REJECT")
    return judged(
        ok,
        f"input dropped but for {', '.join('/'.join(one) for one in sorted(wanted)) or 'SSH'}",
        f"policy {policy[1] if policy else 'not set'}, open beside: "
        f"{', '.join('/'.join(one) for one in surplus) or 'nothing'}, "
        f"missing: {', '.join('/'.join(one) for one in missing_rules) or 'nothing'}",
        "/etc/ufw/user.rules",
    )


def _check_outgoing(host: Host, spec: Spec, tuples: list[tuple[str, str, str, str]]) -> Check:
    """Outgoing connections are dropped but for the ports named; what answers an incoming one passes in any case."""
    opened = {port if proto == "any" else f"{port}/{proto}" for action, proto, port, _ in tuples if action == "allow"}
    missing = sorted({str(one) for one in spec.get("allow", [])} - opened)
    policy = re.search(r'^DEFAULT_OUTPUT_POLICY="?(\w+)', host.text("/etc/default/ufw") or "", re.MULTILINE)
    closed = policy is not None and policy[1] in ("DROP", "REJECT")
    return judged(
        closed and not missing,
        f"output dropped but for {', '.join(map(str, spec.get('allow', [])))}",
        f"policy {policy[1] if policy else 'not set'}, missing: {', '.join(missing) or 'nothing'}",
        "/etc/ufw/user.rules",
    )


# What ufw leaves in the kernel when it is switched off: its chains, empty, and the jumps to them.
UFW_AT_REST = r"""
if grep -qi '^ENABLED=yes' /etc/ufw/ufw.conf 2>/dev/null; then exec ufw reload; fi
for tool in iptables ip6tables; do
  command -v $tool >/dev/null || continue
  $tool -S | sed -n 's/^-A \(.* -j ufw6\{0,1\}-.*\)$/\1/p' | while read -r rule; do $tool -D $rule; done
  chains=$($tool -S | sed -n 's/^-N \(ufw6\{0,1\}-.*\)$/\1/p')
  for chain in $chains; do $tool -F $chain; done
  for chain in $chains; do $tool -X $chain; done
done
"""


def fix_firewall(host: Host, spec: Spec) -> None:
    """Plan the ufw commands; its files are journaled before they run. SSH is let in before the filter is switched
    on."""
    guards, reload = ["/etc/ufw/*", "/etc/default/ufw"], ["ufw", "reload"]
    if spec["check"] == "outgoing":
        for one in spec.get("allow", []):
            host.want_command(["ufw", "allow", "out", str(one)], guards, reload=reload)
        host.want_command(["ufw", "default", "deny", "outgoing"], guards, reload=reload)
        return
    ports = [str(one) for one in spec.get("ports", [])] or host.cached("ssh ports", lambda: listeners.ports(host))
    for port in ports:
        host.want_command(["ufw", "limit", f"{port}/tcp"], guards, reload=reload)
    if spec["check"] == "ports":
        text = host.text("/etc/default/ufw") or ""
        if not re.search(r'^DEFAULT_INPUT_POLICY="?(DROP|REJECT)', text, re.MULTILINE):
            host.want_command(["ufw", "default", "deny", "incoming"], guards, reload=reload)
        pattern = r"^### tuple ### (\S+) (\S+) (\S+) \S+ \S+ \S+ (?!out)\S+"
        tuples = re.findall(pattern, host.text("/etc/ufw/user.rules") or "", re.MULTILINE)
        wanted = {str(one) for one in spec.get("allow", [])}
        for action, proto, port in tuples:
            name = port if proto == "any" else f"{port}/{proto}"
            if action in ("allow", "limit") and name not in wanted and port not in ports:
                host.want_command(["ufw", "--force", "delete", action, name], guards, reload=reload)
        for one in sorted(wanted):
            host.want_command(["ufw", "allow", one], guards, reload=reload)
    if spec["check"] == "enabled":
        host.want_command(
            ["ufw", "--force", "enable"], guards, ["ufw", "--force", "disable"], ["sh", "-c", UFW_AT_REST]
        )


# ---------------------------------------------------------------- AIDE's database


def check_aide(host: Host, spec: Spec) -> Check:
    """AIDE has a database to compare with."""
    meta = host.stat("/var/lib/aide/aide.db")
    return judged(
        meta is not None and meta.size > 0,
        "a database",
        "there" if meta and meta.size else "none",
        "/var/lib/aide/aide.db",
    )


def fix_aide(host: Host, spec: Spec) -> None:
    """Have the database built at the end of the run."""
    host.activate("aide")


# ---------------------------------------------------------------- probes: facts without a remedy


def _probe_vendor(host: Host, spec: Spec) -> Check:
    values = dict(one.split("=", 1) for one in (host.text("/etc/os-release") or "").splitlines() if "=" in one)
    version = values.get("VERSION_ID", "").strip('"')
    ends = {str(key): str(value) for key, value in spec.get("support", {}).items()}
    end = ends.get(version)
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    ok = end is not None and today <= end
    return judged(
        ok,
        "a release with security support",
        f"Debian {version}, supported until {end or 'unknown'}",
        "/etc/os-release",
    )


def _probe_nx(host: Host, spec: Spec) -> Check:
    try:
        text = Path(host.root + "/proc/cpuinfo").read_text("utf-8", "replace")
    except OSError:
        text = ""
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.*)$", text, re.MULTILINE)
    ok = bool(flags and ("nx" in flags[1].split() or "aarch64" in os.uname().machine))
    return judged(ok, "the processor flag nx", "there" if ok else "missing", "/proc/cpuinfo")


UTC_NAMES = ("UTC", "GMT", "Universal", "Zulu", "UCT")


def _zone(host: Host) -> str:
    """The zone that programs take from /etc/localtime: the name it is linked to, UTC where there is nothing
    (localtime(5))."""
    path = "/etc/localtime"
    pending = host.overlay.get(path)
    if pending is not None and pending.link is not None:
        return pending.link.rpartition("zoneinfo/")[2]
    if not os.path.lexists(host.root + path):
        return "UTC"
    if os.path.islink(host.root + path):
        return os.path.realpath(host.root + path).rpartition("zoneinfo/")[2]
    return "UTC" if host.content(path) == host.content("/usr/share/zoneinfo/Etc/UTC") else f"of the file {path}"


def _probe_rtc(host: Host, spec: Spec) -> Check:
    last = (host.text("/etc/adjtime") or "0 0 0\n0\nUTC\n").strip().split("\n")[-1].strip()
    # programs read the first, people the second
    names = list(dict.fromkeys([_zone(host), (host.text("/etc/timezone") or "").strip() or "UTC"]))
    other = [one for one in names if one.removeprefix("Etc/") not in UTC_NAMES]
    return judged(
        last == "UTC" and not other,
        "time zone UTC and a clock in UTC",
        f"zone {show(', '.join(other) or names[0])}, clock {show(last)}",
        "/etc/localtime",
    )


def _fix_rtc(host: Host, spec: Spec) -> None:
    if host.text("/etc/timezone") is not None:
        host.write("/etc/timezone", "Etc/UTC\n")
    adjtime = host.text("/etc/adjtime")
    if adjtime is not None and adjtime.strip().split("\n")[-1].strip() != "UTC":
        host.write("/etc/adjtime", adjtime.replace("LOCAL", "UTC"))
    content = host.content("/usr/share/zoneinfo/Etc/UTC")
    if content is None:
        raise HostError("/usr/share/zoneinfo/Etc/UTC is missing: install tzdata and run again")
    host.want_link("/etc/localtime", "/usr/share/zoneinfo/Etc/UTC")


def _probe_wireless(host: Host, spec: Spec) -> Check:
    try:
        found = [
            one
            for one in os.listdir(host.root + "/sys/class/net")
            if os.path.exists(f"{host.root}/sys/class/net/{one}/wireless")
        ]
    except OSError:
        found = []
    return judged(not found, "no wireless interface", ", ".join(found) or "none", "/sys/class/net")


def _probe_encrypted(host: Host, spec: Spec) -> Check:
    encrypted = []
    for path in host.glob("/sys/block/dm-*/dm/uuid"):
        with contextlib.suppress(OSError):  # gone in the meantime
            if Path(host.root + path).read_text("ascii").startswith("CRYPT-"):
                encrypted.append(path.split("/")[3])
    check = judged(bool(encrypted), "data on dm-crypt devices", ", ".join(encrypted) or "none", "/sys/block")
    check.testable, check.disk = not host.container, False
    return check


def _probe_audit_space(host: Host, spec: Spec) -> Check:
    path = "/var/log/audit"
    expected = f"a file system of its own with {spec['megabytes']} MB or more"
    if not host.exists(path):
        return judged(False, expected, "no such directory", path)
    found = os.statvfs(host.root + path)
    size = found.f_blocks * found.f_frsize >> 20
    own = os.stat(host.root + path).st_dev != os.stat(host.root + os.path.dirname(path)).st_dev
    check = judged(
        own and size >= int(spec["megabytes"]),
        expected,
        f"{size} MB {'of its own' if own else 'shared with what else /var/log lies on'}",
        path,
    )
    check.testable, check.disk = not host.container, False
    return check


def _probe_elsewhere(host: Host, spec: Spec) -> Check:
    name = re.sub(r"^\[|\]$", "", str(spec["host"]).strip().lower())
    own = {"localhost", "localhost.localdomain", "ip6-localhost", "0.0.0.0", "::", "::1", os.uname().nodename.lower()}
    own.add((host.text("/etc/hostname") or "localhost").strip().lower())
    own |= {one for line in (host.text("/etc/hosts") or "").splitlines() if line.startswith(("127.", "::1"))
            for one in line.split("#")[0].lower().split()}  # fmt: skip
    own |= _own_addresses(host)
    here = name in own or name.startswith("127.") or name.partition(".")[0] in {os.uname().nodename.partition(".")[0]}
    return judged(not here, "another host", f"{show(name)}{', which is this host' if here else ''}", spec["where"])


def _own_addresses(host: Host) -> set[str]:
    """The addresses of this host's interfaces, from the kernel's tables."""
    found: set[str] = set()
    with contextlib.suppress(OSError):
        text = Path(host.root + "/proc/net/fib_trie").read_text("ascii", "replace")
        found |= set(re.findall(r"\|-- ([\d.]+)\n\s+/32 host LOCAL", text))
    with contextlib.suppress(OSError, ValueError):
        lines = Path(host.root + "/proc/net/if_inet6").read_text("ascii", "replace").splitlines()
        found |= {str(ipaddress.IPv6Address(int(one.split()[0], 16))) for one in lines if one.strip()}
    return found


def _probe_other_medium(host: Host, spec: Spec) -> Check:
    """Whether a directory lies on another file system than the records themselves, and on one that outlives the
    memory."""
    path = os.path.realpath(host.root + spec["path"])
    expected = "a mounted file system of another system or medium"
    try:
        device = os.stat(path).st_dev
    except OSError as error:
        return judged(False, expected, error.strerror or "not there", spec["path"])
    same = {os.stat(host.root + one).st_dev for one in ("/", "/var/log") if os.path.exists(host.root + one)}
    kind = _file_system(host, device)
    ok = device not in same and kind not in ("tmpfs", "ramfs", "overlay", "devtmpfs")
    return judged(ok, expected, f"{kind or 'a file system'}{'' if ok else ', which goes with this host'}", spec["path"])


def _file_system(host: Host, device: int) -> str:
    with contextlib.suppress(OSError):
        for line in Path(host.root + "/proc/self/mountinfo").read_text("utf-8", "replace").splitlines():
            if line.split()[2:3] == [f"{os.major(device)}:{os.minor(device)}"]:
                return line.partition(" - ")[2].split()[0]
    return ""


DICTIONARY = "/var/cache/cracklib/cracklib_dict"


def _probe_dictionary(host: Host, spec: Spec) -> Check:
    """cracklib's dictionary, without which pam_pwquality refuses every new password."""
    sizes = {f"{DICTIONARY}.{one}": host.stat(f"{DICTIONARY}.{one}") for one in ("pwd", "pwi", "hwm")}
    missing = [path for path, meta in sizes.items() if meta is None or not meta.size]
    return judged(not missing, "a dictionary", f"missing: {', '.join(missing)}" if missing else "there", DICTIONARY)


def _fix_dictionary(host: Host, spec: Spec) -> None:
    if "cracklib-runtime" not in host.packages:
        raise HostError("cracklib-runtime is not installed, which makes the dictionary")
    host.activate("cracklib")


PROBES: dict[str, tuple[Callable[[Host, Spec], Check], Callable[[Host, Spec], None] | None]] = {
    "vendor_support": (_probe_vendor, None),
    "nx": (_probe_nx, None),
    "utc": (_probe_rtc, _fix_rtc),
    "wireless": (_probe_wireless, None),
    "encrypted": (_probe_encrypted, None),
    "audit_space": (_probe_audit_space, None),
    "elsewhere": (_probe_elsewhere, None),
    "other_medium": (_probe_other_medium, None),
    "dictionary": (_probe_dictionary, _fix_dictionary),
}


def check_probe(host: Host, spec: Spec) -> Check:
    """One of the facts of `PROBES`."""
    check = PROBES[spec["name"]][0](host, spec)
    if not check.testable and not check.note:
        check.note = "this is a matter of the machine, not of a container"
    return check


def fix_probe(host: Host, spec: Spec) -> None:
    """The remedy of the fact, where a program can have one."""
    fix = PROBES[spec["name"]][1]
    if fix is None:
        raise HostError("this needs an operator; see the control's remedy")
    fix(host, spec)


TYPES = {
    "package": Resource(check_package, fix_package, {"present": list, "absent": list}),
    "unit": Resource(
        check_unit,
        fix_unit,
        {"name": str, "enabled": bool, "active": bool, "masked": bool, "kernel": bool, "absent_ok": bool, "group": str},
        ("name",),
    ),
    "sysctl": Resource(
        check_sysctl,
        fix_sysctl,
        {"key": str, "value": (str, int), "allowed": list, "interfaces": bool},
        ("key", "value"),
    ),
    "module": Resource(check_module, fix_module, {"name": str}, ("name",)),
    "audit": Resource(check_audit, fix_audit, {"rules": list}, ("rules",)),
    "audit_final": Resource(check_audit_final, fix_audit_final, {}),
    "boot_argument": Resource(check_boot_argument, fix_boot_argument, {"argument": str}, ("argument",)),
    "boot_password": Resource(check_boot_password, fix_boot_password, {"user": str, "hash": str}, ("user",)),
    "firewall": Resource(
        check_firewall, fix_firewall, {"check": str, "ports": list, "allow": list}, ("check",), "firewall"
    ),
    "aide": Resource(check_aide, fix_aide, {}),
    "probe": Resource(
        check_probe,
        fix_probe,
        {"name": str, "support": dict, "megabytes": int, "host": str, "where": str, "path": str},
        ("name",),
    ),
}
