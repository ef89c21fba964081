"""An administrator who goes on working on a hardened host, and what must still be there after the hardening is taken
back.

Run as root: ``python3 later.py work`` does the work, ``python3 later.py look`` prints what is lost of it, and fails
then. ``rest`` takes the work away. ``immutable`` makes a file of the hardening's unwritable and broken, ``mutable``
writable again.
"""

from __future__ import annotations

import os
import pathlib
import pwd
import re
import subprocess
import sys

ALICE = "$y$j9T$later$alice"
OPERATOR = "$y$j9T$later$operator"
CERTIFICATE = pathlib.Path("/etc/letsencrypt/live/site/fullchain.pem")
SSHD = pathlib.Path("/etc/ssh/sshd_config")
MATCH = "Match User alice\n    X11Forwarding no\n"
BANNER = "/etc/issue.net"


def run(*argv: str) -> str:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    return subprocess.run(argv, check=True, capture_output=True, text=True, env=environment).stdout


def work() -> None:
    """Install a service with data, make and change accounts, renew a certificate, edit files that the hardening
    changed."""
    os.umask(0o022)
    # what is installed later may need what the hardening brought
    run("apt-get", "-q", "-y", "--no-install-recommends", "install", "redis-server")
    run("redis-cli", "set", "site", "kept")
    run("redis-cli", "save")
    run("useradd", "--create-home", "--password", ALICE, "alice")
    run("usermod", "--append", "--groups", "sudo", "alice")
    run("usermod", "--password", OPERATOR, "operator")
    CERTIFICATE.parent.mkdir(parents=True, exist_ok=True)
    CERTIFICATE.write_text("renewed\n", "ascii")
    with open("/etc/hosts", "a", encoding="utf-8") as hosts:
        hosts.write("192.0.2.9 site\n")
    with SSHD.open("a", encoding="utf-8") as configuration:
        configuration.write(MATCH)
    with open("/etc/login.defs", "a", encoding="utf-8") as definitions:
        definitions.write("# the site's own\n")
    run("sed", "-i", "s/^minlen.*/minlen = 20/", "/etc/security/pwquality.conf")


def lost() -> list[str]:
    """What of the work is not there any more."""
    shadow = dict(line.split(":", 2)[:2] for line in pathlib.Path("/etc/shadow").read_text("utf-8").splitlines())
    groups = pathlib.Path("/etc/group").read_text("utf-8")
    checks = {
        "the data of redis": lambda: run("redis-cli", "get", "site").strip() == "kept",
        "alice": lambda: pwd.getpwnam("alice").pw_dir == "/home/alice" and re.search("^alice:", groups, re.MULTILINE),
        "alice's password": lambda: shadow["alice"] == ALICE,
        "alice in sudo": lambda: re.search(r"^sudo:.*\balice\b", groups, re.MULTILINE),
        "operator's password": lambda: shadow["operator"] == OPERATOR,
        "the certificate": lambda: CERTIFICATE.read_text("ascii") == "renewed\n",
        "the line in /etc/hosts": lambda: "192.0.2.9 site" in pathlib.Path("/etc/hosts").read_text("utf-8"),
        "the Match block": lambda: MATCH in SSHD.read_text("utf-8"),
        "the line in login.defs": lambda: "# the site's own" in pathlib.Path("/etc/login.defs").read_text("utf-8"),
        "the setting in pwquality.conf": lambda: (
            "minlen = 20" in pathlib.Path("/etc/security/pwquality.conf").read_text("utf-8")
        ),
        "sshd that takes its configuration": lambda: run("sshd", "-t") == "",
        "sudo that takes its rules": lambda: run("visudo", "-c"),
        "packages in order": lambda: run("dpkg", "--audit") == "",
    }
    missing = []
    for name, check in checks.items():
        try:
            there = bool(check())
        except (OSError, KeyError, subprocess.CalledProcessError):
            there = False
        if not there:
            missing.append(name)
    return missing


def main() -> int:
    what = sys.argv[1]
    if what == "work":
        work()
    elif what == "rest":
        run("userdel", "--remove", "alice")
        run("apt-get", "-q", "-y", "purge", "redis-server", "redis-tools")
        SSHD.write_text(SSHD.read_text("utf-8").replace(MATCH, ""), "utf-8")
        run("sed", "-i", "s/^minlen.*//", "/etc/security/pwquality.conf")
    elif what == "immutable":
        pathlib.Path(BANNER).write_text("broken\n", "ascii")
        run("mount", "--bind", BANNER, BANNER)  # nothing takes the place of a mount point
    elif what == "mutable":
        run("umount", BANNER)
    else:
        missing = lost()
        print("Lost:", ", ".join(missing) or "nothing")
        return 1 if missing else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
