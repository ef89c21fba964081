"""The table of security checks: rows, waivers, what is shown, and what makes verification fail."""

from __future__ import annotations

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.security import (
    Row,
    SecurityError,
    Table,
    check_waivers,
    judge,
    row_of,
)

GOOD = Row(
    "Check-Identity-01", "keystone", "configuration belongs to root and keystone", "root:keystone", host="controller1"
)
BAD = Row(
    "Check-Identity-02",
    "keystone",
    "configuration is closed to others",
    "0644",
    "failed",
    "Run site.yml.",
    "controller1",
)
OPEN = Row("Check-Identity-03", "keystone", "TLS", "http", "open", "TLS is not there yet.")


def test_table_counts_and_names_what_fails() -> None:
    table = judge([OPEN, BAD, GOOD], {})
    assert table.summary() == "security checks: 1 passed, 1 failed, 1 open"
    assert [row.check for row in table.rows] == ["Check-Identity-01", "Check-Identity-02", "Check-Identity-03"]
    assert (
        "- Check-Identity-02 on controller1: configuration is closed to others: 0644. Run site.yml." in table.failure()
    )
    assert "verify_security_waivers" in table.failure()


def test_open_is_neither_passed_nor_a_failure() -> None:
    table = judge([OPEN], {})
    assert table.failure() == ""
    assert "passed" not in table.summary()
    assert Table().summary() == "security checks: none done"


def test_waiver_with_a_reason_takes_a_failure_out_of_the_count() -> None:
    table = judge([GOOD, BAD], {BAD.check: "read by the backup agent"})
    assert table.failure() == ""
    assert table.of("waived")[0].cause == "read by the backup agent"
    assert table.summary() == "security checks: 1 passed, 1 waived"


def test_waiver_that_is_not_needed_is_told_and_changes_nothing() -> None:
    table = judge([GOOD], {GOOD.check: "no longer true"})
    assert table.of("passed") == [GOOD]
    assert table.notes == ["the waiver of Check-Identity-01 is not needed: the check passes"]


@pytest.mark.parametrize("reason", ["", "because", None, True])
def test_waiver_without_a_reason_is_refused(reason: object) -> None:
    with pytest.raises(SecurityError, match="Check-Identity-02 needs a reason in words"):
        check_waivers({BAD.check: reason}, [BAD.check])


def test_waiver_of_no_check_is_refused_with_the_nearest() -> None:
    with pytest.raises(SecurityError, match=r"no check 'Check-Identiy-02'. Did you mean 'Check-Identity-02'"):
        check_waivers({"Check-Identiy-02": "not for us"}, [BAD.check])


def test_rows_travel_as_data_and_malformed_ones_are_refused() -> None:
    assert row_of(BAD.as_dict()) == BAD
    with pytest.raises(SecurityError, match="malformed"):
        row_of({"check": "Check-Identity-01"})
    with pytest.raises(SecurityError, match="value must be a text, not int"):
        row_of({**GOOD.as_dict(), "value": 644})
    with pytest.raises(SecurityError, match="status 'fine' is none of"):
        row_of({**GOOD.as_dict(), "status": "fine"})


def test_what_services_said_reaches_no_terminal_as_it_is() -> None:
    hostile = Row("Check-Image-01", "glance", "answers", "\x1b[2J\u202eevil\n" + "x" * 500, "failed")
    table = judge([hostile], {})
    for text in (*table.lines(), table.failure()):
        assert "\x1b" not in text and "\u202e" not in text
        assert max(map(len, text.splitlines())) < 260
