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
    elements: str
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

from pathlib import Path
from typing import Any

import yaml
from ansible.plugins.lookup import LookupBase

ROLES = Path(__file__).resolve().parents[2] / "roles"


def named(templar: Any, term: str, variables: dict[str, Any]) -> list[str]:
    """The services of a node role, by the inventory or its own defaults; or the term itself."""
    if (given := variables.get(f"{term}_services")) is not None:
        return list(templar.template(given))
    defaults = ROLES / term / "defaults" / "main.yml"
    own = yaml.safe_load(defaults.read_text(encoding="utf-8")) if defaults.is_file() else None
    return list((own or {}).get(f"{term}_services", [term]))


class LookupModule(LookupBase):  # type: ignore[misc,unused-ignore]
    """Read the host's own variables."""

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        """Return the services of all terms, each once."""
        names = [name for term in terms for name in ([term] if isinstance(term, str) else term)]
        found = [service for name in names for service in named(self._templar, name, variables or {})]
        return list(dict.fromkeys(found))
