"""Heat: stacks whose resources are only names."""

from __future__ import annotations

import json
import time
from typing import Any

from .core import Answer, Collection, Object, Refusal, Request, Route, State, new_id, now, page_of

SERVICE = "orchestration"
ROOT = "/v1/{tenant}/stacks"
HIDDEN = "******"
KIND = Collection("stack", SERVICE, "/stacks-stored", methods=(), defaults={
    "stack_status_reason": "", "description": "", "tags": None, "outputs": [], "timeout_mins": 60,
    "disable_rollback": True, "parent": None, "deletion_time": None})  # fmt: skip
COLLECTIONS = [KIND]


def stack_of(state: State, request: Request, name: str) -> Object:
    """A stack of the project by name or identifier; Refusal 404."""
    for stack in state.all("stack"):
        if name in (stack["id"], stack["stack_name"]) and stack["project"] == request.who.project_id:
            return stack
    raise Refusal(404, f"The Stack ({name}) could not be found.")


def view(request: Request, stack: Object) -> Object:
    """A stack as it is shown."""
    out = {k: v for k, v in stack.items() if not k.startswith("_")}
    if out["stack_status"].endswith("FAILED"):
        out["stack_status_reason"] = "Resource CREATE failed: no sand."
    if out["stack_status"] == "ROLLBACK_COMPLETE":
        out["stack_status_reason"] = "Stack ROLLBACK completed successfully"
    out["links"] = [{"rel": "self", "href": link(request, stack)}]
    schema = stack["_template"].get("parameters") or {}
    held = (
        {k: v.get("default") for k, v in schema.items()}
        | stack["_environment"].get("parameter_defaults", {})
        | stack["_given"]
    )
    out["parameters"] = {
        "OS::stack_id": stack["id"],
        "OS::project_id": stack["project"],
        "OS::stack_name": stack["stack_name"],
    }
    out["parameters"] |= {k: HIDDEN if schema[k].get("hidden") else as_text(v) for k, v in held.items() if k in schema}
    return out


def as_text(value: Any) -> str:
    """A parameter as it is told back, whatever its type."""
    if isinstance(value, list):
        return ",".join(map(str, value))
    return json.dumps(value) if isinstance(value, dict) else str(value)


def link(request: Request, stack: Object) -> str:
    """The address of a stack."""
    return f"{request.base}/v1/{stack['project']}/stacks/{stack['stack_name']}/{stack['id']}"


def template_of(body: Object) -> Object:
    """The template of a request, as a mapping when it can be read without YAML."""
    template = body.get("template")
    if isinstance(template, str):
        try:
            return dict(json.loads(template))
        except ValueError:
            return {"text": template}
    if not isinstance(template, dict):
        raise Refusal(400, "The template is missing.")
    return template


def fill(stack: Object, body: Object) -> None:
    """Take template, environment and parameters."""
    template = template_of(body)
    if "text" not in template and "heat_template_version" not in template:
        raise Refusal(400, "The template version is invalid: Template version was not provided.")
    environment = body.get("environment") or {}
    if wrong := environment.keys() - {
        "parameters",
        "parameter_defaults",
        "resource_registry",
        "encrypted_param_names",
        "event_sinks",
    }:
        raise Refusal(400, f'Environment not in valid format: environment has wrong section "{min(wrong)}".')
    schema = template.get("parameters") or {}
    if both := schema.keys() & (template.get("resources") or {}).keys():
        raise Refusal(400, f"Duplicate names {both}.")
    given = {**environment.get("parameters", {}), **(body.get("parameters") or {})}
    held = (
        {k: v["default"] for k, v in schema.items() if "default" in v}
        | environment.get("parameter_defaults", {})
        | given
    )
    for name in schema.keys() - held.keys():
        raise Refusal(400, f"The Parameter ({name}) was not provided.")
    for name in given.keys() - schema.keys():
        raise Refusal(400, f"The Parameter ({name}) was not defined in template.")
    tags = body.get("tags")
    stack |= {
        "_template": template,
        "_given": given,
        "_environment": environment,
        "description": template.get("description", ""),
        "tags": tags.split(",") if isinstance(tags, str) else tags,
        "_files": body.get("files") or {},
    }
    stack["timeout_mins"] = body.get("timeout_mins", stack["timeout_mins"])
    stack["disable_rollback"] = body.get("disable_rollback", stack["disable_rollback"])


