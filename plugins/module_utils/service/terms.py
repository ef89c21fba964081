"""How services are called: ``role.component``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

PRESENT, ABSENT = "present", "absent"


def split_term(term: str) -> tuple[str, str]:
    """``nova.api`` names role nova, component api; a bare ``glance`` names the component of the role's own name."""
    role, _, name = term.partition(".")
    return role, name or role


def canonical(term: str) -> str:
    """The whole name of a component: ``glance`` is ``glance.glance``."""
    return ".".join(split_term(term))


def listed(entries: Iterable[Any], state: str = PRESENT) -> list[str]:
    """Names of the services in a list that are to be there, or of those that are to be taken off.

    An entry is a name, or a mapping of ``name`` and ``state``.

    :raises ValueError: an entry is neither; the text quotes it.
    """
    return [name for name, own in map(_entry, entries) if own == state]


def _entry(entry: Any) -> tuple[str, str]:
    if not isinstance(entry, Mapping):
        return str(entry), PRESENT
    state = entry.get("state", PRESENT)
    if not isinstance(entry.get("name"), str) or not set(entry) <= {"name", "state"} or state not in (PRESENT, ABSENT):
        raise ValueError(
            f"{dict(entry)!r} must be a service's name, or a mapping of name and state ({PRESENT} or {ABSENT})"
        )
    return entry["name"], state
