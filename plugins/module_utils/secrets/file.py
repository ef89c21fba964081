"""The encrypted file of an inventory that holds the cloud's secrets: read, complete, write whole.

Runs on the control node only, in the process that holds the vault key, so that neither key nor values meet a command
line, a temporary plain file or a log.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import yaml
from ansible_collections.stackwright.cloud.plugins.module_utils.common import vars_files
from ansible_collections.stackwright.cloud.plugins.module_utils.host import files
from ansible_collections.stackwright.cloud.plugins.module_utils.secrets import declare as cloud_secrets

HEADER = "# Written by playbooks/secrets.yml, which makes missing values and rotates named ones.\n"


class SecretsFileError(RuntimeError):
    """The file cannot be used as it is; the text names it, the cause and the mend, never a value."""


class VaultKeyError(RuntimeError):
    """No key opens a file; the text is a sentence that says which it wants and which there are."""


class Vault(Protocol):
    """The part of Ansible's vault that is used here.

    `decrypt` raises when no key fits, :class:`VaultKeyError` where it knows more. `encrypt` takes the key and the label
    of what was decrypted before it.
    """

    def is_encrypted(self, content: bytes) -> bool:
        """Whether `content` is in the vault's format."""

    def encrypt(self, content: bytes) -> bytes:
        """`content` encrypted with the operator's key."""

    def decrypt(self, content: bytes) -> bytes:
        """The plain form of `content`."""


@dataclass
class Outcome:
    """What was, or in check mode would be, done. Names only."""

    changed: bool
    plan: cloud_secrets.Plan
    before: list[str]
    encrypted_now: bool
    """The file lay there in plain text and is encrypted from now on."""


def update(
    path: Path,
    vault: Vault,
    declarations: Mapping[str, cloud_secrets.Declaration],
    *,
    rotate: Collection[str] = (),
    remove_unknown: bool = False,
    check_mode: bool = False,
) -> Outcome:
    """Complete the file at `path`: missing secrets are made, those named in `rotate` made anew, all others stay.

    Other variables in the file stay too. The new content replaces the old at once, with mode 0600; when nothing
    changes the file is not written, except to correct its mode.

    :raises SecretsFileError: when the file cannot be read, decrypted or written, or holds refused values.
    :raises cloud_secrets.UnknownSecretError: when `rotate` names a secret that no role declares.
    :raises cloud_secrets.IrreplaceableSecretError: when `rotate` names a secret with which data is encrypted.
    """
    hidden = vars_files.of_name(path.parent.parent, path.parent.name, coming=True)
    if hidden and hidden.taken == path.parent and path.parent.parent.name in ("group_vars", "host_vars"):
        ignored = " and ".join(map(str, hidden.ignored))
        raise SecretsFileError(
            f"{path} cannot be kept: from the directory {path.parent} on, Ansible no longer reads "
            f"{ignored}, and all variables in it are "
            f"lost without a word. Nothing was changed. {hidden.mend}"
        )
    document, encrypted = read(path, vault)
    existing = document.get(cloud_secrets.VARIABLE)
    existing = {} if existing is None else existing
    if not isinstance(existing, dict) or any(not isinstance(name, str) for name in existing):
        raise SecretsFileError(f"{path}: {cloud_secrets.VARIABLE} must be a mapping from names to values.")
    planned = cloud_secrets.plan(existing, declarations, rotate, remove_unknown)
    refused = cloud_secrets.weaknesses(planned.values, declarations)
    if refused:
        listed = "\n".join(f"  {name} {reason}" for name, reason in refused.items())
        raise SecretsFileError(
            f"{path} holds secrets that are refused:\n{listed}\n"
            f"Have new ones made with -e secrets_rotate={','.join(refused)}, or edit the file with ansible-vault edit."
        )
    encrypted_now = path.exists() and not encrypted
    loose = path.exists() and path.stat().st_mode & 0o077 != 0
    outcome = Outcome(planned.changed or encrypted_now or loose, planned, sorted(existing), encrypted_now)
    if outcome.changed and not check_mode:
        keep(path, vault, {**document, cloud_secrets.VARIABLE: dict(sorted(planned.values.items()))})
    return outcome


def keep(path: Path, vault: Vault, document: Mapping[str, Any]) -> None:
    """Encrypt the variables with the key that opened the file, and write it.

    :raises SecretsFileError: when the system refuses; the old file is then untouched.
    """
    write(path, vault.encrypt((HEADER + yaml.safe_dump(dict(document), sort_keys=False)).encode()))


def read(path: Path, vault: Vault) -> tuple[dict[str, Any], bool]:
    """The variables in the file and whether it is encrypted; an absent file has none.

    :raises SecretsFileError: when it cannot be read or decrypted, or is not a mapping.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return {}, False
    except OSError as error:
        raise SecretsFileError(f"{path} cannot be read: {error.strerror}.") from error
    encrypted = vault.is_encrypted(content)
    if encrypted:
        try:
            content = vault.decrypt(content)
        except Exception as error:  # the vault has no narrower common class for a wrong key and a damaged file
            known = f"{error} " if isinstance(error, VaultKeyError) else ""
            raise SecretsFileError(
                f"{path} cannot be decrypted. {known}Either the vault key is not the one it was written with "
                "(tools/vault-key path says where the key in use lies), or the file is damaged: fetch it from a backup."
            ) from error
    try:
        document = yaml.safe_load(content)
    except yaml.YAMLError as error:
        # The parser's own text would quote the line, and with it a secret.
        mark = getattr(error, "problem_mark", None)
        place = f" near line {mark.line + 1}" if mark else ""
        raise SecretsFileError(f"{path} is not plain YAML{place}: mend it with ansible-vault edit.") from None
    if document is None:
        document = {}
    if not isinstance(document, dict):
        raise SecretsFileError(f"{path} must hold a mapping of variables: mend it with ansible-vault edit.")
    return document, encrypted


def write(path: Path, content: bytes) -> None:
    """Replace the file at once by `content`, mode 0600, and see it on disk before returning.

    :raises SecretsFileError: when the system refuses; the old file is then untouched.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # What an interruption left behind: hidden, so Ansible has not read it.
        for draft in path.parent.glob(files.DRAFTS):
            draft.unlink(missing_ok=True)
        files.replace_own(path, content)
    except OSError as error:
        raise SecretsFileError(f"{path} cannot be written: {error.strerror}. Nothing was changed.") from error
