"""Breaks hardened controls on a host, each through one of its typed resources; reads the resolved controls from stdin.

Run as root on a throw-away host: ``python3 breaks.py < controls.json``. Prints the ids that it broke as JSON.
"""

from __future__ import annotations

import glob
import json
import os
import pathlib
import re
import subprocess
import sys
from typing import Any

# The break of one of these would break others with it, or the way in; their types are broken through other controls.
NOT_ALONE = {
    "UBTU-24-100800", "UBTU-24-100810",  # the way in
    "UBTU-24-100300", "UBTU-24-100400", "UBTU-24-100600", "UBTU-24-100650", "UBTU-24-100700",  # others rest on the package
    "UBTU-24-100100", "UBTU-24-100200", "UBTU-24-100500",
}  # fmt: skip
LEAVES = {"vlock", "opensc-pkcs11", "libpam-pkcs11", "audispd-plugins"}


def edit(path: str, pattern: str, new: str) -> bool:
    """Replace every line that matches; returns whether one did."""
    target = pathlib.Path(path)
    if not target.is_file():
        return False
    text = target.read_text("utf-8", "surrogateescape")
    changed = re.sub(pattern, new, text, flags=re.MULTILINE)
    target.write_text(changed, "utf-8", "surrogateescape")
    return changed != text


def break_option(spec: dict[str, Any]) -> bool:
    return edit(spec["file"], rf"^[ \t]*{re.escape(spec['key'])}\b.*\n", "")


def break_line(spec: dict[str, Any]) -> bool:
    if "present" in spec:
        return edit(spec["file"], rf"^{spec.get('match') or re.escape(spec['present'])}.*\n", "")
    samples = {
        "server": "server 192.0.2.1\n",
        "APT::Get::AllowUnauthenticated": 'APT::Get::AllowUnauthenticated "true";\n',
    }
    name = next((one for one in samples if one in spec["absent"]), None)
    path = next((one for one in spec["files"] if "*" not in one), "")
    if name is None or not os.path.isdir(os.path.dirname(path)):
        return False
    with open(path, "a", encoding="utf-8") as target:
        target.write(samples[name])
    return True


def break_permissions(spec: dict[str, Any]) -> bool:
    """Make a file of our own below a recursive path wrong in one respect, or the named one itself."""
    paths = [one for pattern in spec["paths"] for one in sorted(glob.glob(pattern))]
    if not paths:
        return False
    path = os.path.realpath(paths[0])
    if spec.get("recursive"):
        made = f"{path.rstrip('/')}/stackwright-break-{abs(hash(repr(sorted(spec.items(), key=str))))}"
        if spec.get("kind") == "directory":
            os.mkdir(made)
        else:
            pathlib.Path(made).write_text("", "ascii")
        sound = {"/var/log/journal": ("root", "systemd-journal"), "/run/log/journal": ("root", "systemd-journal")}
        import shutil

        shutil.chown(made, *sound.get(path, ("root", "root")))
        os.chmod(made, 0o750 if spec.get("kind") == "directory" else 0o600 if "/log" in made else 0o644)
        path = made
    if "forbid" in spec or "require" in spec:
        mode = os.stat(path).st_mode & 0o7777
        forbidden = int(spec.get("forbid", "0"), 8)
        os.chmod(path, 0o777 if spec.get("world_writable") else mode | (forbidden & 0o040 or forbidden & 0o020 or forbidden & -forbidden))
    elif "owner" in spec:
        os.chown(path, 65534, -1)
    elif "group" in spec:
        os.chown(path, -1, 65534)
    return True


def break_sshd(spec: dict[str, Any]) -> bool:
    wrong = {"no": "yes", "yes": "no"}.get(str(spec["value"]))
    wrong = wrong or {"Ciphers": "aes192-ctr", "MACs": "hmac-sha1", "KexAlgorithms": "curve25519-sha256"}.get(
        spec["option"]
    )
    wrong = wrong or ("none" if spec["option"] == "Banner" else "0")
    directory = "sshd_config.d" if spec["type"] == "sshd" else "ssh_config.d"
    path = pathlib.Path(f"/etc/ssh/{directory}/00-0-break.conf")
    old = path.read_text("utf-8") if path.exists() else "" if spec["type"] == "sshd" else "Host *\n"
    path.write_text(f"{old}{spec['option']} {wrong}\n", "utf-8")
    return True


