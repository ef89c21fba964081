#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)

from __future__ import annotations

DOCUMENTATION = r"""
module: database_cluster
short_description: See what a host knows of the cluster of databases, and have its server found or join it
version_added: 0.1.0
description:
  - Reads the state of the server, what the data says of itself, and, where the server was killed, the position of its
    last transaction, which takes a replay of its log.
  - M(stackwright.cloud.database_report) decides on the control node what follows of what all hosts say.
  - Runs on a host with a database server, as root.
author: The Stackwright developers
attributes:
  check_mode: {support: full, description: "Reads alone; the position of a server that was killed stays unknown."}
  diff_mode: {support: none, description: "There is nothing to compare."}
  idempotent: {support: full, description: "A server that serves is left alone."}
options:
  state:
    description:
      - V(seen) reads alone.
      - V(stopped) ends a server that belongs to no cluster that may write, since it waits for others and keeps its data
        closed, and reads the position. A server that serves goes on.
      - V(founding) marks the data as safe to begin with, and has the next start of the server found the cluster.
      - V(founded) does so and starts the server; V(joined) starts a server that looks for its cluster.
    type: str
    choices: [seen, stopped, founding, founded, joined]
    default: seen
  positions:
    description: Whether the position of a server that was killed is read from its data.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: It is seen what each host knows of the cluster of databases
  stackwright.cloud.database_cluster:
"""

RETURN = r"""
member:
  description: State of the server, of its cluster, and of the data.
  type: dict
  returned: success
told:
  description: The same in a line.
  type: str
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stackwright.cloud.plugins.module_utils.host import systemd
from ansible_collections.stackwright.cloud.plugins.module_utils.service import galera


def main() -> None:
    """Entry point."""
    states = ["seen", "stopped", "founding", "founded", "joined"]
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": states, "default": "seen"},
            "positions": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    state = module.params["state"]
    try:
        found = galera.look(positions=module.params["positions"] and not module.check_mode)
        changed = state == "founding" or (state != "seen" and not found.primary)
        if changed and not module.check_mode:
            galera.bring(state)
            found = galera.look()
        elif state == "seen" and not module.check_mode:
            galera.unmark()
    except (galera.GaleraError, systemd.UnitsError, OSError) as error:
        module.fail_json(
            msg=f"The cluster of databases, on the way to {state!r}: {error}",
            hint="See systemctl status mariadb and journalctl -u mariadb on the host.",
        )
    module.exit_json(changed=changed, member=galera.plain(found), told=found.told())


if __name__ == "__main__":
    main()
