"""The filter swift_policy_sections."""

from __future__ import annotations

DOCUMENTATION = r"""
name: swift_policy_sections
short_description: Sections of swift.conf for storage policies
description: Spells it as the object store reads it.
author: The Stackwright developers (@stackwright)
options:
  _input: {description: "The policies, as in C(swift_policies).", type: list, elements: dict, required: true}
"""

EXAMPLES = r"""
spelled: "{{ swift_policies | stackwright.cloud.swift_policy_sections }}"
"""

RETURN = r"""
_value: {description: What the file says., type: dict}
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.swift import spelling
from ansible_collections.stackwright.cloud.plugins.plugin_utils.filters import told


class FilterModule:
    """The filter."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Its name and function."""
        return {"swift_policy_sections": told("swift_policy_sections", spelling.policy_sections)}
