# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)
"""Lookup plug-in: the services that node roles stand for."""

from __future__ import annotations

DOCUMENTATION = r"""
name: service_names
short_description: Services of node roles
description:
  - Returns the services that node roles stand for, by C(<role>_services) of the inventory or the role's own defaults.
author: The Stackwright developers
options:
  _terms:
    description: Node roles, or services as C(role) or C(role.component), which stand for themselves.
    type: list
    elements: raw
    required: true
"""

EXAMPLES = r"""
- name: What this controller carries
  ansible.builtin.debug:
    msg: "{{ query('stackwright.cloud.service_names', 'infrastructure', 'controller') }}"
"""

RETURN = r"""
_raw:
  description: Services as C(role) or C(role.component).
  type: list
  elements: str
"""

from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase
from ansible_collections.stackwright.cloud.plugins.module_utils.service import host_view
from ansible_collections.stackwright.cloud.plugins.module_utils.service.specification import SpecificationError


class LookupModule(LookupBase):  # type: ignore[misc,unused-ignore]
    """Read the host's own variables."""

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        """Return the services of all terms, each once."""
        variables = variables or {}
        names = [name for term in terms for name in ([term] if isinstance(term, str) else term)]
        try:
            return host_view.book(variables).services_of(names, host_view.view(self._loader, variables))
        except SpecificationError as error:
            raise AnsibleError(f"service_names: {error}") from error
