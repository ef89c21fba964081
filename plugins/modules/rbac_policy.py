#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)
# Written by tools/modules from the declaration of the resource type. Change that, then run tools/modules.
"""Ansible module: manage a policy that shares a network or another object with a project."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rbac_policy
short_description: Manage a policy that shares a network or another object with a project
version_added: 0.1.0
description:
  - Makes sure that a rbac policy is there with the given properties, or is not there.
  - It is found by O(network), O(qos_policy), O(security_group), O(address_scope), O(subnet_pool), O(action),
    O(target_project), or by O(id). Options that are left out are not managed.
author:
  - The Stackwright developers
options:
  network:
    description:
      - The network that is shared.
      - 'Given as a name or an identifier of a network, or a mapping such as C({name: web, project: customers}).'
    type: raw
  qos_policy:
    description:
      - The qos policy that is shared.
      - 'Given as a name or an identifier of a qos policy, or a mapping such as C({name: web, project: customers}).'
    type: raw
  security_group:
    description:
      - The security group that is shared.
      - 'Given as a name or an identifier of a security group, or a mapping such as C({name: web, project:
        customers}).'
    type: raw
  address_scope:
    description:
      - The address scope that is shared.
      - 'Given as a name or an identifier of an address scope, or a mapping such as C({name: web, project:
        customers}).'
    type: raw
  subnet_pool:
    description:
      - The subnet pool that is shared.
      - 'Given as a name or an identifier of a subnet pool, or a mapping such as C({name: web, project: customers}).'
    type: raw
  action:
    description:
      - What the other project may do with it.
    type: str
    choices:
      - access_as_shared
      - access_as_external
    required: true
  target_project:
    description:
      - Project that it is shared with; * for all.
      - 'Given as a name or an identifier of a project, or a mapping such as C({name: web, domain: customers}).'
    type: raw
    required: true
  state:
    description: Whether the rbac policy is to be there.
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
- name: Make sure that the rbac policy is there
  stackwright.cloud.rbac_policy:
    cloud: company
    network: campus
    action: access_as_shared
    target_project: shop

- name: Make sure that the rbac policy is gone
  stackwright.cloud.rbac_policy:
    cloud: company
    network: campus
    action: access_as_shared
    target_project: shop
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
    run_resource("rbac_policy")


if __name__ == "__main__":
    main()
