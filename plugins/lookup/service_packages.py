# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)

from __future__ import annotations

DOCUMENTATION = r"""
name: service_packages
short_description: Distribution packages of services, read from their specifications
description:
  - Reads the roles' own files, so that it also works where the roles are not part of the play, such as when images are
    made.
  - A node role (one that has C(<role>_services) in its defaults) stands for all its services, as the inventory or those
    defaults say.
author: The Stackwright developers
options:
  _terms:
    description: Services as C(role) or C(role.component), or node roles.
    type: list
    elements: raw
    required: true
"""

EXAMPLES = r"""
- name: The packages of a controller are installed
  stackwright.cloud.packages:
    names: "{{ query('stackwright.cloud.service_packages', 'controller') }}"
"""

RETURN = r"""
_raw:
  description: Package names, sorted.
  type: list
  elements: str
"""

from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase
from ansible_collections.stackwright.cloud.plugins.module_utils.service import derive, host_view
from ansible_collections.stackwright.cloud.plugins.module_utils.service.specification import SpecificationError


class LookupModule(LookupBase):  # type: ignore[misc]
    """Collect the ``packages`` of specifications."""

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        """Return the packages of all terms."""
        variables = variables or {}
        works, book = host_view.view(self._loader, variables), host_view.book(variables)
        names = [name for term in terms for name in ([term] if isinstance(term, str) else term)]
        try:
            found: set[str] = set()
            for term, component in book.services(names, works, "packages", "ceph"):
                found.update(derive.packages(component, book.read(term)))
            return sorted(found)
        except SpecificationError as error:
            raise AnsibleError(f"service_packages: {error}") from error
