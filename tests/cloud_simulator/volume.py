"""Cinder: types, volumes, snapshots, backups, quotas."""

from __future__ import annotations

from typing import Any

from .core import Answer, Collection, Object, Refusal, Request, Route, State, fetch, microversion, now

SERVICE = "volume"
ROOT = "/v3/{tenant}"
QUOTAS = {"volumes": 10, "snapshots": 10, "gigabytes": 1000, "backups": 10, "backup_gigabytes": 1000, "groups": 10,
          "per_volume_gigabytes": -1}  # fmt: skip


def declare(type: str, path: str, **more: Any) -> Collection:
    """A cinder collection below the project."""
    more.setdefault("methods", ("POST", "GET", "PUT", "DELETE"))
    more.setdefault("statuses", {"POST": 202, "DELETE": 202})
    more.setdefault("missing_ref", 404)
    return Collection(type=type, service=SERVICE, path=f"{ROOT}/{path}", **more)


OWNER = "os-vol-tenant-attr:tenant_id"


def quota_of(state: State, project: str) -> dict[str, int]:
    """The limits of a project."""
    own: dict[str, int] = state.extra.setdefault("volume_quotas", {}).get(project, {})
    return QUOTAS | own


def use_of(state: State, project: str) -> dict[str, int]:
    """What a project uses."""
    volumes = state.find("volume", **{OWNER: project})
    return {"volumes": len(volumes), "gigabytes": sum(int(v["size"]) for v in volumes),
            "snapshots": len(state.find("snapshot", **{"os-extended-snapshot-attributes:project_id": project})),
            "backups": len(state.find("backup", **{"os-backup-project-attr:project_id": project}))}  # fmt: skip


def room(state: State, project: str, **wanted: int) -> None:
    """Refusal 413 when the quota leaves no room."""
    limits, used = quota_of(state, project), use_of(state, project)
    for name, more in wanted.items():
        if 0 <= limits[name] < used[name] + more:
            raise Refusal(
                413, f"{name} quota exceeded: {used[name]} of {limits[name]} are in use.", {"Retry-After": "0"}
            )


def busy(volume: Object, allowed: str = "available, in-use") -> Refusal:
    """What a volume in another state answers."""
    return Refusal(
        400,
        f"Invalid volume: Volume {volume['id']} status must be {allowed} , but current status is: {volume['status']}.",
    )


def told(state: State, request: Request, match: dict[str, str]) -> Answer:
    """GET of what the daemons told about a resource that failed."""
    subject = request.one("resource_uuid")
    failed = [
        o
        for kind in ("volume", "snapshot", "backup")
        for o in state.find(kind, id=subject)
        if o["status"].startswith("error")
    ]
    words = "schedule allocate volume:Could not find any available weighted backend."
    return Answer(200, {"messages": [{"id": o["id"], "resource_uuid": o["id"], "user_message": words} for o in failed]})


def new_volume(state: State, request: Request, obj: Object) -> None:
    """Size, source and type."""
    given = request.wrapped("volume").get("size")
    if obj.get("snapshot_id"):
        obj["size"] = given or state.get("snapshot", obj["snapshot_id"])["size"]
    if obj.get("source_volid"):
        source = state.get("volume", obj["source_volid"])
        state.poll(source)
        if source["status"] not in ("available", "in-use"):
            raise busy(source)
        obj["size"] = given or source["size"]
    if not isinstance(obj.get("size"), int) or obj["size"] < 1:
        raise Refusal(400, f"Invalid input for field/attribute size: {obj.get('size')!r}.")
    image = obj.pop("imageRef", None)
    if image:
        found = state.get("image", image, 400)
        obj |= {"bootable": "true", "volume_image_metadata": {"image_id": image, "image_name": found["name"]}}
    if obj.get("volume_type"):
        type_of(state, obj["volume_type"])
    else:
        types = state.all("volume_type")
        obj["volume_type"] = types[0]["name"] if types else None
    if obj["volume_type"]:
        # Given by name or identifier, told by name.
        obj["volume_type"] = type_of(state, obj["volume_type"])["name"]
    room(state, request.who.project_id, volumes=1, gigabytes=obj["size"])
    obj |= {"user_id": request.who.user_id, "created_at": now()}
    state.settle("volume", obj, "creating", "available", failed="error")


def type_of(state: State, name: str) -> Object:
    """A volume type by name or identifier; Refusal 404."""
    for one in state.all("volume_type"):
        if name in (one["id"], one["name"]):
            return one
    raise Refusal(404, f"Volume type {name} could not be found.")


