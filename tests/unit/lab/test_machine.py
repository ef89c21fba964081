"""A machine's container, its own files, and what is done when it differs."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.lab import machine
from ansible_collections.stackwright.cloud.plugins.module_utils.lab.definition import Lab, resolve
from ansible_collections.stackwright.cloud.plugins.module_utils.lab.errors import LabError

OPTIONS = machine.Options(suite="trixie", privileged=True, volumes=("/srv/data",), words=("a=1",))
KEYS = {"public": "ssh-ed25519 U\n", "host": "PRIVATE", "host_public": "ssh-ed25519 H x\n", "machine_id": "ab" * 16}


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    content = {"name": "lab", "network": "10.137.88.0/22", "groups": {"controller": {}, "compute": {}}}
    return resolve(content, "lab.yml", tmp_path, {})


def pairs(command: list[str], option: str) -> list[str]:
    return [command[i + 1] for i, word in enumerate(command) if word == option]


def test_the_container_has_fixed_addresses_and_interface_names(lab: Lab) -> None:
    command = machine.create_command(lab, lab.machines["compute1"], OPTIONS, "image")
    assert pairs(command, "--network") == [
        "stackwright-lab-management:ip=10.137.88.31,interface_name=eth0",
        "stackwright-lab-tunnel:ip=10.137.89.31,interface_name=eth1",
        "stackwright-lab-external:ip=10.137.90.31,interface_name=eth2",
    ]
    assert command[-3:] == ["image", "/sbin/init", "a=1"]
    assert pairs(command, "--stop-timeout") == ["20"]
    assert pairs(command, "--volume") == ["stackwright-lab-compute1-srv-data:/srv/data"]
    assert "--privileged" in command


def test_without_privileges_only_named_ones(lab: Lab) -> None:
    options = replace(OPTIONS, privileged=False)
    command = machine.create_command(lab, lab.machines["compute1"], options, "image", ["/dev/net/tun"])
    assert "--privileged" not in command
    assert "--cap-add=NET_ADMIN" in command
    assert "--device=/dev/net/tun" in command


def test_files_make_it_a_machine_of_its_own(lab: Lab) -> None:
    files = machine.machine_files(lab, lab.machines["compute1"], "operator", KEYS, ["192.0.2.1"], "")
    assert files["etc/machine-id"] == (0o444, "ab" * 16 + "\n")
    assert files["etc/ssh/ssh_host_ed25519_key"][0] == 0o600
    assert "10.137.88.31 compute1" in files["etc/hosts"][1]
    assert files["etc/resolv.conf"][1] == "nameserver 192.0.2.1\n"
    assert "UserStopDelaySec=infinity" in files["etc/systemd/logind.conf.d/stackwright-lab.conf"][1]
    assert "etc/apt/apt.conf.d/91stackwright-lab" not in files
    assert "flush dev eth2" in files["etc/systemd/system/stackwright-lab-external.service"][1]


def test_the_archive_keeps_modes_owners_and_links() -> None:
    files = {"etc/a": (0o600, "ä"), "home/operator/.ssh/authorized_keys": (0o600, "key")}
    data = machine.archive(files, {"etc/link": "/etc/a"}, "operator")
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        members = {member.name: member for member in tar}
        assert (members["etc/a"].mode, members["etc/a"].uid) == (0o600, 0)
        assert members["home/operator/.ssh/authorized_keys"].uid == 1000
        assert members["etc/link"].linkname == "/etc/a"
        content = tar.extractfile("etc/a")
        assert content is not None
        assert content.read().decode() == "ä"


def test_drift_names_what_differs(lab: Lab) -> None:
    one = lab.machines["compute1"]
    labels = machine.container_labels(lab, one, OPTIONS)
    assert machine.drift(labels, lab, one, OPTIONS) == []
    assert machine.drift(labels, lab, one, replace(OPTIONS, privileged=False)) == ["privileged is True, wanted False"]
    assert len(machine.drift({}, lab, one, OPTIONS)) == 4
    # The words depend on the host, not on the operator.
    assert machine.drift(labels, lab, one, replace(OPTIONS, words=())) == []


class FakePodman:
    """Answers what containers exist."""

    def __init__(self, found: dict[str, dict[str, Any]]) -> None:
        self.found = found

    def containers(self, lab: str) -> dict[str, dict[str, Any]]:
        return self.found if lab == "lab" else {}


def decide(lab: Lab, state: str, record: str | None, options: machine.Options, recreate: bool = False) -> str:
    one = lab.machines["compute1"]
    labels = machine.container_labels(lab, one, OPTIONS)
    found = {one.container: {"id": "1", "state": state, "labels": labels}} if state else {}
    if record is not None:
        machine.write_atomically(machine.machine_directory(lab, one) / "record.json", json.dumps({"id": record}))
    return machine.decide(lab, one, options, FakePodman(found), recreate)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("state", "record", "action"),
    [
        ("", None, "created"),
        ("created", None, "created"),
        ("running", None, "created"),
        ("running", "2", "created"),
        ("exited", "1", "started"),
        ("running", "1", ""),
    ],
)
def test_what_is_done_for_each_state(lab: Lab, state: str, record: str | None, action: str) -> None:
    assert decide(lab, state, record, OPTIONS) == action
    assert action in machine.BEFORE


def test_a_changed_definition_costs_data_and_needs_consent(lab: Lab) -> None:
    changed = replace(OPTIONS, suite="bookworm")
    with pytest.raises(LabError, match=r"suite is trixie, wanted bookworm.*lab_recreate: true"):
        decide(lab, "running", "1", changed)
    assert decide(lab, "running", "1", changed, recreate=True) == "recreated"


@pytest.mark.parametrize("text", ["", "[]", "{"])
def test_a_damaged_record_is_none(lab: Lab, text: str) -> None:
    one = lab.machines["compute1"]
    machine.write_atomically(machine.machine_directory(lab, one) / "record.json", text)
    assert machine.read_record(lab, one) == {}


def test_half_a_key_pair_is_made_again(tmp_path: Path) -> None:
    key = tmp_path / "keys" / "id"
    machine.make_key(key, "x")
    whole = key.read_text()
    machine.make_key(key, "x")
    assert key.read_text() == whole
    key.with_name("id.pub").write_text("")
    machine.make_key(key, "x")
    assert key.read_text() != whole
    assert key.with_name("id.pub").stat().st_size > 0


def test_host_keys_are_pinned_for_addresses_and_names(lab: Lab) -> None:
    directory = machine.machine_directory(lab, lab.machines["compute1"])
    machine.make_key(directory / "ssh_host_ed25519_key", "x")
    machine.write_known_hosts(lab)
    known = (Path(lab.state_directory) / "known_hosts").read_text()
    assert known.startswith("10.137.88.31,compute1 ssh-ed25519 ")
    assert len(known.splitlines()) == 1


def test_files_are_written_whole_and_private(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    machine.write_atomically(path, "one")
    machine.write_atomically(path, "two")
    assert path.read_text() == "two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]


def test_the_proof_of_a_login_pins_keys_and_ignores_the_users_settings(lab: Lab) -> None:
    command = machine.login_command(lab, lab.machines["compute1"], "operator", "true")
    assert command[1:3] == ["-F", "none"]
    assert "StrictHostKeyChecking=yes" in command
    assert command[-2:] == ["operator@10.137.88.31", "true"]


class Boot:
    """A machine that says what systemd would say, one answer per question, the last one for ever."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, states: list[str], archive: str = "") -> None:
        self.states = states
        self.finished = 0
        self.archive = archive
        monkeypatch.setattr(machine, "_exec", self.answer)
        monkeypatch.setattr(machine, "restore_enablement", self.finish)
        monkeypatch.setattr(machine, "login_command", lambda *_: ["true"])

    def finish(self, *_: object) -> None:
        self.finished += 1

    def answer(self, _podman: object, _machine: object, *command: str) -> str:
        if command[0] == "ls":
            return self.archive
        if command[1] == "is-system-running":
            return self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return "nova-compute.service loaded failed" if "--failed" in command else "7 slow.service start running"


