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
    description: Users with full permissions in their virtual host, and in no other.
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

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stackwright.cloud.plugins.module_utils.host import systemd
from ansible_collections.stackwright.cloud.plugins.module_utils.service import messaging, units


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "users": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "password": {"type": "str", "required": True, "no_log": True},
                    "vhost": {"type": "str", "default": ""},
                },
            },
            "absent": {"type": "list", "elements": "str", "default": ["guest"]},
        },
        supports_check_mode=True,
        no_log=True,
    )
    wanted = [messaging.User(**entry) for entry in module.params["users"]]
    try:
        if module.check_mode and units.show([messaging.UNIT])[messaging.UNIT].get("ActiveState") != "active":
            # the broker starts in the course of the run that is foretold
            changes = [f"create message queue user {user.name}" for user in wanted]
        else:
            changes = messaging.converge(wanted, module.params["absent"], module.check_mode)
    except (messaging.MessagingError, systemd.UnitsError, OSError) as error:
        module.fail_json(
            msg=f"The services' message queue users could not be prepared: {error}",
            hint="See systemctl status rabbitmq-server and /var/log/rabbitmq on the host; run again once it answers.",
        )
    module.exit_json(
        changed=bool(changes), changes=changes, diff={"before": "", "after": "".join(f"{line}\n" for line in changes)}
    )


if __name__ == "__main__":
    main()
