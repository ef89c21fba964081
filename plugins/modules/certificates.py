#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)

from __future__ import annotations

DOCUMENTATION = r"""
module: certificates
short_description: See certificates as clients see them, and that nobody without TLS is served
description:
  - Connects to each place as a client that checks chain and name, and counts the days that its certificate is valid.
  - Connects to it once more without TLS, and wants to be refused. Nothing secret is sent.
author: The Stackwright developers
attributes:
  check_mode: {support: full, description: "Looks only, so it does the same in check mode."}
  diff_mode: {support: none, description: "Changes nothing."}
  idempotent: {support: full, description: "Changes nothing."}
options:
  places:
    description: Where certificates are shown, as P(stackwright.cloud.service_certificates#lookup) returns it.
    type: list
    elements: dict
    required: true
  days:
    description: Days left below which there is a warning.
    type: int
    default: 30
  fail:
    description: Whether a certificate that clients do not accept, or a place that serves clear text, is a failure.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Clients accept every certificate of this host
  stackwright.cloud.certificates:
    places: "{{ query('stackwright.cloud.service_certificates', 'infrastructure') }}"
"""

RETURN = r"""
certificates:
  description: "C(service), C(host), C(port), C(days), C(issuer) and C(cause) of each; the cause is empty where all is
    as it should be."
  type: list
  elements: dict
  returned: always
summary:
  description: A line for each.
  type: list
  elements: str
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stackwright.cloud.plugins.module_utils.verify import served

HINT = "playbooks/certificates.yml issues what is missing; journalctl of the unit tells what it did with it."


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "places": {"type": "list", "elements": "dict", "required": True},
            "days": {"type": "int", "default": 30},
            "fail": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    seen = served.look_at_all([served.place_of(one) for one in module.params["places"]])
    for one in seen:
        if one.days is not None and one.days < module.params["days"]:
            module.warn(f"{one.place.where}: its certificate is valid for {one.days} more days")
    result = {
        "changed": False,
        "certificates": [one.plain() for one in seen],
        "summary": [one.line() for one in seen],
    }
    wrong = [f"{one.place.where}: {one.cause}" for one in seen if one.cause]
    if wrong and module.params["fail"]:
        module.fail_json(msg="\n".join(wrong), hint=HINT, **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