def show_volume(state: State, request: Request, out: Object) -> Object:
    """Newer versions of the API tell the type's identifier."""
    if microversion(request) >= (3, 63):
        found = [t["id"] for t in state.all("volume_type") if t["name"] == out["volume_type"]]
        out["volume_type_id"] = found[0] if found else None
    return out


def show_backup(state: State, request: Request, out: Object) -> Object:
    """Metadata came with 3.43."""
    if microversion(request) < (3, 43):
        out.pop("metadata", None)
    return out


def drop_volume(state: State, request: Request, obj: Object) -> None:
    """Volumes in use or with snapshots stay."""
    state.poll(obj)
    if obj["status"] not in ("available", "error") or state.find("snapshot", volume_id=obj["id"]):
        raise Refusal(400, f"Invalid volume: Volume status must be available or error and must not have snapshots, "
                           f"but is {obj['status']}.")  # fmt: skip


def volume_action(state: State, request: Request, match: dict[str, str]) -> Answer:
    """POST of an action."""
    volume = fetch(state, request, state.types["volume"], {"id": match["id"]})
    action, given = next(iter(request.json().items()))
    if action == "os-extend":
        if given["new_size"] <= volume["size"]:
            raise Refusal(400, f"New size for extend must be greater than current size ({volume['size']}).")
        before = volume["status"]
        if before not in ("available", "in-use") or (before == "in-use" and microversion(request) < (3, 42)):
            raise Refusal(400, f"Invalid volume: Volume status must be available to extend, but is {before}.")
        room(state, volume[OWNER], gigabytes=given["new_size"] - volume["size"])
        volume["size"] = given["new_size"]
        state.settle("extend", volume, "extending", before, failed="error_extending")
    elif action == "os-retype":
        # A retype that a backend refuses leaves the volume as it was.
        wanted = type_of(state, given["new_type"])["name"]
        if state.fail_next["retype"]:
            state.fail_next["retype"] -= 1
        else:
            volume["volume_type"] = wanted
        state.settle("volume", volume, "retyping", volume["status"])
    elif action == "os-set_bootable":
        volume["bootable"] = str(given["bootable"]).lower()
        return Answer(200)
    elif action == "os-update_readonly_flag":
        volume["metadata"]["readonly"] = str(given["readonly"])
    elif action == "os-reset_status":
        volume["status"] = given["status"]
    else:
        raise Refusal(400, f"There is no such action: {action}.")
    return Answer(202)


def new_snapshot(state: State, request: Request, obj: Object) -> None:
    """Of an available volume, or by force."""
    volume = state.get("volume", obj["volume_id"])
    state.poll(volume)
    if "force" in obj and microversion(request) >= (3, 66):
        raise Refusal(400, "Invalid input: force is no longer accepted.")
    attached = volume["status"] == "in-use" and (obj.get("force") or microversion(request) >= (3, 66))
    if volume["status"] != "available" and not attached:
        raise busy(volume)
    obj.pop("force", None)
    room(state, request.who.project_id, snapshots=1)
    obj |= {"size": volume["size"], "created_at": now()}
    state.settle("snapshot", obj, "creating", "available", failed="error")


def new_backup(state: State, request: Request, obj: Object) -> None:
    """Of an available volume."""
    volume = state.get("volume", obj["volume_id"])
    state.poll(volume)
    if volume["status"] != "available" and not obj.get("force"):
        raise busy(volume, "available")
    for word in ("force", "incremental"):
        obj[f"is_{word}"] = bool(obj.pop(word, False))
    room(state, request.who.project_id, backups=1)
    obj |= {"size": volume["size"], "created_at": now()}
    state.settle("backup", obj, "creating", "available", failed="error")
    state.settle("backing-up", volume, "backing-up", volume["status"])


def restore(state: State, request: Request, match: dict[str, str]) -> Answer:
    """POST of a restore into a volume that there is."""
    backup = fetch(state, request, state.types["backup"], {"id": match["id"]})
    volume = state.get("volume", request.wrapped("restore")["volume_id"])
    state.poll(volume)
    if volume["status"] != "available":
        raise busy(volume, "available")
    volume["_restored"] = backup["id"]
    state.settle("restore", volume, "restoring-backup", "available")
    return Answer(202, {"restore": {"backup_id": backup["id"], "volume_id": volume["id"]}})


