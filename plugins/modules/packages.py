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
  upgrade:
    description:
      - With V(install) those of O(names) that are installed get their newest versions, with what these need; nothing
        else is done. With V(fetch) they are only fetched. Services are not restarted.
    type: str
    choices: [none, fetch, install]
    default: none
"""

EXAMPLES = r"""
- name: The packages of the host's services are installed
  stackwright.cloud.packages:
    names: [keystone, glance-api]
"""

RETURN = r"""
upgraded:
  description: Packages of which there are newer versions, with C(name), C(before) and C(after).
  type: list
  elements: dict
  returned: when O(upgrade) is not V(none)
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

from ansible_collections.stackwright.cloud.plugins.module_utils.service import face, phases


def main() -> None:
    """Entry point."""
    face.run(phases.OWN["packages"])


if __name__ == "__main__":
    main()
