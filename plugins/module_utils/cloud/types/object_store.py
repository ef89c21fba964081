"""Resource types of the object store: account metadata, containers and objects. Their properties are headers."""

from __future__ import annotations

import concurrent.futures
import hashlib
import io
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.errors import ApiError
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.schema import (
    MARK,
    Field,
    Operation,
    Query,
    Raw,
    ResourceType,
    words,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.types.common import (
    NAME,
    kept,
    open_file,
    project_field,
    wants,
    without_none,
)

SERVICE = "object-store"
PAGE = 10000
PARALLEL = 8
LARGEST = 5 << 30
# Fields that are kept among an account's or container's metadata, by the name of their header.
QUOTAS = {"quota_bytes": "quota-bytes", "quota_objects": "quota-count"}
KEYS = {"temp_url_key": "temp-url-key", "temp_url_key_2": "temp-url-key-2"}
KEY = re.compile(r"[A-Za-z0-9!#$%&'*+.^`|~-]+")
REFERRER = re.compile(r"^\.(?:ref|referer|referrer):")
# Headers of an object that a change of its metadata would take away.
KEPT = ("x-delete-at", "content-encoding", "content-disposition")

# Headers -------------------------------------------------------------------------------------------------------------


def _metadata_of(headers: Mapping[str, str], level: str) -> dict[str, str]:
    start = f"x-{level}-meta-"
    # Headers carry UTF-8 that the HTTP library takes for Latin-1.
    headers = {key: value.encode("latin-1", "replace").decode("utf-8", "replace") for key, value in headers.items()}
    return {key.lower().removeprefix(start): value for key, value in headers.items() if key.lower().startswith(start)}


def _lower(value: Any) -> Any:
    """Metadata with keys as headers have them: their case does not count, and what is empty is not there."""
    found = words(value)
    return {key.lower(): element or None for key, element in found.items()} if found is not None else None


def _lower_exact(value: Any) -> Any:
    return without_none(_lower(value))


def _check_metadata(values: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Keys and values that would not come back from the service as they were sent."""
    found = []
    for key, value in (values.get("metadata") or {}).items():
        if not KEY.fullmatch(str(key)):
            mend = f"Write {str(key).replace('_', '-')}." if "_" in str(key) else "It is part of a header's name."
            found.append(
                (f"metadata.{key}", f"'{key}' is no key of metadata: neither underscores nor blanks are kept.", mend)
            )
        if isinstance(value, str) and (value != value.strip() or not value.isprintable()):
            found.append(
                (f"metadata.{key}", "A value has one line and no blanks around it.", "It is a header's value.")
            )
    return found


def _access(value: Any) -> Any:
    """An access list as the service keeps it."""
    parts = [part.strip() for part in str(value or "").split(",")]
    return ",".join(REFERRER.sub(".r:", part) for part in parts if part)


def _media_type(value: Any) -> Any:
    return re.sub(r"\s*;\s*", ";", value) if value else value


def _own(raw: Raw) -> dict[str, Any]:
    return kept(raw.get("metadata"), (*QUOTAS.values(), *KEYS.values()))


def _meta_field(name: str, doc: str, key: str, kind: Any = "str", secret: bool = False) -> Field:
    """A field that is kept among the metadata below ``key``; empty or -1 removes it."""

    def read(raw: Raw) -> Any:
        value = (raw.get("metadata") or {}).get(key)
        return int(value) if value and kind == "int" else value or None

    def compare(raw: Raw, wanted: Any, values: Mapping[str, Any]) -> tuple[Any, Any]:
        held = read(raw)
        return (wanted if held is None and wanted in ("", -1) else held), wanted

    return Field(name, doc, kind, api=f"metadata.{key}", read=read, compare=compare, secret=secret, export=not secret)


def _header(level: str, key: str, value: Any) -> tuple[str, str]:
    if value in (None, "", -1):
        return f"X-Remove-{level}-Meta-{key}", "x"
    return f"X-{level}-Meta-{key}", _wire(str(value))


def _wire(text: str) -> str:
    return text.encode().decode("latin-1")


def _headers(op: Operation, level: str, values: Mapping[str, Any], exact: bool = True) -> dict[str, str]:
    """The headers that give an account or container these values."""
    pairs: list[tuple[str, str]] = []
    if "metadata" in values:
        wanted = _lower(values["metadata"]) or {}
        gone = _own(op.raw).keys() - wanted.keys() if exact else set()
        pairs += [_header(level, key, value) for key, value in sorted(wanted.items())]
        pairs += [_header(level, key, None) for key in sorted(gone)]
    for name, key in (QUOTAS | KEYS).items():
        if name in values:
            pairs.append(_header(level, key, values[name]))
    for name, key in (("read_acl", "X-Container-Read"), ("write_acl", "X-Container-Write")):
        if name in values:
            pairs.append((key, values[name]))
    if "versions" in values:
        pairs.append(("X-Versions-Enabled", str(values["versions"]).lower()))
    return dict(pairs)


# The account ---------------------------------------------------------------------------------------------------------


def _accounts(query: Query) -> list[Raw]:
    found = []
    for project in query.projects:
        headers = query.call("HEAD", "", project=project).headers
        ident = project or query.cloud.project_id
        found.append({"id": ident, "project": ident, "metadata": _metadata_of(headers, "account")})
    return found


def _update_account(op: Operation, changes: dict[str, Any]) -> None:
    op.call("POST", "", headers=_headers(op, "Account", changes, exact=False))


def _create_account(op: Operation) -> Raw:
    raise ApiError(404, "this project has no account", f"Set metadata of the account of project {op.scope}")


OBJECT_ACCOUNT = ResourceType(
    "object_account",
    "object_accounts",
    SERVICE,
    "",
    (
        project_field("project"),
        Field(
            "metadata",
            "Metadata. Only keys that are named are looked at; null removes one.",
            "dict",
            merge=True,
            read=_own,
            normal=_lower,
        ),
        _meta_field(
            "quota_bytes", "Most bytes in it, -1 for no limit. Needs the role ResellerAdmin.", "quota-bytes", "int"
        ),
        _meta_field("temp_url_key", "Key that signs temporary addresses; empty for none.", "temp-url-key", secret=True),
        _meta_field("temp_url_key_2", "A second such key, for a change.", "temp-url-key-2", secret=True),
    ),
    doc="The metadata of a project's account in the object store.",
    # Its listings are eventually right.
    reread=False,
    identity=("project",),
    mark="",
    permanent=True,
    scoped=True,
    listing=_accounts,
    skip_export=lambda raw: "" if raw["metadata"] else "it holds no metadata",
    create=_create_account,
    update=_update_account,
    check=_check_metadata,
)

# Containers ----------------------------------------------------------------------------------------------------------


def container_id(project: str, name: str) -> str:
    """Identifier of a container: its name in the login's project, its place elsewhere. No name holds a slash."""
    return f"/{project}/{name}" if project else name


def container_name(ident: str) -> str:
    """The name in a container's identifier."""
    return ident.rpartition("/")[2]


def _rows(query: Query, path: str, project: str, prefix: str = "", **more: str) -> Iterator[Raw]:
    """Every row of a listing, page by page; none where there is nothing at the path."""
    params: dict[str, Any] = {"format": "json", "limit": PAGE, **more}
    if prefix:
        params["prefix"] = prefix
    while True:
        answer = query.call("GET", path, params=params, project=project, accept=(404,))
        rows = answer.body if answer.status == 200 else []
        yield from rows
        if len(rows) < PAGE:
            return
        params["marker"] = rows[-1]["name"]


def _heads(query: Query, raws: Iterable[Raw], level: str) -> None:
    """Read the headers of many containers or objects side by side."""

    def read(raw: Raw) -> None:
        headers = query.call("HEAD", raw["(path)"], project=raw["(project)"], accept=(404,)).headers
        raw["headers"] = {key.lower(): value for key, value in headers.items()}
        raw["metadata"] = _metadata_of(headers, level)

    with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
        list(pool.map(read, raws))


# Fields of a container that its listing does not hold.
DETAILS = ("read_acl", "write_acl", "metadata", "versions", *QUOTAS, *KEYS)


def _containers(query: Query) -> list[Raw]:
    found = []
    for project in query.projects:
        for row in _rows(query, "", project):
            place = {"(path)": f"/{quote(row['name'], safe='')}", "(project)": project}
            ident = container_id(project, row["name"])
            found.append({**row, **place, "id": ident, "project": project or query.cloud.project_id})
    # Only the container itself tells whose it is.
    _heads(query, [raw for raw in found if query.owner or wants(query, raw["name"], *DETAILS)], "container")
    return found


def _path(op: Operation) -> str:
    return f"/{quote(op.values.get('name') or op.raw['name'], safe='')}"


def _create_container(op: Operation) -> Raw:
    headers = _headers(op, "Container", op.values)
    if "storage_policy" in op.values:
        headers["X-Storage-Policy"] = op.values["storage_policy"]
    if op.owner:
        headers[f"X-Container-Meta-{MARK}"] = op.owner
    op.call("PUT", _path(op), headers=headers)
    project = op.scope if op.scope != op.cloud.project_id else ""
    return {
        "id": container_id(project, op.values["name"]),
        "name": op.values["name"],
        "project": op.scope or op.cloud.project_id,
    }


def _update_container(op: Operation, changes: dict[str, Any]) -> None:
    op.call("POST", _path(op), headers=_headers(op, "Container", changes))


def _emptied(op: Operation) -> bool:
    """Remove every object with all its versions; whether there was none."""
    rows = list(_rows(Query(op.cloud, op.type), _path(op), op.scope, versions="true"))
    for row in rows:
        version = {"version-id": row["version_id"]} if row.get("version_id") else {}
        op.call("DELETE", f"{_path(op)}/{quote(row['name'])}", params=version, accept=(404,))
    return not rows


def _delete_container(op: Operation) -> None:
    if op.values.get("purge"):
        op.poll(lambda: _emptied(op), f"Remove the objects of container {op.raw['name']}")
    answer = op.call("DELETE", _path(op), accept=(404, 409))
    if answer.status == 409:
        raise ApiError(
            409,
            "it holds objects, or earlier versions of some",
            f"Remove container {op.raw['name']}",
            "Remove them first, or set purge: true to remove them with it.",
        )


def _check_container(values: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    name = values.get("name", "")
    if "/" in name or len(name.encode()) > 256:
        return [("name", f"'{name}' is no name of a container.", "It has no slash and up to 256 bytes.")]
    return _check_metadata(values)


OBJECT_CONTAINER = ResourceType(
    "object_container",
    "object_containers",
    SERVICE,
    "",
    (
        NAME,
        project_field("project"),
        Field(
            "read_acl",
            "Who may read, such as .r:*,.rlistings; empty for members only.",
            api="headers.x-container-read",
            normal=_access,
        ),
        Field("write_acl", "Who may write; empty for members only.", api="headers.x-container-write", normal=_access),
        Field(
            "metadata",
            "Metadata. Keys that it does not name are removed.",
            "dict",
            read=_own,
            normal=_lower_exact,
        ),
        _meta_field("quota_bytes", "Most bytes in it, -1 for no limit.", "quota-bytes", "int"),
        _meta_field("quota_objects", "Most objects in it, -1 for no limit.", "quota-count", "int"),
        _meta_field("temp_url_key", "Key that signs temporary addresses; empty for none.", "temp-url-key", secret=True),
        Field(
            "versions",
            "Whether earlier versions of objects are kept.",
            "bool",
            read=lambda raw: str((raw.get("headers") or {}).get("x-versions-enabled")).lower() == "true",
        ),
        Field("storage_policy", "Storage policy.", write_only=True),
        Field("purge", "Whether its objects go with it when it is removed.", "bool", write_only=True, export=False),
    ),
    doc="A container of the object store.",
    # Its listings are eventually right.
    reread=False,
    identity=("name", "project"),
    mark="metadata",
    scoped=True,
    listing=_containers,
    create=_create_container,
    update=_update_container,
    delete=_delete_container,
    check=_check_container,
)

# Objects -------------------------------------------------------------------------------------------------------------


def _objects(query: Query) -> list[Raw]:
    wanted: dict[str, set[str]] = {}
    # A store may hold billions: objects are looked for by name only.
    for entry in query.entries:
        container = entry.get("container")
        name = str(container.get("name", container.get("id"))) if isinstance(container, Mapping) else str(container)
        wanted.setdefault(container_name(name), set()).add(str(entry.get("name")))
    for ident in query.owned:
        *_, container, name = ident.split("/", 3 if ident.startswith("/") else 1)
        wanted.setdefault(container, set()).add(name)
    found = []
    for project in query.projects:
        for container, names in sorted(wanted.items()):
            path = f"/{quote(container, safe='')}"
            for row in _rows(query, path, project, _start(names)):
                if row.get("name") in names:
                    holder = container_id(project, container)
                    place = {"(path)": f"{path}/{quote(row['name'])}", "(project)": project, "container": holder}
                    ident = f"{holder}/{row['name']}"
                    found.append({**row, **place, "id": ident, "project": project or query.cloud.project_id})
    # A listing tells of a type that has parameters, such as a character set, without them at times.
    _heads(query, [raw for raw in found if wants(query, raw["name"], "metadata", "content_type")], "object")
    return found


def _start(names: Iterable[str]) -> str:
    """What all names begin with."""
    first, last = min(names), max(names)
    return first[: next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))]


def _object_path(op: Operation) -> str:
    container = container_name(op.values.get("container") or op.raw["container"])
    return f"/{quote(container, safe='')}/{quote(op.values.get('name') or op.raw['name'])}"


def _digest(values: Mapping[str, Any]) -> str:
    """The etag that an entry's data will have."""
    if "content" in values:
        return hashlib.md5(values["content"].encode(), usedforsecurity=False).hexdigest()
    with open_file(values["file"])() as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _compare_data(raw: Raw, wanted: Any, values: Mapping[str, Any]) -> tuple[Any, Any]:
    digest = _digest(values)
    source = "content" if "content" in values else wanted
    return (wanted, wanted) if raw.get("hash") == digest else (f"md5 {raw.get('hash')}", f"md5 {digest} ({source})")


def _object_headers(op: Operation, held: Mapping[str, str]) -> dict[str, str]:
    """All headers of an object: both writing data and writing metadata replace them as a whole."""
    metadata = _lower_exact(op.values["metadata"]) if "metadata" in op.values else _metadata_of(held, "object")
    headers = {f"X-Object-Meta-{key}": _wire(value) for key, value in metadata.items()}
    headers |= {key: held[key] for key in KEPT if key in held}
    kind = op.values.get("content_type") or held.get("content-type")
    return {**headers, "Content-Type": kind} if kind else headers


def _put(op: Operation, held: Mapping[str, str]) -> Raw:
    digest = _digest(op.values)
    content = op.values.get("content")
    answer = op.call(
        "PUT",
        _object_path(op),
        data=(lambda: io.BytesIO(content.encode())) if content is not None else open_file(op.values["file"]),
        headers={"Content-Type": "application/octet-stream", **_object_headers(op, held), "ETag": digest},
        timeout=op.timeout,
    )
    etag = answer.headers.get("ETag", digest).strip('"')
    if etag != digest:
        raise ApiError(
            0, f"the service stored other data (etag {etag}, wanted {digest})", f"Store object {op.values['name']}"
        )
    return {"hash": digest}


def _create_object(op: Operation) -> Raw:
    stored = _put(op, {})
    holder = op.values["container"]
    return {
        **stored,
        "id": f"{holder}/{op.values['name']}",
        "container": holder,
        "name": op.values["name"],
        "project": op.scope or op.cloud.project_id,
    }


def _update_object(op: Operation, changes: dict[str, Any]) -> None:
    held = {key.lower(): value for key, value in op.call("HEAD", _object_path(op)).headers.items()}
    if changes.keys() & {"file", "content"}:
        _put(op, held)
    else:
        op.call("POST", _object_path(op), headers=_object_headers(op, held))


def _delete_object(op: Operation) -> None:
    op.call("DELETE", _object_path(op), accept=(404,))


def _check_object(values: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    if ("file" in values) == ("content" in values):
        return [("", "Exactly one of file and content is wanted.", "")]
    return _check_metadata(values)


def _check_new_object(values: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    path = os.path.expanduser(values.get("file", ""))
    if path and not os.path.isfile(path):
        return [("file", f"There is no file {path}.", "Name a file on the host that runs the module.")]
    if path and os.path.getsize(path) > LARGEST:
        return [("file", f"The file {path} is larger than an object may be, 5 GiB.", "Split it.")]
    return []


OBJECT = ResourceType(
    "object",
    "objects",
    SERVICE,
    "",
    (
        Field("name", "Name, which may hold slashes.", required=True),
        Field("container", "Container that it is in.", ref="object_container", required=True),
        project_field("project"),
        Field(
            "file",
            "File of the host that runs the module. Compared by its md5, as the service does.",
            read=lambda raw: None,
            compare=_compare_data,
            export=False,
        ),
        Field(
            "content", "Text that it holds.", secret=True, read=lambda raw: None, compare=_compare_data, export=False
        ),
        Field(
            "content_type",
            "Media type.",
            read=lambda raw: (raw.get("headers") or {}).get("content-type") or raw.get("content_type"),
            normal=_media_type,
        ),
        Field("metadata", "Metadata. Keys that it does not name are removed.", "dict", read=_own, normal=_lower_exact),
    ),
    doc="An object of the object store.",
    # Its listings are eventually right.
    reread=False,
    identity=("name", "container", "project"),
    scoped=True,
    listing=_objects,
    create=_create_object,
    update=_update_object,
    delete=_delete_object,
    check=_check_object,
    check_new=_check_new_object,
)

OBJECT_STORE_TYPES = (OBJECT_ACCOUNT, OBJECT_CONTAINER, OBJECT)
