"""Checks of every single variable: its name, its type, its range, its shape."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils import cloud_secrets
from ansible_collections.stackwright.cloud.plugins.module_utils.common import words
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.addresses import parse
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.interfaces import all_internals, all_options
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.policy import Policy
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.problem import Problem
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.snapshot import (
    Host,
    Setting,
    Snapshot,
    template_words,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.service import derive, plan
from ansible_collections.stackwright.cloud.plugins.module_utils.service.specification import Book

_OPEN_ENDED = ("_config_overrides", "_config_files")  # longer names are merged into these
Fault = tuple[str, str]
"""What is wrong and how to mend it."""

_INTERFACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}\Z")  # IFNAMSIZ is 16 with the final zero
_SOURCE = re.compile(r"\s*deb(-src)?\s+(\[[^\]]*\]\s+)?\S+:/\S+\s+(?P<suite>\S+)(\s+\S+)*\s*\Z")
_SUITES = ("trixie",)
# Options of a source that make apt take packages which nobody signed, or signed badly. Source: sources.list(5).
_UNSIGNED = ("trusted", "allow-insecure", "allow-weak", "allow-downgrade-to-insecure")
_NO = ("no", "false", "off", "0", "without", "disable")
_EXAMPLE = "nova_config_overrides: {nova.conf: {DEFAULT: {debug: true}}}"


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


def _address(value: Any) -> Fault | None:
    if value == "" or parse(value) is not None:
        return None
    return f"{value!r} is not an IP address", "Give an address as digits."


def _overrides(value: Any) -> Fault | None:
    if not isinstance(value, Mapping):
        return f"is {_kind(value)}, not a mapping", f"Nest file, section, option, as in {_EXAMPLE}."
    for file, sections in value.items():
        if not isinstance(sections, Mapping):
            return (
                f"{file!r} holds {_kind(sections)} where sections belong",
                f"Nest file, section, option, as in {_EXAMPLE}.",
            )
        for section, options in sections.items():
            if not isinstance(options, Mapping):
                return (
                    f"{file!r} has {section!r} with {_kind(options)} where options belong",
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
        return f"is {_kind(value)}, not a mapping", "Map physical networks to bridges, as in {external: br-ex}."
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
        return f"is {_kind(value)}, not a mapping", "Map bridges to interfaces, as in {br-ex: eth2}."
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
            return f"{line!r} is not a line of /etc/hosts", "Write an address and names, as in 192.0.2.250 registry.example.org registry."
    return None


def _ratio(value: Any) -> Fault | None:
    try:
        fit = not isinstance(value, bool) and 0 < float(value) <= 1000
    except (TypeError, ValueError):
        fit = False
    return None if fit else (f"{value!r} is not a positive number", "Give a number such as 4.0.")


# An option whose name ends so means this, whichever role it belongs to.
_BY_SUFFIX: tuple[tuple[str, Callable[[Any], Fault | None]], ...] = (
    ("_port", _number(1, 65535, "a port number")),
    ("_workers", _number(1, 256, "a number of processes")),
    ("_processes", _number(1, 256, "a number of processes")),
    ("_threads", _number(1, 1024, "a number of threads")),
    # 1280 is the least that IPv6 needs (RFC 8200); Geneve takes up to 58 bytes of an outer packet.
    ("_underlay_mtu", _number(1338, 65535, "the size of a packet between hosts in bytes")),
    ("_mtu", _number(1280, 65535, "the size of a packet in bytes")),
    ("_percent", _number(0, 100, "a percentage")),
    ("_mb", _number(0, 2**31, "a size in megabytes")),
    ("_seconds", _number(0, 2**31, "a time in seconds")),
    ("_interface", _interface),
    ("_bind_address", _address),
    ("_ratio", _ratio),
    ("base_apt_sources", _sources),
    ("base_hosts_extra", _hosts_lines),
    ("_bridge_mappings", _bridges),
    ("_bridge_interfaces", _bridge_interfaces),
    ("_geneve_ranges", _ranges(2**24 - 1)),
    ("_vlan_ranges", _ranges(4094)),
    ("_config_overrides", _overrides),
)
_CONNECTION = (("ansible_port", _number(1, 65535, "a port number")),)


def _kind(value: Any) -> str:
    names = {
        dict: "a mapping",
        list: "a list",
        str: "a text",
        bool: "true or false",
        int: "a number",
        type(None): "nothing",
    }
    return names.get(type(value), f"a {type(value).__name__}")


def check(inventory: Snapshot, policy: Policy) -> Iterator[Problem]:
    """Every problem of single variables."""
    options = all_options(policy.roles)
    internals = all_internals(policy.roles)
    yield from _unknown(inventory, options, frozenset(internals))
    yield from _override_files(inventory, policy)
    yield from _required(inventory, policy)
    connection = {name for name, _test in _CONNECTION}
    seen: dict[tuple[str, str], list[Fault]] = {}
    for host in inventory.hosts.values():
        wrong_here: set[str] = set()
        # A default that nothing of the inventory flows into is the product's own affair. What the inventory sets comes first: a default
        # that is made of a wrong value is wrong, too, and not told again.
        touched = host.touched - {cloud_secrets.VARIABLE}  # which has checks of its own
        for name in sorted(touched, key=lambda name: (name not in host.own, name)):
            if name not in host.own and wrong_here & _read_by(host, name):
                continue
            if name not in options and name not in connection and not _continues(name, options):
                continue
            setting = host.settings[name]
            if setting.deferred:
                continue
            if setting.error:
                if setting.own:
                    mend = "Correct the template, or define what it reads."
                    wrong = f"its value cannot be worked out: {setting.error}"
                    yield Problem(host.name, name, wrong, mend, setting.where)
                continue
            key = (name, repr(setting.value))
            if key not in seen:
                seen[key] = list(_faults(name, options.get(name, {}), setting))
            for wrong, mend in seen[key]:
                wrong_here.add(name)
                yield Problem(host.name, name, wrong, mend, setting.where)


def _read_by(host: Host, name: str) -> set[str]:
    """The variables that the value of a variable is made of, directly or through others."""
    found: set[str] = set()
    waiting = {name}
    while waiting:
        words = template_words(host.settings[waiting.pop()].raw) & set(host.settings)
        waiting |= words - found
        found |= words
    return found


def _faults(name: str, option: Mapping[str, Any], setting: Setting) -> Iterator[Fault]:
    """What the role's own specification, and then the meaning of the name, has against the value."""
    if setting.value is None:
        return
    # what nests file, section and option is explained better by its own test than by its type
    if "_config_overrides" in name and (fault := _overrides(setting.value)):
        yield fault
        return
    broken = False
    for fault in _specification_faults(name, option, setting):
        broken = True
        yield fault
    if not broken and not option.get("no_log"):
        for suffix, test in (*_CONNECTION, *_BY_SUFFIX):
            if name.endswith(suffix) or (suffix in _OPEN_ENDED and suffix in name):
                found = test(setting.value)
                if found:
                    yield found
                break


