"""Three database servers are one cluster, which loses no acknowledged row, whatever becomes of one, or of all."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import testinfra
from ansible_collections.stackwright.cloud.tests import ha_machines as machines
from ansible_collections.stackwright.cloud.tests.ha_machines import NAMES, container, on, podman

SCENARIO = Path(__file__).parents[1]
PLAYBOOKS = SCENARIO.parents[1] / "playbooks"
# Seconds that a cluster may take to be whole again, on a machine that is slow and busy.
PATIENCE = 240
# A writer may wait for as long as the others take to agree that a member is gone; here 3 seconds, measured.
GAP = 20
STATUS = "SELECT variable_value FROM information_schema.global_status WHERE variable_name = "


def sql(name: str, statement: str, ok: bool = True) -> str:
    return on(name, "timeout", "20", "mariadb", "-BN", "-e", statement, ok=ok)


def status(name: str, variable: str) -> str:
    with contextlib.suppress(subprocess.TimeoutExpired):
        return sql(name, f"{STATUS}'{variable}'", ok=False)
    return ""


def wait(what: str, holds: Callable[[], bool], seconds: float = PATIENCE) -> float:
    """Seconds until something holds."""
    return machines.wait(what, holds, seconds, seen)


def seen() -> str:
    """What a failure shows of every host."""
    lines = []
    for name in NAMES:
        with contextlib.suppress(Exception):
            lines.append(f"--- {name}\n" + on(name, "journalctl", "-u", "mariadb", "-n", "12", "--no-pager", ok=False))
    return "\n".join(lines)


def whole() -> bool:
    return all(
        [status(name, f"wsrep_{one}") for one in ("cluster_size", "local_state_comment", "ready")]
        == ["3", "Synced", "ON"]
        for name in NAMES
    )


def playbook(name: str, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["ansible-playbook", "--inventory=inventory", str(PLAYBOOKS / f"{name}.yml"), *more],
        cwd=SCENARIO,
        env={
            **os.environ,
            "ANSIBLE_CONFIG": str(PLAYBOOKS.parent / "ansible.cfg"),
            "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
        },
        capture_output=True,
        text=True,
        timeout=500,
    )


@pytest.fixture(scope="module", autouse=True)
def cluster() -> None:
    """These tests are of the cluster as a whole, and run once."""
    wait("the cluster is whole", whole)
    sql("controller1", "DROP DATABASE IF EXISTS proof")
    sql("controller1", "CREATE DATABASE proof")
    sql("controller1", "CREATE TABLE proof.rows (id INT AUTO_INCREMENT PRIMARY KEY, word INT UNIQUE)")


WRITER = """
import json, sys, time
import pymysql
acknowledged, gap, failed = [], 0.0, 0
last, word, stop = time.monotonic(), int(sys.argv[1]), time.monotonic() + float(sys.argv[2])
connection = None
while time.monotonic() < stop:
    word += 1
    try:
        if connection is None:
            connection = pymysql.connect(unix_socket="/run/mysqld/mysqld.sock", user="root", autocommit=True,
                                         connect_timeout=5, read_timeout=60, write_timeout=60)
        connection.cursor().execute("INSERT INTO proof.rows (word) VALUES (%s)", word)
    except pymysql.MySQLError:
        failed, connection = failed + 1, None
        time.sleep(0.1)
        continue
    now = time.monotonic()
    gap, last = max(gap, now - last), now
    acknowledged.append(word)
    time.sleep(0.02)
