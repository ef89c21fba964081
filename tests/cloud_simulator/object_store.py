"""Swift: account, containers, objects and their metadata headers."""

from __future__ import annotations

import hashlib
import re

from .core import Answer, Collection, Object, Refusal, Request, Route, State, new_id, now

SERVICE = "object-store"
ROOT = "/v1/{account}"
COLLECTIONS = [
    Collection("container", SERVICE, "/containers-stored", methods=()),
    Collection("object", SERVICE, "/objects-stored", methods=()),
]
# Headers, besides metadata, that containers and objects keep.
KEPT = (
    "x-container-read",
    "x-container-write",
    "x-versions-location",
    "x-history-location",
    "x-versions-enabled",
    "x-container-sync-to",
    "x-storage-policy",
    "x-delete-at",
    "content-encoding",
    "content-disposition",
)
ACLS = ("x-container-read", "x-container-write")


def account_of(request: Request, match: dict[str, str]) -> str:
    """The account of the path; Refusal 403 when it is another project's."""
    account = match["account"]
    if account != f"AUTH_{request.who.project_id}" and not request.who.admin:
        raise Refusal(403, "Access was denied to this resource.")
    return account


def merge(held: dict[str, str], request: Request, level: str) -> None:
    """Take metadata headers: an empty value or X-Remove- takes one away. A name with an underscore is dropped
    unseen."""
    meta = f"x-{level}-meta-"
    for name, value in request.headers.items():
        low = name.lower()
        if "_" in low:
            continue
        if low in ACLS:
            parts = (part.strip() for part in value.split(","))
            value = ",".join(re.sub(r"^\.ref(er(r?er)?)?:", ".r:", part) for part in parts if part)
        if low.startswith(f"x-remove-{level}-"):
            held.pop(low.replace("x-remove-", "x-", 1), None)
        elif low.startswith(meta) or low in KEPT:
            held.pop(low, None)
            if value:
                held[low] = value


def containers_of(state: State, account: str) -> dict[str, Object]:
    """The containers of an account by name."""
    return {c["name"]: c for c in sorted(state.find("container", account=account), key=lambda c: c["name"])}


def objects_of(state: State, container: Object) -> list[Object]:
    """The objects of a container in order."""
    return sorted(state.find("object", container=container["id"]), key=lambda o: o["name"])


def versioned(container: Object) -> bool:
    """Whether earlier versions of a container's objects are kept."""
    return bool(container["headers"].get("x-versions-enabled", "").lower() == "true")


def shelve(container: Object, blob: Object) -> None:
    """Keep an object as an earlier version, if the container does that."""
    if versioned(container):
        container["old"].append(blob | {"version_id": new_id(), "is_latest": False})


def listing(request: Request, rows: list[Object]) -> Answer:
    """A listing as JSON or text, after marker, at most limit."""
    rows = [r for r in rows if r["name"] > request.one("marker") and r["name"].startswith(request.one("prefix"))]
    rows = rows[: int(request.one("limit") or 10000)]
    if request.one("format") == "json" or "json" in request.headers.get("Accept", ""):
        return Answer(200, rows)
    text = "".join(f"{r['name']}\n" for r in rows).encode()
    return Answer(200 if text else 204, text, {"Content-Type": "text/plain"})


def account(state: State, request: Request, match: dict[str, str]) -> Answer:
    """GET, HEAD and POST of an account."""
    name = account_of(request, match)
    held = state.extra.setdefault("accounts", {}).setdefault(name, {})
    if request.method == "POST":
        merge(held, request, "account")
        return Answer(204)
    found = containers_of(state, name)
    sizes = [[o["bytes"] for o in objects_of(state, c)] for c in found.values()]
    answer = listing(
        request, [{"name": n, "count": len(s), "bytes": sum(s)} for n, s in zip(found, sizes, strict=True)]
    )
    answer.headers |= held | {
        "X-Account-Container-Count": str(len(found)),
        "X-Account-Object-Count": str(sum(map(len, sizes))),
        "X-Account-Bytes-Used": str(sum(map(sum, sizes))),
    }
    if request.method == "HEAD":
        answer.status, answer.body = 204, None
    return answer


