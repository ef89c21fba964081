#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)
# Written by tools/modules from the declaration of the resource type. Change that, then run tools/modules.
"""Ansible module: manage a trunk, several networks on one port of a server."""

from __future__ import annotations

DOCUMENTATION = r"""
module: trunk
short_description: Manage a trunk, several networks on one port of a server
version_added: 0.1.0
description:
  - Makes sure that a trunk is there with the given properties, or is not there.
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
  port:
    description:
      - Port that carries the others.
      - 'Given as a name or an identifier of a port, or a mapping such as C({name: web, project: customers}).'
      - Cannot be changed in place, see O(replace).
      - Required when O(state=present).
    type: raw
  description:
    description:
      - Description for people.
    type: str
  enabled:
    description:
      - Whether it carries traffic.
    type: bool
  subports:
    description:
      - Ports that it carries; others are taken out.
    type: list
    elements: dict
    suboptions:
      port:
        description:
          - Port.
          - 'Given as a name or an identifier of a port, or a mapping such as C({name: web, project: customers}).'
        type: raw
        required: true
      segmentation_type:
        description:
          - How they are told apart, vlan by default.
        type: str
        choices:
          - vlan
          - inherit
      segmentation_id:
        description:
          - VLAN number.
        type: int
        required: true
  tags:
    description:
      - Labels.
    type: list
    elements: str
  state:
    description: Whether the trunk is to be there.
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
- name: Make sure that the trunk is there
  stackwright.cloud.trunk:
    cloud: company
    name: database
    port: database
    subports:
      - port: database-backup
        segmentation_id: 20

- name: Make sure that the trunk is gone
  stackwright.cloud.trunk:
    cloud: company
    name: database
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
    run_resource("trunk")


if __name__ == "__main__":
    main()
