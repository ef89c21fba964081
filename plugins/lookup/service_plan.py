# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)

from __future__ import annotations

DOCUMENTATION = r"""
name: service_plan
short_description: What a host is to be, from the specifications of its services
description:
  - A problem of the operator's variables is returned as the only key C(problem), so that it can be shown although the plan is hidden.
  - The plan's C(secrets) are those of C(stackwright_secrets), and of all vaulted values among the host's variables, that it holds.
  - Reads C(__<role>_specifications) of every named service, merges the operator's C(<role>_config_overrides) and
    C(<role>_config_files) (and all variables whose names go on from these, in the order of their names), and returns one plan.
author: The Stackwright developers
options:
  _terms:
    description: Services as C(role) or C(role.component).
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: The plan of this host is made
  ansible.builtin.set_fact:
    plan: "{{ lookup('stackwright.cloud.service_plan', 'keystone', 'nova.api') }}"
"""

RETURN = r"""
_raw:
  description: One mapping with packages, files, databases, messaging, identity, bootstrap, units, health and secrets.
  type: list
  elements: dict
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ansible.parsing.vault import EncryptedString, VaultLib
from ansible.plugins.lookup import LookupBase
from ansible_collections.stackwright.cloud.plugins.module_utils.service import plan

try:
    from ansible._internal._datatag._tags import Origin
except ImportError:  # another release keeps it elsewhere; values that are encrypted one by one are known all the same
    Origin = None

# What Ansible itself adds to the variables: other hosts, and what hosts said.
NOT_OWN = frozenset({"hostvars", "groups", "vars", "ansible_facts", "ansible_play_hosts_all", "role_names", "environment"})


def vaulted(variables: Mapping[str, Any]) -> set[str]:
    """Every value among variables that came out of a vault: encrypted itself, or in an encrypted file."""
    files: dict[str, bool] = {}
    found: set[str] = set()
    for name, value in variables.items():
        if name not in NOT_OWN:
            found |= {text for text in _vaulted(value, files) if text and "{{" not in text}
    return found


def _vaulted(value: Any, files: dict[str, bool]) -> Iterator[str]:
    if isinstance(value, EncryptedString):
        try:
            yield str(value)
        except Exception:  # without its key, nobody can have used it
            return
    elif isinstance(value, str):
        origin = origin_of(value)
        if origin and origin not in files:
            files[origin] = _is_vault(origin)
        if origin and files[origin]:
            yield str(value)
    elif isinstance(value, Mapping):
        for entry in value.values():
            yield from _vaulted(entry, files)
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from _vaulted(entry, files)


def origin_of(value: str) -> str:
    """The file that a value was read from; empty where Ansible does not say."""
    origin = Origin.get_tag(value) if Origin else None
    return str(getattr(origin, "path", None) or "")


def _is_vault(path: str) -> bool:
    try:
        with Path(path).open("rb") as stream:
            return bool(VaultLib.is_encrypted(stream.read(100)))
    except (OSError, ValueError):
        return False


class LookupModule(LookupBase):  # type: ignore[misc]
    """Merge specifications in the host's own variables."""

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[dict[str, Any]]:
        variables = variables or {}
        names: list[str] = []
        for term in terms:
            names += [term] if isinstance(term, str) else list(term)
        by_role: dict[str, list[str]] = {}
        for name in names:
            by_role.setdefault(plan.split_term(name)[0], []).append(name)
        components: list[tuple[str, dict[str, Any]]] = []
        try:
            for role, terms_of_role in by_role.items():
                components += self._role(role, terms_of_role, variables)
            combined = plan.combine(components)
        except plan.PlanError as error:
            # the plan holds secrets, so whoever reads it hides its output: a problem of the operator's must not be hidden with it
            return [{"problem": str(error)}]
        combined["secrets"] = plan.secrets_in(combined, {*self._own_secrets(variables), *vaulted(variables)})
        return [combined]

    def _own_secrets(self, variables: dict[str, Any]) -> list[str]:
        """Values of the cloud's own secrets."""
        values = self._template(variables.get("stackwright_secrets") or {})
        return [str(value) for value in values.values()] if isinstance(values, dict) else []

    def _role(self, role: str, terms: list[str], variables: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
        known = variables.get(f"__{role}_specifications")
        if known is None:
            raise plan.PlanError(f"service {terms[0]!r}: role {role} is not part of this play or has no specifications")
        all_paths = sorted({path for component in known.values() for path in component.get("files", {})})
        overrides = self._named(f"{role}_config_overrides", variables)
        extra = self._named(f"{role}_config_files", variables)
        result = []
        extra_taken = False
        for term in terms:
            component = plan.split_term(term)[1]
            if component not in known:
                raise plan.PlanError(f"service {term!r}: role {role} has the components {', '.join(known)}")
            specification = self._template(known[component])
            specification["files"] = plan.overridden(
                role, specification.get("files", {}), all_paths, overrides, {} if extra_taken else extra
            )
            specification["files"] = plan.spelled(specification["files"], self._own_secrets(variables))
            extra_taken = True
            result.append((term, specification))
        return result

    def _named(self, prefix: str, variables: dict[str, Any]) -> dict[str, Any]:
        return {name: self._template(variables[name]) for name in variables if name == prefix or name.startswith(f"{prefix}_")}

    def _template(self, value: Any) -> Any:
        return self._templar.template(value)
