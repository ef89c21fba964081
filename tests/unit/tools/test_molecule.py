"""What failed in a scenario is said as the last thing, since the ends of long outputs are what is kept of them."""

from __future__ import annotations

from types import ModuleType

import pytest
from ansible_collections.stackwright.cloud.tests import programs

FAILED = """
  \x1b[2m│\x1b[0m TASK [Whole again] *****
  \x1b[2m│\x1b[0m ok: [ceph1]
  \x1b[2m│\x1b[0m TASK [A deep scrub finds it] *****
  \x1b[2m│\x1b[0m \x1b[31m[ERROR]: Task failed: Module failed: non-zero return code\x1b[0m
  \x1b[2m│\x1b[0m fatal: [ceph1]: FAILED! => {"msg": "after deep-scrub the placement group is active+clean"}
"""


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    return programs.tool("molecule")


def test_the_fault_is_found_among_what_went_well(tool):
    quiet = "\n".join(f"  │ ok: [ceph{number}]" for number in range(500))
    found = tool.faults(FAILED + quiet)
    assert found[0] == "[ERROR]: Task failed: Module failed: non-zero return code"
    assert 'fatal: [ceph1]: FAILED! => {"msg": "after deep-scrub the placement group is active+clean"}' in found
    assert len(found) <= 12


def test_a_failed_test_of_the_machine_is_found(tool):
    text = "tests/test_ceph.py F\n>   assert x\nE   AssertionError: a daemon speaks unencrypted\n=== short ===\n"
    assert "E   AssertionError: a daemon speaks unencrypted" in tool.faults(text)


def test_the_sentence_of_a_task_with_a_long_result_is_said(tool):
    checks = "\n".join(f'  │ {{"name": "service-{number}", "ok": true, "cause": ""}},' for number in range(50))
    text = f"""
  │ fatal: [controller1]: FAILED! => {{"checks": [
{checks}
  │ ], "msg": "1 of 50 health checks fail
  │ after 60 s:\\n- identity: no answer to \\"GET\\"", "rounds": 3}}
  │ TASK [Another] ****
  │ ok: [controller1] => {{"msg": "fine"}}
"""
    assert tool.faults(text)[-2:] == ["1 of 50 health checks fail after 60 s:", '- identity: no answer to \\"GET\\"']


def test_lines_and_widths_have_bounds(tool):
    found = tool.faults("\n".join(f"fatal: {'x' * 5000} {number}" for number in range(900)))
    assert len(found) == tool.FAULT_LINES
    assert max(map(len, found)) == tool.FAULT_WIDTH


def test_what_went_well_says_nothing(tool):
    assert tool.faults("  │ ok: [ceph1]\nPLAY RECAP\nceph1 : ok=3 changed=0 unreachable=0 failed=0") == []
