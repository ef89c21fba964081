"""The filter ssh_private_key."""

from __future__ import annotations

DOCUMENTATION = r"""
name: ssh_private_key
short_description: A host's private key for SSH
description:
  - An Ed25519 key in OpenSSH's own format, the same for the same secret.
  - Every host and purpose has a key of its own, which follows from one secret of the cloud.
author: The Stackwright developers (@stackwright)
positional: purpose, host
options:
  _input: {description: The secret., type: str, required: true}
  purpose: {description: What the key is for., type: str, required: true}
  host: {description: Whose key it is., type: str, required: true}
"""

EXAMPLES = r"""
content: "{{ stackwright_secrets.nova_migration | stackwright.cloud.ssh_private_key('migration', inventory_hostname) }}"
"""

RETURN = r"""
_value: {description: "The file's text.", type: str}
"""

from collections.abc import Callable

from ansible_collections.stackwright.cloud.plugins.module_utils.service import ssh_keys
from ansible_collections.stackwright.cloud.plugins.plugin_utils.filters import told_of_password


class FilterModule:
    """The filter."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """Its name and function."""
        return {"ssh_private_key": told_of_password("ssh_private_key", ssh_keys.private_key)}