def wait(lab: Lab, fresh: bool, patience: int = 1) -> tuple[str, list[str]]:
    return machine.wait_until_up(lab, lab.machines["compute1"], "operator", None, patience, fresh)  # type: ignore[arg-type]


def test_a_new_machine_has_to_boot_to_the_end(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    boot = Boot(monkeypatch, ["", "starting", "running"])
    assert wait(lab, fresh=True, patience=5) == ("running", ["nova-compute.service"])
    assert boot.finished == 1
    Boot(monkeypatch, ["starting"])
    with pytest.raises(LabError, match=r"it is starting after 1 seconds, waiting for: 7 slow\.service"):
        wait(lab, fresh=True)


def test_a_restarted_machine_only_has_to_let_its_user_in(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    boot = Boot(monkeypatch, ["", "starting"])
    assert wait(lab, fresh=False, patience=5)[0] == "starting"
    assert boot.finished == 0


def test_an_unfinished_first_boot_is_finished_later(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    boot = Boot(monkeypatch, ["starting", "degraded"], archive="enabled.tar")
    assert wait(lab, fresh=False, patience=5)[0] == "degraded"
    assert boot.finished == 1


def test_a_machine_that_lets_nobody_in_is_an_error(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    Boot(monkeypatch, ["running"])
    monkeypatch.setattr(machine, "login_command", lambda *_: ["sh", "-c", "echo denied >&2; exit 255"])
    with pytest.raises(LabError, match="no login as operator: denied"):
        wait(lab, fresh=True)
