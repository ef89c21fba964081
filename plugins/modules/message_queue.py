#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)

from __future__ import annotations

DOCUMENTATION = r"""
module: message_queue
short_description: Create the message queue users of all services in one call
description:
  - Runs on the broker's host. Reads all users in one export and writes the differences in one import.
  - A user may use the virtual hosts that are named for it; permissions that it has in others are taken away.
  - The virtual host C(/), which every broker begins with, is removed with its queues once nobody may use it any more.
author: The Stackwright developers
attributes:
  check_mode: {support: full, description: "Says what would be changed."}
  diff_mode: {support: full, description: "A line for each change."}
  idempotent: {support: full, description: "Compares password hashes and permissions before it writes."}
options:
  users:
    description: Users with permissions in their virtual host, and in no other.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the user.
        type: str
        required: true
      password:
        description: The user's password.
        type: str
        required: true
      vhost:
        description: Virtual host; C(/) and the user's name when left out.
        type: str
        default: ''
      configure:
        description: Regular expression over the names of queues and exchanges that it may declare and delete.
        type: str
        default: .*
      write:
        description: The same for what it may publish to and bind.
        type: str
        default: .*
      read:
        description: The same for what it may consume and bind to.
        type: str
        default: .*
      topics:
        description:
          - Topic exchanges, each with C(write) and C(read), regular expressions over the routing keys
            that it may publish with and bind queues to. All may be used in exchanges that are not named.
        type: dict
        default: {}
  absent:
    description: Users that must not exist.
    type: list
    elements: str
    default: [guest]
"""

EXAMPLES = r"""
- name: The services may use the message queue
  stackwright.cloud.message_queue:
    users:
      - name: nova
        password: "{{ stackwright_secrets.nova_messaging }}"
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
    face.run(phases.OWN["messaging"], secret=True)


if __name__ == "__main__":
    main()
