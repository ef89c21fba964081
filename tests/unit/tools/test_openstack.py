"""The client reaches the controller as Ansible does, and asks the address that the services themselves use."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from ansible_collections.stackwright.cloud.tests import programs
from ansible_collections.stackwright.cloud.tests.stand_ins import Call, Said, StandIns

CHECKOUT = Path(__file__).resolve().parents[3]
TOOL = CHECKOUT / "tools" / "openstack"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    return programs.tool("openstack")


def test_way_of_ssh_is_that_of_the_inventory(tool: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    wanted = {
        "arguments": " -o ProxyJump=bastion -o 'User Name=x' ",
        "port": 52222,
        "key": "~/.ssh/cloud",
        "user": "debian",
        "host": "127.0.0.1",
    }
    assert tool.ssh_command(wanted) == [
        "ssh",
        "-o",
        "ConnectTimeout=10",
        "-o",
        "ProxyJump=bastion",
        "-o",
        "User Name=x",
        "-p",
        "52222",
        "-i",
        "/home/me/.ssh/cloud",
        "debian@127.0.0.1",
    ]
    assert tool.ssh_command({"arguments": "", "port": "", "key": "", "user": "", "host": "ctl"})[-1] == "ctl"


def inventory(directory: Path, **variables: Any) -> Path:
    source = directory / "hosts.yml"
    source.write_text(
        yaml.safe_dump({"all": {"vars": variables, "children": {"controller": {"hosts": {"ctl1": {}, "ctl2": {}}}}}})
    )
    return source


def call(source: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "STACKWRIGHT_INVENTORY": str(source), "ANSIBLE_LOG_PATH": str(source.parent / "log")}
    return subprocess.run(
        [sys.executable, str(TOOL), *words],
        env=environment,
        input="",
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_address_of_the_apis_is_not_that_of_ssh_and_templates_are_worked_out(
    tmp_path: Path, stand_ins: StandIns
) -> None:
    seen: list[Call] = []

    def ssh(call: Call) -> Said:
        seen.append(call)
        return Said("a token\n")

    stand_ins.add("ssh", ssh)
    source = inventory(
        tmp_path,
        ansible_host="127.0.0.1",
        ansible_port=52222,
        site_address="10.151.10.11",
        stackwright_management_address="{{ site_address }}",
        stackwright_secrets={"keystone_admin": "jH6tRw2kLq9xZp4v"},
    )
    done = call(source, "token", "issue", "--fit-width")
    assert done.returncode == 0, done.stderr
    (one,) = seen
    assert one.words[:4] == ["-o", "ConnectTimeout=10", "-p", "52222"] and one.words[-2] == "127.0.0.1"
    assert "OS_AUTH_URL=https://10.151.10.11:5000/v3" in one.words[-1]
    assert "OS_CACERT=/etc/ssl/stackwright/ca.pem" in one.words[-1]
    assert "'no_proxy=*'" in one.words[-1] and one.words[-1].endswith("openstack token issue --fit-width")
    # the password goes by standard input alone
    assert one.given == "jH6tRw2kLq9xZp4v\n"
    assert "jH6tRw2kLq9xZp4v" not in " ".join(one.words) + done.stdout + done.stderr
    assert not (tmp_path / "log").exists()


def test_inventory_without_secrets_names_the_variable_that_chooses_another(tmp_path: Path) -> None:
    done = call(inventory(tmp_path), "token", "issue")
    assert done.returncode == 1
    assert "STACKWRIGHT_INVENTORY=inventories/mine" in done.stderr


def test_inventory_without_controllers_is_told(tmp_path: Path) -> None:
    source = tmp_path / "hosts.yml"
    source.write_text("all: {hosts: {a: {}}}\n")
    assert "has no group controller" in call(source, "token").stderr
