"""Routers with their interfaces and gateway, floating addresses and port forwardings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.errors import ApiError, Problem
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.operation import LONGEST_QUERY, list_objects
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.schema import (
    Field,
    Item,
    Operation,
    Plan,
    Query,
    Raw,
    ResourceType,
    canonical,
    read_field,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.types.common import (
    DESCRIPTION,
    NAME,
    wants,
    without_what_leaves,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.types.network import (
    ENABLED,
    PROJECT,
    QOS,
    TAGGED,
    TAGS,
    Found,
    address_of,
    block_of,
    check_address,
    check_routes,
    overlap,
    plain_address,
    routes_field,
)

# Routers -------------------------------------------------------------------------------------------------------------
# Owners of ports that are interfaces: plain, distributed and redundant routers differ in the end of the word.
INTERFACES = ("network:router_interface", "network:ha_router_replicated_interface")
GATEWAY = ("external_network", "snat", "external_fixed_ips")


def _interface_ports(query: Any, routers: list[str]) -> list[Raw]:
    """Ports that are interfaces of these routers, in as few calls as the length of an address allows."""
    found: list[Raw] = []
    chunk = LONGEST_QUERY // 50
    for start in range(0, len(routers), chunk):
        params = [("device_id", ident) for ident in routers[start : start + chunk]]
        found += query.cloud.pages("network", "/ports", "ports", params)
    return [port for port in found if str(port.get("device_owner")).startswith(INTERFACES)]


def _join_interfaces(query: Query, routers: list[Raw]) -> list[Raw]:
    by_id = {raw["id"]: raw for raw in routers}
    for raw in by_id.values():
        raw["(interfaces)"] = []
    for port in _interface_ports(query, sorted(by_id)):
        by_id[port["device_id"]]["(interfaces)"].append(
            {"port": port["id"], "subnets": [ip["subnet_id"] for ip in port["fixed_ips"]]}
        )
    return routers


def _subnets(raw: Raw, without: Any = ()) -> list[str]:
    return sorted(
        {subnet for one in raw.get("(interfaces)") or [] if one["port"] not in without for subnet in one["subnets"]}
    )


def _compare_interfaces(raw: Raw, wanted: Any, values: Mapping[str, Any]) -> tuple[Any, Any]:
    # Subnets that a port of its own leads to are told by the port.
    return _subnets(raw, values.get("ports") or ()), sorted(set(wanted), key=str)


def _compare_ports(raw: Raw, wanted: Any, values: Mapping[str, Any]) -> tuple[Any, Any]:
    subnets = values.get("interfaces") or ()
    held = [
        one["port"]
        for one in raw.get("(interfaces)") or []
        if one["port"] in wanted or not any(subnet in subnets for subnet in one["subnets"])
    ]
    return sorted(held), sorted(set(wanted), key=str)


def _add_interfaces(key: str) -> Any:
    def apply(op: Operation, before: Any, after: Any) -> None:
        for ident in sorted(set(after) - set(before or ())):
            op.call("PUT", f"/routers/{op.id}/add_router_interface", {key: ident})

    return apply


def _set_routes(op: Operation, before: Any, after: Any) -> None:
    op.call("PUT", f"/routers/{op.id}", {"router": {"routes": after}})


def _release_router(op: Operation, changes: frozenset[str]) -> None:
    """Give up routes, then interfaces, then the gateway: what comes first needs what comes later."""
    if "routes" in changes:
        held = read_field(op.type.field("routes"), op.raw) or []
        staying = [route for route in held if route in canonical(op.type.field("routes"), op.values["routes"])]
        if staying != held:
            _set_routes(op, held, staying)
            op.raw["routes"] = staying
    for name, key, compare in (("interfaces", "subnet_id", _compare_interfaces), ("ports", "port_id", _compare_ports)):
        if name not in changes:
            continue
        before, after = compare(op.raw, op.values[name], op.values)
        gone = set(before) - set(after)
        for ident in sorted(gone):
            op.call("PUT", f"/routers/{op.id}/remove_router_interface", {key: ident}, accept=(404,))
        op.raw["(interfaces)"] = [
            one
            for one in op.raw.get("(interfaces)") or []
            if not gone & {one["port"] if key == "port_id" else subnet for subnet in one["subnets"]}
        ]
    gateway = op.raw.get("external_gateway_info") or {}
    if "external_network" in changes and gateway:
        # Moved in one request, the gateway may stay where it was though the service answers well.
        op.call("PUT", f"/routers/{op.id}", {"router": {"external_gateway_info": {}}})
        op.raw |= {"external_gateway_info": None, "(gateway)": {"enable_snat": gateway.get("enable_snat")}}


def _gateway(op: Operation) -> dict[str, Any]:
    """The whole gateway: the service takes it as one."""
    held = op.raw.get("external_gateway_info") or op.raw.get("(gateway)") or {}
    network = op.values.get("external_network", held.get("network_id"))
    if not network:
        return {}
    found: dict[str, Any] = {"network_id": network}
    if "snat" in op.values or "enable_snat" in held:
        found["enable_snat"] = op.values.get("snat", held.get("enable_snat"))
    if op.values.get("external_fixed_ips"):
        found["external_fixed_ips"] = [
            {{"subnet": "subnet_id"}.get(key, key): value for key, value in element.items()}
            for element in op.values["external_fixed_ips"]
        ]
    elif network == held.get("network_id") and held.get("external_fixed_ips"):
        found["external_fixed_ips"] = held["external_fixed_ips"]
    return found


def _router_body(op: Operation, changes: Mapping[str, Any]) -> dict[str, Any]:
    body = op.body({name: value for name, value in changes.items() if name not in GATEWAY})
    if any(name in changes for name in GATEWAY):
        body["external_gateway_info"] = _gateway(op)
    return body


def _create_router(op: Operation) -> Raw:
    raw: Raw = op.call("POST", "/routers", {"router": _router_body(op, op.values)}).body["router"]
    return raw


def _update_router(op: Operation, changes: dict[str, Any]) -> None:
    body = _router_body(op, changes)
    if body:
        op.call("PUT", f"/routers/{op.id}", {"router": body})


def _delete_router(op: Operation) -> None:
    if op.raw.get("routes"):
        op.call("PUT", f"/routers/{op.id}", {"router": {"routes": []}}, accept=(404,))
    for port in _interface_ports(op, [op.id]):
        op.call("PUT", f"/routers/{op.id}/remove_router_interface", {"port_id": port["id"]}, accept=(404,))
    op.call("DELETE", f"/routers/{op.id}", accept=(404,))


def _external_ips(raw: Raw) -> list[dict[str, Any]]:
    held = (raw.get("external_gateway_info") or {}).get("external_fixed_ips") or []
    return [{"subnet": ip["subnet_id"], "ip_address": plain_address(ip["ip_address"])} for ip in held]


def _compare_external(raw: Raw, wanted: Any, values: Mapping[str, Any]) -> tuple[Any, Any]:
    held = _external_ips(raw)
    # None named stands for any; the service gives the gateway one in any case.
    if not wanted:
        return held, held
    fits = len(held) == len(wanted) and all(
        any(all(ip.get(k) == (plain_address(v) if k == "ip_address" else v) for k, v in element.items()) for ip in held)
        for element in wanted
    )
    return (held, held) if fits else (held, wanted)


def _check_router(values: Mapping[str, Any]) -> Found:
    found: Found = []
    if not values.get("external_network") and values.get("external_fixed_ips"):
        found.append(("external_network", "The gateway's network is missing.", "Name the external network."))
    found += check_routes(values, "routes")
    for number, element in enumerate(values.get("external_fixed_ips") or []):
        found += [(f"external_fixed_ips[{number}].{k}", c, m) for k, c, m in check_address(element, "ip_address")]
    return found


def _unreachable(planner: Plan, item: Item) -> list[Problem]:
    """Routes whose next router lies in no subnet that the router will be in, as far as these are known."""
    if "routes" not in item.resolved or planner.target(item, "external_network"):
        return []
    if item.resolved.get("ports"):
        return []
    subnets = item.resolved.get("interfaces", _subnets(item.current or {}))
    blocks = [block_of(planner.value_of("subnet", subnet, "cidr")) for subnet in subnets]
    if None in blocks:
        return []
    return [
        item.problem(
            f"The next router {route['nexthop']} is in none of the subnets that the router joins.",
            "Join its subnet with interfaces, or remove the route with the interface.",
            f"routes[{number}].nexthop",
        )
        for number, route in enumerate(item.resolved["routes"])
        if not any((hop := address_of(route.get("nexthop"))) and block and hop in block for block in blocks)
    ]


def _validate_routers(planner: Plan, items: list[Item]) -> list[Problem]:
    """Subnets that overlap at one router, and gateways in networks that are not external."""
    problems: list[Problem] = []
    for item in items:
        network = item.resolved.get("external_network")
        if network and planner.value_of("network", network, "external") is not True:
            told = planner.value_of("network", network, "name") or network
            problems.append(
                item.problem(
                    f"The network {told} is not external.",
                    "Set external: true for it, or take another one.",
                    "external_network",
                )
            )
        problems += _unreachable(planner, item)
        seen: list[tuple[str, str]] = []
        for number, subnet in enumerate(item.resolved.get("interfaces") or []):
            cidr = planner.value_of("subnet", subnet, "cidr")
            name = str(planner.value_of("subnet", subnet, "name"))
            for other, other_name in seen:
                if cidr and overlap(cidr, other):
                    problems.append(
                        item.problem(
                            f"The subnets {name} ({cidr}) and {other_name} ({other}) overlap, so the "
                            f"router cannot tell "
                            "them apart.",
                            "Give one of them another range, or another router.",
                            f"interfaces[{number}]",
                        )
                    )
            if cidr:
                seen.append((str(cidr), name))
            if planner.value_of("subnet", subnet, "gateway_ip") == "none":
                problems.append(
                    item.problem(
                        f"The subnet {name} has no gateway, whose address the interface would get.",
                        "Give it a gateway_ip, or make a port for the interface and name it in ports.",
                        f"interfaces[{number}]",
                    )
                )
    return problems


ROUTER = ResourceType(
    "router",
    "routers",
    "network",
    "/routers",
    (
        NAME,
        PROJECT,
        DESCRIPTION,
        ENABLED,
        Field(
            "external_network",
            "External network of its gateway; empty for none.",
            api="external_gateway_info.network_id",
            ref="network",
            lets_go=without_what_leaves,
        ),
        Field(
            "snat",
            "Whether what goes out gets the gateway's address.",
            "bool",
            api="external_gateway_info.enable_snat",
        ),
        Field(
            "external_fixed_ips",
            "Addresses of the gateway; one of any subnet by default, and for an empty list.",
            "list",
            read=_external_ips,
            compare=_compare_external,
            keys=(Field("subnet", "Subnet of the external network.", ref="subnet"), Field("ip_address", "Address.")),
            export=False,
        ),
        Field("distributed", "Whether compute hosts route themselves.", "bool", immutable=True),
        Field("ha", "Whether several hosts stand in for each other.", "bool", immutable=True),
        Field(
            "availability_zones",
            "Zones that its services run in.",
            "set",
            api="availability_zone_hints",
            immutable=True,
        ),
        Field(
            "interfaces",
            "Subnets that it joins, with their gateway addresses; others are let go.",
            "set",
            ref="subnet",
            read=_subnets,
            compare=_compare_interfaces,
            lets_go=without_what_leaves,
            apply=_add_interfaces("subnet_id"),
        ),
        Field(
            "ports",
            "Ports that become interfaces, for addresses other than the gateway's; others are let go.",
            "set",
            ref="port",
            read=lambda raw: [one["port"] for one in raw.get("(interfaces)") or []],
            compare=_compare_ports,
            lets_go=without_what_leaves,
            apply=_add_interfaces("port_id"),
            export=False,
        ),
        routes_field("routes", "Further routes.", apply=_set_routes),
        TAGS,
    ),
    doc="A router with its interfaces and gateway.",
    identity=("name", "project"),
    # A gateway gets an address only of a subnet that is there.
    after=("subnet",),
    uses=("subnet", "port", "network"),
    listing=lambda query: _join_interfaces(query, list_objects(query)),
    create=_create_router,
    update=_update_router,
    release=_release_router,
    not_carried=("external_fixed_ips",),
    delete=_delete_router,
    check=_check_router,
    validate=_validate_routers,
    tells=lambda raw, planner: {"external_addresses": [ip["ip_address"] for ip in _external_ips(raw)]},
    **TAGGED,
)


# Floating addresses --------------------------------------------------------------------------------------------------
BINDING = ("port", "server", "server_network", "fixed_ip")
OF_SERVER = "compute:"


def _floating_addresses(query: Query) -> list[Raw]:
    """The listing; also addresses that entries name and that have other names; with the port where an entry names a
    server."""
    found = {raw["id"]: raw for raw in list_objects(query)}
    named = {raw.get("floating_ip_address") for raw in found.values()}
    wanted = sorted({str(plain_address(entry["address"])) for entry in query.entries if entry.get("address")} - named)
    if wanted and query.names is not None:
        params = [("floating_ip_address", address) for address in wanted]
        found |= {raw["id"]: raw for raw in query.collect(params=params)}
    bound = {
        raw["port_id"]: raw
        for raw in found.values()
        if raw.get("port_id") and wants(query, raw.get("description"), "server")
    }
    chunk = LONGEST_QUERY // 50
    idents = sorted(bound)
    for start in range(0, len(idents), chunk):
        params = [("id", ident) for ident in idents[start : start + chunk]]
        for port in query.cloud.pages("network", "/ports", "ports", params):
            bound[port["id"]]["(port)"] = port
    return list(found.values())


def _server_of(raw: Raw) -> str | None:
    """The server that has the port of an address."""
    port = raw.get("(port)") or {}
    return port.get("device_id") or None if str(port.get("device_owner")).startswith(OF_SERVER) else None


def _told_port(raw: Raw) -> str | None:
    """The port, where that is no nameless one that a server made: for these the server is told."""
    return None if _server_of(raw) and not (raw.get("(port)") or {}).get("name") else raw.get("port_id")


def _compare_server(raw: Raw, wanted: Any, values: Mapping[str, Any]) -> tuple[Any, Any]:
    return _server_of(raw) or "", wanted or ""


def _compare_server_network(raw: Raw, wanted: Any, values: Mapping[str, Any]) -> tuple[Any, Any]:
    return (raw.get("(port)") or {}).get("network_id"), wanted


def _port_of_server(op: Operation) -> dict[str, Any]:
    """The port of the server that an address leads to, with the inner address; the first that there is where all are
    alike.

    :raises ApiError: the server has none of that kind, or several.
    """
    ports = _fitting_ports(op)
    if not ports and _is_being_made(op):
        op.poll(lambda: not _is_being_made(op), f"Wait for the interfaces of server {op.values['server']}")
        ports = _fitting_ports(op)
    if len(ports) != 1:
        cause = (
            "it has several interfaces of that kind"
            if ports
            else "it has no interface of that kind with an IPv4 address"
        )
        mend = "Say which with server_network or fixed_ip." if ports else "Give the server a network of IPv4 addresses."
        raise ApiError(0, cause, f"Find the port of server {op.values['server']}", mend)
    inner = [ip["ip_address"] for ip in ports[0]["fixed_ips"] if _leads_to(ip["ip_address"], op.values.get("fixed_ip"))]
    return {"port_id": ports[0]["id"], "fixed_ip_address": inner[0]}


def _fitting_ports(op: Operation) -> list[Raw]:
    params = [("device_id", op.values["server"])]
    if op.values.get("server_network"):
        params.append(("network_id", op.values["server_network"]))
    return [
        port
        for port in op.cloud.pages("network", "/ports", "ports", params)
        if str(port.get("device_owner")).startswith(OF_SERVER)
        and any(_leads_to(ip["ip_address"], op.values.get("fixed_ip")) for ip in port.get("fixed_ips") or [])
    ]


def _is_being_made(op: Operation) -> bool:
    answer = op.cloud.call(
        "compute", "GET", f"/servers/{op.values['server']}", project=str(op.values.get("project") or "")
    )
    return bool(answer.body["server"]["status"] == "BUILD")


def _leads_to(address: str, wanted: Any) -> bool:
    return ":" not in address and plain_address(wanted or address) == address


def _floating_body(op: Operation, changes: Mapping[str, Any]) -> dict[str, Any]:
    body = op.body({name: value for name, value in changes.items() if name not in BINDING})
    if not any(name in changes for name in BINDING):
        return body
    if op.values.get("server"):
        return body | _port_of_server(op)
    port = "" if "server" in op.values and "port" not in op.values else op.values.get("port", op.raw.get("port_id"))
    body["port_id"] = port or None
    if body["port_id"]:
        body |= _inner_address(op, body["port_id"])
    return body


def _inner_address(op: Operation, port: str) -> dict[str, Any]:
    """The address of a port that the floating one leads to, where the service would not choose."""
    if op.values.get("fixed_ip"):
        return {"fixed_ip_address": op.values["fixed_ip"]}
    held = op.call("GET", f"/ports/{port}").body["port"].get("fixed_ips") or []
    inner = [ip["ip_address"] for ip in held if ":" not in ip["ip_address"]]
    return {"fixed_ip_address": inner[0]} if len(inner) > 1 else {}


def _validate_floating(planner: Plan, items: list[Item]) -> list[Problem]:
    """Addresses that are wanted and that somebody has already; servers of which it is not said which interface is
    meant."""
    problems = [problem for item in items for problem in _which_interface(planner, item)]
    new = {item.values["address"]: item for item in items if item.current is None and item.values.get("address")}
    if not new:
        return problems
    params = [("floating_ip_address", plain_address(address)) for address in sorted(new)]
    for raw in planner.cloud.pages("network", "/floatingips", "floatingips", params):
        item = new.get(raw["floating_ip_address"])
        if item is None or planner.leaves("floating_ip", raw["id"]):
            continue
        mine = raw.get("project_id") == (planner.target(item, "project") or planner.cloud.project_id)
        held = f", named '{raw['description']}'" if raw.get("description") else ""
        problems.append(
            item.problem(
                f"The address {raw['floating_ip_address']} is allocated already{held}, "
                f"{'in this project' if mine else 'in another project'}.",
                f"Write id: {raw['id']} to take it over." if mine else "Take another address.",
                "address",
            )
        )
    return problems


def _which_interface(planner: Plan, item: Item) -> list[Problem]:
    """A server with several interfaces of which none is named."""
    server = item.resolved.get("server")
    if not server or item.resolved.get("server_network") or item.values.get("fixed_ip"):
        return []
    entry = (
        server if isinstance(server, Item) else next((one for one in planner.own["server"] if one.id == server), None)
    )
    raw = planner.state.by_id.get("server", {}).get(str(server), {})
    interfaces = entry.resolved.get("networks") if entry else None
    count = len((raw.get("addresses") or {}) if interfaces is None else interfaces)
    if count < 2:
        return []
    cause = f"The server {entry.title if entry else raw.get('name')} has {count} interfaces."
    return [item.problem(cause, "Say which with server_network or fixed_ip.", "server")]


def _create_floating(op: Operation) -> Raw:
    raw: Raw = op.call("POST", "/floatingips", {"floatingip": _floating_body(op, op.values)}).body["floatingip"]
    return raw


def _update_floating(op: Operation, changes: dict[str, Any]) -> None:
    body = _floating_body(op, changes)
    if body:
        op.call("PUT", f"/floatingips/{op.id}", {"floatingip": body})


def _release_floating(op: Operation, changes: frozenset[str]) -> None:
    """Let go of the port, so that routers can lose what leads to it and another address can have it."""
    if changes & {"port", "server", "server_network"} and op.raw.get("port_id"):
        op.call("PUT", f"/floatingips/{op.id}", {"floatingip": {"port_id": None}})
        op.raw |= {"port_id": None, "fixed_ip_address": None, "router_id": None, "(port)": None}


def _check_floating(values: Mapping[str, Any]) -> Found:
    found = check_address(values, "address") + check_address(values, "fixed_ip")
    if "server" in values and "port" in values:
        found.append(("server", "Where it leads to is said twice.", "Remove server or port."))
    if values.get("server_network") and not values.get("server"):
        found.append(
            ("server_network", "It says which interface of a server is meant, and none is named.", "Give server.")
        )
    return found


def _check_new_floating(values: Mapping[str, Any]) -> Found:
    return [
        (key, f"A new floating address needs a {key}.", mend)
        for key, mend in (
            ("name", "Without one, it could not be found again."),
            ("network", "Name an external network."),
        )
        if not values.get(key)
    ]


FLOATING_IP = ResourceType(
    "floating_ip",
    "floating_ips",
    "network",
    "/floatingips",
    (
        Field("name", "Name. The service keeps it as the description.", api="description"),
        Field(
            "address",
            "Address, to have a certain one. A free one of the project that is there already is taken over.",
            api="floating_ip_address",
            immutable=True,
            normal=plain_address,
        ),
        PROJECT,
        Field(
            "network",
            "External network that it is of.",
            api="floating_network_id",
            ref="network",
            immutable=True,
        ),
        Field("subnet", "Subnet that a new one is taken of.", api="subnet_id", ref="subnet", write_only=True),
        Field(
            "port",
            "Port that it leads to; empty for none.",
            ref="port",
            read=_told_port,
            compare=lambda raw, wanted, values: (raw.get("port_id") or "", wanted or ""),
            lets_go=without_what_leaves,
        ),
        Field(
            "server",
            "Server that it leads to, in place of port; empty for none.",
            ref="server",
            read=lambda raw: _server_of(raw) if _told_port(raw) is None else None,
            compare=_compare_server,
        ),
        Field(
            "server_network",
            "Network of the server's interface that it leads to, where the server has several.",
            ref="network",
            read=lambda raw: raw["(port)"]["network_id"] if _server_of(raw) and _told_port(raw) is None else None,
            compare=_compare_server_network,
        ),
        Field(
            "fixed_ip",
            "Address of the port that it leads to; the first one by default.",
            api="fixed_ip_address",
            normal=plain_address,
        ),
        QOS,
        TAGS,
    ),
    doc="A floating address.",
    key="floatingip",
    collection="floatingips",
    identity=("name", "project"),
    name_param="description",
    listing=_floating_addresses,
    adopted_by="address",
    unadoptable=lambda raw: f"leads to port {raw['port_id']}" if raw.get("port_id") else "",
    after=("router", "subnet"),
    uses=("router",),
    create=_create_floating,
    update=_update_floating,
    release=_release_floating,
    not_carried=("address", "fixed_ip"),
    check=_check_floating,
    check_new=_check_new_floating,
    validate=_validate_floating,
    tells=lambda raw, planner: {
        "address": raw.get("floating_ip_address"),
        "fixed_ip": raw.get("fixed_ip_address") or "",
        "port": raw.get("port_id") or "",
    },
    **TAGGED,
)


def _forwardings(query: Query) -> list[Raw]:
    """The forwardings of the addresses in question; the service lists them address by address."""
    idents: list[str] = []
    named = [query.ident("floating_ip", entry["floating_ip"]) for entry in query.entries if "floating_ip" in entry]
    if query.entries and not query.all and None not in named:
        idents = sorted({ident for ident in named if ident})
    else:
        idents = [
            raw["id"]
            for raw in query.collect("/floatingips", "floatingips", params=[])
            if raw.get("port_forwardings") or not raw.get("port_id")
        ]
    found = []
    for ident in idents:
        path = f"/floatingips/{ident}/port_forwardings"
        found += [{**raw, "floatingip_id": ident} for raw in query.collect(path, "port_forwardings", params=[])]
    return found


def _forwarding_path(op: Operation) -> str:
    return f"/floatingips/{op.values.get('floating_ip') or op.raw['floatingip_id']}/port_forwardings"


def _create_forwarding(op: Operation) -> Raw:
    body = op.body({name: value for name, value in op.values.items() if name != "floating_ip"})
    raw: Raw = op.call("POST", _forwarding_path(op), {"port_forwarding": body}).body["port_forwarding"]
    return {**raw, "floatingip_id": op.values["floating_ip"]}


def _update_forwarding(op: Operation, changes: dict[str, Any]) -> None:
    body = op.body({name: value for name, value in changes.items() if name != "floating_ip"})
    op.call("PUT", f"/floatingips/{op.raw['floatingip_id']}/port_forwardings/{op.id}", {"port_forwarding": body})


def _delete_forwarding(op: Operation) -> None:
    op.call("DELETE", f"/floatingips/{op.raw['floatingip_id']}/port_forwardings/{op.id}", accept=(404,))


def _check_forwarding(values: Mapping[str, Any]) -> Found:
    found = check_address(values, "internal_ip")
    for key in ("external_port", "internal_port"):
        if key in values and not 1 <= values[key] <= 65535:
            found.append((key, f"{values[key]} is no port.", "Ports go from 1 to 65535."))
    return found


PORT_FORWARDING = ResourceType(
    "port_forwarding",
    "port_forwardings",
    "network",
    "/port_forwardings",
    (
        Field("floating_ip", "Floating address.", api="floatingip_id", ref="floating_ip", required=True),
        Field("protocol", "Protocol.", choices=("tcp", "udp", "icmp", "sctp", "dccp"), required=True),
        Field("external_port", "Port of the floating address.", "int", required=True),
        Field("internal_port", "Port of the server.", "int", required=True),
        Field("port", "Port of the network that it leads to.", api="internal_port_id", ref="port", required=True),
        Field("internal_ip", "Address of that port.", api="internal_ip_address", normal=plain_address),
        DESCRIPTION,
    ),
    doc="A forwarding of one port of a floating address.",
    identity=("floating_ip", "protocol", "external_port"),
    listing=_forwardings,
    list_last=True,
    after=("router",),
    create=_create_forwarding,
    update=_update_forwarding,
    delete=_delete_forwarding,
    check=_check_forwarding,
)

ROUTER_TYPES = (ROUTER, FLOATING_IP, PORT_FORWARDING)
