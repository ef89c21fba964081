"""How a cluster of the object store is, from what its storage servers say at ``/recon``: asked side by side, a bounded
number at a time, judged and set as a table."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.common.text import clean

# Ports of the three kinds of servers, and what each is asked.
ASKED: Mapping[str, tuple[int, tuple[str, ...]]] = {
    "object": (
        6200,
        (
            "diskusage",
            "unmounted",
            "quarantined",
            "async",
            "replication/object",
            "reconstruction/object",
            "auditor/object",
            "ringmd5",
            "time",
        ),
    ),
    "container": (6201, ("replication/container", "auditor/container")),
    "account": (6202, ("replication/account", "auditor/account")),
}
# Kinds whose data are databases.
DATABASES = ("account", "container")
MOST_BYTES = 1 << 20
HOUR, DAY = 3600.0, 86400.0
Ask = Callable[[str, float], Any]
# What is asked for a node's clock.
CLOCK = "time"
# A cluster is full long before its disks are: replication needs room, and the fullest disk decides.
FULL = 90.0


@dataclass
class Node:
    """One storage node: answers by question, what could not be asked, and by how much its clock is ahead, in seconds:
    judged when it says its time, since asking all of a large cluster takes longer than clocks may differ."""

    name: str
    answers: dict[str, Any] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    ahead: float | None = None


def ask(url: str, timeout: float) -> Any:
    """The JSON at a URL, without the environment's proxies.

    :raises OSError, ValueError: there is none.
    """
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=timeout) as answer:
        return json.loads(answer.read(MOST_BYTES))


def gather(nodes: Mapping[str, str], at_once: int, timeout: float, question: Ask = ask) -> list[Node]:
    """Ask all nodes.

    :param nodes: addresses by name; each may have ports, as ``object=6200``, of simulated ones.
    :param at_once: nodes that are asked at the same time.
    :param timeout: seconds for one answer. A server that does not answer is not asked again.
    """
    with ThreadPoolExecutor(max(1, min(at_once, len(nodes) or 1))) as pool:
        return list(pool.map(lambda item: _node(item[0], item[1], timeout, question), sorted(nodes.items())))


def _node(name: str, address: str, timeout: float, question: Ask) -> Node:
    node = Node(name)
    bare, _, given = address.partition(",")
    ports = dict(one.split("=") for one in given.split(",") if one)
    host = f"[{bare}]" if ":" in bare else bare
    for kind, (port, names) in ASKED.items():
        for what in names:
            asked = time.time()
            try:
                node.answers[what] = question(f"http://{host}:{ports.get(kind, port)}/recon/{what}", timeout)
                if what == CLOCK:
                    node.ahead = _ahead(node.answers[what], asked, time.time())
            except (OSError, ValueError) as error:
                cause = getattr(error, "reason", None) or error
                node.faults.append(clean(f"{kind} server: {cause}"))
                break
    return node


def _ahead(told: Any, asked: float, answered: float) -> float | None:
    """How far a clock is ahead that told its time between two moments; nothing where it may have been right."""
    clock = _number(told)
    if clock is None:
        return None
    return min(clock - asked, 0.0) if clock < answered else clock - answered


@dataclass(frozen=True)
class Row:
    """What is told of one node. Times are seconds, None where nothing is known. ``listings`` is how long ago the
    databases of each kind were replicated, ``idle`` the kinds of which replicators see none though there are some."""

    name: str
    fullest: float | None
    used: int
    size: int
    unmounted: tuple[str, ...]
    quarantined: int
    pending: int
    replicated: float | None
    reconstructed: float | None
    audited: float | None
    skew: float | None
    faults: tuple[str, ...]
    listings: Mapping[str, float | None] = field(default_factory=dict)
    idle: tuple[str, ...] = ()

    @property
    def oldest(self) -> float | None:
        """How long ago the pass of replication was that is the longest ago."""
        return max((one for one in (self.replicated, *self.listings.values()) if one is not None), default=None)


def row(node: Node, now: float) -> Row:
    """Sum up one node's answers; what a server left out or says in another shape is unknown."""
    disks = [one for one in _list(node.answers.get("diskusage")) if _number(one.get("size"))]
    answers = node.answers
    quarantined = _mapping(answers.get("quarantined"))
    return Row(
        node.name,
        max((100.0 * one["used"] / one["size"] for one in disks if one.get("used") is not None), default=None),
        int(sum(_number(one.get("used")) or 0 for one in disks)),
        int(sum(one["size"] for one in disks)),
        _unmounted(answers.get("unmounted")),
        int(sum(_number(quarantined.get(kind)) or 0 for kind in ("accounts", "containers", "objects"))),
        int(_number(_mapping(answers.get("async")).get("async_pending")) or 0),
        _age(_mapping(answers.get("replication/object")).get("object_replication_last"), now),
        _age(_mapping(answers.get("reconstruction/object")).get("object_reconstruction_last"), now),
        _number(_mapping(_mapping(answers.get("auditor/object")).get("object_auditor_stats_ALL")).get("audit_time")),
        node.ahead,
        tuple(node.faults),
        {kind: _age(_mapping(answers.get(f"replication/{kind}")).get("replication_last"), now) for kind in DATABASES},
        tuple(kind for kind in DATABASES if _idle(answers, kind)),
    )  # fmt: skip


