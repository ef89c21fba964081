"""Proofs of stacks, zones and volumes: each passes at a service that does what it must, fails at one that does not, and
leaves nothing behind."""

from __future__ import annotations

import json as text_of
from collections.abc import Sequence
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.common import command
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.proofs import names, orchestration, volumes
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.proofs.bench import ProofError
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.proofs.registry import PROOFS
from ansible_collections.stackwright.cloud.tests.role_variables import ROLES

from .test_proofs import Cloud, Reply

HEADER = ";; ->>HEADER<<- opcode: QUERY, status: {}, id: 4711\n;; flags: qr aa; QUERY: 1\n\n"
RECORD = "www.sw-zone-1.example.\t60\tIN\tA\t192.0.2.77\n"


class Things(Cloud):
    """One service that holds things of projects; ``self.held`` maps their identifiers to them."""

    def __init__(self, *faults: str) -> None:
        super().__init__(*faults)
        self.held: dict[str, dict[str, Any]] = {}
        self.looks = 0

    def seen(self, one: str, project: str) -> dict[str, Any] | None:
        found = self.held.get(one)
        return found if found and (found["project"] == project or self.wrong("shows others")) else None

    def drop(self, one: str) -> None:
        if not self.wrong("clings"):
            del self.held[one]

    def is_empty(self) -> bool:
        return super().is_empty() and not self.held


class Stacks(Things):
    def service(self, admin: bool, project: str, method: str, parts: list[str], json: Any = None) -> Reply:
        assert not admin
        match method, parts:
            case "POST", ["stacks"]:
                one = self.new()
                word = "short" if self.wrong("short") else "w" * 12
                self.held[one] = {
                    "project": project,
                    "stack_status": "CREATE_IN_PROGRESS",
                    "stack_status_reason": "no sand",
                    "outputs": [{"output_key": "word", "output_value": word}],
                }
                return Reply(201, {"stack": {"id": one}})
            case "GET", ["stacks", _, one]:
                if not (stack := self.seen(one, project)):
                    return Reply(404, {})
                self.looks += 1
                if self.looks == 2:
                    stack["stack_status"] = "CREATE_FAILED" if self.wrong("fails") else "CREATE_COMPLETE"
                return Reply(200, {"stack": stack})
            case "DELETE", ["stacks", _, one]:
                self.drop(one)
                return Reply(204)
        raise AssertionError((method, parts))


class Volumes(Things):
    """Volumes, snapshots and backups, and RBD with them: it answers from what is held. ``self.files`` is the directory
    of volumes that are files."""

    files: Path | None = None

    def service(self, admin: bool, project: str, method: str, parts: list[str], json: Any = None) -> Reply:
        match method, parts:
            case "POST", ["volumes" | "snapshots" | "backups" as kind]:
                wanted = json[kind[:-1]]
                one = {"id": self.new(), "project": project, "kind": kind, "status": "creating", **wanted}
                self.held[one["id"]] = one
                if kind == "volumes" and self.files:
                    (self.files / f"volume-{one['id']}").touch()
                return Reply(202, {kind[:-1]: one})
            case "GET", ["volumes", one] if admin:
                backend = "other" if self.wrong("elsewhere") else "ceph"
                return Reply(200, {"volume": {**self.held[one], "os-vol-host-attr:host": f"c1@{backend}#{backend}"}})
            case "GET", ["volumes" | "snapshots" | "backups" as kind, one]:
                if not (thing := self.seen(one, project)):
                    return Reply(404, {})
                answer = dict(thing)
                if thing["status"] in ("creating", "restoring-backup"):
                    thing["status"] = "error" if self.wrong(f"{kind} fail") else "available"
                return Reply(200, {kind[:-1]: answer})
            case "POST", ["backups", one, "restore"]:
                into = json["restore"]["volume_id"]
                self.held[into]["status"] = "error_restoring" if self.wrong("cannot restore") else "restoring-backup"
                if self.files and not self.wrong("forgets"):
                    kept = (self.files / f"volume-{self.held[one]['volume_id']}").read_bytes()
                    (self.files / f"volume-{into}").write_bytes(kept)
                return Reply(202, {})
            case "DELETE", ["volumes" | "snapshots" | "backups", one]:
                if not self.seen(one, project):
                    return Reply(404, {})
                if [1 for other in self.held.values() if other.get("volume_id") == one]:
                    return Reply(400, {})
                self.drop(one)
                return Reply(202)
            case "POST", ["volume-transfers"]:
                return Reply(202, {"transfer": {"id": json["transfer"]["volume_id"], "auth_key": "ab"}})
            case "POST", ["volume-transfers", one, "accept"]:
                if json["accept"]["auth_key"] != "ab" and not self.wrong("trusts"):
                    return Reply(400, {})
                if not self.wrong("keeps"):
                    self.held[one]["project"] = project
                return Reply(202, {})
        raise AssertionError((method, parts))

    def rbd(self, question: Sequence[str], seconds: float) -> CompletedProcess[str]:
        assert question[:6] == [volumes.RBD, "--id", "cinder", "info", "--format", "json"] and seconds > 0
        pool, _, image = question[6].partition("/")
        if self.wrong("locked out"):
            return CompletedProcess(list(question), 1, "", "rbd: couldn't connect to the cluster!")
        if self.wrong("hangs"):
            raise command.CommandTimeoutError(question, seconds, "")
        told: dict[str, Any] = {"name": image}
        snapshot = self.held[image.removeprefix("volume-")]["snapshot_id"]
        if not self.wrong("copies"):
            volume = "another" if self.wrong("mistakes") else self.held[snapshot]["volume_id"]
            told["parent"] = {"pool": pool, "image": f"volume-{volume}", "snapshot": f"snapshot-{snapshot}"}
        return CompletedProcess(list(question), 0, text_of.dumps(told), "")


