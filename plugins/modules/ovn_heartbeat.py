#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)
"""Ansible module: ask all OVN nodes for a sign of life."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ovn_heartbeat
short_description: Wait until every ovn-controller and metadata agent answers a question put now
version_added: 0.1.0
description:
  - Neutron's API calls agents of OVN alive for more than a minute after they died, and some releases give the present
    time as their heartbeat. This module asks OVN itself. It raises the configuration number in the northbound database,
    as
    Neutron does for the same purpose, and waits until each node has taken note of it.
  - Metadata agents answer after a random delay of up to half a minute. Put the question early with one task, and look
    for
    their answers with a later one that gets the RV(number) of the first as O(question).
  - Runs on a host with OVN's command line tools.
author:
  - The Stackwright developers
options:
  controllers:
    description: Hosts whose C(ovn-controller) must answer. Compared without domain.
    type: list
    elements: str
    default: []
  metadata:
    description: Hosts whose C(neutron-ovn-metadata-agent) must answer.
    type: list
    elements: str
    default: []
  question:
    description: Number of a question put before. A new one is put when left out.
    type: int
  timeout:
    description: Seconds to wait for the answers.
    type: float
    default: 60
  northbound:
    description: Connection to the northbound database, as C(ovn-nbctl --db) takes it. The local one when empty.
    type: str
    default: ""
  southbound:
    description: Connection to the southbound database, as C(ovn-sbctl --db) takes it. The local one when empty.
    type: str
    default: ""
attributes:
  check_mode:
    description: The question changes nothing but a counter that Neutron raises all the time, so it is put in check mode
      too.
    support: full
  diff_mode:
    description: Changes nothing, so there is no difference to show.
    support: none
  idempotent:
    description: Changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Put the question
  stackwright.cloud.ovn_heartbeat:
    controllers: "{{ groups['compute'] }}"
  register: question

- name: Look for the answers
  stackwright.cloud.ovn_heartbeat:
    question: "{{ question.number }}"
    metadata: "{{ groups['compute'] }}"
"""

RETURN = r"""
number:
  description: Number of the question.
  returned: success
  type: int
problems:
  description: A sentence for every host that has not answered.
  returned: always
  type: list
  elements: str
seconds:
  description: How long the answers took.
  returned: always
  type: float
summary:
  description: What was found, for people.
  returned: always
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.ovn import OvnError, heartbeat


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "controllers": {"type": "list", "elements": "str", "default": []},
            "metadata": {"type": "list", "elements": "str", "default": []},
            "question": {"type": "int"},
            "timeout": {"type": "float", "default": 60},
            "northbound": {"type": "str", "default": ""},
            "southbound": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    try:
        answers = heartbeat(**module.params)
    except OvnError as error:
        module.fail_json(msg=str(error), problems=[str(error)], seconds=0, summary=[])
    asked = len(module.params["controllers"]) + len(module.params["metadata"])
    result = {
        "changed": False,
        "number": answers.number,
        "problems": answers.problems,
        "seconds": round(answers.seconds, 1),
        "summary": [f"OVN: {asked} agents answer question {answers.number}"],
    }
    if answers.problems:
        lines = [f"{len(answers.problems)} agents of OVN do not answer within {answers.seconds:.0f} s:"]
        module.fail_json(msg="\n".join(lines + [f"- {problem}" for problem in answers.problems]), **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
