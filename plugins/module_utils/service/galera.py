"""A cluster of database servers: what a host knows of it, which host may begin it, and what is wrong with it.

A cluster is founded once, from one host's data; every other server joins, and takes the data over. Who founds is
decided on the control node, of what all hosts say: never by a host alone, and never by a guess. Data carries the
cluster's UUID and the number of its last transaction, its position; a server that was stopped last, in order, has
marked its data as safe to begin with.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.common import command
from ansible_collections.stackwright.cloud.plugins.module_utils.host import files, systemd
from ansible_collections.stackwright.cloud.plugins.module_utils.host.database import (
    DATA,
    NOBODY,
    grastate,
    own_databases,
)

UNIT = "mariadb"
# The unit reads it when it starts, and removes it: this start founds a cluster.
MARK = "/run/stackwright-database-founded"
# Seconds that one program may take: reading the position of a crashed server replays its log first.
RECOVERY_SECONDS, ANSWER_SECONDS, START_SECONDS = 600, 10, 900
PRIMARY, SYNCED = "Primary", 4
PLAYBOOK = "playbooks/database_recover.yml"
STATUS = (
    "SHOW GLOBAL STATUS WHERE Variable_name IN ('wsrep_cluster_status', 'wsrep_local_state', 'wsrep_ready', "
    "'wsrep_cluster_size', 'wsrep_incoming_addresses', 'wsrep_cluster_state_uuid', 'wsrep_last_committed')"
)


class GaleraError(Exception):
    """A server of the cluster does not do what it is to do; the text says what was tried."""


@dataclass(frozen=True)
class Member:
    """What a host knows of the cluster.

    :param active: state of the unit. :param status: `Primary` where the server belongs to a cluster that may write,
        empty where none answers. :param local: state of the server, 4 where it is synced.
    :param addresses: where the members of its cluster serve clients.
    :param uuid: of the cluster that the data belongs to, empty where it belongs to none.
    :param seqno: number of the last transaction in the data, -1 where it is not known.
    :param safe: whether the data is marked as safe to begin with.
    :param view: whether the server remembers the members of its last cluster, and looks for them when it starts.
    :param databases: names of the databases that are not the server's own.
    """

    active: str = "inactive"
    status: str = ""
    local: int = 0
    ready: bool = False
    size: int = 0
    addresses: tuple[str, ...] = ()
    uuid: str = ""
    seqno: int = -1
    safe: bool = False
    view: bool = False
    databases: tuple[str, ...] = ()

    @property
    def primary(self) -> bool:
        """Whether it belongs to a cluster that may write."""
        return self.status == PRIMARY

    @property
    def serves(self) -> bool:
        """Whether clients may be sent to it."""
        return self.primary and self.local == SYNCED and self.ready

    def told(self) -> str:
        """What it knows, in a line."""
        if self.primary:
            return f"member of the cluster {self.uuid}, state {self.local}, position {self.seqno}"
        if self.uuid:
            known = self.seqno if self.seqno >= 0 else "unknown"
            return f"uuid {self.uuid}, position {known}, safe_to_bootstrap {int(self.safe)}, unit {self.active}"
        own = f"data of its own ({', '.join(self.databases)})" if self.databases else "no data"
        return f"{own}, of no cluster, unit {self.active}"


def member(told: Mapping[str, Any]) -> Member:
    """What a host knows, of what its module returned."""
    return Member(
        **{**told, "addresses": tuple(told.get("addresses", ())), "databases": tuple(told.get("databases", ()))}
    )


def plain(one: Member) -> dict[str, Any]:
    """The same for a module's result."""
    return asdict(one)


