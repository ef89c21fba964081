# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)

from __future__ import annotations

DOCUMENTATION = r"""
name: program
short_description: The text of a program that is copied to hosts
description:
  - Reads a program of this collection, for specifications whose hosts run it.
author: The Stackwright developers
options:
  _terms:
    description: Names of programs.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: The program is shown
  ansible.builtin.debug:
    msg: "{{ lookup('stackwright.cloud.program', 'keystone_keys') }}"
"""

RETURN = r"""
_raw:
  description: Texts in the order of the names.
  type: list
  elements: str
"""

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase
from ansible_collections.stackwright.cloud.plugins.module_utils.common import words
from ansible_collections.stackwright.cloud.plugins.module_utils.service import host_view


class LookupModule(LookupBase):  # type: ignore[misc]
    """Read programs."""

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[Any]:
        """Return the text of each."""
        directory = Path(host_view.__file__).parent / "programs"
        known = {path.stem: path for path in directory.glob("[!_]*.py")}
        for name in terms:
            if name not in known:
                raise AnsibleError(f"program: there is no program {name!r}{words.hint(str(name), known, '. ')}")
        return [known[name].read_text(encoding="utf-8") for name in terms]
