"""Looks at the host it runs on, for the preflight checks. The action of the same name judges what it saw."""

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight_host
short_description: Checks one host before the first change
version_added: 0.1.0
description:
  - Connects to the host, becomes root, looks at it once and compares what is there with what the inventory expects -
    distribution, memory, disk, clock, names, addresses, interfaces, ports, package sources, and the way to other hosts.
  - A host that cannot be reached, a refused login or a failing sudo is a problem among the others. The task itself does
    not fail, M(stackwright.cloud.preflight_report) does, with the problems of all hosts at once.
author:
  - The Stackwright developers
options:
  expected:
    description: What to expect, the host's entry of RV(stackwright.cloud.preflight_inventory#module:expectations).
    type: dict
    required: true
attributes:
  check_mode:
    description: Changes nothing in any mode.
    support: full
  diff_mode:
    description: There is nothing to compare.
    support: none
  idempotent:
    description: Changes nothing.
    support: full
seealso:
  - module: stackwright.cloud.preflight_inventory
  - module: stackwright.cloud.preflight_report
"""

EXAMPLES = r"""
- name: The host is fit for what it is to carry
  stackwright.cloud.preflight_host:
    expected: "{{ preflight.expectations[inventory_hostname] }}"
  register: preflight_host
"""

RETURN = r"""
findings:
  description: What has to be mended on this host.
  type: list
  elements: dict
  returned: always
notes:
  description: What is worth knowing but stops nothing.
  type: list
  elements: str
  returned: always
monitors:
  description: Hosts that carry monitors of the cluster that this host belongs to.
  type: list
  elements: str
  returned: when the host can be reached
seen:
  description: What was observed; empty when the host cannot be reached.
  type: dict
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight import probe


def main() -> None:
    """Run the probe. The action passes `wanted`, what to look for, in place of `expected`."""
    module = AnsibleModule(argument_spec={"wanted": {"type": "dict", "required": True}}, supports_check_mode=True)
    module.exit_json(changed=False, seen=probe.observe(module.params["wanted"]))


if __name__ == "__main__":
    main()
