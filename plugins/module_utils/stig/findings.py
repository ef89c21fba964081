"""The findings document: what an audit, an enforcement or a rollback says about one host.

The engine on the host makes it and every report reads it. It is plain JSON; `SCHEMA_VERSION` changes when the meaning
of a field does.
"""

from __future__ import annotations

import datetime
from dataclasses import asdict, dataclass, field
from typing import Any

SCHEMA_VERSION = 1
MODES = ("audit", "enforce", "rollback")
SEVERITIES = ("high", "medium", "low")
STATUSES = ("pass", "fail", "waived", "not_applicable", "not_testable", "manual", "error")


class FindingsError(ValueError):
    """A document that does not have the shape described here; the text names the place."""


@dataclass
class Evidence:
    """One observation: what the control wants, what the host has, and where that was read (file, file:line,
    command)."""

    expected: str
    found: str
    where: str


@dataclass
class Waiver:
    """Why a failing control is accepted, by whom, and until which day (ISO 8601 date; empty for a built-in
    deviation)."""

    reason: str
    owner: str
    expires: str


@dataclass
class Finding:
    """The result of one control on one host.

    `rule` is the first benchmark rule of the control, `rules` all of them. `changed` tells that this run changed
    something (in check mode: would change something) for the control. `evidence` lists the observations that decided
    the status; for a control that passes it may hold what was seen. `detail` is a sentence for people: the reason of
    not_applicable, manual, not_testable and error.
    """

    id: str
    rule: str
    severity: str
    title: str = ""
    rationale: str = ""
    status: str = "error"
    changed: bool = False
    evidence: list[Evidence] = field(default_factory=list)
    remedy: str = ""
    waiver: Waiver | None = None
    detail: str = ""
    rules: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)


@dataclass
class System:
    """What kind of host it is. `address` is the one the control node reaches it by."""

    distribution: str = ""
    version: str = ""
    kernel: str = ""
    container: bool = False
    address: str = ""


@dataclass
class Drift:
    """A path that is no longer as the last enforcement left it; `what` says how, `since` is the time of that
    enforcement."""

    path: str
    what: str
    since: str


@dataclass
class State:
    """A fact about the running host that enforcement promises: a unit runs, sshd answers with its settings."""

    what: str
    ok: bool
    detail: str = ""


@dataclass
class Document:
    """Everything said about one host at one time."""

    host: str
    time: str
    mode: str
    profile: str
    system: System = field(default_factory=System)
    run_id: str | None = None
    findings: list[Finding] = field(default_factory=list)
    drift: list[Drift] = field(default_factory=list)
    state: list[State] = field(default_factory=list)
    totals: dict[str, Any] = field(default_factory=dict)
    schema: int = SCHEMA_VERSION

    def as_dict(self) -> dict[str, Any]:
        """The document as JSON-ready data, with its totals counted anew."""
        data = asdict(self)
        data["totals"] = count(self.findings)
        return data


def count(findings: list[Finding]) -> dict[str, Any]:
    """Totals: the number of findings by status, the failing ones by severity, and how many were changed.

    :returns: ``{"pass": n, ..., "error": n, "changed": n, "failing": {"high": n, "medium": n, "low": n}}``
    """
    totals: dict[str, Any] = dict.fromkeys(STATUSES, 0)
    totals["changed"] = sum(one.changed for one in findings)
    totals["failing"] = dict.fromkeys(SEVERITIES, 0)
    for one in findings:
        totals[one.status] += 1
        if one.status in ("fail", "error"):
            totals["failing"][one.severity] += 1
    return totals


def _section(data: Any, where: str, kind: type, wanted: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise FindingsError(f"{where}: expected a mapping for {kind.__name__}, found {type(data).__name__}")
    if unknown := sorted(set(data) - set(wanted)):
        raise FindingsError(f"{where}: unknown field {', '.join(unknown)}")
    for name, types in wanted.items():
        if name in data and not isinstance(data[name], types):
            raise FindingsError(f"{where}.{name}: {data[name]!r} is of the wrong type")
    return data


def _waiver(data: Any, where: str) -> Waiver | None:
    if data is None:
        return None
    return Waiver(**_section(data, where, Waiver, {"reason": str, "owner": str, "expires": str}))


def _finding(data: Any, where: str) -> Finding:
    text = dict.fromkeys(("id", "rule", "severity", "title", "rationale", "status", "remedy", "detail"), str)
    wanted = {**text, "changed": bool, "evidence": list, "waiver": (dict, type(None)), "rules": list, "tags": list}
    values = dict(_section(data, where, Finding, wanted))
    for name in ("id", "rule", "severity", "status"):
        if name not in values:
            raise FindingsError(f"{where}: {name} is missing")
    if values["severity"] not in SEVERITIES:
        raise FindingsError(f"{where}.severity: {values['severity']!r} is none of {', '.join(SEVERITIES)}")
    if values["status"] not in STATUSES:
        raise FindingsError(f"{where}.status: {values['status']!r} is none of {', '.join(STATUSES)}")
    names = {"expected": str, "found": str, "where": str}
    evidence = [
        Evidence(**_section(one, f"{where}.evidence[{at}]", Evidence, names))
        for at, one in enumerate(values.get("evidence", []))
    ]
    waiver = _waiver(values.get("waiver"), f"{where}.waiver")
    return Finding(**{**values, "evidence": evidence, "waiver": waiver})


def parse(data: Any) -> Document:
    """A document from JSON data.

    :raises FindingsError: naming the first place that is not as it should be.
    """
    text = dict.fromkeys(("host", "time", "mode", "profile"), str)
    lists = dict.fromkeys(("findings", "drift", "state"), list)
    wanted = {**text, **lists, "schema": int, "system": dict, "run_id": (str, type(None)), "totals": dict}
    values = dict(_section(data, "document", Document, wanted))
    if values.get("schema") != SCHEMA_VERSION:
        raise FindingsError(f"document.schema: {values.get('schema')!r} is not {SCHEMA_VERSION}")
    for name in text:
        if name not in values:
            raise FindingsError(f"document.{name} is missing")
    if values["mode"] not in MODES:
        raise FindingsError(f"document.mode: {values['mode']!r} is none of {', '.join(MODES)}")
    system = {"distribution": str, "version": str, "kernel": str, "container": bool, "address": str}
    values["system"] = System(**_section(values.get("system", {}), "document.system", System, system))
    values["findings"] = [_finding(one, f"findings[{at}]") for at, one in enumerate(values.get("findings", []))]
    values["drift"] = [
        Drift(**_section(one, f"drift[{at}]", Drift, dict.fromkeys(("path", "what", "since"), str)))
        for at, one in enumerate(values.get("drift", []))
    ]
    values["state"] = [
        State(**_section(one, f"state[{at}]", State, {"what": str, "ok": bool, "detail": str}))
        for at, one in enumerate(values.get("state", []))
    ]
    return Document(**values)


def now() -> str:
    """The time in UTC, ISO 8601."""
    return datetime.datetime.now(tz=datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
