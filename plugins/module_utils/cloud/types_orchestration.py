"""The resource type of the orchestration service: stacks."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.errors import ApiError
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.operation import (
    Operation,
    Query,
    is_mark,
    mark_tag,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.schema import Field, Raw, ResourceType
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.types_common import (
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
            found.setdefault(raw["id"], raw)
    for raw in found.values():
        if not wants(query, raw["stack_name"], "name"):
            continue
        path = f"/stacks/{raw['stack_name']}/{raw['id']}"
        raw |= query.call("GET", path, project=raw["project"]).body["stack"]
        for part in ("template", "environment", "files"):
            if part != "environment" or wants(query, raw["stack_name"], part):
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


def _compare_parameters(raw: Raw, wanted: Any, values: Mapping[str, Any]) -> tuple[Any, Any]:
    held = raw.get("parameters") or {}
    after = {key: _parameter(value) for key, value in wanted.items()}
    before = {
        # What the template hides is not told.
        key: value if held.get(key) == MASKED else None if held.get(key) is None else _parameter(held[key])
        for key, value in after.items()
    }
    return before, after


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
    values = op.values
    template, files = template_of(values)
    marks = [tag for tag in op.raw.get("tags") or [] if is_mark(tag)]
    if op.owner and not op.raw:
        marks.append(mark_tag(op.owner))
    others = [tag for tag in op.raw.get("tags") or [] if not is_mark(tag)]
    body: dict[str, Any] = {
        "template": template,
        "files": files,
        "parameters": {**(values.get("parameters") or {}), **(values.get("secret_parameters") or {})},
        "environment": plain(values.get("environment") or {}),
        "disable_rollback": not values.get("rollback", not op.raw.get("disable_rollback", True)),
    }
    tags = sorted({*values.get("tags", others), *marks})
    if tags:
        body["tags"] = ",".join(tags)
    minutes = values.get("timeout_mins") or op.raw.get("timeout_mins")
    return {**body, "timeout_mins": minutes} if minutes else body


def _create(op: Operation) -> Raw:
    body = {"stack_name": op.values["name"], **_body(op)}
    raw: Raw = op.call("POST", "/stacks", body).body["stack"]
    return {**raw, "stack_name": op.values["name"]}


def _settle(op: Operation) -> Raw:
    if not op.wait:
        return op.raw
    return {
        "project": op.scope or op.cloud.project_id,
        **op.wait_until("CREATE_COMPLETE", path=_path(op), key="stack_status"),
    }


def _update(op: Operation, changes: dict[str, Any]) -> None:
    def stack() -> Raw:
        raw: Raw = op.call("GET", _path(op)).body["stack"]
        return raw

    op.poll(lambda: not stack()["stack_status"].endswith("IN_PROGRESS"), f"Wait for stack {op.raw['stack_name']}")
    before = stack().get("updated_time")
    op.call("PUT", _path(op), _body(op))
    if not op.wait:
        return

    begun = False

    def arrived() -> bool:
        nonlocal begun
        # Until the update begins the old state is told.
        now = stack()
        state = now["stack_status"]
        begun = begun or state.endswith("IN_PROGRESS") or now.get("updated_time") != before
        if state.endswith("IN_PROGRESS") or not begun:
            return False
        if state != "UPDATE_COMPLETE":
            raise ApiError(
                0,
                f"its state became {state}: {now.get('stack_status_reason', '')}",
                f"Update stack {now['stack_name']}",
                "Mend the cause in the template and run again.",
            )
        return True

    op.poll(arrived, f"Wait for the update of stack {op.raw['stack_name']}")


def _delete(op: Operation) -> None:
    path = _path(op)
    op.call("DELETE", path, accept=(404,))

    def gone() -> bool:
        answer = op.call("GET", path, accept=(404,))
        stack = answer.body.get("stack", {})
        if stack.get("stack_status") == "DELETE_FAILED":
            raise ApiError(
                0,
                f"its state became DELETE_FAILED: {stack.get('stack_status_reason', '')}",
                f"Remove stack {stack['stack_name']}",
                "Remove what is in the way and run again.",
            )
        return answer.status == 404 or stack.get("stack_status") == "DELETE_COMPLETE"

    if op.wait:
        op.poll(gone, f"Wait until stack {op.raw['stack_name']} is gone")


def _check(values: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    found = []
    if ("template" in values) == ("template_file" in values):
        found.append(("", "Exactly one of template and template_file is wanted.", ""))
    if "name" in values and not values["name"][:1].isalpha():
        found.append(("name", f"'{values['name']}' does not begin with a letter.", ""))
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
        Field("files", "Further files by name.", "dict", write_only=True, export=False),
        Field(
            "parameters",
            "Parameters of the template. Those that are not named keep the template's default.",
            "dict",
            compare=_compare_parameters,
        ),
        Field(
            "secret_parameters",
            "Parameters that are not shown. They are sent with every update and not compared.",
            "dict",
            secret=True,
            write_only=True,
        ),
        Field("environment", "Environment, as a mapping.", "dict", compare=_compare_environment, export=False),
        Field("tags", "Labels.", "set"),
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
