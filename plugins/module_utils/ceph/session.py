"""One connection to a Ceph cluster: commands as mappings, answers as JSON. No output is ever parsed as text."""

from __future__ import annotations

import concurrent.futures
import contextlib
import errno
import importlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

CONFIGURATION = "/etc/ceph/ceph.conf"
# Seconds in which monitors must be found, and those in which they must answer one command.
CONNECT_SECONDS = 60
ANSWER_SECONDS = 60
# Commands that are under way at the same time. Monitors write what they decide together, so that many take as long as
# one.
AT_ONCE = 24


class CephError(Exception):
    """The cluster is not reached, or refuses a command; the text says what was asked and what it said."""


@dataclass(frozen=True)
class Command:
    """One command to the monitors, as their own table of commands names it, with what it reads."""

    prefix: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    data: bytes = b""
    accepts: tuple[int, ...] = ()
    """Errors, as positive numbers of errno, that are as good as success."""
    manager: bool = False
    """Whether the active manager is asked, in place of the monitors."""

    def encoded(self) -> str:
        """The command as the monitors read it."""
        return json.dumps({"prefix": self.prefix, "format": "json", **self.arguments})

    def __str__(self) -> str:
        words = [
            " ".join(map(str, value)) if isinstance(value, list) else str(value) for value in self.arguments.values()
        ]
        return " ".join(["ceph", self.prefix, *words])


class Session:
    """Commands over one connection. ``trips`` counts how often an answer was waited for; ``cluster`` is librados'."""

    def __init__(self, cluster: Any) -> None:
        self.cluster = cluster
        self.trips = 0

    def ask(self, command: Command) -> Any:
        """The answer of one command.

        :raises CephError: the cluster refuses it, or does not answer.
        """
        return self.ask_all([command])[0]

    def ask_all(self, commands: Sequence[Command]) -> list[Any]:
        """The answers of commands that do not depend on each other: they are under way together and count as one trip.

        :raises CephError: one or more were refused; all are named.
        """
        if not commands:
            return []
        self.trips += 1
        with concurrent.futures.ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
            answers = list(pool.map(self._one, commands))
        refused = [answer for answer in answers if isinstance(answer, CephError)]
        if refused:
            raise CephError("; ".join(map(str, refused)))
        return answers

    def _one(self, command: Command) -> Any:
        try:
            status, output, said = (
                self.cluster.mgr_command(command.encoded(), command.data, timeout=ANSWER_SECONDS)
                if command.manager
                else self.cluster.mon_command(command.encoded(), command.data, timeout=ANSWER_SECONDS)
            )
        except Exception as error:  # librados' own classes, which only exist where it is installed
            return CephError(f"{command}: {error}")
        if status and -status not in command.accepts:
            reason = said or errno.errorcode.get(-status, str(status))
            late = f": no answer within {ANSWER_SECONDS} s" if -status == errno.ETIMEDOUT else ""
            return CephError(f"{command}: {reason}{late}")
        try:
            return json.loads(output) if output.strip() else None
        except ValueError:
            return None


@contextlib.contextmanager
def connected(
    name: str, keyring: str, configuration: str = CONFIGURATION, more: Mapping[str, str] | None = None
) -> Iterator[Session]:
    """A session with the cluster of this host's configuration.

    :param name: who logs in, such as ``client.admin``. :param keyring: the file with its key.
    :param configuration: empty for none. :param more: further settings.
    :raises CephError: there is no way to the cluster.
    """
    try:
        rados: Any = importlib.import_module("rados")
    except ImportError as error:
        raise CephError("python3-rados is missing on this host; the role ceph installs it") from error
    settings = {
        "keyring": keyring,
        "client_mount_timeout": str(CONNECT_SECONDS),
        "rados_mon_op_timeout": str(ANSWER_SECONDS),
        **(more or {}),
    }
    try:
        cluster = rados.Rados(name=name, conffile=configuration or None, conf=settings)
        cluster.connect()
    except rados.ObjectNotFound as error:
        raise CephError(f"{configuration} or {keyring} cannot be read on this host: {error}") from error
    except rados.Error as error:
        raise CephError(
            f"logging in to the cluster as {name} failed: {error}. It needs more than half of the monitors: see "
            "systemctl status ceph-mon.target on their hosts, and whether the key in the vault is the cluster's"
        ) from error
    try:
        yield Session(cluster)
    finally:
        cluster.shutdown()
