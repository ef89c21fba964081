"""Commands over one connection, and the module that converges a cluster."""

from __future__ import annotations

import errno
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.ceph import ready, session
from ansible_collections.stackwright.cloud.plugins.module_utils.ceph.session import CephError, Command
from ansible_collections.stackwright.cloud.plugins.modules import ceph_cluster
from cluster import KEY, Cluster


class Missing(Exception):
    """What librados raises without a configuration."""


class Unreachable(Exception):
    """What librados raises without monitors."""


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """A cluster behind a stand-in for librados."""
    found = Cluster()
    library = SimpleNamespace(Rados=lambda **_given: found, ObjectNotFound=Missing, Error=Unreachable)
    monkeypatch.setitem(sys.modules, "rados", library)
    return found


def test_many_commands_are_one_trip() -> None:
    found = Cluster()
    one = session.Session(found)
    assert one.ask_all([Command("health"), Command("config ls")])[0]["status"] == "HEALTH_OK"
    assert one.trips == 1
    assert one.ask_all([]) == []
    assert found.asked[0]["format"] == "json"


def test_everything_refused_is_told_at_once() -> None:
    def refuse(command: dict[str, Any], _data: bytes) -> tuple[int, bytes, str]:
        return -errno.EINVAL, b"", f"no {command['key']}"

    def late(_command: dict[str, Any], _data: bytes) -> tuple[int, bytes, str]:
        return -errno.ETIMEDOUT, b"", ""

    def broken(_command: dict[str, Any], _data: bytes) -> tuple[int, bytes, str]:
        raise Unreachable("gone")

    one = session.Session(Cluster(answers={"osd set": refuse, "osd unset": late, "osd tree": broken}))
    with pytest.raises(CephError) as caught:
        one.ask_all([Command("osd set", {"key": "x"}), Command("osd unset", {"key": "y"}), Command("osd tree")])
    assert str(caught.value) == (
        "ceph osd set x: no x; ceph osd unset y: ETIMEDOUT: no answer within 60 s; ceph osd tree: gone"
    )
    assert one.ask(Command("osd set", {"key": "x"}, accepts=(errno.EINVAL,))) is None


def test_an_answer_that_is_no_json_is_none() -> None:
    assert session.Session(Cluster(answers={"x": lambda *_given: (0, b"done", "")})).ask(Command("x")) is None


@pytest.mark.parametrize(
    ("fault", "expected"),
    [(Missing("x"), "cannot be read on this host"), (Unreachable("x"), "more than half of the monitors")],
)
def test_no_way_to_the_cluster_says_what_to_look_at(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, fault: Exception, expected: str
) -> None:
    def connect() -> None:
        raise fault

    monkeypatch.setattr(cluster, "connect", connect)
    with pytest.raises(CephError, match=expected), session.connected("client.admin", "/k"):
        pass


def test_without_the_library_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rados", None)
    with pytest.raises(CephError, match="python3-rados is missing"), session.connected("client.admin", "/k"):
        pass


DOCUMENT = {"flags": {"noout": False}, "users": {"client.images": {"caps": {"mon": "allow r"}}}}


def test_the_module_asks_once_and_writes_once(cluster: Cluster, run_module: Callable[..., dict[str, Any]]) -> None:
    answer = run_module(ceph_cluster, document=DOCUMENT, keyring="/k", osds=[0, 1, 2])
    assert answer["changed"]
    assert answer["trips"] == 2
    assert [one["prefix"] for one in cluster.written] == ["osd unset", "auth import"]
    assert answer["diff"]["before"] == "flag noout: set\nuser client.images: mon profile rbd\n"
    assert KEY not in str(answer)
    assert KEY.encode() in cluster.read[0]
    assert cluster.closed


def test_check_mode_writes_nothing(cluster: Cluster, run_module: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    keyring = tmp_path / "keyring"
    answer = run_module(ceph_cluster, check=True, document=DOCUMENT, keyring=str(keyring))
    assert (answer["changes"], cluster.asked) == (["make the cluster"], [])
    keyring.write_text("")
    answer = run_module(ceph_cluster, check=True, document=DOCUMENT, keyring=str(keyring))
    assert answer["changes"] == ["flag noout: not set", "user client.images: mon allow r"]
    assert cluster.written == []


def test_problems_come_before_the_first_change(cluster: Cluster, run_module: Callable[..., dict[str, Any]]) -> None:
    answer = run_module(ceph_cluster, document={**DOCUMENT, "pools": {"p": {"size": 9}}}, keyring="/k")
    assert answer["failed"]
    assert "nothing was changed" in answer["msg"]
    assert len(answer["problems"]) == 1
    assert cluster.written == []


def test_osds_that_stay_down_are_named(cluster: Cluster, run_module: Callable[..., dict[str, Any]]) -> None:
    answer = run_module(ceph_cluster, document=DOCUMENT, keyring="/k", osds=[0, 7], timeout=0)
    assert "osd.7 did not come up within 0 s" in answer["msg"]
    assert cluster.written == []


def test_a_cluster_whose_managers_just_started_is_asked_for_modules_once_one_leads(
    cluster: Cluster, run_module: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = [{"available": False}, {"available": True, "available_modules": []}, cluster.said["mgr dump"]]
    cluster.answers["mgr dump"] = lambda *_given: (0, json.dumps(said.pop(0)).encode(), "")
    monkeypatch.setattr(ready, "LOOK_AGAIN_SECONDS", 0)
    given = {"document": {"modules": {"prometheus": True}}, "keyring": "/k"}
    assert run_module(ceph_cluster, **given)["changes"] == ["manager module prometheus: enabled"]
    assert said == []
    cluster.answers["mgr dump"] = lambda *_given: (0, b'{"available": false}', "")
    assert "no manager led within 0 s" in run_module(ceph_cluster, **given, timeout=0)["msg"]


def test_osds_and_a_manager_are_waited_for_one_after_the_other(cluster: Cluster) -> None:
    down = [{"osd": number, "up": int(number == 0)} for number in range(3)]
    said = {"osd dump": [{"osds": down}, cluster.said["osd dump"]], "mgr dump": [{}, cluster.said["mgr dump"]]}
    for prefix, answers in said.items():
        cluster.answers[prefix] = lambda *_given, answers=answers: (0, json.dumps(answers.pop(0)).encode(), "")
    slept: list[float] = []
    ready.wait(session.Session(cluster), 5, [0, 1], manager=True, now=lambda: 0.0, sleep=slept.append)
    assert [one["prefix"] for one in cluster.asked] == ["osd dump", "osd dump", "mgr dump", "mgr dump"]
    assert slept == [1.0, 1.0]
