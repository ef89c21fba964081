"""What a plan reads of a cloud: every type once, by the names that the document needs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.api import Cloud
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.engine.ledger import Ledger
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.engine.reading import (
    IDENTIFIER,
    Reading,
    current_key,
    intent_key,
    names_of_login,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.errors import ApiError, CloudError
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.operation import list_objects, mark_tag
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.schema import (
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


def refs(kind: ResourceType, values: Mapping[str, Any]) -> Iterable[tuple[Field, Field, Any, str]]:
    """Every reference in values: the field, the field that refers (itself or a key of its elements), the value, its
    place."""
    for declared in kind.fields:
        value = values.get(declared.name)
        if value is None:
            continue
        for holder, one, place in _referring(declared, value, declared.name):
            yield declared, holder, one, place


def _referring(declared: Field, value: Any, place: str) -> Iterator[tuple[Field, Any, str]]:
    """The references in a value of a field, through lists and the keys of their elements."""
    if isinstance(value, list):
        for number, element in enumerate(value):
            yield from _referring(declared, element, f"{place}[{number}]")
    elif declared.keys and isinstance(value, Mapping):
        for key in declared.keys:
            if value.get(key.name) is not None:
                yield from _referring(key, value[key.name], f"{place}.{key.name}")
    elif declared.ref and value not in declared.words:
        yield declared, value, place


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
        if name is None or IDENTIFIER.match(str(name)):
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
        self,
        cloud: Cloud,
        items: list[Item],
        ledger: Ledger,
        *,
        owner: str = "",
        prune: bool = False,
        parallel: int = 8,
    ) -> None:
        self.cloud, self.items, self.ledger = cloud, items, ledger
        self.owner, self.prune, self.parallel = owner, prune, parallel
        self.state = Reading(cloud)
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
        # What is asked project by project comes after the projects.
        later = [name for name in needed if BY_NAME[name].list_last or (BY_NAME[name].scoped and TOKEN_SCOPE in needed)]
        for names in ([name for name in needed if name not in later], later):
            queries = [self._query(BY_NAME[name], needed[name]) for name in names]
            for query, answer in zip(queries, Reading.listed(queries, self.parallel), strict=True):
                if isinstance(answer, ApiError):
                    user = self.own[query.type.name][0].path if self.own[query.type.name] else ""
                    raise CloudError(answer.problem(user, query.type.plural.replace("_", " "))) from answer
                self.state.put(query.type, answer)

    def _query(self, kind: ResourceType, names: set[str] | None) -> Query:
        name = kind.name
        return Query(
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
        found = self.state.meant(kind, word)
        own = names_of_login(kind, self.cloud)
        if not found and word in own:
            found = [own[0]]
        return None if len(found) > 1 else found[0] if found else ""

    def _projects(self, kind: ResourceType) -> tuple[str, ...]:
        """Projects in which a type's objects are looked for: the login's ("") and those that exist of the ones
        named."""
        if not kind.scoped:
            return ("",)
        named = self._named_projects(self.own[kind.name])
        if self.prune:
            # What the document made may lie in a project that only other entries name, and only where the login has a
            # role.
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
