#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)

from __future__ import annotations

DOCUMENTATION = r"""
module: swift_node
short_description: Look at a host of the object store, and put its rings in place
description:
  - Tells which rings, hash secrets (as a fingerprint) and devices a host has, for M(stackwright.cloud.swift_rings)
    to judge.
  - With O(rings) it lays rings down beside those in use, checked by MD5, and takes them into use, all at once.
  - Runs with an action of the same name, which brings the rings from the control node when the host lacks them.
author: The Stackwright developers
attributes:
  check_mode: {support: full, description: "Says which rings would change."}
  diff_mode: {support: full, description: "A line for each ring, with its checksum."}
  idempotent: {support: full, description: "A host with its rings is left alone."}
options:
  state:
    description:
      - V(seen) only looks.
      - V(staged) lays rings down beside those in use; a host without any takes them into use, since its services do
        not start
        without.
      - V(current) takes them into use.
    type: str
    choices: [seen, staged, current]
    default: seen
  directory:
    description: Directory of the rings and of C(swift.conf).
    type: path
    default: /etc/swift
  devices_directory:
    description: Directory of the devices.
    type: path
    default: /srv/node
  devices:
    description: Names of the devices that the host is to have.
    type: list
    elements: str
    default: []
  rings:
    description: MD5 of each ring by the name of its file.
    type: dict
    default: {}
  source:
    description: Directory on the control node that holds the rings. Without it none can be brought.
    type: path
  archive:
    description: Archive with the rings on the host. The action sets it.
    type: path
"""

EXAMPLES = r"""
- name: The host is looked at
  stackwright.cloud.swift_node:
    devices: [d1, d2]

- name: The host has the rings that are in use from the next step on
  stackwright.cloud.swift_node:
    state: staged
    rings: {object.ring.gz: 5f0c3b9d2f7a4e8f9f0f5a2f7c1d4b6a}
    source: /srv/inventories/mine/.swift
"""

RETURN = r"""
rings:
  description: MD5 of each ring of the host by the name of its file.
  type: dict
  returned: always
hash:
  description: Fingerprint of the secrets of the host's hash; empty where it has none.
  type: str
  returned: always
devices:
  description: By name whether a device exists, is mounted, holds data, and whose it is.
  type: dict
  returned: always
lacking:
  description: Rings that the host lacks.
  type: list
  elements: str
  returned: always
changes:
  description: What changed or would, a line each.
  type: list
  elements: str
  returned: always
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stackwright.cloud.plugins.module_utils.swift import nodes

OPTIONS: dict[str, Any] = {
    "state": {"type": "str", "choices": ["seen", "staged", "current"], "default": "seen"},
    "directory": {"type": "path", "default": "/etc/swift"},
    "devices_directory": {"type": "path", "default": "/srv/node"},
    "devices": {"type": "list", "elements": "str", "default": []},
    "rings": {"type": "dict", "default": {}},
    "source": {"type": "path"},
    "archive": {"type": "path"},
}


def main() -> None:
    """Entry point."""
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True)
    directory = Path(module.params["directory"])
    expected: dict[str, str] = module.params["rings"]
    seen = nodes.look(directory, Path(module.params["devices_directory"]), module.params["devices"])
    lacking = sorted(name for name, checksum in expected.items() if seen["rings"].get(name) != checksum)
    state, archive = module.params["state"], module.params["archive"]
    result: dict[str, Any] = {"changed": False, "changes": [], "lacking": lacking, **seen}
    told = [f"{name} becomes {expected[name]}" for name in lacking]
    if state == "seen" or not lacking:
        module.exit_json(**result)
    if state == "current":
        result |= {"changed": True, "changes": told, "diff": _diff(seen["rings"], expected)}
    if module.check_mode or (state == "staged" and not archive):
        module.exit_json(**result)
    try:
        if archive:
            nodes.stage(directory, Path(archive), expected)
            result |= {"changed": True, "changes": [f"{name} is laid down" for name in lacking]}
        if state == "current" or not seen["rings"]:
            nodes.activate(directory, expected)
            result |= {"changed": True, "changes": told, "diff": _diff(seen["rings"], expected)}
    except (OSError, ValueError) as error:
        module.fail_json(
            msg=f"The rings could not be put into {directory}: {error}",
            hint="Nothing was taken into use unless said so; look for space and permissions there, and run again.",
            **result,
        )
    module.exit_json(**result)


def _diff(before: dict[str, str], after: dict[str, str]) -> dict[str, str]:
    lines = ["".join(f"{name} {one[name]}\n" for name in sorted(one)) for one in (before, {**before, **after})]
    return {"before_header": "rings", "after_header": "rings", "before": lines[0], "after": lines[1]}


if __name__ == "__main__":
    main()
