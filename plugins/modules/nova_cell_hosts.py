#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)

from __future__ import annotations

DOCUMENTATION = r"""
module: nova_cell_hosts
short_description: Map registered compute nodes to their cell
description:
  - Waits until every named compute node has registered itself, then maps those that are not mapped yet.
  - Runs on a controller that carries nova's database.
author: The Stackwright developers
attributes:
  check_mode: {support: full, description: "Says which nodes would be mapped; does not wait."}
  diff_mode: {support: full, description: "A line for each node."}
  idempotent: {support: full, description: "Does nothing when every node is mapped."}
options:
  hosts:
    description: Host names of the compute nodes.
    type: list
    elements: str
    required: true
  database:
    description: Name of the cell's database.
    type: str
    default: nova
  timeout:
    description: Seconds to wait for the nodes.
    type: int
    default: 120
"""

EXAMPLES = r"""
- name: The compute nodes belong to the cell
  stackwright.cloud.nova_cell_hosts:
    hosts: [compute1, compute2]
"""

RETURN = r"""
changes:
  description: What was changed or would be, a line each.
  type: list
  elements: str
  returned: success
mapped:
  description: Nodes that were mapped or would be, by the names given.
  type: list
  elements: str
  returned: success
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stackwright.cloud.plugins.module_utils.service import cell_hosts, databases


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "hosts": {"type": "list", "elements": "str", "required": True},
            "database": {"type": "str", "default": "nova"},
            "timeout": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    hosts = module.params["hosts"]
    if module.check_mode and not os.path.exists(databases.SOCKET):
        module.exit_json(changed=True, changes=[f"map compute node {host}" for host in hosts], mapped=hosts)
    try:
        timeout = 0 if module.check_mode else module.params["timeout"]
        with databases.session() as connection:
            nodes, missing, registered = cell_hosts.wait_for(connection, module.params["database"], hosts, timeout)
    except databases.DatabaseError as error:
        module.fail_json(
            msg=f"The compute nodes could not be mapped: {error}", hint="See journalctl -u mariadb on the host."
        )
    if missing and not module.check_mode:
        module.fail_json(
            msg=f"Compute nodes that did not register with nova within {timeout} s: {', '.join(missing)}. "
            f"Registered are: {', '.join(registered) or 'none'}",
            hint="Look at /var/log/nova/nova-compute.log on them: message queue, placement and libvirt are "
            "the usual causes, and a "
            "machine that was renamed, as which nova-compute refuses to start.",
        )
    mapped = [host for host in hosts if nodes.get(host, True)]
    changes = [f"map compute node {host}" for host in mapped]
    if changes and not module.check_mode and (said := cell_hosts.discover()):
        module.fail_json(
            msg=f"nova-manage cell_v2 discover_hosts failed: {said}", hint="See /var/log/nova/nova-manage.log."
        )
    module.exit_json(
        changed=bool(changes),
        changes=changes,
        mapped=mapped,
        diff={"before": "", "after": "".join(f"{line}\n" for line in changes)},
    )


if __name__ == "__main__":
    main()
