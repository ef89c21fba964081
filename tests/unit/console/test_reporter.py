"""What the console makes of results, told to it one by one: no Ansible, a clock of the test, and a screen in memory."""

from __future__ import annotations

import io
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.common.text import clean_painted
from ansible_collections.stackwright.cloud.plugins.module_utils.console import reporter as console
from ansible_collections.stackwright.cloud.plugins.module_utils.console.reporter import Event, Reporter
from ansible_collections.stackwright.cloud.plugins.module_utils.console.runlog import RunLog
from ansible_collections.stackwright.cloud.plugins.module_utils.console.screen import ERASE, Screen
from ansible_collections.stackwright.cloud.tests import hostile

HOSTILE = {**hostile.shown(), **hostile.surrogates()}


class Desk:
    """A run that is told to a reporter; time passes by assignment."""

    def __init__(
        self, directory: Path, check: bool = False, terminal: bool = False, verbosity: int = 0, heartbeat: float = 30
    ) -> None:
        self.now = 0.0
        self.stream = io.StringIO()
        self.log = RunLog(directory, "site.yml", datetime(2026, 11, 21), 5)
        screen = Screen(self.stream, terminal)
        self.reporter = Reporter(
            screen, self.log, lambda text, kind: text, verbosity=verbosity, heartbeat=0, now=lambda: self.now
        )
        self.reporter.run_started("site.yml", check, {"tags": []})
        self.reporter._heartbeat = heartbeat
        self.check = check
        self.tasks = 0

    def phase(self, name: str, *hosts: str, tasks: int = 0) -> None:
        self.reporter.phase_started(name, list(hosts), tasks)

    def task(self, name: str, action: str = "command", **more: Any) -> str:
        self.tasks += 1
        self.reporter.task_started(str(self.tasks), name, action, **more)
        self.name = name
        return str(self.tasks)

    def event(self, host: str, status: Any, data: dict[str, Any] | None = None, **more: Any) -> Event:
        return Event(
            host,
            str(self.tasks),
            self.name,
            more.pop("action", "command"),
            status,
            data or {},
            check=self.check,
            **more,
        )

    def result(self, host: str, status: Any, data: dict[str, Any] | None = None, **more: Any) -> None:
        self.reporter.result(self.event(host, status, data, **more))

    @property
    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()

    @property
    def summary(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.log.directory / "last.json").read_text())
        return found


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_same_things_of_several_hosts_are_told_as_one(desk: Desk) -> None:
    desk.phase("Base", "n1", "n2", "n10")
    desk.task("Files are written")
    for host in ("n10", "n2", "n1"):
        desk.result(host, "changed", {"changes": ["one", "two"]})
    desk.task("Another")
    assert desk.lines == ["Base (n1, n2, n10)", "  n1, n2, n10 changed: Files are written: one, two"]


def test_many_hosts_are_counted(desk: Desk) -> None:
    assert console.host_list([f"n{number}" for number in range(12, 0, -1)]) == "n1, n2, n3, n4 and 8 more"
    hosts = [f"n{number}" for number in range(14)]
    desk.phase("Base", *hosts)
    desk.task("Files are written")
    for host in hosts:
        desk.result(host, "changed")
    desk.result("n3", "failed", {"msg": "no space"})
    desk.now = 3725
    desk.reporter.run_finished()
    assert "Base                 1:02:05  1 task, stopped on n3; changed 14 things on 14 hosts" in desk.lines
    # of many hosts only those that need attention are listed
    recap = desk.lines[desk.lines.index("Failed after 1:02:05 on n3") :]
    assert recap[1].startswith("  n3  ok=1") and "failed=1" in recap[1]
    assert recap[2] == "  13 other hosts: see the log"
    assert desk.summary["result"] == "failed" and len(desk.summary["hosts"]) == 14


def test_failure_is_told_with_cause_place_and_advice(desk: Desk) -> None:
    desk.phase("Controller", "c1", "c2")
    desk.task("Databases exist")
    broken = {
        "msg": "MariaDB does not answer\nsecond line",
        "hint": "See systemctl status mariadb\nthen run again",
        "stderr": "ERROR 2002",
    }
    desk.result("c1", "failed", broken, where="roles/x.yml:7", fatal_for_all=True)
    desk.result("c2", "ok")
    desk.reporter.run_finished()
    text = desk.stream.getvalue()
    assert "  FAILED c1: Databases exist\n    cause: MariaDB does not answer\n      second line\n" in text
    assert (
        "         | ERROR 2002\n    where: roles/x.yml:7\n    to do: See systemctl status mariadb\n     "
        "      then run again\n" in text
    )
    assert "  The run stops here on all hosts.\n" in text
    assert "To go on, mend the cause and give the same command again." in text
    assert [(one["host"], one["cause"].splitlines()[0]) for one in desk.summary["failures"]] == [
        ("c1", "MariaDB does not answer")
    ]


