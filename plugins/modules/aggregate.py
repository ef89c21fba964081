#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)
# Written by tools/modules from the declaration of the resource type. Change that, then run tools/modules.
"""Ansible module: manage a host aggregate."""

from __future__ import annotations

DOCUMENTATION = r"""
module: aggregate
short_description: Manage a host aggregate
version_added: 0.1.0
description:
  - Makes sure that an aggregate is there with the given properties, or is not there.
  - It is found by O(name), or by O(id). Options that are left out are not managed.
author:
  - The Stackwright developers
options:
  name:
    description:
      - Name.
    type: str
    required: true
  availability_zone:
    description:
      - Availability zone that its hosts form; empty for none, which only a new aggregate can have.
    type: str
  metadata:
    description:
      - Properties for the scheduler. Keys that it does not name are removed.
    type: dict
  hosts:
    description:
      - Compute hosts in it; others are taken out.
    type: list
    elements: str
  state:
    description: Whether the aggregate is to be there.
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
- name: Make sure that the aggregate is there
  stackwright.cloud.aggregate:
    cloud: company
    name: fast-disks
    availability_zone: north-1
    metadata:
      ssd: 'true'
    hosts:
      - compute1
      - compute2

- name: Make sure that the aggregate is gone
  stackwright.cloud.aggregate:
    cloud: company
    name: fast-disks
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
    run_resource("aggregate")


if __name__ == "__main__":
    main()
