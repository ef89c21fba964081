#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)

from __future__ import annotations

DOCUMENTATION = r"""
module: lab_machine
short_description: One machine of a lab
version_added: 0.1.0
description:
  - Makes a container that boots systemd, has fixed addresses, host keys and a machine id of its own, and lets an
    ordinary user with sudo in over SSH. Waits until that works.
  - A container that was stopped is started, one that was left half made is made anew.
  - A container whose definition (release, privileges, volumes, addresses) has changed is made anew only with
    O(recreate), since what is on it is lost. A newer image alone never touches an existing machine.
author: The Stackwright developers (@stackwright)
attributes:
  check_mode: {support: full, description: Reports whether the machine would be made or started.}
  diff_mode: {support: full, description: Shows the machine's state before and after.}
  idempotent: {support: full, description: Compares the definition with the container's labels and state.}
options:
  definition:
    description: The lab, as the inventory plug-in puts it into C(lab_definition).
    type: dict
    required: true
  name:
    description: The machine's name in the inventory.
    type: str
    required: true
  image:
    description: The image to make it from.
    type: str
    required: true
  suite:
    description: Debian's release in that image.
    type: str
    default: trixie
  privileged:
    description: Give the container all privileges, which services that manage network or storage need.
    type: bool
    default: true
  volumes:
    description: Directories that lie in volumes of their own instead of the container's layer.
    type: list
    elements: str
    default: []
  nameservers:
    description: Name servers of the machine; by default those of this host.
    type: list
    elements: str
    default: []
  user:
    description: The account that may log in and use sudo without a password.
    type: str
    default: operator
  recreate:
    description: Make the machine anew when its definition has changed.
    type: bool
    default: false
  patience:
    description: Seconds to wait for the machine to boot.
    type: int
    default: 180
"""

EXAMPLES = r"""
- name: The machine is up
  stackwright.cloud.lab_machine:
    definition: "{{ lab_definition }}"
    name: controller1
    image: localhost/stackwright-node:trixie-0123456789ab
"""

RETURN = r"""
action:
  description: What was done, or would be.
  returned: success
  type: str
  sample: created
system_state:
  description: What systemd says of itself.
  returned: success, but not in check mode
  type: str
  sample: running
failed_units:
  description: Units that failed.
  returned: success, but not in check mode
  type: list
  elements: str
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stackwright.cloud.plugins.module_utils.lab import apt, environment, machine
from ansible_collections.stackwright.cloud.plugins.module_utils.lab import host as lab_host
from ansible_collections.stackwright.cloud.plugins.module_utils.lab.definition import Lab, control_path_directory
from ansible_collections.stackwright.cloud.plugins.module_utils.lab.errors import LabError
from ansible_collections.stackwright.cloud.plugins.module_utils.lab.podman import ignore_hangup, run


def ensure(module: AnsibleModule) -> dict[str, Any]:
    """Make or start the machine as needed and return the module's result."""
    params = module.params
    lab = Lab.from_document(params["definition"])
    if params["name"] not in lab.machines:
        raise LabError(f"Making machine {params['name']}", f"lab {lab.name} has no such machine")
    wanted = lab.machines[params["name"]]
    podman = environment.podman_of(lab.state_directory)
    options = machine.Options(
        suite=params["suite"],
        privileged=params["privileged"],
        volumes=tuple(params["volumes"]),
        words=lab_host.detect().words,
    )
    action = machine.decide(lab, wanted, options, podman, params["recreate"])
    result: dict[str, Any] = {
        "changed": bool(action),
        "action": action,
        "diff": {"before": {wanted.name: machine.BEFORE[action]}, "after": {wanted.name: "running"}},
    }
    if module.check_mode:
        return result
    fresh = action in ("created", "recreated")
    if fresh:
        nameservers = params["nameservers"] or lab_host.host_nameservers()
        dump = run(["apt-config", "dump"], "Reading this host's apt configuration")
        transport = apt.render_options(apt.transport_options(dump), lab.networks["management"].gateway)
        podman("rm", "--force", "--ignore", wanted.container, doing=f"Removing what is left of {wanted.name}")
        machine.create(lab, wanted, options, params["image"], params["user"], nameservers, transport, podman)
        if not nameservers:
            module.warn("No name server of this host can be used by machines: set lab_nameservers")
    machine.write_known_hosts(lab)
    if action == "started":
        machine.close_connections(Path(control_path_directory(lab.state_directory)))
        podman("start", wanted.container, doing=f"Starting machine {wanted.name}")
    state, failed = machine.wait_until_up(lab, wanted, params["user"], podman, params["patience"], fresh)
    if failed:
        module.warn(f"{wanted.name} is up with failed units: {', '.join(failed)}")
    return {**result, "system_state": state, "failed_units": failed}


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "definition": {"type": "dict", "required": True},
            "name": {"type": "str", "required": True},
            "image": {"type": "str", "required": True},
            "suite": {"type": "str", "default": "trixie"},
            "privileged": {"type": "bool", "default": True},
            "volumes": {"type": "list", "elements": "str", "default": []},
            "nameservers": {"type": "list", "elements": "str", "default": []},
            "user": {"type": "str", "default": "operator"},
            "recreate": {"type": "bool", "default": False},
            "patience": {"type": "int", "default": 180},
        },
        supports_check_mode=True,
    )
    ignore_hangup()
    try:
        result = ensure(module)
    except LabError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