def drop_backup(state: State, request: Request, obj: Object) -> None:
    """What an increment stands on stays."""
    later = [one for one in state.find("backup", volume_id=obj["volume_id"]) if one["is_incremental"]]
    if later and not obj["is_incremental"]:
        raise Refusal(400, f"Invalid backup: Incremental backups exist for backup {obj['id']}.")


def unused(state: State, kind: Object, refusal: str) -> None:
    """What the volumes of a type depend on stays as it is."""
    if state.find("volume", volume_type=kind["name"]):
        raise Refusal(400, refusal)


def bag(kind: str, key: str) -> Any:
    """Routes of a mapping below an object: read, merge (POST), replace (PUT), remove one."""

    def handler(state: State, request: Request, match: dict[str, str]) -> Answer:
        owner = fetch(state, request, state.types[kind], {"id": match["id"]})
        held = owner.setdefault(key, {})
        one = match.get("key")
        if kind == "volume_type" and request.method != "GET":
            unused(state, owner, "Volume Type is currently in use.")
        if request.method == "DELETE":
            if one not in held:
                raise Refusal(404, f"{kind} has no {key} item {one}.")
            del held[one]
            return Answer(202 if kind == "volume_type" else 200)
        if request.method in ("POST", "PUT"):
            body = request.json()
            if request.method == "PUT" and one is None:
                held.clear()
            held.update(
                body if one and key not in body and "meta" not in body else body.get("meta" if one else key, {})
            )
        return Answer(200, {key: held})

    return handler


def see_type(state: State, request: Request, obj: Object) -> bool:
    """Public types, and those with access."""
    return request.who.admin or bool(obj["is_public"]) or request.who.project_id in obj.get("_access", ())


def new_type(state: State, request: Request, obj: Object) -> None:
    """Public unless said otherwise under either name."""
    obj["is_public"] = bool(obj.pop("os-volume-type-access:is_public", obj["is_public"]))
    obj["os-volume-type-access:is_public"] = obj["is_public"]
    obj["_access"] = set()


def drop_type(state: State, request: Request, obj: Object) -> None:
    """Volumes keep their type."""
    if state.find("volume", volume_type=obj["name"]):
        raise Refusal(400, "Target volume type is still in use.")


def type_action(state: State, request: Request, match: dict[str, str]) -> Answer:
    """POST of addProjectAccess and removeProjectAccess."""
    request.need_admin()
    obj = state.get("volume_type", match["id"])
    action, given = next(iter(request.json().items()))
    if obj["is_public"]:
        raise Refusal(409, "Type access modification is not applicable to public volume type.")
    access: set[str] = obj.setdefault("_access", set())
    if (given["project"] in access) == (action == "addProjectAccess"):
        raise Refusal(
            409 if action == "addProjectAccess" else 404, f"Volume type access for {given['project']} is as it was."
        )
    (access.add if action == "addProjectAccess" else access.discard)(given["project"])
    return Answer(202)


def type_access(state: State, request: Request, match: dict[str, str]) -> Answer:
    """GET of the projects of a private type."""
    obj = state.get("volume_type", match["id"])
    if obj["is_public"]:
        raise Refusal(404, "Access list not available for public volume types.")
    return Answer(
        200, {"volume_type_access": [{"volume_type_id": obj["id"], "project_id": p} for p in sorted(obj["_access"])]}
    )


def encryption(state: State, request: Request, match: dict[str, str]) -> Answer:
    """The encryption of a type."""
    request.need_admin()
    obj = state.get("volume_type", match["id"])
    if request.method == "GET":
        return Answer(200, obj.get("_encryption") or {})
    unused(state, obj, "Cannot update encryption specs. Volume type in use.")
    if request.method == "DELETE":
        if not obj.pop("_encryption", None):
            raise Refusal(404, f"Volume type {obj['id']} has no encryption.")
        return Answer(202)
    given = request.wrapped("encryption")
    if request.method == "POST":
        if obj.get("_encryption"):
            raise Refusal(409, f"Type encryption already exists for type {obj['id']}.")
        if not given.get("provider") or not given.get("control_location"):
            raise Refusal(400, "Encryption needs 'provider' and 'control_location'.")
        obj["_encryption"] = {"volume_type_id": obj["id"], "encryption_id": obj["id"], "cipher": None, "key_size": None}
    elif not obj.get("_encryption"):
        raise Refusal(404, f"Volume type {obj['id']} has no encryption.")
    obj["_encryption"] |= given
    return Answer(200, {"encryption": obj["_encryption"]})


