#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)

from __future__ import annotations

DOCUMENTATION = r"""
module: packages
short_description: Install all distribution packages of a host in one transaction
description:
  - Installs what is missing without starting services, which start once they are configured.
  - Finishes what an interrupted package manager left half done.
author: The Stackwright developers
attributes:
  check_mode: {support: full, description: "Simulates the installation."}
  diff_mode: {support: full, description: "Lists the packages that are added."}
  idempotent: {support: full, description: Reads dpkg's database and does nothing when all is there.}
options:
  names:
    description: Packages that are to be installed.
    type: list
    elements: str
    required: true
  recommends:
    description: Install recommended packages as well.
    type: bool
    default: false
  start_services:
    description: Let packages start their services on installation.
    type: bool
    default: false
  lists_valid_seconds:
    description: Fetch the package lists when something is missing and the lists are older than this.
    type: int
    default: 3600
"""

EXAMPLES = r"""
- name: The packages of the host's services are installed
  stackwright.cloud.packages:
    names: [keystone, glance-api]
"""

RETURN = r"""
added:
  description: Packages that were added or, in check mode, would be.
  type: list
  elements: str
  returned: success
missing:
  description: Named packages that were missing.
  type: list
  elements: str
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stackwright.cloud.plugins.module_utils.service import packages


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "names": {"type": "list", "elements": "str", "required": True},
            "recommends": {"type": "bool", "default": False},
            "start_services": {"type": "bool", "default": False},
            "lists_valid_seconds": {"type": "int", "default": 3600},
        },
        supports_check_mode=True,
    )
    names = sorted(set(module.params["names"]))
    recommends = module.params["recommends"]
    try:
        before = packages.read_state()
        missing = [name for name in names if name not in before.installed]
        if module.check_mode:
            added = packages.simulate(missing, recommends) if missing and packages.lists_age() < float("inf") else missing
            module.exit_json(changed=bool(missing or before.unfinished), added=added, missing=missing, diff=_diff(added))
        packages.restore_policy()
        if before.unfinished:
            packages.finish()
        if missing:
            if packages.lists_age() > module.params["lists_valid_seconds"]:
                packages.update_lists()
            packages.install(missing, recommends, module.params["start_services"])
        after = packages.read_state() if missing or before.unfinished else before
    except packages.PackagesError as error:
        module.fail_json(msg=str(error), hint=error.hint)
    except OSError as error:
        module.fail_json(msg=f"The host's package database cannot be used: {error}")
    added = sorted(set(after.installed) - set(before.installed))
    module.exit_json(changed=bool(added or before.unfinished), added=added, missing=missing, diff=_diff(added))


def _diff(added: list[str]) -> dict[str, str]:
    return {"before_header": "packages", "after_header": "packages", "before": "", "after": "".join(f"{name}\n" for name in added)}


if __name__ == "__main__":
    main()
