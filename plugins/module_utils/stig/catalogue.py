"""The catalogue on the control node: loading, validation, profiles, parameters and waivers.

A control is an entry of roles/hardening/files/catalogue/*.yml. What is resolved here is sent to the host as one
request.
"""

from __future__ import annotations

import datetime
import fnmatch
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.stackwright.cloud.plugins.module_utils.common import words
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.findings import SEVERITIES
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.judge import TYPES

DIRECTORY = Path(__file__).resolve().parents[3] / "roles" / "hardening" / "files"
ENTRY = {
    "id": str, "rules": list, "severity": str, "title": str, "rationale": str, "remedy": str, "tags": list,
    "disrupts": bool, "resources": list, "status": str, "reason": str, "when": dict, "asks": list,
}  # fmt: skip
PARAMETER = re.compile(r"\$\{(\w+)\}")
NOTHING_TO_SEND = ("title", "rationale", "remedy", "tags", "disrupts", "asks")


class CatalogueError(Exception):
    """The catalogue, a parameter, a selection or a waiver is not right. `problems` has a sentence for each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(" ".join(problems))
        self.problems = problems


@dataclass
class Catalogue:
    """All controls by id, the parameters with their limits, and the profiles, each with its deviations: reasons by
    control."""

    controls: dict[str, dict[str, Any]]
    parameters: dict[str, dict[str, Any]]
    profiles: dict[str, dict[str, Any]]


FORMS = {bool: "true or false", int: "a whole number", str: "a text", list: "a list", dict: "a mapping"}


def load(directory: Path = DIRECTORY) -> Catalogue:
    """Read and validate the whole catalogue.

    :raises CatalogueError: with every problem found, each with its file and control.
    """
    problems: list[str] = []
    controls: dict[str, dict[str, Any]] = {}
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    def read(path: Path) -> Any:
        try:
            return yaml.load(path.read_text("utf-8"), Loader=loader)
        except (OSError, yaml.YAMLError) as error:
            problems.append(f"{path.name} cannot be read: {error}")
            return None

    parameters = read(directory / "parameters.yml") or {}
    profiles = read(directory / "profiles.yml") or {}
    kinds = read(directory / "deviations.yml") or {}
    for profile in profiles.values():
        reasons = [one for kind in profile.get("deviations", []) for one in kinds.get(kind, [])]
        problems += [
            f"profiles.yml: {kind} is not in deviations.yml."
            for kind in profile.get("deviations", [])
            if kind not in kinds
        ]
        profile["deviations"] = {control: one["reason"] for one in reasons for control in one["controls"]}
    for path in sorted((directory / "catalogue").glob("*.yml")):
        for at, entry in enumerate(read(path) or []):
            name = entry.get("id", f"entry {at + 1}") if isinstance(entry, dict) else f"entry {at + 1}"
            problems += [f"{path.name}, {name}: {one}" for one in entry_problems(entry, parameters)]
            if name in controls:
                problems.append(f"{path.name}, {name}: the same id is used twice.")
            controls[name] = entry
    if problems:
        raise CatalogueError(problems)
    return Catalogue(controls, parameters, profiles)


def entry_problems(entry: Any, parameters: dict[str, Any]) -> list[str]:
    """What is wrong with one entry of the catalogue, a sentence each."""
    if not isinstance(entry, dict):
        return ["an entry must be a mapping."]
    found = [
        f"{name} is not a field of a control.{words.hint(name, ENTRY, ' ')}" for name in entry if name not in ENTRY
    ]
    for name, kind in ENTRY.items():
        if name in entry and not isinstance(entry[name], kind):
            found.append(f"{name} must be {FORMS[kind]}.")
    for name in ("id", "rules", "severity", "title", "rationale", "remedy"):
        if not entry.get(name):
            found.append(f"{name} is missing.")
    if entry.get("severity") not in SEVERITIES:
        found.append(f"severity must be one of {', '.join(SEVERITIES)}.")
    if "status" in entry:
        if entry["status"] not in ("manual", "not_applicable"):
            found.append("status must be manual or not_applicable.")
        if not entry.get("reason"):
            found.append("a control that is not implemented needs a reason.")
        if entry.get("resources"):
            found.append("a control that is not implemented has no resources.")
    elif not entry.get("resources"):
        found.append("it has neither resources nor a status.")
    for name in entry.get("asks", []):
        if name not in parameters:
            found.append(f"asks: {name} is not a parameter.{words.hint(str(name), parameters, ' ')}")
    resources = entry.get("resources", [])
    for spec in resources if isinstance(resources, list) else []:
        found += resource_problems(spec, parameters)
    return found


def resource_problems(spec: Any, parameters: dict[str, Any]) -> list[str]:
    """What is wrong with one typed resource."""
    if not isinstance(spec, dict) or "type" not in spec:
        return ["a resource must be a mapping with a type."]
    kind = TYPES.get(spec["type"])
    if kind is None:
        return [f"{spec['type']} is not a resource type.{words.hint(str(spec['type']), TYPES, ' ')}"]
    found = []
    for name, value in spec.items():
        if name == "type":
            continue
        if name not in kind.fields:
            found.append(f"{name} is not a field of {spec['type']}.{words.hint(name, kind.fields, ' ')}")
        elif not isinstance(value, kind.fields[name]) and not (isinstance(value, str) and PARAMETER.search(value)):
            found.append(f"{name} of {spec['type']} has the wrong type: {value!r}.")
        for used in PARAMETER.findall(repr(value)):
            if used not in parameters:
                found.append(f"{used} is not a parameter.{words.hint(used, parameters, ' ')}")
    found += [f"{name} of {spec['type']} is missing." for name in kind.required if name not in spec]
    return found


def parameter_values(catalogue: Catalogue, given: dict[str, Any]) -> dict[str, Any]:
    """The defaults of the STIG with the operator's values over them.

    :raises CatalogueError: naming unknown parameters and values outside the STIG's range.
    """
    problems = []
    values = {name: one["default"] for name, one in catalogue.parameters.items()}
    for name, value in given.items():
        definition = catalogue.parameters.get(name)
        if definition is None:
            problems.append(f"hardening_parameters: there is no parameter {name}.{words.hint(name, values, ' ')}")
            continue
        kind = type(definition["default"])
        if kind is int and isinstance(value, str) and re.fullmatch(r"-?\d+", value):
            value = int(value)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            problems.append(f"hardening_parameters: {name} must be {FORMS[kind]}, not {value!r}.")
        elif "choices" in definition and value not in definition["choices"]:
            problems.append(
                f"hardening_parameters: {name} must be one of {', '.join(map(str, definition['choices']))}."
            )
        elif kind is int and not definition.get("min", value) <= value <= definition.get("max", value):
            limits = f"{definition.get('min', 'any')} to {definition.get('max', 'any')}"
            problems.append(
                f"hardening_parameters: {name} = {value} is outside the STIG's range, {limits}. "
                "Waive the controls that use it if you need another value."
            )
        values[name] = value
    if problems:
        raise CatalogueError(problems)
    return values


def fill(value: Any, values: dict[str, Any]) -> Any:
    """`value` with every ``${parameter}`` filled in; a text that is one parameter takes its type."""
    if isinstance(value, dict):
        return {name: fill(one, values) for name, one in value.items()}
    if isinstance(value, list):
        filled: list[Any] = []
        for one in value:
            new = fill(one, values)
            if isinstance(one, str) and PARAMETER.fullmatch(one) and isinstance(new, list):
                filled += new
            else:
                filled.append(new)
        return filled
    if isinstance(value, str):
        if whole := PARAMETER.fullmatch(value):
            return values[whole[1]]
        return PARAMETER.sub(lambda one: str(values[one[1]]), value)
    return value


def select(catalogue: Catalogue, profile: str, add: list[str], exclude: list[str]) -> list[str]:
    """The ids of a profile, with controls or tags added and excluded.

    :raises CatalogueError: for an unknown profile, control or tag, with the nearest real name.
    """
    problems: list[str] = []
    if profile not in catalogue.profiles:
        raise CatalogueError([f"There is no profile {profile}.{words.hint(profile, catalogue.profiles, ' ')}"])
    tags = sorted({tag for one in catalogue.controls.values() for tag in one.get("tags", [])})

    def expand(names: list[str], where: str) -> set[str]:
        found: set[str] = set()
        for name in names:
            tagged = {key for key, one in catalogue.controls.items() if name in one.get("tags", [])}
            if name in catalogue.controls:
                found.add(name)
            elif tagged:
                found |= tagged
            else:
                problems.append(
                    f"{where}: {name} is neither a control nor a "
                    f"tag.{words.hint(name, [*catalogue.controls, *tags], ' ')}"
                )
        return found

    definition = catalogue.profiles[profile]
    chosen = {
        key
        for key, one in catalogue.controls.items()
        if one["severity"] in definition.get("severities", SEVERITIES)
        and (definition.get("disruptive", True) or not one.get("disrupts", False))
    }
    chosen |= expand(add, "hardening_add")
    chosen -= expand(exclude, "hardening_exclude")
    if problems:
        raise CatalogueError(problems)
    return [key for key in catalogue.controls if key in chosen]


def waivers_for(
    catalogue: Catalogue, profile: str, given: list[dict[str, Any]], host: str, groups: list[str], today: datetime.date
) -> dict[str, dict[str, str]]:
    """The waivers in force on one host, by control: the profile's built-in deviations and the operator's.

    :raises CatalogueError: for waivers without reason, owner or date, expired ones, and unknown controls.
    """
    problems = []
    found = {
        control: {"reason": reason, "owner": f"profile {profile}", "expires": ""}
        for control, reason in catalogue.profiles[profile].get("deviations", {}).items()
    }
    for at, one in enumerate(given, 1):
        control = str(one.get("control", ""))
        name = f"Waiver {at} ({control or 'no control named'})"
        if control not in catalogue.controls:
            problems.append(f"{name}: there is no such control.{words.hint(control, catalogue.controls, ' ')}")
            continue
        missing = [key for key in ("reason", "owner", "expires") if not str(one.get(key) or "").strip()]
        if missing:
            problems.append(f"{name}: {', '.join(missing)} missing.")
            continue
        try:
            expires = datetime.date.fromisoformat(str(one["expires"]))
        except ValueError:
            problems.append(f"{name}: expires is {one['expires']!r}, which is no date like 2026-12-31.")
            continue
        if expires < today:
            problems.append(
                f"{name}: it expired on {expires.isoformat()}. Renew it with a new date or mend the control."
            )
            continue
        hosts = [str(name) for name in one.get("hosts", [])]
        if hosts and not any(fnmatch.fnmatchcase(target, pattern) for pattern in hosts for target in [host, *groups]):
            continue
        found[control] = {"reason": str(one["reason"]), "owner": str(one["owner"]), "expires": expires.isoformat()}
    if problems:
        raise CatalogueError(problems)
    return found


def resolve(
    catalogue: Catalogue,
    profile: str = "stig",
    add: list[str] | None = None,
    exclude: list[str] | None = None,
    parameters: dict[str, Any] | None = None,
    waivers: list[dict[str, Any]] | None = None,
    host: str = "",
    groups: list[str] | None = None,
    today: datetime.date | None = None,
) -> list[dict[str, Any]]:
    """The controls for one host as the engine wants them: parameters filled in, waivers attached, texts left at home.

    :raises CatalogueError: with every problem of parameters, selection and waivers at once.
    """
    problems: list[str] = []
    values: dict[str, Any] = {}
    chosen: list[str] = []
    accepted: dict[str, dict[str, str]] = {}
    try:
        values = parameter_values(
            catalogue, {**catalogue.profiles.get(profile, {}).get("parameters", {}), **(parameters or {})}
        )
    except CatalogueError as error:
        problems += error.problems
    try:
        chosen = select(catalogue, profile, add or [], exclude or [])
        day = today or datetime.datetime.now(tz=datetime.UTC).date()
        accepted = waivers_for(catalogue, profile, waivers or [], host, groups or [], day)
    except CatalogueError as error:
        problems += error.problems
    if problems:
        raise CatalogueError(problems)
    deviating = set(catalogue.profiles[profile].get("deviations", {}))
    resolved = []
    for key in chosen:
        entry = catalogue.controls[key]
        one = {name: value for name, value in entry.items() if name not in NOTHING_TO_SEND}
        one["rule"] = entry["rules"][0]
        one["resources"] = fill(entry.get("resources", []), values)
        one["waiver"] = accepted.get(key)
        one["keep"] = key in deviating
        empty = [name for name in entry.get("when", {}).get("parameter", []) if values[name] in ("", [])]
        if empty:
            one["status"], one["reason"] = "not_applicable", f"Parameter {', '.join(empty)} is empty."
            one["resources"] = []
        if asked := [name for name in entry.get("asks", []) if values[name] in ("", [])]:
            one["status"], one["reason"] = (
                "manual",
                f"The site has to answer: give hardening parameter {', '.join(asked)}.",
            )
            one["resources"] = []
        resolved.append(one)
    return resolved


def complete(catalogue: Catalogue, document: dict[str, Any]) -> dict[str, Any]:
    """The findings document with each control's texts put back in, since they were not sent to the host."""
    for one in document.get("findings", []):
        entry = catalogue.controls.get(one["id"], {})
        for name in ("title", "rationale", "remedy"):
            one[name] = entry.get(name, "").strip()
        one["tags"] = list(entry.get("tags", []))
    return document
