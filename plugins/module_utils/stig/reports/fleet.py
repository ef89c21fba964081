"""The findings of all hosts as one model: what every report reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.common import text
from ansible_collections.stackwright.cloud.plugins.module_utils.stig import findings as model

OPEN = ("fail", "error")
CHANGES = ("new", "still_open", "fixed", "waived", "untested")
THRESHOLDS = ("high", "medium", "low", "none")


class ReportError(Exception):
    """A report that cannot be made; the text says what to do."""


@dataclass(frozen=True)
class Control:
    """The text of a control, the same on all hosts."""

    id: str
    rule: str
    severity: str
    title: str
    rationale: str
    remedy: str
    rules: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Earlier:
    """An earlier audit of one host: its time, and the status of each control."""

    time: str
    statuses: Mapping[str, str]


@dataclass
class Fleet:
    """Hosts with their findings, sorted by name.

    `missing` names the hosts that were to be audited and have no findings, each with the reason. `changes` tells per
    host and control what differs from that host's earlier audit (one of `CHANGES`); a host without one is not in
    `earlier`.
    """

    time: str
    documents: list[model.Document]
    missing: dict[str, str]
    controls: dict[str, Control]
    earlier: dict[str, Earlier] = field(default_factory=dict)
    changes: dict[str, dict[str, str]] = field(default_factory=dict)

    def by_severity(self, document: model.Document) -> dict[str, int]:
        """How many controls are open on the host, for each severity."""
        counts = dict.fromkeys(model.SEVERITIES, 0)
        for one in document.findings:
            if one.status in OPEN:
                counts[one.severity] += 1
        return counts

    def changed(self, host: str) -> dict[str, int]:
        """How many controls of the host changed in each way."""
        counts = dict.fromkeys(CHANGES, 0)
        for change in self.changes.get(host, {}).values():
            counts[change] += 1
        return counts

    def totals(self) -> dict[str, Any]:
        """Counts over all hosts: by status, open by severity, and changes."""
        statuses = dict.fromkeys(model.STATUSES, 0)
        failing = dict.fromkeys(model.SEVERITIES, 0)
        changes = dict.fromkeys(CHANGES, 0)
        for document in self.documents:
            for one in document.findings:
                statuses[one.status] += 1
            for severity, count in self.by_severity(document).items():
                failing[severity] += count
            for change, count in self.changed(document.host).items():
                changes[change] += count
        return {
            "hosts": len(self.documents),
            "not_audited": len(self.missing),
            "statuses": statuses,
            "open": failing,
            "changes": changes,
        }


def change(before: str | None, now: str) -> str | None:
    """How a control differs from the earlier audit of its host, or None when there is nothing to tell.

    A control that was open and is waived now is not fixed, and neither is one that nobody tested.
    """
    if now in OPEN:
        return "still_open" if before in OPEN else "new"
    if before not in OPEN:
        return None
    return {"waived": "waived", "not_testable": "untested", "manual": "untested"}.get(now, "fixed")


def _natural(name: str) -> list[tuple[int, int | str]]:
    parts: list[tuple[int, int | str]] = []
    digits = ""
    for letter in [*name, ""]:
        if letter.isdecimal() and letter.isascii():
            digits += letter
            continue
        if digits:
            parts.append((0, int(digits)))
            digits = ""
        parts.append((1, letter))
    return parts


def _control(one: model.Finding) -> Control:
    return Control(
        one.id, one.rule, one.severity, one.title, one.rationale, one.remedy, tuple(one.rules), tuple(one.tags)
    )


def build(
    documents: Mapping[str, Any], missing: Mapping[str, str], earlier: Mapping[str, Earlier] | None = None
) -> Fleet:
    """The model of the fleet.

    :param documents: findings documents as JSON data, by the name of the host in the inventory.
    :param missing: hosts without findings, and why.
    :param earlier: the audit to compare each host with.
    :raises ReportError: when there is neither a document nor a missing host.
    """
    seen: dict[str, str] = {}
    without = {text.clean(host): text.clean(reason) for host, reason in missing.items()}
    parsed: dict[str, model.Document] = {}
    for host in documents:
        name = text.clean(host)
        try:
            document = model.parse(text.clean_data(documents[host], seen))
            datetime.fromisoformat(document.time)
        except (model.FindingsError, ValueError) as error:
            without[name] = f"its findings cannot be read: {error}"
            continue
        document.host = name
        document.findings.sort(key=lambda one: one.id)
        parsed[name] = document
    if not parsed and not without:
        raise ReportError(
            "There are no findings to report: no host was audited. Run the hardening role in audit mode first."
        )
    controls: dict[str, Control] = {}
    for document in parsed.values():
        for one in document.findings:
            controls.setdefault(one.id, _control(one))
    fleet = Fleet(
        time=max((one.time for one in parsed.values()), default=""),
        documents=[parsed[name] for name in sorted(parsed, key=_natural)],
        missing={name: without[name] for name in sorted(without, key=_natural)},
        controls=dict(sorted(controls.items())),
    )
    for document in fleet.documents:
        before = (earlier or {}).get(document.host)
        if before is None:
            continue
        fleet.earlier[document.host] = before
        changes = {one.id: change(before.statuses.get(one.id), one.status) for one in document.findings}
        fleet.changes[document.host] = {control: kind for control, kind in changes.items() if kind}
    return fleet


def over_threshold(fleet: Fleet, threshold: str) -> str:
    """A sentence that tells why the audit fails, or nothing when it does not.

    :param threshold: the lowest severity whose open findings fail the audit; `none` lets findings pass. A host without
        findings fails the audit whatever the threshold: nothing is known about it.
    """
    reasons: list[str] = []
    if threshold != "none":
        counted = model.SEVERITIES[: model.SEVERITIES.index(threshold) + 1]
        found = dict.fromkeys(counted, 0)
        hosts = 0
        for document in fleet.documents:
            here = fleet.by_severity(document)
            hosts += any(here[severity] for severity in counted)
            for severity in counted:
                found[severity] += here[severity]
        if hosts:
            listed = _listed(f"{count} {severity}" for severity, count in found.items() if count)
            verb = "is" if sum(found.values()) == 1 else "are"
            noun = "finding" if sum(found.values()) == 1 else "findings"
            all_hosts = "1 host" if len(fleet.documents) == 1 else f"{len(fleet.documents)} hosts"
            reasons.append(f"{listed} {noun} {verb} open on {hosts} of {all_hosts}")
    if fleet.missing:
        names = list(fleet.missing)
        shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        reasons.append(f"not audited: {shown}")
    return "; ".join(reasons)


def _listed(parts: Iterable[str]) -> str:
    words = list(parts)
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
