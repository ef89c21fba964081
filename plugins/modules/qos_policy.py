#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)
# Written by tools/modules from the declaration of the resource type. Change that, then run tools/modules.
"""Ansible module: manage a QoS policy with its rules."""

from __future__ import annotations

DOCUMENTATION = r"""
module: qos_policy
short_description: Manage a QoS policy with its rules
version_added: 0.1.0
description:
  - Makes sure that a qos policy is there with the given properties, or is not there.
  - It is found by O(name), O(project), or by O(id). Options that are left out are not managed.
author:
  - The Stackwright developers
options:
  name:
    description:
      - Name.
    type: str
    required: true
  project:
    description:
      - Project that it belongs to, that of the login by default. Another one needs an administrator's rights.
      - 'Given as a name or an identifier of a project, or a mapping such as C({name: web, domain: customers}).'
    type: raw
  description:
    description:
      - Description for people.
    type: str
  shared:
    description:
      - Whether every project may use it.
    type: bool
  default:
    description:
      - Whether new networks of the project get it.
    type: bool
  rules:
    description:
      - 'All rules, as one unit: others are removed.'
    type: list
    elements: dict
    suboptions:
      type:
        description:
          - Kind of rule.
        type: str
        choices:
          - bandwidth_limit
          - minimum_bandwidth
          - packet_rate_limit
          - minimum_packet_rate
          - dscp_marking
        required: true
      direction:
        description:
          - egress (the default) or ingress.
        type: str
        choices:
          - egress
          - ingress
      max_kbps:
        description:
          - Most kilobits in a second.
        type: int
      max_burst_kbps:
        description:
          - Most kilobits at once.
        type: int
      min_kbps:
        description:
          - Least kilobits in a second.
        type: int
      max_kpps:
        description:
          - Most thousands of packets in a second.
        type: int
      max_burst_kpps:
        description:
          - Most thousands of packets at once.
        type: int
      min_kpps:
        description:
          - Least thousands of packets in a second.
        type: int
      dscp_mark:
        description:
          - DSCP mark.
        type: int
  tags:
    description:
      - Labels.
    type: list
    elements: str
  state:
    description: Whether the qos policy is to be there.
    type: str
    choices:
      - present
      - absent
    default: present
  id:
    description:
      - Identifier, which picks one of several that are alike, or one whose name is to change.
    type: str
extends_documentation_fragment:
  - stackwright.cloud.cloud
  - stackwright.cloud.cloud.change
seealso:
  - module: stackwright.cloud.cloud_state
  - module: stackwright.cloud.cloud_info
"""

EXAMPLES = r"""
- name: Make sure that the qos policy is there
  stackwright.cloud.qos_policy:
    cloud: company
    name: slow
    description: Backups must leave room for others
    rules:
      - type: bandwidth_limit
        max_kbps: 100000

- name: Make sure that the qos policy is gone
  stackwright.cloud.qos_policy:
    cloud: company
    name: slow
    state: absent
"""

RETURN = r"""
id:
  description: Identifier of the resource. Empty when it is absent.
  returned: success
  type: str
resource:
  description: 'The resource as it is now, or would be: its fields with names for references, without secrets.'
  returned: success
  type: dict
changes:
  description: What was changed, or would be in check mode, a line each.
  returned: always
  type: list
  elements: str
calls:
  description: Number of API requests.
  returned: always
  type: int
seconds:
  description: How long it took.
  returned: always
  type: float
errors:
  description: Every problem with its option (path), resource, cause and mend.
  returned: failure
  type: list
  elements: dict
"""

from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.faces.resource import run_resource


def main() -> None:
    """Entry point."""
    run_resource("qos_policy")


if __name__ == "__main__":
    main()
