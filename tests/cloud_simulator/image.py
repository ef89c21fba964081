"""Glance: images, their data and members."""

from __future__ import annotations

import hashlib

from .core import Answer, Collection, Object, Refusal, Request, Route, State, fetch, now, shown

SERVICE = "image"


def see_image(state: State, request: Request, obj: Object) -> bool:
    """Own, public and community images, and those shared with the project."""
    who = request.who
    if request.path.rstrip("/") == "/v2/images" and request.one("os_hidden").lower() != str(
        obj["os_hidden"]
    ).lower().replace("false", ""):
        return False
    member = any(m["member_id"] == who.project_id for m in state.find("image_member", image_id=obj["id"]))
    return who.admin or obj["owner"] == who.project_id or obj["visibility"] in ("public", "community") or member


def new_image(state: State, request: Request, obj: Object) -> None:
    """Queued until data come; public ones are the admin's."""
    if obj["visibility"] not in ("public", "private", "shared", "community"):
        raise Refusal(400, f"{obj['visibility']!r} is not a visibility.")
    if obj["visibility"] == "public" and not request.who.admin:
        raise Refusal(403, "You are not authorized to complete publicize_image action.")
    obj["owner"] = obj["owner"] or request.who.project_id
    obj["created_at"] = obj["updated_at"] = now()
    obj["file"] = f"/v2/images/{obj['id']}/file"
    obj["self"] = f"/v2/images/{obj['id']}"


def drop_image(state: State, request: Request, obj: Object) -> None:
    """Protected images stay."""
    if obj["protected"]:
        raise Refusal(403, f"Image {obj['id']} is protected and cannot be deleted.")
    obj.pop("_data", None)


def patch(state: State, request: Request, match: dict[str, str]) -> Answer:
    """PATCH with operations: add, replace, remove."""
    kind = state.types["image"]
    obj = fetch(state, request, kind, match)
    if not request.who.admin and obj["owner"] != request.who.project_id:
        raise Refusal(403, "You do not own this image.")
    operations = request.json()
    if not isinstance(operations, list):
        raise Refusal(400, "The body must be a list of operations.")
    changed = dict(obj)
    for one in operations:
        name = one["path"].lstrip("/").replace("~1", "/").replace("~0", "~")
        if name in ("id", "status", "checksum", "size", "created_at", "file", "os_hash_value"):
            raise Refusal(403, f"Attribute '{name}' is read-only.")
        if name in ("disk_format", "container_format") and obj["status"] != "queued":
            raise Refusal(403, f"Attribute '{name}' can not be changed when the image is {obj['status']}.")
        if one["op"] == "remove":
            if name not in changed:
                raise Refusal(409, f"Property {name} does not exist.")
            del changed[name]
        elif one["op"] == "replace" and name not in changed:
            raise Refusal(409, f"Property {name} does not exist.")
        elif name not in kind.defaults and not isinstance(one["value"], str):
            raise Refusal(
                400, f"Provided object does not match schema 'image': {one['value']!r} is not of type 'string'"
            )
        else:
            changed[name] = one["value"]
    obj.clear()
    obj |= changed | {"updated_at": now()}
    return Answer(200, shown(state, request, kind, obj))


def upload(state: State, request: Request, match: dict[str, str]) -> Answer:
    """PUT of the data."""
    obj = fetch(state, request, state.types["image"], {"id": match["id"]})
    if obj["status"] != "queued":
        raise Refusal(409, f"Image status transition from {obj['status']} to saving is not allowed.")
    if not obj["disk_format"] or not obj["container_format"]:
        raise Refusal(400, "Properties disk_format, container_format must be set prior to saving data.")
    obj |= {"checksum": hashlib.md5(request.body, usedforsecurity=False).hexdigest(), "os_hash_algo": "sha512",
            "os_hash_value": hashlib.sha512(request.body).hexdigest(), "size": len(request.body), "virtual_size": None,
            "_data": request.body}  # fmt: skip
    state.settle("image", obj, "saving", "active", failed="killed")
    return Answer(204)


def download(state: State, request: Request, match: dict[str, str]) -> Answer:
    """GET of the data."""
    obj = fetch(state, request, state.types["image"], {"id": match["id"]})
    if "_data" not in obj:
        return Answer(204)
    return Answer(200, obj["_data"], {"Content-MD5": obj["checksum"]})


