# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)
"""Lookup plug-in: the health checks that follow from service specifications."""

from __future__ import annotations

DOCUMENTATION = r"""
name: service_checks
short_description: Health checks of a host, from the specifications of its services
description:
  - Reads the units and the health checks of every named service from C(__<role>_specifications), and returns them in the
    form that M(stackwright.cloud.health) takes. The roles concerned must be part of the play.
  - Unlike P(stackwright.cloud.service_plan#lookup) it evaluates nothing else of a specification, so that it works without
    what a deployment finds out on its way.
author: The Stackwright developers
options:
  _terms:
    description:
      - Services as C(role) or C(role.component), or node roles, which stand for the services in their C(<role>_services).
    type: list
    elements: str
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
from ansible_collections.stackwright.cloud.plugins.lookup.service_names import named
from ansible_collections.stackwright.cloud.plugins.module_utils.service.plan import split_term

# What the health module takes; a specification's checks may say more to the engine.
HEALTH_KEYS = {"name", "url", "status", "contains", "send", "ca", "host", "port", "unit", "log", "timeout"}


def checks_of(units: list[dict[str, Any]], health: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Checks for units that are to run, and the given checks with the log of the unit that they name."""
    running = [unit for unit in units if unit.get("state", "started") == "started"]
    logs = {unit["name"]: unit["log"] for unit in units if unit.get("log")}
    checks = [{"unit": unit["name"], **({"log": unit["log"]} if unit.get("log") else {})} for unit in running]
    for check in health:
        if set(check) & {"url", "port"}:
            log = logs.get(check.get("unit", ""))
            own = {key: value for key, value in check.items() if key in HEALTH_KEYS}
            checks.append({**({"log": log} if log else {}), **own})
    return checks


class LookupModule(LookupBase):  # type: ignore[misc,unused-ignore]
    """Collect the checks in the host's own variables."""

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[dict[str, Any]]:
        """Return the checks of all terms, each once."""
        variables = variables or {}
        found: list[dict[str, Any]] = []
        names = [name for term in terms for name in ([term] if isinstance(term, str) else term)]
        for name in names:
            for service in named(self._templar, name, variables):
                role, component = split_term(service)
                known = variables.get(f"__{role}_specifications")
                if known is None or component not in known:
                    raise AnsibleError(f"service_checks: role {role} is not part of this play, or has no {component}")
                parts = [self._templar.template(known[component].get(key, [])) for key in ("units", "health")]
                found += [check for check in checks_of(*parts) if check not in found]
        return found
