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

from ansible_collections.stackwright.cloud.plugins.module_utils.service import face, phases


def main() -> None:
    """Entry point."""
    face.run(phases.OWN["steps"], secret=True)


if __name__ == "__main__":
    main()
