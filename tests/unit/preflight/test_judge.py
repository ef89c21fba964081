"""What the judge makes of a host. The fit host has no problem; each test changes one thing."""

from __future__ import annotations

import copy
from typing import Any

import cloudcase
import pytest
import yaml
from ansible_collections.stackwright.cloud.plugins.module_utils.common.problem import Problem
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight import judge
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.problem import problem_of

NO_ROUTE = {"reason": "no route to host", "refused": False}
REFUSED = {"reason": "said nothing of the kind", "refused": True}
EXPECTED: dict[str, Any] = {
    "name": "controller1",
    "services": True,
    "listeners": [
        {"service": "MariaDB", "address": "10.0.0.11", "port": 3306, "unit": "mariadb"},
        {"service": "Keystone", "address": "10.0.0.11", "port": 5000, "unit": "keystone"},
    ],
    "units": ["keystone", "mariadb"],
    "addresses": [["stackwright_management_address", "10.0.0.11"]],
    "interfaces": [["ovn_external_interface", "eth1", ""]],
    "needed": [
        ["ansible_host", "10.0.0.11"],
        ["stackwright_management_address", "10.0.0.11"],
        ["ovn_tunnel_address", "10.0.1.11"],
    ],
    "names": [["stackwright_internal_address", "api.example.org"]],
    "others": {},
    "peers": [{"host": "controller2", "address": "10.0.0.12", "port": 22, "assumed": False}],
    "sources": [],
    "hypervisor": False,
    "shared_address": False,
    "filter": True,
    "distribution": "debian",
    "versions": ["13"],
    "memory_mb": 8000,
    "disk_mb": 20000,
    "disk_reserve_mb": 2000,
    "clock_skew_seconds": 5,
    "check_mirror": True,
    "timeout_seconds": 5,
}
SEEN: dict[str, Any] = {
    "user": 0,
    "hostname": "controller1",
    "python": "3.13",
    "init": "systemd",
    "os": {"ID": "debian", "VERSION_ID": "13", "PRETTY_NAME": "Debian GNU/Linux 13 (trixie)"},
    "memory_mb": 16000,
    "disk_free_mb": 50000,
    "interfaces": ["eth0", "eth1", "lo"],
    "addresses": ["10.0.0.11", "127.0.0.1", "::1"],
    "carried": [["eth0", "10.0.0.11"], ["lo", "127.0.0.1"]],
    "default_routes": ["eth0"],
    "listeners": [],
    "installed_units": [],
    "others": {},
    "kvm": True,
    "hosts_rewritten": "",
    "modules": {"openvswitch": True, "geneve": True},
    "peers": [{"reason": "", "refused": False}],
    "mirrors": {"http://mirror/debian/dists/trixie/InRelease": {"reason": "", "answered": True}},
    "names": {"controller1": True, "api.example.org": True},
    "time": 1000.5,
}


def problems(seen: dict[str, Any] | None = None, expected: dict[str, Any] | None = None) -> list[Problem]:
    """The judgement of the fit host with changes; the probe was asked at 1000 and answered at 1002."""
    return judge.judge("controller1", EXPECTED | (expected or {}), copy.deepcopy(SEEN) | (seen or {}), 1000.0, 1002.0)


def only(seen: dict[str, Any] | None = None, expected: dict[str, Any] | None = None) -> Problem:
    """The single problem that there must be."""
    (problem,) = problems(seen, expected)
    assert problem.host == "controller1"
    return problem


def test_fit_host_has_no_problem() -> None:
    assert problems() == []


