# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)

from __future__ import annotations

DOCUMENTATION = r"""
name: option
short_description: The value of a role's option on this host
description:
  - Works out a variable of a role that is not part of the play, from the inventory or the role's defaults.
author: The Stackwright developers
options:
  _terms:
    description: Names of variables that roles declare, without two underscores in front, which are the roles' own.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: The dashboard's port is shown
  ansible.builtin.debug:
    msg: "{{ lookup('stackwright.cloud.option', 'horizon_port') }}"
"""

RETURN = r"""
_raw:
  description: Values in the order of the names.
  type: list
  elements: raw
"""

from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase
from ansible_collections.stackwright.cloud.plugins.module_utils.common import words
from ansible_collections.stackwright.cloud.plugins.module_utils.service import host_view, interfaces


class LookupModule(LookupBase):  # type: ignore[misc]
    """Read the host's own variables."""

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[Any]:
        """Return the values of all names."""
        roles = host_view.roles()
        known = {
            name
            for name in {*interfaces.all_options(roles), *interfaces.all_internals(roles)}
            if not name.startswith("__")
        }
        for name in terms:
            if name not in known:
                raise AnsibleError(f"option: no role has the option {name!r}{words.hint(str(name), known, '. ')}")
        works = host_view.view(self._loader, variables or {})
        return [works("{{ " + name + " }}") for name in terms]
