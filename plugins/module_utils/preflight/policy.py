"""What preflight expects of an inventory: the kinds of nodes and the rules of the roles' options."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.preflight import rules
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.snapshot import Host, Snapshot
from ansible_collections.stackwright.cloud.plugins.module_utils.secrets.declare import Declaration
from ansible_collections.stackwright.cloud.plugins.module_utils.service.interfaces import (
    InterfaceError,
    Role,
    all_defaults,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.service.specification import Book, SpecificationError
from ansible_collections.stackwright.cloud.plugins.module_utils.service.terms import canonical, split_term

APIS, GUESTS, VIRTUAL_ADDRESS = "apis", "guests", "virtual_address"
CARRIES = (APIS, GUESTS, VIRTUAL_ADDRESS)


@dataclass(frozen=True)
class Group:
    """A kind of nodes: a group of the inventory, and what its hosts carry.

    `roles` are node roles or services; without any, the kind can be described, not deployed. `odd` asks for an odd
    number of members, for the sake of quorum. `carries` are words of `CARRIES`.
    """

    roles: tuple[str, ...] = ()
    minimum: int = 0
    odd: bool = False
    carries: frozenset[str] = frozenset()

    @property
    def applied(self) -> frozenset[str]:
        """The roles that a play must apply to hosts of this kind."""
        return frozenset(split_term(one)[0] for one in self.roles)


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
    rules: rules.Rules = field(default_factory=rules.Rules)

    @classmethod
    def parse(
        cls, nodes: Mapping[str, Any], roles: Mapping[str, Role], secrets: Mapping[str, Declaration], deploying: bool
    ) -> Policy:
        """The policy from the kinds of nodes, as `nodes_of` finds them.

        :raises InterfaceError: a role's rules are wrong.
        :raises ValueError: the kinds of nodes are malformed.
        """
        known = rules.parse(roles)
        name = known.option("nodes") or "nodes"
        groups: dict[str, Group] = {}
        pairs: list[Conflict] = []
        for group, said in nodes.items():
            where = f"{name}: {group!r}"
            groups[str(group)] = _group(where, said, roles)
            for other, reason in (said.get("apart") or {}).items():
                if other not in nodes:
                    raise ValueError(f"{where}: apart: there is no kind of nodes {other!r}.")
                pairs.append(Conflict((str(group), str(other)), str(reason)))
        return cls(groups, tuple(pairs), roles, secrets, deploying, known)

    def carrying(self, what: str) -> list[str]:
        """The groups whose hosts carry this, a word of `CARRIES`."""
        return [name for name, group in self.groups.items() if what in group.carries]

    @property
    def book(self) -> Book:
        """The specifications of the roles."""
        return Book(self.roles)

    def services(self, host: Host, groups: Iterable[str] | None = None) -> list[str]:
        """The services that the host's kinds of nodes carry, each once, as `role` or `role.component`.

        :param groups: those of these kinds alone.
        """
        kinds = self.groups if groups is None else groups
        carried = [one for name in kinds if name in host.groups for one in self.groups[name].roles]
        try:
            return self.book.services_of(carried, host.work_out)
        except SpecificationError:  # a list of services that is no list, which is told as such
            return []

    def alone(self, term: str) -> bool:
        """Whether a service cannot run on several hosts yet. Another check tells of one that is unknown."""
        try:
            return not self.book.read(term).several
        except SpecificationError:
            return False

    def others(self, host: Host, carriers: Mapping[str, list[str]]) -> list[str]:
        """The services that the host neither carries nor is to be rid of, by their whole names.

        :param carriers: groups, and what their hosts carry beside what their kind of nodes says.
        """
        carried = [one for name, terms in carriers.items() if name in host.groups for one in terms]
        try:
            known = [
                *self.book.services_of(carried, host.work_out),
                *self.book.absent_of(carried, host.work_out),
            ]
        except SpecificationError:
            return []
        return sorted(self.book.names() - set(map(canonical, known))) if known else []

    def carries(self, host: Host, what: str) -> bool:
        """Whether the host is in such a group."""
        return not host.groups.isdisjoint(self.carrying(what))


def nodes_of(inventory: Snapshot, roles: Mapping[str, Role]) -> Mapping[str, Any]:
    """The kinds of nodes: what the inventory says, else the default of the role that has this option.

    :raises InterfaceError: no role has it.
    :raises ValueError: the inventory's is no mapping.
    """
    name = rules.parse(roles).option("nodes")
    if not name:
        raise InterfaceError(
            "roles/*/meta/checks.yml: no role has an option of the kind 'nodes', which says what each group carries."
        )
    found = next((host.get(name) for host in inventory.hosts.values() if name in host.own), None)
    nodes = all_defaults(roles)[name] if found is None else found
    if not isinstance(nodes, Mapping):
        raise ValueError(f"{name}: must map groups to what their hosts carry, not {nodes!r}.")
    return nodes


_KEYS: Mapping[str, type] = {"roles": list, "minimum": int, "odd": bool, "carries": list, "apart": dict}


def _group(where: str, said: Any, roles: Mapping[str, Role]) -> Group:
    if not isinstance(said, Mapping):
        raise ValueError(f"{where}: must be a mapping with {', '.join(_KEYS)}, all optional.")
    for key, value in said.items():
        if key not in _KEYS:
            raise ValueError(f"{where}: unknown key {key!r}; known are {', '.join(_KEYS)}.")
        if not isinstance(value, _KEYS[key]):
            raise ValueError(f"{where}: {key}: {value!r} is no {_KEYS[key].__name__}.")
    for word in said.get("carries", []):
        if word not in CARRIES:
            raise ValueError(f"{where}: carries: {word!r} is none of {', '.join(CARRIES)}.")
    group = Group(
        tuple(map(str, said.get("roles", []))),
        said.get("minimum", 0),
        said.get("odd", False),
        frozenset(said.get("carries", [])),
    )
    unknown = sorted(group.applied - roles.keys())
    if unknown:
        raise ValueError(f"{where}: roles: there is no role {unknown[0]!r}.")
    return group
