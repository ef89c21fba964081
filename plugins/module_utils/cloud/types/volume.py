"""Resource types of the block storage service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.errors import ApiError
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.operation import mark_metadata_filter
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.schema import (
    Field,
    Operation,
    Query,
    Raw,
    ResourceType,
    body_of,
    fault_of,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.types.common import (
    DESCRIPTION,
    NAME,
    marked_metadata,
    metadata_field,
    per_project,
    project_field,
    set_metadata,
    wants,
    without_none,
    without_what_leaves,
)

SERVICE = "block-storage"
# 3.63 tells a volume's type by its identifier, 3.42 extends attached volumes, 3.43 gives backups metadata.
VERSION = "3.63"
# Since 3.66 the snapshot of an attached volume needs no force.
SNAPSHOT_VERSION = "3.66"
# What the service itself keeps among the metadata of a volume.
OWN_METADATA = ("readonly", "attached_mode")
SETTLED = ("available", "in-use")
ENCRYPTION = ("provider", "cipher", "key_size", "control_location")

# What volumes, snapshots and backups share ---------------------------------------------------------------------------


def _listed(project_key: str, by_mark: bool = True) -> Any:
    """A listing of one type, filtered by the service where one name or only what is owned is wanted."""

    def listing(query: Query) -> list[Raw]:
        searches: list[list[tuple[str, Any]]] = [[]]
        if query.names is not None and len(query.names) <= 1 and (by_mark or not query.owner):
            searches = [[("name", name)] for name in query.names]
            if query.owner:
                searches.append(mark_metadata_filter(query.owner))
        found: dict[str, Raw] = {}
        for params in searches:
            for raw in per_project(query, f"{query.type.path}/detail", params, project_key):
                found.setdefault(raw["id"], raw)
        return list(found.values())

    return listing


def _broken(raw: Raw) -> tuple[str, bool] | None:
    if raw.get("status") != "error":
        return None
    why = fault_of(raw)
    return f"it failed when it was made, state error{f': {why}' if why else ''}", bool(raw.get("attachments"))


def _told(op: Operation) -> str:
    """Why the service's daemons failed with the object, in their own words; its state alone does not say it."""
    asked = {"resource_uuid": op.id, "sort": "created_at:asc"}
    found = op.call("GET", "/messages", params=asked, accept=(403, 404)).body.get("messages")
    return str(found[-1]["user_message"]).replace(":", ": ", 1) if found else ""


def _wait(op: Operation, *states: str) -> Raw:
    try:
        return op.wait_until(*states)
    except ApiError as error:
        why = "" if error.status else _told(op)
        raise ApiError(
            error.status, f"{error.message}{f': {why}' if why else ''}", error.request, error.mend
        ) from error


def _settle(op: Operation) -> Raw:
    return _wait(op, op.type.ready) if op.wait else op.raw


def _make(op: Operation, body: dict[str, Any], volume: str = "") -> Raw:
    """Make an object of a volume, which what else is made of it in the same run may keep busy."""

    def state() -> str:
        return str(op.call("GET", f"/volumes/{volume}").body["volume"]["status"])

    def free() -> bool:
        return state() in (*SETTLED, "error")

    # Between the refusal and the look at the volume it may have become free, so one that looks free is tried again, a
    # few times.
    left = 5
    while True:
        try:
            raw: Raw = op.call("POST", op.type.path, {op.type.body_key: body}).body[op.type.body_key]
            return raw
        except ApiError as error:
            left -= 1
            if error.status != 400 or "status" not in error.message or not volume or not left:
                raise
            now = state()
            if now == "error":
                raise
            if now not in SETTLED:
                left = 5
        op.poll(free, f"Wait for volume {volume}, of which a {op.type.name} is made")


def _delete(op: Operation) -> None:
    path = f"{op.type.path}/{op.id}"
    if op.raw.get("status") not in ("available", "error"):
        # The volume of a server that was removed a moment ago is still on its way back.
        def steady() -> bool:
            answer = op.call("GET", path, accept=(404,))
            state = answer.body.get(op.type.body_key, {}).get("status", "")
            return state not in ("detaching", "attaching", "reserved", "creating", "backing-up", "deleting")

        op.poll(steady, f"Wait for {op.type.name} {op.id} before its removal")
    op.call("DELETE", path, accept=(404,))
    if op.wait:
        op.wait_gone()


# Volumes -------------------------------------------------------------------------------------------------------------


