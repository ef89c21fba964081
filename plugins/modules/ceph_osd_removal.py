#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)

from __future__ import annotations

DOCUMENTATION = r"""
module: ceph_osd_removal
short_description: Take an OSD out of a Ceph cluster without losing a copy
version_added: 0.1.0
description:
  - In the phase V(drain) the OSD gets no more data, once it is clear that its data has a place elsewhere; then the
    module waits until the cluster is whole without it, several times in a row, and the OSD is safe to be taken away.
  - In the phase V(forget), after it was stopped, nothing remembers it; with O(keep_number) its number stays reserved
    for the disk that replaces it.
  - Runs on a host with a monitor, as root. No disk is touched.
author: The Stackwright developers
attributes:
  check_mode: {support: full, description: "Says what would be done, and what stands in the way."}
  diff_mode: {support: full, description: "A line for each change."}
  idempotent: {support: full, description: "An OSD that is gone, or drained already, is left alone."}
options:
  osd:
    description: Its number.
    type: int
    required: true
  phase:
    description: What is to be done.
    type: str
    choices: [drain, forget]
    required: true
  keep_number:
    description: Whether its number stays for another disk.
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
    description: Seconds in which its data has to be elsewhere.
    type: int
    default: 3600
  keyring:
    description: File with the key of C(client.admin).
    type: path
    default: /etc/ceph/ceph.client.admin.keyring
"""

EXAMPLES = r"""
- name: The OSD's data is elsewhere
  stackwright.cloud.ceph_osd_removal: {osd: 3, phase: drain}
"""

RETURN = r"""
changes:
  description: What was changed or would be, a line each.
  type: list
  elements: str
  returned: success
host:
  description: Short name of the host that carries it; empty where it is gone.
  type: str
  returned: success
problems:
  description: What stands in the way.
  type: list
  elements: str
  returned: failure
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stackwright.cloud.plugins.module_utils.ceph import health, plan, removal
from ansible_collections.stackwright.cloud.plugins.module_utils.ceph.session import (
    CephError,
    Command,
    Session,
    connected,
)

# A health check of an OSD that is taken away on purpose.
ALLOWED = ("OSDMAP_FLAGS",)


def _lacking(session: Session, osd: int) -> list[str]:
    """What keeps an OSD from being taken away at this moment."""
    status, groups, tree = session.ask_all([Command("status"), Command("pg stat", manager=True), Command("osd dump")])
    out = sum(1 for one in tree["osds"] if int(one["osd"]) == osd and not one.get("in"))
    osds = status.get("osdmap") or {}
    # the one that leaves takes no data any more, and that is right
    osds["num_in_osds"] = int(osds.get("num_in_osds") or 0) + out
    found = health.judge(status, groups or {}, allowed=ALLOWED)
    if not found:
        safe = session.ask(Command("osd safe-to-destroy", {"ids": [str(osd)]}, manager=True)) or {}
        if osd not in (safe.get("safe_to_destroy") or []):
            found = [f"osd.{osd} is not safe to be taken away yet"]
    return found


def _drain(module: AnsibleModule, session: Session) -> tuple[list[str], str]:
    osd = module.params["osd"]
    asked = [Command("osd dump"), Command("osd crush dump")]
    dump, crush, usage = session.ask_all([*asked, Command("osd df", manager=True)])
    state = plan.State({"osd dump": dump, "osd crush dump": crush})
    own = next((one for one in dump["osds"] if int(one["osd"]) == osd), None)
    problems = list(removal.obstacles(osd, state, usage or {}))
    if problems:
        module.fail_json(msg=f"osd.{osd} cannot be taken away: {'; '.join(problems)}", problems=problems)
    host = str(plan.place(state, osd=osd).get("host", ""))
    changes = [f"give osd.{osd} no more data"] if own and own.get("in") else []
    if module.check_mode:
        return changes, host
    if changes:
        session.ask(Command("osd out", {"ids": [str(osd)]}))
    deadline = time.monotonic() + module.params["timeout"]
    rounds: list[list[str]] = []
    while not health.in_a_row(rounds, module.params["times"]):
        if rounds and time.monotonic() > deadline:
            module.fail_json(
                msg=f"osd.{osd} could not be drained within {module.params['timeout']} s: {'; '.join(rounds[-1])}",
                problems=rounds[-1],
                hint=f"It stays out. Run again to wait on, or give it its data back: ceph osd in {osd}",
            )
        if rounds:
            time.sleep(module.params["pause"])
        rounds.append(_lacking(session, osd))
    return changes, host


def _forget(module: AnsibleModule, session: Session) -> list[str]:
    osd, keep = module.params["osd"], module.params["keep_number"]
    dump = session.ask(Command("osd dump"))
    own = next((one for one in dump["osds"] if int(one["osd"]) == osd), None)
    gone = own is None or (keep and "destroyed" in (own.get("state") or []))
    if gone:
        return []
    if own and own.get("up"):
        module.fail_json(msg=f"osd.{osd} still runs: stop it first", problems=[f"osd.{osd} is up"])
    if not module.check_mode:
        command = "osd destroy-actual" if keep else "osd purge-actual"
        session.ask(Command(command, {"id": osd, "yes_i_really_mean_it": True}))
    return [f"keep the number of osd.{osd} for another disk" if keep else f"forget osd.{osd}"]


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "osd": {"type": "int", "required": True},
            "phase": {"type": "str", "choices": ["drain", "forget"], "required": True},
            "keep_number": {"type": "bool", "default": False},
            "times": {"type": "int", "default": 3},
            "pause": {"type": "float", "default": 4},
            "timeout": {"type": "int", "default": 3600},
            "keyring": {"type": "path", "default": "/etc/ceph/ceph.client.admin.keyring", "no_log": False},
        },
        supports_check_mode=True,
    )
    given: dict[str, Any] = module.params
    host = ""
    try:
        with connected("client.admin", given["keyring"]) as session:
            if given["phase"] == "drain":
                changes, host = _drain(module, session)
            else:
                changes = _forget(module, session)
    except CephError as error:
        module.fail_json(msg=f"osd.{given['osd']} could not be taken away: {error}", problems=[str(error)])
    module.exit_json(
        changed=bool(changes),
        changes=changes,
        host=host,
        diff={"before": "", "after": "".join(f"{line}\n" for line in changes)},
    )


if __name__ == "__main__":
    main()
