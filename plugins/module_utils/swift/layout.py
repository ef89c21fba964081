"""What the inventory wants the rings to be, read and judged before anything is computed: no Ansible, no library of the
service."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.common import words
from ansible_collections.stackwright.cloud.plugins.module_utils.common.problem import Problem

# Ports of the servers, as the distribution's packages have them.
PORTS = {"account": 6202, "container": 6201, "object": 6200}
REPLICATION, ERASURE_CODING = "replication", "erasure_coding"
# Devices are numbered with 16 bits. Source: swift.common.ring.builder, MAX_... of array type "H".
MOST_DEVICES = 65535
MOST_PART_POWER = 32
_DEVICE_KEYS = frozenset({"weight", "drain", "lost", "rings", "label", "uuid", "source", "options"})
_POLICY_KEYS = frozenset(
    {"index", "name", "aliases", "default", "deprecated", "type", "replicas", "ec_type", "data", "parity"}
    | {"segment_size", "part_power", "read_affinity", "write_affinity", "write_affinity_node_count"}
)  # fmt: skip


@dataclass(frozen=True)
class Device:
    """A device of a ring. ``weight`` is where it is to come, ``full`` its weight when it is neither filled nor drained
    step by step. ``lost`` says that its data are gone."""

    host: str
    name: str
    region: int
    zone: int
    ip: str
    port: int
    replication_ip: str
    replication_port: int
    weight: float
    full: float
    lost: bool = False

    @property
    def key(self) -> str:
        """What it is known by, whatever its address: host and name."""
        return f"{self.host}/{self.name}"

    @property
    def place(self) -> dict[str, Any]:
        """Where it is, as builders take it."""
        return {
            "region": self.region,
            "zone": self.zone,
            "ip": self.ip,
            "port": self.port,
            "replication_ip": self.replication_ip,
            "replication_port": self.replication_port,
            "device": self.name,
        }


@dataclass(frozen=True)
class Policy:
    """A storage policy. ``replicas`` is the number of copies, or of fragments."""

    index: int
    name: str
    kind: str
    replicas: int
    parity: int = 0
    aliases: tuple[str, ...] = ()
    default: bool = False
    deprecated: bool = False
    part_power: int | None = None

    @property
    def ring(self) -> str:
        """Name of its ring."""
        return f"object-{self.index}" if self.index else "object"


@dataclass(frozen=True)
class Ring:
    """A ring as it is to be."""

    name: str
    part_power: int
    replicas: int
    min_part_hours: int
    overload: float
    devices: tuple[Device, ...]
    may_lose: int
    """How many of a partition's replicas may be gone before its data are."""


@dataclass
class Layout:
    """All rings, and what is wrong or worth knowing."""

    rings: dict[str, Ring] = field(default_factory=dict)
    policies: tuple[Policy, ...] = ()
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read(settings: Mapping[str, Any]) -> Layout:
    """The layout that variables describe.

    :param settings: ``part_power``, ``replicas``, ``min_part_hours``, ``overload``, ``policies`` (as the role has
        them) and ``hosts``: by name ``region``, ``zone``, ``address``, ``replication_address`` and ``devices``.
    """
    layout = Layout()
    layout.policies = tuple(_policies(settings.get("policies") or [], settings, layout.problems))
    hosts: Mapping[str, Any] = settings.get("hosts") or {}
    layout.problems += [*_addresses(hosts), *_disks(hosts)]
    known = ["account", "container", *(one.name for one in layout.policies)]
    entries = [entry for host, said in hosts.items() for entry in _entries(host, said, known, layout.problems)]
    if layout.problems:
        return layout
    power, copies = int(settings["part_power"]), int(settings["replicas"])
    wanted = [("account", "account", power, copies, copies - 1), ("container", "container", power, copies, copies - 1)]
    for policy in layout.policies:
        spare = policy.parity if policy.kind == ERASURE_CODING else policy.replicas - 1
        wanted.append((policy.ring, policy.name, policy.part_power or power, policy.replicas, spare))
    for ring, called, part_power, replicas, spare in wanted:
        devices = tuple(
            _device(host, name, said, hosts[host], ring)
            for host, name, said in entries
            if called in (said.get("rings") or known)
        )
        layout.rings[ring] = Ring(
            ring, part_power, replicas, int(settings["min_part_hours"]), float(settings["overload"]), devices, spare
        )
    for one in layout.rings.values():
        layout.problems += _room(one)
        layout.notes += _spread(one)
    return layout


