#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)
"""Ansible module: judge the rows of all security checks and write them down."""

from __future__ import annotations

DOCUMENTATION = r"""
module: security_report
short_description: Judge the security checks of all hosts, and write them down
version_added: 0.1.0
description:
  - Takes the rows of M(stackwright.cloud.security_checks), M(stackwright.cloud.security_probe) and others, applies the
    site's
    waivers, and fails when a check fails that is not waived.
author:
  - The Stackwright developers
options:
  rows:
    description: Rows with the keys check, service, title, value, status, cause and host.
    type: list
    elements: dict
    required: true
  waivers:
    description: Checks that the site decides against, and the reason in words, by the check's identifier.
    type: dict
    default: {}
  path:
    description: File that gets the table as JSON, for its owner alone. Empty for none.
    type: path
    default: ''
attributes:
  check_mode:
    description: Reads only but for the report, which is written in check mode as well.
    support: full
  diff_mode:
    description: Changes nothing, so there is no difference to show.
    support: none
  idempotent:
    description: The report is written anew each time and does not count as a change.
    support: full
"""

EXAMPLES = r"""
- name: No security check fails
  stackwright.cloud.security_report:
    rows: "{{ checked.rows }}"
    waivers:
      Extra-Identity-Rotation: keys are rotated by the key management of the site
    path: .stackwright/security/report.json
  delegate_to: localhost
"""

RETURN = r"""
rows:
  description: All rows, sorted, with the waivers applied.
  returned: always
  type: list
  elements: dict
table:
  description: The table, a line for each row.
  returned: always
  type: list
  elements: str
summary:
  description: What was found, for people.
  returned: always
  type: list
  elements: str
"""

import json
import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stackwright.cloud.plugins.module_utils.host import files
from ansible_collections.stackwright.cloud.plugins.module_utils.verify import security


def write(path: str, content: dict[str, Any]) -> None:
    """Write a report that its owner alone can read, whole or not at all."""
    directory = os.path.dirname(path) or "."
    os.makedirs(directory, mode=0o700, exist_ok=True)
    files.replace_own(path, json.dumps(content, indent=2) + "\n")


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "rows": {"type": "list", "elements": "dict", "required": True},
            "waivers": {"type": "dict", "default": {}},
            "path": {"type": "path", "default": ""},
        },
        supports_check_mode=True,
    )
    given = module.params
    try:
        rows = [security.row_of(row) for row in given["rows"]]
        security.check_waivers(given["waivers"], [row.check for row in rows])
    except security.SecurityError as error:
        module.fail_json(msg=f"The security checks cannot be judged: {error}", rows=[], table=[], summary=[])
    table = security.judge(rows, given["waivers"])
    result: dict[str, Any] = {
        "changed": False,
        "rows": [row.as_dict() for row in table.rows],
        "table": table.lines(),
        "summary": [table.summary(), *table.notes],
    }
    if given["path"]:
        try:
            write(given["path"], {"summary": result["summary"], "rows": result["rows"]})
        except OSError as error:
            module.fail_json(
                msg=f"The report of the security checks cannot be written to {given['path']}: {error.strerror}",
                **result,
            )
    if failure := table.failure():
        module.fail_json(msg=failure, **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
