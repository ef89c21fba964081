"""The playbook itself, as an operator runs it, with an `ssh` that writes down every attempt to reach a host."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import cloudcase
import pytest

TIMED_OUT = "ssh: connect to host somewhere port 22: Connection timed out"


@dataclass
class Run:
    """How a run of the playbook ended. `calls` are the command lines that the stand-in for ssh was given."""

    code: int
    output: str
    calls: list[str]


class Operator:
    """Runs the playbook with a key for the vault and an ssh that reaches nobody."""

    def __init__(self, directory: Path) -> None:
        self.calls = directory / "calls"
        self.ssh = directory / "ssh"
        self.ssh.write_text(
            f'#!/bin/sh\necho "$@" >> {self.calls}\necho "{TIMED_OUT}" >&2\nexit 255\n', encoding="utf-8"
        )
        self.ssh.chmod(0o755)
        self.key = directory / "key"
        self.key.write_bytes(cloudcase.KEY)
        self.key.chmod(0o600)

    def run(self, source: Path, *arguments: str) -> Run:
        """`ansible-playbook playbooks/preflight.yml -i <source>`, in the checkout, without the caller's settings."""
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "STACKWRIGHT_"))
        }
        environment |= {
            "STACKWRIGHT_VAULT_KEY_FILE": str(self.key),
            "ANSIBLE_SSH_EXECUTABLE": str(self.ssh),
            "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
            "ANSIBLE_CACHE_PLUGIN": "ansible.builtin.memory",
            "LC_ALL": "C.UTF-8",
            "COLUMNS": "200",
        }
        playbook = Path(sys.executable).with_name("ansible-playbook")
        done = subprocess.run(
            [playbook, "playbooks/preflight.yml", "-i", str(source), *arguments],
            cwd=cloudcase.CHECKOUT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        calls = self.calls.read_text(encoding="utf-8").splitlines() if self.calls.exists() else []
        return Run(done.returncode, done.stdout + done.stderr, calls)


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator(tmp_path)


@pytest.mark.parametrize("name", ["controllers_even", "no_host_at_all", "secret_well_known", "variable_misspelt"])
def test_bad_inventory_stops_the_run_before_any_connection(name: str, operator: Operator, tmp_path: Path) -> None:
    case = cloudcase.cases()[name]
    run = operator.run(cloudcase.write(case, tmp_path / "inventory"))
    assert run.code == 2
    assert "No host was touched." in run.output
    for _host, variable, wrong, mend in case["expect"]:
        assert f"{variable}: " in run.output
        assert wrong in run.output
        assert mend in run.output
    assert run.calls == []


def test_all_problems_are_in_one_report(operator: Operator, tmp_path: Path) -> None:
    case = {
        "inventory": {
            "all": {
                "vars": {"nova_cpu_alocation_ratio": 2, "stackwright_region": "North 1"},
                "children": {
                    "controller": {"hosts": {"controller3": None}},
                    "compute": {"hosts": {"compute2": {"ovn_tunnel_address": "10.9.1.21"}}},
                },
            }
        },
        "secrets": {"keystone_admin": "changeme"},
    }
    run = operator.run(cloudcase.write(case, tmp_path / "inventory"))
    assert "Preflight found 12 problems in the inventory. No host was touched." in run.output
    assert run.calls == []
    assert "changeme" not in run.output


def test_limit_does_not_hide_problems_of_other_hosts(operator: Operator, tmp_path: Path) -> None:
    case = cloudcase.cases()["tunnel_address_malformed"]
    run = operator.run(cloudcase.write(case, tmp_path / "inventory"), "--limit", "controller1")
    assert run.code == 2
    assert "'eth1' is not an IP address" in run.output
    assert run.calls == []


def test_role_arguments_are_part_of_the_report(operator: Operator, tmp_path: Path) -> None:
    """Ansible's own validation would stop at the first role with a message of its own."""
    run = operator.run(cloudcase.write(cloudcase.cases()["choice_unknown"], tmp_path / "inventory"))
    assert run.code == 2
    assert "'everything' is not one of deploy, inventory" in run.output
    assert run.calls == []


def test_sound_inventory_leads_to_all_hosts_and_unreachable_ones_are_one_report(
    operator: Operator, tmp_path: Path
) -> None:
    run = operator.run(cloudcase.write({}, tmp_path / "inventory"))
    assert run.code == 2
    assert "Preflight found 5 problems. Nothing was changed." in run.output
    assert f"ansible_host: the machine does not answer: {TIMED_OUT}" in run.output
    for address in ("10.9.0.11", "10.9.0.12", "10.9.0.13", "10.9.0.21", "10.9.0.22"):
        assert any(address in call for call in run.calls), f"{address} was never tried"


def test_what_the_probe_sees_is_judged_host_by_host(operator: Operator, tmp_path: Path) -> None:
    """The machine of the tests stands in for all hosts, which it cannot satisfy."""
    local = {
        "ansible_connection": "local",
        "ansible_become": False,
        "ansible_python_interpreter": sys.executable,
        "preflight_memory_minimum_mb": 10**9,
        "preflight_check_mirror": False,
        "preflight_peers": [],
    }
    run = operator.run(cloudcase.write({"inventory": {"all": {"vars": local}}}, tmp_path / "inventory"))
    assert run.code == 2
    assert "MB of memory, 1000000000 MB are wanted" in run.output
    assert "this host does not have the address 10.9.0.11, only" in run.output
    assert "this host does not have the address 10.9.1.22, only" in run.output
    assert "this machine calls itself " in run.output
    assert "clock" not in run.output
    assert run.calls == []


def test_inventory_alone_is_checked_without_secrets_and_connections(operator: Operator, tmp_path: Path) -> None:
    source = cloudcase.write({"secrets": "none"}, tmp_path / "inventory")
    run = operator.run(source, "-e", "preflight_scope=inventory")
    assert run.code == 0, run.output
    assert run.calls == []


@pytest.mark.parametrize("name", ["small", "ha"])
def test_example_inventories_are_sound(name: str, operator: Operator) -> None:
    source = cloudcase.CHECKOUT / "inventories" / name
    run = operator.run(source, "-e", "preflight_scope=inventory")
    assert run.code == 0, run.output
    assert run.calls == []


@pytest.mark.parametrize("name", ["small", "ha"])
def test_example_inventories_are_refused_until_they_are_filled_in(name: str) -> None:
    problems = cloudcase.examine(cloudcase.CHECKOUT / "inventories" / name)
    assert {"there are no secrets yet"} == {one.cause for one in problems if one.variable == "stackwright_secrets"}
    rest = [one for one in problems if one.variable != "stackwright_secrets"]
    groups = {one.variable: one.cause for one in rest if one.host == "inventory"}
    alone = groups.pop("controller", "")
    assert ("keystone" in alone.partition("can run on several yet: ")[2].split(", ")) == (name == "ha")
    assert not groups
    placeholders = [one for one in rest if one.host != "inventory"]
    assert placeholders
    assert all("placeholder" in one.cause for one in placeholders)
