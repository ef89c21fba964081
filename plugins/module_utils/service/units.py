"""systemd units brought to their states in one call.

A unit is restarted when it has been running since before one of the files that it reads was written. That rule needs no
memory of earlier runs, so it also holds after a run that was killed between writing a file and restarting its readers.
A reload leaves a unit active and is a change of its state all the same: that is when it last took files anew.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from ansible_collections.stackwright.cloud.plugins.module_utils.host import systemd
from ansible_collections.stackwright.cloud.plugins.module_utils.host.systemd import (
    AS_IT_IS,
    JOB_SECONDS,
    LASTING,
    Properties,
    full_name,
    journal_tail,
    log_tail,
    must,
    since,
    systemctl,
)

PROPERTIES = (
    "Id",
    "LoadState",
    "ActiveState",
    "UnitFileState",
    "ActiveEnterTimestamp",
    "StateChangeTimestamp",
    "NeedDaemonReload",
    "FragmentPath",
    "DropInPaths",
)
# Lines of a unit's journal and of its log that a failure quotes.
LINES = 12


@dataclass
class Unit:
    """What a unit is to be. ``files`` are the paths it reads, ``reloads`` those that it takes anew when it is reloaded;
    ``log`` is a file that tells more than the journal."""

    name: str
    state: str = "started"
    enabled: bool = True
    files: list[str] = field(default_factory=list)
    reloads: list[str] = field(default_factory=list)
    log: str = ""


@dataclass
class Plan:
    """Unit names by what is to be done with them."""

    start: list[str] = field(default_factory=list)
    restart: list[str] = field(default_factory=list)
    reload: list[str] = field(default_factory=list)
    stop: list[str] = field(default_factory=list)
    enable: list[str] = field(default_factory=list)
    disable: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        verbs = (
            ("start", self.start),
            ("restart", self.restart),
            ("reload", self.reload),
            ("stop", self.stop),
            ("enable", self.enable),
            ("disable", self.disable),
        )
        return [f"{verb} {name}" for verb, names in verbs for name in names]


def _written(path: str) -> float:
    try:
        return os.lstat(path).st_mtime
    except OSError:
        return 0.0


def _due(now: Properties, paths: list[str], told: bool, stamp: str) -> bool:
    """Whether one of the files is newer than the unit's last time of this kind, or is going to be."""
    newest = max((_written(path) for path in paths if path), default=0.0)
    return told or newest > since(now, stamp)


def plan(
    units: list[Unit], properties: dict[str, Properties], announced: set[str], reloaded: Collection[str] = ()
) -> Plan:
    """Decide what is to be done.

    :param properties: what :func:`show` returned for the units.
    :param announced: units whose files are going to be written (check mode), so that their restart is foreseen.
    :param reloaded: the same for units that are reloaded.
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
            if _due(now, files, unit.name in announced, "ActiveEnterTimestamp"):
                result.restart.append(unit.name)
            elif _due(now, unit.reloads, unit.name in reloaded, "StateChangeTimestamp"):
                result.reload.append(unit.name)
        file_state = now.get("UnitFileState")
        if unit.enabled and file_state in ("disabled", "masked"):
            result.enable.append(unit.name)
        elif not unit.enabled and file_state in ("enabled", "enabled-runtime"):
            result.disable.append(unit.name)
    return result


def show(names: Sequence[str]) -> dict[str, Properties]:
    """What :func:`plan` wants to know of units; raises :class:`UnitsError` when systemd does not tell it."""
    return systemd.show(names, PROPERTIES)


def last_words(unit: Unit) -> str:
    """The last words of a unit: its journal and, if it keeps one, its log file."""
    words = journal_tail(unit.name, LINES)
    if unit.log and os.path.exists(unit.log):
        words += [f"{unit.log}:", *log_tail(unit.log, LINES)]
    return "\n".join(words)


def restart(names: list[str], seconds: float) -> None:
    """Restart units; a socket with its service stopped, since systemd leaves the socket of a running service as it is.

    :param seconds: how long each call may take.
    :raises UnitsError: systemd refuses to stop or to start what a socket belongs to, or that takes too long.
    """
    held = [name for name in names if name.endswith(".socket")]
    if held:
        told = systemd.show(held, ["Triggers"])
        services = sorted({word for one in told.values() for word in one.get("Triggers", "").split()})
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
        must("unmask", *[full_name(n) for n in decided.enable])
        must("-q", "enable", *[full_name(n) for n in decided.enable])
    if decided.disable:
        must("-q", "disable", *[full_name(n) for n in decided.disable])
    if decided.restart:
        restart([full_name(name) for name in decided.restart], seconds)
    if decided.reload:
        must("reload", *[full_name(n) for n in decided.reload], seconds=seconds)
    if decided.stop:
        must("stop", *[full_name(n) for n in decided.stop], seconds=seconds)
        systemctl("reset-failed", *[full_name(n) for n in decided.stop])
    if decided.start:
        systemctl("reset-failed", *[full_name(n) for n in decided.start])
        systemctl("start", *[full_name(n) for n in decided.start], seconds=seconds)


def wait(units: list[Unit], timeout: float, begun: Collection[str] = ()) -> dict[str, str]:
    """Wait until every unit that is to run is up; return the ones that are not, with the reason.

    :param begun: names of units that were just started: they have to stay up, which only time can tell.
    """
    wanted = {unit.name: LASTING if unit.name in begun else AS_IT_IS for unit in units if unit.state == "started"}
    deadline = time.monotonic() + timeout
    while True:
        found = {name: one for name, one in systemd.staying_up(wanted, wanted).items() if one[0]}
        if all(final for _, final in found.values()) or time.monotonic() > deadline:
            return {name: cause for name, (cause, _) in found.items()}
        time.sleep(0.5)
