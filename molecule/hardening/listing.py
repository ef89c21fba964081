"""Lists every path of this host with kind, mode, owner, group and content, as JSON, apart from what changes by itself.

``python3 listing.py`` prints the listing, or writes it to the file after ``--write``; ``python3 listing.py OTHER``
prints how the host differs from that one. A directory after ``--below`` is listed alone.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import pathlib
import stat
import sys

# Logs and caches grow while one looks; the journal of the hardening is what the rollback needs and keeps.
LEFT_OUT = {
    "/dev", "/proc", "/run", "/sys", "/tmp", "/var/tmp", "/var/log", "/var/cache/apt", "/var/lib/apt/lists",
    "/var/lib/stackwright", "/var/lib/systemd/timers", "/root/.ansible", "/home/operator/.ansible",
}  # fmt: skip


def describe(path: str) -> list[object]:
    """Kind, mode, owner, group and what is in it."""
    found = os.lstat(path)
    facts: list[object] = [stat.S_IFMT(found.st_mode), oct(stat.S_IMODE(found.st_mode)), found.st_uid, found.st_gid]
    if stat.S_ISLNK(found.st_mode):
        return [*facts[:1], os.readlink(path)]
    if stat.S_ISREG(found.st_mode):
        return [*facts, hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()]
    return facts


def listing(top: str) -> dict[str, list[object]]:
    """Every path below a directory, by name."""
    found: dict[str, list[object]] = {}
    for directory, directories, names in os.walk(top):
        directories[:] = [one for one in directories if os.path.join(directory, one) not in LEFT_OUT]
        for name in [*directories, *names]:
            path = os.path.join(directory, name)
            found[path] = describe(path)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("other", nargs="?")
    parser.add_argument("--below", default="/")
    parser.add_argument("--write", default="/dev/stdout")
    given = parser.parse_args()
    after = listing(given.below)
    if given.other is None:
        pathlib.Path(given.write).write_text(json.dumps(after), "utf-8")
        return 0
    before = json.loads(pathlib.Path(given.other).read_text("utf-8"))
    after = json.loads(json.dumps(after))
    differing = sorted(path for path in {*before, *after} if before.get(path) != after.get(path))
    for path in differing:
        print(f"{path}: {before.get(path, 'not there')} became {after.get(path, 'not there')}")
    print(f"{len(before)} paths before, {len(differing)} differ", file=sys.stderr)
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
