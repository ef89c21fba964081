"""What the console shows and records in real runs of ansible-playbook."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time

import pytest

SECRETS = ("sesame-no-log", "sesame-diff", "sesame-set-fact", "sesame-fail")


def lines_of(outcome, start):
    """Lines that begin so, whatever their indentation."""
    return [line for line in outcome.screen.splitlines() if line.strip().startswith(start)]


def test_each_phase_has_one_closing_line(play):
    good = play("good.yml")
    assert good.code == 0, good.screen
    [base] = lines_of(good, "Base  ")
    assert "8 tasks, changed: compute1 3, controller1 3, controller2 2" in base
    assert lines_of(good, "Nobody  ")[0].endswith("no hosts")
    assert len(lines_of(good, "Controller  ")) == 1


def test_hosts_with_the_same_change_share_a_line(play):
    good = play("good.yml")
    expected = (
        "  compute1, controller1 changed: The files of a service are written: /etc/nova/nova.conf, "
        "/etc/nova/policy.yaml; restart due: nova-api"
    )
    assert expected in good.screen.splitlines()
    assert "  compute1, controller1, controller2 changed: Each item is handled: first" in good.screen.splitlines()


def test_what_did_not_change_is_not_mentioned(play):
    good = play("good.yml")
    for quiet in ("The tool answers", "A value is computed", "Gathering", "skipping", "second"):
        assert quiet not in good.screen
    assert "TASK The tool answers" in good.log


def test_rescued_and_ignored_failures_are_only_in_the_log(play):
    good = play("good.yml")
    assert "rescued-cause" not in good.screen and "ignored-cause" not in good.screen
    assert "rescued: controller1" in good.log and "rescued-cause" in good.log
    assert "ignored: controller1" in good.log and "ignored-cause" in good.log
    counts = good.summary["hosts"]["controller1"]
    assert (counts["rescued"], counts["ignored"], counts["failed"]) == (1, 1, 0)


def test_handlers_count_and_show_their_restarts(play):
    assert "  controller1, controller2 changed: Restart the service: restarted keystone" in play("good.yml").screen


def test_the_operator_reads_what_debug_says_as_text(play):
    screen = play("good.yml").screen.splitlines()
    at = screen.index("  Horizon is at http://192.0.2.1/")
    assert screen[at + 1] == "  Have a good day"


def test_what_an_action_prints_stands_below_its_phase(play):
    screen = play("good.yml").screen.splitlines()
    at = screen.index("  Two findings")
    assert screen[at + 1] == "  are open"
    assert at > screen.index("Controller (controller1, controller2)")


def test_warnings_are_compact_and_appear_once(play):
    good = play("good.yml")
    assert len(lines_of(good, "warning:")) == 1 and "This is odd" in good.screen
    assert len(lines_of(good, "deprecated: Use the other one")) == 1
    assert "[WARNING]" not in good.screen
    assert good.log.count("This is   odd") == 2


def test_a_pattern_without_hosts_is_told_by_its_phase_alone(play):
    good = play("good.yml")
    assert "Could not match" not in good.screen
    assert "Could not match supplied host pattern" in good.log


@pytest.mark.parametrize("arguments", [("good.yml",), ("good.yml", "--diff", "--check", "-vv"), ("each.yml",)])
def test_no_secret_is_on_screen_in_the_log_or_in_the_summary(play, arguments):
    seen = play(*arguments)
    for secret in SECRETS:
        assert secret not in seen.screen + seen.log + str(seen.summary)


def test_plain_output_hides_the_cause_of_hidden_failures_too(play):
    assert "sesame-fail" not in play("each.yml", STACKWRIGHT_CONSOLE="plain").screen


def test_remote_tasks_are_those_that_went_through_a_connection(play):
    hosts = play("good.yml").summary["hosts"]
    # Base: three plain tasks and two rounds of a loop, of which one task is skipped on controller2;
    # set_fact and what is delegated to the control node do not count. Controller: six, debug and an action without a
    # connection do not count.
    assert hosts["controller1"]["remote_tasks"] == 1 + 1 + 2 + 1 + 6
    assert hosts["controller2"]["remote_tasks"] == 1 + 0 + 2 + 1 + 6
    assert hosts["compute1"]["remote_tasks"] == 1 + 1 + 2 + 1 + 2 + 1, "two attempts, and the task delegated to it"
    assert "localhost" not in hosts


def test_the_summary_has_phases_and_changed_tasks(play):
    summary = play("good.yml").summary
    assert summary["result"] == "ok"
    assert [(one["name"], one["state"], one["tasks"]) for one in summary["phases"]] == [
        ("Base", "ok", 8),
        ("Nobody", "no hosts", 0),
        ("Controller", "ok", 8),
    ]
    assert all(one["seconds"] > 0 for one in summary["phases"] if one["state"] == "ok")
    assert {
        "phase": "Controller",
        "task": "A handler is called",
        "host": "controller1",
        "what": "/etc/motd",
    } in summary["changed_tasks"]


def test_the_recap_is_short(play):
    screen = play("good.yml").screen.splitlines()
    at = next(number for number, line in enumerate(screen) if line.startswith("Done in "))
    assert "12 things changed" in screen[at]
    assert len(screen[at:]) <= 7
    assert "controller1  ok=14   changed=5    rescued=1  ignored=1  remote_tasks=11" in screen[at + 2]
    assert screen[-2].startswith("  Time: Base ") and screen[-1].startswith("  Log: ")


def test_molecules_idempotence_step_understands_the_recap(play):
    changed = re.compile(r"changed=[1-9][0-9]*")
    assert changed.search(play("good.yml").screen)
    assert not changed.search(play("slow.yml", "-e", "seconds=1.5").screen)


def test_check_mode_says_would(play):
    checked = play("good.yml", "--diff", "--check", "-vv")
    assert "compute1, controller1 would change: The files of a service" in checked.screen
    assert "things would change" in checked.screen and "changed: " not in checked.screen.replace("would change: ", "")
    assert checked.summary["check"] is True


def test_differences_are_shown_once_for_equal_hosts_and_only_when_asked(play):
    checked = play("good.yml", "--diff", "--check", "-vv").screen.splitlines()
    at = checked.index("    compute1, controller1: /etc/nova/nova.conf")
    assert checked[at + 1 : at + 5] == ["       a", "      -b", "      +B", "       c"]
    assert "-b" not in play("good.yml").screen
    assert "-b" in play("good.yml").log


def test_failures_with_one_cause_are_one_message(play):
    bad = play("bad.yml")
    assert bad.code != 0
    screen = bad.screen.splitlines()
    at = screen.index("  FAILED controller1, controller2: The packages are installed")
    assert screen[at + 1 : at + 7] == [
        "    cause: The packages could not be installed",
        "         | a  b",
        "         | c  d",
        "         | line one",
        "         | line two",
        "    to do: Choose another mirror",
    ]


def test_an_unreachable_host_says_what_to_look_at(play):
    bad = play("bad.yml")
    screen = bad.screen.splitlines()
    at = screen.index("  UNREACHABLE gone1: Every host is reached")
    assert "Connection refused" in screen[at + 1] and "ansible_host" in screen[at + 2]
    assert bad.summary["hosts"]["gone1"]["unreachable"] == 1 and bad.summary["hosts"]["gone1"]["remote_tasks"] == 0


def test_a_failed_rescue_names_the_failure_it_was_to_mend(play):
    screen = play("bad.yml").screen.splitlines()
    at = screen.index("  FAILED compute1: The way back")
    assert screen[at + 2] == "    after: The first attempt: root-cause (compute1)"


def test_a_failed_run_says_so_everywhere(play):
    bad = play("bad.yml")
    assert bad.summary["result"] == "failed"
    assert "Failed after" in bad.screen and "give the same command again" in bad.screen
    assert {(one["host"], one["cause"]) for one in bad.summary["failures"]} >= {("compute1", "The way back failed too")}


@pytest.mark.parametrize(
    ("host", "words"),
    [
        (
            "undefined1",
            ["cause: 'no_such_variable' is undefined", "where: each.yml:8:14, in the value of msg", "to do: "],
        ),
        ("command1", ["cause: sh -c 'echo broken >&2; exit 3' ended with code 3", "| broken"]),
        ("hidden1", ["cause: The task hides its output"]),
        ("loop1", ["Several are tried (two)", "cause: two is bad"]),
        ("crash1", ["cause: The module broke off on an error of its own: 'lost'"]),
    ],
)
def test_each_kind_of_error_is_reduced_to_its_cause(play, host, words):
    screen = play("each.yml").screen
    block = screen[screen.index(f"FAILED {host}") :]
    block = block[: block.index("FAILED", 7)] if "FAILED" in block[7:] else block
    for word in words:
        assert word in block
    assert "Traceback" not in screen and "caused by" not in screen and "Finalization" not in screen


def test_a_failure_that_stops_all_hosts_says_so(play):
    fatal = play("fatal.yml")
    assert "  The run stops here on all hosts." in fatal.screen.splitlines()
    assert "Never reached" not in fatal.log


def test_the_free_strategy_is_told_in_order_of_events(play):
    free = play("free.yml")
    assert free.summary["phases"][0]["tasks"] == 3
    assert "FAILED compute1: One fails" in free.screen and "cause: free-cause" in free.screen
    told = [line for line in free.screen.splitlines() if "changed: All change: free change" in line]
    assert sorted(host for line in told for host in line.strip().split(" changed")[0].split(", ")) == [
        "compute1",
        "controller1",
        "controller2",
    ]


def test_long_tasks_send_a_heartbeat_into_a_pipe(play):
    slow = play("slow.yml", STACKWRIGHT_HEARTBEAT="1")
    beats = lines_of(slow, "still running after")
    assert any(line.endswith("The long task (controller1, controller2)") for line in beats)
    assert "still running" not in play("slow.yml", "-e", "seconds=1.5").screen


def test_attempts_are_logged_with_their_cause(play):
    assert "retry: compute1: attempt 1 of 4" in play("good.yml").log


def test_tasks_of_a_role_carry_its_short_name(play):
    assert "changed: greeter: It greets: hello" in play("fatal.yml").screen


def test_two_playbooks_of_one_command_are_two_runs(play):
    both = play("slow.yml", "slow.yml", "-e", "seconds=0")
    assert len(lines_of(both, "Slow  ")) == len(lines_of(both, "Done in")) == 2


def test_verbosity_shows_more(play):
    shown = play("good.yml", "--diff", "--check", "-vv").screen
    assert "ok: controller1: The tool answers" in shown
    assert "skipped: controller2: The files of a service are written" in shown


def test_plain_output_is_ansibles_own_and_still_logged(play):
    plain = play("good.yml", STACKWRIGHT_CONSOLE="plain")
    assert "PLAY RECAP" in plain.screen and "TASK [The tool answers]" in plain.screen
    assert "Done in" not in plain.screen
    assert plain.summary["hosts"]["controller1"] == play("good.yml").summary["hosts"]["controller1"]


def test_the_recap_agrees_with_ansibles_own(play):
    plain = play("good.yml", STACKWRIGHT_CONSOLE="plain")
    for host, counts in plain.summary["hosts"].items():
        [own] = [line for line in plain.screen.splitlines() if line.startswith(f"{host} ")]
        for name in ("ok", "changed", "failed", "unreachable", "skipped", "rescued", "ignored"):
            assert f"{name}={counts[name]} " in f"{own} "


def test_a_reader_that_leaves_does_not_stop_the_run(launch):
    read, write = os.pipe()
    process = launch("slow.yml", stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    os.close(read)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, b"")


def test_a_run_that_is_told_to_end_says_where_it_was(launch, tmp_path):
    process = launch("slow.yml", "-e", "seconds=30", stdout=subprocess.PIPE, text=True)
    running = tmp_path / "log" / "last.log"
    give_up = time.monotonic() + 60
    while time.monotonic() < give_up and not (running.exists() and "TASK The long task" in running.read_text()):
        time.sleep(0.1)
    process.terminate()
    screen, _ = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGTERM
    assert 'in phase "Slow", task 2/2: The long task' in screen
    assert json.loads((tmp_path / "log" / "last.json").read_text())["result"] == "interrupted"


def test_a_log_that_cannot_be_written_is_a_warning(launch, tmp_path):
    (tmp_path / "log").write_text("in the way")
    process = launch("slow.yml", "-e", "seconds=0", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    screen, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and "This run has no log" in screen and "Done in" in screen


def test_on_a_terminal_the_line_is_rewritten_in_place(terminal):
    slow, raw = terminal("slow.yml")
    assert "2/2  The long task: controller1, controller2" in raw
    assert raw.count("\r\x1b[K") > 5
    visible = [line for line in slow.screen.splitlines() if line]
    assert visible[0].startswith("Slow ") and visible[0].endswith("2 tasks, unchanged")
    assert visible[1].startswith("Done in ")
    assert "The long task" not in slow.screen


def test_questions_stay_on_the_terminal_until_answered(terminal):
    asked, raw = terminal("prompt.yml", answers=(("Which colour", "green\n"), ("Go on", "\r")))
    assert asked.code == 0, asked.screen
    assert "  green" in asked.screen.splitlines()
    assert asked.summary["hosts"]["controller1"]["remote_tasks"] == 1, "a pause is not a remote task"
    after = raw[raw.index("Which colour") :]
    assert "\x1b[K" not in after[: after.index("\n")], "the live line was drawn over the question"
    assert "The operator confirms" not in raw[raw.index("Go on") :], "the live line came back while the task waits"


def test_the_batches_of_a_serial_play_are_one_phase(play):
    serial = play("serial.yml")
    assert [line.split()[0] for line in lines_of(serial, "Serial  ")] == ["Serial"]
    assert "3 tasks, changed: compute1 1, controller1 1, controller2 1" in serial.screen


def test_an_interrupted_run_says_where_and_how_to_go_on(terminal):
    stopped, _ = terminal("slow.yml", "-e", "seconds=20", interrupt_at="The long task (0:03)")
    assert stopped.code == 99
    assert 'in phase "Slow", task 2/2: The long task' in stopped.screen
    assert "It was running on controller1, controller2 for" in stopped.screen
    assert "give the same command again" in stopped.screen and "[ERROR]" not in stopped.screen
    assert stopped.summary["result"] == "interrupted"
    assert [(one["name"], one["state"]) for one in stopped.summary["phases"]] == [("Slow", "interrupted")]
