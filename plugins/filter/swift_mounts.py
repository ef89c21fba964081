"""The filter swift_mounts."""

from __future__ import annotations

DOCUMENTATION = r"""
name: swift_mounts
short_description: What is mounted on a storage node
description: Spells it as the object store reads it.
author: The Stackwright developers (@stackwright)
options:
  _input: {description: "The devices, as in C(swift_devices).", type: dict, required: true}
"""

EXAMPLES = r"""
spelled: "{{ swift_devices | stackwright.cloud.swift_mounts }}"
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
        return {"swift_mounts": told("swift_mounts", spelling.mounts)}
