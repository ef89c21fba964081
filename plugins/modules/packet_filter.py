#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)

from __future__ import annotations

DOCUMENTATION = r"""
module: packet_filter
short_description: Let nothing into a host but what its services are for
version_added: 0.1.0
description:
  - Makes the nftables table C(inet stackwright) on the host, with an input chain of its own, and leaves all other
    tables alone.
  - A new table is loaded under a timer that takes it back. It is kept, and read at boot, only after a fresh login over
    the same path
    was proved; otherwise the host goes back to what it had.
  - SSH is let in on the ports on which the host's sshd really listens.
author: The Stackwright developers
attributes:
  check_mode: {support: full, description: "Says what would be changed."}
  diff_mode: {support: full, description: "Shows the table and the files."}
  idempotent: {support: full, description: "Compares files and the kernel's table with the one that was proved."}
options:
  described:
    description:
      - What the lookup P(stackwright.cloud.service_filter#lookup) tells of the host, in place of O(rules). A problem
        that it found ends the task.
    type: dict
  rules:
    description: What the host lets in, as P(stackwright.cloud.service_filter#lookup) returns it under C(rules).
    type: dict
    default: {}
  enabled:
    description: Whether there is a filter; without it the table, its files and its unit are removed.
    type: bool
    default: true
  undo_after:
    description: Seconds after which the host takes a table back that was not confirmed.
    type: int
    default: 60
  step:
    description: What this call does. Leave it out; the action plug-in sets it.
    type: str
    choices: [apply, confirm, undo]
    default: apply
  tried:
    description: The kernel's listing of the table that was tried. Leave it out; the action plug-in sets it.
    type: str
    default: ''
"""

EXAMPLES = r"""
- name: Nothing comes in but what the services are for
  stackwright.cloud.packet_filter:
    rules: "{{ lookup('stackwright.cloud.service_filter', {'controller': ['base', 'controller']}).rules }}"
"""

RETURN = r"""
changes:
  description: What was changed or would be, a line each.
  type: list
  elements: str
  returned: success
ssh_ports:
  description: Ports on which SSH is let in.
  type: list
  elements: int
  returned: success
"""

import pwd
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stackwright.cloud.plugins.module_utils.host import systemd
from ansible_collections.stackwright.cloud.plugins.module_utils.service import (
    configuration,
    filter_host,
    packet_filter,
)

ADVICE = (
    "See nft list table inet stackwright and journalctl -b -p err on the host; base_filter: false leaves "
    "the filter out."
)


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "rules": {"type": "dict", "default": {}},
            "enabled": {"type": "bool", "default": True},
            "undo_after": {"type": "int", "default": 60},
            "step": {"type": "str", "choices": ["apply", "confirm", "undo"], "default": "apply"},
            "tried": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    try:
        bring(module)
    except configuration.ConfigurationError as error:
        module.fail_json(msg=f"The packet filter's files cannot be written: {error}", hint=ADVICE)
    except (filter_host.FilterHostError, systemd.UnitsError, OSError) as error:
        module.fail_json(msg=f"The packet filter could not be set up: {error}", hint=ADVICE)


def bring(module: AnsibleModule) -> None:
    """Do the step and end the module."""
    given: dict[str, Any] = module.params
    if given["step"] == "undo":
        filter_host.undo()
        module.exit_json(changed=True, changes=[])
    ports = filter_host.find_ssh_ports()
    numbers = {one.pw_name: one.pw_uid for one in pwd.getpwall()}
    text = packet_filter.render(packet_filter.Rules(**given["rules"]), ports, numbers) if given["enabled"] else ""
    if given["step"] == "confirm":
        filter_host.confirm(text, given["tried"])
        module.exit_json(changed=True, changes=[])
    state = filter_host.compare(text)
    result: dict[str, Any] = {
        "changed": bool(state.changes),
        "changes": state.changes,
        "ssh_ports": sorted(ports),
        "diff": [
            *(
                {"before_header": one.path, "after_header": one.path, "before": one.before, "after": one.after}
                for one in state.files
            ),
            *(
                [{"before_header": "kernel", "after_header": "kernel", "before": state.before, "after": state.after}]
                if state.before
                else []
            ),
        ],
    }
    if module.check_mode or not state.changes:
        module.exit_json(**result)
    if not text:
        filter_host.remove()
        module.exit_json(**result)
    module.exit_json(tried=filter_host.attempt(text, given["undo_after"]), **result)


if __name__ == "__main__":
    main()
