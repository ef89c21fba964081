"""One self-contained HTML page for the fleet: no network, no other file, no text of a host ever taken as markup.

The findings are compact data inside the page; its script draws what is in sight. The page forbids, by a content
security policy with digests, every script and style but its own.
"""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.stig import findings as model
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.reports.as_json import finding
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.reports.fleet import Control, Fleet

PAGE = Path(__file__).parent / "page"
STATUS_LETTERS = {
    "pass": "p",
    "fail": "f",
    "waived": "w",
    "not_applicable": "n",
    "not_testable": "t",
    "manual": "m",
    "error": "e",
}
CHANGE_LETTERS = {"new": "n", "still_open": "o", "fixed": "x", "waived": "w", "untested": "u"}


def _detail(one: model.Finding, control: Control) -> dict[str, Any]:
    data = finding(one, control)
    detail: dict[str, Any] = {}
    if one.evidence:
        detail["seen"] = [[seen.expected, seen.found, seen.where] for seen in one.evidence]
    if one.waiver:
        detail["waiver"] = [one.waiver.reason, one.waiver.owner, one.waiver.expires]
    if one.detail:
        detail["detail"] = one.detail
    if one.changed:
        detail["changed"] = True
    if own := {name: data[name] for name in ("severity", "title", "rationale", "remedy") if name in data}:
        detail["own"] = own
    return detail


def _system(system: model.System) -> str:
    kind = "container" if system.container else ""
    return " ".join(part for part in (system.distribution, system.version, kind, system.kernel, system.address) if part)


class _Details:
    """The details of all findings, equal ones once: most hosts of a fleet say the same."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {"{}": 0}

    def number(self, detail: dict[str, Any]) -> int:
        """The place of `detail` in the list."""
        return self._known.setdefault(json.dumps(detail, separators=(",", ":")), len(self._known))

    def json(self) -> str:
        """The list."""
        return f"[{','.join(self._known)}]"


def _host(fleet: Fleet, document: model.Document, place: dict[str, int], details: _Details) -> dict[str, Any]:
    statuses = ["."] * len(place)
    changes = ["."] * len(place)
    numbers = [0] * len(place)
    for one in document.findings:
        at = place[one.id]
        statuses[at] = STATUS_LETTERS[one.status]
        numbers[at] = details.number(_detail(one, fleet.controls[one.id]))
    for control, change in fleet.changes.get(document.host, {}).items():
        changes[place[control]] = CHANGE_LETTERS[change]
    before = fleet.earlier.get(document.host)
    return {
        "name": document.host,
        "time": document.time,
        "profile": document.profile,
        "mode": document.mode,
        "system": _system(document.system),
        "before": before.time if before else None,
        "drift": [[one.path, one.what] for one in document.drift],
        "broken": [[one.what, one.detail] for one in document.state if not one.ok],
        "statuses": "".join(statuses),
        "changes": "".join(changes),
        "details": numbers,
    }


def data(fleet: Fleet, source: str = "") -> str:
    """The findings as JSON for a script element: nothing in it can end the element or begin another."""
    place = {name: number for number, name in enumerate(fleet.controls)}
    details = _Details()
    severity = {name: number for number, name in enumerate(model.SEVERITIES)}
    whole = {
        "time": fleet.time,
        "source": source,
        "totals": fleet.totals(),
        "missing": [list(one) for one in fleet.missing.items()],
        "controls": [
            [one.id, one.rule, severity[one.severity], one.title, one.rationale, one.remedy]
            for one in fleet.controls.values()
        ],
        "hosts": [_host(fleet, document, place, details) for document in fleet.documents],
    }
    text = f'{json.dumps(whole, separators=(",", ":"))[:-1]},"details":{details.json()}}}'
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def render(fleet: Fleet, source: str = "") -> str:
    """The page.

    :param source: whose STIG the findings are held against.
    """
    style = (PAGE / "page.css").read_text(encoding="utf-8")
    script = (PAGE / "page.js").read_text(encoding="utf-8")
    parts = {
        "{style_hash}": _digest(style),
        "{script_hash}": _digest(script),
        "{style}": style,
        "{script}": script,
        "{data}": data(fleet, source),
    }
    page = (PAGE / "page.html").read_text(encoding="utf-8")
    pieces: list[str] = []
    while page:
        found = [(page.find(name), name) for name in parts if name in page]
        if not found:
            pieces.append(page)
            break
        start, name = min(found)
        pieces += [page[:start], parts.pop(name)]
        page = page[start + len(name) :]
    return "".join(pieces)
