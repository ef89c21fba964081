"""The packet filter on its host: tried under a timer, kept only when it is still the one that was proved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.service import (
    configuration,
    filter_host,
    packet_filter,
)
from ansible_collections.stackwright.cloud.plugins.modules import packet_filter as module

Run = Callable[..., dict[str, Any]]


class Kernel:
    """A host whose nft and systemctl keep what they are told. ``refuses`` is what nft says against a table."""

    def __init__(self) -> None:
        self.table = ""
        self.timer: list[str] = []
        self.enabled = False
        self.refuses = ""
        self.timers_fail = False

    def run(self, command: Sequence[str], data: str | None = None) -> tuple[int, str, str]:
        match [Path(command[0]).name, *command[1:]]:
            case ["nft", "-c", "-f", _]:
                return (1, "", self.refuses) if self.refuses else (0, "", "")
            case ["nft", "-f", "-"]:
                self.table = (data or "").split("delete table inet stackwright\n", 1)[1]
            case ["nft", "-f", path]:
                text = Path(path).read_text(encoding="utf-8").split("delete table inet stackwright\n", 1)
                self.table = text[1] if len(text) > 1 else ""
            case ["nft", *_, "list", "table", "inet", "stackwright"]:
                return (0, self.table, "") if self.table else (1, "", "No such file or directory")
            case ["nft", "delete", *_]:
                self.table = ""
            case ["systemd-run", *words]:
                if self.timers_fail:
                    return 1, "", "Failed to connect to bus"
                self.timer = words[words.index("--") + 1 :]
            case ["systemctl", "stop", _]:
                self.timer = []
            case ["systemctl", "is-enabled" | "is-active", *_]:
                return 0 if self.enabled else 1, "", ""
            case ["systemctl", "disable", *_]:
                self.enabled = False
        return 0, "", ""

    def fire(self) -> None:
        """The timer's time is up."""
        if self.timer:
            self.run(self.timer)
            self.timer = []


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Kernel:
    found = Kernel()
    monkeypatch.setattr(filter_host, "run", found.run)
    monkeypatch.setattr(filter_host, "STATE", str(tmp_path / "state"))
    for name in ("RULES", "UNIT_FILE", "DROPIN"):
        monkeypatch.setattr(filter_host, name, str(tmp_path / name.lower()))
    monkeypatch.setattr(configuration, "GENERATIONS", str(tmp_path / "generations"))
    monkeypatch.setattr(configuration, "_identities", lambda file: (-1, -1))
    monkeypatch.setattr(
        configuration, "_attributes", lambda path, follow: f"root:root {Path(path).stat().st_mode & 0o7777:04o}"
    )
    monkeypatch.setattr(filter_host, "find_ssh_ports", lambda: {22})

    def must(*words: str, **_: Any) -> str:
        found.enabled = found.enabled or "enable" in words
        return ""

    monkeypatch.setattr(filter_host.systemd, "must", must)
    return found


TEXT = packet_filter.render(packet_filter.Rules(), [22])


def test_table_is_loaded_at_once_and_written_when_it_is_confirmed(kernel: Kernel) -> None:
    tried = filter_host.attempt(TEXT)
    assert kernel.table and kernel.timer and not Path(filter_host.RULES).exists()
    filter_host.confirm(TEXT, tried)
    assert Path(filter_host.RULES).read_text(encoding="utf-8") == TEXT
    assert not kernel.timer and kernel.enabled
    assert filter_host.compare(TEXT).changes == [] and filter_host.complaints(True) == []


def test_timer_takes_an_unproved_table_back_and_it_cannot_be_confirmed_any_more(kernel: Kernel) -> None:
    tried = filter_host.attempt(TEXT)
    kernel.fire()
    assert kernel.table == ""
    with pytest.raises(filter_host.FilterHostError, match="the timer took it back"):
        filter_host.confirm(TEXT, tried)
    assert not Path(filter_host.RULES).exists()


def test_way_back_is_the_table_that_was_proved_before(kernel: Kernel) -> None:
    filter_host.confirm(TEXT, filter_host.attempt(TEXT))
    before = kernel.table
    other = packet_filter.render(packet_filter.Rules(), [2222])
    filter_host.attempt(other)
    assert kernel.table != before
    filter_host.undo()
    assert kernel.table == before and Path(filter_host.RULES).read_text(encoding="utf-8") == TEXT


@pytest.mark.parametrize("fault", ["refuses", "timers_fail"])
def test_nothing_is_loaded_that_nft_refuses_or_no_timer_guards(kernel: Kernel, fault: str) -> None:
    setattr(kernel, fault, "syntax error" if fault == "refuses" else True)
    with pytest.raises(filter_host.FilterHostError, match=r"syntax error|failed"):
        filter_host.attempt(TEXT)
    assert kernel.table == ""


def test_table_that_somebody_changed_or_flushed_is_told_and_loaded_anew(kernel: Kernel) -> None:
    filter_host.confirm(TEXT, filter_host.attempt(TEXT))
    kernel.table += "# tcp dport 3306 accept\n"
    assert filter_host.compare(TEXT).changes == ["load the table anew: the kernel has another one"]
    assert filter_host.complaints(True) == [
        "the table inet stackwright in the kernel is not the one that was proved; run base.yml"
    ]
    kernel.table = ""
    assert "every port is open" in filter_host.complaints(True)[0]
    kernel.enabled = False
    filter_host.confirm(TEXT, filter_host.attempt(TEXT))
    kernel.enabled = False
    assert "the next boot leaves every port open" in filter_host.complaints(True)[0]


def test_module_tells_in_check_mode_what_it_does_and_does_it_once(kernel: Kernel, run_module: Run) -> None:
    foretold = run_module(module, check=True)
    assert foretold["changed"] and kernel.table == ""
    made = run_module(module)
    assert made["changes"] == foretold["changes"] and made["tried"] == kernel.table
    run_module(module, step="confirm", tried=made["tried"])
    assert not run_module(module)["changed"] and not run_module(module, check=True)["changed"]
    gone = run_module(module, enabled=False)
    assert gone["changed"] and kernel.table == "" and not Path(filter_host.RULES).exists()
    assert not run_module(module, enabled=False)["changed"]


def test_every_port_on_which_one_logs_in_is_found() -> None:
    config = "port 22\nlistenaddress 10.0.0.1:2200\nlistenaddress [::]:22\nx11displayoffset 10\n"
    socket = "Listen=[::]:2022 (Stream)\nActiveState=active\n\nListen=0.0.0.0:9999 (Stream)\nActiveState=inactive\n"
    held = [
        {"protocol": "tcp", "process": "sshd", "port": 2222},
        {"protocol": "tcp", "process": "nginx", "port": 443},
        {"protocol": "udp", "process": "sshd", "port": 5},
        # it lets other compute nodes in, as its specification says, and logs nobody in
        {"protocol": "tcp", "process": "sshd", "port": 8022, "unit": "stackwright-migration"},
    ]
    assert filter_host.ssh_ports(config, socket, held, {7022}) == {22, 2200, 2022, 2222, 7022}
