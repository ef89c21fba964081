"""The guard of changes that may lock people out: they hold only after a fresh login was proved, and undo themselves
otherwise.

Any module that changes how a host is reached works in these steps:

1. ``run = begin(...)``: a journal in a directory of its own, with a copy of the program that follows it back.
2. ``run.add([...])`` says what is there now, and :func:`arm` starts the timer; only then are the changes made.
3. :func:`taken` says that the running system has taken a group's changes into use. What was only written is never
  confirmed.
4. The control node logs in anew (``module_utils/host/fresh_login.py``), and has the host :func:`confirm` or
  :func:`undo`.

When nobody comes back, the timer undoes the groups, and so does the next boot.
"""

from __future__ import annotations

import contextlib
import os
import pkgutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.stig import journal as journals

Tool = Callable[[list[str]], tuple[int, str]]


class GuardError(Exception):
    """The guard cannot be set up; the text says why. The changes that it would guard must not be made."""


def program() -> bytes:
    """The journal's own source, which a timer runs on the host."""
    found = pkgutil.get_data(journals.__package__ or __name__, "journal.py")
    return Path(str(journals.__file__)).read_bytes() if found is None else found


def begin(base: str, run_id: str, head: dict[str, Any], root: str = "/") -> journals.Journal:
    """Begin a journal below the directory `base`, with the program that undoes it.

    :param run_id: a name that sorts by time and is part of a unit's name, as in ``20261121T071939153768Z``.
    :param head: what is to be known of the run beside its id and state.
    :raises journals.JournalError: when it cannot be written.
    """
    run = journals.Journal(run_id, root, base)
    run.begin(head, program())
    return run


def unproved(run: journals.Journal) -> list[str]:
    """The groups of a run that are armed and neither confirmed nor undone."""
    with contextlib.suppress(FileNotFoundError):
        return Path(f"{run.directory}/unproved").read_text("utf-8").split()
    return []


def arm(run: journals.Journal, groups: Iterable[str], seconds: int, tool: Tool, systemd: bool) -> None:
    """Have these groups of a run undone by a timer, and by the next boot, unless they are confirmed.

    Call it before the changes are made. A second call replaces groups and timer; without groups nothing is guarded any
    more.

    :raises GuardError: when no timer can be started.
    """
    names = sorted(set(groups))
    if not names:
        release(run, tool, systemd)
        return
    _mark(run, "unproved", names)
    journals.guard_boot(run)
    _start_timer(run, seconds, tool, systemd)


def taken(run: journals.Journal, groups: Iterable[str]) -> None:
    """Note that the running system has taken the changes of these groups into use, so that a login now proves them."""
    known = set()
    with contextlib.suppress(FileNotFoundError):
        known = set(Path(f"{run.directory}/taken").read_text("utf-8").split())
    _mark(run, "taken", sorted({*known, *groups}))


def confirm(run: journals.Journal, tool: Tool, systemd: bool) -> list[str]:
    """Keep the guarded changes: a fresh login was proved while they were in force.

    What was written but not taken into use (:func:`taken`) is undone instead, since the login proved nothing of it.

    :returns: what was not confirmed and what went wrong, a sentence each.
    """
    waiting = unproved(run)
    known: set[str] = set()
    with contextlib.suppress(FileNotFoundError):
        known = set(Path(f"{run.directory}/taken").read_text("utf-8").split())
    problems = []
    if idle := [one for one in waiting if one not in known]:
        problems = [
            f"The changes of group {', '.join(idle)} were not in force when the login was proved, so they are undone.",
            *run.undo(idle, tool),
        ]
    release(run, tool, systemd)
    return problems


def undo(run: journals.Journal, groups: Iterable[str], tool: Tool, systemd: bool) -> list[str]:
    """Undo some groups of a run now; the others stay guarded.

    :returns: what could not be restored, a sentence each.
    """
    names = list(groups)
    problems = run.undo(names, tool)
    if waiting := unproved(run):
        left = [one for one in waiting if one not in names]
        if left:
            _mark(run, "unproved", left)
        else:
            release(run, tool, systemd)
    return problems


def _mark(run: journals.Journal, name: str, words: list[str]) -> None:
    journals.write_atomically(f"{run.directory}/{name}", " ".join(words).encode(), 0o600, os.geteuid(), os.getegid())


def release(run: journals.Journal, tool: Tool, systemd: bool) -> None:
    """End the guard of a run: neither the timer nor the next boot undoes anything any more."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(f"{run.directory}/unproved")
    journals.release_boot(run)
    if systemd and not run.root:
        tool(["systemctl", "stop", f"{unit(run)}.timer"])


def unit(run: journals.Journal) -> str:
    """The name of the timer's unit, without its ending."""
    return f"stackwright-undo-{run.run_id}"


def _start_timer(run: journals.Journal, seconds: int, tool: Tool, systemd: bool) -> None:
    """Start systemd's timer where it runs, a process of its own otherwise; none below a scratch root."""
    if run.root:
        return
    path = f"{run.directory}/undo.py"
    if systemd:
        tool(["systemctl", "stop", f"{unit(run)}.timer"])
        code, output = tool(
            [
                "systemd-run",
                "--quiet",
                f"--on-active={seconds}",
                "--timer-property=AccuracySec=1s",
                f"--unit={unit(run)}",
                "--collect",
                "/usr/bin/python3",
                "-I",
                path,
            ]
        )
        if code:
            raise GuardError(
                f"The timer that guards the access to this host could not be started: {output.strip()[-200:]}"
            )
        return
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    null = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(null, number)
    time.sleep(seconds)
    os.execv("/usr/bin/python3", ["/usr/bin/python3", "-I", path])
