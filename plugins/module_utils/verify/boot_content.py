"""What the boot test makes, as one document for the cloud engine, and how remains of other runs are found."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.api import Cloud
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.operation import list_objects
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.schema import Query, Raw, read_field
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.types.registry import BY_NAME

MARK = "made and removed by the Stackwright boot test"
USER_DATA = "#!/bin/sh\necho stackwright-user-data > /run/stackwright-user-data\n"
MEMORY_MIB = 192

Document = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class Settings:
    """What to build.

    ``hosts`` are compute hosts that get one guest each; empty lets the scheduler place a single guest. ``timeout`` is
    in seconds and applies to each thing that is waited for. ``throughput_minimum`` is in MiB/s, 0 for no bound.
    An empty ``tenant_cidr_v6`` leaves IPv6 out, an empty ``stateful_cidr_v6`` DHCPv6. ``external_*`` describe the
    provider network that is made when the cloud has no external network yet. ``routed_v6`` says that ``tenant_cidr_v6``
    is reached from outside, through the router's address ``routed_via_v6`` on the external network, or through
    whichever it gets.
    """

    image: str
    prefix: str = "stackwright-verify"
    hosts: tuple[str, ...] = ()
    tenant_cidr: str = "192.168.213.0/24"
    name_servers: tuple[str, ...] = ("192.0.2.53",)
    external_name: str = ""
    external_physical_network: str = "external"
    external_type: str = "flat"
    external_segment: int | None = None
    external_cidr: str = ""
    external_gateway: str = ""
    external_pool_start: str = ""
    external_pool_end: str = ""
    external_cidr_v6: str = ""
    tenant_cidr_v6: str = "fd53:7477:6774::/64"
    stateful_cidr_v6: str = "fd53:7477:6775::/64"
    routed_v6: bool = False
    routed_via_v6: str = ""
    throughput_minimum: float = 0.5
    large_packets: bool = True
    resize: bool = False
    migrate: bool = False
    volumes: bool = False
    timeout: float = 180
    keep_failed: bool = False


@dataclass(frozen=True)
class Run:
    """One run. Everything that it makes is called after it, so that nothing of others can be meant, and bears its
    mark."""

    prefix: str
    number: str = field(default_factory=lambda: secrets.token_hex(4))

    @property
    def name(self) -> str:
        """Name of everything that is made."""
        return f"{self.prefix}-{self.number}"

    @property
    def mark(self) -> str:
        """What tells that this run made a thing."""
        return f"{any_run(self.prefix)}{self.number}"

    @property
    def larger(self) -> str:
        """Name of the flavor that a server is resized to."""
        return f"{self.name}-larger"

    @property
    def subnet_v6(self) -> str:
        """Name of the guests' IPv6 subnet."""
        return f"{self.name}-v6"

    @property
    def stateful(self) -> str:
        """Name of the network, and of its subnet, whose addresses DHCPv6 hands out."""
        return f"{self.name}-dhcpv6"

    @property
    def external(self) -> str:
        """Name of the external network, where one is made."""
        return f"{self.name}-external"

    @property
    def external_v6(self) -> str:
        """Name of that network's IPv6 subnet."""
        return f"{self.name}-external-v6"


def any_run(prefix: str) -> str:
    """How the marks of all runs with a prefix begin. Tests with different prefixes may run at the same time."""
    return f"{MARK}: {prefix}, run "


def document(
    run: Run,
    settings: Settings,
    guests: Sequence[tuple[str, str]],
    *,
    external: str = "",
    external_subnet: str = "",
    key: str = "",
    port: str = "",
) -> Document:
    """Everything that a run makes but the external network.

    :param guests: name and compute host of each server; no host lets the scheduler choose.
    :param external: identifier of the external network.
    :param external_subnet: identifier of its IPv4 subnet, for a router whose addresses there are named.
    :param key: the public key.
    :param port: identifier of the port that the floating address leads to.
    """
    named = {"name": run.name}
    marked = {**named, "description": run.mark}
    networks, v6_subnets, v6_rules = [marked], _v6_subnets(run, settings, marked), list[dict[str, Any]]()
    if settings.tenant_cidr_v6 and settings.stateful_cidr_v6:
        networks.append({**marked, "name": run.stateful})
    if settings.tenant_cidr_v6:
        v6_rules = [
            {"protocol": "ipv6-icmp", "ethertype": "IPv6"},
            {"protocol": "tcp", "port_range_min": 22, "ethertype": "IPv6"},
        ]
    gateway = {}
    if settings.routed_v6 and settings.routed_via_v6:
        gateway = {"external_fixed_ips": [{"subnet": external_subnet}, {"ip_address": settings.routed_via_v6}]}
    return {
        "images": [
            {
                **named,
                "file": settings.image,
                "disk_format": "qcow2",
                "container_format": "bare",
                "visibility": "private",
                "min_ram": MEMORY_MIB,
                "min_disk": 1,
                "properties": {"stackwright": run.mark, "hw_rng_model": "virtio"},
            }
        ],
        "flavors": [
            {**marked, "name": name, "ram": memory, "vcpus": 1, "disk": 1, "public": False}
            for name, memory in ((run.name, MEMORY_MIB), (run.larger, MEMORY_MIB + 64))
            if name == run.name or settings.resize
        ],
        "networks": networks,
        "subnets": [
            {
                **marked,
                "network": run.name,
                "cidr": settings.tenant_cidr,
                "dns_nameservers": list(settings.name_servers),
            },
            *v6_subnets,
        ],
        "routers": [
            {
                **marked,
                "external_network": external,
                "interfaces": [run.name, *(one["name"] for one in v6_subnets)],
                **gateway,
            }
        ],
        "security_groups": [
            {**marked, "rules": [{"protocol": "icmp"}, {"protocol": "tcp", "port_range_min": 22}, *v6_rules]}
        ],
        "keypairs": [{**named, "public_key": key}],
        "servers": [
            {
                "name": name,
                "image": run.name,
                "flavor": run.name,
                "networks": [{"network": network["name"]} for network in networks],
                "security_groups": [run.name],
                "keypair": run.name,
                "user_data": USER_DATA,
                "metadata": {"stackwright": run.mark},
                **({"host": host} if host else {}),
            }
            for name, host in guests
        ],
        # The service keeps the name of a floating address as its description.
        "floating_ips": [{"name": run.mark, "network": external, "port": port}],
    }


