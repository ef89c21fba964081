#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)
"""Ansible module: do the security checks that a cloud's APIs answer."""

from __future__ import annotations

DOCUMENTATION = r"""
module: security_probe
short_description: Try on a cloud's APIs what must be refused
version_added: 0.1.0
description:
  - Makes a user and logs in with wrong passwords until it must be locked out, asks for a user with a weak password,
    reads the options
    of the services' users, and has Glance asked to fetch an image from inside. What is made is removed in the same
    call.
  - A check that fails is a row of the result and not a failure of the module.
author:
  - The Stackwright developers
extends_documentation_fragment: [stackwright.cloud.administrator]
options:
  attempts:
    description: Wrong passwords after which a user is locked out; V(0) if the cloud locks nobody out.
    type: int
    required: true
  services:
    description: Users whom nobody may lock out.
    type: list
    elements: str
    required: true
  inside:
    description: Address of a web page that only the cloud's own machines should reach.
    type: str
    required: true
attributes:
  check_mode:
    description: Does nothing and returns no rows in check mode, since a user and an image would have to be made.
    support: full
  diff_mode:
    description: Nothing lasts, so there is no difference to show.
    support: none
  idempotent:
    description: What is made is removed.
    support: full
"""

EXAMPLES = r"""
- name: Guessing, weak passwords and fetching from inside are refused
  stackwright.cloud.security_probe:
    auth: "{{ stackwright_administrator }}"
    interface: internal
    attempts: 6
    services: [glance, nova, neutron, placement]
    inside: http://192.0.2.11/
"""

RETURN = r"""
rows:
  description: A row for each check, with the keys check, service, title, value, status, cause and host.
  returned: success
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.cloud import ARGUMENTS, SdkError, connect
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.security_probe import Probe


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            **ARGUMENTS,
            "attempts": {"type": "int", "required": True},
            "services": {"type": "list", "elements": "str", "required": True},
            "inside": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    given = module.params
    if module.check_mode:
        module.exit_json(changed=False, rows=[])
    try:
        cloud = connect(given)
    except SdkError as error:
        module.fail_json(msg=str(error))
    probe = Probe(cloud, given["attempts"], given["services"], given["inside"])
    module.exit_json(changed=False, rows=[row.as_dict() for row in probe.rows()])


if __name__ == "__main__":
    main()
