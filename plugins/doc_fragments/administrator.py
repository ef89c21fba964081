# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)
"""Options that the modules which prove a cloud share."""

from __future__ import annotations


class ModuleDocFragment:
    """Login of an administrator."""

    DOCUMENTATION = r"""
options:
  cloud:
    description: Name of a login in C(clouds.yaml), in place of O(auth) or with what O(auth) changes of it.
    type: str
  auth:
    description: Credentials of an administrator. Nothing is written to disk. Needed unless O(cloud) names them.
    type: dict
    suboptions:
      auth_url:
        description: Address of the identity service, with its version.
        type: str
        required: true
      username:
        description: Name of the user.
        type: str
        required: true
      password:
        description: Password of the user.
        type: str
        required: true
      project_name:
        description: Project to work in.
        type: str
        required: true
      user_domain_name:
        description: Domain of the user.
        type: str
        default: Default
      project_domain_name:
        description: Domain of the project.
        type: str
        default: Default
  region_name:
    description: Region whose endpoints are used.
    type: str
  interface:
    description: Which endpoints of the catalogue are used.
    type: str
    choices: [public, internal, admin]
    default: public
  ca_cert:
    description: File with the authorities that may vouch for the APIs, or their certificates themselves (PEM).
    type: path
requirements:
  - openstacksdk
"""
