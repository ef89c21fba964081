"""What the roles say of their options beyond a type, in ``meta/checks.yml``: each option with the kind of its value.

An entry is ``option: {is: kind}``, with the kind's own settings beside it (`KINDS`) and, with any kind, ``same: true``
for what must be the same on every host and ``family: 4`` for addresses that no role writes with the brackets that IPv6
needs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.common import words
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight import kinds
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.kinds import KINDS, Fault
from ansible_collections.stackwright.cloud.plugins.module_utils.service.interfaces import (
    InterfaceError,
    Role,
    all_options,
)

_COMMON: Mapping[str, type] = {"same": bool, "family": int}


@dataclass(frozen=True)
class Rule:
    """What one option's value must be. `settings` are those of its kind, as the role gives them."""

    option: str
    role: str
    kind: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    same: bool = False
    family: int = 0

    def covers(self, name: str) -> bool:
        """Whether a variable is this option, or goes on from it where longer names are merged into it."""
        return name == self.option or (KINDS[self.kind].continued and name.startswith(f"{self.option}_"))

    def fault(self, value: Any) -> Fault | None:
        """What the kind has against a value by itself."""
        make = KINDS[self.kind].test
        return make(self.settings)(value) if make else None


@dataclass(frozen=True)
class Rules:
    """The rules of all roles."""

    rules: tuple[Rule, ...] = ()

    def of(self, name: str) -> Rule | None:
        """The rule of a variable; None when no role has one for it."""
        return next((one for one in self.rules if one.covers(name)), None)

    def kind(self, *names: str) -> list[Rule]:
        """The rules of these kinds."""
        return [one for one in self.rules if one.kind in names]

    def option(self, kind: str, **settings: Any) -> str:
        """The option of a kind of which there is one, with these settings where there are several; empty when no role
        has one."""
        found = (
            one for one in self.kind(kind) if all(one.settings.get(key) == value for key, value in settings.items())
        )
        return next((one.option for one in found), "")

    @property
    def same(self) -> list[Rule]:
        """Those of options that belong to the cloud as a whole."""
        return [one for one in self.rules if one.same]


def parse(roles: Mapping[str, Role]) -> Rules:
    """The rules of all roles.

    :raises InterfaceError: a file has an option that its role does not have, an unknown kind, or settings that its kind
        does not take.
    """
    options = frozenset(all_options(roles))
    return Rules(tuple(rule for role in roles.values() for rule in _of_role(role, options)))


def _of_role(role: Role, options: frozenset[str]) -> Iterator[Rule]:
    own = all_options({role.name: role})
    for option, entry in role.checks.items():
        where = f"roles/{role.name}/meta/checks.yml: {option}"
        if option not in own:
            raise InterfaceError(f"{where}: the role {role.name} has no such option.{words.hint(option, own, ' ')}")
        if not isinstance(entry, Mapping) or not isinstance(entry.get("is"), str):
            raise InterfaceError(
                f"{where}: must be a mapping with the key 'is', the kind of the value: {', '.join(sorted(KINDS))}."
            )
        kind = str(entry["is"])
        if kind not in KINDS:
            raise InterfaceError(
                f"{where}: there is no kind {kind!r}.{words.hint(kind, KINDS, ' ')} Kinds are "
                f"{', '.join(sorted(KINDS))}."
            )
        settings = {str(key): value for key, value in entry.items() if key not in ("is", *_COMMON)}
        _check_settings(where, kind, entry, options)
        yield Rule(option, role.name, kind, settings, bool(entry.get("same", False)), int(entry.get("family", 0)))


def _check_settings(where: str, kind: str, entry: Mapping[str, Any], options: frozenset[str]) -> None:
    taken: Mapping[str, type | tuple[str, ...]] = {**KINDS[kind].settings, **_COMMON}
    for key, value in entry.items():
        if key == "is":
            continue
        if key not in taken:
            raise InterfaceError(
                f"{where}: the kind {kind!r} takes no setting {key!r}.{words.hint(str(key), taken, ' ')}"
            )
        if taken[key] is kinds.Option:
            missing = [one for one in ([value] if isinstance(value, str) else value) if one not in options]
            if missing:
                raise InterfaceError(
                    f"{where}: {key}: no role has an option {missing[0]!r}.{words.hint(str(missing[0]), options, ' ')}"
                )
        elif isinstance(wanted := taken[key], tuple):
            if value not in wanted:
                raise InterfaceError(f"{where}: {key}: {value!r} is none of {', '.join(wanted)}.")
        elif not isinstance(value, wanted):
            raise InterfaceError(f"{where}: {key}: {value!r} is no {wanted.__name__}.")
    for key in KINDS[kind].needed:
        if key not in entry:
            raise InterfaceError(f"{where}: the kind {kind!r} needs the setting {key!r}.")
