"""What happened in a run, counted: the source of the recap and of the summary for programs."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Status = Literal["ok", "changed", "skipped", "failed", "unreachable"]


@dataclass
class Counts:
    """Task results of one host. `ok` includes the changed ones, as in Ansible's own recap."""

    ok: int = 0
    changed: int = 0
    failed: int = 0
    unreachable: int = 0
    skipped: int = 0
    rescued: int = 0
    ignored: int = 0
    remote_tasks: int = 0

    def add(self, status: Status, rescued: bool = False, ignored: bool = False) -> None:
        """Count a result; a failure that was rescued or ignored is not counted as one."""
        if status in ("failed", "unreachable") and (rescued or ignored):
            self.rescued += rescued
            self.ignored += ignored and not rescued
            self.ok += ignored and not rescued
        elif status in ("ok", "changed"):
            self.ok += 1
            self.changed += status == "changed"
        else:
            setattr(self, status, getattr(self, status) + 1)


@dataclass
class Phase:
    """One play, or the batches of a serial one."""

    name: str
    hosts: list[str]
    tasks_known: int = 0
    tasks: int = 0
    started: float = 0.0
    seconds: float = 0.0
    state: Literal["running", "ok", "failed", "no hosts", "interrupted"] = "running"
    per_host: dict[str, Counts] = field(default_factory=dict)

    def counts(self, host: str) -> Counts:
        """The host's counts, made on first use."""
        return self.per_host.setdefault(host, Counts())

    def bad_hosts(self) -> list[str]:
        """Hosts with a failure that stands, sorted."""
        return sorted(host for host, counts in self.per_host.items() if counts.failed or counts.unreachable)

    def changed_hosts(self) -> dict[str, int]:
        """Changed results by host, only where there are some."""
        return {host: counts.changed for host, counts in sorted(self.per_host.items()) if counts.changed}


@dataclass
class Run:
    """One execution of a playbook."""

    playbook: str
    check: bool
    arguments: dict[str, list[str]]
    started_at: str
    started: float
    phases: list[Phase] = field(default_factory=list)
    changed_tasks: list[dict[str, Any]] = field(default_factory=list)
    failures: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def hosts(self) -> dict[str, Counts]:
        """Counts of the whole run by host, sorted."""
        total: dict[str, Counts] = {}
        for phase in self.phases:
            for host, counts in phase.per_host.items():
                sums = total.setdefault(host, Counts())
                for name, value in asdict(counts).items():
                    setattr(sums, name, getattr(sums, name) + value)
        return dict(sorted(total.items()))

    def summary(self, result: str, now: float, log: str) -> dict[str, Any]:
        """The run for programs.

        :param result: running, ok, failed, or interrupted.
        :param now: seconds on the clock of `started`.
        """
        return {
            "playbook": self.playbook,
            "result": result,
            "check": self.check,
            "arguments": self.arguments,
            "started": self.started_at,
            "seconds": round(now - self.started, 2),
            "phases": [
                {
                    "name": phase.name,
                    "state": phase.state,
                    "seconds": round(phase.seconds if phase.state != "running" else now - phase.started, 2),
                    "tasks": phase.tasks,
                    "hosts": {host: asdict(counts) for host, counts in sorted(phase.per_host.items())},
                }
                for phase in self.phases
            ],
            "hosts": {host: asdict(counts) for host, counts in self.hosts().items()},
            "changed_tasks": self.changed_tasks,
            "failures": self.failures,
            "warnings": self.warnings,
            "log": log,
        }
