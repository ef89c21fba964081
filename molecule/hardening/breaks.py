"""Breaks the controls of a hardened host, each through one of its typed resources.

Run as root on a throw-away host, with the resolved controls on standard input: ``python3 breaks.py ROUND <
controls.json``. Rounds are ``settings`` and ``settings-last`` (the first or the last resource of each control that can
be broken alone) and ``packages`` (what is wanted goes; what is unwanted comes, and so does a desktop's name).
``people`` takes back what no remedy can mend.
Prints as JSON: `broken` (ids), `beside` (ids that stand on a package that was taken away) and `people` (ids of the
broken ones that only people can mend).
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
from typing import Any

SSH_WRONG = {
    "Ciphers": "aes192-ctr",
    "MACs": "hmac-sha1",
    "KexAlgorithms": "curve25519-sha256",
    "Banner": "none",
    "LogLevel": "QUIET",
    "MaxAuthTries": "20",
    "MaxSessions": "20",
    "LoginGraceTime": "600",
    "ClientAliveCountMax": "0",
    "ClientAliveInterval": "0",
    "Compression": "yes",
    "AllowGroups": "games",
    "PermitRootLogin": "yes",
    "MaxStartups": "100:30:600",
}
ARCHIVE = "/opt/stand-ins"
SOURCE = "/etc/apt/sources.list.d/stand-ins.list"
DESKTOP = "gnome-shell"
RELEASE = "/usr/lib/os-release"


def run(*argv: str) -> bool:
    """Run a program; returns whether it succeeded, and shows what it said otherwise."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment, stdin=subprocess.DEVNULL)
    if done.returncode:
        print(" ".join(argv), done.stdout[-1000:], done.stderr[-1000:], file=sys.stderr)
    return done.returncode == 0


def ask(*argv: str) -> str:
    """What a program prints."""
    return subprocess.run(argv, capture_output=True, text=True, check=True, env={**os.environ, "LC_ALL": "C"}).stdout


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
            os.makedirs(made, exist_ok=True)
        else:
            pathlib.Path(made).write_text("", "ascii")
        sound = {"/var/log/journal": ("root", "systemd-journal"), "/run/log/journal": ("root", "systemd-journal")}
        shutil.chown(made, *sound.get(path, ("root", "root")))
        os.chmod(made, 0o750 if spec.get("kind") == "directory" else 0o600 if "/log" in made else 0o644)
        path = made
    if "forbid" in spec or "require" in spec:
        mode = os.stat(path).st_mode & 0o7777
        forbidden = int(spec.get("forbid", "0"), 8)
        bit = forbidden & 0o040 or forbidden & 0o020 or forbidden & -forbidden
        bit = (
            forbidden & 0o004 if path.startswith("/home/") else bit
        )  # sshd takes no key from a home that others may write
        os.chmod(path, 0o777 if spec.get("world_writable") else mode | bit)
    elif "owner" in spec:
        os.chown(path, 65534, -1)
    elif "group" in spec:
        os.chown(path, -1, 65534)
    return True


def break_sshd(spec: dict[str, Any]) -> bool:
    option = spec["option"]
    wrong = SSH_WRONG.get(option) or {"no": "yes", "yes": "no"}[str(spec["value"])]
    if option == "PubkeyAuthentication":  # for one account: the test itself comes in with a key
        pathlib.Path("/etc/ssh/sshd_config.d/99-break.conf").write_text(
            f"Match User games\n\t{option}={wrong}\n", "utf-8"
        )
    elif spec["type"] == "sshd":
        place = (
            r"\Z" if option == "MaxStartups" else r"\A"
        )  # of this one sshd takes the last value, of all others the first
        return edit("/etc/ssh/sshd_config", place, f"{option} {wrong}\n")
    else:
        path = pathlib.Path("/etc/ssh/ssh_config.d/00-0-break.conf")
        old = path.read_text("utf-8") if path.exists() else "Host *\n"
        path.write_text(f"{old}{option} {wrong}\n", "utf-8")
    return True


