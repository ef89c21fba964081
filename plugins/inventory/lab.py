"""Inventory of a lab: the machines that playbooks/lab.yml makes out of containers."""

from __future__ import annotations

DOCUMENTATION = r"""
name: lab
short_description: Machines of a Stackwright lab
version_added: 0.1.0
author: The Stackwright developers (@stackwright)
description:
  - Turns a few lines (a name, an address range, the size of each group) into hosts with fixed addresses, connection
    settings and the variables that the playbook C(lab.yml) needs to make them.
  - Needs no running lab, so that the same inventory serves for making the machines and for deploying on them.
options:
  plugin:
    description: Marks the file as one for this plug-in.
    required: true
    choices: [stackwright.cloud.lab]
    type: str
  name:
    description: The lab's name, part of the names of its containers and networks.
    required: true
    type: str
  network:
    description:
      - An IPv4 range of at least 1024 addresses that nothing else on this host uses.
      - Its first three blocks of 256 addresses become the management, the tunnel and the external network.
    required: true
    type: str
  groups:
    description:
      - The groups and their sizes. Hosts are called after their group, with a number.
      - C(count) is the number of machines (1), C(first) the last part of the first machine's addresses, C(count_from)
        the name of an environment variable that overrides C(count). The playbook remembers such a size, so that later
        calls without the variable see the same hosts.
      - C(brings) names groups that come to be as soon as this one has machines, each with the group whose machines are
        in it then.
    required: true
    type: dict
  user:
    description: The account that Ansible logs in as; it may use sudo without a password.
    type: str
    default: operator
notes:
  - Every host gets RV(ignore:lab_definition), RV(ignore:lab_name), RV(ignore:lab_management_address),
    RV(ignore:lab_management_interface), RV(ignore:lab_tunnel_address), RV(ignore:lab_tunnel_interface),
    RV(ignore:lab_tunnel_mtu), RV(ignore:lab_external_interface) and RV(ignore:lab_external_network) besides the
    connection variables.
"""

EXAMPLES = r"""
# inventories/lab/lab.yml
plugin: stackwright.cloud.lab
name: lab
network: 10.137.88.0/22
groups:
  controller: {count: 1}
  compute: {count: 1, count_from: STACKWRIGHT_COMPUTES}
"""

import os
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin
from ansible.template import trust_as_template
from ansible_collections.stackwright.cloud.plugins.module_utils.lab.definition import (
    Lab,
    brought,
    control_path_directory,
    find_state_root,
    resolve,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.lab.errors import LabError


def common_variables(lab: Lab) -> dict[str, Any]:
    """Return the variables that all hosts of a lab share."""
    return {
        "lab_definition": lab.document(),
        "lab_name": lab.name,
        "lab_management_interface": lab.networks["management"].interface,
        "lab_tunnel_interface": lab.networks["tunnel"].interface,
        "lab_tunnel_mtu": lab.networks["tunnel"].mtu,
        "lab_external_interface": lab.networks["external"].interface,
        "lab_external_network": lab.external_network(),
    }


def connection_variables(lab: Lab, user: str) -> dict[str, Any]:
    """Return how Ansible reaches the machines: account, key, pinned host keys."""
    state = lab.state_directory
    return {
        "ansible_user": user,
        "ansible_ssh_private_key_file": f"{state}/id_ed25519",
        "ansible_ssh_common_args": f"-o 'UserKnownHostsFile=\"{state}/known_hosts\"' -o IdentitiesOnly=yes",
        "ansible_control_path_dir": control_path_directory(state),
    }


def trusted(value: Any) -> Any:
    """Return a value whose strings Ansible treats like those of any inventory file.

    They come from the operator's own file. Without this, `ansible-inventory --list` wraps each of them, and the tools
    that read its output (testinfra among them) find a dictionary where an address should be.
    """
    if isinstance(value, dict):
        return {key: trusted(entry) for key, entry in value.items()}
    return trust_as_template(value) if isinstance(value, str) else value


class InventoryModule(BaseInventoryPlugin):  # type: ignore[misc]
    """Adds a lab's hosts and groups to the inventory."""

    NAME = "stackwright.cloud.lab"

    def verify_file(self, path: str) -> bool:
        """Accept YAML files; the `plugin` key inside decides."""
        return bool(super().verify_file(path)) and path.endswith((".yml", ".yaml"))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Read the file and add its hosts.

        Raises:
            AnsibleParserError: The definition is wrong.
        """
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        content = {key: self.get_option(key) for key in ("name", "network", "groups")}
        try:
            lab = resolve(content, path, find_state_root(Path(path)), os.environ)
        except LabError as error:
            raise AnsibleParserError(str(error)) from None
        user = self.get_option("user")
        for key, value in common_variables(lab).items():
            inventory.set_variable("all", key, trusted(value))
        for group in content["groups"]:
            inventory.add_group(group)
        for machine in lab.machines.values():
            inventory.add_host(machine.name, group=machine.group)
            own = {
                "ansible_host": machine.addresses["management"],
                "lab_management_address": machine.addresses["management"],
                "lab_tunnel_address": machine.addresses["tunnel"],
            }
            for key, value in {**connection_variables(lab, user), **own}.items():
                inventory.set_variable(machine.name, key, trusted(value))
        for group, hosts in brought(content["groups"], lab).items():
            inventory.add_group(group)
            for host in hosts:
                inventory.add_child(group, host)
