"""Interfaces of a server: asked for, found again among its ports, made and set.

The compute service makes ports itself, but takes one address for each, and the groups of the server alone. An interface
that says more is a port that is made beforehand, so that it never has other addresses or groups than it should. The
compute service keeps such a port when its server or the interface goes; its description tells whose it is, from the
request on that makes it, so it goes with either, and what a cut-off run left is found.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.api import Cloud
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.errors import ApiError
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.operation import LONGEST_QUERY
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.schema import Field, Operation, Raw
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.types.network import (
    check_address,
    compare_fixed_ips,
    fixed_ips_of,
    made_of_mac,
    plain_address,
    staying_addresses,
)

# What the compute service cannot be told of an interface.
OWN = ("fixed_ips", "security_groups", "port_security")
MADE = "Made by Stackwright as an interface of the server "
LONGEST_DESCRIPTION = 255
KEYS = (
    Field("network", "Network that a port is made in.", ref="network"),
    Field("port", "Port that exists already. It has addresses, groups and port security of its own.", ref="port"),
    Field("fixed_ip", "Address in the network, of IPv4 or IPv6."),
    Field(
        "fixed_ips",
        "Addresses, in place of fixed_ip; others are taken away.",
        "list",
        keys=(Field("subnet", "Subnet.", ref="subnet"), Field("ip_address", "Address.")),
    ),
    Field(
        "security_groups", "Security groups of this interface, in place of the server's.", "set", ref="security_group"
    ),
    Field("port_security", "Whether it drops forged addresses.", "bool"),
    Field("tag", "Label by which the guest finds a new interface. It is not compared."),
)
Element = Mapping[str, Any]

# Reading -------------------------------------------------------------------------------------------------------------


def join_ports(cloud: Cloud, servers: list[Raw]) -> None:
    """Give servers the ports that they have, in as few calls as the length of an address allows."""
    chunk = LONGEST_QUERY // 50
    for start in range(0, len(servers), chunk):
        group = {server["id"]: server for server in servers[start : start + chunk]}
        for server in group.values():
            server["(ports)"] = []
        params = [("device_id", ident) for ident in group]
        for port in cloud.pages("network", "/ports", "ports", params):
            if port["device_id"] in group:
                group[port["device_id"]]["(ports)"].append(port)
        for server in group.values():
            # The compute service tells the addresses in the order of the interfaces, the network service in any.
            macs = [
                address.get("OS-EXT-IPS-MAC:mac_addr")
                for addresses in (server.get("addresses") or {}).values()
                for address in addresses
            ]
            place = {mac: number for number, mac in reversed(list(enumerate(macs)))}
            server["(ports)"].sort(key=lambda port, place=place: place.get(port.get("mac_address"), len(place)))


def read(raw: Raw) -> list[dict[str, Any]] | None:
    """Interfaces as an entry has them: ports that somebody named, and for those of the server's own the network, the
    addresses, and what differs from the other interfaces."""
    if "(ports)" not in raw:
        return None
    shared = groups_of(raw)
    found: list[dict[str, Any]] = []
    for port in raw["(ports)"]:
        if port.get("name"):
            found.append({"port": port["id"]})
            continue
        element: dict[str, Any] = {"network": port["network_id"]}
        # The service makes others again by itself.
        chosen = [ip for ip in fixed_ips_of(port) if not made_of_mac(port, ip["ip_address"])]
        if len(chosen) > 1:
            element["fixed_ips"] = chosen
        elif chosen:
            element["fixed_ip"] = chosen[0]["ip_address"]
        if not _is_filtered(port):
            element["port_security"] = False
        elif _groups(port) != shared:
            element["security_groups"] = _groups(port)
        found.append(element)
    return found


def groups_of(raw: Raw) -> list[str] | None:
    """The groups of a server: those of its named ports, which have no others in an entry, or else those that most
    interfaces have. None where it has none that an entry could say."""
    if "(ports)" not in raw:
        return None
    ports = [port for port in raw["(ports)"] if _is_filtered(port)]
    named = [_groups(port) for port in ports if port.get("name")]
    if named:
        return named[0] if all(one == named[0] for one in named) else None
    groups = [_groups(port) for port in ports]
    return max(groups, key=groups.count) if groups else []


def _groups(port: Raw) -> list[str]:
    return sorted(port.get("security_groups") or [])


def _is_filtered(port: Raw) -> bool:
    """Whether a port can have groups."""
    return bool(port.get("port_security_enabled", True))


# Comparing -----------------------------------------------------------------------------------------------------------


def pair(raw: Raw, values: Mapping[str, Any]) -> tuple[list[tuple[Element, Raw]], list[Raw]]:
    """Interfaces of an entry with the ports that are most like them, in the entry's order; and the ports left over."""
    wanted: list[Element] = values.get("networks") or []
    ports: list[Raw] = raw.get("(ports)") or []
    fits = [
        (fit, number, place)
        for number, element in enumerate(wanted)
        for place, port in enumerate(ports)
        if (fit := _fit(port, element, values)) is not None
    ]
    found: dict[int, int] = {}
    for _, number, place in sorted(fits, key=lambda one: ([-figure for figure in one[0]], one[1:])):
        if number not in found and place not in found.values():
            found[number] = place
    pairs = [(wanted[number], ports[found[number]]) for number in sorted(found)]
    return pairs, [port for place, port in enumerate(ports) if place not in found.values()]


