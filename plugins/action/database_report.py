"""Runs on the control node: what follows of what all hosts know of the cluster of databases."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.stackwright.cloud.plugins.module_utils.common.text import one_line
from ansible_collections.stackwright.cloud.plugins.module_utils.service import galera

ARGUMENTS: dict[str, dict[str, Any]] = {
    "purpose": {"type": "str", "choices": ["found", "recover", "verify"], "required": True},
    "results": {"type": "dict", "required": True},
    "members": {"type": "list", "elements": "str", "required": True},
    "leader": {"type": "str", "default": ""},
}


class ActionModule(ActionBase):  # type: ignore[misc]
    """See plugins/modules/database_report.py for the documentation."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Fail with what is wrong, if anything is."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, asked = self.validate_argument_spec(argument_spec=ARGUMENTS)
        known = {host: asked["results"].get(host) or {} for host in asked["members"]}
        members = {host: galera.member(one["member"]) for host, one in known.items() if one.get("member")}
        unseen = [host for host in known if host not in members]
        lines = [one_line(f"{host}: {one.told()}") for host, one in members.items()]
        lines += [f"{host}: does not answer, what it has is unknown" for host in unseen]
        result |= {"changed": False, "told": lines, "founder": ""}
        if asked["purpose"] == "verify":
            useless, lost = galera.judge(members, asked["members"])
            return self._ended(result, [*useless, *lost])
        if asked["purpose"] == "found":
            course = galera.decide(members, asked["leader"], unseen)
        else:
            course = galera.safest(members)
        if course.founder:
            lines.append(f"{course.founder} begins the cluster: {course.why}.")
        return self._ended(result | {"founder": course.founder}, course.problems)

    @staticmethod
    def _ended(result: dict[str, Any], problems: list[str]) -> dict[str, Any]:
        if not problems:
            return result
        return result | {"failed": True, "msg": "\n".join(map(one_line, problems)), "problems": problems}