def web_import(state: State, request: Request, match: dict[str, str]) -> Answer:
    """POST of an import: the address itself stands for the data."""
    obj = fetch(state, request, state.types["image"], {"id": match["id"]})
    method = request.json().get("method", {})
    if obj["status"] != "queued" or method.get("name") != "web-download":
        raise Refusal(409, f"Image status {obj['status']} does not allow the import.")
    data = str(method.get("uri")).encode()
    obj |= {"checksum": hashlib.md5(data, usedforsecurity=False).hexdigest(), "os_hash_algo": "sha512", "_data": data,
            "os_hash_value": hashlib.sha512(data).hexdigest(), "size": len(data)}  # fmt: skip
    state.settle("image", obj, "importing", "active", failed="killed")
    return Answer(202)


def activate(state: State, request: Request, match: dict[str, str]) -> Answer:
    """POST of deactivate and reactivate."""
    obj = fetch(state, request, state.types["image"], {"id": match["id"]})
    obj["status"] = "deactivated" if match["action"] == "deactivate" else "active"
    return Answer(204)


def image_tag(state: State, request: Request, match: dict[str, str]) -> Answer:
    """PUT and DELETE of a tag."""
    tags = fetch(state, request, state.types["image"], {"id": match["id"]})["tags"]
    if request.method == "PUT":
        tags += [] if match["tag"] in tags else [match["tag"]]
    elif match["tag"] in tags:
        tags.remove(match["tag"])
    else:
        raise Refusal(404, "There is no such tag.")
    return Answer(204)


def members(state: State, request: Request, match: dict[str, str]) -> Answer:
    """Members of a shared image."""
    image = fetch(state, request, state.types["image"], {"id": match["id"]})
    found = {m["member_id"]: m for m in state.find("image_member", image_id=image["id"])}
    name = match.get("member")
    if request.method == "POST":
        name = request.json().get("member", "")
        if image["visibility"] != "shared":
            raise Refusal(403, "Only shared images have members.")
        if name in found:
            raise Refusal(409, f"Member {name} is duplicated for image {image['id']}.")
        made = state.put("image_member", image_id=image["id"], member_id=name, status="pending", created_at=now())
        return Answer(200, {k: v for k, v in made.items() if k != "id"})
    if name is None:
        return Answer(200, {"members": [{k: v for k, v in m.items() if k != "id"} for m in found.values()]})
    if name not in found:
        raise Refusal(404, f"Image member {name} could not be found.")
    if request.method == "DELETE":
        del state.objects["image_member"][found[name]["id"]]
        return Answer(204)
    if request.method == "PUT":
        found[name]["status"] = request.json()["status"]
    return Answer(200, {k: v for k, v in found[name].items() if k != "id"})


def versions(state: State, request: Request, match: dict[str, str]) -> Answer:
    """GET /."""
    return Answer(300, {"versions": [{"id": "v2.16", "status": "CURRENT", "links": [
        {"rel": "self", "href": f"{request.base}/v2/"}]}]})  # fmt: skip


COLLECTIONS = [
    Collection(
        "image",
        SERVICE,
        "/v2/images",
        required=(),
        bare=True,
        own_id=True,
        extras=True,
        visible=see_image,
        on_create=new_image,
        on_delete=drop_image,
        methods=("POST", "GET", "DELETE"),
        defaults={
            "name": None,
            "status": "queued",
            "visibility": "shared",
            "protected": False,
            "min_disk": 0,
            "min_ram": 0,
            "owner": None,
            "tags": [],
            "disk_format": None,
            "container_format": None,
            "checksum": None,
            "size": None,
            "os_hidden": False,
            "os_hash_algo": None,
            "os_hash_value": None,
            "virtual_size": None,
        },
    ),
    Collection("image_member", SERVICE, "/v2/image-members-stored", methods=()),
]

ROUTES = [
    Route(SERVICE, "GET", "/", versions, "version", open=True),
    Route(SERVICE, "PATCH", "/v2/images/{id}", patch, "image"),
    Route(SERVICE, "PUT", "/v2/images/{id}/file", upload, "image_data"),
    Route(SERVICE, "GET", "/v2/images/{id}/file", download, "image_data"),
    Route(SERVICE, "POST", "/v2/images/{id}/import", web_import, "image_data"),
    Route(SERVICE, "POST", "/v2/images/{id}/actions/{action}", activate, "image"),
    Route(SERVICE, "PUT", "/v2/images/{id}/tags/{tag}", image_tag, "image_tags"),
    Route(SERVICE, "DELETE", "/v2/images/{id}/tags/{tag}", image_tag, "image_tags"),
    *(Route(SERVICE, m, "/v2/images/{id}/members", members, "image_member") for m in ("GET", "POST")),
    *(Route(SERVICE, m, "/v2/images/{id}/members/{member}", members, "image_member") for m in ("GET", "PUT", "DELETE")),
]
