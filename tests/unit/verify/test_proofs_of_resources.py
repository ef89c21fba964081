"""Proofs of stacks, zones and volumes: each passes at a service that does what it must, fails at one that does not, and
leaves nothing behind."""

from __future__ import annotations

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
    def service(self, admin: bool, project: str, method: str, parts: list[str], json: Any = None) -> Reply:
        assert not admin
        match method, parts:
            case "POST", ["volumes"]:
                one = {"id": self.new(), "project": project, "status": "creating", **json["volume"]}
                self.held[one["id"]] = one
                return Reply(202, {"volume": one})
            case "GET", ["volumes", one]:
                if not (volume := self.seen(one, project)):
                    return Reply(404, {})
                answer = dict(volume)
                volume["status"] = "error" if self.wrong("fails") else "available"
                return Reply(200, {"volume": answer})
            case "DELETE", ["volumes", one]:
                self.drop(one)
                return Reply(202)
        raise AssertionError((method, parts))


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
    stacks, held = Stacks(), Volumes()
    assert orchestration.prove(stacks.bench()) == ["a stack is made, shown to its project alone, and removed"]
    assert volumes.prove(held.bench()) == ["a volume is made, shown to its project alone, and removed"]
    assert names.prove(zones.bench()) == [
        "dig had a zone's record of 192.0.2.53, and nothing once the zone was removed"
    ]
    assert stacks.is_empty() and held.is_empty() and zones.is_empty()


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
        ("fails", "a volume is not made; see the logs of cinder-scheduler"),
        ("shows others", "a project sees another one's volume"),
        ("clings", "a volume is removed: not within 3 s"),
    ],
)
def test_faults_of_a_block_storage_service_are_found(fault: str, said: str) -> None:
    cloud = Volumes(fault)
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
