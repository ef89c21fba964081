"""systemd: one way to ask it, one reader of what it shows, one rule on whether a unit stays up, and units' last
words."""

from __future__ import annotations

import datetime
import os
import subprocess
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.stackwright.cloud.plugins.module_utils.common import command
from ansible_collections.stackwright.cloud.plugins.module_utils.common.text import clean

# Seconds in which systemd answers a question, or enables a unit.
ANSWER_SECONDS = 60.0
# Seconds in which a unit starts or stops where nobody says otherwise.
JOB_SECONDS = 180.0
# Seconds that a unit has to have been active to count as running: a simple service is active even if it dies at once.
STAYS = 2.0
# Seconds that a unit which systemd had to start anew has to stay active: between two crashes it is active, too.
STAYS_RESTARTED = 15.0
SUFFIXES = ("service", "socket", "target", "timer", "mount", "path", "slice")
# What staying_up() judges by.
LIFE = (
    "Id",
    "Names",
    "LoadState",
    "ActiveState",
    "SubState",
    "Result",
    "ExecMainStatus",
    "NRestarts",
    "ActiveEnterTimestampMonotonic",
    "Job",
    "TriggeredBy",
)
# Most bytes of the end of a log file that are looked at.
LOG_BYTES = 64 << 10
_MARKS = (" ERROR ", " CRITICAL ", "Error:")

Properties = dict[str, str]
# Runs one command and returns its exit status and its output.
Runner = Callable[[list[str]], tuple[int, str]]


class UnitsError(Exception):
    """systemd does not answer, or refuses what is asked of it; the text has the command and systemd's words."""


def systemctl(*arguments: str, seconds: float = ANSWER_SECONDS) -> subprocess.CompletedProcess[str]:
    """Run systemctl, whatever it says; raises :class:`UnitsError` where there is none, or when it does not end in
    time."""
    try:
        return command.run(["systemctl", *arguments], seconds)
    except OSError as error:
        raise UnitsError(f"systemctl cannot be run on this host: {error.strerror}") from error
    except command.CommandTimeoutError as error:
        raise UnitsError(_unfinished(arguments, seconds)) from error


def must(*arguments: str, seconds: float = ANSWER_SECONDS) -> str:
    """Run systemctl and return its output; raise :class:`UnitsError` when it fails."""
    done = systemctl(*arguments, seconds=seconds)
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split()[:60])
        raise UnitsError(f"systemctl {_words(arguments)} failed: {said}")
    return done.stdout


def _words(arguments: Collection[str]) -> str:
    return " ".join(word for word in arguments if word[0] != "-")


def _unfinished(arguments: tuple[str, ...], seconds: float) -> str:
    """Say which of the units of a systemctl call hold it up: those with a job in systemd's queue, and their last
    words."""
    text = f"systemctl {_words(arguments)} did not end within {seconds:g} s"
    wanted = {full_name(word) for word in arguments[1:] if word[0] != "-"}
    try:
        listed = command.run(["systemctl", "list-jobs", "--no-legend", "--plain"], ANSWER_SECONDS).stdout
    except (command.CommandTimeoutError, OSError):
        return f"{text}, and systemd does not tell its jobs"
    jobs = [words for line in listed.splitlines() if len(words := line.split()) >= 4]
    if not jobs:
        return f"{text}, though systemd has no job left"
    held = [words for words in jobs if words[1] in wanted and words[3] == "running"] or jobs
    for words in held[:4]:
        last = "; ".join(journal_tail(words[1], 3))
        text += f"; {words[1]}: its {words[2]} job is {words[3]}" + (f", last words: {last}" if last else "")
    return f"{text}. The job goes on in systemd; systemctl kill --signal=KILL UNIT ends what the unit still runs"


def full_name(name: str) -> str:
    """A unit's name with its kind, which is a service where none is said."""
    return name if "." in name.rsplit("@", 1)[-1] and name.rsplit(".", 1)[-1] in SUFFIXES else f"{name}.service"


def blocks(text: str) -> list[Properties]:
    """What ``systemctl show`` prints, one dictionary per unit, in the order asked for; a repeated property has all its
    lines."""
    found: list[Properties] = []
    for block in text.strip("\n").split("\n\n"):
        properties: Properties = {}
        for name, sign, value in (line.partition("=") for line in block.splitlines()):
            if sign:
                properties[name] = f"{properties[name]}\n{value}" if name in properties else value
        found.append(properties)
    return found


def show(names: Sequence[str], properties: Sequence[str], run: Runner | None = None) -> dict[str, Properties]:
    """Properties of units by the name they were asked for, times in microseconds of UTC.

    :param run: what runs systemctl, where the caller has a way of its own.
    :raises UnitsError: systemd does not tell them.
    """
    if not names:
        return {}
    argv = [
        "show",
        "--no-pager",
        "--timestamp=us+utc",
        f"--property={','.join(properties)}",
        "--",
        *map(full_name, names),
    ]
    if run is None:
        told = must(*argv)
    else:
        status, told = run(["systemctl", *argv])
        if status:
            raise UnitsError(f"systemctl {_words(argv)} failed ({status}): {' '.join(told.split()[-60:])}")
    found = blocks(told)
    if len(found) != len(names):
        raise UnitsError(f"systemctl {_words(argv)} tells of {len(found)} units")
    return dict(zip(names, found, strict=True))


