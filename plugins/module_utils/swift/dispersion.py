"""Whether every copy of what is spread over all partitions lies where the rings say."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

POPULATE = "/usr/bin/swift-dispersion-populate"
REPORT = "/usr/bin/swift-dispersion-report"
KINDS = ("container", "object")
WORDS = 60

# Runs a program and returns its exit status, its output and what it said beside.
Run = Callable[[Sequence[str]], tuple[int, str, str]]


class DispersionError(Exception):
    """It cannot be measured; the text says what was tried and what came of it."""


@dataclass(frozen=True)
class Dispersion:
    """Copies of the containers, or of the objects, of a policy. ``expected`` counts every copy of every partition that
    was looked at."""

    policy: str
    kind: str
    found: int
    expected: int

    @property
    def percent(self) -> float:
        """The share that was found."""
        return 100.0 * self.found / self.expected if self.expected else 0.0

    def __str__(self) -> str:
        return f"{self.policy}: {self.percent:.2f} % of {self.kind} copies ({self.found} of {self.expected})"


def _ask(run: Run, argv: Sequence[str], what: str) -> str:
    status, out, said = run(argv)
    if status:
        told = " ".join((said or out).split()[-WORDS:])
        raise DispersionError(f"{what} cannot be done: {' '.join(argv)} ends with status {status}: {told or 'no word'}")
    return out


def populate(policy: str, run: Run) -> None:
    """Spread containers and objects of a policy over its partitions, in the same places whenever this is done.

    Objects come first: the program makes their one container before them, and with it the account. Of the many
    containers that it makes at once some would find the account missing while the first of them makes it, and a proxy
    keeps that answer for seconds.

    :raises DispersionError: the object store does not take them.
    """
    for what in ("object", "container"):
        _ask(run, [POPULATE, "--policy-name", policy, f"--{what}-only"], f"spreading {what}s of the policy {policy}")


def report(policy: str, run: Run) -> list[Dispersion]:
    """Ask every storage node for each copy of what was spread.

    :raises DispersionError: nothing was spread, or the object store does not list it.
    """
    what = f"asking for copies of the policy {policy}"
    out = _ask(run, [REPORT, "--policy-name", policy, "--dump-json"], what)
    lines = [line for line in out.splitlines() if line.startswith("{")]
    try:
        told: dict[str, Any] = json.loads(lines[-1]) if lines else {}
        return [Dispersion(policy, kind, told[kind]["copies_found"], told[kind]["copies_expected"]) for kind in KINDS]
    except (ValueError, KeyError, TypeError) as error:
        raise DispersionError(f"{what} gives nothing to read: {' '.join(out.split()[-WORDS:]) or 'no word'}") from error
