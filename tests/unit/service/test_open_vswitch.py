"""Open vSwitch is brought to what is wanted with the fewest commands, and no interface in use is taken."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.service import open_vswitch
from ansible_collections.stackwright.cloud.plugins.module_utils.service.open_vswitch import Bridge, SwitchError, Wanted

WANTED = Wanted(
    external_ids={"ovn-encap-type": "geneve", "ovn-remote": "tcp:192.0.2.11:6642", "hostname-old": ""},
    other_config={"userspace-tso-enable": "true"},
    manager="ptcp:6640:127.0.0.1",
    datapath="netdev",
    bridges=[Bridge("br-ex", "eth2")],
)


class Switch:
    """The database of a switch: answers `list` and `list-ports`, and does what `set`, `remove` and `add-*` say."""

    def __init__(self) -> None:
        self.columns: dict[str, dict[str, str]] = {"external_ids": {"hostname-old": "x"}, "other_config": {}}
        self.managers: list[str] = []
        self.bridges: dict[str, str] = {}
        self.ports: dict[str, list[str]] = {}
        self.writes: list[list[str]] = []

    def __call__(self, arguments: list[str]) -> str:
        if arguments[0] == "--format=json":
            names = arguments[1].removeprefix("--columns=").split(",")
            rows: dict[str, list[list[Any]]] = {
                "Open_vSwitch": [[["map", [list(pair) for pair in self.columns[name].items()]] for name in names]]
                if arguments[3] == "Open_vSwitch"
                else [],
                "Manager": [[target] for target in self.managers],
                "Bridge": [[name, kind] for name, kind in self.bridges.items()],
            }
            return json.dumps({"headings": names, "data": rows[arguments[3]]})
        if arguments[0] == "list-ports":
            return "\n".join(self.ports[arguments[1]])
        self.writes.append(arguments)
        match arguments:
            case ["set", "Open_vSwitch", ".", assignment]:
                column, _, rest = assignment.partition(":")
                key, _, value = rest.partition("=")
                self.columns[column][key] = json.loads(value)
            case ["remove", "Open_vSwitch", ".", column, key]:
                del self.columns[column][key]
            case ["set-manager", target]:
                self.managers = [target]
            case ["--may-exist", "add-br", bridge, "--", "set", "Bridge", _, kind]:
                self.bridges[bridge], self.ports[bridge] = kind.removeprefix("datapath_type="), []
            case ["set", "Bridge", bridge, kind]:
                self.bridges[bridge] = kind.removeprefix("datapath_type=")
            case ["--may-exist", "add-port", bridge, interface]:
                self.ports[bridge].append(interface)
            case _:
                raise AssertionError(arguments)
        return ""


@pytest.fixture
def switch(monkeypatch: pytest.MonkeyPatch) -> Switch:
    switch = Switch()
    monkeypatch.setattr(open_vswitch, "_run", switch)
    monkeypatch.setattr(open_vswitch, "forbid_own_interface", lambda bridge, connection: None)
    return switch


def test_everything_that_differs_is_changed_and_the_second_run_is_empty(switch: Switch) -> None:
    changes, restart = open_vswitch.converge(WANTED, "", check_mode=False)
    assert changes == [
        "external_ids:ovn-encap-type (unset) -> geneve",
        "external_ids:ovn-remote (unset) -> tcp:192.0.2.11:6642",
        "external_ids:hostname-old x -> (unset)",
        "other_config:userspace-tso-enable (unset) -> true",
        "manager ptcp:6640:127.0.0.1",
        "bridge br-ex (netdev)",
        "bridge br-ex port eth2",
    ]
    assert restart
    assert switch.columns["external_ids"] == {"ovn-encap-type": "geneve", "ovn-remote": "tcp:192.0.2.11:6642"}
    assert switch.ports == {"br-ex": ["eth2"]}
    assert open_vswitch.converge(WANTED, "", check_mode=False) == ([], False)


def test_check_mode_foretells_and_writes_nothing(switch: Switch) -> None:
    foretold, _ = open_vswitch.converge(WANTED, "", check_mode=True)
    assert switch.writes == []
    assert open_vswitch.converge(WANTED, "", check_mode=False)[0] == foretold


def test_only_a_changed_setting_of_the_daemon_asks_for_its_restart(switch: Switch) -> None:
    open_vswitch.converge(WANTED, "", check_mode=False)
    moved = Wanted(external_ids={"ovn-remote": "tcp:192.0.2.12:6642"})
    changes, restart = open_vswitch.converge(moved, "", check_mode=False)
    assert changes == ["external_ids:ovn-remote tcp:192.0.2.11:6642 -> tcp:192.0.2.12:6642"]
    assert not restart


def test_bridge_of_the_wrong_datapath_is_changed_in_place(switch: Switch) -> None:
    switch.bridges, switch.ports = {"br-ex": ""}, {"br-ex": ["eth2"]}
    changes, _ = open_vswitch.converge(Wanted(datapath="netdev", bridges=[Bridge("br-ex", "eth2")]), "", check_mode=False)
    assert changes == ["bridge br-ex datapath system -> netdev"]
    assert switch.bridges == {"br-ex": "netdev"}


@pytest.fixture
def interfaces(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host with eth0 (192.0.2.5, default route) and eth1 (198.51.100.5)."""
    answers = {
        ("address", "eth0"): [{"addr_info": [{"local": "192.0.2.5"}]}],
        ("address", "eth1"): [{"addr_info": [{"local": "198.51.100.5"}]}],
        ("route", "default"): [{"dev": "eth0"}],
    }

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 0, json.dumps(answers[command[2], command[-1]]), "")

    monkeypatch.setattr("subprocess.run", run)
    monkeypatch.setattr("os.path.exists", lambda path: Path(path).name in ("eth0", "eth1"))


@pytest.mark.usefixtures("interfaces")
@pytest.mark.parametrize(
    ("interface", "connection", "wrong"),
    [
        ("eth0", "192.0.2.5", "carries 192.0.2.5, by which this host is managed"),
        ("eth0", "203.0.113.1", "carries this host's default route"),
        ("eth7", "192.0.2.5", "interface eth7 does not exist on this host"),
    ],
)
def test_interface_that_the_host_needs_is_refused(interface: str, connection: str, wrong: str) -> None:
    with pytest.raises(SwitchError, match=wrong):
        open_vswitch.forbid_own_interface(Bridge("br-ex", interface), connection)


@pytest.mark.usefixtures("interfaces")
def test_free_interface_is_taken() -> None:
    open_vswitch.forbid_own_interface(Bridge("br-ex", "eth1"), "192.0.2.5")
    open_vswitch.forbid_own_interface(Bridge("br-int"), "192.0.2.5")
