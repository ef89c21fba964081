#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)
# Written by tools/modules from the declaration of the resource type. Change that, then run tools/modules.
"""Ansible module: manage a pool of addresses for subnets."""

from __future__ import annotations

DOCUMENTATION = r"""
module: subnet_pool
short_description: Manage a pool of addresses for subnets
version_added: 0.1.0
description:
  - Makes sure that a subnet pool is there with the given properties, or is not there.
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
  prefixes:
    description:
      - Ranges that it gives out; more can be added.
    type: list
    elements: str
  default_prefix_length:
    description:
      - Length of a range when none is asked for.
    type: int
  min_prefix_length:
    description:
      - Shortest prefix that it gives out.
    type: int
  max_prefix_length:
    description:
      - Longest prefix that it gives out.
    type: int
  address_scope:
    description:
      - Address scope; empty for none.
      - 'Given as a name or an identifier of an address scope, or a mapping such as C({name: web, project:
        customers}).'
    type: raw
  shared:
    description:
      - Whether every project may use it.
      - Cannot be changed in place, see O(replace).
    type: bool
  default:
    description:
      - Whether it is taken by default.
    type: bool
  default_quota:
    description:
      - How much of it a project may have.
    type: int
  tags:
    description:
      - Labels.
    type: list
    elements: str
  state:
    description: Whether the subnet pool is to be there.
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
- name: Make sure that the subnet pool is there
  stackwright.cloud.subnet_pool:
    cloud: company
    name: campus
    prefixes:
      - 10.64.0.0/12
    default_prefix_length: 24
    address_scope: campus

- name: Make sure that the subnet pool is gone
  stackwright.cloud.subnet_pool:
    cloud: company
    name: campus
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
    run_resource("subnet_pool")


if __name__ == "__main__":
    main()
