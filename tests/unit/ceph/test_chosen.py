"""Disks that are described: exactly those that are meant, or none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.ceph import chosen
from ansible_collections.stackwright.cloud.plugins.module_utils.host import drives
from ansible_collections.stackwright.cloud.plugins.module_utils.host.drives import Drive
from ansible_collections.stackwright.cloud.plugins.modules import ceph_osds

TERA = 1 << 40
HOST = [
    Drive("/dev/disk/by-id/wwn-1", 8 * TERA, True, "ST8000NM0055"),
    Drive("/dev/disk/by-id/wwn-2", 8 * TERA, True, "ST8000NM0055"),
    Drive("/dev/disk/by-id/nvme-eui.3", TERA, False, "SAMSUNG MZ1L2"),
    Drive("/dev/vda", TERA >> 3, False, ""),
]


def paths(*entries: dict[str, Any]) -> list[str]:
    found, problems = chosen.resolved(entries, HOST)
    assert problems == []
    return [one["path"] for one in found]


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ({"size": "7T..9T"}, ["/dev/disk/by-id/wwn-1", "/dev/disk/by-id/wwn-2"]),
        ({"size": "..200G"}, ["/dev/vda"]),
        ({"size": "1T..", "rotational": False}, ["/dev/disk/by-id/nvme-eui.3"]),
        ({"rotational": True, "except": ["/dev/disk/by-id/wwn-1"]}, ["/dev/disk/by-id/wwn-2"]),
        ({"model": "samsung*"}, ["/dev/disk/by-id/nvme-eui.3"]),
    ],
)
def test_those_that_fit_are_meant(match: dict[str, Any], expected: list[str]) -> None:
    assert paths({"match": match, "count": len(expected)}) == expected


def test_a_disk_belongs_to_one_entry() -> None:
    named = {"path": "/dev/disk/by-id/wwn-1", "db": {"path": "/dev/vda"}}
    fast = {"match": {"rotational": False}, "count": 1, "device_class": "nvme"}
    rest = {"match": {"size": "1G.."}, "count": 1}
    found, problems = chosen.resolved([fast, rest, named], HOST)
    assert problems == []
    assert found[1:] == [
        {"device_class": "nvme", "path": "/dev/disk/by-id/nvme-eui.3"},
        {"path": "/dev/disk/by-id/wwn-2"},
    ]


def test_one_more_or_less_than_was_said_is_none() -> None:
    found, problems = chosen.resolved([{"match": {"rotational": True}, "count": 3}], HOST)
    assert found == []
    assert problems == [
        "match {rotational: true} is to be 3 disks, and 2 fit: /dev/disk/by-id/wwn-1 (8T, rotational, ST8000NM0055); "
        "/dev/disk/by-id/wwn-2 (8T, rotational, ST8000NM0055). " + chosen.MEND
    ]
    assert "0 fit: the host has none" in chosen.resolved([{"match": {"model": "x"}, "count": 1}], [])[1][0]


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"match": ["x"], "count": 1}, "is no mapping"),
        ({"match": {"sise": "1T..", "model": "x"}, "count": 1}, "unknown key 'sise'. Did you mean 'size'?"),
        ({"match": {"except": ["/dev/vda"]}, "count": 1}, "name a size"),
        ({"match": {"model": "x"}}, "count must say how many disks there are, 1 or more, not None"),
        ({"match": {"model": "x"}, "count": 0}, "not 0"),
        ({"match": {"model": "x"}, "count": True}, "not True"),
        ({"match": {"model": "x"}, "count": 1, "db": {"path": "/dev/vdb"}}, "db is of one disk alone"),
        ({"match": {"size": "8T"}, "count": 1}, "'8T' is no range of sizes"),
        ({"match": {"size": "9T..7T"}, "count": 1}, "holds no size"),
        ({"match": {"size": ".."}, "count": 1}, "holds every size"),
        ({"match": {"size": "big..9T"}, "count": 1}, "'big' is no size such as 10G"),
        ({"match": {"rotational": "yes"}, "count": 1}, "must be true or false"),
    ],
)
def test_what_cannot_be_meant_is_told(entry: dict[str, Any], words: str) -> None:
    (problem,) = chosen.resolved([entry], HOST)[1]
    assert words in problem


def kernel(root: Path, name: str, size: int, **files: str) -> None:
    """A block device as the kernel shows it. :param size: in sectors."""
    block = root / "sys" / "block" / name
    (block / "queue").mkdir(parents=True)
    (block / "size").write_text(f"{size}\n")
    (block / "removable").write_text(files.get("removable", "0"))
    (block / "queue" / "rotational").write_text(files.get("rotational", "0"))
    if files.get("device", "yes"):
        (block / "device").mkdir()
        (block / "device" / "model").write_text(files.get("model", ""))
    (root / "dev").mkdir(exist_ok=True)
    (root / "dev" / name).write_text("")


def test_disks_are_those_with_hardware_under_their_lasting_names(tmp_path: Path) -> None:
    kernel(tmp_path, "sda", 16 << 30, rotational="1", model="ST8000NM0055-1RM \n")
    kernel(tmp_path, "vda", 1 << 21)
    kernel(tmp_path, "dm-0", 1 << 21, device="")
    kernel(tmp_path, "loop0", 1 << 21, device="")
    kernel(tmp_path, "sdz", 1 << 21, removable="1")
    kernel(tmp_path, "sr0", 1 << 21)
    kernel(tmp_path, "nbd0", 0)
    links = tmp_path / "dev" / "disk" / "by-id"
    links.mkdir(parents=True)
    for name in ("ata-ST8000", "wwn-0x5000", "lvm-pv-uuid-x"):
        (links / name).symlink_to(tmp_path / "dev" / "sda")
    (links / "lvm-x").symlink_to(tmp_path / "dev" / "vda")
    assert drives.present(tmp_path / "sys", tmp_path / "dev") == [
        Drive(f"{links}/wwn-0x5000", 8 * TERA, True, "ST8000NM0055-1RM"),
        Drive(str(tmp_path / "dev" / "vda"), 1 << 30, False, ""),
    ]


def test_none_of_them_is_touched_where_the_number_is_wrong(
    run_module: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ceph_osds, "drives", SimpleNamespace(present=lambda: HOST))
    answer = run_module(ceph_osds, devices=[{"match": {"size": "7T..9T"}, "count": 1}], cluster="x")
    assert "is to be 1 disks, and 2 fit" in answer["msg"]
