"""Makes a host on which hardening cannot go well, and takes that back. Run as root: ``python3 hostile.py WHAT``.

``full``: /etc and the journal share a small disk, controls are broken, and the mending does not fit. ``fuller``:
nothing fits any more. ``read-only``: the same disk with room, that refuses writes to /etc; ``journal-read-only``: and
to the journal. ``logs``: a large log and names that no program expects. ``mend`` takes all of it away.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import subprocess
import sys

DISK = "/mnt/small"
JOURNAL = "/var/lib/stackwright/hardening"
LOGS = b"/var/log/hostile"
NAMES = [b"large.log", b"new\nline", b"\xff\xfe bad", b"-rf", b"$(reboot)", b"'\"; reboot"]
SIZE = 8 << 20
RESERVE = 1 << 20  # the journal's own
LARGE = 600 << 10


def run(*argv: str) -> None:
    subprocess.run(argv, check=True)


def full() -> None:
    """Leave room for the journal of what is broken, and not for its mending."""
    os.makedirs(DISK, exist_ok=True)
    run("mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0755", "tmpfs", DISK)
    for name in ("upper", "work", "journal"):
        os.mkdir(f"{DISK}/{name}")
    run("mount", "-t", "overlay", "-o", f"lowerdir=/etc,upperdir={DISK}/upper,workdir={DISK}/work", "overlay", "/etc")
    run("mount", "--bind", f"{DISK}/journal", JOURNAL)
    with open("/etc/issue.net", "a", encoding="ascii") as banner:
        banner.write("more\n")
    # Written after the banner, and before the rules for passwords.
    definitions = pathlib.Path("/etc/login.defs")
    lines = [one for one in definitions.read_text("utf-8").split("\n") if not one.startswith("UMASK")]
    definitions.write_text("\n".join([*lines, "#" * LARGE, "UMASK 022", ""]), "utf-8")
    quality = pathlib.Path("/etc/security/pwquality.conf")
    quality.write_text("".join(f"# {one}\n" for one in quality.read_text("utf-8").splitlines()), "utf-8")
    found = os.statvfs(DISK)
    pathlib.Path(f"{DISK}/filler").write_bytes(bytes(found.f_bavail * found.f_frsize - RESERVE - LARGE - LARGE // 2))


def fuller() -> None:
    with contextlib.suppress(OSError), open(f"{DISK}/filler2", "wb") as filler:
        while filler.write(bytes(4096)):
            filler.flush()


def read_only() -> None:
    os.unlink(f"{DISK}/filler")
    os.unlink(f"{DISK}/filler2")
    run("mount", "-o", "remount,bind,ro", "/etc")


def journal_read_only() -> None:
    run("mount", "-o", "remount,bind,ro", JOURNAL)


def logs() -> None:
    os.mkdir(LOGS, 0o750)
    for name in NAMES:
        with open(LOGS + b"/" + name, "wb") as target:
            target.truncate(200 << 20)
        os.chmod(LOGS + b"/" + name, 0o666)


def mend() -> None:
    for path in ("/etc", JOURNAL, DISK):
        with contextlib.suppress(subprocess.CalledProcessError):
            if os.path.ismount(path):
                run("umount", "--lazy", path)
    with contextlib.suppress(FileNotFoundError):
        os.rmdir(DISK)
    shutil.rmtree(LOGS, ignore_errors=True)


WHAT = {
    "full": full,
    "fuller": fuller,
    "read-only": read_only,
    "journal-read-only": journal_read_only,
    "logs": logs,
    "mend": mend,
}

if __name__ == "__main__":
    WHAT[sys.argv[1]]()
