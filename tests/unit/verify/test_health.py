"""Health checks: what passes, what fails, with which cause, and how long is waited."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.verify import health


class Server(ThreadingHTTPServer):
    """HTTP server that answers with a status and body that a test may change while it runs."""

    daemon_threads = True
    status = 200
    body = b"fine"
    delay = 0.0
    failures_left = 0
    together: threading.Barrier | None = None


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        time.sleep(self.server.delay)
        if self.server.together:
            self.server.together.wait(timeout=30)
        status = self.server.status
        if self.server.failures_left:
            self.server.failures_left -= 1
            status = 503
        self.send_response(status)
        self.send_header("Location", "http://127.0.0.1:1/elsewhere")
        self.end_headers()
        with contextlib.suppress(BrokenPipeError):
            self.wfile.write(self.server.body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield running
        running.shutdown()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def url(server: Server) -> str:
    return f"http://127.0.0.1:{server.server_port}/healthcheck"


def unit_text(name: str, **changes: Any) -> str:
    properties = {
        "Id": name,
        "Names": name,
        "LoadState": "loaded",
        "ActiveState": "active",
        "SubState": "running",
        "Result": "success",
        "ExecMainStatus": "0",
        "NRestarts": "0",
        "ActiveEnterTimestampMonotonic": "1000000",
        "Job": "",
    } | changes
    return "\n".join(f"{key}={value}" for key, value in properties.items())


class Machine:
    """Stands in for systemctl and journalctl; counts the calls of each."""

    def __init__(self, *blocks: str, status: int = 0, error: str = "") -> None:
        self.blocks, self.status, self.error = blocks, status, error
        self.calls: list[str] = []

    def __call__(self, command: Sequence[str]) -> tuple[int, str]:
        self.calls.append(command[0])
        if command[0] == "journalctl":
            return 0, "t host daemon: cannot reach the database\n"
        names = command[command.index("--") + 1 :]
        found = [
            next(
                (one for one in self.blocks if re.search(rf"^(Id|Names)=.*\b{re.escape(name)}", one, re.MULTILINE)),
                "LoadState=not-found",
            )
            for name in names
        ]
        return self.status, self.error or "\n\n".join(found) + "\n"


class Clock:
    """A clock that only moves when somebody sleeps."""

    def __init__(self, now: float = 100.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def wait(*checks: dict[str, Any], timeout: float = 0, **more: Any) -> health.Report:
    return health.wait_healthy([health.parse_check(check) for check in checks], timeout=timeout, **more)


def test_endpoint_with_expected_status_passes(server: Server) -> None:
    assert not wait({"url": url(server)}).failed


def test_redirect_is_judged_and_not_followed(server: Server) -> None:
    server.status = 302
    assert not wait({"url": url(server)}).failed
    assert "HTTP 302 instead of 200" in wait({"url": url(server), "status": [200]}).failed[0].cause


def test_wrong_status_quotes_the_body_on_one_short_line(server: Server) -> None:
    server.status, server.body = 503, b"<h1>No\nworkers</h1>" + b"x" * 5000
    cause = wait({"name": "image API", "url": url(server)}).failed[0].cause
    assert cause.startswith("HTTP 503 instead of 200 to 399: No workers xx")
    assert len(cause) < 300


def test_missing_text_fails(server: Server) -> None:
    assert not wait({"url": url(server), "contains": "fine"}).failed
    assert "does not contain 'version'" in wait({"url": url(server), "contains": "version"}).failed[0].cause


def test_refused_connection_is_named() -> None:
    report = wait({"name": "database", "port": free_port()}, {"url": f"http://127.0.0.1:{free_port()}/"})
    assert [outcome.cause for outcome in report.failed] == ["connection refused, nothing listens there"] * 2


def answering(answer: bytes, question: bytes = b"") -> Iterator[int]:
    """A TCP server that reads ``question``, sends ``answer`` and waits for the end; gives its port."""

    def serve() -> None:
        with contextlib.suppress(OSError):
            connection, _ = listener.accept()
            with connection:
                assert connection.recv(100) == question if question else True
                connection.sendall(answer)
                connection.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield int(listener.getsockname()[1])


def test_tcp_server_that_says_what_it_should_passes() -> None:
    with contextlib.contextmanager(answering)(b"11.8.3-MariaDB") as port:
        assert not wait({"port": port, "contains": "MariaDB"}).failed
    with contextlib.contextmanager(answering)(b"VERSION 1.6", b"version\r\n") as port:
        assert not wait({"port": port, "send": "version\r\n", "contains": "VERSION"}).failed


def test_tcp_server_that_says_something_else_is_quoted() -> None:
    with contextlib.contextmanager(answering)(b"SSH-2.0") as port:
        cause = wait({"port": port, "contains": "MariaDB", "timeout": 1}).failed[0].cause
    assert cause == "no 'MariaDB' within 1 s, but 'SSH-2.0'"


def test_tcp_server_that_hangs_up_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=lambda: listener.accept()[0].close(), daemon=True).start()
        cause = wait({"port": listener.getsockname()[1], "contains": "MariaDB"}).failed[0].cause
    assert cause == "the server closed the connection without saying 'MariaDB'"


def test_tcp_server_that_hangs_does_not_pass_though_the_kernel_accepts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert not wait({"port": port}).failed
        assert wait({"port": port, "contains": "MariaDB", "timeout": 1}).failed[0].cause == "no answer within 1 s"


def test_silent_server_is_left_after_the_timeout_of_the_check(server: Server) -> None:
    server.delay = 3
    start = time.monotonic()
    cause = wait({"url": url(server), "timeout": 1}).failed[0].cause
    assert cause == "no answer within 1 s"
    assert time.monotonic() - start < server.delay


def test_checks_run_in_parallel(server: Server) -> None:
    server.together = threading.Barrier(8)  # no request is answered before all eight have come
    assert not wait(*[{"url": url(server), "timeout": 30}] * 8, timeout=30).failed


@pytest.mark.parametrize(
    ("script", "cause", "degraded"),
    [
        ("echo whole", "", ""),
        ("echo two of three; exit 3", "", "two of three"),
        ("echo none at all >&2; exit 1", "none at all", ""),
        ("exit 7", "exit status 7", ""),
        ("sleep 5", "no answer within 0.2 s", ""),
    ],
)
def test_command_says_how_it_is_by_its_exit_status(script: str, cause: str, degraded: str) -> None:
    (outcome,) = wait({"command": ["sh", "-c", script], "timeout": 0.2 if "sleep" in script else 5}).outcomes
    assert (outcome.cause, outcome.degraded, outcome.check.kind) == (cause, degraded, "command")


def test_command_that_is_not_there_is_told() -> None:
    assert wait({"command": ["/nowhere/at/all"]}).failed[0].cause == "/nowhere/at/all is not there"


def test_what_is_degraded_is_waited_for_a_while_and_then_told(tmp_path: Path) -> None:
    clock, mark = Clock(0), tmp_path / "mark"
    check = {"name": "queue", "command": ["sh", "-c", f"test -e {mark} || {{ echo one missing; exit 3; }}"]}
    report = wait(check, timeout=300, now=clock, sleep=clock.sleep)
    assert not report.failed
    assert (report.outcomes[0].degraded, clock.now) == ("one missing", health.PATIENCE)
    assert health.summary(report) == ["0 of 1 clusters whole"]
    mark.touch()
    assert health.summary(wait(check)) == ["1 clusters whole"]


def test_server_that_recovers_is_waited_for(server: Server) -> None:
    server.failures_left = 3
    report = wait({"url": url(server)}, timeout=20, interval=0.01)
    assert not report.failed
    assert report.rounds == 4


def test_waiting_ends_at_the_timeout_and_tells_the_last_cause() -> None:
    clock = Clock()
    report = wait({"port": free_port()}, timeout=5, now=clock, sleep=clock.sleep)
    assert report.failed[0].cause.startswith("connection refused")
    assert report.rounds == 6
    assert clock.now == 105


@pytest.mark.parametrize(("last", "seconds", "failed"), [(112, 12, []), (1000, 13, ["c.service"])])
def test_host_that_gets_on_is_waited_for_beyond_the_timeout(last: int, seconds: int, failed: list[str]) -> None:
    """Units come up four seconds apart; five without progress are waited for."""
    clock = Clock()
    ready = {"a": 104, "b": 108, "c": last}
    starting = {"ActiveState": "activating", "SubState": "start", "ActiveEnterTimestampMonotonic": "0"}
    machine = Machine()

    def sleep(wanted: float) -> None:
        clock.sleep(wanted)
        machine.blocks = tuple(
            unit_text(f"{name}.service", **({} if clock.now >= at else starting)) for name, at in ready.items()
        )

    sleep(0)
    report = wait(*[{"unit": name} for name in ready], timeout=5, run=machine, now=clock, sleep=sleep)
    assert [outcome.check.name for outcome in report.failed] == failed
    assert clock.now - 100 == seconds


def test_all_must_pass_in_the_same_round(server: Server) -> None:
    """An endpoint that fails once another one has recovered is seen."""
    machine = Machine(unit_text("a.service", ActiveEnterTimestampMonotonic="99000000"))
    clock = Clock()

    def sleep(seconds: float) -> None:
        server.status = 500
        clock.sleep(seconds)

    report = wait({"url": url(server)}, {"unit": "a"}, timeout=3, run=machine, now=clock, sleep=sleep)
    assert [outcome.check.kind for outcome in report.failed] == ["http"]


def test_active_unit_passes_also_under_its_alias() -> None:
    machine = Machine(unit_text("ssh.service", Names="ssh.service sshd.service"))
    assert not wait({"unit": "ssh"}, {"unit": "sshd.service"}, run=machine, now=Clock()).failed
    assert machine.calls == ["systemctl"]


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"LoadState": "not-found", "ActiveState": "inactive", "SubState": "dead"}, "the unit is not installed"),
        ({"LoadState": "masked", "ActiveState": "inactive"}, "the unit's load state is masked"),
        (
            {"ActiveState": "failed", "SubState": "failed", "Result": "exit-code", "ExecMainStatus": "99"},
            "failed (failed), result exit-code, exit status 99",
        ),
        ({"ActiveState": "inactive", "SubState": "dead"}, "inactive (dead)"),
    ],
)
def test_unit_that_waiting_cannot_mend_ends_the_waiting(changes: dict[str, str], cause: str) -> None:
    clock = Clock()
    report = wait(
        {"unit": "nova-compute"},
        {"port": free_port()},
        timeout=300,
        run=Machine(unit_text("nova-compute.service", **changes)),
        now=clock,
        sleep=clock.sleep,
    )
    assert report.failed[0].cause == cause
    assert report.failed[0].evidence == ["t host daemon: cannot reach the database"]
    assert report.rounds == 1


def test_stopped_unit_that_a_listening_socket_starts_passes() -> None:
    stopped = {"ActiveState": "inactive", "SubState": "dead", "TriggeredBy": "virtlogd.socket virtlogd-admin.socket"}
    for socket_state, passes in (("active", True), ("inactive", False)):
        for result in ("success", "exit-code"):
            machine = Machine(
                unit_text("virtlogd.service", **(stopped | {"Result": result})),
                unit_text("virtlogd.socket", ActiveState=socket_state),
            )
            report = wait({"unit": "virtlogd"}, run=machine, now=Clock())
            assert (not report.failed) == (passes and result == "success")


def test_stopped_unit_with_a_queued_job_is_waited_for() -> None:
    machine = Machine(unit_text("a.service", ActiveState="inactive", SubState="dead", Job="77"))
    (outcome,) = wait({"unit": "a"}, run=machine, now=Clock()).failed
    assert (outcome.cause, outcome.final) == ("inactive (dead)", False)


def test_crashing_unit_does_not_pass_between_two_crashes() -> None:
    text = unit_text("a.service", NRestarts="4", ActiveEnterTimestampMonotonic="95000000")
    clock = Clock(100)
    cause = wait({"unit": "a"}, run=Machine(text), now=clock).failed[0].cause
    assert cause == "active for only 5 s, restarted 4 times by systemd: it keeps stopping"
    assert not wait({"unit": "a"}, run=Machine(text), timeout=20, now=clock, sleep=clock.sleep).failed
    assert 110 <= clock.now <= 112


def test_unit_just_started_must_stay_active() -> None:
    text = unit_text("a.service", ActiveEnterTimestampMonotonic="99500000")
    clock = Clock(100)
    assert wait({"unit": "a"}, run=Machine(text), now=clock).failed[0].cause == "active for only 0.5 s"
    assert not wait({"unit": "a"}, run=Machine(text), timeout=9, now=clock, sleep=clock.sleep).failed
    assert clock.now < 103


def test_dead_systemd_is_told() -> None:
    machine = Machine(status=1, error="Failed to connect to bus")
    cause = wait({"unit": "a"}, run=machine, now=Clock()).failed[0].cause
    assert cause == "systemctl show a.service failed (1): Failed to connect to bus"


def test_message_names_every_failure_with_cause_and_evidence(server: Server) -> None:
    port = free_port()
    report = wait(
        {"name": "image API", "url": f"http://127.0.0.1:{port}/", "unit": "glance-api"},
        {"name": "fine", "url": url(server)},
        {"unit": "mariadb"},
        run=Machine(unit_text("mariadb.service", ActiveState="failed", SubState="failed", Result="oom-kill")),
        now=Clock(),
    )
    message = health.failure_message(report)
    assert message.splitlines() == [
        "2 of 3 health checks fail after 0 s:",
        f"- image API (http://127.0.0.1:{port}/): connection refused, nothing listens there",
        "    t host daemon: cannot reach the database",
        "- mariadb.service: failed (failed), result oom-kill",
        "    t host daemon: cannot reach the database",
        "See more with: journalctl -u glance-api -u mariadb.service",
    ]
    assert health.summary(report) == ["0 of 1 units active, 1 of 2 endpoints answer"]


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({}, "give url (HTTP), host and port (TCP), command or unit (systemd)"),
        ({"name": "x", "host": "h"}, "give url (HTTP)"),
        ({"url": "ftp://h/"}, "url must be http://HOST"),
        ({"url": "http://h:99999/"}, "url must be http://HOST"),
        ({"url": "http://h/", "port": 3}, "not both"),
        ({"port": 70000}, "between 1 and 65535"),
        ({"unit": "a", "timeout": -1}, "timeout must be more than 0"),
    ],
)
def test_malformed_check_is_refused(entry: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match="check") as error:
        health.parse_check(entry)
    assert words in str(error.value)


def test_missing_ca_file_is_told() -> None:
    assert "/nowhere.pem cannot be used" in wait({"url": "https://127.0.0.1:1/", "ca": "/nowhere.pem"}).failed[0].cause
