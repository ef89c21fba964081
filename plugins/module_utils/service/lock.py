"""One run at a time on a host: what an interrupted run left working there is waited for."""

from __future__ import annotations

import contextlib
import fcntl
import time
from collections.abc import Iterator

SECONDS = 600


class LockError(Exception):
    """Somebody else kept the lock for too long."""


@contextlib.contextmanager
def exclusive(path: str, seconds: float | None = None) -> Iterator[int]:
    """Hold an advisory lock on a file during the block; it is made if need be.

    :param seconds: how long to wait for it, :data:`SECONDS` by default.
    :returns: the descriptor. A child that inherits it keeps the lock until it ends, also when this process is killed.
    :raises LockError: the lock was not free within this time.
    """
    seconds = SECONDS if seconds is None else seconds
    deadline = time.monotonic() + seconds
    with open(path, "ab") as stream:
        while True:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise LockError(
                        f"another run of Stackwright has been at work on this host for {seconds:.0f} s"
                    ) from None
                time.sleep(0.5)
            else:
                break
        yield stream.fileno()
