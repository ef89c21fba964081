"""The block storage service makes volumes in their project, clones them, hands them over, and takes them away.

In Ceph a clone has to be one: RBD is asked what it stands on. Where volumes are files of this host, one is backed up
and restored; elsewhere a server does that with its disks, see volume_steps.
"""

from __future__ import annotations

import configparser
import contextlib
import json
import os
import pathlib
import secrets
from collections.abc import Iterator
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.common import command
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.cloud import first_line
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.proofs.bench import Bench, ProofError, Tenant

SERVICE = "block-storage"
CONFIGURATION = "/etc/cinder/cinder.conf"
# Where files of volumes lie, below a directory for each share.
FILES = "/var/lib/cinder/mnt"
# A mark in the middle of a volume, in bytes.
MARK_AT, MARK_SIZE = 300 << 20, 4096
RBD = "/usr/bin/rbd"
RBD_DRIVER = "cinder.volume.drivers.rbd.RBDDriver"
RBD_SECONDS = 30.0


def _ask(tenant: Tenant, method: str, path: str, *statuses: int, **more: Any) -> Any:
    """The body of an answer with one of these statuses."""
    return tenant.need(SERVICE, method, path, *statuses, **more).body


@contextlib.contextmanager
def _made(bench: Bench, kind: str, body: dict[str, Any], *tenants: Tenant) -> Iterator[str]:
    """A volume, snapshot or backup of the first tenant for the time of a block, which may hand it to another.

    :raises ProofError: it is not made, or does not go.
    """
    owner = tenants[0]
    wanted = {"name": bench.name(kind), **body}
    identifier = str(_ask(owner, "POST", f"/{kind}s", 202, json={kind: wanted})[kind]["id"])
    path = f"/{kind}s/{identifier}"

    def settled() -> str:
        state = str(_ask(owner, "GET", path, 200)[kind]["status"])
        return state if state in ("available", "error") else ""

    def remove() -> None:
        for tenant in tenants:
            tenant.ask(SERVICE, "DELETE", path)
        bench.wait(f"a {kind} is removed", lambda: all(one.ask(SERVICE, "GET", path).status == 404 for one in tenants))

    try:
        if bench.wait(f"a {kind} is made or fails", settled) != "available":
            logs = "log of cinder-backup" if kind == "backup" else "logs of cinder-scheduler and cinder-volume"
            raise ProofError(f"a {kind} is not made; see the {logs}")
        yield identifier
    except BaseException:
        # what went wrong first is what is told
        with contextlib.suppress(ProofError):
            remove()
        raise
    remove()


def pool_of(host: str, path: str) -> tuple[str, str] | None:
    """User and pool in Ceph of a back end, by the service's configuration on this host; None where it is none in Ceph,
    or not this host's.

    :param host: as the service tells it of a volume, ``HOST@BACKEND#POOL``. :raises ProofError: it cannot be read.
    """
    known = configparser.RawConfigParser(strict=False)
    try:
        known.read(path, encoding="utf-8")
    except (OSError, configparser.Error, ValueError) as error:
        raise ProofError(f"{path} cannot be read: {first_line(error)}") from error
    name = host.partition("@")[2].partition("#")[0]
    if not known.has_section(name) or known.get(name, "volume_driver", fallback="") != RBD_DRIVER:
        return None
    return known.get(name, "rbd_user", fallback="admin"), known.get(name, "rbd_pool", fallback="rbd")


def _told_by_ceph(bench: Bench, volume: str, snapshot: str, clone: str) -> str:
    """How a clone lies in Ceph, where its back end is there: as one, on the snapshot.

    :raises ProofError: it is a copy, or stands on something else.
    """
    told = bench.admin.need(SERVICE, "GET", f"/volumes/{clone}", 200).body["volume"]
    place = pool_of(str(told.get("os-vol-host-attr:host") or ""), CONFIGURATION)
    if place is None:
        return ""
    user, pool = place
    asked = [RBD, "--id", user, "info", "--format", "json", f"{pool}/volume-{clone}"]
    try:
        done = command.run(asked, RBD_SECONDS)
        parent = json.loads(done.stdout or "{}").get("parent") if done.returncode == 0 else None
    except (OSError, ValueError, command.CommandTimeoutError) as error:
        raise ProofError(f"RBD cannot be asked for a clone in the pool {pool}: {first_line(error)}") from error
    if done.returncode:
        said = " ".join(done.stderr.split())[-300:]
        raise ProofError(f"RBD as client.{user} does not tell of a clone in the pool {pool}: {said}")
    if not parent:
        raise ProofError(
            f"a volume of a snapshot is a copy in the pool {pool}, and no clone: it has all data once more. See the "
            "log of cinder-volume, and rbd_flatten_volume_from_snapshot of the back end"
        )
    found = f"{parent.get('pool')}/{parent.get('image')}@{parent.get('snapshot')}"
    wanted = f"{pool}/volume-{volume}@snapshot-{snapshot}"
    if found != wanted:
        raise ProofError(f"a volume of a snapshot is a clone of {found} in Ceph, not of {wanted}")
    return "; RBD names the snapshot as the clone's parent"


