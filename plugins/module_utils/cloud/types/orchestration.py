"""The resource type of the orchestration service: stacks."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.errors import ApiError
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.operation import is_mark, mark_tag
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.schema import (
    Field,
    Operation,
    Query,
    Raw,
    ResourceType,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.types.common import (
    open_file,
    per_project,
    project_field,
    wants,
)

MASKED = "******"

# Templates -----------------------------------------------------------------------------------------------------------


def plain(value: Any) -> Any:
    """A template as the service tells it back: only what JSON has, dates as text."""
    return json.loads(json.dumps(value, default=str))


def _load(path: str) -> Any:
    import yaml

    with open_file(path)() as file:
        try:
            return yaml.safe_load(file)
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ApiError(0, f"it is no YAML: {' '.join(str(error).split())}", f"Read the template {path}") from error


def _mentions(node: Any) -> Iterator[str]:
    """Files that a template takes in: get_file, and resource types that are templates of their own."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            if isinstance(value, str) and (
                key == "get_file" or (key == "type" and value.endswith((".yaml", ".template")))
            ):
                yield value
            else:
                yield from _mentions(value)
    elif isinstance(node, list):
        for element in node:
            yield from _mentions(element)


def template_of(values: Mapping[str, Any]) -> tuple[Any, dict[str, str]]:
    """The template of an entry, and the files that it takes in.

    :raises ApiError: a file cannot be read.
    """
    files = {str(name): str(text) for name, text in (values.get("files") or {}).items()}
    if "template" in values:
        return plain(values["template"]), files
    template = _load(values["template_file"])
    queue = [(os.path.dirname(os.path.expanduser(values["template_file"])), template)]
    while queue:
        folder, node = queue.pop()
        for name in _mentions(node):
            if name in files or "://" in name:
                continue
            path = os.path.join(folder, name)
            with open_file(path)() as file:
                files[name] = file.read().decode(errors="replace")
            if name.endswith((".yaml", ".template")):
                queue.append((os.path.dirname(path), _load(path)))
    return plain(template), files


# Reading -------------------------------------------------------------------------------------------------------------


def _stacks(query: Query) -> list[Raw]:
    searches: list[list[tuple[str, Any]]] = [[]]
    if query.names is not None and len(query.names) <= 1:
        searches = [[("name", name)] for name in query.names]
        if query.owner:
            searches.append([("tags", mark_tag(query.owner))])
    found: dict[str, Raw] = {}
    for params in searches:
        for raw in per_project(query, params=params, key="project"):
            # One that is all but gone is still listed for a moment.
            if raw.get("stack_status") != "DELETE_COMPLETE":
                found.setdefault(raw["id"], raw)
    for raw in found.values():
        if not wants(query, raw["stack_name"], "name"):
            continue
        path = f"/stacks/{raw['stack_name']}/{raw['id']}"
        raw |= query.call("GET", path, project=raw["project"]).body["stack"]
        for part in ("template", "environment", "files"):
            if part != "environment" or wants(query, raw["stack_name"], part, "parameters"):
                raw[f"({part})"] = query.call("GET", f"{path}/{part}", project=raw["project"]).body
    return list(found.values())


def _unfinished(raw: Raw) -> str:
    """The state of a stack that has to be updated whatever its template; empty for a sound one."""
    state = str(raw.get("stack_status", ""))
    return state if state in ("UPDATE_FAILED", "DELETE_FAILED") or state.startswith("ROLLBACK") else ""


def _compare_template(raw: Raw, wanted: Any, values: Mapping[str, Any]) -> tuple[Any, Any]:
    shown = wanted if "template_file" in values else "(the new one)"
    if _unfinished(raw):
        return f"(in state {_unfinished(raw)}: {raw.get('stack_status_reason', '')})", shown
    if "(template)" not in raw:
        return wanted, wanted
    template, files = template_of(values)
    held = raw.get("(files)") or {}
    if plain(raw["(template)"]) != template:
        parts = sorted(_differing(raw["(template)"], template))
        return f"(another in {', '.join(parts)})", shown
    changed = sorted(name for name, text in files.items() if held.get(name) != text)
    return (f"(other files: {', '.join(changed)})", shown) if changed else (wanted, wanted)


def _differing(before: Any, after: Any, place: str = "") -> set[str]:
    """Where two templates differ, two levels deep."""
    if not isinstance(before, Mapping) or not isinstance(after, Mapping) or place.count(".") >= 1:
        return {place} if before != after else set()
    found: set[str] = set()
    for key in before.keys() | after.keys():
        if before.get(key) != after.get(key):
            found |= _differing(before.get(key), after.get(key), f"{place}.{key}" if place else str(key))
    return found


def _parameter(value: Any) -> Any:
    """A parameter as the service tells it back."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(str(element) for element in value)
    if isinstance(value, Mapping):
        return json.dumps(value, sort_keys=True)
    text = str(value)
    if text.lower() in ("true", "false"):
        return text.lower()
    if text.startswith("{"):
        try:
            return json.dumps(json.loads(text), sort_keys=True)
        except ValueError:
            return text
    return text


def _given(raw: Raw) -> dict[str, Any]:
    """Parameters that were set, and may be told; the others have their template's default."""
    given = (raw.get("(environment)") or {}).get("parameters") or {}
    return {key: value for key, value in given.items() if value != MASKED}


