"""SARIF 2.1.0: one run, a rule for each control, a result for each finding that somebody should look at.

Results are open findings (kind fail), waived ones (kind fail with an accepted suppression, section 3.35), and controls
for a person (review). What passes, does not apply, or cannot be tested on the host is left out: viewers have limits,
and in a container the last would bury what failed.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from ansible_collections.stackwright.cloud.plugins.module_utils.stig import findings as model
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.reports import describe
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.reports.fleet import Control, Fleet

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
LEVELS = {"high": "error", "medium": "warning", "low": "note"}
# Scores within the bands that code-scanning services call high, medium and low.
SCORES = {"high": "8.0", "medium": "5.0", "low": "2.0"}
KINDS = {"fail": "fail", "error": "fail", "waived": "fail", "manual": "review"}
_PLACE = re.compile(r"(?P<path>/[^\n]*?)(?::(?P<line>[1-9]\d*))?")


def _sentence(words: str, fallback: str) -> str:
    stripped = words.strip() or fallback
    return stripped if stripped.endswith((".", "!", "?")) else f"{stripped}."


def _rule(control: Control) -> dict[str, Any]:
    rule = {
        "id": control.id,
        "shortDescription": {"text": _sentence(control.title, control.id)},
        "fullDescription": {"text": _sentence(control.rationale, control.title or control.id)},
        "help": {"text": _sentence(control.remedy, "See the hardening guide")},
        "defaultConfiguration": {"level": LEVELS[control.severity]},
        "properties": {"tags": ["security", *control.tags], "security-severity": SCORES[control.severity]},
    }
    if control.rule:
        rule["name"] = "".join(part[:1].upper() + part[1:] for part in re.split(r"[^A-Za-z0-9]+", control.rule))
    return rule


def location(host: str, where: str) -> dict[str, Any]:
    """Where an observation was made: always the host, and the file and line when `where` names them."""
    found = _PLACE.fullmatch(where)
    place: dict[str, Any] = {"logicalLocations": [{"name": host, "fullyQualifiedName": host, "kind": "host"}]}
    path = found["path"] if found else ""
    place["physicalLocation"] = {"artifactLocation": {"uri": f"file://{quote(host, safe='')}{quote(path or '/')}"}}
    if found and found["line"]:
        place["physicalLocation"]["region"] = {"startLine": int(found["line"])}
    if where and not found:
        place["message"] = {"text": where}
    return place


def _result(fleet: Fleet, host: str, one: model.Finding, index: dict[str, int]) -> dict[str, Any]:
    kind = KINDS[one.status]
    message = _sentence(describe.whole(one), describe.STATUS_WORDS[one.status])
    places: dict[str, dict[str, Any]] = {}
    for seen in one.evidence[:50]:
        place = location(host, seen.where)
        places.setdefault(json.dumps(place), place)
    result: dict[str, Any] = {
        "ruleId": one.id,
        "ruleIndex": index[one.id],
        "kind": kind,
        "level": LEVELS[one.severity] if kind == "fail" else "none",
        "message": {"text": f"{host}: {message}"},
        "locations": list(places.values())[:1] or [location(host, "")],
        "partialFingerprints": {"hostControl/v1": hashlib.sha256(f"{host}\0{one.id}".encode()).hexdigest()},
        "properties": {"host": host, "status": one.status},
    }
    if len(places) > 1:
        result["relatedLocations"] = list(places.values())[1:]
    if fleet.earlier:
        before = fleet.earlier.get(host)
        was = before.statuses.get(one.id) if before else None
        same = "unchanged" if was == one.status else "updated"
        result["baselineState"] = same if was in KINDS else "new"
    if one.status == "waived":
        result["suppressions"] = [
            {"kind": "external", "status": "accepted", "justification": describe.waiver(one) or "Waived."}
        ]
    return result


def render(fleet: Fleet, version: str) -> Iterator[str]:
    """The report in pieces.

    :param version: of the collection.
    """
    index = {name: number for number, name in enumerate(fleet.controls)}
    notices = [
        {"level": "error", "message": {"text": f"{host} was not audited: {reason}"}}
        for host, reason in fleet.missing.items()
    ]
    stamp = {"endTimeUtc": fleet.time} if fleet.time.endswith("Z") else {}
    driver = {
        "name": "Stackwright hardening",
        "semanticVersion": version,
        "rules": [_rule(control) for control in fleet.controls.values()],
    }
    invocation = {"executionSuccessful": not notices, "toolExecutionNotifications": notices, **stamp}
    head = {"tool": {"driver": driver}, "invocations": [invocation], "columnKind": "unicodeCodePoints"}
    begin = json.dumps({"$schema": SCHEMA, "version": "2.1.0"}, separators=(",", ":"))[:-1]
    yield f'{begin},"runs":[{json.dumps(head, separators=(",", ":"))[:-1]},"results":['
    first = True
    for document in fleet.documents:
        results = [_result(fleet, document.host, one, index) for one in document.findings if one.status in KINDS]
        if results:
            yield ("" if first else ",") + "\n" + json.dumps(results, separators=(",", ":"))[1:-1]
            first = False
    yield "\n]}]}\n"
