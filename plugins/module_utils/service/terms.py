"""How services are called: ``role.component``."""

from __future__ import annotations


def split_term(term: str) -> tuple[str, str]:
    """``nova.api`` names role nova, component api; a bare ``glance`` names the component of the role's own name."""
    role, _, name = term.partition(".")
    return role, name or role


def canonical(term: str) -> str:
    """The whole name of a component: ``glance`` is ``glance.glance``."""
    return ".".join(split_term(term))
