"""The quota of a project: one entry for the limits that compute, volume and network each keep."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.api import Cloud
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.errors import ApiError, Problem
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.schema import (
    AUTH_PROJECT,
    Field,
    Item,
    Operation,
    Plan,
    Query,
    Raw,
    ResourceType,
)

PARALLEL = 8
# Service, key of the document, key of the API, and what it limits.
LIMITS: tuple[tuple[str, str, str, str], ...] = (
    ("compute", "instances", "instances", "Servers."),
    ("compute", "cores", "cores", "Virtual processors of all servers."),
    ("compute", "ram", "ram", "Memory of all servers in MiB."),
    ("compute", "key_pairs", "key_pairs", "Key pairs of a user."),
    ("compute", "server_groups", "server_groups", "Server groups."),
    ("compute", "server_group_members", "server_group_members", "Servers in a server group."),
    ("compute", "metadata_items", "metadata_items", "Metadata of a server."),
    ("compute", "injected_files", "injected_files", "Files put into a new server, for the old API that does so."),
    ("compute", "injected_file_content_bytes", "injected_file_content_bytes", "Size of such a file in bytes."),
    ("compute", "injected_file_path_bytes", "injected_file_path_bytes", "Length of such a file's path in bytes."),
    ("block-storage", "volumes", "volumes", "Volumes."),
    ("block-storage", "gigabytes", "gigabytes", "Size of all volumes and snapshots in GiB."),
    ("block-storage", "per_volume_gigabytes", "per_volume_gigabytes", "Size of a volume in GiB."),
    ("block-storage", "snapshots", "snapshots", "Snapshots."),
    ("block-storage", "backups", "backups", "Backups."),
    ("block-storage", "backup_gigabytes", "backup_gigabytes", "Size of all backups in GiB."),
    ("block-storage", "volume_groups", "groups", "Groups of volumes."),
    ("network", "networks", "network", "Networks."),
    ("network", "subnets", "subnet", "Subnets."),
    ("network", "ports", "port", "Ports."),
    ("network", "routers", "router", "Routers."),
    ("network", "floating_ips", "floatingip", "Floating addresses."),
    ("network", "security_groups", "security_group", "Security groups."),
    ("network", "security_group_rules", "security_group_rule", "Rules of all security groups."),
    ("network", "subnet_pools", "subnetpool", "Subnet pools."),
    ("network", "rbac_policies", "rbac_policy", "Policies that share things."),
    ("network", "trunks", "trunk", "Trunks."),
)
# Path and wrapper of each service's quotas.
PLACES = {
    "compute": ("/os-quota-sets", "quota_set"),
    "block-storage": ("/os-quota-sets", "quota_set"),
    "network": ("/quotas", "quota"),
}
SERVICE_OF = {key: service for service, key, _, _ in LIMITS}


def keys_of(service: str) -> dict[str, str]:
    """Keys of the document for a service, with those of its API."""
    return {key: api for other, key, api, _ in LIMITS if other == service}


# Reading -------------------------------------------------------------------------------------------------------------


def _projects(query: Query) -> list[str]:
    if query.full or not query.entries:
        try:
            return [str(raw["id"]) for raw in query.cloud.pages("identity", "/projects", "projects")]
        except ApiError:
            return [query.cloud.project_id]
    idents = [
        query.ident("project", entry["project"]) if "project" in entry else query.cloud.project_id
        for entry in query.entries
    ]
    if None in idents:
        # A name that several projects have; which one is meant is settled later.
        return [str(raw["id"]) for raw in query.cloud.pages("identity", "/projects", "projects")]
    return sorted({str(ident) for ident in idents if ident})


def _limits(given: Mapping[str, Any], service: str) -> dict[str, int]:
    """Limits by the document's keys."""
    return {key: int(given[api]) for key, api in keys_of(service).items() if given.get(api) is not None}


def _read(cloud: Cloud, service: str, project: str) -> dict[str, int]:
    """One project's limits in one service."""
    path, wrapper = PLACES[service]
    return _limits(cloud.call(service, "GET", f"{path}/{project}").body[wrapper], service)


def _use(cloud: Cloud, service: str, project: str) -> dict[str, int]:
    """What a project uses and has reserved of a service; nothing where the service does not tell."""
    path, wrapper = PLACES[service]
    path, params = f"{path}/{project}", {}
    if service == "block-storage":
        params = {"usage": "true"}
    else:
        path += "/detail" if service == "compute" else "/details.json"
    answer = cloud.call(service, "GET", path, params=params, accept=(404,))
    given = answer.body.get(wrapper, {}) if answer.status < 400 else {}
    return {
        key: int(given[api].get("in_use", given[api].get("used", 0))) + int(given[api].get("reserved", 0))
        for key, api in keys_of(service).items()
        if isinstance(given.get(api), Mapping)
    }


