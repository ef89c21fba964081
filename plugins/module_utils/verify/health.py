"""Health of one host: HTTP endpoints, TCP ports and systemd units, checked in parallel until all pass or time is up.

Only the standard library is used, since this runs on the machines of the cloud.
"""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, urlsplit

from ansible_collections.stackwright.cloud.plugins.module_utils.common.text import clean
from ansible_collections.stackwright.cloud.plugins.module_utils.host.systemd import (
    LASTING,
    Lasting,
    Runner,
    UnitsError,
    journal_tail,
    log_tail,
    staying_up,
)

BODY_EXCERPT = 200
JOURNAL_LINES = 5
MAX_PARALLEL = 16
LINE = 240
# What a command says by its exit status: something is missing that is there twice.
DEGRADED = 3
# Seconds for which that is waited for, as after a restart; then it is told.
PATIENCE = 30.0
_END = "-----END CERTIFICATE-----"
# What a certificate's directory holds.
CERTIFICATE, KEY = "certificate.pem", "key.pem"


@dataclass(frozen=True)
class Check:
    """One thing that must hold.

    ``kind`` is ``http``, ``tcp``, ``command`` or ``unit``; ``target`` is the URL, ``host:port``, the command's name or
    the unit's.
    ``timeout`` is in seconds. With ``ca``, a TCP port is asked over TLS, and with ``client`` by a certificate, which
    lies in that directory with its key. ``certificate`` is a file with the one that a server has to show, which it does
    once it took it anew. ``evidence_unit`` names the unit whose journal explains a failure.
    """

    name: str
    kind: str
    target: str
    status: tuple[int, ...] = ()
    timeout: float = 5.0
    ca: str | None = None
    certificate: str | None = None
    client: str | None = None
    contains: str | None = None
    send: str | None = None
    host: str = ""
    port: int = 0
    command: tuple[str, ...] = ()
    evidence_unit: str | None = None
    log: str | None = None


@dataclass
class Outcome:
    """Result of one check: ``cause`` is empty when it passed; ``final`` when waiting cannot mend it; ``degraded`` is
    what is missing although it passed."""

    check: Check
    cause: str = ""
    final: bool = False
    evidence: list[str] = field(default_factory=list)
    degraded: str = ""

    @property
    def passed(self) -> bool:
        """Whether the check holds."""
        return not self.cause


@dataclass
class Report:
    """Outcomes of the last round, how many rounds there were and the seconds it all took."""

    outcomes: list[Outcome]
    rounds: int
    seconds: float

    @property
    def failed(self) -> list[Outcome]:
        """The outcomes that did not pass, in the order the checks were given."""
        return [outcome for outcome in self.outcomes if not outcome.passed]


def valid_port(parts: SplitResult) -> bool:
    """Whether the port of a parsed URL is absent or a number from 1 to 65535."""
    try:
        return parts.port != 0
    except ValueError:
        return False


