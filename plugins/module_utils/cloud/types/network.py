"""Resource types of the network service: networks and what lies in them. Routers, addresses and rules have files of
their own."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.errors import Problem
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.operation import set_tags
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.schema import (
    AUTH_PROJECT,
    Field,
    Item,
    Operation,
    Plan,
    Raw,
    ResourceType,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.types.common import (
    DESCRIPTION,
    NAME,
    without_what_leaves,
)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Block = ipaddress.IPv4Network | ipaddress.IPv6Network
Found = list[tuple[str, str, str]]
ENABLED = Field("enabled", "Whether it carries traffic.", "bool", api="admin_state_up")
SHARED = Field("shared", "Whether every project may use it.", "bool")
PROJECT = Field(
    "project",
    "Project that it belongs to, that of the login by default. Another one needs an administrator's rights.",
    api="project_id",
    ref="project",
    immutable=True,
    default=AUTH_PROJECT,
)
# What lies in a network belongs to the network's project.
INHERITED_PROJECT = Field(
    "project",
    "Project that it belongs to, that of its network by default.",
    api="project_id",
    ref="project",
    immutable=True,
)
IN_NETWORK = Field(
    "network", "Network that it lies in.", api="network_id", ref="network", required=True, immutable=True
)
QOS = Field(
    "qos_policy",
    "QoS policy that limits it; empty for none.",
    api="qos_policy_id",
    ref="qos_policy",
    lets_go=without_what_leaves,
)


def _tags(op: Operation, before: Any, after: Any) -> None:
    set_tags(op, after)


TAGS = Field("tags", "Labels.", "set", apply=_tags)


def check_tags(values: Mapping[str, Any]) -> Found:
    """Labels that the service refuses."""
    return [
        (f"tags[{number}]", f"'{tag}' is no label.", "A label has 1 to 255 characters and no comma.")
        for number, tag in enumerate(values.get("tags") or [])
        if not 1 <= len(tag) <= 255 or "," in tag
    ]


# What all types have that the service keeps tags for.
TAGGED: dict[str, Any] = {"name_filter": "many", "update_method": "PUT", "mark": "tags"}

# Addresses -----------------------------------------------------------------------------------------------------------


def block_of(text: Any) -> Block | None:
    """A range of addresses, or None when the text is none."""
    try:
        return ipaddress.ip_network(str(text), strict=False)
    except ValueError:
        return None


def address_of(text: Any) -> Address | None:
    """An address, or None when the text is none."""
    try:
        return ipaddress.ip_address(str(text))
    except ValueError:
        return None


def plain_address(text: Any) -> Any:
    """An address in its shortest form; anything else as it is."""
    return str(address_of(text) or text)


def plain_block(text: Any) -> Any:
    """A range in its shortest form; anything else as it is."""
    return str(block_of(text) or text)


def overlap(one: Any, other: Any) -> bool:
    """Whether two ranges, as text, have addresses in common."""
    left, right = block_of(one), block_of(other)
    return bool(left and right and left.version == right.version and left.overlaps(right))


def contains(wide: Any, narrow: Any) -> bool:
    """Whether a range, as text, lies in another one."""
    one, other = block_of(wide), block_of(narrow)
    return bool(one and other and overlap(wide, narrow) and other.prefixlen >= one.prefixlen)


def check_address(values: Mapping[str, Any], key: str) -> Found:
    """A problem when the value of a key is no address."""
    text = values.get(key)
    if text in (None, "", "none") or address_of(text):
        return []
    return [(key, f"'{text}' is no address.", "Write it as 192.0.2.1 or 2001:db8::1.")]


def check_block(text: Any, key: str) -> Found:
    """A problem when a text is no range of addresses, or has bits beyond its prefix."""
    block = block_of(text)
    if block is None:
        return [(key, f"'{text}' is no range of addresses.", "Write it as 192.0.2.0/24 or 2001:db8::/64.")]
    try:
        ipaddress.ip_network(str(text))
    except ValueError:
        return [(key, f"'{text}' has bits beyond its prefix.", f"Write {block}.")]
    return []


def check_routes(values: Mapping[str, Any], name: str) -> Found:
    """Problems of routes: what is no range, and what is no address."""
    found: Found = []
    for number, route in enumerate(values.get(name) or []):
        if "destination" in route:
            found += check_block(route["destination"], f"{name}[{number}].destination")
        found += [(f"{name}[{number}].{key}", cause, mend) for key, cause, mend in check_address(route, "nexthop")]
        block, hop = block_of(route.get("destination")), address_of(route.get("nexthop"))
        if block and hop and block.version != hop.version:
            found.append(
                (f"{name}[{number}].nexthop", f"{hop} cannot lead to {block}: one is IPv4, the other IPv6.", "")
            )
    return found


# Networks ------------------------------------------------------------------------------------------------------------


def _provider(name: str, doc: str, kind: Any = "str") -> Field:
    return Field(name, doc, kind, api=f"provider:{name}", immutable=True)


def _check_network(values: Mapping[str, Any]) -> Found:
    found = check_tags(values)
    domain = values.get("dns_domain")
    if domain and not domain.endswith("."):
        found.append(("dns_domain", f"'{domain}' has no dot at its end.", f"Write {domain}."))
    if "segmentation_id" in values and "network_type" not in values:
        found.append(("segmentation_id", "A number needs the kind of network that it is of.", "Give network_type."))
    return found


NETWORK = ResourceType(
    "network",
    "networks",
    "network",
    "/networks",
    (
        NAME,
        PROJECT,
        DESCRIPTION,
        ENABLED,
        SHARED,
        Field("external", "Whether routers have their gateways in it.", "bool", api="router:external"),
        Field("default", "Whether it is the external network that is taken by default.", "bool", api="is_default"),
        Field("mtu", "Greatest size of a packet in bytes.", "int"),
        _provider("network_type", "How it is carried, such as geneve, vlan or flat."),
        _provider("physical_network", "Physical network that carries it."),
        _provider("segmentation_id", "VLAN or tunnel number.", "int"),
        Field("port_security", "Whether its ports drop forged addresses.", "bool", api="port_security_enabled"),
        Field("vlan_transparent", "Whether servers may send VLAN tags through it.", "bool", immutable=True),
        Field("dns_domain", "Domain of its servers' names, with a dot at the end.", normal=str.lower),
        QOS,
        Field(
            "availability_zones",
            "Zones that its services run in.",
            "set",
            api="availability_zone_hints",
            immutable=True,
        ),
        TAGS,
    ),
    doc="A network.",
    identity=("name", "project"),
    check=_check_network,
    tells=lambda raw, planner: {
        "mtu": raw.get("mtu"),
        **{key: raw.get(f"provider:{key}") for key in ("network_type", "physical_network", "segmentation_id")},
    },
    not_carried=("network_type", "physical_network", "segmentation_id"),
    derived=("mtu",),
    **TAGGED,
)


SEGMENT = ResourceType(
    "segment",
    "segments",
    "network",
    "/segments",
    (
        NAME,
        IN_NETWORK,
        DESCRIPTION,
        Field("network_type", "How it is carried, such as vlan or flat.", required=True, immutable=True),
        Field("physical_network", "Physical network that carries it.", immutable=True),
        Field("segmentation_id", "VLAN or tunnel number.", "int", immutable=True),
    ),
    doc="A segment of a routed network.",
    identity=("name", "network"),
    name_filter="many",
    update_method="PUT",
    # The service gives each network a nameless one.
    skip_export=lambda raw: "" if raw.get("name") else "made by the service itself",
)

# Subnets -------------------------------------------------------------------------------------------------------------


def _pools(value: Any) -> Any:
    return sorted(
        ({"start": plain_address(p.get("start")), "end": plain_address(p.get("end"))} for p in value),
        key=lambda pool: str(pool["start"]),
    )


def _routes(value: Any) -> Any:
    return sorted(
        ({"destination": plain_block(r.get("destination")), "nexthop": plain_address(r.get("nexthop"))} for r in value),
        key=str,
    )


def routes_field(name: str, doc: str, apply: Any = None) -> Field:
    """A list of routes."""
    return Field(
        name,
        doc,
        "list",
        normal=_routes,
        apply=apply,
        keys=(
            Field("destination", "Range of addresses, such as 10.9.0.0/16.", required=True),
            Field("nexthop", "Address of the next router.", required=True),
        ),
    )


IPV6_MODES = ("ipv6_ra_mode", "ipv6_address_mode")


def _subnet_body(op: Operation, body: dict[str, Any]) -> dict[str, Any]:
    if body.get("gateway_ip") == "none":
        body["gateway_ip"] = None
    if op.values.get("cidr"):
        block = block_of(op.values["cidr"])
        body.setdefault("ip_version", block.version if block else 4)
    return body


def _check_subnet(values: Mapping[str, Any]) -> Found:
    found = check_address(values, "gateway_ip") + check_routes(values, "host_routes")
    for number, server in enumerate(values.get("dns_nameservers") or []):
        found += [
            (f"dns_nameservers[{number}]", cause, mend) for _, cause, mend in check_address({"dns": server}, "dns")
        ]
    if values.get("ip_version", 4) not in (4, 6):
        found.append(("ip_version", f"There is no IPv{values['ip_version']}.", "It is 4 or 6."))
    if values.get("ip_version") == 4:
        found += [(key, "It is for IPv6.", "Remove it.") for key in IPV6_MODES if key in values]
    block = None
    if "cidr" in values:
        found += check_block(values["cidr"], "cidr")
        block = block_of(values["cidr"])
    if block and block.version == 4 and "ip_version" not in values:
        found += [(key, f"It is for IPv6, and {block} is IPv4.", "Remove it.") for key in IPV6_MODES if key in values]
    if block:
        found += _inside(block, values)
        if values.get("ip_version", block.version) != block.version:
            found.append(("ip_version", f"{block} is of version {block.version}.", "Leave the version out."))
    return found


def _inside(block: Block, values: Mapping[str, Any]) -> Found:
    """What has to lie in a subnet and does not, or is of another version. A gateway may lie outside: routed addresses
    have such."""
    found: Found = []
    gateway = address_of(values.get("gateway_ip"))
    if gateway and gateway.version != block.version:
        found.append(
            (
                "gateway_ip",
                f"The gateway {gateway} is no IPv{block.version} address, as {block} needs.",
                "Take another.",
            )
        )
    for number, text in enumerate(values.get("dns_nameservers") or []):
        server = address_of(text)
        if server and server.version != block.version:
            found.append(
                (
                    f"dns_nameservers[{number}]",
                    f"{server} is an IPv{server.version} address, and {block} takes IPv{block.version} ones only.",
                    f"Name it at the subnet of the network that is IPv{server.version}.",
                )
            )
    for key in ("destination", "nexthop"):
        for number, route in enumerate(values.get("host_routes") or []):
            one = block_of(route.get(key))
            if one and one.version != block.version:
                found.append(
                    (f"host_routes[{number}].{key}", f"{route[key]} is not of IPv{block.version} as {block}.", "")
                )
    for number, pool in enumerate(values.get("allocation_pools") or []):
        start, end = address_of(pool.get("start")), address_of(pool.get("end"))
        key = f"allocation_pools[{number}]"
        if not start or not end:
            found.append((key, f"{pool.get('start')} to {pool.get('end')} is no range of addresses.", ""))
        elif start not in block or end not in block:
            found.append((key, f"{start} to {end} is outside the subnet {block}.", ""))
        elif int(start) > int(end):
            found.append((key, f"{start} comes after {end}.", "Exchange start and end."))
        elif gateway and int(start) <= int(gateway) <= int(end):
            found.append((key, f"The gateway {gateway} is among {start} to {end}.", "Leave it out of the pool."))
    return found


def _of_pool(planner: Plan, item: Item) -> list[Problem]:
    """What a subnet takes from its pool: the version. And what of it can only be said when it is made."""
    pool = item.resolved.get("subnet_pool")
    if item.current is not None:
        block = block_of(item.current.get("cidr"))
        length = item.values.get("prefix_length")
        if block and length is not None and length != block.prefixlen:
            cause = f"The prefix length is {block.prefixlen}, wanted {length}: the range of a subnet cannot be changed."
            return [item.problem(cause, "Take the old length, or make another subnet.", "prefix_length")]
        return []
    if not pool:
        return []
    prefixes = planner.value_of("subnet_pool", pool, "prefixes") or []
    versions = {block.version for block in map(block_of, prefixes) if block}
    if len(versions) != 1:
        return []
    (version,) = versions
    if item.values.get("ip_version", version) != version:
        return [item.problem(f"The pool gives IPv{version} ranges.", "Leave the version out.", "ip_version")]
    item.resolved["ip_version"] = version
    problems = []
    given = item.values.get("cidr")
    if given and not any(contains(prefix, given) for prefix in prefixes):
        cause = f"{given} is in none of the pool's ranges {', '.join(map(str, prefixes))}."
        problems.append(item.problem(cause, "Take one of them, or leave cidr out.", "cidr"))
    length = item.values.get("prefix_length")
    for name, wrong in (("min_prefix_length", "less than"), ("max_prefix_length", "more than")):
        bound = planner.value_of("subnet_pool", pool, name)
        if length is None or bound is None:
            continue
        if (length < int(bound)) if name.startswith("min") else (length > int(bound)):
            cause = f"The prefix length {length} is {wrong} the pool's {name.replace('_', ' ')}, {bound}."
            problems.append(item.problem(cause, "Take another length.", "prefix_length"))
    return problems


def _moved_gateway(planner: Plan, item: Item) -> list[Problem]:
    """What keeps a subnet from getting another gateway: pools that hold it, and the router that has the old one."""
    held, wanted = address_of((item.current or {}).get("gateway_ip")), address_of(item.values.get("gateway_ip"))
    if item.current is None or "gateway_ip" not in item.values or held == wanted:
        return []
    problems = []
    if wanted and "allocation_pools" not in item.values:
        for pool in item.current.get("allocation_pools") or []:
            if int(address_of(pool["start"]) or 0) <= int(wanted) <= int(address_of(pool["end"]) or 0):
                cause = (
                    f"The gateway {wanted} is among the addresses that are given out, {pool['start']} to {pool['end']}."
                )
                problems.append(item.problem(cause, "Name allocation_pools that leave it out.", "gateway_ip"))
    if held:
        params = [("network_id", item.current["network_id"]), ("fixed_ips", f"ip_address={held}")]
        for port in planner.cloud.pages("network", "/ports", "ports", params):
            if str(port.get("device_owner")).startswith("network:router_interface"):
                router = planner.state.name_of("router", str(port.get("device_id")))
                cause = f"The router {router} has the gateway's address {held}."
                mend = "Take the subnet out of its interfaces first, in a run of its own."
                problems.append(item.problem(cause, mend, "gateway_ip"))
    return problems


def _validate_subnets(planner: Plan, items: list[Item]) -> list[Problem]:
    """Ranges that overlap in one network, and gateways outside of subnets whose range the document does not say."""
    problems: list[Problem] = []
    networks: dict[Any, list[tuple[str, str, Item | None]]] = {}
    for item in items:
        problems += [*_of_pool(planner, item), *_moved_gateway(planner, item)]
        if item.current is not None and "cidr" not in item.values:
            block = block_of(item.current.get("cidr"))
            problems += [item.problem(c, m, k) for k, c, m in (_inside(block, item.values) if block else [])]
        if item.current is None and not any(item.values.get(key) for key in ("cidr", "subnet_pool")):
            problems.append(item.problem("One of cidr and subnet_pool is wanted.", "Give the range as cidr.", "cidr"))
        if item.values.get("cidr"):
            place = planner.target(item, "network")
            networks.setdefault(place, []).append((item.values["cidr"], item.path, item))
    new = {item.id for item in items if item.id}
    # Only new subnets can meet others that are there already.
    asked = {
        place
        for place, entries in networks.items()
        if isinstance(place, str) and any(item and item.current is None for _, _, item in entries)
    }
    if asked:
        for raw in planner.cloud.pages(
            "network", "/subnets", "subnets", [("network_id", place) for place in sorted(asked)]
        ):
            if raw["id"] not in new and not planner.leaves("subnet", raw["id"]):
                networks[raw["network_id"]].append((raw["cidr"], f"the subnet {raw.get('name') or raw['id']}", None))
    for entries in networks.values():
        for number, (cidr, path, entry) in enumerate(entries):
            for other_cidr, other_path, other in entries[:number]:
                told = entry or other
                if told and overlap(cidr, other_cidr):
                    here, there, where = (cidr, other_cidr, other_path) if entry else (other_cidr, cidr, path)
                    problems.append(
                        told.problem(
                            f"{here} overlaps {there} of {where} in the same network.",
                            "Take another range.",
                            "cidr",
                        )
                    )
    return problems


def _create_subnet(op: Operation) -> Raw:
    raw: Raw = op.call("POST", "/subnets", {"subnet": _subnet_body(op, op.body())}).body["subnet"]
    if op.values.get("allocation_pools") == [] and raw.get("allocation_pools"):
        # A new subnet gets a pool whatever is said.
        op.raw = raw
        raw = op.call("PUT", f"/subnets/{raw['id']}", {"subnet": {"allocation_pools": []}}).body["subnet"]
    return raw


def _update_subnet(op: Operation, changes: dict[str, Any]) -> None:
    body = op.body(changes)
    if body.get("gateway_ip") == "none":
        body["gateway_ip"] = None
    if body:
        op.call("PUT", f"/subnets/{op.id}", {"subnet": body})


SUBNET = ResourceType(
    "subnet",
    "subnets",
    "network",
    "/subnets",
    (
        NAME,
        IN_NETWORK,
        INHERITED_PROJECT,
        DESCRIPTION,
        Field("cidr", "Range of addresses, such as 192.0.2.0/24.", immutable=True, normal=plain_block),
        Field("ip_version", "4 or 6; that of the range or the pool by default.", "int", immutable=True),
        Field("subnet_pool", "Pool that gives it a range.", api="subnetpool_id", ref="subnet_pool", immutable=True),
        Field(
            "prefix_length",
            "Length of the range out of a pool, for a new subnet.",
            "int",
            api="prefixlen",
            write_only=True,
        ),
        Field(
            "gateway_ip",
            "Address of the router, the first one by default, which may lie outside the range; none for "
            "a subnet without one.",
            read=lambda raw: raw.get("gateway_ip") or "none",
            normal=plain_address,
        ),
        Field("dhcp", "Whether servers get their addresses by DHCP.", "bool", api="enable_dhcp"),
        Field(
            "allocation_pools",
            "Addresses that are given out.",
            "list",
            normal=_pools,
            keys=(Field("start", "First address.", required=True), Field("end", "Last address.", required=True)),
        ),
        Field(
            "dns_nameservers",
            "Name servers, in order.",
            "list",
            normal=lambda value: [plain_address(one) for one in value],
        ),
        routes_field("host_routes", "Routes that servers get by DHCP."),
        Field(
            "ipv6_address_mode",
            "How servers get IPv6 addresses.",
            choices=("dhcpv6-stateful", "dhcpv6-stateless", "slaac"),
            immutable=True,
        ),
        Field(
            "ipv6_ra_mode",
            "Who advertises the IPv6 router.",
            choices=("dhcpv6-stateful", "dhcpv6-stateless", "slaac"),
            immutable=True,
        ),
        Field("segment", "Segment that it lies in.", api="segment_id", ref="segment", immutable=True),
        Field("service_types", "Owners of ports that get addresses of it.", "set"),
        Field(
            "dns_publish_fixed_ip", "Whether its addresses are published in the external DNS.", "bool", default=False
        ),
        TAGS,
    ),
    doc="A subnet, a range of addresses in a network.",
    identity=("name", "network"),
    # Neutron gives a network's own port an address of each subnet, and refuses the second of two that come at once.
    in_turn="network",
    inherits={"project": "network"},
    create=_create_subnet,
    update=_update_subnet,
    check=_check_subnet,
    validate=_validate_subnets,
    tells=lambda raw, planner: {
        "cidr": raw.get("cidr"),
        "gateway_ip": raw.get("gateway_ip") or "",
        "allocation_pools": raw.get("allocation_pools") or [],
    },
    not_carried=("gateway_ip", "allocation_pools", "host_routes", "subnet_pool"),
    derived=("ip_version",),
    **TAGGED,
)


def _prefixes(value: Iterable[Any]) -> list[str]:
    """Ranges as the service keeps them: neighbours joined."""
    blocks = [block_of(text) for text in value]
    found: list[str] = [str(text) for text, block in zip(value, blocks, strict=True) if block is None]
    for version in (4, 6):
        alike: list[Any] = [block for block in blocks if block and block.version == version]
        found += map(str, ipaddress.collapse_addresses(alike))
    return found


def _fixed_prefixes(raw: Raw, before: Any, after: Any, values: Mapping[str, Any]) -> str:
    # A range within a wider one that joins it is still there.
    gone = [text for text in before or [] if set(_prefixes([text, *after])) != set(_prefixes(after))]
    return f"the prefix {', '.join(gone)} cannot be taken out of a pool" if gone else ""


def _length(name: str, doc: str, api: str) -> Field:
    return Field(name, doc, "int", api=api, normal=int)


SUBNET_POOL = ResourceType(
    "subnet_pool",
    "subnet_pools",
    "network",
    "/subnetpools",
    (
        NAME,
        PROJECT,
        DESCRIPTION,
        Field(
            "prefixes", "Ranges that it gives out; more can be added.", "set", normal=_prefixes, fixed=_fixed_prefixes
        ),
        _length("default_prefix_length", "Length of a range when none is asked for.", "default_prefixlen"),
        _length("min_prefix_length", "Shortest prefix that it gives out.", "min_prefixlen"),
        _length("max_prefix_length", "Longest prefix that it gives out.", "max_prefixlen"),
        Field(
            "address_scope",
            "Address scope; empty for none.",
            api="address_scope_id",
            ref="address_scope",
            lets_go=without_what_leaves,
        ),
        Field("shared", "Whether every project may use it.", "bool", immutable=True),
        Field("default", "Whether it is taken by default.", "bool", api="is_default"),
        Field("default_quota", "How much of it a project may have.", "int"),
        TAGS,
    ),
    doc="A pool of addresses for subnets.",
    key="subnetpool",
    collection="subnetpools",
    identity=("name", "project"),
    check=lambda values: [
        problem
        for number, text in enumerate(values.get("prefixes") or [])
        for problem in check_block(text, f"prefixes[{number}]")
    ],
    check_new=lambda values: (
        [] if values.get("prefixes") else [("prefixes", "A new pool needs ranges.", "Such as 10.0.0.0/8.")]
    ),
    **TAGGED,
)

ADDRESS_SCOPE = ResourceType(
    "address_scope",
    "address_scopes",
    "network",
    "/address-scopes",
    (
        NAME,
        PROJECT,
        Field("ip_version", "4 or 6.", "int", required=True, immutable=True),
        SHARED,
    ),
    doc="An address scope, in which no address is there twice.",
    identity=("name", "project"),
    name_filter="many",
    update_method="PUT",
)

# Ports ---------------------------------------------------------------------------------------------------------------


def fixed_ips_of(raw: Raw) -> list[dict[str, Any]]:
    """The addresses of a port as an entry has them."""
    return [
        {"subnet": ip["subnet_id"], "ip_address": plain_address(ip["ip_address"])} for ip in raw.get("fixed_ips") or []
    ]


def compare_fixed_ips(raw: Raw, wanted: Any, values: Mapping[str, Any]) -> tuple[Any, Any]:
    """Addresses that are as wanted stand for themselves: an element may leave subnet or address open."""
    held = fixed_ips_of(raw)
    left = list(held)
    # Fitting the most particular wishes first, no open one takes what a particular one needs.
    for element in sorted(wanted, key=lambda element: "ip_address" not in element):
        told = {key: plain_address(value) if key == "ip_address" else value for key, value in element.items()}
        fit = next((ip for ip in left if all(ip.get(key) == value for key, value in told.items())), None)
        if fit is None:
            return held, wanted
        left.remove(fit)
    # The service gives every port an address of such a subnet, whatever it was asked for.
    left = [ip for ip in left if not made_of_mac(raw, ip["ip_address"])]
    return (held, wanted) if left else (held, held)


def made_of_mac(raw: Raw, address: str) -> bool:
    """Whether an IPv6 address is made of the port's MAC address, as the service does in subnets with SLAAC."""
    parsed = address_of(address)
    digits = str(raw.get("mac_address") or "").replace(":", "")
    if not isinstance(parsed, ipaddress.IPv6Address) or len(digits) != 12:
        return False
    mac = int(digits, 16) ^ (2 << 40)
    return int(parsed) & (1 << 64) - 1 == (mac >> 24 << 40) | 0xFFFE << 24 | mac & 0xFFFFFF


