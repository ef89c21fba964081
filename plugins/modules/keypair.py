#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)
# Written by tools/modules from the declaration of the resource type. Change that, then run tools/modules.
"""Ansible module: manage a key pair of the login's user."""

from __future__ import annotations

DOCUMENTATION = r"""
module: keypair
short_description: Manage a key pair of the login's user
version_added: 0.1.0
description:
  - Makes sure that a keypair is there with the given properties, or is not there.
  - It is found by O(name), or by O(id). Options that are left out are not managed.
author:
  - The Stackwright developers
options:
  name:
    description:
      - Name.
    type: str
    required: true
  public_key:
    description:
      - The public key as ssh-keygen writes it. Its comment does not count.
      - Cannot be changed in place, see O(replace).
      - Required when O(state=present).
    type: str
  type:
    description:
      - Kind of key.
      - Cannot be changed in place, see O(replace).
    type: str
    choices:
      - ssh
      - x509
  state:
    description: Whether the keypair is to be there.
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
- name: Make sure that the keypair is there
  stackwright.cloud.keypair:
    cloud: company
    name: operator
    public_key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEj8RUvBHKjHnXsvAw4rYJ4b5mOOzXQyG7v5m0b4sZyR operator@example.com

- name: Make sure that the keypair is gone
  stackwright.cloud.keypair:
    cloud: company
    name: operator
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
    run_resource("keypair")


if __name__ == "__main__":
    main()
