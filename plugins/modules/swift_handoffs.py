#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)
"""Ansible module: carries away what lies on a storage node and belongs elsewhere."""

from __future__ import annotations

DOCUMENTATION = r"""
module: swift_handoffs
short_description: Carries away what lies on a storage node and belongs elsewhere
version_added: 0.1.0
description:
  - Counts the partitions on the devices of a storage node that the rings place elsewhere, and has passes of replication
    and reconstruction carry away these and nothing else, until none is left.
  - Runs beside the servers, in place of the daemons that replicate, which are stopped before.
author:
  - The Stackwright developers
options:
  host:
    description: The storage node, as the rings name it.
    type: str
    required: true
  devices:
    description: Its devices.
    type: list
    elements: str
    required: true
  coded:
    description: Directories of data that hold objects in fragments, such as C(objects-1).
    type: list
    elements: str
    default: []
  timeout:
    description: Seconds until nothing may be left. With 0 the partitions are counted alone.
    type: float
    default: 3600
  directory:
    description: Where rings and configuration are.
    type: path
    default: /etc/swift
  devices_directory:
    description: Directory of the devices.
    type: path
    default: /srv/node
attributes:
  check_mode:
    description: Counts in check mode.
    support: full
  diff_mode:
    description: There is no difference to show.
    support: none
  idempotent:
    description: Does nothing when nothing is left.
    support: full
"""

EXAMPLES = r"""
- name: Nothing lies where it does not belong
  stackwright.cloud.swift_handoffs:
    host: object1
    devices: [d1, d2]
"""

RETURN = r"""
before:
  description: Partitions that lay here and belonged elsewhere, by device and directory of its data.
  type: dict
  returned: always
left:
  description: Those that are left.
  type: dict
  returned: always
partitions:
  description: The number of those that are left.
  type: int
  returned: always
seconds:
  description: Seconds that it took.
  type: float
  returned: always
"""

import configparser
import importlib
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stackwright.cloud.plugins.module_utils.common import command, progress
from ansible_collections.stackwright.cloud.plugins.module_utils.swift import handoffs

ACCOUNT = "swift"
SCRATCH = "/run"
PAUSE = 3.0


class PassError(Exception):
    """A pass could not be made; the text says why."""


def _ring(directory: str, name: str) -> handoffs.Ring:
    ring: handoffs.Ring = importlib.import_module("swift.common.ring").Ring(directory, ring_name=name)
    return ring


def _make(one: handoffs.Pass, directory: Path, seconds: float) -> None:
    """Make one pass, with a configuration of its own that only the service reads."""
    with tempfile.TemporaryDirectory(prefix="stackwright-handoffs-", dir=SCRATCH) as scratch:
        path = Path(scratch) / one.configuration
        path.touch(mode=0o640)
        path.write_text(one.words((directory / one.configuration).read_text(encoding="utf-8")), encoding="utf-8")
        for place in (scratch, path):
            shutil.chown(place, "root", ACCOUNT)
        os.chmod(scratch, 0o750)
        done = command.run(["/usr/sbin/runuser", "-u", ACCOUNT, "--", one.program, str(path), "once"], seconds)
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())[-300:]
        raise PassError(f"{one.program} ends with status {done.returncode}: {said or 'no word'}")


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "host": {"type": "str", "required": True},
            "devices": {"type": "list", "elements": "str", "required": True},
            "coded": {"type": "list", "elements": "str", "default": []},
            "timeout": {"type": "float", "default": 3600},
            "directory": {"type": "path", "default": "/etc/swift"},
            "devices_directory": {"type": "path", "default": "/srv/node"},
        },
        supports_check_mode=True,
    )
    given = module.params
    begun = time.monotonic()
    before: handoffs.Held = {}
    left: handoffs.Held = {}

    def look() -> handoffs.Held:
        devices = Path(given["devices_directory"])
        return handoffs.held(given["host"], devices, given["devices"], lambda name: _ring(given["directory"], name))

    def told() -> dict[str, Any]:
        count = handoffs.total(before) - (0 if module.check_mode else handoffs.total(left))
        return {
            "changed": count > 0,
            "changes": [f"{count} partitions are carried to where they belong"] if count > 0 else [],
            "before": before,
            "left": left,
            "partitions": handoffs.total(left),
            "seconds": round(time.monotonic() - begun, 1),
        }

    try:
        before = left = look()
        if module.check_mode or not given["timeout"]:
            module.exit_json(**told())
        while left and (rest := given["timeout"] - (time.monotonic() - begun)) > 0:
            progress.tell_on_host(f"{handoffs.total(left)} partitions belong elsewhere")
            for one in handoffs.passes((name for data in left.values() for name in data), given["coded"]):
                _make(one, Path(given["directory"]), rest)
            left = look()
            if left:
                time.sleep(PAUSE)
        progress.tell_on_host("")
    except (OSError, ImportError, configparser.Error, command.CommandTimeoutError, PassError) as error:
        module.fail_json(
            msg=f"What belongs elsewhere cannot be carried away from {given['host']}: {error}",
            hint="The host's journal has what the pass said; playbooks/swift_status.yml tells of missing nodes.",
            **told(),
        )
    if left:
        module.fail_json(
            msg=f"{given['host']} has {handoffs.total(left)} partitions after {given['timeout']:.0f} s that belong "
            f"elsewhere: {'; '.join(handoffs.listing(left))}",
            hint="playbooks/swift_status.yml says whether a node or device that is to take them is missing or full.",
            **told(),
        )
    module.exit_json(**told())


if __name__ == "__main__":
    main()
