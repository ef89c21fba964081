"""Rings computed with the service's own library, on a host that has it: operations carried out on a builder, and what
they put in motion, counted partition by partition."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ansible_collections.stackwright.cloud.plugins.module_utils.swift import rings

# A new ring, which nothing is stored in, is balanced again until it is settled, at most so often.
FIRST_ROUNDS = 5
# Stands where a replica has no device: the number that no device can have.
NONE = 0xFFFF


class Builder(Protocol):
    """A builder of ``swift.common.ring``, as far as it is used here."""

    devs: list[dict[str, Any] | None]
    version: int
    replicas: float
    dispersion: float

    def add_dev(self, dev: dict[str, Any]) -> int: ...
    def set_dev_weight(self, dev_id: int, weight: float) -> None: ...
    def set_dev_region(self, dev_id: int, region: int) -> None: ...
    def set_dev_zone(self, dev_id: int, zone: int) -> None: ...
    def remove_dev(self, dev_id: int) -> None: ...
    def set_replicas(self, new_replica_count: float) -> None: ...
    def change_min_part_hours(self, min_part_hours: int) -> None: ...
    def set_overload(self, overload: float) -> None: ...
    def pretend_min_part_hours_passed(self) -> None: ...
    def rebalance(self, seed: Any = None) -> tuple[int, float, int]: ...
    def validate(self, stats: bool = False) -> Any: ...
    def get_balance(self) -> float: ...
    def to_dict(self) -> dict[str, Any]: ...
    def get_ring(self) -> Any: ...
    def save(self, builder_file: str) -> None: ...


class Library(Protocol):
    """Makes builders: the class ``RingBuilder``."""

    def __call__(self, part_power: int, replicas: float, min_part_hours: int) -> Builder: ...
    def load(self, builder_file: str) -> Builder: ...


class RingError(Exception):
    """A ring could not be computed, or what was computed is refused; the text says why and what to do."""


@dataclass(frozen=True)
class Motion:
    """What a new assignment moves: replicas in all, the most of one partition, and by device number how many come and
    go."""

    moved: int
    most: int
    arriving: Mapping[int, int]
    leaving: Mapping[int, int]


Table = Sequence["array[int]"]


def motion(before: Table, after: Table) -> Motion:
    """Compare two assignments, each with an array of device numbers by partition for every replica."""
    per_partition: Counter[int] = Counter()
    arriving: Counter[int] = Counter()
    leaving: Counter[int] = Counter()
    for replica in range(max(len(before), len(after))):
        old = before[replica] if replica < len(before) else array("H")
        new = after[replica] if replica < len(after) else array("H")
        if old == new:
            continue
        for partition in range(max(len(old), len(new))):
            was = old[partition] if partition < len(old) else NONE
            becomes = new[partition] if partition < len(new) else NONE
            if was == becomes:
                continue
            leaving[was] += 1
            arriving[becomes] += 1
            # a replica that is given up leaves the others where they are
            per_partition[partition] += becomes != NONE
    for counts in (arriving, leaving):
        counts.pop(NONE, None)
    return Motion(sum(per_partition.values()), max(per_partition.values(), default=0), arriving, leaving)


def _table(builder: Builder) -> list[array[int]]:
    """A copy of the assignment; empty before the first one."""
    return [array("H", one) for one in builder.to_dict()["_replica2part2dev"] or []]


def _operate(builder: Builder, operation: Mapping[str, Any]) -> None:
    do = operation["do"]
    if do == "add":
        builder.add_dev(dict(operation["device"]))
    elif do == "remove":
        builder.remove_dev(operation["id"])
    elif do == "weight":
        builder.set_dev_weight(operation["id"], operation["to"])
    elif do == "region":
        builder.set_dev_region(operation["id"], operation["to"])
    elif do == "zone":
        builder.set_dev_zone(operation["id"], operation["to"])
    elif do == "replicas":
        builder.set_replicas(float(operation["to"]))
    elif do == "min_part_hours":
        builder.change_min_part_hours(operation["to"])
    elif do == "overload":
        builder.set_overload(operation["to"])
    else:
        _rename(builder, operation)


def _rename(builder: Builder, operation: Mapping[str, Any]) -> None:
    """Addresses and names, which say nothing of where data lie."""
    device = builder.devs[operation["id"]]
    if device is None:
        raise RingError(f"the builder has no device number {operation['id']}, which is to become {operation['key']}")
    device.update({**operation["to"], "meta": operation["key"]})
    builder.version += 1


def key_of(device: Mapping[str, Any]) -> str:
    """What a device of a builder is known by: host and name, or, in a builder that others made, address and name."""
    meta = str(device.get("meta") or "")
    return meta if "/" in meta else f"{device['ip']}/{device['device']}"


def describe(builder: Builder, unsettled: bool = False) -> dict[str, Any]:
    """What is kept of a builder on the control node, without checksums."""
    data = builder.to_dict()
    names = ("id", "region", "zone", "ip", "port", "replication_ip", "replication_port", "device", "weight", "parts")
    return {
        "version": builder.version,
        "part_power": data["part_power"],
        "replicas": int(builder.replicas) if builder.replicas == int(builder.replicas) else builder.replicas,
        "min_part_hours": data["min_part_hours"],
        "overload": data["overload"],
        "moved_at": data["_last_part_moves_epoch"] or 0,
        "unsettled": unsettled,
        "devices": {key_of(one): {name: one[name] for name in names} for one in builder.devs if one},
    }


def _unsettled(builder: Builder, moved: int, replicas: int) -> bool:
    wanted = sum(max(0, one.get("parts_wanted", 0)) for one in builder.devs if one)
    return moved > 0 and wanted > replicas * rings.SETTLED


@contextlib.contextmanager
def _own_randomness() -> Iterator[None]:
    """The library seeds the interpreter's randomness; whoever else draws from it is not to notice."""
    state = random.getstate()
    try:
        yield
    finally:
        random.setstate(state)


