"""Resource types of the compute service: flavor, key pair, host aggregate and server group. Servers have a file of
their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.schema import (
    MARK,
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
    metadata_field,
    project_field,
    wants,
    without_none,
)

# Flavors -------------------------------------------------------------------------------------------------------------


def _flavors(query: Query) -> list[Raw]:
    found = query.collect()
    for raw in found:
        if wants(query, raw["name"], "access") and not raw["os-flavor-access:is_public"]:
            answer = query.call("GET", f"/flavors/{quote(raw['id'], safe='')}/os-flavor-access").body
            raw["(access)"] = [entry["tenant_id"] for entry in answer["flavor_access"]]
    return found


def _create_flavor(op: Operation) -> Raw:
    body = {"disk": 0, **body_of(op.type, op.values)}
    raw: Raw = op.call("POST", "/flavors", {"flavor": body}).body["flavor"]
    return raw


def _extra_specs(op: Operation, before: Any, after: Any) -> None:
    path = f"/flavors/{quote(op.id, safe='')}/os-extra_specs"
    new = {key: value for key, value in after.items() if (before or {}).get(key) != value}
    if new:
        op.call("POST", path, {"extra_specs": new})
    for key in sorted((before or {}).keys() - after.keys()):
        op.call("DELETE", f"{path}/{quote(key, safe='')}", accept=(404,))


def _flavor_access(op: Operation, before: Any, after: Any) -> None:
    for action, projects in (
        ("addTenantAccess", set(after) - set(before or ())),
        ("removeTenantAccess", set(before or ()) - set(after)),
    ):
        for project in sorted(projects):
            op.call("POST", f"/flavors/{quote(op.id, safe='')}/action", {action: {"tenant": project}})


def _check_flavor(values: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    found = [
        (key, f"{values[key]} is less than {least}.", "")
        for key, least in (("ram", 1), ("vcpus", 1), ("disk", 0), ("ephemeral", 0), ("swap", 0))
        if values.get(key, least) < least
    ]
    if "access" in values and values.get("public", True):
        found.append(("access", "Everybody may use a public flavor.", "Set public: false, or remove access."))
    return found


FLAVOR = ResourceType(
    "flavor",
    "flavors",
    "compute",
    "/flavors",
    (
        NAME,
        Field("ram", "Memory in MiB.", "int", required=True, immutable=True),
        Field("vcpus", "Virtual processors.", "int", required=True, immutable=True),
        Field("disk", "Root disk in GiB; 0 for as large as the image.", "int", immutable=True),
        Field(
            "ephemeral", "Second disk in GiB, empty at first.", "int", api="OS-FLV-EXT-DATA:ephemeral", immutable=True
        ),
        # The service writes no swap as an empty text.
        Field("swap", "Swap disk in MiB.", "int", immutable=True, read=lambda raw: int(raw.get("swap") or 0)),
        Field(
            "flavor_id",
            "Identifier; the service picks one when left out.",
            api="id",
            immutable=True,
            export=False,
        ),
        Field(
            "rxtx_factor",
            "Factor of its traffic, for drivers that know one.",
            "float",
            immutable=True,
            normal=float,
            default=1.0,
        ),
        Field("public", "Whether every project may use it.", "bool", api="os-flavor-access:is_public", immutable=True),
        DESCRIPTION,
        Field(
            "extra_specs",
            "Extra specs, such as hw:cpu_policy. Keys that it does not name are removed.",
            "dict",
            normal=without_none,
            apply=_extra_specs,
        ),
        Field(
            "access",
            "Projects that may use it when it is not public; others lose access.",
            "set",
            ref="project",
            read=lambda raw: raw.get("(access)"),
            apply=_flavor_access,
        ),
    ),
    doc="A flavor, the size of a server.",
    # 2.61 holds the extra specs in the listing.
    microversion="2.61",
    list_path="/flavors/detail",
    list_params={"is_public": "None"},
    update_method="PUT",
    listing=_flavors,
    create=_create_flavor,
    check=_check_flavor,
)

# Key pairs -----------------------------------------------------------------------------------------------------------


def _keypairs(query: Query) -> list[Raw]:
    return [entry["keypair"] for entry in query.collect()]


def _create_keypair(op: Operation) -> Raw:
    raw: Raw = op.call("POST", "/os-keypairs", {"keypair": body_of(op.type, op.values)}).body["keypair"]
    return raw


def _delete_keypair(op: Operation) -> None:
    op.call("DELETE", f"/os-keypairs/{quote(op.id, safe='')}", accept=(404,))


def _check_keypair(values: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    key = str(values.get("public_key", ""))
    if "PRIVATE KEY" in key:
        return [("public_key", "This is a private key.", "Give the file that ends in .pub.")]
    if values.get("type", "ssh") == "ssh" and key and len(key.split()) < 2:
        return [("public_key", "A public key is a type and a text in base64.", "Such as ssh-ed25519 AAAA...")]
    return []


KEYPAIR = ResourceType(
    "keypair",
    "keypairs",
    "compute",
    "/os-keypairs",
    (
        NAME,
        Field(
            "public_key",
            "The public key as ssh-keygen writes it. Its comment does not count.",
            required=True,
            immutable=True,
            normal=lambda value: " ".join(value.split()[:2]) if value.startswith(("ssh-", "ecdsa-", "sk-")) else value,
        ),
        Field("type", "Kind of key.", choices=("ssh", "x509"), immutable=True),
    ),
    doc="A key pair of the login's user.",
    id_key="name",
    microversion="2.35",
    update_method="",
    listing=_keypairs,
    create=_create_keypair,
    delete=_delete_keypair,
    check=_check_keypair,
)

# Host aggregates -----------------------------------------------------------------------------------------------------


def _aggregate_metadata(op: Operation, metadata: Mapping[str, Any]) -> None:
    if metadata:
        op.call("POST", f"/os-aggregates/{op.id}/action", {"set_metadata": {"metadata": dict(metadata)}})


def _create_aggregate(op: Operation) -> Raw:
    body = {"name": op.values["name"]}
    if op.values.get("availability_zone"):
        body["availability_zone"] = op.values["availability_zone"]
    op.raw = op.call("POST", "/os-aggregates", {"aggregate": body}).body["aggregate"]
    op.raw.setdefault("hosts", [])
    if op.owner:
        _aggregate_metadata(op, {MARK: op.owner})
    return op.raw


def _update_aggregate(op: Operation, changes: dict[str, Any]) -> None:
    body = {name: changes[name] for name in ("name", "availability_zone") if changes.get(name)}
    if body:
        op.call("PUT", f"/os-aggregates/{op.id}", {"aggregate": body})


def _release_hosts(op: Operation, changes: frozenset[str]) -> None:
    """Take out hosts that leave: a host is in one zone only."""
    if "hosts" in changes:
        _aggregate_hosts(
            op, op.raw.get("hosts"), [host for host in op.raw.get("hosts") or [] if host in op.values["hosts"]]
        )
        op.raw["hosts"] = [host for host in op.raw.get("hosts") or [] if host in op.values["hosts"]]


def _check_aggregate(values: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    if "availability_zone" not in (values.get("metadata") or {}):
        return []
    return [("metadata.availability_zone", "The zone has a key of its own.", "Move it to availability_zone.")]


def _set_aggregate_metadata(op: Operation, before: Any, after: Any) -> None:
    gone: dict[str, Any] = dict.fromkeys((before or {}).keys() - after.keys())
    _aggregate_metadata(op, gone | {key: value for key, value in after.items() if (before or {}).get(key) != value})


def _aggregate_hosts(op: Operation, before: Any, after: Any) -> None:
    for action, hosts in (
        ("remove_host", set(before or ()) - set(after)),
        ("add_host", set(after) - set(before or ())),
    ):
        for host in sorted(hosts):
            op.call("POST", f"/os-aggregates/{op.id}/action", {action: {"host": host}})


def _delete_aggregate(op: Operation) -> None:
    # The service removes only empty aggregates.
    _aggregate_hosts(op, op.raw.get("hosts"), [])
    op.call("DELETE", f"/os-aggregates/{op.id}", accept=(404,))


AGGREGATE = ResourceType(
    "aggregate",
    "aggregates",
    "compute",
    "/os-aggregates",
    (
        NAME,
        Field(
            "availability_zone",
            "Availability zone that its hosts form; empty for none, which only a new aggregate can have.",
            fixed=lambda raw, before, after, values: (
                "" if after else "the compute service cannot take a zone from an aggregate"
            ),
        ),
        metadata_field("Properties for the scheduler.", ("availability_zone",), _set_aggregate_metadata),
        Field("hosts", "Compute hosts in it; others are taken out.", "set", apply=_aggregate_hosts),
    ),
    doc="A host aggregate.",
    unique_names=True,
    microversion="2.46",
    mark="metadata",
    listing=lambda query: query.collect(),
    create=_create_aggregate,
    update=_update_aggregate,
    delete=_delete_aggregate,
    release=_release_hosts,
    check=_check_aggregate,
)

# Server groups -------------------------------------------------------------------------------------------------------
GROUP_PAGE = 1000


def _server_groups(query: Query) -> list[Raw]:
    # This collection has an offset in place of links.
    found: dict[str, Raw] = {}
    for project in query.projects:
        offset, more = 0, True
        while more:
            page = query.collect(params=[("limit", GROUP_PAGE), ("offset", offset)], project=project)
            found.update((raw["id"], raw) for raw in page)
            offset += len(page)
            more = len(page) == GROUP_PAGE
    return list(found.values())


def _create_server_group(op: Operation) -> Raw:
    # The project is that of the token; the service refuses to be told.
    body = body_of(op.type, {name: value for name, value in op.values.items() if name != "project"})
    raw: Raw = op.call("POST", op.type.path, {"server_group": body}).body["server_group"]
    return raw


SERVER_GROUP = ResourceType(
    "server_group",
    "server_groups",
    "compute",
    "/os-server-groups",
    (
        NAME,
        project_field("project_id"),
        Field(
            "policy",
            "Whether its servers share a host.",
            choices=("affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity"),
            required=True,
            immutable=True,
        ),
        Field(
            "max_servers_per_host",
            "How many servers a host may take, with the policy anti-affinity.",
            "int",
            api="rules.max_server_per_host",
            immutable=True,
        ),
    ),
    doc="A server group.",
    identity=("name", "project"),
    microversion="2.64",
    update_method="",
    scoped=True,
    listing=_server_groups,
    create=_create_server_group,
    check=lambda values: (
        [("max_servers_per_host", "It counts only with the policy anti-affinity.", "Remove it or change the policy.")]
        if "max_servers_per_host" in values and values.get("policy") != "anti-affinity"
        else []
    ),
)

COMPUTE_TYPES = (FLAVOR, KEYPAIR, AGGREGATE, SERVER_GROUP)
