#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)

from __future__ import annotations

DOCUMENTATION = r"""
module: domains
short_description: Ask a compute host's libvirt and QEMU what became of servers
description:
  - Tells the state of servers' domains with libvirt's reason, and what QEMU last said in their logs, without control
    characters.
  - Servers that are not on the host are left out. Every question to libvirt is limited to ten seconds.
author: The Stackwright developers
attributes:
  check_mode: {support: full, description: "Only asks."}
  diff_mode: {support: none, description: "Changes nothing."}
  idempotent: {support: full, description: "Changes nothing."}
options:
  servers:
    description: Names of servers by their identifiers.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: The hypervisor says what became of the server
  stackwright.cloud.domains:
    servers: {8f0c3c2e-6a51-4a4e-9d5e-0f5b8f4f2a11: web1}
"""

RETURN = r"""
lines:
  description: For each server on this host its domain, state and reason, QEMU's last words of a fault, and what to do.
  type: list
  elements: str
  returned: success
"""

import platform

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stackwright.cloud.plugins.module_utils.verify import hypervisor


def main() -> None:
    module = AnsibleModule(argument_spec={"servers": {"type": "dict", "required": True}}, supports_check_mode=True)
    lines: list[str] = []
    for server, name in module.params["servers"].items():
        domain = hypervisor.ask(str(server))
        if domain is not None:
            lines += hypervisor.lines(domain, str(name), platform.node())
    module.exit_json(changed=False, lines=lines)


if __name__ == "__main__":
    main()
