"""Tells a run on the screen, phase by phase, and writes all of it to the log."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TextIO

from ansible_collections.stackwright.cloud.plugins.module_utils.common.text import clean, clean_painted
from ansible_collections.stackwright.cloud.plugins.module_utils.console import diffs, results
from ansible_collections.stackwright.cloud.plugins.module_utils.console.record import Phase, Run, Status
from ansible_collections.stackwright.cloud.plugins.module_utils.console.runlog import RunLog
from ansible_collections.stackwright.cloud.plugins.module_utils.console.screen import Screen

Paint = Callable[[str, Literal["ok", "changed", "failed", "warning", "dim", "added", "removed"]], str]

NAME_WIDTH = 20
HOSTS_SHOWN = 4
HOSTS_IN_RECAP = 12
DIFF_LINES = 60
QUIET_WARNINGS = ("Could not match supplied host pattern, ignoring",)
"""Warnings that only the log needs: the phase's own line says it."""
STEPS_AFTER = 15
"""Seconds after which a task's steps are shown; of a quick one nobody wants to know them."""
LONGEST_LOGGED = 200_000
"""Characters of one line that the log keeps."""
DISABLE_HINT = "Deprecation warnings can be disabled by setting"
PROMPTING_ACTIONS = ("pause", "ansible.builtin.pause")
SAYING_ACTIONS = ("debug", "ansible.builtin.debug")


@dataclass(frozen=True)
class Event:
    """A task's result on a host, or of one round of its loop, without Ansible's own types."""

    host: str
    task_id: str
    task: str
    action: str
    status: Status
    data: Mapping[str, Any]
    where: str = ""
    delegate: str = ""
    rescued: bool = False
    ignored: bool = False
    fatal_for_all: bool = False
    run_once: bool = False
    in_rescue: bool = False
    check: bool = False
    remote_runs: int = 0
    warnings: tuple[str, ...] = ()
    deprecations: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The host, and where the task was delegated to."""
        return f"{self.host} -> {self.delegate}" if self.delegate and self.delegate != self.host else self.host


@dataclass
class Task:
    """A task that was started."""

    task_id: str
    name: str
    started: float
    heartbeat: float
    prompting: bool = False
    running: dict[str, float] = field(default_factory=dict)
    attempt: str = ""
    steps: list[str] = field(default_factory=list)
    step: str = ""


def clock(seconds: float) -> str:
    """Minutes and seconds, with hours when there are some."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def host_list(hosts: Iterable[str], shown: int = HOSTS_SHOWN) -> str:
    """The first hosts in natural order, and how many more."""
    ordered = sorted(
        hosts, key=lambda name: [(int(p), "") if p.isdigit() else (-1, p) for p in re.split(r"(\d+)", name)]
    )
    if len(ordered) <= shown + 1:
        return ", ".join(ordered)
    return f"{', '.join(ordered[:shown])} and {len(ordered) - shown} more"


