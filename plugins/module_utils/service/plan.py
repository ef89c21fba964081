"""Components of services merged into what one host is to be: their sum, with the operator's overrides merged last."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.common import words
from ansible_collections.stackwright.cloud.plugins.module_utils.service.derive import Derived
from ansible_collections.stackwright.cloud.plugins.module_utils.service.masking import SHORTEST, forms
from ansible_collections.stackwright.cloud.plugins.module_utils.service.removal import Removal
from ansible_collections.stackwright.cloud.plugins.module_utils.service.terms import canonical
from ansible_collections.stackwright.cloud.plugins.module_utils.service.urls import option_value


class PlanError(Exception):
    """Specifications or overrides contradict themselves; the text names variable and key."""


def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Merge nested mappings; what is in ``over`` wins, lists are replaced."""
    result = dict(base)
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merge(result[key], value)
        else:
            result[key] = copy.deepcopy(value)
    return result


def resolve_file(variable: str, name: str, paths: list[str]) -> str:
    """Find the path that an override means: a full path or the end of one (``nova.conf``).

    :raises PlanError: no path or more than one ends so.
    """
    found = [path for path in paths if path == name or path.endswith(f"/{name.lstrip('/')}")]
    if len(found) == 1 or name in found:
        return name if name in found else found[0]
    if found:
        raise PlanError(f"{variable}: {name!r} may be any of {', '.join(sorted(found))}; give the full path")
    bases = [path.rsplit("/", 1)[-1] for path in paths]
    raise PlanError(f"{variable}: no file {name!r} belongs to this service{words.hint(name, bases + paths, '. ')}")


def overridden(
    role: str, files: dict[str, Any], all_paths: list[str], overrides: dict[str, Any], extra: dict[str, Any]
) -> dict[str, Any]:
    """Apply the operator's overrides and additional files of one role.

    :param files: files of the role's components on this host.
    :param all_paths: paths of all components of the role: an override for one that this host does not carry is not an
        error.
    :param overrides: variable name to its value (file, section, option, value), merged in the order of the names.
    :param extra: variable name to its value (path, entry of the configuration module).
    """
    result = dict(files)
    for variable in sorted(overrides):
        value = overrides[variable]
        if not isinstance(value, dict):
            raise PlanError(f"{variable}: must map files to sections, not {type(value).__name__}")
        for name, sections in value.items():
            path = resolve_file(variable, name, all_paths)
            if path not in result:
                continue
            if "options" not in result[path]:
                raise PlanError(
                    f"{variable}: {path} is not made of sections and options; replace it whole with {role}_config_files"
                )
            if not isinstance(sections, dict) or not all(isinstance(options, dict) for options in sections.values()):
                raise PlanError(f"{variable}: {name} must map sections to options")
            result[path] = {**result[path], "options": merge(result[path]["options"], sections)}
    for variable in sorted(extra):
        value = extra[variable]
        if not isinstance(value, dict):
            raise PlanError(f"{variable}: must map paths to files, not {type(value).__name__}")
        for path, entry in value.items():
            keep = {"units": result[path]["units"]} if path in result and "units" in result[path] else {}
            result[path] = {**keep, **entry}
    return result


def spelled(files: dict[str, Any], secrets: Iterable[str]) -> dict[str, Any]:
    """Files in which a secret that is an option's whole value stands as oslo.config reads it: a secret refers to no
    other option."""
    known = set(secrets)

    def value(one: Any) -> Any:
        if isinstance(one, dict):
            return {key: value(entry) for key, entry in one.items()}
        return option_value(one) if isinstance(one, str) and one in known else one

    return {
        path: {**entry, "options": value(entry["options"])}
        if entry.get("options") and entry.get("definitions")
        else entry
        for path, entry in files.items()
    }


def secrets_in(plan: Any, candidates: Iterable[str]) -> list[str]:
    """Those of the candidates that a plan holds, in whatever form: what its host gets to know."""
    texts = list(_texts(plan))
    whole = "\n".join(texts)
    return sorted({one for one in candidates if any(form in whole for form in forms(one) if len(form) >= SHORTEST)})


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, entry in value.items():
            yield str(key)
            yield from _texts(entry)
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from _texts(entry)
    else:
        yield str(value)


def levels(components: Sequence[Derived]) -> list[list[Derived]]:
    """Components by the order in which they have to run: each level answers before the next one starts.

    A component runs as late as what needs it allows; what registers services comes before all that is not needed to run
    it.

    :raises PlanError: components need each other in a circle.
    """
    by_name = {canonical(one.term): one for one in components}
    needs = {
        name: [canonical(need) for need in one.needs if canonical(need) in by_name] for name, one in by_name.items()
    }
    depth: dict[str, int] = {}

    def descend(name: str, below: tuple[str, ...], at: int) -> None:
        if name in below:
            raise PlanError(
                f"components need each other in a circle: {' needs '.join([*below[below.index(name) :], name])}"
            )
        depth[name] = max(depth.get(name, 0), at)
        for need in needs[name]:
            descend(need, (*below, name), at + 1)

    registered = any(one.identity for one in components)
    for name, one in by_name.items():
        descend(name, (), 1 if registered and one.registers else 0)
    deepest = max(depth.values(), default=0)
    return [
        [one for one in components if depth[canonical(one.term)] == deepest - level] for level in range(deepest + 1)
    ]


