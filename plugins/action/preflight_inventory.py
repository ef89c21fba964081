"""Runs on the control node: checks the whole inventory without connecting to any host."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.stackwright.cloud.plugins.module_utils.common import vars_files
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight import (
    expectations,
    inventory,
    plays,
    snapshot,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.policy import Policy, nodes_of
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.problem import (
    INVENTORY,
    as_result,
    collect,
    problem_of,
    render,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.secrets import declare as cloud_secrets
from ansible_collections.stackwright.cloud.plugins.module_utils.service import interfaces

COLLECTION = Path(__file__).resolve().parents[2]


class ActionModule(ActionBase):  # type: ignore[misc]
    """See plugins/modules/preflight_inventory.py for the documentation."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Check; the result fails when there is any problem and lists all of them."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(
            argument_spec={
                "scope": {"type": "str", "choices": ["deploy", "inventory"], "default": "deploy"},
                "roles_path": {"type": "path", "default": str(COLLECTION / "roles")},
                "playbook": {"type": "path", "default": str(COLLECTION / "playbooks" / "site.yml")},
            }
        )
        roles_path = Path(arguments["roles_path"])
        try:
            roles = interfaces.load_roles(roles_path)
            declared = cloud_secrets.load_declarations(roles_path)
            hostvars = (task_vars or {})["hostvars"]
            view = snapshot.take(
                hostvars._inventory,
                hostvars._variable_manager,
                self._loader,
                interfaces.all_defaults(roles),
                interfaces.all_internals(roles),
                plays.load(Path(arguments["playbook"])),
            )
            policy = Policy.parse(nodes_of(view, roles), roles, declared, arguments["scope"] == "deploy")
        except (cloud_secrets.DeclarationError, ValueError) as error:
            return result | {"failed": True, "msg": str(error)}
        sources = [Path(one) for one in (task_vars or {}).get("ansible_inventory_sources") or []]
        places = [one if one.is_dir() else one.parent for one in sources if one.exists()]
        hidden = [
            problem_of(
                INVENTORY,
                str(ignored),
                f"is never read, because Ansible takes {case.taken} in its place",
                case.mend,
            )
            for case in vars_files.below([*places, Path(arguments["playbook"]).parent])
            for ignored in case.ignored
        ]
        problems = collect([*inventory.examine(view, policy), *hidden])
        view = inventory.members(view, policy)
        result |= {"changed": False, "findings": [as_result(one) for one in problems]}
        if problems:
            count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
            result |= {
                "failed": True,
                "msg": f"Preflight found {count} in the inventory. No host was touched.\n\n"
                + render(problems, width=shutil.get_terminal_size((120, 24)).columns, hosts=len(view.hosts)),
            }
        else:
            result["expectations"] = expectations.of(view, policy)
            result["msg"] = f"The inventory of {len(view.hosts)} hosts has no problem."
        return result
