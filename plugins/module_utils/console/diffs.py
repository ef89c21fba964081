"""Differences of a task's result as compact lines."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Difference:
    """What one file or object was and is to be: its name, and unified lines without headers."""

    name: str
    lines: tuple[str, ...]


def differences(diff: Any, context: int = 1) -> list[Difference]:
    """The entries of a result's `diff` that differ.

    :param diff: as modules return it: a mapping, or a list of them, with before/after, or prepared.
    :param context: unchanged lines around a change.
    """
    found: list[Difference] = []
    for entry in diff if isinstance(diff, list) else [diff]:
        if not isinstance(entry, Mapping):
            continue
        header = str(entry.get("after_header") or entry.get("before_header") or "").strip()
        name = header.split(" (")[0]
        if "dst_binary" in entry or "src_binary" in entry:
            found.append(Difference(name, ("(binary content)",)))
        elif "dst_larger" in entry or "src_larger" in entry:
            found.append(Difference(name, ("(too large to show)",)))
        elif "before" in entry and "after" in entry:
            before, after = _lines(entry["before"]), _lines(entry["after"])
            unified = list(difflib.unified_diff(before, after, lineterm="", n=context))[2:]
            if unified:
                if sum(line.startswith("@@") for line in unified) == 1:
                    unified = unified[1:]
                found.append(Difference(name, tuple("..." if line.startswith("@@") else line for line in unified)))
        if entry.get("prepared"):
            found.append(Difference(name, tuple(str(entry["prepared"]).rstrip("\n").splitlines())))
    return found


def _lines(value: Any) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, str):
        value = json.dumps(value, indent=1, sort_keys=True, default=str, ensure_ascii=False)
    return list(value.splitlines())


def of_result(data: Mapping[str, Any], context: int = 1) -> list[Difference]:
    """The differences of a result, of all its rounds if it is a loop's."""
    if isinstance(data.get("results"), list):
        rounds = [entry for entry in data["results"] if isinstance(entry, Mapping) and entry.get("changed")]
        return [one for entry in rounds for one in of_result(entry, context)]
    return differences(data["diff"], context) if data.get("diff") else []