def qos_links(state: State, request: Request, match: dict[str, str]) -> Answer:
    """associate, disassociate and list of associations; they are GET requests, even those that write."""
    request.need_admin()
    spec = state.get("volume_qos", match["id"])
    if match["action"] == "associations":
        found = [t for t in state.all("volume_type") if t["qos_specs_id"] == spec["id"]]
        return Answer(200, {"qos_associations": [
            {"association_type": "volume_type", "name": t["name"], "id": t["id"]} for t in found]})  # fmt: skip
    if match["action"] == "disassociate_all":
        for one in state.find("volume_type", qos_specs_id=spec["id"]):
            one["qos_specs_id"] = None
        return Answer(202)
    one = state.get("volume_type", request.one("vol_type_id"))
    if match["action"] == "associate":
        if one["qos_specs_id"] not in (None, spec["id"]):
            raise Refusal(400, f"Type {one['id']} is already associated with another qos specs.")
        one["qos_specs_id"] = spec["id"]
    elif match["action"] == "disassociate":
        one["qos_specs_id"] = None
    else:
        raise Refusal(404, f"There is no {match['action']}.")
    return Answer(202)


def qos_update(state: State, request: Request, match: dict[str, str]) -> Answer:
    """PUT of QoS specs, and of delete_keys."""
    request.need_admin()
    spec = state.get("volume_qos", match["id"])
    if match.get("action") == "delete_keys":
        for key in request.json().get("keys", []):
            spec["specs"].pop(key, None)
        return Answer(202)
    given = dict(request.wrapped("qos_specs"))
    spec["consumer"] = given.pop("consumer", spec["consumer"])
    spec["specs"] |= given
    return Answer(200, {"qos_specs": spec["specs"]})


def new_qos(state: State, request: Request, obj: Object) -> None:
    """Every key but the known ones is a spec."""
    known = {"id", "name", "consumer", "specs"}
    obj["specs"] = {k: obj.pop(k) for k in list(obj) if k not in known}


def drop_qos(state: State, request: Request, obj: Object) -> None:
    """Types keep their specs."""
    if state.find("volume_type", qos_specs_id=obj["id"]) and request.one("force").lower() != "true":
        raise Refusal(400, f"QoS Specs {obj['id']} is still associated with entities.")


def quota(state: State, request: Request, match: dict[str, str]) -> Answer:
    """The quota of a project."""
    project = match["project"]
    if request.method == "DELETE":
        request.need_admin()
        state.extra.setdefault("volume_quotas", {}).pop(project, None)
        return Answer(200)
    if request.method == "PUT":
        request.need_admin()
        given = request.wrapped("quota_set")
        given.pop("skip_validation", None)
        for name, value in given.items():
            if not isinstance(value, int) or value < -1:
                raise Refusal(400, f"Invalid input for {name}: {value!r}.")
        state.extra.setdefault("volume_quotas", {}).setdefault(project, {}).update(given)
        return Answer(200, {"quota_set": quota_of(state, project)})
    limits: Object = dict(QUOTAS if match.get("what") == "defaults" else quota_of(state, project))
    if request.one("usage").lower() == "true":
        used = use_of(state, project)
        limits = {k: {"limit": v, "in_use": used.get(k, 0), "reserved": 0, "allocated": 0} for k, v in limits.items()}
    return Answer(200, {"quota_set": limits | {"id": project}})


def version_of(request: Request) -> Object:
    return {"id": "v3.0", "status": "CURRENT", "version": "3.71", "min_version": "3.0",
            "links": [{"rel": "self", "href": f"{request.base}/v3/"}]}  # fmt: skip


def versions(state: State, request: Request, match: dict[str, str]) -> Answer:
    """GET / and /v3."""
    return Answer(200 if "v3" in request.path else 300, {"versions": [version_of(request)]})