def break_pam(spec: dict[str, Any]) -> bool:
    path = f"/etc/pam.d/{spec['stack']}"
    module = rf"{spec['kind']}.*{re.escape(spec['module'])}"
    if "forbidden" in spec:
        return edit(path, rf"^({module})", rf"\1 {spec['forbidden']}")
    if spec.get("args"):
        return edit(path, rf"^({module}.*?) {re.escape(str(spec['args'][0]))}", r"\1")
    needs = "".join(f".*{one}" for one in spec.get("needs", []))
    return edit(path, rf"^{module}{needs}.*\n", "")


def break_unit(spec: dict[str, Any]) -> bool:
    name = spec["name"]
    known = subprocess.run(["systemctl", "cat", name], check=False, capture_output=True).returncode == 0
    if spec.get("absent_ok") and not known and not spec.get("masked"):
        text = "[Service]\nExecStart=/bin/true\nRemainAfterExit=yes\n[Install]\nWantedBy=multi-user.target\n"
        pathlib.Path(f"/etc/systemd/system/{name}").write_text(text, "ascii")
        return run("systemctl", "daemon-reload") and run("systemctl", "enable", "--now", name)
    return known and run("systemctl", "unmask" if spec.get("masked") else "disable", name)


def break_account(spec: dict[str, Any]) -> bool:
    if spec["check"] == "no_empty_passwords":
        return edit("/etc/shadow", r"^(games):[^:]*:", r"\1::")
    if spec["check"] == "root_locked":
        return edit("/etc/shadow", r"^(root):[^:]*:", r"\1:$6$a$b:")
    if spec["check"] == "administrators":
        return edit("/etc/group", r"^(sudo:[^:]*:[^:]*:)(.*)$", r"\1\2,games")
    if spec["check"] == "temporary_expire":
        visitor = spec["users"][0]
        return run("chage", "-E", "-1", visitor) or run("useradd", "-M", visitor)
    if spec["check"] == "password_life":
        made = run("id", "keeper") or run("useradd", "-M", "-p", "$6$stand$in", "keeper")
        return made and run("chage", "-M", "99999", "keeper")
    return edit("/etc/passwd", r"\Z", "twin:x:5:60::/:/usr/sbin/nologin\n")  # games is number 5


def break_sudoers(spec: dict[str, Any]) -> bool:
    text = {"NOPASSWD": "#5 ALL=(root) NOPASSWD: /bin/true", "authenticate": "Defaults:games !authenticate"}
    everybody = "User_Alias EVERY = ALL\nEVERY ALL=(ALL) ALL"
    line = next((one for key, one in text.items() if key in spec["absent"]), everybody)
    path = f"/etc/sudoers.d/break-{abs(hash(spec['absent']))}"
    pathlib.Path(path).write_text(f"{line}\n", "ascii")
    os.chmod(path, 0o440)
    return True


def break_sudo_default(spec: dict[str, Any]) -> bool:
    wrong = {"timestamp_timeout": "timestamp_timeout=-1", "umask": "umask=0022"}.get(spec["name"], f"!{spec['name']}")
    path = pathlib.Path(f"/etc/sudoers.d/break-{spec['name']}")
    path.write_text(f"Defaults {wrong}\n", "ascii")
    path.chmod(0o440)
    return True


def break_sysctl(spec: dict[str, Any]) -> bool:
    wrong = 1 if str(spec.get("value")) == "0" else 0
    pathlib.Path(f"/etc/sysctl.d/99-zzz-{spec['key']}.conf").write_text(f"{spec['key']} = {wrong}\n", "ascii")
    return True


def break_rules(pattern: str) -> bool:
    return sum(edit(one, rf"^{pattern}\s*\n", "") for one in glob.glob("/etc/audit/rules.d/*.rules")) > 0


