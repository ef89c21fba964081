"""The filter endpoint_url."""

from __future__ import annotations

DOCUMENTATION = r"""
name: endpoint_url
short_description: The URL under which an API is reached
description: Spells a URL of a host, with brackets around an IPv6 address.
author: The Stackwright developers (@stackwright)
positional: port, path
options:
  _input: {description: "The host's name or address, as a text or as a list of one.", type: raw, required: true}
  port: {description: The port., type: str, default: ""}
  path: {description: "The path, which begins with a slash.", type: str, default: ""}
"""

EXAMPLES = r"""
auth_url: "{{ '2001:db8::10' | stackwright.cloud.endpoint_url(5000, '/v3') }}"
# https://[2001:db8::10]:5000/v3
"""

RETURN = r"""
_value: {description: The URL., type: str}
"""

from collections.abc import Callable

from ansible_collections.stackwright.cloud.plugins.module_utils.service import urls
from ansible_collections.stackwright.cloud.plugins.plugin_utils.filters import told


class FilterModule:
    """The filter."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """Its name and function."""
        return {"endpoint_url": told("endpoint_url", urls.endpoint_url)}
