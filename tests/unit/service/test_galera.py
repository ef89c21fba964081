"""Who founds a cluster of databases is decided of what all hosts say, and what is wrong with one is told."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.host import database
from ansible_collections.stackwright.cloud.plugins.module_utils.service import galera
from ansible_collections.stackwright.cloud.plugins.module_utils.service.galera import Member

ONE, TWO = "11111111-aaaa-bbbb-cccc-000000000001", "22222222-aaaa-bbbb-cccc-000000000002"
HOSTS = ("ctl1", "ctl2", "ctl3")
EMPTY = Member()
ADDRESSES = ("10.0.0.1:3306", "10.0.0.2:3306", "10.0.0.3:3306")


def serving(uuid: str = ONE, size: int = 3, addresses: tuple[str, ...] = ADDRESSES, **more: Any) -> Member:
    return Member("active", "Primary", 4, True, size, addresses, uuid, 100, **more)


def stopped(seqno: int, uuid: str = ONE, **more: Any) -> Member:
    return Member(uuid=uuid, seqno=seqno, **more)


def members(*known: Member) -> dict[str, Member]:
    return dict(zip(HOSTS, known, strict=False))


@pytest.mark.parametrize(
    ("known", "founder"),
    [
        # nowhere is data: the first
        ((EMPTY, EMPTY, EMPTY), "ctl1"),
        # a controller that was alone keeps what it has, wherever the inventory has it
        ((EMPTY, Member("active", databases=("keystone",)), EMPTY), "ctl2"),
        # whoever serves is joined, also by a first host that is empty, and by one that waits
        ((serving(), serving(), serving()), ""),
        ((EMPTY, serving(), serving()), ""),
        ((stopped(5, safe=True), serving(), Member("activating", uuid=ONE)), ""),
        # the one that was stopped last
        ((stopped(7), stopped(9, safe=True), stopped(8)), "ctl2"),
        # cut off together, they find each other
        ((stopped(-1, view=True), stopped(-1, view=True), Member("activating", uuid=ONE, view=True)), ""),
    ],
)
def test_founder_is_found(known: tuple[Member, ...], founder: str) -> None:
    course = galera.decide(members(*known), "ctl1")
    assert (course.founder, course.problems) == (founder, [])


@pytest.mark.parametrize(
    ("known", "unseen", "said"),
    [
        ((stopped(7), stopped(9), stopped(8)), [], "playbooks/database_recover.yml"),
        # a mark that another host's position contradicts
        ((stopped(7, safe=True), stopped(9), stopped(8)), [], "no data is marked as the last"),
        ((stopped(7, view=True), stopped(9, view=True)), ["ctl3"], "Not seen: ctl3"),
        ((EMPTY, EMPTY), ["ctl3"], "ctl3 may have data of it"),
        ((stopped(7), stopped(9, TWO), EMPTY), [], "data of 2 clusters"),
        ((serving(), serving(TWO), EMPTY), [], "2 clusters"),
        ((serving(), stopped(9, TWO), EMPTY), [], "ctl2 holds data of another cluster"),
        ((serving(), Member(databases=("nova",)), EMPTY), [], "databases of its own, which it would lose"),
        ((stopped(7, safe=True), Member(databases=("nova",)), EMPTY), [], "ctl2 has databases of its own"),
        ((Member(databases=("nova",)), Member(databases=("nova",)), EMPTY), [], "all but one would lose"),
    ],
)
def test_nobody_founds_where_data_could_be_lost(known: tuple[Member, ...], unseen: list[str], said: str) -> None:
    course = galera.decide(members(*known), "ctl1", unseen)
    assert course.founder == ""
    assert said in " ".join(course.problems)


def test_safest_host_has_the_last_transaction() -> None:
    assert galera.safest(members(stopped(7), stopped(9), stopped(8))).founder == "ctl2"
    course = galera.safest(members(stopped(9), stopped(7), stopped(9, safe=True)))
    assert (course.founder, course.why) == ("ctl3", "it has the last transaction, 9, as have ctl1")
    assert galera.safest(members(EMPTY, stopped(9))).founder == "ctl2"


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ((serving(), stopped(9)), "works on ctl1: nothing is to recover"),
        ((EMPTY, EMPTY), "No host has data of a cluster"),
        ((stopped(3), stopped(9, TWO)), "ctl2 holds data of another cluster"),
        ((stopped(-1), stopped(-1)), "restore a backup"),
    ],
)
def test_nothing_is_recovered_by_a_guess(known: tuple[Member, ...], said: str) -> None:
    course = galera.safest(members(*known))
    assert course.founder == ""
    assert said in course.problems[0]


def test_whole_cluster_is_whole_and_a_degraded_one_is_told_as_such() -> None:
    assert galera.judge(members(serving(), serving(), serving()), HOSTS) == ([], [])
    useless, lost = galera.judge({"ctl1": serving(size=2), "ctl3": serving(size=2)}, HOSTS)
    assert useless == []
    assert lost == ["The cluster of databases works, but is degraded: 2 of 3 members. ctl2 does not answer."]
    donor = Member("active", "Primary", 2, True, 3, ADDRESSES, ONE, 7)
    assert "ctl2 does not serve" in galera.judge(members(serving(), donor, serving()), HOSTS)[1][0]


def test_cluster_that_serves_nobody_two_of_them_and_a_member_too_many_are_told() -> None:
    assert "serves nobody" in galera.judge(members(stopped(1), EMPTY), HOSTS)[0][0]
    split = members(
        serving(addresses=ADDRESSES[:1]), serving(addresses=ADDRESSES[1:]), serving(addresses=ADDRESSES[1:])
    )
    assert "belong to 2 clusters" in galera.judge(split, HOSTS)[0][0]
    more = serving(size=4, addresses=(*ADDRESSES, "10.0.0.9:3306"))
    assert "a member too many" in galera.judge(members(more, more, more), HOSTS)[1][0]


def test_data_of_another_cluster_is_named() -> None:
    assert galera.mixed(members(serving(), serving(), stopped(1, TWO))) == {"ctl3": f"data of the cluster {TWO}"}
    assert set(galera.mixed(members(serving(), stopped(1, TWO)))) == {"ctl1", "ctl2"}
    assert set(galera.mixed(members(serving(), Member(databases=("nova",))))) == {"ctl2"}
    full = Member(databases=("nova",))
    assert galera.mixed(members(full, EMPTY)) == {}
    assert set(galera.mixed(members(full, full))) == {"ctl1", "ctl2"}


STATE = """# GALERA saved state
version: 2.1
uuid:    {uuid}
seqno:   {seqno}
safe_to_bootstrap: {safe}
"""


def test_state_file_is_read() -> None:
    assert database.grastate(STATE.format(uuid=ONE, seqno=12, safe=1)) == (ONE, 12, True)
    assert database.grastate(STATE.format(uuid=database.NOBODY, seqno=-1, safe=0)) == ("", -1, False)
    assert database.grastate("") == ("", -1, False)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name in ("mysql", "nova", "sys"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "db.opt").touch()
    (tmp_path / "grastate.dat").write_text(STATE.format(uuid=ONE, seqno=-1, safe=0))
    return tmp_path


def test_data_is_looked_at_without_a_server(data: Path) -> None:
    assert database.look(data) == {"uuid": ONE, "databases": ["nova"]}
    assert database.look(data / "nowhere") == {"uuid": "", "databases": []}


class Machine:
    """Programs of a host, and what they say."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, active: str, **said: tuple[int, str]) -> None:
        self.said, self.asked = said, list[list[str]]()
        monkeypatch.setattr(galera.command, "run", self.run)
        monkeypatch.setattr(galera.systemd, "show", lambda names, what: {names[0]: {"ActiveState": active}})
        for name in ("must", "systemctl"):
            monkeypatch.setattr(galera.systemd, name, lambda *words, **_: self.asked.append(list(words)))
        monkeypatch.setattr(galera.files, "replace", lambda path, text: self.asked.append([path, text]))

    def run(self, asked: list[str], seconds: float) -> Any:
        self.asked.append(asked)
        code, output = self.said.get(asked[0].rsplit("/", 1)[-1], (0, ""))
        return SimpleNamespace(returncode=code, stdout=output, stderr="it failed")


