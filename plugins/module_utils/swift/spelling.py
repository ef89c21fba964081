"""Policies and devices as files on hosts spell them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def policy_sections(policies: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Sections of ``swift.conf`` for policies."""
    found = {}
    listed = list(policies)
    for one in listed:
        section: dict[str, Any] = {"name": one["name"], "policy_type": one.get("type", "replication")}
        section["default"] = bool(one.get("default")) or len(listed) == 1
        if one.get("aliases"):
            section["aliases"] = ", ".join(one["aliases"])
        if one.get("deprecated"):
            section["deprecated"] = True
        if section["policy_type"] == "erasure_coding":
            section |= {
                "ec_type": one["ec_type"],
                "ec_num_data_fragments": one["data"],
                "ec_num_parity_fragments": one["parity"],
            }
            if one.get("segment_size"):
                section["ec_object_segment_size"] = one["segment_size"]
        found[f"storage-policy:{one['index']}"] = section
    return found


def mounts(devices: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """What a storage node has to know of its devices: how each is mounted, without what rings alone are about. A device
    that is lost is left alone."""
    keys = ("label", "uuid", "source", "options")
    return {
        name: {key: one[key] for key in keys if one.get(key)} for name, one in devices.items() if not one.get("lost")
    }