def _fit(port: Raw, element: Element, values: Mapping[str, Any]) -> tuple[int, ...] | None:
    """How much a port is like an interface of an entry, the weightiest first; None if it cannot be this one."""
    if "port" in element:
        return (1, 0, 0, 0) if port["id"] == element["port"] else None
    if port["network_id"] != element.get("network"):
        return None
    held = {ip["ip_address"] for ip in fixed_ips_of(port)}
    if "fixed_ip" in element and plain_address(element["fixed_ip"]) not in held:
        return None
    asked = [{"ip_address": element["fixed_ip"]}] if "fixed_ip" in element else element.get("fixed_ips") or []
    hits = sum(plain_address(one.get("ip_address")) in held for one in asked)
    told = _with_groups(element, values)
    met = sum(key in told for key in OWN) - len(differences(port, told))
    return 0, hits, met, not port.get("name")


def _with_groups(element: Element, values: Mapping[str, Any]) -> Element:
    """An interface with the groups that it is to have: its own, or else the server's."""
    plain = element.get("port_security") is False or "security_groups" not in values
    return element if plain else {"security_groups": values["security_groups"], **element}


def differences(port: Raw, element: Element) -> dict[str, Any]:
    """What a port has otherwise than an interface of an entry says, as the port has it."""
    found: dict[str, Any] = {}
    if "fixed_ips" in element:
        held, wanted = compare_fixed_ips(port, element["fixed_ips"], element)
        found |= {"fixed_ips": held} if held != wanted else {}
    if element.get("port_security", _is_filtered(port)) != _is_filtered(port):
        found["port_security"] = _is_filtered(port)
    if "security_groups" in element and set(element["security_groups"]) != set(_groups(port)):
        found["security_groups"] = _groups(port)
    return found


def compare(raw: Raw, wanted: Any, values: Mapping[str, Any]) -> tuple[Any, Any]:
    """The interfaces that there are, those that are as wanted in the entry's words; and the wanted ones."""
    if "(ports)" not in raw:
        return wanted, wanted
    pairs, left = pair(raw, {**values, "networks": wanted})
    held = [{**element, **differences(port, element)} for element, port in pairs]
    return [*held, *({"network": port["network_id"], "port": port["id"]} for port in left)], wanted


def compare_groups(raw: Raw, wanted: Any, values: Mapping[str, Any]) -> tuple[Any, Any]:
    """Interface by interface, but for those with groups of their own. What is shown is what all have, or else what any
    has."""
    groups = [set(_groups(port)) for port in sharing(raw, values)]
    wanted = sorted(set(wanted), key=str)
    if all(sorted(one) == wanted for one in groups):
        return wanted, wanted
    shared = sorted(set.intersection(*groups))
    return (shared if shared != wanted else sorted(set.union(*groups))), wanted


def sharing(raw: Raw, values: Mapping[str, Any]) -> list[Raw]:
    """The ports of a server that have the groups of the server."""
    apart = [
        port["id"]
        for element, port in pair(raw, values)[0]
        if "security_groups" in element or element.get("port_security") is False
    ]
    return [port for port in raw.get("(ports)") or [] if _is_filtered(port) and port["id"] not in apart]


# Writing -------------------------------------------------------------------------------------------------------------


def _network(op: Operation, method: str, path: str, body: Any = None, accept: tuple[int, ...] = ()) -> Any:
    """A request to the network service in the server's project."""
    answer = op.cloud.call("network", method, path, body, project=op.scope, accept=accept)
    op.written += 1
    return answer.body


def _mark(op: Operation) -> str:
    return f"{MADE}{op.raw.get('name') or op.values['name']}"[:LONGEST_DESCRIPTION]


def is_apart(element: Element) -> bool:
    """Whether an interface is a port that is made beforehand."""
    return "network" in element and any(key in element for key in OWN)


def make(op: Operation, element: Element) -> str:
    """Make the port of an interface, with all that it is to have. Returns its identifier."""
    body: dict[str, Any] = {"network_id": element["network"], "description": _mark(op)}
    body |= _body(_with_groups(element, op.values))
    if "fixed_ip" in element:
        body["fixed_ips"] = [{"ip_address": element["fixed_ip"]}]
    return str(_network(op, "POST", "/ports", {"port": body})["port"]["id"])


