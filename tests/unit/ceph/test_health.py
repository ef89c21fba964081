"""Whether a cluster is whole, and what its users may do."""

from __future__ import annotations

import copy
import errno
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.ceph import figures, health, probe
from ansible_collections.stackwright.cloud.plugins.modules import ceph_health
from ansible_collections.stackwright.cloud.tests.stand_ins import Call, Said, StandIns
from cluster import KEY, Cluster

STATUS: dict[str, Any] = {
    "quorum_names": ["ceph1", "ceph2", "ceph3"],
    "osdmap": {"num_osds": 3, "num_up_osds": 3, "num_in_osds": 3},
    "mgrmap": {"available": True},
    "health": {"checks": {"RECENT_MGR_MODULE_CRASH": {"muted": True, "summary": {"message": "2 modules"}}}},
}
GROUPS: dict[str, Any] = {
    "pg_ready": True,
    "pg_summary": {
        "num_pgs": 25,
        "num_pg_by_state": [{"name": "active+clean", "num": 24}, {"name": "active+clean+scrubbing+deep", "num": 1}],
    },
}
MONITORS = ["ceph1", "ceph2", "ceph3"]


def changed(base: dict[str, Any], *path: str, value: Any) -> dict[str, Any]:
    found = copy.deepcopy(base)
    place = found
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return found


def test_a_whole_cluster_lacks_nothing() -> None:
    assert health.judge(STATUS, GROUPS, MONITORS) == []


def test_a_cluster_that_remembers_a_slow_write_is_whole_and_says_so() -> None:
    remembered = {
        "BLUESTORE_SLOW_OP_ALERT": {"summary": {"message": "1 OSD(s) experiencing slow operations in BlueStore"}},
        "RECENT_CRASH": {"muted": True, "summary": {"message": "1 daemons have recently crashed"}},
    }
    status = changed(STATUS, "health", "checks", value=remembered)
    assert health.judge(status, GROUPS, MONITORS) == []
    assert health.remarks(status) == ["BLUESTORE_SLOW_OP_ALERT: 1 OSD(s) experiencing slow operations in BlueStore"]


@pytest.mark.parametrize(
    ("status", "groups", "expected"),
    [
        (changed(STATUS, "quorum_names", value=["ceph1", "ceph2"]), GROUPS, "monitors are not in the quorum: ceph3"),
        (changed(STATUS, "osdmap", "num_up_osds", value=2), GROUPS, "of 3 OSDs 2 are up and 3 take data"),
        (changed(STATUS, "osdmap", "num_in_osds", value=2), GROUPS, "of 3 OSDs 3 are up and 2 take data"),
        (changed(STATUS, "mgrmap", "available", value=False), GROUPS, "no manager is active"),
        (
            changed(STATUS, "health", "checks", value={"OSD_NEARFULL": {"summary": {"message": "1 nearfull osd(s)"}}}),
            GROUPS,
            "OSD_NEARFULL: 1 nearfull osd(s)",
        ),
        (
            STATUS,
            changed(GROUPS, "pg_summary", "num_pg_by_state", value=[{"name": "active+undersized+degraded", "num": 25}]),
            "placement groups are not active and clean: 25 active+undersized+degraded",
        ),
        (
            STATUS,
            changed(GROUPS, "pg_summary", "num_pgs", value=26),
            "the manager does not know all placement groups yet",
        ),
        (STATUS, {"pg_ready": False}, "the manager does not know all placement groups yet"),
    ],
)
def test_what_a_cluster_lacks_is_said(status: dict[str, Any], groups: dict[str, Any], expected: str) -> None:
    assert health.judge(status, groups, MONITORS) == [expected]


def test_a_flag_that_is_set_on_purpose_is_allowed() -> None:
    flagged = changed(STATUS, "health", "checks", value={"OSDMAP_FLAGS": {"summary": {"message": "noout flag(s) set"}}})
    assert health.judge(flagged, GROUPS, MONITORS) == ["OSDMAP_FLAGS: noout flag(s) set"]
    assert health.judge(flagged, GROUPS, MONITORS, ["OSDMAP_FLAGS"]) == []


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("active+clean", True),
        ("active+clean+snaptrim_wait", True),
        ("active+clean+inconsistent", False),
        ("active+remapped", False),
        ("peering", False),
    ],
)
def test_states_that_count_as_whole(state: str, expected: bool) -> None:
    assert health.whole(state) is expected


def test_once_is_not_enough() -> None:
    assert not health.in_a_row([[], []], 3)
    assert not health.in_a_row([[], [], ["x"]], 1)
    assert not health.in_a_row([[], ["x"], [], []], 3)
    assert health.in_a_row([["x"], [], [], []], 3)


