#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)

from __future__ import annotations

DOCUMENTATION = r"""
module: ceph_removal
short_description: Take OSDs, a monitor, a manager or a whole host out of a Ceph cluster without losing a copy
version_added: 0.1.0
description:
  - In the phase V(drain) OSDs get no more data, once it is clear that their data has a place elsewhere; a monitor
    leaves the quorum, once it is clear that the others are a majority; an active manager hands over to another one.
    Then the module waits until the cluster is whole without the OSDs, several times in a row, and they are safe to be
    taken away.
    An OSD that is down, and whose number stays, is not waited for, as long as all data is served without it; that is
    judged once the others have agreed on what is left.
  - In the phase V(forget), after they were stopped, nothing remembers them; with O(keep_number) an OSD's number stays
    reserved for the disk that replaces it.
  - In the phase V(leave), on the host itself, the directories and keys of what left are removed.
  - All that stands in the way is told before the first change.
  - But for the last phase it runs on a host with a monitor that stays, as root. No disk is touched.
author: The Stackwright developers
attributes:
  check_mode: {support: full, description: "Says what would be done, and what stands in the way."}
  diff_mode: {support: full, description: "A line for each change."}
  idempotent: {support: full, description: "What is gone, or drained already, is left alone."}
options:
  osds:
    description: Numbers of OSDs.
    type: list
    elements: int
    default: []
  host:
    description: Name of a host, as the inventory has it, that leaves with its O(parts).
    type: str
    default: ''
  parts:
    description: What of the host leaves.
    type: list
    elements: str
    choices: [osd, mon, mgr, mds]
    default: [osd, mon, mgr, mds]
  phase:
    description: What is to be done.
    type: str
    choices: [drain, forget, leave]
    required: true
  keep_number:
    description: Whether an OSD's number stays for another disk.
    type: bool
    default: false
  times:
    description: How often in a row the cluster has to be whole.
    type: int
    default: 3
  pause:
    description: Seconds between two looks.
    type: float
    default: 4
  timeout:
    description: Seconds in which the data has to be elsewhere.
    type: int
    default: 3600
  keyring:
    description: File with the key of C(client.admin).
    type: path
    default: /etc/ceph/ceph.client.admin.keyring
"""

EXAMPLES = r"""
- name: The OSD's data is elsewhere
  stackwright.cloud.ceph_removal: {osds: [3], phase: drain}

- name: The host's data is elsewhere, and its monitor left the quorum
  stackwright.cloud.ceph_removal: {host: storage4, phase: drain}
"""

RETURN = r"""
changes:
  description: What was changed or would be, a line each.
  type: list
  elements: str
  returned: success
osds:
  description: Numbers of the OSDs that leave.
  type: list
  elements: int
  returned: success
host:
  description: Short name of the host that carries the OSDs; empty where they are gone, or stand on several.
  type: str
  returned: success
problems:
  description: What stands in the way.
  type: list
  elements: str
  returned: failure
"""

import errno
import os
import shutil
import time
from collections.abc import Callable, Iterable
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stackwright.cloud.plugins.module_utils.ceph import health, plan, removal
from ansible_collections.stackwright.cloud.plugins.module_utils.ceph.session import (
    CephError,
    Command,
    Session,
    connected,
)

REPLACE = (
    "To replace its disk without another place for its data, stop the OSD first (systemctl stop ceph-osd@N on its "
    "host): what it held is made anew on the new disk from the other copies, of which there is one less meanwhile."
)
LIBRARY = "/var/lib/ceph"
KEYS = "/etc/ceph"
# After an OSD is down, others agree on what is left of its data; within this time one placement group gets on, or none.
STANDSTILL_SECONDS = 120
MONITOR_KEYS = ("ceph.client.admin.keyring", "ceph.mon.keyring")
ASKED = ("osd dump", "osd crush dump", "mon dump", "quorum_status", "mgr dump", "fs dump")


def _state(session: Session, data: bool) -> plan.State:
    """What the cluster says of itself. :param data: whether the manager tells how full OSDs are."""
    questions = [*(Command(one) for one in ASKED), *([Command("osd df", manager=True)] if data else [])]
    return plan.State(dict(zip([one.prefix for one in questions], session.ask_all(questions), strict=True)))


def _leaving(given: dict[str, Any], state: plan.State) -> removal.Leaving:
    host, parts = given["host"], given["parts"] if given["host"] else []
    osds = set(given["osds"])
    if removal.OSD in parts:
        osds |= set(removal.osds_of(state, host.split(".")[0]))
    named = [host if part in parts else "" for part in (removal.MON, removal.MGR, removal.MDS)]
    return removal.Leaving(tuple(sorted(osds)), *named)


