"""A problem that preflight found, and the report of all of them."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping

from ansible_collections.stackwright.cloud.plugins.module_utils.common.problem import Problem

INVENTORY = "inventory"
"""Stands in the place of the host where the inventory as a whole is meant."""


def problem_of(host: str, variable: str, cause: str, mend: str, where: str = "", about: str = "") -> Problem:
    """One thing to mend before a deployment.

    :param cause: a sentence without its subject's name: the variable says it.
    :param mend: an instruction.
    :param where: file and line of the value when known.
    :param about: another host that it is about.
    """
    return Problem(cause, mend, where, about, host, variable)


def as_result(problem: Problem) -> dict[str, str]:
    """The problem for results in JSON."""
    return {
        "host": problem.host,
        "variable": problem.variable,
        "wrong": problem.cause,
        "mend": problem.mend,
        "where": problem.where,
        "about": problem.about,
    }


def from_result(told: Mapping[str, str]) -> Problem:
    """The problem of a result."""
    return problem_of(told["host"], told["variable"], told["wrong"], told["mend"], told["where"], told["about"])


def natural(text: str) -> list[tuple[int, str]]:
    """Sort key that puts compute10 behind compute9."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text)]


def collect(problems: Iterable[Problem]) -> list[Problem]:
    """Without repetition, those of the inventory first, then by host in natural order."""
    return sorted(
        set(problems), key=lambda one: (one.host != INVENTORY, natural(one.host), one.variable, one.cause, one.mend)
    )


def render(problems: Iterable[Problem], width: int = 120, hosts: int = 0) -> str:
    """The report: one entry for every problem, those that several hosts share written once.

    :param width: columns of the terminal.
    :param hosts: how many hosts the inventory has; a problem of all of them is written as "all hosts".
    """
    shared: dict[tuple[str, str, str, str], list[str]] = {}
    for one in collect(problems):
        shared.setdefault((one.variable, one.cause, one.mend, one.where), []).append(one.host)
    # The inventory first, then what many hosts share, then host by host.
    entries = sorted(
        shared.items(), key=lambda item: (item[1][0] != INVENTORY, -len(item[1]), list(map(natural, item[1])))
    )
    lines: list[str] = []
    previous = ""
    for (variable, wrong, mend, where), names in entries:
        heading = f"all {hosts} hosts" if len(names) == hosts > 1 else ", ".join(names)
        if heading != previous:
            lines += textwrap.wrap(heading, width)
            previous = heading
        place = f" ({where})" if where else ""
        lines += textwrap.wrap(f"{variable}: {wrong}{place}", width, initial_indent="  ", subsequent_indent="      ")
        lines += textwrap.wrap(mend, width, initial_indent="      -> ", subsequent_indent="         ")
    return "\n".join(lines)
