#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)
"""Ansible module: prove optional services by their own protocols."""

from __future__ import annotations

DOCUMENTATION = r"""
module: service_proofs
short_description: Prove optional services by their own protocols
version_added: 0.1.0
description:
  - Does with each service what its users do, and tries what they must not be able to do.
  - A key manager stores a secret, gives it back to its project and to no other, and keeps no clear text; its worker
    makes a key; the secrets of a removed project go.
  - An alarming service raises an alarm by an event from the message queue and tells it to a web server.
  - A service of shared file systems shows a share type to those who may use it, and makes a share, or says that no back
    end holds shares.
  - An orchestration service makes a stack and shows its output. A DNS service has its name servers answer for a zone,
    asked with C(dig), and no longer once it is removed. A block storage service makes a volume. Other projects see none
    of them.
  - Everything is made below O(prefix), in projects of its own, and removed in the end. What a killed run left is
    removed by the next one.
  - Runs as root on a host that carries the services and the database, with C(python3-openstacksdk).
author:
  - The Stackwright developers
extends_documentation_fragment: [stackwright.cloud.administrator]
options:
  services:
    description: Components to prove, by their whole names. Those for which there is no proof are left out.
    type: list
    elements: str
    required: true
  prefix:
    description: What the names of everything that is made begin with.
    type: str
    default: stackwright-verify
  timeout:
    description: Seconds for each thing that is waited for.
    type: float
    default: 60
attributes:
  check_mode:
    description: Makes nothing and proves nothing in check mode.
    support: full
  diff_mode:
    description: Changes nothing that lasts, so there is no difference to show.
    support: none
  idempotent:
    description: Changes nothing that lasts.
    support: full
"""

EXAMPLES = r"""
- name: The key manager keeps secrets
  stackwright.cloud.service_proofs:
    auth: "{{ stackwright_administrator }}"
    interface: internal
    services: [barbican.barbican]
  become: true
"""

RETURN = r"""
proofs:
  description: What came of each proof.
  returned: always
  type: list
  elements: dict
  contains:
    service:
      description: The service.
      type: str
    proved:
      description: What it has been seen to do.
      type: list
      elements: str
    problem:
      description: What it fails to do; empty when nothing.
      type: str
    seconds:
      description: How long it took.
      type: float
summary:
  description: A line for each service, for people.
  returned: always
  type: list
  elements: str
"""

import dataclasses
import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stackwright.cloud.plugins.module_utils.common import progress
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.cloud import ARGUMENTS, SdkError, connect, place
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.proofs import bench
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.proofs.registry import PROOFS


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            **ARGUMENTS,
            "services": {"type": "list", "elements": "str", "required": True},
            "prefix": {"type": "str", "default": "stackwright-verify"},
            "timeout": {"type": "float", "default": 60},
        },
        supports_check_mode=True,
    )
    given = module.params
    proofs = {name: proof for name, proof in PROOFS.items() if name in given["services"]}
    if module.check_mode or not proofs:
        module.exit_json(changed=False, proofs=[], summary=[])

    try:
        cloud = connect(given)
        admin = bench.Client(cloud, given["interface"], given["region_name"], "the administrator")

        def login(user: str, password: str, project: str) -> Any:
            own = {"username": user, "password": password, "project_name": project}
            domains = {"user_domain_name": "Default", "project_domain_name": "Default"}
            return connect(
                {**given, "cloud": None, "auth": {"auth_url": cloud.session.auth.auth_url, **own, **domains}}
            )

        place_of_proof = bench.Bench(admin, login, given["prefix"], given["timeout"])
        place_of_proof.clear()
    except (SdkError, bench.ProofError) as error:
        module.fail_json(msg=str(error), proofs=[], summary=[])
    found = bench.run(place_of_proof, proofs, progress.tell_on_host, time.monotonic)
    progress.tell_on_host("")
    result = {
        "changed": False,
        "proofs": [dataclasses.asdict(one) for one in found],
        "summary": [
            f"{one.service}: {', '.join(one.proved)} ({one.seconds:.0f} s)" for one in found if not one.problem
        ],
    }
    if problems := [f"- {one.service}: {one.problem}" for one in found if one.problem]:
        head = f"at {place(given)} {len(problems)} of {len(found)} services fail their proof:"
        module.fail_json(msg="\n".join([head, *problems]), **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