def plain_mac(text: Any) -> str:
    """A MAC address as the service keeps it; anything else as it is."""
    digits = re.sub(r"[^0-9a-f]", "", str(text).lower())
    return ":".join(re.findall("..", digits)) if len(digits) == 12 else str(text)


def _pairs(raw: Raw) -> list[dict[str, Any]]:
    # What has the port's own MAC address says no more than one without.
    own = plain_mac(raw.get("mac_address"))
    return [
        {key: value for key, value in pair.items() if key != "mac_address" or plain_mac(value) not in (own, "None")}
        for pair in raw.get("allowed_address_pairs") or []
    ]


def _plain_pairs(value: Any) -> list[dict[str, Any]]:
    found = []
    for pair in value:
        block = block_of(pair.get("ip_address"))
        single = block is not None and block.prefixlen == block.max_prefixlen
        address = str(block.network_address if single else block) if block else pair.get("ip_address")
        mac = {"mac_address": plain_mac(pair["mac_address"])} if pair.get("mac_address") else {}
        found.append({"ip_address": address} | mac)
    return sorted(found, key=lambda pair: str(sorted(pair.items())))


def _compare_pairs(raw: Raw, wanted: Any, values: Mapping[str, Any]) -> tuple[Any, Any]:
    asked = {"mac_address": raw.get("mac_address"), "allowed_address_pairs": wanted}
    return _plain_pairs(_pairs(raw)), _plain_pairs(_pairs(asked))


