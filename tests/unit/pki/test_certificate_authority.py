"""The action that does one step of a rotation in the encrypted file, and the module that sees certificates."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible_collections.stackwright.cloud.plugins.action.certificate_authority import ActionModule
from ansible_collections.stackwright.cloud.plugins.module_utils.pki import authority
from ansible_collections.stackwright.cloud.plugins.module_utils.verify import served
from ansible_collections.stackwright.cloud.plugins.modules import certificates
from ansible_collections.stackwright.cloud.tests.role_variables import MADE

VAULT = VaultLib([("default", VaultSecret(b"the key of the tests"))])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "secrets.yml"
    found.write_bytes(
        VAULT.encrypt(yaml.safe_dump({"other": 1, "stackwright_secrets": {"b": "kept", **MADE}}).encode())
    )
    return found


def kept(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(VAULT.decrypt(path.read_bytes()))
    return found


def step(path: Path, name: str, check: bool = False) -> dict[str, Any]:
    action = ActionModule.__new__(ActionModule)
    action._loader, action._task = SimpleNamespace(_vault=VAULT), SimpleNamespace(check_mode=check)
    return action.outcome(path, name)


def test_a_step_is_kept_encrypted_beside_all_else(path: Path) -> None:
    told = step(path, "join")
    assert told["changed"] and told["changes"] == ["a second authority is trusted, and issues nothing yet"]
    found = kept(path)
    assert (found["other"], found["stackwright_secrets"]["b"], path.stat().st_mode & 0o777) == (1, "kept", 0o600)
    secret = found["stackwright_secrets"]["pki_authority"]
    assert len(authority.read(secret).pems) == 2 and secret not in str(told)
    written = path.read_bytes()
    assert not step(path, "join")["changed"] and path.read_bytes() == written


def test_check_mode_tells_and_writes_nothing(path: Path) -> None:
    written = path.read_bytes()
    assert step(path, "keys", check=True)["changed"]
    assert path.read_bytes() == written


def test_what_is_no_authority_is_told(path: Path) -> None:
    path.write_bytes(VAULT.encrypt(b"stackwright_secrets: {}"))
    told = step(path, "join")
    assert told["failed"] and "has no pki_authority; playbooks/secrets.yml makes it" in told["msg"]
    path.write_bytes(VAULT.encrypt(b"stackwright_secrets: {pki_authority: nonsense}"))
    assert "is no certificate authority" in step(path, "join")["msg"]


PLACE = {"service": "orbit", "host": "192.0.2.11", "port": 8888, "ca": "/etc/ca.pem", "name": "cloud.example"}


@pytest.mark.parametrize(
    ("days", "cause", "fail", "warned"),
    [(200, "", True, False), (29, "", True, True), (None, "the certificate is not accepted: x", False, False)],
)
def test_certificates_are_told_and_warned_of(
    run_module: Callable[..., dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    days: int | None,
    cause: str,
    fail: bool,
    warned: bool,
) -> None:
    monkeypatch.setattr(served, "look", lambda place: served.Seen(place, days, "an issuer", cause))
    monkeypatch.setattr(served, "takes_clear_text", lambda place: "")
    warnings: list[str] = []
    monkeypatch.setattr(certificates.AnsibleModule, "warn", lambda module, text: warnings.append(text))
    told = run_module(certificates, places=[PLACE], fail=fail)
    assert told["summary"] == [
        f"orbit (192.0.2.11:8888): {cause or f'{days} days left, issued by an issuer'}",
    ]
    assert warnings == (["orbit (192.0.2.11:8888): its certificate is valid for 29 more days"] if warned else [])
    if cause:
        told = run_module(certificates, places=[PLACE])
        assert told["failed"] and told["msg"] == f"orbit (192.0.2.11:8888): {cause}"
