# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)
"""Translates Ansible's events for the reporter."""

from __future__ import annotations

DOCUMENTATION = r"""
name: console
type: stdout
short_description: One line per phase, details of what changed or failed, everything in a log
description:
  - Shows each play as a phase with its progress, and below it only what changed and what failed. Hosts with the same
    change or the same cause of failure share a line.
  - Writes everything, except what C(no_log) hides, to a log that only its owner can read, and a summary for programs
    beside it. C(last.json) is the summary of the last run.
  - C(-v) also shows the tasks that changed nothing, C(-vv) their results.
author: The Stackwright developers
extends_documentation_fragment:
  - default_callback
  - result_format_callback
options:
  console:
    description:
      - V(phases) is this plugin's own output, V(plain) that of Ansible's C(default) plugin.
      - The log and the summary are written either way.
    type: str
    choices: [phases, plain]
    default: phases
    env: [{name: STACKWRIGHT_CONSOLE}]
    ini: [{section: stackwright, key: console}]
  log_directory:
    description: Where logs and summaries go. By default C(.stackwright/log) beside C(ansible.cfg).
    type: path
    env: [{name: STACKWRIGHT_LOG_DIRECTORY}]
    ini: [{section: stackwright, key: log_directory}]
  log_keep:
    description: How many logs of each playbook are kept.
    type: int
    default: 20
    env: [{name: STACKWRIGHT_LOG_KEEP}]
    ini: [{section: stackwright, key: log_keep}]
  heartbeat:
    description:
      - Seconds after which a task that still runs is mentioned again, where no line can be rewritten.
      - V(0) for never.
    type: int
    default: 30
    env: [{name: STACKWRIGHT_HEARTBEAT}]
    ini: [{section: stackwright, key: heartbeat}]
"""

import _thread
import atexit
import os
import shutil
import signal
import stat
import sys
import tempfile
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible import constants as C
from ansible import context
from ansible.plugins.callback.default import CallbackModule as Default
from ansible.plugins.loader import action_loader
from ansible.template import Templar
from ansible.utils.color import stringc
from ansible_collections.stackwright.cloud.plugins.module_utils.common import progress
from ansible_collections.stackwright.cloud.plugins.module_utils.common.text import clean_painted
from ansible_collections.stackwright.cloud.plugins.module_utils.console.reporter import LONGEST_LOGGED, Event, Reporter
from ansible_collections.stackwright.cloud.plugins.module_utils.console.results import is_hidden
from ansible_collections.stackwright.cloud.plugins.module_utils.console.runlog import RunLog
from ansible_collections.stackwright.cloud.plugins.module_utils.console.screen import Screen

COLORS = {
    "ok": "COLOR_OK",
    "changed": "COLOR_CHANGED",
    "failed": "COLOR_ERROR",
    "warning": "COLOR_WARN",
    "dim": "COLOR_DEBUG",
    "added": "COLOR_DIFF_ADD",
    "removed": "COLOR_DIFF_REMOVE",
}
LOCAL = ("local", "ansible.builtin.local")
ARGUMENTS = ("tags", "skip_tags", "subset")
PAUSE = ("pause", "ansible.builtin.pause", "ansible.legacy.pause")
WITHOUT_CONNECTION = frozenset((*C._ACTION_META, *C._ACTION_ALL_INCLUDES, *C._ACTION_IMPORT_PLAYBOOK, *PAUSE))


