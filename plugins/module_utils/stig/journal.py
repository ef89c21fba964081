"""The journal of an enforcement: what was there before each change, and the way back.

This file is self-contained on purpose. A copy of it lies beside each journal on the host, where a timer runs it as a
program to undo unproved changes of access (sshd, PAM, accounts, sudo, firewall) when the control node has gone away.
"""

from __future__ import annotations

import contextlib
import difflib
import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BASE = "/var/lib/stackwright/hardening"
RESERVE = 1 << 20
DEFAULT_ACL = "system.posix_acl_default"
# Largest file whose content is kept, and whose content is compared line by line with what became of it.
MOST, MERGED = 32 << 20, 256 << 10
# Seconds after which a run that was cut off cannot have made a change any more.
LONGEST_STEP = 1800
FIRST_USER, NOBODY = 1000, 65534  # numbers of accounts: people's, and that of nobody
# Seconds in which a control node that gets in again confirms what was not in its way.
GRACE = 60
ACCESS_GROUPS = ("sshd", "pam", "account", "sudo", "firewall")
TOOL_ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
    "APT_LISTCHANGES_FRONTEND": "none",
    "NEEDRESTART_SUSPEND": "1",
}


KERNEL_SETTINGS = "/proc/sys"
CONTAINER_MARKS = ("/run/systemd/container", "/run/.containerenv", "/.dockerenv")
UNIT_DIRECTORY = "/etc/systemd/system"
RUNNING = ("active", "reloading", "activating")


class JournalError(Exception):
    """The journal cannot be written, read or followed; the text says which and what to do."""


def in_container(root: str = "") -> bool:
    """Whether this host is a container, which shares its kernel with others."""
    if any(os.path.exists(root + mark) for mark in CONTAINER_MARKS):
        return True
    with contextlib.suppress(OSError):
        if b"container=" in Path(root + "/proc/1/environ").read_bytes():
            return True
    with contextlib.suppress(OSError):
        # The first PID namespace has a fixed inode number in every Linux kernel.
        return os.readlink(root + "/proc/self/ns/pid") != "pid:[4026531836]"
    return False


def run_tool(argv: list[str], timeout: float = 900) -> tuple[int, str]:
    """Run a program with a fixed environment; returns its exit code and its output (both streams)."""
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=TOOL_ENVIRONMENT,
            timeout=timeout, check=False,
        )  # fmt: skip
    except OSError as error:
        return 127, f"{argv[0]}: {error.strerror}"
    except subprocess.TimeoutExpired:
        return 124, f"{argv[0]}: no end after {timeout:.0f} seconds"
    return done.returncode, done.stdout.decode("utf-8", "replace")


# A session of its own, which nobody's end stops half way: a connection that breaks must not leave sshd stopped.
RELOAD_AT_REST = """
trap '' PIPE
code=0
systemctl stop "$@" || code=$?
systemctl daemon-reload || code=$?
systemctl start "$@" || code=$?
exit $code
"""


def reload_units(tool: Callable[[list[str]], tuple[int, str]], root: str = "") -> list[str]:
    """Have systemd read its units anew without losing one that runs.

    systemd keeps a state for every name that a unit mentions. Where such a name has become an alias of a running unit,
    the reload may take the empty state of the name for the unit's own: the unit counts as stopped, its process goes on
    unseen, and systemd itself aborts when that process ends (systemd issues 14141 and 38817). Units with such a new
    alias are stopped while it reads.

    :returns: what could not be done, a sentence each.
    """
    resting = _newly_named(tool, root)
    if "ssh.service" in resting:
        code, output = tool(["sshd", "-t"])
        if code:  # it would not come back
            return [
                f"systemd did not read its units anew, since sshd refuses its configuration: {output.strip()[-200:]}"
            ]
    argv = (
        ["setsid", "--wait", "sh", "-c", RELOAD_AT_REST, "sh", *resting] if resting else ["systemctl", "daemon-reload"]
    )
    code, output = tool(argv)
    if not code:
        return []
    how = f" while {', '.join(resting)} rested" if resting else ""
    return [f"systemctl daemon-reload{how} failed ({code}): {output.strip()[-300:]}"]


def _newly_named(tool: Callable[[list[str]], tuple[int, str]], root: str) -> list[str]:
    """The running units with an alias on disk that systemd still takes for a unit of its own."""
    units: dict[str, str] = {}
    with contextlib.suppress(OSError), os.scandir(root + UNIT_DIRECTORY) as entries:
        for entry in entries:
            target = os.path.basename(os.readlink(entry.path)) if entry.is_symlink() else ""
            if target not in ("", "null", entry.name):
                units[entry.name] = target
    if not units:
        return []
    names = sorted({*units, *units.values()})
    _, output = tool(["systemctl", "show", "--property=Id,ActiveState", *names])
    blocks = [dict(line.partition("=")[::2] for line in one.split("\n")) for one in output.strip("\n").split("\n\n")]
    known = dict(zip(names, blocks, strict=False))
    return sorted(
        {
            unit
            for alias, unit in units.items()
            if known.get(alias, {}).get("Id") == alias and known.get(unit, {}).get("ActiveState") in RUNNING
        }
    )


def sync_directory(path: str) -> None:
    """Make a rename in the directory `path` durable."""
    number = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


# ---------------------------------------------------------------- files, through descriptors
# Copies of what stands in host/files.py, as the rules on systemd and dpkg below are of their own: a program beside the
# journal, which a timer runs, has nothing to import. A test holds the copies the same.


@dataclass
class Place:
    """Where a path is: an open directory, the last component's name, and whose the directories on the way are.

    `owners` are the accounts other than root that a directory belongs to, `shared` tells whether somebody other than
    root can put something into one of them.
    """

    directory: int
    name: str
    owners: set[int]
    shared: bool


