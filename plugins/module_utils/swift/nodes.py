"""What a host of the object store has: rings, the secrets of its hash, devices. Looked at on the host, judged on the
control node."""

from __future__ import annotations

import configparser
import os
import pwd
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.common.problem import Problem
from ansible_collections.stackwright.cloud.plugins.module_utils.host import files
from ansible_collections.stackwright.cloud.plugins.module_utils.swift.builder import md5
from ansible_collections.stackwright.cloud.plugins.module_utils.swift.rings import fingerprint

ACCOUNT = "swift"
STAGED = ".staged-"


def look(directory: Path, devices: Path, names: Sequence[str]) -> dict[str, Any]:
    """What a host has.

    :param directory: where rings and ``swift.conf`` are.
    :param devices: directory of the devices.
    :param names: devices that it is to have.
    """
    rings = [one for one in sorted(directory.glob("*.ring.gz")) if not one.name.startswith(STAGED)]
    return {
        "rings": {one.name: md5(one) for one in rings},
        "hash": _hash(directory / "swift.conf"),
        "devices": {name: _device(devices / name) for name in names},
    }


def _hash(path: Path) -> str:
    """Fingerprint of the hash's secrets; empty where the service has none of its own yet."""
    read = configparser.RawConfigParser(strict=False)
    try:
        read.read(path, encoding="utf-8")
    except configparser.Error:
        return "unreadable"
    prefix = read.get("swift-hash", "swift_hash_path_prefix", fallback="")
    suffix = read.get("swift-hash", "swift_hash_path_suffix", fallback="")
    # the package's own file says so
    return "" if "changeme" in (prefix, suffix) or not (prefix or suffix) else fingerprint(prefix, suffix)


def _device(path: Path) -> dict[str, Any]:
    try:
        found = path.stat()
        inside = sorted(os.listdir(path))
    except OSError as error:
        return {"exists": not isinstance(error, FileNotFoundError), "error": str(error.strerror)}
    mounted = os.path.ismount(path)
    data = [one for one in inside if one != "lost+found"]
    return {"exists": True, "mounted": mounted, "owner": _name(found.st_uid), "data": bool(data)}


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def judge(
    seen: Mapping[str, Mapping[str, Any]], record: Mapping[str, Any], hash_id: str, disks: Mapping[str, Sequence[str]]
) -> Iterator[Problem]:
    """What hosts have that forbids a change.

    :param seen: what each host has, by its name.
    :param record: what is kept beside the builders.
    :param disks: by host, the devices that are disks to be mounted.
    """
    for host, has in seen.items():
        if has["hash"] and has["hash"] != hash_id:
            yield Problem(
                "/etc/swift/swift.conf has another hash prefix or suffix than the secrets of this inventory: what "
                "the host keeps would not be found again.",
                "Put swift_hash_prefix and swift_hash_suffix back from a copy; a host of another cluster has to be "
                "emptied.",
                "stackwright_secrets",
                host,
            )
        yield from _rings(host, has["rings"], record.get("rings") or {})
        for name, device in has["devices"].items():
            yield from _fit(host, name, device, name in disks.get(host, ()))


def _rings(host: str, has: Mapping[str, str], kept: Mapping[str, Any]) -> Iterator[Problem]:
    for file, checksum in has.items():
        name = file.removesuffix(".ring.gz")
        known = kept.get(name)
        if known is None:
            yield Problem(
                f"/etc/swift/{file} is there, and nothing is kept of a ring {name}: it is another cluster's, or the "
                "directory of the builders was lost.",
                "Put the directory back from a copy of the inventory (swift_ring_directory); a host that comes from "
                "another cluster has to lose its rings and its data first.",
                f"ring {name}",
                host,
            )
        elif checksum not in known["history"]:
            yield Problem(
                f"/etc/swift/{file} is none that came from this directory: it is another cluster's, or the builder "
                f"is older than it (version {known['version']} is the newest here).",
                "Put the newest copy of the directory back (swift_ring_directory), or take the file away if the "
                "host comes from another cluster.",
                f"ring {name}",
                host,
            )


def _fit(host: str, name: str, device: Mapping[str, Any], disk: bool) -> Iterator[Problem]:
    about, where = f"{host}/{name}", "swift_devices"
    if device.get("error") and device.get("exists"):
        yield Problem(
            f"/srv/node/{name} cannot be read: {device['error']}.", "Repair or replace the disk.", where, about
        )
    elif device["exists"] and device.get("data") and device["owner"] != ACCOUNT:
        yield Problem(
            f"/srv/node/{name} belongs to {device['owner']} and holds something: it may be the data of others.",
            f"If it is the object store's, give it to it with chown -R {ACCOUNT}: on the host; otherwise name "
            "another place.",
            where,
            about,
        )
    elif device["exists"] and disk and not device["mounted"] and device.get("data"):
        yield Problem(
            f"/srv/node/{name} is not mounted, and the directory below it holds something: it lies on the root disk.",
            "Move it away: what lies there would be hidden by the mounted disk.",
            where,
            about,
        )


def stage(directory: Path, archive: Path, expected: Mapping[str, str]) -> None:
    """Lay the rings of an archive beside those in use, complete and checked.

    :param expected: checksums by file name.
    :raises ValueError: a file is missing or not what it was; nothing was laid down.
    """
    found: dict[str, bytes] = {}
    with tarfile.open(archive) as packed:
        for member in packed:
            source = packed.extractfile(member) if member.isreg() else None
            if source is not None and member.name in expected:
                found[member.name] = source.read()
    directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    missing = sorted(set(expected) - set(found))
    if missing:
        raise ValueError(f"{', '.join(missing)} did not arrive")
    for name, content in found.items():
        files.replace(str(directory / f"{STAGED}{name}"), content, 0o644)
    wrong = [name for name, checksum in expected.items() if md5(directory / f"{STAGED}{name}") != checksum]
    if wrong:
        raise ValueError(f"{', '.join(sorted(wrong))} arrived with another checksum")


def activate(directory: Path, expected: Mapping[str, str]) -> list[str]:
    """Put the rings that were laid down in the place of those in use; return the names of those that changed.

    :raises ValueError: a ring is not the expected one afterwards.
    """
    changed = []
    for name, checksum in expected.items():
        current, staged = directory / name, directory / f"{STAGED}{name}"
        if staged.exists() and md5(staged) == checksum and not (current.exists() and md5(current) == checksum):
            staged.rename(current)
            changed.append(name)
    for left in directory.glob(f"{STAGED}*.ring.gz"):
        left.unlink()
    wrong = [n for n, checksum in expected.items() if not (directory / n).exists() or md5(directory / n) != checksum]
    if wrong:
        raise ValueError(f"{', '.join(sorted(wrong))} is not the ring that was computed")
    return changed
