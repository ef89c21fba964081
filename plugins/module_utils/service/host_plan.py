"""What a host is to be, on the control node: its services' specifications worked out, with the operator's overrides and
the secrets that it gets to know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.parsing.vault import EncryptedString, VaultLib
from ansible_collections.stackwright.cloud.plugins.module_utils.service import derive, host_view, plan, removal
from ansible_collections.stackwright.cloud.plugins.module_utils.service.derive import Site
from ansible_collections.stackwright.cloud.plugins.module_utils.service.specification import (
    Book,
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


@dataclass
class Maker:
    """Makes the plan of one host."""

    book: Book
    view: WideView
    site: Site
    variables: Mapping[str, Any]

    def plan(
        self, names: Sequence[Any], leader: str | None = None, keys: Sequence[str] | None = None
    ) -> dict[str, Any]:
        """The plan of these services.

        :param leader: the host that does for its group what is done once; by default each does.
        :param keys: what of the specifications is worked out; all that belongs to a plan by default.
        """
        components: list[derive.Derived] = []
        roles: set[str] = set()
        for term in self.book.services_of(names, self.view):
            found = derive.planned(self.book, term, self.view, self.site, keys)
            role = split_term(term)[0]
            files = self._overridden(role, found.files, first=role not in roles)
            components.append(found.with_files(plan.spelled(files, self._own_secrets())))
            roles.add(role)
        host = str(self.variables.get("inventory_hostname", ""))
        present = map(str, self.variables.get("ansible_play_hosts_all", []))
        whole = plan.without(plan.combine(components), self._removal(names, components))
        combined = plan.for_host(whole, host, host if leader is None else leader, present)
        known = {*self._own_secrets(), *vaulted(self.variables)}
        combined["secrets"] = sorted({*plan.secrets_in(combined, known), *derive.keys_in(combined["files"])})
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


def maker(loader: Any, variables: Mapping[str, Any]) -> Maker:
    """Makes the plan of the host whose variables these are."""
    works = host_view.view(loader, variables)
    return Maker(host_view.book(variables), works, host_view.site(works), variables)