class Refused(OSError):
    """A path leads through what belongs to somebody else; nothing was done."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(errno.ELOOP, reason, path)


def _foreign(found: os.stat_result) -> bool:
    return found.st_uid not in (0, os.geteuid())


def _open_to_others(found: os.stat_result) -> bool:
    """Whether accounts other than root can make, rename and remove what is in a directory."""
    sticky = bool(found.st_mode & stat.S_ISVTX)
    return _foreign(found) or (not sticky and bool(found.st_mode & 0o002 or (found.st_mode & 0o020 and found.st_gid)))


@contextlib.contextmanager
def opened(path: str, owners: Iterable[int] | None = None, make: bool = False, root: str = "") -> Iterator[Place]:
    """Open the directory that `path` is in, one component after the other, so that nobody can put another in its place.

    A link on the way is followed only where it is root's and only root can change it.

    :param owners: accounts whose directories may be passed beside root's; any when None.
    :param make: whether missing directories are made (root's, 0755).
    :param root: a directory that takes the place of ``/``, for links as well.
    :raises Refused: where a component is a foreign link, or belongs to somebody not named.
    :raises OSError: where a component is missing or no directory.
    """
    trusted = None if owners is None else {0, os.geteuid(), *owners}
    parts = [one for one in path.split("/") if one not in ("", ".")]
    place = Place(os.open(root or "/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC), "", set(), False)
    stack = [place.directory]
    links = 0
    try:
        queue = parts[:-1]
        while queue:
            part = queue.pop(0)
            if part == "..":
                if len(stack) > 1:
                    os.close(stack.pop())
                continue
            above = os.fstat(stack[-1])
            try:
                number = os.open(part, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=stack[-1])
            except FileNotFoundError:
                if not make:
                    raise
                os.mkdir(part, 0o755, dir_fd=stack[-1])
                number = os.open(part, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=stack[-1])
            stack.append(number)
            found = os.fstat(number)
            if stat.S_ISLNK(found.st_mode):
                links += 1
                if _foreign(found) or _open_to_others(above) or links > 20:
                    raise Refused(path, f"{part} on the way is a link that another account can change")
                target = os.readlink("", dir_fd=number)
                os.close(stack.pop())
                queue = [*(one for one in target.split("/") if one not in ("", ".")), *queue]
                if target.startswith("/"):
                    while len(stack) > 1:
                        os.close(stack.pop())
                continue
            if not stat.S_ISDIR(found.st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
            if trusted is not None and found.st_uid not in trusted:
                raise Refused(path, f"the directory {part} on the way belongs to account {found.st_uid}")
        for number in stack:
            found = os.fstat(number)
            place.shared = place.shared or _open_to_others(found)
            if _foreign(found):
                place.owners.add(found.st_uid)
        place.directory, place.name = stack[-1], parts[-1] if parts else "."
        yield place
    finally:
        for number in stack:
            os.close(number)


def look(place: Place) -> os.stat_result | None:
    """The status of what is at a place, without following a link; None where there is nothing."""
    try:
        return os.stat(place.name, dir_fd=place.directory, follow_symlinks=False)
    except FileNotFoundError:
        return None


def read_at(place: Place, most: int = 64 << 20) -> bytes:
    """The content of the regular file at a place, without following a link.

    :raises OSError: EFBIG where it is larger than `most` bytes, EINVAL where it is no regular file.
    """
    number = os.open(place.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=place.directory)
    with os.fdopen(number, "rb") as source:
        found = os.fstat(number)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", place.name)
        if found.st_size > most:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), place.name)
        return source.read()


def write_at(
    place: Place, content: bytes, mode: int, uid: int, gid: int, mtime_ns: int | None = None,
    xattrs: dict[str, str] | None = None,
) -> None:  # fmt: skip
    """Replace the file at a place by one that nobody else has a handle of."""
    temporary = f".stackwright-{secrets.token_hex(8)}"
    number = os.open(
        temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=place.directory
    )
    try:
        try:
            view = memoryview(content)
            while view:
                view = view[os.write(number, view) :]
            found = os.fstat(number)
            if found.st_uid != os.geteuid() or found.st_nlink != 1:
                raise Refused(place.name, "another account took hold of the new file")
            if os.geteuid() == 0:
                os.fchown(number, uid, gid)
            os.fchmod(number, mode)
            for name, value in (xattrs or {}).items():
                with contextlib.suppress(OSError):
                    os.setxattr(number, name, bytes.fromhex(value))
            if mtime_ns is not None:
                os.utime(number, ns=(mtime_ns, mtime_ns))
            os.fsync(number)
        finally:
            os.close(number)
        os.rename(temporary, place.name, src_dir_fd=place.directory, dst_dir_fd=place.directory)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=place.directory)
        raise
    handle = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=place.directory)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_atomically(
    path: str, content: bytes, mode: int, uid: int, gid: int, mtime_ns: int | None = None,
    owners: Iterable[int] = (), xattrs: dict[str, str] | None = None, make: bool = False, root: str = "",
) -> None:  # fmt: skip
    """Replace `path` by a file with this content, owner and mode, so that a reader sees the old file or the new one.

    A symbolic link at `path` is replaced, never followed. The new file has a name that cannot be foretold until it is
    complete, so that no other account holds it open.

    :param owners: accounts other than root whose directories the path may lead through.
    :param make: whether missing directories are made.
    :param root: a directory that takes the place of ``/``.
    :raises Refused: when the path leads through what belongs to somebody else.
    :raises OSError: when the directory is missing, read-only or full; the old file is then untouched.
    """
    with opened(path, owners, make, root) as place:
        write_at(place, content, mode, uid, gid, mtime_ns, xattrs)


def _attributes_of(handle: int | str) -> dict[str, str]:
    found: dict[str, str] = {}
    with contextlib.suppress(OSError):
        for name in os.listxattr(handle):
            with contextlib.suppress(OSError):
                found[name] = os.getxattr(handle, name).hex()
    return found


def attributes(path: str) -> dict[str, str]:
    """The extended attributes of `path` as hexadecimal text, without following a link."""
    try:
        number = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return {}
    try:
        return {} if stat.S_ISLNK(os.fstat(number).st_mode) else _attributes_of(f"/proc/self/fd/{number}")
    finally:
        os.close(number)


@contextlib.contextmanager
def held(place: Place) -> Iterator[tuple[os.stat_result, str]]:
    """Hold what is at a place: its status, and a name that stands for exactly that, whatever the path becomes."""
    number = os.open(place.name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place.directory)
    try:
        yield os.fstat(number), f"/proc/self/fd/{number}"
    finally:
        os.close(number)


def change_at(
    place: Place, uid: int | None, gid: int | None, mode: Callable[[int], int], was: tuple[int, int] | None = None,
    acl: bytes | None = None,
) -> None:  # fmt: skip
    """Set owner, group, mode and default access control list of what is at a place; nothing is done to a link.

    :param mode: makes the new mode of the one that is found.
    :param was: device and inode of what was seen there before; anything else is left alone.
    :raises Refused: when it is something else by now, or has more names where others can give it some.
    """
    with held(place) as (found, handle):
        if stat.S_ISLNK(found.st_mode):
            return
        if was is not None and (found.st_dev, found.st_ino) != was:
            raise Refused(place.name, "it was replaced while it was looked at")
        if place.shared and found.st_nlink > 1 and not stat.S_ISDIR(found.st_mode):
            raise Refused(place.name, "it has another name, perhaps in a directory of the system")
        bits = mode(stat.S_IMODE(found.st_mode))
        if place.owners and not stat.S_ISDIR(found.st_mode):
            bits &= 0o777  # nobody gets programs that run as root in a directory of their own
        wanted = (found.st_uid if uid is None else uid, found.st_gid if gid is None else gid)
        if (found.st_uid, found.st_gid) != wanted and os.geteuid() == 0:
            os.chown(handle, *wanted)
            os.chmod(handle, bits)
        elif stat.S_IMODE(found.st_mode) != bits:
            os.chmod(handle, bits)
        if acl is not None:
            os.setxattr(handle, DEFAULT_ACL, acl)


# ---------------------------------------------------------------- what came later


class Unclear(Exception):
    """What an enforcement changed cannot be told from what somebody changed later."""


def _edits(old: list[bytes], new: list[bytes]) -> list[tuple[int, int, list[bytes]]]:
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    return [(a, b, new[c:d]) for tag, a, b, c, d in matcher.get_opcodes() if tag != "equal"]


def merge_lines(left: bytes, before: bytes, now: bytes) -> bytes:
    """`now` with the changes from `left` to `before` made, where nobody has touched those lines since.

    :raises Unclear: where somebody has.
    """
    if b"\0" in left + before + now:
        raise Unclear
    base = left.splitlines(keepends=True)
    ours, theirs = _edits(base, before.splitlines(keepends=True)), _edits(base, now.splitlines(keepends=True))
    for start, end, lines in ours:
        for other_start, other_end, other in theirs:
            if (start, end, lines) == (other_start, other_end, other):
                continue
            inserts = start == end and other_start == other_end and start == other_start
            if inserts or (start < other_end and other_start < end):
                raise Unclear
    # What was added beside lines that go or change stays on its side of them: equal places are made in the order of
    # their ends.
    every = sorted({(a, b): (a, b, c) for a, b, c in [*ours, *theirs]}.values(), key=lambda one: one[:2], reverse=True)
    merged = list(base)
    for start, end, lines in every:
        merged[start:end] = lines
    return b"".join(merged)


def added_lines(left: bytes, now: bytes) -> bytes:
    """What was added to a file since, when all of its lines are still there.

    :raises Unclear: when lines were changed or taken away.
    """
    if b"\0" in left + now:
        raise Unclear
    edits = _edits(left.splitlines(keepends=True), now.splitlines(keepends=True))
    if any(start != end for start, end, _ in edits):
        raise Unclear
    return b"".join(line for _, _, lines in edits for line in lines)


# Files of one line per name, with the number of their fields and those that list members.
TABLES: dict[str, tuple[int, tuple[int, ...]]] = {
    "/etc/passwd": (7, ()), "/etc/shadow": (9, ()), "/etc/group": (4, (3,)), "/etc/gshadow": (4, (2, 3)),
    "/etc/subuid": (3, ()), "/etc/subgid": (3, ()),
}  # fmt: skip


def _rows(content: bytes, fields: int) -> dict[bytes, list[bytes]]:
    rows: dict[bytes, list[bytes]] = {}
    for line in content.splitlines():
        row = line.split(b":")
        if len(row) != fields or row[0] in rows:
            raise Unclear
        rows[row[0]] = row
    return rows


def merge_table(path: str, left: bytes, before: bytes, now: bytes, keep_new: bool = False) -> tuple[bytes, list[str]]:
    """A table of accounts as it is now, with only those fields, members and rows set back that the enforcement had
    changed.

    :param keep_new: whether rows that the enforcement brought stay, since the packages that need them do.
    :returns: the table, and what could not be set back, a phrase each.
    :raises Unclear: where a file is no such table.
    """
    fields, lists = TABLES[path]
    was, had, rows = _rows(before, fields), _rows(left, fields), _rows(now, fields)
    kept: list[str] = []
    merged: dict[bytes, list[bytes]] = {}
    for name, row in rows.items():
        shown = name.decode("utf-8", "replace")
        if name not in had:  # somebody made it since
            merged[name] = row
        elif name not in was:
            if keep_new:
                merged[name] = row
            elif row != had[name]:
                merged[name] = row
                kept.append(f"{shown} came with the hardening and was changed since")
        else:
            merged[name], told = _merge_row(row, had[name], was[name], lists)
            kept += [f"{shown}: {one}" for one in told]
    for name, row in was.items():
        if name not in had and name not in rows:  # the enforcement took it away
            merged[name] = row
    return b"".join(b":".join(row) + b"\n" for row in merged.values()), kept


def _merge_row(
    row: list[bytes], had: list[bytes], was: list[bytes], lists: tuple[int, ...]
) -> tuple[list[bytes], list[str]]:
    merged, kept = list(row), []
    for at, value in enumerate(row):
        if had[at] == was[at] or value == was[at]:
            continue
        if value == had[at]:
            merged[at] = was[at]
        elif at in lists:
            members = [one for one in value.split(b",") if one]
            gone, fresh = set(had[at].split(b",")) - set(was[at].split(b",")), was[at].split(b",")
            again = [one for one in fresh if one and one not in had[at].split(b",") and one not in members]
            merged[at] = b",".join([*(one for one in members if one not in gone), *again])
        else:
            kept.append(f"field {at + 1} was changed since")
    return merged, kept


class Journal:
    """The journal of one run, in a directory of its own.

    Entries are added with :meth:`add` and are durable after :meth:`sync`; only then may the changes be made.
    """

    def __init__(self, run_id: str, root: str = "/", base: str = BASE) -> None:
        self.run_id = run_id
        self.root = root.rstrip("/")
        self.directory = f"{self.root}{base}/{run_id}"

    @property
    def exists(self) -> bool:
        """Whether the journal was begun on this host."""
        return os.path.exists(f"{self.directory}/journal.jsonl")

    def begin(self, head: dict[str, Any], program: bytes | None = None) -> None:
        """Make the directory, the reserve that a rollback on a full disk gives back, and the undo program.

        :raises JournalError: when it cannot be written; nothing on the host has been changed then.
        """
        try:
            os.makedirs(f"{self.directory}/blobs", mode=0o700, exist_ok=True)
            os.chmod(self.directory, 0o700)
            with open(f"{self.directory}/reserve", "wb") as reserve:
                reserve.write(b"\0" * RESERVE)
            if program is not None:
                write_atomically(f"{self.directory}/undo.py", program, 0o600, os.geteuid(), os.getegid())
            self.write_head({**head, "run_id": self.run_id, "state": "running"})
            self._append([])
        except OSError as error:
            raise JournalError(
                f"The journal {self.directory} cannot be written: {error.strerror}. Nothing was changed. "
                "Free space or make the file system writable, then run again."
            ) from error

    def write_head(self, head: dict[str, Any]) -> None:
        """Replace the description of the run."""
        content = json.dumps(head, sort_keys=True).encode() + b"\n"
        write_atomically(f"{self.directory}/run.json", content, 0o600, os.geteuid(), os.getegid())

    def head(self) -> dict[str, Any]:
        """The description of the run: run_id, time, profile, state (running, done, undone groups)."""
        try:
            data = json.loads(Path(f"{self.directory}/run.json").read_bytes())
        except (OSError, ValueError) as error:
            raise JournalError(f"{self.directory}/run.json cannot be read: {error}") from error
        return dict(data)

    def _append(self, entries: Iterable[dict[str, Any]]) -> None:
        with open(f"{self.directory}/journal.jsonl", "ab") as log:
            log.writelines(json.dumps(entry, sort_keys=True).encode() + b"\n" for entry in entries)
            log.flush()
            os.fsync(log.fileno())

    def blob(self, content: bytes) -> str:
        """Keep `content`; returns the name under which it is kept."""
        name = hashlib.sha256(content).hexdigest()
        path = f"{self.directory}/blobs/{name}"
        if not os.path.exists(path):
            write_atomically(path, content, 0o600, os.geteuid(), os.getegid())
        return name

    def before(self, path: str, content: bool = True) -> dict[str, Any]:
        """What is at `path` now, keeping its content in a blob where `content` is asked for.

        :returns: type, mode, uid, gid, mtime_ns, number (the inode), digest and xattrs; beside them `owners` and
            `shared`, as in
            :class:`Place`, where the path leads through what is not root's alone.
        :raises OSError: when it cannot be read, or the path leads through a link of somebody else.
        """
        return self._state(path, MOST if content else -1, MOST)

    def _state(self, path: str, read: int, keep: int) -> dict[str, Any]:
        """The state of a path: files of up to `read` bytes with a digest, those of up to `keep` bytes with a blob."""
        try:
            with opened(path, root=self.root) as place:
                found = look(place)
                return {"type": "absent"} if found is None else self._describe(place, found, read, keep)
        except (FileNotFoundError, NotADirectoryError):
            return {"type": "absent"}

    def _describe(self, place: Place, found: os.stat_result, read: int, keep: int) -> dict[str, Any]:
        state: dict[str, Any] = {
            "mode": stat.S_IMODE(found.st_mode),
            "uid": found.st_uid,
            "gid": found.st_gid,
            "mtime_ns": found.st_mtime_ns,
            "number": found.st_ino,
            "device": found.st_dev,
        }
        if place.owners:
            state["owners"] = sorted(place.owners)
        if place.shared:
            state["shared"] = True
        if stat.S_ISLNK(found.st_mode):
            return {**state, "type": "link", "target": os.readlink(place.name, dir_fd=place.directory)}
        if not stat.S_ISDIR(found.st_mode) and not stat.S_ISREG(found.st_mode):
            return {**state, "type": "other"}
        with held(place) as (_, handle):
            state["xattrs"] = _attributes_of(handle)
        if stat.S_ISDIR(found.st_mode):
            return {**state, "type": "directory"}
        state["type"] = "file"
        if found.st_size <= read:
            content = read_at(place)
            state["digest"] = hashlib.sha256(content).hexdigest()
            if len(content) <= keep:
                state["blob"] = self.blob(content)
        return state

    def seal(self, entries: Iterable[dict[str, Any]]) -> None:
        """Note what the enforcement left where these entries announced a change, so that a rollback can tell what came
        later."""
        paths = {one["path"]: one for one in entries if one["kind"] == "file"}
        self.add([self.left(one) for one in paths.values()])

    def left(self, entry: dict[str, Any]) -> dict[str, Any]:
        """The entry that says what is at another entry's path now."""
        before = entry["before"]
        read = MOST if before["type"] != "file" or "digest" in before else -1
        state: dict[str, Any] = {"type": "unknown"}
        with contextlib.suppress(OSError):
            state = self._state(entry["path"], read, MERGED)
        return {"kind": "left", "group": entry["group"], "path": entry["path"], "state": state}

    def forget_blobs(self) -> None:
        """Remove the kept contents that no entry names any more."""
        text = Path(f"{self.directory}/journal.jsonl").read_text("ascii")
        with os.scandir(f"{self.directory}/blobs") as entries:
            for entry in entries:
                if entry.name not in text:
                    os.unlink(entry.path)

    def add(self, entries: list[dict[str, Any]]) -> None:
        """Append entries and make them durable.

        :raises JournalError: when that fails; the changes they announce must not be made.
        """
        try:
            self._append(entries)
        except OSError as error:
            raise JournalError(
                f"The journal {self.directory} cannot be written: {error.strerror}. The change it "
                f"announces was not made."
            ) from error

    def entries(self) -> list[dict[str, Any]]:
        """All entries in order; a half-written last line (a crash while appending) announces nothing and is left
        out."""
        found: list[dict[str, Any]] = []
        try:
            lines = Path(f"{self.directory}/journal.jsonl").read_bytes().split(b"\n")
        except OSError as error:
            raise JournalError(f"{self.directory}/journal.jsonl cannot be read: {error.strerror}") from error
        for at, line in enumerate(lines):
            if not line:
                continue
            try:
                found.append(json.loads(line))
            except ValueError as error:
                if at == len(lines) - 1:
                    break
                raise JournalError(f"{self.directory}/journal.jsonl, line {at + 1} is damaged: {error}") from error
        return found

    def steps(self) -> list[dict[str, Any]]:
        """The entries that announce a change, each with what it left (`left`) where that was noted."""
        found: list[dict[str, Any]] = []
        latest: dict[str, dict[str, Any]] = {}
        for one in self.entries():
            if one["kind"] == "left":
                if one["path"] in latest and one["state"]["type"] != "unknown":
                    latest[one["path"]]["left"] = one["state"]
                continue
            found.append(one)
            if one["kind"] == "file":
                latest[one["path"]] = one
        return found

    def last_written(self) -> float:
        """When the journal was written last, in seconds since the epoch."""
        with contextlib.suppress(OSError):
            return os.stat(f"{self.directory}/journal.jsonl").st_mtime
        return 0

    def release_reserve(self) -> None:
        """Give the room back that was kept for a rollback on a full disk."""
        with contextlib.suppress(OSError):
            os.unlink(f"{self.directory}/reserve")

    def close(self, groups: list[str]) -> None:
        """Mark the run as done, with the groups of access changes that it made."""
        self.write_head({**self.head(), "state": "done", "groups": groups})

    def undo(
        self, groups: Iterable[str] | None = None, tool: Callable[[list[str]], tuple[int, str]] = run_tool
    ) -> list[str]:
        """Take the run back, newest change first; what is no longer as the run left it stays.

        :param groups: only these groups of changes; all when None.
        :returns: what could not be restored and what was left alone, a sentence each; empty when all is as before the
            run.
        """
        outcome = self.follow(groups, tool)
        return [*outcome.problems, *outcome.kept]

    def foresee(self, seen: dict[str, dict[str, Any]]) -> Outcome:
        """What :meth:`undo` of the whole run would do, without doing it.

        :param seen: the states of paths after later runs would be undone; this run's are added.
        """
        return Way(self, None, seen).outcome()

    def follow(
        self, groups: Iterable[str] | None = None, tool: Callable[[list[str]], tuple[int, str]] = run_tool
    ) -> Outcome:
        """As :meth:`undo`, and tells what was done beside it."""
        wanted = None if groups is None else set(groups)
        head = self.head()
        self.release_reserve()
        way = Way(self, wanted)
        outcome = way.go(tool)
        if not outcome.problems:  # what was left alone was left for good; what failed can be tried again
            done = sorted({*head.get("undone", []), *(one["group"] for one in way.entries)})
            state = "rolled back" if wanted is None else head.get("state", "running")
            self.write_head({**head, "undone": done, "state": state, "kept": [*head.get("kept", []), *outcome.kept]})
        return outcome


@dataclass
class Outcome:
    """What taking a run back did, or would do.

    `problems` are failures, `kept` what was left alone since somebody changed it after the run, `told` what was done; a
    sentence each. `parts` are the files before and after, as in a diff.
    """

    problems: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    parts: list[dict[str, str]] = field(default_factory=list)


# What tools keep of their own: right again when they were not used since, and theirs otherwise.
OF_TOOLS = (
    "/var/lib/dpkg/",
    "/var/lib/apt/",
    "/var/cache/",
    "/var/lib/ucf/",
    "/var/lib/pam/",
    "/var/lib/systemd/",
    "/var/backups/",
    "/etc/passwd-",
    "/etc/shadow-",
    "/etc/group-",
    "/etc/gshadow-",
    "/etc/subuid-",
    "/etc/subgid-",
    "/etc/ld.so.cache",
    "/etc/mailcap",
    "/etc/.pwd.lock",
)
# Their lines depend on each other.
WHOLE = ("/etc/pam.d/",)
# Password hashes, keys, and what they lie beside, whatever their modes say. /etc/shadow- and its like are meant, too.
SECRET = (
    "/etc/shadow",
    "/etc/gshadow",
    "/etc/security/opasswd",
    "/etc/sssd/",
    "/etc/grub.d/",
    "/boot/grub/",
    "/etc/ssl/private/",
    "/etc/ssh/ssh_host_",
    "/etc/krb5.keytab",
)
# Rules that hold no secret, though hardening closes them.
PLAIN = (
    "/etc/ssh/sshd_config",
    "/etc/audit/",
    "/etc/cron",
    "/etc/at.",
    "/etc/security/",
    "/etc/sysctl",
    "/etc/pam.d/",
    "/etc/modprobe.d/",
    "/etc/login.defs",
)


def is_secret(path: str, mode: int | None) -> bool:
    """Whether the text of a file stays hidden.

    :param mode: its permission bits, or those that a new file is to get; None where they are not known.
    """
    if path.startswith(SECRET):
        return True
    return mode is not None and not mode & 0o004 and not path.startswith(PLAIN)


class Way:
    """The way back over one run: first what each path is to become, then the doing."""

    def __init__(
        self, journal: Journal, groups: set[str] | None, seen: dict[str, dict[str, Any]] | None = None
    ) -> None:
        self.journal, self.root = journal, journal.root
        undone = set(journal.head().get("undone", []))
        entries = journal.steps()
        self.entries = [
            one for one in entries if one["group"] not in undone and (groups is None or one["group"] in groups)
        ]
        self.result = Outcome()
        self.now: dict[str, dict[str, Any]] = {} if seen is None else seen
        self.first: dict[str, dict[str, Any]] = {}
        self.kept: dict[str, str] = {}
        self.deadline = (journal.last_written() + LONGEST_STEP) * 1_000_000_000
        at = next((at for at, one in enumerate(self.entries) if one["kind"] == "packages"), None)
        self.packages = None if at is None else self.entries[at]
        late = self.entries if at is None else self.entries[at + 1 :]
        early = [] if at is None else self.entries[:at]
        self.leaving = Leaving(self.packages, self.root) if self.packages is not None else None
        self.as_left = self._database_as_left(early)
        self.late = self._decide(late)
        self.early = self._decide(early)
        if self.leaving is not None:
            self.leaving.spare({one for one in self.kept if not one.startswith(OF_TOOLS)})

    def _database_as_left(self, early: list[dict[str, Any]]) -> bool:
        """Whether no package was changed since the run's own transaction."""
        if self.packages is not None and "planned" in self.packages and "came" not in self.packages:
            return False  # the run was cut off in the middle of it
        status = next((one for one in early if one.get("path") == "/var/lib/dpkg/status"), None)
        if status is None or "left" not in status:
            return True
        now = self._look("/var/lib/dpkg/status", status)
        return bool(now.get("digest") == status["left"].get("digest"))

    # ------------------------------------------------------------ what is to become of each path

    def _look(self, path: str, entry: dict[str, Any]) -> dict[str, Any]:
        """The state of a path as the steps so far would leave it; files with their content."""
        if path not in self.now:
            self.now[path] = self.journal._state(path, -1, -1)
        state = self.now[path]
        self.first.setdefault(path, state)
        reads = "digest" in entry["before"] or entry["before"]["type"] != "file"
        if state["type"] == "file" and reads and "digest" not in state:
            with opened(path, root=self.root) as place:
                content = read_at(place)
            state |= {"content": content, "digest": hashlib.sha256(content).hexdigest()}
        return state

    def _decide(self, entries: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """The states that the paths of these entries are to get, newest change first."""
        targets: dict[str, dict[str, Any]] = {}
        for entry in reversed(entries):
            if entry["kind"] != "file":
                continue
            path = entry["path"]
            try:
                now = self._look(path, entry)
                target = self._target(entry, now)
            except Refused as error:
                self._keep(path, str(error.strerror))
                continue
            except OSError as error:
                self.result.problems.append(f"{_shown(path)}: {error.strerror}")
                continue
            if target is not None and target != now:
                if (content := self._content(target)) is not None:
                    target = {**target, "content": content}
                targets.pop(path, None)
                targets[path] = self.now[path] = target
        return targets

    def _keep(self, path: str, why: str) -> None:
        self.kept.setdefault(path, why)

    def _content(self, state: dict[str, Any]) -> bytes | None:
        """The content of a state of a file; None where it is not known."""
        if "content" in state:
            return bytes(state["content"])
        if "blob" in state:
            return Path(f"{self.journal.directory}/blobs/{state['blob']}").read_bytes()
        return None

    def _target(self, entry: dict[str, Any], now: dict[str, Any]) -> dict[str, Any] | None:
        """What a path is to become; None leaves it as it is."""
        path = entry["path"]
        before: dict[str, Any] = entry["before"]
        left: dict[str, Any] | None = entry.get("left") or self._guess(entry, now)
        if _alike(now, before):
            dated = now["type"] != "file" or "digest" not in before or now["mtime_ns"] == before["mtime_ns"]
            return None if dated or left is None or now["mtime_ns"] != left.get("mtime_ns") else before
        if "left" not in entry and not self.as_left and path.startswith((*OF_TOOLS, *TABLES)):
            return (
                None  # nobody knows what packages brought before the run was cut off, and accounts of theirs do no harm
            )
        if left is None:
            self._keep(path, "it was changed long after the run was cut off")
            return None
        if self.leaving is not None and entry["group"] == "packages" and self.leaving.stays(path):
            return None
        if now["type"] == left["type"] == before["type"] == "file" and "digest" not in before:
            return self._attributes(path, now, left, before) if self._same_one(now, left) else None
        if now["type"] == left["type"] == before["type"] and now["type"] in ("directory", "other"):
            return self._attributes(path, now, left, before)
        if before["type"] == "absent":
            return self._gone(entry, now, left)
        if now["type"] == "absent" and left["type"] != "absent":
            if "digest" in before or before["type"] != "file":
                self._keep(path, "it was removed since")
            return None
        if now["type"] == left["type"] == before["type"] == "file":
            return self._mixed(entry, now, left)
        if _alike(now, left):
            return before
        self._keep(path, "it was changed since")
        return None

    def _guess(self, entry: dict[str, Any], now: dict[str, Any]) -> dict[str, Any] | None:
        """What a run that was cut off left: what it meant to make, or whatever is there unless that came long after."""
        if "meant" in entry:
            meant: dict[str, Any] = entry["meant"]
            return meant
        return None if now.get("mtime_ns", 0) > self.deadline else now

    def _same_one(self, now: dict[str, Any], left: dict[str, Any]) -> bool:
        """Whether it is the very file that was changed; where only root can put another there, the name tells."""
        shared = now.get("shared") or left.get("shared")
        return not shared or bool(now["number"] == left.get("number"))

    def _attributes(
        self, path: str, now: dict[str, Any], left: dict[str, Any], before: dict[str, Any]
    ) -> dict[str, Any] | None:
        """The state with mode, owner and group set back, each where it is as the run left it."""
        if before.get("shared") and now["number"] != left.get("number", now["number"]):
            return None
        target, changed = dict(now), []
        for key, word in (("mode", "mode"), ("uid", "owner"), ("gid", "group")):
            if now[key] == left[key]:
                target[key] = before[key]
            elif now[key] != before[key]:
                changed.append(word)
        if before["type"] == "directory" and now.get("xattrs") == left.get("xattrs") and "xattrs" in before:
            target["xattrs"] = before["xattrs"]
        if changed:
            self._keep(path, f"its {' and '.join(changed)} {'was' if len(changed) == 1 else 'were'} changed since")
        if before.get("owners"):
            target["owners"] = before["owners"]
        return target

    def _gone(self, entry: dict[str, Any], now: dict[str, Any], left: dict[str, Any]) -> dict[str, Any] | None:
        """The run made what is there: it goes, apart from what somebody added."""
        path = entry["path"]
        absent = {"type": "absent", "owners": left.get("owners", [])}
        if now["type"] == "absent":
            return None
        if now.get("shared") and now["number"] != left.get("number", now["number"]):
            self._keep(path, "somebody else has put it there since")
            return None
        if now["type"] == left["type"] == "directory" or (
            now["type"] == left["type"] == "link" and now["target"] == left["target"]
        ):
            return absent
        if now["type"] == left["type"] == "file":
            if now.get("digest") == left.get("digest"):
                return absent
            made, found = self._content(left), self._content(now)
            if made is not None and found is not None and entry["group"] != "packages":
                with contextlib.suppress(Unclear):
                    rest = added_lines(made, found)
                    return {**now, "content": rest, "merged": True} if rest.strip() else absent
        if entry["group"] == "packages" and self.leaving is not None and not path.startswith("/etc/"):
            return absent  # what a program that leaves has kept for itself
        self._keep(path, "the hardening made it, and it was changed since")
        return None

    def _mixed(self, entry: dict[str, Any], now: dict[str, Any], left: dict[str, Any]) -> dict[str, Any] | None:
        """A file whose content the run changed: as before, or with what came later kept in it."""
        path, before = entry["path"], entry["before"]
        found, had, was = self._content(now), self._content(left), self._content(before)
        if was is None or now["digest"] in (before.get("digest"), left.get("digest")):
            target = self._attributes(path, now, left, before)
            if target is None:
                return None
            if was is not None:
                target |= {
                    "content": was,
                    "digest": hashlib.sha256(was).hexdigest(),
                    "xattrs": before.get("xattrs", {}),
                }
                if all(target[key] == before[key] for key in ("mode", "uid", "gid")):
                    target["mtime_ns"] = before["mtime_ns"]
            return target
        try:
            if found is None or had is None or path.startswith(WHOLE):
                raise Unclear
            if path in TABLES:
                stay = entry["group"] == "packages" and self.leaving is not None and bool(self.leaving.kept)
                content, told = merge_table(path, had, was, found, stay)
                for one in told:
                    self._keep(path, one)
            else:
                content = merge_lines(had, was, found)
        except Unclear:
            if not path.startswith(OF_TOOLS):
                self._keep(path, "it was changed since, where the hardening had changed it")
            return None
        target = self._attributes(path, now, left, before) or dict(now)
        if not self._sound(path, content):
            self._keep(path, "what was changed since does not go with what was there before")
            return None
        return {**target, "content": content, "digest": hashlib.sha256(content).hexdigest(), "merged": True}

    def _sound(self, path: str, content: bytes) -> bool:
        """Whether sudo takes a file that was put together: one wrong line stops it for everybody."""
        if not path.startswith("/etc/sudoers") or self.root:
            return True
        with tempfile.NamedTemporaryFile() as candidate:
            candidate.write(content)
            candidate.flush()
            return run_tool(["visudo", "-c", "-q", "-f", candidate.name])[0] == 0

    # ------------------------------------------------------------ the telling

    def outcome(self) -> Outcome:
        """What would be done."""
        result = self.result
        targets = {**self.late, **self.early}
        for path, target in sorted(targets.items()):
            if not path.startswith(OF_TOOLS):
                self._tell(path, target)
        for entry in self.entries:
            if entry["kind"] == "sysctl":
                result.told.append(f"sysctl {entry['key']} becomes {entry['value']}")
            elif entry["kind"] == "unit":
                result.told.append(f"{entry['unit']} {'runs' if entry['active'] else 'is stopped'}")
        if self.leaving is not None:
            result.told += [f"{' '.join(argv)} is run" for argv in self.leaving.commands()]
            result.kept += self.leaving.told()
        self._tell_kept()
        return result

    def _tell(self, path: str, target: dict[str, Any]) -> None:
        first = self.first[path]
        word = "is removed" if target["type"] == "absent" else "is restored" if not target.get("merged") else (
            "loses what the hardening had put into it, and keeps what came later"
        )  # fmt: skip
        self.result.told.append(f"{_shown(path)} {word}")
        before, after = self._text(path, first), self._text(path, target)
        if before != after:
            self.result.parts.append(
                {"before_header": _shown(path), "after_header": _shown(path), "before": before, "after": after}
            )

    def _text(self, path: str, state: dict[str, Any]) -> str:
        if state["type"] == "absent":
            return ""
        if state["type"] == "link":
            return f"link to {state['target']}\n"
        facts = f"mode {state['mode']:04o} owner {state['uid']} group {state['gid']}\n"
        if is_secret(path, state["mode"]):
            return f"{facts}(secret {state.get('digest', '')[:8]})\n"
        content = self._content(state) or b""
        return facts + (content.decode("utf-8", "replace") if len(content) <= MERGED else "(large)\n")

    def _tell_kept(self) -> None:
        for path, why in sorted(self.kept.items()):
            if not path.startswith(OF_TOOLS):
                self.result.kept.append(
                    f"{_shown(path)} stays as it is, since {why}. What was there before is {self._where(path)}."
                )

    def _where(self, path: str) -> str:
        entry = next((one for one in self.entries if one["kind"] == "file" and one["path"] == path), None)
        before = entry["before"] if entry else {"type": "absent"}
        if "blob" in before:
            return f"in {self.journal.directory[len(self.root) :]}/blobs/{before['blob']}"
        if before["type"] == "absent":
            return "nothing"
        return f"mode {before['mode']:04o}, owner {before['uid']}, group {before['gid']}"

    # ------------------------------------------------------------ the doing

    def go(self, tool: Callable[[list[str]], tuple[int, str]]) -> Outcome:
        """Take the run back."""
        result = self.result
        for entry in reversed(self.entries):
            if entry["kind"] == "before-undo":
                tool(entry["argv"])
        self._make(self.late)
        for entry in reversed(self.entries):
            if entry["kind"] == "sysctl":
                result.problems += _restore_setting(
                    entry["key"], entry["value"], in_container(self.root), entry.get("set")
                )
        if self.leaving is not None:
            self._change_packages(tool, self.leaving)
        self._make(self.early)
        if any(one["kind"] == "file" and "/systemd/" in one["path"] for one in self.entries):
            result.problems += reload_units(tool, self.root)
        commands = [
            argv for entry in reversed(self.entries) if entry["kind"] == "unit" for argv in _unit_commands(entry)
        ]
        after: list[list[str]] = []
        for entry in reversed(self.entries):
            if entry["kind"] == "after-undo" and entry["argv"] not in after:
                after.append(entry["argv"])
        if self.packages is not None:
            after.append(["systemctl", "reset-failed"])
        for argv in commands + after:
            code, output = tool(argv)
            gone = argv[0] == "systemctl" and ("not loaded" in output or "not found" in output)
            gone = gone or (
                code == 127 and self.packages is not None
            )  # the program went with the package that the run had brought
            if code and not gone:
                result.problems.append(f"{' '.join(argv)} failed ({code}): {output.strip()[-300:]}")
        self._tell_kept()
        return result

    def _make(self, targets: dict[str, dict[str, Any]]) -> None:
        """Give the paths their states: files first, then directories that go, deepest first."""
        directories = [
            path for path, one in targets.items() if one["type"] == "absent" and self.first[path]["type"] == "directory"
        ]
        for path, target in targets.items():
            if path not in directories:
                self._make_one(path, target)
        for path in sorted(directories, key=lambda one: one.count("/"), reverse=True):
            self._make_one(path, targets[path])

    def _make_one(self, path: str, target: dict[str, Any]) -> None:
        try:
            self._put(path, target)
        except (FileNotFoundError, NotADirectoryError) as error:
            if target["type"] != "absent":
                self.result.problems.append(f"{_shown(path)}: {error.strerror}")
        except OSError as error:
            if error.errno == errno.ENOTEMPTY:
                self._keep(path, "it holds what came later")
            elif isinstance(error, Refused):
                self._keep(path, str(error.strerror))
            else:
                self.result.problems.append(f"{_shown(path)}: {error.strerror}")

    def _put(self, path: str, target: dict[str, Any]) -> None:
        owners = target.get("owners", ())
        with opened(path, owners, make=target["type"] != "absent", root=self.root) as place:
            found = look(place)
            kind = None if found is None else stat.S_IFMT(found.st_mode)
            wanted = {"link": stat.S_IFLNK, "directory": stat.S_IFDIR, "file": stat.S_IFREG, "other": kind}.get(
                target["type"]
            )
            if found is not None and kind != wanted:
                _take_away(place, found)
                found = None
            if target["type"] == "absent":
                return
            if target["type"] == "link":
                if found is None or os.readlink(place.name, dir_fd=place.directory) != target["target"]:
                    if found is not None:
                        os.unlink(place.name, dir_fd=place.directory)
                    os.symlink(target["target"], place.name, dir_fd=place.directory)
                if os.geteuid() == 0:
                    os.chown(place.name, target["uid"], target["gid"], dir_fd=place.directory, follow_symlinks=False)
                return
            if target["type"] == "directory" and found is None:
                os.mkdir(place.name, 0o700, dir_fd=place.directory)
            content = self._content(target) if target["type"] == "file" else None
            if content is not None and (found is None or read_at(place) != content):
                mtime = None if target.get("merged") else target["mtime_ns"]
                xattrs = target.get("xattrs", {})
                write_at(place, content, target["mode"], target["uid"], target["gid"], mtime, xattrs)
                return
            if found is None and target["type"] != "directory":
                return
            change_at(place, target["uid"], target["gid"], lambda mode: int(target["mode"]))
            self._details(place, target)

    def _details(self, place: Place, target: dict[str, Any]) -> None:
        with held(place) as (found, handle):
            if target["type"] == "directory" and "xattrs" in target:
                _restore_attributes(handle, target["xattrs"])
            if "content" in target and not target.get("merged") and found.st_mtime_ns != target["mtime_ns"]:
                os.utime(handle, ns=(target["mtime_ns"], target["mtime_ns"]))

    def _change_packages(self, tool: Callable[[list[str]], tuple[int, str]], leaving: Leaving) -> None:
        result = self.result
        kept_before = {
            one["path"] for one in self.entries if one["kind"] == "file" and one["before"]["type"] != "absent"
        }
        commands = leaving.commands()
        if not commands:
            result.kept += leaving.told()
            return
        snapshot = self._snapshot() if self.as_left else {}
        staying = {path for one in (*leaving.kept, *leaving.spared) for path in leaving._paths(one, "list")}
        kept_by_programs = [one for one in leaving.entry.get("state", []) if one not in staying]
        there = _listing(self.root)
        if units := leaving.units():
            tool(["systemctl", "stop", *units])  # a package may leave its program running
        failed = False
        for argv in commands:
            code, output = tool(argv)
            if code:
                failed = True
                result.problems.append(f"{' '.join(argv)} failed ({code}): {output.strip()[-300:]}")
        result.kept += leaving.told()
        for path in sorted(_listing(self.root) - there, reverse=True):
            if path not in kept_before:  # backups that maintainer scripts make while they remove
                with contextlib.suppress(OSError), opened(path, root=self.root) as place:
                    if found := look(place):
                        _take_away(place, found)
        for path in kept_by_programs if not failed else []:
            self._clear(path)
        if failed or leaving.kept or not self.as_left:
            self.early = {path: one for path, one in self.early.items() if not path.startswith(OF_TOOLS)}
            return
        for path, state in snapshot.items():  # what maintainer scripts change while they remove
            if (
                path not in self.early
                and path not in self.kept
                and not _alike(self.journal._state(path, MOST, -1), state)
            ):
                self.first.setdefault(path, state)
                self._make_one(path, state)

    def _clear(self, path: str) -> None:
        """Remove a directory in which a program kept its state that came with the run and is gone now, unless it holds
        people's files."""
        try:
            with opened(path, root=self.root) as place:
                found = look(place)
                if found is None or not stat.S_ISDIR(found.st_mode) or place.shared:
                    return
                for _, directories, files, number in os.fwalk(place.name, dir_fd=place.directory):
                    for name in (*directories, *files):
                        owner = os.stat(name, dir_fd=number, follow_symlinks=False).st_uid
                        if FIRST_USER <= owner < NOBODY:
                            self._keep(path, f"it holds files of account {owner}")
                            return
                shutil.rmtree(place.name, dir_fd=place.directory)
        except FileNotFoundError:
            return
        except OSError as error:
            self.result.problems.append(f"{_shown(path)}: {error.strerror}")

    def _snapshot(self) -> dict[str, dict[str, Any]]:
        """The files that maintainer scripts change while packages go, with their content."""
        found: dict[str, dict[str, Any]] = {}
        for path in [
            *_listing(self.root),
            *_below(f"{self.root}/var/lib/dpkg", self.root),
            "/var/lib/apt/extended_states",
        ]:
            if path.startswith("/var/lib/dpkg/info/"):
                continue
            with contextlib.suppress(OSError), opened(path, root=self.root) as place:
                status = look(place)
                if status is None or not stat.S_ISREG(status.st_mode) or status.st_size > MOST or place.shared:
                    continue
                state = self.journal._describe(place, status, -1, -1)
                state["content"] = read_at(place)
                state["digest"] = hashlib.sha256(state["content"]).hexdigest()
                found[path] = state
        return found


def _shown(path: str) -> str:
    return "".join(one if one.isprintable() else f"\\x{ord(one) & 0xFF:02x}" for one in path)


def _alike(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two states are the same in what an enforcement changes."""
    if one["type"] != other["type"]:
        return False
    if one["type"] == "absent":
        return True
    if one["type"] == "link":
        return bool(one["target"] == other["target"])
    keys = ["mode", "uid", "gid"]
    if "digest" in one and "digest" in other:
        keys.append("digest")
    if one["type"] == "directory" and "xattrs" in one and "xattrs" in other:
        keys.append("xattrs")
    return all(one[key] == other[key] for key in keys)


def _take_away(place: Place, found: os.stat_result) -> None:
    """Remove what is at a place; a directory only when it is empty."""
    if stat.S_ISDIR(found.st_mode):
        os.rmdir(place.name, dir_fd=place.directory)
    else:
        os.unlink(place.name, dir_fd=place.directory)


def _restore_attributes(handle: str, before: dict[str, str]) -> None:
    """Give a directory the extended attributes that it had."""
    now = _attributes_of(handle)
    for name in set(now) - set(before):
        os.removexattr(handle, name)
    for name, value in before.items():
        if now.get(name) != value:
            os.setxattr(handle, name, bytes.fromhex(value))


def _restore_setting(key: str, value: str, container: bool, made: str | None) -> list[str]:
    """Set the running value of a kernel setting back, where it is as the run had set it; what stands in the way."""
    if container and not key.startswith("net."):
        return []  # it belongs to the kernel that containers share, and was never changed
    place = Path(KERNEL_SETTINGS, key.replace(".", "/"))
    try:
        now = place.read_text("ascii").strip()
        if made is not None and now.split() not in (made.split(), value.split()):
            return [f"sysctl {key} stays {now}, since somebody has set it since; it was {value} before."]
        if now != value:
            place.write_text(value, "ascii")
    except FileNotFoundError:
        pass  # it went with its module
    except OSError as error:
        return [
            f"sysctl {key} could not be set back to {value}: {error.strerror}. The kernel takes some "
            f"settings back only when it "
            "starts: restart the host."
        ]
    return []


def _unit_commands(entry: dict[str, Any]) -> Iterator[list[str]]:
    unit = entry["unit"]
    # The links of enablement are restored as files; only what runs is left to do here.
    yield ["systemctl", "start" if entry["active"] else "stop", unit]


def _installed(root: str) -> dict[str, str]:
    versions: dict[str, str] = {}
    with contextlib.suppress(OSError):
        text = Path(f"{root}/var/lib/dpkg/status").read_text("utf-8", "replace")
        for block in text.split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line and line[0] != " ")
            if fields.get("Status", "").split()[-1:] in (["installed"], ["config-files"]):
                suffix = "" if fields["Status"].endswith(" installed") else " (configuration)"
                versions[fields["Package"] + suffix] = fields.get("Version", "")
    return versions


def _below(top: str, root: str) -> Iterator[str]:
    """Every path below a directory, from the root that a path is told by; links are not followed."""
    stack = [top]
    while stack:
        directory = stack.pop()
        with contextlib.suppress(OSError), os.scandir(directory) as entries:
            for entry in entries:
                yield entry.path[len(root) :]
                if entry.is_dir(follow_symlinks=False):
                    stack.append(entry.path)


def _listing(root: str) -> set[str]:
    """Paths where maintainer scripts leave things behind."""
    places = ("/etc", "/var/lib/ucf", "/var/lib/systemd", "/var/lib/dpkg/alternatives", "/var/backups")
    return {path for one in places for path in _below(root + one, root)}


CONFIGURATION = " (configuration)"


class Leaving:
    """What becomes of the packages of a run: those that it brought go, unless something needs them, and those it took
    come back."""

    def __init__(self, entry: dict[str, Any], root: str) -> None:
        self.entry, self.root = entry, root
        self.now = _installed(root)
        before: dict[str, str] = entry["before"]
        came = {one.removesuffix(CONFIGURATION) for one in set(self.now) - set(before)}
        if "came" in entry or "planned" in entry:
            came &= {*entry.get("came", entry.get("planned", ()))}
        self.kept = needed(root, came)
        self.came = sorted(came - set(self.kept))
        every = [one for one in before if not one.endswith(CONFIGURATION)]
        went = entry.get("went", entry.get("removing", every))
        self.went = sorted(one for one in went if one not in self.now)
        self.spared: dict[str, str] = {}
        self.staying = set().union(*(self._paths(one, "list") for one in self.kept))

    def stays(self, path: str) -> bool:
        """Whether a path belongs to a package of the run that stays."""
        return path in self.staying

    def _paths(self, package: str, kind: str) -> set[str]:
        found: set[str] = set()
        for name in (package, f"{package}:{_architecture()}"):
            with contextlib.suppress(OSError):
                text = Path(f"{self.root}/var/lib/dpkg/info/{name}.{kind}").read_text("utf-8", "replace")
                found |= {line.split()[-1] for line in text.splitlines() if line.strip()}
        return found

    def spare(self, changed: set[str]) -> None:
        """Keep the configuration of packages whose files somebody changed since."""
        for name in self.came:
            if mine := sorted(self._paths(name, "conffiles") & changed):
                self.spared[name] = mine[0]

    def units(self) -> list[str]:
        """The units of the packages that go, which may go on running without them."""
        paths = {path for one in self.came for path in self._paths(one, "list")}
        kinds = (".service", ".socket", ".timer", ".path")
        names = {one.rsplit("/", 1)[1] for one in paths if "/systemd/system/" in one and one.endswith(kinds)}
        return sorted(one for one in names if "@" not in one)

    def commands(self) -> list[list[str]]:
        """The commands that bring the package set back."""
        return list(_package_commands(self.entry, self.came, self.went, set(self.spared)))

    def told(self) -> list[str]:
        """What stays, and why."""
        found = [f"The package {one} stays, since {why} needs it." for one, why in sorted(self.kept.items())]
        found += [
            f"The configuration of package {one} stays, since {path} was changed since the run."
            for one, path in sorted(self.spared.items())
        ]
        upgraded = self.entry.get("upgraded", {})
        return found + [
            f"The package {one} stays at version {fresh}; the run had brought it up from {old}."
            for one, (old, fresh) in sorted(upgraded.items())
            if self.now.get(one) == fresh
        ]


def _architecture() -> str:
    machine = os.uname().machine
    return {"x86_64": "amd64", "aarch64": "arm64", "ppc64le": "ppc64el"}.get(machine, machine)


def _stanzas(root: str) -> Iterator[dict[str, str]]:
    """The installed packages' entries in dpkg's database."""
    with contextlib.suppress(OSError):
        text = Path(f"{root}/var/lib/dpkg/status").read_text("utf-8", "replace")
        for block in text.split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line and line[0] != " ")
            if fields.get("Status", "").endswith(" installed"):
                yield fields


def needed(root: str, names: set[str]) -> dict[str, str]:
    """Those of the packages `names` that other installed packages depend on, each with one that does.

    A dependency that something else satisfies as well keeps nothing.
    """
    stanzas = {one["Package"]: one for one in _stanzas(root)}

    def alternatives(text: str) -> list[list[str]]:
        return [
            [re.split(r"[ (:]", one.strip(), maxsplit=1)[0] for one in clause.split("|")]
            for clause in text.split(",")
            if clause.strip()
        ]

    gives = {
        name: {name, *(one for clause in alternatives(fields.get("Provides", "")) for one in clause)}
        for name, fields in stanzas.items()
    }
    kept: dict[str, str] = {}
    queue = [one for one in stanzas if one not in names]
    staying = set().union(*(gives[one] for one in queue)) if queue else set()
    while queue:
        name = queue.pop()
        fields = stanzas[name]
        for clause in alternatives(f"{fields.get('Pre-Depends', '')},{fields.get('Depends', '')}"):
            if staying & set(clause):
                continue
            for one in sorted(names - set(kept)):
                if one in gives and gives[one] & set(clause):
                    kept[one] = name
                    staying |= gives[one]
                    queue.append(one)
                    break
    return kept


def _package_commands(entry: dict[str, Any], came: list[str], went: list[str], spared: set[str]) -> Iterator[list[str]]:
    """The commands that bring the package set back: take away what came, reinstall what went, exactly those
    versions."""
    before: dict[str, str] = entry["before"]
    # Purging would take data along that was there before the package came back.
    purged = [one for one in came if one + CONFIGURATION not in before and one not in spared]
    removed = [one for one in came if one not in purged]
    if removed or (came and went):
        yield ["dpkg", "--remove", "--force-depends", *(came if went else removed)]
    if went:
        wanted = [f"{one}={before[one]}" for one in went]
        yield [
            "apt-get",
            "-y",
            "-q",
            "--no-install-recommends",
            "--allow-downgrades",
            "-o",
            "Dpkg::Options::=--force-confold",
            "-o",
            "Dpkg::Options::=--force-confmiss",
            "-o",
            "APT::Keep-Downloaded-Packages=false",
            "install",
            *wanted,
        ]
    if purged:
        yield ["dpkg", "--purge", "--force-depends", *purged]


def runs(root: str = "/", base: str = BASE) -> list[str]:
    """The run ids on this host, oldest first (an id begins with its time)."""
    directory = f"{root.rstrip('/')}{base}"
    with contextlib.suppress(OSError):
        return sorted(one for one in os.listdir(directory) if os.path.exists(f"{directory}/{one}/run.json"))
    return []


def guard_boot(journal: Journal) -> None:
    """Have the unproved groups undone by the next boot too: a timer that was only started is gone with the boot.

    The unit is found at boot, so systemd needs no reload now; :func:`release_boot` takes it away again.
    """
    name = f"stackwright-undo-{journal.run_id}-boot.service"
    directory = journal.directory[len(journal.root) :]
    text = (
        "[Unit]\nDescription=Undo changes of access that no fresh login has proved\n"
        f"ConditionPathExists={directory}/unproved\nAfter=ssh.service\n\n"
        f"[Service]\nType=oneshot\nExecStart=/usr/bin/python3 -I {directory}/undo.py\n"
    )
    wants = f"{journal.root}{UNIT_DIRECTORY}/multi-user.target.wants"
    os.makedirs(wants, mode=0o755, exist_ok=True)
    path = f"{journal.root}{UNIT_DIRECTORY}/{name}"
    write_atomically(path, text.encode(), 0o644, os.geteuid(), os.getegid())
    with contextlib.suppress(FileExistsError):
        os.symlink(f"{UNIT_DIRECTORY}/{name}", f"{wants}/{name}")
    sync_directory(wants)


def release_boot(journal: Journal) -> None:
    """Take the unit of :func:`guard_boot` away."""
    name = f"stackwright-undo-{journal.run_id}-boot.service"
    for path in (f"{UNIT_DIRECTORY}/multi-user.target.wants/{name}", f"{UNIT_DIRECTORY}/{name}"):
        if os.path.lexists(journal.root + path):  # a disk that refuses writes says so before it looks
            os.unlink(journal.root + path)


def main(arguments: list[str]) -> int:
    """Undo the unproved groups of the run in this file's directory: ``undo.py [GROUP ...]``."""
    directory = Path(__file__).resolve().parent
    journal = Journal(directory.name, base=str(directory.parent))
    pending = directory / "unproved"
    if not pending.exists():
        return 0
    groups = arguments or pending.read_text("utf-8").split()
    first = [one for one in groups if one == "sudo"]
    problems: list[str] = []
    if first and len(groups) > 1:
        # An open connection that nobody can become root over any more says that sudo is in the way: perhaps it alone.
        problems = journal.undo(first)
        pending.write_text(" ".join(one for one in groups if one not in first), "utf-8")
        _note(directory, first, problems)
        time.sleep(GRACE)
        if not pending.exists():  # somebody has logged in and confirmed the others
            return 1 if problems else 0
    problems += journal.undo([one for one in groups if one not in first] or first)
    _note(directory, groups, problems)
    pending.unlink()
    release_boot(journal)
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


def _note(directory: Path, groups: list[str], problems: list[str]) -> None:
    """Say what the timer has undone, for the next audit."""
    (directory / "undone-by-timer").write_text(
        "\n".join([time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), " ".join(groups), *problems]) + "\n", "utf-8"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
