#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)

from __future__ import annotations

DOCUMENTATION = r"""
module: compute_probe
short_description: Find out what a compute node's machine can really do
description:
  - Boots guests with KVM, because a device that is there need not work; makes a kernel datapath; looks for AppArmor.
  - The guests are defined as Nova defines them, and libvirt starts them apart from its own daemon. First a small system
    in a boot sector,
    which goes through protected mode, paging and user space and tells within a second of most machines that are no use.
    Then the test
    guest's kernel and user space, built from the host's own package sources, which is the proof. A guest that fails is
    a no only if the
    same one runs without KVM.
  - The answer is kept until something changes that it depends on, which are kernel, processor, QEMU, firmware, libvirt,
    settings, and
    the device with its owner.
author: The Stackwright developers
attributes:
  check_mode:
    support: full
    description: Does the same; nothing on the host changes but the kept answers and the image beside them.
  diff_mode: {support: none, description: "Changes nothing."}
  idempotent: {support: full, description: "Returns the kept answer."}
options:
  again:
    description: Probe although there is an answer.
    type: bool
    default: false
  kvm:
    description: Whether KVM is asked for at all.
    type: bool
    default: true
  datapath:
    description: The datapath that is wanted; V(auto) finds out what the kernel has.
    type: str
    choices: [auto, system, netdev]
    default: auto
  cpu_mode:
    description: Nova's C([libvirt] cpu_mode) for guests that run with KVM.
    type: str
    default: host-model
  cpu_models:
    description: Nova's C([libvirt] cpu_models).
    type: list
    elements: str
    default: []
  machine:
    description: Machine type of guests.
    type: str
    default: pc
"""

EXAMPLES = r"""
- name: The machine's abilities are known
  stackwright.cloud.compute_probe:
"""

RETURN = r"""
kvm:
  description: Whether guests run with KVM.
  type: bool
  returned: when asked for
told_by:
  description: By what that was told.
  type: str
  returned: when asked for
datapath:
  description: V(system) where the kernel has Open vSwitch and Geneve, V(netdev) otherwise; or what was wanted.
  type: str
  returned: always
security_module:
  description: Whether AppArmor can confine guests.
  type: bool
  returned: always
ansible_facts:
  description: The datapath as the fact C(stackwright_datapath), which other hosts' configuration depends on.
  type: dict
  returned: when Open vSwitch is there
"""

from ansible_collections.stackwright.cloud.plugins.module_utils.service import face
from ansible_collections.stackwright.cloud.plugins.module_utils.verify import phases


def main() -> None:
    """Entry point."""
    face.run(phases.MORE["facts"])


if __name__ == "__main__":
    main()
