# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)

from __future__ import annotations

DOCUMENTATION = r"""
name: service_plan
short_description: What a host is to be, from the specifications of its services
description:
  - A problem of the operator's variables is returned as the only key C(problem), so that it can be shown although the
    plan is hidden.
  - The plan's C(secrets) are those of C(stackwright_secrets), and of all vaulted values among the host's variables,
    that it holds.
  - Reads the specifications of every named service from the roles' own files, so that the roles need not be part of the
    play, derives
    what follows from them, merges the operator's C(<role>_config_overrides) and
    C(<role>_config_files) (and all variables whose names go on from these, in the order of their names), and returns
    one plan.
author: The Stackwright developers
options:
  _terms:
    description: Services as C(role) or C(role.component), or node roles, which stand for the services in their
      C(<role>_services).
    type: list
    elements: raw
    required: true
  leader:
    description:
      - Host that does for its group what is done once, such as databases, registration and schemas; the plans of the
        others lack it.
      - By default the host itself. It is a problem when others need it and the run is limited to hosts without it.
    type: str
  keys:
    description: Keys of the specifications that are worked out; all that belong to a plan by default.
    type: list
    elements: str
"""

EXAMPLES = r"""
- name: The plan of this host is made
  ansible.builtin.set_fact:
    plan: "{{ lookup('stackwright.cloud.service_plan', 'keystone', 'nova.api') }}"
"""

RETURN = r"""
_raw:
  description: One mapping with packages, files, databases, messaging, identity, bootstrap, early (levels of units and
    health), units, health, secrets and removed (what is left of services that are taken off, a sentence each).
  type: list
  elements: dict
"""

from typing import Any

from ansible.plugins.lookup import LookupBase
from ansible_collections.stackwright.cloud.plugins.module_utils.service import host_plan, plan
from ansible_collections.stackwright.cloud.plugins.module_utils.service.specification import SpecificationError


class LookupModule(LookupBase):  # type: ignore[misc]
    """Merge specifications in the host's own variables."""

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[dict[str, Any]]:
        names = [name for term in terms for name in ([term] if isinstance(term, str) else term)]
        try:
            return [
                host_plan.maker(self._loader, variables or {}).plan(names, kwargs.get("leader"), kwargs.get("keys"))
            ]
        except (plan.PlanError, SpecificationError) as error:
            # the plan holds secrets, so whoever reads it hides its output: a problem of the operator's must not be
            # hidden with it
            return [{"problem": str(error)}]
