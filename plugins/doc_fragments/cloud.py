# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)
"""Options that the modules for a cloud's content share."""

from __future__ import annotations


class ModuleDocFragment:
    """Login, what every change needs, and how modules that change or only read behave."""

    DOCUMENTATION = r"""
options:
  cloud:
    description: Name of a cloud in a C(clouds.yaml) file. Without it and O(auth), the environment decides.
    type: str
  auth:
    description:
      - Login data as the SDK takes them, such as C(auth_url), C(username), C(password), C(project_name),
        C(user_domain_name) and C(project_domain_name).
      - Users and projects without a domain are those of the domain with the identifier C(default).
    type: dict
  auth_type:
    description: Kind of login. Found by the keys of O(auth) when left out.
    type: str
  region_name:
    description: Region whose endpoints are used.
    type: str
  interface:
    description: Which endpoints of the catalogue are used.
    type: str
    choices: [public, internal, admin]
    default: public
  validate_certs:
    description: Whether the certificates of the APIs are verified.
    type: bool
    default: true
    aliases: [verify]
  ca_cert:
    description: File with the authorities that may vouch for the APIs, or their certificates themselves (PEM).
    type: path
    aliases: [cacert]
  client_cert:
    description: Certificate file for logins with one.
    type: path
  client_key:
    description: Key file for O(client_cert).
    type: path
  api_timeout:
    description: Seconds that one request may take.
    type: float
    default: 60
  endpoint_overrides:
    description:
      - Addresses of services by type, such as C(identity), that are used in place of those in the catalogue. For a
        cloud
        whose catalogue is still being written, or names addresses that this machine cannot reach.
    type: dict
    default: {}
requirements:
  - openstacksdk
"""

    CHANGE = r"""
options:
  parallel:
    description: How many requests run at the same time.
    type: int
    default: 8
  wait:
    description: Whether to wait until new resources can be used.
    type: bool
    default: true
  timeout:
    description: Seconds to wait for one resource.
    type: float
    default: 600
  replace:
    description: Whether a resource is removed and made anew when a change cannot be made in place. Refused otherwise.
    type: bool
    default: false
attributes:
  check_mode:
    description: Reads, plans and changes nothing. The following run does what the plan says.
    support: full
  diff_mode:
    description: Shows the fields that differ, before and after. Secrets are hidden.
    support: full
  idempotent:
    description: A second run finds nothing to do.
    support: full
"""

    READ = r"""
options:
  parallel:
    description: How many requests run at the same time.
    type: int
    default: 8
attributes:
  check_mode:
    description: Reads only, so check mode makes no difference.
    support: full
  diff_mode:
    description: Changes nothing in the cloud, so there is no difference to show.
    support: none
  idempotent:
    description: The same cloud gives the same answer.
    support: full
"""
