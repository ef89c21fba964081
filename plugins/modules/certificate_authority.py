#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)
"""Documentation of the action of the same name; nothing here runs on a target."""

from __future__ import annotations

DOCUMENTATION = r"""
module: certificate_authority
short_description: One step by which the cloud's certificate authority, or all keys, are replaced
description:
  - Changes the secret C(pki_authority) in the inventory's encrypted file. Hosts know of it once they were brought to
    what the inventory says; C(playbooks/certificates.yml) does the steps and the hosts in turn.
  - Runs on the control node with the vault key of the running Ansible. Keys never leave the process.
author: The Stackwright developers
options:
  path:
    description: The file; by default C(group_vars/all/secrets.yml) of the inventory in use.
    type: path
  step:
    description:
      - V(keys) has all certificates issued anew, with other keys.
      - V(join) makes a second authority, which is trusted and issues nothing yet.
      - V(switch) lets that one issue. The former is trusted still.
      - V(retire) takes trust from the former.
      - A step of an authority's replacement that is done already changes nothing.
    type: str
    choices: [keys, join, switch, retire]
    required: true
attributes:
  check_mode: {support: full, description: "Says what would be so, writes nothing."}
  diff_mode: {support: full, description: "Says what is so afterwards, and shows no key."}
  idempotent: {support: partial, description: "All steps but V(keys)."}
"""

EXAMPLES = r"""
- name: A second authority is trusted
  stackwright.cloud.certificate_authority:
    step: join
"""

RETURN = r"""
path:
  description: The file.
  type: str
  returned: success
changes:
  description: What is so after the step; nothing where it was so before.
  type: list
  elements: str
  returned: success
"""
