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
    It is reloaded when one that it takes anew so is newer than its last change of state.
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
      reloads:
        description: Files that it reads and takes anew when it is reloaded.
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
  reload:
    description: The same for units that would be reloaded.
    type: list
    elements: str
    default: []
  held:
    description: Units that are not restarted now; RV(held) tells which of them should be.
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
held:
  description: Units whose restart is due and held.
  type: list
  elements: str
  returned: when there are any
"""

from ansible_collections.stackwright.cloud.plugins.module_utils.service import face, phases


def main() -> None:
    """Entry point."""
    face.run(phases.OWN["units"])


if __name__ == "__main__":
    main()
