#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)

from __future__ import annotations

DOCUMENTATION = r"""
module: ceph_health
short_description: Wait until a Ceph cluster is whole, and prove what its users may do
version_added: 0.1.0
description:
  - A cluster is whole when all monitors are in the quorum, all OSDs are up and take data, a manager answers, every
    placement group is active and clean, and no health check is raised that is not muted. It must be so several times in
    a row, with a pause in between, since each of these shows what was for some seconds. Checks that tell of what is
    over, such as a slow write or a crash of the last day, do not count; they are returned as C(remarks).
  - Then every client of the document writes, reads and removes an object with its own key in each pool where it may,
    and must be refused in each where it may not.
  - Monitors' clocks, the age of scrubs, and, with O(history), the days until the cluster is near full are judged.
  - Then, if wanted, every OSD writes 16 MB to its disk, three times, and those that are much slower than their peers
    are named.
  - Runs on a host with a monitor, as root. Leaves nothing behind.
author: The Stackwright developers
attributes:
  check_mode: {support: full, description: "Waits and judges; writes no object."}
  diff_mode: {support: none, description: "There is nothing to compare."}
  idempotent: {support: full, description: "Changes nothing that lasts."}
options:
  monitors:
    description: Monitors that have to be in the quorum.
    type: list
    elements: str
    default: []
  users:
    description: Users by their names with their C(caps), as M(stackwright.cloud.ceph_cluster) takes them.
    type: dict
    default: {}
  pools:
    description: Pools in which they are proved.
    type: list
    elements: str
    default: []
  allowed:
    description: Health checks that do not count, such as C(OSDMAP_FLAGS) while a flag is set on purpose.
    type: list
    elements: str
    default: []
  bench:
    description: Whether OSDs write for a comparison.
    type: bool
    default: false
  history:
    description:
      - File that keeps what was seen, for forecasts and for what became slower. Empty for none.
    type: str
    default: ''
  scrub_days:
    description: Days after which a placement group must have been scrubbed deeply.
    type: float
    default: 14
  full_days:
    description: Days that have to be left until the cluster is near full, as it goes.
    type: float
    default: 30
  times:
    description: How often in a row the cluster has to be whole.
    type: int
    default: 3
  pause:
    description: Seconds between two looks.
    type: float
    default: 4
  timeout:
    description: Seconds in which it has to become so.
    type: int
    default: 300
  keyring:
    description: File with the key of C(client.admin).
    type: path
    default: /etc/ceph/ceph.client.admin.keyring
"""

EXAMPLES = r"""
- name: The cluster is whole
  stackwright.cloud.ceph_health:
    monitors: [storage1, storage2, storage3]
"""

