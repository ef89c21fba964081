"""Documentation of the action of the same name; nothing here runs on a target."""

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight_inventory
short_description: Checks a whole inventory before anything connects to a host
version_added: 0.1.0
description:
  - Examines every host of the inventory, whatever C(--limit) says - groups, host names, addresses, networks, names,
    types and ranges of variables, and secrets - and fails with one report of all problems, each with host, variable,
    what is wrong and how to mend it.
  - Runs on the control node and opens no connection.
  - Which variables exist, and of which type, comes from the C(argument_specs) and defaults of all roles; what their
    values must be beyond
    that from C(meta/checks.yml) of their roles; what each group carries from C(stackwright_nodes).
author:
  - The Stackwright developers
options:
  scope:
    description:
      - V(deploy) expects an inventory ready for use.
      - V(inventory) accepts that secrets have not been made yet and that addresses are still placeholders.
    type: str
    choices: [deploy, inventory]
    default: deploy
  roles_path:
    description: Directory of the roles; the collection's own by default.
    type: path
  playbook:
    description:
      - The playbook that says which roles a host gets, directly or through imports; the collection's C(site.yml) by
        default.
    type: path
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
"""

EXAMPLES = r"""
- name: Refuse an inventory that cannot work
  stackwright.cloud.preflight_inventory:
"""

RETURN = r"""
findings:
  description: Everything that has to be mended, in the order of the report.
  type: list
  elements: dict
  returned: always
  contains:
    host:
      description: Name of the host, or V(inventory) where the inventory as a whole is meant.
      type: str
    variable:
      description: The variable or group.
      type: str
    wrong:
      description: What is wrong.
      type: str
    mend:
      description: How to mend it.
      type: str
    where:
      description: File and line, where known.
      type: str
expectations:
  description: What each host must offer, by its name, for M(stackwright.cloud.preflight_host).
  type: dict
  returned: success
"""
