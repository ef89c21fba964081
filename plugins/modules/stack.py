#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)
# Written by tools/modules from the declaration of the resource type. Change that, then run tools/modules.
"""Ansible module: manage a stack, which the orchestration service makes of a template."""

from __future__ import annotations

DOCUMENTATION = r"""
module: stack
short_description: Manage a stack, which the orchestration service makes of a template
version_added: 0.1.0
description:
  - Makes sure that a stack is there with the given properties, or is not there.
  - It is found by O(name), O(project), or by O(id). Options that are left out are not managed.
author:
  - The Stackwright developers
options:
  name:
    description:
      - Name, which begins with a letter.
    type: str
    required: true
  project:
    description:
      - Project that it belongs to, that of the login by default. Another one needs a role in it.
      - 'Given as a name or an identifier of a project, or a mapping such as C({name: web, domain: customers}).'
    type: raw
  template:
    description:
      - Template, as a mapping.
    type: dict
  template_file:
    description:
      - Template, as a file of the host that runs the module. Files that it names are taken along.
    type: str
  files:
    description:
      - Further files by name.
    type: dict
  parameters:
    description:
      - Parameters of the template. Those that are not named keep the template's default.
    type: dict
  secret_parameters:
    description:
      - Parameters that are not shown. They are sent with every update and not compared.
    type: dict
  environment:
    description:
      - Environment, as a mapping. What it does not name is left as it is.
    type: dict
  tags:
    description:
      - Labels.
    type: list
    elements: str
  timeout_mins:
    description:
      - Minutes that making or changing it may take.
    type: int
  rollback:
    description:
      - Whether a failure takes back what was done.
    type: bool
  state:
    description: Whether the stack is to be there.
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
- name: Make sure that the stack is there
  stackwright.cloud.stack:
    cloud: company
    name: queue
    project: shop
    template_file: templates/queue.yml
    parameters:
      size: small

- name: Make sure that the stack is gone
  stackwright.cloud.stack:
    cloud: company
    name: queue
    project: shop
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
    run_resource("stack")


if __name__ == "__main__":
    main()
