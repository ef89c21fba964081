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

from ansible_collections.stackwright.cloud.plugins.module_utils.service import face, phases


def main() -> None:
    """Entry point."""
    face.run(phases.OWN["switch"])


if __name__ == "__main__":
    main()
