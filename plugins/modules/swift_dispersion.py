#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)
"""Ansible module: whether every copy lies where the rings say."""

from __future__ import annotations

DOCUMENTATION = r"""
module: swift_dispersion
short_description: Whether every copy lies where the rings say
version_added: 0.1.0
description:
  - Spreads containers and objects over the partitions of each policy, always the same ones, and asks every storage node
    for its copies, until all are found.
  - They lie in the account of the project C(service), and stay there for the next time.
  - Runs on a proxy, which has the rings and C(/etc/swift/dispersion.conf).
author:
  - The Stackwright developers
options:
  policies:
    description: Names of the policies.
    type: list
    elements: str
    required: true
  wanted:
    description: Percent of copies of which less is a failure.
    type: float
    default: 100
  timeout:
    description: Seconds in which replication may bring them to where they belong.
    type: float
    default: 300
attributes:
  check_mode:
    description: Spreads nothing in check mode, and asks for what is there.
    support: full
  diff_mode:
    description: There is no difference to show.
    support: none
  idempotent:
    description: What is spread is the same each time.
    support: full
"""

EXAMPLES = r"""
- name: Every copy is where it belongs
  stackwright.cloud.swift_dispersion:
    policies: [gold]
"""

RETURN = r"""
dispersion:
  description: Copies found and expected, by policy and kind.
  type: list
  elements: dict
  returned: always
summary:
  description: The same for people.
  type: list
  elements: str
  returned: always
seconds:
  description: Seconds until all were found.
  type: float
  returned: always
"""

import dataclasses
import time
from collections.abc import Sequence

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stackwright.cloud.plugins.module_utils.common import command
from ansible_collections.stackwright.cloud.plugins.module_utils.swift import dispersion

# Seconds for one program: with a node gone, each of its partitions is asked for in vain.
PROGRAM_SECONDS = 300.0
PAUSE = 3.0


def _run(argv: Sequence[str]) -> tuple[int, str, str]:
    try:
        done = command.run(list(argv), PROGRAM_SECONDS)
    except (OSError, command.CommandTimeoutError) as error:
        return 1, "", str(error)
    return done.returncode, done.stdout, done.stderr


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "policies": {"type": "list", "elements": "str", "required": True},
            "wanted": {"type": "float", "default": 100},
            "timeout": {"type": "float", "default": 300},
        },
        supports_check_mode=True,
    )
    given = module.params
    begun = time.monotonic()
    found: list[dispersion.Dispersion] = []
    try:
        if not module.check_mode:
            for policy in given["policies"]:
                dispersion.populate(policy, _run)
        while True:
            found = [one for policy in given["policies"] for one in dispersion.report(policy, _run)]
            low = [one for one in found if one.percent < given["wanted"]]
            if not low or time.monotonic() - begun > given["timeout"]:
                break
            time.sleep(PAUSE)
    except dispersion.DispersionError as error:
        module.fail_json(msg=str(error), dispersion=[], summary=[], seconds=0.0)
    result = {
        "changed": False,
        "dispersion": [{**dataclasses.asdict(one), "percent": one.percent} for one in found],
        "summary": [str(one) for one in found],
        "seconds": round(time.monotonic() - begun, 1),
    }
    if low:
        module.fail_json(
            msg=f"copies are not where the rings say after {result['seconds']:.0f} s: {'; '.join(map(str, low))}",
            hint="playbooks/swift_status.yml says which nodes and devices are missing, and how old replication is.",
            **result,
        )
    module.exit_json(**result)


if __name__ == "__main__":
    main()