def _file_of(volume: str) -> pathlib.Path | None:
    """The file of a volume; None where it is not one that this program may write to: in Ceph, or on a share that does
    not let root."""
    found = next(pathlib.Path(FILES).glob(f"*/volume-{volume}"), None)
    return found if found and os.access(found, os.W_OK) else None


def _backed_up(bench: Bench, owner: Tenant, volume: str) -> list[str]:
    """A volume that is restored from a backup holds what the other one held.

    :raises ProofError: there is no backup, or something else came back.
    """
    if (place := _file_of(volume)) is None:
        return []
    mark = secrets.token_bytes(MARK_SIZE)
    with place.open("r+b") as stream:
        stream.seek(MARK_AT)
        stream.write(mark)
    with (
        _made(bench, "backup", {"volume_id": volume}, owner) as backup,
        _made(bench, "volume", {"size": 1}, owner) as restored,
    ):
        _ask(owner, "POST", f"/backups/{backup}/restore", 202, json={"restore": {"volume_id": restored}})

        def settled() -> str:
            state = str(_ask(owner, "GET", f"/volumes/{restored}", 200)["volume"]["status"])
            return "" if state == "restoring-backup" else state

        if (state := bench.wait("a backup is restored", settled)) != "available":
            raise ProofError(f"a volume that a backup is restored into is {state}; see the log of cinder-backup")
        found = b""
        if (copy := _file_of(restored)) is not None:
            with copy.open("rb") as kept:
                kept.seek(MARK_AT)
                found = kept.read(MARK_SIZE)
        if found != mark:
            raise ProofError("a volume that was restored from a backup does not hold what the other one held")
    return ["a backup gives another volume what the first one held"]


def prove(bench: Bench) -> list[str]:
    """Make a volume of a GiB, a backup where it is a file of this host, and a clone of it, transfer it to another
    project, and remove it there.

    :raises ProofError: the service fails.
    """
    with (
        bench.tenant("other") as other,
        bench.tenant("owner") as owner,
        _made(bench, "volume", {"size": 1}, owner, other) as volume,
    ):
        path = f"/volumes/{volume}"
        other.client.refused(SERVICE, "GET", path, "a project sees another one's volume")
        # before there is a snapshot: with one, a volume in files is a chain of them and cannot be backed up
        backed_up = _backed_up(bench, owner, volume)
        with (
            _made(bench, "snapshot", {"volume_id": volume}, owner) as snapshot,
            _made(bench, "volume", {"size": 1, "snapshot_id": snapshot}, owner) as clone,
        ):
            lies = _told_by_ceph(bench, volume, snapshot, clone)
        asked = {"transfer": {"name": bench.name("transfer"), "volume_id": volume}}
        given = _ask(owner, "POST", "/volume-transfers", 202, json=asked)["transfer"]
        accept = f"/volume-transfers/{given['id']}/accept"
        wrong = {"accept": {"auth_key": given["auth_key"][::-1]}}
        if other.ask(SERVICE, "POST", accept, json=wrong).status == 202:
            raise ProofError("a project takes a volume with a wrong key")
        _ask(other, "POST", accept, 202, json={"accept": {"auth_key": given["auth_key"]}})
        owner.client.refused(SERVICE, "GET", path, "a project sees a volume that it gave away")
        _ask(other, "GET", path, 200)
    return [
        "a volume is made, shown to its project alone, transferred to another by its key, and removed",
        f"a snapshot becomes another volume{lies}",
        *backed_up,
    ]