def test_rescued_failure_is_told_only_when_what_follows_fails_too(desk: Desk) -> None:
    desk.phase("Compute", "n1", "n2")
    desk.task("The service starts")
    for host in ("n1", "n2"):
        desk.result(host, "failed", {"msg": f"no KVM on {host}"}, rescued=True)
    desk.task("Evidence is gathered")
    desk.result("n1", "failed", {"msg": "no evidence"}, in_rescue=True)
    desk.reporter.run_finished()
    text = desk.stream.getvalue()
    assert "    after: The service starts: no KVM on n1 (n1)" in text
    assert "no KVM on n2" not in text
    assert desk.summary["hosts"]["n2"]["rescued"] == 1


def test_ignored_failures_and_hosts_out_of_reach(desk: Desk) -> None:
    desk.phase("Base", "n1", "n2")
    desk.task("Ask")
    desk.result("n1", "failed", {"msg": "does not matter"}, ignored=True)
    desk.result(
        "n2", "unreachable", {"msg": "Failed to connect to the host via ssh: Connection refused"}, delegate="c1"
    )
    desk.reporter.run_finished()
    text = desk.stream.getvalue()
    assert "does not matter" not in text
    assert "UNREACHABLE n2 -> c1: Ask" in text
    assert "unreachable=1" in text and "ignored=1" in text


def test_check_mode_speaks_of_what_would_change(tmp_path: Path) -> None:
    desk = Desk(tmp_path, check=True)
    desk.phase("Base", "n1")
    desk.task("Files")
    desk.result("n1", "changed")
    desk.reporter.run_finished()
    assert desk.lines[0] == "Check mode: nothing is changed."
    assert "  n1 would change: Files" in desk.lines
    assert any(line.endswith("1 task, would change: n1 1") for line in desk.lines)
    assert "Checked in 0:00: 1 thing would change" in desk.lines


def test_differences_are_cut_on_the_screen_and_whole_in_the_log(desk: Desk) -> None:
    desk.phase("Base", "n1")
    desk.task("Files")
    data = {
        "changed": True,
        "diff": {"before": "", "after": "".join(f"line {number}\n" for number in range(100)), "after_header": "/etc/x"},
    }
    desk.reporter.difference(desk.event("n1", "changed", data))
    desk.reporter.difference(desk.event("n1", "changed", {**data, "_ansible_no_log": True}))
    desk.result("n1", "changed", data)
    desk.reporter.run_finished()
    shown = [line for line in desk.lines if line.startswith("      +line")]
    assert len(shown) == console.DIFF_LINES and "      (40 more lines in the log)" in desk.lines
    assert "    n1: /etc/x" in desk.lines
    assert desk.log.path.read_text().count("+line") == 100


def test_long_tasks_are_mentioned_at_intervals(desk: Desk) -> None:
    desk.phase("Base", "n1", "n2")
    desk.task("Packages")
    for host in ("n1", "n2"):
        desk.reporter.host_started(host, "1")
    desk.now = 29
    desk.reporter.beat()
    assert desk.lines == []
    desk.now = 31
    desk.reporter.beat()
    desk.reporter.beat()
    desk.reporter.retry(desk.event("n1", "failed", {"msg": "locked"}), 1, 5)
    desk.result("n2", "ok")
    desk.now = 62
    desk.reporter.beat()
    assert desk.lines[1:] == [
        "  still running after 0:31: Packages (n1, n2)",
        "  still running after 1:02, attempt 2 of 5: Packages (n1)",
    ]
    assert "retry: n1: attempt 1 of 5: locked" in desk.log.path.read_text()


def live(desk: Desk) -> str:
    return desk.stream.getvalue().rpartition(ERASE)[2]


