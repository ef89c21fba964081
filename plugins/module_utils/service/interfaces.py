"""What the roles offer to an inventory: their options with types, their defaults, their secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True)
class Role:
    """A role's interface. `options` follow the argument_specs format; the others are raw, with templates.

    `internals` are what the role keeps in vars/: an inventory that sets one of them changes nothing. `checks` say of
    options what their types cannot, see `rules`.
    """

    name: str
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    internals: Mapping[str, Any] = field(default_factory=dict)
    checks: Mapping[str, Any] = field(default_factory=dict)


class InterfaceError(ValueError):
    """A role's own file is wrong; a fault of the collection, not of the inventory."""


# Every worker of a run reads the roles: libyaml does it in a tenth of the time.
class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Plain YAML, with Ansible's tags read as the text behind them."""


_Loader.add_multi_constructor("!", lambda loader, _suffix, node: loader.construct_scalar(node))


def _load(path: Path) -> dict[str, Any]:
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except FileNotFoundError:
        return {}
    except yaml.YAMLError as error:
        raise InterfaceError(f"{path}: is not valid YAML: {error}") from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise InterfaceError(f"{path}: must be a mapping.")
    return document


def load_roles(roles: Path) -> dict[str, Role]:
    """The interfaces of all roles below the directory `roles`, by name.

    :raises InterfaceError: when a role's argument_specs, checks or defaults cannot be read.
    """
    found: dict[str, Role] = {}
    for directory in sorted(path for path in roles.iterdir() if path.is_dir()):
        options: dict[str, Mapping[str, Any]] = {}
        specs = _load(directory / "meta" / "argument_specs.yml").get("argument_specs") or {}
        for entry_point in specs.values():
            options |= (entry_point or {}).get("options") or {}
        found[directory.name] = Role(
            directory.name,
            options,
            _load_main(directory / "defaults"),
            _load_main(directory / "vars"),
            _load(directory / "meta" / "checks.yml"),
        )
    return found


def _load_main(directory: Path) -> dict[str, Any]:
    main = directory / "main"
    variables: dict[str, Any] = {}
    for path in sorted(main.glob("*.yml")) if main.is_dir() else [directory / "main.yml"]:
        variables |= _load(path)
    return variables


def all_internals(roles: Mapping[str, Role]) -> dict[str, Any]:
    """The variables that all roles keep to themselves, together."""
    return {name: value for role in roles.values() for name, value in role.internals.items()}


def all_defaults(roles: Mapping[str, Role]) -> dict[str, Any]:
    """The defaults of all roles together; their names do not overlap, since each begins with its role's."""
    return {name: value for role in roles.values() for name, value in role.defaults.items()}


def all_options(roles: Mapping[str, Role]) -> dict[str, Mapping[str, Any]]:
    """The options of all roles together, defaults without a specification included as options of no stated type."""
    options: dict[str, Mapping[str, Any]] = {name: {} for name in all_defaults(roles)}
    for role in roles.values():
        options |= role.options
    return {name: option for name, option in options.items() if not name.startswith("__")}
