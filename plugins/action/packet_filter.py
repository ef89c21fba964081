"""Runs on the control node: has the host try its packet filter, and proves that one can still log in before it is
kept."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.stackwright.cloud.plugins.module_utils.host import fresh_login

MODULE = "stackwright.cloud.packet_filter"


class ActionModule(ActionBase):  # type: ignore[misc]
    """See plugins/modules/packet_filter.py for the documentation."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Try, prove, keep."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        arguments = {key: value for key, value in self._task.args.items() if key not in ("step", "tried", "described")}
        described = self._task.args.get("described") or {}
        if described.get("problem"):
            return result | {"failed": True, "msg": str(described["problem"])}
        if described:
            arguments["rules"] = described["rules"]
        outcome = self._call(arguments, variables)
        tried = outcome.pop("tried", "")
        outcome.pop("invocation", None)
        if outcome.get("failed") or not tried:
            return result | outcome
        if failure := self._prove():
            back = self._undo(arguments, variables)
            return result | {
                "failed": True,
                "msg": f"With the new packet filter no fresh login was possible ({failure}), so it was taken "
                f"back{back}.",
                "hint": "Put the network from which you log in into base_filter_ssh_networks, or leave that "
                "variable empty; "
                "base_filter: false leaves the filter out.",
            }
        kept = self._call({**arguments, "step": "confirm", "tried": tried}, variables)
        if kept.get("failed"):
            return result | kept
        return result | outcome

    def _call(self, arguments: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        done: dict[str, Any] = self._execute_module(
            module_name=MODULE, module_args=arguments, task_vars=variables, wrap_async=False
        )
        return done

    def _prove(self) -> str:
        """Why nobody could log in anew; empty when one can."""
        return fresh_login.fresh_login(self)

    def _undo(self, arguments: dict[str, Any], variables: dict[str, Any]) -> str:
        """Take the table back over the open connection, or wait until the host's timer has done so."""
        try:
            back = self._call({**arguments, "step": "undo"}, variables)
        except AnsibleError as error:
            back = {"failed": True, "msg": str(error)}
        if not back.get("failed"):
            return ""
        failure = fresh_login.wait_for_timer(self._prove, int(arguments.get("undo_after", 60)))
        return f" by the host's timer, but still: {failure}" if failure else " by the host's timer"
