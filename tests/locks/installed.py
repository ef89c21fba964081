"""Exits with 1 and says which when a package of a lock is installed in another version, or not at all. Use:
installed.py LOCK"""

from __future__ import annotations

import re
import sys
from importlib import metadata
from pathlib import Path

LINE = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)(?: ; (.*?))?(?: \\)?$", re.MULTILINE)


def differences(lock: str) -> list[str]:
    """Return a phrase for each package that is not there as the lock has it. A package for some systems only may be
    missing."""
    wrong = []
    for name, version, condition in LINE.findall(lock):
        try:
            there = metadata.version(name)
        except metadata.PackageNotFoundError:
            if not condition:
                wrong.append(f"{name} is missing")
            continue
        if there != version:
            wrong.append(f"{name} {there} in place of {version}")
    return wrong


if __name__ == "__main__":
    found = differences(Path(sys.argv[1]).read_text(encoding="utf-8"))
    if found:
        sys.exit(f"{sys.argv[1]}: {', '.join(found)}")
