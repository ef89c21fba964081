"""Copies are counted by the object store's own programs, and waited for."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.swift import dispersion
from ansible_collections.stackwright.cloud.plugins.modules import swift_dispersion as module

Run = Callable[..., dict[str, Any]]


def counted(found: int) -> str:
    """What the program prints in JSON."""
    return json.dumps(
        {
            "container": {"copies_found": 24, "copies_expected": 24},
            "object": {"copies_found": found, "copies_expected": 24},
        }
    )


class Programs:
    """The two programs; the report finds so many copies of objects, one look after the other."""

    def __init__(self, *looks: int) -> None:
        self.looks, self.asked = list(looks), list[str]()

    def __call__(self, argv: Any) -> tuple[int, str, str]:
        self.asked.append(" ".join(argv))
        if argv[0] == dispersion.POPULATE:
            return 0, "Created 13 containers", ""
        return 0, f"Using storage policy: {argv[2]}\n{counted(self.looks.pop(0))}\n", ""


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(module.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    return now


def test_copies_that_are_on_their_way_are_waited_for(
    run_module: Run, monkeypatch: pytest.MonkeyPatch, clock: list[float]
) -> None:
    programs = Programs(20, 24)
    monkeypatch.setattr(module, "_run", programs)
    answer = run_module(module, policies=["gold"])
    assert answer["summary"] == [
        "gold: 100.00 % of container copies (24 of 24)",
        "gold: 100.00 % of object copies (24 of 24)",
    ]
    assert (answer["changed"], answer["seconds"]) == (False, module.PAUSE)
    # the one container of the objects makes the account, before many are made at once
    assert programs.asked[:2] == [
        f"{dispersion.POPULATE} --policy-name gold --{it}-only" for it in ("object", "container")
    ]
    # check mode spreads nothing
    programs = Programs(24)
    monkeypatch.setattr(module, "_run", programs)
    run_module(module, policies=["gold"], check=True)
    assert programs.asked == [f"{dispersion.REPORT} --policy-name gold --dump-json"]


def test_copies_that_do_not_come_are_a_failure(
    run_module: Run, monkeypatch: pytest.MonkeyPatch, clock: list[float]
) -> None:
    monkeypatch.setattr(module, "_run", Programs(*[18] * 9))
    answer = run_module(module, policies=["gold"], timeout=10)
    assert answer["failed"] and "gold: 75.00 % of object copies (18 of 24)" in answer["msg"]
    assert "container" not in answer["msg"] and "swift_status" in answer["hint"]
    monkeypatch.setattr(module, "_run", Programs(18))
    assert "failed" not in run_module(module, policies=["gold"], timeout=10, wanted=70)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((1, "", "ERROR: no token"), "ends with status 1: ERROR: no token"),
        ((1, "", ""), "ends with status 1: no word"),
        ((0, "No objects to query", ""), "gives nothing to read: No objects to query"),
        ((0, '{"container": null}', ""), "gives nothing to read"),
    ],
)
def test_what_cannot_be_measured_is_told(answer: tuple[int, str, str], said: str) -> None:
    with pytest.raises(dispersion.DispersionError, match=f"asking for copies of the policy gold .*{said}"):
        dispersion.report("gold", lambda argv: answer)


def test_a_program_that_is_not_there_is_told(run_module: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispersion, "POPULATE", "/nowhere/populate")
    answer = run_module(module, policies=["gold"])
    assert (
        answer["failed"] and "spreading objects of the policy gold cannot be done: /nowhere/populate" in answer["msg"]
    )


def test_nothing_expected_is_nothing_found() -> None:
    assert dispersion.Dispersion("gold", "object", 0, 0).percent == 0.0