json.dump({"acknowledged": acknowledged, "gap": round(gap, 2), "failed": failed}, sys.stdout)
"""


class Load:
    """Rows written through one host, and what became of them."""

    words = 0

    def __init__(self, host: str, seconds: float) -> None:
        Load.words += 1_000_000
        self.host, self.told = host, ""
        asked = ["python3", "-c", WRITER, str(Load.words), str(seconds)]
        self.thread = threading.Thread(target=lambda: setattr(self, "told", on(host, *asked)))
        self.thread.start()
        self.begun = Load.words

    def result(self, what: str) -> float:
        """The longest gap in seconds; no acknowledged row is missing on any host."""
        self.thread.join()
        said = json.loads(self.told)
        wait("the cluster is whole", whole)
        assert len(said["acknowledged"]) > 20, said
        for name in NAMES:
            have = set(map(int, sql(name, f"SELECT word FROM proof.rows WHERE word > {self.begun}").split()))
            lost = [word for word in said["acknowledged"] if word not in have]
            assert not lost, f"{what}: {len(lost)} acknowledged rows are lost on {name}"
        print(f"{what}: {len(said['acknowledged'])} rows, longest gap {said['gap']} s, {said['failed']} failed")
        return float(said["gap"])


def revive() -> None:
    """Containers that were killed boot again."""
    for name in NAMES:
        if podman("inspect", "--format", "{{.State.Running}}", container(name)).strip() != "true":
            podman("start", container(name))


def test_members_are_one_cluster_and_verification_says_so() -> None:
    assert playbook("verify_database").returncode == 0
    assert len({status(name, "wsrep_cluster_state_uuid") for name in NAMES}) == 1


CLEAR = """
import socket, sys
with socket.create_connection((sys.argv[1], 4567), timeout=5) as connection:
    connection.sendall(b"hello, who are you?\\n" * 20)
    try:
        said = connection.recv(100)
    except OSError:
        said = b""
