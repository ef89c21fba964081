"""What a host lets in: the ports that its services' specifications name, from those whom they name.

A specification's ``filter`` is a list of entries. The same entries say where a service may listen, so that verification
finds every listener that nobody named. The result is one nftables table, ``inet stackwright``, with an input chain of
its own: what others put into tables of theirs (Open vSwitch, libvirt, podman, ufw, the site's own nftables) stays as it
is.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.common import words
from ansible_collections.stackwright.cloud.plugins.module_utils.service.terms import canonical

TABLE = "stackwright"
# The last has no ports: hosts that carry one address tell each other by it that they are alive (RFC 5798).
TCP, UDP, VRRP = "tcp", "udp", "vrrp"
PROTOCOLS = (TCP, UDP, VRRP)
# Whom an entry may name beside components of services (``nova.api``) and networks.
MEMBERS, USERS, LOCAL, NOBODY = "members", "users", "local", "nobody"
WORDS = (MEMBERS, USERS, LOCAL, NOBODY)
# Among an entry's accounts: those of all services that the host carries.
SERVICES = "services"
EVERY = ("0.0.0.0", "::")

_PORT = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?\Z")
_INTERFACE = re.compile(r"[A-Za-z0-9_.:-]{1,15}\*?\Z")
_TERM = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)?\Z")
KEYS = {"name", "ports", "protocol", "addresses", "unit", "process", "from", "interfaces", "sockets", "accounts"}

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class FilterError(Exception):
    """An entry or a variable of the packet filter is wrong.

    `where` is the variable or specification, with the entry behind a comma; `wrong` says what it must be.
    """

    def __init__(self, where: str, wrong: str) -> None:
        super().__init__(f"{where}: {wrong}")
        self.where = where
        self.wrong = wrong


@dataclass(frozen=True)
class Entry:
    """One entry of a ``filter``.

    ``ports`` are pairs of first and last. ``addresses`` are those that the service listens on; empty where the kernel
    listens, or where it does not matter. ``unit`` and ``process`` (the beginning of its name) say who listens.
    ``origins`` (key ``from``) are words of :data:`WORDS`, components, or networks. ``interfaces`` alone, with
    ``nobody``, are those through which nothing may come in. ``sockets`` are paths of sockets in the file system, which
    only ``accounts`` (and root) may connect to, as to ports that are ``local``; :data:`SERVICES` among them stands for
    the accounts of all services of the host.
    """

    name: str
    ports: tuple[tuple[int, int], ...] = ()
    protocol: str = "tcp"
    addresses: tuple[str, ...] = ()
    unit: str = ""
    process: str = ""
    origins: tuple[str, ...] = ()
    interfaces: tuple[str, ...] = ()
    sockets: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()

    def listener(self) -> dict[str, Any]:
        """The entry as verification takes it: plain data."""
        return {
            "name": self.name,
            "ports": [list(pair) for pair in self.ports],
            "protocol": self.protocol,
            "addresses": list(self.addresses),
            "unit": self.unit,
            "process": self.process,
        }


@dataclass(frozen=True)
class Member:
    """A host of the cloud: the addresses that it speaks from, and the components that it carries."""

    name: str
    addresses: tuple[str, ...]
    components: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Site:
    """What the operator says: networks of users and of those who may log in (empty: everybody), and further members."""

    users: tuple[str, ...] = ()
    ssh: tuple[str, ...] = ()
    members: tuple[str, ...] = ()


@dataclass
class Rules:
    """What one host lets in, ready to be rendered: all plain values that a module takes.

    ``refused`` are interfaces through which nothing comes in, ``reserved`` mappings of ``name``, ``protocol``,
    ``ports`` and ``accounts``, the only ones beside root that connect to these ports on the host itself, ``rules``
    mappings of ``name``, ``protocol``, ``ports``,
    ``sources`` (networks; empty for everybody), ``addresses`` (own addresses; empty for any) and ``interfaces``.
    """

    refused: list[str] = field(default_factory=list)
    reserved: list[dict[str, Any]] = field(default_factory=list)
    rules: list[dict[str, Any]] = field(default_factory=list)
    ssh: list[str] = field(default_factory=list)


def _ports(where: str, given: Any) -> tuple[tuple[int, int], ...]:
    found = []
    for one in given if isinstance(given, list) else [given]:
        match = _PORT.match(str(one)) if not isinstance(one, bool) else None
        first = int(match[1]) if match else 0
        last = int(match[2] or match[1]) if match else 0
        if not 0 < first <= last < 65536:
            raise FilterError(where, f"{one!r} is no port from 1 to 65535 and no range such as 5900-6923")
        found.append((first, last))
    return tuple(found)


def network_of(where: str, given: Any) -> Network:
    """The network, or the single address, that a text writes.

    :raises FilterError: it writes none.
    """
    try:
        return ipaddress.ip_network(str(given))
    except ValueError as error:
        raise FilterError(where, f"{given!r} is no address and no network such as 192.0.2.0/24 ({error})") from error


def _texts(where: str, key: str, given: Any) -> tuple[str, ...]:
    values = given if isinstance(given, list) else [given]
    if not all(isinstance(one, str) and one for one in values):
        raise FilterError(where, f"{key} must be a text or a list of texts, not {given!r}")
    return tuple(map(str, values))


def read(where: str, data: Any, site: bool = False) -> Entry:
    """Read one entry.

    :param where: what the entry belongs to, for messages.
    :param site: the entry is the operator's, who names no units, sockets and accounts.
    :raises FilterError: it is malformed.
    """
    if not isinstance(data, Mapping):
        raise FilterError(where, f"must be a mapping with ports and from, not {data!r}")
    known = KEYS - {"unit", "process", "sockets", "accounts"} if site else KEYS
    for key in data:
        if key not in known:
            raise FilterError(where, f"unknown key {key!r}{words.hint(str(key), known, '. ')}")
    protocol = str(data.get("protocol", "tcp"))
    if protocol not in PROTOCOLS:
        raise FilterError(where, f"protocol {protocol!r} is none of {', '.join(PROTOCOLS)}")
    origins = _texts(where, "from", data.get("from", []))
    for one in origins:
        if one not in WORDS and not _TERM.match(one):
            network_of(f"{where}: from", one)
    interfaces = _texts(where, "interfaces", data.get("interfaces", []))
    for one in interfaces:
        if not _INTERFACE.match(one):
            raise FilterError(where, f"{one!r} is no name of an interface, which may end in *")
    addresses = _texts(where, "addresses", data.get("addresses", []))
    for one in addresses:
        try:
            ipaddress.ip_address(one)
        except ValueError as error:
            raise FilterError(where, f"addresses: {one!r} is no IP address") from error
    entry = Entry(
        name=" ".join(str(data.get("name", "rule of the site")).split()),
        ports=_ports(where, data.get("ports", [])),
        protocol=protocol,
        addresses=addresses,
        unit=str(data.get("unit", "")),
        process=str(data.get("process", "")),
        origins=tuple(canonical(one) if one not in WORDS and _TERM.match(one) else one for one in origins),
        interfaces=interfaces,
        sockets=_texts(where, "sockets", data.get("sockets", [])),
        accounts=_texts(where, "accounts", data.get("accounts", [])),
    )
    if re.search(r'["\\\x00-\x1f\x7f]', entry.name) or not 0 < len(entry.name) <= 100:
        raise FilterError(where, "the name must have 1 to 100 printable characters without quotes and backslashes")
    if entry.protocol == VRRP and (entry.ports or not entry.origins):
        raise FilterError(where, "vrrp knows no ports: give from alone")
    bare = entry.protocol != VRRP and not (entry.ports or entry.interfaces or entry.sockets)
    if bare and (site or "ports" not in data):
        raise FilterError(where, "give ports, such as [8080]" + ("" if site else ", interfaces or sockets"))
    if (entry.ports or site) and not origins:
        raise FilterError(where, f"say from whom: {', '.join(WORDS)}, a component such as nova.api, or networks")
    if NOBODY in origins and (entry.ports or len(origins) > 1):
        raise FilterError(where, "nobody goes with interfaces alone; a port that no rule names is closed anyway")
    if entry.interfaces and not entry.ports and NOBODY not in origins and not site:
        raise FilterError(where, "interfaces without ports are closed ones: say from: nobody")
    return entry


def _families(networks: Iterable[Network]) -> list[list[str]]:
    """The networks merged, IPv4 and IPv6 apart; families that have none are left out."""
    found = []
    listed = list(networks)
    for version in (4, 6):
        own = [one for one in listed if one.version == version]
        if own:
            found.append([str(one) for one in ipaddress.collapse_addresses(own)])  # type: ignore[type-var]
    return found


def sources_of(entry: Entry, members: Sequence[Member], site: Site, known: Iterable[str]) -> list[str] | None:
    """The networks that an entry's ``from`` stands for, merged and sorted; None for everybody.

    :param known: all components that there are, to tell a wrong word from one that no host carries.
    :raises FilterError: it names something that there is not.
    """
    networks: list[Network] = []
    extra = [network_of("base_filter_members", one) for one in site.members]
    components = set(known)
    for origin in entry.origins:
        if origin in (LOCAL, NOBODY):
            continue
        if origin == USERS:
            if not site.users:
                return None
            networks += [network_of("base_filter_user_networks", one) for one in site.users]
        if origin in (USERS, MEMBERS):
            networks += [network_of(one.name, address) for one in members for address in one.addresses] + extra
        elif _TERM.match(origin):
            if origin not in components:
                near = words.hint(origin, [*components, *WORDS], ". ")
                raise FilterError(entry.name, f"from: there is no component {origin!r}{near}")
            networks += [
                network_of(one.name, address)
                for one in members
                if origin in one.components
                for address in one.addresses
            ]
        else:
            networks.append(network_of(entry.name, origin))
    return [text for family in _families(networks) for text in family]


def work_out(
    entries: Sequence[Entry],
    members: Sequence[Member],
    site: Site,
    known: Iterable[str],
    public: Sequence[str] = (),
    accounts: Sequence[str] = (),
) -> Rules:
    """What a host lets in.

    :param entries: those of the host's components, then the site's.
    :param members: all hosts of the cloud.
    :param known: all components that there are.
    :param public: own addresses beside the management address on which APIs listen: users reach the ends that are open
        to users there and nowhere else.
    :param accounts: of all services that the host carries.
    :raises FilterError: an entry names something that there is not.
    """
    components = sorted(known)
    result = Rules(
        ssh=[
            text
            for family in _families(network_of("base_filter_ssh_networks", one) for one in site.ssh)
            for text in family
        ]
    )
    for entry in entries:
        if NOBODY in entry.origins:
            result.refused += [one for one in entry.interfaces if one not in result.refused]
            continue
        if entry.interfaces and not entry.ports:  # the site trusts an interface
            result.rules.append(_rule(entry, sources_of(entry, members, site, components), []))
            continue
        if not entry.ports and entry.protocol != VRRP:
            continue
        if set(entry.origins) <= {LOCAL}:
            if entry.accounts:
                names = {one for given in entry.accounts for one in (accounts if given == SERVICES else [given])}
                ports = _spelled(entry)
                result.reserved.append(
                    {"name": entry.name, "protocol": entry.protocol, "ports": ports, "accounts": sorted(names)}
                )
            continue
        own = [one for one in entry.addresses if one not in EVERY]
        if USERS in entry.origins and public and (not own or set(public) & set(own)):
            inner = Entry(**{**entry.__dict__, "origins": (MEMBERS, *(one for one in entry.origins if one != USERS))})
            result.rules.append(_rule(entry, sources_of(entry, members, site, components), list(public)))
            result.rules.append(_rule(inner, sources_of(inner, members, site, components), own))
            continue
        sources = sources_of(entry, members, site, components)
        if sources is None or sources:
            result.rules.append(_rule(entry, sources, own))
    return result


def _spelled(entry: Entry) -> list[str]:
    return [f"{first}-{last}" if last > first else str(first) for first, last in entry.ports]


def _rule(entry: Entry, sources: list[str] | None, addresses: list[str]) -> dict[str, Any]:
    return {
        "name": entry.name,
        "protocol": entry.protocol,
        "ports": _spelled(entry),
        "sources": sources,
        "addresses": addresses,
        "interfaces": list(entry.interfaces),
    }


def _set(values: Iterable[str]) -> str:
    return "{ " + ", ".join(values) + " }"


def _match(interfaces: Sequence[str]) -> list[str]:
    """Conditions on the interface: one for each, since a set takes no wildcards."""
    return [f'iifname "{one}" ' for one in interfaces] or [""]


def _addresses(side: str, networks: Sequence[str] | None) -> list[tuple[str, str]]:
    """Pairs of family and condition; one without a condition for any."""
    if not networks:
        return [("", "")]
    found = []
    for version, word in ((4, "ip"), (6, "ip6")):
        own = [one for one in networks if ipaddress.ip_network(one).version == version]
        if own:
            found.append((word, f"{word} {side} {_set(own)} "))
    return found


def _lines(rule: Mapping[str, Any]) -> list[str]:
    port = f"{rule['protocol']} dport {_set(rule['ports'])} " if rule["ports"] else ""
    port = "meta l4proto vrrp " if rule["protocol"] == VRRP else port
    return [
        f'{interface}{source}{target}{port}accept comment "{rule["name"]}"'
        for interface in _match(rule["interfaces"])
        for family, source in _addresses("saddr", rule["sources"])
        for other, target in _addresses("daddr", rule["addresses"])
        if not family or not other or family == other
    ]


def _reserved(rule: Mapping[str, Any], numbers: Mapping[str, int]) -> str:
    """Accounts go by their numbers: a name that is gone would make nftables refuse the whole table at the next boot."""
    users = _set(map(str, sorted({0, *(numbers[one] for one in rule["accounts"] if one in numbers)})))
    answer = "reject with tcp reset" if rule["protocol"] == "tcp" else "reject"
    return (
        f'oifname "lo" {rule["protocol"]} dport {_set(rule["ports"])} meta skuid != {users} counter {answer} '
        f'comment "{rule["name"]} is for its services"'
    )


def render(rules: Rules, ssh_ports: Iterable[int], numbers: Mapping[str, int] | None = None) -> str:
    """The table as nftables reads it: replaced as a whole in one transaction, other tables untouched.

    :param ssh_ports: where this host's sshd listens.
    :param numbers: this host's accounts; those that it does not have connect to nothing.
    """
    ports = _set(map(str, sorted(set(ssh_ports))))
    ssh = [f'{source}tcp dport {ports} accept comment "SSH"' for _family, source in _addresses("saddr", rules.ssh)]
    inner = [
        "type filter hook input priority filter + 5; policy drop;",
        'iifname "lo" accept',
        *(f'iifname "{one}" counter drop comment "nothing comes in from guests"' for one in rules.refused),
        "ct state established,related accept",
        "icmp type { echo-request, destination-unreachable, time-exceeded, parameter-problem } accept",
        "icmpv6 type { echo-request, destination-unreachable, packet-too-big, time-exceeded, "
        "parameter-problem } accept",
        # neighbours and routers are on the link itself (RFC 4861, RFC 2710)
        "icmpv6 type { nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert, mld-listener-query, "
        "mld2-listener-report } accept",
        'udp sport 67 udp dport 68 accept comment "DHCP"',
        'ip6 saddr fe80::/10 udp sport 547 udp dport 546 accept comment "DHCPv6"',
        *ssh,
        *(line for rule in rules.rules for line in _lines(rule)),
        'counter comment "what no rule lets in"',
    ]
    output = ["type filter hook output priority filter + 5; policy accept;"]
    output += [_reserved(rule, numbers or {}) for rule in rules.reserved]
    chains = {"input": inner} | ({"output": output} if rules.reserved else {})
    body = "".join(
        f"  chain {name} {{\n{''.join(f'    {line}{chr(10)}' for line in lines)}  }}\n"
        for name, lines in chains.items()
    )
    return (
        "# Written by Stackwright. Change it through the inventory (base_filter_rules); edits made here "
        "are overwritten.\n"
        f"table inet {TABLE}\n"
        f"delete table inet {TABLE}\n"
        f"table inet {TABLE} {{\n{body}}}\n"
    )
