"""The broker's name is its host's, and what a broker of the former name held is moved, wherever the move was broken
off."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from ansible_collections.stackwright.cloud.tests.role_variables import component
from ansible_collections.stackwright.cloud.tests.stand_ins import Call, Said, StandIns

SCRIPT = "/usr/local/lib/stackwright/message-queue-move"
FORMER = "rabbit@localhost"
DEFINITIONS = '{"users": [{"name": "nova"}], "queues": [{"name": "conductor"}]}'


class Host:
    """A host with a broker, of the former name or the new one; ``fails`` names a command that is refused."""

    def __init__(self, directory: Path, stand_ins: StandIns, running: str = FORMER) -> None:
        self.data, self.run_directory, self.running, self.fails = directory / "rabbitmq", directory / "run", running, ""
        self.imported = ""
        for name in (FORMER, f"{FORMER}-plugins-expand", "rabbit@controller1"):
            (self.data / "mnesia" / name).mkdir(parents=True)
        self.stand_ins = stand_ins
        stand_ins.add("rabbitmqctl", self.control)
        stand_ins.add("systemctl", self.systemctl)
        for name, text in (("setpriv", 'while [ "$1" != -- ]; do shift; done; shift; exec "$@"'),):
            path = stand_ins.directory / "bin" / name
            path.write_text(f"#!/bin/sh\n{text}\n")
            path.chmod(0o755)
        self.script = directory / "move"
        self.script.write_text(component("rabbitmq", "rabbitmq")["files"][SCRIPT]["content"])

    @property
    def override(self) -> Path:
        return self.run_directory / "systemd/system/rabbitmq-server.service.d/stackwright-move.conf"

    def control(self, call: Call) -> Said:
        asked = FORMER if FORMER in call.words else "rabbit@controller1"
        word = next(word for word in call.words if "_" in word or word == "ping")
        if asked == FORMER:
            # the file of the new name must not be read
            assert call.environment["RABBITMQ_CONF_ENV_FILE"] == "/dev/null"
        if asked != self.running or word == self.fails:
            return Said(status=69, errors=f"Error: unable to perform an operation on node '{asked}'\n")
        path = Path(call.words[call.words.index(word) + 1]) if word != "ping" else Path()
        if word == "export_definitions":
            path.write_text(DEFINITIONS)
        elif word == "import_definitions":
            self.imported = path.read_text()
        return Said()

    def systemctl(self, call: Call) -> Said:
        if call.words == ["restart", "rabbitmq-server"]:
            self.running = FORMER if self.override.exists() else "rabbit@controller1"
        return Said()

    def move(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/sh", self.script, self.data, self.run_directory], capture_output=True, text=True, check=False
        )

    def left(self) -> set[str]:
        return {str(path.relative_to(self.data)) for path in self.data.rglob("*")}


@pytest.fixture
def host(tmp_path: Path, stand_ins: StandIns) -> Host:
    return Host(tmp_path, stand_ins)


MOVED = {"mnesia", "mnesia/rabbit@controller1"}


def test_broker_is_called_after_its_host_and_found_on_this_machine_alone() -> None:
    for name, long in (("controller1", "false"), ("c1.example.org", "true")):
        files = component("rabbitmq", "rabbitmq", inventory_hostname=name)["files"]
        environment = files["/etc/rabbitmq/rabbitmq-env.conf"]["content"].splitlines()
        assert f"NODENAME=rabbit@{name}" in environment
        assert f"USE_LONGNAME={long}" in environment
        assert "ERL_EPMD_ADDRESS=127.0.0.1" in environment and "export ERL_INETRC=/etc/rabbitmq/inetrc" in environment
        assert f'{{host, {{127,0,0,1}}, ["{name}"]}}.' in files["/etc/rabbitmq/inetrc"]["content"]


def test_definitions_of_the_former_broker_are_moved_while_it_runs(host: Host) -> None:
    done = host.move()
    assert done.returncode == 0, done.stderr
    assert host.imported == DEFINITIONS
    assert host.left() == MOVED
    assert host.stand_ins.lines("systemctl").count("systemctl restart rabbitmq-server") == 1


def test_former_broker_is_started_once_more_where_the_other_one_runs_already(host: Host) -> None:
    host.running = "rabbit@controller1"
    done = host.move()
    assert done.returncode == 0, done.stderr
    assert host.imported == DEFINITIONS
    assert host.left() == MOVED
    assert not host.override.exists()
    assert host.running == "rabbit@controller1"


@pytest.mark.parametrize("command", ["export_definitions", "import_definitions"])
def test_move_that_breaks_off_loses_nothing_and_goes_on(host: Host, command: str) -> None:
    host.fails = command
    done = host.move()
    assert done.returncode != 0
    assert "unable to perform an operation" in done.stderr
    assert f"mnesia/{FORMER}" in host.left()
    host.fails = ""
    assert host.move().returncode == 0
    assert host.imported == DEFINITIONS
    assert host.left() == MOVED