# a server that speaks no TLS greets whoever comes
print("alert" if said[:1] == b"\\x15" else said[:20] or "")
"""


def test_traffic_of_the_cluster_is_for_members_and_encrypted(host: testinfra.host.Host) -> None:
    own = host.ansible.get_variables()["lab_management_address"]
    for port in (4567, 4444, 4568, 9200, 3306):
        asked = subprocess.run(["timeout", "3", "bash", "-c", f"exec 3<>/dev/tcp/{own}/{port}"], capture_output=True)
        assert asked.returncode != 0, f"a stranger reaches port {port}"
    # a member reaches it, and is served over TLS alone, by who shows a certificate
    other = next(name for name in NAMES if name != host.check_output("hostname"))
    ask = f"echo | timeout 5 openssl s_client -connect {own}:4567 -CAfile /etc/ssl/stackwright/ca.pem -brief"
    said = on(other, "sh", "-c", f"{ask} 2>&1", ok=False)
    assert "Verification: OK" in said, said
    assert on(other, "python3", "-c", CLEAR, own) in ("", "alert")


def test_joining_takes_copies_over_tls_and_leaves_no_login_behind() -> None:
    assert "encrypt = 3" in on("controller2", "cat", "/etc/mysql/mariadb.conf.d/95-stackwright-cluster.cnf")
    for name in NAMES:
        assert sql(name, "SELECT COUNT(*) FROM mysql.global_priv WHERE User LIKE 'wsrep%'") == "0"


ASKS = """
import http.client, sys
connection = http.client.HTTPConnection(sys.argv[1], 9200, timeout=10)
connection.request("GET", "/")
print(connection.getresponse().status)
"""


def test_only_a_member_that_is_synced_is_sent_clients() -> None:
    def answer() -> str:
        return on("controller1", "python3", "-c", ASKS, address("controller2"), ok=False)

    assert answer() == "200", answer()
    sql("controller2", "SET GLOBAL wsrep_desync = ON")
    try:
        assert answer() == "503", answer()
    finally:
        sql("controller2", "SET GLOBAL wsrep_desync = OFF")
    wait("the member is sent clients again", lambda: answer() == "200")


def address(name: str) -> str:
    said = on(name, "sh", "-c", "ip -o -4 address show eth0")
    return re.findall(r"inet ([0-9.]+)", said)[0]


def test_server_that_is_killed_costs_no_row() -> None:
    load = Load("controller1", 20)
    time.sleep(3)
    on("controller2", "pkill", "-KILL", "mariadbd")
    assert load.result("kill -9 of a server") < GAP


def test_host_that_is_lost_costs_no_row_and_the_cluster_is_said_to_be_degraded() -> None:
    load = Load("controller1", 15)
    time.sleep(3)
    podman("kill", container("controller3"))
    load.thread.join()
    said = playbook("verify_database")
    revive()
    assert load.result("a host that is lost") < GAP
    assert said.returncode != 0
    assert "works, but is degraded: 2 of 3 members. controller3 does not answer" in said.stdout, said.stdout[-1500:]


def test_server_that_is_frozen_costs_no_row() -> None:
    load = Load("controller1", 20)
    time.sleep(3)
    on("controller3", "pkill", "-STOP", "mariadbd")
    time.sleep(10)
    on("controller3", "pkill", "-CONT", "mariadbd")
    assert load.result("a server that is frozen for 10 s") < GAP


def test_all_off_and_on_again_heals_by_itself() -> None:
    before = sql("controller1", "SELECT COUNT(*) FROM proof.rows")
    podman("kill", *map(container, NAMES))
    revive()
    took = wait("all three are back", whole)
    print(f"all off and on: whole after {took:.1f} s")
    assert {sql(name, "SELECT COUNT(*) FROM proof.rows") for name in NAMES} == {before}


def test_first_host_that_lost_its_data_joins_and_founds_nothing() -> None:
    uuid = status("controller2", "wsrep_cluster_state_uuid")
    before = sql("controller2", "SELECT COUNT(*) FROM proof.rows")
    on("controller1", "systemctl", "stop", "mariadb")
    on("controller1", "find", "/var/lib/mysql", "-mindepth", "1", "-delete")
    done = playbook("infrastructure", "--limit", "controller")
    assert done.returncode == 0, done.stdout[-3000:]
    wait("the wiped host is back", whole)
    assert status("controller1", "wsrep_cluster_state_uuid") == uuid
    assert sql("controller1", "SELECT COUNT(*) FROM proof.rows") == before


def test_cluster_that_is_down_is_recovered_from_the_last_transaction() -> None:
    uuid = status("controller1", "wsrep_cluster_state_uuid")
    # one falls behind, then the other two lose their power, and all what they knew of each other
    podman("kill", container("controller1"))
    wait("two go on", lambda: status("controller2", "wsrep_cluster_size") == "2")
    sql("controller2", "INSERT INTO proof.rows (word) VALUES (41), (42)")
    podman("kill", container("controller2"), container("controller3"))
    revive()
    for name in NAMES:
        wait(
            "it boots",
            lambda name=name: (
                on(name, "systemctl", "show", "--value", "-p", "ActiveState", "mariadb", ok=False)
                not in ("", "inactive")
            ),
        )
        on(name, "systemctl", "kill", "--signal=KILL", "mariadb")
        on(name, "systemctl", "stop", "mariadb")
    for name in NAMES:
        on(name, "truncate", "--size=0", "/var/lib/mysql/gvwstate.dat")
    refused = playbook("infrastructure")
    assert refused.returncode != 0
    assert "no data is marked as the last" in refused.stdout and "database_recover.yml" in refused.stdout
    asks = playbook("database_recover")
    assert asks.returncode != 0
    positions = dict(re.findall(rf"(controller\d): uuid {uuid}, position (\d+), safe_to_bootstrap 0", asks.stdout))
    print(f"positions: {positions}")
    assert set(positions) == set(NAMES), asks.stdout[-3000:]
    assert int(positions["controller1"]) < int(positions["controller2"])
    chosen = re.findall(r"(controller\d) begins the cluster: it has the last transaction", asks.stdout)[0]
    assert chosen != "controller1" and "Nothing was begun" in asks.stdout
    assert playbook("database_recover", "-e", "database_recover_from=controller1").returncode != 0
    done = playbook("database_recover", "-e", f"database_recover_from={chosen}")
    assert done.returncode == 0, done.stdout[-3000:]
    wait("the cluster is whole", whole)
    for name in NAMES:
        assert status(name, "wsrep_cluster_state_uuid") == uuid
        assert sql(name, "SELECT COUNT(*) FROM proof.rows WHERE word IN (41, 42)") == "2"