def _plain_options(value: Any) -> list[dict[str, Any]]:
    found = [
        {
            "opt_name": str(one["opt_name"]),
            "opt_value": str(one["opt_value"]),
            "ip_version": int(one.get("ip_version") or 4),
        }
        for one in value
        if one.get("opt_value") is not None
    ]
    return sorted(found, key=lambda one: (one["ip_version"], one["opt_name"], one["opt_value"]))


def _dhcp_options(raw: Raw) -> list[dict[str, Any]]:
    return [
        {key: value for key, value in one.items() if key != "ip_version" or int(value) != 4}
        for one in raw.get("extra_dhcp_opts") or []
    ]


def _compare_options(raw: Raw, wanted: Any, values: Mapping[str, Any]) -> tuple[Any, Any]:
    return _plain_options(raw.get("extra_dhcp_opts") or []), _plain_options(wanted)


def _compare_owner(raw: Raw, wanted: Any, values: Mapping[str, Any]) -> tuple[Any, Any]:
    held = str(raw.get("device_owner") or "")
    return (wanted, wanted) if held.startswith("compute:") else (held, wanted)


def _without_options(op: Operation) -> list[dict[str, Any]]:
    """The options that a change wants, with those that are to go: the service takes away what has no value."""
    wanted = _plain_options(op.values["extra_dhcp_opts"])
    kept = {(one["opt_name"], one["ip_version"]) for one in wanted}
    gone = [
        one
        for one in _plain_options(op.raw.get("extra_dhcp_opts") or [])
        if (one["opt_name"], one["ip_version"]) not in kept
    ]
    return [*wanted, *({**one, "opt_value": None} for one in gone)]


