"""Checks of addresses, networks, interfaces and the names under which the cloud answers."""

from __future__ import annotations

import contextlib
import ipaddress
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.policy import Policy
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.problem import INVENTORY, Problem
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.snapshot import Host, Snapshot

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MANAGEMENT = "stackwright_management_address"
INTERNAL = "stackwright_internal_address"
PUBLIC = "stackwright_public_address"
TUNNEL = "ovn_tunnel_address"
_DOCUMENTATION: tuple[Network, ...] = tuple(
    map(ipaddress.ip_network, ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"))
)  # RFC 5737, RFC 3849
_HOSTNAME = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*\Z"
)
_REGION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}\Z")


def parse(value: object) -> Address | None:
    """The address that `value` writes, None when it writes none."""
    try:
        return ipaddress.ip_address(value) if isinstance(value, str) else None
    except ValueError:
        return None


def parse_network(value: object) -> Network | None:
    """The network that `value` writes with its prefix length and without host bits, None when it writes none."""
    try:
        return ipaddress.ip_network(value) if isinstance(value, str) and "/" in value else None
    except ValueError:
        return None


def check(inventory: Snapshot, policy: Policy) -> Iterator[Problem]:
    """Every problem of addresses and networks."""
    for name in (MANAGEMENT, TUNNEL):
        yield from _one_per_host(inventory, name)
    yield from _connections(inventory)
    yield from _entry_points(inventory, policy)
    yield from _region(inventory)
    yield from _networks(inventory)
    yield from _ipv6(inventory)
    if policy.deploying:
        yield from _placeholders(inventory)


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


