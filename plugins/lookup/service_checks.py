# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)
"""Lookup plug-in: the health checks that follow from service specifications."""

from __future__ import annotations

DOCUMENTATION = r"""
name: service_checks
short_description: Health checks of a host, from the specifications of its services
description:
  - Reads the units and the health checks of every named service from the roles' specifications, and returns them in the
    form that M(stackwright.cloud.health) takes. The roles need not be part of the play.
  - Unlike P(stackwright.cloud.service_plan#lookup) it evaluates nothing else of a specification, so that it works
    without
    what a deployment finds out on its way.
author: The Stackwright developers
options:
  _terms:
    description:
      - Services as C(role) or C(role.component), or node roles, which stand for the services in their
        C(<role>_services).
    type: list
    elements: raw
    required: true
"""

EXAMPLES = r"""
- name: Everything on this controller is healthy
  stackwright.cloud.health:
    checks: "{{ query('stackwright.cloud.service_checks', 'infrastructure', 'controller') }}"
"""

RETURN = r"""
_raw:
  description: Health checks.
  type: list
  elements: dict
"""

from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase
from ansible_collections.stackwright.cloud.plugins.module_utils.service import derive, host_view
from ansible_collections.stackwright.cloud.plugins.module_utils.service.specification import SpecificationError


def checks_of(units: list[dict[str, Any]], health: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Checks for units that are to run, and the given checks with the log of the unit that they name."""
    running = [unit for unit in units if unit.get("state", "started") == "started"]
    logs = {unit["name"]: unit["log"] for unit in units if unit.get("log")}
    checks = [{"unit": unit["name"], **({"log": unit["log"]} if unit.get("log") else {})} for unit in running]
    for check in health:
        if set(check) & {"url", "port", "command"}:
            log = logs.get(check.get("unit", ""))
            checks.append({**({"log": log} if log else {}), **check})
    return checks


class LookupModule(LookupBase):  # type: ignore[misc,unused-ignore]
    """Collect the checks in the host's own variables."""

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[dict[str, Any]]:
        """Return the checks of all terms, each once."""
        variables = variables or {}
        works = host_view.view(self._loader, variables)
        book, site = host_view.book(variables), host_view.site(works)
        found: list[dict[str, Any]] = []
        try:
            names = [name for given in terms for name in ([given] if isinstance(given, str) else given)]
            for _, component in book.services(names, works, "account", "api", "units", "health"):
                checks = checks_of(derive.units(component), derive.health(component, site))
                found += [check for check in checks if check not in found]
        except SpecificationError as error:
            raise AnsibleError(f"service_checks: {error}") from error
        return found
