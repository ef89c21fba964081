#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)

from __future__ import annotations

DOCUMENTATION = r"""
module: service_identity
short_description: Register all services of a host with the identity service in one call
description:
  - Regions, projects, roles, users, role assignments, services and endpoints, all in the domain Default.
  - Authenticates once and lists every kind once. A user's password is proved by one authentication and changed only if it fails.
  - Needs nothing but Python, so that it runs on a controller before any client is configured.
author: The Stackwright developers
attributes:
  check_mode: {support: full, description: "Says what would be changed."}
  diff_mode: {support: full, description: "A line for each change."}
  idempotent: {support: full, description: "Compares before it writes."}
options:
  auth_url:
    description: Address of the identity service, ending in C(/v3).
    type: str
    required: true
  password:
    description: Password of the user admin, in the project admin.
    type: str
    required: true
  document:
    description: What is to be registered, lists by kind.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: The identity service knows the services
  stackwright.cloud.service_identity:
    auth_url: http://192.0.2.10:5000/v3
    password: "{{ stackwright_secrets.keystone_admin }}"
    document:
      services: [{name: glance, type: image}]
"""

RETURN = r"""
changes:
  description: What was changed or would be, a line each.
  type: list
  elements: str
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stackwright.cloud.plugins.module_utils.service import identity


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "auth_url": {"type": "str", "required": True},
            "password": {"type": "str", "required": True, "no_log": True},
            "document": {"type": "dict", "required": True},
        },
        supports_check_mode=True,
        no_log=True,
    )
    module.no_log_values.update(user["password"] for user in module.params["document"].get("users", []))
    api = identity.Api(module.params["auth_url"])
    try:
        if not api.login("admin", module.params["password"], "admin"):
            module.fail_json(
                msg=f"The identity service at {api.base} does not accept the administrator's password",
                hint="stackwright_secrets.keystone_admin is not the password that the cloud was made with.",
            )
        changes = identity.converge(api, module.params["document"], module.check_mode)
    except identity.IdentityError as error:
        module.fail_json(
            msg=f"The services could not be registered with the identity service: {error}",
            hint="See systemctl status keystone and /var/log/keystone/keystone.log on the controller.",
        )
    module.exit_json(
        changed=bool(changes), changes=changes, diff={"before": "", "after": "".join(f"{line}\n" for line in changes)}
    )


if __name__ == "__main__":
    main()
