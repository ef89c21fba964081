"""Steps that wait for each other: independent ones side by side, dependent ones in order."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(eq=False)
class Step(Generic[T]):
    """A piece of work on something, the steps that must be done before it, and those that must have ended, done or
    not."""

    about: T
    work: Callable[[], None]
    after: list[Step[T]] = field(default_factory=list)
    behind: list[Step[T]] = field(default_factory=list)


@dataclass
class Outcome(Generic[T]):
    """What became of steps: those that failed, each with its error, and those that wait for themselves through
    others."""

    failed: list[tuple[Step[T], Exception]] = field(default_factory=list)
    circle: list[Step[T]] = field(default_factory=list)


def circle(steps: Sequence[Step[T]]) -> list[Step[T]]:
    """Steps that could never start, because they wait for themselves, be it through others."""
    waiting, ended = list(steps), set[Step[T]]()
    while ready := [step for step in waiting if ended.issuperset((*step.after, *step.behind))]:
        ended.update(ready)
        waiting = [step for step in waiting if step not in ended]
    return waiting


def run(steps: Sequence[Step[T]], parallel: int) -> Outcome[T]:
    """Run steps as their predecessors end, at most ``parallel`` at once.

    A failure stops what depends on it, not the rest. What waits for itself does not run.
    """
    waiting = list(steps)
    done: set[Step[T]] = set()
    failed: set[Step[T]] = set()
    outcome: Outcome[T] = Outcome()
    running: dict[concurrent.futures.Future[None], Step[T]] = {}
    with concurrent.futures.ThreadPoolExecutor(max(1, parallel)) as pool:
        while waiting or running:
            for step in list(waiting):
                if not failed.isdisjoint(step.after):
                    failed.add(step)
                    waiting.remove(step)
                elif done.issuperset(step.after) and all(other in done or other in failed for other in step.behind):
                    waiting.remove(step)
                    running[pool.submit(step.work)] = step
            if not running:
                if not any(other in failed for step in waiting for other in (*step.after, *step.behind)):
                    break
                continue
            finished, _ = concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED)
            for future in finished:
                step = running.pop(future)
                try:
                    future.result()
                    done.add(step)
                except Exception as error:
                    failed.add(step)
                    outcome.failed.append((step, error))
    outcome.circle = waiting
    return outcome
