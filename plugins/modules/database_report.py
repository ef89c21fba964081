#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)

from __future__ import annotations

DOCUMENTATION = r"""
module: database_report
short_description: Decide what follows of what all hosts know of the cluster of databases
version_added: 0.1.0
description:
  - Runs on the control node, on the results of M(stackwright.cloud.database_cluster) of all hosts. Contacts nobody.
author: The Stackwright developers
attributes:
  check_mode: {support: full, description: "Changes nothing."}
  diff_mode: {support: none, description: "There is nothing to compare."}
  idempotent: {support: full, description: "Changes nothing."}
options:
  purpose:
    description:
      - V(found) says which host has to found the cluster before servers are started, and fails where they must not be.
      - V(recover) says which of several stopped servers has the last transaction.
      - V(verify) fails where the cluster does not serve, or has lost or too many members.
    type: str
    choices: [found, recover, verify]
    required: true
  results:
    description: The results by host. Those of hosts that did not answer may be there, or not.
    type: dict
    required: true
  members:
    description: Hosts that make up the cluster, in the order of the inventory.
    type: list
    elements: str
    required: true
  leader:
    description: Host that founds the cluster where no host has data.
    type: str
    default: ''
"""

EXAMPLES = r"""
- name: It is known which host founds the cluster
  stackwright.cloud.database_report:
    purpose: found
    results: "{{ dict(hosts | zip(hosts | map('extract', hostvars, 'seen'))) }}"
    members: "{{ hosts }}"
    leader: "{{ hosts | first }}"
"""

RETURN = r"""
founder:
  description: The host that founds the cluster, empty where nobody has to.
  type: str
  returned: success
told:
  description: What each host knows, and what follows, a line each.
  type: list
  elements: str
  returned: always
"""
