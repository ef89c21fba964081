#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)
# Written by tools/modules from the declaration of the resource type. Change that, then run tools/modules.
"""Ansible module: manage a network."""

from __future__ import annotations

DOCUMENTATION = r"""
module: network
short_description: Manage a network
version_added: 0.1.0
description:
  - Makes sure that a network is there with the given properties, or is not there.
  - It is found by O(name), O(project), or by O(id). Options that are left out are not managed.
author:
  - The Stackwright developers
options:
  name:
    description:
      - Name.
    type: str
    required: true
  project:
    description:
      - Project that it belongs to, that of the login by default. Another one needs an administrator's rights.
      - 'Given as a name or an identifier of a project, or a mapping such as C({name: web, domain: customers}).'
    type: raw
  description:
    description:
      - Description for people.
    type: str
  enabled:
    description:
      - Whether it carries traffic.
    type: bool
  shared:
    description:
      - Whether every project may use it.
    type: bool
  external:
    description:
      - Whether routers have their gateways in it.
    type: bool
  default:
    description:
      - Whether it is the external network that is taken by default.
    type: bool
  mtu:
    description:
      - Greatest size of a packet in bytes.
    type: int
  network_type:
    description:
      - How it is carried, such as geneve, vlan or flat.
      - Cannot be changed in place, see O(replace).
    type: str
  physical_network:
    description:
      - Physical network that carries it.
      - Cannot be changed in place, see O(replace).
    type: str
  segmentation_id:
    description:
      - VLAN or tunnel number.
      - Cannot be changed in place, see O(replace).
    type: int
  port_security:
    description:
      - Whether its ports drop forged addresses.
    type: bool
  vlan_transparent:
    description:
      - Whether servers may send VLAN tags through it.
      - Cannot be changed in place, see O(replace).
    type: bool
  dns_domain:
    description:
      - Domain of its servers' names, with a dot at the end.
    type: str
  qos_policy:
    description:
      - QoS policy that limits it; empty for none.
      - 'Given as a name or an identifier of a qos policy, or a mapping such as C({name: web, project: customers}).'
    type: raw
  availability_zones:
    description:
      - Zones that its services run in.
      - Cannot be changed in place, see O(replace).
    type: list
    elements: str
  tags:
    description:
      - Labels.
    type: list
    elements: str
  state:
    description: Whether the network is to be there.
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
- name: Make sure that the network is there
  stackwright.cloud.network:
    cloud: company
    name: company-outside
    external: true
    network_type: flat
    physical_network: physnet1

- name: Make sure that the network is gone
  stackwright.cloud.network:
    cloud: company
    name: company-outside
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
    run_resource("network")


if __name__ == "__main__":
    main()