class CallbackModule(Default):  # type: ignore[misc]
    """Ansible's default output when asked for; otherwise the reporter alone writes the screen."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "stackwright.cloud.console"

    def __init__(self) -> None:
        super().__init__()
        self.plain = False
        self._reporter: Reporter | None = None
        self._pid = os.getpid()
        self._ended = False
        self._connections: dict[str, str] = {}
        self._controller_only: dict[str, bool] = {}
        self._lockstep = True

    # Run and plays

    def set_options(self, task_keys: Any = None, var_options: Any = None, direct: Any = None) -> None:
        super().set_options(task_keys=task_keys, var_options=var_options, direct=direct)
        self.plain = self.get_option("console") == "plain"

    def v2_playbook_on_start(self, playbook: Any) -> None:
        if self.plain:
            super().v2_playbook_on_start(playbook)
        name = Path(playbook._file_name).name
        log = None
        problem = ""
        _close_to_others(self._state_directory())
        try:
            log = RunLog(self._log_directory(), name, datetime.now(), self.get_option("log_keep"))
        except OSError as error:
            problem = f"This run has no log, because {self._log_directory()} cannot be written: {error}"
        terminal = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self._reporter = Reporter(
            None if self.plain else Screen(sys.stdout, terminal),
            log,
            lambda text, kind: stringc(text, getattr(C, COLORS[kind])),
            verbosity=self._display.verbosity,
            heartbeat=self.get_option("heartbeat"),
            hear=self._listen(),
        )
        arguments = {key: [str(one) for one in _as_list(context.CLIARGS.get(key))] for key in ARGUMENTS}
        self._reporter.run_started(name, bool(context.CLIARGS.get("check")), arguments)
        if self.plain:
            self._clean_messages()
        else:
            self._take_over_messages()
        if problem:
            self._display.warning(problem)
        atexit.register(self._at_exit)
        self._handle_signals()

    def v2_playbook_on_play_start(self, play: Any) -> None:
        self._play = play
        if self.plain:
            super().v2_playbook_on_play_start(play)
        self._lockstep = play.strategy.rpartition(".")[2] not in ("free", "host_pinned")
        self._connections.clear()
        variables = play.get_variable_manager()
        hosts: list[str] = []
        if variables and variables._inventory:
            hosts = [host.name for host in variables._inventory.get_hosts(play.hosts)]
        if self._reporter:
            self._reporter.phase_started(play.get_name().strip(), hosts, _count_tasks(play))

    def v2_playbook_on_vars_prompt(self, varname: str, *rest: Any, **named: Any) -> Any:
        if self._reporter:
            self._reporter.prompted()
        return super().v2_playbook_on_vars_prompt(varname, *rest, **named)

    def v2_playbook_on_no_hosts_matched(self) -> None:
        if self.plain:
            super().v2_playbook_on_no_hosts_matched()
        if self._reporter:
            self._reporter.phase_has_no_hosts()

    def v2_playbook_on_no_hosts_remaining(self) -> None:
        if self.plain:
            super().v2_playbook_on_no_hosts_remaining()

    def v2_playbook_on_stats(self, stats: Any) -> None:
        if self.plain:
            super().v2_playbook_on_stats(stats)
        if self._reporter:
            self._reporter.run_finished()

    # Tasks

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        if self.plain:
            super().v2_playbook_on_task_start(task, is_conditional)
        self._task_started(task, False)

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        if self.plain:
            super().v2_playbook_on_handler_task_start(task)
        self._task_started(task, True)

    def _task_started(self, task: Any, handler: bool) -> None:
        if self._reporter:
            self._reporter.task_started(task._uuid, _name(task), task.action, handler, self._lockstep)

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        if self.plain:
            super().v2_runner_on_start(host, task)
        if self._reporter:
            self._reporter.host_started(host.get_name(), task._uuid)

    def v2_playbook_on_include(self, included_file: Any) -> None:
        if self.plain:
            super().v2_playbook_on_include(included_file)

    # Results

    def v2_runner_on_ok(self, result: Any) -> None:
        self._report(result, "changed" if result.is_changed() else "ok")
        if self.plain:
            super().v2_runner_on_ok(_uncaused(result))

    def v2_runner_on_skipped(self, result: Any) -> None:
        self._report(result, "skipped")
        if self.plain:
            super().v2_runner_on_skipped(result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._report(result, "failed", bool(ignore_errors))
        if self.plain:
            super().v2_runner_on_failed(_uncaused(result), ignore_errors)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._report(result, "unreachable", bool(result.task.ignore_unreachable))
        if self.plain:
            super().v2_runner_on_unreachable(_uncaused(result))

    def v2_runner_item_on_ok(self, result: Any) -> None:
        self._report_round(result, "changed" if result.is_changed() else "ok")
        if self.plain:
            super().v2_runner_item_on_ok(_uncaused(result))

    def v2_runner_item_on_failed(self, result: Any) -> None:
        self._report_round(result, "failed")
        if self.plain:
            super().v2_runner_item_on_failed(_uncaused(result))

    def v2_runner_item_on_skipped(self, result: Any) -> None:
        self._report_round(result, "skipped")
        if self.plain:
            super().v2_runner_item_on_skipped(result)

    def v2_runner_retry(self, result: Any) -> None:
        if self.plain:
            super().v2_runner_retry(result)
        if self._reporter:
            done, limit = int(result.result.get("attempts") or 0), int(result.result.get("retries") or 0)
            self._reporter.retry(self._event(result, "failed", True), done, limit)

    def v2_on_file_diff(self, result: Any) -> None:
        if self.plain:
            super().v2_on_file_diff(result)
        elif self._reporter and result.is_changed():
            self._reporter.difference(self._event(result, "changed", False))

    # Inside

    def _report(self, result: Any, status: Any, ignored: bool = False) -> None:
        if self._reporter:
            self._reporter.result(self._event(result, status, ignored))

    def _report_round(self, result: Any, status: Any) -> None:
        if self._reporter and result.task.action not in WITHOUT_CONNECTION:
            self._reporter.round_done(self._event(result, status, False))

    def _event(self, result: Any, status: Any, ignored: bool) -> Event:
        task, data, fields = result.task, result.result, result.task_fields
        delegate = str(fields.get("delegate_to") or "")
        ran = status not in ("skipped", "unreachable") and not isinstance(data.get("results"), list)
        remote = ran and self._is_remote(task, fields, delegate or result.host.get_name())
        return Event(
            host=result.host.get_name(),
            task_id=task._uuid,
            task=_task_name(result),
            action=task.action,
            status=status,
            data=data,
            where=_origin(result),
            delegate=delegate,
            rescued=status == "failed" and _is_rescued(task),
            ignored=ignored,
            fatal_for_all=bool(task.any_errors_fatal is True or task.run_once is True),
            run_once=task.run_once is True,
            in_rescue=_in_rescue(task),
            check=bool(fields.get("check_mode")),
            remote_runs=int(data.get("attempts") or 1) if remote else 0,
            warnings=tuple(str(one) for one in data.get("warnings") or ()),
            deprecations=tuple(
                str(one.get("msg", "")) for one in data.get("deprecations") or () if isinstance(one, dict)
            ),
        )

    def _is_remote(self, task: Any, fields: Any, host: str) -> bool:
        """Whether the task really ran on another machine: through a connection that is not local."""
        action = task.resolved_action or task.action
        if task.action in WITHOUT_CONNECTION:
            return False
        if action not in self._controller_only:
            plugin = action_loader.get(action, class_only=True, collection_list=task.collections)
            self._controller_only[action] = plugin is not None and not getattr(plugin, "_requires_connection", True)
        if self._controller_only[action]:
            return False
        connection = task.get_vars().get("ansible_connection") or self._connection_of(host) or fields.get("connection")
        return connection not in LOCAL

    def _connection_of(self, name: str) -> str:
        """The host's own `ansible_connection`; empty when the play's keyword decides."""
        if name not in self._connections:
            variables = self._play.get_variable_manager()
            host = variables._inventory.get_host(name)
            own = variables.get_vars(play=self._play, host=host, include_hostvars=False) if host else {}
            value = own.get("ansible_connection") or ""
            if "{{" in str(value):
                value = Templar(loader=self._play.get_loader(), variables=own).template(value)
            self._connections[name] = str(value)
        return self._connections[name]

    def _listen(self) -> Callable[[], list[str]]:
        """Make the directory in which tasks tell their steps, for as long as this process lives."""
        try:
            directory = tempfile.mkdtemp(prefix="stackwright-progress-")
        except OSError:
            return list
        os.environ[progress.VARIABLE] = directory

        def remove() -> None:
            if os.getpid() == self._pid:
                shutil.rmtree(directory, ignore_errors=True)

        atexit.register(remove)
        return progress.Listener(directory).hear

    def _log_directory(self) -> Path:
        chosen = self.get_option("log_directory")
        return Path(chosen) if chosen else self._state_directory() / "log"

    @staticmethod
    def _state_directory() -> Path:
        """Where logs, facts, labs and the vault key lie."""
        return (Path(C.CONFIG_FILE).parent if C.CONFIG_FILE else Path.cwd()) / ".stackwright"

    def _take_over_messages(self) -> None:
        """Let what Ansible prints itself pass through the reporter, since it would land in the live line."""
        original = self._display.display

        def display(msg: str, color: str | None = None, stderr: bool = False, *rest: Any, **named: Any) -> None:
            log_only = named.get("log_only") or (len(rest) > 1 and rest[1])
            if os.getpid() != self._pid or log_only or self._reporter is None:
                original(msg, color, stderr, *rest, **named)
                return
            original(msg, color, stderr, log_only=True)
            self._reporter.message(msg, sys.stderr if stderr else None)

        self._display.display = display

    def _clean_messages(self) -> None:
        """Let nothing but text reach the terminal where Ansible's own callback writes it."""
        original = self._display.display

        def display(msg: str, *rest: Any, **named: Any) -> None:
            original(clean_painted(str(msg), LONGEST_LOGGED), *rest, **named)

        self._display.display = display

    def _handle_signals(self) -> None:
        """Learn of Ctrl-C and of a request to end before Ansible acts on it, which may end the process at once."""

        def chain(number: signal.Signals) -> None:
            before = signal.getsignal(number)

            def handle(signum: int, frame: Any) -> None:
                if self._reporter and os.getpid() == self._pid:
                    self._reporter.interrupted()
                    if signum == signal.SIGTERM and not self._ended:
                        # This thread may be in the middle of a line, and only another one can wait until it is written.
                        self._ended = True
                        _thread.start_new_thread(self._end, (signum,))
                        return
                if callable(before):
                    before(signum, frame)

            signal.signal(number, handle)

        chain(signal.SIGINT)
        chain(signal.SIGTERM)

    def _end(self, signum: int) -> None:
        assert self._reporter is not None
        self._reporter.run_broken_off()
        signal.pthread_kill(threading.main_thread().ident or 0, signum)

    def _at_exit(self) -> None:
        if self._reporter and os.getpid() == self._pid:
            self._reporter.run_broken_off()