@pytest.mark.parametrize(
    ("seen", "variable", "wrong"),
    [
        (
            {"os": {"ID": "debian", "VERSION_ID": "12", "PRETTY_NAME": "Debian GNU/Linux 12 (bookworm)"}},
            "preflight_distribution",
            "this host runs Debian GNU/Linux 12 (bookworm)",
        ),
        (
            {"os": {"ID": "ubuntu", "VERSION_ID": "24.04", "PRETTY_NAME": "Ubuntu 24.04 LTS"}},
            "preflight_distribution",
            "this host runs Ubuntu 24.04 LTS",
        ),
        ({"init": "sh"}, "init", "process 1 is sh, not systemd"),
        ({"user": 1000}, "ansible_become", "sudo does not lead to root"),
        ({"python": "3.9"}, "ansible_python_interpreter", "this is Python 3.9"),
        ({"memory_mb": 7999}, "preflight_memory_minimum_mb", "7999 MB of memory, 8000 MB are wanted"),
        ({"disk_free_mb": 19999}, "preflight_disk_minimum_mb", "/var has 19999 MB free, 20000 MB are wanted"),
        ({"addresses": ["10.0.0.99", "127.0.0.1"]}, "stackwright_management_address", "10.0.0.11, only 10.0.0.99"),
        ({"interfaces": ["eth0", "lo"]}, "ovn_external_interface", "no interface 'eth1', only eth0"),
        (
            {"names": {"controller1": True, "api.example.org": False}},
            "stackwright_internal_address",
            "'api.example.org' does not resolve",
        ),
        (
            {"peers": [NO_ROUTE]},
            "preflight_peers",
            "controller2 cannot be reached from here: 10.0.0.12 port 22: no route",
        ),
        (
            {
                "mirrors": {
                    "http://mirror/debian/dists/trixie/InRelease": {"reason": "connection refused", "answered": False}
                }
            },
            "base_apt_sources",
            "the package source http://mirror does not answer this host: connection refused",
        ),
        (
            {
                "mirrors": {
                    "http://mirror/debian/dists/trixie/InRelease": {"reason": "HTTP status 404", "answered": True}
                }
            },
            "base_apt_sources",
            "http://mirror/debian/dists/trixie/InRelease does not answer this host: HTTP status 404",
        ),
        ({"mirrors": {}}, "base_apt_sources", "no package source"),
        ({"time": 990.0}, "preflight_clock_skew_seconds", "10 seconds behind the control node's"),
        ({"time": 1002.0 + 7200}, "preflight_clock_skew_seconds", "2 hours ahead of the control node's"),
    ],
)
def test_unfit_host_has_the_problem(seen: dict[str, Any], variable: str, wrong: str) -> None:
    problem = only(seen)
    assert problem.variable == variable
    assert wrong in problem.cause
    assert problem.mend


def test_slow_connection_is_no_clock_skew() -> None:
    seen = copy.deepcopy(SEEN) | {"time": 1030.0}
    assert judge.judge("controller1", EXPECTED, seen, 1000.0, 1060.0) == []


def listener(**changes: Any) -> dict[str, Any]:
    return {"address": "10.0.0.11", "port": 3306, "process": "mysqld", "unit": "mysql"} | changes


def test_port_of_a_foreign_process_is_taken() -> None:
    problem = only({"listeners": [listener()]})
    assert "MariaDB needs port 3306, which mysqld (unit mysql) holds on 10.0.0.11" in problem.cause
    assert "systemctl disable --now mysql" in problem.mend


@pytest.mark.parametrize("address", ["0.0.0.0", "::"])
def test_port_on_every_address_is_taken_too(address: str) -> None:
    assert "holds on" in only({"listeners": [listener(address=address)]}).cause


def test_port_on_another_address_is_free() -> None:
    assert problems({"listeners": [listener(address="127.0.0.1")]}) == []


def test_port_held_by_the_service_itself_is_fine() -> None:
    assert problems({"listeners": [listener(process="mariadbd", unit="mariadb")], "installed_units": ["mariadb"]}) == []


def test_deployed_host_needs_less_room() -> None:
    assert problems({"disk_free_mb": 3000, "installed_units": ["mariadb"]}) == []
    assert only({"disk_free_mb": 1000, "installed_units": ["mariadb"]}).variable == "preflight_disk_reserve_mb"


def test_mirror_may_be_down_when_everything_is_installed() -> None:
    down = {
        "mirrors": {
            "http://mirror/debian/dists/trixie/InRelease": {"reason": "no answer within 5 seconds", "answered": False}
        }
    }
    assert problems(down | {"installed_units": ["keystone", "mariadb"]}) == []
    assert only(down | {"installed_units": ["mariadb"]}).variable == "base_apt_sources"


