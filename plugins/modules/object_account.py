#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)
# Written by tools/modules from the declaration of the resource type. Change that, then run tools/modules.
"""Ansible module: manage the metadata of a project's account in the object store."""

from __future__ import annotations

DOCUMENTATION = r"""
module: object_account
short_description: Manage the metadata of a project's account in the object store
version_added: 0.1.0
description:
  - Makes sure that an object account is there with the given properties, or is not there.
  - It is found by O(project), or by O(id). Options that are left out are not managed.
author:
  - The Stackwright developers
options:
  project:
    description:
      - Project that it belongs to, that of the login by default. Another one needs a role in it.
      - 'Given as a name or an identifier of a project, or a mapping such as C({name: web, domain: customers}).'
    type: raw
  metadata:
    description:
      - Metadata. Only keys that are named are looked at; null removes one.
      - Only the given keys are compared.
    type: dict
  quota_bytes:
    description:
      - Most bytes in it, -1 for no limit. Needs the role ResellerAdmin.
    type: int
  temp_url_key:
    description:
      - Key that signs temporary addresses; empty for none.
    type: str
  temp_url_key_2:
    description:
      - A second such key, for a change.
    type: str
  state:
    description: Whether the object account is to be there.
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
- name: Make sure that the object account is there
  stackwright.cloud.object_account:
    cloud: company
    project: web
    quota_bytes: 107374182400
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
    run_resource("object_account")


if __name__ == "__main__":
    main()
