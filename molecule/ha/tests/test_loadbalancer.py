"""The address stays on one of three hosts, and requests reach a server that answers, whatever becomes of one."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from ansible_collections.stackwright.cloud.tests import ha_machines as machines
from ansible_collections.stackwright.cloud.tests.ha_machines import NAMES, asked, container, on, podman

CHECK = "/usr/local/lib/stackwright/load-balancer-check"
API, PANEL = 8899, 8900
# Measured: 2 s where a host vanishes or HAProxy stands still; here a slow and busy machine has its time.
GAP, PATIENCE = 15.0, 90.0


def wait(what: str, holds: Callable[[], bool]) -> float:
    """Seconds until something holds."""
    return machines.wait(what, holds, PATIENCE, lambda: [(asked(name, CHECK), name) for name in NAMES])


@pytest.fixture(scope="module")
def address() -> str:
    """The address that clients use, as keepalived was told."""
    return on("controller1", "sed", "-nE", "s|^ +([0-9.]+)/32 dev .*|\\1|p", "/etc/keepalived/keepalived.conf")


@pytest.fixture(scope="module")
def trust() -> ssl.SSLContext:
    return ssl.create_default_context(cadata=on("controller1", "cat", "/etc/ssl/stackwright/ca.pem"))


def holders(address: str) -> list[str]:
    """The hosts that run and have the address."""
    return [name for name in NAMES if f"inet {address}/" in on(name, "ip", "-4", "-o", "address", "show", ok=False)]


def whole(address: str) -> Callable[[], bool]:
    """Whether one host has the address and all servers answer everywhere."""

    def holds() -> bool:
        return len(holders(address)) == 1 and [asked(name, CHECK)[0] for name in NAMES] == [0, 0, 0]

    return holds


def ask(address: str, trust: ssl.SSLContext, port: int = API, **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPSConnection(address, port, timeout=1.5, context=trust)
    connection.request("GET", "/", headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer, body


class Load:
    """Requests one after the other; the longest time without an answer, and what failed."""

    def __init__(self, address: str, trust: ssl.SSLContext) -> None:
        self.answered, self.failed, self.gap, self.last = 0, list[str](), 0.0, time.monotonic()
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run, args=(address, trust))

    def run(self, address: str, trust: ssl.SSLContext) -> None:
        while not self.ended.is_set():
            try:
                assert ask(address, trust)[0].status == 200
            except (OSError, http.client.HTTPException, AssertionError) as error:
                self.failed.append(f"{time.strftime('%T')} {type(error).__name__}: {error}")
            else:
                self.answered += 1
                self.gap = max(self.gap, time.monotonic() - self.last)
                self.last = time.monotonic()
            time.sleep(0.03)


@contextlib.contextmanager
def load(address: str, trust: ssl.SSLContext) -> Iterator[Load]:
    told = Load(address, trust)
    told.thread.start()
    try:
        yield told
        answered = told.answered
        wait("requests are answered again", lambda: told.answered > answered + 5)
    finally:
        told.ended.set()
        told.thread.join()


@pytest.fixture(autouse=True)
def sound(address: str) -> Iterator[None]:
    wait("one host has the address, and all servers answer", whole(address))
    yield


def test_requests_reach_all_servers_and_clear_text_reaches_none(address: str, trust: ssl.SSLContext) -> None:
    served = {json.loads(ask(address, trust)[1])["host"] for _ in range(12)}
    assert served == set(NAMES)
    with socket.create_connection((address, API), timeout=5) as plain:
        plain.sendall(b"GET / HTTP/1.0\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert b"headers" not in plain.recv(4096)
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("AES128-SHA256:AES256-SHA256")
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        ask(address, old)


def test_what_clients_say_of_their_way_reaches_no_server(address: str, trust: ssl.SSLContext) -> None:
    lies = {"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Host": "evil.example", "X-Forwarded-Prefix": "/evil"}
    _, body = ask(address, trust, **lies, Forwarded="for=6.6.6.6;host=evil.example", **{"X-Real-IP": "6.6.6.6"})
    headers = {name.lower(): value for name, value in json.loads(body)["headers"]}
    assert "6.6.6.6" not in str(headers)
    assert "evil" not in str(headers)
    own = headers["x-forwarded-for"]
    assert own.rsplit(".", 1)[0] == address.rsplit(".", 1)[0]
    assert headers["x-forwarded-proto"] == "https"


def test_users_reach_servers_through_the_load_balancer_alone(address: str) -> None:
    own = on("controller1", "hostname", "-I").split()[0]
    with pytest.raises(OSError):
        socket.create_connection((own, API), timeout=2).close()
    socket.create_connection((address, API), timeout=5).close()


def test_clear_text_leads_to_tls_and_browsers_are_told_to_stay_there(address: str, trust: ssl.SSLContext) -> None:
    plain = http.client.HTTPConnection(address, 80, timeout=5)
    plain.request("GET", "/some/where?now=1", headers={"Host": "evil.example"})
    answer = plain.getresponse()
    assert (answer.status, answer.getheader("Location")) == (301, f"https://{address}:{PANEL}/some/where?now=1")
    plain.close()
    assert ask(address, trust, PANEL)[0].getheader("Strict-Transport-Security") == "max-age=600"


def vanish(name: str) -> None:
    podman("kill", container(name))


def come_back(name: str) -> None:
    podman("start", container(name))


def frozen(signal: str) -> Callable[[str], None]:
    return lambda name: on(name, "systemctl", "kill", f"--signal={signal}", "haproxy") and None


def killed(name: str) -> None:
    on(name, "systemctl", "kill", "--signal=KILL", "keepalived")


@pytest.mark.parametrize(
    ("fault", "mend"),
    [
        pytest.param(vanish, come_back, id="host dies"),
        pytest.param(frozen("STOP"), frozen("CONT"), id="HAProxy stands still"),
        pytest.param(killed, lambda name: None, id="keepalived is killed"),
    ],
)
def test_the_address_moves_and_one_host_has_it(
    address: str, trust: ssl.SSLContext, fault: Callable[[str], None], mend: Callable[[str], None]
) -> None:
    (holder,) = holders(address)
    with load(address, trust) as told:
        time.sleep(1)
        fault(holder)
        if fault is not killed:
            wait("another host has the address", lambda: bool(set(holders(address)) - {holder}))
        time.sleep(3)
    mend(holder)
    wait("one host has the address, and all servers answer", whole(address))
    print(f"{holder}: longest gap {told.gap:.1f} s, {told.answered} answered, {len(told.failed)} failed")
    assert told.gap < GAP, told.failed


def test_a_server_that_dies_is_left_out_and_told_as_missing(address: str, trust: ssl.SSLContext) -> None:
    (holder,) = holders(address)
    other = next(name for name in NAMES if name != holder)
    with load(address, trust) as told:
        on(other, "systemctl", "stop", "proof-api")

        def degraded() -> bool:
            status, said, _ = asked(holder, CHECK)
            return status == 3 and f"proof: {other} does not answer" in said

        wait("the server is told as missing", degraded)
    on(other, "systemctl", "start", "proof-api")
    print(f"longest gap {told.gap:.1f} s, {told.answered} answered, {len(told.failed)} failed")
    assert told.gap < GAP, told.failed


def test_new_configuration_on_all_hosts_fails_no_request(address: str, trust: ssl.SSLContext) -> None:
    with load(address, trust) as told:
        for name in NAMES:
            on(name, "systemctl", "reload", "haproxy")
            time.sleep(1)
    assert told.failed == [], told.failed
    print(f"{told.answered} answered, none failed")
