"""dpkg's database: what is installed, and what was left half done."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field

STATUS = "/var/lib/dpkg/status"
UPDATES = "/var/lib/dpkg/updates"
_HALF = ("half-installed", "unpacked", "half-configured", "triggers-awaited", "triggers-pending")


@dataclass
class State:
    """dpkg's view: versions of the packages that are installed, and names of those that were left half done."""

    installed: dict[str, str] = field(default_factory=dict)
    unfinished: list[str] = field(default_factory=list)


def parse(text: str) -> State:
    """Read the text of dpkg's status database."""
    state = State()
    for block in text.split("\n\n"):
        name = re.search(r"^Package: (\S+)", block, re.MULTILINE)
        status = re.search(r"^Status: \S+ (\S+) (\S+)", block, re.MULTILINE)
        if not name or not status:
            continue
        if status[2] == "installed":
            version = re.search(r"^Version: (\S+)", block, re.MULTILINE)
            state.installed[name[1]] = version[1] if version else ""
        elif status[2] in _HALF or status[1] != "ok":
            state.unfinished.append(name[1])
    return state


def read(root: str = "") -> State:
    """What dpkg knows of a host; raises OSError when its database cannot be read.

    :param root: a directory that takes the place of ``/``.
    """
    with open(root + STATUS, encoding="utf-8", errors="replace") as stream:
        return parse(stream.read())


def interrupted() -> bool:
    """Whether a run of dpkg was cut off: it left a journal that it did not merge."""
    return any(name.isdigit() for name in os.listdir(UPDATES))


def mark() -> str:
    """What changes whenever a package does, cheaply: size and time of dpkg's database; "none" where there is none."""
    try:
        state = os.stat(STATUS)
    except OSError:
        return "none"
    return f"{state.st_size}-{state.st_mtime_ns}"
