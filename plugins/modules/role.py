#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)
# Written by tools/modules from the declaration of the resource type. Change that, then run tools/modules.
"""Ansible module: manage a role."""

from __future__ import annotations

DOCUMENTATION = r"""
module: role
short_description: Manage a role
version_added: 0.1.0
description:
  - Makes sure that a role is there with the given properties, or is not there.
  - It is found by O(name), O(domain), or by O(id). Options that are left out are not managed.
author:
  - The Stackwright developers
options:
  name:
    description:
      - Name.
    type: str
    required: true
  domain:
    description:
      - Domain of a domain's own role.
      - Given as a name or an identifier of a domain.
    type: raw
  description:
    description:
      - Description for people.
    type: str
  options:
    description:
      - 'immutable: true guards it against changes and removal. Only the options that it names are compared;
        null takes one away.'
      - Only the given keys are compared.
    type: dict
  state:
    description: Whether the role is to be there.
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
- name: Make sure that the role is there
  stackwright.cloud.role:
    cloud: company
    name: auditor
    description: May look and not touch

- name: Make sure that the role is gone
  stackwright.cloud.role:
    cloud: company
    name: auditor
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
    run_resource("role")


if __name__ == "__main__":
    main()
