"""Who made what: a journal beside the cloud, for types that keep no tag, and for runs that were cut off.

One JSON line per event. "intent" is written before a resource is made and holds its identity; "made" and "gone" follow
with its id, and "dropped" once the intent is settled. What a broken run leaves as an intent, the next run looks for in
the cloud.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from dataclasses import dataclass, field

from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.errors import CloudError, Problem


def default_path(owner: str, auth_url: str) -> str:
    """Where the ledger of a document for one cloud lies."""
    state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    cloud = hashlib.sha256(auth_url.encode()).hexdigest()[:8]
    return os.path.join(state, "stackwright", f"{owner}-{cloud}.ledger")


@dataclass
class Ledger:
    """The journal of one document. ``path`` empty keeps it in memory only."""

    path: str = ""
    owned: set[tuple[str, str]] = field(default_factory=set)
    intents: set[tuple[str, str]] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @classmethod
    def load(cls, path: str) -> Ledger:
        """Read a ledger; a missing file is an empty one. A last line that was cut off is ignored.

        :raises CloudError: the file cannot be read.
        """
        ledger = cls(path)
        try:
            with open(path, encoding="utf-8") as file:
                lines = file.read().splitlines()
        except FileNotFoundError:
            return ledger
        except (OSError, UnicodeDecodeError) as error:
            raise CloudError(
                Problem(f"The ledger {path} cannot be read: {error}.", "Mend the file, or name another.")
            ) from error
        for number, line in enumerate(lines, 1):
            try:
                event, kind, name = json.loads(line)
            except ValueError as error:
                if number == len(lines):
                    break
                raise CloudError(
                    Problem(
                        f"Line {number} of the ledger {path} is damaged.",
                        "Restore it from a backup or remove that line.",
                    )
                ) from error
            ledger._count(event, kind, name)
        return ledger

    def _count(self, event: str, kind: str, name: str) -> None:
        if event == "intent":
            self.intents.add((kind, name))
        elif event == "dropped":
            self.intents.discard((kind, name))
        elif event == "made":
            self.owned.add((kind, name))
        elif event == "gone":
            self.owned.discard((kind, name))

    def write(self, event: str, kind: str, name: str) -> None:
        """Record an event, on disk before anything else happens.

        :raises CloudError: the file cannot be written.
        """
        with self._lock:
            self._count(event, kind, name)
            if not self.path:
                return
            try:
                os.makedirs(os.path.dirname(self.path) or ".", mode=0o700, exist_ok=True)
                with open(
                    os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "a", encoding="utf-8"
                ) as file:
                    file.write(json.dumps([event, kind, name]) + "\n")
                    file.flush()
                    os.fsync(file.fileno())
            except OSError as error:
                raise CloudError(
                    Problem(
                        f"The ledger {self.path} cannot be written: {error}.",
                        "Name a writable file with the option ledger.",
                    )
                ) from error
