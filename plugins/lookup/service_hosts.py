# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)

from __future__ import annotations

DOCUMENTATION = r"""
name: service_hosts
short_description: Which hosts carry which services, and what must be alive on them
description:
  - Reads the services of all hosts of the inventory, whatever C(--limit) says, each by its own variables.
author: The Stackwright developers
options:
  _terms:
    description: One mapping of inventory groups to the node roles, or services, that their hosts carry.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: The hypervisors are shown
  ansible.builtin.debug:
    msg: "{{ lookup('stackwright.cloud.service_hosts', {'compute': ['compute']}).hosts['nova.compute'] }}"
"""

RETURN = r"""
_raw:
  description:
    - C(hosts), a list of hosts for each component by its whole name (C(glance.glance)), C(members), the same with the
      management address of each, and C(agents), what
      M(stackwright.cloud.agents)
      takes, from the key C(agents) of the specifications.
  type: list
  elements: dict
"""

from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase
from ansible_collections.stackwright.cloud.plugins.module_utils.service import host_view
from ansible_collections.stackwright.cloud.plugins.module_utils.service.specification import SpecificationError
from ansible_collections.stackwright.cloud.plugins.module_utils.service.terms import canonical

# What was asked last, and the answer: many options of many hosts ask the same of one inventory.
_LAST: list[tuple[Any, Any, dict[str, Any]]] = []


class LookupModule(LookupBase):  # type: ignore[misc]
    """Read the variables of all hosts."""

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[dict[str, Any]]:
        """Return the hosts of every component that any host carries, and the agents."""
        own = variables or {}
        if len(terms) != 1 or not isinstance(terms[0], dict):
            raise AnsibleError("service_hosts: give one mapping of inventory groups to node roles")
        if _LAST and _LAST[0][0] is own["hostvars"] and _LAST[0][1] == terms[0]:
            return [_LAST[0][2]]
        found = self._asked(terms[0], own)
        _LAST[:] = [(own["hostvars"], dict(terms[0]), found)]
        return [found]

    def _asked(self, carriers: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
        hostvars, groups, book = own["hostvars"], own["groups"], host_view.book(own)
        members: dict[str, dict[str, str]] = {name: {} for name in sorted(book.names())}
        agents: dict[tuple[str, str], list[str]] = {}
        try:
            for group, carried in carriers.items():
                for host in map(str, groups.get(group, [])):
                    works = host_view.view(self._loader, hostvars.raw_get(host), hostvars)
                    address = str(works("{{ stackwright_management_address }}"))
                    for term in book.services_of(carried, works):
                        found = members.setdefault(canonical(term), {})
                        if host in found:
                            continue
                        found[host] = address
                        for agent in book.read(term).agents:
                            agents.setdefault((agent.api, agent.binary), []).append(host)
        except SpecificationError as error:
            raise AnsibleError(f"service_hosts: {error}") from error
        expected = [{"service": api, "binary": binary, "hosts": found} for (api, binary), found in agents.items()]
        return {"hosts": {name: list(one) for name, one in members.items()}, "members": members, "agents": expected}