@dataclass
class Computed:
    """A ring after its operations: the builder, what is kept of it, and what is told."""

    builder: Builder
    record: dict[str, Any]
    told: dict[str, Any]
    changed: bool


def compute(library: Library, wanted: Mapping[str, Any], path: Path) -> Computed:
    """Carry out a ring's operations in memory.

    :param wanted: ``name``, ``new``, ``operations``, ``rebalance``, and for a new ring ``part_power``, ``replicas``,
        ``min_part_hours`` and ``overload``.
    :param path: its builder.
    :raises RingError: the library refuses, or more than one replica of a partition would be in motion.
    """
    name, new = wanted["name"], bool(wanted.get("new"))
    try:
        if new:
            builder = library(wanted["part_power"], wanted["replicas"], wanted["min_part_hours"])
            builder.set_overload(wanted["overload"])
        else:
            builder = library.load(str(path))
        before, version = _table(builder), builder.version
        keys = {one["id"]: key_of(one) for one in builder.devs if one}
        parts = {key_of(one): one["parts"] for one in builder.devs if one}
        for operation in wanted.get("operations", []):
            _operate(builder, operation)
        keys |= {one["id"]: key_of(one) for one in builder.devs if one}
        if wanted.get("rebalance"):
            _rebalance(builder, name, new)
        moves = motion(before, _table(builder))
        if wanted.get("rebalance") and not new:
            _refuse(name, wanted, moves)
        builder.validate()
    except RingError:
        raise
    except Exception as error:  # the library has no common class of its errors
        raise RingError(f"ring {name} could not be computed: {type(error).__name__}: {error}") from error
    replicas = sum(len(one) for one in _table(builder))
    record = describe(builder, not new and _unsettled(builder, moves.moved, replicas))
    told = {
        "moved": moves.moved,
        "share": round(100 * moves.moved / replicas, 2) if replicas else 0.0,
        "balance": round(float(builder.get_balance()), 2),
        "dispersion": round(float(builder.dispersion or 0.0), 2),
        "devices": _per_device(keys, parts, moves, record),
    }
    return Computed(
        builder, record, told, bool(wanted.get("operations")) or moves.moved > 0 or builder.version != version
    )


def _rebalance(builder: Builder, name: str, new: bool) -> None:
    """One rebalance, the same whenever it is done from the same builder; a new ring is brought to its balance."""
    with _own_randomness():
        moved, _, _ = builder.rebalance(seed=f"{name} {builder.version}")
        for number in range(FIRST_ROUNDS if new else 0):
            if not _unsettled(builder, moved, moved or 1):
                return
            builder.pretend_min_part_hours_passed()
            moved, _, _ = builder.rebalance(seed=f"{name} {builder.version} {number}")


def _refuse(name: str, wanted: Mapping[str, Any], moves: Motion) -> None:
    if moves.most <= 1:
        return
    lost = sorted(one["key"] for one in wanted.get("operations", []) if one.get("lost"))
    if lost:
        raise RingError(
            f"ring {name}: of some partition {moves.most} replicas would move at once, since they lie on devices "
            f"that are lost: {', '.join(lost)}. Say `lost: true` of one failure domain, run again until its "
            "partitions have been copied, and go on with the next; if nothing else holds them, bring back a device "
            "first."
        )
    raise RingError(
        f"ring {name}: of some partition {moves.most} replicas would be in motion at once, so that it could not be "
        "read meanwhile. Change one zone, host or device at a time, and wait until its partitions have been copied."
    )


def _per_device(
    keys: Mapping[int, str], parts: Mapping[str, int], moves: Motion, record: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """By device that gets or gives partitions: what it had, gets, gives and will have, and the share of them that
    moves."""
    found: dict[str, dict[str, Any]] = {}
    for number in sorted(set(moves.arriving) | set(moves.leaving)):
        key = keys.get(number, str(number))
        had, comes, goes = parts.get(key, 0), moves.arriving.get(number, 0), moves.leaving.get(number, 0)
        has = record["devices"].get(key, {}).get("parts", 0)
        share = round(100 * max(comes, goes) / max(had, has, 1), 1)
        found[key] = {"had": had, "arriving": comes, "leaving": goes, "has": has, "share": share}
    return found


def md5(path: Path) -> str:
    """Checksum of a file, as the service's own tools tell it of rings."""
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as source:
        while block := source.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def save(computed: Computed, name: str, directory: Path) -> dict[str, Any]:
    """Write builder and ring of a computed ring; return what is kept of them."""
    builder, ring = directory / f"{name}.builder", directory / f"{name}.ring.gz"
    computed.builder.save(str(builder))
    computed.builder.get_ring().save(str(ring))
    os.chmod(ring, 0o644)
    return {**computed.record, "builder_md5": md5(builder), "ring_md5": md5(ring)}
