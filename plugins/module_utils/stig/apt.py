"""The one package transaction of an enforcement: what apt would do, and the doing."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

Tool = Callable[[list[str]], tuple[int, str]]
LOCKS = ("/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock")
# struct flock of Linux on 64-bit machines (fcntl(2)): type, whence, start, length, process
FLOCK = "hhqqi4x"
APT = [
    "apt-get", "-y", "-q", "--no-install-recommends", "-o", "Dpkg::Options::=--force-confdef", "-o",
    "Dpkg::Options::=--force-confold", "-o", "Dpkg::Use-Pty=0", "-o", "APT::Keep-Downloaded-Packages=false", "-o",
    "DPkg::Lock::Timeout=60",
]  # fmt: skip
UNKNOWN = re.compile(r"Unable to locate|404 |no installation candidate|has no installation")


def holder(root: str) -> str:
    """Who holds dpkg's lock, as name and process number; empty when nobody does."""
    for path in LOCKS:
        with contextlib.suppress(OSError):
            number = os.open(root + path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                asked = struct.pack(FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
                kind, _, _, _, process = struct.unpack(FLOCK, fcntl.fcntl(number, fcntl.F_GETLK, asked))
            finally:
                os.close(number)
            if kind != fcntl.F_UNLCK:
                with contextlib.suppress(OSError):
                    return f"{Path(f'/proc/{process}/comm').read_text('utf-8').strip()} (process {process})"
                return f"process {process}" if process > 0 else "another program"
    return ""


def wait_for_lock(root: str, seconds: float, pause: float = 1.0) -> str:
    """Wait until nobody holds dpkg's lock.

    :returns: who still holds it after so many seconds, or nothing.
    """
    deadline = time.monotonic() + seconds
    while (found := holder(root)) and time.monotonic() < deadline:
        time.sleep(pause)
    return found


@dataclass
class Plan:
    """What apt would do for `names` (a name with a minus is to go): the packages that come and go, those it needs
    included."""

    names: list[str] = field(default_factory=list)
    coming: set[str] = field(default_factory=set)
    going: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)


def _simulate(run: Tool, names: list[str]) -> tuple[int, str, Plan]:
    code, output = run([*APT, "-s", "install", *names])
    coming = set(re.findall(r"^Inst (\S+)", output, re.MULTILINE))
    going = set(re.findall(r"^(?:Remv|Purg) (\S+)", output, re.MULTILINE))
    return (
        code,
        output,
        Plan(list(names), {one.partition(":")[0] for one in coming}, {one.partition(":")[0] for one in going}),
    )


def plan(run: Tool, names: list[str]) -> Plan:
    """Ask apt what it would do, with fresh lists where it does not know a name. What cannot be had keeps nothing else
    away."""
    code, output, found = _simulate(run, names)
    if code and UNKNOWN.search(output):
        run(["apt-get", "-q", "-o", "DPkg::Lock::Timeout=60", "update"])
        code, output, found = _simulate(run, names)
    if not code:
        return found
    good: list[str] = []
    reasons: dict[str, list[str]] = {}
    for name in names:
        code, output, _ = _simulate(run, [name])
        if code:
            reasons.setdefault(_reason(output, name.rstrip("-")), []).append(name.rstrip("-"))
        else:
            good.append(name)
    problems = [_told(names, reason) for reason, names in reasons.items()]
    if not good:
        return Plan(problems=problems)
    code, output, found = _simulate(run, good)
    if code:
        return Plan(problems=[*problems, _told(good, _reason(output, ""))])
    found.problems = problems
    return found


def _reason(output: str, name: str) -> str:
    last = output.strip().split("\n")[-1] or "apt-get said nothing"
    return last.removesuffix(f" {name}") if name else last


def _told(names: list[str], reason: str) -> str:
    if len(names) == 1:
        return f"The package {names[0]} could not be changed: {reason}"
    return f"{len(names)} packages could not be changed: {', '.join(names)}: {reason}"


def carry_out(run: Tool, wanted: Plan) -> list[str]:
    """Carry a plan out in one transaction, or name by name when that fails for another reason than the network.

    :returns: what could not be done, a sentence each.
    """
    code, output = run([*APT, "install", *wanted.names])
    problems: list[str] = []
    if code and re.search(r"Failed to fetch|Unable to fetch|Could not get lock", output):
        problems.append(_told([one.rstrip("-") for one in wanted.names], _reason(output, "")))
    elif code:
        for name in wanted.names:
            code, output = run([*APT, "install", name])
            if code:
                problems.append(_told([name.rstrip("-")], _reason(output, "")))
    if leaving := [one.rstrip("-") for one in wanted.names if one.endswith("-")]:
        run(["dpkg", "--purge", *leaving])
    return problems
