"""The log, the summary and the screen, without Ansible."""

from __future__ import annotations

import io
import json
from datetime import datetime, timedelta

from ansible_collections.stackwright.cloud.plugins.module_utils.console.record import Counts, Phase, Run
from ansible_collections.stackwright.cloud.plugins.module_utils.console.runlog import RunLog
from ansible_collections.stackwright.cloud.plugins.module_utils.console.screen import ERASE, Screen

START = datetime(2026, 1, 2, 3, 4, 5)


def test_only_the_owner_can_read_log_and_summaries(tmp_path):
    log = RunLog(tmp_path / "log", "site.yml", START, 5)
    log.summary({"result": "ok"})
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "log").iterdir() if not path.is_symlink()}
    assert modes == {"site-20260102T030405.log": 0o600, "site-20260102T030405.json": 0o600, "last.json": 0o600}
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o700


def test_the_newest_logs_of_each_playbook_are_kept(tmp_path):
    for name in ("site.yml", "site-extra.yml", "site.yml", "site.yml", "site.yml"):
        when = START + timedelta(seconds=len(list(tmp_path.iterdir())))
        log = RunLog(tmp_path, name, when, 2)
        log.summary({"result": "ok"})
        log.close()
    names = sorted(path.name for path in tmp_path.iterdir() if path.suffix == ".log" and not path.is_symlink())
    assert len([name for name in names if name.startswith("site-2026")]) == 2
    assert len([name for name in names if name.startswith("site-extra")]) == 1
    assert sorted(path.stem for path in tmp_path.glob("*.json")) == sorted(["last", *(name[:-4] for name in names)])


def test_two_runs_in_one_second_have_two_logs(tmp_path):
    assert RunLog(tmp_path, "a.yml", START, 5).path != RunLog(tmp_path, "a.yml", START, 5).path


def test_the_last_good_run_is_remembered(tmp_path):
    first = RunLog(tmp_path, "a.yml", START, 5)
    first.summary({"result": "ok", "mark": 1})
    RunLog(tmp_path, "a.yml", START + timedelta(seconds=1), 5).summary({"result": "failed"})
    (tmp_path / "a-20260102T030409.json").write_text("{half")
    assert RunLog(tmp_path, "a.yml", START + timedelta(seconds=9), 5).previous == {"result": "ok", "mark": 1}


def test_the_last_log_is_found_under_one_name(tmp_path):
    for second in range(3):
        log = RunLog(tmp_path, "a.yml", START + timedelta(seconds=second), 5)
    assert (tmp_path / "last.log").resolve() == log.path


def test_lines_are_on_disk_at_once(tmp_path):
    log = RunLog(tmp_path, "a.yml", START, 5)
    log.write("one", "two \udc80")
    assert log.path.read_text().splitlines() == ["one", "two \\udc80"]


def test_failures_that_were_handled_are_not_failures():
    counts = Counts()
    counts.add("failed", rescued=True)
    counts.add("failed", ignored=True)
    counts.add("changed")
    counts.add("unreachable")
    assert counts == Counts(ok=2, changed=1, unreachable=1, rescued=1, ignored=1)


def test_the_summary_adds_up_the_phases():
    run = Run("site.yml", False, {}, "now", 100.0)
    for name in ("Base", "Controller"):
        phase = Phase(name, ["a"], started=100.0, state="ok", seconds=2.5)
        phase.counts("a").add("changed")
        phase.counts("a").remote_tasks += 4
        run.phases.append(phase)
    summary = json.loads(json.dumps(run.summary("ok", 107.0, "log")))
    assert summary["hosts"]["a"]["remote_tasks"] == 8
    assert summary["hosts"]["a"]["changed"] == 2
    assert [(phase["name"], phase["seconds"]) for phase in summary["phases"]] == [("Base", 2.5), ("Controller", 2.5)]
    assert summary["seconds"] == 7


def test_lines_push_the_live_line_down():
    stream = io.StringIO()
    screen = Screen(stream, terminal=True)
    screen.live("working")
    screen.line("news")
    screen.live("")
    assert stream.getvalue() == f"{ERASE}working{ERASE}news\n{ERASE}working{ERASE}"


def test_the_live_line_never_wraps(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    stream = io.StringIO()
    Screen(stream, terminal=True).live("x" * 100)
    assert stream.getvalue() == ERASE + "x" * 38 + "…"


def test_without_a_terminal_there_is_no_live_line():
    stream = io.StringIO()
    screen = Screen(stream, terminal=False)
    screen.live("working")
    screen.line("news")
    assert stream.getvalue() == "news\n"
