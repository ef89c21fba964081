"""What preflight expects of an inventory, as its role's variables state it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.cloud_secrets import Declaration
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.interfaces import Role


@dataclass(frozen=True)
class Group:
    """A group that carries roles.

    `odd` asks for an odd number of members, for the sake of quorum; more than `maximum` can be described, not deployed
    (None: no limit).
    """

    minimum: int = 0
    odd: bool = False
    maximum: int | None = None


@dataclass(frozen=True)
class Conflict:
    """Groups that must not share a host, and why."""

    groups: tuple[str, str]
    reason: str


@dataclass(frozen=True)
class Policy:
    """The expectations. With `deploying` false an inventory may still lack secrets and hold placeholder addresses."""

    groups: Mapping[str, Group] = field(default_factory=dict)
    conflicts: tuple[Conflict, ...] = ()
    roles: Mapping[str, Role] = field(default_factory=dict)
    secrets: Mapping[str, Declaration] = field(default_factory=dict)
    deploying: bool = True

    @classmethod
    def parse(
        cls,
        groups: Mapping[str, Any],
        conflicts: Iterable[Mapping[str, Any]],
        roles: Mapping[str, Role],
        secrets: Mapping[str, Declaration],
        deploying: bool,
    ) -> Policy:
        """The policy from the variables `preflight_groups` and `preflight_conflicts` of the role.

        :raises ValueError: when one of the two is malformed.
        """
        parsed: dict[str, Group] = {}
        for name, rule in groups.items():
            if not isinstance(rule, Mapping) or not set(rule) <= {"minimum", "odd", "maximum"}:
                raise ValueError(
                    f"preflight_groups: {name!r} must be a mapping with minimum, odd and maximum, all optional."
                )
            parsed[name] = Group(int(rule.get("minimum", 0)), bool(rule.get("odd", False)), None if rule.get("maximum") is None else int(rule["maximum"]))
        pairs: list[Conflict] = []
        for number, rule in enumerate(conflicts, start=1):
            pair = rule.get("groups")
            if not isinstance(pair, list) or len(pair) != 2 or not isinstance(rule.get("reason"), str):
                raise ValueError(f"preflight_conflicts: entry {number} must have two groups and a reason.")
            pairs.append(Conflict((str(pair[0]), str(pair[1])), rule["reason"]))
        return cls(parsed, tuple(pairs), roles, secrets, deploying)
