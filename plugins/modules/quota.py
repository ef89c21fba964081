#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)
# Written by tools/modules from the declaration of the resource type. Change that, then run tools/modules.
"""Ansible module: manage the quota of a project in the compute, volume and network services."""

from __future__ import annotations

DOCUMENTATION = r"""
module: quota
short_description: Manage the quota of a project in the compute, volume and network services
version_added: 0.1.0
description:
  - Makes sure that a quota is there with the given properties, or is not there.
  - It is found by O(project), or by O(id). Options that are left out are not managed.
author:
  - The Stackwright developers
options:
  project:
    description:
      - Project, that of the login by default.
      - 'Given as a name or an identifier of a project, or a mapping such as C({name: web, domain: customers}).'
    type: raw
  instances:
    description:
      - Servers. -1 for no limit.
    type: int
  cores:
    description:
      - Virtual processors of all servers. -1 for no limit.
    type: int
  ram:
    description:
      - Memory of all servers in MiB. -1 for no limit.
    type: int
  key_pairs:
    description:
      - Key pairs of a user. -1 for no limit.
    type: int
  server_groups:
    description:
      - Server groups. -1 for no limit.
    type: int
  server_group_members:
    description:
      - Servers in a server group. -1 for no limit.
    type: int
  metadata_items:
    description:
      - Metadata of a server. -1 for no limit.
    type: int
  injected_files:
    description:
      - Files put into a new server, for the old API that does so. -1 for no limit.
    type: int
  injected_file_content_bytes:
    description:
      - Size of such a file in bytes. -1 for no limit.
    type: int
  injected_file_path_bytes:
    description:
      - Length of such a file's path in bytes. -1 for no limit.
    type: int
  volumes:
    description:
      - Volumes. -1 for no limit.
    type: int
  gigabytes:
    description:
      - Size of all volumes and snapshots in GiB. -1 for no limit.
    type: int
  per_volume_gigabytes:
    description:
      - Size of a volume in GiB. -1 for no limit.
    type: int
  snapshots:
    description:
      - Snapshots. -1 for no limit.
    type: int
  backups:
    description:
      - Backups. -1 for no limit.
    type: int
  backup_gigabytes:
    description:
      - Size of all backups in GiB. -1 for no limit.
    type: int
  volume_groups:
    description:
      - Groups of volumes. -1 for no limit.
    type: int
  networks:
    description:
      - Networks. -1 for no limit.
    type: int
  subnets:
    description:
      - Subnets. -1 for no limit.
    type: int
  ports:
    description:
      - Ports. -1 for no limit.
    type: int
  routers:
    description:
      - Routers. -1 for no limit.
    type: int
  floating_ips:
    description:
      - Floating addresses. -1 for no limit.
    type: int
  security_groups:
    description:
      - Security groups. -1 for no limit.
    type: int
  security_group_rules:
    description:
      - Rules of all security groups. -1 for no limit.
    type: int
  subnet_pools:
    description:
      - Subnet pools. -1 for no limit.
    type: int
  rbac_policies:
    description:
      - Policies that share things. -1 for no limit.
    type: int
  trunks:
    description:
      - Trunks. -1 for no limit.
    type: int
  state:
    description: Whether the quota is to be there.
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
- name: Make sure that the quota is there
  stackwright.cloud.quota:
    cloud: company
    project: web
    instances: 4
    cores: 4
    floating_ips: 2
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
    run_resource("quota")


if __name__ == "__main__":
    main()
