#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)
# Written by tools/modules from the declaration of the resource type. Change that, then run tools/modules.
"""Ansible module: manage a port, the place of a server in a network."""

from __future__ import annotations

DOCUMENTATION = r"""
module: port
short_description: Manage a port, the place of a server in a network
version_added: 0.1.0
description:
  - Makes sure that a port is there with the given properties, or is not there.
  - It is found by O(name), O(network), O(project), or by O(id). Options that are left out are not managed.
author:
  - The Stackwright developers
options:
  name:
    description:
      - Name.
    type: str
    required: true
  network:
    description:
      - Network that it lies in.
      - 'Given as a name or an identifier of a network, or a mapping such as C({name: web, project: customers}).'
    type: raw
    required: true
  project:
    description:
      - Project that it belongs to, that of its network by default.
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
  fixed_ips:
    description:
      - Addresses; one of any subnet by default.
    type: list
    elements: dict
    suboptions:
      subnet:
        description:
          - Subnet.
          - Given as a name or an identifier of a subnet.
        type: raw
      ip_address:
        description:
          - Address.
        type: str
  mac_address:
    description:
      - MAC address.
      - Cannot be changed in place, see O(replace).
    type: str
  security_groups:
    description:
      - Security groups; others are taken away.
      - 'Each is a name or an identifier of a security group, or a mapping such as C({name: web, project:
        customers}).'
    type: list
    elements: raw
  port_security:
    description:
      - Whether it drops forged addresses.
    type: bool
  allowed_address_pairs:
    description:
      - Further addresses that it may send from.
    type: list
    elements: dict
    suboptions:
      ip_address:
        description:
          - Address or range.
        type: str
        required: true
      mac_address:
        description:
          - MAC address.
        type: str
  vnic_type:
    description:
      - Kind of virtual interface, such as normal or direct.
    type: str
  dns_name:
    description:
      - Name of the server in the DNS.
    type: str
  dns_domain:
    description:
      - Domain of the name, with a dot at the end; that of its network by default.
    type: str
  extra_dhcp_opts:
    description:
      - Options that its server gets by DHCP; others are taken away.
    type: list
    elements: dict
    suboptions:
      opt_name:
        description:
          - Name, such as bootfile-name.
        type: str
        required: true
      opt_value:
        description:
          - Value.
        type: str
        required: true
      ip_version:
        description:
          - 4 (the default) or 6.
        type: int
  binding_profile:
    description:
      - What the host is told of the port, for accounts with the role service. What the service puts in itself
        does not count.
      - Only the given keys are compared.
    type: dict
  host:
    description:
      - Host that it is bound to, for administrators; a server's port moves with it.
    type: str
  device_owner:
    description:
      - Whose it is, for a port of no server; what a server's port says of its server does not count.
    type: str
  propagate_uplink_status:
    description:
      - Whether a virtual function follows the state of its uplink.
    type: bool
  qos_policy:
    description:
      - QoS policy that limits it; empty for none.
      - 'Given as a name or an identifier of a qos policy, or a mapping such as C({name: web, project: customers}).'
    type: raw
  tags:
    description:
      - Labels.
    type: list
    elements: str
  state:
    description: Whether the port is to be there.
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
- name: Make sure that the port is there
  stackwright.cloud.port:
    cloud: company
    name: database
    network: campus
    fixed_ips:
      - subnet: campus
        ip_address: 10.64.0.10
    security_groups:
      - database

- name: Make sure that the port is gone
  stackwright.cloud.port:
    cloud: company
    name: database
    network: campus
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
    run_resource("port")


if __name__ == "__main__":
    main()
