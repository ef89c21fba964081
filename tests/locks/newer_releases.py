"""Writes a newer release of every package of the locks into a directory, as an index has it some day.

Use: newer_releases.py DIRECTORY LOCK ... The releases hold nothing; an installer that takes one has left its lock.
"""

from __future__ import annotations

import re
import sys
import zipfile
from pathlib import Path

RELEASE = "9999"


def names(lock: Path) -> list[str]:
    """Return the names of a lock's packages."""
    return re.findall(r"^([A-Za-z0-9._-]+)==", lock.read_text(encoding="utf-8"), re.MULTILINE)


def write(directory: Path, name: str) -> None:
    """Write one release as a wheel. It offers the extras that a lock may ask for."""
    stem = f"{re.sub(r'[-_.]+', '_', name).lower()}-{RELEASE}"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {RELEASE}\nProvides-Extra: toml\n"
    with zipfile.ZipFile(directory / f"{stem}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{stem}.dist-info/METADATA", metadata)
        wheel.writestr(
            f"{stem}.dist-info/WHEEL",
            "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        wheel.writestr(f"{stem}.dist-info/RECORD", "")


if __name__ == "__main__":
    for one in sorted({name for lock in sys.argv[2:] for name in names(Path(lock))}):
        write(Path(sys.argv[1]), one)
