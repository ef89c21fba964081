"""The JSON report: all hosts in one document, with the text of each control once.

    {"schema": 1, "time": t, "totals": {...}, "not_audited": {host: reason},
     "controls": {id: {"rule", "rules", "severity", "title", "rationale", "remedy", "tags"}},
     "hosts": {host: {"time", "mode", "profile", "system", "run_id", "compared_with", "changes": {id: change},
                      "findings": {id: {"status", "changed", "evidence", "waiver", "detail"}},
                      "drift", "state", "totals"}}}

A finding whose severity, title, rationale or remedy differs from the control's (it may depend on a host's parameters)
carries its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.stig import findings as model
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.reports.fleet import Control, Fleet

SCHEMA_VERSION = 1


def finding(one: model.Finding, control: Control) -> dict[str, Any]:
    """A finding without what its control already says."""
    data: dict[str, Any] = {
        "status": one.status,
        "changed": one.changed,
        "evidence": [asdict(seen) for seen in one.evidence],
        "waiver": asdict(one.waiver) if one.waiver else None,
        "detail": one.detail,
    }
    for name in ("severity", "title", "rationale", "remedy"):
        own = getattr(one, name)
        if own != getattr(control, name):
            data[name] = own
    return data


def _host(fleet: Fleet, document: model.Document) -> dict[str, Any]:
    before = fleet.earlier.get(document.host)
    return {
        "time": document.time,
        "mode": document.mode,
        "profile": document.profile,
        "system": asdict(document.system),
        "run_id": document.run_id,
        "compared_with": before.time if before else None,
        "changes": fleet.changes.get(document.host, {}),
        "findings": {one.id: finding(one, fleet.controls[one.id]) for one in document.findings},
        "drift": [asdict(one) for one in document.drift],
        "state": [asdict(one) for one in document.state],
        "totals": model.count(document.findings),
    }


def render(fleet: Fleet) -> Iterator[str]:
    """The report in pieces, one a host, so that a large fleet is never in memory as text."""
    head = {
        "schema": SCHEMA_VERSION,
        "time": fleet.time,
        "totals": fleet.totals(),
        "not_audited": fleet.missing,
        "controls": {name: asdict(control) for name, control in fleet.controls.items()},
    }
    yield json.dumps(head, separators=(",", ":"))[:-1] + ',"hosts":{'
    for number, document in enumerate(fleet.documents):
        comma = ",\n" if number else "\n"
        yield f"{comma}{json.dumps(document.host)}:{json.dumps(_host(fleet, document), separators=(',', ':'))}"
    yield "\n}}\n"