def _specification_faults(name: str, option: Mapping[str, Any], setting: Setting) -> Iterator[Fault]:
    from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

    if not option:
        return
    spec = {key: value for key, value in option.items() if key in ("type", "elements", "choices", "options", "no_log")}
    shown = "its value" if option.get("no_log") else repr(setting.value)
    wanted = _wanted(option)
    result = ArgumentSpecValidator({name: spec}).validate({name: setting.value})
    for message in result.error_messages:
        nested = "found in" in message or "->" in message or option.get("options")
        if option.get("no_log"):
            yield f"{shown} is not {wanted}", f"Give {wanted}."
        elif nested:
            yield _sentence(message), f"Give {wanted} as the role's argument specification describes it."
        else:
            yield f"{shown} is not {wanted}", f"Give {wanted}."


def _wanted(option: Mapping[str, Any]) -> str:
    if option.get("choices"):
        return f"one of {', '.join(map(str, option['choices']))}"
    words = {
        "int": "a whole number",
        "float": "a number",
        "bool": "true or false",
        "dict": "a mapping",
        "list": "a list",
        "str": "a text",
        "path": "a path",
    }
    kind = words.get(str(option.get("type", "str")), f"a value of the type {option.get('type')}")
    elements = option.get("elements")
    return f"{kind} of {elements} elements" if elements and option.get("type") == "list" else kind


def _sentence(message: str) -> str:
    return " ".join(message.split()).replace("<class '", "").replace("'>", "").rstrip(".")


