"""Servers of several clouds and regions as hosts, for the inventory plug-in of that name."""

from __future__ import annotations

import concurrent.futures
import ipaddress
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.api import Cloud, Login
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.errors import (
    ApiError,
    CloudError,
    Problem,
    nearest,
)

Host = dict[str, Any]
# Flavors with their names inside servers came with 2.47.
MICROVERSION = "2.53"
CLOUD_KEYS = ("cloud", "regions", "all_projects")


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
            Problem(f"Unknown key '{key}'.", nearest(str(key), CLOUD_KEYS), f"{path}.{key}")
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
    """Every server of every source, sorted, and the faults of the clouds that could not be read, each naming its cloud."""
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
        Problem(f"It has no compute service in region '{region}'.", nearest(region, offered), "regions")
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
    """The address to connect to; empty if none fits. Wanted networks come first to last, then kinds, then the order given."""
    networks = choice.networks or tuple(host["server_addresses"])
    for network in networks:
        for kind in choice.kinds:
            for entry in host["server_addresses"].get(network, []):
                if entry["kind"] == kind and choice.version in (0, entry["version"]):
                    return str(ipaddress.ip_address(entry["address"]))
    return ""


def inventory_names(hosts: list[Host], by: str) -> list[str]:
    """A name for each host: its identifier, or its name, with a part of the identifier where several have that name."""
    if by == "id":
        return [host["server_id"] for host in hosts]
    count = Counter(host["server_name"] for host in hosts)
    return [
        host["server_name"] if count[host["server_name"]] == 1 else f"{host['server_name']}-{host['server_id'][:8]}"
        for host in hosts
    ]
