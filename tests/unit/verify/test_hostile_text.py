"""What guests, services and hosts say is quoted in reports without a character that a terminal would obey."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.host.systemd import journal_tail, log_tail
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.problem import problem_of, render
from ansible_collections.stackwright.cloud.plugins.module_utils.service import units
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.guest_shell import console_report
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.health import excerpt
from ansible_collections.stackwright.cloud.tests import hostile
from ansible_collections.stackwright.cloud.tests.stand_ins import Said, StandIns

TEXTS = {**hostile.shown(), **hostile.surrogates()}


@pytest.mark.parametrize("label", TEXTS)
def test_quotes_of_guests_services_and_hosts_are_clean(label: str, tmp_path: Path) -> None:
    text = TEXTS[label]
    log = tmp_path / "service.log"
    log.write_bytes(text.encode("utf-8", "surrogatepass") + b"\nno \xff utf-8\x1b[2J\n")
    quoted = [
        excerpt(text),
        *journal_tail("x.service", 5, lambda command: (0, f"{text}\nmore {text}")),
        *log_tail(str(log), 5),
        *console_report(f"boot {text}\r\n{text}"),
        render([problem_of(text, text, text, text, text), problem_of("n1", "kernel", f"says {text}", "Look.")]),
    ]
    assert not hostile.raw("".join(quoted).replace("\n", ""))


def test_a_journal_that_is_no_text_is_quoted_all_the_same(tmp_path: Path, stand_ins: StandIns) -> None:
    stand_ins.add("journalctl", Said("ends \x1b]0;owned\x07 here\x9b31m\n"))
    log = tmp_path / "unit.log"
    log.write_bytes(b"an ERROR \xff\xfe \x1b[1;1H of it\n")
    told = units.last_words(units.Unit("x.service", log=str(log)))
    assert "owned" in told and "of it" in told and not hostile.raw(told.replace("\n", ""))
