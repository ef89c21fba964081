"""What a disk holds, so that only one that is proven empty is ever written to. Reads only.

Kept to what Python 3.8 understands, as preflight runs it on hosts that may be too old.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from ansible_collections.stackwright.cloud.plugins.module_utils.common import command

# Bytes at both ends that must be zero: partition tables, LVM, RAID, file systems and BlueStore keep their labels there.
ENDS = 4 << 20
BLKID_SECONDS = 30.0
# What BlueStore writes at the beginning of a device, with the OSD's identity behind it. Source: BlueStore's
# src/os/bluestore/bluestore_types.h.
BLUESTORE = b"bluestore block device\n"
_KINDS = {"crypto": "encryption", "raid": "part of a RAID or volume group", "filesystem": "a file system"}


def _blkid(path: str) -> list[str]:
    """What blkid finds on a device or in a file.

    :raises OSError: it cannot be asked.
    """
    try:
        done = command.run(["blkid", "--probe", "--output", "export", path], BLKID_SECONDS)
    except command.CommandTimeoutError as error:
        raise OSError(errno.ETIMEDOUT, str(error), path) from error
    fields = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    found = []
    if "PTTYPE" in fields:
        found.append(f"a partition table ({fields['PTTYPE']})")
    if fields.get("TYPE"):
        label = f", called {fields['LABEL']}" if fields.get("LABEL") else ""
        found.append(f"{_KINDS.get(fields.get('USAGE', ''), 'data')} ({fields['TYPE']}{label})")
    # 2 is nothing found; 8 is more than one thing
    if done.returncode == 8:
        found.append("signatures of several kinds")
    elif done.returncode not in (0, 2):
        raise OSError(errno.EIO, f"blkid ended with {done.returncode}: {done.stderr.strip()[-200:]}", path)
    return found


def _kernel(number: int, sys: Path) -> Path:
    """The kernel's directory of a block device."""
    return (sys / "dev" / "block" / f"{os.major(number)}:{os.minor(number)}").resolve()


def uses(number: int, sys: Path = Path("/sys"), proc: Path = Path("/proc")) -> Iterator[str]:
    """Who uses a block device, as the kernel tells it.

    :param number: the device's number.
    """
    directory = _kernel(number, sys)
    parts = sorted(one.name for one in directory.glob("*") if (one / "partition").is_file())
    if parts:
        yield f"partitions ({', '.join(parts)})"
    for holder in sorted(directory.glob("holders/*")):
        name = holder.name
        with contextlib.suppress(OSError):
            name = (holder / "dm" / "name").read_text(encoding="utf-8").strip()
        yield f"part of {name}, which is in use (LVM, RAID or encryption)"
    wanted = f"{os.major(number)}:{os.minor(number)}"
    for line in (proc / "self" / "mountinfo").read_text(encoding="utf-8", errors="replace").splitlines():
        words = line.split()
        if words[2] == wanted:
            yield f"mounted at {words[4]}"
    with contextlib.suppress(FileNotFoundError):
        for line in (proc / "swaps").read_text(encoding="utf-8").splitlines()[1:]:
            with contextlib.suppress(OSError):
                if os.stat(line.split()[0]).st_rdev == number:
                    yield "swap space in use"


def _ends(handle: int, size: int) -> Iterator[bytes]:
    """Both ends, in pieces; of a sparse file those that are there."""
    for start in sorted({0, max(0, size - ENDS)}):
        at, end = start, min(size, start + ENDS)
        while at < end:
            piece = os.pread(handle, min(1 << 20, end - at), at)
            if not piece:
                return
            yield piece
            at += len(piece)


def _label(handle: int) -> str:
    """What BlueStore says of itself; empty where it is not there."""
    head = os.pread(handle, 256, 0)
    if not head.startswith(BLUESTORE):
        return ""
    found = re.match(rb"[0-9a-f-]{36}", head[len(BLUESTORE) :])
    return f"an OSD of Ceph (BlueStore, {found.group().decode() if found else 'unknown identity'})"


def holds(path: str) -> list[str]:
    """What a block device or a file holds, and who uses it; empty where it is proven empty.

    :param path: the device, the file, or a link to it. A file that is not there is empty, a device must be there.
    :raises OSError: it cannot be looked at.
    """
    state = os.stat(path)
    block = stat.S_ISBLK(state.st_mode)
    if not block and not stat.S_ISREG(state.st_mode):
        return ["neither a block device nor a file"]
    found = list(uses(state.st_rdev)) if block else []
    try:
        # an exclusive open of a block device fails as long as the kernel itself uses it
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | (os.O_EXCL if block else 0))
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        return found or ["in use by the kernel"]
    try:
        label = _label(handle)
        found += [label] if label else _blkid(path)
        size = os.lseek(handle, 0, os.SEEK_END)
        if not found and any(piece.count(0) != len(piece) for piece in _ends(handle, size)):
            found.append("data of an unknown kind")
    finally:
        os.close(handle)
    return found
