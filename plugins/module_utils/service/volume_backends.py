"""Back ends of the block storage service: what an operator says of each, and the options, packages and mounts that
follow.

`cinder_backends` maps names to settings. ``driver`` says which there are (`DRIVERS`), and ``options`` are added to
those that follow from them. A driver is one entry of `DRIVERS` and one function.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.common import words

MOUNTS = "/var/lib/cinder/mnt"
# The user of Ceph's to whom all its pools with volumes belong.
CEPH_USER = "cinder"
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}\Z")
# Sections of cinder.conf that are the service's own, in any case of letters.
_TAKEN = frozenset(
    """default backend backend_defaults barbican coordination cors database fc-zone-manager healthcheck key_manager
    keystone_authtoken nova privsep profiler sample_castellan_source service_user ssl vault""".split()
)
_PATH = re.compile(r"(/[A-Za-z0-9._-]+)+\Z")
_POOL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\Z")
_SHARE = re.compile(r"(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9._-]+):(/[A-Za-z0-9._-]+)+\Z")


class BackendError(ValueError):
    """A back end is described wrongly; the text names it, says what is wrong and what to write."""


@dataclass(frozen=True)
class Driver:
    """A kind of back end: settings that it takes, with the test of each, and what follows from them."""

    needs: Mapping[str, tuple[re.Pattern[str], str]]
    options: Callable[[Mapping[str, Any]], dict[str, Any]]
    packages: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    defaults: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Outcome:
    """What all back ends together come to: options by section, packages, bind mounts as pairs of directory and place,
    and Ceph's pools with volumes."""

    names: list[str] = field(default_factory=list)
    options: dict[str, dict[str, Any]] = field(default_factory=dict)
    packages: list[str] = field(default_factory=list)
    mounts: list[tuple[str, str]] = field(default_factory=list)
    ceph_pools: list[str] = field(default_factory=list)


def place_of(share: str) -> str:
    """Where Cinder mounts a share of NFS. Source: os-brick's `remotefs`, which names it by the MD5 sum of the share."""
    return f"{MOUNTS}/{hashlib.md5(share.encode(), usedforsecurity=False).hexdigest()}"


def share_of(directory: str) -> str:
    """The share that stands for a directory of the host itself."""
    return f"127.0.0.1:{directory}"


def _files(share: str) -> dict[str, Any]:
    host, _, path = share.rpartition(":")
    return {
        "volume_driver": "cinder.volume.drivers.nfs.NfsDriver",
        "nas_host": host,
        "nas_share_path": path,
        # the driver makes snapshots as root alone, and reads them as itself
        "nas_secure_file_operations": False,
        "nas_secure_file_permissions": False,
        "nfs_snapshot_support": True,
        "nfs_mount_point_base": MOUNTS,
    }


def _directory(said: Mapping[str, Any]) -> dict[str, Any]:
    return _files(share_of(str(said["path"])))


def _nfs(said: Mapping[str, Any]) -> dict[str, Any]:
    mount = {"nas_mount_options": str(said["mount_options"])} if said.get("mount_options") else {}
    return {**_files(str(said["share"])), **mount}


def _rbd(said: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "volume_driver": "cinder.volume.drivers.rbd.RBDDriver",
        "rbd_pool": str(said["pool"]),
        "rbd_user": CEPH_USER,
        "rbd_ceph_conf": "/etc/ceph/ceph.conf",
        # a chain of clones is read from its end to its beginning
        "rbd_max_clone_depth": 5,
        "report_discard_supported": True,
    }


DRIVERS: Mapping[str, Driver] = {
    # files in a directory of this host, as if it were a share that is mounted already
    "directory": Driver({"path": (_PATH, "an absolute path of letters, digits and . _ -")}, _directory),
    "nfs": Driver(
        {"share": (_SHARE, "a share such as storage.example.org:/volumes")}, _nfs, ("nfs-common",), ("mount_options",)
    ),
    "rbd": Driver({"pool": (_POOL, "the name of a pool in Ceph")}, _rbd, defaults={"pool": "volumes"}),
}


def _checked(name: str, said: Any) -> tuple[Driver, Mapping[str, Any]]:
    """The kind of a back end, and what is said of it with the kind's defaults."""
    if not isinstance(said, Mapping):
        raise BackendError(f"{name}: must be a mapping with driver and its settings, not {said!r}")
    kind = said.get("driver")
    if not isinstance(kind, str) or kind not in DRIVERS:
        raise BackendError(
            f"{name}: driver {kind!r} is none of {', '.join(DRIVERS)}{words.hint(str(kind), DRIVERS, '. ')}"
        )
    driver = DRIVERS[kind]
    said = {**driver.defaults, **said}
    known = ["driver", "options", *driver.needs, *driver.takes]
    for key in said:
        if key not in known:
            raise BackendError(f"{name}: unknown key {key!r}{words.hint(str(key), known, '. ')}")
    for key, (pattern, meaning) in driver.needs.items():
        if not isinstance(said.get(key), str) or not pattern.match(said[key]):
            raise BackendError(f"{name}: {key} must be {meaning}, not {said.get(key)!r}")
    if not isinstance(said.get("options", {}), Mapping):
        raise BackendError(f"{name}: options must map options of cinder.conf to values, not {said['options']!r}")
    return driver, said


def worked_out(backends: Any) -> Outcome:
    """What the back ends come to.

    :raises BackendError: one is described wrongly, or two have the same place.
    """
    if not isinstance(backends, Mapping) or not backends:
        raise BackendError(f"must map at least one name to a back end, not {backends!r}")
    found = Outcome()
    places: dict[tuple[str, ...], str] = {}
    for name, said in backends.items():
        if not isinstance(name, str) or not _NAME.match(name) or name in _TAKEN or name.startswith("oslo_"):
            raise BackendError(
                f"{name!r} cannot be the name of a back end: use small letters, digits, - and _, beginning with a "
                "letter, and no name that a section of cinder.conf has"
            )
        driver, whole = _checked(name, said)
        place = (str(whole["driver"]), *(str(whole[key]) for key in driver.needs))
        if place in places:
            raise BackendError(f"{name}: {places[place]} keeps its volumes in the same place; give each its own")
        places[place] = name
        found.names.append(name)
        found.options[name] = {**driver.options(whole), "volume_backend_name": name, **whole.get("options", {})}
        found.packages += [one for one in driver.packages if one not in found.packages]
        if whole["driver"] == "directory":
            found.mounts.append((str(whole["path"]), place_of(share_of(str(whole["path"])))))
        elif whole["driver"] == "rbd":
            found.ceph_pools.append(str(whole["pool"]))
    return found
