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
  sources:
    description:
      - Lines of C(/etc/apt/sources.list.d/stackwright.list), used beside the host's own sources. An empty list removes
        the file.
      - Without this option the file stays as it is.
    type: list
    elements: str
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

import contextlib

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stackwright.cloud.plugins.module_utils.service import packages


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "names": {"type": "list", "elements": "str", "required": True},
            "recommends": {"type": "bool", "default": False},
            "start_services": {"type": "bool", "default": False},
            "sources": {"type": "list", "elements": "str"},
            "lists_valid_seconds": {"type": "int", "default": 3600},
        },
        supports_check_mode=True,
    )
    names, lines = sorted(set(module.params["names"])), module.params["sources"]
    try:
        known = packages.read_sources()
        wanted = known if lines is None else "".join(f"{line}\n" for line in lines)
        diff = [_diff(packages.SOURCES, known, wanted)] if wanted != known else []
        state = packages.read_state()
        missing = [name for name in names if name not in state.installed]
        if module.check_mode:
            added = _check(module, missing, bool(diff))
        else:
            if diff:
                packages.write_sources(wanted)
            # a policy of ours that is still there is what a killed run left
            todo = missing or state.unfinished or packages.policy_is_ours()
            added = _install(module, names) if todo else []
    except packages.PackagesError as error:
        module.fail_json(msg=str(error), hint=error.hint)
    except OSError as error:
        module.fail_json(msg=f"The host's package database cannot be used: {error}")
    diff.append(_diff("packages", "", "".join(f"{name}\n" for name in added)))
    module.exit_json(
        changed=bool(added or state.unfinished or wanted != known), added=added, missing=missing, diff=diff
    )


def _check(module: AnsibleModule, missing: list[str], new_sources: bool) -> list[str]:
    """What an installation would add, as far as the lists at hand can tell."""
    if not missing or new_sources or packages.lists_age() == float("inf"):
        return missing
    return packages.simulate(missing, module.params["recommends"])


def _install(module: AnsibleModule, names: list[str]) -> list[str]:
    """Finish what was left half done, install what is missing; return what was added."""
    packages.wait_for_others()
    packages.restore_policy()
    before = packages.read_state()
    missing = [name for name in names if name not in before.installed]
    with contextlib.nullcontext() if module.params["start_services"] else packages.services_held():
        if before.unfinished:
            packages.finish()
        if missing:
            if packages.lists_age() > module.params["lists_valid_seconds"]:
                packages.update_lists()
            packages.install(missing, module.params["recommends"])
    return sorted(set(packages.read_state().installed) - set(before.installed))


def _diff(what: str, before: str, after: str) -> dict[str, str]:
    return {"before_header": what, "after_header": what, "before": before, "after": after}


if __name__ == "__main__":
    main()
