"""Resource types of the DNS service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.schema import (
    Field,
    Operation,
    Query,
    Raw,
    ResourceType,
    body_of,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.types.common import (
    DESCRIPTION,
    NAME,
    per_project,
    project_field,
)

LONGEST_TTL = 2147483647
# SOA is missing: the service keeps it, and lets nobody write it.
RECORD_TYPES = tuple("A AAAA CNAME MX NS PTR SPF SRV SSHFP TXT CAA CERT NAPTR".split())
TEXTS = ("TXT", "SPF")
UNANSWERED = (
    "Its name servers, or the masters of a secondary zone, did not answer; the log of designate-worker says "
    "which. Then run again."
)


def _named(query: Query) -> list[tuple[str, Any]]:
    return [("name", name) for name in query.names] if query.names is not None and len(query.names) == 1 else []


def _broken(raw: Raw) -> tuple[str, bool] | None:
    if raw.get("status") == "ERROR" and raw.get("action") == "CREATE":
        return "the name servers did not take it when it was made, state ERROR", False
    return None


def _address(op: Operation) -> str:
    return f"/zones/{op.values.get('zone') or op.raw['zone_id']}/recordsets" if op.type is RECORD_SET else op.type.path


def _settle(op: Operation) -> Raw:
    return op.wait_until("ACTIVE", path=f"{_address(op)}/{op.id}", mend=UNANSWERED) if op.wait else op.raw


def _create(op: Operation) -> Raw:
    body = body_of(op.type, op.values)
    for name in ("project_id", "zone_id"):
        body.pop(name, None)
    raw: Raw = op.call("POST", _address(op), body).body
    return raw


def _update(op: Operation, changes: dict[str, Any]) -> None:
    op.call(op.type.update_method, f"{_address(op)}/{op.id}", body_of(op.type, changes))
    _settle(op)


def _delete(op: Operation) -> None:
    path = f"{_address(op)}/{op.id}"
    op.call("DELETE", path, accept=(404,))
    if op.wait:
        op.wait_gone(path)


def _check_name(values: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    found = []
    if not values.get("name", ".").endswith("."):
        found.append(("name", f"'{values['name']}' does not end with a dot.", f"Write {values['name']}. with the dot."))
    if not 0 <= values.get("ttl", 1) <= LONGEST_TTL:
        found.append(("ttl", f"{values['ttl']} seconds is out of range.", f"From 0 to {LONGEST_TTL}."))
    return found


def _check_zone(values: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    found = _check_name(values)
    if values.get("type") == "SECONDARY" and not values.get("masters"):
        found.append(("masters", "A secondary zone needs its masters.", "Give their addresses."))
    if values.get("type", "PRIMARY") == "PRIMARY":
        if "masters" in values:
            found.append(("masters", "Only a secondary zone has masters.", "Set type: SECONDARY, or remove masters."))
        if "email" not in values:
            found.append(("email", "The key 'email' is missing.", "The address for complaints about the zone."))
    return found


def _check_records(values: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    found = _check_name(values)
    zone = values.get("zone")
    inside = f".{values.get('name', zone)}".endswith(f".{zone}")
    if isinstance(zone, str) and zone.endswith(".") and not inside:
        found.append(("name", f"'{values['name']}' is not in the zone {zone}", f"It ends with {zone}"))
    if "records" in values and not values["records"]:
        found.append(("records", "A record set has at least one record.", "Set state: absent to remove it."))
    for record in values.get("records") or () if values.get("type") in TEXTS else ():
        if " " in str(record) and not (record.startswith('"') and record.endswith('"')):
            found.append(
                ("records", f"The text {record} has blanks and is not in double quotes.", f"Write '\"{record}\"'.")
            )
    return found


def _usual_port(masters: Any) -> Any:
    """The service leaves the port 53 out."""
    return [str(master).removesuffix(":53") for master in masters or ()]


def _of_the_zone(raw: Raw) -> str:
    own = raw["type"] == "SOA" or (raw["type"] == "NS" and raw["name"] == raw["zone_name"])
    return "made by the service itself" if own else ""


ZONE = ResourceType(
    "zone",
    "zones",
    "dns",
    "/zones",
    (
        NAME,
        project_field("project_id"),
        Field("email", "Address for complaints about it."),
        Field("ttl", "Seconds for which answers are kept.", "int"),
        Field("type", "Where its data come from.", choices=("PRIMARY", "SECONDARY"), immutable=True),
        Field(
            "masters",
            "Servers that a secondary zone is copied from, as address or address:port.",
            "set",
            normal=_usual_port,
        ),
        DESCRIPTION,
    ),
    doc="A DNS zone.",
    identity=("name", "project"),
    scoped=True,
    listing=lambda query: per_project(query, params=_named(query)),
    create=_create,
    settle=_settle,
    update=_update,
    delete=_delete,
    check=_check_zone,
    broken=_broken,
)

RECORD_SET = ResourceType(
    "recordset",
    "recordsets",
    "dns",
    "/recordsets",
    (
        Field("name", "Name with its zone, and a dot at the end.", required=True),
        Field("type", "Kind of records.", choices=RECORD_TYPES, required=True),
        Field("zone", "Zone that it is in.", api="zone_id", ref="zone", required=True),
        project_field("project_id"),
        Field("records", "The records.", "set", required=True),
        Field("ttl", "Seconds for which answers are kept; that of the zone when left out.", "int"),
        DESCRIPTION,
    ),
    doc="The records of one name and type.",
    identity=("name", "type", "zone", "project"),
    update_method="PUT",
    scoped=True,
    listing=lambda query: per_project(query, params=_named(query)),
    create=_create,
    settle=_settle,
    update=_update,
    delete=_delete,
    check=_check_records,
    broken=_broken,
    skip_export=_of_the_zone,
)

DNS_TYPES = (ZONE, RECORD_SET)