def _quotas(query: Query) -> list[Raw]:
    projects = _projects(query)
    asked = [
        service
        for service in dict.fromkeys(SERVICE_OF.values())
        if (query.full or not query.entries or any(key in entry for entry in query.entries for key in keys_of(service)))
        and query.cloud.endpoint(service)
    ]
    found: dict[str, Raw] = {ident: {"id": ident, "limits": {}} for ident in projects}
    work = [(service, ident) for service in asked for ident in projects]
    if "network" in asked and len(projects) > 1:
        # This service lists the projects that have limits of their own.
        for raw in query.cloud.call("network", "GET", "/quotas").body.get("quotas", []):
            place = ("network", str(raw.get("project_id") or raw.get("tenant_id")))
            if place in work:
                work.remove(place)
                found[place[1]]["limits"] |= _limits(raw, "network")
    with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
        for (_, ident), told in zip(work, pool.map(lambda one: _read(query.cloud, *one), work), strict=True):
            found[ident]["limits"] |= told
    if query.full:
        usual = _defaults(query.cloud, asked)
        for raw in found.values():
            raw["(usual)"] = all(usual.get(key) == value for key, value in raw["limits"].items())
    return list(found.values())


def _defaults(cloud: Cloud, services: Iterable[str]) -> dict[str, int]:
    """The limits of projects that have none of their own."""
    found: dict[str, int] = {}
    for service in services:
        path, wrapper = PLACES[service]
        word = "default" if service == "network" else "defaults"
        found |= _limits(cloud.call(service, "GET", f"{path}/{cloud.project_id}/{word}").body[wrapper], service)
    return found


# Changing ------------------------------------------------------------------------------------------------------------


def _put(op: Operation, project: str, values: Mapping[str, Any]) -> None:
    for service in dict.fromkeys(SERVICE_OF.values()):
        body = {api: values[key] for key, api in keys_of(service).items() if key in values}
        if not body:
            continue
        path, wrapper = PLACES[service]
        op.cloud.call(service, "PUT", f"{path}/{project}", {wrapper: body})
        op.written += 1


def _create(op: Operation) -> Raw:
    project = str(op.values.get("project") or op.cloud.project_id)
    _put(op, project, op.values)
    limits = {key: value for key, value in op.values.items() if key in SERVICE_OF}
    return {"id": project, "limits": limits}


def _update(op: Operation, changes: dict[str, Any]) -> None:
    _put(op, op.id, changes)


# Checking ------------------------------------------------------------------------------------------------------------


def _check(values: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    return [
        (key, f"{values[key]} is no limit.", "Give a number, or -1 for no limit.")
        for key in SERVICE_OF
        if values.get(key, 0) < -1
    ]


def _changed(item: Item) -> list[str]:
    """Limits that differ from what the cloud holds, other than none at all."""
    limits = item.current["limits"] if item.current else {}
    wanted = {key: value for key, value in item.values.items() if key in SERVICE_OF}
    return [key for key, value in wanted.items() if value != -1 and limits.get(key) not in (None, value)]


def _validate(planner: Plan, items: list[Item]) -> list[Problem]:
    """Limits of services that are not offered, and limits below what is used already."""
    problems = [
        item.problem(
            f"The catalogue of this cloud offers no service of type {SERVICE_OF[key]}.",
            "Deploy and register the service, or remove the limit.",
            key,
        )
        for item in items
        for key in item.values
        if key in SERVICE_OF and not planner.cloud.endpoint(SERVICE_OF[key])
    ]
    changed = {item: _changed(item) for item in items}
    # Only what is to change is worth asking for its use, which the services have to count.
    work = [(item, service) for item in items for service in dict.fromkeys(SERVICE_OF[key] for key in changed[item])]
    with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
        told = pool.map(lambda one: _use(planner.cloud, one[1], one[0].id), work)
        for (item, service), used in zip(work, told, strict=True):
            problems += [
                item.problem(
                    f"The limit {item.values[key]} is below the use: {used[key]} are in use.",
                    f"Take at least {used[key]}, or remove what is too much first.",
                    key,
                )
                for key in changed[item]
                if SERVICE_OF[key] == service and item.values[key] < used.get(key, 0)
            ]
    return problems


def _reader(key: str) -> Any:
    return lambda raw: raw["limits"].get(key)


def _makes_room(own: Item, item: Item) -> bool:
    """Whether an entry may raise the limit under which another one comes to be."""
    return item.type.service in PLACES and item.resolved.get("project") in (None, own.resolved.get("project"))


QUOTA = ResourceType(
    "quota",
    "quotas",
    "identity",
    "/quotas",
    (
        Field("project", "Project, that of the login by default.", api="id", ref="project", default=AUTH_PROJECT),
        *(Field(key, f"{doc} -1 for no limit.", "int", read=_reader(key)) for _, key, _, doc in LIMITS),
    ),
    doc="The quota of a project in the compute, volume and network services.",
    identity=("project",),
    before=_makes_room,
    mark="",
    permanent=True,
    listing=_quotas,
    list_last=True,
    create=_create,
    update=_update,
    check=_check,
    validate=_validate,
    skip_export=lambda raw: "the limits that every project has" if raw.get("(usual)") else "",
)
