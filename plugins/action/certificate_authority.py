"""Runs on the control node: one step by which the authority is replaced, in the encrypted file of secrets."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.stackwright.cloud.plugins.action.secrets_file import ProcessVault, default_path
from ansible_collections.stackwright.cloud.plugins.module_utils.pki import authority, rotation
from ansible_collections.stackwright.cloud.plugins.module_utils.secrets import declare
from ansible_collections.stackwright.cloud.plugins.module_utils.secrets import file as secrets_file

NAME = "pki_authority"


class ActionModule(ActionBase):  # type: ignore[misc]
    """See plugins/modules/certificate_authority.py for the documentation."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Do the step; the result holds no secret."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        spec = {"path": {"type": "path"}, "step": {"type": "str", "required": True, "choices": list(rotation.STEPS)}}
        _, asked = self.validate_argument_spec(argument_spec=spec)
        sources = list((task_vars or {}).get("ansible_inventory_sources", []))
        try:
            path = Path(asked["path"]) if asked["path"] else default_path(sources)
        except secrets_file.SecretsFileError as error:
            return result | {"failed": True, "msg": str(error)}
        return result | self.outcome(path, asked["step"])

    def outcome(self, path: Path, step: str) -> dict[str, Any]:
        """Do a step in a file; return what the operator is told."""
        try:
            changed = self._step(path, step)
        except (secrets_file.SecretsFileError, authority.AuthorityError) as error:
            return {"failed": True, "msg": f"The certificate authority among the secrets: {error}"}
        told = [rotation.STEPS[step][1]] if changed else []
        diff = {"before": "", "after": "".join(f"{line}\n" for line in told)}
        return {"changed": changed, "path": str(path), "changes": told, "diff": diff}

    def _step(self, path: Path, step: str) -> bool:
        vault = ProcessVault(self._loader._vault)
        document, _ = secrets_file.read(path, vault)
        values = dict(document.get(declare.VARIABLE) or {})
        if NAME not in values:
            raise authority.AuthorityError(f"{path} has no {NAME}; playbooks/secrets.yml makes it")
        after = rotation.step(str(values[NAME]), step, datetime.datetime.now(datetime.UTC))
        if after == values[NAME]:
            return False
        if not self._task.check_mode:
            secrets_file.keep(path, vault, {**document, declare.VARIABLE: {**values, NAME: after}})
        return True