def break_firewall(spec: dict[str, Any]) -> bool:
    if spec["check"] == "enabled":
        return edit("/etc/ufw/ufw.conf", "^ENABLED=yes", "ENABLED=no")
    if spec["check"] == "limit":
        return run("ufw", "delete", "limit", "22/tcp") and run("ufw", "allow", "22/tcp")
    return run("ufw", "allow", "8081/tcp")


def break_probe(spec: dict[str, Any]) -> bool:
    if spec["name"] == "utc":
        edit("/etc/timezone", ".+", "Europe/Berlin")
        os.unlink("/etc/localtime")
        os.symlink("/usr/share/zoneinfo/Europe/Berlin", "/etc/localtime")
        return True
    if spec["name"] == "dictionary":
        pathlib.Path("/var/cache/cracklib/cracklib_dict.pwd").unlink()
        return True
    if spec["name"] == "vendor_support":
        return edit(RELEASE, r'^VERSION_ID="1', 'VERSION_ID="7')
    return False


def break_boot_password(spec: dict[str, Any]) -> bool:
    os.makedirs("/etc/grub.d", exist_ok=True)
    pathlib.Path("/etc/grub.d/00_header").write_text("#!/bin/sh\n", "ascii")
    pathlib.Path("/etc/grub.d/41_stackwright-password").unlink(missing_ok=True)
    return True


BREAKS = {
    "option": break_option,
    "line": break_line,
    "content": lambda spec: edit(spec["file"], r"\Z", "more\n"),
    "permissions": break_permissions,
    "sshd": break_sshd,
    "ssh_client": break_sshd,
    "pam": break_pam,
    "unit": break_unit,
    "account": break_account,
    "sudoers": break_sudoers,
    "sudo_default": break_sudo_default,
    "time_sources": lambda spec: edit("/etc/chrony/chrony.conf", r"\Z", "server 192.0.2.1 iburst\n"),
    "included": lambda spec: (
        edit(spec["main"], r"^\$IncludeConfig.*\n", "") or edit(spec["main"], r"^include\(.*\n", "")
    ),
    "audit_privileged": lambda spec: break_rules(rf"-a always,exit -F path=\S*.* -F key={spec['key']}"),
    "absent": lambda spec: pathlib.Path(spec["paths"][0]).write_text("games\n", "ascii") > 0,
    "sysctl": break_sysctl,
    "audit": lambda spec: any(break_rules(re.escape(one)) for one in spec["rules"]),
    "audit_final": lambda spec: break_rules("-e 2"),
    "module": lambda spec: edit("/etc/modprobe.d/stackwright-hardening.conf", rf"^blacklist {spec['name']}\n", ""),
    "boot_argument": lambda spec: edit("/etc/default/grub", rf" ?{spec['argument']}", ""),
    "boot_password": break_boot_password,
    "aide": lambda spec: not os.unlink("/var/lib/aide/aide.db"),
    "firewall": break_firewall,
    "probe": break_probe,
    "package": lambda spec: False,
}
FOR_PEOPLE = {"unique_uids", "vendor_support"}


def settings(controls: list[dict[str, Any]], last: bool) -> dict[str, list[str]]:
    """Break one resource of every control that is not a package."""
    broken, people = [], []
    for control in controls:
        for spec in control["resources"][:: -1 if last else 1]:
            if BREAKS[spec["type"]](spec):
                broken.append(control["id"])
                if FOR_PEOPLE & {spec.get("check"), spec.get("name")}:
                    people.append(control["id"])
                break
    return {"broken": broken, "beside": [], "people": people}