def _one_per_host(inventory: Snapshot, name: str) -> Iterator[Problem]:
    """Each host's own address: well-formed, usable, unique, of one family throughout."""
    holders: dict[Address, list[Host]] = defaultdict(list)
    for host in inventory.hosts.values():
        value = host.get(name)
        # tunnels end on hypervisors; elsewhere the default says nothing
        if value is None or (name == TUNNEL and name not in host.own and "compute" not in host.roles):
            continue
        address = parse(value)
        mend = f"Give the address of this host as digits, for example {name}: 10.0.0.11."
        if address is None:
            hint = " without a prefix length" if isinstance(value, str) and parse(value.split("/")[0]) else ""
            yield Problem(host.name, name, f"{value!r} is not an IP address{hint}", mend, host.where(name))
            continue
        reason = unfit(address)
        if reason:
            yield Problem(host.name, name, f"{address} {reason}", mend, host.where(name))
            continue
        holders[address].append(host)
    for address, hosts in holders.items():
        for host in hosts if len(hosts) > 1 else []:
            others = ", ".join(other.name for other in hosts if other is not host)
            yield Problem(
                host.name,
                name,
                f"{address} is also that of {others}",
                "Give every host an address of its own.",
                host.where(name),
            )
    families = {address.version for address in holders}
    if len(families) > 1:
        rare = min(
            families, key=lambda version: sum(len(hosts) for one, hosts in holders.items() if one.version == version)
        )
        for address, hosts in holders.items():
            if address.version == rare:
                for host in hosts:
                    yield Problem(
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
        target = host.get("ansible_host")
        if target is None:
            continue
        if parse(target) is None and not (isinstance(target, str) and _HOSTNAME.match(target) and not _numeric(target)):
            yield Problem(
                host.name,
                "ansible_host",
                f"{target!r} is neither an IP address nor a host name",
                "Give the address under which this machine answers SSH.",
                host.where("ansible_host"),
            )
        holders[str(target), host.get("ansible_port") or 22].append(host)
    for (target, _port), hosts in holders.items():
        for host in hosts if len(hosts) > 1 else []:
            others = ", ".join(other.name for other in hosts if other is not host)
            yield Problem(
                host.name,
                "ansible_host",
                f"{target} is also that of {others}",
                "Give every host the address of its own machine.",
                host.where("ansible_host"),
            )


def _numeric(text: str) -> bool:
    """Whether the last part is a number, as in a mistyped address; no host name ends so (RFC 1123)."""
    return text.rsplit(".", 1)[-1].isdigit()


def _entry_points(inventory: Snapshot, policy: Policy) -> Iterator[Problem]:
    """The addresses under which the cloud itself answers."""
    controllers = [inventory.hosts[name] for name in inventory.groups.get("controller", [])]
    agreed = len({str(host.get(INTERNAL)) for host in inventory.hosts.values()}) == 1
    for name in (INTERNAL, PUBLIC):
        for host in inventory.hosts.values():
            value = host.get(name)
            if value is None:
                continue
            address = parse(value)
            mend = "Give the address, or the DNS name, under which clients reach the APIs."
            if address is None:
                if not isinstance(value, str) or not _HOSTNAME.match(value) or _numeric(value):
                    hint = (
                        ", without scheme, port and path"
                        if isinstance(value, str) and re.search(r"[:/]", value)
                        else ""
                    )
                    yield Problem(
                        host.name,
                        name,
                        f"{value!r} is neither an IP address nor a DNS name{hint}",
                        mend,
                        host.where(name),
                    )
                continue
            reason = unfit(address)
            if reason:
                yield Problem(host.name, name, f"{address} {reason}", mend, host.where(name))
                continue
            owners = [other for other in inventory.hosts.values() if parse(other.get(MANAGEMENT)) == address]
            if not agreed:  # reported as such; whose address it is on which host leads nowhere
                continue
            wrong_owner = [other for other in owners if len(controllers) != 1 or other not in controllers]
            if wrong_owner:
                yield Problem(
                    host.name,
                    name,
                    f"{address} is the management address of {wrong_owner[0].name}, it cannot be the cloud's as well",
                    "Choose a free address for the cloud; with a single controller, that controller's own."
                    if len(controllers) == 1
                    else "Choose a free address that the load balancer can carry.",
                    host.where(name),
                )
            elif name == INTERNAL and not owners and controllers and not inventory.groups.get("loadbalancer"):
                yield Problem(
                    host.name,
                    name,
                    f"{address} belongs to no controller and there is no load balancer to carry it",
                    "Put hosts into the group 'loadbalancer', or use the address of the only controller.",
                    host.where(name),
                )
    yield from _differing(inventory, INTERNAL)
    yield from _differing(inventory, "stackwright_region")


def _differing(inventory: Snapshot, name: str) -> Iterator[Problem]:
    """What belongs to the cloud as a whole must be the same on every host."""
    values = {host.name: host.get(name) for host in inventory.hosts.values() if host.get(name) is not None}
    if len({str(value) for value in values.values()}) > 1:
        listed = ", ".join(f"{value!r} on {host}" for host, value in values.items())
        yield Problem(
            INVENTORY, name, f"differs between hosts: {listed}", "Set it once, in group_vars/all, and nowhere else."
        )


def _region(inventory: Snapshot) -> Iterator[Problem]:
    for host in inventory.hosts.values():
        region = host.get("stackwright_region")
        if region is not None and (not isinstance(region, str) or not _REGION.match(region)):
            yield Problem(
                host.name,
                "stackwright_region",
                f"{region!r} is not a usable region name",
                "Use letters, digits, dots, hyphens and underscores, beginning with a letter or digit.",
                host.where("stackwright_region"),
            )


def _networks(inventory: Snapshot) -> Iterator[Problem]:
    """Networks with their gateway and pools, whether written as `x_cidr`, `x_gateway`, `x_pool_start`, `x_pool_end` or
    as one mapping with `cidr`, `gateway` and `allocation_pools`; and addresses declared within a network."""
    for host in inventory.hosts.values():
        for name in sorted(host.touched):
            setting = host.settings[name]
            if name.endswith("_cidr"):
                stem = name.removesuffix("_cidr")
                fields = {
                    "cidr": setting.value,
                    "gateway": host.get(f"{stem}_gateway"),
                    "address": host.get(f"{stem}_address"),
                    "start": host.get(f"{stem}_pool_start"),
                    "end": host.get(f"{stem}_pool_end"),
                }
                names = {
                    "cidr": name,
                    "gateway": f"{stem}_gateway",
                    "address": f"{stem}_address",
                    "start": f"{stem}_pool_start",
                    "end": f"{stem}_pool_end",
                }
                yield from _network(host, fields, names)
            elif name.endswith("_network") and f"{name.removesuffix('_network')}_address" in host.settings:
                stem = name.removesuffix("_network")
                fields = {"cidr": setting.value, "address": host.get(f"{stem}_address")}
                yield from _network(host, fields, {"cidr": name, "address": f"{stem}_address"})
            else:
                for path, mapping in _mappings(name, setting.value):
                    if "cidr" not in mapping:
                        continue
                    pools = mapping.get("allocation_pools") or [{}]
                    for number, pool in enumerate(pools if isinstance(pools, list) else [{}]):
                        pool = pool if isinstance(pool, dict) else {}
                        gateway = mapping.get("gateway", mapping.get("gateway_ip"))
                        fields = {
                            "cidr": mapping["cidr"],
                            "gateway": gateway,
                            **{key: pool.get(key) for key in ("start", "end")},
                        }
                        names = {
                            "cidr": f"{path}.cidr",
                            "gateway": f"{path}.gateway",
                            "start": f"{path}.allocation_pools[{number}].start",
                            "end": f"{path}.allocation_pools[{number}].end",
                        }
                        yield from _network(host, fields, names, setting.where)


def _mappings(path: str, value: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(value, Mapping):
        yield path, value
        for key, inner in value.items():
            yield from _mappings(f"{path}.{key}", inner)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _mappings(f"{path}[{number}]", inner)


def _network(host: Host, fields: Mapping[str, Any], names: Mapping[str, str], where: str = "") -> Iterator[Problem]:
    def problem(key: str, wrong: str, mend: str) -> Problem:
        return Problem(host.name, names[key], wrong, mend, where or host.where(names[key]))

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


# Where services listen or are asked. Tunnels between hosts, and guests, may have IPv6.
_FOUR_ONLY = (
    MANAGEMENT,
    INTERNAL,
    PUBLIC,
    "stackwright_database_address",
    "stackwright_messaging_address",
    "ovn_central_address",
)


def _ipv6(inventory: Snapshot) -> Iterator[Problem]:
    """Addresses of the sixth version, which no role writes with the brackets that URLs and listeners need."""
    for host in inventory.hosts.values():
        for name in _FOUR_ONLY:
            address = parse(host.get(name))
            if address is None or address.version == 4:
                continue
            # the variable that the operator wrote: one that is worked out from another is not told again
            said = name if name in host.own else "ansible_host" if name == MANAGEMENT else ""
            if said:
                yield Problem(
                    host.name,
                    said,
                    "IPv6 is not supported on the management network and for the APIs yet",
                    "Give an IPv4 address, or leave the other one to ansible_host and set stackwright_management_address.",
                    host.where(said),
                )


_PLACEHOLDER_NETWORK = "verify_external_cidr"


def _placeholders(inventory: Snapshot) -> Iterator[Problem]:
    for host in inventory.hosts.values():
        network = parse_network(host.get(_PLACEHOLDER_NETWORK)) if _PLACEHOLDER_NETWORK in host.own else None
        if network and any(network.overlaps(one) for one in _DOCUMENTATION if one.version == network.version):
            yield Problem(
                host.name,
                _PLACEHOLDER_NETWORK,
                f"{network} is a placeholder from the ranges for documentation",
                "Put the network of your floating addresses there, with gateway and pool, or remove the four.",
                host.where(_PLACEHOLDER_NETWORK),
            )
        for name in ("ansible_host", MANAGEMENT, TUNNEL, INTERNAL, PUBLIC):
            setting = host.settings.get(name)
            address = parse(setting.value) if setting and setting.own and setting.value == setting.raw else None
            if address and any(address in network for network in _DOCUMENTATION):
                yield Problem(
                    host.name,
                    name,
                    f"{address} is a placeholder from the ranges for documentation",
                    "Put the real address there.",
                    host.where(name),
                )