def _port_body(op: Operation, body: dict[str, Any]) -> dict[str, Any]:
    if "extra_dhcp_opts" in body:
        body["extra_dhcp_opts"] = _without_options(op)
    if "binding:profile" in body:
        # The service keeps one as a whole.
        body["binding:profile"] = {**(op.raw.get("binding:profile") or {}), **body["binding:profile"]}
    if "fixed_ips" in body:
        body["fixed_ips"] = [
            {{"subnet": "subnet_id"}.get(key, key): value for key, value in element.items()}
            for element in body["fixed_ips"]
        ]
    return body


def _create_port(op: Operation) -> Raw:
    body = _port_body(op, op.body())
    if body.get("port_security_enabled") is False:
        # The service would put the port into the group "default", and then refuse it.
        body.setdefault("security_groups", [])
    raw: Raw = op.call("POST", "/ports", {"port": body}).body["port"]
    return raw


def _release_port(op: Operation, changes: frozenset[str]) -> None:
    """Give up addresses that something else of the run takes."""
    if "fixed_ips" not in changes:
        return
    staying = staying_addresses(op.raw, op.values["fixed_ips"], op.contested)
    if staying is not None:
        op.raw |= op.call("PUT", f"/ports/{op.id}", {"port": {"fixed_ips": staying}}).body["port"]


