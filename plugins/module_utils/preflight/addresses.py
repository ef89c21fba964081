"""Checks of addresses, networks, interfaces and the names under which the cloud answers."""

from __future__ import annotations

import contextlib
import ipaddress
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.common.problem import Problem
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.kinds import (
    Address,
    Network,
    end_fault,
    is_name,
    parse,
    parse_network,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.policy import APIS, VIRTUAL_ADDRESS, Policy
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.problem import problem_of
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.rules import Rule
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.snapshot import Host, Snapshot
from ansible_collections.stackwright.cloud.plugins.module_utils.service.terms import canonical, split_term

CONNECTION = "ansible_host"
"""Ansible's own variable, where it connects to."""
_DOCUMENTATION: tuple[Network, ...] = tuple(
    map(ipaddress.ip_network, ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"))
)  # RFC 5737, RFC 3849


def check(inventory: Snapshot, policy: Policy) -> Iterator[Problem]:
    """Every problem of addresses and networks."""
    for rule in policy.rules.kind("host_address"):
        yield from _one_per_host(inventory, policy, rule)
    yield from _connections(inventory)
    yield from _entry_points(inventory, policy)
    yield from _networks(inventory, policy)
    yield from _families(inventory, policy)
    if policy.deploying:
        yield from _placeholders(inventory, policy)


def management(policy: Policy) -> str:
    """The option with a host's own address that every host needs."""
    return next((one.option for one in policy.rules.kind("host_address") if "of" not in one.settings), "")


def needed_by(host: Host, policy: Policy, rule: Rule) -> bool:
    """Whether a host needs this address of its own: always, or where it carries the component, or any of the role, that
    the rule names."""
    component = rule.settings.get("of")
    carried = list(map(canonical, policy.services(host)))
    return not component or canonical(component) in carried or component in {split_term(one)[0] for one in carried}


def unfit(address: Address) -> str | None:
    """Why a host cannot answer under this address, None when it can."""
    if address.is_unspecified:
        return "means every address at once"
    if address.is_loopback:
        return "is a loopback address, which other hosts cannot reach"
    if address.is_multicast:
        return "is a multicast address"
    if address.is_link_local:
        return "is a link-local address, which is not routed"
    if str(address) == "255.255.255.255":
        return "is the broadcast address"
    return None


def _one_per_host(inventory: Snapshot, policy: Policy, rule: Rule) -> Iterator[Problem]:
    """Each host's own address: well-formed, usable, unique, of one family throughout."""
    name = rule.option
    holders: dict[Address, list[Host]] = defaultdict(list)
    for host in inventory.hosts.values():
        value = host.get(name)
        # where a host does not need it, the default says nothing
        if value is None or (name not in host.own and not needed_by(host, policy, rule)):
            continue
        address = parse(value)
        mend = f"Give the address of this host as digits, for example {name}: 10.0.0.11."
        if address is None:
            hint = " without a prefix length" if isinstance(value, str) and parse(value.split("/")[0]) else ""
            yield problem_of(host.name, name, f"{value!r} is not an IP address{hint}", mend, host.where(name))
            continue
        reason = unfit(address)
        if reason:
            yield problem_of(host.name, name, f"{address} {reason}", mend, host.where(name))
            continue
        holders[address].append(host)
    for address, hosts in holders.items():
        for host in hosts if len(hosts) > 1 else []:
            others = ", ".join(other.name for other in hosts if other is not host)
            yield problem_of(
                host.name,
                name,
                f"{address} is also that of {others}",
                "Give every host an address of its own.",
                host.where(name),
            )
    families = {address.version for address in holders}
    if len(families) > 1:
        rare = min(
            families,
            key=lambda version: (sum(len(hosts) for one, hosts in holders.items() if one.version == version), -version),
        )
        for address, hosts in holders.items():
            if address.version == rare:
                for host in hosts:
                    yield problem_of(
                        host.name,
                        name,
                        f"{address} is an IPv{rare} address, those of other hosts are not",
                        "Use one family for all hosts.",
                        host.where(name),
                    )


def _connections(inventory: Snapshot) -> Iterator[Problem]:
    """Where Ansible is to connect to."""
    holders: dict[tuple[str, object], list[Host]] = defaultdict(list)
    for host in inventory.hosts.values():
        target = host.get(CONNECTION)
        if target is None:
            continue
        if parse(target) is None and not is_name(target):
            yield problem_of(
                host.name,
                CONNECTION,
                f"{target!r} is neither an IP address nor a host name",
                "Give the address under which this machine answers SSH.",
                host.where(CONNECTION),
            )
        holders[str(target), host.get("ansible_port") or 22].append(host)
    for (target, _port), hosts in holders.items():
        for host in hosts if len(hosts) > 1 else []:
            others = ", ".join(other.name for other in hosts if other is not host)
            yield problem_of(
                host.name,
                CONNECTION,
                f"{target} is also that of {others}",
                "Give every host the address of its own machine.",
                host.where(CONNECTION),
            )


def _entry_points(inventory: Snapshot, policy: Policy) -> Iterator[Problem]:
    """The addresses under which the cloud itself answers."""
    controllers = _members(inventory, policy.carrying(APIS))
    balancers = policy.carrying(VIRTUAL_ADDRESS)
    own = management(policy)
    rules = policy.rules.kind("cloud_address")
    agreed = all(
        len({str(host.get(rule.option)) for host in inventory.hosts.values()}) == 1 for rule in rules if rule.same
    )
    for rule in rules:
        name = rule.option
        for host in inventory.hosts.values():
            value = host.get(name)
            if value is None:
                continue
            address = parse(value)
            mend = "Give the address, or the DNS name, under which clients reach the APIs."
            if address is None:
                if fault := end_fault(value):
                    yield problem_of(host.name, name, fault[0], mend, host.where(name))
                continue
            reason = unfit(address)
            if reason:
                yield problem_of(host.name, name, f"{address} {reason}", mend, host.where(name))
                continue
            owners = [other for other in inventory.hosts.values() if parse(other.get(own)) == address]
            if not agreed:  # reported as such; whose address it is on which host leads nowhere
                continue
            wrong_owner = [other for other in owners if len(controllers) != 1 or other not in controllers]
            if wrong_owner:
                yield problem_of(
                    host.name,
                    name,
                    f"{address} is the management address of {wrong_owner[0].name}, it cannot be the cloud's as well",
                    "Choose a free address for the cloud; with a single controller, that controller's own."
                    if len(controllers) == 1
                    else "Choose a free address that the load balancer can carry.",
                    host.where(name),
                )
            elif (
                rule.settings["asked_by"] == "hosts"
                and not owners
                and controllers
                and not _members(inventory, balancers)
            ):
                yield problem_of(
                    host.name,
                    name,
                    f"{address} belongs to no controller and there is no load balancer to carry it",
                    f"Put hosts into the group {balancers[0]!r}, or use the address of the only controller."
                    if balancers
                    else "Use the address of the only controller.",
                    host.where(name),
                )


def _members(inventory: Snapshot, groups: list[str]) -> list[Host]:
    """The hosts of groups. One that is in several of them is one host."""
    names = dict.fromkeys(name for group in groups for name in inventory.groups.get(group, []))
    return [inventory.hosts[name] for name in names if name in inventory.hosts]


def _networks(inventory: Snapshot, policy: Policy) -> Iterator[Problem]:
    """Networks with the gateway, the addresses and the pool that must lie in them."""
    for rule in policy.rules.kind("network"):
        said = rule.settings
        start, end = said.get("pool") or ("", "")
        names = {
            "cidr": rule.option,
            "gateway": said.get("gateway"),
            "address": said.get("address"),
            "start": start,
            "end": end,
        }
        given = {key: str(name) for key, name in names.items() if name}
        owner = policy.rules.of(str(said.get("address", "")))
        for host in inventory.hosts.values():
            if host.touched & set(given.values()) and (owner is None or needed_by(host, policy, owner)):
                yield from _network(host, {key: host.get(name) for key, name in given.items()}, given)


def _network(host: Host, fields: Mapping[str, Any], names: Mapping[str, str]) -> Iterator[Problem]:
    def problem(key: str, wrong: str, mend: str) -> Problem:
        return problem_of(host.name, names[key], wrong, mend, host.where(names[key]))

    if fields["cidr"] in (None, ""):
        return
    network = parse_network(fields["cidr"])
    if network is None:
        loose = None
        with contextlib.suppress(ValueError, TypeError):
            loose = ipaddress.ip_network(fields["cidr"], strict=False)
        mend = (
            f"Write {loose}."
            if loose and "/" in str(fields["cidr"])
            else "Write the network address and prefix length, as in 10.0.0.0/24."
        )
        yield problem("cidr", f"{fields['cidr']!r} is not a network", mend)
        return
    inside: dict[str, Address] = {}
    for key in ("gateway", "address", "start", "end"):
        value = fields.get(key)
        if value is None or value == "":
            continue
        address = parse(value)
        if address is None:
            yield problem(key, f"{value!r} is not an IP address", f"Give an address of {network}.")
        elif address not in network:
            yield problem(key, f"{address} lies outside {network}", f"Give an address of {network}.")
        elif (
            network.version == 4
            and network.prefixlen < 31
            and address in (network.network_address, network.broadcast_address)
        ):
            yield problem(
                key,
                f"{address} is the network's or the broadcast address of {network}",
                "Give an address between the two.",
            )
        else:
            inside[key] = address
    if "start" in inside and "end" in inside:
        if int(inside["start"]) > int(inside["end"]):
            yield problem(
                "start", f"the pool ends ({inside['end']}) before it starts ({inside['start']})", "Exchange the two."
            )
        elif "gateway" in inside and int(inside["start"]) <= int(inside["gateway"]) <= int(inside["end"]):
            yield problem(
                "gateway",
                f"{inside['gateway']} lies in the allocation pool {inside['start']} - {inside['end']}",
                "Shrink the pool or move the gateway: an address of the pool goes to a server.",
            )


def _families(inventory: Snapshot, policy: Policy) -> Iterator[Problem]:
    """Addresses of the sixth version where no role writes the brackets that URLs and listeners need."""
    own = management(policy)
    for host in inventory.hosts.values():
        for name in (rule.option for rule in policy.rules.rules if rule.family == 4):
            address = parse(host.get(name))
            if address is None or address.version == 4:
                continue
            # the variable that the operator wrote: one that is worked out from another is not told again
            said = name if name in host.own else CONNECTION if name == own else ""
            if said:
                yield problem_of(
                    host.name,
                    said,
                    "IPv6 is not supported on the management network and for the APIs yet",
                    f"Give an IPv4 address, or leave the other one to {CONNECTION} and set {own}.",
                    host.where(said),
                )


def _placeholders(inventory: Snapshot, policy: Policy) -> Iterator[Problem]:
    networks = [rule for rule in policy.rules.kind("network") if rule.settings.get("real")]
    addresses = [
        CONNECTION,
        *(rule.option for rule in policy.rules.kind("host_address", "cloud_address", "service_address")),
    ]
    for host in inventory.hosts.values():
        for name in (rule.option for rule in networks if rule.option in host.own):
            network = parse_network(host.get(name))
            if network and any(network.overlaps(one) for one in _DOCUMENTATION if one.version == network.version):
                yield problem_of(
                    host.name,
                    name,
                    f"{network} is a placeholder from the ranges for documentation",
                    "Put the network of your floating addresses there, with gateway and pool, or remove the four.",
                    host.where(name),
                )
        for name in addresses:
            setting = host.settings.get(name)
            address = parse(setting.value) if setting and setting.own and setting.value == setting.raw else None
            if address and any(address in network for network in _DOCUMENTATION):
                yield problem_of(
                    host.name,
                    name,
                    f"{address} is a placeholder from the ranges for documentation",
                    "Put the real address there.",
                    host.where(name),
                )