@pytest.mark.parametrize(
    ("caps", "expected"),
    [
        ("profile rbd pool=images", health.WRITE),
        ("profile rbd pool=other, profile rbd-read-only pool=images", health.READ),
        ("profile rbd pool=other", health.NOTHING),
        ("allow rwx pool=images", health.WRITE),
        ("allow *", health.WRITE),
        ("allow r", health.READ),
        ("profile rbd", health.WRITE),
        ("profile osd", None),
        ("allow rw tag cephfs data=x", None),
        ("profile rbd pool=images, allow r", health.WRITE),
    ],
)
def test_what_capabilities_allow(caps: str, expected: str | None) -> None:
    assert health.granted(caps, "images") == expected


def test_every_client_is_proved_in_every_pool() -> None:
    users = {
        "client.images": {"caps": {"mon": "profile rbd", "osd": "profile rbd pool=images"}},
        "client.gone": {"state": "absent", "caps": {"osd": "allow *"}},
        "client.blind": {"caps": {"mon": "allow r"}},
        "mgr.ceph1": {"caps": {"osd": "allow *"}},
    }
    assert health.accesses(users, ["volumes", "images"]) == [
        health.Access("client.images", "images", health.WRITE),
        health.Access("client.images", "volumes", health.NOTHING),
    ]


def test_slow_osds_are_compared_with_their_own_kind() -> None:
    classes = {0: "hdd", 1: "hdd", 2: "hdd", 3: "ssd"}
    assert health.slow({0: 100e6, 1: 90e6, 2: 40e6, 3: 900e6}, classes) == [
        "osd.2 writes 40 MB/s, its peers 90 MB/s",
    ]
    assert health.slow({0: 1e6}, classes) == []


class RadosError(Exception):
    """librados' own."""


class Refused(RadosError):
    """No right to it."""


class Absent(RadosError):
    """No such object."""