def container(state: State, request: Request, match: dict[str, str]) -> Answer:
    """All requests for a container."""
    name = account_of(request, match)
    found = containers_of(state, name).get(match["container"])
    if request.method == "PUT":
        made = found or state.put("container", name=match["container"], account=name, headers={}, old=[])
        merge(made["headers"], request, "container")
        return Answer(202 if found else 201)
    if found is None:
        raise Refusal(404, "The resource could not be found.")
    if request.method == "POST":
        merge(found["headers"], request, "container")
        return Answer(204)
    objects = objects_of(state, found)
    if request.method == "DELETE":
        if objects or found["old"]:
            raise Refusal(409, "There was a conflict when trying to complete your request: the container is not empty.")
        del state.objects["container"][found["id"]]
        return Answer(204)
    columns = ["name", "bytes", "hash", "content_type", "last_modified"]
    if request.one("versions"):
        objects = [o | {"version_id": o.get("version", "null"), "is_latest": True} for o in objects] + found["old"]
        columns += ["version_id", "is_latest"]
    rows = [{k: o[k] for k in columns} for o in objects]
    if versioned(found):
        # The parameters of a media type are lost in the listing.
        rows = [row | {"content_type": row["content_type"].partition(";")[0]} for row in rows]
    answer = listing(request, rows)
    answer.headers |= found["headers"] | {"X-Container-Object-Count": str(len(objects)),
                                          "X-Container-Bytes-Used": str(sum(o["bytes"] for o in objects))}  # fmt: skip
    if request.method == "HEAD":
        answer.status, answer.body = 204, None
    return answer


def blob(state: State, request: Request, match: dict[str, str]) -> Answer:
    """All requests for an object."""
    name = account_of(request, match)
    held = containers_of(state, name).get(match["container"])
    if held is None:
        raise Refusal(404, "The container could not be found.")
    found = next(iter(state.find("object", container=held["id"], name=match["object"])), None)
    if request.method == "PUT":
        digest = hashlib.md5(request.body, usedforsecurity=False).hexdigest()
        expected = request.headers.get("ETag", "").strip('"')
        if expected and expected != digest:
            raise Refusal(422, "The ETag does not match the data.")
        if found:
            shelve(held, found)
        made = found or state.put("object", container=held["id"], name=match["object"])
        made["version"] = new_id() if versioned(held) else "null"
        made |= {
            "bytes": len(request.body),
            "hash": digest,
            "last_modified": now(),
            "data": request.body,
            "headers": {},
            "content_type": request.headers.get("Content-Type", "application/octet-stream").replace("; ", ";"),
        }
        merge(made["headers"], request, "object")
        return Answer(201, None, {"ETag": digest})
    version = request.one("version-id")
    if request.method == "DELETE" and version and (found is None or version != found.get("version", "null")):
        held["old"] = [old for old in held["old"] if old["version_id"] != version]
        return Answer(204)
    if found is None:
        raise Refusal(404, "The resource could not be found.")
    if request.method == "POST":
        found["headers"] = {}
        merge(found["headers"], request, "object")
        return Answer(202)
    if request.method == "DELETE":
        if not version:
            shelve(held, found)
        del state.objects["object"][found["id"]]
        return Answer(204)
    headers = found["headers"] | {
        "ETag": found["hash"],
        "Content-Type": found["content_type"],
        "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT",
        "X-Timestamp": "1767225600.0",
    }
    return Answer(200, found["data"], headers)


ROUTES = [
    Route(
        SERVICE,
        "GET",
        "/info",
        lambda s, r, m: Answer(
            200, {"swift": {"version": "2.35.1", "max_file_size": 5 << 30}, "slo": {"min_segment_size": 1}}
        ),
        "info",
        open=True,
    ),
    *(Route(SERVICE, m, ROOT, account, "account") for m in ("GET", "HEAD", "POST")),
    *(
        Route(SERVICE, m, ROOT + "/{container}", container, "container")
        for m in ("GET", "HEAD", "PUT", "POST", "DELETE")
    ),
    *(
        Route(SERVICE, m, ROOT + "/{container}/{object:path}", blob, "object")
        for m in ("GET", "HEAD", "PUT", "POST", "DELETE")
    ),
]
