"""Documentation of the action of the same name; nothing here runs on a target."""

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight_report
short_description: Reports the problems of all hosts at once
version_added: 0.1.0
description:
  - Collects what M(stackwright.cloud.preflight_host) found on every host, compares the hosts with each other, and fails
    with one report when there is anything to mend.
author:
  - The Stackwright developers
options:
  results:
    description: Name of each host with the result of M(stackwright.cloud.preflight_host) on it.
    type: dict
    required: true
attributes:
  check_mode:
    description: Changes nothing in any mode.
    support: full
  diff_mode:
    description: There is nothing to compare.
    support: none
  idempotent:
    description: Changes nothing.
    support: full
seealso:
  - module: stackwright.cloud.preflight_host
"""

EXAMPLES = r"""
- name: No host has a problem
  stackwright.cloud.preflight_report:
    results: "{{ dict(ansible_play_hosts | zip(ansible_play_hosts | map('extract', hostvars, 'preflight_host'))) }}"
  run_once: true
"""

RETURN = r"""
findings:
  description: Everything that has to be mended, sorted by host, as M(stackwright.cloud.preflight_inventory) returns it.
  type: list
  elements: dict
  returned: always
notes:
  description: What is worth knowing of each host although it stops nothing.
  type: dict
  returned: always
"""
