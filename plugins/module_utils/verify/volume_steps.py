"""Steps of the boot test with volumes: what a guest writes is read back through every way that a volume can take.

Data are random, and only their checksums leave the guest, which reads its disks anew, past what it remembers of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from ansible_collections.stackwright.cloud.plugins.module_utils.verify.boot_content import Document, Run, Settings
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.boot_guest import BootTestError, Guest

# What is written at a time, in MiB, and the size of a volume in GiB before and after it grows.
PIECE = 8
SMALL, LARGE = 1, 2
# In the root disk the pieces lie behind the guest's own file system, which is smaller.
BEHIND = 512
_SUM = re.compile(r"\b[0-9a-f]{64}\b")
VERSION = "3.60"


class Test(Protocol):
    """What the steps use of the boot test."""

    cloud: Any
    settings: Settings
    this_run: Run

    @property
    def first(self) -> Guest:
        """The guest that volumes are attached to."""

    @property
    def image(self) -> str:
        """Identifier of the image."""

    def converge(self, wanted: Document, **options: Any) -> dict[str, Any]:
        """Let the engine apply a document."""

    def wait(self, doing: str, probe: Callable[[], tuple[Any, str]], timeout: float | None = None) -> Any:
        """Repeat the probe until it returns something true."""

    def inside(self, guest: Guest, remote: str, doing: str, timeout: float = 30, given: str | None = None) -> str:
        """Output of a command in a guest."""

    def boot_from_volume(self, name: str) -> tuple[Guest, str]:
        """Make a server that boots from the volume of this name and wait for it; returns what it told."""


def volumes_document(run: Run, snapshot: str = "", image: str = "") -> Document:
    """Types, volumes, snapshot and backups of a run, in the order of their making.

    :param snapshot: identifier of the snapshot, for what is made of it. :param image: that of the image to boot from.
    """
    marked = {"metadata": {"stackwright": run.mark}}

    def volume(what: str, **more: Any) -> dict[str, Any]:
        return {"name": f"{run.name}-{what}", "size": SMALL, "type": f"{run.name}-first", **marked, **more}

    def backup(what: str, **more: Any) -> dict[str, Any]:
        return {"name": f"{run.name}-{what}", "volume": f"{run.name}-data", "force": True, **marked, **more}

    return {
        "volume_types": [
            {"name": f"{run.name}-{which}", "description": run.mark, "public": False} for which in ("first", "second")
        ],
        "volumes": [
            volume("data"),
            volume("clone", size=LARGE, **({"snapshot": snapshot} if snapshot else {})),
            volume("restored", size=LARGE),
            volume("root", **({"image": image} if image else {})),
        ],
        "snapshots": [{"name": f"{run.name}-snapshot", "volume": f"{run.name}-data", **marked}],
        "backups": [backup("full"), backup("increment", incremental=True)],
    }


@dataclass
class VolumeSteps:
    """The steps, with what they know of each other: sums of what was written, identifiers of what was made."""

    test: Test
    sums: list[str] = field(default_factory=list)
    ids: dict[str, str] = field(default_factory=dict)
    begun: bool = False

    def plan(self) -> list[tuple[str, Callable[[], str | None]]]:
        """Names and actions, in their order."""
        return [
            ("volume is made and attached, and keeps what is written", self.attach),
            ("attached volume grows, and keeps its data", self.extend),
            ("clone of a snapshot has the data of its time", self.clone),
            ("backup and increment give back the data of their times", self.back_up),
            ("detached volume changes its type, and keeps its data", self.retype),
            ("server boots from a volume and writes to it", self.boot_from_volume),
        ]

    # ------------------------------------------------------------------ helpers

    def name(self, what: str) -> str:
        """Name of a thing of this run."""
        return f"{self.test.this_run.name}-{what}"

    def make(self, kind: str, *which: str, **changes: Any) -> None:
        """Make, or change, things of one type by the ends of their names, and wait until they are there."""
        self.begun = True
        document = volumes_document(self.test.this_run, self.ids.get("snapshot", ""), self.ids.get("image", ""))
        names = [self.name(one) for one in which]
        wanted = [{**one, **changes} for one in document[kind] if one["name"] in names]
        made = self.test.converge({kind: wanted}, wait=True, describe=True)["described"]
        self.ids |= {end: str(one["id"]) for end, one in zip(which, made, strict=True)}
        if kind == "backups":
            self.test.wait(
                "the volume must be free of its backup",
                lambda: (self.state("data") != "backing-up", "it is still backing-up"),
            )

    def attached(self, what: str, device: str) -> str:
        """Attach a volume to the first guest, and wait until it has the device; returns the sum of its first piece."""
        test, guest = self.test, self.test.first
        test.cloud.compute.create_volume_attachment(guest.id, volume_id=self.ids[what])
        test.wait(
            f"the volume {what} must be in use",
            lambda: (self.state(what) == "in-use", f"it is {self.state(what)}"),
        )
        test.wait(f"the guest must see the volume {what} as {device}", lambda: self.seen(guest, device, True))
        return self.sum_of(guest, device)

    def detached(self, what: str, device: str) -> None:
        """Detach a volume from the first guest, and wait until both sides know."""
        test, guest = self.test, self.test.first
        test.cloud.compute.delete_volume_attachment(guest.id, self.ids[what])
        test.wait(
            f"the volume {what} must be free",
            lambda: (self.state(what) == "available", f"it is {self.state(what)}"),
        )
        test.wait(f"the guest must lose {device}", lambda: self.seen(guest, device, False))

    def seen(self, guest: Guest, device: str, wanted: bool) -> tuple[bool, str]:
        """Whether a guest has the device, or has lost it, and what is wrong."""
        found = self.test.inside(guest, f"ls /sys/block/{device}/size 2>&1 || true", "looking for a disk")
        there = "No such file" not in found
        return there is wanted, f"{guest.name} {'has it still' if there else 'has it not'}"

    def state(self, what: str) -> str:
        """State of a volume."""
        answer = self.test.cloud.block_storage.get(f"/volumes/{self.ids[what]}", microversion=VERSION)
        state = str(answer.json()["volume"]["status"])
        if state.startswith("error"):
            raise BootTestError(f"the volume {what} is in state {state}; see the log of cinder-volume")
        return state

    def write(self, guest: Guest, device: str, place: int) -> str:
        """Write a piece of random data at a place, in MiB; returns its sum as it is read back."""
        command = f"dd if=/dev/urandom of=/dev/{device} bs=1M count={PIECE} seek={place} conv=notrunc,fsync 2>&1"
        self.test.inside(guest, command, f"writing {PIECE} MiB to /dev/{device}", 120)
        return self.sum_of(guest, device, place)

    def sum_of(self, guest: Guest, device: str, place: int = 0) -> str:
        """Sum of a piece as the disk has it."""
        command = (
            f"sync; echo 3 >/proc/sys/vm/drop_caches; "
            f"dd if=/dev/{device} bs=1M count={PIECE} skip={place} 2>/dev/null | sha256sum"
        )
        found = _SUM.search(self.test.inside(guest, command, f"reading {PIECE} MiB of /dev/{device}", 120))
        if not found:
            raise BootTestError(f"{guest.name} does not tell the sum of /dev/{device}")
        return found[0]

    def same(self, found: str, number: int, what: str) -> None:
        """Raise where a sum is not that of what was written the first (0) or the second time (1)."""
        if found != self.sums[number]:
            other = " but what was written another time" if found in self.sums else ""
            raise BootTestError(f"{what} does not hold what was written{other}")

    # ------------------------------------------------------------------ steps

    def attach(self) -> str:
        """Make a volume, attach it, and write to it."""
        self.make("volume_types", "first", "second")
        self.make("volumes", "data")
        self.attached("data", "vdb")
        self.sums.append(self.write(self.test.first, "vdb", 0))
        return f"{PIECE} MiB in /dev/vdb"

    def extend(self) -> str:
        """Let the volume grow while the guest has it."""
        self.make("volumes", "data", size=LARGE)
        guest, wanted = self.test.first, LARGE << 21

        def grown() -> tuple[bool, str]:
            sectors = self.test.inside(guest, "cat /sys/block/vdb/size", "reading the size of a disk")
            return sectors == str(wanted), f"{guest.name} sees {sectors} sectors, not {wanted}"

        self.test.wait("the guest must see the larger volume", grown)
        self.same(self.sum_of(guest, "vdb"), 0, "the volume that grew")
        return f"{SMALL} to {LARGE} GiB"

    def clone(self) -> str:
        """Make a snapshot, write anew, and read a clone of the snapshot."""
        self.make("snapshots", "snapshot")
        self.make("backups", "full")
        self.sums.append(self.write(self.test.first, "vdb", 0))
        self.make("volumes", "clone")
        self.same(self.attached("clone", "vdc"), 0, "the clone of the snapshot")
        self.detached("clone", "vdc")
        self.same(self.sum_of(self.test.first, "vdb"), 1, "the volume after its snapshot")
        return "and the volume what came after"

    def back_up(self) -> str:
        """Make an increment to the backup that was made before, and restore both into another volume."""
        self.make("backups", "increment")
        self.make("volumes", "restored")
        for number, which in enumerate(("full", "increment")):
            self.restore(which)
            self.same(self.attached("restored", "vdc"), number, f"what was restored from the backup {which}")
            self.detached("restored", "vdc")
        return f"twice {PIECE} MiB"

    def restore(self, which: str) -> None:
        """Have a backup written into the volume for that."""
        path, wanted = f"/backups/{self.ids[which]}/restore", {"restore": {"volume_id": self.ids["restored"]}}
        answer = self.test.cloud.block_storage.post(path, json=wanted, microversion=VERSION)
        if answer.status_code != 202:
            raise BootTestError(f"the backup {which} is not restored: HTTP {answer.status_code}: {answer.text[:300]}")
        self.test.wait(
            f"the backup {which} must be restored",
            lambda: (self.state("restored") == "available", f"the volume is {self.state('restored')}"),
        )

    def retype(self) -> str:
        """Give the volume that has no snapshots the other type, read it again, and detach the one that has."""
        self.make("volumes", "restored", size=LARGE, type=self.name("second"))
        self.same(self.attached("restored", "vdc"), 1, "the volume of another type")
        self.detached("restored", "vdc")
        self.detached("data", "vdb")
        return "read again"

    def boot_from_volume(self) -> str:
        """Boot a server from a volume that is made of the image, and write to it."""
        self.ids["image"] = self.test.image
        self.make("volumes", "root")
        guest, told = self.test.boot_from_volume(self.name("root"))
        self.write(guest, "vda", BEHIND)
        return told

    # ------------------------------------------------------------------ removal

    def forget_increments(self) -> None:
        """Remove increments of this and earlier runs first: what others stand on cannot be removed."""
        storage, prefix = self.test.cloud.block_storage, f"{self.test.settings.prefix}-"
        listed = storage.get("/backups/detail", microversion=VERSION).json().get("backups", [])
        for one in listed:
            if not one.get("is_incremental") or not str(one["name"]).startswith(prefix):
                continue
            path = f"/backups/{one['id']}"
            storage.delete(path, microversion=VERSION)
            self.test.wait("an increment must be removed", partial(self.gone, path))

    def gone(self, path: str) -> tuple[bool, str]:
        """Whether something of the block storage service is not there any more."""
        status = self.test.cloud.block_storage.get(path, microversion=VERSION).status_code
        return status == 404, f"its status is HTTP {status}"