def test_live_line_tells_phase_task_and_who_is_still_at_it(tmp_path: Path) -> None:
    desk = Desk(tmp_path, terminal=True)
    desk.phase("Base", "n1", "n2", tasks=4)
    desk.task("Packages")
    for host in ("n1", "n2"):
        desk.reporter.host_started(host, "1")
    desk.now = 65
    desk.result("n1", "changed")
    assert live(desk) == "Base                  1:05  1/4  Packages (1:05): n2"
    # a line is written above it, and it is drawn again
    desk.reporter.warning("old option")
    assert desk.stream.getvalue().endswith(
        f"{ERASE}Base (n1, n2)\n{ERASE}Base                  1:05  1/4  Packages (1:05): n2{ERASE}  "
        f"warning: old option\n{ERASE}Base                  1:05  1/4  Packages (1:05): n2"
    )
    # an operator who is asked finds no line that is rewritten
    desk.task("Go on?", "ansible.builtin.pause")
    assert live(desk) == ""
    desk.reporter.run_finished()
    assert "Log: " in live(desk)


def test_free_strategy_tells_each_task_when_its_last_host_is_done(desk: Desk) -> None:
    desk.phase("Base", "n1", "n2")
    first = desk.task("One", lockstep=False)
    desk.reporter.host_started("n1", first)
    second = desk.task("Two", lockstep=False)
    desk.reporter.host_started("n2", second)
    desk.reporter.result(Event("n1", first, "One", "command", "changed", {}))
    assert desk.lines == ["Base (n1, n2)", "  n1 changed: One"]


def test_phase_of_batches_is_one(desk: Desk) -> None:
    desk.phase("Compute", "n1", tasks=2)
    desk.task("One")
    desk.result("n1", "changed")
    desk.phase("Compute", "n2", tasks=2)
    desk.task("One")
    desk.result("n2", "changed")
    desk.phase("Nobody")
    desk.reporter.phase_has_no_hosts()
    desk.reporter.run_finished()
    assert [line for line in desk.lines if line.startswith("Compute  ")] == [
        "Compute               0:00  2 tasks, changed: n1 1, n2 1"
    ]
    assert any(line.endswith("-  no hosts") for line in desk.lines)
    assert [phase["hosts"].keys() for phase in desk.summary["phases"]] == [{"n1", "n2"}, set()]


def test_what_debug_says_is_shown_once_for_all_hosts(desk: Desk) -> None:
    desk.phase("Say", "n1", "n2")
    desk.task("Tell", "debug")
    for host in ("n1", "n2"):
        desk.result(host, "ok", {"msg": "Horizon is at\nhttp://x/"}, action="debug")
    desk.task("Tell one", "debug")
    desk.result("n1", "ok", {"msg": "only here"}, action="debug")
    desk.task("Loop", "debug")
    desk.reporter.round_done(desk.event("n1", "ok", {"msg": "round"}, action="debug", remote_runs=1))
    desk.reporter.run_finished()
    assert desk.lines[1:5] == ["  Horizon is at", "  http://x/", "  n1: only here", "  n1: round"]
    assert desk.summary["hosts"]["n1"]["remote_tasks"] == 1


def test_warnings_are_told_once_and_noise_not_at_all(desk: Desk) -> None:
    desk.phase("Base", "n1", "n2")
    desk.task("Ask")
    for host in ("n1", "n2"):
        desk.result(host, "ok", warnings=("old\n  option",), deprecations=("goes away in 3.0",))
    desk.reporter.message("[WARNING]: Could not match supplied host pattern, ignoring: swift")
    desk.reporter.message(
        "[DEPRECATION WARNING]: x. Deprecation warnings can be disabled by setting `deprecation_warnings=False`."
    )
    assert desk.lines == ["Base (n1, n2)", "  warning: n1: old option", "  deprecated: goes away in 3.0"]
    desk.reporter.run_finished()
    assert desk.summary["warnings"] == [
        "old option",
        "goes away in 3.0",
        "Could not match supplied host pattern, ignoring: swift",
    ]
    assert "warning: n2: old" in desk.log.path.read_text()


def test_words_of_ansible_keep_their_stream(desk: Desk) -> None:
    errors = io.StringIO()
    desk.reporter.message("[ERROR]: no such inventory", errors)
    desk.reporter.message("Using /etc/ansible.cfg")
    assert errors.getvalue() == "[ERROR]: no such inventory\n"
    assert desk.lines == ["Using /etc/ansible.cfg"]
    # what Ansible says of an interruption is no error of the run's
    desk.reporter.interrupted()
    desk.reporter.message("[ERROR]: User interrupted execution", errors)
    assert "interrupted" not in errors.getvalue()


