# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)

from __future__ import annotations

DOCUMENTATION = r"""
name: service_packages
short_description: Distribution packages of services, read from their specifications
description:
  - Reads the roles' files only, so that it also works where the roles are not part of the play, such as when images are made.
  - A node role (one that has C(<role>_services) in its defaults) stands for all its services.
author: The Stackwright developers
options:
  _terms:
    description: Services as C(role) or C(role.component), or node roles.
    type: list
    elements: str
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

from pathlib import Path
from typing import Any

import yaml
from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase
from ansible_collections.stackwright.cloud.plugins.module_utils.service import plan

ROLES = Path(__file__).resolve().parents[2] / "roles"


class LookupModule(LookupBase):  # type: ignore[misc]
    """Collect the ``packages`` of specifications."""

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        found: set[str] = set()
        for term in [one for given in terms for one in ([given] if isinstance(given, str) else given)]:
            found.update(packages_of_term(term))
        return sorted(found)


def _load(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8") as stream:
        return yaml.safe_load(stream) or {}


def packages_of_term(term: str) -> set[str]:
    """Packages of one service or node role.

    :raises AnsibleError: there is no such role or component.
    """
    role, component = plan.split_term(term)
    if not (ROLES / role).is_dir():
        raise AnsibleError(f"service_packages: there is no role {role!r}")
    services = _load(ROLES / role / "defaults" / "main.yml").get(f"{role}_services")
    if services is not None:
        return {package for service in services for package in packages_of_term(service)}
    specifications = _load(ROLES / role / "vars" / "main.yml").get(f"__{role}_specifications", {})
    if component not in specifications:
        raise AnsibleError(f"service_packages: role {role!r} has no component {component!r}, only {', '.join(specifications)}")
    return set(plan.packages_of(specifications[component]))