def _unnamed(raw: Raw, values: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters that were set and that an entry does not name."""
    sets = (
        values.get("parameters"),
        values.get("secret_parameters"),
        (values.get("environment") or {}).get("parameters"),
    )
    named = {key for one in sets for key in one or ()}
    return {key: value for key, value in _given(raw).items() if key not in named}


def _compare_parameters(raw: Raw, wanted: Any, values: Mapping[str, Any]) -> tuple[Any, Any]:
    held = raw.get("parameters") or {}
    after = {key: _parameter(value) for key, value in wanted.items()}
    before = {
        # What the template hides is not told.
        key: value if held.get(key) == MASKED else None if held.get(key) is None else _parameter(held[key])
        for key, value in after.items()
    }
    gone = _unnamed(raw, values)
    before |= {key: _parameter(value) for key, value in gone.items()}
    return before, {**after, **dict.fromkeys(gone)}


def _environment(raw: Raw) -> Any:
    """The environment without its parameters, which have a field of their own, and without what is empty."""
    held = raw.get("(environment)") or {}
    registry = {key: value for key, value in (held.get("resource_registry") or {}).items() if value}
    found = {"resource_registry": registry, "parameter_defaults": held.get("parameter_defaults")}
    return {key: value for key, value in found.items() if value} or None


def _compare_environment(raw: Raw, wanted: Any, values: Mapping[str, Any]) -> tuple[Any, Any]:
    if "(environment)" not in raw:
        return wanted, wanted
    return (wanted if covers(raw["(environment)"], plain(wanted)) else raw["(environment)"]), wanted


def covers(held: Any, wanted: Any) -> bool:
    """Whether everything in ``wanted`` is in ``held``."""
    if isinstance(wanted, Mapping):
        return isinstance(held, Mapping) and all(covers(held.get(key), value) for key, value in wanted.items())
    return bool(held == wanted)


def _broken(raw: Raw) -> tuple[str, bool] | None:
    if raw.get("stack_status") != "CREATE_FAILED":
        return None
    return f"it failed when it was made, state CREATE_FAILED: {raw.get('stack_status_reason', '')}", False


# Writing -------------------------------------------------------------------------------------------------------------


def _path(op: Operation) -> str:
    return f"/stacks/{op.values.get('name') or op.raw['stack_name']}/{op.id}"


def _body(op: Operation) -> dict[str, Any]:
    """A stack as it is made, or what changes it: whatever is not sent then stays as it is."""
    values = op.values
    template, files = template_of(values)
    marks = [tag for tag in op.raw.get("tags") or [] if is_mark(tag)]
    if op.owner and not op.raw:
        marks.append(mark_tag(op.owner))
    others = [tag for tag in op.raw.get("tags") or [] if tag and not is_mark(tag)]
    body: dict[str, Any] = {
        "template": template,
        "files": files,
        "parameters": {**(values.get("parameters") or {}), **(values.get("secret_parameters") or {})},
        "disable_rollback": not values.get("rollback", not op.raw.get("disable_rollback", True)),
    }
    if "environment" in values:
        body["environment"] = plain(values["environment"])
    if op.raw and "parameters" in values:
        body["clear_parameters"] = sorted(_unnamed(op.raw, values))
    tags = sorted({*values.get("tags", others), *marks})
    if tags or op.raw:
        body["tags"] = ",".join(tags)
    minutes = values.get("timeout_mins", op.raw.get("timeout_mins"))
    return {**body, "timeout_mins": minutes} if minutes is not None else body


def _create(op: Operation) -> Raw:
    body = {"stack_name": op.values["name"], **_body(op)}
    raw: Raw = op.call("POST", "/stacks", body).body["stack"]
    return {**raw, "stack_name": op.values["name"]}


def _stack(op: Operation) -> Raw:
    raw: Raw = op.call("GET", _path(op)).body["stack"]
    return raw


def _why(op: Operation, stack: Raw) -> str:
    """Why a stack came to its state; where all was taken back, what had failed before."""
    reason = str(stack.get("stack_status_reason") or "")
    if not stack["stack_status"].startswith("ROLLBACK"):
        return reason
    latest_first = {"sort_keys": "event_time", "sort_dir": "desc"}
    for event in op.call("GET", f"{_path(op)}/events", params=latest_first).body["events"]:
        if event["resource_status"].endswith("_FAILED"):
            return f"{event['resource_name']}: {event['resource_status_reason']}"
    return reason


def _arrive(op: Operation, wanted: str, what: str, begun: Callable[[Raw], bool] = lambda stack: True) -> Raw:
    """Wait until a stack has come to rest, in the state that is wanted."""
    stack: Raw = {}
    started = False

    def arrived() -> bool:
        nonlocal stack, started
        stack = _stack(op)
        moving = stack["stack_status"].endswith("IN_PROGRESS")
        started = started or moving or begun(stack)
        return started and not moving

    name = op.values["name"]
    op.poll(arrived, f"{what} stack {name}")
    if stack["stack_status"] != wanted:
        raise ApiError(
            0,
            f"its state became {stack['stack_status']}: {_why(op, stack)}",
            f"{what} stack {name}",
            "Mend the cause in the template and run again.",
        )
    return stack


def _settle(op: Operation) -> Raw:
    if not op.wait:
        return op.raw
    return {"project": op.scope or op.cloud.project_id, **_arrive(op, "CREATE_COMPLETE", "Create")}


def _update(op: Operation, changes: dict[str, Any]) -> None:
    name = op.raw["stack_name"]
    op.poll(lambda: not _stack(op)["stack_status"].endswith("IN_PROGRESS"), f"Wait for stack {name}")
    before = _stack(op).get("updated_time")
    op.call("PATCH", _path(op), _body(op))
    if op.wait:
        # Until the update begins the old state is told.
        _arrive(op, "UPDATE_COMPLETE", "Update", lambda stack: stack.get("updated_time") != before)


def _delete(op: Operation) -> None:
    op.call("DELETE", _path(op), accept=(404,))

    def gone() -> bool:
        # Its address tells of a removed stack too, and its state is complete before its name is free: the listing
        # knows.
        for stack in op.call("GET", "/stacks", params={"id": op.id}).body["stacks"]:
            if stack["stack_status"] == "DELETE_FAILED":
                raise ApiError(
                    0,
                    f"its state became DELETE_FAILED: {stack.get('stack_status_reason', '')}",
                    f"Remove stack {stack['stack_name']}",
                    "Remove what is in the way and run again.",
                )
            return False
        return True

    if op.wait:
        op.poll(gone, f"Wait until stack {op.raw['stack_name']} is gone")


def _check(values: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    found = []
    if ("template" in values) == ("template_file" in values):
        found.append(("", "Exactly one of template and template_file is wanted.", ""))
    if "name" in values and not values["name"][:1].isalpha():
        found.append(("name", f"'{values['name']}' does not begin with a letter.", ""))
    if values.get("timeout_mins", 1) < 1:
        found.append(("timeout_mins", "A timeout is at least one minute.", "Leave it out for the service's own."))
    for tag in values.get("tags") or []:
        if "," in tag or len(tag) > 80:
            found.append(("tags", f"'{tag}' is no tag of a stack.", "A tag has up to 80 characters and no comma."))
    return found


def _check_new(values: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    try:
        template_of(values)
    except ApiError as error:
        return [("template_file", str(error), error.mend)]
    return []


STACK = ResourceType(
    "stack",
    "stacks",
    "orchestration",
    "/stacks",
    (
        Field("name", "Name, which begins with a letter.", api="stack_name", required=True),
        project_field("project"),
        Field(
            "template",
            "Template, as a mapping.",
            "dict",
            compare=_compare_template,
            read=lambda raw: raw.get("(template)"),
        ),
        Field(
            "template_file",
            "Template, as a file of the host that runs the module. Files that it names are taken along.",
            compare=_compare_template,
            read=lambda raw: None,
            export=False,
        ),
        Field(
            "files",
            "Further files by name.",
            "dict",
            read=lambda raw: raw.get("(files)") or None,
            # Those of the template are looked at together with it.
            compare=lambda raw, wanted, values: (wanted, wanted),
        ),
        Field(
            "parameters",
            "Parameters of the template. Those that are not named keep the template's default.",
            "dict",
            read=lambda raw: _given(raw) or None,
            compare=_compare_parameters,
        ),
        Field(
            "secret_parameters",
            "Parameters that are not shown. They are sent with every update and not compared.",
            "dict",
            secret=True,
            write_only=True,
        ),
        Field(
            "environment",
            "Environment, as a mapping. What it does not name is left as it is.",
            "dict",
            read=_environment,
            compare=_compare_environment,
        ),
        # Where all were taken away the service keeps one without a letter.
        Field("tags", "Labels.", "set", read=lambda raw: [tag for tag in raw.get("tags") or [] if tag]),
        Field("timeout_mins", "Minutes that making or changing it may take.", "int"),
        Field(
            "rollback",
            "Whether a failure takes back what was done.",
            "bool",
            read=lambda raw: not raw.get("disable_rollback", True),
        ),
    ),
    doc="A stack, which the orchestration service makes of a template.",
    identity=("name", "project"),
    mark="tags",
    born_marked=True,
    scoped=True,
    uses=(
        "server",
        "volume",
        "floating_ip",
        "port",
        "router",
        "subnet",
        "network",
        "security_group",
        "image",
        "flavor",
        "keypair",
    ),
    listing=_stacks,
    create=_create,
    settle=_settle,
    update=_update,
    delete=_delete,
    check=_check,
    check_new=_check_new,
    broken=_broken,
)

ORCHESTRATION_TYPES = (STACK,)
