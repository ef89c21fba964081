"""Checks of Ceph: what the inventory says by itself, and what its hosts are found to have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.ceph import chosen, plan
from ansible_collections.stackwright.cloud.plugins.module_utils.ceph import document as documents
from ansible_collections.stackwright.cloud.plugins.module_utils.ceph.osds import PARTS, OsdError, disks_of
from ansible_collections.stackwright.cloud.plugins.module_utils.common.problem import Problem
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.policy import Policy
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.problem import INVENTORY, problem_of
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.rules import Rule
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.snapshot import Host, Snapshot
from ansible_collections.stackwright.cloud.plugins.module_utils.service import ceph_clients, volume_backends
from ansible_collections.stackwright.cloud.plugins.module_utils.service.terms import split_term

# Kinds of places in a new cluster, from the smallest. Source: CrushWrapper::_default_types in Ceph's
# src/crush/CrushWrapper.cc.
PLACES = (
    "osd",
    "host",
    "chassis",
    "rack",
    "row",
    "pdu",
    "pod",
    "room",
    "datacenter",
    "zone",
    "region",
    "root",
)
ROOT = "default"
LOCATION = "location"


def carrying(rule: Rule, inventory: Snapshot, policy: Policy) -> list[Host]:
    """The hosts whose disks a rule is about."""
    return [host for host in inventory.hosts.values() if rule.settings["of"] in policy.services(host)]


def check(inventory: Snapshot, policy: Policy) -> Iterator[Problem]:
    """Every problem of disks and of what the cluster is to hold, as far as the inventory tells."""
    for rule in policy.rules.kind("disks"):
        hosts = carrying(rule, inventory, policy)
        for host in hosts:
            yield from _disks(host, rule.option)
        if hosts:
            yield from _cluster(hosts, rule.option, policy, pools_of_the_cloud(inventory, policy))
    yield from _tenants(inventory, policy)


@dataclass(frozen=True)
class Tenant:
    """A service that keeps its data in Ceph: the option that says so, the pools, and the component that holds them."""

    option: str
    pools: tuple[str, ...]
    holder: str
    where: str


def tenants(inventory: Snapshot, policy: Policy) -> list[Tenant]:
    """The services of the cloud that keep their data in Ceph, of those that any host carries."""
    hosts = list(inventory.hosts.values())
    carried = {split_term(one)[0] for host in hosts for one in policy.services(host)}
    found = []
    for rule in policy.rules.kind("place", "volume_backends"):
        # they are the same on all hosts
        first = hosts[0] if hosts and rule.role in carried else None
        value = first.get(rule.option) if first else None
        pools: tuple[str, ...] = ()
        if first and rule.kind == "place" and value == rule.settings["ceph"]:
            pools = (str(first.get(rule.settings["pool"])),)
        elif first and rule.kind == "volume_backends" and rule.fault(value) is None:
            pools = tuple(volume_backends.worked_out(value).ceph_pools)
        if first and pools:
            found.append(Tenant(rule.option, pools, str(rule.settings["of"]), first.where(rule.option)))
    return found


def pools_of_the_cloud(inventory: Snapshot, policy: Policy) -> list[str]:
    """The pools that the services of the cloud need."""
    return sorted({pool for one in tenants(inventory, policy) for pool in one.pools})


def _tenants(inventory: Snapshot, policy: Policy) -> Iterator[Problem]:
    """Services that keep data where nothing holds it, or where others keep theirs."""
    carried = {one for host in inventory.hosts.values() for one in policy.services(host)}
    owners: dict[str, str] = {}
    given = {rule.settings["part"]: rule.option for rule in policy.rules.kind("ceph_part")}
    described = next((host.get(given.get("pools", "")) for host in inventory.hosts.values()), None)
    yield from _of_the_object_store(inventory, policy, carried)
    for tenant in tenants(inventory, policy):
        if tenant.holder not in carried:
            yield problem_of(
                INVENTORY,
                tenant.option,
                f"keeps data in Ceph, and no host carries {tenant.holder}",
                "Put hosts with disks into the group of such nodes (see docs/ceph.md), or keep the data elsewhere.",
                tenant.where,
            )
        for pool in tenant.pools:
            if pool in owners:
                yield problem_of(
                    INVENTORY,
                    tenant.option,
                    f"keeps data in the pool {pool}, that of {owners[pool]}: each could spoil what the other has",
                    "Name another pool.",
                    tenant.where,
                )
            owners.setdefault(pool, tenant.option)
            said = described.get(pool) if isinstance(described, Mapping) else None
            if isinstance(said, Mapping) and said.get("type") == documents.ERASURE:
                yield problem_of(
                    INVENTORY,
                    given["pools"],
                    f"pool {pool!r}: block devices of {tenant.option} cannot begin in an erasure coded pool",
                    "Make it a replicated one.",
                    tenant.where,
                )


def _of_the_object_store(inventory: Snapshot, policy: Policy, carried: set[str]) -> Iterator[Problem]:
    """Services that keep data in an object store that nobody offers."""
    roles = {split_term(one)[0] for one in carried}
    for rule in policy.rules.kind("place"):
        for host in list(inventory.hosts.values())[:1] if rule.role in roles and "swift" in rule.settings else []:
            if host.get(rule.option) == rule.settings["swift"] and rule.settings["proxy"] not in carried:
                yield problem_of(
                    INVENTORY,
                    rule.option,
                    f"keeps data in the object store, and no host carries {rule.settings['proxy']}",
                    "Put a host into the group of proxies (see docs/object-store.md), or keep the data elsewhere.",
                    host.where(rule.option),
                )


def _given(host: Host, option: str) -> list[dict[str, Any]]:
    given = host.get(option)
    return [dict(one) for one in given if isinstance(one, Mapping)] if isinstance(given, list) else []


def entries(host: Host, option: str) -> list[dict[str, Any]]:
    """The disks that are named on a host, as far as they are well-formed."""
    return [one for one in _given(host, option) if one.get("path") and not chosen.described(one)]


def described(host: Host, option: str) -> list[dict[str, Any]]:
    """The entries of a host that describe disks, as far as they are well-formed."""
    return [one for one in _given(host, option) if chosen.described(one) and not list(chosen.faults(one))]


def paths(host: Host, option: str) -> list[list[str]]:
    """Paths and sizes of all that is named on a host, with what is kept apart."""
    found = []
    for entry in entries(host, option):
        apart = [entry[kind] for kind in PARTS if isinstance(entry.get(kind), Mapping) and entry[kind].get("path")]
        found += [[str(one["path"]), str(one.get("size") or "")] for one in (entry, *apart)]
    return found


def _disks(host: Host, option: str) -> Iterator[Problem]:
    given = _given(host, option)
    found = [fault for one in given if chosen.described(one) for fault in chosen.faults(one)]
    if any(not chosen.described(one) and not one.get("path") for one in given):
        found.append("an entry names no disk: give it a path, or match and count")
    try:
        disks_of(entries(host, option))
    except OsdError as error:
        found += error.problems
    for fault in found:
        yield problem_of(host.name, option, fault, "Correct the entry.", host.where(option))


def _cluster(hosts: Sequence[Host], disks: str, policy: Policy, cloud: Sequence[str]) -> Iterator[Problem]:
    options = {str(rule.settings["part"]): rule.option for rule in policy.rules.kind("ceph_part")}
    first = hosts[0]
    data = {part: first.get(option) for part, option in options.items() if part != LOCATION and first.get(option)}
    if cloud and isinstance(data.setdefault("pools", {}), Mapping):
        derived = dict.fromkeys(cloud, ceph_clients.pool(len(hosts)))
        data["pools"] = {
            **data["pools"],
            **{name: {**pool, **(data["pools"].get(name) or {})} for name, pool in derived.items()},
        }
    locations = {host.name.split(".")[0]: {"root": ROOT, **_location(host, options)} for host in hosts}
    try:
        document = documents.read({**data, "locations": locations})
        found = plan.capacity(document, simulated(hosts, disks))
    except documents.DocumentError as error:
        found = error.problems
    for one in found:
        part = (one.where or one.about).replace("[", ".").split(".")[0].split(" ")[0]
        # a thing is named as "pool 'images'", a place in the document by its part
        option = options.get(part) or options.get(f"{part}s") or options.get(part.removesuffix("s")) or options["pools"]
        about = " ".join(filter(None, (one.where, one.about)))
        yield problem_of(INVENTORY, option, f"{about}: {one.cause}", one.mend or "Correct it.", first.where(option))


def _location(host: Host, options: Mapping[str, str]) -> dict[str, str]:
    given = host.get(options.get(LOCATION, ""))
    return {str(kind): str(name) for kind, name in given.items()} if isinstance(given, Mapping) else {}


def simulated(hosts: Sequence[Host], disks: str) -> plan.State:
    """The cluster as it will be once every disk that is named or described is an OSD."""
    buckets: list[dict[str, Any]] = [{"id": -1, "name": ROOT, "type_name": "root", "items": []}]
    devices: list[dict[str, Any]] = []
    for number, host in enumerate(hosts, start=2):
        named = [*entries(host, disks), *(one for one in described(host, disks) for _disk in range(one["count"]))]
        items = [{"id": len(devices) + place} for place in range(len(named))]
        devices += [
            {"id": item["id"], "class": one.get("device_class") or plan.ANY_CLASS}
            for item, one in zip(items, named, strict=True)
        ]
        buckets.append({"id": -number, "name": host.name.split(".")[0], "type_name": "host", "items": items})
        buckets[0]["items"].append({"id": -number})
    steps = [{"op": "take", "item_name": ROOT}, {"op": "chooseleaf_firstn", "type": "host"}]
    crush = {
        "types": [{"type_id": number, "name": name} for number, name in enumerate(PLACES)],
        "buckets": buckets,
        "devices": devices,
        "rules": [{"rule_id": 0, "rule_name": plan.FIRST_RULE, "steps": steps}],
    }
    osds = [{"osd": one["id"], "in": 1} for one in devices]
    profiles = {"default": {"k": "2", "m": "2"}}
    return plan.State({"osd crush dump": crush, "osd dump": {"osds": osds, "erasure_code_profiles": profiles}})


def wanted(expected: Mapping[str, Any]) -> dict[str, Any]:
    """What the probe has to look for: arguments of `ceph.host.look`."""
    return {
        "paths": [path for _variable, path, _size in expected["disks"]],
        "described": [entry for _variable, entry in expected["matches"]],
    }


def notes(seen: Mapping[str, Any]) -> list[str]:
    """The disks that descriptions stand for. :param seen: what `ceph.host.look` returned."""
    return [
        f"{match['phrase']} stands for {'; '.join(one['told'] for one in match['disks'])}"
        for match in seen.get("matches") or []
        if match["disks"]
    ]


def judge(host: str, expected: Mapping[str, Any], seen: Mapping[str, Any]) -> Iterator[Problem]:
    """The problems of one host.

    :param expected: `cluster`, `cluster_option`, `disks` (option, path, size), `matches` (option, entry).
    :param seen: what `ceph.host.look` returned.
    """
    wanted, option = str(expected["cluster"]), str(expected["cluster_option"])
    restore = f"Give the inventory back the secret that it had, or take {host} out of its groups."
    if seen["cluster"] and seen["cluster"] != wanted:
        yield problem_of(host, option, f"this host belongs to the cluster {seen['cluster']}, not to {wanted}", restore)
    strange = [one for one in seen["osds"] if one["cluster"] and one["cluster"] != wanted]
    for one in strange if seen["cluster"] in ("", wanted) else []:
        yield problem_of(host, option, f"osd.{one['number']} belongs to the cluster {one['cluster']}", restore)
    for path in seen["lost"]:
        yield problem_of(
            host,
            "ceph_mon",
            f"the monitor of {path} has lost its store",
            f"If other monitors have theirs, put {path} out of the way: it begins anew with what they know. If none "
            "has, see playbooks/ceph_rebuild_monitors.yml.",
        )
    for path in seen["foreign_keys"]:
        yield problem_of(
            host, "ceph", f"{path} does not belong to the account ceph", f"Run on it: chown ceph:ceph {path}"
        )
    for variable, path, size in expected["disks"]:
        if fault := _disk_fault(str(path), bool(size), seen["disks"].get(path) or {}):
            yield problem_of(host, str(variable), *fault)
    for (variable, _entry), match in zip(expected["matches"], seen["matches"], strict=True):
        if match["fault"]:
            yield problem_of(host, str(variable), match["fault"], chosen.MEND)
        for disk in match["disks"]:
            if fault := _disk_fault(disk["path"], False, seen["disks"].get(disk["path"]) or {}):
                yield problem_of(host, str(variable), f"{match['phrase']}: {fault[0]}", fault[1])


def _disk_fault(path: str, file: bool, found: Mapping[str, Any]) -> tuple[str, str] | None:
    if found.get("missing") and not file:
        return f"{path} does not exist", "Correct the path; lsblk shows what there is."
    if found.get("closed"):
        return f"{path} cannot be looked at: {found['closed']}", "Name another disk."
    if found.get("holds"):
        return (
            f"{path} is not empty: {', '.join(found['holds'])}",
            f"Name another disk; or, if nothing of it is needed, empty it: blkdiscard {path}, or write zeros over it.",
        )
    return None


def lost(seen: Mapping[str, Mapping[str, Any]], monitors: Iterable[str]) -> Iterator[Problem]:
    """OSDs of a cluster whose monitors have all lost their stores: new monitors would know none of them.

    :param seen: what `ceph.host.look` returned, by host.
    :param monitors: the hosts that carry monitors; where some were not looked at, nobody can tell.
    """
    osds = sum(len(one["osds"]) for one in seen.values())
    if osds and set(monitors) <= set(seen) and not any(one["monitors"] for one in seen.values()):
        yield problem_of(
            INVENTORY,
            "ceph_mon",
            f"{osds} OSDs are there, and no monitor has its store: new monitors would begin an empty cluster",
            "Have them back from the OSDs and a back-up before anything else: playbooks/ceph_rebuild_monitors.yml.",
        )
