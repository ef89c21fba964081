"""Inventories for the tests of preflight: the good one, changed as a case says, on disk and as the checks see it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultLib, VaultSecret, VaultSecretsContext
from ansible.vars.manager import VariableManager
from ansible_collections.stackwright.cloud.plugins.module_utils.common.problem import Problem
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight import (
    expectations,
    inventory,
    plays,
    snapshot,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.policy import Policy, nodes_of
from ansible_collections.stackwright.cloud.plugins.module_utils.secrets import declare as cloud_secrets
from ansible_collections.stackwright.cloud.plugins.module_utils.service import interfaces
from ansible_collections.stackwright.cloud.tests.role_variables import plugins_of_the_collection

CHECKOUT = Path(__file__).resolve().parents[3]
ROLES = CHECKOUT / "roles"
INVENTORIES = CHECKOUT / "tests" / "inventories"
KEY = b"the key of the tests, which opens nothing else"

_ROLES = interfaces.load_roles(ROLES)
_DECLARED = cloud_secrets.load_declarations(ROLES)
# Values are made once: what a case changes is then the only difference between two inventories.
_VALUES = {name: cloud_secrets.generate(one) for name, one in _DECLARED.items()}


def cases(table: str = "bad") -> dict[str, dict[str, Any]]:
    """The bad inventories by name, or those of another table."""
    loaded: dict[str, dict[str, Any]] = yaml.safe_load((INVENTORIES / f"{table}.yml").read_text(encoding="utf-8"))
    return loaded


def merged(base: Any, change: Any) -> Any:
    """`base` with `change` laid over it; a null removes the key, a change that is no mapping replaces."""
    if not isinstance(base, dict) or not isinstance(change, dict):
        return copy.deepcopy(change)
    result = dict(base)
    for key, value in change.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def write(case: dict[str, Any], directory: Path) -> Path:
    """The case's inventory as a directory that ansible-playbook takes with -i."""
    good = yaml.safe_load((INVENTORIES / "good.yml").read_text(encoding="utf-8"))
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "hosts.yml").write_text(yaml.safe_dump(merged(good, case.get("inventory", {}))), encoding="utf-8")
    values = merged(_VALUES, case.get("secrets", {})) if case.get("secrets", {}) != "none" else None
    if values is not None:
        path = directory / "group_vars" / "all" / "secrets.yml"
        path.parent.mkdir(parents=True)
        content = yaml.safe_dump({"stackwright_secrets": values}).encode()
        path.write_bytes(content if case.get("plain") else VaultLib().encrypt(content, secret=VaultSecret(KEY)))
    return directory


def policy(seen: snapshot.Snapshot, deploying: bool = True) -> Policy:
    """The policy for an inventory: with the product's own kinds of nodes, unless the inventory has others."""
    return Policy.parse(nodes_of(seen, _ROLES), _ROLES, _DECLARED, deploying)


def view(source: Path, limit: str = "") -> snapshot.Snapshot:
    """The inventory at `source` as the checks see it. :param limit: hosts of the run, as a play leaves them behind."""
    # The command line does this once for the whole process; here every test is a command line of its own.
    VaultSecretsContext._current = None
    VaultSecretsContext.initialize(VaultSecretsContext([("default", VaultSecret(KEY))]))
    loader = DataLoader()
    loader.set_vault_secrets([("default", VaultSecret(KEY))])
    manager = InventoryManager(loader=loader, sources=[str(source)])
    variables = VariableManager(loader=loader, inventory=manager)
    if limit:
        manager.subset(limit)
        manager.restrict_to_hosts(manager.get_hosts("all"))
    return snapshot.take(
        manager,
        variables,
        loader,
        # what roles find out by lookups, which are not found here by their names
        {
            **interfaces.all_defaults(_ROLES),
            "rabbitmq_members": {},
            "loadbalancer_members": {},
            "mariadb_members": ["controller1"],
        },
        interfaces.all_internals(_ROLES),
        plays.load(CHECKOUT / "playbooks" / "site.yml"),
    )


def expectations_of(source: Path) -> dict[str, dict[str, Any]]:
    """What each host of the inventory at `source` must offer."""
    seen = view(source)
    with plugins_of_the_collection():
        return expectations.of(seen, policy(seen))


def examine(source: Path, deploying: bool = True) -> list[Problem]:
    """What the static part of preflight says about the inventory at `source`."""
    seen = view(source)
    return inventory.examine(seen, policy(seen, deploying))
