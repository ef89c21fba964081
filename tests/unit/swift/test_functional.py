"""What Swift's own functional tests are told of users, and what is told of them."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.stackwright.cloud.tests.swift_functional import run

REPORT = """<testsuites><testsuite>
<testcase classname="test.functional.test_slo.TestSlo" name="test_one"/>
<testcase classname="test.functional.test_slo.TestSlo" name="test_two">
<skipped message="/var/tmp/test/functional/test_slo.py:12: no
 encryption"/></testcase>
<testcase classname="test.functional.test_slo.TestSlo" name="test_three">
<failure message="AssertionError: 1 != 2">test/functional/test_slo.py:7: in x
test/functional/test_slo.py:31: AssertionError</failure></testcase>
<testcase classname="test.functional.test_slo.TestSlo" name="test_four"><error message="no connection"/></testcase>
</testsuite></testsuites>"""


def test_a_report_says_what_passed_what_failed_where_and_what_was_skipped_why(tmp_path: Path) -> None:
    report, name = tmp_path / "report.xml", "test/functional/test_slo.py"
    report.write_text(REPORT)
    assert run.told(report, name) == {
        "passed": 1,
        "failed": {
            f"{name} TestSlo::test_three": "line 31: AssertionError: 1 != 2",
            f"{name} TestSlo::test_four": "no connection",
        },
        "skipped": {"no encryption": ["TestSlo::test_two"]},
    }


def test_files_are_chosen_the_slowest_first(tmp_path: Path) -> None:
    for name in (
        "functional/test_a.py",
        "functional/test_slo.py",
        "functional/swift_test_client.py",
        "s3api/test_b.py",
    ):
        (tmp_path / "test" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "test" / name).touch()
    assert run.chosen(tmp_path, []) == [
        "test/functional/test_slo.py",
        "test/functional/test_a.py",
        "test/s3api/test_b.py",
    ]
    assert run.chosen(tmp_path, ["test/s3api/test_b.py"]) == ["test/s3api/test_b.py"]


def test_users_are_named_as_their_identifiers_where_access_is_not_tested() -> None:
    assert [run.called("tester", one, True) for one in (1, 4)] == ["tester", "tester4"]
    assert [run.called("tester", one, False) for one in (1, 4)] == ["", "other-tester"]
