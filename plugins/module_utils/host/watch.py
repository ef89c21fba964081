"""Runs on the control node inside an action plug-in: while a module takes long, asks the host now and then which step
it is at."""

from __future__ import annotations

import contextlib
import copy
import threading
from collections.abc import Iterator
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.common import progress

FIRST = 12.0
AGAIN = 10.0


@contextlib.contextmanager
def watched(action: Any, host: str) -> Iterator[None]:
    """Tell the steps of a host until what is done inside has ended. :param action: the plug-in, for its connection."""
    done = threading.Event()
    # the module's own session is busy; a further one on the same connection costs no login
    if getattr(action._connection, "transport", "") == "ssh":
        arguments = (copy.copy(action._connection), host, done)
        threading.Thread(target=_watch, args=arguments, daemon=True).start()
    try:
        yield
    finally:
        done.set()


def _watch(connection: Any, host: str, done: threading.Event) -> None:
    """Tell the host's steps until the module is done; whatever goes wrong here ends the telling only."""
    said, pause = "", FIRST
    while not done.wait(pause):
        pause = AGAIN
        try:
            status, output, _ = connection.exec_command(f"cat {progress.ON_HOST}", sudoable=False)
        except Exception:
            return
        text = progress.clean(output[: progress.LENGTH * 4].decode(errors="replace")) if status == 0 else ""
        if text and text != said and not done.is_set():
            said = text
            progress.tell(f"{host}: {text}")
