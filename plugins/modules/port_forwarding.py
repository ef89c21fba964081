#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)
# Written by tools/modules from the declaration of the resource type. Change that, then run tools/modules.
"""Ansible module: manage a forwarding of one port of a floating address."""

from __future__ import annotations

DOCUMENTATION = r"""
module: port_forwarding
short_description: Manage a forwarding of one port of a floating address
version_added: 0.1.0
description:
  - Makes sure that a port forwarding is there with the given properties, or is not there.
  - It is found by O(floating_ip), O(protocol), O(external_port), or by O(id). Options that are left out are
    not managed.
author:
  - The Stackwright developers
options:
  floating_ip:
    description:
      - Floating address.
      - 'Given as a name or an identifier of a floating ip, or a mapping such as C({name: web, project: customers}).'
    type: raw
    required: true
  protocol:
    description:
      - Protocol.
    type: str
    choices:
      - tcp
      - udp
      - icmp
      - sctp
      - dccp
    required: true
  external_port:
    description:
      - Port of the floating address.
    type: int
    required: true
  internal_port:
    description:
      - Port of the server.
      - Required when O(state=present).
    type: int
  port:
    description:
      - Port of the network that it leads to.
      - 'Given as a name or an identifier of a port, or a mapping such as C({name: web, project: customers}).'
      - Required when O(state=present).
    type: raw
  internal_ip:
    description:
      - Address of that port.
    type: str
  description:
    description:
      - Description for people.
    type: str
  state:
    description: Whether the port forwarding is to be there.
    type: str
    choices:
      - present
      - absent
    default: present
  id:
    description:
      - Identifier, which picks one of several that are alike, or one whose name is to change.
    type: str
extends_documentation_fragment:
  - stackwright.cloud.cloud
  - stackwright.cloud.cloud.change
seealso:
  - module: stackwright.cloud.cloud_state
  - module: stackwright.cloud.cloud_info
"""

EXAMPLES = r"""
- name: Make sure that the port forwarding is there
  stackwright.cloud.port_forwarding:
    cloud: company
    floating_ip: gateway
    protocol: tcp
    external_port: 2222
    internal_port: 22
    port: database

- name: Make sure that the port forwarding is gone
  stackwright.cloud.port_forwarding:
    cloud: company
    floating_ip: gateway
    protocol: tcp
    external_port: 2222
    state: absent
"""

RETURN = r"""
id:
  description: Identifier of the resource. Empty when it is absent.
  returned: success
  type: str
resource:
  description: 'The resource as it is now, or would be: its fields with names for references, without secrets.'
  returned: success
  type: dict
changes:
  description: What was changed, or would be in check mode, a line each.
  returned: always
  type: list
  elements: str
calls:
  description: Number of API requests.
  returned: always
  type: int
seconds:
  description: How long it took.
  returned: always
  type: float
errors:
  description: Every problem with its option (path), resource, cause and mend.
  returned: failure
  type: list
  elements: dict
"""

from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.faces.resource import run_resource


def main() -> None:
    """Entry point."""
    run_resource("port_forwarding")


if __name__ == "__main__":
    main()
