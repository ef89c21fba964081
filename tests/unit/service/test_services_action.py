"""A host planned and brought to its plan by one call: what is remembered of the machine, problems, turns."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible_collections.stackwright.cloud.plugins.action import services
from ansible_collections.stackwright.cloud.plugins.module_utils.service import host_view

SPECIFICATIONS = {
    "cache": {
        "packages": ["cached"],
        "rolling": True,
        "units": [{"name": "cached"}],
        "health": [{"name": "cache", "port": 1}],
        "files": {"/etc/cached.conf": {"content": "{{ services_facts.datapath | default('unknown') }}"}},
    },
    "time": {"packages": ["chrony"], "units": [{"name": "chrony"}]},
    "asks": {"facts": {"datapath": "auto"}},
}


class Host:
    """Answers the module's calls one after the other; keeps what it was asked."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        self.answers = list(answers)
        self.calls: list[dict[str, Any]] = []

    def execute(self, module_name: str, module_args: dict[str, Any], **_: Any) -> dict[str, Any]:
        assert module_name == services.MODULE
        self.calls.append(dict(module_args))
        return {"changed": False, "done": True, "invocation": {}, **(self.answers.pop(0) if self.answers else {})}

    def phases(self, call: int) -> list[str]:
        return [part["phase"] for part in self.calls[call]["parts"]]

    def content(self, call: int) -> str:
        part = next(part for part in self.calls[call]["parts"] if part["phase"] == "files")
        return str(part["arguments"]["files"]["/etc/cached.conf"]["content"])


def run(
    host: Host, monkeypatch: pytest.MonkeyPatch, facts: dict[str, Any] | None = None, **args: Any
) -> dict[str, Any]:
    monkeypatch.setattr(services.ActionBase, "run", lambda self, tmp, task_vars: {})
    action = services.ActionModule.__new__(services.ActionModule)
    action._task = SimpleNamespace(args=args, check_mode=False)
    action._loader, action._connection = DataLoader(), SimpleNamespace(transport="local")
    action._execute_module = host.execute
    own = {"__own_specifications": host_view.trusted(SPECIFICATIONS)}
    variables = {**own, "inventory_hostname": "one", "ansible_facts": facts or {}}
    return action.run(task_vars=variables)


ASKING = ["own.cache", "own.asks"]


def test_host_that_asks_nothing_of_its_machine_costs_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host()
    result = run(host, monkeypatch, names=["own.cache"], packages=["more"], sources=[])
    assert "invocation" not in result and len(host.calls) == 1
    assert host.phases(0) == ["packages", "files", "units", "health"]
    asked = host.calls[0]["parts"][0]["arguments"]
    assert asked == {"names": ["cached", "more"], "sources": []} and "assumed" not in host.calls[0]


def test_new_machine_is_asked_before_it_is_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host({"facts": {"datapath": "netdev"}}, {"facts": {"datapath": "netdev"}})
    result = run(host, monkeypatch, names=ASKING)
    assert host.phases(0) == ["packages", "facts"] and host.content(1) == "netdev"
    remembered = result["ansible_facts"]
    again = Host({"facts": {"datapath": "netdev"}})
    run(again, monkeypatch, remembered, names=ASKING)
    assert len(again.calls) == 1 and again.content(0) == "netdev"
    assert again.calls[0]["assumed"] == {"datapath": "netdev"}


def test_machine_that_changed_is_planned_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {services.REMEMBERED: {'{"datapath": "auto"}': {"datapath": "netdev"}}}
    host = Host({"facts": {"datapath": "system"}, "done": False}, {"facts": {"datapath": "system"}})
    result = run(host, monkeypatch, known, names=ASKING)
    assert [host.content(0), host.content(1)] == ["netdev", "system"]
    assert list(result["ansible_facts"][services.REMEMBERED].values()) == [{"datapath": "system"}]


def test_failure_before_the_plan_ends_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host({"failed": True, "msg": "no mirror"})
    assert run(host, monkeypatch, names=ASKING)["msg"] == "no mirror" and len(host.calls) == 1


def test_problem_of_the_specifications_is_told_and_nothing_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host()
    result = run(host, monkeypatch, names=["own.cahce"])
    assert result["failed"] and "own.cahce" in result["msg"] and not host.calls


@pytest.mark.parametrize(("peers", "marked"), [(["one"], False), (["one", "two"], True)])
def test_restarts_are_held_only_where_another_host_serves(
    monkeypatch: pytest.MonkeyPatch, peers: list[str], marked: bool
) -> None:
    host = Host()
    for stage in range(4):
        run(host, monkeypatch, names=["own.cache"], peers=peers, stage=stage)
    units = next(part for call in host.calls for part in call["parts"] if part["phase"] == "units")
    assert ["rolling" in unit for unit in units["arguments"]["units"]] == [marked]


def test_host_whose_turn_fails_names_those_that_were_not_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    turn = {"units": [{"name": "cached"}], "health": [{"name": "cache", "port": 1}]}
    host = Host({"failed": True, "msg": "1 of 1 health checks fail"})
    result = run(host, monkeypatch, turn=turn, waiting=["three", "four"])
    assert host.phases(0) == ["units", "health"]
    assert result["msg"] == "1 of 1 health checks fail\nNot restarted, since their turn is later: three, four"
    assert "Not restarted" not in run(Host({"failed": True, "msg": "x"}), monkeypatch, turn=turn)["msg"]


def test_hosts_that_need_each_other_go_stage_by_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host({"memory": {"restart": ["cached"]}})
    result = run(host, monkeypatch, names=["own.cache"], peers=["one", "two"])
    assert result["stages"] == 4 and host.phases(0) == ["packages", "files"]
    # nobody registers anything here, so that stage costs no call
    told = [
        run(host, monkeypatch, names=["own.cache"], peers=["one", "two"], stage=stage, memory=result["memory"])
        for stage in (1, 2, 3)
    ]
    assert [host.phases(call) for call in (1, 2)] == [["units"], ["health"]] and len(host.calls) == 3
    assert all(call["memory"]["restart"] == ["cached"] for call in host.calls[1:])
    assert told[0]["memory"]["restart"] == ["cached"]


def test_hosts_that_wait_for_nobody_are_done_in_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host()
    assert "stages" not in run(host, monkeypatch, names=["own.time"], peers=["one", "two"])
    assert host.phases(0) == ["packages", "units"]


def test_what_a_service_leaves_behind_is_told_once_it_was_taken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = {"removed": ["horizon leaves its files"]}
    gone = {"parts": [{"title": "The services run", "changed": True}]}
    assert services.ActionModule._left(plan, gone) == ["horizon leaves its files"]
    assert services.ActionModule._left(plan, {"parts": [{"title": "The services run", "changed": False}]}) == []
