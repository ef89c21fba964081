#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)
"""Ansible module: do a host's security checks in one call."""

from __future__ import annotations

DOCUMENTATION = r"""
module: security_checks
short_description: Do the security checks of a host's services in one call
version_added: 0.1.0
description:
  - Looks at effects on the host - modes and owners, what a process without rights may read, answers over HTTP, owners
    of processes,
    accounts of the database and the message queue - and at the options that running services have.
  - A check that fails is a row of the result and not a failure of the module; M(stackwright.cloud.security_report)
    judges the rows of
    all hosts.
author:
  - The Stackwright developers
options:
  checks:
    description:
      - The catalogue. Each entry has C(check), C(service), C(title), C(mend), C(services), and one of C(files), C(age),
        C(option),
        C(request), C(process), C(accounts), C(unreadable), C(query), C(messaging) and C(open) with its particulars.
    type: list
    elements: dict
    required: true
  services:
    description: Services that this host carries, as C(role) or C(role.component). Checks of others are left out.
    type: list
    elements: str
    required: true
  host:
    description: Name of the host in the rows.
    type: str
    required: true
attributes:
  check_mode:
    description: Reads only, so it does the same in check mode.
    support: full
  diff_mode:
    description: Changes nothing, so there is no difference to show.
    support: none
  idempotent:
    description: Changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: The configuration of Keystone is closed to others
  stackwright.cloud.security_checks:
    host: "{{ inventory_hostname }}"
    services: [keystone]
    checks:
      - check: Check-Identity-02
        service: keystone
        title: the configuration is closed to others
        files: {paths: [/etc/keystone/keystone.conf], forbid: "0027"}
"""

RETURN = r"""
rows:
  description: A row for each check that was done, with the keys check, service, title, value, status, cause and host.
  returned: success
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stackwright.cloud.plugins.module_utils.verify import security_host
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.security import SecurityError


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "checks": {"type": "list", "elements": "dict", "required": True},
            "services": {"type": "list", "elements": "str", "required": True},
            "host": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    given = module.params
    try:
        rows = security_host.rows(given["checks"], given["services"], given["host"])
    except SecurityError as error:
        module.fail_json(msg=f"The catalogue of security checks is wrong: {error}")
    module.exit_json(changed=False, rows=[row.as_dict() for row in rows])


if __name__ == "__main__":
    main()
