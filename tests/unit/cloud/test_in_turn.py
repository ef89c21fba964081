"""Subnets of one network are made one after the other, for Neutron gives the network's own port an address of each."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.engine import execute

from .conftest import Desk

DOCUMENT: dict[str, Any] = {
    "networks": ["one", "two"],
    "subnets": [
        {"name": f"{network}-{number}", "network": network, "cidr": f"10.{place}.{number}.0/24"}
        for place, network in enumerate(("one", "two"))
        for number in range(3)
    ],
}


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How many subnets of each network, and in all, were on their way at the same time."""
    create, lock = execute.create_object, threading.Lock()
    now: dict[str, int] = {}
    most: dict[str, int] = {}

    def counted(op: Any) -> Any:
        names = [str(op.values["network"]), "all"] if op.type.name == "subnet" else []
        with lock:
            for name in names:
                now[name] = now.get(name, 0) + 1
                most[name] = max(most.get(name, 0), now[name])
        time.sleep(0.05 if names else 0)
        try:
            return create(op)
        finally:
            with lock:
                for name in names:
                    now[name] -= 1

    monkeypatch.setattr(execute, "create_object", counted)
    return most


def test_subnets_of_one_network_come_one_by_one_and_those_of_others_meanwhile(
    desk: Desk, at_once: dict[str, int]
) -> None:
    assert desk.run(DOCUMENT)["changed"]
    together = at_once.pop("all")
    assert list(at_once.values()) == [1, 1]
    assert together == 2
    assert not desk.run(DOCUMENT)["changed"]


def test_one_that_is_refused_does_not_hold_up_the_next() -> None:
    made: list[str] = []

    def refuse() -> None:
        raise execute.CloudError(execute.Problem("", "refused", ""))

    first = execute.Step(None, refuse)  # type: ignore[arg-type]
    second = execute.Step(None, lambda: made.append("second"), behind=[first])  # type: ignore[arg-type]
    problems = execute.run_steps([first, second], 4)
    assert (len(problems), made) == (1, ["second"])
