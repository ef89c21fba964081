"""Checks of groups, host names and who shares a machine with whom."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

from ansible_collections.stackwright.cloud.plugins.module_utils.common import words
from ansible_collections.stackwright.cloud.plugins.module_utils.common.problem import Problem
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.policy import Policy
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.problem import INVENTORY, problem_of
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.snapshot import Host, Snapshot

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")  # RFC 1123, small letters only
_BUILT_IN = ("all", "ungrouped")
_RESERVED_HOSTS = ("localhost", "broadcasthost", "ip6-localhost", "ip6-loopback")


def check(inventory: Snapshot, cloud: Snapshot, policy: Policy) -> Iterator[Problem]:
    """Every problem of the inventory's shape.

    :param cloud: the inventory without hosts that are not the cloud's.
    """
    yield from _groups(inventory, policy)
    yield from _alone(cloud, policy)
    yield from _placement(cloud, policy)
    yield from _names(cloud)


def _groups(inventory: Snapshot, policy: Policy) -> Iterator[Problem]:
    for name, group in policy.groups.items():
        members = inventory.groups.get(name)
        if group.minimum and members is None:
            meant = words.nearest(name, [one for one in inventory.groups if one not in policy.groups])
            hint = f" The group {meant!r} may have been meant for it: rename it." if meant else ""
            yield problem_of(
                INVENTORY, name, "this group is missing", f"Add it with at least {_hosts(group.minimum)}.{hint}"
            )
        elif len(members or []) < group.minimum:
            yield problem_of(
                INVENTORY, name, "this group has no host", f"Put at least {_hosts(group.minimum)} into it."
            )
        elif group.odd and members and len(members) % 2 == 0:
            yield problem_of(
                INVENTORY,
                name,
                f"this group has {len(members)} hosts, an even number",
                "Use one, three or five: with an even number the loss of half of them stops the database and the "
                "message queue, so the last host adds no safety.",
            )
        elif policy.deploying and not group.roles and members:
            yield problem_of(
                INVENTORY,
                name,
                f"this group has {len(members)} hosts, and no role is mapped to it yet: nothing of it "
                f"would be deployed",
                "Leave it empty, or remove it.",
            )
    for name in inventory.groups:
        if name in policy.groups or name in _BUILT_IN:
            continue
        meant = words.slip_of(name, [one for one in policy.groups if one not in inventory.groups])
        if meant and not policy.groups[meant].minimum:  # a missing required group has been reported above
            yield problem_of(
                INVENTORY, name, "no role is mapped to this group", f"Rename it to {meant!r}, if it was meant."
            )


def _alone(cloud: Snapshot, policy: Policy) -> Iterator[Problem]:
    """Services that several hosts of a group would carry, and that cannot run on several."""
    for name in policy.groups if policy.deploying else ():
        members = [host for host in cloud.hosts.values() if name in host.groups]
        carriers: dict[str, int] = defaultdict(int)
        for host in members:
            for term in set(policy.services(host, [name])):
                carriers[term] += 1
        alone = [term for term, number in carriers.items() if number > 1 and policy.alone(term)]
        if alone:
            yield problem_of(
                INVENTORY,
                name,
                f"this group has {_hosts(len(members))}, and not all of its services can run on several yet: "
                f"{', '.join(sorted(alone))}",
                "Leave one host in it, or take these services out of its list.",
            )


def _hosts(number: int) -> str:
    return f"{number} host{'' if number == 1 else 's'}"


def _placement(inventory: Snapshot, policy: Policy) -> Iterator[Problem]:
    for host in inventory.hosts.values():
        for conflict in policy.conflicts:
            if host.groups.issuperset(conflict.groups):
                first, second = conflict.groups
                yield problem_of(
                    host.name,
                    "groups",
                    f"this host is in {first!r} and in {second!r}; {conflict.reason}",
                    "Take it out of one of the two groups and give the other a host of its own.",
                )
        if policy.deploying:
            yield from _unused(host, policy)
        if not host.groups & policy.groups.keys():
            yield problem_of(
                host.name,
                "groups",
                "this host is in no group at all",
                f"Put it into one of {', '.join(policy.groups)}; or, if it is not one of the cloud's, "
                f"into a group of your own.",
            )


def _unused(host: Host, policy: Policy) -> Iterator[Problem]:
    """What a host would carry by its group, and that no play applies to it."""
    for name in sorted(host.groups & policy.groups.keys()):
        left = sorted(policy.groups[name].applied - host.roles)
        if left:
            yield problem_of(
                host.name,
                "groups",
                f"this host is in {name!r}, and no play of site.yml applies {', '.join(left)} to it: "
                f"nothing of it would be deployed",
                "Take it out of the group, or add a play for the group.",
            )


def _names(inventory: Snapshot) -> Iterator[Problem]:
    by_short_name: dict[str, list[str]] = defaultdict(list)
    for name in inventory.hosts:
        by_short_name[name.split(".")[0].lower()].append(name)
        labels = name.split(".")
        if len(name) > 253 or not all(_LABEL.match(label) for label in labels) or labels[0].isdigit():
            yield problem_of(
                name,
                "inventory_hostname",
                "this is not a valid host name",
                "Use small letters, digits and hyphens, not digits alone, at most 63 characters between dots; "
                "put the address into ansible_host.",
            )
        elif name in _RESERVED_HOSTS:
            yield problem_of(
                name,
                "inventory_hostname",
                "this name means every machine itself",
                "Give the machine a name of its own and put its address into ansible_host.",
            )
        if name in inventory.groups:
            yield problem_of(
                name,
                "inventory_hostname",
                "a group has the same name, so patterns cannot tell the two apart",
                f"Rename the host, for example to {name}1.",
            )
    for short, names in by_short_name.items():
        if len(names) > 1:
            for name in names:
                others = ", ".join(other for other in names if other != name)
                yield problem_of(
                    name,
                    "inventory_hostname",
                    f"the short name {short!r} is also that of {others}",
                    "Give every host a short name of its own: agents and queues register under it.",
                )
