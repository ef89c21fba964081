#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)
"""Ansible module: build the image of the test guest."""

from __future__ import annotations

DOCUMENTATION = r"""
module: guest_image
short_description: Build the small test guest that proves a cloud
version_added: 0.1.0
description:
  - Builds a qcow2 disk of about 20 MB from Debian packages (cloud kernel, busybox, dropbear, dhcpcd, syslinux) that
    boots
    under any
    virtio hypervisor with 192 MB of memory, takes its address, SSH key, hostname and user data from DHCP and metadata
    or a
    config drive, and reports each step on the serial console. Password logins are off.
  - Needs apt on a Debian 12 or 13 machine of the amd64 architecture, and no privileges. Nothing is installed.
  - The file is named after a hash of all that goes in, and is not built again while that hash stays the same.
author:
  - The Stackwright developers
options:
  directory:
    description: Directory for the image; it is made when missing. Images of other content are removed from it.
    type: path
    required: true
  init:
    description: Text of the guest's first program.
    type: str
    required: true
  udhcpc:
    description: Text of the guest's DHCP script.
    type: str
    required: true
attributes:
  check_mode:
    description: Says whether it would build.
    support: full
  diff_mode:
    description: The result is one binary file.
    support: none
  idempotent:
    description: An image with the same content is kept.
    support: full
"""

EXAMPLES = r"""
- name: Build the test guest
  stackwright.cloud.guest_image:
    directory: .stackwright/guest
    init: "{{ lookup('ansible.builtin.file', 'guest_init') }}"
    udhcpc: "{{ lookup('ansible.builtin.file', 'guest_udhcpc') }}"
"""

RETURN = r"""
path:
  description: The image file.
  returned: success
  type: str
seconds:
  description: How long it took.
  returned: success
  type: float
"""

import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.guest_image import BuildError, ensure_image


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "init": {"type": "str", "required": True},
            "udhcpc": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    texts = {name: module.params[name] for name in ("init", "udhcpc")}
    texts = {name: text if text.endswith("\n") else text + "\n" for name, text in texts.items()}
    start = time.monotonic()
    try:
        path, changed = ensure_image(Path(module.params["directory"]).absolute(), texts, module.check_mode)
    except BuildError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=changed, path=str(path), seconds=round(time.monotonic() - start, 2))


if __name__ == "__main__":
    main()
