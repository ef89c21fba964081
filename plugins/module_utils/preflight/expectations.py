"""What each host must offer, worked out from the inventory, for the probe to look at and the judge to compare."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.pki import authority
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight import bridges, storage
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.addresses import (
    CONNECTION,
    management,
    needed_by,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.kinds import parse
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.policy import (
    APIS,
    GUESTS,
    VIRTUAL_ADDRESS,
    Policy,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.snapshot import Host, Snapshot
from ansible_collections.stackwright.cloud.plugins.module_utils.secrets import declare
from ansible_collections.stackwright.cloud.plugins.module_utils.service import derive
from ansible_collections.stackwright.cloud.plugins.module_utils.service.derive import AUTHORITY
from ansible_collections.stackwright.cloud.plugins.module_utils.service.specification import (
    Component,
    SpecificationError,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.service.terms import split_term


def of(inventory: Snapshot, policy: Policy) -> dict[str, dict[str, Any]]:
    """The expectations of every host by its name, as plain data."""
    return {host.name: _of_host(host, inventory, policy) for host in inventory.hosts.values()}


def _of_host(host: Host, inventory: Snapshot, policy: Policy) -> dict[str, Any]:
    rules = policy.rules
    components = list(_components(host, policy)) if host.roles else []
    site = derive.Site(lambda name: host.work_out("{{ " + name + " }}"))
    own = management(policy)
    found = [one.option for one in rules.kind("host_address") if host.roles and needed_by(host, policy, one)]
    addresses = sorted(found, key=lambda name: name != own)
    asked = [
        one.option for one in rules.kind("cloud_address", "service_address") if one.settings.get("asked_by") != "users"
    ]
    users = rules.option("cloud_address", asked_by="users")
    peers = host.get("preflight_peers") or []
    return {
        "services": bool(components),
        "listeners": [one for component in components for one in _listeners(component, site)],
        "units": sorted({str(unit["name"]) for one in components for unit in derive.units(one)}),
        "others": _others(host, policy, {str(unit["name"]) for one in components for unit in derive.units(one)}),
        "addresses": [[name, host.get(name)] for name in addresses if parse(host.get(name))],
        "name": host.name if host.roles else "",
        "interfaces": _interfaces(host, policy) if policy.carries(host, GUESTS) else [],
        "needed": [[name, host.get(name)] for name in (CONNECTION, *addresses) if host.roles and parse(host.get(name))],
        "names": [
            [name, one] for name in asked for one in _several(host.get(name)) if host.roles and one and not parse(one)
        ],
        "peers": [_peer(inventory.hosts[name], own) for name in peers if name in inventory.hosts and name != host.name],
        "sources": [str(line) for line in _list(host.get("base_apt_sources"))],
        "storage": _storage(host, inventory, policy),
        "virtual": _virtual(host, policy, own),
        "hypervisor": policy.carries(host, GUESTS),
        # users come in where the hosts speak among themselves: only the packet filter keeps the two apart
        "shared_address": policy.carries(host, APIS)
        and host.get(users) is not None
        and host.get(users) == host.get(own),
        "filter": bool(host.get("base_filter")),
        "authorities": _authorities(host) if host.roles else [],
        "distribution": host.get("preflight_distribution"),
        "versions": [str(one) for one in _list(host.get("preflight_distribution_versions"))],
        "memory_mb": host.get("preflight_memory_minimum_mb"),
        "disk_mb": host.get("preflight_disk_minimum_mb"),
        "disk_reserve_mb": host.get("preflight_disk_reserve_mb"),
        "clock_skew_seconds": host.get("preflight_clock_skew_seconds"),
        "check_mirror": host.get("preflight_check_mirror"),
        "timeout_seconds": host.get("preflight_timeout_seconds"),
    }


def _authorities(host: Host) -> list[str]:
    """Fingerprints of the certificate authorities that the inventory holds. A check of its own tells of a secret that
    is none."""
    secrets = host.get(declare.VARIABLE)
    try:
        known = authority.read(str(secrets[AUTHORITY])) if isinstance(secrets, dict) and AUTHORITY in secrets else None
    except authority.AuthorityError:
        known = None
    return [authority.fingerprint(one.certificate) for one in known.trusted] if known else []


def _virtual(host: Host, policy: Policy, own: str) -> dict[str, Any]:
    """What a load balancer is to carry: the addresses with the options that say so, the identifiers of its virtual
    routers, its own address and those of all load balancers; empty for others."""
    if not host.roles or not policy.carries(host, VIRTUAL_ADDRESS) or not parse(host.get(own)):
        return {}
    options = [rule.option for rule in policy.rules.kind("cloud_address")]
    addresses = [str(one) for one in _list(host.work_out("{{ loadbalancer_addresses }}")) if parse(one)]
    first = host.work_out("{{ loadbalancer_router_id }}")
    members = host.work_out("{{ loadbalancer_members }}")
    said = {str(host.get(option)): option for option in reversed(options)}
    return {
        "addresses": {address: said.get(address, "loadbalancer_addresses") for address in addresses},
        "routers": [int(first) + number for number in range(len(addresses))] if str(first).isdigit() else [],
        "own": str(host.get(own)),
        "members": sorted(map(str, members.values())) if isinstance(members, dict) else [],
    }


def _several(value: Any) -> list[Any]:
    """The places of a service, which may be one."""
    return value if isinstance(value, list) else [value]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _storage(host: Host, inventory: Snapshot, policy: Policy) -> dict[str, Any]:
    """What a host of Ceph must not have; empty for others."""
    carried = policy.services(host)
    for rule in policy.rules.kind("ceph_cluster"):
        if rule.settings["of"] not in {split_term(one)[0] for one in carried}:
            continue
        disks = [
            [one.option, *disk]
            for one in policy.rules.kind("disks")
            if one.settings["of"] in carried
            for disk in storage.paths(host, one.option)
        ]
        matches = [
            [one.option, entry]
            for one in policy.rules.kind("disks")
            if one.settings["of"] in carried
            for entry in storage.described(host, one.option)
        ]
        monitors = [one.name for one in inventory.hosts.values() if rule.settings["monitors"] in policy.services(one)]
        cluster = {"cluster": str(host.get(rule.option) or ""), "cluster_option": rule.option}
        return {**cluster, "disks": disks, "matches": matches, "monitors": monitors}
    return {}


def _interfaces(host: Host, policy: Policy) -> list[list[str]]:
    """Variable, interface, and the address that its bridge takes over, which may stand on it."""
    names = bridges.Names.of(policy.rules)
    tunnel = host.get(names.tunnel)
    found = [[variable, interface, ""] for interface, variable in names.interfaces(host).values() if interface]
    rule = policy.rules.of(names.tunnel)
    addresses = [one for one in policy.rules.kind("host_address") if rule and one.role == rule.role]
    ends = [str(host.get(one.option) or "") for one in addresses if one.settings.get("of")]
    return found + ([[names.tunnel, str(tunnel), ends[0] if ends else ""]] if tunnel else [])


def _peer(peer: Host, own: str) -> dict[str, Any]:
    """Where the peer's SSH is asked. `ansible_port` belongs to `ansible_host`: behind another address, where ports are
    forwarded or a jump host stands between, sshd has its own, probably 22; `assumed` says that any answer will do."""
    target = peer.get(CONNECTION) or peer.name
    address = peer.get(own) or target
    assumed = str(address) != str(target)
    port = 22 if assumed else int(peer.get("ansible_port") or 22)
    return {"host": peer.name, "address": str(address), "port": port, "assumed": assumed}


def _components(host: Host, policy: Policy) -> Iterator[Component]:
    """What all services that the host carries say of units and ports; a check of its own tells of those that are
    unknown."""
    for term in policy.services(host):
        try:
            yield policy.book.component(term, host.work_out, "account", "api", "units", "filter")
        except SpecificationError:
            continue


def _others(host: Host, policy: Policy, own: set[str]) -> dict[str, dict[str, list[str]]]:
    """What would run and lie on the host if it carried what it does not: `{service: {units, files}}`.

    :param own: units of what it carries.
    """
    found: dict[str, dict[str, list[str]]] = {}
    for term in policy.others(host, host.work_out("{{ stackwright_carriers }}") or {}):
        try:
            component = policy.book.component(term, host.work_out, "account", "api", "units")
        except SpecificationError:
            continue
        running = {str(unit["name"]) for unit in derive.units(component) if unit.get("state", "started") == "started"}
        paths = derive.paths(term, policy.book.read(term))
        found[term] = {"units": sorted(running - own), "files": sorted(one for one in paths if one.startswith("/"))}
    return found


def _listeners(component: Component, site: derive.Site) -> Iterator[dict[str, Any]]:
    """Where the component will listen, as its filter says: `{service, address, port, unit}`, one for each address and
    port."""
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
