"""Policies and devices are spelled as the service and its hosts read them."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.stackwright.cloud.plugins.filter import swift_mounts, swift_policy_sections
from ansible_collections.stackwright.cloud.plugins.module_utils.swift import spelling


def test_policies_as_the_service_reads_them() -> None:
    policies = [
        {"index": 0, "name": "gold", "default": True},
        {"index": 1, "name": "cold", "aliases": ["ec21", "ice"], "deprecated": True, "type": "erasure_coding"}
        | {"ec_type": "flat_xor_hd_3", "data": 2, "parity": 1, "segment_size": 4096},
    ]
    sections = swift_policy_sections.FilterModule().filters()["swift_policy_sections"](policies)
    assert sections["storage-policy:0"] == {"name": "gold", "policy_type": "replication", "default": True}
    coded = sections["storage-policy:1"]
    assert coded["aliases"] == "ec21, ice" and coded["deprecated"] and not coded["default"]
    assert (coded["ec_num_data_fragments"], coded["ec_num_parity_fragments"]) == (2, 1)
    assert coded["ec_object_segment_size"] == 4096
    assert spelling.policy_sections([{"index": 0, "name": "only"}])["storage-policy:0"]["default"] is True


def test_a_filter_says_what_is_wrong() -> None:
    with pytest.raises(AnsibleFilterError, match="swift_policy_sections"):
        swift_policy_sections.FilterModule().filters()["swift_policy_sections"]([{}])
    with pytest.raises(AnsibleFilterError, match="swift_mounts"):
        swift_mounts.FilterModule().filters()["swift_mounts"]([5])


def test_a_node_knows_how_its_devices_are_mounted_and_nothing_of_their_weights() -> None:
    devices = {"d1": {"weight": 50, "label": "disk1", "drain": True}, "d2": {"lost": True, "label": "disk2"}, "d3": {}}
    mounts = swift_mounts.FilterModule().filters()["swift_mounts"](devices)
    assert mounts == {"d1": {"label": "disk1"}, "d3": {}}