def test_mirror_is_not_asked_when_switched_off() -> None:
    assert judge.wanted(EXPECTED)["mirror"] is True
    assert judge.wanted(EXPECTED | {"check_mirror": False})["mirror"] is False
    assert problems({"mirrors": {}}, {"check_mirror": False}) == []


@pytest.mark.parametrize("own", ["controller1.example.org", "Controller1", "ctl01", "debian"])
def test_machine_that_calls_itself_otherwise_is_told_before_anything_changes(own: str) -> None:
    problem = only({"hostname": own})
    assert problem.variable == "inventory_hostname"
    assert problem.cause == f"this machine calls itself {own!r}, not 'controller1'"
    assert problem.mend == f"Run on it: hostnamectl hostname controller1; or call it {own!r} in the inventory."


def test_machine_that_was_renamed_behind_the_cloud_is_not_renamed_again_unasked() -> None:
    problem = only({"hostname": "ctl01", "installed_units": ["keystone"]})
    assert "give it its name back and reboot it: hostnamectl hostname controller1" in problem.mend
    assert "call it so in the inventory: Nova refuses to start under another name" in problem.mend


def test_name_of_a_host_without_roles_is_its_own_affair() -> None:
    assert problems({"hostname": "anything"}, {"name": ""}) == []


@pytest.mark.parametrize(
    ("expected", "seen", "wrong"),
    [
        (
            {"interfaces": [["ovn_bridge_interfaces", "eth0", ""]]},
            {"default_routes": []},
            "carries 10.0.0.11, this host's ansible_host",
        ),
        ({}, {"carried": [["eth1", "10.0.1.11"]]}, "carries 10.0.1.11, this host's ovn_tunnel_address"),
        ({}, {"default_routes": ["eth1"]}, "'eth1' carries this host's default route"),
    ],
)
def test_interface_that_the_host_needs_is_refused(expected: dict[str, Any], seen: dict[str, Any], wrong: str) -> None:
    assert wrong in only(seen, expected).cause


def test_bridge_of_the_tunnels_takes_its_address_over() -> None:
    tunnel = {"interfaces": [["ovn_tunnel_interface", "eth1", "10.0.1.11"]]}
    assert problems({"carried": [["eth1", "10.0.1.11"]]}, tunnel) == []


def test_peer_behind_a_forwarded_port_is_reached_by_any_answer() -> None:
    peer = {"host": "controller2", "address": "10.0.0.12", "port": 22}
    assert problems({"peers": [REFUSED]}, {"peers": [peer | {"assumed": True}]}) == []
    assert only({"peers": [REFUSED]}, {"peers": [peer | {"assumed": False}]}).variable == judge.PEERS
    assert only({"peers": [NO_ROUTE]}, {"peers": [peer | {"assumed": True}]}).variable == judge.PEERS


def test_dead_host_is_reported_once() -> None:
    dead = problem_of("controller2", "ansible_host", "the machine does not answer", "Switch it on.")
    echo = only({"peers": [NO_ROUTE]})
    assert judge.without_echoes([echo, dead]) == [dead]
    assert judge.without_echoes([echo]) == [echo]


def test_notes_tell_of_a_hosts_file_that_does_not_last() -> None:
    (note,) = judge.notes(EXPECTED, SEEN | {"hosts_rewritten": "/etc/cloud/cloud.cfg"})
    assert note.endswith("set manage_etc_hosts: false (/etc/cloud/cloud.cfg)")


def test_note_of_several_hosts_is_told_once() -> None:
    assert judge.gathered({"compute1": ["no KVM here", "slow"], "compute2": ["no KVM here"], "controller1": []}) == [
        "compute1, compute2: no KVM here",
        "compute1: slow",
    ]