def parse_check(data: dict[str, Any]) -> Check:
    """Turn one entry of the module's ``checks`` into a :class:`Check`.

    Raises ``ValueError`` with a sentence for the operator when the entry is neither of the three kinds, or two at once.
    """
    given = {key: value for key, value in data.items() if value not in (None, "", [])}
    unit = given.get("unit")
    timeout = float(given.get("timeout", 5.0))
    if timeout <= 0:
        raise ValueError(f"check {given!r}: timeout must be more than 0 seconds")
    if "url" in given and "port" in given:
        raise ValueError(f"check {given!r}: give either url or host and port, not both")
    if "url" in given:
        url = str(given["url"])
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or not valid_port(parts):
            raise ValueError(f"check {given!r}: url must be http://HOST[:PORT]/... or https://HOST[:PORT]/...")
        return Check(
            name=str(given.get("name", url)),
            kind="http",
            target=url,
            status=tuple(int(code) for code in given.get("status", ())),
            timeout=timeout,
            ca=given.get("ca"),
            certificate=given.get("certificate"),
            contains=given.get("contains"),
            evidence_unit=unit,
            log=given.get("log"),
        )
    if "port" in given:
        host, port = str(given.get("host", "127.0.0.1")), int(given["port"])
        if not 0 < port < 65536:
            raise ValueError(f"check {given!r}: port must lie between 1 and 65535")
        target = f"{host}:{port}"
        return Check(
            name=str(given.get("name", target)),
            kind="tcp",
            target=target,
            timeout=timeout,
            ca=given.get("ca"),
            certificate=given.get("certificate"),
            client=given.get("client"),
            host=host,
            port=port,
            send=given.get("send"),
            contains=given.get("contains"),
            evidence_unit=unit,
            log=given.get("log"),
        )
    if "command" in given:
        command = tuple(map(str, given["command"]))
        return Check(
            name=str(given.get("name", command[0])),
            kind="command",
            target=" ".join(command),
            timeout=timeout,
            command=command,
            evidence_unit=unit,
            log=given.get("log"),
        )
    if unit:
        unit = str(unit) if "." in str(unit) else f"{unit}.service"
        return Check(
            name=str(given.get("name", unit)), kind="unit", target=unit, evidence_unit=unit, log=given.get("log")
        )
    raise ValueError(f"check {given!r}: give url (HTTP), host and port (TCP), command or unit (systemd)")


def run_command(command: Sequence[str]) -> tuple[int, str]:
    """Run ``command`` without a shell, at most 20 seconds; return exit status and combined output."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=20, check=False)
    except FileNotFoundError:
        return 127, f"{command[0]}: not installed"
    except subprocess.TimeoutExpired:
        return 124, f"{' '.join(command)}: no answer within 20 s"
    return done.returncode, done.stdout + done.stderr


def excerpt(text: str, limit: int = BODY_EXCERPT) -> str:
    """``text`` on one line, without markup and control characters, cut to ``limit`` characters."""
    line = clean(" ".join(re.sub(r"<[^<>]*>", " ", text).split()))
    return line if len(line) <= limit else line[: limit - 3] + "..."


def network_cause(error: BaseException, timeout: float) -> str:
    """Say in a few words why a connection failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not accepted: {error.verify_message}"
    if isinstance(error, TimeoutError):
        return f"no answer within {timeout:g} s"
    if isinstance(error, socket.gaierror):
        return f"the name does not resolve: {error.strerror}"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused, nothing listens there"
    if isinstance(error, http.client.RemoteDisconnected):
        return "the server closed the connection without an answer"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"{type(error).__name__}: {error}"


def _shows_other(connection: socket.socket, path: str) -> str:
    """Why the certificate that a server shows is not that in a file; empty where it is."""
    try:
        with open(path, encoding="ascii") as stream:
            wanted = ssl.PEM_cert_to_DER_cert(stream.read().partition(_END)[0] + _END)
    except (OSError, ValueError) as error:
        return f"the certificate in {path} cannot be used: {getattr(error, 'strerror', '') or error}"
    shown = connection.getpeercert(binary_form=True) if isinstance(connection, ssl.SSLSocket) else None
    return "" if shown == wanted else f"the certificate that is shown is not the one in {path}"


