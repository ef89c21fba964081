#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)
# Written by tools/modules from the declaration of the resource type. Change that, then run tools/modules.
"""Ansible module: manage a volume type."""

from __future__ import annotations

DOCUMENTATION = r"""
module: volume_type
short_description: Manage a volume type
version_added: 0.1.0
description:
  - Makes sure that a volume type is there with the given properties, or is not there.
  - It is found by O(name), or by O(id). Options that are left out are not managed.
author:
  - The Stackwright developers
options:
  name:
    description:
      - Name.
    type: str
    required: true
  description:
    description:
      - Description for people.
    type: str
  public:
    description:
      - Whether every project may use it.
    type: bool
  extra_specs:
    description:
      - Extra specs, such as volume_backend_name. Keys that it does not name are removed.
    type: dict
  access:
    description:
      - Projects that may use it when it is not public; others lose access.
      - 'Each is a name or an identifier of a project, or a mapping such as C({name: web, domain: customers}).'
    type: list
    elements: raw
  encryption:
    description:
      - 'How its volumes are encrypted: provider, cipher, key_size, control_location. An empty mapping for
        not at all.'
    type: dict
  qos:
    description:
      - QoS specification.
      - Given as a name or an identifier of a volume qos.
    type: raw
  state:
    description: Whether the volume type is to be there.
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
- name: Make sure that the volume type is there
  stackwright.cloud.volume_type:
    cloud: company
    name: standard
    description: Replicated three times
    extra_specs:
      volume_backend_name: ceph
    qos: limited

- name: Make sure that the volume type is gone
  stackwright.cloud.volume_type:
    cloud: company
    name: standard
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
    run_resource("volume_type")


if __name__ == "__main__":
    main()
