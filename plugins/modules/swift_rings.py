#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)

from __future__ import annotations

DOCUMENTATION = r"""
module: swift_rings
short_description: Bring the rings of the object store to what the inventory says
version_added: 0.1.0
description:
  - Builders and rings lie on the control node, beside the inventory, and are its data. The action of the same name
    compares them there with the variables of all hosts, tells all problems at once, and connects to no host when
    there is nothing to do.
  - What has to be computed is computed on the host that the task runs on, with the library of the service, from the
    builders that come from the control node and go back to it. No host keeps one.
  - A partition moves again only after O(layout.min_part_hours). What would move it sooner waits, and a later run
    does it;
    so it is with weights, which change by O(step) percent at a time. Run the playbook again, by hand or by a timer,
    until it says that nothing is left.
  - It refuses what would put more than one replica of a partition in motion.
  - O(request), O(archive) and O(result) are the action's own.
author: The Stackwright developers
attributes:
  check_mode:
    support: full
    description: Computes, and tells what share of the partitions would move, for each device.
  diff_mode: {support: full, description: "Each device that changes, with weight and partitions."}
  idempotent: {support: full, description: "Rings that are as they are to be are left alone."}
options:
  directory:
    description: Directory of builders and rings on the control node.
    type: path
  layout:
    description: C(part_power), C(replicas), C(min_part_hours), C(overload), C(policies), as the role C(swift) has them.
    type: dict
    default: {}
  hosts:
    description: Names of all storage hosts, whose options say regions, zones, addresses and devices.
    type: list
    elements: str
    default: []
  members:
    description: Names of all hosts that get the rings.
    type: list
    elements: str
    default: []
  seen:
    description: What M(stackwright.cloud.swift_node) saw on each host, by its name.
    type: dict
    default: {}
  hash_prefix:
    description: Prefix of the hash.
    type: str
  hash_suffix:
    description: Suffix of the hash.
    type: str
  step:
    description: Greatest change of a device's weight in one go, in percent of its full weight.
    type: float
    default: 100
  request:
    description: Rings to compute.
    type: list
    elements: dict
    default: []
  describe:
    description: Builders that are only read.
    type: list
    elements: str
    default: []
  archive:
    description: Archive of the builders on the host.
    type: path
  result:
    description: Archive on the host that builders and rings are written to.
    type: path
"""

EXAMPLES = r"""
- name: The rings are what the inventory says
  stackwright.cloud.swift_rings:
    directory: "{{ inventory_dir }}/.swift"
    layout:
      part_power: 14
      replicas: 3
      min_part_hours: 1
      overload: 0.1
      policies:
        - {index: 0, name: gold, default: true}
    hosts: "{{ groups['swift_storage'] }}"
    members: "{{ groups['swift_storage'] + groups['swift_proxy'] }}"
    hash_prefix: "{{ stackwright_secrets.swift_hash_prefix }}"
    hash_suffix: "{{ stackwright_secrets.swift_hash_suffix }}"
  run_once: true
"""

RETURN = r"""
rings:
  description: MD5 of each ring by the name of its file, as they are to be on all hosts.
  type: dict
  returned: success
computed:
  description:
    - By ring that was computed, C(moved) replicas of partitions, their C(share) in percent, C(balance),
      C(dispersion), and for
      each device that gets or gives some C(had), C(arriving), C(leaving), C(has) and C(share).
  type: dict
  returned: success
waiting:
  description: By ring, seconds until its partitions may move again, where something waits for that.
  type: dict
  returned: success
notes:
  description: What is worth knowing, such as how many replicas the loss of a zone takes.
  type: list
  elements: str
  returned: success
problems:
  description: Everything that has to be mended first.
  type: list
  elements: str
  returned: failure
changes:
  description: What changed or would, a line each.
  type: list
  elements: str
  returned: success
"""

import importlib
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stackwright.cloud.plugins.module_utils.common import archives
from ansible_collections.stackwright.cloud.plugins.module_utils.swift import builder

LIBRARY = "swift.common.ring"


def main() -> None:
    """Entry point of what runs on a host; the action calls it."""
    module = AnsibleModule(
        argument_spec={
            "request": {"type": "list", "elements": "dict", "default": []},
            "describe": {"type": "list", "elements": "str", "default": []},
            "archive": {"type": "path"},
            "result": {"type": "path"},
        },
        supports_check_mode=True,
    )
    try:
        library: builder.Library = importlib.import_module(LIBRARY).RingBuilder
    except ImportError as error:
        module.exit_json(changed=False, library=False, msg=f"python3-swift is not there: {error}")
    with tempfile.TemporaryDirectory() as here:
        directory = Path(here)
        try:
            answer = work(module, library, directory)
        except (builder.RingError, archives.ArchiveError, OSError, tarfile.TarError) as error:
            module.fail_json(msg=str(error), problems=[str(error)])
    module.exit_json(changed=False, library=True, **answer)


def work(module: AnsibleModule, library: builder.Library, directory: Path) -> dict[str, Any]:
    """Read, compute and, outside of check mode, write what goes back to the control node."""
    given = module.params
    if given["archive"]:
        with tarfile.open(given["archive"]) as packed:
            archives.extract_all(packed, str(directory))
    records = {name: builder.describe(library.load(str(directory / f"{name}.builder"))) for name in given["describe"]}
    told: dict[str, Any] = {}
    changed: list[str] = []
    problems = []
    for wanted in given["request"]:
        name = wanted["name"]
        try:
            computed = builder.compute(library, wanted, directory / f"{name}.builder")
        except builder.RingError as error:
            problems.append(str(error))
            continue
        records[name], told[name] = computed.record, computed.told
        if computed.changed:
            changed.append(name)
            if not module.check_mode and not problems:
                records[name] = builder.save(computed, name, directory)
    if problems:
        module.fail_json(msg="\n".join(problems), problems=problems)
    if changed and not module.check_mode:
        with tarfile.open(given["result"], "w") as packed:
            for name in changed:
                for suffix in ("builder", "ring.gz"):
                    packed.add(directory / f"{name}.{suffix}", f"{name}.{suffix}")
        Path(given["result"]).chmod(0o644)
    return {"records": records, "told": told, "altered": changed}


if __name__ == "__main__":
    main()
