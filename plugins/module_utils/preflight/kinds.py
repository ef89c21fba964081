"""Kinds of values: what each must look like, wherever it stands. Which option is of which kind, its role says in
``meta/checks.yml``."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.service import volume_backends
from ansible_collections.stackwright.cloud.plugins.module_utils.swift import pipeline

Fault = tuple[str, str]
"""What is wrong and how to mend it."""
Test = Callable[[Any], Fault | None]
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

HOSTNAME = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*\Z"
)
_ZONE_NAME = re.compile(r"(?=.{2,254}\Z)([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)+\Z")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}\Z")
_INTERFACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}\Z")  # IFNAMSIZ is 16 with the final zero
_SOURCE = re.compile(r"\s*deb(-src)?\s+(\[[^\]]*\]\s+)?\S+:/\S+\s+(?P<suite>\S+)(\s+\S+)*\s*\Z")
_SUITES = ("trixie",)
# Options of a source that make apt take packages which nobody signed, or signed badly. Source: sources.list(5).
_UNSIGNED = ("trusted", "allow-insecure", "allow-weak", "allow-downgrade-to-insecure")
_NO = ("no", "false", "off", "0", "without", "disable")
_EXAMPLE = "nova_config_overrides: {nova.conf: {DEFAULT: {debug: true}}}"


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


def is_name(value: object) -> bool:
    """Whether `value` is a host's name; a mistyped address, whose last part is a number, is none (RFC 1123)."""
    return isinstance(value, str) and bool(HOSTNAME.match(value)) and not value.rsplit(".", 1)[-1].isdigit()


def _number(low: int, high: int, meaning: str) -> Callable[[Any], Fault | None]:
    def test(value: Any) -> Fault | None:
        try:
            number = int(value)
        except (TypeError, ValueError):
            return f"{value!r} is not a whole number", f"Give {meaning}, {low} to {high}."
        if isinstance(value, bool) or not low <= number <= high:
            return f"{value!r} is out of range", f"Give {meaning}, {low} to {high}."
        return None

    return test


def _interface(value: Any) -> Fault | None:
    if isinstance(value, str) and (_INTERFACE.match(value) or not value):
        return None
    return (
        f"{value!r} is not a name of a network interface",
        "Give the name that `ip link` shows, at most 15 characters.",
    )


def _overrides(value: Any) -> Fault | None:
    if not isinstance(value, Mapping):
        return f"is {kind_of(value)}, not a mapping", f"Nest file, section, option, as in {_EXAMPLE}."
    for file, sections in value.items():
        if not isinstance(sections, Mapping):
            return (
                f"{file!r} holds {kind_of(sections)} where sections belong",
                f"Nest file, section, option, as in {_EXAMPLE}.",
            )
        for section, options in sections.items():
            if not isinstance(options, Mapping):
                return (
                    f"{file!r} has {section!r} with {kind_of(options)} where options belong",
                    f"Nest file, section, option, as in {_EXAMPLE}; options of no section go under DEFAULT.",
                )
            for option, setting in options.items():
                if isinstance(setting, Mapping):
                    return (
                        f"{file!r}, section {section!r}, option {option!r} is a mapping",
                        "Give a text, a number, true or false, or a list of these.",
                    )
    return None


def _ranges(highest: int) -> Callable[[Any], Fault | None]:
    """`1:100`, or a list of such with or without the name of a physical network in front."""

    def test(value: Any) -> Fault | None:
        for text in value if isinstance(value, list) else str(value).split(",") if value else []:
            numbers = str(text).split(":")[-2:]
            if len(str(text).split(":")) == 1 and isinstance(value, list):  # a physical network without numbers
                continue
            if not all(part.strip().isdigit() for part in numbers) or len(numbers) != 2:
                return f"{text!r} is not a range", f"Write two numbers from 1 to {highest} as in 1:100."
            low, high = map(int, numbers)
            if not 1 <= low <= high <= highest:
                return f"{text!r} is out of range", f"Write the smaller number first, both from 1 to {highest}."
        return None

    return test


def _bridges(value: Any) -> Fault | None:
    if not isinstance(value, Mapping):
        return f"is {kind_of(value)}, not a mapping", "Map physical networks to bridges, as in {external: br-ex}."
    for network, bridge in value.items():
        if _interface(bridge) or not bridge:
            return (
                f"{bridge!r}, for {network!r}, is not a name of a bridge",
                "Use at most 15 letters, digits and hyphens.",
            )
    if len(set(value.values())) < len(value):
        return "two physical networks share a bridge", "Give each a bridge of its own."
    return None


