"""What one host lets in and where its services may listen, put together from specifications, inventory and the site's variables."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.interfaces import Role
from ansible_collections.stackwright.cloud.plugins.module_utils.service import packet_filter
from ansible_collections.stackwright.cloud.plugins.module_utils.service.plan import split_term

# Works data of a role out for one host; a variable is asked for as a template.
View = Callable[[Any], Any]


def _value(view: View, name: str) -> Any:
    return view("{{ " + name + " | default('') }}")


def _list(view: View, name: str) -> list[Any]:
    found = _value(view, name)
    if found in ("", None):
        return []
    if not isinstance(found, list):
        raise packet_filter.FilterError(f"{name}: must be a list, not {found!r}")
    return found


def components(carried: Sequence[str], roles: Mapping[str, Role], view: View) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Term and raw specification of every component that a host carries, in order, each once.

    :param carried: node roles, which stand for the services in their ``<role>_services``, or services.
    """
    done: set[str] = set()
    for one in carried:
        is_node = one in roles and f"{one}_services" in roles[one].defaults
        for term in _list(view, f"{one}_services") if is_node else [one]:
            role, component = split_term(str(term))
            specifications = roles[role].internals.get(f"__{role}_specifications", {}) if role in roles else {}
            name = packet_filter.canonical(str(term))
            if component in specifications and name not in done:
                done.add(name)
                yield name, specifications[component]


def known_components(roles: Mapping[str, Role]) -> set[str]:
    """The names of all components that any role specifies."""
    return {f"{name}.{component}" for name, role in roles.items() for component in role.internals.get(f"__{name}_specifications", {})}


def member(name: str, carried: Sequence[str], roles: Mapping[str, Role], view: View) -> packet_filter.Member:
    """A host of the cloud as the others see it."""
    addresses = []
    for variable in ("stackwright_management_address", "ovn_tunnel_address"):
        value = str(_value(view, variable))
        try:
            ipaddress.ip_address(value)
        except ValueError as error:
            raise packet_filter.FilterError(f"{variable} of {name}: {value!r} is no IP address") from error
        if value not in addresses:
            addresses.append(value)
    return packet_filter.Member(name, tuple(addresses), frozenset(term for term, _ in components(carried, roles, view)))


def entries_of(term: str, specification: Mapping[str, Any], view: View) -> list[packet_filter.Entry]:
    """The entries of one component's ``filter``.

    :raises packet_filter.FilterError: one is malformed.
    """
    given = view(specification.get("filter", []))
    if not isinstance(given, list):
        raise packet_filter.FilterError(f"specification {term}: filter must be a list, not {given!r}")
    return [packet_filter.read(f"specification {term}: filter entry {number}", one) for number, one in enumerate(given, start=1)]


def site_of(view: View) -> tuple[packet_filter.Site, list[packet_filter.Entry], list[packet_filter.Entry]]:
    """The site's networks, its rules, and the listeners that it allows beside.

    :raises packet_filter.FilterError: a variable is malformed; the text names it.
    """
    networks = {name: _list(view, f"base_filter_{name}") for name in ("user_networks", "ssh_networks", "members")}
    for name, values in networks.items():
        for one in values:
            packet_filter.network_of(f"base_filter_{name}", one)
    site = packet_filter.Site(
        users=tuple(map(str, networks["user_networks"])),
        ssh=tuple(map(str, networks["ssh_networks"])),
        members=tuple(map(str, networks["members"])),
    )
    rules = [
        packet_filter.read(f"base_filter_rules, entry {number}", one, site=True)
        for number, one in enumerate(_list(view, "base_filter_rules"), start=1)
    ]
    listeners = [
        packet_filter.read(f"base_listeners, entry {number}", {"from": packet_filter.LOCAL, **one} if isinstance(one, dict) else one, site=True)
        for number, one in enumerate(_list(view, "base_listeners"), start=1)
    ]
    return site, rules, listeners


def of_host(name: str, carriers: Mapping[str, Sequence[str]], roles: Mapping[str, Role], views: Mapping[str, View]) -> dict[str, Any]:
    """The filter of one host, as plain data.

    :param carriers: every host of the cloud and what it carries. :param views: how to work data out for each of them.
    :returns: ``rules`` (see :class:`packet_filter.Rules`), ``listeners``, ``sockets`` (name, path, accounts) and ``closed``
        (host, name, address, port, sources), the ends that not everybody may reach; ``enabled`` says whether there is to be a filter.
    :raises packet_filter.FilterError: an entry or a variable is wrong.
    """
    view = views[name]
    known = known_components(roles)
    members = [member(host, carried, roles, views[host]) for host, carried in sorted(carriers.items())]
    entries = [entry for term, found in components(carriers.get(name, []), roles, view) for entry in entries_of(term, found, view)]
    site, rules, extra = site_of(view)
    management = str(_value(view, "stackwright_management_address"))
    public = [str(one) for one in _list(view, "stackwright_listen_addresses") if str(one) != management]
    worked_out = packet_filter.work_out([*entries, *rules], members, site, known, public)
    closed = [
        {"host": name, "name": entry.name, "address": address, "port": entry.ports[0][0], "sources": packet_filter.sources_of(entry, members, site, known)}
        for entry in entries
        for address in entry.addresses
        if entry.protocol == "tcp" and len(entry.ports) == 1 and entry.ports[0][0] == entry.ports[0][1]
        if address not in packet_filter.EVERY and not ipaddress.ip_address(address).is_loopback
    ]
    return {
        "enabled": boolean(_value(view, "base_filter")),
        "rules": asdict(worked_out),
        "listeners": [entry.listener() for entry in [*entries, *rules, *extra] if entry.ports],
        "sockets": [
            {"name": entry.name, "path": path, "accounts": list(entry.accounts)} for entry in entries for path in entry.sockets
        ],
        "closed": [one for one in closed if one["sources"]],
    }
