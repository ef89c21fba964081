#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)
# Written by tools/modules from the declaration of the resource type. Change that, then run tools/modules.
"""Ansible module: manage a segment of a routed network."""

from __future__ import annotations

DOCUMENTATION = r"""
module: segment
short_description: Manage a segment of a routed network
version_added: 0.1.0
description:
  - Makes sure that a segment is there with the given properties, or is not there.
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
  description:
    description:
      - Description for people.
    type: str
  network_type:
    description:
      - How it is carried, such as vlan or flat.
      - Cannot be changed in place, see O(replace).
      - Required when O(state=present).
    type: str
  physical_network:
    description:
      - Physical network that carries it.
      - Cannot be changed in place, see O(replace).
    type: str
  segmentation_id:
    description:
      - VLAN or tunnel number.
      - Cannot be changed in place, see O(replace).
    type: int
  state:
    description: Whether the segment is to be there.
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
- name: Make sure that the segment is there
  stackwright.cloud.segment:
    cloud: company
    name: rack-1
    network: campus
    network_type: vlan
    physical_network: rack1
    segmentation_id: 101

- name: Make sure that the segment is gone
  stackwright.cloud.segment:
    cloud: company
    name: rack-1
    network: campus
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
    run_resource("segment")


if __name__ == "__main__":
    main()
