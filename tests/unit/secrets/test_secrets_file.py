"""The encrypted file: completed, kept, written whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible_collections.stackwright.cloud.plugins.module_utils.secrets import declare as cloud_secrets
from ansible_collections.stackwright.cloud.plugins.module_utils.secrets import file as secrets_file
from ansible_collections.stackwright.cloud.plugins.module_utils.secrets.declare import Declaration

STRONG = "wG3xkEr9PqLm2TzNhV7bYc5d"
DECLARED = {name: Declaration(name, "For the test") for name in ("a_one", "b_two")}


class Vault:
    """Ansible's vault with one key."""

    def __init__(self, key: bytes = b"the key of the tests") -> None:
        self.secret = VaultSecret(key)
        self.library = VaultLib([("default", self.secret)])

    def is_encrypted(self, content: bytes) -> bool:
        return bool(VaultLib.is_encrypted(content))

    def encrypt(self, content: bytes) -> bytes:
        return bytes(self.library.encrypt(content, secret=self.secret))

    def decrypt(self, content: bytes) -> bytes:
        return bytes(self.library.decrypt(content))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "group_vars" / "all" / "secrets.yml"


def values(path: Path) -> dict[str, str]:
    document, encrypted = secrets_file.read(path, Vault())
    assert encrypted
    found: dict[str, str] = document[cloud_secrets.VARIABLE]
    return found


def test_new_file_is_encrypted_complete_and_private(path: Path) -> None:
    outcome = secrets_file.update(path, Vault(), DECLARED)
    assert outcome.changed
    assert set(values(path)) == set(DECLARED)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_bytes().startswith(b"$ANSIBLE_VAULT;")
    assert [one.name for one in path.parent.iterdir()] == ["secrets.yml"]


def test_second_run_writes_nothing(path: Path) -> None:
    secrets_file.update(path, Vault(), DECLARED)
    before = (path.read_bytes(), path.stat().st_mtime_ns)
    assert not secrets_file.update(path, Vault(), DECLARED).changed
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


def test_existing_values_and_other_variables_stay(path: Path) -> None:
    secrets_file.write(
        path, Vault().encrypt(yaml.safe_dump({"mine": 1, "stackwright_secrets": {"a_one": STRONG}}).encode())
    )
    outcome = secrets_file.update(path, Vault(), DECLARED)
    assert outcome.plan.generated == ["b_two"]
    assert values(path)["a_one"] == STRONG
    assert secrets_file.read(path, Vault())[0]["mine"] == 1


def test_rotation_changes_the_named_value(path: Path) -> None:
    secrets_file.update(path, Vault(), DECLARED)
    before = values(path)
    secrets_file.update(path, Vault(), DECLARED, rotate=["a_one"])
    after = values(path)
    assert after["a_one"] != before["a_one"]
    assert after["b_two"] == before["b_two"]


def test_check_mode_writes_nothing(path: Path) -> None:
    outcome = secrets_file.update(path, Vault(), DECLARED, check_mode=True)
    assert outcome.changed
    assert outcome.plan.generated == ["a_one", "b_two"]
    assert not path.exists()
    assert not path.parent.exists()


def test_plain_file_is_encrypted_with_its_values(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(f"stackwright_secrets: {{a_one: {STRONG}, b_two: {STRONG}x}}\n", encoding="utf-8")
    outcome = secrets_file.update(path, Vault(), DECLARED)
    assert outcome.changed
    assert outcome.encrypted_now
    assert values(path)["a_one"] == STRONG


def test_loose_mode_is_corrected(path: Path) -> None:
    secrets_file.update(path, Vault(), DECLARED)
    path.chmod(0o644)
    assert secrets_file.update(path, Vault(), DECLARED).changed
    assert path.stat().st_mode & 0o777 == 0o600


def test_weak_values_are_refused_without_being_shown(path: Path) -> None:
    weak = "abcabcabcabcabcabcabc"
    secrets_file.write(path, Vault().encrypt(f"stackwright_secrets: {{a_one: {weak}, b_two: {STRONG}}}".encode()))
    before = path.read_bytes()
    with pytest.raises(
        secrets_file.SecretsFileError, match=r"a_one has fewer than 8 different[^$]*secrets_rotate=a_one"
    ) as caught:
        secrets_file.update(path, Vault(), DECLARED)
    assert weak not in str(caught.value)
    assert path.read_bytes() == before
    assert secrets_file.update(path, Vault(), DECLARED, rotate=["a_one"]).plan.rotated == ["a_one"]


def test_wrong_key_is_named_as_the_cause(path: Path) -> None:
    secrets_file.update(path, Vault(), DECLARED)
    before = path.read_bytes()
    with pytest.raises(
        secrets_file.SecretsFileError, match=r"cannot be decrypted\. Either the vault key is not the one"
    ):
        secrets_file.update(path, Vault(b"another key"), DECLARED)
    assert path.read_bytes() == before


def test_broken_file_is_refused_without_its_content(path: Path) -> None:
    secrets_file.write(path, Vault().encrypt(f"stackwright_secrets: {{a_one: {STRONG}\n".encode()))
    with pytest.raises(secrets_file.SecretsFileError, match="is not plain YAML near line") as caught:
        secrets_file.update(path, Vault(), DECLARED)
    assert STRONG not in str(caught.value)


@pytest.mark.parametrize("document", ["[1, 2]", "stackwright_secrets: [a]"])
def test_file_of_another_shape_is_refused(document: str, path: Path) -> None:
    secrets_file.write(path, Vault().encrypt(document.encode()))
    with pytest.raises(secrets_file.SecretsFileError, match=r"must (hold|be) a mapping"):
        secrets_file.update(path, Vault(), DECLARED)


def test_interrupted_write_leaves_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets_file.update(path, Vault(), DECLARED)
    before = path.read_bytes()

    def interrupted(*_arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", interrupted)
        with pytest.raises(KeyboardInterrupt):
            secrets_file.update(path, Vault(), DECLARED, rotate=["a_one"])
    assert path.read_bytes() == before
    (path.parent / ".stackwright-0123456789abcdef").write_bytes(b"what a run that was killed left")
    secrets_file.update(path, Vault(), DECLARED, rotate=["a_one"])  # clears the draft away
    assert [one.name for one in path.parent.iterdir()] == ["secrets.yml"]


def test_draft_is_private_and_hidden_from_ansible(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, int]] = []
    rename = os.rename

    def watch(source: str, target: str, **places: int) -> None:
        seen.append((source[:1], (path.parent / source).stat().st_mode & 0o777))
        rename(source, target, **places)

    monkeypatch.setattr(os, "rename", watch)
    secrets_file.update(path, Vault(), DECLARED)
    assert seen == [(".", 0o600)]


def test_unwritable_place_is_an_error_with_cause(tmp_path: Path) -> None:
    (tmp_path / "group_vars").write_text("a file in the way", encoding="utf-8")
    with pytest.raises(secrets_file.SecretsFileError, match=r"cannot be (read|written): Not a directory"):
        secrets_file.update(tmp_path / "group_vars" / "secrets.yml", Vault(), DECLARED)
