"""OSDs of one host: which disks become some, in what order, and what is refused."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.ceph import osds, sizes
from ansible_collections.stackwright.cloud.plugins.module_utils.ceph.session import Session
from ansible_collections.stackwright.cloud.plugins.module_utils.common.command import CommandTimeoutError
from ansible_collections.stackwright.cloud.plugins.modules import ceph_osds
from ansible_collections.stackwright.cloud.tests.stand_ins import Call, Said, StandIns
from cluster import Cluster

FSID = "89568ec8-0e1b-4e57-9a49-a09ff9b70ceb"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host whose directories lie below a temporary one."""
    own = pwd.getpwuid(os.geteuid())
    monkeypatch.setattr(osds, "DIRECTORY", str(tmp_path / "osd"))
    monkeypatch.setattr(osds, "INTENTIONS", str(tmp_path / "intentions"))
    monkeypatch.setattr(osds, "ACCOUNT", own.pw_name)
    return tmp_path


def made(host: Path, number: int, path: Path, cluster: str = FSID, ready: bool = True) -> None:
    home = host / "osd" / f"ceph-{number}"
    home.mkdir(parents=True)
    (home / "block").symlink_to(path)
    (home / "ceph_fsid").write_text(cluster + "\n")
    (home / "fsid").write_text("an identity\n")
    if ready:
        (home / "ready").write_text("ready\n")


def mkfs(host: Path, status: int = 0) -> Callable[..., Any]:
    """What ceph-osd does with a directory that was prepared."""

    def run(command: list[str], _seconds: float) -> subprocess.CompletedProcess[str]:
        home = host / "osd" / f"ceph-{command[2]}"
        if not status:
            (home / "ceph_fsid").write_text(FSID)
            (home / "fsid").write_text(command[5])
            (home / "ready").write_text("ready")
        return subprocess.CompletedProcess(command, status, "", "one\ntwo\nthree\nfour\nno room\n")

    return run


def cluster_of(number: int) -> Cluster:
    return Cluster(answers={"osd new": lambda *_given: (0, json.dumps({"osdid": number}).encode(), "")})


@pytest.mark.parametrize(("text", "number"), [("10G", 10 << 30), ("2048MiB", 2 << 30), ("1TB", 1 << 40), ("5", 5)])
def test_sizes(text: str, number: int) -> None:
    assert sizes.bytes_of(text) == number


def test_wrong_entries_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "a")
    with pytest.raises(osds.OsdError) as caught:
        osds.disks_of(
            [
                {"path": "disk", "size": "10G"},
                {"path": "/a", "size": "ten"},
                {"path": "/b", "size": "5M"},
                {"path": "/dev/sdb", "size": "10G"},
                {"path": str(tmp_path / "a")},
                {"path": str(tmp_path / "link")},
            ]
        )
    assert [one.split(": ", 1)[1] for one in caught.value.problems] == [
        "the path must be absolute",
        "'ten' is no size such as 10G",
        "5M is too small for an OSD, which needs 1G at least",
        "a block device has its own size: leave size out, or name a file",
        "this disk is named twice",
    ]


def test_a_disk_that_holds_something_is_refused_with_what_it_holds(host: Path) -> None:
    full, closed, empty = host / "full", host / "closed", host / "empty"
    for path in (full, closed, empty):
        path.write_text("")

    def holds(path: str) -> list[str]:
        if path == str(closed):
            raise PermissionError(1, "Operation not permitted")
        return ["a partition table (gpt)", "mounted at /srv"] if path == str(full) else []

    disks = [osds.Disk(str(one)) for one in (full, closed, empty, host / "absent")]
    with pytest.raises(osds.OsdError) as caught:
        osds.plan(disks, [], FSID, holds)
    first, second, third = caught.value.problems
    assert f"{full} is not empty: a partition table (gpt), mounted at /srv. Name another disk" in first
    assert second == f"{closed} cannot be looked at: Operation not permitted"
    assert third.startswith(f"{host / 'absent'} does not exist")
    assert osds.plan(disks[2:3], [], FSID, holds).make == disks[2:3]
    assert osds.plan([osds.Disk(str(host / "new"), 1 << 30)], [], FSID, holds).make


