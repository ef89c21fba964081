#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)
# Written by tools/modules from the declaration of the resource type. Change that, then run tools/modules.
"""Ansible module: manage a user."""

from __future__ import annotations

DOCUMENTATION = r"""
module: user
short_description: Manage a user
version_added: 0.1.0
description:
  - Makes sure that a user is there with the given properties, or is not there.
  - It is found by O(name), O(domain), or by O(id). Options that are left out are not managed.
author:
  - The Stackwright developers
options:
  name:
    description:
      - Name.
    type: str
    required: true
  domain:
    description:
      - Domain that it belongs to.
      - Given as a name or an identifier of a domain.
    type: raw
  password:
    description:
      - Password. Compared by one login where update_password is always.
    type: str
  update_password:
    description:
      - 'Whether a password that differs is changed: on_create or always.'
    type: str
    choices:
      - on_create
      - always
  email:
    description:
      - Mail address.
    type: str
  default_project:
    description:
      - Project of logins that name none.
      - 'Given as a name or an identifier of a project, or a mapping such as C({name: web, domain: customers}).'
    type: raw
  description:
    description:
      - Description for people.
    type: str
  enabled:
    description:
      - Whether it can be used.
    type: bool
  options:
    description:
      - 'Exceptions from the rules on passwords and logins, such as ignore_lockout_failure_attempts: true.
        Only the options that it names are compared; null takes one away.'
      - Only the given keys are compared.
    type: dict
  state:
    description: Whether the user is to be there.
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
- name: Make sure that the user is there
  stackwright.cloud.user:
    cloud: company
    name: alice
    password: '{{ vault_alice_password }}'
    email: alice@example.com
    default_project: web

- name: Make sure that the user is gone
  stackwright.cloud.user:
    cloud: company
    name: alice
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
    run_resource("user")


if __name__ == "__main__":
    main()