def _v6_subnets(run: Run, settings: Settings, marked: dict[str, Any]) -> list[dict[str, Any]]:
    """The subnet in which guests configure themselves, and the one whose addresses DHCPv6 hands out.

    Each has a network of its own: what a router advertises is the same for all subnets of a network.
    """
    wanted = [(run.subnet_v6, run.name, settings.tenant_cidr_v6, "slaac")]
    if settings.stateful_cidr_v6:
        wanted.append((run.stateful, run.stateful, settings.stateful_cidr_v6, "dhcpv6-stateful"))
    return [
        {**marked, "name": name, "network": network, "cidr": cidr, "ipv6_ra_mode": mode, "ipv6_address_mode": mode}
        for name, network, cidr, mode in wanted
        if settings.tenant_cidr_v6
    ]


def external_document(run: Run, settings: Settings) -> Document:
    """The external network that is made where a cloud has none."""
    marked = {"name": run.external, "description": run.mark}
    v6 = {"name": run.external_v6, "network": run.external, "cidr": settings.external_cidr_v6, "dhcp": False}
    pool = {"start": settings.external_pool_start, "end": settings.external_pool_end}
    return {
        "networks": [
            {
                **marked,
                "external": True,
                "network_type": settings.external_type,
                "physical_network": settings.external_physical_network or None,
                "segmentation_id": settings.external_segment,
            }
        ],
        "subnets": [
            {
                **marked,
                "network": run.external,
                "cidr": settings.external_cidr,
                "gateway_ip": settings.external_gateway or "none",
                "dhcp": False,
                "allocation_pools": [pool] if settings.external_pool_start else None,
            },
            *([{**marked, **v6}] if settings.external_cidr_v6 else []),
        ],
    }


def _description(raw: Raw) -> Any:
    return raw.get("description")


@dataclass(frozen=True)
class Trace:
    """Where the mark of a thing stands, and by which query the service leaves out what other projects have."""

    mark: Callable[[Raw], Any]
    project: str = ""


def _metadata(raw: Raw) -> Any:
    return (raw.get("metadata") or {}).get("stackwright")


# In this order they are told. Subnets go with their networks; key pairs have no field for a mark, only a name.
TRACES: Mapping[str, Trace] = {
    "server": Trace(_metadata),
    "floating_ip": Trace(_description, "project_id"),
    "router": Trace(_description, "project_id"),
    "network": Trace(_description, "project_id"),
    "security_group": Trace(_description, "project_id"),
    "keypair": Trace(lambda raw: None),
    "flavor": Trace(_description),
    "image": Trace(lambda raw: raw.get("stackwright"), "owner"),
}


# Those of the block storage service, which not every cloud has.
VOLUME_TRACES: Mapping[str, Trace] = {
    "volume": Trace(_metadata),
    "snapshot": Trace(_metadata),
    "backup": Trace(_metadata),
    "volume_type": Trace(_description),
}


def traces(volumes: bool) -> Mapping[str, Trace]:
    """How the work of a run is told from that of others, by resource type; with those of block storage or without."""
    return {**TRACES, **VOLUME_TRACES} if volumes else TRACES


def remains(cloud: Cloud, prefix: str, kind: str) -> Document:
    """What runs with this prefix left of one type, as a document that removes it.

    :raises ApiError: it cannot be listed.
    """
    trace = traces(volumes=True)[kind]
    own = {trace.project: cloud.project_id} if trace.project else {}
    declared = replace(BY_NAME[kind], list_params={**BY_NAME[kind].list_params, **own})
    names = []
    for raw in (declared.listing or list_objects)(Query(cloud, declared)):
        name, mark = read_field(declared.field("name"), raw), trace.mark(raw)
        if kind == "keypair":
            found = re.fullmatch(rf"{re.escape(prefix)}-[0-9a-f]{{8}}", str(name)) is not None
        else:
            found = isinstance(mark, str) and mark.startswith(any_run(prefix))
        if found:
            names.append(str(name))
    return {declared.plural: [{"name": name, "state": "absent"} for name in names]} if names else {}
