#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)
# Written by tools/modules from the declaration of the resource type. Change that, then run tools/modules.
"""Ansible module: manage an address of a service."""

from __future__ import annotations

DOCUMENTATION = r"""
module: endpoint
short_description: Manage an address of a service
version_added: 0.1.0
description:
  - Makes sure that an endpoint is there with the given properties, or is not there.
  - It is found by O(service), O(endpoint_interface), O(region), or by O(id). Options that are left out are
    not managed.
author:
  - The Stackwright developers
options:
  service:
    description:
      - Service, by name or type.
      - Given as a name or an identifier of a service.
    type: raw
    required: true
  endpoint_interface:
    description:
      - Who uses it.
    type: str
    choices:
      - public
      - internal
      - admin
    required: true
  region:
    description:
      - Region that it serves.
      - Given as a name or an identifier of a region.
    type: raw
  url:
    description:
      - Address of the API.
      - Required when O(state=present).
    type: str
  enabled:
    description:
      - Whether it can be used.
    type: bool
  state:
    description: Whether the endpoint is to be there.
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
- name: Make sure that the endpoint is there
  stackwright.cloud.endpoint:
    cloud: company
    service: billing
    endpoint_interface: public
    region: North
    url: https://billing.example.com:8889/v1

- name: Make sure that the endpoint is gone
  stackwright.cloud.endpoint:
    cloud: company
    service: billing
    endpoint_interface: public
    region: North
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
    run_resource("endpoint")


if __name__ == "__main__":
    main()
