"""Changes of a plan, and what the services did not keep of them, for people and for a module's result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.errors import Problem
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.schema import Item
from ansible_collections.stackwright.cloud.plugins.module_utils.common.text import one_line

Action = Literal["create", "update", "replace", "delete", "unchanged"]
HIDDEN = "(secret)"
BY_ITSELF = "the service makes it by itself"


@dataclass
class Change:
    """One resource of the plan. ``before`` and ``after`` hold the fields that differ, references as names."""

    action: Action
    item: Item
    fields: list[str] = field(default_factory=list)
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    reason: str = ""
    # What an object that is made anew loses, since it hangs on what changes.
    lost: dict[str, Any] = field(default_factory=dict)
    # The service makes the object by itself: what the cloud does not show yet is there when it is looked for.
    by_itself: bool = False

    @property
    def word(self) -> Action:
        """What is done, for people."""
        return "update" if self.by_itself else self.action

    @property
    def line(self) -> str:
        """The change in one line."""
        parts = [_difference(name, self.before.get(name), self.after.get(name)) for name in self.fields]
        parts += [f"{name} {_short(value)} is lost" for name, value in self.lost.items()]
        text = f"{self.word} {self.item.label}"
        if self.word in ("update", "replace") and parts:
            text += f": {', '.join(parts)}"
        return one_line(f"{text} ({self.reason})" if self.reason else text)

    def as_dict(self) -> dict[str, Any]:
        """The change for a module's result."""
        return {
            "action": self.word,
            "type": self.item.type.name,
            "name": self.item.title,
            "path": self.item.path,
            "id": self.item.id,
            "before": self.before,
            "after": self.after,
            "reason": self.reason,
            "lost": self.lost,
        }


@dataclass
class Loss:
    """A field of a change that the service took without an error and did not keep."""

    change: Change
    name: str
    wanted: Any
    held: Any

    @property
    def problem(self) -> Problem:
        """The loss for an operator."""
        held = "has nothing there" if self.held in (None, "", [], {}) else f"has {_short(self.held)}"
        return self.change.item.problem(
            f"The service did not keep {self.name}: {_short(self.wanted)} was asked for and not "
            f"refused, but it {held}.",
            "The service may lack the extension or driver for it, or its log may tell; otherwise take "
            "the value that it has.",
            self.name,
        )


def _difference(name: str, before: Any, after: Any) -> str:
    """A change of a field; of long lists and mappings only what differs."""
    whole = f"{name} {_short(before)} -> {_short(after)}"
    if len(str(before)) <= 60 and len(str(after)) <= 60:
        return whole
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        before, after = (
            [f"{key}={one[key]}" for key in one if one[key] != other.get(key, one)]
            for one, other in ((before, after), (after, before))
        )
    if not isinstance(before, list) or not isinstance(after, list):
        return whole
    gone, new = [e for e in before if e not in after], [e for e in after if e not in before]
    told = [f"- {_element(e)}" for e in gone] + [f"+ {_element(e)}" for e in new]
    return f"{name} {'; '.join(told)}" if told else f"{name} in another order"


def _element(value: Any) -> str:
    return " ".join(f"{key}={part}" for key, part in value.items()) if isinstance(value, Mapping) else str(value)


def _short(value: Any) -> str:
    text = str(value) if isinstance(value, str | int | float | list | dict) else "(none)"
    return text if len(text) <= 60 else f"{text[:57]}..."


def hide(value: Any) -> Any:
    """A value for output: nothing unless there is one."""
    return HIDDEN if value else value