def without(plan: dict[str, Any], removal: Removal) -> dict[str, Any]:
    """A plan that also takes services off its host: units are stopped once the catalogue no longer names them."""
    for kind, resources in removal.identity.items():
        _add(plan["identity"].setdefault(kind, []), resources)
    _add(plan["units"], [{**unit, "files": []} for unit in removal.units])
    return {**plan, "removed": removal.told}


def combine(components: Sequence[Derived]) -> dict[str, Any]:
    """Sum up the components of a host, overrides applied.

    :returns: ``packages``, ``files``, ``databases``, ``messaging``, ``identity``, ``bootstrap`` and ``switch`` of all;
        ``early``, the levels that run before services are registered, and ``units`` and ``health`` of the last level.
        Units carry the files that they read.
    :raises PlanError: components contradict each other.
    """
    plan: dict[str, Any] = {
        "packages": [],
        "files": {},
        "databases": [],
        "messaging": [],
        "identity": {},
        "bootstrap": [],
        "switch": {},
    }
    origin: dict[str, str] = {}
    for one in components:
        for key in ("packages", "databases", "messaging", "bootstrap"):
            _add(plan[key], getattr(one, key))
        for kind, resources in one.identity.items():
            _add(plan["identity"].setdefault(kind, []), resources)
        if one.switch and plan["switch"]:
            raise PlanError(f"specification {one.term}: another component of the host describes the switch already")
        plan["switch"] = plan["switch"] or one.switch
        for name, given in one.files.items():
            _add_file(plan["files"], origin, one.term, name, given)
    by_unit: dict[str, dict[str, list[str]]] = {}
    for path, entry in plan["files"].items():
        for readers, key in (("units", "files"), ("reloads", "reloads")):
            for unit in entry.get(readers, []):
                by_unit.setdefault(unit, {}).setdefault(key, []).append(path)
    *early, last = [_level(level, by_unit) for level in levels(components)]
    for step in plan["bootstrap"]:
        # inputs may hold secrets; only their digest leaves this place
        step["inputs"] = [hashlib.sha256(repr(step["inputs"]).encode()).hexdigest()] if step.get("inputs") else []
    return {**plan, "early": early, **last}


# What one host of a group does for all of them.
ONCE = ("databases", "messaging", "identity")


def for_host(plan: Mapping[str, Any], host: str, leader: str, present: Iterable[str]) -> dict[str, Any]:
    """A combined plan with what falls to one host of its group.

    :param leader: the group's first host, whatever ``--limit`` says: it makes databases, registers services and does
        the steps that are done once.
    :param present: the hosts of the run.
    :raises PlanError: another host needs what the leader does, and the run leaves the leader out.
    """
    steps = [{key: value for key, value in step.items() if key != "once"} for step in plan["bootstrap"]]
    if host == leader:
        return {**plan, "bootstrap": steps}
    each = [step for step, given in zip(steps, plan["bootstrap"], strict=True) if not given.get("once")]
    if leader not in set(present) and (len(each) < len(steps) or any(plan[key] for key in ONCE)):
        raise PlanError(
            f"this run is limited to hosts without {leader}, which makes databases, schemas and "
            f"registrations for {host} too: "
            f"add it, as in --limit {leader},{host}"
        )
    return {**plan, "bootstrap": each, **{key: type(plan[key])() for key in ONCE}}


def _add(known: list[Any], more: Iterable[Any]) -> None:
    known += [one for one in more if one not in known]


def _level(components: Sequence[Derived], by_unit: Mapping[str, Mapping[str, list[str]]]) -> dict[str, Any]:
    """Units and health checks of components that run at the same time."""
    level: dict[str, Any] = {"units": [], "health": []}
    for one in components:
        _add(level["units"], [{**unit, "files": [], **by_unit.get(unit["name"], {})} for unit in one.units])
        _add(level["health"], one.health)
    return level


def _add_file(files: dict[str, Any], origin: dict[str, str], term: str, name: str, given: Mapping[str, Any]) -> None:
    # a path that depends on variables stands in the entry, since keys are not templated
    path = given.get("path", name)
    entry = {key: value for key, value in given.items() if key != "path"}
    if path in files:
        present = files[path]
        if {**present, "units": []} != {**entry, "units": []}:
            raise PlanError(f"specifications {origin[path]} and {term} describe {path} differently")
        entry = {**entry, "units": [*present.get("units", []), *entry.get("units", [])]}
    files[path] = entry
    origin[path] = term
