"""Specifications of roles as a host gets them: rendered by Ansible with the roles' own defaults and what a test
gives."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest import mock

from ansible._internal._templating._jinja_plugins import JinjaPluginIntercept
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import lookup_loader
from ansible_collections.stackwright.cloud.plugins.module_utils.secrets.declare import generate, load_declarations
from ansible_collections.stackwright.cloud.plugins.module_utils.service import derive, host_view

ROLES = Path(__file__).resolve().parents[1] / "roles"
PREFIX = "stackwright.cloud."


def _plugins(kind: str) -> dict[str, Any]:
    return {
        path.stem: import_module(f"ansible_collections.stackwright.cloud.plugins.{kind}.{path.stem}")
        for path in sorted((ROLES.parent / "plugins" / kind).glob("[a-z]*.py"))
    }


FILTERS, LOOKUPS = _plugins("filter"), _plugins("lookup")


@contextmanager
def plugins_of_the_collection() -> Iterator[None]:
    """Roles name filters and lookups of this collection in full, which Ansible's own loader of collections would
    find."""
    own = {f"{PREFIX}{n}": f for one in FILTERS.values() for n, f in one.FilterModule().filters().items()}
    find, get = JinjaPluginIntercept.__getitem__, lookup_loader.get

    def item(self: JinjaPluginIntercept, key: str) -> Any:
        return own[key] if key in own else find(self, key)

    def lookup(name: str, *arguments: Any, **keywords: Any) -> Any:
        if (short := name.removeprefix(PREFIX)) in LOOKUPS and short != name:
            return LOOKUPS[short].LookupModule(*arguments, **keywords)
        return get(name, *arguments, **keywords)

    with mock.patch.object(JinjaPluginIntercept, "__getitem__", item), mock.patch.object(lookup_loader, "get", lookup):
        yield


# A certificate authority has to be one.
MADE = {name: generate(declared) for name, declared in load_declarations(ROLES).items() if declared.kind == "authority"}


def variables(**given: Any) -> dict[str, Any]:
    """What a controller of a cloud has for variables; what is given goes before."""
    secrets = {name: f"the-{name}" for name in load_declarations(ROLES)} | MADE
    host = {
        "inventory_hostname": "controller1",
        "ansible_host": "192.0.2.11",
        "ansible_facts": {},
        "stackwright_secrets": secrets,
        # asked of the whole inventory by plays
        "rabbitmq_members": {"controller1": "192.0.2.11"},
        "mariadb_members": ["controller1"],
        "loadbalancer_members": {},
    }
    return host | given


def component(role: str, name: str, **given: Any) -> dict[str, Any]:
    """Return one component of a role with all that follows from it, as modules get it."""
    values = variables(**given)
    works = host_view.view(DataLoader(), values)
    term = f"{role}.{name}"
    with plugins_of_the_collection():
        return asdict(derive.planned(host_view.book(values), term, works, host_view.site(works)))
