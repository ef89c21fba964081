"""Steps of a long task, told while it runs: by modules on this machine, and by such on hosts that an action plug-in
asks.

The console makes a directory for the run and names it in the environment, which workers and local modules inherit.
Whoever has something to tell appends lines to a file of its own there; the console's heartbeat reads them. Nothing
waits for anything, and what cannot be told is left out.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field

VARIABLE = "STACKWRIGHT_PROGRESS"
# The last step of the module that runs as root on a host.
ON_HOST = "/run/stackwright/progress"
LENGTH = 160
AT_ONCE = 16 << 10
IN_ALL = 500


def clean(text: str) -> str:
    """One line of printable characters, of limited length."""
    return "".join(one if one.isprintable() else " " for one in " ".join(text.split()))[:LENGTH]


def tell(text: str, directory: str | None = None) -> None:
    """Append a step to this process's file, if anybody listens."""
    place = directory or os.environ.get(VARIABLE, "")
    if place and text:
        with contextlib.suppress(OSError), open(os.path.join(place, str(os.getpid())), "a", encoding="utf-8") as stream:
            stream.write(f"{clean(text)}\n")


def tell_on_host(text: str) -> None:
    """Replace the step that this host is at; an empty text says that there is none."""
    with contextlib.suppress(OSError):
        if not text:
            os.unlink(ON_HOST)
            return
        os.makedirs(os.path.dirname(ON_HOST), mode=0o755, exist_ok=True)
        fresh = f"{ON_HOST}.{os.getpid()}"
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o644)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(f"{clean(text)}\n")
        os.replace(fresh, ON_HOST)


@dataclass
class Listener:
    """Reads what was told in a directory, each line once, a limited number in all."""

    directory: str
    _places: dict[str, int] = field(default_factory=dict)
    _heard: int = 0

    def hear(self) -> list[str]:
        """Complete lines that have come since the last call, without control characters whoever wrote them."""
        lines: list[str] = []
        try:
            names = sorted(os.listdir(self.directory))
        except OSError:
            return []
        for name in names:
            with contextlib.suppress(OSError), open(os.path.join(self.directory, name), "rb") as stream:
                place = self._places.get(name, 0)
                stream.seek(place)
                whole, end, _ = stream.read(AT_ONCE).rpartition(b"\n")
                self._places[name] = place + len(whole) + len(end)
                lines += [clean(line.decode(errors="replace")) for line in whole.split(b"\n") if line]
        room = max(0, IN_ALL - self._heard)
        self._heard += len(lines)
        return lines[:room]
