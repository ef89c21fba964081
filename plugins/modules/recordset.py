#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)
# Written by tools/modules from the declaration of the resource type. Change that, then run tools/modules.
"""Ansible module: manage the records of one name and type."""

from __future__ import annotations

DOCUMENTATION = r"""
module: recordset
short_description: Manage the records of one name and type
version_added: 0.1.0
description:
  - Makes sure that a recordset is there with the given properties, or is not there.
  - It is found by O(name), O(type), O(zone), O(project), or by O(id). Options that are left out are not managed.
author:
  - The Stackwright developers
options:
  name:
    description:
      - Name with its zone, and a dot at the end.
    type: str
    required: true
  type:
    description:
      - Kind of records.
    type: str
    choices:
      - A
      - AAAA
      - CNAME
      - MX
      - NS
      - PTR
      - SPF
      - SRV
      - SSHFP
      - TXT
      - CAA
      - CERT
      - NAPTR
    required: true
  zone:
    description:
      - Zone that it is in.
      - 'Given as a name or an identifier of a zone, or a mapping such as C({name: web, project: customers}).'
    type: raw
    required: true
  project:
    description:
      - Project that it belongs to, that of the login by default. Another one needs a role in it.
      - 'Given as a name or an identifier of a project, or a mapping such as C({name: web, domain: customers}).'
    type: raw
  records:
    description:
      - The records.
      - Required when O(state=present).
    type: list
    elements: str
  ttl:
    description:
      - Seconds for which answers are kept; that of the zone when left out.
    type: int
  description:
    description:
      - Description for people.
    type: str
  state:
    description: Whether the recordset is to be there.
    type: str
    choices:
      - present
      - absent
    default: present
  id:
    description:
      - Identifier, which picks one of several that are alike, or one whose name is to change.
    type: str
extends_documentation_fragment:
  - stackwright.cloud.cloud
  - stackwright.cloud.cloud.change
seealso:
  - module: stackwright.cloud.cloud_state
  - module: stackwright.cloud.cloud_info
"""

EXAMPLES = r"""
- name: Make sure that the recordset is there
  stackwright.cloud.recordset:
    cloud: company
    name: www.example.com.
    type: A
    zone: example.com.
    project: web
    records:
      - 203.0.113.10

- name: Make sure that the recordset is gone
  stackwright.cloud.recordset:
    cloud: company
    name: www.example.com.
    type: A
    zone: example.com.
    project: web
    state: absent
"""

RETURN = r"""
id:
  description: Identifier of the resource. Empty when it is absent.
  returned: success
  type: str
resource:
  description: 'The resource as it is now, or would be: its fields with names for references, without secrets.'
  returned: success
  type: dict
changes:
  description: What was changed, or would be in check mode, a line each.
  returned: always
  type: list
  elements: str
calls:
  description: Number of API requests.
  returned: always
  type: int
seconds:
  description: How long it took.
  returned: always
  type: float
errors:
  description: Every problem with its option (path), resource, cause and mend.
  returned: failure
  type: list
  elements: dict
"""

from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.faces.resource import run_resource


def main() -> None:
    """Entry point."""
    run_resource("recordset")


if __name__ == "__main__":
    main()