def create(state: State, request: Request, match: dict[str, str]) -> Answer:
    """POST of a stack."""
    body = request.json()
    name = body.get("stack_name", "")
    if not name or not name[0].isalpha():
        raise Refusal(400, f"Invalid stack name {name!r}: it must begin with a letter.")
    if any(s["stack_name"] == name and s["project"] == request.who.project_id for s in state.all("stack")):
        raise Refusal(409, f"The Stack ({name}) already exists.")
    stack = dict(KIND.defaults) | {
        "id": new_id(),
        "stack_name": name,
        "project": request.who.project_id,
        "creation_time": now(),
        "updated_time": None,
        "stack_owner": "admin",
        "_events": [],
    }
    fill(stack, body)
    state.objects["stack"][stack["id"]] = stack
    begin(state, stack, "CREATE")
    return Answer(201, {"stack": {"id": stack["id"], "links": [{"rel": "self", "href": link(request, stack)}]}})


def index(state: State, request: Request, match: dict[str, str]) -> Answer:
    """GET of the project's stacks."""
    found = [s for s in state.all("stack") if s["project"] == request.who.project_id]
    if request.one("tags"):
        found = [s for s in found if set(request.one("tags").split(",")) <= set(s["tags"] or [])]
    for word, key in (("name", "stack_name"), ("status", "stack_status"), ("id", "id")):
        if request.one(word):
            found = [s for s in found if s[key] in request.query[word]]
    for stack in found:
        # Its name is free some time after its state is complete.
        if stack["stack_status"] == "DELETE_COMPLETE":
            forget(state, stack)
        state.poll(stack)
    found = [s for s in found if s["id"] in state.objects["stack"]]
    page, following = page_of(state, request, KIND, found)
    short = ("parameters", "outputs", "timeout_mins", "disable_rollback")
    body: Object = {"stacks": [{k: v for k, v in view(request, s).items() if k not in short} for s in page]}
    if following:
        body["links"] = [{"rel": "next", "href": following}]
    return Answer(200, body)


def show(state: State, request: Request, match: dict[str, str]) -> Answer:
    """GET of a stack; by its name alone it is a redirect."""
    # By its identifier one that is gone is told of too.
    stack = state.extra.get("gone stacks", {}).get(match.get("id")) or stack_of(
        state, request, match.get("id") or match["name"]
    )
    if "id" not in match:
        return Answer(302, {"stack": view(request, stack)}, {"Location": link(request, stack)})
    state.poll(stack)
    return Answer(200, {"stack": view(request, stack)})


def merged(stack: Object, body: Object) -> Object:
    """The stack as it is held, with what a PATCH says."""
    held, given = stack["_environment"], body.get("environment") or {}
    kept = {k: v for k, v in stack["_given"].items() if k not in body.get("clear_parameters", [])} | given.get(
        "parameters", {}
    )
    template = template_of(body) if "template" in body else stack["_template"]
    kept = {k: v for k, v in kept.items() if k in (template.get("parameters") or {})}
    environment = held | given
    for part in ("parameter_defaults", "resource_registry"):
        environment[part] = held.get(part, {}) | given.get(part, {})
    return (
        {"tags": ",".join(stack["tags"] or []) or None}
        | body
        | {
            "template": template,
            "files": stack["_files"] | (body.get("files") or {}),
            "environment": environment | {"parameters": {}},
            "parameters": kept | (body.get("parameters") or {}),
        }
    )


