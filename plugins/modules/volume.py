#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)
# Written by tools/modules from the declaration of the resource type. Change that, then run tools/modules.
"""Ansible module: manage a volume."""

from __future__ import annotations

DOCUMENTATION = r"""
module: volume
short_description: Manage a volume
version_added: 0.1.0
description:
  - Makes sure that a volume is there with the given properties, or is not there.
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
  size:
    description:
      - Size in GiB. It can only grow.
    type: int
  type:
    description:
      - Volume type. Another one is changed in place.
      - Given as a name or an identifier of a volume type.
    type: raw
  retype_migration:
    description:
      - Whether a new type may move the data to another backend.
    type: str
    choices:
      - never
      - on-demand
  image:
    description:
      - Image that it is made of.
      - 'Given as a name or an identifier of an image, or a mapping such as C({name: web, project: customers}).'
    type: raw
  snapshot:
    description:
      - Snapshot that it is made of.
      - 'Given as a name or an identifier of a snapshot, or a mapping such as C({name: web, project: customers}).'
    type: raw
  source:
    description:
      - Volume that it is a copy of.
      - 'Given as a name or an identifier of a volume, or a mapping such as C({name: web, project: customers}).'
    type: raw
  availability_zone:
    description:
      - Availability zone.
      - Cannot be changed in place, see O(replace).
    type: str
  description:
    description:
      - Description for people.
    type: str
  metadata:
    description:
      - Metadata. Keys that it does not name are removed.
    type: dict
  bootable:
    description:
      - Whether servers may boot from it.
    type: bool
  read_only:
    description:
      - Whether it is attached read-only.
    type: bool
  state:
    description: Whether the volume is to be there.
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
- name: Make sure that the volume is there
  stackwright.cloud.volume:
    cloud: company
    name: orders-data
    project: shop
    size: 20
    type: standard

- name: Make sure that the volume is gone
  stackwright.cloud.volume:
    cloud: company
    name: orders-data
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
    run_resource("volume")


if __name__ == "__main__":
    main()