def test_verbose_run_tells_what_was_well_too(tmp_path: Path) -> None:
    desk = Desk(tmp_path, verbosity=2)
    desk.phase("Base", "n1")
    desk.task("Ask")
    desk.reporter.round_done(desk.event("n1", "changed", {"item": "first", "ansible_loop_var": "item"}))
    desk.result("n1", "ok", {"stdout": "42"})
    assert "  changed: n1: Ask (first)" in desk.lines and "  ok: n1: Ask" in desk.lines
    assert any("42" in line for line in desk.lines)


def test_run_that_ends_in_the_middle_says_where_and_how_to_go_on(desk: Desk) -> None:
    desk.phase("Compute", "n1", "n2", tasks=9)
    desk.task("Packages")
    desk.reporter.host_started("n2", "1")
    desk.now = 130
    desk.reporter.interrupted()
    desk.reporter.run_broken_off()
    assert desk.lines[1:4] == [
        'Interrupted after 2:10 in phase "Compute", task 1/9: Packages',
        "  It was running on n2 for 2:10.",
        "  To go on, give the same command again: what is done is recognised and not done twice.",
    ]
    assert (desk.summary["result"], desk.summary["phases"][0]["state"]) == ("interrupted", "interrupted")
    # what still comes in of a run that is over is not told
    before = desk.lines
    desk.reporter.run_finished()
    desk.reporter.run_broken_off()
    desk.phase("Late", "n1")
    desk.reporter.phase_has_no_hosts()
    assert desk.lines == before


def test_run_that_breaks_off_before_its_first_phase(desk: Desk) -> None:
    desk.reporter.run_broken_off()
    assert desk.lines[1] == "Broken off after 0:00 before the first phase"
    assert desk.summary["result"] == "failed"


def test_number_of_tasks_is_taken_from_the_last_good_run_of_the_same_arguments(tmp_path: Path) -> None:
    first = Desk(tmp_path)
    first.phase("Base", "n1", tasks=1)
    for number in range(7):
        first.task(f"Task {number}")
    first.reporter.run_finished()
    second = Desk(tmp_path, terminal=True)
    second.phase("Base", "n1", tasks=1)
    second.task("Task 0")
    assert "  1/7  Task 0" in live(second)


def test_disk_that_is_full_ends_the_log_and_not_the_run(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*lines: str) -> None:
        raise OSError(28, "No space left on device")

    desk.phase("Base", "n1")
    desk.task("Packages")
    monkeypatch.setattr(desk.log, "write", full)
    monkeypatch.setattr(desk.log, "summary", full)
    monkeypatch.setattr(desk.log, "close", full)
    desk.result("n1", "failed", {"msg": "no room"})
    desk.reporter.run_finished()
    text = desk.stream.getvalue()
    assert text.count(f"The log {desk.log.path} ends here: No space left on device") == 1
    assert "cause: no room" in text and "Failed after 0:00 on n1" in text


