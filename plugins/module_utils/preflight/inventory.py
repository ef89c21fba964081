"""The static part of preflight: all checks of the whole inventory that need no connection."""

from __future__ import annotations

from ansible_collections.stackwright.cloud.plugins.module_utils.preflight import (
    addresses,
    secret_checks,
    topology,
    variables,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.policy import Policy
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.problem import Problem, collect
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.snapshot import Snapshot


def examine(inventory: Snapshot, policy: Policy) -> list[Problem]:
    """All problems of the inventory at once, sorted for the report."""
    return collect(
        problem for part in (topology, addresses, variables, secret_checks) for problem in part.check(inventory, policy)
    )
