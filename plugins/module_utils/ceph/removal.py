"""What may leave a cluster: pure judgement of what the monitors and the manager say."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.ceph import health, plan

OSD, MON, MGR, MDS = "osd", "mon", "mgr", "mds"
PARTS = (OSD, MON, MGR, MDS)
# A flag may be set on purpose; an OSD that leaves because its host is dead is down, and so is all that it stood in.
_EXPECTED = re.compile(r"OSDMAP_FLAGS\Z")
_EXPECTED_OF_THE_DEAD = re.compile(r"OSDMAP_FLAGS\Z|OSD_(?:[A-Z]+_)?DOWN\Z")
# States that placement groups pass through by themselves once an OSD is down, and those in which they wait for one.
# Source: "Placement group states" in Ceph's documentation of operations.
_PASSING = frozenset({"activating", "creating", "peering", "stale", "unknown"})
_WAITING = frozenset({"down", "incomplete"})


@dataclass(frozen=True)
class Leaving:
    """OSDs that leave, and the monitor, manager and MDS of that name, where they do."""

    osds: tuple[int, ...] = ()
    monitor: str = ""
    manager: str = ""
    mds: str = ""


def osds_of(state: plan.State, host: str) -> tuple[int, ...]:
    """The OSDs below a host. :param host: its short name, as CRUSH has it."""
    buckets = state.of("osd crush dump", "buckets") or []
    own = [one for one in buckets if one.get("name") == host and one.get("type_name") == "host"]
    return tuple(sorted(int(item["id"]) for one in own for item in one.get("items", []) if int(item["id"]) >= 0))


def without(state: plan.State, osds: Collection[int]) -> plan.State:
    """The state as it would be without some OSDs."""
    crush = dict(state.of("osd crush dump") or {})
    crush["buckets"] = [
        {**one, "items": [item for item in one.get("items", []) if int(item["id"]) not in osds]}
        for one in crush.get("buckets", [])
    ]
    return plan.State({**state.said, "osd crush dump": crush})


def obstacles(leaving: Leaving, state: plan.State) -> Iterator[str]:
    """Why something may not leave; nothing where all of it may.

    :param state: answers to ``osd dump``, ``osd crush dump``, ``mon dump``, ``quorum_status``, ``mgr dump`` and
        ``fs dump``, and the manager's to ``osd df``, as far as they concern what leaves.
    """
    if leaving.osds:
        yield from _places(leaving.osds, state)
    if leaving.monitor:
        yield from _quorum(leaving.monitor, state)
    if leaving.manager:
        others = [name for name in managers(state) if name != leaving.manager]
        if leaving.manager in managers(state) and not others:
            yield f"mgr.{leaving.manager} is the only manager: add another one first"
    if leaving.mds:
        names = _mds(state)
        wanted = sum(int(one["mdsmap"].get("max_mds", 1)) for one in state.of("fs dump", "filesystems") or [])
        if leaving.mds in names and len(names) - 1 < wanted:
            yield f"{wanted} MDS are needed, and {len(names) - 1} would be left without mds.{leaving.mds}"


def replaceable(osds: Collection[int], groups: Mapping[str, Any], state: plan.State) -> list[str]:
    """What keeps OSDs whose disks are dead from being replaced without having been drained: data that is only there.

    :param groups: the manager's answer to ``pg stat``. :param state: the answer to ``osd dump``.
    """
    known = {int(one["osd"]) for one in state.of("osd dump", "osds") or []}
    found = [f"there is no osd.{one}" for one in osds if one not in known]
    if bad := _idle(groups):
        listed = ", ".join(sorted(f"{number} {name}" for name, number in bad.items()))
        found.append(f"placement groups do not serve their data ({listed}), which may be on these disks alone")
    return found


def passing(groups: Mapping[str, Any]) -> dict[str, int]:
    """Placement groups by state that do not serve their data yet, and are about to: their OSDs still agree on it.

    :param groups: the manager's answer to ``pg stat``.
    """
    return {
        name: number
        for name, number in _idle(groups).items()
        if _PASSING & {*name.split("+")} and not _WAITING & {*name.split("+")}
    }


def _idle(groups: Mapping[str, Any]) -> dict[str, int]:
    """Placement groups by state that do not serve their data."""
    states = (groups.get("pg_summary") or {}).get("num_pg_by_state") or []
    return {str(one["name"]): int(one["num"]) for one in states if "active" not in str(one["name"]).split("+")}


def down(osds: Collection[int], state: plan.State) -> bool:
    """Whether all of these OSDs are down. :param state: the answer to ``osd dump``."""
    up = {int(one["osd"]) for one in state.of("osd dump", "osds") or [] if one.get("up")}
    return bool(osds) and not up & set(osds)


def _places(osds: Collection[int], state: plan.State) -> Iterator[str]:
    known = {int(one["osd"]) for one in state.of("osd dump", "osds") or []}
    if unknown := sorted(set(osds) - known):
        listed = ", ".join(map(str, sorted(known)))
        yield f"there is no {', '.join(f'osd.{one}' for one in unknown)}; there are {listed or 'none'}"
        return
    rest = without(state, osds)
    names = {int(one["rule_id"]): one for one in state.rules.values()}
    for pool in state.pools.values():
        rule = names.get(int(pool.get("crush_rule", -1)))
        if rule is None:
            continue
        root, device_class, domain = plan.shape(rule)
        there, copies = plan.domains(rest, root, domain, device_class), int(pool.get("size", 0))
        if there < copies:
            yield f"pool {pool['pool_name']} keeps {copies} copies or pieces, and {there} places would be left for them"
    yield from _room(osds, state)


def _room(osds: Collection[int], state: plan.State) -> Iterator[str]:
    rows = {int(one["id"]): one for one in state.of("osd df", "nodes") or []}
    left = sum(int(one["kb"]) for number, one in rows.items() if number not in osds)
    used = sum(int(one["kb_used"]) for one in rows.values())
    limit = float(state.of("osd dump", "nearfull_ratio") or 0.85)
    if set(osds) & rows.keys() and used > left * limit:
        yield f"{used >> 20} GB are used, and {left >> 20} GB would be left, of which {limit:.0%} may be filled"


def monitors(state: plan.State) -> list[str]:
    """Names of the monitors in the map."""
    return [str(one["name"]) for one in state.of("mon dump", "mons") or []]


def _quorum(name: str, state: plan.State) -> Iterator[str]:
    rest = [one for one in monitors(state) if one != name]
    if len(rest) == len(monitors(state)):
        return
    answering = set(state.of("quorum_status", "quorum_names") or []) & set(rest)
    if not rest:
        yield f"mon.{name} is the only monitor: add others first"
    elif 2 * len(answering) <= len(rest):
        missing = ", ".join(sorted(set(rest) - answering))
        yield (
            f"without mon.{name} {len(answering)} of {len(rest)} monitors would answer, which is no majority "
            f"(missing: {missing})"
        )


def managers(state: plan.State) -> list[str]:
    """Names of the managers, the active one first."""
    active = str(state.of("mgr dump", "active_name") or "")
    return [*filter(None, [active]), *(str(one["name"]) for one in state.of("mgr dump", "standbys") or [])]


def _mds(state: plan.State) -> set[str]:
    serving = [info for one in state.of("fs dump", "filesystems") or [] for info in one["mdsmap"]["info"].values()]
    return {str(one["name"]) for one in [*serving, *(state.of("fs dump", "standbys") or [])]}


def lacking(
    osds: Collection[int], status: Mapping[str, Any], groups: Mapping[str, Any], state: plan.State
) -> list[str]:
    """What the cluster lacks at this moment for OSDs to be taken away; they themselves are not missed.

    :param status: the monitors' answer to ``status``. :param groups: the manager's answer to ``pg stat``.
    :param state: the answer to ``osd dump``.
    """
    known = state.of("osd dump", "osds") or []
    others = [one for one in known if int(one["osd"]) not in osds]
    dead = any(int(one["osd"]) in osds and not one.get("up") for one in known)
    expected = _EXPECTED_OF_THE_DEAD if dead else _EXPECTED
    checks = ((status.get("health") or {}).get("checks") or {}).keys()
    numbers = {
        "num_osds": len(others),
        "num_up_osds": sum(1 for one in others if one.get("up")),
        "num_in_osds": sum(1 for one in others if one.get("in")),
    }
    allowed = [code for code in checks if expected.match(code)]
    return health.judge({**status, "osdmap": numbers}, groups, allowed=allowed)