@pytest.fixture
def cinder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The service's configuration, with a back end in Ceph and another one."""
    path = tmp_path / "cinder.conf"
    path.write_text(
        f"[DEFAULT]\nenabled_backends = ceph,other\n[ceph]\nvolume_driver = {volumes.RBD_DRIVER}\n"
        "rbd_user = cinder\nrbd_pool = volumes\n[other]\nvolume_driver = files\nsaid = 100%\n"
    )
    monkeypatch.setattr(volumes, "CONFIGURATION", str(path))
    return path


class Zones(Things):
    """Zones, and the name server with them: dig answers from what is held."""

    def service(self, admin: bool, project: str, method: str, parts: list[str], json: Any = None) -> Reply:
        assert not admin
        match method, parts:
            case "POST", ["v2", "zones"]:
                one = {"id": self.new(), "project": project, "status": "PENDING", **json}
                self.held[one["id"]] = one
                return Reply(202, one)
            case "POST", ["v2", "zones", one, "recordsets"]:
                assert json["name"] == f"www.{self.held[one]['name']}"
                return Reply(202, {})
            case "GET", ["v2", "zones", one]:
                if not (zone := self.seen(one, project)):
                    return Reply(404, {})
                answer = dict(zone)
                zone["status"] = "ERROR" if self.wrong("fails") else "ACTIVE"
                return Reply(200, answer)
            case "DELETE", ["v2", "zones", one]:
                self.drop(one)
                return Reply(202)
        raise AssertionError((method, parts))

    def dig(self, question: Sequence[str], seconds: float) -> CompletedProcess[str]:
        assert question[:4] == [names.DIG, "@192.0.2.53", "-p", "53"] and seconds > 0
        if self.wrong("hangs"):
            raise command.CommandTimeoutError(question, seconds, "")
        there = bool(self.held) or self.wrong("remembers")
        text = HEADER.format("NOERROR") + RECORD if there and not self.wrong("deaf") else HEADER.format("REFUSED")
        return CompletedProcess(list(question), 0, text, "")


@pytest.fixture
def pools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of the pools, with one name server."""
    path = tmp_path / "pools.yaml"
    path.write_text("- {name: default, nameservers: [{host: 192.0.2.53, port: 53}]}\n")
    monkeypatch.setattr(names, "POOLS", str(path))
    return path


def test_services_that_do_what_they_must_pass_and_nothing_is_left(pools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zones = Zones()
    monkeypatch.setattr(names.command, "run", zones.dig)
    stacks = Stacks()
    assert orchestration.prove(stacks.bench()) == ["a stack is made, shown to its project alone, and removed"]
    assert names.prove(zones.bench()) == [
        "dig had a zone's record of 192.0.2.53, and nothing once the zone was removed"
    ]
    assert stacks.is_empty() and zones.is_empty()


TRANSFERRED = "a volume is made, shown to its project alone, transferred to another by its key, and removed"


@pytest.mark.parametrize(
    ("configured", "fault", "told"),
    [
        (True, "", "a snapshot becomes another volume; RBD names the snapshot as the clone's parent"),
        (True, "elsewhere", "a snapshot becomes another volume"),
        (False, "", "a snapshot becomes another volume"),
    ],
)
def test_volumes_are_proved_on_every_back_end_and_clones_in_ceph(
    configured: bool, fault: str, told: str, cinder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not configured:
        cinder.unlink()
    cloud = Volumes(fault)
    monkeypatch.setattr(volumes.command, "run", cloud.rbd)
    assert volumes.prove(cloud.bench()) == [TRANSFERRED, told]
    assert cloud.is_empty()


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of a share."""
    share = tmp_path / "share"
    share.mkdir()
    monkeypatch.setattr(volumes, "FILES", str(tmp_path))
    monkeypatch.setattr(volumes, "MARK_AT", 3)
    return share


