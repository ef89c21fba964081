"""OSDs that leave a cluster: only when their data has a place, and is there."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.ceph import plan, removal
from ansible_collections.stackwright.cloud.plugins.modules import ceph_osd_removal
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
    return list(removal.obstacles(osd, plan.State(answers), usage))


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
    found.mgr_command = found.mon_command  # type: ignore[attr-defined]
    library = SimpleNamespace(Rados=lambda **_given: found, ObjectNotFound=KeyError, Error=ValueError)
    monkeypatch.setitem(sys.modules, "rados", library)
    return found


def prefixes(cluster: Cluster) -> list[str]:
    return [one["prefix"] for one in cluster.asked]


def test_it_is_drained_and_seen_to_be_so_several_times(
    cluster: Cluster, run_module: Callable[..., dict[str, Any]]
) -> None:
    answer = run_module(ceph_osd_removal, check=True, osd=3, phase="drain")
    assert (answer["changes"], answer["host"]) == (["give osd.3 no more data"], "ceph3")
    assert "osd out" not in prefixes(cluster)
    answer = run_module(ceph_osd_removal, osd=3, phase="drain", pause=0)
    assert answer["changed"]
    assert prefixes(cluster).count("osd safe-to-destroy") == 3
    assert not run_module(ceph_osd_removal, osd=3, phase="drain", pause=0)["changed"]


def test_it_is_not_sent_out_where_its_data_has_no_place(
    cluster: Cluster, run_module: Callable[..., dict[str, Any]]
) -> None:
    answer = run_module(ceph_osd_removal, osd=0, phase="drain")
    assert "osd.0 cannot be taken away: pool images keeps 3 copies" in answer["msg"]
    assert "osd out" not in prefixes(cluster)


def test_what_still_lacks_is_told_in_the_end(cluster: Cluster, run_module: Callable[..., dict[str, Any]]) -> None:
    cluster.said["osd safe-to-destroy"] = {"safe_to_destroy": []}
    answer = run_module(ceph_osd_removal, osd=3, phase="drain", pause=0, timeout=0)
    assert answer["problems"] == ["osd.3 is not safe to be taken away yet"]
    assert "ceph osd in 3" in answer["hint"]


@pytest.mark.parametrize(("keep", "command"), [(False, "osd purge-actual"), (True, "osd destroy-actual")])
def test_it_is_forgotten_once_it_stands_still(
    cluster: Cluster, run_module: Callable[..., dict[str, Any]], keep: bool, command: str
) -> None:
    given = {"osd": 3, "phase": "forget", "keep_number": keep}
    assert "osd.3 still runs" in run_module(ceph_osd_removal, **given)["msg"]
    cluster.said["osd dump"]["osds"][3]["up"] = 0
    assert run_module(ceph_osd_removal, check=True, **given)["changed"]
    assert command not in prefixes(cluster)
    assert run_module(ceph_osd_removal, **given)["changed"]
    assert prefixes(cluster)[-1] == command
    if keep:
        cluster.said["osd dump"]["osds"][3]["state"] = ["destroyed", "exists"]
    else:
        cluster.said["osd dump"]["osds"].pop()
    assert not run_module(ceph_osd_removal, **given)["changed"]


def test_a_cluster_that_is_not_reached_is_told(
    run_module: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rados", None)
    assert "python3-rados is missing" in run_module(ceph_osd_removal, osd=3, phase="forget")["msg"]
