"""Reading many types of a cloud in one call, for the module cloud_info."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.api import Cloud, Login
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.errors import CloudError, Problem, as_result
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.faces.content import Content, referred
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.faces.login import LOGIN_OPTIONS, login_of, mask
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.schema import Raw, ResourceType, read_field
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.types.registry import BY_NAME, BY_PLURAL
from ansible_collections.stackwright.cloud.plugins.module_utils.common.words import hint_or_list

FILTERS = ("names", "ids", "project")


@dataclass(frozen=True)
class Wish:
    """Which objects of one type are wanted. Empty filters let everything through."""

    kind: ResourceType
    names: frozenset[str] = frozenset()
    ids: frozenset[str] = frozenset()
    project: str = ""

    def takes(self, raw: Raw, project_id: str) -> bool:
        """Whether an object passes the filters."""
        first = self.kind.field(self.kind.identity[0])
        if self.names and str(read_field(first, raw)) not in self.names:
            return False
        if self.ids and str(raw[self.kind.id_key]) not in self.ids:
            return False
        return not self.project or read_field(self.kind.field("project"), raw) == project_id


def kind_of(name: str, path: str) -> ResourceType:
    """The type with this name, in the plural or the singular.

    :raises CloudError: there is none.
    """
    kind = BY_PLURAL.get(name) or BY_NAME.get(name)
    if kind is None:
        raise CloudError(Problem(f"Unknown resource type '{name}'.", hint_or_list(name, BY_PLURAL), path))
    return kind


def wishes_of(resources: Any) -> list[Wish]:
    """What the option ``resources`` asks for: a list of types, or a mapping of types to filters.

    :raises CloudError: with every fault of the option.
    """
    if isinstance(resources, str):
        resources = [word.strip() for word in resources.split(",")]
    if isinstance(resources, list):
        resources = dict.fromkeys(map(str, resources))
    if not isinstance(resources, Mapping) or not resources:
        raise CloudError(
            Problem("A list of resource types, or a mapping of them to filters, is wanted.", "", "resources")
        )
    wishes: list[Wish] = []
    problems: list[Problem] = []
    for name, filters in resources.items():
        path = f"resources.{name}"
        try:
            wishes.append(_wish(kind_of(str(name), path), filters, path))
        except CloudError as error:
            problems += error.problems
    if problems:
        raise CloudError(*problems)
    return wishes


def _wish(kind: ResourceType, filters: Any, path: str) -> Wish:
    if filters is not None and not isinstance(filters, Mapping):
        raise CloudError(Problem(f"A mapping of filters is wanted: {', '.join(FILTERS)}.", "", path))
    problems = []
    found: dict[str, Any] = {}
    for key, value in (filters or {}).items():
        if key not in FILTERS:
            problems.append(Problem(f"Unknown filter '{key}'.", hint_or_list(str(key), FILTERS), f"{path}.{key}"))
        elif key == "project":
            if "project" not in kind.field_names:
                problems.append(
                    Problem(f"A {kind.name.replace('_', ' ')} belongs to no project.", "Leave it out.", f"{path}.{key}")
                )
            found["project"] = str(value or "")
        else:
            found[key] = frozenset(map(str, value if isinstance(value, list) else [value]))
    if problems:
        raise CloudError(*problems)
    return Wish(kind, **found)


def gather(cloud: Cloud, wishes: list[Wish], *, named: bool = True, details: bool = False, parallel: int = 8) -> Any:
    """The objects that are wanted, by type.

    :raises CloudError: a listing is refused, a service or a project does not exist.
    """
    cloud.require({wish.kind.service: f"resources.{wish.kind.plural}" for wish in wishes})
    content = Content(cloud, parallel, full=details)
    project_ids: dict[str, str] = {}
    places = {wish.project for wish in wishes} - {""}
    if places:
        content.read({"project": None})
        for place in sorted(places):
            project_ids[place] = _project(content, place)
    also = referred(wish.kind for wish in wishes) if named else set()
    # A type that others are named by is wanted whole.
    names = {
        wish.kind.name: set(wish.names) if wish.names and not wish.ids and wish.kind.name not in also else None
        for wish in wishes
    }
    scopes = ("",) if not project_ids else tuple(sorted(project_ids.values()))
    content.read(names, also, ("", *(ident for ident in scopes if ident and ident != cloud.project_id)))
    result: dict[str, list[dict[str, Any]]] = {}
    for wish in wishes:
        entries = []
        for raw in content.objects.get(wish.kind.name, []):
            if wish.takes(raw, project_ids.get(wish.project, "")):
                entry = content.fields(wish.kind, raw, named)
                entries.append({**entry, "api": raw} if details else entry)
        result[wish.kind.plural] = sorted(entries, key=lambda entry: (str(entry.get("name", "")), entry["id"]))
    return result


def _project(content: Content, name: str) -> str:
    kind = BY_NAME["project"]
    found = [str(raw["id"]) for raw in content.objects["project"] if name in (raw["id"], raw["name"])]
    if len(found) == 1:
        return found[0]
    known = {str(raw["name"]) for raw in content.objects["project"]}
    cause, mend = f"There is no project '{name}'.", hint_or_list(name, known)
    if found:
        cause, mend = f"The project '{name}' is ambiguous: {', '.join(sorted(found))}.", "Give the identifier."
    raise CloudError(Problem(cause, mend, "project", kind.plural))


def run_cloud_info(connect: Callable[[Login], Cloud] = Cloud) -> None:
    """Entry point of the module cloud_info."""
    module = AnsibleModule(
        argument_spec={
            **LOGIN_OPTIONS,
            "parallel": {"type": "int", "default": 8},
            "resources": {"type": "raw", "required": True},
            "references": {"type": "str", "default": "names", "choices": ["names", "ids"]},
            "details": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    mask(module, {})
    arguments = module.params
    started = time.monotonic()
    cloud: Cloud | None = None
    try:
        wishes = wishes_of(arguments["resources"])
        cloud = connect(login_of(arguments))
        found = gather(
            cloud,
            wishes,
            named=arguments["references"] == "names",
            details=arguments["details"],
            parallel=arguments["parallel"],
        )
    except CloudError as error:
        module.fail_json(
            msg=str(error),
            errors=[as_result(problem) for problem in error.problems],
            calls=cloud.calls if cloud else 0,
            seconds=round(time.monotonic() - started, 3),
        )
        return
    module.exit_json(changed=False, resources=found, calls=cloud.calls, seconds=round(time.monotonic() - started, 3))
