"""What a resource type is: a check that gathers evidence, and a remedy that plans changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.stig.findings import Evidence
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.host import Host

Spec = dict[str, Any]


class EngineError(Exception):
    """The request cannot be carried out at all; the text says what to do."""


@dataclass
class Check:
    """The outcome of one check.

    `testable` is false where only the configuration on disk could be judged; `disk` where a condition of the machine
    leaves nothing there to judge, so that its failure in a container says nothing.
    """

    ok: bool
    evidence: list[Evidence] = field(default_factory=list)
    note: str = ""
    testable: bool = True
    applicable: bool = True
    disk: bool = True


@dataclass(frozen=True)
class Resource:
    """A type of resource. `fields` maps each field of its specification to its types; `required` names those it must
    have."""

    check: Callable[[Host, Spec], Check]
    fix: Callable[[Host, Spec], None] | None
    fields: dict[str, Any]
    required: tuple[str, ...] = ()
    group: str = "files"
    sentence: str = ""


def judged(ok: bool, expected: str, found: str, where: str) -> Check:
    """A check that rests on one observation."""
    return Check(ok, [Evidence(expected, found, where)])


def accepted(found: str, spec: Spec) -> bool:
    """Whether a found value satisfies `value`, or lies in `allowed`, or between `min` and `max` (numbers).

    A number without bounds must be equal; words are compared without regard to case.
    """
    if "min" in spec or "max" in spec:
        try:
            number = int(found, 8) if spec.get("octal") else int(found)
        except ValueError:
            return False
        low, high = spec.get("min"), spec.get("max")
        return (low is None or number >= int(low)) and (high is None or number <= int(high))
    values = [str(one) for one in spec.get("allowed", [spec.get("value", "")])]
    return any(found == one or found.casefold() == one.casefold() for one in values)


def wanted(spec: Spec) -> str:
    """What a value must be, in words."""
    if "min" in spec and "max" in spec:
        return f"{spec['min']} to {spec['max']}"
    if "min" in spec:
        return f"{spec['min']} or more"
    if "max" in spec:
        return f"{spec['max']} or less"
    return " or ".join(str(one) for one in spec.get("allowed", [spec.get("value", "")]))
