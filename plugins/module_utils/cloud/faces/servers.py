"""Servers of several clouds and regions as hosts, for the inventory plug-in of that name."""

from __future__ import annotations

import concurrent.futures
import hashlib
import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.api import Cloud, Login
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.errors import (
    ApiError,
    CloudError,
    Problem,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.common.words import hint_or_list

Host = dict[str, Any]
# Flavors with their names inside servers came with 2.47.
MICROVERSION = "2.53"
CLOUD_KEYS = ("cloud", "regions", "all_projects")
# What these stand for is Ansible's own: the control node, and every host.
RESERVED = frozenset({"localhost", "127.0.0.1", "::1", "all", "ungrouped"})
OWN_GROUPS = "server"
"""The beginning of groups that would otherwise be called as their servers' owners like."""


@dataclass(frozen=True)
class Source:
    """One cloud of the inventory. ``regions`` empty stands for the configured one, or all that the catalogue has."""

    cloud: str
    regions: tuple[str, ...] = ()
    all_projects: bool = False


@dataclass(frozen=True)
class Choice:
    """Which address Ansible connects to. Kinds are fixed and floating, in order of preference; version 0 takes both."""

    networks: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ("floating", "fixed")
    version: int = 4


def sources_of(clouds: Any) -> list[Source]:
    """What the option ``clouds`` names: words, or mappings with a cloud, its regions and whether all projects count.

    :raises CloudError: with every fault of the option.
    """
    found: list[Source] = []
    problems: list[Problem] = []
    for number, entry in enumerate(clouds if isinstance(clouds, list) else [clouds]):
        path = f"clouds[{number}]"
        if isinstance(entry, str) and entry:
            found.append(Source(entry))
            continue
        if not isinstance(entry, Mapping) or not isinstance(entry.get("cloud"), str):
            problems.append(Problem("The name of a cloud, or a mapping with the key cloud, is wanted.", "", path))
            continue
        problems += [
            Problem(f"Unknown key '{key}'.", hint_or_list(str(key), CLOUD_KEYS), f"{path}.{key}")
            for key in entry
            if key not in CLOUD_KEYS
        ]
        regions = entry.get("regions") or []
        regions = [regions] if isinstance(regions, str) else list(regions)
        found.append(Source(entry["cloud"], tuple(map(str, regions)), bool(entry.get("all_projects"))))
    if problems:
        raise CloudError(*problems)
    return found


def read_clouds(
    sources: Iterable[Source], interface: str = "public", connect: Callable[[Login], Cloud] = Cloud
) -> tuple[list[Host], list[str]]:
    """Every server of every source, sorted, and the faults of the clouds that could not be read, each naming its
    cloud."""
    hosts: list[Host] = []
    faults: list[str] = []

    def one(source: Source) -> tuple[list[Host], list[str]]:
        try:
            cloud = connect(Login(cloud=source.cloud, interface=interface))
            regions = _regions(cloud, source)
        except CloudError as error:
            return [], [f"Cloud {source.cloud}: {error}"]
        found: list[Host] = []
        wrong: list[str] = []
        for region in regions:
            try:
                found += _servers(cloud.in_region(region), source, region)
            except ApiError as error:
                wrong.append(f"Cloud {source.cloud}, region {region}: {error.problem()}")
        return found, wrong

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for found, wrong in pool.map(one, sources):
            hosts += found
            faults += wrong
    hosts.sort(key=lambda host: (host["server_name"], host["server_cloud"], host["server_region"], host["server_id"]))
    return hosts, faults


def _regions(cloud: Cloud, source: Source) -> list[str]:
    offered = cloud.regions("compute")
    wanted = list(source.regions) or ([cloud.region_name] if cloud.region_name else offered)
    problems = [
        Problem(f"It has no compute service in region '{region}'.", hint_or_list(region, offered), "regions")
        for region in wanted
        if region not in offered
    ]
    if problems or not wanted:
        raise CloudError(*(problems or [Problem("Its catalogue offers no compute service.", "Deploy one.")]))
    return wanted


def _servers(cloud: Cloud, source: Source, region: str) -> list[Host]:
    params = [("all_tenants", "True")] if source.all_projects else []
    servers = list(cloud.pages("compute", "/servers/detail", "servers", params, microversion=MICROVERSION))
    images = (
        _names(cloud, "image", "/images", "images") if any(isinstance(s.get("image"), dict) for s in servers) else {}
    )
    projects = _names(cloud, "identity", "/projects", "projects") if source.all_projects and servers else {}
    projects.setdefault(cloud.project_id, cloud.project_name)
    return [_host(server, source.cloud, region, images, projects) for server in servers]


def _names(cloud: Cloud, service: str, path: str, collection: str) -> dict[str, str]:
    """Names by identifier; nothing where this login may not list them, so that identifiers are shown."""
    if not cloud.endpoint(service):
        return {}
    try:
        return {str(raw["id"]): str(raw.get("name") or raw["id"]) for raw in cloud.pages(service, path, collection)}
    except ApiError:
        return {}


def _host(
    server: Mapping[str, Any], cloud: str, region: str, images: Mapping[str, str], projects: Mapping[str, str]
) -> Host:
    image = server.get("image") or {}
    flavor = server.get("flavor") or {}
    project = str(server.get("tenant_id") or server.get("project_id") or "")
    addresses = {
        network: [
            {
                "address": entry["addr"],
                "version": int(entry["version"]),
                "kind": str(entry.get("OS-EXT-IPS:type") or "fixed"),
                "mac": entry.get("OS-EXT-IPS-MAC:mac_addr"),
            }
            for entry in entries
        ]
        for network, entries in sorted((server.get("addresses") or {}).items())
    }
    return {
        "server_id": str(server["id"]),
        "server_name": str(server.get("name") or server["id"]),
        "server_cloud": cloud,
        "server_region": region,
        "server_project": projects.get(project, project),
        "server_status": str(server.get("status") or ""),
        "server_flavor": flavor.get("original_name") or flavor.get("id"),
        "server_image": images.get(str(image.get("id")), image.get("id")) if image else None,
        "server_key": server.get("key_name"),
        "server_zone": server.get("OS-EXT-AZ:availability_zone"),
        "server_created": server.get("created"),
        "server_metadata": dict(server.get("metadata") or {}),
        "server_tags": sorted(server.get("tags") or []),
        "server_security_groups": sorted({str(group["name"]) for group in server.get("security_groups") or []}),
        "server_addresses": addresses,
    }


def address_of(host: Host, choice: Choice) -> str:
    """The address to connect to; empty if none fits. Wanted networks come first to last, then kinds, then the order
    given."""
    networks = choice.networks or tuple(host["server_addresses"])
    for network in networks:
        for kind in choice.kinds:
            for entry in host["server_addresses"].get(network, []):
                if entry["kind"] == kind and choice.version in (0, entry["version"]):
                    return plain_address(entry["address"])
    return ""


def plain_address(text: str) -> str:
    """An IP address in its usual form; empty for anything else, such as one with a zone, which may hold any text."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return ""
    return "" if getattr(address, "scope_id", None) else str(address)


def inventory_names(hosts: list[Host], by: str, prefix: str = "", taken: Collection[str] = ()) -> list[str]:
    """A name for each host that is its own, can be written in any pattern, and takes no other host's or group's place.

    :param by: ``id``, or ``name``: the prefix and the server's name. Where that is taken, held by several servers, or
        was no host name, a part of the identifier is added; the whole of it, where somebody chose a name that ends so.
    :param taken: names that other sources of the inventory have for hosts and groups.
    """
    reserved = {*taken, *RESERVED}
    made = [host_name(f"{prefix}{host['server_name']}") for host in hosts]
    ids = [host_name(host["server_id"]) or "server" for host in hosts]
    forms: list[tuple[str, ...]] = []
    for host, name, ident in zip(hosts, made, ids, strict=True):
        place = f"{host.get('server_cloud')}/{host.get('server_region')}/{host['server_id']}"
        last = f"{prefix}{ident}-{hashlib.sha256(place.encode('utf-8', 'replace')).hexdigest()}"
        longer = (f"{name or prefix + 'server'}-{ident[:8]}", f"{name or prefix + 'server'}-{ident}", last)
        whole = (name,) if name == f"{prefix}{host['server_name']}" else ()
        forms.append((ident, last) if by == "id" else (*whole, *longer))
    level = [0] * len(hosts)
    while True:
        names = [form[level[number]] for number, form in enumerate(forms)]
        count = Counter(names)
        wrong = [
            number
            for number, name in enumerate(names)
            if (count[name] > 1 or name in reserved) and level[number] + 1 < len(forms[number])
        ]
        if not wrong:
            return names
        for number in wrong:
            level[number] += 1


def host_name(text: str) -> str:
    """`text` with what no host name has replaced by hyphens: it begins with a letter or digit and has 80 characters at
    most."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:80].rstrip("-.")


def group_name(text: str) -> str:
    """`text` as the name of a group: letters, digits and underscores, the first no digit; kept distinct where it is
    cut."""
    name = re.sub(r"[^A-Za-z0-9_]", "_", text)
    name = f"_{name}" if name[:1].isdigit() else name
    return (
        name if len(name) <= 100 else f"{name[:91]}_{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:8]}"
    )


def free_group_name(name: str, taken: Collection[str], host_names: Collection[str]) -> str:
    """A group's name that comes from values of servers: never the group of another source, nor a host's name.

    :param taken: groups that other sources filled with hosts.
    """
    while name in taken or name in host_names or name in RESERVED:
        name = f"{OWN_GROUPS}_{name}"
    return name
