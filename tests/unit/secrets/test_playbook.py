"""playbooks/secrets.yml as an operator runs it: nothing secret is ever shown."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ansible.parsing.vault import VaultLib, VaultSecret

CHECKOUT = Path(__file__).resolve().parents[3]
KEY = "the-key-of-the-tests-which-opens-nothing-else"


class Operator:
    """Runs Ansible's commands on an inventory of one host."""

    def __init__(self, directory: Path) -> None:
        self.inventory = directory / "inventory"
        self.inventory.mkdir()
        (self.inventory / "hosts.yml").write_text("all: {hosts: {one: {}}}\n", encoding="utf-8")
        self.file = self.inventory / "group_vars" / "all" / "secrets.yml"
        self.key = directory / "key"
        self.key.write_text(KEY + "\n", encoding="utf-8")
        self.key.chmod(0o600)

    def run(self, command: str, *arguments: str, key: bool = True) -> subprocess.CompletedProcess[str]:
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "STACKWRIGHT_"))
        }
        environment |= {
            "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
            "ANSIBLE_CACHE_PLUGIN": "ansible.builtin.memory",
        }
        environment["LC_ALL"] = "C.UTF-8"
        environment["STACKWRIGHT_VAULT_KEY_FILE"] = str(self.key) if key else ""
        return subprocess.run(
            [Path(sys.executable).with_name(command), "-i", str(self.inventory), *arguments],
            cwd=CHECKOUT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    def make(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run("ansible-playbook", "playbooks/secrets.yml", *arguments)

    def values(self) -> dict[str, str]:
        library = VaultLib([("default", VaultSecret(KEY.encode()))])
        found: dict[str, str] = yaml.safe_load(library.decrypt(self.file.read_bytes()))["stackwright_secrets"]
        return found


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator(tmp_path)


def test_secrets_are_made_once_and_never_shown(operator: Operator) -> None:
    first = operator.make("--diff", "-vvvv")
    assert first.returncode == 0, first.stdout + first.stderr
    values = operator.values()
    assert "nova_database" in values
    assert "+nova_database" in first.stdout
    second = operator.make("--diff", "-vvvv")
    assert "changed=0" in second.stdout
    assert operator.values() == values
    rotated = operator.make("--diff", "-vvvv", "-e", "secrets_rotate=nova_database,glance_database")
    assert "+nova_database (new value)" in rotated.stdout
    changed = {name for name, value in operator.values().items() if values[name] != value}
    assert changed == {"nova_database", "glance_database"}
    shown = "".join(run.stdout + run.stderr for run in (first, second, rotated))
    assert not [name for name, value in (values | operator.values()).items() if value in shown]
    assert KEY not in shown


def test_variables_reach_the_hosts(operator: Operator) -> None:
    operator.make()
    done = operator.run(
        "ansible", "one", "-m", "ansible.builtin.debug", "-a", "msg={{ stackwright_secrets.nova_database | length }}"
    )
    assert '"msg": 32' in done.stdout.replace("'", '"'), done.stdout + done.stderr


def test_check_mode_makes_nothing(operator: Operator) -> None:
    done = operator.make("--check", "--diff")
    assert done.returncode == 0
    assert "+nova_database" in done.stdout
    assert not operator.file.exists()


def test_without_a_key_nothing_is_written_and_the_way_is_shown(operator: Operator, tmp_path: Path) -> None:
    missing = tmp_path / "nowhere"
    operator.key = missing
    done = operator.make()
    assert done.returncode != 0
    assert "tools/vault-key create" in done.stdout + done.stderr
    assert not operator.file.exists()
