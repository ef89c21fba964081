#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)
# Written by tools/modules from the declaration of the resource type. Change that, then run tools/modules.
"""Ansible module: manage a router with its interfaces and gateway."""

from __future__ import annotations

DOCUMENTATION = r"""
module: router
short_description: Manage a router with its interfaces and gateway
version_added: 0.1.0
description:
  - Makes sure that a router is there with the given properties, or is not there.
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
  external_network:
    description:
      - External network of its gateway; empty for none.
      - 'Given as a name or an identifier of a network, or a mapping such as C({name: web, project: customers}).'
    type: raw
  snat:
    description:
      - Whether what goes out gets the gateway's address.
    type: bool
  external_fixed_ips:
    description:
      - Addresses of the gateway; one of any subnet by default, and for an empty list.
    type: list
    elements: dict
    suboptions:
      subnet:
        description:
          - Subnet of the external network.
          - Given as a name or an identifier of a subnet.
        type: raw
      ip_address:
        description:
          - Address.
        type: str
  distributed:
    description:
      - Whether compute hosts route themselves.
      - Cannot be changed in place, see O(replace).
    type: bool
  ha:
    description:
      - Whether several hosts stand in for each other.
      - Cannot be changed in place, see O(replace).
    type: bool
  availability_zones:
    description:
      - Zones that its services run in.
      - Cannot be changed in place, see O(replace).
    type: list
    elements: str
  interfaces:
    description:
      - Subnets that it joins, with their gateway addresses; others are let go.
      - Each is a name or an identifier of a subnet.
    type: list
    elements: raw
  ports:
    description:
      - Ports that become interfaces, for addresses other than the gateway's; others are let go.
      - 'Each is a name or an identifier of a port, or a mapping such as C({name: web, project: customers}).'
    type: list
    elements: raw
  routes:
    description:
      - Further routes.
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
  tags:
    description:
      - Labels.
    type: list
    elements: str
  state:
    description: Whether the router is to be there.
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
- name: Make sure that the router is there
  stackwright.cloud.router:
    cloud: company
    name: web
    project: web
    external_network: company-outside
    interfaces:
      - web

- name: Make sure that the router is gone
  stackwright.cloud.router:
    cloud: company
    name: web
    project: web
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
    run_resource("router")


if __name__ == "__main__":
    main()