def staying_addresses(
    port: Raw, elements: Iterable[Mapping[str, Any]], contested: Iterable[tuple[str, str]]
) -> list[dict[str, Any]] | None:
    """The addresses, as the service takes them, that a port keeps when it gives up those that are not wanted and that
    something else of the run takes; None if it gives up none."""
    wanted = {plain_address(element.get("ip_address")) for element in elements}
    others = {plain_address(address) for kind, address in contested if kind == "address"}
    held = fixed_ips_of(port)
    staying = [ip for ip in held if ip["ip_address"] in wanted or ip["ip_address"] not in others]
    if staying == held:
        return None
    return [{"subnet_id": ip["subnet"], "ip_address": ip["ip_address"]} for ip in staying]


def _update_port(op: Operation, changes: dict[str, Any]) -> None:
    body = _port_body(op, op.body(changes))
    if body.get("port_security_enabled") is False:
        body |= {"security_groups": [], "allowed_address_pairs": []}
    if body:
        op.call("PUT", f"/ports/{op.id}", {"port": body})


def _check_port(values: Mapping[str, Any]) -> Found:
    found: Found = check_tags(values)
    domain = values.get("dns_domain")
    if domain and not domain.endswith("."):
        found.append(("dns_domain", f"'{domain}' has no dot at its end.", f"Write {domain}."))
    for number, option in enumerate(values.get("extra_dhcp_opts") or []):
        if option.get("ip_version", 4) not in (4, 6):
            found.append(
                (f"extra_dhcp_opts[{number}].ip_version", f"There is no IPv{option['ip_version']}.", "It is 4 or 6.")
            )
    mac = values.get("mac_address")
    if mac and not re.fullmatch("([0-9a-f]{2}:){5}[0-9a-f]{2}", plain_mac(mac)):
        found.append(("mac_address", f"'{mac}' is no MAC address.", "Write it as fa:16:3e:00:00:01."))
    for number, element in enumerate(values.get("fixed_ips") or []):
        found += [(f"fixed_ips[{number}].{key}", c, m) for key, c, m in check_address(element, "ip_address")]
        if not element:
            found.append((f"fixed_ips[{number}]", "A subnet or an address is wanted.", ""))
    for number, pair in enumerate(values.get("allowed_address_pairs") or []):
        if block_of(pair.get("ip_address")) is None:
            found.append(
                (
                    f"allowed_address_pairs[{number}].ip_address",
                    f"'{pair.get('ip_address')}' is no address or range.",
                    "",
                )
            )
    if values.get("port_security") is False and (values.get("security_groups") or values.get("allowed_address_pairs")):
        found.append(("port_security", "A port without port security has no groups and no further addresses.", ""))
    return found


