"""OSDs, monitors, managers and hosts that leave a cluster: only when all of it has another place, and is there."""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.ceph import plan, removal
from ansible_collections.stackwright.cloud.plugins.modules import ceph_removal
from cluster import Cluster, said

USAGE: dict[str, Any] = {"nodes": [{"id": number, "kb": 10 << 20, "kb_used": 1 << 20} for number in range(4)]}


def four() -> dict[str, Any]:
    """Answers of a cluster in which the third host has two OSDs."""
    found = said()
    found["osd dump"]["osds"].append({"osd": 3, "in": 1, "up": 1})
    found["osd crush dump"]["devices"].append({"id": 3, "class": "hdd"})
    found["osd crush dump"]["buckets"][3]["items"].append({"id": 3})
    return found


def obstacles(osd: int, answers: dict[str, Any], usage: dict[str, Any]) -> list[str]:
    return list(removal.obstacles(removal.Leaving((osd,)), plan.State({**answers, "osd df": usage})))


def test_an_osd_whose_data_has_another_place_may_leave() -> None:
    assert obstacles(3, four(), USAGE) == []
    assert plan.place(plan.State(four()), osd=3) == {"host": "ceph3", "root": "default"}


def test_an_osd_whose_data_would_have_none_stays() -> None:
    assert obstacles(0, four(), USAGE) == ["pool images keeps 3 copies or pieces, and 2 places would be left for them"]
    assert obstacles(9, said(), USAGE) == ["there is no osd.9; there are 0, 1, 2"]
    full = copy.deepcopy(USAGE)
    for row in full["nodes"]:
        row["kb_used"] = 8 << 20
    assert obstacles(3, four(), full) == ["32 GB are used, and 30 GB would be left, of which 85% may be filled"]


def members() -> dict[str, Any]:
    """Answers about three monitors, two managers and no MDS."""
    return {
        "mon dump": {"mons": [{"name": f"ceph{number}.example"} for number in (1, 2, 3)]},
        "quorum_status": {"quorum_names": [f"ceph{number}.example" for number in (1, 2, 3)]},
        "mgr dump": {"active_name": "ceph3.example", "standbys": [{"name": "ceph1.example"}]},
        "fs dump": {"filesystems": [], "standbys": []},
    }


STATUS: dict[str, Any] = {
    "osdmap": {"num_osds": 4, "num_up_osds": 4, "num_in_osds": 3},
    "mgrmap": {"available": True},
    "health": {"checks": {}},
}


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """The four OSDs behind a stand-in for librados; one that is sent out is out."""
    found = Cluster(four())
    clean = {"pg_summary": {"num_pgs": 8, "num_pg_by_state": [{"name": "active+clean", "num": 8}]}}
    found.said |= {
        "status": copy.deepcopy(STATUS),
        "pg stat": clean,
        "osd df": USAGE,
        "osd safe-to-destroy": {"safe_to_destroy": [3]},
    }

    def out(_command: dict[str, Any], _data: bytes) -> tuple[int, bytes, str]:
        found.said["osd dump"]["osds"][3]["in"] = 0
        return 0, b"", ""

    found.answers["osd out"] = out
    found.said |= members()
    found.mgr_command = found.mon_command  # type: ignore[attr-defined]
    library = SimpleNamespace(Rados=lambda **_given: found, ObjectNotFound=KeyError, Error=ValueError)
    monkeypatch.setitem(sys.modules, "rados", library)
    return found


def prefixes(cluster: Cluster) -> list[str]:
    return [one["prefix"] for one in cluster.asked]


def test_it_is_drained_and_seen_to_be_so_several_times(
    cluster: Cluster, run_module: Callable[..., dict[str, Any]]
) -> None:
    answer = run_module(ceph_removal, check=True, osds=[3], phase="drain")
    assert (answer["changes"], answer["host"]) == (["give osd.3 no more data"], "ceph3")
    assert "osd out" not in prefixes(cluster)
    answer = run_module(ceph_removal, osds=[3], phase="drain", pause=0)
    assert answer["changed"]
    assert prefixes(cluster).count("osd safe-to-destroy") == 3
    assert not run_module(ceph_removal, osds=[3], phase="drain", pause=0)["changed"]


