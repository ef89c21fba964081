"""The model behind the reports: what is compared, counted, cleaned and refused."""

from __future__ import annotations

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.reports import fleet, summary, text
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.reports.fleet import Earlier
from fleetcase import HOSTILE, document, finding, hostile


def changed(before: str, now: str) -> str | None:
    audit = fleet.build({"a": document("a", [finding(1, now)])}, {}, {"a": Earlier("t", {"UBTU-24-000001": before})})
    return audit.changes["a"].get("UBTU-24-000001")


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ("pass", "fail", "new"),
        ("waived", "fail", "new"),
        ("pass", "error", "new"),
        ("fail", "fail", "still_open"),
        ("error", "fail", "still_open"),
        ("fail", "pass", "fixed"),
        ("fail", "not_applicable", "fixed"),
        ("fail", "waived", "waived"),
        ("fail", "not_testable", "untested"),
        ("fail", "manual", "untested"),
        ("pass", "pass", None),
        ("waived", "waived", None),
        ("pass", "waived", None),
    ],
)
def test_comparison_never_calls_a_waived_or_untested_control_fixed(before: str, now: str, expected: str | None) -> None:
    assert changed(before, now) == expected


def test_control_that_the_earlier_audit_did_not_have_is_new() -> None:
    audit = fleet.build({"a": document("a", [finding(9, "fail")])}, {}, {"a": Earlier("t", {})})
    assert audit.changes["a"] == {"UBTU-24-000009": "new"}


def test_host_without_an_earlier_audit_has_no_comparison() -> None:
    audit = fleet.build({"a": document("a")}, {})
    assert audit.earlier == {}
    assert audit.totals()["changes"]["new"] == 0


def test_totals_count_errors_as_open_and_waived_as_neither_open_nor_passed() -> None:
    totals = fleet.build({"a": document("a"), "b": document("b")}, {"c": "gone"}).totals()
    assert totals["open"] == {"high": 2, "medium": 2, "low": 2}
    assert totals["statuses"]["waived"] == 2
    assert totals["statuses"]["pass"] == 2
    assert (totals["hosts"], totals["not_audited"]) == (2, 1)


def test_document_that_cannot_be_read_makes_its_host_not_audited() -> None:
    audit = fleet.build({"a": document("a", surplus=1), "b": document("b"), "c": document("c", time="noon")}, {})
    assert [one.host for one in audit.documents] == ["b"]
    assert "unknown field surplus" in audit.missing["a"]
    assert "noon" in audit.missing["c"]


def test_nothing_to_report_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(fleet.ReportError, match="Run the hardening role in audit mode first"):
        fleet.build({}, {})


def test_inventory_name_wins_over_what_a_host_calls_itself() -> None:
    assert [one.host for one in fleet.build({"web1": document("impostor")}, {}).documents] == ["web1"]


def test_hosts_are_in_the_order_that_people_count() -> None:
    audit = fleet.build({name: document(name) for name in ("node10", "node9", "alpha", "node1")}, {})
    assert [one.host for one in audit.documents] == ["alpha", "node1", "node9", "node10"]


@pytest.mark.parametrize(
    ("threshold", "expected"),
    [
        ("high", "1 high finding is open on 1 of 2 hosts"),
        ("medium", "1 high and 1 medium findings are open on 1 of 2 hosts"),
        ("low", "1 high, 1 medium and 1 low findings are open on 1 of 2 hosts"),
        ("none", ""),
    ],
)
def test_threshold_counts_its_severity_and_those_above(threshold: str, expected: str) -> None:
    audit = fleet.build({"a": document("a"), "b": document("b", [finding(1)])}, {})
    assert fleet.over_threshold(audit, threshold) == expected


def test_waived_findings_never_reach_the_threshold() -> None:
    audit = fleet.build({"a": document("a", [finding(1, "waived", "high"), finding(2, "manual", "high")])}, {})
    assert fleet.over_threshold(audit, "low") == ""


