"""Three brokers are one cluster over TLS, which loses no confirmed message, and takes back what lost its data."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.tests import ha_machines as machines
from ansible_collections.stackwright.cloud.tests.ha_machines import NAMES, asked, container, on, podman

SCENARIO = Path(__file__).parents[1]
ROOT = SCENARIO.parents[1]
MEMBER = "/usr/local/lib/stackwright/message-queue-member"
# Measured: 0.1 s for a broker that is killed, 7 s where its host vanishes; a slow and busy machine has its time.
GAP, PATIENCE = 40.0, 240.0

# Publishes with confirms through a list of brokers for some seconds, then reads all and says what was missing.
PUBLISHER = """
import json, ssl, sys, time
import amqp
login = json.load(sys.stdin)
hosts, seconds, queue = login.pop("hosts"), login.pop("seconds"), login.pop("queue")
def connected():
    for host in [*hosts, *hosts]:
        trust = {"ca_certs": "/etc/ssl/stackwright/ca.pem", "cert_reqs": ssl.CERT_REQUIRED, "server_hostname": host}
        connection = amqp.Connection(host=f"{host}:5671", ssl=trust, connect_timeout=2, read_timeout=5, write_timeout=5,
                                     confirm_publish=True, **login)
        try:
            connection.connect()
            channel = connection.channel()
            channel.queue_declare(queue, durable=True, auto_delete=False, arguments={"x-queue-type": "quorum"})
            return connection, channel
        except Exception:
            continue
    raise SystemExit("no broker takes messages")
connection, channel = connected()
confirmed, gap, last, end, number, failed = set(), 0.0, time.monotonic(), time.monotonic() + seconds, 0, 0
while time.monotonic() < end:
    number += 1
    try:
        channel.basic_publish_confirm(amqp.Message(str(number), delivery_mode=2), routing_key=queue, timeout=5)
    except Exception:
        failed += 1
        connection, channel = connected()
        continue
    confirmed.add(number)
    gap, last = max(gap, time.monotonic() - last), time.monotonic()
    time.sleep(0.005)
connection, channel = connected()
read = set()
while (message := channel.basic_get(queue, no_ack=True)) is not None:
    read.add(int(message.body))
