"""Heat: stacks whose resources are only names."""

from __future__ import annotations

import json
import time
from typing import Any

from .core import Answer, Collection, Object, Refusal, Request, Route, State, new_id, now, page_of

SERVICE = "orchestration"
ROOT = "/v1/{tenant}/stacks"
KIND = Collection("stack", SERVICE, "/stacks-stored", methods=(), defaults={
    "stack_status_reason": "", "description": "", "tags": None, "parameters": {}, "outputs": [], "timeout_mins": 60,
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
    out["links"] = [{"rel": "self", "href": link(request, stack)}]
    return out


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
    """Take template and parameters."""
    template = template_of(body)
    if "text" not in template and "heat_template_version" not in template:
        raise Refusal(400, "The template version is invalid: heat_template_version is missing.")
    defaults = {k: v.get("default") for k, v in (template.get("parameters") or {}).items()}
    given = body.get("parameters") or {}
    missing = [k for k, v in defaults.items() if v is None and k not in given]
    if missing:
        raise Refusal(400, f"The Parameter ({missing[0]}) was not provided.")
    tags = body.get("tags")
    stack |= {"_template": template, "parameters": defaults | given, "_environment": body.get("environment") or {},
              "description": template.get("description", ""), "tags": tags.split(",") if isinstance(tags, str) else tags,
              "_files": body.get("files") or {}}  # fmt: skip
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
    stack = dict(KIND.defaults) | {"id": new_id(), "stack_name": name, "project": request.who.project_id, "creation_time": now(),
                                   "updated_time": None, "stack_owner": "admin"}  # fmt: skip
    fill(stack, body)
    state.objects["stack"][stack["id"]] = stack
    state.settle("stack", stack, "CREATE_IN_PROGRESS", "CREATE_COMPLETE", "CREATE_FAILED", "stack_status")
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
        state.poll(stack)
    found = [s for s in found if s["stack_status"] != "DELETE_COMPLETE"]
    page, following = page_of(state, request, KIND, found)
    short = ("parameters", "outputs", "timeout_mins", "disable_rollback")
    body: Object = {"stacks": [{k: v for k, v in view(request, s).items() if k not in short} for s in page]}
    if following:
        body["links"] = [{"rel": "next", "href": following}]
    return Answer(200, body)


def show(state: State, request: Request, match: dict[str, str]) -> Answer:
    """GET of a stack; by its name alone it is a redirect."""
    stack = stack_of(state, request, match.get("id") or match["name"])
    if "id" not in match:
        return Answer(302, {"stack": view(request, stack)}, {"Location": link(request, stack)})
    state.poll(stack)
    if stack["stack_status"] == "DELETE_COMPLETE":
        # Told once more by its identifier, then forgotten.
        del state.objects["stack"][stack["id"]]
    return Answer(200, {"stack": view(request, stack)})


def update(state: State, request: Request, match: dict[str, str]) -> Answer:
    """PUT and PATCH of a stack."""
    stack = stack_of(state, request, match.get("id") or match["name"])
    body = request.json()
    state.poll(stack)
    if request.method == "PATCH":
        body = {"template": stack["_template"], "tags": ",".join(stack["tags"] or []) or None} | body
        body["parameters"] = stack["parameters"] | (body.get("parameters") or {})
    if stack["stack_status"].endswith("IN_PROGRESS"):
        raise Refusal(409, f"Stack {stack['stack_name']} already has an action in progress.")
    fill(stack, body)
    stack["updated_time"] = f"{now()[:-1]}.{time.time_ns()}Z"
    state.settle("stack", stack, "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE", "UPDATE_FAILED", "stack_status")
    return Answer(202)


def delete(state: State, request: Request, match: dict[str, str]) -> Answer:
    """DELETE of a stack."""
    stack = stack_of(state, request, match.get("id") or match["name"])
    state.settle("stack_delete", stack, "DELETE_IN_PROGRESS", "DELETE_COMPLETE", "DELETE_FAILED", "stack_status")
    if stack["stack_status"] == "DELETE_COMPLETE":
        del state.objects["stack"][stack["id"]]
    return Answer(204)


def part(state: State, request: Request, match: dict[str, str]) -> Answer:
    """GET of template, environment, files, resources or events."""
    stack = stack_of(state, request, match["id"])
    names = list((stack["_template"].get("resources") or {}).items())
    parts: dict[str, Any] = {
        "template": stack["_template"], "environment": stack["_environment"], "files": stack["_files"], "events": {"events": []},
        "resources": {"resources": [{"resource_name": n, "resource_type": r.get("type"), "resource_status": "CREATE_COMPLETE",
                                     "physical_resource_id": n} for n, r in names]},
    }  # fmt: skip
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
