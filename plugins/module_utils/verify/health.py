"""Health of one host: HTTP endpoints, TCP ports and systemd units, checked in parallel until all pass or time is up.

Only the standard library is used, since this runs on the machines of the cloud.
"""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from ansible_collections.stackwright.cloud.plugins.module_utils.common.text import clean

BODY_EXCERPT = 200
JOURNAL_LINES = 5
MAX_PARALLEL = 16
UNIT_PROPERTIES = (
    "Id",
    "Names",
    "LoadState",
    "ActiveState",
    "SubState",
    "Result",
    "ExecMainStatus",
    "NRestarts",
    "ActiveEnterTimestampMonotonic",
    "Job",
    "TriggeredBy",
)

# Runs one command and returns its exit status and its output; unit tests replace it.
Runner = Callable[[Sequence[str]], "tuple[int, str]"]


@dataclass(frozen=True)
class Check:
    """One thing that must hold.

    ``kind`` is ``http``, ``tcp`` or ``unit``; ``target`` is the URL, ``host:port`` or the unit's name.
    ``timeout`` is in seconds. ``evidence_unit`` names the unit whose journal explains a failure.
    """

    name: str
    kind: str
    target: str
    status: tuple[int, ...] = ()
    timeout: float = 5.0
    ca: str | None = None
    contains: str | None = None
    send: str | None = None
    host: str = ""
    port: int = 0
    evidence_unit: str | None = None
    log: str | None = None


@dataclass
class Outcome:
    """Result of one check: ``cause`` is empty when it passed; ``final`` when waiting cannot mend it."""

    check: Check
    cause: str = ""
    final: bool = False
    evidence: list[str] = field(default_factory=list)

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
            host=host,
            port=port,
            send=given.get("send"),
            contains=given.get("contains"),
            evidence_unit=unit,
            log=given.get("log"),
        )
    if unit:
        unit = str(unit) if "." in str(unit) else f"{unit}.service"
        return Check(
            name=str(given.get("name", unit)), kind="unit", target=unit, evidence_unit=unit, log=given.get("log")
        )
    raise ValueError(f"check {given!r}: give url (HTTP), host and port (TCP) or unit (systemd)")


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


def check_tcp(check: Check, timeout: float) -> str:
    """Open one TCP connection and hear what the check wants to; return the cause of failure, empty when all is as expected.

    The kernel accepts connections for a server that hangs, so that only an answer shows that it works.
    """
    said = b""
    deadline = time.monotonic() + timeout
    try:
        with socket.create_connection((check.host, check.port), timeout=timeout) as connection:
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


def parse_units(text: str) -> dict[str, dict[str, str]]:
    """Parse ``systemctl show`` of several units (blocks parted by blank lines) into properties by name and alias."""
    units: dict[str, dict[str, str]] = {}
    for block in text.strip().split("\n\n"):
        properties = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        for name in {properties.get("Id", ""), *properties.get("Names", "").split()} - {""}:
            units[name] = properties
    return units


def judge_unit(
    properties: dict[str, str] | None, now: float, settle: float, settle_restarted: float
) -> tuple[str, bool]:
    """Judge one unit by its systemd properties.

    ``now`` is CLOCK_MONOTONIC in seconds. A unit must have been active for ``settle`` seconds, and one that systemd
    had to restart for ``settle_restarted`` seconds, since between two crashes it is active too. Returns the cause, empty
    when healthy, and whether waiting cannot mend it.
    """
    if not properties or properties.get("LoadState") == "not-found":
        return "the unit is not installed", True
    if properties.get("LoadState") not in (None, "loaded"):
        return f"the unit's load state is {properties['LoadState']}", True
    state, sub = properties.get("ActiveState", "unknown"), properties.get("SubState", "")
    restarts = int(properties.get("NRestarts") or 0)
    again = f", restarted {restarts} times by systemd" if restarts else ""
    if state != "active":
        result = properties.get("Result", "success")
        why = f", result {result}" if result not in ("", "success") else ""
        code = properties.get("ExecMainStatus", "0")
        why += f", exit status {code}" if code not in ("", "0") else ""
        queued = properties.get("Job", "0") not in ("", "0")
        return f"{state} ({sub}){why}{again}", state in ("failed", "inactive") and not queued
    since = int(properties.get("ActiveEnterTimestampMonotonic") or 0) / 1_000_000
    age = max(0.0, now - since)
    if restarts and age < settle_restarted:
        return f"active for only {age:.0f} s{again}: it keeps stopping", False
    if age < settle:
        return f"active for only {age:.1f} s", False
    return "", False


def show_units(names: Iterable[str], run: Runner) -> tuple[dict[str, dict[str, str]], str]:
    """Properties of the units by name and alias, from one ``systemctl show``, and what it says when it fails."""
    command = ["systemctl", "show", "--no-pager", "--property", ",".join(UNIT_PROPERTIES), "--", *names]
    status, output = run(command)
    units = parse_units(output)
    return units, f"systemctl cannot tell its state: {excerpt(output)}" if status and not units else ""


