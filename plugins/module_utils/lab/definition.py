"""What a lab consists of: from the few lines of its inventory file to every machine's addresses."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.lab.errors import LabError

PREFIX = "stackwright"
NAME = re.compile(r"^[a-z][a-z0-9-]{0,23}$")
GROUP = re.compile(r"^[a-z][a-z0-9_]{0,23}$")
# Containers get interfaces in this order. The tunnel network carries nothing but tunnels, the external network only
# what the cloud's routers send; neither leads out of this host.
NETWORKS = ("management", "tunnel", "external")
FIRST_ADDRESS = 11
ADDRESSES_PER_GROUP = 20
# Each network is a /24 of the lab's range. Machines live below the pool of floating addresses.
POOL = (100, 199)
# Beginning of unique local addresses (RFC 4193) for labs.
OWN_V6 = "fd53:7477"
SIZES_FILE = "sizes.json"
# Geneve takes 58 bytes of a packet: guests keep the 1500 bytes of the external network.
TUNNEL_MTU = 1558


@dataclass(frozen=True)
class Network:
    """One of the lab's podman networks; addresses are strings, ``interface`` is its name inside every machine.

    ``mtu`` is its greatest packet in bytes; 0 leaves it to podman.
    """

    role: str
    name: str
    cidr: str
    gateway: str
    interface: str
    internal: bool
    mtu: int = 0


@dataclass(frozen=True)
class Machine:
    """One machine: ``addresses`` maps a network's role to the machine's address in it."""

    name: str
    group: str
    container: str
    addresses: dict[str, str]


@dataclass(frozen=True)
class Lab:
    """A whole lab. ``sizes`` holds the group sizes that came from the environment or from an earlier run."""

    name: str
    state_directory: str
    networks: dict[str, Network]
    machines: dict[str, Machine]
    sizes: dict[str, dict[str, int]]

    def document(self) -> dict[str, Any]:
        """Return the lab as plain dictionaries, the form in which it travels through Ansible variables."""
        return asdict(self)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Lab:
        """Rebuild a lab from what `document` returned.

        Raises:
            LabError: The document is not one of a lab.
        """
        try:
            return cls(
                name=document["name"],
                state_directory=document["state_directory"],
                networks={role: Network(**network) for role, network in document["networks"].items()},
                machines={name: Machine(**machine) for name, machine in document["machines"].items()},
                sizes={name: dict(size) for name, size in document["sizes"].items()},
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise LabError(
                "Reading the lab's definition",
                f"{type(error).__name__} {error}",
                "Use an inventory file with `plugin: stackwright.cloud.lab`, which provides lab_definition",
            ) from error

    def external_network(self) -> dict[str, str]:
        """Return cidr, gateway and the pool of floating addresses of the external network, and unique local IPv6
        networks.

        They are made for the time of a test: one for the external network, one that is routed to from there.
        """
        network = self.networks["external"]
        hosts = ipaddress.ip_network(network.cidr)
        # The range of each lab's networks is its own, and so are these.
        number = f"{int(hosts.network_address) >> 8 & 0xFFFF:x}"
        return {
            "cidr": network.cidr,
            "gateway": network.gateway,
            "allocation_start": str(hosts[POOL[0]]),
            "allocation_end": str(hosts[POOL[1]]),
            "cidr_v6": f"{OWN_V6}:e:{number}::/64",
            "routed_cidr_v6": f"{OWN_V6}:f:{number}::/64",
        }


def _fail(source: str, cause: str, remedy: str) -> LabError:
    return LabError(f"Reading the lab's definition in {source}", cause, remedy)


def read_sizes(state_directory: str) -> dict[str, dict[str, int]]:
    """Return the group sizes that an earlier run remembered: {group: {"count": n, "declared": n}}."""
    try:
        content = json.loads((Path(state_directory) / SIZES_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {
        group: {"count": size["count"], "declared": size["declared"]}
        for group, size in content.items()
        if isinstance(size, dict) and isinstance(size.get("count"), int) and isinstance(size.get("declared"), int)
    }


def _networks(name: str, cidr: object, source: str) -> dict[str, Network]:
    try:
        whole = ipaddress.IPv4Network(str(cidr))
    except ValueError as error:
        raise _fail(source, f"network: {error}", "Give an IPv4 range such as 10.137.88.0/22") from error
    if whole.prefixlen > 22:
        raise _fail(
            source, f"network: {cidr} is too small for three networks of 256 addresses", "Give a /22, or a larger range"
        )
    parts = list(zip(NETWORKS, whole.subnets(new_prefix=24), strict=False))
    return {
        role: Network(
            role,
            f"{PREFIX}-{name}-{role}",
            str(part),
            str(part[1]),
            f"eth{index}",
            role != "management",
            TUNNEL_MTU if role == "tunnel" else 0,
        )
        for index, (role, part) in enumerate(parts)
    }


def _count(
    group: str, declared: int, variable: str | None, environment: Mapping[str, str], remembered: Mapping[str, int]
) -> tuple[int, bool]:
    """Return a group's size and whether it differs from what the definition says for a reason worth remembering."""
    if not variable:
        return declared, False
    value = environment.get(variable, "").strip()
    if value:
        if not value.isdigit():
            raise LabError(
                f"Reading the size of group {group} from the environment",
                f"{variable}={value!r} is not a whole number",
                f"Give a number, for example {variable}=2",
            )
        return int(value), True
    # A number written into the definition since then is newer than what the earlier run remembered.
    if remembered and remembered.get("declared") == declared:
        return remembered["count"], True
    return declared, False


