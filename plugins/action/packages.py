"""Runs the module on the host and, when that takes long, asks the host now and then which step it is at."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.stackwright.cloud.plugins.module_utils.host.watch import watched


class ActionModule(ActionBase):  # type: ignore[misc]
    """See plugins/modules/packages.py for the documentation."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what the module returns."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        with watched(self, str((task_vars or {}).get("inventory_hostname", ""))):
            result |= self._execute_module(task_vars=task_vars)
        return result
