"""Whether an OSD may leave a cluster: pure judgement of what the monitors and the manager say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.ceph import plan


def without(state: plan.State, osd: int) -> plan.State:
    """The state as it would be without an OSD."""
    crush = dict(state.of("osd crush dump") or {})
    crush["buckets"] = [
        {**one, "items": [item for item in one.get("items", []) if int(item["id"]) != osd]}
        for one in crush.get("buckets", [])
    ]
    return plan.State({**state.said, "osd crush dump": crush})


def obstacles(osd: int, state: plan.State, usage: Mapping[str, Any]) -> Iterator[str]:
    """Why the data of an OSD would have no place without it; nothing where it has.

    :param state: answers to ``osd dump`` and ``osd crush dump``. :param usage: the manager's answer to ``osd df``.
    """
    known = {int(one["osd"]) for one in state.of("osd dump", "osds") or []}
    if osd not in known:
        listed = ", ".join(map(str, sorted(known)))
        yield f"there is no osd.{osd}; there are {listed or 'none'}"
        return
    rest = without(state, osd)
    names = {int(one["rule_id"]): one for one in state.rules.values()}
    for pool in state.pools.values():
        rule = names.get(int(pool.get("crush_rule", -1)))
        if rule is None:
            continue
        root, device_class, domain = plan.shape(rule)
        there, copies = plan.domains(rest, root, domain, device_class), int(pool.get("size", 0))
        if there < copies:
            yield f"pool {pool['pool_name']} keeps {copies} copies or pieces, and {there} places would be left for them"
    yield from _room(osd, state, usage)


def _room(osd: int, state: plan.State, usage: Mapping[str, Any]) -> Iterator[str]:
    rows = {int(one["id"]): one for one in usage.get("nodes") or []}
    left = sum(int(one["kb"]) for number, one in rows.items() if number != osd)
    used = sum(int(one["kb_used"]) for one in rows.values())
    limit = float(state.of("osd dump", "nearfull_ratio") or 0.85)
    if osd in rows and used > left * limit:
        yield f"{used >> 20} GB are used, and {left >> 20} GB would be left, of which {limit:.0%} may be filled"
