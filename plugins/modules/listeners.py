#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)

from __future__ import annotations

DOCUMENTATION = r"""
module: listeners
short_description: Prove that a host listens where its services do and nowhere else
version_added: 0.1.0
description:
  - Reads from the kernel who listens on this host, and names everything that neither the specifications of its services
    nor the site
    mention, with process, address and unit. sshd is expected everywhere.
  - Connects as V(nobody) to the sockets and local ports that only some accounts may use, and wants to be refused.
  - Sees that the packet filter's table is the one that was proved.
  - With O(closed) it tries, from where it runs, ports that this machine must not reach, and wants no connection.
author: The Stackwright developers
attributes:
  check_mode: {support: full, description: "Reads only, so it does the same in check mode."}
  diff_mode: {support: none, description: "Changes nothing."}
  idempotent: {support: full, description: "Changes nothing."}
options:
  expected:
    description: Who may listen, as P(stackwright.cloud.service_filter#lookup) returns it under C(listeners). Left out,
      nobody is looked at.
    type: list
    elements: dict
  sockets:
    description: Sockets and local ports that V(nobody) must be refused at, as the same lookup returns them.
    type: list
    elements: dict
    default: []
  filter:
    description: Whether the host is to have its packet filter. Left out, it is not looked at.
    type: bool
  closed:
    description: Ports of other hosts that this machine must not reach, with C(host), C(name), C(address), C(port) and
      C(sources).
    type: list
    elements: dict
    default: []
  timeout:
    description: Seconds to wait for a connection that is not to come about.
    type: float
    default: 2
  host:
    description: Name for the rows of the result.
    type: str
    default: ''
"""

EXAMPLES = r"""
- name: This host listens where its services do
  stackwright.cloud.listeners:
    host: "{{ inventory_hostname }}"
    expected: "{{ plan.listeners }}"
    sockets: "{{ plan.sockets }}"
  vars:
    plan: "{{ lookup('stackwright.cloud.service_filter', {'controller': ['base', 'controller']}) }}"
"""

RETURN = r"""
rows:
  description: Rows of the table of security checks.
  returned: always
  type: list
  elements: dict
problems:
  description: What is open and must not be, a sentence each with what to do.
  returned: always
  type: list
  elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stackwright.cloud.plugins.module_utils.host import sockets
from ansible_collections.stackwright.cloud.plugins.module_utils.service import filter_host
from ansible_collections.stackwright.cloud.plugins.module_utils.verify import listeners


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "expected": {"type": "list", "elements": "dict"},
            "sockets": {"type": "list", "elements": "dict", "default": []},
            "filter": {"type": "bool"},
            "closed": {"type": "list", "elements": "dict", "default": []},
            "timeout": {"type": "float", "default": 2},
            "host": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    given: dict[str, Any] = module.params
    host, rows, problems = given["host"], [], []
    if given["expected"] is not None:
        found = filter_host.named(sockets.listeners())
        wrong = listeners.complaints(found, given["expected"])
        rows.append(
            listeners.row(
                "Effect-Listeners",
                "base",
                "only what a specification names listens",
                f"{len(found)} listeners",
                wrong,
                host,
            )
        )
        problems += wrong
    if given["sockets"]:
        wrong, tried = listeners.socket_complaints(given["sockets"])
        rows.append(
            listeners.row(
                "Effect-Sockets", "base", "nobody is refused at local sockets", f"{tried} sockets tried", wrong, host
            )
        )
        problems += wrong
    if given["filter"] is not None:
        wrong = filter_host.complaints(given["filter"])
        value = "loaded" if given["filter"] else "left out by base_filter"
        rows.append(listeners.row("Effect-Filter", "base", "the packet filter is in force", value, wrong, host))
        problems += wrong
    if given["closed"]:
        wrong, tried, rightly = listeners.strangers(given["closed"], given["timeout"])
        value = f"{tried} ports tried" + (f", {rightly} are this machine's to reach" if rightly else "")
        rows.append(
            listeners.row("Effect-Strangers", "base", "closed ports take no connection from here", value, wrong, host)
        )
        problems += wrong
    module.exit_json(changed=False, rows=[one.as_dict() for one in rows], problems=problems)


if __name__ == "__main__":
    main()