def test_position_of_a_server_that_was_killed_is_recovered(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Machine(monkeypatch, "failed", galera_recovery=(0, f"--wsrep_start_position={ONE}:44,0-1-2\n"))
    seen = galera.look(data)
    assert (seen.uuid, seen.seqno, seen.databases) == (ONE, 44, ("nova",))
    assert galera.member(galera.plain(seen)) == seen
    assert "position 44, safe_to_bootstrap 0" in seen.told()
    Machine(monkeypatch, "failed", galera_recovery=(1, ""))
    with pytest.raises(galera.GaleraError, match="finds no position"):
        galera.look(data)
    assert galera.look(data, positions=False).seqno == -1


def test_server_that_runs_is_asked(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {
        "cluster_status": "Primary",
        "local_state": "4",
        "ready": "ON",
        "cluster_size": "2",
        "incoming_addresses": "10.0.0.2:3306,10.0.0.1:3306",
        "cluster_state_uuid": ONE,
        "last_committed": "77",
    }
    Machine(monkeypatch, "active", mariadb=(0, "".join(f"wsrep_{key}\t{one}\n" for key, one in answers.items())))
    seen = galera.look(data)
    assert seen.serves and (seen.size, seen.seqno, seen.addresses) == (2, 77, ADDRESSES[:2])
    Machine(monkeypatch, "active", mariadb=(1, ""))
    assert not galera.look(data).primary


def test_states_are_brought_about(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(galera.os.path, "exists", lambda path: True)
    machine = Machine(monkeypatch, "inactive")
    galera.bring("founded")
    assert machine.asked[0][-1] == "/var/lib/mysql/grastate.dat" and machine.asked[0][4] == "sed"
    assert [galera.MARK, "_WSREP_NEW_CLUSTER=--wsrep-new-cluster\n"] in machine.asked
    assert machine.asked[-1] == ["start", "mariadb"]
    machine = Machine(monkeypatch, "inactive")
    galera.bring("joined")
    assert not any(galera.MARK in asked for asked in machine.asked)
    assert machine.asked[-1] == ["start", "mariadb"]
    machine = Machine(monkeypatch, "activating")
    galera.bring("stopped")
    assert machine.asked[0] == ["kill", "--signal=KILL", "mariadb"]
    with pytest.raises(galera.GaleraError, match="it failed"):
        Machine(monkeypatch, "inactive", runuser=(1, "")) and galera.forget()