def _bridge_interfaces(value: Any) -> Fault | None:
    if not isinstance(value, Mapping):
        return f"is {kind_of(value)}, not a mapping", "Map bridges to interfaces, as in {br-ex: eth2}."
    for bridge, interface in value.items():
        if (fault := _interface(interface)) and interface:
            return f"{fault[0]}, for {bridge!r}", fault[1]
    return None


def _sources(value: Any) -> Fault | None:
    for line in value if isinstance(value, list) else []:
        found = _SOURCE.match(str(line))
        if not found:
            return f"{line!r} is not a line of a package source", "Write lines as deb http://mirror/debian trixie main."
        for option in re.findall(r"[^\s\[\]]+", found[2] or ""):
            name, _, value = option.partition("=")
            if name.rstrip("+-").lower() in _UNSIGNED and value.strip("'\"").lower() not in _NO:
                return (
                    f"{line!r} takes packages that nobody signed: {option}",
                    f"Remove {name}, and name the mirror's key with [signed-by=/etc/apt/keyrings/NAME.asc].",
                )
        suite = found.group("suite")
        if not suite.endswith("/") and suite.split("-")[0] not in _SUITES:
            return (
                f"the roles do not support the suite {suite!r}",
                f"Name a mirror of {' or '.join(_SUITES)}, and install the hosts with it.",
            )
    return None


def _hosts_lines(value: Any) -> Fault | None:
    for line in value if isinstance(value, list) else []:
        words = str(line).partition("#")[0].split()
        if len(words) < 2 or parse(words[0]) is None or "\n" in str(line):
            return (
                f"{line!r} is not a line of /etc/hosts",
                "Write an address and names, as in 192.0.2.250 registry.example.org registry.",
            )
    return None


def _ratio(value: Any) -> Fault | None:
    try:
        fit = not isinstance(value, bool) and 0 < float(value) <= 1000
    except (TypeError, ValueError):
        fit = False
    return None if fit else (f"{value!r} is not a positive number", "Give a number such as 4.0.")


def kind_of(value: Any) -> str:
    """What a value is, in words."""
    names = {
        dict: "a mapping",
        list: "a list",
        str: "a text",
        bool: "true or false",
        int: "a number",
        type(None): "nothing",
    }
    return names.get(type(value), f"a {type(value).__name__}")


def _amount(value: Any) -> Fault | None:
    try:
        fit = not isinstance(value, bool) and 0 <= float(value) < float("inf")
    except (TypeError, ValueError):
        fit = False
    return None if fit else (f"{value!r} is a negative number or none", "Give a number such as 0.5, or 0 for none.")


def _word(meaning: str) -> Test:
    def test(value: Any) -> Fault | None:
        if isinstance(value, str) and _WORD.match(value):
            return None
        return (
            f"{value!r} is not a usable {meaning}",
            "Use letters, digits, dots, hyphens and underscores, beginning with a letter or digit.",
        )

    return test


def end_fault(value: Any) -> Fault | None:
    """What is wrong with an address or a DNS name under which something is asked."""
    if parse(value) is not None or is_name(value):
        return None
    hint = ", without scheme, port and path" if isinstance(value, str) and re.search(r"[:/]", value) else ""
    return (
        f"{value!r} is neither an IP address nor a DNS name{hint}",
        "Give the address, or the DNS name, under which the hosts of the cloud reach it.",
    )


def _service_fault(value: Any) -> Fault | None:
    """The same for each of several places that are alike."""
    faults = (end_fault(one) for one in (value if isinstance(value, list) and value else [value]))
    return next((fault for fault in faults if fault), None)


def _zone_names(value: Any) -> Fault | None:
    for one in value if isinstance(value, list) else [value]:
        if not isinstance(one, str) or not _ZONE_NAME.match(one):
            return f"{one!r} is not a whole DNS name", "Give names with a dot at the end, such as ns1.example.org."
    return None


def _volume_backends(value: Any) -> Fault | None:
    try:
        volume_backends.worked_out(value)
    except volume_backends.BackendError as error:
        return str(error), "See docs/optional-services.md, which has an example of each driver."
    return None


