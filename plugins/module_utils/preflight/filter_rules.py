"""Checks of what the site says to the packet filter, before it could lock anybody out or leave something open."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.policy import Policy
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.problem import Problem
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.snapshot import Snapshot
from ansible_collections.stackwright.cloud.plugins.module_utils.service import host_filter, packet_filter
from ansible_collections.stackwright.cloud.plugins.module_utils.service.specification import Book


def check(inventory: Snapshot, policy: Policy) -> Iterator[Problem]:
    """Every host's own rules: well-formed, and about components that there are."""
    known = Book(policy.roles).names()
    for host in inventory.hosts.values():
        try:
            site, rules, _listeners = host_filter.site_of(host.work_out)
            for entry in rules:
                packet_filter.sources_of(entry, [], site, known)
        except packet_filter.FilterError as error:
            found = re.match(r"(base_[a-z_]+),? ?(.*?): (.*)", str(error))
            variable, place, wrong = (found[1], found[2], found[3]) if found else ("base_filter_rules", "", str(error))
            yield Problem(
                host.name,
                variable,
                f"{place}: {wrong}" if place else wrong,
                "Correct it as the page on the packet filter shows.",
                host.where(variable),
            )
