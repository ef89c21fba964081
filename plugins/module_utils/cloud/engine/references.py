"""What the names of a document mean: the object of every entry, and what entries refer to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.engine.reader import Reader
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.engine.reading import (
    current_key,
    default_of,
    hashable,
    names_of_login,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.errors import Problem
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.operation import is_mark
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.schema import (
    SCOPES,
    Field,
    Item,
    Plan,
    Raw,
    ResourceType,
    canonical,
    read_field,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.types.registry import BY_NAME, TYPES
from ansible_collections.stackwright.cloud.plugins.module_utils.common.words import hint_or_list


class References:
    """Matches entries with objects, and turns names into entries or identifiers."""

    def __init__(self, reader: Reader) -> None:
        self.reader, self.cloud, self.items = reader, reader.cloud, reader.items
        self.state, self.own = reader.state, reader.own
        self.problems: list[Problem] = []
        # Entries whose objects are made anew, so that their identifiers do not stay.
        self.replaced: set[Item] = set()

    def match(self) -> None:
        """Find the object of the cloud for every entry, types that others are identified by first."""
        for kind in TYPES:
            if not self.own[kind.name]:
                continue
            index: dict[tuple[Any, ...], list[Raw]] = defaultdict(list)
            # What an entry with an id names otherwise is not what another one means by the old name.
            names = {item.wanted_id: item.values.get("name") for item in self.own[kind.name] if item.wanted_id}
            for raw in self.state.objects[kind.name]:
                if names.get(str(raw[kind.id_key]), raw.get("name")) in (None, raw.get("name")):
                    index[current_key(kind, raw)].append(raw)
            claimed: dict[str, Item] = {}
            for item in self.own[kind.name]:
                self._match_one(item, index)
                if item.id and item.id in claimed:
                    self.problems.append(
                        item.problem(
                            f"It is the same object ({item.id}) as {claimed[item.id].path}.", "Remove one of the two."
                        )
                    )
                claimed[item.id] = item

    def identity_of(self, kind: ResourceType, values: Mapping[str, Any]) -> tuple[Any, ...]:
        """The identity of the object that is made of these values, with identifiers for references."""
        fields = [kind.field(name) for name in kind.identity if name not in kind.loose]
        return tuple(hashable(canonical(f, values.get(f.name, default_of(f.default, self.cloud)))) for f in fields)

    def _match_one(self, item: Item, index: Mapping[tuple[Any, ...], list[Raw]]) -> None:
        kind = item.type
        key: list[Any] = []
        for name in kind.identity:
            declared = kind.field(name)
            if name in item.values:
                try:
                    value = self._resolve(item, declared, item.values[name], name)
                except LookupError:
                    if item.absent:
                        return
                    value = None
                item.resolved[name] = value
            else:
                value = default_of(declared.default, self.cloud)
            if name not in kind.loose:
                key.append(hashable(canonical(declared, self.ident(value))))
        if item.wanted_id:
            found = [raw for ident, raw in self.state.by_id[kind.name].items() if ident == item.wanted_id]
            if not found and not item.absent:
                self.problems.append(
                    item.problem(f"No {kind.name} has the id {item.wanted_id}.", "Remove the id.", "id")
                )
        else:
            found = index.get(tuple(key), [])
        for name in kind.loose:
            if name in item.values:
                wanted = canonical(kind.field(name), self.ident(item.resolved.get(name)))
                found = [raw for raw in found if read_field(kind.field(name), raw) == wanted]
        if not found and not item.wanted_id and not item.absent and kind.adopted_by in item.values:
            found = self._adoptable(item)
        if len(found) > 1:
            self.problems.append(
                item.problem(
                    f"The cloud holds {len(found)} of this name: "
                    f"{', '.join(sorted(str(raw[kind.id_key]) for raw in found))}.",
                    "Say which with the key id, or rename the others.",
                )
            )
        elif found:
            item.current, item.id = found[0], str(found[0][kind.id_key])

    def _adoptable(self, item: Item) -> list[Raw]:
        """The object that an entry takes over though it has another name, or none: what else identifies it is alike."""
        kind = item.type
        declared = kind.field(kind.adopted_by)
        wanted = canonical(declared, item.values[kind.adopted_by])
        scopes = [kind.field(name) for name in kind.identity[1:]]
        place = [self.ident(item.resolved.get(one.name, default_of(one.default, self.cloud))) for one in scopes]
        found = [
            raw
            for raw in self.state.objects[kind.name]
            if read_field(declared, raw) == wanted and [read_field(one, raw) for one in scopes] == place
        ]
        if len(found) != 1:
            return []
        ident = str(found[0][kind.id_key])
        why = kind.unadoptable(found[0]) if kind.unadoptable else ""
        if (
            not self.reader.is_owned(kind, found[0])
            and not why
            and any(is_mark(tag) for tag in found[0].get("tags") or [])
        ):
            why = "another document made it"
        if why:
            cause = f"The {kind.name.replace('_', ' ')} {wanted} is there already, and {why}."
            self.problems.append(item.problem(cause, f"Write id: {ident} to take it over all the same.", declared.name))
            return []
        # From here on the name is a field like others.
        item.wanted_id = ident
        return found

    def ident(self, value: Any) -> Any:
        """References to objects that exist become ids; others stay entries."""
        if isinstance(value, Item):
            return value.id if value.id and value not in self.replaced else value
        if isinstance(value, list):
            return [self.ident(element) for element in value]
        if isinstance(value, dict):
            return {key: self.ident(element) for key, element in value.items()}
        return value

    def idents(self, item: Item) -> dict[str, Any]:
        """The values of an entry, with identifiers for what exists."""
        return {name: self.ident(value) for name, value in item.resolved.items()}

    def _resolve(self, item: Item, declared: Field, value: Any, place: str) -> Any:
        """Turn names into entries or ids, through lists and mappings.

        :raises LookupError: a reference leads nowhere; the problem is recorded unless the entry is to be absent.
        """
        if isinstance(value, list) and declared.keys:
            result = []
            for number, element in enumerate(value):
                result.append(
                    {
                        key.name: self._resolve(item, key, element[key.name], f"{place}[{number}].{key.name}")
                        for key in declared.keys
                        if key.name in element
                    }
                )
            return result
        if not declared.ref or value in declared.words:
            return value
        if isinstance(value, list):
            return [self._find(item, declared, element, f"{place}[{number}]") for number, element in enumerate(value)]
        return self._find(item, declared, value, place)

    def _find(self, item: Item, declared: Field, value: Any, place: str) -> Any:
        kind = BY_NAME[declared.ref]
        wanted: dict[str, Any] = dict(value) if isinstance(value, Mapping) else {}
        name = str(wanted.pop("name", wanted.get("id", ""))) if isinstance(value, Mapping) else str(value)
        wanted.pop("id", None)
        first = kind.field(kind.identity[0])
        named_by = [first, *map(kind.field, kind.also_named_by)]
        # What an entry with an id names otherwise is no longer found by its old name.
        renamed = {
            other.id
            for other in self.own[kind.name]
            if other.wanted_id and other.values.get(first.name) not in (None, name)
        }
        # The target, the domain or project that it is in, and how to read its fields.
        candidates: dict[str, tuple[Any, Any, Callable[[Field], Any]]] = {}
        for ident in self.state.meant(kind, name):
            if ident not in renamed or ident == name:
                raw = self.state.by_id[kind.name][ident]
                candidates[ident] = (ident, self._scope(kind, raw), partial(_swapped, raw))
        for other in self.own[kind.name]:
            if other.absent and not item.absent:
                candidates.pop(other.id, None)
                continue
            if name in (other.id or None, *(other.values.get(one.name) for one in named_by)):
                scope = {
                    key: self.ident(other.resolved.get(key, default_of(kind.field(key).default, self.cloud)))
                    for key in SCOPES
                    if key in kind.identity
                }
                candidates[other.id or f"entry {other.path}"] = (other, scope, partial(self._wanted_value, other))
        own = names_of_login(kind, self.cloud)
        if not candidates and name in own:
            return own[0]
        for key, scope_value in wanted.items():
            field_of = next((f for f in kind.fields if f.name == key), None)
            if field_of is None:
                self._wrong(
                    item,
                    place,
                    f"Unknown key '{key}' in a reference to a {kind.name}.",
                    hint_or_list(key, kind.field_names),
                )
            else:
                target = canonical(field_of, self.ident(self._resolve(item, field_of, scope_value, f"{place}.{key}")))
                candidates = {ident: entry for ident, entry in candidates.items() if entry[2](field_of) == target}
        if len(candidates) > 1:
            mine = {key: self._home(item, key) for key in SCOPES}
            near = {
                ident: entry
                for ident, entry in candidates.items()
                if entry[1] and all(mine.get(key) == scope for key, scope in entry[1].items())
            }
            candidates = near if len(near) == 1 else candidates
        if len(candidates) > 1:
            self._wrong(
                item,
                place,
                f"The {kind.name} '{name}' is ambiguous: {', '.join(sorted(candidates))}.",
                "Give the id, or a mapping with name and " + " or ".join(kind.identity[1:] or ("id",)) + ".",
            )
        if not candidates:
            known = self.reader.names(kind) if not item.absent else set()
            known |= {str(other.values.get(first.name)) for other in self.own[kind.name] if not other.absent}
            self._wrong(
                item,
                place,
                f"There is no {kind.name.replace('_', ' ')} '{name}', neither in the document nor in the cloud.",
                hint_or_list(name, known) or f"Add it to {kind.plural}.",
            )
        return next(iter(candidates.values()))[0]

    def _wanted_value(self, item: Item, declared: Field) -> Any:
        """A field of an entry, as it is compared: what the entry says, what the cloud holds, or the default."""
        name = declared.name
        if name not in item.resolved and name in item.values:
            item.resolved[name] = self._resolve(item, declared, item.values[name], name)
        if name not in item.resolved and item.current is not None:
            return read_field(declared, item.current)
        return canonical(declared, self.ident(item.resolved.get(name, default_of(declared.default, self.cloud))))

    def _wrong(self, item: Item, place: str, cause: str, mend: str) -> None:
        if not item.absent:
            self.problems.append(item.problem(cause, mend, place))
        raise LookupError(cause)

    def _scope(self, kind: ResourceType, raw: Raw) -> dict[str, Any]:
        return {key: read_field(kind.field(key), raw) for key in SCOPES if key in kind.identity}

    def _home(self, item: Item, key: str) -> Any:
        """Project or domain in which an entry's names are meant first: its own, the document's, the login's."""
        if key in item.resolved:
            return self.ident(item.resolved[key])
        word = item.home.get(key)
        if word is not None:
            name = word.get("name", word.get("id")) if isinstance(word, Mapping) else word
            entry = next(
                (one for one in self.own[key] if not one.absent and name in (one.values.get("name"), one.id)), None
            )
            found = self.ident(entry) if entry else self.reader.only(key, word)
            if found:
                return found
        return names_of_login(BY_NAME[key], self.cloud)[0]

    def resolve(self, plan: Plan) -> None:
        """Resolve the references of every entry that is to be present."""
        for item in self.items:
            if item.absent:
                # How it is to be removed may be said, too.
                item.resolved |= {
                    name: value for name, value in item.values.items() if item.type.field(name).write_only
                }
                continue
            for name, value in item.values.items():
                if name in item.resolved:
                    continue
                try:
                    item.resolved[name] = self._resolve(item, item.type.field(name), value, name)
                except LookupError:
                    continue
        for item in self.items:
            if item.current is None and not item.absent:
                self._inherit(item)
        for item in self.items:
            if not item.absent:
                self._let_go(plan, item)

    def _let_go(self, plan: Plan, item: Item) -> None:
        """Change what the document leaves open and what refers to something that leaves with this run."""
        for declared in item.type.fields:
            if declared.lets_go is not None and declared.name not in item.resolved:
                value = declared.lets_go(plan, item, declared)
                if value is not None:
                    item.resolved[declared.name] = value

    def _inherit(self, item: Item) -> None:
        """Give a new entry what it takes from the object that it lies in."""
        for name, holder in item.type.inherits.items():
            place = item.resolved.get(holder)
            if name in item.resolved or place is None:
                continue
            declared = BY_NAME[item.type.field(holder).ref].field(name)
            if isinstance(place, Item):
                value = place.resolved.get(name) or self._wanted_value(place, declared)
            else:
                raw = self.state.by_id[item.type.field(holder).ref].get(place)
                value = read_field(declared, raw) if raw else None
            if value:
                item.resolved[name] = value

    def target(self, item: Item, name: str) -> Any:
        """What a field refers to: the identifier of an object that stays, or the entry of one that is to be made."""
        value = item.resolved.get(name)
        if value is None and item.current is not None:
            value = read_field(item.type.field(name), item.current)
        return self.ident(value)

    def value_of(self, kind: str, place: Any, name: str) -> Any:
        """A field of an object, given by entry or identifier, as it will be; None if that is not known."""
        entry = place if isinstance(place, Item) else next((i for i in self.own[kind] if place and i.id == place), None)
        declared = BY_NAME[kind].field(name)
        if entry is not None and (name in entry.values or entry.current is None):
            return entry.values.get(name)
        raw = entry.current if entry is not None else self.state.by_id.get(kind, {}).get(str(place))
        return read_field(declared, raw) if raw else None

    def leaves(self, kind: str, ident: str) -> bool:
        """Whether an object is about to be removed."""
        entry = next((item for item in self.own[kind] if item.id == ident), None)
        if entry is not None:
            return entry.absent
        raw = self.state.by_id.get(kind, {}).get(ident)
        return self.reader.prune and raw is not None and self.reader.is_owned(BY_NAME[kind], raw)


def dependencies(item: Item, parts: bool = False) -> list[Item]:
    """Entries that ``item`` refers to: in its body, or with ``parts`` in the fields that have calls of their own."""
    found: list[Item] = []

    def walk(value: Any) -> None:
        if isinstance(value, Item):
            found.append(value)
        elif isinstance(value, list):
            for element in value:
                walk(element)
        elif isinstance(value, dict):
            for element in value.values():
                walk(element)

    for name, value in item.resolved.items():
        if (item.type.field(name).apply is not None) == parts:
            walk(value)
    return found


def _swapped(raw: Raw, declared: Field) -> Any:
    return read_field(declared, raw)
