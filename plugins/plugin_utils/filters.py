"""Functions of the project as filters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from ansible.errors import AnsibleFilterError

Value = TypeVar("Value")
# What a function of plain data says of data that it cannot use.
REFUSALS = (AttributeError, KeyError, TypeError, ValueError)


def told(name: str, function: Callable[..., Value]) -> Callable[..., Value]:
    """The function as a filter, whose errors name it."""

    def run(given: Any, *arguments: Any, **named: Any) -> Value:
        try:
            return function(given, *arguments, **named)
        except REFUSALS as error:
            raise AnsibleFilterError(f"{name}: {error}") from None

    return run


def told_of_password(name: str, function: Callable[..., str]) -> Callable[..., str]:
    """The function of a password as a filter, whose errors name it and never quote the password."""

    def checked(password: Any, *arguments: Any, **named: Any) -> str:
        if not isinstance(password, str) or not password:
            raise ValueError("the password must be a text that is not empty")
        return function(password, *arguments, **named)

    return told(name, checked)
