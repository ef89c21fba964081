"""Runs on the control node: completes the encrypted file of secrets with the vault key of this Ansible process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.parsing.vault import VaultLib, match_encrypt_secret
from ansible.plugins.action import ActionBase
from ansible_collections.stackwright.cloud.plugins.module_utils import cloud_secrets, secrets_file

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
        self._secret = match_encrypt_secret(secrets)[1]

    def is_encrypted(self, content: bytes) -> bool:
        """Whether `content` is in the vault's format."""
        return bool(VaultLib.is_encrypted(content))

    def encrypt(self, content: bytes) -> bytes:
        """`content` encrypted with the first key of the process."""
        return bytes(self._vault.encrypt(content, secret=self._secret))

    def decrypt(self, content: bytes) -> bytes:
        """The plain form of `content`, opened by any key of the process."""
        return bytes(self._vault.decrypt(content))


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