def _policies(given: Any, settings: Mapping[str, Any], problems: list[Problem]) -> Iterator[Policy]:
    where = "swift_policies"
    if not isinstance(given, Sequence) or isinstance(given, str) or not given:
        problems.append(Problem("is no list of storage policies.", "Describe at least one, with index 0.", where))
        return
    seen: dict[str, int] = {}
    indexes: Counter[int] = Counter()
    defaults = []
    for number, said in enumerate(given):
        place = f"{where}[{number}]"
        fault = _policy_fault(said)
        if fault:
            problems.append(Problem(*fault, where=place))
            continue
        coded = said.get("type", REPLICATION) == ERASURE_CODING
        replicas = said["data"] + said["parity"] if coded else said.get("replicas", settings["replicas"])
        policy = Policy(
            said["index"], str(said["name"]), said.get("type", REPLICATION), int(replicas), int(said.get("parity", 0)),
            tuple(map(str, said.get("aliases") or [])), bool(said.get("default")), bool(said.get("deprecated")),
            said.get("part_power"),
        )  # fmt: skip
        indexes[policy.index] += 1
        if indexes[policy.index] == 2:
            problems.append(
                Problem(
                    f"index {policy.index} is used twice: both policies would keep their objects in one ring.",
                    "Give each policy an index of its own, that no policy ever had.",
                    place,
                )
            )
        for name in (policy.name, *policy.aliases):
            if seen.setdefault(name.lower(), policy.index) != policy.index:
                problems.append(Problem(f"the name {name!r} is another policy's as well.", "Names are unique.", place))
        if policy.name in ("account", "container"):
            problems.append(Problem(f"{policy.name!r} is the name of a ring.", "Name the policy otherwise.", place))
        defaults += [policy.name] if policy.default else []
        yield policy
    if 0 not in indexes and not problems:
        problems.append(
            Problem("there is no policy of index 0.", "Containers from before policies belong to it.", where)
        )
    if len(defaults) > 1 or (not defaults and len(given) > 1 and not problems):
        said = f"{', '.join(defaults)} are all the default." if defaults else "none of them is the default."
        problems.append(Problem(said, "Say `default: true` of one.", where))


def _policy_fault(said: Any) -> tuple[str, str] | None:
    """What is wrong with one policy, and how to mend it."""
    if not isinstance(said, Mapping):
        return "is no mapping.", "Write it as in {index: 0, name: gold, default: true}."
    unknown = sorted(set(said) - _POLICY_KEYS)
    if unknown:
        return f"unknown key {unknown[0]!r}.", words.hint_or_list(unknown[0], _POLICY_KEYS)
    if not _whole(said.get("index"), 0, 1 << 30) or not said.get("name"):
        return "needs an index, a whole number from 0 on, and a name.", ""
    kind = said.get("type", REPLICATION)
    if kind not in (REPLICATION, ERASURE_CODING):
        return f"type {kind!r} is neither {REPLICATION} nor {ERASURE_CODING}.", ""
    if kind == ERASURE_CODING:
        if not (_whole(said.get("data"), 1, 64) and _whole(said.get("parity"), 1, 64) and said.get("ec_type")):
            return (
                "erasure coding needs ec_type, data and parity.",
                "As in ec_type: liberasurecode_rs_vand, data: 4, parity: 2.",
            )
        if "replicas" in said:
            return "erasure coding has no replicas.", "Their number is data + parity: take the key out."
    elif "replicas" in said and not _whole(said["replicas"], 1, 16):
        return f"{said['replicas']!r} replicas is out of range.", "Give 1 to 16; 3 is usual."
    if "part_power" in said and not _whole(said["part_power"], 1, MOST_PART_POWER):
        return f"part_power {said['part_power']!r} is out of range.", f"Give 1 to {MOST_PART_POWER}."
    if said.get("default") and said.get("deprecated"):
        return "is deprecated and the default.", "Let another policy be the default."
    return None