print(json.dumps({"confirmed": len(confirmed), "lost": len(confirmed - read), "failed": failed, "gap": round(gap, 2)}))
"""


def check(name: str) -> tuple[int, str]:
    """What a broker says of its cluster."""
    status, output, errors = asked(name, MEMBER, "check")
    return status, errors or output


def wait(what: str, holds: Callable[[], bool]) -> float:
    """Seconds until something holds."""
    return machines.wait(what, holds, PATIENCE, lambda: list(map(check, NAMES)))


@pytest.fixture(scope="module")
def login() -> Iterator[dict[str, Any]]:
    """A user of the queue for this module, and where the brokers are."""
    wait("all brokers run together", lambda: all(check(name)[0] == 0 for name in NAMES))
    user = {"userid": "proof", "password": "a-password-for-the-proof-alone", "virtual_host": "/proof"}
    script = (
        "rabbitmqctl -q add_vhost /proof; rabbitmqctl -q add_user proof {password}; "
        "rabbitmqctl -q set_permissions --vhost /proof proof '.*' '.*' '.*'"
    ).format(**user)
    on("controller1", "sh", "-c", script)
    addresses = {name: on(name, "sh", "-c", f"getent ahostsv4 {name} | head -1 | cut -d' ' -f1") for name in NAMES}
    yield {**user, "addresses": addresses}
    on("controller1", "sh", "-c", "rabbitmqctl -q delete_user proof; rabbitmqctl -q delete_vhost /proof", ok=False)


def published(login: dict[str, Any], first: str, fault: Callable[[], object], seconds: int) -> dict[str, Any]:
    """What a publisher on the last host says, which speaks to one broker first and to the others afterwards."""
    hosts = [login["addresses"][name] for name in (first, *(name for name in NAMES if name != first))]
    given = {key: value for key, value in login.items() if key != "addresses"} | {
        "hosts": hosts,
        "seconds": seconds,
        "queue": f"proof-{first}",
    }
    publisher = subprocess.Popen(
        ["podman", "exec", "-i", container("controller3"), "python3", "-c", PUBLISHER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert publisher.stdin
    publisher.stdin.write(json.dumps(given))
    publisher.stdin.close()
    publisher.stdin = None
    time.sleep(3)
    fault()
    output, errors = publisher.communicate(timeout=PATIENCE)
    assert publisher.returncode == 0, errors
    told: dict[str, Any] = json.loads(output)
    print(f"{first}: {told}")
    return told


def kill_broker() -> None:
    on("controller1", "systemctl", "kill", "--signal=KILL", "rabbitmq-server")


def kill_host() -> None:
    podman("kill", container("controller2"))


@pytest.mark.parametrize(
    ("first", "fault"),
    [
        pytest.param("controller1", kill_broker, id="broker is killed"),
        pytest.param("controller2", kill_host, id="host dies"),
    ],
)
def test_no_confirmed_message_is_lost(login: dict[str, Any], first: str, fault: Callable[[], None]) -> None:
    try:
        told = published(login, first, fault, 18)
    finally:
        podman("start", container(first))
    assert told["lost"] == 0
    assert told["confirmed"] > 100
    assert told["gap"] < GAP
    print(f"whole again after {wait('all run together', lambda: all(check(name)[0] == 0 for name in NAMES)):.0f} s")


def test_brokers_show_each_other_certificates_and_strangers_get_no_connection(login: dict[str, Any]) -> None:
    wait("all brokers run together", lambda: all(check(name)[0] == 0 for name in NAMES))
    own = login["addresses"]["controller2"]
    command = f"openssl s_client -connect {own}:25672 -CAfile /etc/ssl/stackwright/ca.pem 2>&1"
    said = on("controller1", "sh", "-c", f"(echo; sleep 1) | {command}", ok=False)
    assert "alert" in said, said
    for port in (4369, 25672, 35672):
        with pytest.raises(OSError):
            socket.create_connection((own, port), timeout=2).close()
    cookie = on("controller1", "stat", "-c", "%U %a", "/var/lib/rabbitmq/.erlang.cookie")
    assert cookie == "rabbitmq 400"


def rejoin(*more: str) -> str:
    done = subprocess.run(
        [
            "ansible-playbook",
            f"--inventory={SCENARIO / 'inventory'}",
            "playbooks/queue_rejoin.yml",
            "-e",
            "queue_rejoin_host=controller3",
            *more,
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_broker_that_lost_its_data_is_told_and_brought_back(login: dict[str, Any]) -> None:
    declare = 'rabbitmqctl -q eval \'rabbit_amqqueue:declare(rabbit_misc:r(<<"/proof">>, queue, <<"kept">>), true, '
    declare += 'false, [{<<"x-queue-type">>, longstr, <<"quorum">>}], none, <<"proof">>).\''
    on("controller1", "sh", "-c", declare)
    on("controller3", "sh", "-c", "systemctl stop rabbitmq-server; rm -rf /var/lib/rabbitmq/mnesia")
    on("controller3", "systemctl", "start", "rabbitmq-server")
    assert on("controller3", "systemctl", "is-active", "rabbitmq-server") == "active"
    status, said = check("controller3")
    assert (status, "a cluster of its own" in said) == (1, True), said
    rejoin()
    assert [check(name) for name in NAMES] == [(0, "3 brokers run together")] * 3
    members = on("controller1", "rabbitmqctl", "-q", "list_queues", "-p", "/proof", "name", "members")
    assert all(f"rabbit@{name}" in members for name in NAMES), members
    again = rejoin()
    assert "changed=0" in again and not re.search(r"changed=[1-9]", again), again
