"""What preflight finds of the object store's rings: in the inventory by itself, and against those that are kept."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import cloudcase
import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.swift import rings

GOLD = {"index": 0, "name": "gold", "default": True}
DISKS = {"d1": {}, "d2": {"weight": 50}}
NODES = {
    "swift_proxy": {"roles": ["swift.proxy"], "carries": ["apis"]},
    "swift_storage": {"roles": ["swift.account", "swift.container", "swift.object"]},
}


def case(hosts: int = 3, proxy: str = "controller1", nodes: Any = None, **variables: Any) -> dict[str, Any]:
    """The good inventory with storage nodes of two devices each, and a proxy on the controller."""
    machines = {
        f"object{number}": {"ansible_host": f"10.9.0.4{number}", "swift_zone": number, "swift_devices": DISKS}
        | (nodes or {}).get(number, {})
        for number in range(1, hosts + 1)
    }
    children = {"swift_storage": {"hosts": machines}, "swift_proxy": {"hosts": {proxy: {}}}}
    return {
        "inventory": {
            "all": {"vars": {"stackwright_nodes": NODES, "swift_policies": [GOLD], **variables}, "children": children}
        }
    }


def said(tmp_path: Path, secrets: Any = None, **given: Any) -> list[str]:
    described = {**case(**given), **({"secrets": secrets} if secrets else {})}
    problems = cloudcase.examine(cloudcase.write(described, tmp_path / "inventory"))
    return [f"{one.host} {one.variable}: {one.cause}" for one in problems]


def test_an_inventory_whose_rings_can_be_made_has_no_problem(tmp_path: Path) -> None:
    assert said(tmp_path) == []


def test_a_controller_that_is_a_proxy_as_well_is_one_host_of_apis(tmp_path: Path) -> None:
    described = case(stackwright_internal_address="10.9.0.11", stackwright_public_address="10.9.0.11")
    described["inventory"]["all"]["children"]["controller"] = {"hosts": {"controller2": None, "controller3": None}}
    assert cloudcase.examine(cloudcase.write(described, tmp_path)) == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"hosts": 1}, "3 replicas"),
        ({"nodes": {2: {"swift_devices": {"d1": {"label": "a"}, "d2": {"label": "a"}}}}}, "one disk, label a"),
        (
            {"nodes": {2: {"swift_devices": {"d1": {"wait": 5}}}}},
            "object2 swift_devices: object2/d1: unknown key 'wait'",
        ),
        ({"nodes": {2: {"swift_devices": {}}}}, "object2 swift_devices: has no devices"),
        ({"nodes": {2: {"swift_replication_address": "10.9.0.41"}}}, "the same under two names"),
        (
            {"swift_policies": [GOLD, {**GOLD, "name": "iron", "default": False}]},
            "swift_policies: swift_policies[1]: index 0 is used twice",
        ),
        ({"swift_pipeline": ["proxy-server", "cache"]}, "swift_pipeline: 'catch_errors' is missing"),
        ({"proxy": "object1"}, "object1 inventory: carries swift.proxy"),
    ],
)
def test_what_rings_cannot_be_made_of_is_told(tmp_path: Path, given: dict[str, Any], expected: str) -> None:
    assert expected in "\n".join(said(tmp_path, **given))


def keep(directory: Path, hash_id: str, **more: Any) -> None:
    """The record of a cluster with a policy, whose rings are not worth a look."""
    directory.mkdir(parents=True)
    policies = {"0": {"name": "gold", "type": "replication", "parity": 0}}
    record = {"format": 1, "hash": hash_id, "policies": policies, "rings": {}, "at": time.time(), **more}
    (directory / "record.json").write_text(json.dumps(record))


HASH = {"swift_hash_prefix": "0123456789abcdef" * 2, "swift_hash_suffix": "fedcba9876543210" * 2}


def test_a_cluster_whose_hash_is_another_or_gone_is_told_before_any_change(tmp_path: Path) -> None:
    keep(tmp_path / "kept", rings.fingerprint(*HASH.values()))
    directory = str(tmp_path / "kept")
    assert said(tmp_path / "same", HASH, swift_ring_directory=directory) == []
    (told,) = said(
        tmp_path / "other", {**HASH, "swift_hash_suffix": "0f1e2d3c4b5a6978" * 2}, swift_ring_directory=directory
    )
    assert "all data would be lost" in told and "0f1e2d3c" not in told
    gone = said(tmp_path / "gone", dict.fromkeys(HASH), swift_ring_directory=directory)
    assert any("the secrets with which it hashes names are missing" in one for one in gone)


def test_a_policy_that_is_missing_is_told(tmp_path: Path) -> None:
    keep(tmp_path / "kept", rings.fingerprint(*HASH.values()), policies={"1": {"name": "iron", "type": "replication"}})
    told = said(tmp_path, HASH, swift_ring_directory=str(tmp_path / "kept"))
    assert any("policy 1 (iron) is missing, and containers may have it" in one for one in told)


def test_a_record_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    keep(tmp_path / "kept", "x", format=99)
    told = said(tmp_path, HASH, swift_ring_directory=str(tmp_path / "kept"))
    assert any("is of format 99" in one for one in told)