def test_it_is_not_sent_out_where_its_data_has_no_place(
    cluster: Cluster, run_module: Callable[..., dict[str, Any]]
) -> None:
    answer = run_module(ceph_removal, osds=[0], phase="drain")
    assert "osd.0 cannot be taken away, and nothing was changed: pool images keeps 3 copies" in answer["msg"]
    assert "osd out" not in prefixes(cluster)


def test_what_still_lacks_is_told_in_the_end(cluster: Cluster, run_module: Callable[..., dict[str, Any]]) -> None:
    cluster.said["osd safe-to-destroy"] = {"safe_to_destroy": []}
    answer = run_module(ceph_removal, osds=[3], phase="drain", pause=0, timeout=0)
    assert answer["problems"] == ["osd.3 is not safe to be taken away yet"]
    assert "ceph osd in 3" in answer["hint"]


@pytest.mark.parametrize(("keep", "command"), [(False, "osd purge-actual"), (True, "osd destroy-actual")])
def test_it_is_forgotten_once_it_stands_still(
    cluster: Cluster, run_module: Callable[..., dict[str, Any]], keep: bool, command: str
) -> None:
    given = {"osds": [3], "phase": "forget", "keep_number": keep}
    assert "osd.3 still runs" in run_module(ceph_removal, **given)["msg"]
    assert run_module(ceph_removal, check=True, **given)["changed"]
    cluster.said["osd dump"]["osds"][3]["up"] = 0
    assert run_module(ceph_removal, check=True, **given)["changed"]
    assert command not in prefixes(cluster)
    assert run_module(ceph_removal, **given)["changed"]
    assert prefixes(cluster)[-1] == command
    if keep:
        cluster.said["osd dump"]["osds"][3]["state"] = ["destroyed", "exists"]
    else:
        cluster.said["osd dump"]["osds"].pop()
    assert not run_module(ceph_removal, **given)["changed"]


