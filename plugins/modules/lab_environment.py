#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)

from __future__ import annotations

DOCUMENTATION = r"""
module: lab_environment
short_description: What the machines of a lab share
version_added: 0.1.0
description:
  - Makes a lab's SSH key, its podman configuration and its networks, and removes machines that its definition no longer
    has. With O(state=absent) it removes the whole lab.
  - Detects cgroups, container runtime and limits of this host and says what is missing.
author: The Stackwright developers (@stackwright)
attributes:
  check_mode: {support: full, description: Reports what would be made and removed.}
  diff_mode: {support: full, description: Lists what exists before and after.}
  idempotent: {support: full, description: Compares the definition with what podman reports.}
options:
  definition:
    description: The lab, as the inventory plug-in puts it into C(lab_definition).
    type: dict
    required: true
  state:
    description: Make the lab's surroundings, or remove the whole lab.
    type: str
    choices: [present, absent]
    default: present
  recreate:
    description: Remove machines when a network's definition has changed; what is on them is lost.
    type: bool
    default: false
  take_over:
    description: Also touch containers of a lab of the same name that another checkout made.
    type: bool
    default: false
  images:
    description: With O(state=absent), remove the stored images as well.
    type: bool
    default: false
  kernel_modules:
    description: Modules to load on this host, since its machines cannot.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: The lab's networks and key exist
  stackwright.cloud.lab_environment:
    definition: "{{ lab_definition }}"
"""

RETURN = r"""
host:
  description: What was detected, for example C(cgroups), C(runtime), C(files).
  returned: O(state=present)
  type: dict
missing_modules:
  description: Kernel modules that this host lacks.
  returned: O(state=present)
  type: list
  elements: str
removed:
  description: What was removed, or would be.
  returned: always
  type: list
  elements: str
created:
  description: What was made, or would be.
  returned: always
  type: list
  elements: str
"""

from dataclasses import asdict
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stackwright.cloud.plugins.module_utils.lab import environment, isolation
from ansible_collections.stackwright.cloud.plugins.module_utils.lab import host as lab_host
from ansible_collections.stackwright.cloud.plugins.module_utils.lab.definition import Lab
from ansible_collections.stackwright.cloud.plugins.module_utils.lab.errors import LabError
from ansible_collections.stackwright.cloud.plugins.module_utils.lab.podman import ignore_hangup


def present(lab: Lab, module: AnsibleModule) -> dict[str, Any]:
    """Make what the machines share and return the module's result."""
    detected = lab_host.detect()
    podman = environment.podman_of(lab.state_directory)
    containers = podman.containers(lab.name)
    environment.check_owner(lab.name, lab.state_directory, containers, module.params["take_over"])
    networks = podman.networks("stackwright-")
    configuration = lab_host.containers_conf(detected)
    todo = environment.plan(lab, configuration, containers, networks, module.params["recreate"])
    if todo.create_networks:
        environment.check_routes(todo.create_networks, environment.own_routes(networks, todo.remove_networks))
    running = {name for name, entry in containers.items() if entry["state"] == "running"}
    starting = sum(one.container not in running for one in lab.machines.values())
    lab_host.check_inotify(starting, lab_host.inotify_limit(), lab_host.inotify_instances())
    missing: list[str] = []
    summary = todo.summary()
    if not module.check_mode:
        environment.apply(lab, todo, podman)
        missing = environment.load_modules(module.params["kernel_modules"])
        networks = podman.networks("stackwright-")
    if isolation.bring(lab, networks, module.check_mode):
        summary["created"] = [*summary["created"], "packet filter"]
    return {
        "changed": not todo.empty() or "packet filter" in summary["created"],
        "host": asdict(detected),
        "missing_modules": missing,
        **summary,
        "diff": {"before": {"removed": summary["removed"]}, "after": {"created": summary["created"]}},
    }


def absent(lab: Lab, module: AnsibleModule) -> dict[str, Any]:
    """Remove the lab and return the module's result."""
    podman = environment.podman_of(lab.state_directory)
    environment.check_owner(lab.name, lab.state_directory, podman.containers(lab.name), module.params["take_over"])
    found = environment.remaining(lab, podman, module.params["images"])
    names = [name for kind in found.values() for name in kind]
    if names and not module.check_mode:
        environment.remove(lab, found, podman)
    return {"changed": bool(names), "removed": names, "created": [], "diff": {"before": found, "after": {}}}


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "definition": {"type": "dict", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "recreate": {"type": "bool", "default": False},
            "take_over": {"type": "bool", "default": False},
            "images": {"type": "bool", "default": False},
            "kernel_modules": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    ignore_hangup()
    try:
        lab = Lab.from_document(module.params["definition"])
        result = present(lab, module) if module.params["state"] == "present" else absent(lab, module)
    except LabError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
