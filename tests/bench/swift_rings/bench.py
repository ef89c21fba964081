"""Computes and judges a large ring with the distribution's library, and prints what each step takes.

    python3 tests/bench/swift_rings/bench.py [--devices 10000] [--power 20] [--most-mb 1500]

Runs where python3-swift is installed, such as on a storage node, from a copy of the checkout; nothing else is needed,
and only a temporary directory is written. The ring is made, then grows by a host while a device is drained by a step:
that is computed twice, as check mode and the run after it do. Fails when the two differ, when a partition has more than
one replica in motion, or when more memory was taken than --most-mb.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[3]
PER_HOST = 24


def settings(devices: int, power: int, more: int = 0, drained: bool = False) -> dict[str, object]:
    """A cluster of hosts with so many devices, in two regions of five zones, `more` hosts beside them."""
    hosts = {}
    for number in range(-(-devices // PER_HOST) + more):
        count = PER_HOST if (number + 1) * PER_HOST <= devices or more else devices % PER_HOST
        names = [f"d{one}" for one in range(count)]
        hosts[f"object{number}"] = {
            "region": 1 + number % 2,
            "zone": 1 + number % 5,
            "address": f"10.0.{number // 250}.{number % 250 + 1}",
            "replication_address": f"10.1.{number // 250}.{number % 250 + 1}",
            "devices": {name: {"weight": 100, "drain": drained and (number, name) == (0, "d0")} for name in names},
        }
    policies = [{"index": 0, "name": "gold", "default": True}]
    return {
        "part_power": power,
        "replicas": 3,
        "min_part_hours": 0,
        "overload": 0.1,
        "policies": policies,
        "hosts": hosts,
    }


def timed(what: str, do: Callable[[], T]) -> T:
    """Do it, and print what it took."""
    started, cpu = time.monotonic(), time.process_time()
    done = do()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    wall, used = time.monotonic() - started, time.process_time() - cpu
    print(f"{what:<44} {wall:8.1f} s wall {used:8.1f} s CPU {memory:6} MB at most so far", flush=True)
    return done


def main() -> int:
    """Run all steps; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", type=int, default=10000)
    parser.add_argument("--power", type=int, default=20)
    parser.add_argument("--most-mb", type=int, default=1500)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as here:
        place = Path(here) / "collections" / "ansible_collections" / "stackwright"
        place.mkdir(parents=True)
        (place / "cloud").symlink_to(ROOT)
        sys.path.insert(0, str(place.parents[1]))
        return measure(given, Path(here))


def measure(given: argparse.Namespace, here: Path) -> int:
    """Make the ring, judge and compute its change, and compare."""
    from ansible_collections.stackwright.cloud.plugins.module_utils.swift import builder, layout, rings
    from swift.common.ring import RingBuilder

    print(f"{given.devices} devices, 2^{given.power} partitions, 3 replicas")
    path = here / "object.builder"
    wanted = timed("the layout is read", lambda: layout.read(settings(given.devices, given.power)))
    assert not wanted.problems, wanted.problems[0]
    ring = wanted.rings["object"]
    shape = {key: getattr(ring, key) for key in ("part_power", "replicas", "min_part_hours", "overload")}
    new = rings.difference(ring, None, 100, time.time())
    request = {"name": "object", "new": True, "operations": new.operations, "rebalance": True, **shape}
    made = timed("the ring is made", lambda: builder.compute(RingBuilder, request, path))
    kept = timed("builder and ring are written", lambda: builder.save(made, "object", here))
    told = made.told
    size = path.stat().st_size >> 20
    print(f"  balance {told['balance']:g}, dispersion {told['dispersion']:g}, builder {size} MB")

    grown = layout.read(settings(given.devices, given.power, more=1, drained=True)).rings["object"]
    difference = timed("the change is judged", lambda: rings.difference(grown, kept, 50, time.time()))
    assert not difference.problems, difference.problems[0]
    request = {"name": "object", "new": False, "operations": difference.operations, "rebalance": True, **shape}
    first = timed("the change is computed, as in check mode", lambda: builder.compute(RingBuilder, request, path))
    told, record = first.told, first.record
    second = timed("the change is computed again", lambda: builder.compute(RingBuilder, request, path))
    print(f"  {told['moved']} replicas move, {told['share']} % of all; they touch {len(told['devices'])} devices")
    same = told == second.told and record["devices"] == second.record["devices"]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    if not same:
        print("FAILED: the run after check mode moves other partitions than it told")
    if memory > given.most_mb:
        print(f"FAILED: {memory} MB were taken, more than {given.most_mb}")
    return 0 if same and memory <= given.most_mb else 1


if __name__ == "__main__":
    raise SystemExit(main())
