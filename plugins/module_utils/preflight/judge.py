"""Compares what a host is with what it must be."""

from __future__ import annotations

import ipaddress
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.common.problem import Problem
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight import reach, storage
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.problem import problem_of
from ansible_collections.stackwright.cloud.plugins.module_utils.service import galera

OLDEST_PYTHON = (3, 11)
PEERS = "preflight_peers"


def wanted(expected: Mapping[str, Any]) -> dict[str, Any]:
    """What the probe has to look for on a host with these expectations."""
    return {
        "ports": sorted({one["port"] for one in expected["listeners"]}),
        "units": expected["units"],
        "others": expected["others"],
        "names": [name for _variable, name in expected["names"]],
        "peers": expected["peers"],
        "mirror": bool(expected["check_mirror"] and expected["services"]),
        "sources": expected["sources"],
        "virtual": expected.get("virtual"),
        "database": galera.UNIT in expected["units"],
        "storage": storage.wanted(expected["storage"]) if expected.get("storage") else None,
        "timeout": expected["timeout_seconds"],
    }


def judge(
    host: str, expected: Mapping[str, Any], seen: Mapping[str, Any], asked: float, answered: float
) -> list[Problem]:
    """The problems of one host.

    :param expected: the host's entry of `expectations.of`.
    :param seen: what `probe.observe` returned.
    :param asked: control node's time in seconds before the probe, `answered` after it.
    """
    return [
        *(
            problem_of(host, *fault)
            for part in (_system, _own_name, _room, _network, _virtual, _ports, _sources, _authorities)
            for fault in part(expected, seen)
        ),
        *(problem_of(host, *fault) for fault in _clock(expected, seen, asked, answered)),
        *_peers(host, expected, seen),
        *(storage.judge(host, expected["storage"], seen["storage"]) if seen.get("storage") else []),
    ]


Fault = tuple[str, str, str]


def databases(seen: Mapping[str, Mapping[str, Any]]) -> Iterator[Problem]:
    """Hosts that would lose data by becoming one cluster of databases.

    :param seen: what the database server of each host keeps.
    """
    members = {host: galera.Member(uuid=one["uuid"], databases=tuple(one["databases"])) for host, one in seen.items()}
    for host, held in galera.mixed(members).items() if len(members) > 1 else ():
        yield problem_of(
            host,
            "mariadb_members",
            f"this host has {held}, which is not what the other hosts of the cluster have: it would be lost",
            "Take the host out of the inventory if it is another cloud's. If its data may be lost, stop mariadb there "
            "and empty /var/lib/mysql: it then takes over that of the others.",
        )


def _authorities(expected: Mapping[str, Any], seen: Mapping[str, Any]) -> Iterator[Fault]:
    """A host that trusts authorities of which the inventory has none."""
    known, trusted = set(expected.get("authorities") or []), set(seen.get("authorities") or [])
    if known and trusted and not known & trusted:
        yield (
            "stackwright_secrets.pki_authority",
            "this host trusts another authority than the inventory's: its key was lost, or these are the secrets of "
            "another cloud",
            "Put the secrets back from a backup. If there is none, remove /etc/ssl/stackwright/ca.pem on every host: "
            "site.yml then brings the new authority, and hosts that have it refuse those that do not have it yet.",
        )


def _system(expected: Mapping[str, Any], seen: Mapping[str, Any]) -> Iterator[Fault]:
    system = seen["os"]
    if system["ID"] != expected["distribution"] or system["VERSION_ID"] not in expected["versions"]:
        supported = f"{expected['distribution']} {' or '.join(expected['versions'])}"
        yield (
            "preflight_distribution",
            f"this host runs {system['PRETTY_NAME'] or 'an unknown system'}",
            f"Install {supported}.",
        )
    if seen["init"] != "systemd":
        yield "init", f"process 1 is {seen['init'] or 'unknown'}, not systemd", "Boot the machine with systemd."
    if seen["user"] != 0:
        yield "ansible_become", "sudo does not lead to root", "Let ansible_become_user be root and sudo permit it."
    if tuple(int(part) for part in seen["python"].split(".")) < OLDEST_PYTHON:
        yield (
            "ansible_python_interpreter",
            f"this is Python {seen['python']}",
            f"Name Python {'.'.join(map(str, OLDEST_PYTHON))} or newer.",
        )


def _own_name(expected: Mapping[str, Any], seen: Mapping[str, Any]) -> Iterator[Fault]:
    """Nova, Neutron and OVN know a host by the name that it gives itself, everything here by that of the inventory."""
    name, own = expected["name"], str(seen["hostname"])
    if not name or own == name:
        return
    wrong = f"this machine calls itself {own!r}, not {name!r}"
    rename = f"hostnamectl hostname {name}"
    if seen["installed_units"]:
        yield (
            "inventory_hostname",
            f"{wrong}, and services of the cloud run on it",
            f"If it was renamed since, give it its name back and reboot it: {rename}. If the cloud "
            f"knows it as {own!r}, call it so in the "
            "inventory: Nova refuses to start under another name.",
        )
    else:
        yield "inventory_hostname", wrong, f"Run on it: {rename}; or call it {own!r} in the inventory."


