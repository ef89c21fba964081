"""What an operator is told of rings: a line for each change, a difference, the problems of all of them together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.common.problem import Problem
from ansible_collections.stackwright.cloud.plugins.module_utils.swift.rings import Difference, says

# Devices and operations of one ring that are told by name.
NAMED = 12


def listing(problems: Sequence[Problem]) -> str:
    """All problems as one text."""
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    return "\n".join([f"The rings have {count}; nothing was changed:", *(f"- {one}" for one in problems)])


def changes(differences: Iterable[Difference], told: Mapping[str, Any]) -> list[str]:
    """A line for each operation, what it moves, and what waits."""
    lines = []
    for one in differences:
        lines += [f"ring {one.ring}: {text}" for text in _few([says(each) for each in one.operations])]
        if one.ring in told:
            lines += _moves(one, told[one.ring])
        elif one.rebalance:
            lines.append(f"ring {one.ring}: partitions move; how many is known once python3-swift is installed")
    return lines


def waiting(differences: Iterable[Difference]) -> list[str]:
    """A line for each ring in which something waits."""
    return [
        f"ring {one.ring}: in {-(-one.waits // 60)} minutes, when partitions may move again: "
        f"{'; '.join(_few(one.later))}"
        for one in differences
        if one.waits
    ]


def _moves(one: Difference, told: Mapping[str, Any]) -> list[str]:
    head = f"ring {one.ring}: {told['moved']} replicas of partitions ({told['share']:g} %) "
    head += "are assigned" if one.new else "move"
    lines = [f"{head}, balance {told['balance']:g}, dispersion {told['dispersion']:g}"]
    if one.new:
        return lines
    by_share = sorted(told["devices"].items(), key=lambda item: (-item[1]["arriving"] - item[1]["leaving"], item[0]))
    texts = [f"{key}: {d['had']} partitions become {d['has']} ({d['share']:g} % of them move)" for key, d in by_share]
    return lines + [f"ring {one.ring}: {text}" for text in _few(texts)]


def _few(texts: Sequence[str]) -> list[str]:
    more = len(texts) - NAMED
    return [*texts] if more <= 1 else [*texts[:NAMED], f"and {more} more"]


def diff(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, str]:
    """Before and after of the devices that change, as text."""
    sides: dict[str, list[str]] = {"before": [], "after": []}
    for name in sorted(new):
        before, after = (old.get(name) or {}).get("devices", {}), new[name]["devices"]
        for key in sorted({*before, *after}):
            if before.get(key) != after.get(key):
                for side, devices in (("before", before), ("after", after)):
                    sides[side] += [_line(name, key, devices[key])] if key in devices else []
    return {f"{side}_header": "rings" for side in sides} | {side: "".join(lines) for side, lines in sides.items()}


def _line(ring: str, key: str, one: Mapping[str, Any]) -> str:
    return (
        f"{ring} r{one['region']}z{one['zone']} {key} {one['ip']} weight {one['weight']:g} partitions {one['parts']}\n"
    )