def packages(controls: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Take wanted packages away, install stand-ins for unwanted ones, and one for the desktop that some controls rest
    on."""
    wanted: dict[str, list[str]] = {}
    unwanted: dict[str, str] = {}
    for control in controls:
        for spec in control["resources"]:
            if spec["type"] == "package" and spec.get("present"):
                wanted[control["id"]] = spec["present"]
            elif spec["type"] == "package":
                unwanted[control["id"]] = spec["absent"][0]
    desktop = {one["id"]: one["resources"] for one in controls if DESKTOP in one.get("when", {}).get("package", [])}
    leaving = sorted({name for names in wanted.values() for name in names})
    removal = ask("apt-get", "-s", "remove", *leaving)  # what depends on them goes as well
    owned = set(ask("dpkg", "-L", *re.findall(r"^Remv (\S+)", removal, re.MULTILINE)).split("\n"))
    owned = {one for one in owned if not os.path.isdir(one)}
    for path in {spec["file"] for resources in desktop.values() for spec in resources}:
        pathlib.Path(path).unlink(missing_ok=True)
    coming = [*unwanted.values(), DESKTOP]
    offer(coming)
    # `remove` leaves the configuration in place; the host keys of sshd above all.
    done = (
        run("apt-get", "-q", "update")
        and run("apt-get", "-q", "-y", "install", "dconf-cli", *(f"{one}=9999" for one in coming))
        and run("apt-get", "-q", "-y", "remove", *leaving)
    )
    if not done:
        raise SystemExit("The packages cannot be changed.")
    broken = [*wanted, *unwanted, *desktop]
    beside = [one["id"] for one in controls if one["id"] not in broken and stands_on(one, owned)]
    return {"broken": broken, "beside": beside, "people": []}


def offer(names: list[str]) -> None:
    """Make an archive of empty packages with these names: the real ones may be missing, large, or in each other's
    way."""
    stanzas = []
    for name in names:
        tree = pathlib.Path(f"{ARCHIVE}/{name}/DEBIAN")
        tree.mkdir(parents=True, exist_ok=True)
        control = (
            f"Package: {name}\nVersion: 9999\nArchitecture: all\nMaintainer: nobody <nobody@example.org>\n"
            "Description: a name and nothing else\n"
        )
        (tree / "control").write_text(control, "ascii")
        file = f"{ARCHIVE}/{name}.deb"
        if not run("dpkg-deb", "--root-owner-group", "-b", f"{ARCHIVE}/{name}", file):
            raise SystemExit(f"The stand-in for {name} cannot be made.")
        content = pathlib.Path(file).read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        stanzas.append(f"{control}Filename: ./{name}.deb\nSize: {len(content)}\nSHA256: {digest}\n")
    pathlib.Path(f"{ARCHIVE}/Packages").write_text("\n".join(stanzas), "ascii")
    pathlib.Path(SOURCE).write_text(f"deb [trusted=yes] file:{ARCHIVE} ./\n", "ascii")


def stands_on(control: dict[str, Any], owned: set[str]) -> bool:
    """Whether one of the control's resources is a unit, a file or a program of the packages."""
    units = {one.rsplit("/", 1)[1] for one in owned if "/systemd/system/" in one}
    return any(
        spec.get("name") in units
        or (spec["type"] == "firewall" and "/usr/sbin/ufw" in owned)
        or spec.get("file") in owned
        or bool(owned & set(spec.get("paths", [])))
        or spec["type"] == "pam"
        for spec in control["resources"]
    )


def people() -> dict[str, list[str]]:
    """Mend what the hardening leaves to people."""
    edit("/etc/passwd", r"^twin:.*\n", "")
    edit(RELEASE, r'^VERSION_ID="7', 'VERSION_ID="1')
    pathlib.Path(SOURCE).unlink(missing_ok=True)
    shutil.rmtree(ARCHIVE, ignore_errors=True)
    return {"broken": [], "beside": [], "people": []}


def main() -> None:
    os.umask(0o022)
    name = sys.argv[1]
    controls = json.load(sys.stdin)
    if name == "packages":
        done = packages(controls)
    elif name == "people":
        done = people()
    else:
        done = settings(controls, last=name == "settings-last")
    print(json.dumps(done))


if __name__ == "__main__":
    main()