@pytest.mark.parametrize("threshold", fleet.THRESHOLDS)
def test_host_that_was_not_audited_fails_whatever_the_threshold(threshold: str) -> None:
    audit = fleet.build({"a": document("a", [finding(1)])}, {f"gone{number}": "" for number in range(7)})
    assert fleet.over_threshold(audit, threshold) == "not audited: gone0, gone1, gone2, gone3, gone4 and 2 more"


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain é 漢 🔒\n\tline", "plain é 漢 🔒\n\tline"),
        ("\x1b[31m", "\\x1b[31m"),
        ("nul\x00", "nul\\x00"),
        ("a\r\nb", "a\\x0d\nb"),
        (b"\xff\xfe".decode("utf-8", "surrogateescape"), "\ufffd\ufffd"),
        ("a\u202eb", "a\\u202eb"),
        ("\ufffe\uffff", "\\ufffe\\uffff"),
    ],
)
def test_text_of_hosts_is_made_visible(raw: str, shown: str) -> None:
    assert text.clean(raw) == shown


def test_overlong_text_is_cut_and_says_so() -> None:
    assert text.clean("x" * 20_005) == "x" * 20_000 + "... (5 more characters)"


def test_file_names_stay_inside_their_directory_and_distinct() -> None:
    names = ["web-1.example.org", "../../etc/passwd", "..", ".", "", "a/b", "a_b", "a b", "x" * 300, "-", "é"]
    made = [text.file_name(name) for name in names]
    assert made[0] == names[0]
    assert len(set(made)) == len(made)
    assert all("/" not in name and not name.startswith(".") and 0 < len(name) <= 100 for name in made)


def test_summary_shows_the_worst_host_first_and_waived_apart_from_passed() -> None:
    worse = document("zeta", [finding(number, "fail", "high") for number in range(3)])
    audit = fleet.build(
        {"alpha": document("alpha"), "zeta": worse}, {"gone": "unreachable"}, {"alpha": Earlier("t", {})}
    )
    lines = summary.lines(audit)
    rows = [line.split() for line in lines]
    assert rows[1] == ["host", "high", "medium", "low", "pass", "waived", "manual", "untested", "n/a", "new", "fixed"]
    assert rows[2] == ["zeta", "3", "0", "0", "0", "0", "0", "0", "0", "-", "-"]
    assert rows[3] == ["alpha", "1", "1", "1", "1", "1", "1", "1", "1", "3", "0"]
    assert rows[4] == ["all", "2", "hosts", "4", "1", "1", "1", "1", "1", "1", "1", "3", "0"]
    assert "Not audited: gone: unreachable" in lines
    assert "alpha: 1 of its open findings could not be checked" in lines


def test_summary_of_many_hosts_stays_short() -> None:
    audit = fleet.build({f"n{number}": document(f"n{number}") for number in range(200)}, {})
    assert len(summary.lines(audit)) <= 60


def test_summary_tells_drift_and_broken_state() -> None:
    drift = [
        {"path": "/etc/a", "what": "content", "since": "2026"},
        {"path": "/etc/b", "what": "mode", "since": "2026"},
    ]
    state = [{"what": "auditd", "ok": False, "detail": "is dead"}, {"what": "sshd", "ok": True, "detail": ""}]
    lines = summary.lines(fleet.build({"a": document("a", [], drift=drift, state=state)}, {}))
    assert "a: changed since it was last enforced: /etc/a (content) and 1 more" in lines
    assert "a: not as enforced: auditd is dead" in lines
    assert not any("sshd" in line for line in lines)


def test_hostile_text_cannot_reach_the_terminal_or_add_lines() -> None:
    lines = summary.lines(fleet.build({HOSTILE: hostile()}, {HOSTILE + "2": HOSTILE}))
    assert max(len(line) for line in lines) <= 240
    assert not any(letter < " " and letter != "\t" for line in lines for letter in line)
