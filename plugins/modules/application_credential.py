#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)
# Written by tools/modules from the declaration of the resource type. Change that, then run tools/modules.
"""Ansible module: manage an application credential of the login's user in the login's project."""

from __future__ import annotations

DOCUMENTATION = r"""
module: application_credential
short_description: Manage an application credential of the login's user in the login's project
version_added: 0.1.0
description:
  - Makes sure that an application credential is there with the given properties, or is not there.
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
      - Cannot be changed in place, see O(replace).
    type: str
  secret:
    description:
      - Secret of a new one. It is not compared.
    type: str
  roles:
    description:
      - Roles that it has, those of the login by default.
      - 'Each is a name or an identifier of a role, or a mapping such as C({name: web, domain: customers}).'
      - Cannot be changed in place, see O(replace).
    type: list
    elements: raw
  expires_at:
    description:
      - When it ends, such as 2027-01-31T12:00:00, in UTC.
      - Cannot be changed in place, see O(replace).
    type: str
  unrestricted:
    description:
      - Whether it may make and remove others like it.
      - Cannot be changed in place, see O(replace).
    type: bool
  access_rules:
    description:
      - The only requests that it is good for; all that its roles allow by default.
      - Cannot be changed in place, see O(replace).
    type: list
    elements: dict
    suboptions:
      path:
        description:
          - Path of the request, such as /v2.1/servers; * stands for a part, ** for several.
        type: str
        required: true
      method:
        description:
          - Method of the request, such as GET.
        type: str
        required: true
      service:
        description:
          - Type of the service that it goes to, such as compute.
        type: str
        required: true
  state:
    description: Whether the application credential is to be there.
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
- name: Make sure that the application credential is there
  stackwright.cloud.application_credential:
    cloud: company
    name: backup-robot
    description: Takes the nightly backups
    secret: '{{ vault_backup_robot_secret }}'
    roles:
      - member
    expires_at: '2027-12-31T23:59:59'

- name: Make sure that the application credential is gone
  stackwright.cloud.application_credential:
    cloud: company
    name: backup-robot
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
    run_resource("application_credential")


if __name__ == "__main__":
    main()