def _named(osds: Iterable[int]) -> str:
    return ", ".join(f"osd.{one}" for one in osds)


def _handed_over(leaving: removal.Leaving, state: plan.State) -> list[tuple[str, Command]]:
    """What has to leave before it is stopped, with what is told of it."""
    found = []
    if leaving.monitor in removal.monitors(state):
        found.append((f"take mon.{leaving.monitor} out of the quorum", Command("mon rm", {"name": leaving.monitor})))
    if leaving.manager and removal.managers(state)[:1] == [leaving.manager]:
        text = f"let another manager take over from mgr.{leaving.manager}"
        found.append((text, Command("mgr fail", {"who": leaving.manager})))
    taking = {int(one["osd"]) for one in state.of("osd dump", "osds") or [] if one.get("in")}
    if due := [one for one in leaving.osds if one in taking]:
        found.append((f"give {_named(due)} no more data", Command("osd out", {"ids": [str(one) for one in due]})))
    return found


def _lacking(session: Session, osds: tuple[int, ...]) -> list[str]:
    """What keeps OSDs from being taken away at this moment."""
    status, groups, dump = session.ask_all([Command("status"), Command("pg stat", manager=True), Command("osd dump")])
    found = removal.lacking(osds, status, groups or {}, plan.State({"osd dump": dump}))
    if not found and osds:
        ids = {"ids": [str(one) for one in osds]}
        # answered with an error and the list as long as one of them is not
        command = Command("osd safe-to-destroy", ids, accepts=(errno.EBUSY, errno.EAGAIN), manager=True)
        safe = (session.ask(command) or {}).get("safe_to_destroy") or []
        if missing := [one for one in osds if one not in safe]:
            found = [f"{_named(missing)} is not safe to be taken away yet"]
    return found


def _settled(session: Session, pause: float) -> dict[str, Any]:
    """What the manager says of placement groups once none is on its way to serve, or those that are get no further."""
    groups: dict[str, Any] = session.ask(Command("pg stat", manager=True)) or {}
    before, since = removal.passing(groups), time.monotonic()
    while removal.passing(groups) and time.monotonic() - since < STANDSTILL_SECONDS:
        time.sleep(pause)
        groups = session.ask(Command("pg stat", manager=True)) or {}
        if removal.passing(groups) != before:
            before, since = removal.passing(groups), time.monotonic()
    return groups


def _drain(module: AnsibleModule, session: Session, state: plan.State, leaving: removal.Leaving) -> list[str]:
    what = module.params["host"] or _named(leaving.osds)
    if module.params["keep_number"] and removal.down(leaving.osds, state):
        groups = _settled(session, module.params["pause"])
        if problems := removal.replaceable(leaving.osds, groups, state):
            module.fail_json(msg=f"{what} cannot be replaced: {'; '.join(problems)}", problems=problems)
        return []
    if problems := list(removal.obstacles(leaving, state)):
        module.fail_json(
            msg=f"{what} cannot be taken away, and nothing was changed: {'; '.join(problems)}",
            problems=problems,
            hint=REPLACE if module.params["keep_number"] else "",
        )
    todo = _handed_over(leaving, state)
    if module.check_mode:
        return [text for text, _command in todo]
    for _text, command in todo:
        session.ask(command)
    deadline = time.monotonic() + module.params["timeout"]
    rounds: list[list[str]] = []
    while not health.in_a_row(rounds, module.params["times"]):
        if rounds and time.monotonic() > deadline:
            ids = " ".join(map(str, leaving.osds))
            back = f", or give it its data back: ceph osd in {ids}" if ids else ""
            module.fail_json(
                msg=f"{what} could not be drained within {module.params['timeout']} s: {'; '.join(rounds[-1])}",
                problems=rounds[-1],
                hint=f"What was begun stays. Run again to wait on{back}",
            )
        if rounds:
            time.sleep(module.params["pause"])
        try:
            rounds.append(_lacking(session, leaving.osds))
        except CephError as error:
            # monitors elect anew and managers take over meanwhile
            rounds.append([str(error)])
    return [text for text, _command in todo]


def _forgotten(given: dict[str, Any], state: plan.State, leaving: removal.Leaving) -> list[tuple[str, Command]]:
    """What is to be forgotten, with what is told of it."""
    known = {int(one["osd"]): one for one in state.of("osd dump", "osds") or []}
    keep, found = given["keep_number"], []
    for osd in leaving.osds:
        if osd not in known or (keep and "destroyed" in (known[osd].get("state") or [])):
            continue
        text = f"keep the number of osd.{osd} for another disk" if keep else f"forget osd.{osd}"
        command = Command(
            "osd destroy-actual" if keep else "osd purge-actual", {"id": osd, "yes_i_really_mean_it": True}
        )
        found.append((text, command))
    return found


