#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)
# Written by tools/modules from the declaration of the resource type. Change that, then run tools/modules.
"""Ansible module: manage a server."""

from __future__ import annotations

DOCUMENTATION = r"""
module: server
short_description: Manage a server
version_added: 0.1.0
description:
  - Makes sure that a server is there with the given properties, or is not there.
  - It is found by O(name), O(project), or by O(id). Options that are left out are not managed.
author:
  - The Stackwright developers
options:
  name:
    description:
      - Name.
    type: str
    required: true
  project:
    description:
      - Project that it belongs to, that of the login by default. Another one needs a role in it.
      - 'Given as a name or an identifier of a project, or a mapping such as C({name: web, domain: customers}).'
    type: raw
  flavor:
    description:
      - Flavor. Another one resizes the server.
      - Given as a name or an identifier of a flavor.
      - Required when O(state=present).
    type: raw
  image:
    description:
      - Image that it boots from, or that its boot volume is made of.
      - 'Given as a name or an identifier of an image, or a mapping such as C({name: web, project: customers}).'
    type: raw
  rebuild:
    description:
      - Leave to rebuild it for another image, key pair or user data, which erases the root disk and keeps
        identifier and addresses.
    type: bool
  boot_volume:
    description:
      - Volume that it boots from. It outlives the server.
      - 'Given as a name or an identifier of a volume, or a mapping such as C({name: web, project: customers}).'
    type: raw
  boot_volume_size:
    description:
      - Size in GiB of a boot volume to be made of the image.
    type: int
  boot_volume_type:
    description:
      - Type of the boot volume to be made.
      - Given as a name or an identifier of a volume type.
    type: raw
  boot_volume_keep:
    description:
      - Whether the boot volume that is made outlives the server.
    type: bool
  block_devices:
    description:
      - 'What it is made with besides, or boots from with boot_index: 0. Compared as far as the service tells
        of volumes: what they are made of, size, type, label, and whether they go with the server, which alone
        can change.'
    type: list
    elements: dict
    suboptions:
      source:
        description:
          - 'What it is made of: that of the keys below that is there; blank for an empty one.'
        type: str
        choices:
          - image
          - volume
          - snapshot
          - blank
      image:
        description:
          - Image that it is made of.
          - 'Given as a name or an identifier of an image, or a mapping such as C({name: web, project: customers}).'
        type: raw
      volume:
        description:
          - Volume that it is.
          - 'Given as a name or an identifier of a volume, or a mapping such as C({name: web, project: customers}).'
        type: raw
      snapshot:
        description:
          - Snapshot that it is made of.
          - 'Given as a name or an identifier of a snapshot, or a mapping such as C({name: web, project: customers}).'
        type: raw
      destination:
        description:
          - volume (the default), or local for a disk of the host.
        type: str
        choices:
          - volume
          - local
      boot_index:
        description:
          - 0 for what it boots from, other numbers for what comes next; none for what never boots.
        type: int
      size:
        description:
          - Size in GiB of what is made.
        type: int
      volume_type:
        description:
          - Type of the volume that is made.
          - Given as a name or an identifier of a volume type.
        type: raw
      disk_bus:
        description:
          - Bus, such as virtio or scsi.
        type: str
      device_type:
        description:
          - Kind of device.
        type: str
        choices:
          - disk
          - cdrom
          - floppy
          - lun
      delete_on_termination:
        description:
          - Whether it goes with the server.
        type: bool
      tag:
        description:
          - Label by which the guest finds it.
        type: str
  networks:
    description:
      - Its interfaces, of a new server in this order; others are taken away. None for an empty list. Another
        order is no change.
    type: list
    elements: dict
    suboptions:
      network:
        description:
          - Network that a port is made in.
          - 'Given as a name or an identifier of a network, or a mapping such as C({name: web, project: customers}).'
        type: raw
      port:
        description:
          - Port that exists already. It has addresses, groups and port security of its own.
          - 'Given as a name or an identifier of a port, or a mapping such as C({name: web, project: customers}).'
        type: raw
      fixed_ip:
        description:
          - Address in the network, of IPv4 or IPv6.
        type: str
      fixed_ips:
        description:
          - Addresses, in place of fixed_ip; others are taken away.
        type: list
        elements: dict
        suboptions:
          subnet:
            description:
              - Subnet.
              - Given as a name or an identifier of a subnet.
            type: raw
          ip_address:
            description:
              - Address.
            type: str
      security_groups:
        description:
          - Security groups of this interface, in place of the server's.
          - 'Each is a name or an identifier of a security group, or a mapping such as C({name: web, project:
            customers}).'
        type: list
        elements: raw
      port_security:
        description:
          - Whether it drops forged addresses.
        type: bool
      tag:
        description:
          - Label by which the guest finds a new interface. It is not compared.
        type: str
  security_groups:
    description:
      - Security groups of all its interfaces that name none themselves, ports that it is given among them;
        others are taken away.
      - 'Each is a name or an identifier of a security group, or a mapping such as C({name: web, project:
        customers}).'
    type: list
    elements: raw
  keypair:
    description:
      - Key pair whose key the image puts in.
      - Given as a name or an identifier of a keypair.
    type: raw
  user_data:
    description:
      - User data, as text or in base64; user_data_base64 leaves no doubt. Compared where the login may see
        them.
    type: str
  user_data_base64:
    description:
      - User data in base64, in place of user_data. White space does not count.
    type: str
  admin_password:
    description:
      - Password that the image sets, for images that do.
    type: str
  description:
    description:
      - Description for people.
    type: str
  metadata:
    description:
      - Metadata. Keys that it does not name are removed.
    type: dict
  tags:
    description:
      - Labels.
    type: list
    elements: str
  availability_zone:
    description:
      - Availability zone; zone:host for administrators.
      - Cannot be changed in place, see O(replace).
    type: str
  hostname:
    description:
      - Name that the guest is told; made of the name by default. Compared where the login may see it.
    type: str
  trusted_image_certificates:
    description:
      - Identifiers of the certificates that a signed image may be signed with, for a new server or a rebuild.
    type: list
    elements: str
  host:
    description:
      - Compute host that a new one is placed on, for administrators.
    type: str
  server_group:
    description:
      - Server group, for placement.
      - 'Given as a name or an identifier of a server group, or a mapping such as C({name: web, project: customers}).'
    type: raw
  scheduler_hints:
    description:
      - Further hints for the scheduler.
    type: dict
  config_drive:
    description:
      - Whether metadata are on a drive of their own.
      - Cannot be changed in place, see O(replace).
    type: bool
  volumes:
    description:
      - Volumes attached to it besides the one it boots from; others are detached.
    type: list
    elements: dict
    suboptions:
      volume:
        description:
          - Volume.
          - 'Given as a name or an identifier of a volume, or a mapping such as C({name: web, project: customers}).'
        type: raw
        required: true
      device:
        description:
          - Device name, which most guests choose themselves.
        type: str
  power:
    description:
      - State that it is brought into.
    type: str
    choices:
      - started
      - stopped
      - shelved
      - paused
      - suspended
  locked:
    description:
      - Whether it is locked against actions of others.
    type: bool
  state:
    description: Whether the server is to be there.
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
- name: Make sure that the server is there
  stackwright.cloud.server:
    cloud: company
    name: web1
    project: web
    flavor: company.small
    image: debian-13
    networks:
      - network: web
    security_groups:
      - site
    metadata:
      role: site
    server_group: sites

- name: Make sure that the server is gone
  stackwright.cloud.server:
    cloud: company
    name: web1
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
    run_resource("server")


if __name__ == "__main__":
    main()