def break_pam(spec: dict[str, Any]) -> bool:
    path = f"/etc/pam.d/{spec['stack']}"
    if "forbidden" in spec:
        return edit(path, rf"^({spec['kind']}.*{re.escape(spec['module'])})", rf"\1 {spec['forbidden']}")
    if spec.get("args"):
        return edit(
            path, rf"^({spec['kind']}.*{re.escape(spec['module'])}.*?) {re.escape(str(spec['args'][0]))}", r"\1"
        )
    needs = "".join(f".*{one}" for one in spec.get("needs", []))
    return edit(path, rf"^{spec['kind']}.*{re.escape(spec['module'])}{needs}.*\n", "")


def break_unit(spec: dict[str, Any]) -> bool:
    verb = "unmask" if spec.get("masked") else "disable"
    return subprocess.run(["systemctl", verb, spec["name"]], capture_output=True, check=False).returncode == 0


def break_package(spec: dict[str, Any]) -> bool:
    names = [one for one in spec.get("present", []) if one in LEAVES]
    return bool(names) and not subprocess.run(["dpkg", "--purge", *names], capture_output=True, check=False).returncode


def break_account(spec: dict[str, Any]) -> bool:
    if spec["check"] == "no_empty_passwords":
        return edit("/etc/shadow", r"^(games):[^:]*:", r"\1::")
    if spec["check"] == "root_locked":
        return edit("/etc/shadow", r"^(root):[^:]*:", r"\1:$6$a$b:")
    if spec["check"] == "administrators":
        return edit("/etc/group", r"^(sudo:[^:]*:[^:]*:)(.*)$", r"\1\2,games")
    return False


def break_sudoers(spec: dict[str, Any]) -> bool:
    text = {"NOPASSWD": "games ALL=(root) NOPASSWD: /bin/true", "!authenticate": "Defaults:games !authenticate"}
    line = next(
        (
            one
            for key, one in text.items()
            if (key in spec["absent"] and "strike" in spec) or key == spec["absent"][:13]
        ),
        "",
    )
    name = "break-" + str(abs(hash(spec["absent"])))
    pathlib.Path(f"/etc/sudoers.d/{name}").write_text((line or "ALL ALL=(ALL) ALL") + "\n", "ascii")
    return True


def break_sysctl(spec: dict[str, Any]) -> bool:
    wrong = 1 if str(spec.get("value")) == "0" else 0
    pathlib.Path(f"/etc/sysctl.d/99-zzz-{spec['key']}.conf").write_text(f"{spec['key']} = {wrong}\n", "ascii")
    return True


def break_audit(spec: dict[str, Any]) -> bool:
    places = glob.glob("/etc/audit/rules.d/*.rules")
    return sum(edit(one, rf"^{re.escape(spec['rules'][0])}\s*\n", "") for one in places) > 0


BREAKS = {
    "option": break_option,
    "line": break_line,
    "content": lambda spec: edit(spec["file"], r"\Z", "more\n"),
    "permissions": break_permissions,
    "sshd": break_sshd,
    "ssh_client": break_sshd,
    "pam": break_pam,
    "unit": break_unit,
    "package": break_package,
    "account": break_account,
    "sudoers": break_sudoers,
    "sysctl": break_sysctl,
    "audit": break_audit,
    "audit_final": lambda spec: (
        sum(edit(one, r"^-e 2\s*\n", "") for one in glob.glob("/etc/audit/rules.d/*.rules")) > 0
    ),
    "module": lambda spec: edit("/etc/modprobe.d/stackwright-hardening.conf", rf"^blacklist {spec['name']}\n", ""),
    "boot_argument": lambda spec: edit("/etc/default/grub", rf" ?{spec['argument']}", ""),
    "aide": lambda spec: not os.unlink("/var/lib/aide/aide.db"),
    "boot_password": lambda spec: False,  # a container has no boot loader
    "firewall": lambda spec: spec["check"] == "enabled" and edit("/etc/ufw/ufw.conf", "^ENABLED=yes", "ENABLED=no"),
    "probe": lambda spec: spec["name"] == "utc" and edit("/etc/timezone", ".*", "Europe/Berlin"),
}


def main() -> None:
    broken = []
    for control in json.load(sys.stdin):
        if control["id"] in NOT_ALONE:
            continue
        for spec in control["resources"]:
            if BREAKS[spec["type"]](spec):
                broken.append(control["id"])
                break
    print(json.dumps(broken))


if __name__ == "__main__":
    main()
