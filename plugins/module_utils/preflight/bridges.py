"""Checks of the bridges of physical networks: each needs an interface, and each network that is offered needs a
bridge."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.common import words
from ansible_collections.stackwright.cloud.plugins.module_utils.common.problem import Problem
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.policy import GUESTS, Policy
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.problem import INVENTORY, problem_of
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.rules import Rules
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.snapshot import Host, Snapshot

_OWN = {"br-int": "OVN's own bridge", "br-tunnel": "the bridge of the tunnels"}


@dataclass(frozen=True)
class Names:
    """The options that say how bridges and physical networks hang together."""

    mappings: str
    given: str
    external: str
    tunnel: str
    offered: tuple[tuple[str, str], ...]
    """Options with physical networks on which networks are offered, each with the option without which it says
    nothing."""

    @classmethod
    def of(cls, rules: Rules) -> Names:
        """The options by their kinds."""
        ranges = [(one.option, "") for one in rules.kind("ranges") if one.settings.get("networks")]
        networks = [(one.option, str(one.settings.get("where", ""))) for one in rules.kind("physical_networks")]
        return cls(
            rules.option("bridge_mappings"),
            rules.option("bridge_interfaces"),
            rules.option("interface", joins="external"),
            rules.option("interface", joins="tunnels"),
            (*ranges, *networks),
        )

    def interfaces(self, host: Host) -> dict[str, tuple[str, str]]:
        """Bridge to its interface on the host, with the variable that says so; as the role ovn puts the two variables
        together."""
        found: dict[str, tuple[str, str]] = {}
        external = host.get(self.external)
        if external and (bridges := list(_mapping(host, self.mappings).values())):
            found[str(bridges[0])] = (str(external), self.external)
        return found | {str(name): (str(one), self.given) for name, one in _mapping(host, self.given).items()}


def check(inventory: Snapshot, policy: Policy) -> Iterator[Problem]:
    """Every problem of bridges, their interfaces and the physical networks on them."""
    names = Names.of(policy.rules)
    hypervisors = [host for host in inventory.hosts.values() if policy.carries(host, GUESTS)]
    for host in hypervisors:
        if _sound(host, names):
            yield from _bridges(host, names)
            yield from _shared(host, names)
    yield from _offered(inventory, policy, names, hypervisors)
    yield from _wireless(hypervisors, names)


def _mapping(host: Host, name: str) -> Mapping[str, Any]:
    value = host.get(name)
    return value if isinstance(value, Mapping) else {}


def _sound(host: Host, names: Names) -> bool:
    """Whether the variables have the shape that is read here; what has not is reported as such."""
    return all(isinstance(host.get(name) or {}, Mapping) for name in (names.mappings, names.given))


def _bridges(host: Host, names: Names) -> Iterator[Problem]:
    mapped = {str(bridge): str(network) for network, bridge in _mapping(host, names.mappings).items()}
    given = names.interfaces(host)
    first, external = next(iter(mapped), ""), host.get(names.external)
    own = _mapping(host, names.given).get(first)
    if external and own and own != external:
        yield problem_of(
            host.name,
            names.external,
            f"is {external!r} for {first}, for which {names.given} has {own!r}",
            f"Leave {names.external} out.",
            host.where(names.external),
        )
    for bridge, (interface, variable) in given.items():
        if bridge not in mapped:
            yield problem_of(
                host.name,
                variable,
                f"{bridge!r} is no bridge of {names.mappings}, which has {', '.join(mapped) or 'none'}",
                words.hint(bridge, mapped) or f"Map a physical network to it in {names.mappings}, or remove it.",
                host.where(variable),
            )
        if not interface:
            yield problem_of(
                host.name,
                variable,
                f"{bridge} has no interface",
                "Name one, or leave the bridge out.",
                host.where(variable),
            )
    for bridge, network in mapped.items():
        if bridge in _OWN:
            yield problem_of(
                host.name,
                names.mappings,
                f"{bridge!r}, for {network!r}, is {_OWN[bridge]}",
                "Give the physical network a bridge of its own, such as br-ex.",
                host.where(names.mappings),
            )
        if given and bridge not in given:
            yield problem_of(
                host.name,
                names.given,
                f"no interface is named for {bridge}, the bridge of {network!r}",
                f"Add it, as in {names.given}: {{{bridge}: eth2}}, or give this host {names.mappings} "
                f"without {network!r}.",
                host.where(names.given),
            )


def _shared(host: Host, names: Names) -> Iterator[Problem]:
    """An interface is a port of one bridge."""
    users: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for bridge, (interface, variable) in names.interfaces(host).items():
        if interface:
            users[interface].append((bridge, variable))
    for interface, held in users.items():
        if interface == host.get(names.tunnel):
            yield problem_of(
                host.name,
                held[0][1],
                f"{interface!r} is also the tunnel interface, which would lose its address inside the bridge",
                "Name an interface that carries no address the host needs.",
                host.where(held[0][1]),
            )
        if len(held) > 1:
            yield problem_of(
                host.name,
                names.given,
                f"{interface!r} is to join {' and '.join(bridge for bridge, _variable in held)}",
                "Give each bridge an interface of its own, for example a VLAN of one: bond0.100.",
                host.where(names.given),
            )
        if interface in names.interfaces(host) or interface in _OWN:
            yield problem_of(
                host.name,
                held[0][1],
                f"{interface!r} is a bridge itself",
                "Name the interface that joins it.",
                host.where(held[0][1]),
            )


def _offered(inventory: Snapshot, policy: Policy, names: Names, hypervisors: list[Host]) -> Iterator[Problem]:
    """Physical networks on which Neutron offers networks and that no bridge leads to: their guests would have no
    wire."""
    mapped = sorted({str(network) for host in hypervisors for network in _mapping(host, names.mappings)})
    if not hypervisors:
        return
    for host in inventory.hosts.values():
        # hosts of an operator's own have no networks, and what the inventory says nothing of is the product's own
        # affair
        if not host.roles or not host.touched & {names.mappings, *(name for name, _where in names.offered)}:
            continue
        for name, where in names.offered:
            if where and not host.get(where):
                continue
            values = host.get(name)
            for text in values if isinstance(values, list) else str(values or "").split(","):
                network = str(text).split(":")[0].strip()
                if network and network not in mapped and not network.isdigit():
                    yield problem_of(
                        host.name,
                        name,
                        f"the physical network {network!r} is mapped to no bridge, only {', '.join(mapped) or 'none'}",
                        words.hint(network, mapped) or f"Map it in {names.mappings}, or remove it.",
                        host.where(name),
                    )


def _wireless(hypervisors: list[Host], names: Names) -> Iterator[Problem]:
    """Networks that the inventory itself maps and that have an interface nowhere."""
    asked = {
        str(network) for host in hypervisors if names.mappings in host.own for network in _mapping(host, names.mappings)
    }
    wired = {
        str(network)
        for host in hypervisors
        for network, bridge in _mapping(host, names.mappings).items()
        if str(bridge) in names.interfaces(host)
    }
    if asked and not wired:
        yield problem_of(
            INVENTORY,
            names.given,
            f"no host has an interface for {', '.join(sorted(asked))}",
            f"Set {names.given}, for example in group_vars/compute: {names.given}: {{br-ex: eth2}}.",
        )