def _room(expected: Mapping[str, Any], seen: Mapping[str, Any]) -> Iterator[Fault]:
    if seen["memory_mb"] < int(expected["memory_mb"]):
        yield (
            "preflight_memory_minimum_mb",
            f"this host has {seen['memory_mb']} MB of memory, {expected['memory_mb']} MB are wanted",
            "Give it more memory, or lower the variable if you know that less will do.",
        )
    # A host that already carries the cloud needs no room for its packages any more.
    variable = "preflight_disk_reserve_mb" if seen["installed_units"] else "preflight_disk_minimum_mb"
    least = int(expected["disk_reserve_mb" if seen["installed_units"] else "disk_mb"])
    if seen["disk_free_mb"] < least:
        yield (
            variable,
            f"/var has {seen['disk_free_mb']} MB free, {least} MB are wanted",
            "Make room, or lower the variable if you know that less will do.",
        )


def _clock(expected: Mapping[str, Any], seen: Mapping[str, Any], asked: float, answered: float) -> Iterator[Fault]:
    """The host read its clock at some moment between `asked` and `answered`; only what lies outside is skew."""
    skew = max(asked - seen["time"], seen["time"] - answered, 0.0)
    if skew > float(expected["clock_skew_seconds"]):
        direction = "behind" if seen["time"] < asked else "ahead of"
        yield (
            "preflight_clock_skew_seconds",
            f"this host's clock is {_duration(skew)} {direction} the control node's",
            "Set both clocks by a time server: tokens and cluster membership depend on them.",
        )


def _duration(seconds: float) -> str:
    for size, name in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} seconds"


def _network(expected: Mapping[str, Any], seen: Mapping[str, Any]) -> Iterator[Fault]:
    present = {ipaddress.ip_address(address) for address in seen["addresses"]}
    for variable, address in expected["addresses"]:
        if ipaddress.ip_address(address) not in present:
            usable = [str(one) for one in sorted(present, key=str) if not one.is_loopback and not one.is_link_local]
            yield (
                variable,
                f"this host does not have the address {address}, only {', '.join(usable) or 'none'}",
                "Correct the variable, or give the host that address.",
            )
    carried: dict[str, set[str]] = defaultdict(set)
    for interface, address in seen["carried"]:
        carried[interface].add(address)
    for variable, interface, own in expected["interfaces"]:
        lost = [
            (name, address) for name, address in expected["needed"] if address in carried[interface] and address != own
        ]
        if lost:
            yield (
                variable,
                f"the interface {interface!r} carries {lost[0][1]}, this host's {lost[0][0]}, which it "
                f"would lose inside a bridge",
                "Name an interface that carries no address the host needs.",
            )
        elif interface in seen["default_routes"]:
            yield (
                variable,
                f"the interface {interface!r} carries this host's default route, which it would lose inside a bridge",
                "Name another interface.",
            )
        if interface not in seen["interfaces"]:
            others = ", ".join(one for one in seen["interfaces"] if one != "lo")
            yield (
                variable,
                f"this host has no interface {interface!r}, only {others or 'none'}",
                "Correct the variable.",
            )
    for variable, name in expected["names"]:
        if not seen["names"].get(name, True):
            yield variable, f"{name!r} does not resolve on this host", "Add the name to DNS, or give an address."


def _virtual(expected: Mapping[str, Any], seen: Mapping[str, Any]) -> Iterator[Fault]:
    """Addresses that load balancers are to carry, and the identifiers by which they do: nobody else may have them."""
    wanted_one, heard = expected.get("virtual") or {}, seen.get("virtual") or {}
    if not wanted_one or not heard:
        return
    networks = [ipaddress.ip_interface(one).network for one in heard["networks"]]
    own = {link for member in wanted_one["members"] for link in heard["answers"].get(member, [])}
    for address, option in wanted_one["addresses"].items():
        if networks and not any(ipaddress.ip_address(address) in network for network in networks):
            yield (
                option,
                f"{address} lies outside of {networks[0]}, the network of this load balancer's address",
                f"Give a free address of {networks[0]}: it moves among the load balancers.",
            )
        if strangers := sorted(set(heard["answers"].get(address, [])) - own):
            yield (
                option,
                f"{address} is answered already by {', '.join(strangers)}, which is no load balancer of this cloud",
                "Choose a free address, or switch off what has it: ip neighbour and the switch tell where that is.",
            )
    for number in wanted_one["routers"]:
        senders = set(heard["routers"].get(str(number), [])) - set(wanted_one["members"])
        if senders:
            yield (
                "loadbalancer_router_id",
                f"the virtual router {number} is in use on this network, by {', '.join(sorted(senders))}",
                "Choose another one: each address takes one from there on.",
            )


