"""Whole disks that a host has, as its kernel describes them. Reads only.

Kept to what Python 3.8 understands, as preflight runs it on hosts that may be too old.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

# Names in /dev/disk/by-id that tell a disk by its own number, wherever it is plugged in; those that are first here are
# taken first. Source: 60-persistent-storage.rules of systemd.
NAMED = ("wwn-", "nvme-eui.", "nvme-uuid.", "scsi-", "ata-", "nvme-", "virtio-")
SECTOR = 512
# Kinds of devices that are no disks although they have hardware: optical drives, floppies and zones of a protocol.
NO_DISKS = ("sr", "fd", "mtdblock")


@dataclass(frozen=True)
class Drive:
    """A disk: the most lasting path to it, its size in bytes, whether it rotates, and its model, which may be empty."""

    path: str
    size: int
    rotational: bool
    model: str

    def __str__(self) -> str:
        kind = "rotational" if self.rotational else "not rotational"
        return f"{self.path} ({', '.join(filter(None, [told(self.size), kind, self.model]))})"


def told(size: int) -> str:
    """A number of bytes as options write it: ``7.3T``."""
    for shift, suffix in ((40, "T"), (30, "G"), (20, "M")):
        if size >= 1 << shift:
            return f"{size / (1 << shift):.1f}".rstrip("0").rstrip(".") + suffix
    return f"{size}"


def _text(path: Path) -> str:
    try:
        return " ".join(path.read_text(encoding="utf-8", errors="replace").split())
    except OSError:
        return ""


def present(sys: Path = Path("/sys"), dev: Path = Path("/dev")) -> list[Drive]:
    """The disks of this host in the order of their paths; what has no hardware, or can be pulled out, is none."""
    links: dict[str, list[Path]] = {}
    for link in (dev / "disk" / "by-id").glob("*"):
        links.setdefault(link.resolve().name, []).append(link)
    found = []
    for block in (sys / "block").glob("*"):
        name = block.name
        size = _text(block / "size")
        if (
            name.startswith(NO_DISKS)
            or not (block / "device").exists()
            or _text(block / "removable") == "1"
            or not size.isdigit()
            or not int(size)
        ):
            continue
        path = _lasting([str(one) for one in links.get(name, [])]) or str(dev / name)
        rotational = _text(block / "queue" / "rotational") == "1"
        found.append(Drive(path, int(size) * SECTOR, rotational, _text(block / "device" / "model")))
    return sorted(found, key=lambda one: one.path)


def _lasting(paths: list[str]) -> str:
    """The path that stays with the disk, of those that udev made; empty where there is none."""
    for beginning in NAMED:
        for path in sorted(paths):
            if path.rsplit("/", 1)[-1].startswith(beginning):
                return path
    return ""