def test_osds_are_recognised_by_their_disk_and_belong_to_one_cluster(host: Path) -> None:
    disk = host / "disk"
    disk.write_text("anything")
    made(host, 3, disk)
    (host / "osd" / "notes").mkdir()
    found = osds.present()
    assert [(one.number, one.unit, one.cluster, one.ready) for one in found] == [(3, "ceph-osd@3", FSID, True)]
    wanted = [osds.Disk(str(disk))]
    assert osds.plan(wanted, found, FSID, lambda _path: ["an OSD of Ceph"]).keep == found
    with pytest.raises(osds.OsdError, match=f"is osd.3 of the cluster {FSID}, not of other"):
        osds.plan(wanted, found, "other", lambda _path: [])


def test_an_osd_that_was_begun_by_nobody_known_is_refused(host: Path) -> None:
    disk = host / "disk"
    disk.write_text("anything")
    made(host, 3, disk, ready=False)
    with pytest.raises(osds.OsdError, match="is not empty"):
        osds.plan([osds.Disk(str(disk))], osds.present(), FSID, lambda _path: ["an OSD of Ceph"])


def test_a_disk_becomes_an_osd(host: Path) -> None:
    cluster = cluster_of(4)
    disk = osds.Disk(str(host / "srv" / "disk1"), 2 << 30, "ssd")
    found = osds.make(disk, Session(cluster), mkfs(host))
    home = host / "osd" / "ceph-4"
    assert (found.number, found.ready, found.block) == (4, True, disk.path)
    assert os.stat(disk.path).st_size == 2 << 30
    assert os.stat(disk.path).st_blocks == 0
    assert os.readlink(home / "block") == disk.path
    key = json.loads(cluster.read[0])["cephx_secret"]
    assert (home / "keyring").read_text() == f"[osd.4]\n  key = {key}\n"
    assert (home / "keyring").stat().st_mode & 0o777 == 0o600
    assert (home / "crush_device_class").read_text() == "ssd\n"
    assert cluster.asked[0]["uuid"] == found.identity
    assert osds.intended(disk) == {}


def test_what_is_kept_apart_is_proven_empty_and_linked(host: Path) -> None:
    """Database and journal on disks of their own: refused as any disk is, and known again afterwards."""
    entry = {
        "path": str(host / "disk1"),
        "size": "2G",
        "db": {"path": str(host / "fast1"), "size": "1G"},
        "wal": {"path": str(host / "fast2"), "size": "1G"},
    }
    (disk,) = osds.disks_of([entry])
    (host / "fast1").write_text("data")
    with pytest.raises(osds.OsdError, match=r"fast1 is not empty: data\. Name another disk"):
        osds.plan([disk], [], FSID, lambda _path: ["data"])
    (host / "fast1").unlink()
    found = osds.make(disk, Session(cluster_of(4)), mkfs(host))
    home = host / "osd" / "ceph-4"
    assert os.readlink(home / "block.db") == str(host / "fast1")
    assert os.stat(home / "block.wal").st_size == 1 << 30
    assert found.apart == {"db": str(host / "fast1"), "wal": str(host / "fast2")}
    assert osds.plan([disk], [found], FSID, lambda _path: ["an OSD"]).keep == [found]
    (other,) = osds.disks_of([{**entry, "db": {"path": str(host / "other"), "size": "1G"}}])
    with pytest.raises(osds.OsdError, match=r"is osd.4, whose db is .*fast1, not .*other: correct the entry"):
        osds.plan([other], [found], FSID, lambda _path: [])
    with pytest.raises(osds.OsdError, match="fast1: this disk is named twice"):
        osds.disks_of([entry, {"path": str(host / "fast1"), "size": "1G"}])