def _text(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text(encoding="utf-8", errors="replace")
    return ""


def _answer() -> dict[str, str]:
    """What the server says of the cluster; nothing where it does not answer."""
    asked = ["mariadb", "--batch", "--skip-column-names", "--connect-timeout=5", f"--execute={STATUS}"]
    with contextlib.suppress(OSError, command.CommandTimeoutError):
        done = command.run(asked, ANSWER_SECONDS)
        return dict(re.findall(r"(?m)^(\w+)\t(.*)$", done.stdout)) if done.returncode == 0 else {}
    return {}


def recovered() -> tuple[str, int]:
    """UUID and position of data whose server was killed. Nothing may run on it.

    :raises GaleraError: the server finds none.
    """
    try:
        done = command.run(["galera_recovery"], RECOVERY_SECONDS)
    except (OSError, command.CommandTimeoutError) as error:
        raise GaleraError(f"galera_recovery, which reads the position of {DATA}: {error}") from error
    found = re.search(r"--wsrep_start_position=([0-9a-f-]{36}):(-?\d+)", done.stdout)
    if not found:
        raise GaleraError(f"galera_recovery finds no position in {DATA}: {(done.stderr or done.stdout).strip()[-300:]}")
    return "" if found[1] == NOBODY else found[1], int(found[2])


def look(data: Path = Path(DATA), positions: bool = True) -> Member:
    """What this host knows of the cluster.

    :param positions: whether the position of a server that was killed is read from its data.
    :raises GaleraError: it cannot be read. :raises systemd.UnitsError: systemd does not answer.
    """
    active = systemd.show([UNIT], ("ActiveState",))[UNIT].get("ActiveState", "inactive")
    uuid, seqno, safe = grastate(_text(data / "grastate.dat"))
    said = _answer() if active == "active" else {}
    if said.get("wsrep_cluster_status") and said.get("wsrep_cluster_size", "0") != "0":
        uuid, seqno = said["wsrep_cluster_state_uuid"], int(said["wsrep_last_committed"])
    elif uuid and seqno < 0 and positions and active in ("inactive", "failed"):
        uuid, seqno = recovered()
    return Member(
        active=active,
        status=said.get("wsrep_cluster_status", ""),
        local=int(said.get("wsrep_local_state", 0)),
        ready=said.get("wsrep_ready") == "ON",
        size=int(said.get("wsrep_cluster_size", 0)),
        addresses=tuple(sorted(filter(None, said.get("wsrep_incoming_addresses", "").split(",")))),
        uuid=uuid,
        seqno=seqno,
        safe=safe,
        view=bool(_text(data / "gvwstate.dat").strip()),
        databases=own_databases(data),
    )


def stop() -> None:
    """End a server that waits for its cluster, which takes no order to stop. Its data stays as it is.

    :raises systemd.UnitsError: it does not end.
    """
    systemd.systemctl("kill", "--signal=KILL", UNIT)
    systemd.must("stop", UNIT, seconds=START_SECONDS)
    systemd.systemctl("reset-failed", UNIT)


def _as_owner(*asked: str) -> None:
    """Run a program as the owner of the data, whose directory is its own."""
    try:
        done = command.run(["/usr/sbin/runuser", "-u", "mysql", "--", *asked], ANSWER_SECONDS)
    except (OSError, command.CommandTimeoutError) as error:
        raise GaleraError(f"{' '.join(asked)}: {error}") from error
    if done.returncode:
        raise GaleraError(f"{' '.join(asked)}: {done.stderr.strip()[-300:]}")


def forget() -> None:
    """Make a stopped server look for any member of its cluster, and not for those that were with it last.

    :raises GaleraError: its file cannot be removed.
    """
    _as_owner("rm", "-f", f"{DATA}/gvwstate.dat")


def mark() -> None:
    """Have the next start of the server found the cluster from this host's data.

    :raises GaleraError: the data cannot be marked.
    """
    if os.path.exists(f"{DATA}/grastate.dat"):
        _as_owner("sed", "-i", "s/^safe_to_bootstrap:.*/safe_to_bootstrap: 1/", f"{DATA}/grastate.dat")
        forget()
    files.replace(MARK, "_WSREP_NEW_CLUSTER=--wsrep-new-cluster\n")


def unmark() -> None:
    """Take back a mark of an earlier run that came to no start."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(MARK)


def start() -> None:
    """Start the server and wait until it is up. :raises systemd.UnitsError: it does not start."""
    systemd.systemctl("reset-failed", UNIT)
    systemd.must("start", UNIT, seconds=START_SECONDS)


def bring(state: str) -> None:
    """Bring a server that does not serve to a state: see the module ``database_cluster``.

    :raises GaleraError: its data refuses. :raises systemd.UnitsError: systemd does.
    """
    if state == "stopped":
        stop()
    if state in ("founding", "founded"):
        mark()
    if state == "joined":
        unmark()
        forget()
    if state in ("founded", "joined"):
        start()


@dataclass(frozen=True)
class Course:
    """Who founds the cluster: nobody where that is empty.

    :param why: why it is that host. :param problems: what forbids that the servers are started.
    """

    founder: str = ""
    why: str = ""
    problems: list[str] = field(default_factory=list)


def _strangers(members: Mapping[str, Member], uuid: str) -> Iterator[str]:
    """Hosts whose data would be lost if they joined the cluster with this UUID."""
    for host, one in members.items():
        if one.uuid and one.uuid != uuid:
            yield (
                f"{host} holds data of another cluster than {uuid or 'this one'}: {one.uuid}. If that may be lost, "
                f"stop {UNIT} there and empty {DATA}; the host then takes over the data of the others."
            )
        elif uuid and not one.uuid and one.databases:
            yield (
                f"{host} has databases of its own, which it would lose by joining the cluster {uuid}: "
                f"{', '.join(one.databases)}. Save what is needed, stop {UNIT} there and empty {DATA}."
            )


def decide(members: Mapping[str, Member], leader: str, unseen: Sequence[str] = ()) -> Course:
    """Which host founds the cluster in a run that starts the servers.

    :param members: what each host of the run knows.
    :param leader: host that founds it where no host has data.
    :param unseen: hosts of the cluster that are not in the run or do not answer.
    """
    uuids = {one.uuid for one in members.values() if one.uuid}
    primary = {one.uuid for one in members.values() if one.primary}
    if len(primary) > 1:
        told = "; ".join(f"{host}: {one.uuid}" for host, one in members.items() if one.primary)
        return Course(
            problems=[f"There are {len(primary)} clusters of databases: {told}. Keep the one with your data."]
        )
    if primary:
        return Course(problems=list(_strangers(members, primary.pop())))
    if len(uuids) > 1:
        told = "; ".join(f"{host}: {one.told()}" for host, one in members.items() if one.uuid)
        return Course(problems=[f"The hosts hold data of {len(uuids)} clusters: {told}. Keep one, and empty {DATA}."])
    if uuids:
        return _stopped(members, uuids.pop(), unseen)
    return _new(members, leader, unseen)


def _stopped(members: Mapping[str, Member], uuid: str, unseen: Sequence[str]) -> Course:
    """No server of a cluster with data belongs to one that may write."""
    if problems := list(_strangers(members, uuid)):
        return Course(problems=problems)
    held = {host: one for host, one in members.items() if one.uuid}
    safe = [host for host, one in held.items() if one.safe]
    highest = max(one.seqno for one in held.values())
    if len(safe) == 1 and held[safe[0]].seqno == highest and highest >= 0:
        return Course(safe[0], f"its server was stopped last, at position {highest}")
    if not unseen and all(one.view for one in held.values()):
        return Course(why="the servers were cut off together, and find each other")
    told = "; ".join(f"{host}: {one.told()}" for host, one in members.items())
    more = f" Not seen: {', '.join(unseen)}." if unseen else ""
    return Course(
        problems=[
            f"The cluster of databases is down, and no data is marked as the last. {told}.{more} Run {PLAYBOOK}: it "
            f"reads all positions, and says which host it would begin with."
        ]
    )


def _new(members: Mapping[str, Member], leader: str, unseen: Sequence[str]) -> Course:
    """No host has data of a cluster."""
    if unseen:
        return Course(
            problems=[
                f"The cluster of databases cannot be founded, since {', '.join(unseen)} may have data of it: run "
                f"without --limit, and with all hosts up."
            ]
        )
    full = [host for host, one in members.items() if one.databases]
    if len(full) > 1:
        told = "; ".join(f"{host}: {', '.join(members[host].databases)}" for host in full)
        return Course(problems=[f"Several hosts have databases of their own, and all but one would lose them: {told}."])
    if full:
        return Course(full[0], "it alone has databases")
    return Course(leader, "no host has data, and it is the first")


def safest(members: Mapping[str, Member]) -> Course:
    """The host with the last transaction, among servers that are stopped; where several have it, one that is marked, or
    the first.

    :param members: what each host that answers knows, in the order of the inventory.
    """
    if serving := [host for host, one in members.items() if one.primary]:
        return Course(problems=[f"The cluster of databases works on {', '.join(serving)}: nothing is to recover."])
    held = {host: one for host, one in members.items() if one.uuid}
    uuids = {one.uuid for one in held.values()}
    if not held:
        return Course(problems=["No host has data of a cluster: playbooks/site.yml founds one, or restore a backup."])
    if len(uuids) > 1:
        return Course(problems=[*_strangers(members, next(iter(held.values())).uuid)])
    highest = max(one.seqno for one in held.values())
    if highest < 0:
        return Course(problems=["No host knows the position of its data: restore a backup."])
    last = [host for host, one in held.items() if one.seqno == highest]
    chosen = next((host for host in last if held[host].safe), last[0])
    same = f", as have {', '.join(one for one in last if one != chosen)}" if len(last) > 1 else ""
    return Course(chosen, f"it has the last transaction, {highest}{same}")


def mixed(members: Mapping[str, Member]) -> dict[str, str]:
    """Hosts whose data cannot become part of one cluster with the others', with the reason.

    Right is the cluster that most hosts have data of; where there is no such, each is named.
    """
    uuids = [one.uuid for one in members.values() if one.uuid]
    full = [host for host, one in members.items() if one.databases]
    if not uuids:
        found = full if len(full) > 1 else []
        return {host: f"databases of its own: {', '.join(members[host].databases)}" for host in found}
    counts = {uuid: uuids.count(uuid) for uuid in uuids}
    most = [uuid for uuid, count in counts.items() if count == max(counts.values())]
    right = most[0] if len(most) == 1 else ""
    wrong = {host: one.uuid for host, one in members.items() if one.uuid not in ("", right)}
    own = {
        host: f"databases of its own: {', '.join(one.databases)}"
        for host, one in members.items()
        if one.databases and not one.uuid
    }
    return {**{host: f"data of the cluster {uuid}" for host, uuid in wrong.items()}, **own}


def judge(members: Mapping[str, Member], expected: Collection[str]) -> tuple[list[str], list[str]]:
    """What is wrong with a cluster that is to have these members: what makes it useless, and what it has lost.

    :param members: what each host that answers knows.
    """
    serving = {host: one for host, one in members.items() if one.serves}
    absent = [
        f"{host} {'does not serve: ' + members[host].told() if host in members else 'does not answer'}"
        for host in expected
        if host not in serving
    ]
    if not serving:
        return [f"The cluster of databases serves nobody. {'; '.join(absent)}."], []
    groups = {(one.uuid, one.addresses) for one in serving.values()}
    if len(groups) > 1:
        told = "; ".join(f"{host} with {', '.join(one.addresses)}" for host, one in serving.items())
        return [f"Servers of databases belong to {len(groups)} clusters: {told}."], []
    lost = []
    if absent:
        lost.append(
            f"The cluster of databases works, but is degraded: {len(serving)} of {len(expected)} members. "
            f"{'; '.join(absent)}."
        )
    size = next(iter(serving.values())).size
    if size > len(expected):
        extra = f"It counts {size} members, {len(expected)} are in the inventory"
        lost.append(f"The cluster of databases has a member too many. {extra}: {', '.join(groups.pop()[1])}.")
    return [], lost
