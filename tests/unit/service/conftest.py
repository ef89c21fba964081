"""A host's systemd, and a clock that tests move on."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
from ansible_collections.stackwright.cloud.tests.stand_ins import Call, Said, StandIns


@dataclass
class Clock:
    """Time that passes only when somebody sleeps."""

    now: float = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    # a program that a test waits for runs in real time
    monkeypatch.setattr("subprocess.time", SimpleNamespace(sleep=time.sleep))
    monkeypatch.setattr("time.monotonic", lambda: clock.now)
    monkeypatch.setattr("time.sleep", clock.sleep)
    return clock


def now() -> dict[str, str]:
    """That a unit has just become active."""
    return {"ActiveEnterTimestampMonotonic": str(int(time.monotonic() * 1e6))}


@dataclass
class Systemd:
    """Units by full name, as ``systemctl show`` tells them, and what becomes of them.

    ``starts`` has the states that a unit takes on one after the other, a look each, when it is started; the last stays.
    ``refuses`` has what systemctl says against a verb and a unit; ``hangs`` the verbs and units that do not come to an
    end.
    """

    units: dict[str, dict[str, str]] = field(default_factory=dict)
    starts: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    refuses: dict[tuple[str, str], str] = field(default_factory=dict)
    coming: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    hidden: dict[str, dict[str, str]] = field(default_factory=dict)
    journal: dict[str, str] = field(default_factory=dict)
    dead: str = ""
    hangs: set[tuple[str, str]] = field(default_factory=set)

    def put(self, name: str, state: str = "inactive", enabled: str = "disabled", **more: str) -> None:
        """Add a unit."""
        self.units[name] = {
            "LoadState": "loaded",
            "ActiveState": state,
            "UnitFileState": enabled,
            "SubState": "",
            "Result": "success",
            "NRestarts": "0",
            "ActiveEnterTimestampMonotonic": "0",
            "ActiveEnterTimestamp": "Sat 2026-11-21 06:00:00.000000 UTC",
            **more,
        }

    def show(self, name: str) -> str:
        unit = self.units.get(name)
        if unit is None:
            unit = {"LoadState": "not-found", "ActiveState": "inactive"}
        elif self.coming.get(name):
            unit |= {**now(), **self.coming[name].pop(0)}
        return "".join(f"{key}={value}\n" for key, value in {"Id": name, **unit}.items())

    def do(self, verb: str, name: str) -> str:
        """Carry out a verb; return what systemctl says against it."""
        if (verb, name) in self.refuses:
            return self.refuses[verb, name]
        unit = self.units[name]
        if verb in ("start", "restart"):
            self.coming[name] = [dict(state) for state in self.starts.get(name, [{"ActiveState": "active"}])]
            unit |= now() | self.coming[name].pop(0) | {"ActiveEnterTimestamp": "Sat 2026-11-21 07:00:00.000000 UTC"}
            return f"Job for {name} failed" if unit["ActiveState"] == "failed" else ""
        unit |= {
            "stop": {"ActiveState": "inactive"},
            "enable": {"UnitFileState": "enabled"},
            "disable": {"UnitFileState": "disabled"},
            "unmask": {"UnitFileState": "disabled"},
            "reset-failed": {},
            # a change of its state, though it stays active
            "reload": {"StateChangeTimestamp": "Fri 2100-01-01 00:00:01.000000 UTC"},
        }[verb]
        return ""

    def __call__(self, call: Call) -> Said:
        if call.name == "journalctl":
            return Said(self.journal.get(call.words[-1], ""))
        if self.dead:
            return Said(status=1, errors=self.dead)
        words = [word for word in call.words if word not in ("-q", "--")]
        if words[0] == "show":
            names = call.words[call.words.index("--") + 1 :]
            return Said("\n".join(self.show(name) for name in names))
        if words[0] == "daemon-reload":
            self.units |= self.hidden
            for unit in self.units.values():
                unit.pop("NeedDaemonReload", None)
            return Said()
        if words[0] == "list-jobs":
            return Said(
                "".join(
                    f"{number} {name} {verb} running\n" for number, (verb, name) in enumerate(sorted(self.hangs), 7)
                )
            )
        if any((words[0], name) in self.hangs for name in words[1:]):
            return Said(hangs=True)
        # systemctl takes a name without a kind for a service's
        against = [
            text for name in words[1:] if (text := self.do(words[0], name if "." in name else f"{name}.service"))
        ]
        return Said(status=1 if against else 0, errors="\n".join(against))


@pytest.fixture
def systemd(stand_ins: StandIns) -> Systemd:
    """The host's systemd: systemctl and journalctl are programs that act on it."""
    systemd = Systemd()
    for program in ("systemctl", "journalctl"):
        stand_ins.add(program, systemd)
    return systemd
