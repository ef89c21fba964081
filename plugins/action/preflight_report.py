"""Runs on the control node: one report of what the probes found on all hosts."""

from __future__ import annotations

import shutil
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.stackwright.cloud.plugins.module_utils.common.text import one_line
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight import judge, storage
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.problem import (
    as_result,
    collect,
    from_result,
    render,
)


class ActionModule(ActionBase):  # type: ignore[misc]
    """See plugins/modules/preflight_report.py for the documentation."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Fail with all problems, if there are any."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(argument_spec={"results": {"type": "dict", "required": True}})
        results = arguments["results"]
        stores = {host: found["seen"]["storage"] for host, found in results.items() if found["seen"].get("storage")}
        databases = {
            host: found["seen"]["database"] for host, found in results.items() if found["seen"].get("database")
        }
        problems = collect(
            [
                *judge.without_echoes(from_result(one) for found in results.values() for one in found["findings"]),
                *judge.databases(databases),
                *storage.lost(stores, {name for found in results.values() for name in found.get("monitors", [])}),
            ]
        )
        notes = {host: found["notes"] for host, found in sorted(results.items()) if found["notes"]}
        result |= {"changed": False, "findings": [as_result(one) for one in problems], "notes": notes}
        if problems:
            count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
            table = render(problems, width=shutil.get_terminal_size((120, 24)).columns, hosts=len(results))
            return result | {"failed": True, "msg": f"Preflight found {count}. Nothing was changed.\n\n{table}"}
        result["told"] = [one_line(line) for line in judge.gathered(notes)]
        result["msg"] = "\n".join([f"All {len(results)} hosts are fit.", *(f"  {line}" for line in result["told"])])
        return result
