"""Documentation of the action of the same name; nothing here runs on a target."""

from __future__ import annotations

DOCUMENTATION = r"""
module: secrets_file
short_description: Keeps the encrypted file with the secrets of a cloud complete
version_added: 0.1.0
description:
  - Reads which secrets the roles declare in C(meta/secrets.yml), makes those that are missing, and keeps all of them in
    one variable, C(stackwright_secrets), in a file that Ansible Vault encrypts as a whole.
  - Existing values never change, unless O(rotate) names them. Weak values are refused.
  - Runs on the control node with the vault key of the running Ansible. Values and key never leave the process.
author:
  - The Stackwright developers
options:
  path:
    description:
      - The file. Other variables in it are kept; comments are not.
      - Without it, C(group_vars/all/secrets.yml) of the inventory in use.
    type: path
  rotate:
    description: Names of secrets that get a new value.
    type: list
    elements: str
    default: []
  remove_unknown:
    description: Remove secrets that no role declares. Otherwise they stay and are listed in RV(unknown).
    type: bool
    default: false
  roles_path:
    description: Directory of the roles whose declarations count; the collection's own by default.
    type: path
attributes:
  check_mode:
    description: Says what would be made, writes nothing.
    support: full
  diff_mode:
    description: Shows the names of the secrets, never their values.
    support: full
  idempotent:
    description: A complete file is not written again. Rotation is not idempotent by nature.
    support: partial
"""

EXAMPLES = r"""
- name: Make the secrets that the cloud still lacks
  stackwright.cloud.secrets_file:

- name: Replace the password of Nova's database user
  stackwright.cloud.secrets_file:
    path: inventories/ha/group_vars/all/secrets.yml
    rotate:
      - nova_database
"""

RETURN = r"""
path:
  description: The file.
  type: str
  returned: success
generated:
  description: Names of the secrets that were missing.
  type: list
  elements: str
  returned: success
rotated:
  description: Names of the secrets with a new value.
  type: list
  elements: str
  returned: success
removed:
  description: Names of the secrets that were removed.
  type: list
  elements: str
  returned: success
unknown:
  description: Names of the secrets in the file that no role declares.
  type: list
  elements: str
  returned: success
"""
