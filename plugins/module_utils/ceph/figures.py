"""Figures of a cluster over time: how full it becomes, how fast it is against the last time, how old its scrubs and how
far apart its clocks are. Pure but for the file that keeps what was seen."""

from __future__ import annotations

import datetime
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.host import files

HISTORY = "/var/lib/stackwright/ceph-figures.json"
# Looks that are kept; with one a day, more than a year.
KEPT = 400
DAY = 86400.0
# A forecast from less than a day is none.
SHORTEST = DAY
# A cluster is slower than it was that does less than this part of what it did the last time.
SLOWER = 0.5
# Seconds that monitors' clocks may lie apart. Source: mon_clock_drift_allowed in Ceph's src/common/options/mon.yaml.in.
SKEW = 0.05


@dataclass(frozen=True)
class Look:
    """What was seen at a time (seconds since 1970): bytes, and bytes a second where it was measured."""

    time: float
    used: int
    total: int
    write: float = 0.0
    read: float = 0.0


def remembered(path: str = HISTORY) -> list[Look]:
    """What was seen before, the oldest first; nothing where the file is missing or damaged."""
    try:
        return [Look(**one) for one in json.loads(Path(path).read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError):
        return []


def remember(looks: Sequence[Look], path: str = HISTORY) -> None:
    """Keep what was seen.

    :raises OSError: the file cannot be written.
    """
    files.replace(path, json.dumps([asdict(one) for one in looks[-KEPT:]]), 0o600)


def days_left(looks: Sequence[Look], ratio: float) -> float | None:
    """Days until a cluster is as full as a ratio says, if it goes on as it did; None where nobody can tell.

    :param looks: the oldest first.
    """
    if not looks or looks[-1].time - looks[0].time < SHORTEST:
        return None
    # the line that lies nearest to all that was seen
    count = len(looks)
    middle_time = sum(one.time for one in looks) / count
    middle_used = sum(one.used for one in looks) / count
    slope = sum((one.time - middle_time) * (one.used - middle_used) for one in looks) / sum(
        (one.time - middle_time) ** 2 for one in looks
    )
    last = looks[-1]
    return (last.total * ratio - last.used) / slope / DAY if slope > 0 else None


def forecast(looks: Sequence[Look], ratio: float, least: float) -> list[str]:
    """That a cluster will soon be near full. :param least: days that have to be left."""
    left = days_left(looks, ratio)
    if left is None or left >= least:
        return []
    last = looks[-1]
    return [
        f"the cluster will be {ratio:.0%} full in {max(left, 0):.0f} days if it goes on as since "
        f"{time.strftime('%Y-%m-%d', time.gmtime(looks[0].time))}; {last.used / max(last.total, 1):.0%} are used: "
        "add OSDs"
    ]


def slower(looks: Sequence[Look]) -> list[str]:
    """What became slower than it was the last time that it was measured; the last look is the new one."""
    found = []
    for name, what in (("write", "writes"), ("read", "reads")):
        measured = [getattr(one, name) for one in looks if getattr(one, name)]
        if len(measured) > 1 and getattr(looks[-1], name) and measured[-1] < SLOWER * measured[-2]:
            found.append(
                f"the cluster {what} {measured[-1] / 1e6:.0f} MB/s, and did {measured[-2] / 1e6:.0f} MB/s before"
            )
    return found


def skewed(answer: Mapping[str, Any]) -> list[str]:
    """Monitors whose clocks lie too far apart. :param answer: what they say to ``time-sync-status``."""
    clocks = answer.get("time_skew_status") or {}
    return [
        f"the clock of mon.{name} is {abs(float(one.get('skew') or 0)):.2f} s from the leader's: "
        "set both by a time server"
        for name, one in sorted(clocks.items())
        if abs(float(one.get("skew") or 0)) > SKEW
    ]


def unscrubbed(groups: Sequence[Mapping[str, Any]], now: float, most: float) -> list[str]:
    """That placement groups were not compared with their copies for long.

    :param groups: the manager's answer to ``pg dump`` of ``pgs``. :param most: days.
    """
    old = sorted(_days(groups, now), reverse=True)
    late = [one for one in old if one[0] > most]
    if not late:
        return []
    return [
        f"{len(late)} of {len(old)} placement groups were last scrubbed deeply more than {most:g} days ago, "
        f"{late[0][1]} {late[0][0]:.0f} days: see whether noscrub or nodeep-scrub is set, "
        "and osd_scrub_begin_hour and its like"
    ]


def _days(groups: Sequence[Mapping[str, Any]], now: float) -> Iterator[tuple[float, str]]:
    for one in groups:
        try:
            stamp = datetime.datetime.strptime(str(one["last_deep_scrub_stamp"]), "%Y-%m-%dT%H:%M:%S.%f%z")
        except (KeyError, ValueError):
            continue
        yield (now - stamp.timestamp()) / DAY, str(one.get("pgid", ""))
