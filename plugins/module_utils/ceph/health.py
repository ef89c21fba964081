"""Whether a cluster is whole, and who may do what in it. The judgement is pure; asking is done by the caller.

HEALTH_OK alone says little: it is shown for seconds after a host died, and figures of placement groups stand still
while a manager is gone. So monitors, OSDs and the states of placement groups count, the latter from the manager's own
mouth, and only several times in a row.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# An OSD is slow that writes at less than this part of what its peers of the same class do in the middle.
SLOW = 0.5
WRITE, READ, NOTHING = "write", "read", "nothing"
# Checks that tell of something that is over: they stay for minutes or a day, and waiting does not help. They are told,
# and a cluster that remembers them may be whole. Source: "Health checks" in Ceph's documentation of operations.
REMEMBERED = (
    "BLUESTORE_SLOW_OP_ALERT",
    "BLOCK_DEVICE_STALLED_READ_ALERT",
    "DB_DEVICE_STALLED_READ_ALERT",
    "WAL_DEVICE_STALLED_READ_ALERT",
    "OSD_SLOW_PING_TIME_BACK",
    "OSD_SLOW_PING_TIME_FRONT",
    "RECENT_CRASH",
    "RECENT_MGR_MODULE_CRASH",
)
_GRANT = re.compile(r"(?:allow\s+(?P<bits>[rwx*]+)|profile\s+(?P<profile>[\w-]+))(?P<rest>.*)")
_POOL = re.compile(r"\bpool=(\S+)")
# What a profile lets its user do with objects. Source: OSDCapGrant::expand_profile in Ceph's src/osd/OSDCap.cc.
_PROFILES = {"rbd": WRITE, "rbd-read-only": READ}


def judge(
    status: Mapping[str, Any], groups: Mapping[str, Any], monitors: Iterable[str] = (), allowed: Iterable[str] = ()
) -> list[str]:
    """What a cluster lacks at this moment; empty where it is whole.

    :param status: the monitors' answer to ``status``. :param groups: the manager's answer to ``pg stat``.
    :param monitors: names of monitors that have to be in the quorum. :param allowed: health checks that do not count.
    """
    found = []
    missing = sorted(set(monitors) - set(status.get("quorum_names") or []))
    if missing:
        found.append(f"monitors are not in the quorum: {', '.join(missing)}")
    osds = status.get("osdmap") or {}
    total, up, taking = (int(osds.get(key) or 0) for key in ("num_osds", "num_up_osds", "num_in_osds"))
    if up < total or taking < total:
        found.append(f"of {total} OSDs {up} are up and {taking} take data")
    if not (status.get("mgrmap") or {}).get("available"):
        found.append("no manager is active")
    summary = groups.get("pg_summary") or {}
    states = {str(one["name"]): int(one["num"]) for one in summary.get("num_pg_by_state") or []}
    bad = {name: number for name, number in states.items() if not whole(name)}
    if bad:
        listed = ", ".join(f"{number} {name}" for name, number in sorted(bad.items()))
        found.append(f"placement groups are not active and clean: {listed}")
    if sum(states.values()) < int(summary.get("num_pgs") or 0) or groups.get("pg_ready") is False:
        found.append("the manager does not know all placement groups yet")
    health = status.get("health") or {}
    for code, check in sorted((health.get("checks") or {}).items()):
        if not check.get("muted") and code not in {*allowed, *REMEMBERED}:
            found.append(_told(code, check))
    return found


def remarks(status: Mapping[str, Any]) -> list[str]:
    """What a cluster remembers of faults that are over, a line each, unless it is muted.

    :param status: the monitors' answer to ``status``.
    """
    checks = ((status.get("health") or {}).get("checks") or {}).items()
    return [_told(code, check) for code, check in sorted(checks) if code in REMEMBERED and not check.get("muted")]


def _told(code: str, check: Mapping[str, Any]) -> str:
    """A raised check as a line."""
    return f"{code}: {(check.get('summary') or {}).get('message', '')}"


def whole(state: str) -> bool:
    """Whether placement groups of this state have all their copies, and serve them."""
    words = set(state.split("+"))
    return {"active", "clean"} <= words and words <= {
        "active",
        "clean",
        "scrubbing",
        "deep",
        "snaptrim",
        "snaptrim_wait",
    }


@dataclass(frozen=True)
class Access:
    """What a user must be able to do in a pool: to write and read, to read, or nothing at all."""

    user: str
    pool: str
    may: str


def granted(caps: str, pool: str) -> str | None:
    """What capabilities on OSDs allow in a pool; None where they say it in a way that is not read here."""
    best = NOTHING
    for part in filter(None, (one.strip() for one in caps.split(","))):
        found = _GRANT.match(part)
        if not found or (found["profile"] and found["profile"] not in _PROFILES):
            return None
        rest = found["rest"]
        pools = _POOL.findall(rest)
        if rest.strip() and not pools:
            return None
        if pools and pool not in pools:
            continue
        bits = found["bits"] or ""
        may = _PROFILES[found["profile"]] if found["profile"] else WRITE if "*" in bits or "w" in bits else READ
        best = may if best != WRITE else best
    return best


def accesses(users: Mapping[str, Mapping[str, Any]], pools: Iterable[str]) -> list[Access]:
    """What there is to be proved: every client of a document in every pool of it."""
    listed = sorted(pools)
    found = []
    for name, user in sorted(users.items()):
        caps = str((user.get("caps") or {}).get("osd", ""))
        if name.startswith("client.") and user.get("state", "present") == "present" and caps:
            wanted = {pool: granted(caps, pool) for pool in listed}
            found += [Access(name, pool, may) for pool, may in wanted.items() if may is not None]
    return found


def slow(rates: Mapping[int, float], classes: Mapping[int, str]) -> list[str]:
    """OSDs that are much slower than their peers.

    :param rates: bytes a second by OSD. :param classes: the device class of each.
    """
    found = []
    for kind in sorted({classes.get(osd, "") for osd in rates}):
        peers = {osd: rate for osd, rate in rates.items() if classes.get(osd, "") == kind}
        middle = statistics.median(peers.values())
        found += [
            f"osd.{osd} writes {rate / 1e6:.0f} MB/s, its peers {middle / 1e6:.0f} MB/s"
            for osd, rate in sorted(peers.items())
            if len(peers) > 1 and rate < SLOW * middle
        ]
    return found


def in_a_row(rounds: Sequence[Sequence[str]], times: int) -> bool:
    """Whether the last rounds found nothing, as often as is wanted."""
    return len(rounds) >= times and not any(rounds[-times:])