COLLECTIONS = [
    declare(
        "volume",
        "volumes",
        owner=OWNER,
        own_only=True,
        detail=True,
        required=(),
        on_create=new_volume,
        on_delete=drop_volume,
        view=show_volume,
        lingers="deleting",
        defaults={
            "name": None,
            "description": None,
            "status": "available",
            "metadata": {},
            "attachments": [],
            "bootable": "false",
            "availability_zone": "nova",
            "volume_type": None,
            "snapshot_id": None,
            "source_volid": None,
            "encrypted": False,
            "multiattach": False,
            "size": 1,
            "user_id": "",
        },
    ),
    declare(
        "snapshot",
        "snapshots",
        owner="os-extended-snapshot-attributes:project_id",
        own_only=True,
        detail=True,
        required=("volume_id",),
        on_create=new_snapshot,
        lingers="deleting",
        defaults={"name": None, "description": None, "status": "available", "metadata": {}, "volume_id": ""},
    ),
    declare(
        "backup",
        "backups",
        owner="os-backup-project-attr:project_id",
        own_only=True,
        detail=True,
        required=("volume_id",),
        on_create=new_backup,
        on_delete=drop_backup,
        view=show_backup,
        lingers="deleting",
        defaults={
            "name": None,
            "description": None,
            "status": "available",
            "metadata": None,
            "container": None,
            "volume_id": "",
            "availability_zone": None,
        },
    ),
    declare(
        "volume_type",
        "types",
        admin_write=True,
        unique=(("name",),),
        visible=see_type,
        on_create=new_type,
        on_delete=drop_type,
        statuses={"POST": 200, "DELETE": 202},
        defaults={"description": None, "is_public": True, "extra_specs": {}, "qos_specs_id": None},
    ),
    declare(
        "volume_qos",
        "qos-specs",
        key="qos_specs",
        plural="qos_specs",
        admin_write=True,
        admin_read=True,
        unique=(("name",),),
        on_create=new_qos,
        on_delete=drop_qos,
        methods=("POST", "GET", "DELETE"),
        statuses={"POST": 200, "DELETE": 202},
        defaults={"consumer": "back-end", "specs": {}},
    ),
]

ROUTES = [
    Route(SERVICE, "GET", "/", versions, "version", open=True),
    Route(SERVICE, "GET", "/v3", versions, "version", open=True),
    Route(SERVICE, "GET", ROOT + "/messages", told, "volume_message"),
    Route(SERVICE, "POST", ROOT + "/volumes/{id}/action", volume_action, "volume_action"),
    Route(SERVICE, "POST", ROOT + "/backups/{id}/restore", restore, "backup_restore"),
    *(
        Route(SERVICE, m, ROOT + f"/{path}/{{id}}/{key}", bag(kind, key), f"{kind}_{key}")
        for kind, path, key in (
            ("volume", "volumes", "metadata"),
            ("snapshot", "snapshots", "metadata"),
            ("volume_type", "types", "extra_specs"),
        )
        for m in ("GET", "POST", "PUT")
    ),
    *(
        Route(SERVICE, m, ROOT + f"/{path}/{{id}}/{key}/{{key}}", bag(kind, key), f"{kind}_{key}")
        for kind, path, key in (
            ("volume", "volumes", "metadata"),
            ("snapshot", "snapshots", "metadata"),
            ("volume_type", "types", "extra_specs"),
        )
        for m in ("GET", "PUT", "DELETE")
    ),
    Route(SERVICE, "POST", ROOT + "/types/{id}/action", type_action, "volume_type_access"),
    Route(SERVICE, "GET", ROOT + "/types/{id}/os-volume-type-access", type_access, "volume_type_access"),
    *(
        Route(SERVICE, m, ROOT + "/types/{id}/encryption", encryption, "volume_type_encryption")
        for m in ("GET", "POST")
    ),
    *(
        Route(SERVICE, m, ROOT + "/types/{id}/encryption/{key}", encryption, "volume_type_encryption")
        for m in ("PUT", "DELETE")
    ),
    Route(SERVICE, "PUT", ROOT + "/qos-specs/{id}", qos_update, "volume_qos"),
    Route(SERVICE, "PUT", ROOT + "/qos-specs/{id}/{action}", qos_update, "volume_qos"),
    Route(SERVICE, "GET", ROOT + "/qos-specs/{id}/{action}", qos_links, "volume_qos_association"),
    *(Route(SERVICE, m, ROOT + "/os-quota-sets/{project}", quota, "volume_quota") for m in ("GET", "PUT", "DELETE")),
    Route(SERVICE, "GET", ROOT + "/os-quota-sets/{project}/{what}", quota, "volume_quota"),
    Route(
        SERVICE,
        "GET",
        ROOT + "/os-availability-zone",
        lambda s, r, m: Answer(200, {"availabilityZoneInfo": [{"zoneName": "nova", "zoneState": {"available": True}}]}),
        "availability_zone",
    ),
]


def seed(state: State) -> None:
    """The default type."""
    state.put("volume_type", name="__DEFAULT__", _access=set())
