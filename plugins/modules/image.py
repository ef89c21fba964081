#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)
# Written by tools/modules from the declaration of the resource type. Change that, then run tools/modules.
"""Ansible module: manage an image."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image
short_description: Manage an image
version_added: 0.1.0
description:
  - Makes sure that an image is there with the given properties, or is not there.
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
      - Project that owns it. Another than the login's needs an administrator.
      - 'Given as a name or an identifier of a project, or a mapping such as C({name: web, domain: customers}).'
    type: raw
  file:
    description:
      - File of the host that runs the module. Compared by its sha512 unless checksum is given.
    type: str
  url:
    description:
      - Address of the data.
    type: str
  download:
    description:
      - 'Who fetches url: the host that runs the module, or the cloud (web-download).'
    type: str
    choices:
      - host
      - cloud
  checksum:
    description:
      - Checksum of the data, such as sha512:... or sha256:...; other data are refused.
    type: str
  disk_format:
    description:
      - Format of the data.
    type: str
    choices:
      - raw
      - qcow2
      - vmdk
      - vdi
      - vhd
      - vhdx
      - iso
      - ami
      - ari
      - aki
      - ploop
  container_format:
    description:
      - Wrapping of the data, bare for none.
    type: str
    choices:
      - bare
      - ovf
      - ova
      - docker
      - ami
      - ari
      - aki
      - compressed
  visibility:
    description:
      - Who may use it.
    type: str
    choices:
      - private
      - shared
      - community
      - public
  min_disk:
    description:
      - Smallest root disk in GiB.
    type: int
  min_ram:
    description:
      - Smallest memory in MiB.
    type: int
  protected:
    description:
      - Whether it is kept from removal.
    type: bool
  hidden:
    description:
      - Whether lists leave it out.
    type: bool
  tags:
    description:
      - Labels.
    type: list
    elements: str
  properties:
    description:
      - Further properties, such as hw_disk_bus. Only those named are looked at; null removes one.
      - Only the given keys are compared.
    type: dict
  members:
    description:
      - Projects that a shared image is offered to; others lose it.
      - 'Each is a name or an identifier of a project, or a mapping such as C({name: web, domain: customers}).'
    type: list
    elements: raw
  state:
    description: Whether the image is to be there.
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
- name: Make sure that the image is there
  stackwright.cloud.image:
    cloud: company
    name: debian-13
    url: https://images.example.com/debian-13-generic-amd64.qcow2
    checksum: sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
    disk_format: qcow2
    visibility: public
    properties:
      os_distro: debian
      hw_rng_model: virtio

- name: Make sure that the image is gone
  stackwright.cloud.image:
    cloud: company
    name: debian-13
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
    run_resource("image")


if __name__ == "__main__":
    main()
