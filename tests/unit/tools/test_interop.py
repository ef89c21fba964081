"""Which of the guideline's tests passed is told by Tempest's own record, and all that are required are asked for."""

from __future__ import annotations

from types import ModuleType

import pytest
import yaml
from ansible_collections.stackwright.cloud.tests import programs

TABLE = """test,status,start_time,stop_time
tempest.api.a.One.test_one[id-1],success,2026-01-01,2026-01-01
tempest.api.a.One.test_two[id-2],fail,2026-01-01,2026-01-01
tempest.api.a.One.test_three[id-3],skip,2026-01-01,2026-01-01
"tempest.api.a.One.test_four[id-4f,smoke,slow]",success,2026-01-01,2026-01-01
setUpClass (tempest.api.a.Two),fail,2026-01-01,2026-01-01
"""


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    return programs.tool("interop")


def test_what_failed_or_was_skipped_did_not_pass(tool: ModuleType) -> None:
    assert tool.passed(TABLE) == {"tempest.api.a.One.test_one[id-1]", "tempest.api.a.One.test_four[id-4f]"}
    assert tool.passed("") == set()


def test_all_required_tests_are_named_once(tool: ModuleType) -> None:
    required = yaml.safe_load((tool.ROOT / "tests/interop/object_storage.yml").read_text(encoding="utf-8"))
    tests = [test for named in required.values() for test in named]
    assert len(tests) == len(set(tests)) == 58
    assert all(test.startswith("tempest.api.") and "[id-" in test and test.endswith("]") for test in tests)
