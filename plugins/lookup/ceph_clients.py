# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)

from __future__ import annotations

DOCUMENTATION = r"""
name: ceph_clients
short_description: Who of the cloud keeps its data in Ceph
description:
  - Reads the key C(ceph) of the specifications of the services of all hosts of the inventory, whatever C(--limit) says,
    each by its own variables.
author: The Stackwright developers
options:
  _terms:
    description: One mapping of inventory groups to the node roles, or services, that their hosts carry.
    type: list
    elements: dict
    required: true
  hosts:
    description: How many hosts have OSDs. Pools have three copies, or as many as there are hosts.
    type: int
    default: 3
"""

EXAMPLES = r"""
- name: The pools that the cloud needs are shown
  ansible.builtin.debug:
    msg: "{{ lookup('stackwright.cloud.ceph_clients', stackwright_carriers, hosts=3).pools }}"
"""

RETURN = r"""
_raw:
  description:
    - C(pools) and C(users) as M(stackwright.cloud.ceph_cluster) takes them, and C(secrets), the name of the secret with
      the key of each user.
  type: list
  elements: dict
"""

from dataclasses import asdict
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase
from ansible_collections.stackwright.cloud.plugins.module_utils.service import ceph_clients, host_view
from ansible_collections.stackwright.cloud.plugins.module_utils.service.specification import (
    CephClient,
    SpecificationError,
)


class LookupModule(LookupBase):  # type: ignore[misc]
    """Read the variables of all hosts."""

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[dict[str, Any]]:
        """Return what all clients together need."""
        own = variables or {}
        if len(terms) != 1 or not isinstance(terms[0], dict):
            raise AnsibleError("ceph_clients: give one mapping of inventory groups to node roles")
        hostvars, groups, book = own["hostvars"], own["groups"], host_view.book(own)
        found: list[CephClient] = []
        try:
            for group, carried in terms[0].items():
                for host in map(str, groups.get(group, [])):
                    view = host_view.view(self._loader, hostvars.raw_get(host), hostvars)
                    for term in book.services_of(carried, view):
                        # most components have none, and need not be worked out
                        if book.read(term).ceph:
                            found += book.component(term, view, "ceph").ceph
        except SpecificationError as error:
            raise AnsibleError(f"ceph_clients: {error}") from error
        return [asdict(ceph_clients.uses(found, int(kwargs.get("hosts", 3))))]