def test_a_cluster_that_is_not_reached_is_told(
    run_module: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rados", None)
    assert "python3-rados is missing" in run_module(ceph_removal, osds=[3], phase="forget")["msg"]


HOST = {"host": "ceph3.example", "pause": 0}


def written(cluster: Cluster) -> list[str]:
    return [one for one in prefixes(cluster) if one in {"mon rm", "mgr fail", "osd out", "osd crush rm", "auth rm"}]


def roomy(cluster: Cluster) -> None:
    """Another host that can take the data of the third."""
    cluster.said["osd dump"]["osds"].append({"osd": 4, "in": 1, "up": 1})
    cluster.said["osd crush dump"]["devices"].append({"id": 4, "class": "hdd"})
    cluster.said["osd crush dump"]["buckets"].append(
        {"id": -9, "name": "ceph4", "type_name": "host", "items": [{"id": 4}]}
    )
    cluster.said["osd crush dump"]["buckets"][0]["items"].append({"id": -9})
    cluster.said["osd safe-to-destroy"] = {"safe_to_destroy": [2, 3]}


def test_a_host_leaves_with_all_that_it_carries(cluster: Cluster, run_module: Callable[..., dict[str, Any]]) -> None:
    roomy(cluster)
    told = run_module(ceph_removal, check=True, phase="drain", **HOST)
    assert told["changes"] == [
        "take mon.ceph3.example out of the quorum",
        "let another manager take over from mgr.ceph3.example",
        "give osd.2, osd.3 no more data",
    ]
    assert written(cluster) == []
    answer = run_module(ceph_removal, phase="drain", **HOST)
    assert (answer["osds"], answer["host"], answer["changes"]) == ([2, 3], "ceph3", told["changes"])
    assert written(cluster) == ["mon rm", "mgr fail", "osd out"]
    for osd in cluster.said["osd dump"]["osds"][2:4]:
        osd["up"] = 0
    cluster.said["auth ls"]["auth_dump"].append({"entity": "mgr.ceph3.example"})
    bucket = cluster.said["osd crush dump"]["buckets"][3]

    def emptied(_command: dict[str, Any], _data: bytes) -> tuple[int, bytes, str]:
        bucket["items"] = []
        return 0, b"", ""

    cluster.answers["osd purge-actual"] = emptied
    answer = run_module(ceph_removal, phase="forget", **HOST)
    assert answer["changes"] == [
        "forget osd.2",
        "forget osd.3",
        "forget the place ceph3",
        "forget the key of mgr.ceph3.example",
    ]
    assert written(cluster)[3:] == ["osd crush rm", "auth rm"]


def test_its_monitor_alone_leaves(cluster: Cluster, run_module: Callable[..., dict[str, Any]]) -> None:
    answer = run_module(ceph_removal, phase="drain", parts=["mon"], **HOST)
    assert (answer["changes"], answer["osds"]) == (["take mon.ceph3.example out of the quorum"], [])
    assert "osd safe-to-destroy" not in prefixes(cluster)


def test_nothing_leaves_without_which_the_rest_would_stand_still(
    cluster: Cluster, run_module: Callable[..., dict[str, Any]]
) -> None:
    """A monitor without which there is no majority, the only manager, an MDS that is needed: all told at once."""
    cluster.said["quorum_status"]["quorum_names"] = ["ceph1.example", "ceph3.example"]
    cluster.said["mgr dump"]["standbys"] = []
    serving = {"gid": {"name": "ceph3.example"}}
    cluster.said["fs dump"]["filesystems"] = [{"mdsmap": {"max_mds": 1, "info": serving}}]
    answer = run_module(ceph_removal, phase="drain", parts=["mon", "mgr", "mds"], **HOST)
    assert answer["problems"] == [
        "without mon.ceph3.example 1 of 2 monitors would answer, which is no majority (missing: ceph2.example)",
        "mgr.ceph3.example is the only manager: add another one first",
        "1 MDS are needed, and 0 would be left without mds.ceph3.example",
    ]
    assert written(cluster) == []
    cluster.said["mon dump"]["mons"] = [{"name": "ceph3.example"}]
    answer = run_module(ceph_removal, phase="drain", parts=["mon"], **HOST)
    assert answer["problems"] == ["mon.ceph3.example is the only monitor: add others first"]


def test_a_dead_host_is_not_missed_while_its_data_is_made_anew(cluster: Cluster) -> None:
    """Its OSDs are down, which is no reason to wait; others that are down are."""
    dump = cluster.said["osd dump"]
    dump["osds"][3] |= {"up": 0, "in": 0}
    checks = {"OSD_DOWN": {"summary": {"message": "1 osds down"}}, "OSD_HOST_DOWN": {}, "OSDMAP_FLAGS": {}}
    status = {**STATUS, "health": {"checks": checks}}
    state = plan.State({"osd dump": dump})
    assert removal.lacking([3], status, cluster.said["pg stat"], state) == []
    dump["osds"][0]["up"] = 0
    assert removal.lacking([3], status, cluster.said["pg stat"], state) == ["of 3 OSDs 2 are up and 3 take data"]
    dump["osds"][0]["up"], dump["osds"][3]["up"] = 1, 1
    assert "OSD_DOWN: 1 osds down" in removal.lacking([3], status, cluster.said["pg stat"], state)


def test_an_election_is_waited_for(cluster: Cluster, run_module: Callable[..., dict[str, Any]]) -> None:
    rounds = iter([(-110, b"", ""), (0, json.dumps(cluster.said["status"]).encode(), "")])
    last = (0, json.dumps(cluster.said["status"]).encode(), "")
    cluster.answers["status"] = lambda *_given: next(rounds, last)
    assert run_module(ceph_removal, phase="drain", parts=["mon"], **HOST)["changed"]


def test_what_left_has_nothing_on_its_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_module: Callable[..., dict[str, Any]]
) -> None:
    """Directories and keys are gone; the disk that a link led to is not."""
    monkeypatch.setattr(ceph_removal, "LIBRARY", str(tmp_path / "lib"))
    monkeypatch.setattr(ceph_removal, "KEYS", str(tmp_path / "etc"))
    for path in ("lib/osd/ceph-3", "lib/osd/ceph-4", "lib/mon/ceph-ceph3.example", "etc"):
        (tmp_path / path).mkdir(parents=True)
    (tmp_path / "disk").write_text("data")
    (tmp_path / "lib/osd/ceph-3/block").symlink_to(tmp_path / "disk")
    (tmp_path / "etc/ceph.mon.keyring").write_text("key")
    given = {"phase": "leave", "host": "ceph3.example", "osds": [3]}
    told = run_module(ceph_removal, check=True, **given)["changes"]
    assert len(told) == 3 and (tmp_path / "lib/osd/ceph-3").exists()
    assert run_module(ceph_removal, **given)["changes"] == told
    left = sorted(str(one.relative_to(tmp_path)) for one in tmp_path.rglob("*"))
    assert left == ["disk", "etc", "lib", "lib/mon", "lib/osd", "lib/osd/ceph-4"]
    assert not run_module(ceph_removal, **given)["changed"]
    (tmp_path / "lib/osd/ceph-3").write_text("a file")
    monkeypatch.setattr(ceph_removal.os, "unlink", lambda _path: (_ for _ in ()).throw(PermissionError("no")))
    assert "could not be removed: no" in run_module(ceph_removal, **given)["msg"]