def test_note_reaches_the_screen() -> None:
    tasks = yaml.safe_load((cloudcase.ROLES / "preflight" / "tasks" / "main.yml").read_text())
    (told,) = [task["ansible.builtin.debug"]["msg"] for task in tasks if "ansible.builtin.debug" in task]
    assert told == "{{ __preflight_report.told }}"


@pytest.mark.parametrize(
    ("filtered", "said"),
    [(True, "the packet filter lets them to the APIs alone"), (False, "every port is open to them")],
)
def test_notes_tell_that_users_come_in_on_the_management_address(filtered: bool, said: str) -> None:
    (note,) = judge.notes(EXPECTED | {"shared_address": True, "filter": filtered}, SEEN)
    assert note.startswith("users come in on the management address; ") and said in note


def test_notes_tell_of_slow_guests() -> None:
    assert judge.notes(EXPECTED | {"hypervisor": True}, SEEN | {"kvm": False}) == [
        "no KVM here: guests run emulated, slowly"
    ]
    assert judge.notes(EXPECTED, SEEN | {"kvm": False}) == []


def test_notes_name_mirrors_whose_key_is_not_named() -> None:
    sources = [
        "deb http://mirror.debian.org/debian trixie main",
        "deb https://mirror.example/debian trixie main",
        "deb [arch=amd64] https://mirror.example/debian trixie-updates main",
        "deb [signed-by=/etc/apt/keyrings/site.asc] https://packages.example/site trixie main",
        "deb http://notdebian.org/debian trixie main",
    ]
    told = judge.notes(EXPECTED | {"sources": sources}, SEEN)
    assert [line.split()[2] for line in told] == ["mirror.example", "notdebian.org"]


def test_a_service_that_nothing_lists_is_named_and_stops_nothing() -> None:
    seen = SEEN | {"others": {"horizon.horizon": ["apache2"]}}
    told = (
        "horizon.horizon runs here (apache2), though nothing lists it for this host: list it again, or with "
        "state: absent"
    )
    assert judge.notes(EXPECTED, seen) == [told]


def test_a_host_that_trusts_none_of_the_inventorys_authorities_is_told() -> None:
    problem = only({"authorities": ["former"]}, {"authorities": ["new"]})
    assert "this host trusts another authority than the inventory's: its key was lost" in str(problem)
    # while an authority is replaced a host may not know the second one yet
    for trusted, known in ((["former"], ["former", "new"]), ([], ["new"]), (["former"], [])):
        assert problems({"authorities": trusted}, {"authorities": known}) == []


VIRTUAL = {
    "addresses": {"10.0.0.10": "stackwright_internal_address"},
    "routers": [51],
    "own": "10.0.0.11",
    "members": ["10.0.0.11", "10.0.0.12"],
}


@pytest.mark.parametrize(
    ("heard", "faults"),
    [
        ({}, []),
        ({"answers": {"10.0.0.10": ["02:02"], "10.0.0.12": ["02:02"]}, "routers": {"51": ["10.0.0.12"]}}, []),
        ({"answers": {"10.0.0.10": ["02:99"], "10.0.0.12": ["02:02"]}}, ["is answered already by 02:99"]),
        ({"networks": ["10.0.1.11/24"]}, ["10.0.0.10 lies outside of 10.0.1.0/24"]),
        ({"routers": {"51": ["10.0.0.77"], "52": ["10.0.0.78"]}}, ["virtual router 51 is in use"]),
        (
            {"networks": ["10.0.1.11/24"], "answers": {"10.0.0.10": ["02:99"]}, "routers": {"51": ["10.0.0.77"]}},
            ["lies outside", "is answered already", "is in use"],
        ),
    ],
)
def test_what_load_balancers_are_to_carry_nobody_else_has(heard: dict[str, Any], faults: list[str]) -> None:
    seen = {"virtual": {"networks": ["10.0.0.11/24"], "answers": {}, "routers": {}} | heard}
    told = [wrong for _, wrong, _ in judge._virtual({"virtual": VIRTUAL}, seen)]
    assert len(told) == len(faults)
    assert all(words in wrong for words, wrong in zip(faults, told, strict=True))
    assert list(judge._virtual({"virtual": {}}, seen)) == []
