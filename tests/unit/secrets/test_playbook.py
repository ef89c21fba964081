"""playbooks/secrets.yml as an operator runs it: nothing secret is ever shown."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible_collections.stackwright.cloud.plugins.action import secrets_file as action
from ansible_collections.stackwright.cloud.plugins.module_utils.secrets.file import SecretsFileError

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


@pytest.mark.parametrize("name", ["all.yml", "all.yaml", "all.json"])
def test_variables_of_the_operator_are_never_hidden(operator: Operator, name: str) -> None:
    """From the moment that group_vars/all is a directory, Ansible no longer reads group_vars/all.yml."""
    own = operator.inventory / "group_vars" / name
    own.parent.mkdir()
    own.write_text('{"mine": 1}\n', encoding="utf-8")
    done = operator.make()
    assert done.returncode != 0 and not (operator.inventory / "group_vars" / "all").exists()
    told = " ".join(done.stdout.split())
    assert str(own) in told and str(operator.file) in told and "Nothing was changed." in told
    operator.file.parent.mkdir()
    own.rename(operator.file.parent / "main.yml")
    assert operator.make().returncode == 0


def keys(operator: Operator, *names: str) -> dict[str, Path]:
    """Files of keys with these names as their content."""
    files = {name: operator.key.with_name(f"{name}.key") for name in names}
    for name, file in files.items():
        file.write_text(f"the key of {name} which opens nothing else\n", encoding="utf-8")
        file.chmod(0o600)
    return files


def header(operator: Operator) -> str:
    return operator.file.read_text(encoding="utf-8").splitlines()[0]


def test_a_rotation_keeps_the_key_that_the_file_was_made_with(operator: Operator) -> None:
    team = keys(operator, "team")["team"]
    operator.make()
    before = operator.values()
    done = operator.make("--vault-id", f"team@{team}", "-e", "secrets_rotate=nova_database")
    assert done.returncode == 0, done.stdout
    assert operator.values()["nova_database"] != before["nova_database"], "the default key still opens it"
    assert header(operator) == "$ANSIBLE_VAULT;1.1;AES256"


def test_a_rotation_keeps_the_label(operator: Operator) -> None:
    files = keys(operator, "team", "other")
    ids = ("--vault-id", f"other@{files['other']}", "--vault-id", f"team@{files['team']}")
    operator.make()
    library = VaultLib([("team", VaultSecret(files["team"].read_bytes().strip()))])
    plain = VaultLib([("default", VaultSecret(KEY.encode()))]).decrypt(operator.file.read_bytes())
    operator.file.write_bytes(library.encrypt(plain, vault_id="team"))
    assert header(operator) == "$ANSIBLE_VAULT;1.2;AES256;team"
    before = operator.file.read_bytes()
    assert operator.make(*ids, "-e", "secrets_rotate=nova_database").returncode == 0
    assert header(operator) == "$ANSIBLE_VAULT;1.2;AES256;team" and operator.file.read_bytes() != before
    assert "nova_database" in yaml.safe_load(library.decrypt(operator.file.read_bytes()))["stackwright_secrets"]
    without = operator.make()
    assert without.returncode != 0
    told = " ".join((without.stdout + without.stderr).split())
    assert "labelled 'team', so it wants --vault-id team@FILE" in told or "Decryption failed" in told


def test_new_files_get_the_key_that_ansible_is_told_to_encrypt_with(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def vault(*names: str, wanted: str = "") -> action.ProcessVault:
        monkeypatch.setattr(action.C.config, "get_config_value", lambda name: wanted or None)
        return action.ProcessVault(VaultLib([(name, VaultSecret(name.encode())) for name in names]))

    assert action.label_of(vault("team", "default").encrypt(b"x")) is None
    assert action.label_of(vault("team").encrypt(b"x")) == "team"
    assert action.label_of(vault("default", "team", wanted="team").encrypt(b"x")) == "team"
    with pytest.raises(SecretsFileError, match="keys of several vault ids, one, two: say which"):
        vault("one", "two").encrypt(b"x")
    with pytest.raises(SecretsFileError, match=r"vault id 'gone' .* of which there is no key"):
        vault("one", "two", wanted="gone").encrypt(b"x")
    with pytest.raises(
        action.secrets_file.VaultKeyError, match=r"labelled 'team', so it wants --vault-id team@FILE. .* default"
    ):
        vault("default").decrypt(vault("team").encrypt(b"x"))