def test_a_volume_in_files_is_backed_up_and_restored(cinder: Path, files: Path) -> None:
    cloud = Volumes("elsewhere")
    cloud.files = files
    told = [TRANSFERRED, "a snapshot becomes another volume", "a backup gives another volume what the first one held"]
    assert volumes.prove(cloud.bench()) == told
    assert cloud.is_empty()


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("backups fail", "a backup is not made; see the log of cinder-backup"),
        ("cannot restore", "a volume that a backup is restored into is error_restoring; see the log of cinder-backup"),
        ("forgets", "a volume that was restored from a backup does not hold what the other one held"),
    ],
)
def test_faults_of_backups_are_found(fault: str, said: str, cinder: Path, files: Path) -> None:
    cloud = Volumes("elsewhere", fault)
    cloud.files = files
    with pytest.raises(ProofError) as told:
        volumes.prove(cloud.bench())
    assert said in str(told.value)
    assert cloud.is_empty()


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("fails", "a stack is not made: no sand"),
        ("short", "should have 12 letters, and its outputs are {'word': 'short'}"),
        ("shows others", "a project sees another one's stack"),
        ("clings", "a stack is removed: not within 3 s"),
    ],
)
def test_faults_of_an_orchestration_service_are_found(fault: str, said: str) -> None:
    cloud = Stacks(fault)
    with pytest.raises(ProofError) as told:
        orchestration.prove(cloud.bench())
    assert said in str(told.value)
    assert cloud.is_empty() or fault == "clings"


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("volumes fail", "a volume is not made; see the logs of cinder-scheduler"),
        ("snapshots fail", "a snapshot is not made; see the logs of cinder-scheduler"),
        ("copies", "a volume of a snapshot is a copy in the pool volumes, and no clone"),
        ("mistakes", "is a clone of volumes/volume-another@snapshot-"),
        ("locked out", "RBD as client.cinder does not tell of a clone in the pool volumes: rbd: couldn't connect"),
        ("hangs", "RBD cannot be asked for a clone in the pool volumes: /usr/bin/rbd"),
        ("shows others", "a project sees another one's volume"),
        ("trusts", "a project takes a volume with a wrong key"),
        ("keeps", "a project sees a volume that it gave away"),
        ("clings", "a volume is removed: not within 3 s"),
    ],
)
def test_faults_of_a_block_storage_service_are_found(
    fault: str, said: str, cinder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud = Volumes(fault)
    monkeypatch.setattr(volumes.command, "run", cloud.rbd)
    with pytest.raises(ProofError) as told:
        volumes.prove(cloud.bench())
    assert said in str(told.value)
    assert cloud.is_empty() or fault == "clings"


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("fails", "gets the state ERROR; see the log of designate-worker"),
        ("shows others", "a project sees another one's zone"),
        ("clings", "a zone is removed: not within 3 s"),
        ("deaf", "192.0.2.53 answers 'REFUSED' and not 'NOERROR 192.0.2.77'"),
        ("remembers", "192.0.2.53 answers 'NOERROR 192.0.2.77' and not 'REFUSED'"),
        ("hangs", "dig cannot ask 192.0.2.53: /usr/bin/dig"),
    ],
)
def test_faults_of_a_dns_service_are_found(fault: str, said: str, pools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = Zones(fault)
    monkeypatch.setattr(names.command, "run", cloud.dig)
    with pytest.raises(ProofError) as told:
        names.prove(cloud.bench())
    assert said in str(told.value)
    assert cloud.is_empty() or fault == "clings"


@pytest.mark.parametrize("text", ["volume_driver = x\n", "[ceph\n"])
def test_a_configuration_that_cannot_be_read_is_told(cinder: Path, text: str) -> None:
    cinder.write_text(text)
    with pytest.raises(ProofError, match=r"cinder\.conf cannot be read"):
        volumes.pool_of("c1@ceph#ceph", str(cinder))


@pytest.mark.parametrize("text", ["", "[]", "- {name: default}", "- {name: default, nameservers: []}", "- {", None])
def test_pools_without_a_name_server_are_told(pools: Path, text: str | None) -> None:
    if text is None:
        pools.unlink()
    else:
        pools.write_text(text)
    with pytest.raises(ProofError, match=r"pools\.yaml"):
        names.servers(str(pools))


@pytest.mark.parametrize(
    ("output", "answer"),
    [
        (HEADER.format("NOERROR") + RECORD, "NOERROR 192.0.2.77"),
        (HEADER.format("REFUSED"), "REFUSED"),
        (HEADER.format("NOERROR") + RECORD.replace(".77", ".9") + RECORD, "NOERROR 192.0.2.77 192.0.2.9"),
        (";; communications error to 192.0.2.11#53: timed out\n", ""),
    ],
)
def test_answers_of_dig_are_read(output: str, answer: str) -> None:
    assert names.read(output) == answer


def test_every_proof_is_of_a_role() -> None:
    assert {term.split(".")[0] for term in PROOFS} <= {path.name for path in ROLES.iterdir()}
