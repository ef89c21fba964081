"""The difference between rings as they are to be and their builders, judged: what is done now, what waits, what is
refused. Pure; what builders hold is known from the record that is kept beside them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.common.problem import Problem
from ansible_collections.stackwright.cloud.plugins.module_utils.swift.layout import Device, Layout, Policy, Ring

HOUR = 3600
# A ring whose devices want more than this share of all replicas elsewhere is not done yet. Source: swift-ring-builder's
# rebalance, which takes less than 1 % for no change.
SETTLED = 0.01


@dataclass
class Difference:
    """What one ring needs. ``operations`` are done on its builder in their order, ``rebalance`` follows; with ``waits``
    seconds left until its partitions may move again, what would move them is left for later."""

    ring: str
    new: bool = False
    operations: list[dict[str, Any]] = field(default_factory=list)
    rebalance: bool = False
    waits: int = 0
    later: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    @property
    def due(self) -> bool:
        """Whether there is anything to do now."""
        return bool(self.operations) or self.rebalance


def fingerprint(prefix: str, suffix: str) -> str:
    """What tells whether the two secrets of the hash are the same, without telling them: they are long and random."""
    return hashlib.sha256(f"stackwright\0{prefix}\0{suffix}".encode()).hexdigest()


def judge(layout: Layout, record: Mapping[str, Any], hash_id: str, step: float, now: float) -> list[Difference]:
    """The difference of every ring; problems of the whole stand at the first.

    :param record: what is kept beside the builders: ``hash``, ``policies`` and ``rings``; empty for a new cluster.
    :param hash_id: fingerprint of the hash's secrets.
    :param step: greatest change of a device's weight in one go, in percent of its full weight.
    :param now: seconds since the epoch.
    """
    whole = [*_hash(record, hash_id), *_policies(layout.policies, record)]
    kept: Mapping[str, Any] = record.get("rings") or {}
    found = [difference(ring, kept.get(name), step, now) for name, ring in layout.rings.items()]
    if found:
        found[0].problems[:0] = whole
    return found


def _hash(record: Mapping[str, Any], hash_id: str) -> Iterator[Problem]:
    if record.get("hash") and record["hash"] != hash_id:
        yield Problem(
            "the hash's prefix and suffix are not those with which this cluster keeps its data: nothing would be "
            "found again, all data would be lost.",
            "Put the secrets swift_hash_prefix and swift_hash_suffix back from a copy of the secrets' file.",
            "stackwright_secrets",
        )


def _policies(wanted: tuple[Policy, ...], record: Mapping[str, Any]) -> Iterator[Problem]:
    by_index = {one.index: one for one in wanted}
    for text, kept in (record.get("policies") or {}).items():
        index, name = int(text), str(kept["name"])
        policy = by_index.get(index)
        if policy is None:
            yield Problem(
                f"policy {index} ({name}) is missing, and containers may have it: their objects could not be read.",
                "Keep it with `deprecated: true`; it gets no new containers then.",
                "swift_policies",
            )
        elif policy.kind != kept["type"] or (policy.parity and policy.parity != kept.get("parity")):
            yield Problem(
                f"index {index} was policy {name} ({kept['type']}) and is {policy.name} ({policy.kind}) now: what "
                "was stored under it could not be read.",
                "An index is never used again: give the new policy one that no policy had.",
                "swift_policies",
            )
        elif name not in (policy.name, *policy.aliases):
            yield Problem(
                f"index {index} was policy {name} and is called {policy.name} now.",
                "Is it another policy, then give it a new index; is it the same, keep the old name: aliases: "
                f"[{name}].",
                "swift_policies",
            )


def difference(ring: Ring, kept: Mapping[str, Any] | None, step: float, now: float) -> Difference:
    """What a ring needs, from what is kept of its builder; None for one that is not there yet."""
    if kept is None:
        adding = [_add(one, one.weight) for one in ring.devices if not one.lost]
        return Difference(ring.name, True, adding, rebalance=True)
    found = Difference(ring.name)
    found.problems += _fixed(ring, kept)
    for option in ("min_part_hours", "overload"):
        if kept[option] != getattr(ring, option):
            found.operations.append({"do": option, "to": getattr(ring, option), "from": kept[option]})
    moving = _replicas(ring, kept, found)
    moving += list(_devices(ring, kept, step, found))
    # two settings that do not say where data lie are set at once; a disk that is gone is replaced at once
    urgent = any(one["do"] == "remove" and one.get("lost") for one in found.operations)
    elapsed = now - float(kept["moved_at"])
    left = int(max(0.0, ring.min_part_hours * HOUR - elapsed))
    if (moving or kept["unsettled"]) and left:
        found.waits = left
        found.later = [says(one) for one in moving] or ["partitions that have not moved yet"]
    else:
        found.operations += moving
        found.rebalance = bool(moving) or bool(kept["unsettled"])
    found.rebalance = found.rebalance or urgent
    return found


def _fixed(ring: Ring, kept: Mapping[str, Any]) -> Iterator[Problem]:
    if kept["part_power"] != ring.part_power:
        yield Problem(
            f"its part power is {kept['part_power']} and would become {ring.part_power}: all objects would be looked "
            "for in other partitions than those they lie in.",
            f"Leave it at {kept['part_power']}. It can only be raised by swift-object-relinker, step by step.",
            f"ring {ring.name}",
        )
    if abs(kept["replicas"] - ring.replicas) > 1:
        yield Problem(
            f"it has {kept['replicas']} replicas and would have {ring.replicas}: more than one replica of each "
            "partition would be in motion.",
            "Change the number by one, and wait until that has been copied.",
            f"ring {ring.name}",
        )


def _replicas(ring: Ring, kept: Mapping[str, Any], found: Difference) -> list[dict[str, Any]]:
    if kept["replicas"] == ring.replicas or found.problems:
        return []
    return [{"do": "replicas", "to": ring.replicas, "from": kept["replicas"]}]


def _devices(ring: Ring, kept: Mapping[str, Any], step: float, found: Difference) -> Iterator[dict[str, Any]]:
    present: Mapping[str, Any] = kept["devices"]
    by_place = {(one["ip"], one["device"]): key for key, one in present.items()}
    wanted: dict[str, Device] = {}
    for device in ring.devices:
        key = device.key if device.key in present else by_place.get((device.ip, device.name), device.key)
        wanted[key] = device
    for key, old in present.items():
        if key not in wanted:
            if old["parts"]:
                found.problems.append(
                    Problem(
                        f"it is gone from the inventory and holds {old['parts']} partitions"
                        + ("" if old["weight"] else " although its weight is zero")
                        + ": their replicas on it would be lost.",
                        "Keep it with `drain: true` until it holds none; or, if its data are gone, with `lost: true`.",
                        f"ring {ring.name}",
                        key,
                    )
                )
            else:
                yield {"do": "remove", "id": old["id"], "key": key}
    for key, device in wanted.items():
        yield from _device(key, device, present.get(key), step, found)


def _device(
    key: str, device: Device, old: Mapping[str, Any] | None, step: float, found: Difference
) -> Iterator[dict[str, Any]]:
    if old is None:
        weight = _towards(0.0, device.weight, device.full, step)
        if weight > 0:
            yield _add(device, weight)
        return
    if device.lost:
        found.operations.append({"do": "remove", "id": old["id"], "key": key, "lost": True})
        return
    place = device.place
    plain = {name: place[name] for name in place if name not in ("region", "zone") and place[name] != old[name]}
    if plain or key != device.key:
        found.operations.append({"do": "set", "id": old["id"], "key": device.key, "to": plain})
    for tier in ("region", "zone"):
        if place[tier] != old[tier]:
            yield {"do": tier, "id": old["id"], "key": device.key, "to": place[tier], "from": old[tier]}
    weight = _towards(float(old["weight"]), device.weight, device.full, step)
    if weight != float(old["weight"]):
        yield {"do": "weight", "id": old["id"], "key": device.key, "to": weight, "from": old["weight"]}


def _towards(now: float, wanted: float, full: float, step: float) -> float:
    """The next weight on the way from one to the other."""
    most = max(full, now if not full else 0.0) * step / 100
    if abs(wanted - now) <= most or most <= 0:
        return wanted
    return round(now + most if wanted > now else now - most, 6)


def _add(device: Device, weight: float) -> dict[str, Any]:
    return {"do": "add", "key": device.key, "device": {**device.place, "weight": weight, "meta": device.key}}


def says(operation: Mapping[str, Any]) -> str:
    """An operation in words."""
    do, key = operation["do"], operation.get("key", "")
    if do == "add":
        return f"add {key} with weight {operation['device']['weight']:g}"
    if do == "remove":
        return f"remove {key}, whose data are lost" if operation.get("lost") else f"remove {key}"
    if do == "weight":
        return f"{key}: weight {float(operation['from']):g} becomes {float(operation['to']):g}"
    if do == "set":
        return f"{key}: " + (
            ", ".join(f"{name} {value}" for name, value in operation["to"].items()) or "is its name now"
        )
    name = do.replace("_", " ")
    return f"{key + ': ' if key else ''}{name} {operation['from']} becomes {operation['to']}"