def _create_volume(op: Operation) -> Raw:
    body: dict[str, Any] = {"metadata": marked_metadata(op)}
    for name, key in (
        ("name", "name"),
        ("size", "size"),
        ("description", "description"),
        ("type", "volume_type"),
        ("image", "imageRef"),
        ("snapshot", "snapshot_id"),
        ("source", "source_volid"),
        ("availability_zone", "availability_zone"),
    ):
        if name in op.values:
            body[key] = op.values[name]
    return _make(op, body, op.values.get("source", ""))


def _action(op: Operation, action: str, argument: Any) -> None:
    op.call("POST", f"/volumes/{op.id}/action", {action: argument})


def _update_volume(op: Operation, changes: dict[str, Any]) -> None:
    body = {name: changes[name] for name in ("name", "description") if name in changes}
    if body:
        op.call("PUT", f"/volumes/{op.id}", {"volume": body})
    if changes.keys() & {"size", "type"} and op.raw.get("status") not in SETTLED:
        _wait(op, *SETTLED)
    if "type" in changes:
        argument = {"new_type": changes["type"], "migration_policy": op.values.get("retype_migration", "never")}
        _action(op, "os-retype", argument)
        raw = _wait(op, *SETTLED)
        if raw.get("volume_type_id") != changes["type"]:
            raise ApiError(
                0,
                f"the retype was refused: it still has type {raw.get('volume_type')}",
                f"Change the type of volume {op.id}",
                "Where the types lie on different backends, set retype_migration: on-demand. The "
                "service's log has the cause.",
            )
    if "size" in changes:
        _action(op, "os-extend", {"new_size": changes["size"]})
        _wait(op, *SETTLED)


def _bootable(op: Operation, before: Any, after: Any) -> None:
    _action(op, "os-set_bootable", {"bootable": after})


def _read_only(op: Operation, before: Any, after: Any) -> None:
    _action(op, "os-update_readonly_flag", {"readonly": after})


