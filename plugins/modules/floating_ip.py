#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)
# Written by tools/modules from the declaration of the resource type. Change that, then run tools/modules.
"""Ansible module: manage a floating address."""

from __future__ import annotations

DOCUMENTATION = r"""
module: floating_ip
short_description: Manage a floating address
version_added: 0.1.0
description:
  - Makes sure that a floating ip is there with the given properties, or is not there.
  - It is found by O(name), O(project), or by O(id). Options that are left out are not managed.
author:
  - The Stackwright developers
options:
  name:
    description:
      - Name. The service keeps it as the description.
    type: str
  address:
    description:
      - Address, to have a certain one. A free one of the project that is there already is taken over.
      - Cannot be changed in place, see O(replace).
    type: str
  project:
    description:
      - Project that it belongs to, that of the login by default. Another one needs an administrator's rights.
      - 'Given as a name or an identifier of a project, or a mapping such as C({name: web, domain: customers}).'
    type: raw
  network:
    description:
      - External network that it is of.
      - 'Given as a name or an identifier of a network, or a mapping such as C({name: web, project: customers}).'
      - Cannot be changed in place, see O(replace).
    type: raw
  subnet:
    description:
      - Subnet that a new one is taken of.
      - Given as a name or an identifier of a subnet.
    type: raw
  port:
    description:
      - Port that it leads to; empty for none.
      - 'Given as a name or an identifier of a port, or a mapping such as C({name: web, project: customers}).'
    type: raw
  server:
    description:
      - Server that it leads to, in place of port; empty for none.
      - 'Given as a name or an identifier of a server, or a mapping such as C({name: web, project: customers}).'
    type: raw
  server_network:
    description:
      - Network of the server's interface that it leads to, where the server has several.
      - 'Given as a name or an identifier of a network, or a mapping such as C({name: web, project: customers}).'
    type: raw
  fixed_ip:
    description:
      - Address of the port that it leads to; the first one by default.
    type: str
  qos_policy:
    description:
      - QoS policy that limits it; empty for none.
      - 'Given as a name or an identifier of a qos policy, or a mapping such as C({name: web, project: customers}).'
    type: raw
  tags:
    description:
      - Labels.
    type: list
    elements: str
  state:
    description: Whether the floating ip is to be there.
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
- name: Make sure that the floating ip is there
  stackwright.cloud.floating_ip:
    cloud: company
    name: web
    network: public
    port: web

- name: Make sure that the floating ip is gone
  stackwright.cloud.floating_ip:
    cloud: company
    name: web
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
    run_resource("floating_ip")


if __name__ == "__main__":
    main()
