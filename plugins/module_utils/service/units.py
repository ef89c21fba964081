"""systemd units brought to their states in one call.

A unit is restarted when it has been running since before one of the files that it reads was written. That rule needs no
memory of earlier runs, so it also holds after a run that was killed between writing a file and restarting its readers.
"""

from __future__ import annotations

import datetime
import os
import subprocess
import time
from collections.abc import Collection
from dataclasses import dataclass, field

from ansible_collections.stackwright.cloud.plugins.module_utils.common import command
from ansible_collections.stackwright.cloud.plugins.module_utils.common.text import clean

PROPERTIES = (
    "Id,Names,LoadState,ActiveState,SubState,UnitFileState,ActiveEnterTimestamp,NeedDaemonReload,Result,Type,NRestarts,FragmentPath,"
    "DropInPaths,StatusText"
)
# Seconds that a unit which was started has to run on before it counts as running: a simple service is active even if it dies at once.
STAYS = 2.0
# Seconds in which systemd answers a question, or enables a unit.
ANSWER_SECONDS = 60.0
# Seconds in which a unit starts or stops where nobody says otherwise.
JOB_SECONDS = 180.0


class UnitsError(Exception):
    """systemd does not answer, or refuses what is asked of it; the text has the command and systemd's words."""


@dataclass
class Unit:
    """What a unit is to be. ``files`` are the paths it reads; ``log`` is a file that tells more than the journal."""

    name: str
    state: str = "started"
    enabled: bool = True
    files: list[str] = field(default_factory=list)
    log: str = ""


@dataclass
class Plan:
    """Unit names by what is to be done with them."""

    start: list[str] = field(default_factory=list)
    restart: list[str] = field(default_factory=list)
    stop: list[str] = field(default_factory=list)
    enable: list[str] = field(default_factory=list)
    disable: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        verbs = (("start", self.start), ("restart", self.restart), ("stop", self.stop), ("enable", self.enable), ("disable", self.disable))
        return [f"{verb} {name}" for verb, names in verbs for name in names]


def systemctl(*arguments: str, seconds: float = ANSWER_SECONDS) -> subprocess.CompletedProcess[str]:
    """Run systemctl, whatever it says; raises :class:`UnitsError` where there is none, or when it does not end in time."""
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
    """Say which of the units of a systemctl call hold it up: those with a job in systemd's queue, and their last words."""
    text = f"systemctl {_words(arguments)} did not end within {seconds:g} s"
    wanted = {_full(word) for word in arguments[1:] if word[0] != "-"}
    try:
        listed = command.run(["systemctl", "list-jobs", "--no-legend", "--plain"], ANSWER_SECONDS).stdout
    except (command.CommandTimeoutError, OSError):
        return f"{text}, and systemd does not tell its jobs"
    jobs = [words for line in listed.splitlines() if len(words := line.split()) >= 4]
    if not jobs:
        return f"{text}, though systemd has no job left"
    held = [words for words in jobs if words[1] in wanted and words[3] == "running"] or jobs
    for words in held[:4]:
        last = "; ".join(journal(Unit(words[1]), 3).splitlines())
        text += f"; {words[1]}: its {words[2]} job is {words[3]}" + (f", last words: {last}" if last else "")
    return f"{text}. The job goes on in systemd; systemctl kill --signal=KILL UNIT ends what the unit still runs"


def _full(name: str) -> str:
    return name if "." in name.rsplit("@", 1)[-1] and name.rsplit(".", 1)[-1] in SUFFIXES else f"{name}.service"


SUFFIXES = ("service", "socket", "target", "timer", "mount", "path", "slice")


def parse_show(text: str) -> list[dict[str, str]]:
    """Read the blocks that ``systemctl show`` prints, one dictionary per unit, in the order asked for."""
    return [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in text.strip().split("\n\n")]


def show(names: list[str]) -> dict[str, dict[str, str]]:
    """Properties of units by the name they were asked for; raises :class:`UnitsError` when systemd does not tell them."""
    if not names:
        return {}
    told = must("show", "--timestamp=us+utc", f"--property={PROPERTIES}", "--", *[_full(name) for name in names])
    return dict(zip(names, parse_show(told), strict=True))


def since(properties: dict[str, str]) -> float:
    """When the unit became active, in seconds of the epoch; 0 if it is not."""
    words = properties.get("ActiveEnterTimestamp", "").split()
    if len(words) < 3:
        return 0.0
    stamp = datetime.datetime.strptime(f"{words[1]} {words[2]}", "%Y-%m-%d %H:%M:%S.%f")
    return stamp.replace(tzinfo=datetime.UTC).timestamp()


def _written(path: str) -> float:
    try:
        return os.lstat(path).st_mtime
    except OSError:
        return 0.0


