#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)
# Written by tools/modules from the declaration of the resource type. Change that, then run tools/modules.
"""Ansible module: manage a subnet, a range of addresses in a network."""

from __future__ import annotations

DOCUMENTATION = r"""
module: subnet
short_description: Manage a subnet, a range of addresses in a network
version_added: 0.1.0
description:
  - Makes sure that a subnet is there with the given properties, or is not there.
  - It is found by O(name), O(network), or by O(id). Options that are left out are not managed.
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
      - Cannot be changed in place, see O(replace).
    type: raw
  description:
    description:
      - Description for people.
    type: str
  cidr:
    description:
      - Range of addresses, such as 192.0.2.0/24.
      - Cannot be changed in place, see O(replace).
    type: str
  ip_version:
    description:
      - 4 or 6; that of the range or the pool by default.
      - Cannot be changed in place, see O(replace).
    type: int
  subnet_pool:
    description:
      - Pool that gives it a range.
      - 'Given as a name or an identifier of a subnet pool, or a mapping such as C({name: web, project: customers}).'
      - Cannot be changed in place, see O(replace).
    type: raw
  prefix_length:
    description:
      - Length of the range out of a pool, for a new subnet.
    type: int
  gateway_ip:
    description:
      - Address of the router, the first one by default, which may lie outside the range; none for a subnet
        without one.
    type: str
  dhcp:
    description:
      - Whether servers get their addresses by DHCP.
    type: bool
  allocation_pools:
    description:
      - Addresses that are given out.
    type: list
    elements: dict
    suboptions:
      start:
        description:
          - First address.
        type: str
        required: true
      end:
        description:
          - Last address.
        type: str
        required: true
  dns_nameservers:
    description:
      - Name servers, in order.
    type: list
    elements: str
  host_routes:
    description:
      - Routes that servers get by DHCP.
    type: list
    elements: dict
    suboptions:
      destination:
        description:
          - Range of addresses, such as 10.9.0.0/16.
        type: str
        required: true
      nexthop:
        description:
          - Address of the next router.
        type: str
        required: true
  ipv6_address_mode:
    description:
      - How servers get IPv6 addresses.
      - Cannot be changed in place, see O(replace).
    type: str
    choices:
      - dhcpv6-stateful
      - dhcpv6-stateless
      - slaac
  ipv6_ra_mode:
    description:
      - Who advertises the IPv6 router.
      - Cannot be changed in place, see O(replace).
    type: str
    choices:
      - dhcpv6-stateful
      - dhcpv6-stateless
      - slaac
  segment:
    description:
      - Segment that it lies in.
      - Given as a name or an identifier of a segment.
      - Cannot be changed in place, see O(replace).
    type: raw
  service_types:
    description:
      - Owners of ports that get addresses of it.
    type: list
    elements: str
  dns_publish_fixed_ip:
    description:
      - Whether its addresses are published in the external DNS.
    type: bool
  tags:
    description:
      - Labels.
    type: list
    elements: str
  state:
    description: Whether the subnet is to be there.
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
- name: Make sure that the subnet is there
  stackwright.cloud.subnet:
    cloud: company
    name: company-outside
    network: company-outside
    cidr: 203.0.113.0/24
    gateway_ip: 203.0.113.1
    dhcp: false
    allocation_pools:
      - start: 203.0.113.100
        end: 203.0.113.199

- name: Make sure that the subnet is gone
  stackwright.cloud.subnet:
    cloud: company
    name: company-outside
    network: company-outside
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
    run_resource("subnet")


if __name__ == "__main__":
    main()
