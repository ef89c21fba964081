#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)
# Written by tools/modules from the declaration of the resource type. Change that, then run tools/modules.
"""Ansible module: manage a DNS zone."""

from __future__ import annotations

DOCUMENTATION = r"""
module: zone
short_description: Manage a DNS zone
version_added: 0.1.0
description:
  - Makes sure that a zone is there with the given properties, or is not there.
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
  email:
    description:
      - Address for complaints about it.
    type: str
  ttl:
    description:
      - Seconds for which answers are kept.
    type: int
  type:
    description:
      - Where its data come from.
      - Cannot be changed in place, see O(replace).
    type: str
    choices:
      - PRIMARY
      - SECONDARY
  masters:
    description:
      - Servers that a secondary zone is copied from, as address or address:port.
    type: list
    elements: str
  description:
    description:
      - Description for people.
    type: str
  state:
    description: Whether the zone is to be there.
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
- name: Make sure that the zone is there
  stackwright.cloud.zone:
    cloud: company
    name: example.com.
    project: web
    email: hostmaster@example.com
    ttl: 3600

- name: Make sure that the zone is gone
  stackwright.cloud.zone:
    cloud: company
    name: example.com.
    project: web
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
    run_resource("zone")


if __name__ == "__main__":
    main()
