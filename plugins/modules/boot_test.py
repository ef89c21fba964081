#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)
"""Ansible module: prove a cloud by booting and using a server."""

from __future__ import annotations

DOCUMENTATION = r"""
module: boot_test
short_description: Prove a cloud by booting, reaching, rebuilding and deleting a server
version_added: 0.1.0
description:
  - Uses the cloud as a customer would, from image to floating address, and removes everything again, also after a
    failure or
    an interruption. What an interrupted run could not remove is removed by the next.
  - The steps are image, flavor, external network, tenant network with router, security group, key pair, server, console
    log, ping and SSH through a floating address, throughput both ways, large packets, metadata, user data, name server
    and
    MTU inside the guest, IPv6 by advertisement and by DHCPv6, IPv6 from outside, guest to guest across hosts
    and migration (with two hosts or more), rebuild, removal.
  - While it waits it asks the hypervisors through Nova, and stops within seconds when a guest does not run although
    Nova says ACTIVE.
  - A failure names the step and its cause, with the state of server and ports, agents that are down, and the end of
    the console log.
  - Needs C(ssh), C(ssh-keygen) and C(ping), and a route to the floating addresses, on the machine that runs it.
author:
  - The Stackwright developers
options:
  image:
    description: The test guest's qcow2 file, as M(stackwright.cloud.guest_image) builds it.
    type: path
    required: true
  prefix:
    description:
      - What the name of everything that is made begins with; a number of the run follows.
      - Two runs at the same time need different ones, since a run removes what earlier ones with the same left.
    type: str
    default: stackwright-verify
  hosts:
    description: Compute hosts that get one guest each. Nova chooses one when empty.
    type: list
    elements: str
    default: []
  tenant_cidr:
    description: Address range of the tenant network.
    type: str
    default: 192.168.213.0/24
  tenant_cidr_v6:
    description: IPv6 address range of the tenant network, by which guests configure themselves. Empty leaves IPv6 out.
    type: str
    default: fd53:7477:6774::/64
  stateful_cidr_v6:
    description: IPv6 address range of a second network of the guests, whose addresses DHCPv6 hands out. Empty leaves it
      out.
    type: str
    default: fd53:7477:6775::/64
  routed_v6:
    description:
      - Whether O(tenant_cidr_v6) is reached from outside, and the first guest by its own IPv6 address from the machine
        that runs this.
      - Where that machine is the external network's gateway itself, as in a lab, it gets an address and a route for the
        time of the test.
    type: bool
    default: false
  routed_via_v6:
    description: Address of the router on the external network to which the site routes O(tenant_cidr_v6). Empty lets
      the cloud choose.
    type: str
    default: ""
  throughput_minimum:
    description:
      - Data rate in MiB/s below which the test fails, into and out of each guest, measured with 4 MiB over SSH.
      - Emulated guests on a busy machine reach ten times the default. V(0) for no bound.
    type: float
    default: 0.5
  large_packets:
    description:
      - Whether the test fails when packets of the external network's MTU that must not be split are lost without an
        answer.
      - Otherwise it only tells.
    type: bool
    default: true
  migrate:
    description: Whether the first server is migrated to another host, where there are several in O(hosts).
    type: bool
    default: false
  resize:
    description: Whether the first server is resized as well. With a single compute node Nova must allow it on the same
      host.
    type: bool
    default: false
  volumes:
    description:
      - Whether volumes are tried, too. One is attached, written to, extended in use, cloned by a snapshot, backed up
        with an increment, restored, detached and given another type, with checksums taken in the guest each time; a
        server boots from another one.
    type: bool
    default: false
  name_servers:
    description: Name servers that DHCP has to hand out. They are not asked.
    type: list
    elements: str
    default: [192.0.2.53]
  external_name:
    description: External network to use. Empty for the first that has a subnet; when there is none, one is made.
    type: str
    default: ""
  external_physical_network:
    description: Physical network of the external network to make.
    type: str
    default: external
  external_type:
    description: Kind of the external network to make.
    type: str
    choices: [flat, vlan]
    default: flat
  external_segment:
    description: VLAN of the external network to make.
    type: int
  external_cidr:
    description: Address range of the external network to make.
    type: str
    default: ""
  external_cidr_v6:
    description: IPv6 address range of the external network to make, whose first address is the gateway. Empty leaves it
      out.
    type: str
    default: ""
  external_gateway:
    description: Gateway of the external network to make.
    type: str
    default: ""
  external_pool_start:
    description: First floating address.
    type: str
    default: ""
  external_pool_end:
    description: Last floating address.
    type: str
    default: ""
  timeout:
    description: Seconds for each thing that is waited for.
    type: float
    default: 180
  keep_failed:
    description: Leave everything in place after a failure, for a look. The next run removes it. An interrupted run
      removes it anyway.
    type: bool
    default: false
  remains_only:
    description: Only remove what earlier runs with the same prefix left.
    type: bool
    default: false
extends_documentation_fragment:
  - stackwright.cloud.administrator
attributes:
  check_mode:
    description: Nothing is done, since the test consists of doing.
    support: partial
  diff_mode:
    description: What is made is removed again.
    support: none
  idempotent:
    description: The cloud is afterwards as it was before.
    support: full
"""