def plan(units: list[Unit], properties: dict[str, dict[str, str]], announced: set[str]) -> Plan:
    """Decide what is to be done.

    :param properties: what :func:`show` returned for the units.
    :param announced: units whose files are going to be written (check mode), so that their restart is foreseen.
    """
    result = Plan()
    for unit in units:
        now = properties[unit.name]
        if now.get("LoadState") == "not-found":
            if unit.state == "started":
                result.missing.append(unit.name)
            continue
        active = now.get("ActiveState") in ("active", "reloading")
        if unit.state == "stopped":
            if active or now.get("ActiveState") in ("activating", "failed"):
                result.stop.append(unit.name)
        elif not active:
            result.start.append(unit.name)
        else:
            files = [*unit.files, now.get("FragmentPath", ""), *now.get("DropInPaths", "").split()]
            if unit.name in announced or max((_written(path) for path in files if path), default=0.0) > since(now):
                result.restart.append(unit.name)
        file_state = now.get("UnitFileState")
        if unit.enabled and file_state in ("disabled", "masked"):
            result.enable.append(unit.name)
        elif not unit.enabled and file_state in ("enabled", "enabled-runtime"):
            result.disable.append(unit.name)
    return result


def journal(unit: Unit, lines: int = 12) -> str:
    """The last words of a unit: its journal and, if it keeps one, its log file."""
    try:
        asked = ["journalctl", "-q", "--no-pager", "-o", "cat", "-n", str(lines), "-u", unit.name]
        words = command.run(asked, ANSWER_SECONDS).stdout.strip()
    except (command.CommandTimeoutError, OSError) as error:
        words = f"(its journal cannot be read: {error})"
    if unit.log and os.path.exists(unit.log):
        with open(unit.log, encoding="utf-8", errors="replace") as stream:
            tail = [line.rstrip() for line in stream.readlines()[-400:]]
        marked = [line for line in tail if " ERROR " in line or " CRITICAL " in line or "Error:" in line] or tail
        words += f"\n{unit.log}:\n" + "\n".join(marked[-lines:])
    return clean(words)


def restart(names: list[str], seconds: float) -> None:
    """Restart units; a socket with its service stopped, since systemd leaves the socket of a running service as it is.

    :param seconds: how long each call may take.
    :raises UnitsError: systemd refuses to stop or to start what a socket belongs to, or that takes too long.
    """
    held = [name for name in names if name.endswith(".socket")]
    if held:
        told = parse_show(must("show", "--property=Triggers", "--", *held))
        services = sorted({word for one in told for word in one.get("Triggers", "").split()})
        running = [name for name in services if systemctl("is-active", "-q", name).returncode == 0]
        if running:
            must("stop", *running, seconds=seconds)
        must("restart", *held, seconds=seconds)
        if running:
            must("start", *running, seconds=seconds)
    if others := [name for name in names if name not in held]:
        systemctl("restart", *others, seconds=seconds)


def carry_out(decided: Plan, seconds: float = JOB_SECONDS) -> None:
    """Do what was decided; systemd orders the units among themselves. What does not start is for :func:`wait` to find.

    Running units get their new configuration first: one that is stopped may ask one of them on its way out, as
    libvirt-guests asks libvirtd.

    :param seconds: how long each restart, stop and start may take.
    :raises UnitsError: systemd refuses to enable, disable or stop a unit, or one does not start or stop in its time.
    """
    if decided.enable:
        must("unmask", *[_full(n) for n in decided.enable])
        must("-q", "enable", *[_full(n) for n in decided.enable])
    if decided.disable:
        must("-q", "disable", *[_full(n) for n in decided.disable])
    if decided.restart:
        restart([_full(name) for name in decided.restart], seconds)
    if decided.stop:
        must("stop", *[_full(n) for n in decided.stop], seconds=seconds)
        systemctl("reset-failed", *[_full(n) for n in decided.stop])
    if decided.start:
        systemctl("reset-failed", *[_full(n) for n in decided.start])
        systemctl("start", *[_full(n) for n in decided.start], seconds=seconds)


def wait(units: list[Unit], timeout: float, begun: Collection[str] = ()) -> dict[str, str]:
    """Wait until every unit that is to run is active; return the ones that are not, with the reason.

    :param begun: names of units that were just started: they have to stay active for :data:`STAYS` seconds, in which systemd does
        not start them anew either.
    """
    wanted = [unit for unit in units if unit.state == "started"]
    watched = [unit.name for unit in wanted if unit.name in begun]
    deadline = time.monotonic() + timeout
    steady_since = time.monotonic()
    restarts: dict[str, str] = {}
    unsteady: dict[str, str] = {}
    while True:
        now = show([unit.name for unit in wanted])
        waiting = {
            unit.name: f"{p.get('ActiveState')} ({p.get('SubState')}, result {p.get('Result')})"
            for unit in wanted
            if (p := now[unit.name]).get("ActiveState") != "active"
        }
        if waiting and all("failed" in state for state in waiting.values()):
            return waiting
        before, restarts = restarts, {name: now[name].get("NRestarts", "0") for name in watched}
        anew = [name for name in watched if restarts[name] != before.get(name, restarts[name])]
        unsteady |= {name: f"active, but it ends and systemd starts it anew (restart {restarts[name]})" for name in anew}
        if waiting or anew:
            steady_since = time.monotonic()
        elif not watched or time.monotonic() - steady_since >= STAYS:
            return {}
        if time.monotonic() > deadline:
            return waiting or unsteady
        time.sleep(0.5)
