"""Files, through descriptors: nobody can put another file or directory in the place of one that is being worked on.

What is written is complete, on disk, with its owner and mode, before it has its name: a reader sees the old file or the
new one.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

# Names of files that are not complete yet, as glob patterns know them.
DRAFTS = f".stackwright-{'[0-9a-f]' * 16}"


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


def replace(path: str, content: bytes | str, mode: int = 0o600) -> None:
    """Write a file of root's on a host, and the directories (0755) on the way to it that are missing.

    A link at the path is replaced; on the way one is followed only where it is root's and only root can change it.

    :raises Refused: when the path leads through what belongs to somebody else.
    :raises OSError: when the directory is read-only or full; the old file is then untouched.
    """
    with opened(path, (), make=True) as place:
        write_at(place, _bytes(content), mode, -1, -1)


def replace_own(path: str | Path, content: bytes | str, mode: int = 0o600, uid: int = -1, gid: int = -1) -> None:
    """Write a file where the account that runs this keeps its own, whichever links of its own lead there.

    A link at the path is replaced, not followed.

    :param uid: the owner that root gives it; whoever runs this if -1.
    :raises OSError: when the directory is missing, read-only or full; the old file is then untouched.
    """
    directory, name = os.path.split(os.path.abspath(path))
    number = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        write_at(Place(number, name, set(), False), _bytes(content), mode, uid, gid)
    finally:
        os.close(number)


def _bytes(content: bytes | str) -> bytes:
    return content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content
