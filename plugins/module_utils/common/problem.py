"""What somebody has to mend: the cause, what to do, where, and what it is about."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from ansible_collections.stackwright.cloud.plugins.module_utils.common.text import clean

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def clean_fields(told: DataclassInstance) -> None:
    """Make every text of a frozen data class safe to show: it may quote what APIs, hosts and tenants said."""
    for field in fields(told):
        value: Any = getattr(told, field.name)
        if isinstance(value, str):
            object.__setattr__(told, field.name, clean(value))


@dataclass(frozen=True)
class Problem:
    """One fault. ``where`` is the place in a document ("users[2].domain") or file, ``about`` names the thing ("user
    'eve'"); ``host`` and ``variable`` say whose it is, where an inventory is judged. None of them ever holds a
    secret's value."""

    cause: str
    mend: str = ""
    where: str = ""
    about: str = ""
    host: str = ""
    variable: str = ""

    def __post_init__(self) -> None:
        clean_fields(self)

    def __str__(self) -> str:
        place = " ".join(part for part in (self.where, f"({self.about})" if self.about else "") if part)
        text = f"{place}: {self.cause}" if place else self.cause
        return f"{text} {self.mend}" if self.mend else text
