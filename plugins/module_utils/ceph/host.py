"""What a host has of Ceph before anything is changed: stores of monitors, OSDs, keys, and disks that are to be OSDs.

Reads only. Kept to what Python 3.8 understands, as preflight runs it on hosts that may be too old.
"""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.ceph import chosen, osds
from ansible_collections.stackwright.cloud.plugins.module_utils.host import disks, drives

CONFIGURATION = "/etc/ceph/ceph.conf"
LIBRARY = "/var/lib/ceph"
ACCOUNT = "ceph"


def look(paths: Iterable[str], described: Iterable[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """Everything that the judge needs to know.

    :param paths: disks that are to become OSDs. :param described: entries that describe more of them.
    """
    own = osds.present()
    named = list(paths)
    matches = _matches(list(described), named)
    by_block = {path: one for one in own for path in (one.block, *one.apart.values())}
    found: dict[str, Any] = {
        "cluster": _cluster(),
        "monitors": sorted(str(one) for one in Path(LIBRARY, "mon").glob("*-*") if (one / "store.db").is_dir()),
        "lost": sorted(str(one) for one in Path(LIBRARY, "mon").glob("*-*") if _lost(one)),
        "osds": [{"number": one.number, "cluster": one.cluster, "ready": one.ready} for one in own],
        "foreign_keys": _foreign_keys(),
        "disks": {},
        "matches": matches,
    }
    for path in [*named, *(disk["path"] for match in matches for disk in match["disks"])]:
        osd = by_block.get(os.path.realpath(path))
        if osd and osd.ready:
            found["disks"][path] = {"osd": osd.number, "cluster": osd.cluster}
        elif osds.intended(osds.Disk(path)):
            found["disks"][path] = {"begun": True}
        else:
            found["disks"][path] = _disk(path)
    return found


def _matches(entries: list[Mapping[str, Any]], named: list[str]) -> list[dict[str, Any]]:
    """For each entry that describes disks what it stands for here, or what is wrong with that."""
    return [
        {
            "phrase": chosen.phrase(one.entry),
            "fault": one.fault,
            "disks": [{"path": drive.path, "told": str(drive)} for drive in one.drives],
        }
        for one in chosen.resolve(entries, drives.present() if entries else [], named)
    ]


def _lost(directory: Path) -> bool:
    """Whether a monitor's directory holds something, but not its store."""
    return directory.is_dir() and not (directory / "store.db").is_dir() and any(directory.iterdir())


def _cluster() -> str:
    try:
        text = Path(CONFIGURATION).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    match = re.search(r"^\s*fsid\s*=\s*(\S+)", text, re.MULTILINE)
    return match.group(1) if match else ""


def _foreign_keys() -> list[str]:
    """Keyrings of daemons that their account cannot read because they belong to another."""
    try:
        account = pwd.getpwnam(ACCOUNT).pw_uid
    except KeyError:
        return []
    keyrings = (one for kind in ("mon", "mgr", "osd", "mds") for one in Path(LIBRARY, kind).glob("*/keyring"))
    return sorted(str(one) for one in keyrings if one.stat().st_uid != account)


def _disk(path: str) -> dict[str, Any]:
    if not os.path.exists(path):
        return {"missing": True}
    try:
        return {"holds": disks.holds(path)}
    except OSError as error:
        return {"closed": error.strerror or str(error)}
