"""What one host lets in and where its services may listen, put together from specifications, inventory and the site's
variables."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.stackwright.cloud.plugins.module_utils.service import derive, packet_filter
from ansible_collections.stackwright.cloud.plugins.module_utils.service.specification import Book, View
from ansible_collections.stackwright.cloud.plugins.module_utils.service.terms import canonical

# Options that say under which addresses a host speaks to the others.
ADDRESSES = (
    "stackwright_management_address",
    "ovn_tunnel_address",
    "swift_storage_address",
    "swift_replication_address",
)


def _value(view: View, name: str) -> Any:
    return view("{{ " + name + " | default('') }}")


def _list(view: View, name: str) -> list[Any]:
    found = _value(view, name)
    if found in ("", None):
        return []
    if not isinstance(found, list):
        raise packet_filter.FilterError(name, f"must be a list, not {found!r}")
    return found


def member(name: str, carried: Sequence[str], book: Book, view: View) -> packet_filter.Member:
    """A host of the cloud as the others see it."""
    addresses = []
    for variable in ADDRESSES:
        value = str(_value(view, variable))
        if not value and variable.startswith("swift_"):
            continue
        try:
            ipaddress.ip_address(value)
        except ValueError as error:
            raise packet_filter.FilterError(f"{variable} of {name}", f"{value!r} is no IP address") from error
        if value not in addresses:
            addresses.append(value)
    return packet_filter.Member(name, tuple(addresses), frozenset(map(canonical, book.services_of(carried, view))))


def entries_of(term: str, book: Book, view: View) -> list[packet_filter.Entry]:
    """The entries of one component's filter.

    :raises packet_filter.FilterError: one is malformed.
    """
    component = book.component(term, view, "account", "api", "filter")
    given = derive.filter_entries(component, derive.Site(lambda name: view("{{ " + name + " }}")))
    return [
        packet_filter.read(f"specification {term}: filter entry {number}", one)
        for number, one in enumerate(given, start=1)
    ]


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
        packet_filter.read(
            f"base_listeners, entry {number}",
            {"from": packet_filter.LOCAL, **one} if isinstance(one, dict) else one,
            site=True,
        )
        for number, one in enumerate(_list(view, "base_listeners"), start=1)
    ]
    return site, rules, listeners


def of_host(name: str, carriers: Mapping[str, Sequence[str]], book: Book, views: Mapping[str, View]) -> dict[str, Any]:
    """The filter of one host, as plain data.

    :param carriers: every host of the cloud and what it carries. :param views: how to work data out for each of them.
    :returns: ``rules`` (see :class:`packet_filter.Rules`), ``listeners``, ``sockets`` (name, path or address with port,
        accounts) and ``closed`` (host, name, address, port, sources), the ends that not everybody may reach;
        ``enabled`` says whether there is to be a filter.
    :raises packet_filter.FilterError: an entry or a variable is wrong.
    """
    view = views[name]
    known = book.names()
    members = [member(host, carried, book, views[host]) for host, carried in sorted(carriers.items())]
    entries = [
        entry
        for term in book.services_of(carriers.get(name, []), view)
        for entry in entries_of(canonical(term), book, view)
    ]
    site, rules, extra = site_of(view)
    management = str(_value(view, "stackwright_management_address"))
    public = [str(one) for one in _list(view, "stackwright_listen_addresses") if str(one) != management]
    components = [
        book.component(canonical(term), view, "account") for term in book.services_of(carriers.get(name, []), view)
    ]
    accounts = sorted({one.account.name for one in components if one.account})
    worked_out = packet_filter.work_out([*entries, *rules], members, site, known, public, accounts)
    closed = [
        {
            "host": name,
            "name": entry.name,
            "address": address,
            "port": entry.ports[0][0],
            "sources": packet_filter.sources_of(entry, members, site, known),
        }
        for entry in entries
        for address in entry.addresses
        if entry.protocol == "tcp" and len(entry.ports) == 1 and entry.ports[0][0] == entry.ports[0][1]
        if address not in packet_filter.EVERY and not ipaddress.ip_address(address).is_loopback
    ]
    enabled = boolean(_value(view, "base_filter"))
    reserved = [
        {"name": rule["name"], "path": f"127.0.0.1:{port}", "accounts": rule["accounts"]}
        for rule in worked_out.reserved
        for port in rule["ports"]
        if enabled and rule["protocol"] == "tcp" and port.isdigit()
    ]
    return {
        "enabled": enabled,
        "rules": asdict(worked_out),
        "listeners": [entry.listener() for entry in [*entries, *rules, *extra] if entry.ports],
        "sockets": [
            {"name": entry.name, "path": path, "accounts": list(entry.accounts)}
            for entry in entries
            for path in entry.sockets
        ]
        + reserved,
        "closed": [one for one in closed if one["sources"]],
    }
