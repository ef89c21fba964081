"""What a newcomer has who followed docs/your-own-machines.md: seen from the machines, not from what the runs said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import testinfra
import yaml

STATE = Path(__file__).resolve().parents[3] / ".stackwright" / "own-machines"
COPY = STATE / "checkout"


def inside(name: str) -> Any:
    """One of the machines, from within."""
    return testinfra.get_host(f"podman://stackwright-own-{name}")


@pytest.fixture(scope="module")
def done() -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads((STATE / "done.json").read_text())
    return entries


def test_every_command_of_the_page_was_given(done: list[dict[str, Any]]) -> None:
    text = "".join(entry["block"] for entry in done)
    for word in (
        "make setup",
        "encrypt_string",
        "preflight.yml",
        "site.yml",
        "verify.yml",
        "first-project.yml",
        "tools/openstack",
        "client_login.yml",
    ):
        assert word in text


@pytest.mark.parametrize("name", ["controller1", "compute1"])
def test_hosts_file_keeps_the_machines_full_name_behind_its_own(name: str) -> None:
    host = inside(name)
    lines = host.file("/etc/hosts").content_string.splitlines()
    assert "127.0.0.1\tlocalhost" in lines
    assert not [line for line in lines if line.startswith("127.0.1.1")]
    (own,) = [line for line in lines if name in line.split()]
    assert own.split()[1:] == [name, f"{name}.example.org"]
    assert host.check_output("hostname -f") == name
    assert host.check_output("getent hosts controller1").split()[0].endswith(".11")


@pytest.mark.parametrize("name", ["controller1", "compute1"])
def test_sudo_asks_the_user_for_a_password(name: str) -> None:
    assert inside(name).run("runuser -u debian -- sudo -n true").rc != 0


@pytest.mark.parametrize(
    ("name", "log"), [("controller1", "/var/log/keystone/keystone.log"), ("compute1", "/var/log/nova/nova-compute.log")]
)
def test_logs_are_rotated(name: str, log: str) -> None:
    host = inside(name)
    assert host.run("systemctl is-active logrotate.timer").stdout.strip() == "active"
    assert host.file(log).size > 0
    host.run_test("logrotate --force --state /run/logrotate-test /etc/logrotate.conf")
    assert host.run(f"ls {log}.1 {log}.1.gz").stdout.strip()


def test_first_project_is_in_the_cloud() -> None:
    host = inside("controller1")
    query = "SELECT name FROM {}"
    assert "first" in host.check_output("mariadb -N -e %s keystone", query.format("project")).split()
    networks = host.check_output("mariadb -N -e %s neutron", query.format("networks")).split()
    assert {"first", "outside"} <= set(networks)
    assert "guest" in host.check_output("mariadb -N -e %s glance", query.format("images")).split()


def test_login_is_the_owners_alone_and_holds_no_password() -> None:
    path = COPY / ".stackwright" / "clouds" / "mine" / "clouds.yaml"
    assert path.stat().st_mode & 0o777 == 0o600
    (login,) = yaml.safe_load(path.read_text())["clouds"].values()
    assert login["auth"]["auth_url"].endswith(":5000/v3")
    assert "password" not in login["auth"]
    assert not path.with_name("secure.yaml").exists()


def test_no_secret_lies_open_in_the_inventory() -> None:
    password = (STATE / "password").read_text()
    for path in (COPY / "inventories" / "mine").rglob("*.y*ml"):
        assert password not in path.read_text()
    assert "$ANSIBLE_VAULT" in (COPY / "inventories" / "mine" / "group_vars" / "all" / "become.yml").read_text()
