"""Runs the probe on the host and judges what it saw; whatever keeps it from running becomes a problem, too."""

from __future__ import annotations

import time
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight import judge, reach
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.problem import as_result


class ActionModule(ActionBase):  # type: ignore[misc]
    """See plugins/modules/preflight_host.py for the documentation."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Probe one host; the result never fails, its `findings` tell."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(argument_spec={"expected": {"type": "dict", "required": True}})
        expected = arguments["expected"]
        host = str((task_vars or {})["inventory_hostname"])
        asked = time.time()
        try:
            answer = self._execute_module(
                module_name="stackwright.cloud.preflight_host",
                module_args={"wanted": judge.wanted(expected)},
                task_vars=task_vars,
            )
        except AnsibleError as error:
            answer = {"msg": str(error)}
        if "seen" not in answer:
            said = " ".join(
                str(answer.get(key) or "")
                for key in ("module_stderr", "stderr", "module_stdout", "msg")
                if answer.get(key)
            )
            problem = reach.explain(host, self._play_context.remote_addr or host, said)
            return result | {"changed": False, "findings": [as_result(problem)], "notes": [], "seen": {}}
        seen = answer["seen"]
        return result | {
            "changed": False,
            "findings": [as_result(one) for one in judge.judge(host, expected, seen, asked, time.time())],
            "notes": judge.notes(expected, seen),
            "monitors": (expected.get("storage") or {}).get("monitors", []),
            "seen": seen,
        }
