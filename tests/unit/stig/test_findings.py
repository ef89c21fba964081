"""The findings document keeps its shape between the engine and the reports."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.stig import findings


def document(**changes: Any) -> dict[str, Any]:
    one = findings.Finding(
        "UBTU-24-100010", "rule", "low", status="fail", evidence=[findings.Evidence("a", "b", "/etc/c")]
    )
    whole = findings.Document("host", "2026-01-01T00:00:00Z", "audit", "stig", findings=[one])
    return {**whole.as_dict(), **changes}


def test_document_survives_a_round_trip() -> None:
    assert findings.parse(document()).as_dict() == document()


def test_totals_count_failing_controls_by_severity() -> None:
    totals = document()["totals"]
    assert totals["fail"] == 1
    assert totals["failing"] == {"high": 0, "medium": 0, "low": 1}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 2}, "document.schema"),
        ({"mode": "guess"}, "document.mode"),
        ({"surplus": 1}, "unknown field surplus"),
        ({"findings": [{"id": "x", "rule": "y", "severity": "low", "status": "odd"}]}, r"findings\[0\].status"),
        ({"findings": [{"id": "x", "rule": "y", "severity": "low"}]}, r"findings\[0\]: status is missing"),
        ({"state": [{"what": "x", "ok": "yes"}]}, r"state\[0\].ok"),
    ],
)
def test_malformed_document_is_refused_with_its_place(change: dict[str, Any], message: str) -> None:
    with pytest.raises(findings.FindingsError, match=message):
        findings.parse(document(**change))
