#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)
# Written by tools/modules from the declaration of the resource type. Change that, then run tools/modules.
"""Ansible module: manage an object of the object store."""

from __future__ import annotations

DOCUMENTATION = r"""
module: object
short_description: Manage an object of the object store
version_added: 0.1.0
description:
  - Makes sure that an object is there with the given properties, or is not there.
  - It is found by O(name), O(container), O(project), or by O(id). Options that are left out are not managed.
author:
  - The Stackwright developers
options:
  name:
    description:
      - Name, which may hold slashes.
    type: str
    required: true
  container:
    description:
      - Container that it is in.
      - 'Given as a name or an identifier of an object container, or a mapping such as C({name: web, project:
        customers}).'
    type: raw
    required: true
  project:
    description:
      - Project that it belongs to, that of the login by default. Another one needs a role in it.
      - 'Given as a name or an identifier of a project, or a mapping such as C({name: web, domain: customers}).'
    type: raw
  file:
    description:
      - File of the host that runs the module. Compared by its md5, as the service does.
    type: str
  content:
    description:
      - Text that it holds.
    type: str
  content_type:
    description:
      - Media type.
    type: str
  metadata:
    description:
      - Metadata. Keys that it does not name are removed.
    type: dict
  state:
    description: Whether the object is to be there.
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
- name: Make sure that the object is there
  stackwright.cloud.object:
    cloud: company
    name: robots.txt
    container: pictures
    project: web
    content: 'User-agent: *'
    content_type: text/plain

- name: Make sure that the object is gone
  stackwright.cloud.object:
    cloud: company
    name: robots.txt
    container: pictures
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
    run_resource("object")


if __name__ == "__main__":
    main()
