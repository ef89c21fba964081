#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)

from __future__ import annotations

DOCUMENTATION = r"""
module: services
short_description: Bring all services of a host to what their specifications say, in one call
description:
  - Plans the host on the control node, and has the host do all phases in one call, packages, facts, Open vSwitch,
    files, databases, message queue, steps, units by level, registration and health.
  - What is found out on the host is remembered. A host that is as it was is planned with that; one that is not is
    planned anew and called a second time.
author: The Stackwright developers
attributes:
  check_mode: {support: full, description: "Says what every phase would do."}
  diff_mode: {support: full, description: "Shows the differences of all phases, secrets masked."}
  idempotent: {support: full, description: "Every phase is."}
options:
  names:
    description: Services as C(role) or C(role.component), or node roles, which stand for the services in their
      C(<role>_services).
    type: list
    elements: raw
  leader:
    description: Host that does for its group what is done once. By default each host does it.
    type: str
  peers:
    description: Hosts of the same play. Where there are several, components that are C(rolling) are not restarted;
      RV(turn) has those whose restart is due.
    type: list
    elements: str
    default: []
  packages:
    description: Packages beside those of the services.
    type: list
    elements: str
    default: []
  sources:
    description: Package sources, as M(stackwright.cloud.packages) takes them.
    type: list
    elements: str
  facts:
    description: What is asked of the machine beside what the services want to know, as
      M(stackwright.cloud.compute_probe) takes it.
    type: dict
    default: {}
  elsewhere:
    description: Phases that other hosts do for this one.
    type: list
    elements: str
    choices: [databases, messaging]
    default: []
  parallel:
    description: Steps that may run at the same time.
    type: int
    default: 2
  timeout:
    description: Seconds that units and health checks may take.
    type: int
    default: 300
  stage:
    description: Where several O(peers) need each other, a call does one stage of the plan, so that all hosts are at the
      same; RV(stages) tells how many there are.
    type: int
    default: 0
  memory:
    description: RV(memory) of the stage before.
    type: dict
    default: {}
  turn:
    description: RV(turn) of an earlier call, whose restarts are done now. Nothing else is then.
    type: dict
  waiting:
    description: With O(turn), the hosts whose turn comes after this one; a failure names them.
    type: list
    elements: str
    default: []
  parts:
    description: The plan, as the control node hands it to the host.
    type: list
    elements: dict
  assumed:
    description: What the plan takes the machine for, as the control node hands it to the host.
    type: dict
"""

EXAMPLES = r"""
- name: The services are as they should be
  stackwright.cloud.services:
    names: [memcached]
"""

RETURN = r"""
parts:
  description: Every phase with its title, the seconds that it took, and what the module of that phase returns.
  type: list
  elements: dict
  returned: always
failed_part:
  description: Title of the phase that failed.
  type: str
  returned: failure
left:
  description: What services leave behind that were taken off the host, in sentences.
  type: list
  elements: str
  returned: success
turn:
  description: Units and health checks of components whose restart is due, and held until it is this host's turn.
  type: dict
  returned: when there are any
stages:
  description: How many stages the plan has; one call does one.
  type: int
  returned: when hosts need each other
memory:
  description: What the next stage needs to know of this one.
  type: dict
  returned: success
facts:
  description: What was found out on the machine.
  type: dict
  returned: when it was asked for
"""

import traceback
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.faces.registration import register
from ansible_collections.stackwright.cloud.plugins.module_utils.service.application import Application, parts_of
from ansible_collections.stackwright.cloud.plugins.module_utils.service.phases import (
    OWN,
    Context,
    Phase,
    PhaseError,
    Result,
    Spec,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.phases import MORE


def registration(asked: Any, context: Context) -> Result:
    """What the identity service has to know."""
    secrets, result, failure = register(asked["auth"], asked["document"], context.check, asked["ca_cert"])
    context.mask(secrets)
    for warning in result.pop("warnings"):
        context.warn(warning)
    if failure:
        raise PhaseError(
            f"The services could not be registered with the identity service: {failure} The login is the "
            "administrator's: stackwright_secrets.keystone_admin must be the password that the cloud was made with. "
            "See systemctl status keystone and /var/log/keystone/keystone.log on the controller."
        )
    return result


REGISTRATION: Spec = {
    "auth": {"type": "dict", "required": True},
    "ca_cert": {"type": "str", "default": ""},
    "document": {"type": "dict", "required": True},
}
PHASES = {**OWN, **MORE, "registration": Phase(REGISTRATION, registration)}


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "parts": {"type": "list", "elements": "dict", "required": True},
            "assumed": {"type": "dict"},
            "memory": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
        no_log=True,
    )
    parts = parts_of(module.params["parts"])
    work = Application(PHASES, module.check_mode, module.warn, module.params["assumed"])
    work.recall(module.params["memory"])
    failure: Result = {}
    try:
        done = work.run(parts)
    except PhaseError as error:
        failure = {**error.result, "failed_part": work.parts[-1]["title"]}
    except Exception as error:
        module.no_log_values.update(work.secrets)
        failure = {"msg": f"Module failed: {error}", "exception": traceback.format_exc()}
        failure["failed_part"] = work.parts[-1]["title"] if work.parts else parts[0].title
    told: Result = {
        "changed": work.changed,
        "parts": work.parts,
        "diff": [one for part in work.parts if part.get("changed") for one in _differences(part)],
        # the arguments hold the host's secrets
        "invocation": {"module_args": {"parts": [part.title for part in parts]}},
    }
    if failure:
        module.fail_json(**{**told, **{key: value for key, value in failure.items() if key not in told}})
    told["memory"] = work.memory
    told |= {"turn": work.turn} if work.turn["units"] else {}
    told |= {"facts": work.facts, "done": done} if work.facts else {"done": done}
    found = {key: value for part in work.parts for key, value in part.get("ansible_facts", {}).items()}
    module.exit_json(**told, **({"ansible_facts": found} if found else {}))


def _differences(part: Result) -> list[Any]:
    """The differences of a phase, as a list."""
    diff = part.pop("diff", [])
    return diff if isinstance(diff, list) else [diff]


if __name__ == "__main__":
    main()
