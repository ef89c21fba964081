"""OSDs of one host: which of its disks are OSDs already, and how an empty disk becomes one. Nothing is ever erased.

An OSD is a directory below :data:`DIRECTORY` with its identity, its key and the link ``block`` to its disk. What makes
one is done in an order in which it can be broken off at any point and goes on where it was: its identity is written
down first.
"""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.ceph.session import Command, Session
from ansible_collections.stackwright.cloud.plugins.module_utils.ceph.sizes import bytes_of
from ansible_collections.stackwright.cloud.plugins.module_utils.common import command as programs
from ansible_collections.stackwright.cloud.plugins.module_utils.common.cephx import new_key
from ansible_collections.stackwright.cloud.plugins.module_utils.host import files

DIRECTORY = "/var/lib/ceph/osd"
INTENTIONS = "/var/lib/stackwright/ceph"
ACCOUNT = "ceph"
MKFS_SECONDS = 600.0
# Below this BlueStore has no room for its own data.
SMALLEST = 1 << 30


class OsdError(Exception):
    """A disk cannot become an OSD; ``problems`` has a sentence for each."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = list(problems)


# Beside the disk itself: what BlueStore may keep apart, by the names of its links in the OSD's directory.
PARTS = {"db": "block.db", "wal": "block.wal"}


@dataclass(frozen=True)
class Disk:
    """What an operator names: a block device, or a sparse file of so many bytes."""

    path: str
    size: int = 0
    device_class: str = ""
    apart: Mapping[str, Disk] = field(default_factory=dict)
    """Where its database (db) and journal (wal) are kept apart."""
    number: int | None = None
    """The number that it takes over from a disk that it replaces."""


@dataclass(frozen=True)
class Osd:
    """An OSD of this host: its number, identity, cluster, and where its disk is."""

    number: int
    identity: str
    cluster: str
    block: str
    ready: bool
    apart: Mapping[str, str] = field(default_factory=dict)

    @property
    def unit(self) -> str:
        """Its systemd unit."""
        return f"ceph-osd@{self.number}"


def disks_of(entries: Iterable[dict[str, Any]]) -> list[Disk]:
    """The disks that an operator names.

    :raises OsdError: an entry is wrong, or a disk is named twice.
    """
    found: list[Disk] = []
    problems: list[str] = []
    named: set[str] = set()
    for entry in entries:
        apart = {kind: _disk(entry[kind], {}, named, problems) for kind in PARTS if entry.get(kind)}
        found.append(_disk(entry, apart, named, problems))
    if problems:
        raise OsdError(problems)
    return found


def _disk(entry: Mapping[str, Any], apart: Mapping[str, Disk], named: set[str], problems: list[str]) -> Disk:
    """One disk that is named; what is wrong with it is added to the problems, and it to those that are named."""
    path, size = str(entry["path"]), str(entry.get("size") or "")
    wanted = 0
    try:
        wanted = bytes_of(size) if size else 0
    except ValueError as error:
        problems.append(f"{path}: {error}")
    if not path.startswith("/"):
        problems.append(f"{path}: the path must be absolute")
    elif wanted and wanted < SMALLEST:
        problems.append(f"{path}: {size} is too small for an OSD, which needs 1G at least")
    elif wanted and path.startswith("/dev/"):
        problems.append(f"{path}: a block device has its own size: leave size out, or name a file")
    elif os.path.realpath(path) in named:
        problems.append(f"{path}: this disk is named twice")
    named.add(os.path.realpath(path))
    number = entry.get("number")
    number = None if number is None else int(number)
    return Disk(path, wanted, str(entry.get("device_class") or ""), apart, number)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def present() -> list[Osd]:
    """The OSDs that this host has."""
    found = []
    for place in sorted(Path(DIRECTORY).glob("*-*")) if Path(DIRECTORY).is_dir() else []:
        number = place.name.rpartition("-")[2]
        block = place / "block"
        if number.isdigit() and os.path.lexists(block):
            found.append(
                Osd(
                    int(number),
                    _text(place / "fsid"),
                    _text(place / "ceph_fsid"),
                    os.path.realpath(block),
                    (place / "ready").exists(),
                    {
                        kind: os.path.realpath(place / link)
                        for kind, link in PARTS.items()
                        if os.path.lexists(place / link)
                    },
                )
            )
    return found


def _intention(disk: Disk) -> str:
    name = hashlib.sha256(os.path.realpath(disk.path).encode()).hexdigest()[:16]
    return os.path.join(INTENTIONS, f"osd-{name}.json")


def intended(disk: Disk) -> dict[str, str]:
    """Identity and key that were written down for a disk; empty where it was not begun with."""
    try:
        found = json.loads(Path(_intention(disk)).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}


@dataclass(frozen=True)
class Plan:
    """What is to be done: OSDs that are there and must run, and disks that become OSDs."""

    keep: list[Osd]
    make: list[Disk]


def plan(wanted: Sequence[Disk], found: Sequence[Osd], cluster: str, holds: Callable[[str], list[str]]) -> Plan:
    """Compare named disks with the OSDs of the host.

    :param cluster: the identity of the cluster that they are to belong to.
    :param holds: what a disk holds, see :func:`disks.holds`.
    :raises OsdError: a disk holds something, is missing, or belongs to another cluster; all are named.
    """
    keep: list[Osd] = []
    make: list[Disk] = []
    problems: list[str] = []
    for disk in wanted:
        own = next((one for one in found if one.block == os.path.realpath(disk.path)), None)
        if own and own.cluster and own.cluster != cluster:
            problems.append(
                f"{disk.path} is osd.{own.number} of the cluster {own.cluster}, not of {cluster}: name another disk, "
                "or give the inventory back the secret ceph_cluster that it had"
            )
        elif own and own.ready:
            keep.append(own)
            problems += _moved(own, disk)
        elif faults := [] if intended(disk) else _faults(disk, holds):
            problems += faults
        else:
            make.append(disk)
    if problems:
        raise OsdError(problems)
    return Plan(keep, make)


def _moved(own: Osd, disk: Disk) -> list[str]:
    """What of an OSD is named to be elsewhere than it is."""
    wanted = {kind: os.path.realpath(part.path) for kind, part in disk.apart.items()}
    return [
        f"{disk.path} is osd.{own.number}, whose {kind} is {own.apart.get(kind, 'on the disk itself')}, not {path}: "
        "correct the entry; to move it, take the OSD out and make it anew"
        for kind, path in wanted.items()
        if own.apart.get(kind) != path
    ]


def _faults(disk: Disk, holds: Callable[[str], list[str]]) -> list[str]:
    """Why a disk, or what is kept apart of it, may not be used."""
    return [fault for one in (disk, *disk.apart.values()) if (fault := _fault(one, holds))]


def _fault(disk: Disk, holds: Callable[[str], list[str]]) -> str:
    """Why a disk may not be used; empty where it is proven empty."""
    if not os.path.exists(disk.path):
        return (
            "" if disk.size else f"{disk.path} does not exist: correct the path, or give the size of a file for a lab"
        )
    try:
        contents = holds(disk.path)
    except OSError as error:
        return f"{disk.path} cannot be looked at: {error.strerror or error}"
    if not contents:
        return ""
    return (
        f"{disk.path} is not empty: {', '.join(contents)}. Name another disk; or, if nothing of it is needed, empty it "
        f"yourself: blkdiscard {disk.path}, or write zeros over it"
    )


def make(disk: Disk, session: Session, run: Callable[..., Any] = programs.run) -> Osd:
    """Make an OSD of a disk that is proven empty, or go on with one that was begun.

    :param session: of the key that may register OSDs.
    :raises OsdError: Ceph's own program fails; its last words are told.
    :raises CephError: the monitors refuse.
    :raises OSError: a file cannot be written.
    """
    account = pwd.getpwnam(ACCOUNT)
    begun = intended(disk)
    if not begun:
        begun = {"identity": str(uuid.uuid4()), "key": new_key(), "path": disk.path}
        files.replace(_intention(disk), json.dumps(begun), 0o600)
    wanted: dict[str, Any] = {"uuid": begun["identity"]}
    if disk.number is not None:
        wanted["id"] = disk.number
    answer = session.ask(Command("osd new", wanted, json.dumps({"cephx_secret": begun["key"]}).encode()))
    number = int(answer["osdid"])
    for one in (disk, *disk.apart.values()):
        if one.size:
            _sparse(one, account.pw_uid, account.pw_gid)
        else:
            os.chown(one.path, account.pw_uid, account.pw_gid)
    _home(number, disk, begun["key"], account)
    command = ["ceph-osd", "-i", str(number), "--mkfs", "--osd-uuid", begun["identity"]]
    try:
        done = run(
            [*command, "--osd-objectstore", "bluestore", "--setuser", ACCOUNT, "--setgroup", ACCOUNT], MKFS_SECONDS
        )
    except programs.CommandTimeoutError as error:
        raise OsdError([f"{disk.path}: {error}"]) from error
    if done.returncode:
        said = " | ".join(line.strip() for line in done.stderr.splitlines()[-4:])
        raise OsdError([f"{disk.path}: ceph-osd --mkfs of osd.{number} ended with {done.returncode}: {said}"])
    os.unlink(_intention(disk))
    return next(one for one in present() if one.number == number)


def _sparse(disk: Disk, uid: int, gid: int) -> None:
    """A sparse file with its size, of the account that OSDs run as."""
    with files.opened(disk.path, (uid,), make=True) as place:
        if files.look(place) is None:
            handle = os.open(
                place.name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=place.directory
            )
        else:
            handle = os.open(place.name, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place.directory)
        try:
            if os.fstat(handle).st_size < disk.size:
                os.ftruncate(handle, disk.size)
            os.fchown(handle, uid, gid)
        finally:
            os.close(handle)


def _home(number: int, disk: Disk, key: str, account: pwd.struct_passwd) -> None:
    """The OSD's directory with links, key and class; what is there already stays."""
    home = os.path.join(DIRECTORY, f"ceph-{number}")
    owners = (account.pw_uid,)
    with files.opened(os.path.join(home, "block"), owners, make=True) as place:
        links = {place.name: disk.path} | {PARTS[kind]: part.path for kind, part in disk.apart.items()}
        for link, path in links.items():
            if files.look(files.Place(place.directory, link, set(), False)) is None:
                os.symlink(path, link, dir_fd=place.directory)
        whole = {"keyring": f"[osd.{number}]\n  key = {key}\n"}
        if disk.device_class:
            whole["crush_device_class"] = f"{disk.device_class}\n"
        for name, text in whole.items():
            files.write_at(
                files.Place(place.directory, name, set(), False), text.encode(), 0o600, account.pw_uid, account.pw_gid
            )
        directory = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=place.directory)
        try:
            os.fchown(directory, account.pw_uid, account.pw_gid)
        finally:
            os.close(directory)