def _whole(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _addresses(hosts: Mapping[str, Any]) -> Iterator[Problem]:
    """Hosts that give one address: their devices would be one device under two names."""
    for what in ("address", "replication_address"):
        at = defaultdict(list)
        for host, said in hosts.items():
            at[str(said.get(what))].append(host)
        for address, names in at.items():
            if len(names) > 1:
                yield Problem(
                    f"{', '.join(names)} have the same {what.replace('_', ' ')} {address}: their devices would be "
                    "the same under two names.",
                    "Give each host an address of its own.",
                    f"swift_{'storage_' if what == 'address' else ''}{what}",
                )


def _disks(hosts: Mapping[str, Any]) -> Iterator[Problem]:
    """One disk under two names, and hosts that mix disks with plain directories."""
    of_disk: dict[tuple[str, str], list[str]] = defaultdict(list)
    for host, said in hosts.items():
        kinds = set()
        for name, device in (said.get("devices") or {}).items():
            named = [key for key in ("label", "uuid", "source") if isinstance(device, Mapping) and device.get(key)]
            kinds.add(bool(named))
            if len(named) > 1:
                yield Problem(
                    f"names its disk by {' and '.join(named)}.", "Name it one way.", "swift_devices", f"{host}/{name}"
                )
            for key in named:
                # what identifies a file system does so on whichever host it is, what names a path only on its own
                of_disk[(key if key == "uuid" else f"{key} of {host}"), str(device[key]).lower()].append(
                    f"{host}/{name}"
                )
        if len(kinds) > 1:
            yield Problem(
                "some devices are disks, others plain directories.",
                "A server looks for mounted disks at all its devices or at none: give each a label, uuid or source.",
                "swift_devices",
                str(host),
            )
    for (key, value), names in of_disk.items():
        if len(names) > 1:
            yield Problem(
                f"{', '.join(names)} are one disk, {key.split(' ')[0]} {value}, under several names.",
                "Each copy that lay on both would be one copy: name it once.",
                "swift_devices",
            )


def _entries(
    host: str, said: Mapping[str, Any], known: Sequence[str], problems: list[Problem]
) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    devices = said.get("devices")
    where = "swift_devices"
    if not isinstance(devices, Mapping) or not devices:
        problems.append(Problem("has no devices.", "Map names to devices, as in d1: {weight: 100}.", where, host))
        return
    for number in ("region", "zone"):
        if not _whole(said.get(number), 1, 1 << 16):
            problems.append(Problem(f"{said.get(number)!r} is no number from 1 on.", "", f"swift_{number}", host))
    for name, device in devices.items():
        about = f"{host}/{name}"
        if not isinstance(device, Mapping):
            problems.append(Problem("is no mapping.", "Write it as in d1: {weight: 100}.", where, about))
            continue
        unknown = sorted(set(device) - _DEVICE_KEYS)
        if unknown:
            problems.append(
                Problem(f"unknown key {unknown[0]!r}.", words.hint_or_list(unknown[0], _DEVICE_KEYS), where, about)
            )
        if "/" in str(name) or not str(name).strip():
            problems.append(Problem("is no name of a directory.", "It is the directory below /srv/node.", where, about))
        weight = device.get("weight", 100)
        if isinstance(weight, bool) or not isinstance(weight, int | float) or weight < 0:
            problems.append(
                Problem(
                    f"weight {weight!r} is no number from 0 on.", "A number in proportion to its size.", where, about
                )
            )
        for ring in device.get("rings") or []:
            if ring not in known:
                problems.append(
                    Problem(f"there is no ring or policy {ring!r}.", words.hint_or_list(str(ring), known), where, about)
                )
        yield host, str(name), device


def _device(host: str, name: str, said: Mapping[str, Any], of: Mapping[str, Any], ring: str) -> Device:
    full = float(said.get("weight", 100))
    port = PORTS[ring.split("-")[0]]
    return Device(
        host, name, int(of["region"]), int(of["zone"]), str(of["address"]), port,
        str(of.get("replication_address") or of["address"]), port,
        0.0 if said.get("drain") or said.get("lost") else full, full, bool(said.get("lost")),
    )  # fmt: skip


def _room(ring: Ring) -> Iterator[Problem]:
    """Whether there are devices for all replicas."""
    carrying = [one for one in ring.devices if one.weight > 0]
    if len(carrying) < ring.replicas:
        yield Problem(
            f"{ring.replicas} replicas need as many devices, and {len(carrying)} have a weight: two replicas of a "
            "partition would lie on one device and be lost together.",
            "Add devices, or want fewer replicas.",
            f"ring {ring.name}",
        )
    if len(ring.devices) > MOST_DEVICES:
        yield Problem(f"{len(ring.devices)} devices are more than {MOST_DEVICES}.", "", f"ring {ring.name}")


def _spread(ring: Ring) -> Iterator[str]:
    """What the loss of a host, a zone or a region takes, where that is more than the ring bears."""
    carrying = [one for one in ring.devices if one.weight > 0]
    tiers: dict[str, set[tuple[Any, ...]]] = {
        "host": {(one.host,) for one in carrying},
        "zone": {(one.region, one.zone) for one in carrying},
    }
    for tier, places in tiers.items():
        share = -(-ring.replicas // len(places)) if places else 0
        if share > ring.may_lose:
            yield (
                f"ring {ring.name}: {ring.replicas} replicas in {len(places)} "
                f"{tier}{'s' if len(places) > 1 else ''}: with one {tier} up to {share} of them are gone, and data "
                f"are only safe while at most {ring.may_lose} are."
            )
