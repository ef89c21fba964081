"""The static part of preflight: all checks of the whole inventory that need no connection."""

from __future__ import annotations

from ansible_collections.stackwright.cloud.plugins.module_utils.common.problem import Problem
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight import (
    addresses,
    bridges,
    filter_rules,
    objects,
    secret_checks,
    storage,
    topology,
    variables,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.policy import Policy
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.problem import collect
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.snapshot import Snapshot


def examine(inventory: Snapshot, policy: Policy) -> list[Problem]:
    """All problems of the inventory at once, sorted for the report."""
    cloud = members(inventory, policy)
    parts = (addresses, bridges, filter_rules, variables, secret_checks, storage, objects)
    found = [problem for part in parts for problem in part.check(cloud, policy)]
    return collect([*topology.check(inventory, cloud, policy), *found])


def members(inventory: Snapshot, policy: Policy) -> Snapshot:
    """The inventory without hosts that stand in groups of the operator's own alone: monitoring, a deployment host. They
    are not the cloud's, so nothing is expected of them."""
    hosts = {
        name: host
        for name, host in inventory.hosts.items()
        if host.groups & policy.groups.keys() or not host.groups - {"ungrouped"}
    }
    return Snapshot(hosts, inventory.groups)
