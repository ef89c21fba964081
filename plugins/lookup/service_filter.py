# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)

from __future__ import annotations

DOCUMENTATION = r"""
name: service_filter
short_description: What a host lets in, and what listens there, from the specifications of its services
description:
  - Reads the keys C(filter) and C(api) of the specifications of every service that the host carries, with the addresses
    of all hosts of the
    inventory, whatever C(--limit) says, and the site's C(base_filter_*) variables.
  - Reads the roles' own files, so that the roles need not be part of the play.
author: The Stackwright developers
options:
  _terms:
    description: One mapping of inventory groups to the node roles, or services, that their hosts carry.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: What this host lets in
  ansible.builtin.debug:
    msg: "{{ lookup('stackwright.cloud.service_filter', roles).rules }}"
  vars:
    roles:
      controller: [base, controller]
      compute: [base, compute]
"""

RETURN = r"""
_raw:
  description:
    - C(enabled), C(rules) for M(stackwright.cloud.packet_filter), C(listeners) and C(sockets) as
      M(stackwright.cloud.listeners) takes them, and
      C(closed), the host's ports that only members may reach.
    - A mistake of the operator's is returned as the only key C(problem).
  type: list
  elements: dict
"""

from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase
from ansible_collections.stackwright.cloud.plugins.module_utils.service import host_filter, host_view, packet_filter
from ansible_collections.stackwright.cloud.plugins.module_utils.service.specification import SpecificationError


class LookupModule(LookupBase):  # type: ignore[misc]
    """Put together what the inventory and the specifications say."""

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[dict[str, Any]]:
        """Return the filter of the host whose variables these are."""
        own = variables or {}
        if len(terms) != 1 or not isinstance(terms[0], dict):
            raise AnsibleError("service_filter: give one mapping of inventory groups to node roles")
        hostvars, groups = own["hostvars"], own["groups"]
        name = str(own["inventory_hostname"])
        carriers: dict[str, list[str]] = {}
        for group, carried in terms[0].items():
            for host in groups.get(group, []):
                known = carriers.setdefault(str(host), [])
                known += [one for one in carried if one not in known]
        # what the play knows of the host itself is in its own variables
        views = {
            host: host_view.view(self._loader, own if host == name else hostvars.raw_get(host), hostvars)
            for host in {*carriers, name}
        }
        try:
            return [host_filter.of_host(name, carriers, host_view.book(own), views)]
        except (packet_filter.FilterError, SpecificationError) as error:
            return [{"problem": str(error)}]
