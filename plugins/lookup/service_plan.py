# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)

from __future__ import annotations

DOCUMENTATION = r"""
name: service_plan
short_description: What a host is to be, from the specifications of its services
description:
  - A problem of the operator's variables is returned as the only key C(problem), so that it can be shown although the
    plan is hidden.
  - The plan's C(secrets) are those of C(stackwright_secrets), and of all vaulted values among the host's variables,
    that it holds.
  - Reads the specifications of every named service from the roles' own files, so that the roles need not be part of the
    play, derives
    what follows from them, merges the operator's C(<role>_config_overrides) and
    C(<role>_config_files) (and all variables whose names go on from these, in the order of their names), and returns
    one plan.
author: The Stackwright developers
options:
  _terms:
    description: Services as C(role) or C(role.component), or node roles, which stand for the services in their
      C(<role>_services).
    type: list
    elements: raw
    required: true
  leader:
    description:
      - Host that does for its group what is done once, such as databases, registration and schemas; the plans of the
        others lack it.
      - By default the host itself. It is a problem when others need it and the run is limited to hosts without it.
    type: str
"""

EXAMPLES = r"""
- name: The plan of this host is made
  ansible.builtin.set_fact:
    plan: "{{ lookup('stackwright.cloud.service_plan', 'keystone', 'nova.api') }}"
"""

RETURN = r"""
_raw:
  description: One mapping with packages, files, databases, messaging, identity, bootstrap, early (levels of units and
    health), units, health, secrets and removed (what is left of services that are taken off, a sentence each).
  type: list
  elements: dict
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.parsing.vault import EncryptedString, VaultLib
from ansible.plugins.lookup import LookupBase
from ansible_collections.stackwright.cloud.plugins.module_utils.service import derive, host_view, plan, removal
from ansible_collections.stackwright.cloud.plugins.module_utils.service.derive import Site
from ansible_collections.stackwright.cloud.plugins.module_utils.service.specification import (
    Book,
    SpecificationError,
    WideView,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.service.terms import split_term

try:
    from ansible._internal._datatag._tags import Origin
except ImportError:  # another release keeps it elsewhere; values that are encrypted one by one are known all the same
    Origin = None

# What Ansible itself adds to the variables: other hosts, and what hosts said.
NOT_OWN = frozenset(
    {"hostvars", "groups", "vars", "ansible_facts", "ansible_play_hosts_all", "role_names", "environment"}
)


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
        works = host_view.view(self._loader, variables)
        maker = Maker(host_view.book(variables), works, host_view.site(works), variables)
        try:
            return [
                maker.plan(
                    [name for term in terms for name in ([term] if isinstance(term, str) else term)],
                    kwargs.get("leader"),
                )
            ]
        except (plan.PlanError, SpecificationError) as error:
            # the plan holds secrets, so whoever reads it hides its output: a problem of the operator's must not be
            # hidden with it
            return [{"problem": str(error)}]


@dataclass
class Maker:
    """Makes the plan of one host."""

    book: Book
    view: WideView
    site: Site
    variables: Mapping[str, Any]

    def plan(self, names: Sequence[Any], leader: str | None = None) -> dict[str, Any]:
        """The plan of these services. :param leader: the host that does for its group what is done once; by default
        each does."""
        components: list[derive.Derived] = []
        roles: set[str] = set()
        for term in self.book.services_of(names, self.view):
            found = derive.planned(self.book, term, self.view, self.site)
            role = split_term(term)[0]
            files = self._overridden(role, found.files, first=role not in roles)
            components.append(found.with_files(plan.spelled(files, self._own_secrets())))
            roles.add(role)
        host = str(self.variables.get("inventory_hostname", ""))
        present = map(str, self.variables.get("ansible_play_hosts_all", []))
        whole = plan.without(plan.combine(components), self._removal(names, components))
        combined = plan.for_host(whole, host, host if leader is None else leader, present)
        combined["secrets"] = plan.secrets_in(combined, {*self._own_secrets(), *vaulted(self.variables)})
        return combined

    def _removal(self, names: Sequence[Any], carried: Sequence[derive.Derived]) -> removal.Removal:
        """What takes services off the host. What other hosts need, preflight looks at."""
        absent = self.book.absent_of(names, self.view)
        for _, reason in removal.refusals(absent, {"this host": [one.term for one in carried]}, self.book):
            raise plan.PlanError(reason)
        return removal.of_host(absent, carried, self.book, self.view, self.site)

    def _own_secrets(self) -> list[str]:
        """Values of the cloud's own secrets."""
        values = self.site.variable("stackwright_secrets")
        return [str(value) for value in values.values()] if isinstance(values, dict) else []

    def _overridden(self, role: str, files: dict[str, Any], first: bool) -> dict[str, Any]:
        """Files with the operator's overrides. Additional files belong to the first component of a role."""
        extra = self._named(f"{role}_config_files") if first else {}
        return plan.overridden(
            role, files, derive.paths_of(self.book, role), self._named(f"{role}_config_overrides"), extra
        )

    def _named(self, prefix: str) -> dict[str, Any]:
        names = [name for name in self.variables if name == prefix or name.startswith(f"{prefix}_")]
        return {name: self.site.variable(name) for name in names}