def _close_to_others(directory: Path) -> None:
    """Keep other accounts out of a directory that this one has; what is made in it by others' habits is then closed as
    well."""
    try:
        found = directory.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and found.st_mode & 0o077:
            directory.chmod(0o700)
    except OSError:
        return  # there is none, or it is not ours to change


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value] if value else []


def _name(task: Any) -> str:
    """The task's name after its role's, which goes without its collection."""
    try:
        name = task.get_name(include_role_fqcn=False)
    except TypeError:
        # include_role and import_role take no argument here
        name = task.get_name()
    return str(name).strip().replace(" : ", ": ", 1)


def _task_name(result: Any) -> str:
    """The task's name as templated for the host, after its role's."""
    name = _name(result.task)
    own = str(result.task_fields.get("name") or "").strip()
    return name if not own or "{{" in own or own in name else own


def _uncaused(result: Any) -> Any:
    """A result that hides its output hides the chain of errors as well, which Ansible leaves in."""
    if is_hidden(result.result):
        for key in ("exception", "warnings", "deprecations"):
            result.result.pop(key, None)
    return result


def _origin(result: Any) -> str:
    """file:line that the innermost error points at; empty if none does or the result is hidden."""
    origin = ""
    event = getattr(getattr(result, "exception", None), "event", None)
    first = True
    while event is not None:
        text = str(getattr(event, "formatted_source_context", None) or "")
        if text.startswith("Origin: ") and not first:
            origin = text.splitlines()[0].removeprefix("Origin: ")
        first = False
        event = getattr(getattr(event, "chain", None), "event", None)
    return "" if is_hidden(result.result) else _relative(origin)


