#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)

from __future__ import annotations

DOCUMENTATION = r"""
module: open_vswitch
short_description: Bring a host's Open vSwitch to a described state
description:
  - Sets external identifiers and other configuration, the manager, bridges and the interfaces that are their ports, in
    one call.
  - Refuses to take the interface by which the host is managed.
  - Bridges and ports that it made bear the external identifier C(stackwright). They are removed once they are no longer
    wanted; others
    are left alone. An interface that leaves a bridge gets back its addresses when the host's own network configuration
    is applied.
author: The Stackwright developers
attributes:
  check_mode: {support: full, description: "Says what would be changed."}
  diff_mode: {support: full, description: "A line for each change."}
  idempotent: {support: full, description: Compares with the switch's database before it writes.}
options:
  external_ids:
    description: Keys and values; an empty value removes the key.
    type: dict
    default: {}
  other_config:
    description: Keys and values; a change restarts the daemon.
    type: dict
    default: {}
  manager:
    description: Where the database accepts clients, such as V(ptcp:6640:127.0.0.1).
    type: str
    default: ''
  forbidden_managers:
    description: Kinds of connections, such as V(ptcp), on which the database must not take clients; such managers are
      removed.
    type: list
    elements: str
    default: []
  datapath:
    description: Datapath of the bridges.
    type: str
    choices: [system, netdev]
    default: system
  bridges:
    description: Bridges with their interfaces.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the bridge.
        type: str
        required: true
      interface:
        description: Interface that is its port.
        type: str
        default: ''
      address:
        description: Address with prefix length that the bridge takes over; set by the boot unit, not by this module.
        type: str
        default: ''
  needed:
    description: Addresses under which the control node and other hosts reach this one; an interface that has one is
      never taken.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Open vSwitch knows OVN
  stackwright.cloud.open_vswitch:
    external_ids: {ovn-remote: "tcp:192.0.2.10:6642"}
    bridges:
      - {name: br-ex, interface: eth2}
"""

RETURN = r"""
changes:
  description: What was changed or would be, a line each.
  type: list
  elements: str
  returned: success
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stackwright.cloud.plugins.module_utils.host import systemd
from ansible_collections.stackwright.cloud.plugins.module_utils.service import open_vswitch, units


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "external_ids": {"type": "dict", "default": {}},
            "other_config": {"type": "dict", "default": {}},
            "manager": {"type": "str", "default": ""},
            "forbidden_managers": {"type": "list", "elements": "str", "default": []},
            "datapath": {"type": "str", "choices": ["system", "netdev"], "default": "system"},
            "bridges": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "name": {"type": "str", "required": True},
                    "interface": {"type": "str", "default": ""},
                    "address": {"type": "str", "default": ""},
                },
            },
            "needed": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    given = module.params
    wanted = open_vswitch.Wanted(
        external_ids={key: str(value) for key, value in given["external_ids"].items()},
        other_config={key: str(value) for key, value in given["other_config"].items()},
        manager=given["manager"],
        forbidden_managers=given["forbidden_managers"],
        datapath=given["datapath"],
        bridges=[open_vswitch.Bridge(**bridge) for bridge in given["bridges"]],
    )
    if module.check_mode and not os.path.exists(open_vswitch.CONTROL):
        module.exit_json(changed=True, changes=["everything, once Open vSwitch is installed"])
    try:
        started = units.show(["openvswitch-switch"])["openvswitch-switch"].get("ActiveState") == "active"
        if not started and not module.check_mode:
            systemd.must("start", "openvswitch-switch", seconds=systemd.JOB_SECONDS)
        if not started and module.check_mode:
            module.exit_json(changed=True, changes=["start openvswitch-switch"])
        changes, restart = open_vswitch.converge(wanted, given["needed"], module.check_mode)
        if restart and not module.check_mode:
            systemd.must("restart", "openvswitch-switch", seconds=systemd.JOB_SECONDS)
    except (open_vswitch.SwitchError, systemd.UnitsError) as error:
        module.fail_json(
            msg=f"Open vSwitch could not be set up: {error}",
            hint="Check ovn_bridge_interfaces, ovn_external_interface and ovn_tunnel_interface in the "
            "inventory, and journalctl -u openvswitch-switch.",
        )
    module.exit_json(
        changed=bool(changes), changes=changes, diff={"before": "", "after": "".join(f"{line}\n" for line in changes)}
    )


if __name__ == "__main__":
    main()
