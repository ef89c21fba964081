#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)

from __future__ import annotations

DOCUMENTATION = r"""
module: compute_probe
short_description: Find out what a compute node's machine can really do
description:
  - Boots a tiny guest with KVM, because a device that is there need not work; makes a kernel datapath; looks for AppArmor.
  - The answer is kept until the machine is started anew.
author: The Stackwright developers
attributes:
  check_mode: {support: full, description: "Does the same; nothing on the host changes but the kept answer."}
  diff_mode: {support: none, description: "Changes nothing."}
  idempotent: {support: full, description: "Returns the kept answer."}
options:
  again:
    description: Probe although there is an answer.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: The machine's abilities are known
  stackwright.cloud.compute_probe:
"""

RETURN = r"""
kvm:
  description: Whether guests run with KVM.
  type: bool
  returned: always
datapath:
  description: V(system) where the kernel has Open vSwitch and Geneve, V(netdev) otherwise.
  type: str
  returned: always
security_module:
  description: Whether AppArmor can confine guests.
  type: bool
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stackwright.cloud.plugins.module_utils.service import compute_probe


def main() -> None:
    module = AnsibleModule(argument_spec={"again": {"type": "bool", "default": False}}, supports_check_mode=True)
    found = compute_probe.answer(module.params["again"])
    module.exit_json(changed=False, **{name: found[name] for name in ("kvm", "datapath", "security_module")})


if __name__ == "__main__":
    main()
