#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)

from __future__ import annotations

DOCUMENTATION = r"""
module: ceph_monitor_store
short_description: Back up what Ceph's monitors know, and have it back when all monitors are lost
version_added: 0.1.0
description:
  - V(backup) writes what the monitors know (keys, central configuration, stored values such as the keys of encrypted
    OSDs, file systems, maps) into one sealed file.
  - V(lost), on each host with a monitor, sees that it has no store any more, and keeps what is left of its directory
    under another name, so that it can begin anew.
  - V(gather), on each host with OSDs in its turn, stops them, and adds to a store what they know.
  - V(rebuild), on the host of the first monitor, makes its store of that. A directory that is there already is kept
    under another name. Other monitors join with new stores.
  - V(join), on the host of a new monitor, makes its store with the map of those O(others) that answer; where none does,
    no store is made; nor where fewer than half answer and have no quorum, as after a first deployment that was broken
    off. A monitor with its store in a quorum lets in those O(users) that the cluster does not know, since a new manager
    that it does not know gives up.
  - V(restore), once the cluster answers, gives it what of a back-up it lacks. What differs stays as it is.
  - Runs as root. Sealed files are encrypted and can lie anywhere.
author: The Stackwright developers
attributes:
  check_mode: {support: full, description: "Says what would be done."}
  diff_mode: {support: full, description: "A line for each change; never a key."}
  idempotent: {support: partial, description: "V(backup), V(gather) and V(rebuild) do their work each time."}
options:
  phase:
    description: What is to be done.
    type: str
    choices: [backup, join, lost, gather, rebuild, restore]
    required: true
  cluster:
    description: Identity (fsid) of the cluster.
    type: str
    required: true
  passphrase:
    description: What sealed files are encrypted with.
    type: str
    default: ''
  monitor:
    description: Name of the monitor.
    type: str
    default: ''
  address:
    description: Where the monitor answers.
    type: str
    default: ''
  others:
    description: For V(join), addresses of the other monitors by their names.
    type: dict
    default: {}
  source:
    description: A sealed file that is read; for V(gather) empty on the first host.
    type: str
    default: ''
  target:
    description: The sealed file that is written.
    type: str
    default: ''
  keys:
    description: For V(rebuild) and V(join), the keyring that a monitor begins with.
    type: str
    default: ''
  users:
    description: For V(join), users by their names with their C(caps), as M(stackwright.cloud.ceph_cluster) takes them.
    type: dict
    default: {}
  user_keys:
    description: Their keys by their names.
    type: dict
    default: {}
  backup:
    description: For V(rebuild), a back-up whose keys are taken as well.
    type: str
    default: ''
  keyring:
    description: File with the key of C(client.admin).
    type: path
    default: /etc/ceph/ceph.client.admin.keyring
"""

EXAMPLES = r"""
- name: What the monitors know is in a sealed file
  stackwright.cloud.ceph_monitor_store:
    phase: backup
    cluster: "{{ ceph_cluster }}"
    passphrase: "{{ stackwright_secrets.ceph_backup }}"
    target: /var/backups/ceph-monitors.sealed
"""

RETURN = r"""
changes:
  description: What was done or would be, a line each.
  type: list
  elements: str
  returned: success
"""