EXAMPLES = r"""
- name: Prove the cloud
  stackwright.cloud.boot_test:
    auth:
      auth_url: http://203.0.113.10:5000/v3
      username: admin
      password: "{{ stackwright_secrets.keystone_admin }}"
      project_name: admin
      user_domain_name: Default
      project_domain_name: Default
    image: .stackwright/guest/stackwright-guest-0123456789ab.qcow2
    external_cidr: 198.51.100.0/24
    external_gateway: 198.51.100.1
    external_pool_start: 198.51.100.100
    external_pool_end: 198.51.100.199
  delegate_to: localhost
"""

RETURN = r"""
steps:
  description: Every step that was begun.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: What the step makes true.
      type: str
    ok:
      description: Whether it did.
      type: bool
    seconds:
      description: How long it took.
      type: float
    detail:
      description: What was found, or the cause of the failure.
      type: str
seconds:
  description: How long all took.
  returned: always
  type: float
guests:
  description: Identifier and name of each server that was made.
  returned: always
  type: list
  elements: dict
summary:
  description: The steps, for people.
  returned: always
  type: list
  elements: str
"""

import os
import tempfile
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud import errors
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.api import Cloud, Login
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.boot_content import Settings
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.boot_guest import BootTestError
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.boot_test import (
    BootTest,
    InterruptedRunError,
    failure_message,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.cloud import ARGUMENTS, SdkError, connect, place
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.guest_shell import Shell

OPTIONS: dict[str, Any] = {
    "image": {"type": "path", "required": True},
    "prefix": {"type": "str", "default": "stackwright-verify"},
    "hosts": {"type": "list", "elements": "str", "default": []},
    "tenant_cidr": {"type": "str", "default": "192.168.213.0/24"},
    "tenant_cidr_v6": {"type": "str", "default": "fd53:7477:6774::/64"},
    "stateful_cidr_v6": {"type": "str", "default": "fd53:7477:6775::/64"},
    "routed_v6": {"type": "bool", "default": False},
    "routed_via_v6": {"type": "str", "default": ""},
    "throughput_minimum": {"type": "float", "default": 0.5},
    "large_packets": {"type": "bool", "default": True},
    "migrate": {"type": "bool", "default": False},
    "resize": {"type": "bool", "default": False},
    "volumes": {"type": "bool", "default": False},
    "name_servers": {"type": "list", "elements": "str", "default": ["192.0.2.53"]},
    "external_name": {"type": "str", "default": ""},
    "external_physical_network": {"type": "str", "default": "external"},
    "external_type": {"type": "str", "choices": ["flat", "vlan"], "default": "flat"},
    "external_segment": {"type": "int"},
    "external_cidr": {"type": "str", "default": ""},
    "external_cidr_v6": {"type": "str", "default": ""},
    "external_gateway": {"type": "str", "default": ""},
    "external_pool_start": {"type": "str", "default": ""},
    "external_pool_end": {"type": "str", "default": ""},
    "timeout": {"type": "float", "default": 180},
    "keep_failed": {"type": "bool", "default": False},
}
REMAINS: dict[str, Any] = {"remains_only": {"type": "bool", "default": False}}


def main() -> None:
    """Entry point."""
    module = AnsibleModule(argument_spec={**ARGUMENTS, **OPTIONS, **REMAINS}, supports_check_mode=True)
    values = {name: module.params[name] for name in OPTIONS}
    values["hosts"], values["name_servers"] = tuple(values["hosts"]), tuple(values["name_servers"])
    if module.check_mode:
        module.exit_json(changed=False, skipped=True, steps=[], seconds=0, summary=["boot test not done in check mode"])
    if not os.access(values["image"], os.R_OK):
        module.fail_json(msg=f"the test guest's image {values['image']} cannot be read")
    start = time.monotonic()
    try:
        cloud = connect(module.params)
        engine = Cloud(
            Login(
                cloud=module.params["cloud"] or "",
                auth=module.params["auth"] or {},
                region_name=module.params["region_name"] or "",
                interface=module.params["interface"],
                ca_cert=module.params["ca_cert"] or "",
            )
        )
    except (SdkError, errors.CloudError) as error:
        module.fail_json(msg=str(error), steps=[], seconds=round(time.monotonic() - start, 1), summary=[])
    with tempfile.TemporaryDirectory(prefix="stackwright-verify-") as directory:
        test = BootTest(cloud, engine, Settings(**values), Shell(Path(directory)))
        failure = ""
        try:
            if module.params["remains_only"]:
                test.step("remains of earlier runs are removed", test.remove_remains)
            else:
                test.run()
        except (BootTestError, InterruptedRunError) as error:
            failure = failure_message(error, test.steps, place(module.params))
    result = {
        "changed": False,
        "steps": test.steps.done,
        "seconds": round(time.monotonic() - start, 1),
        "summary": test.steps.lines(),
        "guests": [{"id": one.id, "name": one.name} for one in test.made.guests if one.id],
    }
    if failure:
        module.fail_json(msg=failure, **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