def _check_brought(group: str, brings: Any, groups: Mapping[str, Any], source: str) -> None:
    """Refuse what a group cannot bring."""
    if not isinstance(brings, dict) or not all(GROUP.match(str(name)) and of in groups for name, of in brings.items()):
        raise _fail(
            source,
            f"groups.{group}.brings: {brings!r} does not name groups of this lab",
            "Name the group that comes to be, and the one whose machines it gets: {swift_proxy: controller}",
        )


def brought(groups: Mapping[str, Any], lab: Lab) -> dict[str, list[str]]:
    """Return the groups that come to be because others have machines, each with its hosts.

    Args:
        groups: As in :func:`resolve`.
        lab: What that returned.
    """
    found: dict[str, list[str]] = {}
    for group, options in groups.items():
        if any(machine.group == group for machine in lab.machines.values()):
            for name, of in ((options or {}).get("brings") or {}).items():
                found[name] = [machine.name for machine in lab.machines.values() if machine.group == of]
    return found


def resolve(content: Mapping[str, Any], source: str, state_root: Path, environment: Mapping[str, str]) -> Lab:
    """Turn the content of an inventory file into a whole lab.

    Args:
        content: Keys ``name``, ``network`` (a range of at least 1024 addresses) and ``groups``
            ({group: {"count": int, "first": int, "count_from": str, "brings": {group: group}}}).
        source: The file's name, for messages.
        state_root: Directory that holds one directory per lab.
        environment: The process's environment.

    Raises:
        LabError: The definition is wrong; the message names the key.
    """
    name = content.get("name")
    if not isinstance(name, str) or not NAME.match(name):
        raise _fail(source, f"name: {name!r} is not a lab's name", "Use at most 24 small letters, digits and dashes")
    groups = content.get("groups")
    if not isinstance(groups, dict) or not groups:
        raise _fail(source, "groups: no group is named", "Name at least one group, for example controller")
    networks = _networks(name, content.get("network"), source)
    state_directory = str(state_root / name)
    remembered = read_sizes(state_directory)
    sizes: dict[str, dict[str, int]] = {}
    machines: dict[str, Machine] = {}
    taken: dict[int, str] = {}
    for position, (group, options) in enumerate(groups.items()):
        options = options or {}
        unknown = sorted(set(options) - {"count", "first", "count_from", "brings"})
        if not GROUP.match(str(group)) or unknown:
            problem = f"unknown key {unknown[0]}" if unknown else "not a group's name"
            raise _fail(
                source, f"groups.{group}: {problem}", "A group has the keys count, first, count_from and brings"
            )
        _check_brought(group, options.get("brings") or {}, groups, source)
        declared = options.get("count", 1)
        first = options.get("first", FIRST_ADDRESS + ADDRESSES_PER_GROUP * position)
        if not isinstance(declared, int) or not isinstance(first, int) or declared < 0 or first < 2:
            raise _fail(source, f"groups.{group}: count and first are whole numbers", "Give for example {count: 2}")
        count, remember = _count(group, declared, options.get("count_from"), environment, remembered.get(group, {}))
        if remember:
            sizes[group] = {"count": count, "declared": declared}
        for index in range(count):
            host, number = f"{group.replace('_', '-')}{index + 1}", first + index
            if number >= POOL[0] or number in taken:
                cause = f"is already {taken[number]}'s" if number in taken else "lies in the pool of floating addresses"
                raise _fail(source, f"groups.{group}: address .{number} of {host} {cause}", "Change first or count")
            taken[number] = host
            addresses = {role: str(ipaddress.ip_network(net.cidr)[number]) for role, net in networks.items()}
            machines[host] = Machine(host, group, f"{PREFIX}-{name}-{host}", addresses)
    return Lab(name, state_directory, networks, machines, sizes)


def find_state_root(source: Path) -> Path:
    """Return where labs keep their state: .stackwright/lab of the project that the inventory file belongs to."""
    for directory in source.resolve().parents:
        if (directory / "galaxy.yml").is_file() or (directory / "ansible.cfg").is_file():
            return directory / ".stackwright" / "lab"
    return Path.cwd() / ".stackwright" / "lab"


def control_path_directory(state_directory: str) -> str:
    """Return where SSH keeps the lab's shared connections.

    A socket's path may have 108 characters at most, so this is not the state directory; and it is the lab's own, so
    that connections to machines that are gone can be closed instead of timing out.
    """
    return f"/run/stackwright-{hashlib.sha256(state_directory.encode()).hexdigest()[:8]}"