def _places(host: str, session: Session) -> list[tuple[str, Command]]:
    """A host's place in the map of places, once nothing stands there."""
    buckets = session.ask(Command("osd crush dump"))["buckets"]
    empty = any(one["name"] == host and one["type_name"] == "host" and not one["items"] for one in buckets)
    return [(f"forget the place {host}", Command("osd crush rm", {"name": host}))] if empty else []


def _users(leaving: removal.Leaving, session: Session) -> list[tuple[str, Command]]:
    """Keys of daemons that are gone."""
    names = [f"{kind}.{name}" for kind, name in (("mgr", leaving.manager), ("mds", leaving.mds)) if name]
    known = {one["entity"] for one in session.ask(Command("auth ls"))["auth_dump"]} if names else set()
    return [(f"forget the key of {name}", Command("auth rm", {"entity": name})) for name in names if name in known]


def _forget(module: AnsibleModule, session: Session, state: plan.State, leaving: removal.Leaving) -> list[str]:
    given = module.params
    running = {int(one["osd"]) for one in state.of("osd dump", "osds") or [] if one.get("up")}
    todo = _forgotten(given, state, leaving)
    if not module.check_mode and (up := [one for one in leaving.osds if one in running]):
        module.fail_json(msg=f"{_named(up)} still runs: stop it first", problems=[f"{_named(up)} is up"])
    changes = []
    # a host's place is empty only once its OSDs are forgotten
    host = given["host"].split(".")[0] if removal.OSD in given["parts"] else ""
    steps: list[Callable[[], list[tuple[str, Command]]]] = [
        lambda: todo,
        lambda: _places(host, session) if host else [],
        lambda: _users(leaving, session),
    ]
    for step in steps:
        found = step()
        if not module.check_mode:
            session.ask_all([command for _text, command in found])
        changes += [text for text, _command in found]
    return changes


def _leave(given: dict[str, Any], check: bool) -> list[str]:
    """Remove what daemons that left had on this host; their paths."""
    parts = given["parts"] if given["host"] else []
    paths = [os.path.join(LIBRARY, "osd", f"ceph-{one}") for one in given["osds"]]
    paths += [os.path.join(LIBRARY, part, f"ceph-{given['host']}") for part in parts if part != removal.OSD]
    if removal.MON in parts:
        # a store that came back would claim to be a member
        paths += [
            os.path.join(LIBRARY, "mon", "stackwright-monmap"),
            *(os.path.join(KEYS, one) for one in MONITOR_KEYS),
        ]
    present = [path for path in paths if os.path.lexists(path)]
    for path in [] if check else present:
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)
    return [f"remove {path}" for path in present]


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "osds": {"type": "list", "elements": "int", "default": []},
            "host": {"type": "str", "default": ""},
            "parts": {"type": "list", "elements": "str", "choices": list(removal.PARTS), "default": [*removal.PARTS]},
            "phase": {"type": "str", "choices": ["drain", "forget", "leave"], "required": True},
            "keep_number": {"type": "bool", "default": False},
            "times": {"type": "int", "default": 3},
            "pause": {"type": "float", "default": 4},
            "timeout": {"type": "int", "default": 3600},
            "keyring": {"type": "path", "default": "/etc/ceph/ceph.client.admin.keyring", "no_log": False},
        },
        supports_check_mode=True,
    )
    given: dict[str, Any] = module.params
    what = given["host"] or _named(given["osds"])
    if given["phase"] == "leave":
        try:
            changes = _leave(given, module.check_mode)
        except OSError as error:
            module.fail_json(msg=f"What {what} had on this host could not be removed: {error}")
        module.exit_json(changed=bool(changes), changes=changes, osds=given["osds"], host="")
    try:
        with connected("client.admin", given["keyring"]) as session:
            state = _state(session, data=given["phase"] == "drain")
            leaving = _leaving(given, state)
            hosts = {plan.place(state, osd=one).get("host", "") for one in leaving.osds}
            changes = (_drain if given["phase"] == "drain" else _forget)(module, session, state, leaving)
    except CephError as error:
        module.fail_json(msg=f"{what} could not be taken away: {error}", problems=[str(error)])
    module.exit_json(
        changed=bool(changes),
        changes=changes,
        osds=list(leaving.osds),
        host=hosts.pop() if len(hosts) == 1 else "",
        diff={"before": "", "after": "".join(f"{line}\n" for line in changes)},
    )


if __name__ == "__main__":
    main()
