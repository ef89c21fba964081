"""The filter swift_affinity."""

from __future__ import annotations

DOCUMENTATION = r"""
name: swift_affinity
short_description: Where objects are read and written first
description: Spells it as the proxies of the object store read it.
author: The Stackwright developers (@stackwright)
options:
  _input: {description: "The policies, as in C(swift_policies).", type: list, required: true}
"""

EXAMPLES = r"""
spelled: "{{ swift_policies | stackwright.cloud.swift_affinity }}"
"""

RETURN = r"""
_value: {description: Sections of the file with their options., type: dict}
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.swift import pipeline
from ansible_collections.stackwright.cloud.plugins.plugin_utils.filters import told


class FilterModule:
    """The filter."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Its name and function."""
        return {"swift_affinity": told("swift_affinity", pipeline.affinity)}
