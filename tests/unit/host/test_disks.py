"""What disks hold: only what is proven empty may be used."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.common import command
from ansible_collections.stackwright.cloud.plugins.module_utils.host import disks
from ansible_collections.stackwright.cloud.tests.stand_ins import Said, StandIns

NUMBER = os.makedev(8, 16)


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A sparse file."""
    path = tmp_path / "disk"
    with path.open("wb") as stream:
        stream.truncate(64 << 20)
    return path


def test_an_empty_file_is_empty(disk: Path, stand_ins: StandIns) -> None:
    stand_ins.add("blkid", Said(status=2))
    assert disks.holds(str(disk)) == []


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (Said("PTTYPE=gpt\n"), ["a partition table (gpt)"]),
        (Said("TYPE=ext4\nUSAGE=filesystem\nLABEL=home\n"), ["a file system (ext4, called home)"]),
        (Said("TYPE=LVM2_member\nUSAGE=raid\n"), ["part of a RAID or volume group (LVM2_member)"]),
        (Said("TYPE=crypto_LUKS\nUSAGE=crypto\n"), ["encryption (crypto_LUKS)"]),
        (Said("TYPE=strange\n"), ["data (strange)"]),
        (Said(status=8), ["signatures of several kinds"]),
    ],
)
def test_what_blkid_finds_is_named(disk: Path, stand_ins: StandIns, said: Said, expected: list[str]) -> None:
    stand_ins.add("blkid", said)
    assert disks.holds(str(disk)) == expected


@pytest.mark.parametrize("at", [0, 4096, (64 << 20) - 1])
def test_data_of_no_known_kind_is_found_at_both_ends(disk: Path, stand_ins: StandIns, at: int) -> None:
    stand_ins.add("blkid", Said(status=2))
    with disk.open("r+b") as stream:
        stream.seek(at)
        stream.write(b"x")
    assert disks.holds(str(disk)) == ["data of an unknown kind"]


def test_an_osd_says_which_it_is(disk: Path) -> None:
    with disk.open("r+b") as stream:
        stream.write(disks.BLUESTORE + b"0e1b4e57-9a49-4ff9-a70c-89568ec80e1b\n")
    assert disks.holds(str(disk)) == ["an OSD of Ceph (BlueStore, 0e1b4e57-9a49-4ff9-a70c-89568ec80e1b)"]


def test_where_nobody_can_tell_nothing_is_called_empty(
    disk: Path, stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_ins.add("blkid", Said(status=4, errors="usage"))
    with pytest.raises(OSError, match="blkid ended with 4: usage"):
        disks.holds(str(disk))

    def late(*_given: object) -> None:
        raise command.CommandTimeoutError(["blkid"], 30, "")

    monkeypatch.setattr(command, "run", late)
    with pytest.raises(OSError, match="did not end"):
        disks.holds(str(disk))
    assert disks.holds("/dev/null") == ["neither a block device nor a file"]


def test_the_kernel_tells_who_uses_a_device(tmp_path: Path) -> None:
    device = tmp_path / "sys" / "block" / "sdb"
    for name in ("sdb1", "holders/dm-0/dm", "holders/md0"):
        (device / name).mkdir(parents=True)
    (device / "sdb1" / "partition").write_text("1")
    (device / "holders" / "dm-0" / "dm" / "name").write_text("vg-home\n")
    numbers = tmp_path / "sys" / "dev" / "block"
    numbers.mkdir(parents=True)
    (numbers / "8:16").symlink_to(device)
    proc = tmp_path / "proc" / "self"
    proc.mkdir(parents=True)
    (proc / "mountinfo").write_text("30 1 8:16 / /srv rw - ext4 /dev/sdb rw\n31 1 8:1 / / rw - ext4 /dev/sda1 rw\n")
    (tmp_path / "proc" / "swaps").write_text("Filename Type\n/dev/null partition\n/nowhere file\n")
    assert list(disks.uses(NUMBER, tmp_path / "sys", tmp_path / "proc")) == [
        "partitions (sdb1)",
        "part of vg-home, which is in use (LVM, RAID or encryption)",
        "part of md0, which is in use (LVM, RAID or encryption)",
        "mounted at /srv",
    ]
    null = os.stat("/dev/null").st_rdev
    assert list(disks.uses(null, tmp_path / "sys", tmp_path / "proc")) == ["swap space in use"]
