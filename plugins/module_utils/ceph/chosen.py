"""Disks that an operator describes in place of naming them: by size, rotation and model, and how many there must be.

A description is resolved on the host. It stands for exactly as many disks as it says, so that a disk that is plugged in
later, or one that the host loses, is told and not taken. Kept to what Python 3.8 understands, as preflight runs it.
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.ceph.sizes import bytes_of
from ansible_collections.stackwright.cloud.plugins.module_utils.common import words
from ansible_collections.stackwright.cloud.plugins.module_utils.host.drives import Drive

MATCH, COUNT = "match", "count"
KEYS = ("size", "rotational", "model", "except")
# What a single disk has of its own.
OF_ONE = ("path", "size", "db", "wal", "number")
BETWEEN = ".."
MEND = "Correct match or count, or name disks that are not meant under except."


def described(entry: Mapping[str, Any]) -> bool:
    """Whether an entry describes disks."""
    return bool(entry.get(MATCH))


def faults(entry: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with an entry that describes disks."""
    match = entry[MATCH]
    if not isinstance(match, Mapping):
        yield f"match: {match!r} is no mapping such as {{size: 7T..9T, rotational: true}}"
        return
    for key in sorted(set(match) - set(KEYS)):
        yield f"match: unknown key '{key}'. {words.hint_or_list(str(key), KEYS)}".rstrip()
    if not any(match.get(key) not in (None, "") for key in KEYS[:3]):
        yield "match: name a size, whether the disks are rotational, or a model"
    count = entry.get(COUNT)
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        yield f"match: count must say how many disks there are, 1 or more, not {count!r}"
    if own := [key for key in OF_ONE if entry.get(key) not in (None, "", {})]:
        yield f"match: {', '.join(own)} is of one disk alone: name that one by its path"
    if match.get("size") not in (None, ""):
        try:
            _bounds(str(match["size"]))
        except ValueError as error:
            yield f"match: {error}"
    if not isinstance(match.get("rotational"), (bool, type(None))):
        yield f"match: rotational must be true or false, not {match['rotational']!r}"


def _bounds(text: str) -> tuple[int, float]:
    """The smallest and the largest number of bytes of a range such as ``7T..9T``, ``7T..`` or ``..500G``."""
    low, between, high = text.partition(BETWEEN)
    if not between:
        raise ValueError(f"{text!r} is no range of sizes such as 7T..9T, 7T.. or ..500G")
    least, most = bytes_of(low) if low.strip() else 0, bytes_of(high) if high.strip() else float("inf")
    if least > most or (least, most) == (0, float("inf")):
        raise ValueError(f"{text!r} holds no size" if least > most else f"{text!r} holds every size")
    return least, most


def fits(match: Mapping[str, Any], drive: Drive) -> bool:
    """Whether a disk is as described. Models are compared without regard to capitals; ``*`` stands for anything."""
    size, model = match.get("size"), str(match.get("model") or "")
    least, most = _bounds(str(size)) if size not in (None, "") else (0, float("inf"))
    real = os.path.realpath(drive.path)
    return (
        least <= drive.size <= most
        and match.get("rotational") in (None, drive.rotational)
        and (not model or fnmatch.fnmatchcase(drive.model.lower(), model.lower()))
        and all(os.path.realpath(str(one)) != real for one in match.get("except") or [])
    )


@dataclass(frozen=True)
class Resolved:
    """What an entry stands for on a host: its disks, or why it stands for none."""

    entry: Mapping[str, Any]
    drives: Sequence[Drive] = ()
    fault: str = ""


def resolve(entries: Iterable[Mapping[str, Any]], drives: Sequence[Drive], named: Iterable[str]) -> Iterator[Resolved]:
    """What entries that describe disks stand for. A disk that two of them fit belongs to the first.

    :param drives: the disks of the host. :param named: paths of disks that other entries name.
    """
    taken = {os.path.realpath(one) for one in named}
    for entry in entries:
        found = [one for one in drives if fits(entry[MATCH], one) and os.path.realpath(one.path) not in taken]
        if len(found) == entry[COUNT]:
            taken |= {os.path.realpath(one.path) for one in found}
            yield Resolved(entry, found)
        else:
            listed = "; ".join(map(str, found)) or f"the host has {'; '.join(map(str, drives)) or 'none'}"
            yield Resolved(
                entry, fault=f"{phrase(entry)} is to be {entry[COUNT]} disks, and {len(found)} fit: {listed}"
            )


def phrase(entry: Mapping[str, Any]) -> str:
    """An entry's description as the inventory writes it."""
    written = {True: "true", False: "false"}
    parts = []
    for key in KEYS:
        value = entry[MATCH].get(key)
        if value not in (None, "", []):
            parts.append(f"{key}: {written[value] if isinstance(value, bool) else value}")
    return f"match {{{', '.join(parts)}}}"


def resolved(entries: Sequence[Mapping[str, Any]], drives: Sequence[Drive]) -> tuple[list[dict[str, Any]], list[str]]:
    """Entries with a path each in place of those that describe disks, and what is wrong with the descriptions."""
    named = [dict(one) for one in entries if not described(one)]
    taken = [
        str(one["path"]) for entry in named for one in (entry, entry.get("db"), entry.get("wal")) if one and one["path"]
    ]
    problems: list[str] = []
    sound = []
    for entry in filter(described, entries):
        wrong = list(faults(entry))
        problems += wrong
        sound += [] if wrong else [entry]
    for one in resolve(sound, drives, taken):
        problems += [f"{one.fault}. {MEND}"] if one.fault else []
        rest = {key: value for key, value in one.entry.items() if key not in (MATCH, COUNT)}
        named += [{**rest, "path": drive.path} for drive in one.drives]
    return named, problems
