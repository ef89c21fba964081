"""Runs on the control node: completes the encrypted file of secrets with the vault key of this Ansible process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible import constants as C
from ansible.errors import AnsibleError
from ansible.parsing.vault import VaultLib
from ansible.plugins.action import ActionBase
from ansible_collections.stackwright.cloud.plugins.module_utils.secrets import declare as cloud_secrets
from ansible_collections.stackwright.cloud.plugins.module_utils.secrets import file as secrets_file

ROLES = Path(__file__).resolve().parents[2] / "roles"


class ProcessVault:
    """The vault of the running Ansible process, as `secrets_file` wants it."""

    def __init__(self, vault: VaultLib) -> None:
        """:raises secrets_file.SecretsFileError: when the process has no key."""
        secrets = [(name, one) for name, one in vault.secrets or [] if not one.bytes.startswith(cloud_secrets.NO_KEY)]
        if not secrets:
            raise secrets_file.SecretsFileError(
                "There is no vault key, so nothing can be encrypted. For a new cloud make one with: tools/vault-key "
                "create. For an existing one put its key into the file that tools/vault-key path names."
            )
        self._vault = vault
        self._secrets = secrets
        self._opened: tuple[str | None, Any] | None = None

    def is_encrypted(self, content: bytes) -> bool:
        """Whether `content` is in the vault's format."""
        return bool(VaultLib.is_encrypted(content))

    def encrypt(self, content: bytes) -> bytes:
        """`content` encrypted with the key and label of what was opened before, or else with the one that new files
        get."""
        label, secret = self._opened or self._for_new_files()
        return bytes(self._vault.encrypt(content, secret=secret, vault_id=label))

    def decrypt(self, content: bytes) -> bytes:
        """The plain form of `content`, opened by any key of the process, which is remembered.

        :raises secrets_file.VaultKeyError: no key of the process opens it.
        """
        label = label_of(content)
        try:
            plain, name, secret = self._vault.decrypt_and_get_vault_id(content)
        except AnsibleError as error:
            wanted = (
                f"It is labelled '{label}', so it wants --vault-id {label}@FILE." if label else "It bears no label."
            )
            keys = ", ".join(sorted({str(one) for one, _ in self._secrets}))
            raise secrets_file.VaultKeyError(f"{wanted} The keys in use are those of the vault ids {keys}.") from error
        self._opened = label or named(name), secret
        return bytes(plain)

    def _for_new_files(self) -> tuple[str | None, Any]:
        """Label and key: those of the identity that Ansible encrypts with, or else the only one there is, or the
        default one's.

        :raises secrets_file.SecretsFileError: there is no such identity, or no telling which of several is meant.
        """
        names = list(dict.fromkeys(str(name) for name, _ in self._secrets))
        wanted = C.config.get_config_value("DEFAULT_VAULT_ENCRYPT_IDENTITY")
        if wanted and wanted not in names:
            raise secrets_file.SecretsFileError(
                f"New files are to be encrypted with the vault id '{wanted}' (ANSIBLE_VAULT_ENCRYPT_IDENTITY), "
                f"of which there is no key: "
                f"give --vault-id {wanted}@FILE. There are keys of {', '.join(names)}."
            )
        if not wanted and len(names) > 1 and C.DEFAULT_VAULT_IDENTITY not in names:
            raise secrets_file.SecretsFileError(
                f"There are keys of several vault ids, {', '.join(names)}: say which one new files are "
                "encrypted with, in the variable "
                "ANSIBLE_VAULT_ENCRYPT_IDENTITY of the environment."
            )
        chosen = wanted or (names[0] if len(names) == 1 else C.DEFAULT_VAULT_IDENTITY)
        return named(chosen), next(secret for name, secret in self._secrets if str(name) == chosen)


def label_of(content: bytes) -> str | None:
    """The label in the first line of an encrypted file; None where it has none (format 1.1)."""
    fields = content.split(b"\n", 1)[0].strip().split(b";")
    return fields[3].decode(errors="replace") if len(fields) > 3 else None


def named(vault_id: Any) -> str | None:
    """The label that files of a vault id bear; those of the default one bear none."""
    return None if str(vault_id) == C.DEFAULT_VAULT_IDENTITY else str(vault_id)


def default_path(sources: list[str]) -> Path:
    """The secrets file of the inventory in use.

    :param sources: what was given as inventory: directories, files or host lists.
    :raises secrets_file.SecretsFileError: when they do not lead to one directory.
    """
    directories = {Path(one) if Path(one).is_dir() else Path(one).parent for one in sources if Path(one).exists()}
    if len(directories) != 1:
        raise secrets_file.SecretsFileError(
            "The inventory in use is not one directory, so the place of the secrets file is not known: "
            "name it with -e secrets_file=<inventory>/group_vars/all/secrets.yml."
        )
    return directories.pop() / "group_vars" / "all" / "secrets.yml"


class ActionModule(ActionBase):  # type: ignore[misc]
    """See plugins/modules/secrets_file.py for the documentation."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Complete the file; the result holds names only."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(
            argument_spec={
                "path": {"type": "path"},
                "rotate": {"type": "list", "elements": "str", "default": []},
                "remove_unknown": {"type": "bool", "default": False},
                "roles_path": {"type": "path", "default": str(ROLES)},
            }
        )
        try:
            path = (
                Path(arguments["path"])
                if arguments["path"]
                else default_path(list((task_vars or {}).get("ansible_inventory_sources", [])))
            )
            outcome = secrets_file.update(
                path,
                ProcessVault(self._loader._vault),
                cloud_secrets.load_declarations(Path(arguments["roles_path"])),
                rotate=[name for name in arguments["rotate"] if name],
                remove_unknown=arguments["remove_unknown"],
                check_mode=bool(self._task.check_mode),
            )
        except (
            secrets_file.SecretsFileError,
            cloud_secrets.DeclarationError,
            cloud_secrets.IrreplaceableSecretError,
            cloud_secrets.UnknownSecretError,
        ) as error:
            return result | {"failed": True, "msg": str(error)}
        planned = outcome.plan
        result |= {
            "changed": outcome.changed,
            "path": str(path),
            "generated": planned.generated,
            "rotated": planned.rotated,
            "removed": planned.removed,
            "unknown": planned.unknown,
        }
        if outcome.encrypted_now:
            result["warnings"] = [
                f"{path} lay there in plain text. It is encrypted now; rotate what others may have read."
            ]
        if planned.unknown:
            result.setdefault("warnings", []).append(
                f"No role declares {', '.join(planned.unknown)}. They stay; secrets_remove_unknown=true removes them."
            )
        if self._task.diff:
            result["diff"] = {
                "before_header": f"{path} (names of the secrets)",
                "after_header": f"{path} (names of the secrets)",
                "before": "".join(f"{name}\n" for name in outcome.before),
                "after": "".join(
                    f"{name} (new value)\n" if name in planned.rotated else f"{name}\n"
                    for name in sorted(planned.values)
                ),
            }
        return result
