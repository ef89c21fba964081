"""The action of rings: it connects only where something has to be computed, and tells all problems at once."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible_collections.stackwright.cloud.plugins.action import swift_rings as action
from ansible_collections.stackwright.cloud.plugins.modules import swift_rings as module

Run = Callable[..., dict[str, Any]]
LIBRARY = "ansible_collections.stackwright.cloud.tests.unit.swift.library"
LATER = 1002 * 3600.0


class Action(action.ActionModule):
    """The action with a leader that is this machine."""

    def __init__(
        self, run: Run, there: Path, arguments: dict[str, Any], variables: dict[str, Any], check: bool
    ) -> None:
        self.run_module, self.there, self.variables, self.calls = run, there, variables, 0
        self._task = SimpleNamespace(args=arguments, check_mode=check)
        self._loader = DataLoader()
        shell = SimpleNamespace(join_path=os.path.join)
        self._connection = SimpleNamespace(_shell=shell, fetch_file=shutil.copy)

    def validate_argument_spec(self, argument_spec: Any = None, **_: Any) -> tuple[Any, dict[str, Any]]:
        return None, {name: self._task.args.get(name, said.get("default")) for name, said in argument_spec.items()}

    def _make_tmp_path(self, remote_user: str | None = None) -> str:
        return str(self.there)

    def _transfer_file(self, local_path: str, remote_path: str) -> None:
        shutil.copy(local_path, remote_path)

    def _execute_module(self, **call: Any) -> dict[str, Any]:
        self.calls += 1
        return self.run_module(module, check=self._task.check_mode, **call["module_args"])


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Variables of four hosts and the action's arguments."""
    monkeypatch.setattr(module, "LIBRARY", LIBRARY)
    monkeypatch.setattr("ansible.plugins.action.ActionBase.run", lambda *_: {})
    monkeypatch.setattr("time.time", lambda: LATER)
    (tmp_path / "there").mkdir()
    return {
        "hostvars": {
            f"object{number}": {
                "swift_region": 1,
                "swift_zone": number,
                "swift_storage_address": f"192.0.2.{number}",
                "swift_replication_address": f"192.0.2.{number}",
                "swift_devices": {"d1": {"weight": 100}, "d2": {"weight": 100}},
            }
            for number in range(1, 5)
        },
        "arguments": {
            "directory": str(tmp_path / "kept"),
            "layout": {
                "part_power": 5,
                "replicas": 3,
                "min_part_hours": 1,
                "overload": 0.1,
                "policies": [{"index": 0, "name": "gold"}],
            },
            "hosts": [f"object{number}" for number in range(1, 5)],
            "members": [f"object{number}" for number in range(1, 5)],
            "hash_prefix": "before",
            "hash_suffix": "behind",
        },
    }


@pytest.fixture
def act(site: dict[str, Any], tmp_path: Path, run_module: Run) -> Callable[..., tuple[dict[str, Any], int]]:
    """Runs the action; returns its answer and how often the leader was called."""

    def run(check: bool = False, **variables: Any) -> tuple[dict[str, Any], int]:
        given = {"hostvars": site["hostvars"], "ansible_play_hosts_all": site["arguments"]["members"], **variables}
        one = Action(run_module, tmp_path / "there", site["arguments"], given, check)
        return one.run(task_vars=given), one.calls

    return run


Act = Callable[..., tuple[dict[str, Any], int]]


def test_rings_are_computed_kept_and_then_left_alone(act: Act, site: dict[str, Any]) -> None:
    foretold, _ = act(check=True)
    assert foretold["changed"] and not Path(site["arguments"]["directory"]).exists() and foretold["rings"] == {}
    answer, calls = act()
    assert answer["changes"] == foretold["changes"] and calls == 1
    assert "ring object: 96 replicas of partitions (100 %) are assigned" in "\n".join(answer["changes"])
    assert set(answer["rings"]) == {"account.ring.gz", "container.ring.gz", "object.ring.gz"}
    again, calls = act()
    assert not again["changed"] and calls == 0 and again["rings"] == answer["rings"] and again["changes"] == []


def test_shares_are_told_for_each_device(act: Act, site: dict[str, Any]) -> None:
    act()
    site["hostvars"]["object1"]["swift_devices"]["d1"]["drain"] = True
    site["arguments"]["step"] = 50
    answer, _ = act(check=True)
    drained = answer["computed"]["object"]["devices"]["object1/d1"]
    assert drained["leaving"] > 0 and drained["share"] == round(100 * drained["leaving"] / drained["had"], 1)
    assert "ring object: object1/d1: weight 100 becomes 50" in answer["changes"]
    assert "weight 50" in answer["diff"]["after"]


def test_what_waits_is_said(act: Act, site: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    act()
    monkeypatch.setattr("time.time", lambda: LATER - 3600 * 1.5)
    site["hostvars"]["object1"]["swift_devices"]["d1"]["weight"] = 50
    answer, calls = act()
    assert not answer["changed"] and calls == 0 and answer["waiting"] == dict.fromkeys(answer["waiting"], 1800)
    assert len(answer["waiting"]) == len(answer["summary"]) == 3


def test_all_problems_come_in_one_list(act: Act, site: dict[str, Any]) -> None:
    act()
    site["arguments"]["layout"]["part_power"] = 6
    site["arguments"]["hash_suffix"] = "other"
    site["arguments"]["seen"] = {"object1": {"rings": {"object.ring.gz": "foreign"}, "hash": "", "devices": {}}}
    Path(site["arguments"]["directory"], "account.builder").write_bytes(b"older")
    answer, calls = act()
    assert answer["failed"] and calls == 0 and len(answer["problems"]) == 6
    assert answer["msg"].startswith("The rings have 6 problems; nothing was changed:\n- ")
    assert "before" not in answer["msg"].split()


def test_a_run_of_some_hosts_changes_no_ring(act: Act, site: dict[str, Any]) -> None:
    answer, _ = act(ansible_play_hosts_all=["object1", "object2"])
    assert answer["failed"] and "leaves out object3, object4" in answer["msg"] and "without --limit" in answer["msg"]
    act()
    assert "failed" not in act(ansible_play_hosts_all=["object1"])[0]


def test_builders_that_somebody_brought_are_taken_over(act: Act, site: dict[str, Any]) -> None:
    before, _ = act()
    record = Path(site["arguments"]["directory"], "record.json")
    record.unlink()
    answer, calls = act()
    assert not answer["changed"] and calls == 1 and answer["rings"] == before["rings"] and record.exists()
    record.unlink()
    Path(site["arguments"]["directory"], "object.ring.gz").unlink()
    assert "bring object.ring.gz as well" in act()[0]["msg"]


def test_a_leader_without_the_library_fails_outside_of_check_mode(act: Act, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LIBRARY", "swift_that_is_not_there.ring")
    answer, _ = act()
    assert answer["failed"] and "python3-swift" in answer["hint"]
    foretold, _ = act(check=True)
    assert foretold["changed"] and any("python3-swift is installed" in one for one in foretold["changes"])


def test_what_cannot_be_computed_is_told(act: Act, site: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{LIBRARY}.RingBuilder.validate", lambda *_: 1 / 0)
    answer, _ = act()
    assert answer["failed"] and "ZeroDivisionError" in answer["msg"]
    assert not Path(site["arguments"]["directory"]).exists()