def _peers(host: str, expected: Mapping[str, Any], seen: Mapping[str, Any]) -> Iterator[Problem]:
    for peer, tried in zip(expected["peers"], seen["peers"], strict=True):
        # where the port is a guess, a machine that refuses it has been reached all the same
        if tried["reason"] and not (peer["assumed"] and tried["refused"]):
            yield problem_of(
                host,
                PEERS,
                f"{peer['host']} cannot be reached from here: {peer['address']} port {peer['port']}: {tried['reason']}",
                "Correct the address, the route or the firewall between the two.",
                about=peer["host"],
            )


def _ports(expected: Mapping[str, Any], seen: Mapping[str, Any]) -> Iterator[Fault]:
    """A port may be held by the service that is to have it, and by nobody else."""
    units = set(expected["units"])
    for wanted_one in expected["listeners"]:
        for holder in seen["listeners"]:
            if holder["port"] != wanted_one["port"] or not _overlap(holder["address"], wanted_one["address"]):
                continue
            # init scripts and sockets carry names like the unit's; any unit of the host's own services is welcome
            if holder["unit"] == wanted_one["unit"] or holder["unit"] in units:
                continue
            who = holder["process"] or "another process"
            unit = f" (unit {holder['unit']})" if holder["unit"] else ""
            stop = f", with systemctl disable --now {holder['unit']}" if holder["unit"] else ""
            yield (
                "port",
                f"{wanted_one['service']} needs port {wanted_one['port']}, "
                f"which {who}{unit} holds on {holder['address']}",
                f"Stop it for good{stop}, or move it.",
            )
            break


def _overlap(held: str, needed: str) -> bool:
    """Whether a listener on `held` hinders one on `needed`; either may stand for every address."""
    every = ("0.0.0.0", "::")
    return held in every or needed in every or held == needed


def _sources(expected: Mapping[str, Any], seen: Mapping[str, Any]) -> Iterator[Fault]:
    # Where the packages are installed already, a mirror that is down for an hour must not stop a change.
    if seen["installed_units"] and set(expected["units"]) <= set(seen["installed_units"]):
        return
    if expected["check_mirror"] and expected["services"] and not seen["mirrors"]:
        yield (
            "base_apt_sources",
            "this host has no package source, and not all packages of its services are installed",
            "Set the variable to the lines of a mirror, or set the host's own package sources right.",
        )
    unanswered: dict[tuple[str, str, bool], list[str]] = defaultdict(list)
    for url, asked in seen["mirrors"].items():
        if asked["reason"]:
            server = re.sub(r"(\w+://[^/]+).*", r"\1", url)
            unanswered[server, asked["reason"], asked["answered"]].append(url)
    for (server, reason, answered), urls in unanswered.items():
        where = urls[0] if answered else server
        yield (
            "base_apt_sources",
            f"the package source {where} does not answer this host: {reason}",
            "Correct the host's package sources or the way to them (name server, route, proxy).",
        )


def without_echoes(problems: Iterable[Problem]) -> list[Problem]:
    """The problems without those of others who cannot reach a host that the control node cannot reach either."""
    kept = list(problems)
    dead = {one.host for one in kept if one.variable in reach.UNREACHED}
    return [one for one in kept if one.variable != PEERS or one.about not in dead]


def _any_key(line: str) -> str:
    """The server of a package source that is not Debian's own and names no key; empty for others."""
    server = (re.search(r"://([^/\s]+)", line) or ["", ""])[1]
    own = server == "debian.org" or server.endswith(".debian.org")
    return "" if own or "signed-by" in line.lower() else server


def notes(expected: Mapping[str, Any], seen: Mapping[str, Any]) -> list[str]:
    """What an operator may want to know of this host although it stops nothing."""
    found: list[str] = []
    if expected["name"] and seen["hosts_rewritten"]:
        found.append(
            f"cloud-init writes /etc/hosts anew at each boot, without the cloud's names: set "
            f"manage_etc_hosts: false ({seen['hosts_rewritten']})"
        )
    if expected["shared_address"]:
        kept = (
            "the packet filter lets them to the APIs alone"
            if expected["filter"]
            else "and base_filter is false: every port is open to them"
        )
        found.append(f"users come in on the management address; {kept}")
    if expected["hypervisor"] and not seen["kvm"]:
        found.append("no KVM here: guests run emulated, slowly")
    if expected["hypervisor"] and not seen["modules"]["openvswitch"]:
        found.append("the kernel has no Open vSwitch: guests' packets go through the userspace datapath")
    for service, units in seen["others"].items():
        found.append(
            f"{service} runs here ({', '.join(units)}), though nothing lists it for this host: list it again, or with "
            f"state: absent"
        )
    found += storage.notes(seen.get("storage") or {})
    for server in sorted({server for line in expected["sources"] if (server := _any_key(line))}):
        found.append(
            f"packages of {server} may be signed with any key that apt knows: name the mirror's own "
            f"with [signed-by=...]"
        )
    return found


def gathered(notes: Mapping[str, Iterable[str]]) -> list[str]:
    """A line for each note with the hosts that it is about.

    :param notes: the notes of each host by its name.
    """
    told: dict[str, list[str]] = defaultdict(list)
    for host, texts in notes.items():
        for note in texts:
            told[note].append(host)
    return [f"{', '.join(hosts)}: {note}" for note, hosts in told.items()]
