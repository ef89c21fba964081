"""Steps that make a service's own beginnings: schema migrations, key repositories, cells.

A step is due when it never succeeded with the present inputs, when its database holds no tables, or when a file that it
makes is missing. What succeeded is stamped, so an unchanged host runs nothing. Independent steps run side by side.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from ansible_collections.stackwright.cloud.plugins.module_utils.common import command as programs
from ansible_collections.stackwright.cloud.plugins.module_utils.common import steps
from ansible_collections.stackwright.cloud.plugins.module_utils.host import files

STAMPS = "/var/lib/stackwright/bootstrap"
LOCK = "/run/stackwright-bootstrap.lock"
# Seconds that one step may take: the migration of a big database takes long, but ends.
STEP_SECONDS = 3600.0


class BootstrapError(Exception):
    """Steps failed; ``problems`` names each with the last words of its command."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass
class Step:
    """One command. ``inputs`` are what makes it due again when they change; ``after`` names steps that come first.

    ``done_query`` is an SQL statement that finds a row once the step's work is there: for commands that fail when
    repeated. ``removes`` is a path that the step takes away: it is due as long as that is there, and never otherwise.
    """

    name: str
    command: list[str]
    user: str = "root"
    environment: dict[str, str] = field(default_factory=dict)
    after: list[str] = field(default_factory=list)
    packages: list[str] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    database: str = ""
    creates: str = ""
    removes: str = ""
    done_query: str = ""


def digest(step: Step, versions: dict[str, str]) -> str:
    """Identify the inputs of a step: its command, the named inputs, and the versions of its packages."""
    data = [step.command, step.user, step.inputs, [versions.get(name, "") for name in step.packages]]
    return hashlib.sha256(json.dumps(data).encode()).hexdigest()


def _stamp(step: Step) -> str:
    return os.path.join(STAMPS, step.name.replace("/", "_").replace(" ", "_"))


def is_due(
    step: Step,
    versions: dict[str, str],
    tables: dict[str, int] | None,
    found: Callable[[str], bool] = lambda query: False,
) -> str:
    """Say why a step is to run; empty if it is not.

    :param tables: number of tables by database, or None where no database server is on this host.
    :param found: whether an SQL statement finds a row.
    """
    if step.removes:
        return f"{step.removes} is still there" if os.path.lexists(step.removes) else ""
    if step.done_query and tables and tables.get(step.database) and found(step.done_query):
        return ""
    if step.creates and not os.path.exists(step.creates):
        return f"{step.creates} is missing"
    if step.database and tables is not None and not tables.get(step.database):
        return f"database {step.database} is empty"
    try:
        with open(_stamp(step), encoding="utf-8") as stream:
            stamped = stream.read().strip()
    except OSError:
        return "it never ran"
    return "" if stamped == digest(step, versions) else "its inputs changed"


def _write_stamp(step: Step, text: str) -> None:
    os.makedirs(STAMPS, mode=0o700, exist_ok=True)
    files.replace(_stamp(step), text + "\n")


def execute(step: Step, lock: int | None = None) -> str:
    """Run a step's command; return what went wrong, or nothing.

    :param lock: descriptor that the command inherits, so that it keeps the lock on it even if this process is killed.
    """
    command = step.command if step.user == "root" else ["/usr/sbin/runuser", "-u", step.user, "--", *step.command]
    environment = {**os.environ, "LC_ALL": "C.UTF-8", **step.environment}
    kept = [] if lock is None else [lock]
    try:
        done = programs.run(command, STEP_SECONDS, environment, "/", kept)
    except OSError as error:
        return f"{step.name}: {error.strerror}: {step.command[0]}"
    except programs.CommandTimeoutError as error:
        return f"{step.name}: {error}"
    if done.returncode == 0:
        return ""
    words = [line.strip() for line in (done.stderr + "\n" + done.stdout).splitlines() if line.strip()]
    marked = [line for line in words if re.search("error|denied|critical", line, re.IGNORECASE)][-4:] or words[-4:]
    return f"{step.name}: {' '.join(step.command[:3])} ended with {done.returncode}: " + " | ".join(
        line[-400:] for line in marked
    )


def _linked(todo: list[Step], work: Callable[[Step], None]) -> list[steps.Step[Step]]:
    """The steps, each with those among them that it names in ``after``.

    :raises BootstrapError: steps wait for each other in a circle.
    """
    linked = [steps.Step(step, functools.partial(work, step)) for step in todo]
    for one in linked:
        one.after = [other for other in linked if other.about.name in one.about.after]
    if waiting := steps.circle(linked):
        raise BootstrapError([f"steps wait for each other: {', '.join(one.about.name for one in waiting)}"])
    return linked


def run(todo: list[Step], versions: dict[str, str], parallel: int, execute: Callable[[Step], str] = execute) -> None:
    """Run due steps in dependency order, at most ``parallel`` at once, and stamp each that succeeds.

    :raises BootstrapError: one or more failed; those that depend on them did not start.
    """

    def work(step: Step) -> None:
        if said := execute(step):
            raise BootstrapError([said])
        _write_stamp(step, digest(step, versions))

    failed = [error for _, error in steps.run(_linked(todo, work), parallel).failed]
    for error in failed:
        if not isinstance(error, BootstrapError):
            raise error
    if failed:
        raise BootstrapError([str(error) for error in failed])
