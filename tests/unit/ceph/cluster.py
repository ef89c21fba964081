"""A cluster as its monitors describe it, and one that answers commands like them, for the tests of this directory."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

KEY = "AQAAAAAAAAAAABAAaUiDNS9pto/B1JT3KSjwZA=="
TYPES = [{"type_id": number, "name": name} for number, name in enumerate(("osd", "host", "rack", "root"))]
SAID: dict[str, Any] = {
    "osd dump": {
        "flags_set": ["sortbitwise", "noout"],
        "erasure_code_profiles": {"default": {"k": "2", "m": "2", "plugin": "jerasure"}},
        "osds": [{"osd": number, "in": 1, "up": 1} for number in range(3)],
        "pools": [
            {
                "pool_name": "images",
                "type": 1,
                "size": 3,
                "min_size": 2,
                "crush_rule": 0,
                "pg_num": 8,
                "pg_num_target": 8,
                "pg_autoscale_mode": "off",
                "quota_max_bytes": 0,
                "quota_max_objects": 0,
                "erasure_code_profile": "",
                "options": {"compression_mode": "aggressive"},
                "application_metadata": {"rbd": {}},
                "flags_names": "hashpspool",
            },
            {"pool_name": ".mgr", "type": 1, "size": 3, "pg_num": 1, "application_metadata": {"mgr": {}}},
        ],
    },
    "osd crush dump": {
        "types": TYPES,
        "devices": [{"id": number, "name": f"osd.{number}", "class": "hdd"} for number in range(3)],
        "buckets": [
            {
                "id": -1,
                "name": "default",
                "type_name": "root",
                "items": [{"id": -2}, {"id": -3}, {"id": -4}],
            },
            *(
                {"id": -2 - number, "name": f"ceph{number + 1}", "type_name": "host", "items": [{"id": number}]}
                for number in range(3)
            ),
        ],
        "rules": [
            {
                "rule_id": 0,
                "rule_name": "replicated_rule",
                "steps": [
                    {"op": "take", "item": -1, "item_name": "default"},
                    {"op": "chooseleaf_firstn", "num": 0, "type": "host"},
                    {"op": "emit"},
                ],
            }
        ],
    },
    "config dump": [
        {"section": "osd", "name": "osd_memory_target", "value": "1073741824", "mask": ""},
        {"section": "osd", "name": "osd_max_backfills", "value": "2", "mask": "host:ceph1"},
    ],
    "config ls": ["osd_memory_target", "osd_max_backfills", "mon_max_pg_per_osd", "debug_ms"],
    "mgr dump": {"available": True, "available_modules": [{"name": "iostat"}, {"name": "prometheus"}]},
    "mgr module ls": {
        "always_on_modules": ["balancer"],
        "enabled_modules": ["iostat", "restful"],
        "disabled_modules": [{"name": "prometheus"}],
    },
    "health": {"status": "HEALTH_OK", "mutes": []},
    "auth ls": {"auth_dump": [{"entity": "client.images", "key": KEY, "caps": {"mon": "profile rbd"}}]},
}


def said(**changed: Any) -> dict[str, Any]:
    """All answers, some changed; the names are those of the commands with underscores."""
    return copy.deepcopy(SAID) | {name.replace("_", " "): value for name, value in changed.items()}


Answer = Callable[[dict[str, Any], bytes], tuple[int, bytes, str]]


@dataclass
class Cluster:
    """What librados is to the code: answers commands, and keeps those that it was given."""

    said: dict[str, Any] = field(default_factory=said)
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[dict[str, Any]] = field(default_factory=list)
    read: list[bytes] = field(default_factory=list)
    closed: bool = False

    def connect(self) -> None:
        """Nothing has to be done."""

    def shutdown(self) -> None:
        """Remember it."""
        self.closed = True

    def mon_command(self, text: str, data: bytes, timeout: int = 0) -> tuple[int, bytes, str]:
        """Answer one command as librados does."""
        command = json.loads(text)
        self.asked.append(command)
        if data:
            self.read.append(data)
        prefix = command["prefix"]
        if prefix in self.answers:
            return self.answers[prefix](command, data)
        return 0, json.dumps(self.said.get(prefix)).encode() if prefix in self.said else b"", ""

    @property
    def written(self) -> list[dict[str, Any]]:
        """Commands that change something, without their form."""
        return [
            {key: value for key, value in one.items() if key != "format"}
            for one in self.asked
            if one["prefix"] not in SAID
        ]
