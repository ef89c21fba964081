"""Checks of every single variable: its name, its type, its range, its shape."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.common import words
from ansible_collections.stackwright.cloud.plugins.module_utils.common.problem import Problem
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.kinds import KINDS, Fault, Kind
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.policy import Policy
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.problem import INVENTORY, problem_of
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.snapshot import (
    Host,
    Setting,
    Snapshot,
    template_words,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.secrets import declare as cloud_secrets
from ansible_collections.stackwright.cloud.plugins.module_utils.service import derive, plan, removal
from ansible_collections.stackwright.cloud.plugins.module_utils.service.interfaces import all_internals, all_options
from ansible_collections.stackwright.cloud.plugins.module_utils.service.specification import Book, SpecificationError
from ansible_collections.stackwright.cloud.plugins.module_utils.service.terms import ABSENT, canonical, listed

_CONNECTION: Mapping[str, Kind] = {"ansible_port": KINDS["port"]}
"""Ansible's own variables, which belong to no role."""


def check(inventory: Snapshot, policy: Policy) -> Iterator[Problem]:
    """Every problem of single variables."""
    options = all_options(policy.roles)
    internals = all_internals(policy.roles)
    yield from _unknown(inventory, policy, frozenset(internals))
    yield from _override_files(inventory, policy)
    yield from _required(inventory, policy)
    yield from _services(inventory, policy)
    yield from _differing(inventory, policy)
    seen: dict[tuple[str, str], list[Fault]] = {}
    for host in inventory.hosts.values():
        wrong_here: set[str] = set()
        # A default that nothing of the inventory flows into is the product's own affair. What the inventory sets comes
        # first: a default that is made of a wrong value is wrong, too, and not told again.
        touched = host.touched - {cloud_secrets.VARIABLE}  # which has checks of its own
        for name in sorted(touched, key=lambda name: (name not in host.own, name)):
            if name not in host.own and wrong_here & _read_by(host, name):
                continue
            if name not in options and name not in _CONNECTION and not policy.rules.of(name):
                continue
            setting = host.settings[name]
            if setting.deferred:
                continue
            if setting.error:
                if setting.own:
                    mend = "Correct the template, or define what it reads."
                    wrong = f"its value cannot be worked out: {setting.error}"
                    yield problem_of(host.name, name, wrong, mend, setting.where)
                continue
            key = (name, repr(setting.value))
            if key not in seen:
                seen[key] = list(_faults(name, options.get(name, {}), policy, setting))
            for wrong, mend in seen[key]:
                wrong_here.add(name)
                yield problem_of(host.name, name, wrong, mend, setting.where)


def _read_by(host: Host, name: str) -> set[str]:
    """The variables that the value of a variable is made of, directly or through others."""
    found: set[str] = set()
    waiting = {name}
    while waiting:
        words = template_words(host.settings[waiting.pop()].raw) & set(host.settings)
        waiting |= words - found
        found |= words
    return found


def _faults(name: str, option: Mapping[str, Any], policy: Policy, setting: Setting) -> Iterator[Fault]:
    """What the role's own specification, and then its rule for this option, has against the value."""
    if setting.value is None:
        return
    rule = policy.rules.of(name)
    # what nests file, section and option is explained better by its own test than by its type
    if rule and rule.kind == "overrides" and (fault := rule.fault(setting.value)):
        yield fault
        return
    broken = False
    for fault in _specification_faults(name, option, setting):
        broken = True
        yield fault
    if broken or option.get("no_log"):
        return
    test = _CONNECTION[name].test if name in _CONNECTION else None
    if found := test({})(setting.value) if test else rule.fault(setting.value) if rule else None:
        yield found


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


def _unknown(inventory: Snapshot, policy: Policy, internals: frozenset[str]) -> Iterator[Problem]:
    """Variables that no role reads but whose name is nearly one that a role reads."""
    options = all_options(policy.roles)
    connection = _connection_names()
    known = sorted(options)
    used = _words_in_templates(inventory)
    verdicts: dict[str, Fault | None] = {}
    for host, name, setting in inventory.own():
        if name in options or name in connection or name.startswith("__") or policy.rules.of(name):
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
            yield problem_of(host.name, name, *fault, setting.where)


def _differing(inventory: Snapshot, policy: Policy) -> Iterator[Problem]:
    """What belongs to the cloud as a whole must be the same on every host."""
    for rule in policy.rules.same:
        values = {
            host.name: host.get(rule.option) for host in inventory.hosts.values() if host.get(rule.option) is not None
        }
        if len({str(value) for value in values.values()}) > 1:
            listed = ", ".join(f"{value!r} on {host}" for host, value in values.items())
            yield problem_of(
                INVENTORY,
                rule.option,
                f"differs between hosts: {listed}",
                "Set it once, in group_vars/all, and nowhere else.",
            )


def _required(inventory: Snapshot, policy: Policy) -> Iterator[Problem]:
    """Options without a default that the roles of a host need."""
    for host in inventory.hosts.values():
        for role in sorted(host.roles & policy.roles.keys()):
            for name, option in policy.roles[role].options.items():
                if option.get("required") and name not in host.settings and name not in host.given:
                    description = option.get("description") or ""
                    meaning = description if isinstance(description, str) else " ".join(description)
                    yield problem_of(
                        host.name, name, f"the role {role} needs this variable", f"Set it. {meaning}".strip()
                    )


def _services(inventory: Snapshot, policy: Policy) -> Iterator[Problem]:
    """Services of node roles that nobody specifies, and those that cannot be taken off."""
    book = Book(policy.roles)
    carried = {host.name: _known(policy.services(host), book) for host in inventory.hosts.values()}
    for host in inventory.hosts.values():
        for role in sorted(host.roles & policy.roles.keys()):
            name = f"{role}_services"
            entries = host.get(name) if name in policy.roles[role].defaults else None
            if not isinstance(entries, list):
                continue
            try:
                absent = book.absent_of([role], host.work_out)
                for term in [*listed(entries), *absent]:
                    book.read(term)
                for _, reason in removal.refusals(absent, carried, book):
                    mend = f"Leave it in {name} without the state {ABSENT}, or take off what needs it as well."
                    yield problem_of(host.name, name, reason, mend, host.where(name))
            except SpecificationError as error:
                known = ", ".join(sorted(book.names()))
                yield problem_of(host.name, name, str(error), f"Name services among {known}.", host.where(name))


def _known(terms: Iterable[str], book: Book) -> list[str]:
    """Those of the services that there are."""
    names = book.names()
    return [term for term in terms if canonical(term) in names]


def _override_files(inventory: Snapshot, policy: Policy) -> Iterator[Problem]:
    """Overrides of files that the role does not write."""
    book = Book(policy.roles)
    for rule in policy.rules.kind("overrides"):
        paths = derive.paths_of(book, rule.role)
        if not paths:
            continue
        more = next((one.option for one in policy.rules.kind("files") if one.role == rule.role), "")
        for host, name, setting in inventory.own():
            if rule.covers(name) and isinstance(setting.value, Mapping):
                for file in setting.value:
                    try:
                        plan.resolve_file(name, str(file), paths)
                    except plan.PlanError as error:
                        wrong = str(error).removeprefix(f"{name}: ")
                        mend = f"Name one of {', '.join(paths) or 'no file at all'}" + (
                            f"; add others with {more}." if more else "."
                        )
                        yield problem_of(host.name, name, wrong, mend, setting.where)


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
