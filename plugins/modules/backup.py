#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)
# Written by tools/modules from the declaration of the resource type. Change that, then run tools/modules.
"""Ansible module: manage a backup of a volume."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup
short_description: Manage a backup of a volume
version_added: 0.1.0
description:
  - Makes sure that a backup is there with the given properties, or is not there.
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
  snapshot:
    description:
      - Snapshot of the volume to back up.
      - 'Given as a name or an identifier of a snapshot, or a mapping such as C({name: web, project: customers}).'
    type: raw
  incremental:
    description:
      - Whether only what changed since the last one is kept.
    type: bool
  force:
    description:
      - Whether an attached volume may be backed up.
    type: bool
  container:
    description:
      - Container or pool of the backup store.
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
  state:
    description: Whether the backup is to be there.
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
- name: Make sure that the backup is there
  stackwright.cloud.backup:
    cloud: company
    name: orders-monday
    project: shop
    volume: orders-data
    incremental: false

- name: Make sure that the backup is gone
  stackwright.cloud.backup:
    cloud: company
    name: orders-monday
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
    run_resource("backup")


if __name__ == "__main__":
    main()
