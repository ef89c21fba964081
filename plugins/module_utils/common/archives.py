"""Entries of tar archives, put where they are meant to lie and nowhere else.

Pythons before 3.11.4 know no filters of tarfile, among them that of Debian 12.
"""

from __future__ import annotations

import copy
import os
import stat
import tarfile
from typing import Any

# The data filter of tarfile asks the same, and more of links, which no archive of ours has.
_FILTERED: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}


class ArchiveError(Exception):
    """An entry would lie elsewhere, or is neither a file nor a directory."""


def extract(archive: tarfile.TarFile, entry: tarfile.TarInfo, directory: str) -> None:
    """Put an entry below a directory, as a file of whoever runs this, which others cannot write.

    :raises ArchiveError: it would lie elsewhere, or is a link or a device. :raises OSError: it cannot be written.
    """
    root = os.path.realpath(directory)
    target = os.path.realpath(os.path.join(root, entry.name))
    if os.path.commonpath([root, target]) != root:
        raise ArchiveError(f"{entry.name} would lie elsewhere than below {directory}")
    if not (entry.isfile() or entry.isdir()):
        raise ArchiveError(f"{entry.name} is neither a file nor a directory")
    own = copy.copy(entry)
    own.mode = entry.mode & ~(stat.S_IWGRP | stat.S_IWOTH | stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX) | stat.S_IRUSR
    own.mode |= stat.S_IRWXU if entry.isdir() else stat.S_IWUSR
    own.uid, own.gid, own.uname, own.gname = os.geteuid(), os.getegid(), "", ""
    archive.extract(own, directory, **_FILTERED)


def extract_all(archive: tarfile.TarFile, directory: str) -> None:
    """Put all entries below a directory; see :func:`extract`."""
    for entry in archive:
        extract(archive, entry, directory)
