# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)
"""Lookup plug-in: where the services of a host show certificates, from their specifications."""

from __future__ import annotations

DOCUMENTATION = r"""
name: service_certificates
short_description: Where services of a host show certificates, from their specifications
description:
  - Reads the certificates of every named service and of its APIs from the roles' specifications, and returns the places
    where they are shown in the form that M(stackwright.cloud.certificates) takes.
author: The Stackwright developers
options:
  _terms:
    description:
      - Services as C(role) or C(role.component), or node roles, which stand for the services in their
        C(<role>_services).
    type: list
    elements: raw
    required: true
  issued:
    description: Return the names of the services that have certificates instead, shown or not.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Clients accept every certificate of this host
  stackwright.cloud.certificates:
    places: "{{ query('stackwright.cloud.service_certificates', 'infrastructure') }}"
"""

RETURN = r"""
_raw:
  description: "Places: C(service), C(host), C(port), C(name), C(protocol) and C(ca). With O(issued), names."
  type: list
  elements: raw
"""

from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase
from ansible_collections.stackwright.cloud.plugins.module_utils.service import derive, host_view
from ansible_collections.stackwright.cloud.plugins.module_utils.service.specification import SpecificationError


class LookupModule(LookupBase):  # type: ignore[misc,unused-ignore]
    """Collect the places in the host's own variables."""

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[Any]:
        """Return the places of all terms, or the services that have certificates."""
        variables = variables or {}
        works = host_view.view(self._loader, variables)
        book, site = host_view.book(variables), host_view.site(works)
        names = [name for given in terms for name in ([given] if isinstance(given, str) else given)]
        try:
            found = book.services(names, works, "account", "api", "certificates")
            if kwargs.get("issued"):
                return [term for term, component in found if derive.certificates(component, site)]
            return [place for term, component in found for place in derive.places(term, component, site)]
        except SpecificationError as error:
            raise AnsibleError(f"service_certificates: {error}") from error