import dataclasses
import os
from collections.abc import Callable
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stackwright.cloud.plugins.module_utils.ceph import document as documents
from ansible_collections.stackwright.cloud.plugins.module_utils.ceph import monitor_store, osds, plan
from ansible_collections.stackwright.cloud.plugins.module_utils.ceph.session import (
    CephError,
    Command,
    connected,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.common import sealed
from ansible_collections.stackwright.cloud.plugins.module_utils.host import systemd

Given = dict[str, Any]
# A monitor without a quorum is not waited for any longer.
QUORUM_SECONDS = 10


def _session(given: Given) -> Any:
    return connected("client.admin", given["keyring"])


def _backup(given: Given, check: bool) -> list[str]:
    with _session(given) as session:
        texts = monitor_store.told(session, given["cluster"])
    if not check:
        sealed.seal(given["target"], given["passphrase"], texts)
    return [f"write what the monitors know into {given['target']}"]


def _join(given: Given, check: bool) -> list[str]:
    name = given["monitor"]
    if monitor_store.has_store(name):
        return _let_in(given, check)
    others = monitor_store.answering(given["others"])
    if others and not check:
        try:
            monitor_store.join(name, given["cluster"], others, given["keys"])
        except CephError:
            # fewer than half, who wait for the rest: a first deployment that was broken off, and goes on
            if 2 * len(others) > len(given["others"]) + 1:
                raise
            return []
    return [f"make the store of mon.{name}, which joins {', '.join(others)}"] if others else []


def _let_in(given: Given, check: bool) -> list[str]:
    """Make users known to a cluster that answers; one that does not is brought up first, and told of them later."""
    wanted = documents.read({"users": given["users"]}, given["user_keys"])
    name = given["monitor"]
    if not wanted.users or not monitor_store.answering({name: given["address"]}):
        return []
    keyring = f"{monitor_store.directory_of(name)}/keyring"
    try:
        with connected("mon.", keyring, more={"client_mount_timeout": str(QUORUM_SECONDS)}) as session:
            known = {one["entity"] for one in session.ask(Command("auth ls"))["auth_dump"]}
            new = [one for one in wanted.users if one.name not in known]
            actions = plan.plan(dataclasses.replace(wanted, users=new), plan.State({"auth ls": {"auth_dump": []}}))
            for commands in [] if check else plan.waves(actions):
                session.ask_all(commands)
    except CephError:
        return []
    return [f"let {one.name} in" for one in new]


def _lost(given: Given, check: bool) -> list[str]:
    name = given["monitor"]
    if monitor_store.has_store(name):
        raise monitor_store.StoreError(
            f"mon.{name} has its store. Start it, and let the others join with new stores: put their directories below "
            f"{monitor_store.DIRECTORY} out of the way, and run playbooks/ceph.yml. Only if this one is of no use, put "
            "its directory out of the way, too, and run this again"
        )
    there = os.path.isdir(monitor_store.directory_of(name)) and bool(os.listdir(monitor_store.directory_of(name)))
    if there and not check:
        monitor_store.set_aside(name)
    return [f"put what is left of mon.{name} out of the way"] if there else []


def _gather(given: Given, check: bool) -> list[str]:
    found = osds.present()
    foreign = [one for one in found if one.cluster and one.cluster != given["cluster"]]
    if foreign:
        raise monitor_store.StoreError(f"osd.{foreign[0].number} belongs to the cluster {foreign[0].cluster}")
    if not check:
        if found:
            systemd.must("stop", *(one.unit for one in found), seconds=systemd.JOB_SECONDS)
        monitor_store.gather(found, given["source"], given["target"], given["passphrase"])
    return [f"ask osd.{one.number} for the maps that it has" for one in found]


def _rebuild(given: Given, check: bool) -> list[str]:
    name, keys = given["monitor"], given["keys"]
    if given["backup"]:
        texts = sealed.unseal(given["backup"], given["passphrase"])
        monitor_store.manifest_of(texts, given["backup"], given["cluster"])
        keys = monitor_store.merged(keys, texts[monitor_store.KEYRING])
    if not check:
        monitor_store.rebuild(name, given["address"], given["cluster"], given["source"], keys, given["passphrase"])
        systemd.must("enable", "--now", f"ceph-mon@{name}", seconds=systemd.JOB_SECONDS)
        # the others ask it who belongs to the cluster
        with _session(given):
            pass
    return [f"make the store of mon.{name} of what the OSDs know"]


def _restore(given: Given, check: bool) -> list[str]:
    texts = sealed.unseal(given["source"], given["passphrase"])
    monitor_store.manifest_of(texts, given["source"], given["cluster"])
    with _session(given) as session:
        found = monitor_store.restored(texts, session)
        for _text, command in [] if check else found:
            session.ask(command)
    return [f"give back {text}" for text, _command in found]


PHASES: dict[str, Callable[[Given, bool], list[str]]] = {
    "backup": _backup,
    "join": _join,
    "lost": _lost,
    "gather": _gather,
    "rebuild": _rebuild,
    "restore": _restore,
}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "phase": {"type": "str", "choices": [*PHASES], "required": True},
            "cluster": {"type": "str", "required": True},
            "passphrase": {"type": "str", "default": "", "no_log": True},
            "monitor": {"type": "str", "default": ""},
            "address": {"type": "str", "default": ""},
            "others": {"type": "dict", "default": {}},
            "source": {"type": "str", "default": ""},
            "target": {"type": "str", "default": ""},
            "keys": {"type": "str", "default": "", "no_log": True},
            "users": {"type": "dict", "default": {}},
            "user_keys": {"type": "dict", "default": {}, "no_log": True},
            "backup": {"type": "str", "default": ""},
            "keyring": {"type": "path", "default": "/etc/ceph/ceph.client.admin.keyring", "no_log": False},
        },
        supports_check_mode=True,
    )
    given: Given = module.params
    os.umask(0o077)
    try:
        changes = PHASES[given["phase"]](given, module.check_mode)
    except documents.DocumentError as error:
        module.fail_json(msg=f"users are not described well: {'; '.join(map(str, error.problems))}")
    except (monitor_store.StoreError, sealed.SealError, CephError, systemd.UnitsError) as error:
        module.fail_json(msg=f"{given['phase']} of the monitors' store failed: {error}")
    except OSError as error:
        module.fail_json(
            msg=f"{given['phase']} of the monitors' store failed: {error.filename}: {error.strerror or error}"
        )
    module.exit_json(
        changed=bool(changes),
        changes=changes,
        diff={"before": "", "after": "".join(f"{line}\n" for line in changes)},
    )


if __name__ == "__main__":
    main()