def test_a_dead_disk_is_replaced_although_its_copies_have_no_other_place(
    cluster: Cluster, run_module: Callable[..., dict[str, Any]]
) -> None:
    """Where all hosts are needed, an OSD that is down leaves its number at once, unless data is nowhere else."""
    given = {"osds": [0], "phase": "drain", "keep_number": True, "pause": 0}
    assert "stop the OSD first" in run_module(ceph_removal, **given)["hint"]
    cluster.said["osd dump"]["osds"][0]["up"] = 0
    assert not run_module(ceph_removal, **given)["changed"]
    assert written(cluster) == []
    summary = {"num_pgs": 2, "num_pg_by_state": [{"name": "active+undersized", "num": 1}, {"name": "down", "num": 1}]}
    cluster.said["pg stat"] = {"pg_summary": summary}
    assert "do not serve their data (1 down)" in run_module(ceph_removal, **given)["msg"]
    assert "there is no osd.9" in run_module(ceph_removal, **{**given, "osds": [9]})["msg"]


def test_a_dead_disk_is_judged_once_the_others_have_agreed(
    cluster: Cluster, run_module: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Right after an OSD went, placement groups serve nothing for a moment: that says nothing of their data."""
    given = {"osds": [0], "phase": "drain", "keep_number": True, "pause": 0}
    cluster.said["osd dump"]["osds"][0]["up"] = 0
    rounds = ["peering", "stale+peering", "activating", "active+undersized+degraded"]

    def stat(_command: dict[str, Any], _data: bytes) -> tuple[int, bytes, str]:
        state = rounds.pop(0) if len(rounds) > 1 else rounds[0]
        return 0, json.dumps({"pg_summary": {"num_pg_by_state": [{"name": state, "num": 17}]}}).encode(), ""

    cluster.answers["pg stat"] = stat
    assert not run_module(ceph_removal, **given)["changed"]
    assert rounds == ["active+undersized+degraded"]
    rounds[:] = ["peering"]
    monkeypatch.setattr(ceph_removal, "STANDSTILL_SECONDS", 0.05)
    assert "do not serve their data (17 peering)" in run_module(ceph_removal, **given)["msg"]
    rounds[:] = ["down+peering"]
    monkeypatch.setattr(ceph_removal, "STANDSTILL_SECONDS", 3600)
    assert "do not serve their data (17 down+peering)" in run_module(ceph_removal, **given)["msg"]
