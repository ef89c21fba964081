"""Partitions that a storage node keeps although the rings place them elsewhere, and passes that carry them there."""

from __future__ import annotations

import configparser
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

DATA = re.compile(r"^(accounts|containers|objects(?:-\d+)?)$")
# Partitions by device and directory of its data.
Held = dict[str, dict[str, int]]


class Ring(Protocol):
    """A ring of ``swift.common.ring``, as far as it is used here."""

    def get_part_nodes(self, part: int) -> Sequence[Mapping[str, Any]]: ...


@dataclass(frozen=True)
class Pass:
    """A program that carries handoffs away: its configuration, and what in it says that it is to do nothing else."""

    program: str
    configuration: str
    section: str
    option: str

    def words(self, text: str) -> str:
        """The configuration for it, made of that of the daemon.

        :raises configparser.Error: ``text`` is none.
        """
        read = configparser.RawConfigParser(strict=False)
        read.read_string(text)
        if not read.has_section(self.section):
            read.add_section(self.section)
        read.set(self.section, self.option, "true")
        written = io.StringIO()
        read.write(written)
        return written.getvalue()


ACCOUNTS = Pass("swift-account-replicator", "account-server.conf", "account-replicator", "handoffs_only")
CONTAINERS = Pass("swift-container-replicator", "container-server.conf", "container-replicator", "handoffs_only")
# With this, the replicator begins no other partition as long as a handoff is left.
OBJECTS = Pass("swift-object-replicator", "object-server.conf", "object-replicator", "handoffs_first")
FRAGMENTS = Pass("swift-object-reconstructor", "object-server.conf", "object-reconstructor", "handoffs_only")


def passes(data: Iterable[str], coded: Sequence[str]) -> list[Pass]:
    """The passes for directories of data. :param coded: those with objects in fragments."""
    kinds = {"accounts": ACCOUNTS, "containers": CONTAINERS}
    wanted = [kinds.get(name, FRAGMENTS if name in coded else OBJECTS) for name in sorted(set(data))]
    return list(dict.fromkeys(wanted))


def held(host: str, devices: Path, names: Sequence[str], load: Callable[[str], Ring]) -> Held:
    """Partitions on devices of a host that the rings place elsewhere.

    :param host: as the rings name it.
    :param devices: directory of the devices.
    :param load: gives a ring by its name, such as ``object-1``.
    :raises OSError: a directory cannot be read.
    """
    found: Held = {}
    for name in names:
        for place in sorted((devices / name).iterdir()) if (devices / name).is_dir() else []:
            if DATA.match(place.name):
                ring = load(re.sub(r"s(?=$|-)", "", place.name))
                if count := sum(1 for part in _partitions(place) if not _is_at_home(ring, part, f"{host}/{name}")):
                    found.setdefault(name, {})[place.name] = count
    return found


def _partitions(place: Path) -> list[int]:
    """Partitions with something in them; what replication leaves of one that it emptied does not count."""
    named = [one for one in place.iterdir() if one.name.isdigit()]
    return [int(one.name) for one in named if any(below.is_dir() for below in one.iterdir())]


def _is_at_home(ring: Ring, part: int, device: str) -> bool:
    return any(node["meta"] == device for node in ring.get_part_nodes(part))


def total(found: Held) -> int:
    """All of them."""
    return sum(sum(one.values()) for one in found.values())


def listing(found: Held) -> list[str]:
    """A phrase for each directory."""
    return [f"{name}/{data}: {count}" for name, one in found.items() for data, count in one.items()]
