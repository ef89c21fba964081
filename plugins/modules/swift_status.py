#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)

from __future__ import annotations

DOCUMENTATION = r"""
module: swift_status
short_description: Say how the object store is, from what its storage nodes tell
version_added: 0.1.0
description:
  - Asks the servers of all storage nodes side by side, as many at a time as O(at_once) says, and judges the answers.
  - Runs on a host that may reach them, such as a proxy. A node that does not answer is a problem, not a failure.
  - Keeps what was used in O(samples), from which it tells when the cluster will be full.
author: The Stackwright developers
attributes:
  check_mode: {support: full, description: "Keeps no sample."}
  diff_mode: {support: none, description: "Changes nothing but its samples."}
  idempotent: {support: full, description: "Changes nothing but its samples."}
options:
  nodes:
    description:
      - Address of each storage node by its name. Other ports than the usual follow behind commas, as in
        V(192.0.2.1,object=7200,container=7201,account=7202).
    type: dict
    required: true
  rings:
    description: MD5 of each ring by the name of its file, as hosts must have them. They are not compared when empty.
    type: dict
    default: {}
  directory:
    description: Directory of the rings on the nodes.
    type: path
    default: /etc/swift
  at_once:
    description: Nodes that are asked at the same time.
    type: int
    default: 32
  timeout:
    description: Seconds for one answer.
    type: float
    default: 10
  plain:
    description:
      - Names of nodes whose devices are plain directories, which the servers call unmounted without reason.
    type: list
    elements: str
    default: []
  full:
    description: Percent from which on a disk counts as full.
    type: float
    default: 90
  age:
    description: Seconds that a pass of replication may be ago.
    type: float
    default: 86400
  pending:
    description: Updates of listings that a node may have left.
    type: int
    default: 1000
  samples:
    description: File with what was used at earlier times.
    type: path
    default: /var/lib/stackwright/swift-usage.json
"""

EXAMPLES = r"""
- name: The object store is looked at
  stackwright.cloud.swift_status:
    nodes: {object1: 192.0.2.41, object2: 192.0.2.42}
"""

RETURN = r"""
table:
  description: All nodes, a line each, and one for the whole.
  type: str
  returned: always
nodes:
  description: The same as data, sizes in bytes and times in seconds.
  type: list
  elements: dict
  returned: always
days:
  description: Days until the cluster is full as it fills now; nothing where that is not foreseen.
  type: float
  returned: always
problems:
  description: A sentence for everything to look at.
  type: list
  elements: str
  returned: always
missing:
  description: Those of them that name a server that does not answer or a device that is not mounted.
  type: list
  elements: str
  returned: always
seconds:
  description: How long the asking took.
  type: float
  returned: always
"""

import contextlib
import dataclasses
import json
import os
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stackwright.cloud.plugins.module_utils.host import files
from ansible_collections.stackwright.cloud.plugins.module_utils.swift import recon

# Samples that are kept: a year of one a day.
SAMPLES = 365


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "nodes": {"type": "dict", "required": True},
            "rings": {"type": "dict", "default": {}},
            "directory": {"type": "path", "default": "/etc/swift"},
            "at_once": {"type": "int", "default": 32},
            "timeout": {"type": "float", "default": 10},
            "plain": {"type": "list", "elements": "str", "default": []},
            "full": {"type": "float", "default": 90},
            "age": {"type": "float", "default": 86400},
            "pending": {"type": "int", "default": 1000},
            "samples": {"type": "path", "default": "/var/lib/stackwright/swift-usage.json"},
        },
        supports_check_mode=True,
    )
    given = module.params
    started = time.monotonic()
    nodes = recon.gather(given["nodes"], given["at_once"], given["timeout"])
    seconds = time.monotonic() - started
    now = time.time()
    rows = [recon.row(one, now) for one in nodes]
    rows = [dataclasses.replace(one, unmounted=()) if one.name in given["plain"] else one for one in rows]
    path = Path(given["samples"])
    samples = earlier(path)
    if any(one.size for one in rows):
        samples.append({"time": now, "used": sum(one.used for one in rows), "size": sum(one.size for one in rows)})
        if not module.check_mode:
            files.replace(str(path), json.dumps(samples[-SAMPLES:]), 0o644)
    days = recon.forecast(samples, given["full"])
    limits = recon.Limits(full=given["full"], age=given["age"], pending=given["pending"])
    rings = {os.path.join(given["directory"], name): one for name, one in given["rings"].items()}
    module.exit_json(
        changed=False,
        table=recon.table(rows, days),
        nodes=[dataclasses.asdict(one) for one in rows],
        days=days,
        problems=recon.problems(rows, nodes, rings, limits),
        missing=recon.missing(rows),
        seconds=round(seconds, 2),
    )


def earlier(path: Path) -> list[dict[str, float]]:
    """What was used at earlier times; none where the file is not there or not readable."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        return [{key: float(one[key]) for key in ("time", "used", "size")} for one in json.loads(path.read_text())]
    return []


if __name__ == "__main__":
    main()
