"""What a plan reads of a cloud: every type once, by the names that the document needs."""

from __future__ import annotations

import concurrent.futures
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.api import Cloud
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.engine.ledger import Ledger
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.errors import ApiError, CloudError
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.operation import list_objects, mark_tag
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.schema import (
    AUTH_DOMAIN,
    AUTH_PROJECT,
    MARK,
    TOKEN_SCOPE,
    Field,
    Item,
    Query,
    Raw,
    ResourceType,
    read_field,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.types.registry import BY_NAME, TYPES

_ID = re.compile(r"^([0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|default)$")


@dataclass
class State:
    """What was read of the cloud, by type."""

    cloud: Cloud
    objects: dict[str, list[Raw]] = field(default_factory=dict)
    by_id: dict[str, dict[str, Raw]] = field(default_factory=dict)
    # Objects that were asked for one by one, for their names.
    others: dict[tuple[str, str], Raw | None] = field(default_factory=dict)

    def name_of(self, kind: str, ident: str) -> str:
        """Name for an id, for people; the id itself when it is not known."""
        own = names_of_login(BY_NAME[kind], self.cloud)
        if own and ident == own[0] and ident not in self.by_id.get(kind, {}):
            return own[-1]
        raw = self.by_id.get(kind, {}).get(ident) or self._asked(kind, ident)
        if raw is None:
            return ident
        declared = BY_NAME[kind]
        return str(read_field(declared.field(declared.identity[0]), raw) or ident)

    def _asked(self, kind: str, ident: str) -> Raw | None:
        """An object of the network service that no entry names, for its name; None if that cannot be had."""
        declared = BY_NAME[kind]
        if declared.service != "network" or not _ID.match(ident) or not self.cloud.endpoint("network"):
            return None
        if (kind, ident) not in self.others:
            try:
                found = list(self.cloud.pages("network", declared.path, declared.collection_key, [("id", ident)]))
            except ApiError:
                found = []
            self.others[(kind, ident)] = found[0] if found else None
        return self.others[(kind, ident)]

    def put(self, kind: ResourceType, objects: list[Raw]) -> None:
        """Remember a type's objects."""
        self.objects[kind.name] = objects
        self.by_id[kind.name] = {str(raw[kind.id_key]): raw for raw in objects}


def names_of_login(kind: ResourceType, cloud: Cloud) -> tuple[str, ...]:
    """What the login's own object of a type is called, its identifier first; nothing where there is none."""
    return kind.of_login(cloud) if kind.of_login else ()


def refs(kind: ResourceType, values: Mapping[str, Any]) -> Iterable[tuple[Field, Field, Any, str]]:
    """Every reference in values: the field, the field that refers (itself or a key of its elements), the value, its place."""
    for declared in kind.fields:
        value = values.get(declared.name)
        if value is None:
            continue
        if declared.ref:
            for number, element in enumerate(value if isinstance(value, list) else [value]):
                if element in declared.words:
                    continue
                yield (
                    declared,
                    declared,
                    element,
                    f"{declared.name}[{number}]" if isinstance(value, list) else declared.name,
                )
        for key in declared.keys:
            for number, element in enumerate(value if key.ref else []):
                if element.get(key.name) is not None and element[key.name] not in key.words:
                    yield declared, key, element[key.name], f"{declared.name}[{number}].{key.name}"


def needed_names(items: list[Item], everything: bool) -> dict[str, set[str] | None]:
    """Types that must be listed, with the names that are wanted; None wants all."""
    needed: dict[str, set[str] | None] = {}

    def want(kind: str, name: Any) -> None:
        names = needed.setdefault(kind, set())
        if isinstance(name, Mapping):
            for key, value in name.items():
                inner = next((f for f in BY_NAME[kind].fields if f.name == key and f.ref), None)
                if inner:
                    want(inner.ref, value)
            name = name.get("name")
        if name is None or _ID.match(str(name)):
            needed[kind] = None
        elif names is not None:
            names.add(str(name))

    for item in items:
        if item.wanted_id or item.type.identity[0] != "name" or "name" not in item.values:
            needed[item.type.name] = None
        else:
            want(item.type.name, item.values["name"])
        for _, holder, value, _place in refs(item.type, item.values):
            want(holder.ref, value)
    if everything:
        for item in items:
            needed[item.type.name] = None
    return needed


class Reader:
    """Lists what a document and its owner's ledger need of a cloud, and knows what of it is the owner's."""

    def __init__(
        self, cloud: Cloud, items: list[Item], ledger: Ledger, *, owner: str = "", prune: bool = False, parallel: int = 8
    ) -> None:
        self.cloud, self.items, self.ledger = cloud, items, ledger
        self.owner, self.prune, self.parallel = owner, prune, parallel
        self.state = State(cloud)
        self.own: dict[str, list[Item]] = defaultdict(list)
        for item in items:
            self.own[item.type.name].append(item)
        # Objects that a run made before it was cut off, with their intents; and intents that came to nothing.
        self.adopted: list[tuple[ResourceType, Raw, str]] = []
        self.stale: list[tuple[str, str]] = []

    def read(self) -> None:
        """List every type that the document needs, in parallel.

        :raises CloudError: a service is missing in the catalogue or refuses the listing.
        """
        needed = needed_names(self.items, False)
        services = {item.type.service: item.path for item in reversed(self.items)}
        if self.prune:
            for kind in TYPES:
                if kind.mark and not kind.singleton and self.cloud.endpoint(kind.service):
                    in_ledger = any(name == kind.name for name, _ in self.ledger.owned)
                    if kind.mark != "ledger":
                        needed.setdefault(kind.name, set())
                    elif in_ledger:
                        needed[kind.name] = None
        for name, _ in self.ledger.intents:
            if name in BY_NAME and self.cloud.endpoint(BY_NAME[name].service):
                needed[name] = None
        self.cloud.require(services)

        self.list_all(needed)
        self._settle_intents()

    def list_all(self, needed: Mapping[str, set[str] | None]) -> None:
        """List types, those with names only by these."""
        with concurrent.futures.ThreadPoolExecutor(self.parallel) as pool:
            # What is asked project by project comes after the projects.
            later = [
                name for name in needed if BY_NAME[name].list_last or (BY_NAME[name].scoped and TOKEN_SCOPE in needed)
            ]
            for names in ([name for name in needed if name not in later], later):
                for kind, objects in pool.map(lambda name: self._list(name, needed[name]), names):
                    self.state.put(kind, objects)

    def _list(self, name: str, names: set[str] | None) -> tuple[ResourceType, list[Raw]]:
        kind = BY_NAME[name]
        query = Query(
            self.cloud,
            kind,
            names,
            projects=self._projects(kind),
            owner=self.owner if self.prune else "",
            # What a new object takes over from an old one is looked at as if the entry named it.
            entries=[{**dict.fromkeys(item.resolved), **item.values} for item in self.own[name]],
            owned=frozenset(ident for owned, ident in self.ledger.owned if owned == name),
            all=any(other == name for other, _ in self.ledger.intents | (self.ledger.owned if self.prune else set())),
            ident=self.only,
        )
        try:
            return kind, (kind.listing or list_objects)(query)
        except ApiError as error:
            user = next((item for item in self.items if item.type.name == name), None)
            raise CloudError(error.problem(user.path if user else "", kind.plural.replace("_", " "))) from error

    def _settle_intents(self) -> None:
        """Find what a run made before it was cut off: the resources that it meant to make and that are there."""
        for name, key in sorted(self.ledger.intents):
            if name not in self.state.objects:
                continue
            kind = BY_NAME[name]
            found = [raw for raw in self.state.objects[name] if intent_key(current_key(kind, raw)) == key]
            if len(found) == 1:
                self.adopted.append((kind, found[0], key))
            elif not found and not kind.scoped:
                self.stale.append((name, key))

    def only(self, name: str, value: Any) -> str | None:
        """Identifier of the only object, of those read, that a reference can mean; empty for none, None for several."""
        kind = BY_NAME[name]
        word = str(value.get("name", value.get("id"))) if isinstance(value, Mapping) else str(value)
        first = kind.field(kind.identity[0])
        found = [
            str(raw[kind.id_key])
            for raw in self.state.objects.get(name, [])
            if word in (str(raw[kind.id_key]), read_field(first, raw))
        ]
        own = names_of_login(kind, self.cloud)
        if not found and word in own:
            found = [own[0]]
        return None if len(found) > 1 else found[0] if found else ""

    def _projects(self, kind: ResourceType) -> tuple[str, ...]:
        """Projects in which a type's objects are looked for: the login's ("") and those that exist of the ones named."""
        if not kind.scoped:
            return ("",)
        named = self._named_projects(self.own[kind.name])
        if self.prune:
            # What the document made may lie in a project that only other entries name, and only where the login has a role.
            named |= {project for project in self._named_projects(self.items) - named if self._may_enter(project)}
        return ("", *sorted(named - {self.cloud.project_id}))

    def _named_projects(self, items: list[Item]) -> set[str]:
        names: set[str] = set()
        for item in items:
            for declared, _, value, _ in refs(item.type, item.values):
                if declared.ref == TOKEN_SCOPE:
                    names.add(str(value.get("name", value.get("id"))) if isinstance(value, Mapping) else str(value))
            if item.type.name == TOKEN_SCOPE:
                names.add(str(item.values.get("name")))
        return {
            str(raw["id"]) for raw in self.state.objects.get(TOKEN_SCOPE, []) if {str(raw["id"]), raw["name"]} & names
        }

    def _may_enter(self, project: str) -> bool:
        try:
            self.cloud.session(project)
        except ApiError:
            return False
        return True

    def in_full(self, item: Item) -> Raw | None:
        """An object with what a listing holds only for entries that speak of it."""
        kind = item.type
        if not kind.listing:
            return None
        names = {str(item.values["name"])} if "name" in item.values and not item.wanted_id else None
        query = Query(self.cloud, kind, names, self._projects(kind), entries=[item.values], full=True, ident=self.only)
        return next((raw for raw in kind.listing(query) if str(raw[kind.id_key]) == item.id), None)

    def names(self, kind: ResourceType) -> set[str]:
        """All names of a type, for hints; asks again, since the listing held only the names of the document."""
        try:
            objects = (kind.listing or list_objects)(Query(self.cloud, kind))
        except ApiError:
            objects = self.state.objects.get(kind.name, [])
        return {str(read_field(kind.field(kind.identity[0]), raw)) for raw in objects}

    def is_owned(self, kind: ResourceType, raw: Raw) -> bool:
        """Whether an object carries this document's ownership mark."""
        if (kind.name, str(raw[kind.id_key])) in self.ledger.owned:
            return True
        if any(kind is other and raw is found for other, found, _ in self.adopted):
            return True
        if kind.mark == "tags":
            return mark_tag(self.owner) in (raw.get("tags") or [])
        if kind.mark == "metadata":
            return bool((raw.get("metadata") or {}).get(MARK) == self.owner)
        return kind.mark == "property" and raw.get(MARK) == self.owner


def default_of(value: Any, cloud: Cloud) -> Any:
    """What a default stands for in a cloud."""
    return {AUTH_PROJECT: cloud.project_id, AUTH_DOMAIN: cloud.domain_id}.get(str(value), value)


def current_key(kind: ResourceType, raw: Raw) -> tuple[Any, ...]:
    """The identity of an object, without what entries may leave open."""
    return tuple(hashable(read_field(kind.field(name), raw)) for name in kind.identity if name not in kind.loose)


def intent_key(key: Iterable[Any]) -> str:
    """An identity as the ledger keeps it."""
    return json.dumps(list(key), default=str)


def hashable(value: Any) -> Any:
    """A value in a form that can be compared as a key."""
    if isinstance(value, list):
        return tuple(hashable(element) for element in value)
    if isinstance(value, dict):
        return tuple(sorted((key, hashable(element)) for key, element in value.items()))
    return value
