"""What lies on a storage node and belongs elsewhere is counted by the rings, and carried away by passes that do nothing
else."""

from __future__ import annotations

import configparser
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.common import command
from ansible_collections.stackwright.cloud.plugins.module_utils.swift import handoffs
from ansible_collections.stackwright.cloud.plugins.modules import swift_handoffs as module

Run = Callable[..., dict[str, Any]]


class Ring:
    """Places even partitions on object1/d1, and odd ones on object2/d1."""

    def get_part_nodes(self, part: int) -> Sequence[Mapping[str, Any]]:
        return [{"meta": f"object{part % 2 + 1}/d1"}]


class Node:
    """A storage node with directories; its passes carry away so many partitions each."""

    def __init__(self, place: Path) -> None:
        self.devices, self.etc = place / "node", place / "etc"
        self.asked: list[str] = []
        self.carries, self.status = 9, 0
        for name in ("account-server.conf", "container-server.conf", "object-server.conf"):
            self.etc.mkdir(exist_ok=True)
            (self.etc / name).write_text("[DEFAULT]\nlog_name = 100%\n[object-replicator]\nconcurrency = 1\n")

    def keep(self, *paths: str) -> None:
        for path in paths:
            (self.devices / path / "abc").mkdir(parents=True)

    def run(self, argv: Sequence[str], seconds: float) -> CompletedProcess[str]:
        assert argv[:4] == ["/usr/sbin/runuser", "-u", "swift", "--"] and argv[6] == "once" and seconds > 0
        read = configparser.RawConfigParser()
        read.read(argv[5])
        one = {one.program: one for one in (handoffs.ACCOUNTS, handoffs.CONTAINERS, handoffs.OBJECTS)}
        one[handoffs.FRAGMENTS.program] = handoffs.FRAGMENTS
        assert read.getboolean(one[argv[4]].section, one[argv[4]].option)
        assert read.get("DEFAULT", "log_name") == "100%"
        self.asked.append(argv[4])
        data = {"swift-account-replicator": "accounts", "swift-object-replicator": "objects"}.get(argv[4], "objects-1")
        strays = [one for one in sorted(self.devices.glob(f"*/{data}/*/abc")) if int(one.parent.name) % 2]
        for stray in strays[: 0 if self.status else self.carries]:
            stray.rmdir()
        return CompletedProcess(list(argv), self.status, "", "no ring" if self.status else "")


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    made, now = Node(tmp_path), [0.0]
    monkeypatch.setattr(module, "_ring", lambda directory, name: Ring())
    monkeypatch.setattr(module.shutil, "chown", lambda *_: None)
    monkeypatch.setattr(module, "SCRATCH", str(tmp_path))
    monkeypatch.setattr(module.command, "run", made.run)
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(module.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    return made


def ask(run_module: Run, node: Node, **more: Any) -> dict[str, Any]:
    places = {"directory": str(node.etc), "devices_directory": str(node.devices)}
    return run_module(module, host="object1", devices=["d1", "d2"], **places, **more)


def test_partitions_that_belong_elsewhere_are_counted(run_module: Run, node: Node) -> None:
    node.keep("d1/objects/2", "d1/objects/3", "d1/objects-1/5", "d2/accounts/4", "d1/quarantined/7")
    # replication leaves a directory without objects in it, and files beside the partitions
    (node.devices / "d1/objects/7").mkdir()
    (node.devices / "d1/objects/auditor_status_ALL.json").touch()
    answer = ask(run_module, node, timeout=0)
    assert answer["before"] == {"d1": {"objects": 1, "objects-1": 1}, "d2": {"accounts": 1}}
    assert (answer["partitions"], answer["changed"], node.asked) == (3, False, [])
    answer = ask(run_module, node, check=True)
    assert answer["changes"] == ["3 partitions are carried to where they belong"]
    assert (answer["partitions"], answer["changed"], node.asked) == (3, True, [])


def test_passes_carry_them_away_until_none_is_left(run_module: Run, node: Node) -> None:
    node.keep("d1/objects/2", "d1/objects/3", "d1/objects/5", "d1/objects-1/5", "d1/accounts/1")
    node.carries = 1
    answer = ask(run_module, node, coded=["objects-1"])
    assert (answer["left"], answer["partitions"], answer["changed"]) == ({}, 0, True)
    assert answer["changes"] == ["4 partitions are carried to where they belong"]
    first = ["swift-account-replicator", "swift-object-replicator", "swift-object-reconstructor"]
    # what a pass leaves is the next one's, which is of the same kind alone
    assert node.asked == [*first, "swift-object-replicator"]
    node.asked.clear()
    assert ask(run_module, node)["changed"] is False and node.asked == []


def test_what_does_not_go_in_time_is_told(run_module: Run, node: Node) -> None:
    node.keep("d1/objects/3")
    node.carries = 0
    answer = ask(run_module, node, timeout=10)
    assert (
        answer["failed"] and "object1 has 1 partitions after 10 s that belong elsewhere: d1/objects: 1" in answer["msg"]
    )
    assert "swift_status" in answer["hint"]


def test_a_pass_that_fails_is_told(run_module: Run, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    node.keep("d1/objects/3")
    node.status = 1
    assert "swift-object-replicator ends with status 1: no ring" in ask(run_module, node)["msg"]

    def hangs(argv: Sequence[str], seconds: float) -> CompletedProcess[str]:
        raise command.CommandTimeoutError(argv, seconds, "")

    monkeypatch.setattr(module.command, "run", hangs)
    assert "did not end within" in ask(run_module, node)["msg"]


def test_each_kind_of_data_has_its_pass() -> None:
    data = ["accounts", "containers", "objects", "objects-1", "objects-2"]
    assert handoffs.passes(data, ["objects-1"]) == [
        handoffs.ACCOUNTS,
        handoffs.CONTAINERS,
        handoffs.OBJECTS,
        handoffs.FRAGMENTS,
    ]
