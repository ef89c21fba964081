"""A few lines of inventory become machines with fixed names and addresses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.lab import definition
from ansible_collections.stackwright.cloud.plugins.module_utils.lab.errors import LabError

CONTENT: dict[str, Any] = {
    "name": "lab",
    "network": "10.137.88.0/22",
    "groups": {"controller": {}, "compute": {"count": 1, "first": 31, "count_from": "COMPUTES"}},
}


def resolve(tmp_path: Path, environment: dict[str, str] | None = None, **changes: Any) -> definition.Lab:
    return definition.resolve({**CONTENT, **changes}, "lab.yml", tmp_path, environment or {})


def test_names_and_addresses(tmp_path: Path) -> None:
    lab = resolve(tmp_path, {"COMPUTES": "2"})
    assert {name: machine.addresses["management"] for name, machine in lab.machines.items()} == {
        "controller1": "10.137.88.11",
        "compute1": "10.137.88.31",
        "compute2": "10.137.88.32",
    }
    assert lab.machines["compute2"].addresses["tunnel"] == "10.137.89.32"
    assert lab.machines["compute2"].container == "stackwright-lab-compute2"
    assert {role: (net.interface, net.internal) for role, net in lab.networks.items()} == {
        "management": ("eth0", False),
        "tunnel": ("eth1", True),
        "external": ("eth2", True),
    }


def test_floating_addresses_lie_apart_from_machines(tmp_path: Path) -> None:
    assert resolve(tmp_path).external_network() == {
        "cidr": "10.137.90.0/24",
        "gateway": "10.137.90.1",
        "allocation_start": "10.137.90.100",
        "allocation_end": "10.137.90.199",
        # unique local addresses (RFC 4193) that carry the third of the network's four bytes and the second: 137 and 90
        "cidr_v6": "fd53:7477:e:895a::/64",
        "routed_cidr_v6": "fd53:7477:f:895a::/64",
    }


def remember(tmp_path: Path, sizes: object) -> None:
    (tmp_path / "lab").mkdir(exist_ok=True)
    (tmp_path / "lab/sizes.json").write_text(json.dumps(sizes), encoding="utf-8")


def test_a_size_from_the_environment_is_remembered(tmp_path: Path) -> None:
    lab = resolve(tmp_path, {"COMPUTES": "3"})
    assert lab.sizes == {"compute": {"count": 3, "declared": 1}}
    remember(tmp_path, lab.sizes)
    assert "compute3" in resolve(tmp_path).machines
    assert resolve(tmp_path).sizes == lab.sizes


def test_the_environment_beats_what_is_remembered(tmp_path: Path) -> None:
    remember(tmp_path, {"compute": {"count": 3, "declared": 1}})
    assert "compute2" not in resolve(tmp_path, {"COMPUTES": "1"}).machines


def test_a_newer_definition_beats_what_is_remembered(tmp_path: Path) -> None:
    remember(tmp_path, {"compute": {"count": 3, "declared": 1}})
    groups = {"compute": {"count": 2, "count_from": "COMPUTES"}}
    assert list(resolve(tmp_path, groups=groups).machines) == ["compute1", "compute2"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"compute": 3}', '{"compute": {"count": "x", "declared": 1}}'])
def test_a_damaged_memory_counts_for_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab/sizes.json").write_text(text, encoding="utf-8")
    assert "compute2" not in resolve(tmp_path).machines


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "Lab"}, "name: 'Lab'"),
        ({"name": None}, "name: None"),
        ({"network": "10.1.0.0/24"}, "too small"),
        ({"network": "10.137.88.7/22"}, "host bits"),
        ({"network": "nonsense"}, "network:"),
        ({"groups": {}}, "no group"),
        ({"groups": {"compute": {"cuont": 1}}}, "unknown key cuont"),
        ({"groups": {"Compute": {}}}, "not a group's name"),
        ({"groups": {"compute": {"count": "2"}}}, "whole numbers"),
        ({"groups": {"a": {"first": 11, "count": 3}, "b": {"first": 13}}}, "already a3's"),
        ({"groups": {"a": {"first": 99, "count": 2}}}, "pool of floating"),
    ],
)
def test_wrong_definitions_name_the_key(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(LabError, match=message):
        resolve(tmp_path, **changes)


def test_a_wrong_size_names_the_variable(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="COMPUTES='two'"):
        resolve(tmp_path, {"COMPUTES": "two"})


def test_an_empty_variable_is_none(tmp_path: Path) -> None:
    assert resolve(tmp_path, {"COMPUTES": ""}).sizes == {}


def test_a_lab_survives_the_way_through_ansible_variables(tmp_path: Path) -> None:
    lab = resolve(tmp_path)
    assert definition.Lab.from_document(json.loads(json.dumps(lab.document()))) == lab
    with pytest.raises(LabError, match=r"plugin: stackwright\.cloud\.lab"):
        definition.Lab.from_document({"name": "x"})


def test_state_lies_with_the_project_of_the_inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tmp_path / "project"
    (project / "inventories/lab").mkdir(parents=True)
    (project / "galaxy.yml").touch()
    source = project / "inventories/lab/lab.yml"
    assert definition.find_state_root(source) == project / ".stackwright/lab"
    monkeypatch.chdir(tmp_path)
    assert definition.find_state_root(Path("/nowhere/lab.yml")) == tmp_path / ".stackwright/lab"


def test_sockets_of_connections_have_short_paths() -> None:
    assert len(definition.control_path_directory("/long" * 60)) < 40