RETURN = r"""
seconds:
  description: Seconds until the cluster was whole for the first of the times.
  type: float
  returned: success
remarks:
  description: Health checks that tell of what is over, a line each.
  type: list
  elements: str
  returned: success
proved:
  description: What was proved of users, a line each.
  type: list
  elements: str
  returned: success
figures:
  description: How full and how fast the cluster is, a line each, where O(history) is kept.
  type: list
  elements: str
  returned: success
rates:
  description: Bytes a second by OSD, where they were compared.
  type: dict
  returned: success
problems:
  description: What is wrong.
  type: list
  elements: str
  returned: failure
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stackwright.cloud.plugins.module_utils.ceph import figures, health, probe
from ansible_collections.stackwright.cloud.plugins.module_utils.ceph.session import (
    CephError,
    Command,
    Session,
    connected,
)


def _wait(given: dict[str, Any], session: Session) -> tuple[list[str], float, list[str]]:
    """Look until the cluster is whole as often in a row as is wanted.

    :returns: what it lacks in the end, the seconds until it was so, and what it remembers.
    """
    begun = time.monotonic()
    rounds: list[list[str]] = []
    since = 0.0
    status: dict[str, Any] = {}
    while True:
        try:
            status, groups = session.ask_all([Command("status"), Command("pg stat", manager=True)])
            rounds.append(health.judge(status, groups or {}, given["monitors"], given["allowed"]))
        except CephError as error:
            rounds.append([str(error)])
        passed = time.monotonic() - begun
        since = 0.0 if rounds[-1] else since or passed
        if health.in_a_row(rounds, given["times"]):
            return [], since, health.remarks(status)
        if passed > given["timeout"]:
            return rounds[-1] or ["it was whole only now and then"], passed, []
        time.sleep(given["pause"])


def _proofs(given: dict[str, Any], session: Session) -> tuple[list[str], list[str]]:
    """What is wrong with users, and what was proved."""
    wanted = health.accesses(given["users"], given["pools"])
    keys = {one["entity"]: one["key"] for one in session.ask(Command("auth ls"))["auth_dump"]} if wanted else {}
    problems, proved = [], []
    for one in wanted:
        wrong = probe.prove(one, keys[one.user]) if one.user in keys else f"{one.user} is not there"
        if wrong:
            problems.append(wrong)
        else:
            proved.append(f"{one.user} may {one.may} in pool {one.pool}")
    return problems, proved


def _rates(session: Session) -> tuple[dict[int, float], list[str]]:
    """How fast OSDs write, and those that are slow."""
    tree = session.ask(Command("osd crush dump"))
    classes = {int(one["id"]): str(one.get("class", "")) for one in tree["devices"]}
    up = [int(one["osd"]) for one in session.ask(Command("osd dump"))["osds"] if one.get("up")]
    # the best of three, since disks have other things to do as well
    rates = {osd: max(probe.bench(session.cluster, osd) for _ in range(3)) for osd in up}
    return rates, health.slow(rates, classes)


def _figures(given: dict[str, Any], session: Session) -> tuple[list[str], list[str]]:
    """What is wrong with clocks, scrubs, room and speed, and what is told of them."""
    asked = [Command("time-sync-status"), Command("osd dump"), Command("df")]
    told = [Command("pg dump", {"dumpcontents": ["pgs"]}, manager=True)]
    clocks, dump, usage, groups = session.ask_all([*asked, *told])
    now = time.time()
    problems = [
        *figures.skewed(clocks or {}),
        *figures.unscrubbed((groups or {}).get("pg_stats") or [], now, given["scrub_days"]),
    ]
    if not given["history"]:
        return problems, []
    write, read = probe.speed(given["pools"][0]) if given["bench"] and given["pools"] else (0.0, 0.0)
    stats = usage["stats"]
    look = figures.Look(now, int(stats["total_used_raw_bytes"]), int(stats["total_bytes"]), write, read)
    looks = [*figures.remembered(given["history"]), look]
    figures.remember(looks, given["history"])
    ratio = float(dump.get("nearfull_ratio") or 0.85)
    remarks = [f"{look.used / max(look.total, 1):.0%} of the room are used"]
    if (left := figures.days_left(looks, ratio)) is not None:
        remarks.append(f"{left:.0f} days are left until {ratio:.0%} are, as it goes")
    if write:
        remarks.append(f"clients write {write / 1e6:.0f} MB/s and read {read / 1e6:.0f} MB/s")
    return [*problems, *figures.forecast(looks, ratio, given["full_days"]), *figures.slower(looks)], remarks


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "monitors": {"type": "list", "elements": "str", "default": []},
            "users": {"type": "dict", "default": {}},
            "pools": {"type": "list", "elements": "str", "default": []},
            "allowed": {"type": "list", "elements": "str", "default": []},
            "bench": {"type": "bool", "default": False},
            "history": {"type": "str", "default": ""},
            "scrub_days": {"type": "float", "default": 14},
            "full_days": {"type": "float", "default": 30},
            "times": {"type": "int", "default": 3},
            "pause": {"type": "float", "default": 4},
            "timeout": {"type": "int", "default": 300},
            "keyring": {"type": "path", "default": "/etc/ceph/ceph.client.admin.keyring", "no_log": False},
        },
        supports_check_mode=True,
    )
    given: dict[str, Any] = module.params
    proved: list[str] = []
    rates: dict[int, float] = {}
    told: list[str] = []
    try:
        with connected("client.admin", given["keyring"]) as session:
            problems, seconds, remarks = _wait(given, session)
            if not problems and not module.check_mode:
                problems, proved = _proofs(given, session)
                wrong, told = _figures(given, session)
                problems += wrong
                if given["bench"]:
                    rates, slow = _rates(session)
                    problems += slow
    except (CephError, OSError) as error:
        module.fail_json(msg=f"The cluster could not be looked at: {error}", problems=[str(error)])
    if problems:
        module.fail_json(
            msg=f"The cluster is not as it has to be: {problems[0]}",
            problems=problems,
            hint="See ceph health detail, and ceph -s, on a host with a monitor.",
        )
    module.exit_json(
        changed=False, seconds=round(seconds, 1), remarks=remarks, proved=proved, rates=rates, figures=told
    )


if __name__ == "__main__":
    main()