def check_http(check: Check, timeout: float) -> str:
    """GET the URL without following redirects or proxies; return the cause of failure, empty when it is as expected."""
    parts = urlsplit(check.target)
    host = parts.hostname or ""
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection: http.client.HTTPConnection
    try:
        if parts.scheme == "https":
            context = ssl.create_default_context(cafile=check.ca)
            connection = http.client.HTTPSConnection(host, parts.port, timeout=timeout, context=context)
        else:
            connection = http.client.HTTPConnection(host, parts.port, timeout=timeout)
    except OSError as error:
        return f"the CA file {check.ca} cannot be used: {error.strerror or error}"
    try:
        connection.request("GET", path, headers={"Accept": "application/json, */*", "User-Agent": "stackwright-health"})
        if check.certificate and (other := _shows_other(connection.sock, check.certificate)):
            return other
        response = connection.getresponse()
        body = response.read(65536).decode("utf-8", errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return network_cause(error, timeout)
    finally:
        connection.close()
    expected = response.status in check.status if check.status else 200 <= response.status < 400
    if not expected:
        wanted = ", ".join(str(code) for code in check.status) or "200 to 399"
        said = excerpt(body)
        return f"HTTP {response.status} instead of {wanted}" + (f": {said}" if said else "")
    if check.contains and check.contains not in body:
        return f"HTTP {response.status}, but the answer does not contain {check.contains!r}: {excerpt(body)}"
    return ""


def connected(check: Check, timeout: float) -> socket.socket:
    """A connection to the port, over TLS where the check names who vouches for the server."""
    plain = socket.create_connection((check.host, check.port), timeout=timeout)
    if not check.ca:
        return plain
    with contextlib.ExitStack() as failing:
        failing.enter_context(plain)
        context = ssl.create_default_context(cafile=check.ca)
        if check.client:
            context.load_cert_chain(f"{check.client}/{CERTIFICATE}", f"{check.client}/{KEY}")
        secure = context.wrap_socket(plain, server_hostname=check.host)
        failing.pop_all()
        return secure


def check_tcp(check: Check, timeout: float) -> str:
    """Open one TCP connection and hear what the check wants to; return the cause of failure, empty when all is as
    expected.

    The kernel accepts connections for a server that hangs, so that only an answer shows that it works.
    """
    said = b""
    deadline = time.monotonic() + timeout
    try:
        with connected(check, timeout) as connection:
            if check.certificate and (other := _shows_other(connection, check.certificate)):
                return other
            if check.send:
                connection.sendall(check.send.encode())
            while check.contains and check.contains.encode() not in said:
                connection.settimeout(max(0.01, deadline - time.monotonic()))
                part = connection.recv(4096)
                said += part
                if not part or len(said) > 65536:
                    rest = f", but {excerpt(said.decode(errors='replace'))!r}" if said else ""
                    return f"the server closed the connection without saying {check.contains!r}{rest}"
    except TimeoutError as error:
        if check.contains and said:
            return f"no {check.contains!r} within {timeout:g} s, but {excerpt(said.decode(errors='replace'))!r}"
        return network_cause(error, timeout)
    except OSError as error:
        return network_cause(error, timeout)
    return ""


def check_command(check: Check) -> tuple[str, str]:
    """Run the command; return the cause of failure, and what is missing although it serves."""
    try:
        done = subprocess.run(
            check.command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=check.timeout,
            check=False,
        )
    except FileNotFoundError:
        return f"{check.command[0]} is not there", ""
    except subprocess.TimeoutExpired:
        return f"no answer within {check.timeout:g} s", ""
    said = excerpt(done.stderr.strip() or done.stdout, 2 * LINE) or f"exit status {done.returncode}"
    if done.returncode == DEGRADED:
        return "", said
    return (said if done.returncode else ""), ""


def check_units(
    checks: Sequence[Check], lasting: Lasting, run: Runner, now: Callable[[], float]
) -> dict[str, tuple[str, bool]]:
    """Whether units are up and stay so: cause and finality by name."""
    names = {check.target for check in checks}
    try:
        return staying_up(names, lasting, run, now)
    except UnitsError as error:
        return dict.fromkeys(names, (str(error), False))


def evidence_of(check: Check, run: Runner) -> list[str]:
    """The last words of the unit concerned and of its log, each on a short line."""
    found = []
    if check.evidence_unit:
        found = [excerpt(line, LINE) for line in journal_tail(check.evidence_unit, JOURNAL_LINES, run, "short-iso")]
    if check.log:
        try:
            found += [f"{check.log}: {excerpt(line, LINE)}" for line in log_tail(check.log, JOURNAL_LINES)]
        except OSError as error:
            found.append(f"{check.log}: {error.strerror}")
    return found


def one_round(
    checks: Sequence[Check],
    remaining: float,
    lasting: Lasting,
    run: Runner,
    now: Callable[[], float],
) -> list[Outcome]:
    """Do every check once, all but the units in parallel, the network ones none longer than ``remaining`` seconds (at
    least 1)."""
    probes = {"http": check_http, "tcp": check_tcp}
    network = [check for check in checks if check.kind in probes]
    looking = [check for check in checks if check.kind == "command"]
    causes: dict[int, tuple[str, bool]] = {}
    missing: dict[int, str] = {}
    with ThreadPoolExecutor(max_workers=min(MAX_PARALLEL, max(1, len(network) + len(looking)))) as pool:
        pending = [
            (check, pool.submit(probes[check.kind], check, max(1.0, min(check.timeout, remaining))))
            for check in network
        ]
        commands = [(check, pool.submit(check_command, check)) for check in looking]
        units = check_units([check for check in checks if check.kind == "unit"], lasting, run, now)
        for check, future in pending:
            causes[id(check)] = (future.result(), False)
        for check, answer in commands:
            cause, missing[id(check)] = answer.result()
            causes[id(check)] = (cause, False)
    outcomes = []
    for check in checks:
        cause, final = units[check.target] if check.kind == "unit" else causes[id(check)]
        outcomes.append(Outcome(check, cause, final, degraded=missing.get(id(check), "")))
    return outcomes


def wait_healthy(
    checks: Iterable[Check],
    timeout: float,
    interval: float = 1.0,
    lasting: Lasting = LASTING,
    run: Runner = run_command,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Report:
    """Repeat rounds until every check passes in the same round, one fails for good, or ``timeout`` seconds went by in
    which nothing came up that had not been up before.

    What is degraded is waited for, too, up to :data:`PATIENCE`. A host that boots brings its services up one by one, on
    a slow processor over minutes: as long as it gets on, it is waited for. At least one round is done. Evidence
    (journal lines) is gathered for what failed in the last round.
    """
    wanted = list(checks)
    start = got_on = now()
    been_up: set[int] = set()
    rounds = 0
    while True:
        rounds += 1
        outcomes = one_round(wanted, got_on + timeout - now(), lasting, run, now)
        report = Report(outcomes, rounds, now() - start)
        up = {id(outcome.check) for outcome in outcomes if outcome.passed}
        lacking = any(outcome.degraded for outcome in outcomes) and now() - start < min(PATIENCE, timeout)
        if not up <= been_up:
            been_up |= up
            got_on = now()
        remaining = got_on + timeout - now()
        if (not report.failed and not lacking) or any(outcome.final for outcome in report.failed) or remaining <= 0:
            break
        sleep(min(interval, max(0.05, remaining)))
    for outcome in report.failed:
        outcome.evidence = evidence_of(outcome.check, run)
    return report


def failure_message(report: Report) -> str:
    """Name each failed check with its last cause and evidence, one to a line."""
    lines = [f"{len(report.failed)} of {len(report.outcomes)} health checks fail after {report.seconds:.0f} s:"]
    for outcome in report.failed:
        check = outcome.check
        where = "" if check.name == check.target else f" ({check.target})"
        lines.append(f"- {check.name}{where}: {outcome.cause}")
        lines += [f"    {line}" for line in outcome.evidence]
    units = sorted({outcome.check.evidence_unit for outcome in report.failed if outcome.check.evidence_unit})
    if units:
        lines.append(f"See more with: journalctl -u {' -u '.join(units)}")
    return "\n".join(lines)


def summary(report: Report) -> list[str]:
    """One line that counts what passed, by kind."""
    words = {"unit": "units active", "http": "endpoints answer", "tcp": "ports open", "command": "clusters whole"}
    parts = []
    for kind, word in words.items():
        outcomes = [outcome for outcome in report.outcomes if outcome.check.kind == kind]
        passed = sum(outcome.passed and not outcome.degraded for outcome in outcomes)
        if outcomes:
            parts.append(f"{passed} {word}" if passed == len(outcomes) else f"{passed} of {len(outcomes)} {word}")
    return [", ".join(parts) or "nothing to check"]
