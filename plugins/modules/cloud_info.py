#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)
"""Ansible module: read many resource types of a cloud in one call."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cloud_info
short_description: Read projects, networks, servers and all else of a cloud in one call
version_added: 0.1.0
description:
  - Reads any number of resource types with one login and one list call per type.
  - Objects have the same fields as the entries of M(stackwright.cloud.cloud_state), with names for references.
  - Secrets are never returned.
author:
  - The Stackwright developers
options:
  resources:
    description:
      - The types to read, as a list such as C([projects, servers]), or as words with commas between them.
      - >-
        Or a mapping of types to filters: C(names) and C(ids) (a value or a list) and C(project) (name or identifier).
        Several filters must all hold.
    type: raw
    required: true
  references:
    description:
      - How objects that others refer to are shown. For V(names), the types that are referred to are listed too; those
        that this login may not list are shown by identifier.
    type: str
    choices: [names, ids]
    default: names
  details:
    description:
      - Whether each object also holds what the service answered, under the key C(api), and the fields that take calls
        of
        their own, such as the members of an image.
    type: bool
    default: false
extends_documentation_fragment:
  - stackwright.cloud.cloud
  - stackwright.cloud.cloud.read
seealso:
  - module: stackwright.cloud.cloud_export
    description: Writes a document that M(stackwright.cloud.cloud_state) takes.
"""

EXAMPLES = r"""
- name: Read who may use what
  stackwright.cloud.cloud_info:
    cloud: company
    resources: [projects, users, role_assignments]
  register: cloud

- name: Read two projects as the service shows them
  stackwright.cloud.cloud_info:
    cloud: company
    resources:
      projects: {names: [web, shop]}
      users:
    details: true
"""

RETURN = r"""
resources:
  description: Objects by type. Each has C(id) and the fields of its type.
  returned: success
  type: dict
  sample:
    projects:
      - {id: 5c1e0b9dd9a94d9a9d6c3f1c1f9d3b7a, name: web, domain: Default, enabled: true}
calls:
  description: Number of API requests.
  returned: always
  type: int
seconds:
  description: How long it took.
  returned: always
  type: float
errors:
  description: Every problem with its path in O(resources), resource, cause and mend.
  returned: failure
  type: list
  elements: dict
"""

from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.faces.info import run_cloud_info


def main() -> None:
    """Entry point."""
    run_cloud_info()


if __name__ == "__main__":
    main()