def test_screen_of_somebody_else_leaves_the_log_and_the_summary(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.reporter._screen = None
    desk.phase("Base", "n1")
    desk.task("Packages")
    desk.result("n1", "changed")
    desk.reporter.run_finished()
    assert desk.stream.getvalue() == "" and "TASK Packages" in desk.log.path.read_text()
    assert desk.summary["result"] == "ok"


def test_steps_of_a_long_task_are_shown_as_they_come_and_those_of_a_quick_one_not_at_all(desk: Desk) -> None:
    told: list[str] = []
    desk.reporter._hear = lambda: [told.pop(0) for _ in list(told)]

    def at(seconds: float, *steps: str) -> list[str]:
        desk.now, before = seconds, len(desk.lines)
        told.extend(steps)
        desk.reporter.steps()
        desk.reporter.beat()
        return desk.lines[before:]

    desk.phase("Verify", "n1")
    quick = desk.task("Quick")
    desk.reporter.host_started("n1", quick)
    assert at(1, "one") == []
    desk.result("n1", "ok")
    slow = desk.task("The cloud is used")
    desk.reporter.host_started("n1", slow)
    assert at(5, "image is stored") == []
    assert at(17, "server boots") == ["Verify (n1)", "  0:04 image is stored", "  0:16 server boots"]
    assert at(30, "SSH logs in") == ["  0:29 SSH logs in"]
    # whoever tells steps need not be said to be still running
    assert at(50) == []
    assert at(61) == ["  still running after 1:00: The cloud is used (n1)"]
    log = next(desk.log.directory.glob("*.log")).read_text()
    assert "step: one" in log
    assert "step: SSH logs in" in log


def test_step_that_a_task_is_at_stands_in_the_live_line(tmp_path: Path) -> None:
    desk = Desk(tmp_path, terminal=True)
    desk.reporter._hear = lambda: ["server boots"]
    desk.phase("Verify", "n1")
    desk.reporter.host_started("n1", desk.task("Slow"))
    desk.now = 20
    desk.reporter.steps()
    desk.reporter._show_live()
    assert desk.stream.getvalue().endswith("server boots")


@pytest.mark.parametrize("label", HOSTILE)
@pytest.mark.parametrize("terminal", [False, True])
def test_what_hosts_and_tenants_write_reaches_neither_terminal_nor_log_raw(
    tmp_path: Path, label: str, terminal: bool
) -> None:
    text = HOSTILE[label]
    desk = Desk(tmp_path, terminal=terminal, verbosity=2)
    desk.reporter._paint = lambda words, kind: f"\x1b[31m{console.clean(words)}\x1b[0m"
    desk.phase("Base", "n1")
    task = desk.task(f"Task of {text}", "ansible.builtin.debug")
    desk.reporter.host_started("n1", task)
    desk.result(
        "n1",
        "ok",
        {"msg": text, "item": text, "list": [text], text: text},
        action="ansible.builtin.debug",
        warnings=(text,),
    )
    for data in (
        {"changes": [f"create project {text}"]},
        {"path": text, "diff": {"before": "", "after": text, "after_header": text}},
        {"results": [{"changed": True, "item": text, "diff": {"before": text, "after": {"a": text}}}]},
    ):
        desk.task("Files are written")
        desk.reporter.difference(desk.event("n1", "changed", data))
        desk.result("n1", "changed", data)
    desk.task("Something fails")
    desk.result(
        "n1", "failed", {"msg": text, "stderr": text, "problems": [text, {"what": text}], "hint": text}, where=text
    )
    desk.reporter.message(f"[ERROR]: {text}")
    desk.reporter.message(text)
    desk.reporter.warning(text, host=text)
    desk.reporter.run_finished()
    shown = desk.stream.getvalue()
    for words in ("\x1b[31m", "\x1b[0m", ERASE, "\n"):
        shown = shown.replace(words, "")
    assert not hostile.raw(shown)
    assert not hostile.raw(desk.log.path.read_text().replace("\n", ""))
    assert not hostile.raw((desk.log.directory / "last.json").read_text().replace("\n", ""))


def test_no_text_pretends_to_be_a_line_of_the_run(desk: Desk) -> None:
    forged = "x\nDone in 0:01, nothing changed\n"
    desk.phase("Base", "n1")
    desk.task(f"Task {forged}")
    desk.result("n1", "changed", {"path": forged, "note": f"\n{forged.strip()}"}, warnings=(forged,))
    desk.result("n1", "failed", {"msg": "bad"}, where=forged)
    desk.task("Another")
    assert not [line for line in desk.lines if line.startswith("Done in")]
    assert not [line for line in desk.log.path.read_text().splitlines() if line.startswith("Done in")]


def test_colors_are_all_that_a_painted_line_may_hold() -> None:
    assert clean_painted("\x1b[31mred\x1b[0m \x1b]0;title\x07") == "\x1b[31mred\x1b[0m \\x1b]0;title\\x07"


PARTS = [
    {"title": "The files are written", "took": 0.1, "changed": True, "changed_files": ["/etc/a"], "restart": ["a"]},
    {"title": "The services run", "took": 2.0, "changed": False},
    {"title": "The services answer", "took": 9.0, "failed": True, "msg": "no answer"},
]


def test_phases_that_one_task_did_are_told_like_tasks(desk: Desk) -> None:
    desk.phase("Controller", "one")
    desk.task("services: The services are as they should be")
    desk.result("one", "changed", {"changed": True, "parts": PARTS[:2]})
    desk.reporter.run_finished()
    told = "\n".join(desk.lines)
    assert "one changed: services: The files are written: /etc/a; restart due: a" in told
    assert "The services run" not in told and "changed=1" in told
    assert "- The services run (2.0 s)" in desk.log.path.read_text()


def test_phase_that_failed_gives_its_name_and_the_others_what_they_changed(desk: Desk) -> None:
    desk.phase("Controller", "one")
    desk.task("services: The services are as they should be")
    data = {"parts": PARTS, "failed_part": "The services answer", "msg": "no answer", "hint": "start it"}
    desk.result("one", "failed", data)
    desk.reporter.run_finished()
    told = "\n".join(desk.lines)
    assert "one changed: services: The files are written" in told
    assert "FAILED one: services: The services answer" in told
    assert "cause: no answer" in told and "to do: start it" in told