class Option(str):
    """Marks a kind's setting that names another option, or a list of such."""


@dataclass(frozen=True)
class Kind:
    """A kind of value. `settings` maps what an entry may say beside ``is`` to its type or choices, `needed` are those
    that it must say.

    `test` makes the test of a single value from the settings; None where other options or hosts decide and the value
    alone says nothing. `continued` is true where variables with longer names are merged into the option.
    """

    test: Callable[[Mapping[str, Any]], Test] | None = None
    settings: Mapping[str, type | tuple[str, ...]] = field(default_factory=dict)
    needed: tuple[str, ...] = ()
    continued: bool = False


def _plain(test: Test) -> Kind:
    return Kind(lambda _settings: test)


KINDS: Mapping[str, Kind] = {
    # one value
    "number": Kind(
        lambda said: _number(said["from"], said["to"], said["meaning"]),
        {"from": int, "to": int, "meaning": str},
        ("from", "to", "meaning"),
    ),
    "port": _plain(_number(1, 65535, "a port number")),
    "processes": _plain(_number(1, 256, "a number of processes")),
    "threads": _plain(_number(1, 1024, "a number of threads")),
    "megabytes": _plain(_number(0, 2**31, "a size in megabytes")),
    "seconds": _plain(_number(0, 2**31, "a time in seconds")),
    "ratio": _plain(_ratio),
    "amount": _plain(_amount),
    "word": Kind(lambda said: _word(said["meaning"]), {"meaning": str}, ("meaning",)),
    "interface": Kind(
        lambda _said: _interface, {"joins": ("external", "tunnels")}
    ),  # joins: external or tunnels, whose bridge it becomes a port of
    "bridge_mappings": _plain(_bridges),
    "bridge_interfaces": _plain(_bridge_interfaces),
    "ranges": Kind(lambda said: _ranges(said["highest"]), {"highest": int, "networks": bool}, ("highest",)),
    "zone_names": _plain(_zone_names),
    "middleware": _plain(pipeline.fault),
    "volume_backends": Kind(lambda _said: _volume_backends, {"of": str}, ("of",)),  # of: as with `place`
    "package_sources": _plain(_sources),
    "hosts_lines": _plain(_hosts_lines),
    "overrides": Kind(lambda _said: _overrides, continued=True),
    "files": Kind(continued=True),
    # what hosts and other options have to do with it
    "host_address": Kind(None, {"of": str}),  # the host's own; of: the component, or role, whose hosts need it
    "cloud_address": Kind(
        None, {"asked_by": ("hosts", "users")}, ("asked_by",)
    ),  # where the cloud answers; asked_by: hosts or users
    "service_address": Kind(lambda _said: _service_fault),  # where hosts find a service
    "network": Kind(
        None, {"gateway": Option, "address": Option, "pool": Option, "real": bool}
    ),  # real: no placeholder at deployment
    "physical_networks": Kind(None, {"where": Option}),  # where: the option without which it says nothing
    "disks": Kind(None, {"of": str}, ("of",)),  # disks of hosts that carry this component, see `storage`
    "ceph_part": Kind(None, {"part": str}, ("part",)),  # a part of what a Ceph cluster is to hold
    "ceph_cluster": Kind(None, {"of": str, "monitors": str}, ("of", "monitors")),  # its identity; of: the role
    "ring_devices": Kind(
        None,
        {
            **dict.fromkeys(("region", "zone", "address", "replication_address", "directory", "step"), Option),
            **dict.fromkeys(("part_power", "replicas", "min_part_hours", "overload", "policies"), Option),
            **dict.fromkeys(("of", "proxy", "prefix", "suffix"), str),
        },
        ("of", "proxy", "prefix", "suffix", "directory"),
    ),  # devices of rings, with all that the rings are made of; prefix and suffix: secrets of their hash, see `objects`
    "place": Kind(
        None, {"ceph": str, "of": str, "pool": Option, "swift": str, "proxy": str}, ("ceph", "of", "pool")
    ),  # where a service keeps its data; ceph: the value that means a pool there, of: the component that holds it;
    # swift: the value that means the object store, proxy: the component that leads there
    "nodes": Kind(None),  # the kinds of nodes, see `Policy`
}
"""Every kind that a role may name."""
