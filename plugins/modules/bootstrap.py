#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)

from __future__ import annotations

DOCUMENTATION = r"""
module: bootstrap
short_description: Run the one-time steps of a host's services
description:
  - Schema migrations, key repositories, cells and the like. A step runs when it never succeeded with the present inputs
    and package
    versions, when its database is empty, or when a file that it makes is missing.
author: The Stackwright developers
attributes:
  check_mode: {support: full, description: "Says which steps are due."}
  diff_mode: {support: full, description: "A line for each step that is due."}
  idempotent: {support: full, description: "A step that is not due does not run."}
options:
  steps:
    description: Steps of all services of the host.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Unique name; also the name of its stamp.
        type: str
        required: true
      command:
        description: Command and arguments. Must not hold a secret.
        type: list
        elements: str
        required: true
      user:
        description: User to run as.
        type: str
        default: root
      environment:
        description: Environment variables, also for secrets.
        type: dict
        default: {}
      after:
        description: Steps that come first.
        type: list
        elements: str
        default: []
      packages:
        description: Packages whose new version makes the step due again.
        type: list
        elements: str
        default: []
      inputs:
        description: Values whose change makes the step due again.
        type: list
        elements: str
        default: []
      database:
        description: Database that is filled by the step.
        type: str
        default: ''
      creates:
        description: Path that the step makes.
        type: str
        default: ''
      removes:
        description: Path that the step takes away. It is due as long as that is there, and never otherwise.
        type: str
        default: ''
      done_query:
        description: SQL statement that finds a row once the step's work is there.
        type: str
        default: ''
  parallel:
    description: How many steps may run at the same time.
    type: int
    default: 2
"""

EXAMPLES = r"""
- name: The image service's schema is current
  stackwright.cloud.bootstrap:
    steps:
      - name: glance schema
        command: [glance-manage, db_sync]
        user: glance
        database: glance
        packages: [glance-api]
"""

RETURN = r"""
changes:
  description: Steps that ran or would run, with the reason.
  type: list
  elements: str
  returned: success
problems:
  description: Steps that failed, with the last words of their commands.
  type: list
  elements: str
  returned: failure
"""

import contextlib
import functools
import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stackwright.cloud.plugins.module_utils.service import bootstrap, databases, lock, packages

SPEC = {
    "name": {"type": "str", "required": True},
    "command": {"type": "list", "elements": "str", "required": True},
    "user": {"type": "str", "default": "root"},
    "environment": {"type": "dict", "default": {}, "no_log": True},
    "after": {"type": "list", "elements": "str", "default": []},
    "packages": {"type": "list", "elements": "str", "default": []},
    "inputs": {"type": "list", "elements": "str", "default": []},
    "database": {"type": "str", "default": ""},
    "creates": {"type": "str", "default": ""},
    "removes": {"type": "str", "default": ""},
    "done_query": {"type": "str", "default": ""},
}


def _due(steps: list[bootstrap.Step]) -> dict[str, str]:
    """Names of the steps that are due, with the reasons."""
    versions = packages.read_state().installed
    server = databases.session() if os.path.exists(databases.SOCKET) else contextlib.nullcontext()
    with server as connection:
        tables = databases.tables(connection) if connection else None
        reasons = {
            s.name: bootstrap.is_due(s, versions, tables, lambda query: databases.finds(connection, query))
            for s in steps
        }
    return {name: reason for name, reason in reasons.items() if reason}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "steps": {"type": "list", "elements": "dict", "required": True, "options": SPEC},
            "parallel": {"type": "int", "default": 2},
        },
        supports_check_mode=True,
        no_log=True,
    )
    steps = [bootstrap.Step(**entry) for entry in module.params["steps"]]
    try:
        due = _due(steps)
        if due and not module.check_mode:
            # steps of a run that was killed work on, and must be seen to their end before what is due is known
            with lock.exclusive(bootstrap.LOCK) as held:
                due = _due(steps)
                run = functools.partial(bootstrap.execute, lock=held)
                installed = packages.read_state().installed
                bootstrap.run([step for step in steps if step.name in due], installed, module.params["parallel"], run)
        changes = [f"{name}: {reason}" for name, reason in due.items()]
    except lock.LockError as error:
        module.fail_json(
            msg=f"Bootstrap steps cannot begin: {error}",
            hint=f"See with 'fuser -v {bootstrap.LOCK}' on the host which command it is, let it end, then run again.",
        )
    except (bootstrap.BootstrapError, databases.DatabaseError) as error:
        problems = getattr(error, "problems", [str(error)])
        module.fail_json(
            msg=f"Bootstrap steps failed: {problems[0]}"
            + (f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""),
            problems=problems,
            hint="Steps that succeeded are remembered; mend the cause and run again.",
        )
    module.exit_json(
        changed=bool(due), changes=changes, diff={"before": "", "after": "".join(f"{line}\n" for line in changes)}
    )


if __name__ == "__main__":
    main()
