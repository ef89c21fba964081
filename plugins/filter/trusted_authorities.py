"""The filter trusted_authorities."""

from __future__ import annotations

DOCUMENTATION = r"""
name: trusted_authorities
short_description: Certificates of the authorities that a secret holds
description:
  - Takes the certificates out of a secret of the kind C(authority), which also holds keys. Everybody may know them.
author: The Stackwright developers
options:
  _input: {description: The secret., type: str, required: true}
"""

EXAMPLES = r"""
ca: "{{ stackwright_secrets.pki_authority | stackwright.cloud.trusted_authorities | join }}"
"""

RETURN = r"""
_value:
  description: Certificates in PEM, that of the authority that issues first.
  type: list
  elements: str
"""

from collections.abc import Callable

from ansible.errors import AnsibleFilterError
from ansible_collections.stackwright.cloud.plugins.module_utils.pki import authority


def trusted_authorities(secret: str) -> list[str]:
    """The function as a filter, whose errors name it."""
    try:
        return authority.read(str(secret)).pems
    except authority.AuthorityError as error:
        raise AnsibleFilterError(f"trusted_authorities: the secret {error}") from None


class FilterModule:
    """The filter."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        """Its name and function."""
        return {"trusted_authorities": trusted_authorities}
