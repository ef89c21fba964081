"""The filter swift_pipeline."""

from __future__ import annotations

DOCUMENTATION = r"""
name: swift_pipeline
short_description: Middleware of the object store's proxies
description: Checks that all is there and in the right order, and spells it with a section for each.
author: The Stackwright developers (@stackwright)
options:
  _input: {description: "The names of middleware, as in C(swift_pipeline).", type: list, required: true}
"""

EXAMPLES = r"""
spelled: "{{ swift_pipeline | stackwright.cloud.swift_pipeline }}"
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
        return {"swift_pipeline": told("swift_pipeline", pipeline.sections)}
