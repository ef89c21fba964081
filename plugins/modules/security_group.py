#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)
# Written by tools/modules from the declaration of the resource type. Change that, then run tools/modules.
"""Ansible module: manage a security group with its rules."""

from __future__ import annotations

DOCUMENTATION = r"""
module: security_group
short_description: Manage a security group with its rules
version_added: 0.1.0
description:
  - Makes sure that a security group is there with the given properties, or is not there.
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
  stateful:
    description:
      - Whether answers may pass without a rule of their own.
    type: bool
  rules:
    description:
      - 'All rules, as one unit: others are removed.'
    type: list
    elements: dict
    suboptions:
      direction:
        description:
          - ingress (the default) or egress.
        type: str
        choices:
          - ingress
          - egress
      ethertype:
        description:
          - IPv4 or IPv6; that of the prefix, or IPv4.
        type: str
        choices:
          - IPv4
          - IPv6
      protocol:
        description:
          - Such as tcp, udp, icmp, or a number; any by default.
        type: str
      port_range_min:
        description:
          - First port, or ICMP type.
        type: int
      port_range_max:
        description:
          - Last port, that of port_range_min by default, or ICMP code.
        type: int
      remote_ip_prefix:
        description:
          - Range of addresses on the other side; any by default.
        type: str
      remote_group:
        description:
          - Security group on the other side.
          - 'Given as a name or an identifier of a security group, or a mapping such as C({name: web, project:
            customers}).'
        type: raw
      remote_address_group:
        description:
          - Address group on the other side.
          - 'Given as a name or an identifier of an address group, or a mapping such as C({name: web, project:
            customers}).'
        type: raw
      description:
        description:
          - Description of a new rule.
        type: str
  default_egress:
    description:
      - Whether rules without one for egress still let everything go out.
    type: bool
  tags:
    description:
      - Labels.
    type: list
    elements: str
  state:
    description: Whether the security group is to be there.
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
- name: Make sure that the security group is there
  stackwright.cloud.security_group:
    cloud: company
    name: site
    project: web
    description: Web servers
    rules:
      - protocol: tcp
        port_range_min: 80
        remote_ip_prefix: 0.0.0.0/0
      - protocol: tcp
        port_range_min: 443
        remote_ip_prefix: 0.0.0.0/0
      - protocol: tcp
        port_range_min: 22
        remote_ip_prefix: 198.51.100.0/24

- name: Make sure that the security group is gone
  stackwright.cloud.security_group:
    cloud: company
    name: site
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
    run_resource("security_group")


if __name__ == "__main__":
    main()
