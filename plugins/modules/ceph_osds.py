#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)

from __future__ import annotations

DOCUMENTATION = r"""
module: ceph_osds
short_description: Make OSDs of a host's empty disks
version_added: 0.1.0
description:
  - Registers an OSD for every named disk that is none yet, writes its identity and key, makes its store, and starts it.
    Those that are there are started and enabled.
  - A disk is used only when it is named or described, and proven empty. One with data, a partition table, a mount, a
    swap area, LVM or another OSD is refused with what it holds, before any disk is touched. Nothing is ever erased.
  - What was broken off goes on where it was, with the same OSD.
  - Runs on the host of the disks, as root, with the key that may register OSDs.
author: The Stackwright developers
attributes:
  check_mode: {support: full, description: "Says which disks would become OSDs and which are refused."}
  diff_mode: {support: full, description: "A line for each change."}
  idempotent: {support: full, description: "A disk that is an OSD of this cluster stays as it is."}
options:
  devices:
    description: The disks.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description:
          - A whole block device, best as C(/dev/disk/by-id/...), or the path of a sparse file. Either this or
            O(devices[].match).
        type: str
      match:
        description:
          - In place of a path what the disks are like. Those that fit are used if they are as many as
            O(devices[].count) says, and are all refused otherwise, or if one of them is not empty.
        type: dict
        suboptions:
          size:
            description: A range such as V(7T..9T), V(7T..) or V(..500G). V(1T) is 2 to the power of 40 bytes.
            type: str
          rotational:
            description: Whether the kernel says that they rotate.
            type: bool
          model:
            description: Their model, as C(lsblk -o MODEL) shows it; V(*) stands for anything.
            type: str
          except:
            description: Paths of disks that are not meant, such as that of the system.
            type: list
            elements: str
            default: []
      count:
        description: How many disks O(devices[].match) stands for.
        type: int
      size:
        description: Size of a sparse file, such as V(10G). A block device has none.
        type: str
      device_class:
        description: Class that CRUSH rules choose by; what the kernel says of the device if left out.
        type: str
      db:
        description: A faster disk, partition or volume, for its database. It has to be proven empty as well.
        type: dict
        suboptions: &apart
          path:
            description: The device, or the path of a sparse file.
            type: str
            required: true
          size:
            description: Size of a sparse file.
            type: str
      wal:
        description: Another one for its journal; with O(devices[].db) alone that holds both.
        type: dict
        suboptions: *apart
      number:
        description: Number that it takes over from a disk that it replaces, see M(stackwright.cloud.ceph_removal).
        type: int
  cluster:
    description: Identity (fsid) of the cluster.
    type: str
    required: true
  keyring:
    description: File with the key of C(client.bootstrap-osd).
    type: path
    default: /var/lib/ceph/bootstrap-osd/ceph.keyring
"""

EXAMPLES = r"""
- name: The disks are OSDs
  stackwright.cloud.ceph_osds:
    cluster: "{{ stackwright_secrets.ceph_cluster }}"
    devices:
      - {path: /dev/disk/by-id/nvme-eui.0123456789abcdef}
      - {path: /srv/ceph/disk1, size: 10G}

- name: Eight large disks are OSDs
  stackwright.cloud.ceph_osds:
    cluster: "{{ stackwright_secrets.ceph_cluster }}"
    devices:
      - {match: {size: 7T..9T, rotational: true}, count: 8, device_class: archive}
"""

RETURN = r"""
changes:
  description: What was changed or would be, a line each.
  type: list
  elements: str
  returned: success
osds:
  description: Number, identity and disk of each OSD of the named disks.
  type: list
  elements: dict
  returned: success
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stackwright.cloud.plugins.module_utils.ceph import chosen, osds
from ansible_collections.stackwright.cloud.plugins.module_utils.ceph.session import CephError, connected
from ansible_collections.stackwright.cloud.plugins.module_utils.host import disks, drives, systemd

NAME = "client.bootstrap-osd"
HINT = "No disk was erased. See journalctl -u 'ceph-osd@*' on the host; run again once the cause is mended."


# What disks are like that are described.
MATCH: dict[str, Any] = {
    "size": {"type": "str"},
    "rotational": {"type": "bool"},
    "model": {"type": "str"},
    "except": {"type": "list", "elements": "str", "default": []},
}
# What of an OSD is kept apart.
APART: dict[str, Any] = {"path": {"type": "str", "required": True}, "size": {"type": "str"}}


def _start(kept: list[osds.Osd], check: bool) -> list[str]:
    """Enable and start OSDs that are not; the changes."""
    if not kept:
        return []
    states = systemd.show([one.unit for one in kept], ("ActiveState", "UnitFileState"))
    due = [
        unit
        for unit, state in states.items()
        if state.get("ActiveState") not in ("active", "activating", "reloading")
        or state.get("UnitFileState") != "enabled"
    ]
    if due and not check:
        systemd.must("enable", "--now", *due, seconds=systemd.JOB_SECONDS)
    return [f"start {unit}" for unit in due]


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "devices": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "required_one_of": [("path", "match")],
                "required_together": [("match", "count")],
                "options": {
                    "path": {"type": "str"},
                    "match": {"type": "dict", "options": MATCH},
                    "count": {"type": "int"},
                    "size": {"type": "str"},
                    "device_class": {"type": "str"},
                    "number": {"type": "int"},
                    **{kind: {"type": "dict", "options": APART} for kind in osds.PARTS},
                },
            },
            "cluster": {"type": "str", "required": True},
            "keyring": {"type": "path", "default": "/var/lib/ceph/bootstrap-osd/ceph.keyring"},
        },
        supports_check_mode=True,
    )
    check = module.check_mode
    try:
        entries, wrong = chosen.resolved(module.params["devices"], drives.present())
        if wrong:
            raise osds.OsdError(wrong)
        wanted = osds.disks_of(entries)
        todo = osds.plan(wanted, osds.present(), module.params["cluster"], disks.holds)
        changes = [f"make an OSD of {disk.path}" for disk in todo.make]
        made = []
        if todo.make and not check:
            with connected(NAME, module.params["keyring"]) as session:
                for number, disk in enumerate(todo.make):
                    made.append(osds.make(disk, session))
                    changes[number] = f"make osd.{made[-1].number} of {disk.path}"
        kept = [*todo.keep, *made]
        changes += _start(kept, check)
    except osds.OsdError as error:
        module.fail_json(msg="Disks cannot become OSDs: " + "; ".join(error.problems), hint=HINT)
    except (CephError, OSError, systemd.UnitsError) as error:
        module.fail_json(msg=f"OSDs could not be made: {error}", hint=HINT)
    module.exit_json(
        changed=bool(changes),
        changes=changes,
        osds=[{"number": one.number, "identity": one.identity, "path": one.block} for one in kept],
        diff={"before": "", "after": "".join(f"{line}\n" for line in changes)},
    )


if __name__ == "__main__":
    main()
