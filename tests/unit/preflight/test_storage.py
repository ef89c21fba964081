"""What preflight finds of Ceph: in the inventory by itself, and on its hosts."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import Any

import cloudcase
import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.ceph import host as ceph_host
from ansible_collections.stackwright.cloud.plugins.module_utils.ceph import osds
from ansible_collections.stackwright.cloud.plugins.module_utils.host import drives
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight import judge, storage
from ansible_collections.stackwright.cloud.tests.stand_ins import Said, StandIns

FSID, OTHER = "89568ec8-0e1b-4e57-9a49-a09ff9b70ceb", "0e1b4e57-9a49-4ff9-a70c-89568ec80e1b"
NODES = {
    "ceph_mon": {"roles": ["ceph.mon"], "odd": True},
    "ceph_osd": {"roles": ["ceph.osd"]},
}


def case(hosts: int = 3, **variables: Any) -> dict[str, Any]:
    """The good inventory with storage nodes of two disks each."""
    machines = {
        f"storage{number}": {
            "ansible_host": f"10.9.0.3{number}",
            "ceph_osd_devices": [{"path": "/dev/vdb"}, {"path": "/dev/vdc", "device_class": "ssd"}],
        }
        for number in range(1, hosts + 1)
    }
    return {
        "inventory": {
            "all": {
                "vars": {"stackwright_nodes": NODES, **variables},
                "children": {"ceph_osd": {"hosts": machines}, "ceph_mon": {"hosts": {"storage1": {}}}},
            }
        }
    }


def said(tmp_path: Path, **variables: Any) -> list[str]:
    problems = cloudcase.examine(cloudcase.write(case(**variables), tmp_path / "inventory"))
    return [f"{one.host} {one.variable}: {one.cause}" for one in problems]


def test_an_inventory_whose_hosts_can_hold_it_has_no_problem(tmp_path: Path) -> None:
    assert (
        said(
            tmp_path,
            ceph_pools={"images": {"size": 3, "pg_num": 32}, "fast": {"size": 3, "rule": "ssds"}},
            ceph_rules={"ssds": {"device_class": "ssd"}},
            ceph_crush_location={"rack": "r-{{ inventory_hostname }}"},
        )
        == []
    )


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"ceph_pools": {"p": {"size": 4}}}, "ceph_pools: pool 'p': its 4 copies need as many places"),
        ({"ceph_pools": {"p": {"pg_num": 1024, "size": 3}}}, "544 each, and 250 are the limit"),
        ({"ceph_pools": {"p": {"sise": 4}}}, "ceph_pools: pools.p: unknown key 'sise'"),
        (
            {
                "ceph_erasure_profiles": {"wide": {"k": 4, "m": 2}},
                "ceph_pools": {"p": {"type": "erasure", "profile": "wide"}},
            },
            "its 6 pieces (k + m) need as many places of the kind host",
        ),
        (
            {
                "ceph_crush_location": {"rack": "r1"},
                "ceph_rules": {"racks": {"failure_domain": "rack"}},
                "ceph_pools": {"p": {"size": 2, "rule": "racks"}},
            },
            "rack below default; 1 have OSDs",
        ),
        ({"ceph_flags": {"noot": True}}, "ceph_flags: flags noot: is no flag"),
        ({"ceph_crush_location": {"rack": "r 1"}}, "ceph_crush_location: locations.storage1: must map kinds"),
        ({"hosts": 2, "ceph_pools": {"p": {"size": 3}}}, "its 3 copies need as many places"),
    ],
)
def test_what_the_hosts_cannot_hold_is_found_without_them(
    tmp_path: Path, variables: dict[str, Any], expected: str
) -> None:
    found = said(tmp_path, **variables)
    assert len(found) == 1 or "ceph_crush_location" in variables
    assert all(one.startswith("inventory ceph_") for one in found)
    assert expected in found[0]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        (
            {"glance_store": "rbd", "nova_ceph_pool": "images", "nova_disks": "rbd"},
            "nova_disks: keeps data in the pool",
        ),
        ({"glance_store": "rbd", "ceph_pools": {"images": {"size": 4}}}, "ceph_pools: pool 'images': its 4 copies"),
        (
            {
                "glance_store": "rbd",
                "ceph_erasure_profiles": {"p": {"k": 2, "m": 1}},
                "ceph_pools": {"images": {"type": "erasure", "profile": "p", "size": None}},
            },
            "ceph_pools: pool 'images': block devices of glance_store cannot begin in an erasure coded pool",
        ),
        ({"nova_ceph_pool": "a b"}, "nova_ceph_pool: 'a b' is not a usable name of a pool"),
    ],
)
def test_what_the_cloud_keeps_in_ceph_has_pools_of_its_own(
    tmp_path: Path, variables: dict[str, Any], expected: str
) -> None:
    assert any(expected in one for one in said(tmp_path, **variables)), said(tmp_path / "again", **variables)


def test_nothing_is_kept_in_an_object_store_that_nobody_offers(tmp_path: Path) -> None:
    bare = {"inventory": {"all": {"vars": {"glance_store": "swift"}}}}
    (problem,) = cloudcase.examine(cloudcase.write(bare, tmp_path / "inventory"))
    assert problem.variable == "glance_store"
    assert problem.cause == "keeps data in the object store, and no host carries swift.proxy"


@pytest.mark.parametrize("option", ["glance_store", "nova_disks"])
def test_nothing_is_kept_in_ceph_where_nobody_holds_it(tmp_path: Path, option: str) -> None:
    bare = {"inventory": {"all": {"vars": {option: "rbd"}}}}
    (problem,) = cloudcase.examine(cloudcase.write(bare, tmp_path / "inventory"))
    assert (problem.variable, problem.cause) == (option, "keeps data in Ceph, and no host carries ceph.osd")


def test_wrong_disks_are_told_of_their_host(tmp_path: Path) -> None:
    wrong = case()
    machines = wrong["inventory"]["all"]["children"]["ceph_osd"]["hosts"]
    machines["storage2"]["ceph_osd_devices"] = [{"path": "/dev/vdb", "size": "10G"}, {"path": "vdc"}]
    problems = cloudcase.examine(cloudcase.write(wrong, tmp_path / "inventory"))
    assert [(one.host, one.variable) for one in problems] == [("storage2", "ceph_osd_devices")] * 2


def test_what_is_kept_apart_is_looked_at_as_well(tmp_path: Path) -> None:
    named = case()
    machines = named["inventory"]["all"]["children"]["ceph_osd"]["hosts"]
    machines["storage2"]["ceph_osd_devices"] = [{"path": "/dev/vdb", "db": {"path": "/dev/nvme0n1p1"}}]
    expected = cloudcase.expectations_of(cloudcase.write(named, tmp_path / "inventory"))
    assert judge.wanted(expected["storage2"])["storage"]["paths"] == ["/dev/vdb", "/dev/nvme0n1p1"]


DESCRIBED = {"match": {"size": "7T..9T"}, "count": 2}
DRIVES = [drives.Drive(f"/dev/disk/by-id/wwn-{number}", 8 << 40, True, "ST8000") for number in (1, 2)]


def test_described_disks_count_as_osds_and_are_looked_at(tmp_path: Path) -> None:
    named = case()
    machines = named["inventory"]["all"]["children"]["ceph_osd"]["hosts"]
    for machine in machines.values():
        machine["ceph_osd_devices"] = [DESCRIBED]
    inventory = cloudcase.write(named, tmp_path / "inventory")
    assert cloudcase.examine(inventory) == []
    expected = cloudcase.expectations_of(inventory)["storage2"]
    assert judge.wanted(expected)["storage"] == {"paths": [], "described": [DESCRIBED]}
    machines["storage2"]["ceph_osd_devices"] = [{"match": {"size": "8T"}, "count": 2}, {"device_class": "ssd"}]
    problems = cloudcase.examine(cloudcase.write(named, tmp_path / "wrong"))
    assert sorted(one.cause for one in problems if one.host == "storage2") == [
        "an entry names no disk: give it a path, or match and count",
        "match: '8T' is no range of sizes such as 7T..9T, 7T.. or ..500G",
    ]


def test_what_a_description_stands_for_is_shown_and_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ceph_host.drives, "present", lambda: DRIVES)
    monkeypatch.setattr(ceph_host, "_disk", lambda path: {"holds": ["mounted at /"] if path.endswith("2") else []})
    expected = {**EXPECTED, "disks": [], "matches": [["ceph_osd_devices", DESCRIBED]]}
    seen = {**NEW, **{key: ceph_host.look([], [DESCRIBED])[key] for key in ("disks", "matches")}}
    assert storage.notes(seen) == [
        "match {size: 7T..9T} stands for /dev/disk/by-id/wwn-1 (8T, rotational, ST8000); "
        "/dev/disk/by-id/wwn-2 (8T, rotational, ST8000)"
    ]
    (problem,) = storage.judge("storage1", expected, seen)
    assert problem.cause == "match {size: 7T..9T}: /dev/disk/by-id/wwn-2 is not empty: mounted at /"
    named = ceph_host.look(["/dev/disk/by-id/wwn-1"], [DESCRIBED])
    seen = {**NEW, "disks": {}, "matches": named["matches"]}
    (problem,) = storage.judge("storage1", expected, seen)
    assert problem.cause.startswith("match {size: 7T..9T} is to be 2 disks, and 1 fit: /dev/disk/by-id/wwn-2")
    assert storage.notes(seen) == []


def test_hosts_are_looked_at_for_what_they_are_to_carry(tmp_path: Path) -> None:
    expected = cloudcase.expectations_of(cloudcase.write(case(), tmp_path / "inventory"))
    assert expected["controller1"]["storage"] == {}
    found = expected["storage2"]["storage"]
    assert found["disks"] == [["ceph_osd_devices", "/dev/vdb", ""], ["ceph_osd_devices", "/dev/vdc", ""]]
    assert (found["cluster_option"], found["monitors"]) == ("ceph_cluster", ["storage1"])
    assert len(found["cluster"]) == 36
    assert judge.wanted(expected["storage2"])["storage"] == {"paths": ["/dev/vdb", "/dev/vdc"], "described": []}
    assert judge.wanted(expected["controller1"])["storage"] is None


EXPECTED = {
    "cluster": FSID,
    "cluster_option": "ceph_cluster",
    "monitors": ["storage1"],
    "matches": [],
    "disks": [["ceph_osd_devices", path, "10G" if path == "/srv/file" else ""] for path in ("/dev/vdb", "/srv/file")],
}
NEW: dict[str, Any] = {
    "cluster": "",
    "monitors": [],
    "osds": [],
    "lost": [],
    "foreign_keys": [],
    "disks": {},
    "matches": [],
}


def faults(**seen: Any) -> list[str]:
    return [f"{one.variable}: {one.cause}" for one in storage.judge("storage1", EXPECTED, {**NEW, **seen})]


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ({"disks": {"/dev/vdb": {"holds": []}, "/srv/file": {"missing": True}}}, []),
        ({"disks": {"/dev/vdb": {"osd": 3, "cluster": FSID}, "/srv/file": {"begun": True}}, "cluster": FSID}, []),
        ({"disks": {"/dev/vdb": {"missing": True}}}, ["ceph_osd_devices: /dev/vdb does not exist"]),
        (
            {"disks": {"/dev/vdb": {"holds": ["a partition table (gpt)", "mounted at /srv"]}}},
            ["ceph_osd_devices: /dev/vdb is not empty: a partition table (gpt), mounted at /srv"],
        ),
        (
            {"disks": {"/dev/vdb": {"closed": "Operation not permitted"}}},
            ["ceph_osd_devices: /dev/vdb cannot be looked at: Operation not permitted"],
        ),
        (
            {"lost": ["/var/lib/ceph/mon/ceph-storage1"]},
            ["ceph_mon: the monitor of /var/lib/ceph/mon/ceph-storage1 has lost its store"],
        ),
        ({"cluster": OTHER}, [f"ceph_cluster: this host belongs to the cluster {OTHER}, not to {FSID}"]),
        (
            {"osds": [{"number": 2, "cluster": OTHER, "ready": True}]},
            [f"ceph_cluster: osd.2 belongs to the cluster {OTHER}"],
        ),
        (
            {"foreign_keys": ["/var/lib/ceph/mon/ceph-storage1/keyring"]},
            ["ceph: /var/lib/ceph/mon/ceph-storage1/keyring does not belong to the account ceph"],
        ),
    ],
)
def test_what_a_host_must_not_have(seen: dict[str, Any], expected: list[str]) -> None:
    assert faults(**seen) == expected


def test_osds_without_any_monitor_are_told_where_all_were_looked_at() -> None:
    seen = {"storage1": {**NEW, "osds": [{"number": 0}]}, "storage2": NEW}
    (problem,) = storage.lost(seen, ["storage1", "storage2"])
    assert "1 OSDs are there, and no monitor has its store" in problem.cause
    assert list(storage.lost(seen, ["storage1", "storage3"])) == []
    assert list(storage.lost({**seen, "storage2": {**NEW, "monitors": ["x"]}}, ["storage1"])) == []
    assert list(storage.lost({"storage1": NEW}, ["storage1"])) == []


def test_a_host_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stand_ins: StandIns) -> None:
    stand_ins.add("blkid", Said("PTTYPE=gpt\n"))
    monkeypatch.setattr(ceph_host, "CONFIGURATION", str(tmp_path / "ceph.conf"))
    monkeypatch.setattr(ceph_host, "LIBRARY", str(tmp_path))
    monkeypatch.setattr(osds, "DIRECTORY", str(tmp_path / "osd"))
    monkeypatch.setattr(osds, "INTENTIONS", str(tmp_path / "intentions"))
    monkeypatch.setattr(ceph_host, "ACCOUNT", "nobody-of-this-name")
    assert ceph_host.look([]) == NEW
    (tmp_path / "ceph.conf").write_text(f"[global]\nfsid = {FSID}\n")
    store = tmp_path / "mon" / "ceph-storage1"
    (store / "store.db").mkdir(parents=True)
    (store / "keyring").write_text("")
    home = tmp_path / "osd" / "ceph-5"
    home.mkdir(parents=True)
    for name, text in (("ready", "ready"), ("ceph_fsid", FSID)):
        (home / name).write_text(text)
    own, full = tmp_path / "own", tmp_path / "full"
    own.write_text("")
    full.write_text("")
    (home / "block").symlink_to(own)
    monkeypatch.setattr(ceph_host, "ACCOUNT", pwd.getpwuid(os.geteuid()).pw_name)
    seen = ceph_host.look([str(own), str(full), str(tmp_path / "new"), "/dev/null"])
    assert seen == {
        "cluster": FSID,
        "monitors": [str(store)],
        "osds": [{"number": 5, "cluster": FSID, "ready": True}],
        "lost": [],
        "foreign_keys": [],
        "disks": {
            str(own): {"osd": 5, "cluster": FSID},
            str(full): {"holds": ["a partition table (gpt)"]},
            str(tmp_path / "new"): {"missing": True},
            "/dev/null": {"holds": ["neither a block device nor a file"]},
        },
        "matches": [],
    }
    stand_ins.add("blkid", Said(status=4, errors="no"))
    assert "closed" in ceph_host.look([str(full)])["disks"][str(full)]
    (store / "store.db").rmdir()
    assert ceph_host.look([])["lost"] == [str(store)]
    # what belongs to another account than the daemons'
    monkeypatch.setattr(
        ceph_host.pwd, "getpwnam", lambda _name: pwd.struct_passwd(("c", "x", 64045, 64045, "", "", ""))
    )
    assert ceph_host.look([])["foreign_keys"] == [str(store / "keyring")]
