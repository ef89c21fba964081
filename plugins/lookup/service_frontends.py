# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)

from __future__ import annotations

DOCUMENTATION = r"""
name: service_frontends
short_description: The HTTP servers of all hosts that users reach, as a load balancer takes them
description:
  - Reads the key C(api) of the specifications of what hosts carry, whatever C(--limit) says, each by its own variables.
  - An end that is not for users is left out.
author: The Stackwright developers
options:
  _terms:
    description: One mapping of inventory groups to the node roles, or services, that their hosts carry.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: What a load balancer would serve is shown
  ansible.builtin.debug:
    msg: "{{ lookup('stackwright.cloud.service_frontends', {'controller': ['controller']}) }}"
"""

RETURN = r"""
_raw:
  description:
    - One list of front ends, each with C(name) of the API, C(port), C(health), the path that is asked, and C(servers),
      the management address of each host.
  type: list
  elements: list
"""

from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase
from ansible_collections.stackwright.cloud.plugins.module_utils.service import derive, host_view
from ansible_collections.stackwright.cloud.plugins.module_utils.service.specification import SpecificationError


class LookupModule(LookupBase):  # type: ignore[misc]
    """Read the APIs of all hosts."""

    def run(
        self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any
    ) -> list[list[dict[str, Any]]]:
        """Return the front ends in the order of their ports."""
        own = variables or {}
        if len(terms) != 1 or not isinstance(terms[0], dict):
            raise AnsibleError("service_frontends: give one mapping of inventory groups to node roles")
        hostvars, groups, book = own["hostvars"], own["groups"], host_view.book(own)
        found: dict[str, dict[str, Any]] = {}
        try:
            for group, carried in terms[0].items():
                for host in map(str, groups.get(group, [])):
                    works = host_view.view(self._loader, hostvars.raw_get(host), hostvars)
                    address = str(works("{{ stackwright_management_address }}"))
                    for term in book.services_of(carried, works):
                        for api in book.component(term, works, "api").api if book.read(term).api else ():
                            if derive.USERS in api.origins:
                                place = {"name": api.name, "port": int(api.port), "health": api.health or "/"}
                                found.setdefault(api.name, {**place, "servers": {}})["servers"][host] = address
        except SpecificationError as error:
            raise AnsibleError(f"service_frontends: {error}") from error
        return [sorted(found.values(), key=lambda one: int(one["port"]))]
