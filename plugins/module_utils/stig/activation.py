"""How subsystems take changed files into use: in which order, with which commands, and what these change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ansible_collections.stackwright.cloud.plugins.module_utils.stig.host import Host

RELOAD = ["systemctl", "daemon-reload"]
RESTART = "restart "  # followed by a unit whose drop-in is new


@dataclass(frozen=True)
class Command:
    """One command, the paths (or patterns of paths) that it changes, and whether an undo repeats it."""

    argv: list[str]
    changes: list[str] = field(default_factory=list)
    again: bool = False


@dataclass(frozen=True)
class Activation:
    """One subsystem. What takes ``long`` waits until access changes are confirmed: it would outlast their timer."""

    commands: Callable[[Host], list[Command]] = lambda host: []
    long: bool = False


def _restarted(unit: str) -> Activation:
    return Activation(lambda host: [Command(["systemctl", "try-restart", unit], again=True)] if host.systemd else [])


def _always(argv: list[str], changes: list[str], again: bool = False, long: bool = False) -> Activation:
    return Activation(lambda host: [Command(argv, changes, again)], long)


def _audit(host: Host) -> list[Command]:
    if "auditd" not in host.packages:
        return []
    argv = ["augenrules"] if host.container else ["augenrules", "--load"]
    return [Command(argv, ["/etc/audit/audit.rules", "/etc/audit/audit.rules.prev"])]


def _grub(host: Host) -> list[Command]:
    return [Command(["update-grub"], ["/boot/grub/grub.cfg"])] if host.exists("/boot/grub/grub.cfg") else []


# In the order in which they are done. An undo reads the units anew whenever it restores one; sshd has a way of its own.
ACTIVATIONS = {
    "systemd": Activation(lambda host: [Command(RELOAD)] if host.systemd else []),
    "tmpfiles": Activation(),
    "audit": Activation(_audit),
    "dconf": _always(["dconf", "update"], ["/etc/dconf/db/local"], again=True),
    "rsyslog": _restarted("rsyslog.service"),
    "chrony": _restarted("chrony.service"),
    "sssd": _restarted("sssd.service"),
    "grub": Activation(_grub),
    "sshd": Activation(),
    "journald": _restarted("systemd-journald.service"),
    "cracklib": _always(
        ["update-cracklib"],
        [f"/var/cache/cracklib/cracklib_dict.{one}" for one in ("hwm", "pwd", "pwi")]
        + ["/var/cache/cracklib/src-dicts"],
    ),
    "aide": _always(
        ["aideinit", "-y", "-f"],
        [
            "/var/lib/aide/aide.db",
            "/var/lib/aide/aide.db.new",
            "/var/log/aide/aideinit.log",
            "/var/log/aide/aideinit.errors",
        ],
        long=True,
    ),
}


def rank(what: str) -> int:
    """Where an activation comes in the order; units with a new drop-in come last."""
    return list(ACTIVATIONS).index(what) if what in ACTIVATIONS else len(ACTIVATIONS)


def commands(host: Host, what: str) -> list[Command]:
    """The commands that take something into use on this host."""
    if what.startswith(RESTART):
        reload = ACTIVATIONS["systemd"].commands(host)
        return [*reload, *_restarted(what.removeprefix(RESTART)).commands(host)]
    return ACTIVATIONS[what].commands(host) if what in ACTIVATIONS else []


def takes_long(what: str) -> bool:
    """Whether it may outlast the timer that guards access changes."""
    return what in ACTIVATIONS and ACTIVATIONS[what].long