def since(properties: Properties, of: str = "ActiveEnterTimestamp") -> float:
    """When the unit became active, in seconds of the epoch; 0 if it is not.

    :param of: another time of the unit, by the name of its property.
    """
    words = properties.get(of, "").split()
    if len(words) < 3:
        return 0.0
    stamp = datetime.datetime.strptime(f"{words[1]} {words[2]}", "%Y-%m-%d %H:%M:%S.%f")
    return stamp.replace(tzinfo=datetime.UTC).timestamp()


@dataclass(frozen=True)
class Lasting:
    """Seconds that a unit must have been active to count as up, and those for one that systemd had to start anew."""

    stays: float = STAYS
    restarted: float = STAYS_RESTARTED


# AS_IT_IS: one that systemd never had to start anew may have been active for no time at all.
LASTING, AS_IT_IS = Lasting(), Lasting(stays=0)


def staying_up(
    names: Collection[str],
    lasting: Lasting | Mapping[str, Lasting],
    run: Runner | None = None,
    now: Callable[[], float] | None = None,
) -> dict[str, tuple[str, bool]]:
    """Whether units are up and stay so: for each the cause if not, and whether waiting cannot mend it.

    A stopped unit that ended well and that an active socket, timer or path will start when needed counts as up.

    :param lasting: how long they must have been active, in all or by name.
    :param now: tells CLOCK_MONOTONIC, in seconds.
    :raises UnitsError: systemd does not tell their states.
    """
    found = show(sorted(names), LIFE, run)
    stopped = [one for one in found.values() if one.get("ActiveState") == "inactive"]
    triggers = sorted({trigger for one in stopped for trigger in one.get("TriggeredBy", "").split()})
    waking = {
        name for name, one in show(triggers, ("Id", "ActiveState"), run).items() if one.get("ActiveState") == "active"
    }
    moment = (now or time.monotonic)()
    return {
        name: ("", False)
        if _sleeps(one, waking)
        else _judge(one, moment, lasting if isinstance(lasting, Lasting) else lasting[name])
        for name, one in found.items()
    }


def _sleeps(properties: Properties, waking: set[str]) -> bool:
    ended_well = properties.get("ActiveState") == "inactive" and properties.get("Result", "success") == "success"
    return ended_well and not waking.isdisjoint(properties.get("TriggeredBy", "").split())


def _judge(properties: Properties, now: float, lasting: Lasting) -> tuple[str, bool]:
    if properties.get("LoadState") == "not-found":
        return "the unit is not installed", True
    if properties.get("LoadState") not in (None, "loaded"):
        return f"the unit's load state is {properties['LoadState']}", True
    state, sub = properties.get("ActiveState", "unknown"), properties.get("SubState", "")
    restarts = int(properties.get("NRestarts") or 0)
    again = f", restarted {restarts} times by systemd" if restarts else ""
    if state != "active":
        result = properties.get("Result", "success")
        why = f", result {result}" if result not in ("", "success") else ""
        code = properties.get("ExecMainStatus", "0")
        why += f", exit status {code}" if code not in ("", "0") else ""
        queued = properties.get("Job", "0") not in ("", "0")
        return f"{state} ({sub}){why}{again}", state in ("failed", "inactive") and not queued
    age = max(0.0, now - int(properties.get("ActiveEnterTimestampMonotonic") or 0) / 1_000_000)
    if restarts and age < lasting.restarted:
        return f"active for only {age:.0f} s{again}: it keeps stopping", False
    if age < lasting.stays:
        return f"active for only {age:.1f} s", False
    return "", False


def journal_tail(unit: str, lines: int, run: Runner | None = None, form: str = "cat") -> list[str]:
    """Last lines of a unit's journal, clean; one that says so where it cannot be read.

    :param form: how journalctl writes them.
    """
    argv = ["journalctl", "--quiet", "--no-pager", "-o", form, "-n", str(lines), "-u", unit]
    try:
        if run is None:
            told = command.run(argv, ANSWER_SECONDS).stdout
        else:
            status, told = run(argv)
            if status:
                return []
    except (command.CommandTimeoutError, OSError) as error:
        return [f"(its journal cannot be read: {error})"]
    return [clean(line.rstrip()) for line in told.splitlines() if line.strip()]


def log_tail(path: str, lines: int) -> list[str]:
    """Last lines of a log file, clean; those that tell of errors where there are any.

    :raises OSError: it cannot be read.
    """
    with open(path, "rb") as stream:
        stream.seek(max(0, stream.seek(0, os.SEEK_END) - LOG_BYTES))
        told = [line.rstrip() for line in stream.read().decode("utf-8", "replace").splitlines() if line.strip()]
    marked = [line for line in told if any(mark in line for mark in _MARKS)] or told
    return [clean(line) for line in marked[-lines:]]
