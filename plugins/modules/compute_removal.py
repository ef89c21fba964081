#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)
"""Ansible module: take a compute node out of a cloud."""

from __future__ import annotations

DOCUMENTATION = r"""
module: compute_removal
short_description: Take a compute node out of a cloud
version_added: 0.1.0
description:
  - With O(phase=drain) Nova sends no new servers to the host. It is a failure when servers are on it; they are named.
  - With O(phase=forget) what the cloud still holds of the host is removed, once its C(nova-compute) is down, and only
    without servers. That is
    the compute service with its cell mapping, network agents, and the resource provider.
  - A host that nobody knows is left so, without a failure.
author:
  - The Stackwright developers
options:
  host:
    description: The host's name. It is compared without its domain.
    type: str
    required: true
  phase:
    description: What is done.
    type: str
    choices: [drain, forget]
    required: true
  timeout:
    description: Seconds in which Nova has to notice that C(nova-compute) has stopped.
    type: float
    default: 120
extends_documentation_fragment:
  - stackwright.cloud.administrator
attributes:
  check_mode:
    description: Says what would be done.
    support: full
  diff_mode:
    description: A line for each step.
    support: full
  idempotent:
    description: What is done is not done again.
    support: full
"""

EXAMPLES = r"""
- name: Compute node 2 gets no new servers and has none
  stackwright.cloud.compute_removal:
    auth: "{{ stackwright_administrator }}"
    host: compute2
    phase: drain
  delegate_to: localhost
"""

RETURN = r"""
changes:
  description: What was done or would be, a line each.
  returned: always
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.cloud import (
    API_ERRORS,
    ARGUMENTS,
    SdkError,
    connect,
    first_line,
    place,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.removal import Removal


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            **ARGUMENTS,
            "host": {"type": "str", "required": True},
            "phase": {"type": "str", "choices": ["drain", "forget"], "required": True},
            "timeout": {"type": "float", "default": 120},
        },
        supports_check_mode=True,
    )
    arguments = module.params
    changes: list[str] = []
    try:
        removal = Removal(connect(arguments), arguments["host"], module.check_mode)
        changes = removal.changes
        if arguments["phase"] == "drain":
            removal.drain()
        else:
            removal.forget(arguments["timeout"])
    except SdkError as error:
        module.fail_json(msg=str(error), changes=changes, changed=bool(changes) and not module.check_mode)
    except API_ERRORS as error:
        module.fail_json(msg=f"cannot ask {place(arguments)}: {first_line(error)}", changes=changes)
    module.exit_json(
        changed=bool(changes), changes=changes, diff={"before": "", "after": "".join(f"{line}\n" for line in changes)}
    )


if __name__ == "__main__":
    main()
