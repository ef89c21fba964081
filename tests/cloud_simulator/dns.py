"""Designate: zones and record sets."""

from __future__ import annotations

from .core import Answer, Collection, Object, Refusal, Request, Route, State, now, page_of

SERVICE = "dns"


def new_zone(state: State, request: Request, obj: Object) -> None:
    """A name with a dot at its end, and an address for complaints."""
    if not obj["name"].endswith(".") or len(obj["name"]) < 3:
        raise Refusal(400, "Provided object does not match schema: name must end with a dot.")
    if obj["type"] == "PRIMARY" and not obj.get("email"):
        raise Refusal(400, "Provided object does not match schema: email is missing.")
    if obj["type"] == "PRIMARY" and "@" not in obj["email"]:
        raise Refusal(
            400, f"Provided object is not valid. Got a ValueError error with message {obj['email']} is not an email."
        )
    for other in state.all("zone"):
        if other["name"].endswith(f".{obj['name']}") and other["project_id"] != obj["project_id"]:
            raise Refusal(409, "Unable to create zone because another tenant owns a subzone of the zone.")
    show_masters(obj)
    obj |= {"serial": 1, "created_at": now(), "version": 1, "pool_id": "794ccc2c-d751-44fe-b57f-8894c9f5c842"}
    state.settle("zone", obj, "PENDING", "ACTIVE")
    for kind, records in (
        ("SOA", [f"ns1.example.org. {obj['email']} 1 3600 600 86400 3600"]),
        ("NS", ["ns1.example.org."]),
    ):
        state.put("recordset", zone_id=obj["id"], zone_name=obj["name"], name=obj["name"], type=kind, records=records,
                  project_id=obj["project_id"], ttl=None)  # fmt: skip


def show_masters(obj: Object) -> None:
    """The usual port is left out."""
    obj["masters"] = [master.removesuffix(":53") for master in obj.get("masters") or ()]


def check_texts(kind: str, records: list[str]) -> None:
    """Blanks stand between quotes only."""
    for record in records:
        if kind in ("TXT", "SPF") and " " in record and not (record.startswith('"') and record.endswith('"')):
            raise Refusal(400, f"'{record}' is not a '{kind}' Record.")


def new_record(state: State, request: Request, obj: Object) -> None:
    """A name inside the zone, and records."""
    zone = state.get("zone", obj["zone_id"])
    obj["zone_name"] = zone["name"]
    if not (obj["name"] == zone["name"] or obj["name"].endswith(f".{zone['name']}")):
        raise Refusal(400, "RecordSet is not contained within its parent zone.")
    if not obj["records"]:
        raise Refusal(400, "Provided object does not match schema: records are missing.")
    check_texts(obj["type"], obj["records"])
    obj["created_at"] = now()
    state.settle("recordset", obj, "PENDING", "ACTIVE")


def kept(state: State, request: Request, obj: Object) -> None:
    """SOA and NS of the zone are managed."""
    if obj["type"] in ("SOA", "NS") and obj["name"] == obj["zone_name"] and "/recordsets/" in request.path:
        raise Refusal(400, "Managed records may not be deleted.")


def change_zone(state: State, request: Request, obj: Object, values: Object) -> None:
    """The name servers take a while."""
    obj["serial"] += 1
    show_masters(obj)
    state.settle("zone", obj, "PENDING", "ACTIVE")


def change_record(state: State, request: Request, obj: Object, values: Object) -> None:
    """Managed records stay, and the name servers take a while."""
    if obj["type"] in ("SOA", "NS") and obj["name"] == obj["zone_name"]:
        raise Refusal(400, "Managed records may not be updated.")
    if values.get("records") == []:
        raise Refusal(400, "Provided object does not match schema: records are missing.")
    check_texts(obj["type"], obj["records"])
    state.settle("recordset", obj, "PENDING", "ACTIVE")


def all_records(state: State, request: Request, match: dict[str, str]) -> Answer:
    """GET /v2/recordsets over all zones of the project."""
    everywhere = request.headers.get("X-Auth-All-Projects", "").lower() == "true"
    found = [r for r in state.all("recordset") if everywhere or r["project_id"] == request.who.project_id]
    for word in ("name", "type", "zone_id"):
        if request.one(word):
            found = [r for r in found if r[word] == request.one(word)]
    page, following = page_of(state, request, state.types["recordset"], found)
    visible = [{k: v for k, v in r.items() if not k.startswith("_")} for r in page]
    links = {"self": f"{request.base}{request.path}"} | ({"next": following} if following else {})
    return Answer(200, {"recordsets": visible, "links": links, "metadata": {"total_count": len(found)}})


def versions(state: State, request: Request, match: dict[str, str]) -> Answer:
    """GET /."""
    return Answer(200, {"versions": {"values": [{"id": "v2", "status": "CURRENT", "links": [
        {"rel": "self", "href": f"{request.base}/v2"}]}]}})  # fmt: skip


COLLECTIONS = [
    Collection(
        "zone",
        SERVICE,
        "/v2/zones",
        bare=True,
        owner="project_id",
        own_only=True,
        unique=(("name",),),
        statuses={"POST": 202, "PATCH": 202, "DELETE": 202},
        cascade=(("recordset", "zone_id"),),
        on_create=new_zone,
        on_update=change_zone,
        lingers="PENDING",
        immutable=("name", "type"),
        defaults={
            "type": "PRIMARY",
            "ttl": 3600,
            "description": None,
            "status": "ACTIVE",
            "masters": [],
            "attributes": {},
            "action": "NONE",
            "email": None,
            "project_id": "",
        },
    ),
    Collection(
        "recordset",
        SERVICE,
        "/v2/zones/{zone_id}/recordsets",
        bare=True,
        owner="project_id",
        required=("name", "type"),
        refs={"zone_id": "zone"},
        missing_ref=404,
        unique=(("zone_id", "name", "type"),),
        on_create=new_record,
        on_delete=kept,
        on_update=change_record,
        lingers="PENDING",
        immutable=("name", "type"),
        methods=("POST", "GET", "PUT", "DELETE"),
        statuses={"POST": 202, "PATCH": 202, "DELETE": 202},
        defaults={
            "ttl": None,
            "description": None,
            "records": [],
            "status": "ACTIVE",
            "action": "NONE",
            "version": 1,
            "project_id": "",
        },
    ),
]

ROUTES = [
    Route(SERVICE, "GET", "/", versions, "version", open=True),
    Route(SERVICE, "GET", "/v2/recordsets", all_records, "recordset"),
]
