#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)

from __future__ import annotations

DOCUMENTATION = r"""
module: configuration
short_description: Write all configuration files of a host as one transaction
description:
  - Renders, compares and validates every given file, and writes only if all of them are good.
  - Writes are atomic. What a transaction replaces is kept below C(/var/lib/stackwright/generations).
  - Options of OpenStack services are checked against the definitions that the installed service itself carries.
author: The Stackwright developers
attributes:
  check_mode: {support: full, description: "Compares and validates, and writes nothing."}
  diff_mode: {support: full, description: "Shows the difference of every file, secrets masked. Text that is not
    C(public) is counted only."}
  idempotent: {support: full, description: "A file that is as described is left alone."}
options:
  files:
    description:
      - What each path is to be. Keys are absolute paths.
      - Each value has one of C(content) (text), C(options) (section, option, value; a list or mapping is written as the
        option's type
        wants it where there are C(definitions)), C(link) (target), or C(hosts) (names and addresses, for a block in a
        file like
        C(/etc/hosts) whose other lines are left alone; C(lines) adds to it), and optionally C(state)
        (V(file), V(directory), V(link), V(absent)), C(owner), C(group), C(mode) (octal digits in quotes),
        C(units) (that read the file), C(reloads) (that take it anew when they are reloaded),
        C(public) (the text may be shown in differences), C(validate) (a command with C(%s) for the file),
        C(definitions) (namespaces of option definitions) and C(free_sections) (not checked).
    type: dict
    required: true
  secrets:
    description: Values that must not show in results, differences or logs, in whatever form a file holds them.
    type: list
    elements: str
    default: []
  packages_pending:
    description: The packages that own the files are not installed yet; only meaningful in check mode.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: The service is configured
  stackwright.cloud.configuration:
    files:
      /etc/nova/nova.conf:
        options: {DEFAULT: {debug: false}}
        definitions: [nova.conf, oslo.log]
        group: nova
        mode: "0640"
        units: [nova-api]
"""

RETURN = r"""
changed_files:
  description: Paths that were written or would be.
  type: list
  elements: str
  returned: always
restart:
  description: Units that read a changed file.
  type: list
  elements: str
  returned: always
reload:
  description: Units that take a changed file anew when they are reloaded.
  type: list
  elements: str
  returned: always
generation:
  description: Directory that keeps what was replaced; empty if nothing was.
  type: str
  returned: success
problems:
  description: One sentence for each reason why nothing was written.
  type: list
  elements: str
  returned: failure
"""

from ansible_collections.stackwright.cloud.plugins.module_utils.service import face, phases


def main() -> None:
    """Entry point."""
    face.run(phases.OWN["files"], secret=True)


if __name__ == "__main__":
    main()