def _unknown(
    inventory: Snapshot, options: Mapping[str, Mapping[str, Any]], internals: frozenset[str]
) -> Iterator[Problem]:
    """Variables that no role reads but whose name is nearly one that a role reads."""
    connection = _connection_names()
    known = sorted(options)
    used = _words_in_templates(inventory)
    verdicts: dict[str, Fault | None] = {}
    for host, name, setting in inventory.own():
        if name in options or name in connection or name.startswith("__") or _continues(name, options):
            continue
        if name not in verdicts:
            verdicts[name] = (
                (
                    "a role works this variable out itself, setting it changes nothing",
                    "Remove it; set what it is made of.",
                )
                if name in internals
                else _unknown_fault(name, known, connection, used)
            )
        fault = verdicts[name]
        if fault:
            yield Problem(host.name, name, *fault, setting.where)


def _continues(name: str, options: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether the name goes on from an open-ended option, as `nova_config_overrides_gpu` does."""
    return any(name.startswith(f"{one}_") for one in options if one.endswith(_OPEN_ENDED))


def _required(inventory: Snapshot, policy: Policy) -> Iterator[Problem]:
    """Options without a default that the roles of a host need."""
    for host in inventory.hosts.values():
        for role in sorted(host.roles & policy.roles.keys()):
            for name, option in policy.roles[role].options.items():
                if option.get("required") and name not in host.settings and name not in host.given:
                    description = option.get("description") or ""
                    meaning = description if isinstance(description, str) else " ".join(description)
                    yield Problem(host.name, name, f"the role {role} needs this variable", f"Set it. {meaning}".strip())


def _override_files(inventory: Snapshot, policy: Policy) -> Iterator[Problem]:
    """Overrides of files that the role does not write."""
    book = Book(policy.roles)
    for role in policy.roles.values():
        paths = derive.paths_of(book, role.name)
        if not paths:
            continue
        for host, name, setting in inventory.own():
            if name.startswith(f"{role.name}_config_overrides") and isinstance(setting.value, Mapping):
                for file in setting.value:
                    try:
                        plan.resolve_file(name, str(file), paths)
                    except plan.PlanError as error:
                        wrong = str(error).removeprefix(f"{name}: ")
                        known = ", ".join(paths) or "no file at all"
                        mend = f"Name one of {known}; add others with {role.name}_config_files."
                        yield Problem(host.name, name, wrong, mend, setting.where)


def _unknown_fault(name: str, known: list[str], connection: frozenset[str], used: frozenset[str]) -> Fault | None:
    if name in _reserved_names():
        return "Ansible itself uses this name", "Choose another name."
    if name.startswith("ansible_"):
        meant = words.slip_of(name, connection)
        return ("Ansible knows no such variable", words.ask(meant)) if meant else None
    if name in used:  # a helper that other variables are built from
        return None
    meant = words.slip_of(name, known)
    if meant:
        return "no role knows this variable", words.ask(meant)
    if name.startswith("stackwright_"):
        return (
            "no role knows this variable",
            "Names that begin with stackwright_ are the product's own: choose another.",
        )
    return None


def _reserved_names() -> frozenset[str]:
    from ansible.vars.reserved import get_reserved_names

    return frozenset(get_reserved_names(include_private=False))


def _connection_names() -> frozenset[str]:
    """The variables that Ansible and its usual connection, become and shell plugins read."""
    from ansible import constants

    names = set(constants.COMMON_CONNECTION_VARS)
    for kind in ("connection", "become", "shell"):
        for definitions in _plugin_definitions(kind):
            for definition in definitions.values():
                names |= {str(one["name"]) for one in definition.get("vars") or []}
    names |= {"ansible_connection", "ansible_python_interpreter", "ansible_become", "ansible_become_method"}
    names |= {"ansible_become_flags", "ansible_shell_type", "ansible_shell_executable", "ansible_async_dir"}
    return frozenset(names)


def _plugin_definitions(kind: str) -> Iterator[Mapping[str, Any]]:
    from ansible import constants
    from ansible.plugins import loader

    plugins = {"connection": ("ssh", "local"), "become": ("sudo", "su"), "shell": ("sh",)}[kind]
    for name in plugins:
        getattr(loader, f"{kind}_loader").get(name, class_only=True)  # loading it registers its options
        yield constants.config.get_configuration_definitions(kind, name)


def _words_in_templates(inventory: Snapshot) -> frozenset[str]:
    seen: dict[int, set[str]] = {}  # hosts share the values of their groups
    for _host, _name, setting in inventory.own():
        if id(setting.raw) not in seen:
            seen[id(setting.raw)] = template_words(setting.raw)
    return frozenset().union(*seen.values())