def _idle(answers: Mapping[str, Any], kind: str) -> bool:
    """Whether the last pass of replication saw no database where the auditor read some: a replicator that does not find
    its devices in the ring passes over all of them, and ends well."""
    stats = _mapping(_mapping(answers.get(f"replication/{kind}")).get("replication_stats"))
    read = _number(_mapping(answers.get(f"auditor/{kind}")).get(f"{kind}_audits_passed"))
    return _number(stats.get("attempted")) == 0 and bool(read)


def _unmounted(value: Any) -> tuple[str, ...]:
    return tuple(sorted(clean(str(one.get("device"))) for one in _list(value) if one.get("mounted") is False))


def _age(value: Any, now: float) -> float | None:
    found = _number(value)
    return max(0.0, now - found) if found else None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


@dataclass(frozen=True)
class Limits:
    """From where on something is a problem: percent of a disk, objects, pending updates, seconds."""

    full: float = FULL
    quarantined: int = 0
    pending: int = 1000
    age: float = DAY
    skew: float = 5.0


def missing(rows: Sequence[Row]) -> list[str]:
    """A sentence for each server and each device without which copies are fewer than they should be."""
    return [
        line
        for one in rows
        for line in (
            *(f"{one.name}: {fault}" for fault in one.faults),
            *(f"{one.name}: device {device} is not mounted" for device in one.unmounted),
        )
    ]


def problems(rows: Sequence[Row], nodes: Sequence[Node], rings: Mapping[str, str], limits: Limits) -> list[str]:
    """A sentence for everything that an operator should look at.

    :param rings: checksums of the rings that hosts must have, by path; empty where they are not known.
    """
    found = []
    for one in rows:
        found += missing([one])
        if one.fullest is not None and one.fullest >= limits.full:
            found.append(f"{one.name}: its fullest disk is {one.fullest:.0f} % full")
        if one.quarantined > limits.quarantined:
            found.append(f"{one.name}: {one.quarantined} objects are quarantined")
        if one.pending > limits.pending:
            found.append(f"{one.name}: {one.pending} updates of listings are pending")
        ages = {"replicated": one.replicated, "reconstructed": one.reconstructed}
        ages |= {f"replicated {kind} databases": age for kind, age in one.listings.items()}
        for what, age in ages.items():
            if age is not None and age > limits.age:
                found.append(f"{one.name}: last {what} {duration(age)} ago")
        for kind in one.idle:
            found.append(
                f"{one.name}: its {kind} replicator sees no database though there are some: bind_ip in "
                f"[{kind}-replicator] of {kind}-server.conf has to be the replication address that rings have"
            )
        if one.skew is not None and abs(one.skew) > limits.skew:
            found.append(f"{one.name}: its clock is off by {one.skew:+.0f} s")
    for node in nodes:
        has = _mapping(node.answers.get("ringmd5"))
        wrong = sorted(path for path, checksum in rings.items() if has and has.get(path) != checksum)
        found += [f"{node.name}: {path} is not the ring of the inventory" for path in wrong]
    return found


def forecast(samples: Sequence[Mapping[str, float]], full: float = FULL) -> float | None:
    """Days until the cluster is full, from how it has filled over all samples (``time``, ``used``, ``size``).

    None where it does not fill, or was not watched for an hour.
    """
    known = [one for one in samples if one["size"] > 0]
    if len(known) < 2 or known[-1]["time"] - known[0]["time"] < HOUR:
        return None
    share = [100.0 * one["used"] / one["size"] for one in known]
    times = [one["time"] for one in known]
    middle, level = sum(times) / len(times), sum(share) / len(share)
    spread = sum((one - middle) ** 2 for one in times)
    slope = sum((t - middle) * (s - level) for t, s in zip(times, share, strict=True)) / spread
    return max(0.0, (full - share[-1]) / slope / DAY) if slope > 0 else None


def duration(seconds: float | None) -> str:
    """A time in few characters."""
    if seconds is None:
        return "-"
    for size, unit in ((DAY, "d"), (HOUR, "h"), (60.0, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def table(rows: Sequence[Row], days: float | None) -> str:
    """All nodes as a table, and a line of the whole."""
    head = ("node", "used", "fullest", "unmounted", "quarantined", "pending", "replicated", "reconstructed", "audit")
    lines = [
        (
            one.name,
            _percent(one.used, one.size),
            "-" if one.fullest is None else f"{one.fullest:.1f} %",
            ",".join(one.unmounted) or "-",
            str(one.quarantined),
            str(one.pending),
            duration(one.oldest),
            duration(one.reconstructed),
            duration(one.audited),
        )
        for one in rows
    ]
    widths = [max(len(line[column]) for line in (head, *lines)) for column in range(len(head))]
    text = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in (head, *lines)
    ]
    used, size = sum(one.used for one in rows), sum(one.size for one in rows)
    when = "not foreseen" if days is None else f"in {days:.0f} days"
    return "\n".join([*text, f"{len(rows)} nodes, {_percent(used, size)} used, full: {when}"])


def _percent(used: int, size: int) -> str:
    return f"{100.0 * used / size:.1f} %" if size else "-"
