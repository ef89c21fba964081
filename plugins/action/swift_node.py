"""Brings rings from the control node to a host that lacks them; a host that has them costs one call."""

from __future__ import annotations

import tarfile
import tempfile
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

MODULE = "stackwright.cloud.swift_node"


class ActionModule(ActionBase):  # type: ignore[misc]
    """See plugins/modules/swift_node.py for the documentation."""

    _connection: Any
    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask the host what it lacks, and call again with that."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        answer = self._call(arguments, task_vars)
        source = arguments.get("source")
        ends = answer.get("failed") or not answer.get("lacking") or self._task.check_mode
        if ends or arguments.get("state") != "staged" or not source:
            return result | answer
        with tempfile.TemporaryDirectory() as here:
            packed = Path(here) / "rings.tar"
            with tarfile.open(packed, "w") as archive:
                for name in arguments["rings"]:
                    archive.add(Path(source) / name, name)
            there = self._connection._shell.join_path(self._make_tmp_path(), packed.name)
            self._transfer_file(str(packed), there)
        return result | self._call({**arguments, "archive": there}, task_vars)

    def _call(self, arguments: dict[str, Any], task_vars: dict[str, Any] | None) -> dict[str, Any]:
        done: dict[str, Any] = self._execute_module(
            module_name=MODULE, module_args=arguments, task_vars=task_vars, wrap_async=False
        )
        done.pop("invocation", None)
        return done
