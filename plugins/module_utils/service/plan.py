"""Specifications of services merged into what one host is to be.

A specification is data that a service role keeps in ``__<role>_specifications`` (component, then the keys of :data:`KEYS`). The plan
of a host is the sum of its components, with the operator's overrides merged last.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.common import words
from ansible_collections.stackwright.cloud.plugins.module_utils.service.masking import SHORTEST, forms
from ansible_collections.stackwright.cloud.plugins.module_utils.service.urls import option_value

KEYS = {
    "packages": list,
    "files": dict,
    "databases": list,
    "messaging": list,
    "identity": dict,
    "bootstrap": list,
    "units": list,
    "health": list,
    "filter": list,
}

# Registration with the identity service is done by the host itself, through the distribution's SDK.
REGISTRATION_PACKAGE = "python3-openstacksdk"


class PlanError(Exception):
    """Specifications or overrides contradict themselves; the text names variable and key."""


def split_term(term: str) -> tuple[str, str]:
    """``nova.api`` names role nova, component api; a bare ``glance`` names the component of the role's own name."""
    role, _, component = term.partition(".")
    return role, component or role


def packages_of(specification: dict[str, Any]) -> list[str]:
    """Packages of one component: its own, and what its registration with the identity service needs."""
    return [*specification.get("packages", []), *([REGISTRATION_PACKAGE] if specification.get("identity") else [])]


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
    :param all_paths: paths of all components of the role: an override for one that this host does not carry is not an error.
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
                raise PlanError(f"{variable}: {path} is not made of sections and options; replace it whole with {role}_config_files")
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
    """Files in which a secret that is an option's whole value stands as oslo.config reads it: a secret refers to no other option."""
    known = set(secrets)

    def value(one: Any) -> Any:
        if isinstance(one, dict):
            return {key: value(entry) for key, entry in one.items()}
        return option_value(one) if isinstance(one, str) and one in known else one

    return {
        path: {**entry, "options": value(entry["options"])} if entry.get("options") and entry.get("definitions") else entry
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


def combine(components: list[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    """Sum up the components of a host.

    :param components: term (``nova.api``) and templated specification, overrides applied.
    :returns: a mapping with every key of :data:`KEYS`; units carry the files that they read; units and health checks
        marked ``early`` stand apart under ``early_units`` and ``early_health``.
    :raises PlanError: unknown key, or a path that two components describe differently.
    """
    plan: dict[str, Any] = {key: kind() for key, kind in KEYS.items()}
    origin: dict[str, str] = {}
    for term, specification in components:
        plan["packages"] += [package for package in packages_of(specification) if package not in plan["packages"]]
        for key, value in specification.items():
            if key not in KEYS:
                raise PlanError(f"specification {term}: unknown key {key!r}{words.hint(key, KEYS, '. ')}")
            if key == "files":
                for name, given in value.items():
                    # a path that depends on variables stands in the entry, since keys are not templated
                    path = given.get("path", name)
                    entry = {k: v for k, v in given.items() if k != "path"}
                    if path in plan["files"]:
                        present = plan["files"][path]
                        same = {k: v for k, v in present.items() if k != "units"} == {k: v for k, v in entry.items() if k != "units"}
                        if not same:
                            raise PlanError(f"specifications {origin[path]} and {term} describe {path} differently")
                        entry = {**entry, "units": [*present.get("units", []), *entry.get("units", [])]}
                    plan["files"][path] = entry
                    origin[path] = term
            elif key == "identity":
                for kind, resources in value.items():
                    known = plan["identity"].setdefault(kind, [])
                    known += [resource for resource in resources if resource not in known]
            elif key != "packages":
                plan[key] += [entry for entry in value if entry not in plan[key]]
    by_unit: dict[str, list[str]] = {}
    for path, entry in plan["files"].items():
        for unit in entry.get("units", []):
            by_unit.setdefault(unit, []).append(path)
    plan["units"] = [{**unit, "files": by_unit.get(unit["name"], [])} for unit in plan["units"]]
    # what is marked early runs before the others are registered and started: the identity service itself
    for key in ("units", "health"):
        entries = [{k: v for k, v in entry.items() if k != "early"} for entry in plan[key] if not entry.get("early")]
        plan[f"early_{key}"] = [{k: v for k, v in entry.items() if k != "early"} for entry in plan[key] if entry.get("early")]
        plan[key] = entries
    for step in plan["bootstrap"]:
        # inputs may hold secrets; only their digest leaves this place
        step["inputs"] = [hashlib.sha256(repr(step["inputs"]).encode()).hexdigest()] if step.get("inputs") else []
    return plan
