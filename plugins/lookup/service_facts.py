# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)

from __future__ import annotations

DOCUMENTATION = r"""
name: service_facts
short_description: What is found out on a host before its services are planned
description:
  - Reads the packages and the key C(facts) of every named service, and nothing else of the specifications, which may
    depend on the answers.
author: The Stackwright developers
options:
  _terms:
    description: Services as C(role) or C(role.component), or node roles, which stand for the services in their
      C(<role>_services).
    type: list
    elements: raw
    required: true
"""

EXAMPLES = r"""
- name: What has to be known of a compute node is shown
  ansible.builtin.debug:
    msg: "{{ lookup('stackwright.cloud.service_facts', 'compute').facts }}"
"""

RETURN = r"""
_raw:
  description: C(packages), sorted, and C(facts), what M(stackwright.cloud.compute_probe) is asked; empty if it is not.
  type: list
  elements: dict
"""

from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase
from ansible_collections.stackwright.cloud.plugins.module_utils.service import derive, host_view
from ansible_collections.stackwright.cloud.plugins.module_utils.service.specification import SpecificationError, plain


class LookupModule(LookupBase):  # type: ignore[misc]
    """Read the host's own variables."""

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[dict[str, Any]]:
        """Return what all services together ask."""
        variables = variables or {}
        works, book = host_view.view(self._loader, variables), host_view.book(variables)
        names = [name for term in terms for name in ([term] if isinstance(term, str) else term)]
        packages: set[str] = set()
        facts: dict[str, Any] = {}
        try:
            for term, component in book.services(names, works, "packages", "ceph", "facts"):
                packages.update(derive.packages(component, book.read(term)))
                facts |= plain(component.facts) if component.facts else {}
        except SpecificationError as error:
            raise AnsibleError(f"service_facts: {error}") from error
        return [{"packages": sorted(packages), "facts": facts}]
