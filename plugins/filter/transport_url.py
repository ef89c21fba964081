"""The filter transport_url."""

from __future__ import annotations

DOCUMENTATION = r"""
name: transport_url
short_description: The URL of a message queue with a login
description: Spells a URL that oslo.messaging reads back as it was meant, whatever characters the password has.
author: The Stackwright developers (@stackwright)
positional: user, hosts, virtual_host
options:
  _input: {description: The password., type: str, required: true}
  user: {description: The user., type: str, required: true}
  hosts: {description: "Addresses, as a list or with commas between them; each may name its own port.", type: raw,
    required: true}
  virtual_host: {description: The virtual host., type: str, default: /}
  port: {description: The port of those that name none., type: int, default: 5672}
  transport: {description: "oslo.messaging's name of the driver.", type: str, default: rabbit}
  ca: {description: "File with the authorities that vouch for the servers; with it, the driver speaks TLS.", type: str,
    default: ""}
"""

EXAMPLES = r"""
transport_url: "{{ 'p@ss' | stackwright.cloud.transport_url('nova', ['192.0.2.10', '192.0.2.11'], 'nova') }}"
# rabbit://nova:p%40ss@192.0.2.10:5672,nova:p%40ss@192.0.2.11:5672/nova
"""

RETURN = r"""
_value: {description: The URL., type: str}
"""

from collections.abc import Callable

from ansible_collections.stackwright.cloud.plugins.module_utils.service import urls
from ansible_collections.stackwright.cloud.plugins.plugin_utils.filters import told_of_password


class FilterModule:
    """The filter."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """Its name and function."""
        return {"transport_url": told_of_password("transport_url", urls.transport_url)}
