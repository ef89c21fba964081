"""Runs on the control node: judges the rings, lets a host compute what differs, and keeps the outcome beside the
inventory."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.stackwright.cloud.plugins.module_utils.common.problem import Problem
from ansible_collections.stackwright.cloud.plugins.module_utils.service import host_view
from ansible_collections.stackwright.cloud.plugins.module_utils.swift import layout as layouts
from ansible_collections.stackwright.cloud.plugins.module_utils.swift import nodes, report, rings, store
from ansible_collections.stackwright.cloud.plugins.module_utils.swift.builder import md5

MODULE = "stackwright.cloud.swift_rings"
OF_HOST = {
    "region": "swift_region",
    "zone": "swift_zone",
    "address": "swift_storage_address",
    "replication_address": "swift_replication_address",
    "devices": "swift_devices",
}
OPTIONS: dict[str, Any] = {
    "directory": {"type": "path", "required": True},
    "layout": {"type": "dict", "required": True},
    "hosts": {"type": "list", "elements": "str", "required": True},
    "members": {"type": "list", "elements": "str", "required": True},
    "seen": {"type": "dict", "default": {}},
    "hash_prefix": {"type": "str", "required": True, "no_log": True},
    "hash_suffix": {"type": "str", "required": True, "no_log": True},
    "step": {"type": "float", "default": 100},
}


class ActionModule(ActionBase):  # type: ignore[misc]
    """See plugins/modules/swift_rings.py for the documentation."""

    _connection: Any
    TRANSFERS_FILES = False
    # what has to be computed connects by itself
    _requires_connection = False
    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Judge, compute, keep."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, given = self.validate_argument_spec(argument_spec=OPTIONS)
        self._variables = task_vars or {}
        kept = store.Store(Path(given["directory"]))
        try:
            return result | self._bring(given, kept)
        except store.StoreError as error:
            return result | {"failed": True, "msg": str(error), "problems": [str(error)]}

    def _bring(self, given: dict[str, Any], kept: store.Store) -> dict[str, Any]:
        hosts = {name: self._host(name) for name in given["hosts"]}
        layout = layouts.read({**given["layout"], "hosts": hosts})
        record = kept.record()
        hash_id = rings.fingerprint(given["hash_prefix"], given["hash_suffix"])
        brought = kept.unknown(record)
        if brought and not layout.problems:
            answer = self._compute(kept, [], brought)
            if answer.get("failed"):
                return answer
            record = store.succeed(record, self._brought(kept, answer), record.get("hash") or hash_id, {})
        differences = rings.judge(layout, record, hash_id, given["step"], time.time())
        problems = [
            *layout.problems,
            *kept.problems(record),
            *nodes.judge(given["seen"], record, hash_id, _disks(hosts)),
        ]
        problems += [problem for one in differences for problem in one.problems]
        due = [one for one in differences if one.due]
        away = sorted(set(given["members"]) - set(self._variables.get("ansible_play_hosts_all", given["members"])))
        if due and away and not problems:
            problems.append(
                Problem(
                    f"the rings change, and this run leaves out {', '.join(away)}: hosts with different rings look "
                    "for data in different places.",
                    "Run it without --limit.",
                )
            )
        if problems:
            return {"failed": True, "msg": report.listing(problems), "problems": [str(one) for one in problems]}
        return self._finish(kept, layout, record, hash_id, differences, due, bool(brought))

    def _finish(
        self, kept: store.Store, layout: layouts.Layout, record: dict[str, Any], hash_id: str,
        differences: list[rings.Difference], due: list[rings.Difference], brought: bool,
    ) -> dict[str, Any]:  # fmt: skip
        answer: dict[str, Any] = {"records": {}, "told": {}, "altered": []}
        if due:
            answer = self._compute(kept, [_request(one, layout) for one in due], [])
            if answer.get("failed"):
                return answer
        policies = {
            str(one.index): {"name": one.name, "type": one.kind, "parity": one.parity} for one in layout.policies
        }
        altered = set(answer.get("altered") or [])
        told = {name: one for name, one in (answer.get("told") or {}).items() if name in altered}
        computed: Mapping[str, Any] = answer.get("records") or {}
        lines = report.changes([one for one in due if one.ring in altered or not answer.get("library", True)], told)
        result = {
            "changed": bool(lines), "changes": lines, "computed": told, "notes": layout.notes,
            "waiting": {one.ring: one.waits for one in differences if one.waits},
            "summary": report.waiting(differences),
            "diff": report.diff(record.get("rings") or {}, {name: computed[name] for name in altered}),
        }  # fmt: skip
        after = record
        if not self._task.check_mode:
            # a rebalance that moved nothing leaves the ring as it is, and says that it is done
            quiet = {n: {**record["rings"][n], "unsettled": False} for n in computed if n not in altered}
            after = store.succeed(record, {**quiet, **{n: computed[n] for n in altered}}, hash_id, policies)
            if altered:
                kept.take(self._result, after, sorted(altered))
            elif brought or after != {key: value for key, value in record.items() if key != "format"}:
                kept.keep(after)
        result["rings"] = {f"{name}.ring.gz": one["ring_md5"] for name, one in (after.get("rings") or {}).items()}
        return result

    def _host(self, name: str) -> dict[str, Any]:
        """What a storage host says of itself."""
        hostvars = self._variables["hostvars"]
        own = name == self._variables.get("inventory_hostname")
        raw = self._variables if own else getattr(hostvars, "raw_get", hostvars.__getitem__)(name)
        works = host_view.view(self._loader, raw, hostvars)
        return {key: works("{{ " + option + " }}") for key, option in OF_HOST.items()}

    def _compute(self, kept: store.Store, request: list[dict[str, Any]], describe: list[str]) -> dict[str, Any]:
        """Let the host compute; what it made lies in a directory of this process afterwards."""
        directory = Path(self._here.name)
        packed = directory / "builders.tar"
        kept.pack([*describe, *(one["name"] for one in request if not one["new"])], packed)
        there = self._make_tmp_path()
        join = self._connection._shell.join_path
        self._transfer_file(str(packed), join(there, "builders.tar"))
        arguments = {
            "request": request, "describe": describe, "archive": join(there, "builders.tar"),
            "result": join(there, "rings.tar"),
        }  # fmt: skip
        answer: dict[str, Any] = self._execute_module(
            module_name=MODULE, module_args=arguments, task_vars=self._variables, wrap_async=False
        )
        answer.pop("invocation", None)
        if not answer.get("failed") and not answer.get("library") and not self._task.check_mode:
            return answer | {
                "failed": True,
                "hint": "The rings are computed with the package python3-swift, which playbooks/base.yml installs.",
            }
        if answer.get("altered") and not self._task.check_mode and not answer.get("failed"):
            self._connection.fetch_file(join(there, "rings.tar"), str(self._result))
        return answer

    @property
    def _here(self) -> tempfile.TemporaryDirectory[str]:
        if not hasattr(self, "_directory"):
            self._directory = tempfile.TemporaryDirectory()
        return self._directory

    @property
    def _result(self) -> Path:
        return Path(self._here.name) / "rings.tar"

    def _brought(self, kept: store.Store, answer: Mapping[str, Any]) -> dict[str, Any]:
        """What is kept of builders that somebody laid into the directory, with their rings."""
        found = {}
        for name, one in (answer.get("records") or {}).items():
            if not kept.ring(name).exists():
                raise store.StoreError(
                    f"{kept.builder(name)} has no ring beside it: bring {kept.ring(name).name} as well."
                )
            found[name] = {
                **one,
                "builder_md5": md5(kept.builder(name)),
                "ring_md5": md5(kept.ring(name)),
            }
        return found


def _request(one: rings.Difference, layout: layouts.Layout) -> dict[str, Any]:
    ring = layout.rings[one.ring]
    return {
        "name": one.ring, "new": one.new, "operations": one.operations, "rebalance": one.rebalance,
        "part_power": ring.part_power, "replicas": ring.replicas, "min_part_hours": ring.min_part_hours,
        "overload": ring.overload,
    }  # fmt: skip


def _disks(hosts: Mapping[str, Any]) -> dict[str, list[str]]:
    """By host, the devices that are disks to be mounted."""
    return {
        host: [n for n, one in (said.get("devices") or {}).items() if {"label", "uuid", "source"} & set(one)]
        for host, said in hosts.items()
        if isinstance(said.get("devices"), dict)
    }