def test_what_was_broken_off_goes_on_with_the_same_osd(host: Path) -> None:
    cluster = cluster_of(0)
    disk = osds.Disk(str(host / "disk1"), 1 << 30)
    with pytest.raises(osds.OsdError, match=r"ceph-osd --mkfs of osd.0 ended with 1: two \| three \| four \| no room"):
        osds.make(disk, Session(cluster), mkfs(host, 1))

    def late(command: list[str], seconds: float) -> None:
        raise CommandTimeoutError(command, seconds, "")

    with pytest.raises(osds.OsdError, match="did not end within"):
        osds.make(disk, Session(cluster), late)
    assert osds.plan([disk], osds.present(), FSID, lambda _path: ["an OSD of Ceph"]).make == [disk]
    osds.make(disk, Session(cluster), mkfs(host))
    assert len({one["uuid"] for one in cluster.asked}) == 1
    assert len(set(cluster.read)) == 1


def test_a_damaged_note_counts_as_none(host: Path) -> None:
    disk = osds.Disk(str(host / "disk1"), 1 << 30)
    with pytest.raises(osds.OsdError):
        osds.make(disk, Session(cluster_of(0)), mkfs(host, 1))
    (note,) = (host / "intentions").iterdir()
    note.write_text("[]")
    assert osds.intended(disk) == {}
    note.write_text("{")
    assert osds.intended(disk) == {}


@pytest.fixture
def systemd(stand_ins: StandIns) -> StandIns:
    """A host on which OSDs run that were started."""
    started: set[str] = set()

    def systemctl(call: Call) -> Said:
        if call.words[0] == "enable":
            started.update(call.words[2:])
            return Said()
        names = [word.removesuffix(".service") for word in call.words[call.words.index("--") + 1 :]]
        return Said(
            "\n\n".join(
                f"ActiveState={'active' if name in started else 'inactive'}\n"
                f"UnitFileState={'enabled' if name in started else 'disabled'}"
                for name in names
            )
        )

    stand_ins.add("systemctl", systemctl)
    stand_ins.add("blkid", Said(status=2))
    return stand_ins


def test_the_module_makes_starts_and_then_leaves_alone(
    host: Path, systemd: StandIns, monkeypatch: pytest.MonkeyPatch, run_module: Callable[..., dict[str, Any]]
) -> None:
    cluster = cluster_of(1)
    library = SimpleNamespace(Rados=lambda **_given: cluster, ObjectNotFound=KeyError, Error=ValueError)
    monkeypatch.setitem(sys.modules, "rados", library)
    make = osds.make
    monkeypatch.setattr(osds, "make", lambda disk, session: make(disk, session, mkfs(host)))
    given = {"devices": [{"path": str(host / "disk1"), "size": "1G"}], "cluster": FSID}
    answer = run_module(ceph_osds, check=True, **given)
    assert answer["changes"] == [f"make an OSD of {host / 'disk1'}"]
    assert cluster.asked == []
    answer = run_module(ceph_osds, **given)
    assert answer["changes"] == [f"make osd.1 of {host / 'disk1'}", "start ceph-osd@1"]
    assert answer["osds"][0]["number"] == 1
    assert not run_module(ceph_osds, **given)["changed"]


def test_the_module_refuses_before_it_touches_any_disk(
    host: Path, systemd: StandIns, run_module: Callable[..., dict[str, Any]]
) -> None:
    (host / "full").write_text("data")
    given = [{"path": str(host / "disk1"), "size": "1G"}, {"path": str(host / "full")}]
    answer = run_module(ceph_osds, devices=given, cluster=FSID)
    assert "is not empty: data of an unknown kind" in answer["msg"]
    assert "No disk was erased" in answer["hint"]
    assert not (host / "disk1").exists()


def test_the_module_tells_why_the_cluster_is_not_reached(
    host: Path, systemd: StandIns, monkeypatch: pytest.MonkeyPatch, run_module: Callable[..., dict[str, Any]]
) -> None:
    monkeypatch.setitem(sys.modules, "rados", None)
    answer = run_module(ceph_osds, devices=[{"path": str(host / "disk1"), "size": "1G"}], cluster=FSID)
    assert "OSDs could not be made: python3-rados is missing" in answer["msg"]
