#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)

from __future__ import annotations

DOCUMENTATION = r"""
module: units
short_description: Bring all systemd units of a host to their states
description:
  - Starts, restarts, stops, enables and disables units in one call.
  - A unit is restarted when one of the files it reads is newer than its start, so that an interrupted run is made good.
author: The Stackwright developers
attributes:
  check_mode: {support: full, description: "Says what would be done."}
  diff_mode: {support: full, description: "One line for each action."}
  idempotent: {support: full, description: "A unit in its state is left alone."}
options:
  units:
    description: Units and their states.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Unit name; C(.service) may be left out.
        type: str
        required: true
      state:
        description: Whether the unit is to run.
        type: str
        choices: [started, stopped]
        default: started
      enabled:
        description: Whether the unit starts with the machine.
        type: bool
        default: true
      files:
        description: Files that the unit reads when it starts.
        type: list
        elements: str
        default: []
      log:
        description: Log file to quote when the unit fails.
        type: str
        default: ''
  restart:
    description: Units whose files would be written; used in check mode to foretell restarts.
    type: list
    elements: str
    default: []
  timeout:
    description: Seconds that starting, stopping and restarting may take each, and then to wait for units that take
      their time.
    type: int
    default: 120
"""

EXAMPLES = r"""
- name: The services run
  stackwright.cloud.units:
    units:
      - name: nova-api
        files: [/etc/nova/nova.conf]
"""

RETURN = r"""
changes:
  description: What was done or would be, a line each.
  type: list
  elements: str
  returned: always
restarted:
  description: Units that were restarted or would be.
  type: list
  elements: str
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stackwright.cloud.plugins.module_utils.host import systemd
from ansible_collections.stackwright.cloud.plugins.module_utils.service import units


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "units": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "state": {"type": "str", "choices": ["started", "stopped"], "default": "started"},
                    "enabled": {"type": "bool", "default": True},
                    "files": {"type": "list", "elements": "str", "default": []},
                    "log": {"type": "str", "default": ""},
                },
            },
            "restart": {"type": "list", "elements": "str", "default": []},
            "timeout": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    try:
        bring(module)
    except systemd.UnitsError as error:
        module.fail_json(
            msg=f"The units could not be brought to their states: {error}",
            hint="See systemctl status of the unit and journalctl -b -p err on the host, mend the cause and run again.",
        )


def bring(module: AnsibleModule) -> None:
    """Bring the units to their states and end the module."""
    wanted = [units.Unit(**entry) for entry in module.params["units"]]
    names = [unit.name for unit in wanted]
    now = units.show(names)
    reload_needed = any(
        state.get("NeedDaemonReload") == "yes" or state.get("LoadState") == "not-found" for state in now.values()
    )
    if reload_needed and not module.check_mode:
        systemd.systemctl("daemon-reload")
        now = units.show(names)
    decided = units.plan(wanted, now, set(module.params["restart"]) if module.check_mode else set())
    if module.check_mode:
        # what is missing now comes with its package
        decided.start += decided.missing
    result = {
        "changed": bool(decided.lines()),
        "changes": decided.lines(),
        "restarted": decided.restart,
        "diff": {"before": "", "after": "".join(f"{line}\n" for line in decided.lines())},
    }
    if module.check_mode:
        module.exit_json(**result)
    if decided.missing:
        module.fail_json(
            msg=f"The host has no unit {', '.join(decided.missing)}",
            hint="The package that brings it is not installed, or a unit file was removed by hand.",
            **result,
        )
    units.carry_out(decided, module.params["timeout"])
    failed = units.wait(wanted, module.params["timeout"], [*decided.start, *decided.restart])
    if failed:
        by_name = {unit.name: unit for unit in wanted}
        causes = {name: units.last_words(by_name[name]) for name in failed}
        module.fail_json(
            msg="Units that do not run: " + ", ".join(f"{name}: {cause}" for name, cause in failed.items()),
            stderr="\n".join(f"--- {name}\n{text}" for name, text in causes.items()),
            hint="The last words of each unit stand above; mend their cause and run again.",
            **result,
        )
    module.exit_json(**result)


if __name__ == "__main__":
    main()
