"""Compute nodes are waited for and mapped to their cell."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.service import cell_hosts
from ansible_collections.stackwright.cloud.plugins.modules import nova_cell_hosts


class NoSuchTableError(Exception):
    """What the database's client raises for a table that does not exist."""


class Database:
    """A connection whose compute nodes appear one look after the other; ``missing`` stands for a schema not there
    yet."""

    def __init__(self, *looks: list[tuple[str, int]], missing: bool = False) -> None:
        self.looks, self.missing = list(looks), missing
        self.asked: list[str] = []

    def cursor(self) -> Database:
        return self

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def execute(self, query: str) -> None:
        if self.missing:
            raise NoSuchTableError(1146, "Table 'nova.compute_nodes' doesn't exist")
        self.asked.append(query)

    def fetchall(self) -> list[tuple[str, int]]:
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]


@pytest.fixture(autouse=True)
def client(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client lives on the database's host only."""
    monkeypatch.setitem(sys.modules, "pymysql", SimpleNamespace(err=SimpleNamespace(ProgrammingError=NoSuchTableError)))


def test_nodes_are_waited_for_until_all_registered(clock: Any) -> None:
    database = Database([], [("compute1", 1)], [("compute1", 1), ("compute2", 0)])
    assert cell_hosts.wait_for(database, "nova", ["compute1", "compute2"], 60) == (
        {"compute1": False, "compute2": True},
        [],
        ["compute1", "compute2"],
    )
    assert clock.now == 2
    assert all("`nova`.compute_nodes" in query and "deleted = 0" in query for query in database.asked)


def test_nodes_that_never_register_are_named(clock: Any) -> None:
    assert cell_hosts.wait_for(Database([("compute1", 1)]), "nova", ["compute1", "compute2"], 5) == (
        {"compute1": False},
        ["compute2"],
        ["compute1"],
    )
    assert clock.now == pytest.approx(6)


def test_schema_that_is_not_there_yet_holds_no_node() -> None:
    assert cell_hosts.unmapped(Database([], missing=True), "nova") == {}


@pytest.mark.parametrize(
    ("status", "errors", "said"),
    [(0, "", ""), (1, "a\nb\nc\nNo cell mapping found\n", "b | c | No cell mapping found")],
)
def test_what_went_wrong_is_told(monkeypatch: pytest.MonkeyPatch, status: int, errors: str, said: str) -> None:
    def run(command: list[str], seconds: float, **options: Any) -> subprocess.CompletedProcess[str]:
        assert command[-2:] == ["cell_v2", "discover_hosts"]
        return subprocess.CompletedProcess(command, status, "", errors)

    monkeypatch.setattr(cell_hosts.command, "run", run)
    assert cell_hosts.discover() == said


def test_node_that_registered_under_its_full_name_or_with_capitals_is_found() -> None:
    database = Database([("compute1.example.org", 0), ("Compute2", 1)])
    assert cell_hosts.wait_for(database, "nova", ["compute1", "compute2"], 0) == (
        {"compute1": True, "compute2": False},
        [],
        ["Compute2", "compute1.example.org"],
    )


def test_nodes_that_are_mapped_are_told_apart_from_those_that_were(
    run_module: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    database = contextlib.nullcontext(Database([("compute1", 1), ("compute2", 0)]))
    monkeypatch.setattr(nova_cell_hosts.databases, "session", lambda: database)
    monkeypatch.setattr(cell_hosts, "discover", lambda: "")
    told = run_module(nova_cell_hosts, hosts=["compute1", "compute2"])
    assert (told["mapped"], told["changes"]) == (["compute2"], ["map compute node compute2"])
    monkeypatch.setattr(nova_cell_hosts.databases, "SOCKET", "/nowhere")
    assert run_module(nova_cell_hosts, check=True, hosts=["compute1"])["mapped"] == ["compute1"]