def _validate_ports(planner: Plan, items: list[Item]) -> list[Problem]:
    return [
        problem
        for item in items
        for problem in outside_subnets(planner, item, item.resolved.get("fixed_ips") or [], "fixed_ips")
    ]


def outside_subnets(planner: Plan, item: Item, elements: Iterable[Mapping[str, Any]], key: str) -> list[Problem]:
    """Addresses, below ``key`` of an entry, that are outside of the subnet that they are wanted in."""
    problems = []
    for number, element in enumerate(elements):
        cidr = planner.value_of("subnet", element.get("subnet"), "cidr")
        block, address = block_of(cidr), address_of(element.get("ip_address"))
        if cidr and block and address and address not in block:
            problems.append(
                item.problem(
                    f"The address {address} is outside the subnet {block}.",
                    "Take one of the subnet.",
                    f"{key}[{number}].ip_address",
                )
            )
    return problems


def _move_addresses(planner: Plan, item: Item, declared: Field) -> Any:
    """Addresses of other subnets for a port that holds some of one that leaves, or could get some; None for no
    change."""
    if item.current is None:
        network = planner.target(item, "network")
        held = [
            {"subnet": ident}
            for ident, raw in planner.state.by_id.get("subnet", {}).items()
            if raw["network_id"] == network
        ]
        return None if all(not planner.leaves("subnet", ip["subnet"]) for ip in held) else _any_subnet(planner, item)
    # An address that the service made of the MAC address goes with its subnet.
    held = [ip for ip in fixed_ips_of(item.current) if not made_of_mac(item.current, ip["ip_address"])]
    staying = [ip for ip in held if not planner.leaves("subnet", ip["subnet"])]
    if len(staying) == len(held):
        return None
    return staying or _any_subnet(planner, item)


