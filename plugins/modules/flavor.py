#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)
# Written by tools/modules from the declaration of the resource type. Change that, then run tools/modules.
"""Ansible module: manage a flavor, the size of a server."""

from __future__ import annotations

DOCUMENTATION = r"""
module: flavor
short_description: Manage a flavor, the size of a server
version_added: 0.1.0
description:
  - Makes sure that a flavor is there with the given properties, or is not there.
  - It is found by O(name), or by O(id). Options that are left out are not managed.
author:
  - The Stackwright developers
options:
  name:
    description:
      - Name.
    type: str
    required: true
  ram:
    description:
      - Memory in MiB.
      - Cannot be changed in place, see O(replace).
      - Required when O(state=present).
    type: int
  vcpus:
    description:
      - Virtual processors.
      - Cannot be changed in place, see O(replace).
      - Required when O(state=present).
    type: int
  disk:
    description:
      - Root disk in GiB; 0 for as large as the image.
      - Cannot be changed in place, see O(replace).
    type: int
  ephemeral:
    description:
      - Second disk in GiB, empty at first.
      - Cannot be changed in place, see O(replace).
    type: int
  swap:
    description:
      - Swap disk in MiB.
      - Cannot be changed in place, see O(replace).
    type: int
  flavor_id:
    description:
      - Identifier; the service picks one when left out.
      - Cannot be changed in place, see O(replace).
    type: str
  rxtx_factor:
    description:
      - Factor of its traffic, for drivers that know one.
      - Cannot be changed in place, see O(replace).
    type: float
  public:
    description:
      - Whether every project may use it.
      - Cannot be changed in place, see O(replace).
    type: bool
  description:
    description:
      - Description for people.
    type: str
  extra_specs:
    description:
      - Extra specs, such as hw:cpu_policy. Keys that it does not name are removed.
    type: dict
  access:
    description:
      - Projects that may use it when it is not public; others lose access.
      - 'Each is a name or an identifier of a project, or a mapping such as C({name: web, domain: customers}).'
    type: list
    elements: raw
  state:
    description: Whether the flavor is to be there.
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
- name: Make sure that the flavor is there
  stackwright.cloud.flavor:
    cloud: company
    name: company.small
    ram: 256
    vcpus: 1
    disk: 1

- name: Make sure that the flavor is gone
  stackwright.cloud.flavor:
    cloud: company
    name: company.small
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
    run_resource("flavor")


if __name__ == "__main__":
    main()
