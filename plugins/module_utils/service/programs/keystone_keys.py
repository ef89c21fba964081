#!/usr/bin/python3 -I
"""Written by Stackwright. Keys of Keystone, made of a root that all controllers share: they agree without talking.

A key is HMAC-SHA256 of the root over a purpose and a number (one block of HKDF-Expand, RFC 5869). Keystone reads keys
from files that are called after numbers: the highest one encrypts, all decrypt, 0 is the one that comes next. Those of
tokens are numbered by periods since 1970, so that a new one takes over everywhere at the same moment, known beforehand
as 0 on hosts whose clocks are behind. Another root takes over with the next period, its key known as 0 until then.
Files are root's: Keystone reads them. Nothing outside of the standard library is used, since it is copied to hosts.
"""

from __future__ import annotations

import argparse
import base64
import fcntl
import grp
import hashlib
import hmac
import os
import secrets
import sys
import time
from pathlib import Path

MODE, DIRECTORY_MODE = 0o640, 0o750
GROUP = "keystone"
# What Keystone keeps at most of the keys of credentials. Source: keystone/credential/providers/fernet/core.py.
CREDENTIAL_KEYS = 3
# Number of the key that encrypts tokens for ever; those of periods are higher. Below are keys that were made otherwise.
STANDING = 1000
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


def key(root: bytes, purpose: str, number: int) -> bytes:
    """A Fernet key, 44 characters of base64."""
    info = f"stackwright keystone {purpose} {number}".encode()
    return base64.urlsafe_b64encode(hmac.new(root, info + b"\x01", hashlib.sha256).digest())


class Directory:
    """A key repository, held by a descriptor; ``group`` may read it."""

    def __init__(self, path: str, group: int) -> None:
        self.group = group
        os.makedirs(path, DIRECTORY_MODE, exist_ok=True)
        self.handle = os.open(path, _READ | os.O_DIRECTORY)
        fcntl.flock(self.handle, fcntl.LOCK_EX)
        # once it was Keystone's own; from here on nobody else makes or swaps files in it
        os.fchown(self.handle, os.geteuid(), group)
        os.fchmod(self.handle, DIRECTORY_MODE)

    def keys(self) -> dict[int, bytes]:
        """Number and text of each key."""
        found = {}
        for name in os.listdir(self.handle):
            if name.isdigit():
                with open(os.open(name, _READ, dir_fd=self.handle), "rb") as file:
                    found[int(name)] = file.read()
        return found

    def age(self, number: int, now: float) -> float:
        """Seconds since a key was written."""
        return now - os.stat(str(number), dir_fd=self.handle, follow_symlinks=False).st_mtime

    def write(self, number: int, text: bytes) -> None:
        """Put a key in place, whole."""
        new = f".{secrets.token_hex(8)}"
        made = os.open(
            new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=self.handle
        )
        try:
            with open(made, "wb") as file:
                os.fchown(made, os.geteuid(), self.group)
                os.fchmod(made, MODE)
                file.write(text)
                file.flush()
                os.fsync(made)
            os.rename(new, str(number), src_dir_fd=self.handle, dst_dir_fd=self.handle)
        except BaseException:
            os.unlink(new, dir_fd=self.handle)
            raise
        os.fsync(self.handle)

    def rename(self, number: int, new: int) -> None:
        """Give a key another number."""
        os.rename(str(number), str(new), src_dir_fd=self.handle, dst_dir_fd=self.handle)

    def remove(self, number: int) -> None:
        """Take a key away."""
        os.unlink(str(number), dir_fd=self.handle)

    def own(self) -> None:
        """Make root the owner of files that were another's."""
        for number in self.keys():
            handle = os.open(str(number), _READ, dir_fd=self.handle)
            os.fchown(handle, os.geteuid(), self.group)
            os.fchmod(handle, MODE)
            os.close(handle)


def tokens(directory: Directory, root: bytes, period: int, keep: int, now: float) -> None:
    """Bring the keys of tokens to what is due.

    :param period: seconds for which one key encrypts; 0: for ever. :param keep: how many keys there are at most, beside
        those that were made otherwise: these stay until what they encrypted has ended.
    """
    current = int(now) // period if period else STANDING
    present = directory.keys()
    # beside the present one and the next
    oldest = current - max(keep - 2, 1)
    purpose = f"tokens of {period} s"
    coming = key(root, purpose, current + 1)
    for number in sorted(set(present) - {0}):
        if number > current:
            # of another period, or of a clock that was ahead
            if present[number] != coming:
                others = set(directory.keys())
                directory.rename(number, next(one for one in range(1, STANDING) if one not in others))
            else:
                directory.remove(number)
        elif number < oldest:
            ended = period and directory.age(number, now) > keep * period
            if ended or present[number] == key(root, purpose, number):
                directory.remove(number)
    for number in range(oldest, current + 1):
        if number not in present:
            directory.write(number, key(root, purpose, number))
    if present.get(0) != coming:
        directory.write(0, coming)


def credentials(directory: Directory, root: bytes) -> None:
    """Have the root's key encrypt credentials; what was encrypted before is read with the keys that were there."""
    present = directory.keys()
    wanted = key(root, "credential", 0)
    newest = max(present, default=0)
    if newest == 0 or present[newest] != wanted:
        directory.write(newest + 1, wanted)
        for number in sorted(present, reverse=True)[CREDENTIAL_KEYS - 1 :]:
            directory.remove(number)


def main(arguments: list[str]) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("root", help="file with the root, in hexadecimal")
    kinds = parser.add_subparsers(dest="kind", required=True)
    of_tokens = kinds.add_parser("tokens", help="keys of tokens")
    of_tokens.add_argument("directory")
    of_tokens.add_argument("--period", type=int, required=True, help="seconds; 0: for ever")
    of_tokens.add_argument("--keep", type=int, required=True, help="keys")
    kinds.add_parser("credentials", help="keys of credentials").add_argument("directory")
    given = parser.parse_args(arguments)
    try:
        root = bytes.fromhex(Path(given.root).read_text(encoding="ascii").strip())
        directory = Directory(given.directory, grp.getgrnam(GROUP).gr_gid)
        directory.own()
        if given.kind == "tokens":
            tokens(directory, root, given.period, given.keep, time.time())
        else:
            credentials(directory, root)
    except (OSError, ValueError, KeyError) as error:
        print(
            f"keystone-keys: keys of {given.kind} in {given.directory}, made of {given.root}: {error}", file=sys.stderr
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
