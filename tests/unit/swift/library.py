"""A stand-in for the service's ring library, small and plain: partitions go to the devices that are furthest below
their share, one replica of a partition at a time unless its device is gone."""

from __future__ import annotations

import gzip
import json
import pickle
from array import array
from pathlib import Path
from typing import Any


class RingBuilder:
    """Has what the product uses of the real one."""

    def __init__(self, part_power: int, replicas: float, min_part_hours: int) -> None:
        self.part_power, self.replicas, self.min_part_hours = part_power, replicas, min_part_hours
        self.devs: list[dict[str, Any] | None] = []
        self.version, self.dispersion, self.overload = 0, 0.0, 0.0
        self.table: list[array[int]] = []
        self.gone: set[int] = set()
        self.moved_at = 0

    @classmethod
    def load(cls, builder_file: str) -> RingBuilder:
        found = pickle.loads(Path(builder_file).read_bytes())
        assert isinstance(found, cls)
        return found

    def save(self, builder_file: str) -> None:
        Path(builder_file).write_bytes(pickle.dumps(self))

    def to_dict(self) -> dict[str, Any]:
        return {
            "part_power": self.part_power,
            "min_part_hours": self.min_part_hours,
            "overload": self.overload,
            "_last_part_moves_epoch": self.moved_at,
            "_replica2part2dev": self.table,
        }

    def get_ring(self) -> RingBuilder:
        return Ring(self)

    def device(self, number: int) -> dict[str, Any]:
        found = self.devs[number]
        assert found is not None
        return found

    def add_dev(self, dev: dict[str, Any]) -> int:
        dev |= {"id": len(self.devs), "parts": 0, "parts_wanted": 0, "weight": float(dev["weight"])}
        self.devs.append(dev)
        self.version += 1
        return int(dev["id"])

    def set_dev_weight(self, dev_id: int, weight: float) -> None:
        self.device(dev_id)["weight"] = weight
        self.version += 1

    def set_dev_region(self, dev_id: int, region: int) -> None:
        self.device(dev_id)["region"] = region
        self.version += 1

    def set_dev_zone(self, dev_id: int, zone: int) -> None:
        self.device(dev_id)["zone"] = zone
        self.version += 1

    def remove_dev(self, dev_id: int) -> None:
        self.gone.add(dev_id)
        self.device(dev_id)["weight"] = 0.0
        self.version += 1

    def set_replicas(self, new_replica_count: float) -> None:
        self.replicas = new_replica_count

    def change_min_part_hours(self, min_part_hours: int) -> None:
        self.min_part_hours = min_part_hours

    def set_overload(self, overload: float) -> None:
        self.overload = overload

    def pretend_min_part_hours_passed(self) -> None:
        self.moved_at = 0

    def validate(self, stats: bool = False) -> None:
        for number in {number for row in self.table for number in row}:
            self.device(number)

    def get_balance(self) -> float:
        return 0.0

    def rebalance(self, seed: Any = None) -> tuple[int, float, int]:
        carrying = [one for one in self.devs if one and one["weight"] > 0]
        if len(carrying) < self.replicas:
            raise ValueError(f"Replica count of {self.replicas} requires more than {len(carrying)} devices")
        partitions, rows = 2**self.part_power, int(self.replicas)
        total = sum(one["weight"] for one in carrying)
        share = {one["id"]: one["weight"] / total * partitions * rows for one in carrying}
        counts = dict.fromkeys(share, 0)
        for row in self.table[:rows]:
            for number in row:
                counts[number] = counts.get(number, 0) + 1
        table = self.table[:rows] + [array("H", [0xFFFF] * partitions) for _ in range(rows - len(self.table))]
        moved = 0
        for partition in range(partitions):
            in_motion = bool(self.table) and any(row[partition] in self.gone for row in table)
            for row in table:
                old = row[partition]
                forced = old == 0xFFFF or old in self.gone
                if not forced and (in_motion or counts[old] <= share.get(old, 0) + 0.5):
                    continue
                taken = {other[partition] for other in table}
                free = [number for number in share if number not in taken]
                best = max(free, key=lambda number: (share[number] - counts[number], -number))
                if not forced and counts[best] >= share[best]:
                    continue
                counts[old] = counts.get(old, 0) - 1
                counts[best] += 1
                row[partition] = best
                moved, in_motion = moved + 1, True
        self.table = table
        for number in self.gone:
            self.devs[number] = None
        removed, self.gone = len(self.gone), set()
        for one in self.devs:
            if one:
                one["parts"] = counts.get(one["id"], 0)
                one["parts_wanted"] = round(share.get(one["id"], 0) - one["parts"])
        self.moved_at = 1000 * 3600
        return moved, 0.0, removed


class Ring(RingBuilder):
    """A ring, written as the same bytes for the same assignment."""

    def __init__(self, of: RingBuilder) -> None:
        self.content = json.dumps([of.devs, [list(row) for row in of.table], of.version]).encode()

    def save(self, builder_file: str) -> None:
        Path(builder_file).write_bytes(gzip.compress(self.content, mtime=0))
