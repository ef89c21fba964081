"""Ansible's side of specifications, on the control node: the roles' own files, and a host's variables to work them out
with."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.template import Templar, trust_as_template
from ansible_collections.stackwright.cloud.plugins.module_utils.service import interfaces
from ansible_collections.stackwright.cloud.plugins.module_utils.service.derive import Site
from ansible_collections.stackwright.cloud.plugins.module_utils.service.specification import Book, View, WideView

ROLES = Path(__file__).resolve().parents[3] / "roles"


def trusted(value: Any) -> Any:
    """Data of the roles' own files, as templates."""
    if isinstance(value, str):
        return trust_as_template(value)
    if isinstance(value, list):
        return [trusted(one) for one in value]
    if isinstance(value, dict):
        return {key: trusted(one) for key, one in value.items()}
    return value


@functools.cache
def roles() -> dict[str, interfaces.Role]:
    """The roles of the collection, their defaults and variables as templates; read once for all hosts of a process."""
    return {
        name: dataclasses.replace(role, defaults=trusted(role.defaults), internals=trusted(role.internals))
        for name, role in interfaces.load_roles(ROLES).items()
    }


@functools.cache
def _variables() -> tuple[dict[str, Any], dict[str, Any]]:
    """Defaults and internals of all roles."""
    return interfaces.all_defaults(roles()), interfaces.all_internals(roles())


def book(variables: Mapping[str, Any]) -> Book:
    """The specifications of the roles, and of services that a play describes in its variables."""
    return Book(roles(), variables)


def view(loader: Any, variables: Mapping[str, Any], hostvars: Any = None) -> WideView:
    """Works data of a role out in the variables of a host, below which lie all roles' defaults."""
    defaults, internals = _variables()
    others = {"hostvars": hostvars} if hostvars is not None else {}
    known = {**defaults, **variables, **internals, **others}
    templar = Templar(loader=loader, variables=known)

    def work_out(raw: Any, more: Mapping[str, Any] | None = None) -> Any:
        knows = Templar(loader=loader, variables={**known, **more}) if more else templar
        return knows.template(trust_as_template(raw) if isinstance(raw, str) else raw)

    return work_out


def site(works: View) -> Site:
    """The site of a host's components."""
    return Site(lambda name: works("{{ " + name + " }}"))
