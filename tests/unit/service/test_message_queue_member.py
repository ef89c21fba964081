"""A broker's part in its cluster: what it says of it, what it waits for, and how it leaves and joins."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from pathlib import Path

import pytest
from ansible_collections.stackwright.cloud.tests.role_variables import component
from ansible_collections.stackwright.cloud.tests.stand_ins import Call, Said, StandIns

SCRIPT = "/usr/local/lib/stackwright/message-queue-member"
MEMBERS = {f"controller{number}": f"192.0.2.1{number}" for number in (1, 2, 3)}
ALL = [f"rabbit@{name}" for name in MEMBERS]
COOKIE = "/var/lib/rabbitmq/.erlang.cookie"


class Broker:
    """A host with a broker of a cluster; ``running``, ``members`` and ``short`` are what it says."""

    def __init__(self, directory: Path, stand_ins: StandIns, host: str = "controller3") -> None:
        self.running, self.members, self.short, self.refused = list(ALL), list(ALL), 0, ""
        self.data = directory / "rabbitmq"
        self.stand_ins = stand_ins
        for name in ("rabbitmqctl", "rabbitmq-queues"):
            stand_ins.add(name, self.control)
        stand_ins.add("systemctl", Said())
        stand_ins.add("setpriv", Said())
        text = component("rabbitmq", "rabbitmq", rabbitmq_members=MEMBERS, inventory_hostname=host)["files"][SCRIPT][
            "content"
        ]
        for old, new in (("/usr/sbin/", f"{stand_ins.directory}/bin/"), ("/var/lib/rabbitmq", str(self.data))):
            assert old in text
            text = text.replace(old, new)
        self.script = directory / "member"
        self.script.write_text(text)

    def control(self, call: Call) -> Said:
        if self.refused:
            return Said(status=69, errors=self.refused)
        if "eval" not in call.words:
            return Said()
        told = json.dumps({"running": self.running, "members": self.members, "short": self.short})
        return Said('<<"' + told.replace('"', '\\"') + '">>\n')

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["python3", "-I", str(self.script), *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
            env={**os.environ, "PATH": f"{self.stand_ins.directory}/bin:{os.environ['PATH']}"},
        )

    def check(self) -> tuple[int, str]:
        done = self.run("check")
        return done.returncode, (done.stderr or done.stdout).strip()


@pytest.fixture
def broker(tmp_path: Path, stand_ins: StandIns) -> Broker:
    return Broker(tmp_path, stand_ins)


def test_brokers_that_all_run_together_are_well(broker: Broker) -> None:
    assert broker.check() == (0, "3 brokers run together")


def test_a_majority_serves_and_is_degraded(broker: Broker) -> None:
    broker.running = ALL[1:]
    assert broker.check() == (3, "2 of 3 brokers run together: rabbit@controller1 missing")


def test_queues_without_a_member_on_each_broker_and_strange_members_are_told(broker: Broker) -> None:
    broker.members, broker.short = [*ALL, "rabbit@old"], 2
    assert broker.check() == (3, "rabbit@old is in no inventory; 2 quorum queues have no member on each broker")


def test_a_broker_with_a_cluster_of_its_own_is_not_well_although_it_runs(broker: Broker) -> None:
    broker.running = broker.members = ["rabbit@controller3"]
    status, said = broker.check()
    assert status == 1
    assert "a cluster of its own, and not one with rabbit@controller1, rabbit@controller2" in said
    assert "queue_rejoin_host=controller3" in said


@pytest.mark.parametrize(
    ("running", "words"),
    [
        (["rabbit@controller3"], "only rabbit@controller3 of"),
        ([], "sees no majority"),
    ],
)
def test_a_minority_is_not_well(broker: Broker, running: list[str], words: str) -> None:
    broker.running = running
    status, said = broker.check()
    assert status == 1
    assert words in said


def test_a_broker_that_says_nothing_is_told_with_its_words(broker: Broker) -> None:
    broker.refused = "Error: unable to perform an operation on node"
    status, said = broker.check()
    assert status == 1
    assert "unable to perform" in said


@pytest.mark.parametrize("host", ["controller1", "controller3"])
def test_who_is_first_or_has_data_waits_for_nobody(tmp_path: Path, stand_ins: StandIns, host: str) -> None:
    one = Broker(tmp_path, stand_ins, host)
    if host == "controller3":
        (one.data / "mnesia" / "rabbit@controller3" / "coordination").mkdir(parents=True)
    assert one.run("wait").returncode == 0


def test_an_empty_broker_waits_for_one_that_can_be_joined(broker: Broker) -> None:
    """Asked with no patience, since none of the addresses answers; then one does."""
    text = broker.script.read_text()
    broker.script.write_text(
        text.replace("seconds=300", "seconds=0.1").replace("address, PORT), 2", "address, PORT), 0.1")
    )
    said = broker.run("wait").stderr
    assert "empty, and none of rabbit@controller1, rabbit@controller2 can be joined" in said
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        text = broker.script.read_text().replace("192.0.2.12", "127.0.0.1").replace("25672", str(port))
        broker.script.write_text(text.replace("seconds=0.1", "seconds=20"))
        assert broker.run("wait").returncode == 0


def test_joining_restarts_broker_and_name_service_and_adds_a_member_to_each_queue(broker: Broker) -> None:
    assert broker.run("join").returncode == 0
    assert broker.stand_ins.lines("systemctl", "rabbitmq-queues") == [
        "systemctl daemon-reload",
        "systemctl stop rabbitmq-server epmd.service",
        "systemctl restart epmd.socket",
        "systemctl start rabbitmq-server",
        "rabbitmq-queues -q grow rabbit@controller3 all",
    ]


def test_joining_nobody_is_an_error_but_for_the_first(tmp_path: Path, stand_ins: StandIns, broker: Broker) -> None:
    broker.members = ["rabbit@controller3"]
    assert "joined none of" in broker.run("join").stderr
    first = Broker(tmp_path, stand_ins, "controller1")
    first.members = ["rabbit@controller1"]
    assert first.run("join").returncode == 0
    assert first.stand_ins.lines("rabbitmq-queues") == []


def test_only_what_is_a_member_is_forgotten(broker: Broker) -> None:
    assert broker.run("forget", "rabbit@old").returncode == broker.run("forget", "rabbit@controller2").returncode == 0
    assert [line for line in broker.stand_ins.lines("rabbitmqctl") if "forget" in line] == [
        "rabbitmqctl -q forget_cluster_node rabbit@controller2"
    ]


def test_data_is_set_aside_as_the_brokers_own_user(broker: Broker) -> None:
    assert broker.run("leave").returncode == 0
    first, second = broker.stand_ins.lines("systemctl", "setpriv")
    assert first == "systemctl stop rabbitmq-server"
    assert "--reuid=rabbitmq" in second
    assert second.endswith(f"leave {broker.data}/mnesia {broker.data}/stackwright-left")


def test_a_cluster_speaks_tls_by_certificates_with_all_names_and_a_broker_alone_stays_on_its_host() -> None:
    alone, cluster = (component("rabbitmq", "rabbitmq", **more) for more in ({}, {"rabbitmq_members": MEMBERS}))
    files = cluster["files"]
    assert files[COOKIE]["mode"] == "0400"
    assert "fail_if_no_peer_cert, true" in files["/etc/rabbitmq/inter_node_tls.config"]["content"]
    assert "-proto_dist inet_tls" in files["/etc/rabbitmq/rabbitmq-env.conf"]["content"]
    assert '{host, {192,0,2,12}, ["controller2"]}.' in files["/etc/rabbitmq/inetrc"]["content"]
    conf = files["/etc/rabbitmq/rabbitmq.conf"]["content"]
    assert "classic_config.nodes.3 = rabbit@controller3" in conf
    assert "net_ticktime = 15" in conf
    assert alone["files"][COOKIE]["path"] != COOKIE
    assert alone["files"][COOKIE]["state"] == "absent"
    assert "inet_tls" not in alone["files"]["/etc/rabbitmq/rabbitmq-env.conf"]["content"]
    assert "cluster_formation" not in alone["files"]["/etc/rabbitmq/rabbitmq.conf"]["content"]
    assert [one["name"] for one in alone["health"]] == ["RabbitMQ"]
    assert [one["name"] for one in cluster["health"]] == ["RabbitMQ", "RabbitMQ's cluster"]
    assert [one["name"] for one in alone["bootstrap"]] == ["message queue's node"]
