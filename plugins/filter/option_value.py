"""The filter option_value."""

from __future__ import annotations

DOCUMENTATION = r"""
name: option_value
short_description: A text as a value in a file that oslo.config reads
description: Doubles what would be a reference to another option, and keeps quotes that enclose the whole.
author: The Stackwright developers (@stackwright)
options:
  _input: {description: The text., type: str, required: true}
"""

EXAMPLES = r"""
password: "{{ 'Rain$bow' | stackwright.cloud.option_value }}"
# Rain$$bow
"""

RETURN = r"""
_value: {description: The value., type: str}
"""

from collections.abc import Callable

from ansible_collections.stackwright.cloud.plugins.module_utils.service import urls
from ansible_collections.stackwright.cloud.plugins.plugin_utils.filters import told_of_password


class FilterModule:
    """The filter."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """Its name and function."""
        return {"option_value": told_of_password("option_value", urls.option_value)}
