"""Checks of the bridges of physical networks: each needs an interface, and each network that is offered needs a bridge."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.common import words
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.policy import Policy
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.problem import INVENTORY, Problem
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.snapshot import Host, Snapshot

MAPPINGS = "ovn_bridge_mappings"
INTERFACES = "ovn_bridge_interfaces"
EXTERNAL = "ovn_external_interface"
TUNNEL = "ovn_tunnel_interface"
RANGES = "neutron_vlan_ranges"
NETWORKS = "neutron_physical_networks"
VERIFIED = "verify_external_physical_network"
_OWN = {"br-int": "OVN's own bridge", "br-tunnel": "the bridge of the tunnels"}


def check(inventory: Snapshot, policy: Policy) -> Iterator[Problem]:
    """Every problem of bridges, their interfaces and the physical networks on them."""
    hypervisors = [host for host in inventory.hosts.values() if "compute" in host.roles]
    for host in hypervisors:
        if _sound(host):
            yield from _bridges(host)
            yield from _shared(host)
    yield from _offered(inventory, hypervisors)
    yield from _wireless(hypervisors)


def interfaces(host: Host) -> dict[str, tuple[str, str]]:
    """Bridge to its interface on the host, with the variable that says so; as the role ovn puts the two variables together."""
    found: dict[str, tuple[str, str]] = {}
    external = host.get(EXTERNAL)
    if external and (bridges := list(_mapping(host, MAPPINGS).values())):
        found[str(bridges[0])] = (str(external), EXTERNAL)
    return found | {str(name): (str(one), INTERFACES) for name, one in _mapping(host, INTERFACES).items()}


def _mapping(host: Host, name: str) -> Mapping[str, Any]:
    value = host.get(name)
    return value if isinstance(value, Mapping) else {}


def _sound(host: Host) -> bool:
    """Whether the variables have the shape that is read here; what has not is reported as such."""
    return all(isinstance(host.get(name) or {}, Mapping) for name in (MAPPINGS, INTERFACES))


def _bridges(host: Host) -> Iterator[Problem]:
    mapped = {str(bridge): str(network) for network, bridge in _mapping(host, MAPPINGS).items()}
    given = interfaces(host)
    first, external = next(iter(mapped), ""), host.get(EXTERNAL)
    own = _mapping(host, INTERFACES).get(first)
    if external and own and own != external:
        yield Problem(
            host.name,
            EXTERNAL,
            f"is {external!r} for {first}, for which {INTERFACES} has {own!r}",
            f"Leave {EXTERNAL} out.",
            host.where(EXTERNAL),
        )
    for bridge, (interface, variable) in given.items():
        if bridge not in mapped:
            yield Problem(
                host.name,
                variable,
                f"{bridge!r} is no bridge of {MAPPINGS}, which has {', '.join(mapped) or 'none'}",
                words.hint(bridge, mapped) or f"Map a physical network to it in {MAPPINGS}, or remove it.",
                host.where(variable),
            )
        if not interface:
            yield Problem(
                host.name, variable, f"{bridge} has no interface", "Name one, or leave the bridge out.", host.where(variable)
            )
    for bridge, network in mapped.items():
        if bridge in _OWN:
            yield Problem(
                host.name,
                MAPPINGS,
                f"{bridge!r}, for {network!r}, is {_OWN[bridge]}",
                "Give the physical network a bridge of its own, such as br-ex.",
                host.where(MAPPINGS),
            )
        if given and bridge not in given:
            yield Problem(
                host.name,
                INTERFACES,
                f"no interface is named for {bridge}, the bridge of {network!r}",
                f"Add it, as in {INTERFACES}: {{{bridge}: eth2}}, or give this host {MAPPINGS} without {network!r}.",
                host.where(INTERFACES),
            )


def _shared(host: Host) -> Iterator[Problem]:
    """An interface is a port of one bridge."""
    users: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for bridge, (interface, variable) in interfaces(host).items():
        if interface:
            users[interface].append((bridge, variable))
    for interface, held in users.items():
        if interface == host.get(TUNNEL):
            yield Problem(
                host.name,
                held[0][1],
                f"{interface!r} is also the tunnel interface, which would lose its address inside the bridge",
                "Name an interface that carries no address the host needs.",
                host.where(held[0][1]),
            )
        if len(held) > 1:
            yield Problem(
                host.name,
                INTERFACES,
                f"{interface!r} is to join {' and '.join(bridge for bridge, _variable in held)}",
                "Give each bridge an interface of its own, for example a VLAN of one: bond0.100.",
                host.where(INTERFACES),
            )
        if interface in interfaces(host) or interface in _OWN:
            yield Problem(
                host.name, held[0][1], f"{interface!r} is a bridge itself", "Name the interface that joins it.", host.where(held[0][1])
            )


def _offered(inventory: Snapshot, hypervisors: list[Host]) -> Iterator[Problem]:
    """Physical networks on which Neutron offers networks and that no bridge leads to: their guests would have no wire."""
    mapped = sorted({str(network) for host in hypervisors for network in _mapping(host, MAPPINGS)})
    if not hypervisors:
        return
    for host in inventory.hosts.values():
        if "neutron" not in host.roles or not host.touched & {RANGES, NETWORKS, MAPPINGS, VERIFIED}:
            continue
        # verification makes its external network where the inventory says how
        for name in (RANGES, NETWORKS, *([VERIFIED] if host.get("verify_external_cidr") else [])):
            values = host.get(name)
            for text in values if isinstance(values, list) else str(values or "").split(","):
                network = str(text).split(":")[0].strip()
                if network and network not in mapped and not network.isdigit():
                    yield Problem(
                        host.name,
                        name,
                        f"the physical network {network!r} is mapped to no bridge, only {', '.join(mapped) or 'none'}",
                        words.hint(network, mapped) or f"Map it in {MAPPINGS}, or remove it.",
                        host.where(name),
                    )


def _wireless(hypervisors: list[Host]) -> Iterator[Problem]:
    """Networks that the inventory itself maps and that have an interface nowhere."""
    asked = {str(network) for host in hypervisors if MAPPINGS in host.own for network in _mapping(host, MAPPINGS)}
    wired = {
        str(network)
        for host in hypervisors
        for network, bridge in _mapping(host, MAPPINGS).items()
        if str(bridge) in interfaces(host)
    }
    if asked and not wired:
        yield Problem(
            INVENTORY,
            INTERFACES,
            f"no host has an interface for {', '.join(sorted(asked))}",
            f"Set {INTERFACES}, for example in group_vars/compute: {INTERFACES}: {{br-ex: eth2}}.",
        )
