#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)
"""Ansible module: converge a cloud's content to one document."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cloud_state
short_description: Converge projects, users, networks, servers and all else of a cloud to one document
version_added: 0.1.0
description:
  - Takes a document with any mix of resource types and makes the cloud agree with it, with one login, one list call
    per type, and parallel writes in dependency order.
  - Keys that an entry leaves out are not managed.
  - >-
    Entries refer to each other, and to what the cloud holds already, by name. Where a name is ambiguous, a mapping
    such as C({name: web, domain: customers}) or an identifier decides.
  - Every problem of the document is reported before the first change.
author:
  - The Stackwright developers
options:
  document:
    description:
      - Lists of entries by type, such as C(projects), C(users) or C(role_assignments).
      - Each entry may also hold C(state) (V(present) or V(absent)) and C(id), which picks one of several objects.
      - >-
        C(defaults) beside the types holds what entries take that they leave out, as O(defaults) does, and counts before
        it.
    type: dict
    required: true
  defaults:
    description:
      - What entries of O(document) take that they leave out.
      - A key that an entry has, though it be empty, is the entry's own affair.
    type: dict
    suboptions:
      project:
        description:
          - >-
            Project of every entry that can belong to one, as a name, an identifier or a mapping such as
            C({name: web, domain: customers}).
          - Subnets and ports belong to the project of their network, and a role assignment says itself where it counts.
        type: raw
      domain:
        description: Domain of every project, user and group, as a name or an identifier.
        type: raw
      tags:
        description: Labels of every entry of a type that has them.
        type: list
        elements: str
  state:
    description: With V(absent), everything that the document names is removed.
    type: str
    choices: [present, absent]
    default: present
  owner:
    description:
      - Name of this document in the cloud. What the document makes is marked with it, by a tag or property where the
        service has them, in O(ledger) otherwise.
    type: str
  prune:
    description: With V(owned), resources marked with O(owner) that the document no longer names are removed.
    type: str
    choices: [none, owned]
    default: none
  ledger:
    description:
      - File that records what the document made. By default below C(~/.local/state/stackwright), named after O(owner)
        and the cloud.
    type: path
extends_documentation_fragment:
  - stackwright.cloud.cloud
  - stackwright.cloud.cloud.change
"""

EXAMPLES = r"""
- name: Make sure that the project and its member are there
  stackwright.cloud.cloud_state:
    cloud: company
    owner: company
    document:
      projects:
        - name: web
          description: Public sites
      users:
        - name: alice
          password: "{{ vault_alice_password }}"
          default_project: web
      role_assignments:
        - role: member
          user: alice
          project: web

- name: A server with a floating address
  stackwright.cloud.cloud_state:
    cloud: company
    document:
      defaults:
        project: web
      servers:
        - name: web1
          flavor: small
          image: debian
          networks: [{network: inner}]
      floating_ips:
        - name: web1
          network: outside
          server: web1
  register: content

- name: It answers
  ansible.builtin.wait_for:
    host: "{{ content.resources.servers.web1.floating_addresses | first }}"
    port: 22
"""

RETURN = r"""
plan:
  description: What differs from the document, with type, name, action, before, after and reason.
  returned: always
  type: list
  elements: dict
changes:
  description: What was changed, or would be in check mode, a line each.
  returned: always
  type: list
  elements: str
summary:
  description: How many resources need which action.
  returned: always
  type: dict
resources:
  description:
    - What later tasks need of each entry, by type and name, also when nothing changed. All its names are the key where
      one
      name does not tell entries of a type apart.
    - Each has its C(id), which is empty in check mode for what is yet to be made.
    - Servers have C(addresses) (lists by network), C(floating_addresses), C(host) and C(status); ports C(fixed_ips),
      C(mac_address) and C(server); floating addresses C(address), C(fixed_ip) and C(port); routers
      C(external_addresses);
      subnets C(cidr), C(gateway_ip) and C(allocation_pools); networks C(mtu), C(network_type), C(physical_network) and
      C(segmentation_id).
  returned: success
  type: dict
  sample:
    servers:
      web1:
        id: 5f0c8d0e-6d0b-4a53-8f5e-2f6d6f0f1c11
        addresses: {inner: [10.0.0.12]}
        floating_addresses: [203.0.113.17]
        host: compute1
        status: ACTIVE
ids:
  description: Identifiers by type and name.
  returned: always
  type: dict
calls:
  description: Number of API requests.
  returned: always
  type: int
seconds:
  description: How long it took.
  returned: always
  type: float
errors:
  description: Every problem with its path in the document, resource, cause and mend.
  returned: always
  type: list
  elements: dict
"""

from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.faces.login import run_cloud_state


def main() -> None:
    """Entry point."""
    run_cloud_state()


if __name__ == "__main__":
    main()
