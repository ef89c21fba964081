#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)

from __future__ import annotations

DOCUMENTATION = r"""
module: databases
short_description: Create the databases of all services and their users in one call
description:
  - Runs on the database host and connects through the server's local socket as root.
  - Users may log in from the addresses that are named and from no others; accounts of theirs that any host may use are
    removed.
author: The Stackwright developers
attributes:
  check_mode: {support: full, description: "Says what would be changed."}
  diff_mode: {support: full, description: "A line for each change."}
  idempotent: {support: full, description: "Compares databases, password hashes and grants before it writes."}
options:
  databases:
    description: Databases with their users.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the database.
        type: str
        required: true
      user:
        description: User with all privileges in it.
        type: str
        required: true
      password:
        description: The user's password.
        type: str
        required: true
  hosts:
    description: Addresses from which the users may log in. Accounts at further addresses stay, since they are those of
      other hosts.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: The services' databases exist
  stackwright.cloud.databases:
    databases:
      - name: glance
        user: glance
        password: "{{ stackwright_secrets.glance_database }}"
    hosts: ["{{ stackwright_management_address }}"]
"""

RETURN = r"""
changes:
  description: What was changed or would be, a line each.
  type: list
  elements: str
  returned: success
"""

from ansible_collections.stackwright.cloud.plugins.module_utils.service import face, phases


def main() -> None:
    """Entry point."""
    face.run(phases.OWN["databases"], secret=True)


if __name__ == "__main__":
    main()