class Pool:
    """Objects, and what the user who opened it may do."""

    def __init__(self, may: str, spoils: bool = False) -> None:
        self.may, self.spoils = may, spoils
        self.objects: dict[str, bytes] = {}

    def write_full(self, name: str, text: bytes) -> None:
        """Write."""
        if self.may != health.WRITE:
            raise Refused("write")
        self.objects[name] = text

    def read(self, name: str, _most: int) -> bytes:
        """Read."""
        return b"" if self.spoils else self.objects[name]

    def stat(self, name: str) -> None:
        """Look at an object."""
        if self.may == health.NOTHING:
            raise Refused("stat")
        if name not in self.objects:
            raise Absent(name)

    def remove_object(self, name: str) -> None:
        """Remove."""
        del self.objects[name]

    def close(self) -> None:
        """Nothing has to be done."""


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A stand-in for librados with a cluster that is whole."""
    found = Cluster()
    found.said |= {"status": copy.deepcopy(STATUS), "pg stat": GROUPS}
    found.mgr_command = found.mon_command  # type: ignore[attr-defined]
    found.osd_command = lambda osd, *_given, **_more: (0, json.dumps({"bytes_per_sec": 1e8 / (1 + 3 * (osd == 2))}), "")  # type: ignore[attr-defined]
    rados = SimpleNamespace(
        Rados=lambda **_given: found, Error=RadosError, ObjectNotFound=Absent, PermissionError=Refused, cluster=found
    )
    found.open_ioctx = lambda name: rados.pools[name]  # type: ignore[attr-defined]
    rados.pools = {"images": Pool(health.WRITE), "volumes": Pool(health.NOTHING)}
    monkeypatch.setitem(sys.modules, "rados", rados)
    return rados


@pytest.mark.parametrize(
    ("really", "wanted", "expected"),
    [
        (health.WRITE, health.WRITE, ""),
        (health.READ, health.READ, ""),
        (health.NOTHING, health.NOTHING, ""),
        (health.READ, health.WRITE, "client.images in pool images may not write"),
        (health.NOTHING, health.READ, "client.images in pool images may not read"),
        (health.WRITE, health.READ, "client.images in pool images wrote, though it may only read"),
        (health.WRITE, health.NOTHING, "client.images in pool images wrote, though it may do nothing there"),
        (
            health.READ,
            health.NOTHING,
            "client.images in pool images looked at an object, though it may do nothing there",
        ),
    ],
)
def test_rights_are_proved_by_what_happens(library: SimpleNamespace, really: str, wanted: str, expected: str) -> None:
    library.pools["images"] = Pool(really)
    assert probe.prove(health.Access("client.images", "images", wanted), KEY) == expected
    assert library.pools["images"].objects == {}


def test_a_pool_that_gives_back_something_else_is_told(library: SimpleNamespace) -> None:
    library.pools["images"] = Pool(health.WRITE, spoils=True)
    wrong = probe.prove(health.Access("client.images", "images", health.WRITE), KEY)
    assert wrong == "client.images in pool images read something else than it wrote"

    def closed(_name: str) -> Pool:
        raise RadosError("no pool")

    library.cluster.open_ioctx = closed
    assert probe.prove(health.Access("client.images", "images", health.WRITE), KEY).endswith("images: no pool")


USERS = {"client.images": {"caps": {"osd": "profile rbd pool=images"}}}


def test_the_module_waits_proves_and_compares(
    library: SimpleNamespace, run_module: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = run_module(ceph_health, users=USERS, pools=["images", "volumes"], monitors=MONITORS, pause=0)
    assert answer["proved"] == ["client.images may write in pool images", "client.images may nothing in pool volumes"]
    assert [one["prefix"] for one in library.cluster.asked].count("pg stat") == 3
    answer = run_module(ceph_health, pause=0, times=1, bench=True)
    assert answer["problems"] == ["osd.2 writes 25 MB/s, its peers 100 MB/s"]
    gone = run_module(ceph_health, users={"client.other": {"caps": {"osd": "allow r"}}}, pools=["images"], pause=0)
    assert gone["problems"] == ["client.other is not there"]


def test_the_module_says_what_was_lacking_in_the_end(
    library: SimpleNamespace, run_module: Callable[..., dict[str, Any]]
) -> None:
    library.cluster.said["status"]["osdmap"]["num_up_osds"] = 2
    answer = run_module(ceph_health, pause=0, timeout=0)
    assert answer["msg"] == "The cluster is not as it has to be: of 3 OSDs 2 are up and 3 take data"
    library.cluster.answers["status"] = lambda *_given: (-errno.EACCES, b"", "denied")
    assert "ceph status: denied" in run_module(ceph_health, pause=0, timeout=0)["msg"]
    library.cluster.osd_command = lambda *_given, **_more: (-errno.EINVAL, b"", "no")
    del library.cluster.answers["status"]
    library.cluster.said["status"] = STATUS
    answer = run_module(ceph_health, pause=0, times=1, bench=True)
    assert "osd.0 does not write for its bench: no" in answer["msg"]


RESULTS = {"write": {"bandwidth": 100}, "seq": {"bandwidth": 200}}


def rados(call: Call) -> Said:
    """What ``rados bench`` says."""
    return Said(next((json.dumps(one) for name, one in RESULTS.items() if name in call.words), ""))


def test_the_module_keeps_figures_and_compares_them_with_the_last(
    library: SimpleNamespace, run_module: Callable[..., dict[str, Any]], stand_ins: StandIns, tmp_path: Path
) -> None:
    """How full and how fast a cluster is; a bench removes what it wrote."""
    library.cluster.osd_command = lambda *_given, **_more: (0, json.dumps({"bytes_per_sec": 1e8}), "")
    library.cluster.said |= {"df": {"stats": {"total_bytes": 1000, "total_used_raw_bytes": 100}}}
    stand_ins.add("rados", rados)
    given = {"pause": 0, "times": 1, "history": str(tmp_path / "figures.json")}
    answer = run_module(ceph_health, pools=["images"], bench=True, **given)
    assert answer["figures"] == ["10% of the room are used", "clients write 105 MB/s and read 210 MB/s"]
    assert [one.split()[-1] for one in stand_ins.lines("rados")] == ["--no-cleanup", "seq", "cleanup"]
    assert len({call.words[call.words.index("--run-name") + 1] for call in stand_ins.calls}) == 1
    stand_ins.add("rados", lambda call: Said(rados(call).output.replace("00}", "}")))
    answer = run_module(ceph_health, pools=["images"], bench=True, **given)
    assert answer["problems"][0] == "the cluster writes 1 MB/s, and did 105 MB/s before"
    stand_ins.add("rados", Said(status=1, errors="no such pool"))
    answer = run_module(ceph_health, pools=["images"], bench=True, **given)
    assert "rados bench ended with 1: no such pool" in answer["msg"]
    assert len(figures.remembered(given["history"])) == 2
    soon = [figures.Look(float(day) * figures.DAY, 100 * day, 1000) for day in range(5)]
    figures.remember(soon, given["history"])
    library.cluster.said["df"]["stats"]["total_used_raw_bytes"] = 800
    assert "days are left until 85% are" in " ".join(run_module(ceph_health, full_days=0, **given)["figures"])


def test_the_module_judges_clocks_and_scrubs(
    library: SimpleNamespace, run_module: Callable[..., dict[str, Any]]
) -> None:
    old = {"pgid": "1.1", "last_deep_scrub_stamp": "2001-01-01T00:00:00.000000+0000"}
    skew = {"time_skew_status": {"ceph2": {"skew": 3.5}}}
    library.cluster.said |= {"time-sync-status": skew, "pg dump": {"pg_stats": [old]}}
    problems = run_module(ceph_health, pause=0, times=1)["problems"]
    assert problems[0].startswith("the clock of mon.ceph2 is 3.50 s")
    assert problems[1].startswith("1 of 1 placement groups were last scrubbed deeply more than 14 days ago")