def _any_subnet(planner: Plan, item: Item) -> list[dict[str, Any]]:
    """An address in a subnet of a port's network that stays or is made, if there is one."""
    network = planner.target(item, "network")
    for entry in planner.own["subnet"]:
        if not entry.absent and planner.target(entry, "network") == network:
            return [{"subnet": entry}]
    # The listing held only the subnets that the document names or made.
    there = planner.cloud.pages("network", "/subnets", "subnets", [("network_id", network)])
    return [{"subnet": raw["id"]} for raw in there if not planner.leaves("subnet", raw["id"])][:1]


def _port_of_another(raw: Raw) -> str:
    owner = str(raw.get("device_owner") or "")
    if owner.startswith("network:"):
        return "made by the service itself"
    return "part of a server" if owner.startswith("compute:") and not raw.get("name") else ""


def _tell_port(raw: Raw, planner: Plan) -> dict[str, Any]:
    return {
        "fixed_ips": [ip["ip_address"] for ip in fixed_ips_of(raw)],
        "mac_address": raw.get("mac_address"),
        "server": raw.get("device_id") if str(raw.get("device_owner")).startswith("compute:") else "",
    }


PORT = ResourceType(
    "port",
    "ports",
    "network",
    "/ports",
    (
        NAME,
        IN_NETWORK,
        INHERITED_PROJECT,
        DESCRIPTION,
        ENABLED,
        Field(
            "fixed_ips",
            "Addresses; one of any subnet by default.",
            "list",
            read=fixed_ips_of,
            compare=compare_fixed_ips,
            lets_go=_move_addresses,
            keys=(Field("subnet", "Subnet.", ref="subnet"), Field("ip_address", "Address.")),
        ),
        Field("mac_address", "MAC address.", immutable=True, normal=plain_mac),
        Field(
            "security_groups",
            "Security groups; others are taken away.",
            "set",
            ref="security_group",
            lets_go=without_what_leaves,
        ),
        Field("port_security", "Whether it drops forged addresses.", "bool", api="port_security_enabled"),
        Field(
            "allowed_address_pairs",
            "Further addresses that it may send from.",
            "list",
            read=_pairs,
            normal=_plain_pairs,
            compare=_compare_pairs,
            keys=(Field("ip_address", "Address or range.", required=True), Field("mac_address", "MAC address.")),
        ),
        Field("vnic_type", "Kind of virtual interface, such as normal or direct.", api="binding:vnic_type"),
        Field("dns_name", "Name of the server in the DNS."),
        Field(
            "dns_domain", "Domain of the name, with a dot at the end; that of its network by default.", normal=str.lower
        ),
        Field(
            "extra_dhcp_opts",
            "Options that its server gets by DHCP; others are taken away.",
            "list",
            read=_dhcp_options,
            normal=_plain_options,
            compare=_compare_options,
            keys=(
                Field("opt_name", "Name, such as bootfile-name.", required=True),
                Field("opt_value", "Value.", required=True),
                Field("ip_version", "4 (the default) or 6.", "int"),
            ),
        ),
        Field(
            "binding_profile",
            "What the host is told of the port, for accounts with the role service. What the service "
            "puts in itself does not count.",
            "dict",
            api="binding:profile",
            merge=True,
            export=False,
        ),
        Field(
            "host",
            "Host that it is bound to, for administrators; a server's port moves with it.",
            api="binding:host_id",
            export=False,
        ),
        Field(
            "device_owner",
            "Whose it is, for a port of no server; what a server's port says of its server does not count.",
            compare=_compare_owner,
            export=False,
        ),
        Field(
            "propagate_uplink_status",
            "Whether a virtual function follows the state of its uplink.",
            "bool",
            default=False,
        ),
        QOS,
        TAGS,
    ),
    doc="A port, the place of a server in a network.",
    identity=("name", "network", "project"),
    loose=("project",),
    inherits={"project": "network"},
    after=("subnet",),
    create=_create_port,
    update=_update_port,
    release=_release_port,
    check=_check_port,
    validate=_validate_ports,
    tells=_tell_port,
    not_carried=("fixed_ips", "mac_address"),
    skip_export=_port_of_another,
    **TAGGED,
)

