"""The vault password client, run as Ansible and operators run it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible_collections.stackwright.cloud.plugins.module_utils.secrets import declare as cloud_secrets

CLIENT = Path(__file__).resolve().parents[3] / "tools" / "vault-key"


class Checkout:
    """A copy of the tool in a checkout of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tool = root / "tools" / "vault-key"
        self.tool.parent.mkdir()
        shutil.copy(CLIENT, self.tool)
        self.key = root / ".stackwright" / "vault-key"

    def run(self, *arguments: str, key_file: Path | None = None) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if name != "STACKWRIGHT_VAULT_KEY_FILE"}
        if key_file:
            environment["STACKWRIGHT_VAULT_KEY_FILE"] = str(key_file)
        return subprocess.run([self.tool, *arguments], env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_created_key_is_private_and_printed_from_then_on(checkout: Checkout) -> None:
    done = checkout.run("create")
    assert done.returncode == 0
    key = checkout.key.read_text(encoding="utf-8").strip()
    assert len(key) >= 64
    assert key not in done.stdout + done.stderr
    assert checkout.key.stat().st_mode & 0o777 == 0o600
    assert checkout.run().stdout == f"{key}\n"
    assert checkout.run("--vault-id", "default").stdout == f"{key}\n"
    assert [one.name for one in checkout.key.parent.iterdir()] == ["vault-key"]


def test_existing_key_is_never_replaced(checkout: Checkout) -> None:
    checkout.run("create")
    before = checkout.key.read_bytes()
    assert checkout.run("create").returncode == 0
    assert checkout.key.read_bytes() == before


def test_named_file_wins(checkout: Checkout, tmp_path: Path) -> None:
    checkout.run("create")
    other = tmp_path / "other"
    other.write_text("another key\n", encoding="utf-8")
    other.chmod(0o600)
    assert checkout.run(key_file=other).stdout == "another key\n"
    assert checkout.run("path", key_file=other).stdout == f"{other}\n"


def test_named_file_that_is_missing_is_an_error(checkout: Checkout, tmp_path: Path) -> None:
    done = checkout.run(key_file=tmp_path / "gone")
    assert done.returncode == 1
    assert f"no vault key in {tmp_path / 'gone'}" in done.stderr
    assert "tools/vault-key create" in done.stderr


def test_without_a_key_commands_get_a_password_that_opens_nothing(checkout: Checkout) -> None:
    first, second = checkout.run(), checkout.run()
    assert first.returncode == 0
    assert first.stdout.encode().startswith(cloud_secrets.NO_KEY)
    assert first.stdout != second.stdout
    assert first.stderr == ""


def test_without_a_key_encrypted_inventories_are_mentioned(checkout: Checkout) -> None:
    vault = checkout.root / "inventories" / "x" / "group_vars" / "all" / "secrets.yml"
    vault.parent.mkdir(parents=True)
    vault.write_text("$ANSIBLE_VAULT;1.1;AES256\n", encoding="utf-8")
    done = checkout.run()
    assert done.returncode == 0
    assert "encrypted inventories stay closed" in done.stderr


def test_key_that_others_can_read_is_refused(checkout: Checkout) -> None:
    checkout.run("create")
    checkout.key.chmod(0o640)
    done = checkout.run()
    assert (done.returncode, done.stdout) == (1, "")
    assert "can be read by others (mode 0640): chmod 600" in done.stderr


def test_empty_key_is_refused(checkout: Checkout) -> None:
    checkout.run("create")
    checkout.key.write_text("\n", encoding="utf-8")
    done = checkout.run()
    assert (done.returncode, done.stdout) == (1, "")
    assert "is empty" in done.stderr


def test_unknown_word_shows_the_usage(checkout: Checkout) -> None:
    done = checkout.run("frobnicate")
    assert done.returncode == 2
    assert "tools/vault-key create" in done.stderr


def ansible_inventory(checkout: Checkout, inventory: Path) -> subprocess.CompletedProcess[str]:
    """`ansible-inventory --list` with this checkout's password client and no key."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "STACKWRIGHT_"))
    }
    environment |= {"ANSIBLE_VAULT_PASSWORD_FILE": str(checkout.tool), "LC_ALL": "C.UTF-8"}
    command = [Path(sys.executable).with_name("ansible-inventory"), "-i", inventory, "--list"]
    return subprocess.run(command, env=environment, cwd=checkout.root, capture_output=True, text=True, check=False)


def test_ansible_works_without_a_key_until_a_secret_is_wanted(checkout: Checkout) -> None:
    inventory = checkout.root / "inventories" / "x"
    (inventory / "group_vars" / "all").mkdir(parents=True)
    (inventory / "hosts.yml").write_text("all: {hosts: {one: {}}}\n", encoding="utf-8")
    done = ansible_inventory(checkout, inventory)
    assert (done.returncode, done.stderr) == (0, "")
    vault = VaultLib().encrypt(b"stackwright_secrets: {}", secret=VaultSecret(b"a key that is not here"))
    (inventory / "group_vars" / "all" / "secrets.yml").write_bytes(vault)
    done = ansible_inventory(checkout, inventory)
    assert done.returncode != 0
    assert f"no vault key in {checkout.key}" in done.stderr


def test_key_of_another_account_is_refused(checkout: Checkout) -> None:
    checkout.run("create")
    if os.geteuid() == 0:
        os.chown(checkout.key, 12345, 12345)
        done = checkout.run()
        assert (done.returncode, done.stdout) == (1, "")
        assert "belongs to another account (uid 12345)" in done.stderr
    assert checkout.key.parent.stat().st_mode & 0o077 == 0, "its directory is closed to others"
