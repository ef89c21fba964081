#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)
"""Ansible module: write down the content of a running cloud as a document."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cloud_export
short_description: Write down the content of a running cloud as a document that changes nothing
version_added: 0.1.0
description:
  - Reads a cloud, or one project of it, and returns the document for M(stackwright.cloud.cloud_state) that describes
    it. Applied to that cloud, the document changes nothing.
  - References are names. Where names cannot tell objects apart, the entry holds their identifier and is listed in
    RV(by_id).
  - Secrets cannot be read. They are left out, and listed in RV(secrets).
  - The same cloud gives the same text, byte for byte, so that differences between two exports are changes of the cloud.
author:
  - The Stackwright developers
options:
  types:
    description: Resource types that are exported, such as C([projects, networks]). All by default.
    type: list
    elements: str
    default: []
  project:
    description:
      - Name or identifier of a project. Only the project and what belongs to it is exported.
    type: str
  system:
    description:
      - Whether to export also what the deployment itself makes in every cloud.
      - That is the catalogue, the domain C(Default), the roles, user and project of the identity service's bootstrap,
        the accounts of the services, and everything in their project.
    type: bool
    default: false
  dest:
    description:
      - File on the managed host to write, with the document as the variable C(cloud_state_document), as
        C(playbooks/cloud_state.yml) takes it. Readable for its owner only, unless O(mode) says otherwise.
    type: path
extends_documentation_fragment:
  - stackwright.cloud.cloud
  - stackwright.cloud.cloud.read
  - ansible.builtin.files
attributes:
  check_mode:
    description: Reads the cloud and does not write O(dest).
    support: full
  diff_mode:
    description: Shows how O(dest) changes.
    support: full
seealso:
  - module: stackwright.cloud.cloud_state
  - module: stackwright.cloud.cloud_info
"""

EXAMPLES = r"""
- name: Write down what the project web holds
  stackwright.cloud.cloud_export:
    cloud: company
    project: web
    dest: web.yml

- name: Read which networks and routers there are
  stackwright.cloud.cloud_export:
    cloud: company
    types: [networks, subnets, routers]
  register: export
"""

RETURN = r"""
document:
  description: The document.
  returned: success
  type: dict
secrets:
  description: Fields that hold a secret and are not in the document, with path, resource and doc.
  returned: success
  type: list
  elements: dict
left_out:
  description: What is not in the document, by type and reason, with count and the first few resources.
  returned: success
  type: list
  elements: dict
by_id:
  description: Entries that only work with this cloud, because only an identifier tells them apart.
  returned: success
  type: list
  elements: str
dest:
  description: The file that was written.
  returned: when O(dest) is given
  type: str
calls:
  description: Number of API requests.
  returned: always
  type: int
seconds:
  description: How long it took.
  returned: always
  type: float
errors:
  description: Every problem with its path, resource, cause and mend.
  returned: failure
  type: list
  elements: dict
"""

from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.faces.export import run_cloud_export


def main() -> None:
    """Entry point."""
    run_cloud_export()


if __name__ == "__main__":
    main()
