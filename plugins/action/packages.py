"""Runs the module on the host and, when that takes long, asks the host now and then which step it is at."""

from __future__ import annotations

import copy
import threading
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.stackwright.cloud.plugins.module_utils.common import progress

FIRST = 12.0
AGAIN = 10.0


class ActionModule(ActionBase):  # type: ignore[misc]
    """See plugins/modules/packages.py for the documentation."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what the module returns."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        done = threading.Event()
        host = str((task_vars or {}).get("inventory_hostname", ""))
        # the module's own session is busy; a further one on the same connection costs no login
        if getattr(self._connection, "transport", "") == "ssh":
            watcher = threading.Thread(target=self._watch, args=(copy.copy(self._connection), host, done), daemon=True)
            watcher.start()
        try:
            result |= self._execute_module(task_vars=task_vars)
        finally:
            done.set()
        return result

    def _watch(self, connection: Any, host: str, done: threading.Event) -> None:
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
