"""OVN's heartbeat: the question, who has answered it, and what is said of those that have not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.verify import ovn


class Databases:
    """Stands in for ovn-nbctl and ovn-sbctl; ``nodes`` maps a host to [controller, metadata] answers."""

    def __init__(self, nodes: dict[str, list[Any]], number: int = 8, broken: str = "") -> None:
        self.nodes, self.number, self.broken = nodes, number, broken
        self.commands: list[list[str]] = []

    def __call__(self, command: Sequence[str]) -> tuple[int, str]:
        self.commands.append(list(command))
        if command[0] == self.broken:
            return 1, "ovsdb: connection refused\n"
        if "sync" in command:
            self.number += 1
            return 0, ""
        if "get" in command:
            return 0, f"{self.number}\n"
        if command[-1] == "Chassis":
            names = [[f"uuid-{host}", f"{host}.example.org"] for host in self.nodes]
            return 0, json.dumps({"headings": ["name", "hostname"], "data": names})
        rows: list[list[Any]] = []
        for host, (controller, metadata) in self.nodes.items():
            ids = [] if metadata is None else [[ovn.METADATA_KEY, str(metadata)]]
            rows.append([f"uuid-{host}", controller, ["map", [["other", "x"], *ids]]])
        return 0, json.dumps({"headings": ["name", "nb_cfg", "external_ids"], "data": rows})


class Clock:
    def __init__(self, databases: Databases, changes: dict[float, dict[str, list[Any]]]) -> None:
        self.now, self.databases, self.changes = 0.0, databases, changes

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        for when, nodes in self.changes.items():
            if self.now >= when:
                self.databases.nodes.update(nodes)


def ask(databases: Databases, changes: dict[float, dict[str, list[Any]]] | None = None, **more: Any) -> ovn.Answers:
    clock = Clock(databases, changes or {})
    arguments: dict[str, Any] = {"controllers": ["c1", "c2"], "metadata": ["c1", "c2"], "timeout": 20} | more
    return ovn.heartbeat(**arguments, run=databases, now=clock, sleep=clock.sleep)


def test_answers_to_a_new_question_pass() -> None:
    databases = Databases({"c1": [9, 9], "c2": [10, 9]})
    answers = ask(databases)
    assert (answers.number, answers.problems) == (9, [])
    assert "--wait=sb" in databases.commands[0]


def test_answers_to_an_earlier_question_do_not_count() -> None:
    assert ask(Databases({"c1": [8, 8], "c2": [9, 9]})).problems == [
        "ovn-controller on c1: no answer (last 8, asked 9)",
        "neutron-ovn-metadata-agent on c1: no answer (last 8, asked 9)",
    ]


def test_late_answer_is_waited_for() -> None:
    answers = ask(Databases({"c1": [9, 9], "c2": [9, 8]}), {12: {"c2": [9, 9]}})
    assert answers.problems == []
    assert 12 <= answers.seconds < 13


def test_question_put_before_is_not_put_again() -> None:
    databases = Databases({"c1": [9, 9], "c2": [9, 9]}, number=9)
    assert ask(databases, question=9).problems == []
    assert not any("sync" in command for command in databases.commands)


def test_host_without_chassis_or_without_agent_is_named() -> None:
    assert ask(Databases({"c1": [9, None]}), timeout=0).problems == [
        "neutron-ovn-metadata-agent on c1: not registered in OVN's southbound database",
        "ovn-controller on c2: not registered in OVN's southbound database",
    ]


def test_only_those_asked_for_must_answer() -> None:
    databases = Databases({"c1": [9, 9], "c2": [3, 3]})
    assert ask(databases, controllers=["c1"], metadata=[]).problems == []
    assert ask(databases, controllers=[], metadata=[]).problems == []


@pytest.mark.parametrize(("program", "which"), [("ovn-nbctl", "northbound"), ("ovn-sbctl", "southbound")])
def test_dead_database_is_named(program: str, which: str) -> None:
    with pytest.raises(ovn.OvnError, match=f"{which} database or ovn-northd does not answer .*connection refused"):
        ask(Databases({}, broken=program))


def test_connections_are_passed_on() -> None:
    databases = Databases({"c1": [9, 9], "c2": [9, 9]})
    ask(databases, northbound="tcp:n:6641", southbound="tcp:s:6642")
    assert "--db=tcp:n:6641" in databases.commands[0]
    assert "--db=tcp:s:6642" in databases.commands[-1]
