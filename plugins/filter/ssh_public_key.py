"""The filter ssh_public_key."""

from __future__ import annotations

DOCUMENTATION = r"""
name: ssh_public_key
short_description: A host's public key for SSH
description:
  - The public half of what P(stackwright.cloud.ssh_private_key#filter) gives.
  - Every host and purpose has a key of its own, which follows from one secret of the cloud.
author: The Stackwright developers (@stackwright)
positional: purpose, host
options:
  _input: {description: The secret., type: str, required: true}
  purpose: {description: What the key is for., type: str, required: true}
  host: {description: Whose key it is., type: str, required: true}
"""

EXAMPLES = r"""
line: "{{ stackwright_secrets.nova_migration | stackwright.cloud.ssh_public_key('migration', 'compute1') }} compute1"
# ssh-ed25519 AAAA... compute1
"""

RETURN = r"""
_value: {description: "Kind of the key and base64.", type: str}
"""

from collections.abc import Callable

from ansible_collections.stackwright.cloud.plugins.module_utils.service import ssh_keys
from ansible_collections.stackwright.cloud.plugins.plugin_utils.filters import told_of_password


class FilterModule:
    """The filter."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """Its name and function."""
        return {"ssh_public_key": told_of_password("ssh_public_key", ssh_keys.public_key)}