# Trunks --------------------------------------------------------------------------------------------------------------


def _subports(value: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return sorted(
        (
            {
                "port": s.get("port", s.get("port_id")),
                "segmentation_type": s.get("segmentation_type") or "vlan",
                "segmentation_id": s.get("segmentation_id"),
            }
            for s in value
        ),
        key=lambda s: (str(s["segmentation_type"]), s["segmentation_id"] or 0),
    )


def _release_subports(op: Operation, changes: frozenset[str]) -> None:
    """Take out what leaves, so that another trunk can have it."""
    held = _subports(op.raw.get("sub_ports") or [])
    gone = [s for s in held if s not in _subports(op.values["subports"])] if "subports" in changes else []
    if gone:
        op.call("PUT", f"/trunks/{op.id}/remove_subports", {"sub_ports": [{"port_id": s["port"]} for s in gone]})
        op.raw["sub_ports"] = [s for s in held if s not in gone]


def _set_subports(op: Operation, before: Any, after: Any) -> None:
    new = [s for s in after if s not in (before or [])]
    if new:
        sent = [{"port_id": s["port"], **{k: v for k, v in s.items() if k != "port"}} for s in new]
        op.call("PUT", f"/trunks/{op.id}/add_subports", {"sub_ports": sent})


TRUNK = ResourceType(
    "trunk",
    "trunks",
    "network",
    "/trunks",
    (
        NAME,
        PROJECT,
        Field("port", "Port that carries the others.", api="port_id", ref="port", required=True, immutable=True),
        DESCRIPTION,
        ENABLED,
        Field(
            "subports",
            "Ports that it carries; others are taken out.",
            "list",
            api="sub_ports",
            normal=_subports,
            apply=_set_subports,
            keys=(
                Field("port", "Port.", ref="port", required=True),
                Field("segmentation_type", "How they are told apart, vlan by default.", choices=("vlan", "inherit")),
                Field("segmentation_id", "VLAN number.", "int", required=True),
            ),
        ),
        TAGS,
    ),
    doc="A trunk, several networks on one port of a server.",
    release=_release_subports,
    check=check_tags,
    identity=("name", "project"),
    **TAGGED,
)

NETWORK_TYPES = (ADDRESS_SCOPE, SUBNET_POOL, NETWORK, SEGMENT, SUBNET, PORT, TRUNK)
