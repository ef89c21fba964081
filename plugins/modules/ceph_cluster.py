#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)

from __future__ import annotations

DOCUMENTATION = r"""
module: ceph_cluster
short_description: Converge what a Ceph cluster holds with one document
version_added: 0.1.0
description:
  - Brings central configuration, flags, manager modules, erasure profiles, CRUSH rules, pools and users to what a
    document says, over one connection and with many commands under way at the same time.
  - Everything is compared first. What the cluster cannot hold (more copies than failure domains, too many placement
    groups, an option that no daemon knows, a rule or profile that would have to change) is told at once, before the
    first change.
  - Whatever the document does not name stays as it is. Pools, rules and profiles are never removed.
  - Runs on a host with a monitor, as root.
author: The Stackwright developers
attributes:
  check_mode: {support: full, description: "Says what would change."}
  diff_mode: {support: full, description: "A line for each value before and after; never a key."}
  idempotent: {support: full, description: "A cluster that is as described is only asked."}
options:
  document:
    description:
      - What the cluster is to hold.
      - C(settings) maps whom (V(global), V(osd), V(osd/host:storage1), V(mgr)) to options and values; null removes one.
      - C(flags) maps flags such as V(noout) to true or false, C(modules) modules of the managers, C(muted) lists health
        checks.
      - C(erasure_profiles) maps names to C(k), C(m) and further keys of a profile.
      - C(rules) maps names to C(type) (V(replicated) or V(erasure)), C(root), C(failure_domain), C(device_class),
        C(profile).
      - C(pools) maps names to C(type), C(profile), C(size), C(min_size), C(pg_num), C(autoscale), C(rule),
        C(application), C(quota_bytes), C(quota_objects), C(compression), C(compression_algorithm), C(bulk),
        C(target_size_ratio), C(overwrites).
      - C(users) maps names to C(caps) and C(state).
      - C(locations) maps hosts to where they stand, as C(root), C(rack) and the like.
    type: dict
    required: true
  keys:
    description: Keys of users by their names. Without one an existing key stays, and a new user gets one.
    type: dict
    default: {}
  osds:
    description: Numbers of OSDs that have to be up first.
    type: list
    elements: int
    default: []
  timeout:
    description: Seconds to wait for them.
    type: int
    default: 180
  name:
    description: Who logs in.
    type: str
    default: mon.
  keyring:
    description: File with the key.
    type: path
    required: true
"""

EXAMPLES = r"""
- name: The cluster holds what the inventory says
  stackwright.cloud.ceph_cluster:
    keyring: /var/lib/ceph/mon/ceph-storage1/keyring
    document:
      settings: {osd: {osd_max_backfills: 2}}
      erasure_profiles: {two_and_one: {k: 2, m: 1}}
      rules: {fast: {device_class: ssd}}
      pools:
        volumes: {size: 3, rule: fast, application: rbd, autoscale: "on"}
        archive: {type: erasure, profile: two_and_one, application: rgw}
      users:
        client.volumes: {caps: {mon: profile rbd, osd: profile rbd pool=volumes}}
"""

RETURN = r"""
changes:
  description: What was changed or would be, a line each.
  type: list
  elements: str
  returned: success
problems:
  description: What is wrong with the document.
  type: list
  elements: str
  returned: failure
trips:
  description: How often an answer of the cluster was waited for.
  type: int
  returned: success
"""

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stackwright.cloud.plugins.module_utils.ceph import document as documents
from ansible_collections.stackwright.cloud.plugins.module_utils.ceph import plan, ready
from ansible_collections.stackwright.cloud.plugins.module_utils.ceph.session import CephError, connected


def _lines(actions: list[plan.Action], side: str) -> str:
    return "".join(f"{one.about}: {getattr(one, side)}\n" for one in actions if getattr(one, side))


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "document": {"type": "dict", "required": True},
            "keys": {"type": "dict", "default": {}, "no_log": True},
            "osds": {"type": "list", "elements": "int", "default": []},
            "timeout": {"type": "int", "default": 180},
            "name": {"type": "str", "default": "mon."},
            "keyring": {"type": "path", "required": True, "no_log": False},
        },
        supports_check_mode=True,
    )
    given: dict[str, Any] = module.params
    try:
        wanted = documents.read(given["document"], given["keys"])
        if module.check_mode and not os.path.exists(given["keyring"]):
            # the monitors are made in the course of the run that is foretold
            module.exit_json(changed=True, changes=["make the cluster"], trips=0)
        with connected(given["name"], given["keyring"]) as session:
            seconds = 0 if module.check_mode else given["timeout"]
            ready.wait(session, seconds, given["osds"], manager=bool(wanted.modules))
            session.trips = 0
            asked = plan.questions(wanted)
            state = plan.State(dict(zip([one.prefix for one in asked], session.ask_all(asked), strict=True)))
            actions = plan.plan(wanted, state)
            for commands in [] if module.check_mode else plan.waves(actions):
                session.ask_all(commands)
            trips = session.trips
    except documents.DocumentError as error:
        module.fail_json(
            msg="The cluster cannot be brought to what the inventory says; nothing was changed.",
            problems=[str(one) for one in error.problems],
        )
    except CephError as error:
        module.fail_json(
            msg=f"The cluster could not be brought to what the inventory says: {error}",
            hint="What was done stays; run again once the cause is mended.",
        )
    module.exit_json(
        changed=bool(actions),
        changes=[f"{one.about}: {one.after}" if one.after else f"remove {one.about}" for one in actions],
        trips=trips,
        diff={"before": _lines(actions, "before"), "after": _lines(actions, "after")},
    )


if __name__ == "__main__":
    main()
