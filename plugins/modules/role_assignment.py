#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)
# Written by tools/modules from the declaration of the resource type. Change that, then run tools/modules.
"""Ansible module: manage a role of a user or group in a project, a domain or the system."""

from __future__ import annotations

DOCUMENTATION = r"""
module: role_assignment
short_description: Manage a role of a user or group in a project, a domain or the system
version_added: 0.1.0
description:
  - Makes sure that a role assignment is there with the given properties, or is not there.
  - It is found by O(role), O(user), O(group), O(project), O(domain), O(system), O(inherited), or by O(id).
    Options that are left out are not managed.
author:
  - The Stackwright developers
options:
  role:
    description:
      - Role that is given.
      - 'Given as a name or an identifier of a role, or a mapping such as C({name: web, domain: customers}).'
    type: raw
    required: true
  user:
    description:
      - User that gets it.
      - 'Given as a name or an identifier of a user, or a mapping such as C({name: web, domain: customers}).'
    type: raw
  group:
    description:
      - Group that gets it.
      - 'Given as a name or an identifier of a group, or a mapping such as C({name: web, domain: customers}).'
    type: raw
  project:
    description:
      - Project in which it counts.
      - 'Given as a name or an identifier of a project, or a mapping such as C({name: web, domain: customers}).'
    type: raw
  domain:
    description:
      - Domain in which it counts.
      - Given as a name or an identifier of a domain.
    type: raw
  system:
    description:
      - The whole cloud, written all.
    type: str
    choices:
      - all
  inherited:
    description:
      - Whether it counts in the projects below instead.
    type: bool
  state:
    description: Whether the role assignment is to be there.
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
- name: Make sure that the role assignment is there
  stackwright.cloud.role_assignment:
    cloud: company
    role: member
    user: alice
    project: web

- name: Make sure that the role assignment is gone
  stackwright.cloud.role_assignment:
    cloud: company
    role: member
    user: alice
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
    run_resource("role_assignment")


if __name__ == "__main__":
    main()
