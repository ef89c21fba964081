#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)
# Written by tools/modules from the declaration of the resource type. Change that, then run tools/modules.
"""Ansible module: manage a snapshot of a volume."""

from __future__ import annotations

DOCUMENTATION = r"""
module: snapshot
short_description: Manage a snapshot of a volume
version_added: 0.1.0
description:
  - Makes sure that a snapshot is there with the given properties, or is not there.
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
      - Project that it belongs to, that of the login by default. Another one needs a role in it.
      - 'Given as a name or an identifier of a project, or a mapping such as C({name: web, domain: customers}).'
    type: raw
  volume:
    description:
      - Volume that it is of.
      - 'Given as a name or an identifier of a volume, or a mapping such as C({name: web, project: customers}).'
      - Cannot be changed in place, see O(replace).
      - Required when O(state=present).
    type: raw
  description:
    description:
      - Description for people.
    type: str
  metadata:
    description:
      - Metadata. Keys that it does not name are removed.
    type: dict
  state:
    description: Whether the snapshot is to be there.
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
- name: Make sure that the snapshot is there
  stackwright.cloud.snapshot:
    cloud: company
    name: orders-before-upgrade
    project: shop
    volume: orders-data

- name: Make sure that the snapshot is gone
  stackwright.cloud.snapshot:
    cloud: company
    name: orders-before-upgrade
    project: shop
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
    run_resource("snapshot")


if __name__ == "__main__":
    main()
