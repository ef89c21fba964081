"""The packet filter as the control node applies it: nothing is kept without a fresh login."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.action import packet_filter
from ansible_collections.stackwright.cloud.plugins.module_utils.host import fresh_login


class Host:
    """Answers the module's calls: ``answers`` by step."""

    def __init__(self, **answers: dict[str, Any]) -> None:
        self.answers = answers
        self.steps: list[str] = []
        self.rules: Any = None

    def execute(self, module_name: str, module_args: dict[str, Any], **_: Any) -> dict[str, Any]:
        step = str(module_args.get("step", "apply"))
        self.steps.append(step)
        self.rules = module_args.get("rules")
        return dict(self.answers.get(step, {"changed": True}))


def run(host: Host, monkeypatch: pytest.MonkeyPatch, *logins: str, **args: Any) -> dict[str, Any]:
    answers = iter(logins)
    monkeypatch.setattr(fresh_login, "fresh_login", lambda action: next(answers))
    monkeypatch.setattr(packet_filter.ActionBase, "run", lambda self, tmp, task_vars: {})
    action = packet_filter.ActionModule.__new__(packet_filter.ActionModule)
    action._task = SimpleNamespace(args={"rules": {}, "step": "confirm", "tried": "x", **args}, check_mode=False)
    action._execute_module = host.execute
    return action.run(task_vars={})


TRIED = {"changed": True, "changes": ["load the table"], "tried": "table inet stackwright {}"}


def test_table_is_confirmed_after_a_login(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(apply=TRIED)
    result = run(host, monkeypatch, "")
    assert host.steps == ["apply", "confirm"] and result["changed"] and "tried" not in result


def test_table_with_which_nobody_can_log_in_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(apply=TRIED)
    result = run(host, monkeypatch, "Connection timed out")
    assert host.steps == ["apply", "undo"]
    assert result["failed"] and "Connection timed out" in result["msg"] and "base_filter_ssh_networks" in result["hint"]


def test_timer_is_waited_for_where_the_open_connection_is_dead_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(apply=TRIED, undo={"failed": True})
    result = run(host, monkeypatch, "no route", "")
    assert result["failed"] and "by the host's timer" in result["msg"]


def test_nothing_is_proved_where_nothing_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(apply={"changed": False, "changes": []})
    assert not run(host, monkeypatch)["changed"] and host.steps == ["apply"]


def test_confirmation_that_fails_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(apply=TRIED, confirm={"failed": True, "msg": "the timer took it back"})
    assert run(host, monkeypatch, "")["failed"]


def test_rules_are_those_that_the_specifications_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(apply={"changed": False, "changes": []})
    run(host, monkeypatch, described={"rules": {"inputs": ["ours"]}, "listeners": []})
    assert host.rules == {"inputs": ["ours"]}


def test_problem_of_the_sites_rules_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host()
    result = run(host, monkeypatch, described={"problem": "base_filter_rules[0]: no such component"})
    assert result == {"failed": True, "msg": "base_filter_rules[0]: no such component"} and host.steps == []