def waits_for_socket(properties: dict[str, str], triggers: dict[str, dict[str, str]]) -> bool:
    """Whether a stopped unit is one that ended well and that an active socket (or timer, path) will start when needed."""
    return (
        properties.get("ActiveState") == "inactive"
        and properties.get("Result", "success") == "success"
        and any(
            triggers.get(name, {}).get("ActiveState") == "active" for name in properties.get("TriggeredBy", "").split()
        )
    )


def check_units(
    checks: Sequence[Check], settle: float, settle_restarted: float, run: Runner, now: Callable[[], float]
) -> dict[str, tuple[str, bool]]:
    """Judge all units with one ``systemctl show``, or two when some are stopped; return cause and finality by name."""
    names = [check.target for check in checks]
    if not names:
        return {}
    units, trouble = show_units(names, run)
    if trouble:
        return dict.fromkeys(names, (trouble, False))
    stopped = [units[name] for name in names if name in units and units[name].get("ActiveState") == "inactive"]
    triggers = sorted({trigger for unit in stopped for trigger in unit.get("TriggeredBy", "").split()})
    waking = show_units(triggers, run)[0] if triggers else {}
    return {
        name: ("", False)
        if waits_for_socket(units.get(name, {}), waking)
        else judge_unit(units.get(name), now(), settle, settle_restarted)
        for name in names
    }


def journal_tail(unit: str, run: Runner, lines: int = JOURNAL_LINES) -> list[str]:
    """Last ``lines`` of the unit's journal, or an empty list where there is none."""
    status, output = run(["journalctl", "--no-pager", "--quiet", "-o", "short-iso", "-n", str(lines), "-u", unit])
    return [excerpt(line, 240) for line in output.splitlines() if line.strip()] if status == 0 else []


def log_tail(path: str, lines: int = JOURNAL_LINES) -> list[str]:
    """Last ``lines`` of a log file, led by its name; one line that says so when it cannot be read."""
    try:
        with Path(path).open("rb") as stream:
            stream.seek(max(0, stream.seek(0, 2) - 16384))
            tail = stream.read().decode("utf-8", errors="replace").splitlines()[-lines:]
    except OSError as error:
        return [f"{path}: {error.strerror}"]
    return [f"{path}: {excerpt(line, 240)}" for line in tail if line.strip()]


def one_round(
    checks: Sequence[Check],
    remaining: float,
    settle: float,
    settle_restarted: float,
    run: Runner,
    now: Callable[[], float],
) -> list[Outcome]:
    """Do every check once, the network ones in parallel, none longer than ``remaining`` seconds (at least 1)."""
    probes = {"http": check_http, "tcp": check_tcp}
    network = [check for check in checks if check.kind in probes]
    causes: dict[int, tuple[str, bool]] = {}
    with ThreadPoolExecutor(max_workers=min(MAX_PARALLEL, max(1, len(network)))) as pool:
        pending = [
            (check, pool.submit(probes[check.kind], check, max(1.0, min(check.timeout, remaining))))
            for check in network
        ]
        units = check_units([check for check in checks if check.kind == "unit"], settle, settle_restarted, run, now)
        for check, future in pending:
            causes[id(check)] = (future.result(), False)
    outcomes = []
    for check in checks:
        cause, final = units[check.target] if check.kind == "unit" else causes[id(check)]
        outcomes.append(Outcome(check, cause, final))
    return outcomes


def wait_healthy(
    checks: Iterable[Check],
    timeout: float,
    interval: float = 1.0,
    settle: float = 2.0,
    settle_restarted: float = 15.0,
    run: Runner = run_command,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Report:
    """Repeat rounds until every check passes in the same round, one fails for good, or ``timeout`` seconds are over.

    At least one round is done. Evidence (journal lines) is gathered for what failed in the last round.
    """
    wanted = list(checks)
    start = now()
    rounds = 0
    while True:
        rounds += 1
        remaining = timeout - (now() - start)
        outcomes = one_round(wanted, remaining, settle, settle_restarted, run, now)
        report = Report(outcomes, rounds, now() - start)
        if not report.failed or any(outcome.final for outcome in report.failed) or report.seconds >= timeout:
            break
        sleep(min(interval, max(0.05, timeout - report.seconds)))
    for outcome in report.failed:
        if outcome.check.evidence_unit:
            outcome.evidence = journal_tail(outcome.check.evidence_unit, run)
        if outcome.check.log:
            outcome.evidence += log_tail(outcome.check.log)
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
    words = {"unit": "units active", "http": "endpoints answer", "tcp": "ports open"}
    parts = []
    for kind, word in words.items():
        outcomes = [outcome for outcome in report.outcomes if outcome.check.kind == kind]
        passed = sum(outcome.passed for outcome in outcomes)
        if outcomes:
            parts.append(f"{passed} {word}" if passed == len(outcomes) else f"{passed} of {len(outcomes)} {word}")
    return [", ".join(parts) or "nothing to check"]