def _relative(place: str) -> str:
    current = f"{Path.cwd()}/"
    return place.removeprefix(current)


def _is_rescued(task: Any) -> bool:
    """Whether a failure of the task leads into a rescue section."""
    child, parent = task, task._parent
    while parent is not None:
        if getattr(parent, "rescue", None) and any(one._uuid == child._uuid for one in parent.block):
            return True
        child, parent = parent, parent._parent
    return False


def _in_rescue(task: Any) -> bool:
    """Whether the task belongs to a rescue or always section, so that an earlier failure may be its cause."""
    child, parent = task, task._parent
    while parent is not None:
        sections = [*getattr(parent, "rescue", []), *getattr(parent, "always", [])]
        if any(one._uuid == child._uuid for one in sections):
            return True
        child, parent = parent, parent._parent
    return False


def _count_tasks(play: Any) -> int:
    """Tasks that are known before the play runs, without included ones; 0 when that cannot be told."""

    def count(block: Any) -> int:
        total = 0
        for one in [*block.block, *block.always]:
            total += count(one) if hasattr(one, "rescue") else one.action not in C._ACTION_META
        return total

    try:
        every = play.get_variable_manager().get_vars(play=play)
        return sum(count(block.filter_tagged_tasks(every)) for block in play.compile())
    except Exception:  # a figure for the eye alone may never stop a run
        return 0