def update(state: State, request: Request, match: dict[str, str]) -> Answer:
    """PUT and PATCH of a stack."""
    stack = stack_of(state, request, match.get("id") or match["name"])
    body = request.json()
    state.poll(stack)
    if request.method == "PATCH":
        body = merged(stack, body)
    if stack["stack_status"].endswith("IN_PROGRESS"):
        raise Refusal(409, f"Stack {stack['stack_name']} already has an action in progress.")
    fill(stack, body)
    stack["updated_time"] = f"{now()[:-1]}.{time.time_ns()}Z"
    begin(state, stack, "UPDATE")
    return Answer(202)


def forget(state: State, stack: Object) -> None:
    """Leave a stack out of the listings."""
    state.extra.setdefault("gone stacks", {})[stack["id"]] = state.objects["stack"].pop(stack["id"])


def begin(state: State, stack: Object, action: str) -> None:
    """Set out to make or change a stack."""
    failed = f"{action}_FAILED" if stack["disable_rollback"] else "ROLLBACK_COMPLETE"
    if state.fail_next["stack"]:
        stack["_events"].insert(
            0, {"resource_name": "bucket", "resource_status": f"{action}_FAILED", "resource_status_reason": "no sand"}
        )
    state.settle("stack", stack, f"{action}_IN_PROGRESS", f"{action}_COMPLETE", failed, "stack_status")


def delete(state: State, request: Request, match: dict[str, str]) -> Answer:
    """DELETE of a stack."""
    stack = stack_of(state, request, match.get("id") or match["name"])
    state.settle("stack_delete", stack, "DELETE_IN_PROGRESS", "DELETE_COMPLETE", "DELETE_FAILED", "stack_status")
    if stack["stack_status"] == "DELETE_COMPLETE":
        forget(state, stack)
    return Answer(204)


def part(state: State, request: Request, match: dict[str, str]) -> Answer:
    """GET of template, environment, files, resources or events."""
    stack = stack_of(state, request, match["id"])
    names = list((stack["_template"].get("resources") or {}).items())
    schema = stack["_template"].get("parameters") or {}
    environment = {"parameter_defaults": {}, "event_sinks": [], "encrypted_param_names": []} | stack["_environment"]
    environment["resource_registry"] = {"resources": {}} | environment.get("resource_registry", {})
    environment["parameters"] = {k: HIDDEN if schema[k].get("hidden") else v for k, v in stack["_given"].items()}
    parts: dict[str, Any] = {
        "template": stack["_template"],
        "environment": environment,
        "files": stack["_files"],
        "events": {"events": stack["_events"]},
        "resources": {
            "resources": [
                {
                    "resource_name": n,
                    "resource_type": r.get("type"),
                    "resource_status": "CREATE_COMPLETE",
                    "physical_resource_id": n,
                }
                for n, r in names
            ]
        },
    }
    if match["part"] not in parts:
        raise Refusal(404, f"A stack has no {match['part']}.")
    return Answer(200, parts[match["part"]])


def versions(state: State, request: Request, match: dict[str, str]) -> Answer:
    """GET /."""
    return Answer(300, {"versions": [{"id": "v1.0", "status": "CURRENT", "links": [
        {"rel": "self", "href": f"{request.base}/v1/"}]}]})  # fmt: skip


ROUTES = [
    Route(SERVICE, "GET", "/", versions, "version", open=True),
    Route(SERVICE, "GET", ROOT, index, "stack"),
    Route(SERVICE, "POST", ROOT, create, "stack"),
    Route(SERVICE, "GET", ROOT + "/{name}", show, "stack"),
    Route(SERVICE, "GET", ROOT + "/{name}/{id}", show, "stack"),
    *(Route(SERVICE, m, ROOT + "/{name}/{id}", update, "stack") for m in ("PUT", "PATCH")),
    *(Route(SERVICE, m, ROOT + "/{name}", update, "stack") for m in ("PUT", "PATCH")),
    Route(SERVICE, "DELETE", ROOT + "/{name}", delete, "stack"),
    Route(SERVICE, "DELETE", ROOT + "/{name}/{id}", delete, "stack"),
    Route(SERVICE, "GET", ROOT + "/{name}/{id}/{part}", part, "stack_part"),
]