def plural(count: int, noun: str) -> str:
    """`1 task`, `2 tasks`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


class Reporter:
    """Receives what happens in order; every method may be called from any thread of the Ansible process."""

    def __init__(
        self,
        screen: Screen | None,
        log: RunLog | None,
        paint: Paint,
        *,
        verbosity: int = 0,
        heartbeat: float = 30,
        now: Callable[[], float] = time.monotonic,
        hear: Callable[[], list[str]] = list,
    ) -> None:
        """:param screen: None when something else writes the screen; only the log and the summary are made then.
        :param log: None when no log can be written.
        :param heartbeat: seconds after which a task that still runs is mentioned where no line can be rewritten.
        :param hear: returns the steps that running tasks have told since it was last called.
        """
        self._screen = screen
        self._log_file = log
        # What hosts and tenants wrote is made harmless before it is painted: afterwards, colors are all that may be in
        # a line.
        self._paint: Paint = lambda text, kind: paint(clean(text), kind)
        self._verbosity = verbosity
        self._heartbeat = heartbeat
        self._now = now
        self._hear = hear
        self._lock = threading.RLock()
        self._run: Run | None = None
        self._phase: Phase | None = None
        self._phase_announced = False
        self._tasks: dict[str, Task] = {}
        self._task: Task | None = None
        self._changes: dict[tuple[str, str, bool], list[str]] = {}
        self._failed: dict[tuple[str, results.Failure, bool, bool], list[str]] = {}
        self._diffs: dict[diffs.Difference, list[str]] = {}
        self._said: dict[tuple[str, bool], list[str]] = {}
        self._rescued: dict[str, list[tuple[str, results.Failure]]] = {}
        self._stops_all = False
        self._seen: set[str] = set()
        self._interrupted = False
        self._log_fails = False
        self._advice = ""
        self._stop = threading.Event()

    # The run and its phases

    def run_started(self, playbook: str, check: bool, arguments: dict[str, list[str]]) -> None:
        """A playbook begins."""
        with self._lock:
            at = datetime.now().astimezone().isoformat(timespec="seconds")
            self._run = Run(playbook, check, arguments, at, self._now())
            self._write(
                f"{at} PLAYBOOK {playbook}{' (check mode: nothing is changed)' if check else ''}",
                f"arguments: {arguments}",
            )
            if check:
                self._say("Check mode: nothing is changed.", dim=True)
            if self._screen and (self._screen.terminal or self._heartbeat):
                threading.Thread(target=self._keep_ticking, name="console", daemon=True).start()

    def phase_started(self, name: str, hosts: list[str], tasks: int) -> None:
        """A play begins.

        :param tasks: how many tasks are known beforehand; 0 if that is not known.
        """
        with self._lock:
            if self._run is None:
                return
            if self._phase and self._phase.name == name and self._phase.state == "running":
                self._flush()
                self._phase.tasks_known += tasks
                self._phase.hosts = list(dict.fromkeys([*self._phase.hosts, *hosts]))
            else:
                self._end_phase()
                known = max(tasks, self._tasks_before(name)) if tasks else 0
                self._phase = Phase(name, hosts, known, started=self._now())
                self._run.phases.append(self._phase)
                self._phase_announced = False
                self._rescued.clear()
                self._stops_all = False
            self._tasks.clear()
            self._task = None
            self._write("", f"{self._time()} PHASE {name} ({host_list(hosts, 1000)})")
            self._summarize("running")
            self._show_live()

    def prompted(self) -> None:
        """The operator is asked for something before the next play, so the line must stay as it is."""
        with self._lock:
            self._end_phase()

    def phase_has_no_hosts(self) -> None:
        """No host of the inventory belongs to the play that began last."""
        with self._lock:
            if self._phase:
                self._phase.state = "no hosts"
                self._end_phase()

    def run_finished(self) -> None:
        """The playbook came to its end, well or not."""
        with self._lock:
            run = self._run
            if run is None:
                return
            self._end_phase()
            self._stop.set()
            bad = [host for host, counts in run.hosts().items() if counts.failed or counts.unreachable]
            self._recap(run, bad)
            self._summarize("failed" if bad else "ok")
            self._close()

    def interrupted(self) -> None:
        """The operator or the machine wants the run to end. Takes no lock, since a signal may come at any point."""
        self._interrupted = True

    def run_broken_off(self) -> None:
        """The process ends although the playbook did not: interrupted, or an error outside of a task."""
        with self._lock:
            run = self._run
            if run is None:
                return
            self._stop.set()
            self._live("")
            phase, task = self._phase, self._task
            self._flush()
            at = "before the first phase"
            if phase:
                at = f'in phase "{phase.name}", task {self._progress(phase)}'
                if task:
                    at += f": {task.name}"
                    if task.running:
                        longest = self._now() - min(task.running.values())
                        at += f"\n  It was running on {host_list(task.running)} for {clock(longest)}."
                phase.state = "interrupted"
                phase.seconds = self._now() - phase.started
            word = "Interrupted" if self._interrupted else "Broken off"
            self._say("")
            self._say(self._paint(f"{word} after {clock(self._now() - run.started)} {at}", "failed"))
            for number, line in enumerate(self._advice.splitlines()):
                self._say(f"  {'to do: ' if number == 0 else '       '}{line}")
            again = "mend that and give" if self._advice else "give"
            self._say(f"  To go on, {again} the same command again: what is done is recognised and not done twice.")
            self._say_log()
            self._summarize("interrupted" if self._interrupted else "failed")
            self._close()

    # Tasks and results

    def task_started(self, task_id: str, name: str, action: str, handler: bool = False, lockstep: bool = True) -> None:
        """A task begins.

        :param lockstep: all hosts are done with the task before (not so in the free strategy).
        """
        with self._lock:
            if self._phase is None:
                return
            if lockstep:
                self._flush()
                self._tasks.clear()
            if task_id not in self._tasks:
                self._phase.tasks += 1
                now = self._now()
                self._tasks[task_id] = Task(task_id, name, now, now, action in PROMPTING_ACTIONS)
                self._write("", f"{self._time()} {'HANDLER' if handler else 'TASK'} {name}")
            self._task = self._tasks[task_id]
            self._show_live()

    def host_started(self, host: str, task_id: str) -> None:
        """The task now runs on the host."""
        with self._lock:
            task = self._tasks.get(task_id)
            if task:
                task.running[host] = self._now()
                self._show_live()

    def retry(self, event: Event, done: int, limit: int) -> None:
        """An attempt was not what the task waits for; another one follows.

        :param limit: attempts in all; 0 if that is not known.
        """
        with self._lock:
            task = self._tasks.get(event.task_id)
            if task:
                task.attempt = f", attempt {done + 1}" + (f" of {limit}" if limit else "")
                self._show_live()
            why = results.failure(event.data, event.where)
            self._write(f"{self._time()} retry: {event.label}: attempt {done} of {limit}: {results.brief(why.cause)}")

    def round_done(self, event: Event) -> None:
        """One round of a loop has its result; the whole loop's result is yet to come."""
        with self._lock:
            if self._phase and event.remote_runs:
                self._phase.counts(event.delegate or event.host).remote_tasks += event.remote_runs
            if event.action in SAYING_ACTIONS and event.status == "ok":
                self._heed(event)
            if self._verbosity:
                label = results.item_label(event.data)
                word = "would change" if event.check and event.status == "changed" else event.status
                self._detail(f"{word}: {event.label}: {event.task}{f' ({label})' if label else ''}", "dim")

    def result(self, event: Event) -> None:
        """A task has its result on a host."""
        with self._lock:
            phase, run = self._phase, self._run
            if phase is None or run is None:
                return
            task = self._tasks.get(event.task_id)
            self.steps()
            since = task.running.pop(event.host, task.started) if task else self._now()
            phase.counts(event.host).add(event.status, event.rescued, event.ignored)
            if event.remote_runs:
                phase.counts(event.delegate or event.host).remote_tasks += event.remote_runs
            state = "rescued" if event.rescued else "ignored" if event.ignored else event.status
            self._write(
                f"{self._time()} {state}: {event.label} ({self._now() - since:.1f} s, {event.remote_runs} remote)"
            )
            self._write(*(f"    {line}" for line in results.dump(event.data, event.action)))
            for one in diffs.of_result(event.data, 3) if not results.is_hidden(event.data) else []:
                self._write(f"    diff {one.name}", *(f"      {line}" for line in one.lines))
            self._warn_of(event)
            parts = self._parts(event)
            for part in parts:
                if part.status == "changed":
                    self._note_change(part, phase, run)
            if event.status in ("failed", "unreachable"):
                self._note_failure(next((part for part in parts if part.status == "failed"), event), phase, run)
            elif event.status == "changed" and not parts:
                self._note_change(event, phase, run)
            elif event.status == "ok":
                self._heed(event)
            if self._verbosity and event.status in ("ok", "skipped"):
                self._detail(f"{event.status}: {event.label}: {event.task}", "dim")
            if self._verbosity > 1:
                for line in results.dump(event.data, event.action):
                    self._detail(f"  {line}", "dim")
            if task and not task.running and len(self._tasks) > 1:
                self._flush()
            self._show_live()

    def difference(self, event: Event) -> None:
        """A result carries differences that are to be shown."""
        with self._lock:
            if not results.is_hidden(event.data):
                for one in diffs.of_result(event.data):
                    self._diffs.setdefault(one, []).append(event.label)

    def message(self, text: str, stream: TextIO | None = None) -> None:
        """Something that Ansible or an action says: warnings in few words and once, the rest as it is."""
        text = text.rstrip("\n")
        kind, _, rest = text.partition("]: ")
        with self._lock:
            if kind in ("[WARNING", "[DEPRECATION WARNING"):
                self.warning(rest, "deprecated" if "DEPRECATION" in kind else "warning")
            elif kind == "[ERROR" and self._interrupted:
                self._write(text)
            else:
                self._write(text)
                self._advice = (kind == "[ERROR" and results.advice_of(rest)) or self._advice
                if stream is None:
                    for line in text.splitlines() or [""]:
                        self._detail(line)
                elif self._screen:
                    self._screen.line(self._paint(text, "failed") if kind == "[ERROR" else text, stream)

    def warning(self, text: str, kind: str = "warning", host: str = "") -> None:
        """Show a warning or deprecation once."""
        with self._lock:
            short = " ".join(text.split())
            self._write(f"{kind}: {f'{host}: ' if host else ''}{text}")
            if short in self._seen or DISABLE_HINT in short:
                return
            self._seen.add(short)
            if self._run:
                self._run.warnings.append(short)
            if not short.startswith(QUIET_WARNINGS):
                self._detail(f"{kind}: {f'{host}: ' if host else ''}{results.brief(short, 300)}", "warning")

    # Inside

    @staticmethod
    def _parts(event: Event) -> list[Event]:
        """The phases that a task did in one call, each as if it had been a task; the one that failed says why with the
        whole task's words."""
        role, colon, _ = event.task.rpartition(": ")
        found = []
        for title, data in results.parts(event.data):
            failed = event.status == "failed" and title == event.data.get("failed_part")
            status: Status = "failed" if failed else "changed" if data.get("changed") else "ok"
            told = event.data if failed else data
            found.append(replace(event, task=f"{role}{colon}{title}", status=status, data=told))
        return found

    def _note_change(self, event: Event, phase: Phase, run: Run) -> None:
        what = results.changes(event.data, event.check)
        run.changed_tasks.append({"phase": phase.name, "task": event.task, "host": event.label, "what": what})
        self._changes.setdefault((event.task, what, event.check), []).append(event.label)
        if event.action in SAYING_ACTIONS:
            self._heed(event)

    def _note_failure(self, event: Event, phase: Phase, run: Run) -> None:
        unreachable = event.status == "unreachable"
        for item, why in (
            results.failures(event.data, event.where)
            if not unreachable
            else [("", results.failure(event.data, "", True))]
        ):
            if event.rescued:
                self._rescued.setdefault(event.host, []).append((event.task, why))
            elif not event.ignored:
                task = f"{event.task} ({item})" if item else event.task
                run.failures.append(
                    {"phase": phase.name, "task": task, "host": event.label, "cause": why.cause, "advice": why.advice}
                )
                self._failed.setdefault((task, why, unreachable, event.in_rescue), []).append(event.label)
                self._stops_all = self._stops_all or event.fatal_for_all

    def _heed(self, event: Event) -> None:
        """Show what a debug task says; all other good results are silent."""
        if event.action in SAYING_ACTIONS and not isinstance(event.data.get("results"), list):
            text = results.message(event.data)
            if text:
                self._said.setdefault((text, event.run_once), []).append(event.host)

    def _warn_of(self, event: Event) -> None:
        if not results.is_hidden(event.data):
            for text in event.warnings:
                self.warning(text, host=event.host)
            for text in event.deprecations:
                self.warning(text, "deprecated")

    def _flush(self) -> None:
        """Show what was gathered of the task before, the same things of several hosts as one."""
        for (task, what, check), hosts in self._changes.items():
            verb = "would change" if check else "changed"
            self._detail(f"{host_list(hosts)} {verb}: {task}{f': {what}' if what else ''}", "changed")
        for one, hosts in self._diffs.items():
            self._detail(f"  {host_list(hosts)}: {one.name or 'difference'}", "dim")
            for line in one.lines[:DIFF_LINES]:
                paint = {"+": "added", "-": "removed"}.get(line[:1], "dim")
                self._detail(f"    {line}", paint)
            if len(one.lines) > DIFF_LINES:
                self._detail(f"    ({len(one.lines) - DIFF_LINES} more lines in the log)", "dim")
        for (text, for_all), hosts in self._said.items():
            prefix = (
                "" if for_all or (self._phase and set(hosts) >= set(self._phase.hosts)) else f"{host_list(hosts)}: "
            )
            for number, line in enumerate(text.splitlines()):
                self._detail(f"{prefix if number == 0 else ''}{line}")
        for (task, why, unreachable, in_rescue), hosts in self._failed.items():
            self._show_failure(task, why, unreachable, hosts, in_rescue)
        if self._failed and self._stops_all and self._phase and set(self._phase.hosts) - set(self._phase.bad_hosts()):
            self._detail("The run stops here on all hosts.", "failed")
            self._stops_all = False
        self._changes, self._diffs, self._said, self._failed = {}, {}, {}, {}

    def _show_failure(
        self, task: str, why: results.Failure, unreachable: bool, hosts: list[str], in_rescue: bool
    ) -> None:
        self._detail(f"{'UNREACHABLE' if unreachable else 'FAILED'} {host_list(hosts, 20)}: {task}", "failed")
        first, *more = why.cause.splitlines() or [""]
        self._detail(f"  cause: {first}", "failed")
        for line in more:
            self._detail(f"    {line}" if line.strip() else "")
        for line in why.details:
            self._detail(f"       | {line}")
        if why.where:
            self._detail(f"  where: {why.where}")
        for host in hosts if in_rescue else []:
            for earlier, cause in self._rescued.pop(host.split(" -> ")[0], [])[-1:]:
                self._detail(f"  after: {earlier}: {results.brief(cause.cause)} ({host})")
        if why.advice:
            lead, *rest = why.advice.splitlines()
            self._detail(f"  to do: {lead}")
            for line in rest:
                self._detail(f"         {line}")

    def _end_phase(self) -> None:
        phase = self._phase
        if phase is None or self._run is None:
            return
        self._flush()
        self._live("")
        phase.seconds = self._now() - phase.started
        bad = phase.bad_hosts()
        changed = phase.changed_hosts()
        if phase.state == "no hosts":
            self._say(self._paint(f"{phase.name:<{NAME_WIDTH}}     -  no hosts", "dim"))
        else:
            phase.state = "failed" if bad else "ok"
            line = f"{phase.name:<{NAME_WIDTH}} {clock(phase.seconds):>5}  {plural(phase.tasks, 'task')}, "
            would = "would change" if self._run.check else "changed"
            told = "unchanged"
            if len(changed) > HOSTS_SHOWN:
                told = f"{would} {plural(sum(changed.values()), 'thing')} on {plural(len(changed), 'host')}"
            elif changed:
                told = f"{would}: " + ", ".join(f"{host} {count}" for host, count in changed.items())
            if bad:
                told = f"stopped on {host_list(bad)}" + (f"; {told}" if changed else "")
            self._say(self._paint(line + told, "failed" if bad else "changed" if changed else "ok"))
        self._phase = None
        self._task = None
        self._tasks.clear()
        self._summarize("running")

    def _recap(self, run: Run, bad: list[str]) -> None:
        hosts = run.hosts()
        changed = sum(counts.changed for counts in hosts.values())
        took = clock(self._now() - run.started)
        self._say("")
        if bad:
            self._say(self._paint(f"Failed after {took} on {host_list(bad)}", "failed"))
        elif run.check:
            self._say(
                self._paint(
                    f"Checked in {took}: {plural(changed, 'thing')} would change"
                    if changed
                    else f"Checked in {took}: nothing would change",
                    "ok",
                )
            )
        else:
            self._say(
                self._paint(
                    f"Done in {took}, {plural(changed, 'thing')} changed"
                    if changed
                    else f"Done in {took}, nothing changed",
                    "ok",
                )
            )
        shown = hosts if len(hosts) <= HOSTS_IN_RECAP else {host: hosts[host] for host in bad}
        width = max([len(host) for host in shown], default=0)
        for host, counts in shown.items():
            # as in Ansible's own recap, since programs (Molecule's idempotence step) look for changed=N
            parts = [f"ok={counts.ok:<4}", f"changed={counts.changed:<4}"]
            for name in ("failed", "unreachable", "rescued", "ignored"):
                if getattr(counts, name):
                    parts.append(f"{name}={getattr(counts, name)} ")
            parts.append(f"remote_tasks={counts.remote_tasks}")
            kind: Literal["failed", "changed", "ok"] = (
                "failed" if host in bad else "changed" if counts.changed else "ok"
            )
            self._say(f"  {self._paint(f'{host:<{width}}', kind)}  {' '.join(parts)}")
        if len(shown) < len(hosts):
            self._say(f"  {plural(len(hosts) - len(shown), 'other host')}: see the log")
        ran = [phase for phase in run.phases if phase.state != "no hosts"]
        if len(ran) > 1:
            self._say("  Time: " + ", ".join(f"{phase.name} {clock(phase.seconds)}" for phase in ran))
        if bad:
            self._say("  To go on, mend the cause and give the same command again.")
        self._say_log()

    def _say_log(self) -> None:
        if self._log_file:
            path = self._log_file.path
            inside = path.is_relative_to(Path.cwd())
            self._say(f"  Log: {path.relative_to(Path.cwd()) if inside else path}")

    def _progress(self, phase: Phase) -> str:
        return f"{phase.tasks}/{phase.tasks_known}" if phase.tasks_known >= phase.tasks else str(phase.tasks)

    def _tasks_before(self, name: str) -> int:
        """How many tasks the phase had in the last good run with the same choice of tags and hosts."""
        previous = self._log_file.previous if self._log_file else {}
        if not self._run or previous.get("arguments") != self._run.arguments:
            return 0
        return max(
            (int(phase.get("tasks", 0)) for phase in previous.get("phases", []) if phase.get("name") == name), default=0
        )

    def _keep_ticking(self) -> None:
        terminal = bool(self._screen and self._screen.terminal)
        while not self._stop.wait(0.5 if terminal else 1.0):
            with self._lock:
                self.steps()
                if terminal:
                    self._show_live()
                else:
                    self.beat()

    def steps(self) -> None:
        """Log what running tasks tell of their steps; show it once a task runs for long."""
        with self._lock:
            running = [task for task in self._tasks.values() if task.running]
            for text in self._hear():
                self._write(f"{self._time()} step: {text}")
                for task in running[-1:]:
                    task.steps.append(f"{clock(self._now() - task.started)} {text}")
                    task.step = text
            for task in running:
                if task.steps and self._now() - task.started >= STEPS_AFTER:
                    if self._screen and not self._screen.terminal and self._heartbeat:
                        for line in task.steps:
                            self._detail(line, "dim")
                        task.heartbeat = self._now()
                    task.steps.clear()

    def beat(self) -> None:
        """Where no line can be rewritten: mention tasks that have run for long."""
        now = self._now()
        with self._lock:
            for task in self._tasks.values():
                if task.running and now - task.heartbeat >= self._heartbeat > 0:
                    task.heartbeat = now
                    self._detail(
                        f"still running after {clock(now - task.started)}{task.attempt}: {task.name} "
                        f"({host_list(task.running)})",
                        "dim",
                    )

    def _show_live(self) -> None:
        if self._screen and self._screen.terminal:
            self._live(self._live_text())

    def _live_text(self) -> str:
        phase, task = self._phase, self._task
        if phase is None or phase.state == "no hosts" or (task and task.prompting):
            return ""
        text = f"{phase.name:<{NAME_WIDTH}} {clock(self._now() - phase.started):>5}  {self._progress(phase)}"
        if task:
            if not task.running:
                task = next((one for one in self._tasks.values() if one.running), task)
            spent = self._now() - min(task.running.values(), default=self._now())
            text += f"  {task.name}" + (f" ({clock(spent)}{task.attempt})" if spent >= 3 or task.attempt else "")
            if task.running:
                text += f": {host_list(task.running)}"
            if task.step and spent >= STEPS_AFTER:
                text += f", {task.step}"
        return text

    def _live(self, text: str) -> None:
        if self._screen:
            self._screen.live(text)

    def _detail(self, text: str, kind: Any = None) -> None:
        """A line that belongs to the phase that runs; the first one is preceded by the phase's name."""
        if self._screen is None:
            return
        if self._phase and not self._phase_announced:
            self._phase_announced = True
            self._screen.line(self._paint(f"{self._phase.name} ({host_list(self._phase.hosts)})", "dim"))
        indent = "  " if self._phase and text else ""
        text = clean(text).replace("\n", "\\n")
        self._screen.line(f"{indent}{self._paint(text, kind) if kind and text else text}")

    def _say(self, text: str, dim: bool = False) -> None:
        self._write(re.sub(r"\x1b\[[\d;]*m", "", text))
        if self._screen:
            self._screen.line(self._paint(text, "dim") if dim else clean_painted(text))

    def _time(self) -> str:
        return datetime.now().strftime("%H:%M:%S")

    def _write(self, *lines: str) -> None:
        if self._log_file and not self._log_fails:
            try:
                # Further lines of one text are indented, so that none passes for a line of the run itself.
                self._log_file.write(
                    *(clean(line, LONGEST_LOGGED).rstrip("\n").replace("\n", "\n    ") for line in lines)
                )
            except OSError as error:  # the run goes on, on the screen alone
                self._log_fails = True
                self._detail(f"The log {self._log_file.path} ends here: {error.strerror}", "warning")

    def _summarize(self, result: str) -> None:
        if self._log_file and self._run:
            try:
                self._log_file.summary(self._run.summary(result, self._now(), str(self._log_file.path)))
            except OSError as error:
                self._write(f"The summary could not be written: {error}")

    def _close(self) -> None:
        self._run = None
        if self._log_file:
            with contextlib.suppress(OSError):  # what a full disk did not take is told already
                self._log_file.close()