def _check_volume(values: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    sources = [name for name in ("image", "snapshot", "source") if name in values]
    found = []
    if len(sources) > 1:
        found.append((sources[1], f"A volume is made of one source, here of {' and '.join(sources)}.", "Keep one."))
    if "size" not in values and not {"snapshot", "source"} & values.keys():
        found.append(("size", "The key 'size' is missing.", "Give the size in GiB."))
    if values.get("size", 1) < 1:
        found.append(("size", f"{values['size']} is less than 1 GiB.", ""))
    return found


VOLUME = ResourceType(
    "volume",
    "volumes",
    SERVICE,
    "/volumes",
    (
        NAME,
        project_field("os-vol-tenant-attr:tenant_id"),
        Field(
            "size",
            "Size in GiB. It can only grow.",
            "int",
            fixed=lambda raw, before, after, values: "a volume only grows" if after < before else "",
        ),
        Field("type", "Volume type. Another one is changed in place.", api="volume_type_id", ref="volume_type"),
        Field(
            "retype_migration",
            "Whether a new type may move the data to another backend.",
            choices=("never", "on-demand"),
            write_only=True,
            export=False,
        ),
        Field("image", "Image that it is made of.", ref="image", write_only=True),
        Field("snapshot", "Snapshot that it is made of.", ref="snapshot", write_only=True),
        Field("source", "Volume that it is a copy of.", ref="volume", write_only=True),
        Field("availability_zone", "Availability zone.", immutable=True),
        DESCRIPTION,
        metadata_field("Metadata.", OWN_METADATA, set_metadata),
        Field(
            "bootable",
            "Whether servers may boot from it.",
            "bool",
            read=lambda raw: str(raw.get("bootable")).lower() == "true",
            apply=_bootable,
        ),
        Field(
            "read_only",
            "Whether it is attached read-only.",
            "bool",
            read=lambda raw: str((raw.get("metadata") or {}).get("readonly")).lower() == "true",
            apply=_read_only,
        ),
    ),
    doc="A volume.",
    # A type in use takes no other specs, and what is made before its encryption is not encrypted.
    after=("volume_type",),
    identity=("name", "project"),
    microversion=VERSION,
    mark="metadata",
    scoped=True,
    ready="available",
    settle=_settle,
    listing=_listed("os-vol-tenant-attr:tenant_id"),
    create=_create_volume,
    update=_update_volume,
    delete=_delete,
    check=_check_volume,
    broken=_broken,
)

# Snapshots -----------------------------------------------------------------------------------------------------------


def _create_copy(op: Operation) -> Raw:
    """Make a snapshot or a backup, with our mark in its metadata."""
    body = {**body_of(op.type, op.values), "metadata": marked_metadata(op)}
    body.pop(op.type.field("project").key, None)
    return _make(op, body, op.values["volume"])


def _update_copy(op: Operation, changes: dict[str, Any]) -> None:
    body = {name: changes[name] for name in ("name", "description") if name in changes}
    if body:
        op.call("PUT", f"{op.type.path}/{op.id}", {op.type.body_key: body})


SNAPSHOT = ResourceType(
    "snapshot",
    "snapshots",
    SERVICE,
    "/snapshots",
    (
        NAME,
        project_field("os-extended-snapshot-attributes:project_id"),
        Field("volume", "Volume that it is of.", api="volume_id", ref="volume", required=True, immutable=True),
        DESCRIPTION,
        metadata_field("Metadata.", apply=set_metadata),
    ),
    doc="A snapshot of a volume.",
    identity=("name", "project"),
    microversion=SNAPSHOT_VERSION,
    mark="metadata",
    scoped=True,
    ready="available",
    settle=_settle,
    listing=_listed("os-extended-snapshot-attributes:project_id"),
    create=_create_copy,
    update=_update_copy,
    delete=_delete,
    broken=_broken,
)

# Backups -------------------------------------------------------------------------------------------------------------


def _backup_metadata(op: Operation, before: Any, after: Any) -> None:
    # Backups have no address for their metadata: they are replaced as a whole, our mark among them.
    marks = {key: value for key, value in (op.raw.get("metadata") or {}).items() if key not in (before or {})}
    op.call("PUT", f"/backups/{op.id}", {"backup": {"metadata": {**after, **marks}}})


BACKUP = ResourceType(
    "backup",
    "backups",
    SERVICE,
    "/backups",
    (
        NAME,
        project_field("os-backup-project-attr:project_id"),
        Field("volume", "Volume that it is of.", api="volume_id", ref="volume", required=True, immutable=True),
        Field("snapshot", "Snapshot of the volume to back up.", api="snapshot_id", ref="snapshot", write_only=True),
        Field("incremental", "Whether only what changed since the last one is kept.", "bool", write_only=True),
        Field("force", "Whether an attached volume may be backed up.", "bool", write_only=True, export=False),
        Field("container", "Container or pool of the backup store.", immutable=True),
        DESCRIPTION,
        metadata_field("Metadata.", apply=_backup_metadata),
    ),
    doc="A backup of a volume.",
    identity=("name", "project"),
    microversion=VERSION,
    mark="metadata",
    scoped=True,
    ready="available",
    settle=_settle,
    listing=_listed("os-backup-project-attr:project_id", by_mark=False),
    create=_create_copy,
    update=_update_copy,
    delete=_delete,
    broken=_broken,
)

# Volume types and their QoS specifications ---------------------------------------------------------------------------


def _qos_specs(op: Operation, before: Any, after: Any) -> None:
    new = {key: value for key, value in after.items() if (before or {}).get(key) != value}
    if new:
        op.call("PUT", f"/qos-specs/{op.id}", {"qos_specs": new})
    gone = sorted((before or {}).keys() - after.keys())
    if gone:
        op.call("PUT", f"/qos-specs/{op.id}/delete_keys", {"keys": gone})


def _create_qos(op: Operation) -> Raw:
    body = {**(without_none(op.values.get("specs")) or {}), **body_of(op.type, op.values)}
    raw: Raw = op.call("POST", "/qos-specs", {"qos_specs": body}).body["qos_specs"]
    return raw


VOLUME_QOS = ResourceType(
    "volume_qos",
    "volume_qos_specs",
    SERVICE,
    "/qos-specs",
    (
        NAME,
        Field("consumer", "Who enforces it.", choices=("front-end", "back-end", "both")),
        Field(
            "specs",
            "Limits by name. Keys that it does not name are removed.",
            "dict",
            normal=without_none,
            apply=_qos_specs,
        ),
    ),
    doc="A QoS specification, which volume types use.",
    key="qos_specs",
    collection="qos_specs",
    microversion=VERSION,
    update_method="PUT",
    create=_create_qos,
)


def _volume_types(query: Query) -> list[Raw]:
    found = query.collect(params=[("is_public", "None")])
    for raw in found:
        if not raw["is_public"] and wants(query, raw["name"], "access"):
            answer = query.call("GET", f"/types/{raw['id']}/os-volume-type-access").body
            raw["(access)"] = [entry["project_id"] for entry in answer["volume_type_access"]]
        if wants(query, raw["name"], "encryption"):
            raw["(encryption)"] = query.call("GET", f"/types/{raw['id']}/encryption").body
    return found


def _type_specs(op: Operation, before: Any, after: Any) -> None:
    new = {key: value for key, value in after.items() if (before or {}).get(key) != value}
    if new:
        op.call("POST", f"/types/{op.id}/extra_specs", {"extra_specs": new})
    for key in sorted((before or {}).keys() - after.keys()):
        op.call("DELETE", f"/types/{op.id}/extra_specs/{quote(key, safe='')}", accept=(404,))


def _type_access(op: Operation, before: Any, after: Any) -> None:
    for action, projects in (
        ("addProjectAccess", set(after) - set(before or ())),
        ("removeProjectAccess", set(before or ()) - set(after)),
    ):
        for project in sorted(projects):
            op.call("POST", f"/types/{op.id}/action", {action: {"project": project}})


def _type_encryption(op: Operation, before: Any, after: Any) -> None:
    held = op.raw.get("(encryption)") or {}
    path = f"/types/{op.id}/encryption"
    if not after:
        op.call("DELETE", f"{path}/{held.get('encryption_id', '')}", accept=(404,))
    elif held.get("encryption_id"):
        op.call("PUT", f"{path}/{held['encryption_id']}", {"encryption": after})
    else:
        op.call("POST", path, {"encryption": {"control_location": "front-end", **after}})


def _read_encryption(raw: Raw) -> dict[str, Any] | None:
    held = raw.get("(encryption)") or {}
    return {key: held[key] for key in ENCRYPTION if held.get(key) is not None} or None


def _compare_encryption(raw: Raw, wanted: Any, values: Mapping[str, Any]) -> tuple[Any, Any]:
    held = _read_encryption(raw) or {}
    return {key: held.get(key) for key in wanted or ("provider",) if held}, wanted


def _type_qos(op: Operation, before: Any, after: Any) -> None:
    # Both are GET requests that write; that is how the service has them.
    if before:
        op.call("GET", f"/qos-specs/{before}/disassociate", params={"vol_type_id": op.id})
    if after:
        op.call("GET", f"/qos-specs/{after}/associate", params={"vol_type_id": op.id})


def _check_type(values: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    found = []
    if "access" in values and values.get("public", True):
        found.append(("access", "Everybody may use a public type.", "Set public: false, or remove access."))
    for key in values.get("encryption") or {}:
        if key not in ENCRYPTION:
            found.append((f"encryption.{key}", f"Unknown key '{key}'.", f"Known: {', '.join(ENCRYPTION)}."))
    if values.get("encryption") and "provider" not in values["encryption"]:
        found.append(("encryption", "The key 'provider' is missing.", "Such as luks."))
    return found


def _create_type(op: Operation) -> Raw:
    body = body_of(op.type, op.values)
    # Only here the service has another name for it.
    if "is_public" in body:
        body["os-volume-type-access:is_public"] = body.pop("is_public")
    raw: Raw = op.call("POST", "/types", {"volume_type": body}).body["volume_type"]
    return raw


VOLUME_TYPE = ResourceType(
    "volume_type",
    "volume_types",
    SERVICE,
    "/types",
    (
        NAME,
        DESCRIPTION,
        Field("public", "Whether every project may use it.", "bool", api="is_public"),
        Field(
            "extra_specs",
            "Extra specs, such as volume_backend_name. Keys that it does not name are removed.",
            "dict",
            normal=without_none,
            apply=_type_specs,
        ),
        Field(
            "access",
            "Projects that may use it when it is not public; others lose access.",
            "set",
            ref="project",
            read=lambda raw: raw.get("(access)"),
            apply=_type_access,
        ),
        Field(
            "encryption",
            "How its volumes are encrypted: provider, cipher, key_size, control_location. An empty "
            "mapping for not at all.",
            "dict",
            read=_read_encryption,
            compare=_compare_encryption,
            apply=_type_encryption,
        ),
        Field(
            "qos",
            "QoS specification.",
            api="qos_specs_id",
            ref="volume_qos",
            apply=_type_qos,
            lets_go=without_what_leaves,
        ),
    ),
    doc="A volume type.",
    microversion=VERSION,
    update_method="PUT",
    listing=_volume_types,
    create=_create_type,
    check=_check_type,
    skip_export=lambda raw: "made by the service itself" if raw["name"] == "__DEFAULT__" else "",
)


VOLUME_TYPES = (VOLUME_QOS, VOLUME_TYPE, VOLUME, SNAPSHOT, BACKUP)
