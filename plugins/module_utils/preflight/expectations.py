"""What each host must offer, worked out from the inventory, for the probe to look at and the judge to compare."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.preflight import bridges
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.addresses import (
    INTERNAL,
    MANAGEMENT,
    PUBLIC,
    TUNNEL,
    parse,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.interfaces import Role
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.snapshot import Host, Snapshot
from ansible_collections.stackwright.cloud.plugins.module_utils.service import derive
from ansible_collections.stackwright.cloud.plugins.module_utils.service.specification import (
    Book,
    Component,
    SpecificationError,
)

_REACHED = (INTERNAL, "stackwright_database_address", "stackwright_messaging_address")


def of(inventory: Snapshot, roles: Mapping[str, Role]) -> dict[str, dict[str, Any]]:
    """The expectations of every host by its name, as plain data."""
    return {host.name: _of_host(host, inventory, roles) for host in inventory.hosts.values()}


def _of_host(host: Host, inventory: Snapshot, roles: Mapping[str, Role]) -> dict[str, Any]:
    components = list(_components(host, roles))
    site = derive.Site(lambda name: host.work_out("{{ " + name + " }}"))
    carries_ovn = "ovn" in host.roles
    addresses = [MANAGEMENT, *([TUNNEL] if carries_ovn else [])] if host.roles else []
    peers = host.get("preflight_peers") or []
    return {
        "services": bool(components),
        "listeners": [one for component in components for one in _listeners(component, site)],
        "units": sorted({str(unit["name"]) for one in components for unit in derive.units(one)}),
        "addresses": [[name, host.get(name)] for name in addresses if parse(host.get(name))],
        "name": host.name if host.roles else "",
        "interfaces": _interfaces(host) if carries_ovn else [],
        "needed": [
            [name, host.get(name)]
            for name in ("ansible_host", MANAGEMENT, TUNNEL)
            if host.roles and parse(host.get(name))
        ],
        "names": [
            [name, host.get(name)] for name in _REACHED if host.roles and host.get(name) and not parse(host.get(name))
        ],
        "peers": [_peer(inventory.hosts[name]) for name in peers if name in inventory.hosts and name != host.name],
        "sources": [str(line) for line in _list(host.get("base_apt_sources"))],
        "hypervisor": "compute" in host.roles,
        # users come in where the hosts speak among themselves: only the packet filter keeps the two apart
        "shared_address": "controller" in host.roles
        and host.get(PUBLIC) is not None
        and host.get(PUBLIC) == host.get(MANAGEMENT),
        "filter": bool(host.get("base_filter")),
        "distribution": host.get("preflight_distribution"),
        "versions": [str(one) for one in _list(host.get("preflight_distribution_versions"))],
        "memory_mb": host.get("preflight_memory_minimum_mb"),
        "disk_mb": host.get("preflight_disk_minimum_mb"),
        "disk_reserve_mb": host.get("preflight_disk_reserve_mb"),
        "clock_skew_seconds": host.get("preflight_clock_skew_seconds"),
        "check_mirror": host.get("preflight_check_mirror"),
        "timeout_seconds": host.get("preflight_timeout_seconds"),
    }


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _interfaces(host: Host) -> list[list[str]]:
    """Variable, interface, and the address that its bridge takes over, which may stand on it."""
    tunnel = host.get(bridges.TUNNEL)
    found = [[variable, interface, ""] for interface, variable in bridges.interfaces(host).values() if interface]
    return found + ([[bridges.TUNNEL, str(tunnel), str(host.get(TUNNEL) or "")]] if tunnel else [])


def _peer(peer: Host) -> dict[str, Any]:
    """Where the peer's SSH is asked. `ansible_port` belongs to `ansible_host`: behind another address, where ports are
    forwarded or a jump host stands between, sshd has its own, probably 22; `assumed` says that any answer will do."""
    target = peer.get("ansible_host") or peer.name
    address = peer.get(MANAGEMENT) or target
    assumed = str(address) != str(target)
    port = 22 if assumed else int(peer.get("ansible_port") or 22)
    return {"host": peer.name, "address": str(address), "port": port, "assumed": assumed}


def _components(host: Host, roles: Mapping[str, Role]) -> Iterator[Component]:
    """What all services that the host's node roles carry say of units and ports; a check of its own tells of those that are unknown."""
    book = Book(roles)
    nodes = [role for role in sorted(host.roles) if f"{role}_services" in roles[role].defaults]
    for term in [str(one) for role in nodes for one in _list(host.get(f"{role}_services"))]:
        try:
            yield book.component(term, host.work_out, "account", "api", "units", "filter")
        except SpecificationError:
            continue


def _listeners(component: Component, site: derive.Site) -> Iterator[dict[str, Any]]:
    """Where the component will listen, as its filter says: `{service, address, port, unit}`, one for each address and port."""
    for entry in derive.filter_entries(component, site):
        if entry.get("protocol", "tcp") != "tcp" or not entry.get("unit"):
            continue
        for port in _list(entry.get("ports")):
            for address in _list(entry.get("addresses")) if str(port).isdigit() else []:
                yield {
                    "service": str(entry.get("name")),
                    "address": str(address),
                    "port": int(port),
                    "unit": str(entry["unit"]),
                }
