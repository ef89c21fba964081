#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)
"""Ansible module: wait until a cloud's services and agents are alive."""

from __future__ import annotations

DOCUMENTATION = r"""
module: agents
short_description: Wait until every service and agent of a cloud is alive with a fresh heartbeat
version_added: 0.1.0
description:
  - Asks Nova, Neutron, and where the catalogue has them Cinder, Heat and Designate, for their services and agents. Each
    expected one
    must be registered, be up, and have a heartbeat that is young by the cloud's own clock (the C(Date) of the answer,
    or
    the time stamp of a fresh token), since a dead service counts as up for another minute.
  - Services that nobody expects must be alive as well. Disabled ones are mentioned, not refused.
  - Placement must know every host that is to run C(nova-compute), with VCPU and MEMORY_MB to offer.
  - A failure names every service and agent with what is wrong.
author:
  - The Stackwright developers
options:
  expected:
    description: What must live where. Hosts are compared without their domain.
    type: list
    elements: dict
    default: []
    suboptions:
      service:
        description: The API that lists it.
        type: str
        choices: [compute, network, volume, orchestration, share, dns]
        required: true
      binary:
        description: Name of the binary as the API lists it, for example V(nova-compute) or V(ovn-controller).
        type: str
        required: true
      hosts:
        description: Hosts that must have it.
        type: list
        elements: str
        required: true
  max_age:
    description: Seconds that a heartbeat may be old. Heat's engines get twice their own report interval more.
    type: float
    default: 30
  max_age_network:
    description: The same for Neutron's agents, which report less often.
    type: float
    default: 75
  timeout:
    description: Seconds until all must be well. V(0) looks once.
    type: float
    default: 120
extends_documentation_fragment:
  - stackwright.cloud.administrator
attributes:
  check_mode:
    description: Reads only, so it does the same in check mode.
    support: full
  diff_mode:
    description: Changes nothing, so there is no difference to show.
    support: none
  idempotent:
    description: Changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Wait until all hypervisors report
  stackwright.cloud.agents:
    auth:
      auth_url: http://203.0.113.10:5000/v3
      username: admin
      password: "{{ stackwright_secrets.keystone_admin }}"
      project_name: admin
      user_domain_name: Default
      project_domain_name: Default
    expected:
      - {service: compute, binary: nova-compute, hosts: "{{ groups['compute'] }}"}
      - {service: network, binary: ovn-controller, hosts: "{{ groups['compute'] }}"}
  delegate_to: localhost
"""

RETURN = r"""
agents:
  description: Every service and agent that was listed.
  returned: always
  type: list
  elements: dict
  contains:
    service:
      description: The API that listed it.
      type: str
    binary:
      description: Its binary.
      type: str
    host:
      description: Its host.
      type: str
    up:
      description: Whether the API calls it up.
      type: bool
    age:
      description: Seconds since its last heartbeat; none when there never was one.
      type: float
    disabled:
      description: Why it takes no new work; empty when it does.
      type: str
problems:
  description: A sentence for everything that is wrong.
  returned: always
  type: list
  elements: str
seconds:
  description: How long it took.
  returned: always
  type: float
summary:
  description: What was found, for people.
  returned: always
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.agents import (
    Expected,
    Observer,
    failure_message,
    summary,
    wait_alive,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.cloud import (
    API_ERRORS,
    ARGUMENTS,
    SdkError,
    connect,
    first_line,
    place,
)

EXPECTED_OPTIONS = {
    "service": {
        "type": "str",
        "choices": ["compute", "network", "volume", "orchestration", "share", "dns"],
        "required": True,
    },
    "binary": {"type": "str", "required": True},
    "hosts": {"type": "list", "elements": "str", "required": True},
}


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            **ARGUMENTS,
            "expected": {"type": "list", "elements": "dict", "default": [], "options": EXPECTED_OPTIONS},
            "max_age": {"type": "float", "default": 30},
            "max_age_network": {"type": "float", "default": 75},
            "timeout": {"type": "float", "default": 120},
        },
        supports_check_mode=True,
    )
    arguments = module.params
    expected = [Expected(one["service"], one["binary"], tuple(one["hosts"])) for one in arguments["expected"]]
    where = place(arguments)
    try:
        observer = Observer(connect(arguments), expected)
    except SdkError as error:
        module.fail_json(msg=str(error), agents=[], problems=[str(error)], seconds=0, summary=[])
    except API_ERRORS as error:
        module.fail_json(msg=f"cannot ask {where}: {first_line(error)}", agents=[], problems=[], seconds=0, summary=[])
    finding, seconds = wait_alive(observer, arguments["timeout"], arguments["max_age"], arguments["max_age_network"])
    result = {
        "changed": False,
        "agents": [
            {
                "service": agent.service,
                "binary": agent.binary,
                "host": agent.host,
                "up": agent.up,
                "age": finding.ages.get(agent.name),
                "disabled": agent.disabled,
            }
            for agent in finding.agents
        ],
        "problems": finding.problems,
        "seconds": round(seconds, 1),
        "summary": summary(finding),
    }
    if finding.problems:
        module.fail_json(msg=failure_message(finding, seconds, where), **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
