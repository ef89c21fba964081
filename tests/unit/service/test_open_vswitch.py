"""Open vSwitch is brought to what is wanted with the fewest commands, and no interface in use is taken."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.service import open_vswitch
from ansible_collections.stackwright.cloud.plugins.module_utils.service.open_vswitch import Bridge, SwitchError, Wanted
from ansible_collections.stackwright.cloud.plugins.modules import open_vswitch as module
from ansible_collections.stackwright.cloud.tests.stand_ins import Call, Said, StandIns

Run = Callable[..., dict[str, Any]]

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
        self.marks: set[str] = set()
        self.bridges: dict[str, str] = {}
        self.ports: dict[str, list[str]] = {}
        self.writes: list[list[str]] = []
        self.refuses: dict[str, str] = {}

    def mark(self, name: str) -> list[Any]:
        return ["map", [["stackwright", "true"]] if name in self.marks else []]

    def __call__(self, arguments: list[str]) -> str:
        if arguments[0] == "--format=json":
            names = arguments[1].removeprefix("--columns=").split(",")
            rows: dict[str, list[list[Any]]] = {
                "Open_vSwitch": [[["map", [list(pair) for pair in self.columns[name].items()]] for name in names]]
                if arguments[3] == "Open_vSwitch"
                else [],
                "Manager": [[target] for target in self.managers],
                "Bridge": [[name, kind, self.mark(name)] for name, kind in self.bridges.items()],
                "Port": [[port, self.mark(port)] for ports in self.ports.values() for port in ports],
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
            case ["set-manager", *targets]:
                self.managers = targets
            case ["del-manager"]:
                self.managers = []
            case ["--may-exist", "add-br", bridge, "--", "set", "Bridge", _, kind, "external_ids:stackwright=true"]:
                self.bridges[bridge], self.ports[bridge] = kind.removeprefix("datapath_type="), []
                self.marks.add(bridge)
            case ["--if-exists", "del-br", bridge]:
                del self.bridges[bridge], self.ports[bridge]
            case ["--if-exists", "del-port", bridge, interface]:
                self.ports[bridge].remove(interface)
            case ["set", "Bridge" | "Port", name, "external_ids:stackwright=true"]:
                self.marks.add(name)
            case ["set", "Bridge", bridge, kind]:
                self.bridges[bridge] = kind.removeprefix("datapath_type=")
            case [
                "--may-exist",
                "add-port",
                bridge,
                interface,
                "--",
                "set",
                "Port",
                _,
                "external_ids:stackwright=true",
            ]:
                assert not any(interface in ports for ports in self.ports.values())
                self.ports[bridge].append(interface)
                self.marks.add(interface)
            case _:
                raise AssertionError(arguments)
        return ""


@pytest.fixture
def switch(monkeypatch: pytest.MonkeyPatch, stand_ins: StandIns, systemd: Any) -> Switch:
    """A switch behind its program; a command that it ``refuses`` is answered with an error."""
    switch = Switch()

    def control(call: Call) -> Said:
        assert call.words[0] == "--timeout=20"
        told = next((text for words, text in switch.refuses.items() if " ".join(call.words[1:]).startswith(words)), "")
        return Said(status=1, errors=f"ovs-vsctl: {told}\n") if told else Said(switch(call.words[1:]))

    monkeypatch.setattr(open_vswitch, "CONTROL", stand_ins.add("ovs-vsctl", control))
    systemd.put("openvswitch-switch.service", "active", "enabled")
    monkeypatch.setattr(open_vswitch, "forbid_own_interface", lambda bridge, needed: None)
    return switch


def test_everything_that_differs_is_changed_and_the_second_run_is_empty(switch: Switch) -> None:
    changes, restart = open_vswitch.converge(WANTED, (), check_mode=False)
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
    assert open_vswitch.converge(WANTED, (), check_mode=False) == ([], False)


@pytest.mark.parametrize("others", [[], ["ssl:192.0.2.9:6640"]])
def test_port_on_which_every_account_gets_in_is_closed_and_others_managers_stay(
    switch: Switch, others: list[str]
) -> None:
    switch.managers = ["ptcp:6640:127.0.0.1", *others]
    wanted = Wanted(forbidden_managers=["ptcp", "pssl"])
    assert open_vswitch.converge(wanted, (), check_mode=True)[0] == ["manager ptcp:6640:127.0.0.1 removed"]
    open_vswitch.converge(wanted, (), check_mode=False)
    assert switch.managers == others
    assert open_vswitch.converge(wanted, (), check_mode=False) == ([], False)


def test_check_mode_foretells_and_writes_nothing(switch: Switch) -> None:
    foretold, _ = open_vswitch.converge(WANTED, (), check_mode=True)
    assert switch.writes == []
    assert open_vswitch.converge(WANTED, (), check_mode=False)[0] == foretold


def test_only_a_changed_setting_of_the_daemon_asks_for_its_restart(switch: Switch) -> None:
    open_vswitch.converge(WANTED, (), check_mode=False)
    moved = Wanted(external_ids={"ovn-remote": "tcp:192.0.2.12:6642"}, datapath="netdev", bridges=WANTED.bridges)
    changes, restart = open_vswitch.converge(moved, (), check_mode=False)
    assert changes == ["external_ids:ovn-remote tcp:192.0.2.11:6642 -> tcp:192.0.2.12:6642"]
    assert not restart


def test_bridge_of_the_wrong_datapath_is_changed_in_place(switch: Switch) -> None:
    switch.bridges, switch.ports, switch.marks = {"br-ex": ""}, {"br-ex": ["eth2"]}, {"br-ex", "eth2"}
    changes, _ = open_vswitch.converge(
        Wanted(datapath="netdev", bridges=[Bridge("br-ex", "eth2")]), (), check_mode=False
    )
    assert changes == ["bridge br-ex datapath system -> netdev"]
    assert switch.bridges == {"br-ex": "netdev"}


def test_every_mapped_bridge_is_made_and_what_is_no_longer_mapped_is_removed(switch: Switch) -> None:
    two = Wanted(bridges=[Bridge("br-ex", "eth2"), Bridge("br-prov", "bond0.100")])
    assert open_vswitch.converge(two, (), check_mode=False)[0] == [
        "bridge br-ex (system)", "bridge br-ex port eth2", "bridge br-prov (system)", "bridge br-prov port bond0.100",
    ]  # fmt: skip
    assert switch.ports == {"br-ex": ["eth2"], "br-prov": ["bond0.100"]}
    # OVN's own bridge and the ports that it adds are nobody's here
    switch.bridges["br-int"], switch.ports["br-int"] = "system", []
    switch.ports["br-ex"].append("patch-br-ex-to-br-int")
    one = Wanted(bridges=[Bridge("br-ex", "bond0.100")])
    foretold = open_vswitch.converge(one, (), check_mode=True)[0]
    assert open_vswitch.converge(one, (), check_mode=False)[0] == foretold == [
        "bridge br-prov removed", "bridge br-ex port eth2 removed", "bridge br-ex port bond0.100",
    ]  # fmt: skip
    assert switch.ports == {"br-ex": ["patch-br-ex-to-br-int", "bond0.100"], "br-int": []}
    assert open_vswitch.converge(one, (), check_mode=False) == ([], False)
    assert open_vswitch.converge(Wanted(), (), check_mode=False)[0] == ["bridge br-ex removed"]


def test_bridge_that_an_earlier_release_made_is_marked_once(switch: Switch) -> None:
    switch.bridges, switch.ports = {"br-ex": ""}, {"br-ex": ["eth2"]}
    wanted = Wanted(bridges=[Bridge("br-ex", "eth2")])
    assert open_vswitch.converge(wanted, (), check_mode=False)[0] == [
        "bridge br-ex marked as ours",
        "bridge br-ex port eth2 marked as ours",
    ]
    assert open_vswitch.converge(wanted, (), check_mode=False) == ([], False)


GIVEN = {
    "external_ids": {"ovn-remote": "tcp:192.0.2.11:6642"},
    "other_config": {"n-handler-threads": 2},
    "datapath": "netdev",
}


def test_daemon_restarts_for_its_own_settings_only_once(switch: Switch, run_module: Run, stand_ins: StandIns) -> None:
    answer = run_module(module, **GIVEN)
    assert answer["changes"] == [
        "external_ids:ovn-remote (unset) -> tcp:192.0.2.11:6642", "other_config:n-handler-threads (unset) -> 2",
    ]  # fmt: skip
    assert stand_ins.lines("systemctl")[1:] == ["systemctl restart openvswitch-switch"]
    assert not run_module(module, **GIVEN)["changed"]
    assert len([line for line in stand_ins.lines("systemctl") if " restart " in line]) == 1


def test_switch_that_does_not_run_is_started_or_foretold(switch: Switch, run_module: Run, systemd: Any) -> None:
    systemd.units["openvswitch-switch.service"]["ActiveState"] = "inactive"
    assert run_module(module, check=True, **GIVEN)["changes"] == ["start openvswitch-switch"]
    assert switch.writes == []
    assert len(run_module(module, **GIVEN)["changes"]) == 2
    assert systemd.units["openvswitch-switch.service"]["ActiveState"] == "active"


def test_daemon_that_does_not_restart_is_a_failure(switch: Switch, run_module: Run, systemd: Any) -> None:
    systemd.refuses["restart", "openvswitch-switch.service"] = "Job for openvswitch-switch.service failed"
    assert "systemctl restart openvswitch-switch failed: Job for" in run_module(module, **GIVEN)["msg"]


def test_host_whose_packages_are_still_to_come_is_foretold_in_a_word(
    run_module: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(open_vswitch, "CONTROL", str(tmp_path / "none"))
    assert run_module(module, check=True, **GIVEN)["changes"] == ["everything, once Open vSwitch is installed"]


def test_what_the_switch_refuses_is_told_with_the_command(switch: Switch, run_module: Run) -> None:
    switch.refuses["set Open_vSwitch . external_ids"] = "constraint violation"
    answer = run_module(module, **GIVEN)
    assert answer["msg"] == (
        'Open vSwitch could not be set up: ovs-vsctl set Open_vSwitch . external_ids:ovn-remote="tcp:192.0.2.11:6642": '
        "ovs-vsctl: constraint violation"
    )
    assert "journalctl -u openvswitch-switch" in answer["hint"]


def test_systemd_that_does_not_answer_is_told(switch: Switch, run_module: Run, systemd: Any) -> None:
    systemd.dead = "Failed to connect to bus: Host is down"
    assert "Failed to connect to bus" in run_module(module, **GIVEN)["msg"]


def test_database_that_knows_no_settings_has_all_of_them_to_come(switch: Switch) -> None:
    # what OVSDB prints for a column without a map
    assert open_vswitch._map("") == {}
    assert open_vswitch._map(["map", [["a", 1]]]) == {"a": "1"}


@pytest.fixture
def interfaces(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host with eth0 (192.0.2.5, default route) and eth1 (198.51.100.5)."""
    answers = {
        ("address", "eth0"): [{"addr_info": [{"local": "192.0.2.5"}]}],
        ("address", "eth1"): [{"addr_info": [{"local": "198.51.100.5"}]}],
        ("route", "default"): [{"dev": "eth0"}],
    }

    def run(command: list[str], seconds: float) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 0, json.dumps(answers[command[2], command[-1]]), "")

    monkeypatch.setattr(open_vswitch.programs, "run", run)
    monkeypatch.setattr("os.path.exists", lambda path: Path(path).name in ("eth0", "eth1"))


@pytest.mark.usefixtures("interfaces")
@pytest.mark.parametrize(
    ("interface", "connection", "wrong"),
    [
        ("eth0", "192.0.2.5", "carries 192.0.2.5, by which this host is reached"),
        ("eth0", "203.0.113.1", "carries this host's default route"),
        ("eth7", "192.0.2.5", "interface eth7 does not exist on this host"),
    ],
)
def test_interface_that_the_host_needs_is_refused(interface: str, connection: str, wrong: str) -> None:
    with pytest.raises(SwitchError, match=wrong):
        open_vswitch.forbid_own_interface(Bridge("br-ex", interface), [connection, "203.0.113.9"])


@pytest.mark.usefixtures("interfaces")
def test_free_interface_is_taken() -> None:
    open_vswitch.forbid_own_interface(Bridge("br-ex", "eth1"), ["192.0.2.5"])
    open_vswitch.forbid_own_interface(Bridge("br-int"), ["192.0.2.5"])
    # the bridge takes the address over
    open_vswitch.forbid_own_interface(Bridge("br-tunnel", "eth1", "198.51.100.5/24"), ["192.0.2.5", "198.51.100.5"])