def _body(told: Element) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if "fixed_ips" in told:
        body["fixed_ips"] = [
            {{"subnet": "subnet_id"}.get(key, key): value for key, value in one.items()} for one in told["fixed_ips"]
        ]
    if "security_groups" in told:
        body["security_groups"] = sorted(set(told["security_groups"]))
    if "port_security" in told:
        body["port_security_enabled"] = told["port_security"]
    if told.get("port_security") is False:
        # The service refuses groups of such a port, and would put a new one into "default" first.
        body["security_groups"] = []
    return body


def put(op: Operation, pairs: Iterable[tuple[Element, Raw]]) -> None:
    """Have ports say what their interfaces do, each that says otherwise in one request."""
    for element, port in pairs:
        if wrong := differences(port, element):
            body = _body({key: element[key] for key in wrong})
            if body.get("port_security_enabled") is False:
                body["allowed_address_pairs"] = []
            _network(op, "PUT", f"/ports/{port['id']}", {"port": body})


def give_up_addresses(op: Operation) -> None:
    """Take from ports the addresses that their interfaces no longer have and something else of the run takes."""
    for element, port in pair(op.raw, op.values)[0]:
        staying = staying_addresses(port, element["fixed_ips"], op.contested) if "fixed_ips" in element else None
        if staying is not None:
            port |= _network(op, "PUT", f"/ports/{port['id']}", {"port": {"fixed_ips": staying}})["port"]


def give_groups(op: Operation, ports: Iterable[Raw]) -> None:
    """Put ports into the groups of the server, each of them that is in others."""
    wanted = sorted(set(op.values["security_groups"]))
    for port in ports:
        if _is_filtered(port) and _groups(port) != wanted:
            op.cloud.call("network", "PUT", f"/ports/{port['id']}", {"port": {"security_groups": wanted}})
            op.written += 1


def drop(op: Operation, ports: Iterable[Raw]) -> None:
    """Remove those of the ports that were made for an interface."""
    for port in ports:
        if str(port.get("description") or "").startswith(MADE) and not port.get("name"):
            _network(op, "DELETE", f"/ports/{port['id']}", accept=(404,))


def strays(op: Operation) -> list[Raw]:
    """Ports that were made for this server and that it does not have: a run was cut off, or the server failed."""
    project = op.scope or op.cloud.project_id
    found = op.cloud.pages("network", "/ports", "ports", [("description", _mark(op))], project=op.scope)
    return [port for port in found if port["project_id"] == project and not port["device_id"]]


def of_server(op: Operation) -> list[Raw]:
    """The ports that a server has."""
    return list(op.cloud.pages("network", "/ports", "ports", [("device_id", op.id)], project=op.scope))


@contextlib.contextmanager
def prepared(op: Operation, elements: Iterable[Element]) -> Iterator[dict[int, str]]:
    """Make the ports that the compute service is to be told, by the place of their elements, and remove them where it
    does not take them. What an earlier run left goes first: it may have the addresses."""
    apart = {number: element for number, element in enumerate(elements) if is_apart(element)}
    try:
        if apart:
            drop(op, strays(op))
        yield {number: make(op, element) for number, element in apart.items()}
    except ApiError as error:
        # Where there was no answer the server may have them; if not, they go with the next attempt.
        if apart and 400 <= error.status <= 500:
            with contextlib.suppress(ApiError):
                drop(op, strays(op))
        raise


# Checking ------------------------------------------------------------------------------------------------------------


def check(values: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """What no interface can be."""
    found = []
    for number, element in enumerate(values.get("networks") or []):
        key = f"networks[{number}]"
        if ("network" in element) == ("port" in element):
            found.append((key, "Exactly one of network and port is wanted.", ""))
        if "port" in element:
            words = {"security_groups": "groups", "port_security": "port security"}
            found += [
                (f"{key}.{name}", f"A port has its own {words.get(name, 'addresses')}.", "Set them at the port.")
                for name in ("fixed_ip", *OWN)
                if name in element
            ]
        if "fixed_ip" in element and "fixed_ips" in element:
            found.append((f"{key}.fixed_ips", "The addresses are said twice.", "Remove fixed_ip or fixed_ips."))
        if element.get("fixed_ips") == []:
            found.append((f"{key}.fixed_ips", "An interface needs an address.", "Leave the key out for any."))
        for place, one in enumerate(element.get("fixed_ips") or []):
            found += [(f"{key}.fixed_ips[{place}].{k}", c, m) for k, c, m in check_address(one, "ip_address")]
            if not one:
                found.append((f"{key}.fixed_ips[{place}]", "A subnet or an address is wanted.", ""))
        if element.get("port_security") is False and element.get("security_groups"):
            cause = "An interface without port security has no groups."
            found.append((f"{key}.security_groups", cause, "Remove the groups, or port_security."))
    return found
