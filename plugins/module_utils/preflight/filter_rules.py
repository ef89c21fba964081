"""Checks of what the site says to the packet filter, before it could lock anybody out or leave something open."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.stackwright.cloud.plugins.module_utils.common.problem import Problem
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.policy import Policy
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.problem import problem_of
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.snapshot import Snapshot
from ansible_collections.stackwright.cloud.plugins.module_utils.service import host_filter, packet_filter
from ansible_collections.stackwright.cloud.plugins.module_utils.service.specification import Book

RULES = "base_filter_rules"


def check(inventory: Snapshot, policy: Policy) -> Iterator[Problem]:
    """Every host's own rules: well-formed, and about components that there are."""
    known = Book(policy.roles).names()
    for host in inventory.hosts.values():
        try:
            site, rules, _listeners = host_filter.site_of(host.work_out)
            for entry in rules:
                packet_filter.sources_of(entry, [], site, known)
        except packet_filter.FilterError as error:
            named, _, place = error.where.partition(", ")
            # a rule of the site's goes by its own name once it has been read
            variable = named if named in host.settings else RULES
            yield problem_of(
                host.name,
                variable,
                f"{place}: {error.wrong}" if place else error.wrong if variable == named else str(error),
                "Correct it as the page on the packet filter shows.",
                host.where(variable),
            )
