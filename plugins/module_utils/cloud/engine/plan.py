"""The plan: what the document asks for against what the cloud holds. Reads only."""

from __future__ import annotations

import concurrent.futures
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.api import Cloud
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.engine.ledger import Ledger
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.errors import (
    ApiError,
    CloudError,
    Problem,
    ensure_stop,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.operation import is_mark, list_objects, mark_tag
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.schema import (
    AUTH_DOMAIN,
    AUTH_PROJECT,
    LABELS,
    MARK,
    SCOPES,
    TOKEN_SCOPE,
    Field,
    Item,
    Query,
    Raw,
    ResourceType,
    canonical,
    read_field,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.types.registry import BY_NAME, TYPES
from ansible_collections.stackwright.cloud.plugins.module_utils.common.text import one_line
from ansible_collections.stackwright.cloud.plugins.module_utils.common.words import hint_or_list

Action = Literal["create", "update", "replace", "delete", "unchanged"]
HIDDEN = "(secret)"
BY_ITSELF = "the service makes it by itself"
_ID = re.compile(r"^([0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|default)$")


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
            f"The service did not keep {self.name}: {_short(self.wanted)} was asked for and not refused, but it {held}.",
            "The service may lack the extension or driver for it, or its log may tell; otherwise take the value that it has.",
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


class Planner:
    """Works out the plan of one document for one cloud."""

    def __init__(
        self,
        cloud: Cloud,
        items: list[Item],
        ledger: Ledger | None = None,
        *,
        owner: str = "",
        prune: bool = False,
        replace: bool = False,
        parallel: int = 8,
    ) -> None:
        self.cloud, self.items, self.ledger = cloud, items, ledger or Ledger()
        self.owner, self.prune, self.replace, self.parallel = owner, prune, replace, parallel
        self.state = State(cloud)
        self.problems: list[Problem] = []
        self.warnings: list[str] = []
        self.own: dict[str, list[Item]] = defaultdict(list)
        for item in items:
            self.own[item.type.name].append(item)
        self.replaced: set[Item] = set()
        # Objects that a run made before it was cut off, with their intents; and intents that came to nothing.
        self.adopted: list[tuple[ResourceType, Raw, str]] = []
        self.stale: list[tuple[str, str]] = []

    # Reading ---------------------------------------------------------------------------------------------------------

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

        self._list_all(needed)
        self._settle_intents()

    def _list_all(self, needed: Mapping[str, set[str] | None]) -> None:
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
            ident=self._only,
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
            found = [raw for raw in self.state.objects[name] if intent_key(self._current_key(kind, raw)) == key]
            if len(found) == 1:
                self.adopted.append((kind, found[0], key))
            elif not found and not kind.scoped:
                self.stale.append((name, key))

    def _only(self, name: str, value: Any) -> str | None:
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

    # Identity and references -----------------------------------------------------------------------------------------

    def _default(self, value: Any) -> Any:
        if value == AUTH_PROJECT:
            return self.cloud.project_id
        if value == AUTH_DOMAIN:
            return self.cloud.domain_id
        return value

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
                    index[self._current_key(kind, raw)].append(raw)
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

    def _current_key(self, kind: ResourceType, raw: Raw) -> tuple[Any, ...]:
        return tuple(_hashable(read_field(kind.field(name), raw)) for name in kind.identity if name not in kind.loose)

    def identity_of(self, kind: ResourceType, values: Mapping[str, Any]) -> tuple[Any, ...]:
        """The identity of the object that is made of these values, with identifiers for references."""
        fields = [kind.field(name) for name in kind.identity if name not in kind.loose]
        return tuple(_hashable(canonical(f, values.get(f.name, self._default(f.default)))) for f in fields)

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
                value = self._default(declared.default)
            if name not in kind.loose:
                key.append(_hashable(canonical(declared, self._ident(value))))
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
                wanted = canonical(kind.field(name), self._ident(item.resolved.get(name)))
                found = [raw for raw in found if read_field(kind.field(name), raw) == wanted]
        if not found and not item.wanted_id and not item.absent and kind.adopted_by in item.values:
            found = self._adoptable(item)
        if len(found) > 1:
            self.problems.append(
                item.problem(
                    f"The cloud holds {len(found)} of this name: {', '.join(sorted(str(raw[kind.id_key]) for raw in found))}.",
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
        place = [self._ident(item.resolved.get(one.name, self._default(one.default))) for one in scopes]
        found = [
            raw
            for raw in self.state.objects[kind.name]
            if read_field(declared, raw) == wanted and [read_field(one, raw) for one in scopes] == place
        ]
        if len(found) != 1:
            return []
        ident = str(found[0][kind.id_key])
        why = kind.unadoptable(found[0]) if kind.unadoptable else ""
        if not self.is_owned(kind, found[0]) and not why and any(is_mark(tag) for tag in found[0].get("tags") or []):
            why = "another document made it"
        if why:
            cause = f"The {kind.name.replace('_', ' ')} {wanted} is there already, and {why}."
            self.problems.append(item.problem(cause, f"Write id: {ident} to take it over all the same.", declared.name))
            return []
        # From here on the name is a field like others.
        item.wanted_id = ident
        return found

    def _ident(self, value: Any) -> Any:
        """References to objects that exist become ids; others stay entries."""
        if isinstance(value, Item):
            return value.id if value.id and value not in self.replaced else value
        if isinstance(value, list):
            return [self._ident(element) for element in value]
        if isinstance(value, dict):
            return {key: self._ident(element) for key, element in value.items()}
        return value

    def _idents(self, item: Item) -> dict[str, Any]:
        """The values of an entry, with identifiers for what exists."""
        return {name: self._ident(value) for name, value in item.resolved.items()}

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
            other.id for other in self.own[kind.name] if other.wanted_id and other.values.get(first.name) not in (None, name)
        }
        # The target, the domain or project that it is in, and how to read its fields.
        candidates: dict[str, tuple[Any, Any, Callable[[Field], Any]]] = {}
        for raw in self.state.objects.get(kind.name, []):
            ident = str(raw[kind.id_key])
            if ident in renamed and ident != name:
                continue
            if name in (ident, *(read_field(one, raw) for one in named_by)):
                candidates[ident] = (ident, self._scope(kind, raw), partial(_swapped, raw))
        for other in self.own[kind.name]:
            if other.absent and not item.absent:
                candidates.pop(other.id, None)
                continue
            if name in (other.id or None, *(other.values.get(one.name) for one in named_by)):
                scope = {
                    key: self._ident(other.resolved.get(key, self._default(kind.field(key).default)))
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
                    item, place, f"Unknown key '{key}' in a reference to a {kind.name}.", hint_or_list(key, kind.field_names)
                )
            else:
                target = canonical(field_of, self._ident(self._resolve(item, field_of, scope_value, f"{place}.{key}")))
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
            known = self._names(kind) if not item.absent else set()
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
        return canonical(declared, self._ident(item.resolved.get(name, self._default(declared.default))))

    def _names(self, kind: ResourceType) -> set[str]:
        """All names of a type, for hints; asks again, since the listing held only the names of the document."""
        try:
            objects = (kind.listing or list_objects)(Query(self.cloud, kind))
        except ApiError:
            objects = self.state.objects.get(kind.name, [])
        return {str(read_field(kind.field(kind.identity[0]), raw)) for raw in objects}

    def _wrong(self, item: Item, place: str, cause: str, mend: str) -> None:
        if not item.absent:
            self.problems.append(item.problem(cause, mend, place))
        raise LookupError(cause)

    def _scope(self, kind: ResourceType, raw: Raw) -> dict[str, Any]:
        return {key: read_field(kind.field(key), raw) for key in SCOPES if key in kind.identity}

    def _home(self, item: Item, key: str) -> Any:
        """Project or domain in which an entry's names are meant first: its own, the document's, the login's."""
        if key in item.resolved:
            return self._ident(item.resolved[key])
        word = item.home.get(key)
        if word is not None:
            name = word.get("name", word.get("id")) if isinstance(word, Mapping) else word
            entry = next((one for one in self.own[key] if not one.absent and name in (one.values.get("name"), one.id)), None)
            found = self._ident(entry) if entry else self._only(key, word)
            if found:
                return found
        return names_of_login(BY_NAME[key], self.cloud)[0]

    def resolve(self) -> None:
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
                self._let_go(item)

    def _let_go(self, item: Item) -> None:
        """Change what the document leaves open and what refers to something that leaves with this run."""
        for declared in item.type.fields:
            if declared.lets_go is not None and declared.name not in item.resolved:
                value = declared.lets_go(self, item, declared)
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
        return self._ident(value)

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
        return self.prune and raw is not None and self.is_owned(BY_NAME[kind], raw)

    # Differences -----------------------------------------------------------------------------------------------------

    def plan(self) -> list[Change]:
        """The changes, in the order of the document, removals last.

        :raises CloudError: with every problem of the document against this cloud.
        """
        self.read()
        self.match()
        self.resolve()
        if self.problems:
            raise CloudError(*dict.fromkeys(self.problems))
        ordered = self._ordered()
        changes = {item: self._change(item) for item in ordered}
        for name, items in self.own.items():
            validate = BY_NAME[name].validate
            present = [item for item in items if not item.absent]
            if validate and present:
                self.problems += validate(self, present)
        if self.problems:
            raise CloudError(*dict.fromkeys(self.problems))
        result = [changes[item] for item in self.items]
        if self.prune:
            result += self._pruned()
        for change in result:
            if change.action in ("delete", "replace") and change.item.type.kept_by and change.item.current:
                kept = change.item.type.kept_by(change.item.current)
                self.problems += [change.item.problem(*kept)] if kept else []
        if self.problems:
            raise CloudError(*dict.fromkeys(self.problems))
        self._tell_orphans(result)
        self._prove(result)
        return result

    def _tell_orphans(self, changes: list[Change]) -> None:
        """Say what a removal leaves behind."""
        for kind in TYPES:
            gone = {
                change.item.id: change
                for change in changes
                if change.item.type is kind and change.action in ("delete", "replace")
            }
            left = kind.leaves_behind(self, list(gone)) if gone and kind.leaves_behind else {}
            for ident, those in left.items():
                change = gone[ident]
                change.reason = "; ".join(filter(None, [change.reason, f"leaves behind {', '.join(those)}"]))

    def _prove(self, changes: list[Change]) -> None:
        """Turn what is not as wanted into updates, where that can only be tried out: once for each."""
        doubtful = [
            (change, declared)
            for change in changes
            if change.action in ("unchanged", "update") and change.item.current is not None and not change.item.absent
            for declared in change.item.type.fields
            if declared.proved and change.item.values.get(declared.name)
        ]

        def tried(pair: tuple[Change, Field]) -> bool | str | None:
            change, declared = pair
            assert declared.proved
            try:
                return declared.proved(self, change.item)
            except ApiError as error:
                raise CloudError(error.problem(change.item.path, change.item.label)) from error

        # The service takes its time for each, on purpose.
        with concurrent.futures.ThreadPoolExecutor(max(1, self.parallel)) as pool:
            for (change, declared), found in zip(doubtful, pool.map(tried, doubtful), strict=True):
                if isinstance(found, str):
                    self.warnings.append(found)
                elif found is False:
                    change.action = "update"
                    change.fields.append(declared.name)
                    change.before[declared.name], change.after[declared.name] = "(another)", HIDDEN

    def _ordered(self) -> list[Item]:
        """Entries after those they refer to.

        :raises CloudError: entries refer to each other in a circle.
        """
        done: dict[Item, int] = {}
        order: list[Item] = []

        def visit(item: Item, trail: list[Item]) -> None:
            if done.get(item) == 2:
                return
            if done.get(item) == 1:
                circle = [*trail[trail.index(item) :], item]
                raise CloudError(
                    item.problem(
                        f"Entries refer to each other in a circle: {' -> '.join(other.path for other in circle)}.",
                        "Remove one of these references.",
                    )
                )
            done[item] = 1
            for other in dependencies(item):
                visit(other, [*trail, item])
            done[item] = 2
            order.append(item)

        for item in self.items:
            visit(item, [])
        return order

    def _change(self, item: Item) -> Change:
        if item.absent:
            return (
                Change("delete", item, before=self._shown(item))
                if item.current is not None and not item.type.permanent
                else Change("unchanged", item)
            )
        if item.current is None:
            found = item.type.check_new(self._idents(item)) if item.type.check_new else []
            self.problems += [item.problem(cause, mend, key) for key, cause, mend in found]
            if item.type.comes_by_itself and item.type.comes_by_itself(self._idents(item)):
                after = {name: value for name, value in self._wanted(item).items() if name not in item.type.identity}
                return Change("create", item, list(after), after=after, reason=BY_ITSELF, by_itself=True)
            return Change("create", item, after=self._wanted(item))
        change = Change("unchanged", item)
        fixed: list[str] = []
        reasons: list[str] = []
        for name, value in item.resolved.items():
            declared = item.type.field(name)
            if declared.write_only or (name in item.type.identity and not item.wanted_id):
                continue
            try:
                before, after = self.compare(item, declared, value)
            except ApiError as error:
                self.problems.append(error.problem(f"{item.path}.{name}", item.label))
                continue
            if before == after:
                continue
            change.fields.append(name)
            change.before[name] = hide(before) if declared.secret else self.named(declared, before)
            change.after[name] = hide(after) if declared.secret else self.named(declared, after)
            why = declared.fixed(item.current, before, after, self._idents(item)) if declared.fixed else ""
            if why:
                reasons.append(why)
            if why or declared.immutable:
                fixed.append(name)
        for name in item.type.identity:
            target = item.resolved.get(name)
            if isinstance(target, Item) and target in self.replaced:
                fixed.append(name)
                change.fields.append(name)
        broken = item.type.broken(item.current) if item.type.broken else None
        if broken:
            change.action, change.reason = "replace", broken[0]
            self.replaced.add(item)
            # What failed when this document made it holds nothing that could be lost.
            if not self.replace and (broken[1] or not self.is_owned(item.type, item.current)):
                self.problems.append(
                    item.problem(
                        ensure_stop(f"{broken[0][0].upper()}{broken[0][1:]}"),
                        "Set replace: true to make it anew, or mend it.",
                    )
                )
            return change
        if not change.fields:
            return change
        change.action = "update"
        if fixed:
            change.action = "replace"
            self._carry_over(item, change)
            change.reason = "; ".join(reasons) or f"{', '.join(fixed)} cannot be changed in place"
            self.replaced.add(item)
            if not self.replace:
                self.problems.append(
                    item.problem(
                        f"{change.reason[0].upper()}{change.reason[1:]}: "
                        + ", ".join(
                            f"{name} is {change.before.get(name)!r}, wanted {change.after.get(name)!r}"
                            for name in fixed
                        )
                        + ".",
                        "Set replace: true to remove and make it anew, or take the old value.",
                        fixed[0],
                    )
                )
        return change

    def _carry_over(self, item: Item, change: Change) -> None:
        """Give the new object what the old one has and the entry leaves out; note what hangs on the change and is lost."""
        assert item.current is not None
        if not self.replace:
            return
        item.current = self._in_full(item) or item.current
        for declared in item.type.fields:
            hidden = (declared.secret or declared.write_only) and not declared.read
            if declared.name in item.resolved or hidden or declared.name in item.type.derived:
                continue
            value = read_field(declared, item.current)
            if declared.name == LABELS and value:
                value = [tag for tag in value if not tag.startswith(MARK)]
            if isinstance(value, dict):
                value = {key: element for key, element in value.items() if not key.startswith(MARK)}
            if value in (None, "", [], {}) or value in (declared.default, self._default(declared.default)):
                continue
            if declared.name in item.type.not_carried:
                change.lost[declared.name] = self.named(declared, value)
            elif (declared.export or declared.secret or declared.key == item.type.id_key) and value not in declared.unsaid:
                item.resolved[declared.name] = self._as_entries(declared, value)

    def _in_full(self, item: Item) -> Raw | None:
        """An object with what a listing holds only for entries that speak of it."""
        kind = item.type
        if not kind.listing:
            return None
        names = {str(item.values["name"])} if "name" in item.values and not item.wanted_id else None
        query = Query(self.cloud, kind, names, self._projects(kind), entries=[item.values], full=True, ident=self._only)
        return next((raw for raw in kind.listing(query) if str(raw[kind.id_key]) == item.id), None)

    def _as_entries(self, declared: Field, value: Any) -> Any:
        """A value of the cloud for a new object: entries for what the document has, nothing of what leaves."""
        if isinstance(value, list):
            found = [self._as_entries(declared, element) for element in value]
            return [element for element in found if element is not None]
        if isinstance(value, dict) and declared.keys:
            parts = {key.name: self._as_entries(key, value[key.name]) for key in declared.keys if key.name in value}
            return {name: part for name, part in parts.items() if part is not None}
        if not declared.ref or not isinstance(value, str):
            return value
        if self.leaves(declared.ref, value):
            return None
        return next((entry for entry in self.own[declared.ref] if entry.id == value), value)

    def compare(self, item: Item, declared: Field, value: Any) -> tuple[Any, Any]:
        """A field's present and wanted value, in one form."""
        assert item.current is not None
        if declared.compare:
            return declared.compare(item.current, self._ident(value), self._idents(item))
        before = read_field(declared, item.current)
        after = canonical(declared, self._ident(value))
        if declared.kind == "dict":
            if declared.merge:
                before = {key: (before or {}).get(key) for key in after}
            elif isinstance(before, dict):
                before = {key: element for key, element in before.items() if not key.startswith(MARK)}
        if declared.name == LABELS and isinstance(before, list):
            before = [tag for tag in before if not tag.startswith(MARK)]
        if before is None and after in ("", [], {}):
            before = after
        return before, after

    def review(self, changes: list[Change]) -> list[Loss]:
        """Read again what was written, and compare it with what was asked for. Entries hold what the cloud holds afterwards.

        Services answer well to much that they do not keep, or keep otherwise.

        :raises CloudError: a listing is refused.
        """
        self.replaced.clear()
        written = [change for change in changes if change.item.current is not None and self._comparable(change.item)]
        for change in written:
            if change.action != "update":
                kind, raw = change.item.type, change.item.current
                assert raw is not None
                others = [
                    other for other in self.state.objects.get(kind.name, []) if other[kind.id_key] != raw[kind.id_key]
                ]
                self.state.put(kind, [*others, raw])
        # What is told of an object may have come with the change of another: a port's server, say.
        told = [item for item in self.items if changes and item.type.tells and item.current is not None and not item.absent]
        again = list(dict.fromkeys([*(change.item for change in written), *told]))
        names = needed_names(again, False)
        self._list_all({kind: names[kind] for kind in {item.type.name for item in again}})
        for item in told:
            item.current = self.state.by_id[item.type.name].get(item.id, item.current)
        return [loss for change in written for loss in self._lost(change)]

    @staticmethod
    def _comparable(item: Item) -> list[str]:
        """Fields of an entry that the service could keep otherwise than asked."""
        if not item.type.reread:
            return []
        return [
            name
            for name in item.resolved
            if item.type.field(name).reread
            and not item.type.field(name).write_only
            and (name not in item.type.identity or item.wanted_id)
        ]

    def _lost(self, change: Change) -> list[Loss]:
        item = change.item
        raw = self.state.by_id[item.type.name].get(item.id)
        if raw is None:
            return []
        item.current = raw
        found = []
        for name in self._comparable(item):
            declared = item.type.field(name)
            before, after = self.compare(item, declared, item.resolved[name])
            if before != after:
                shown = [HIDDEN if declared.secret else self.named(declared, side) for side in (after, before)]
                found.append(Loss(change, name, *shown))
        return found

    def named(self, declared: Field, value: Any) -> Any:
        """A value with names for ids, for people."""
        if isinstance(value, Item):
            return value.title
        if isinstance(value, list):
            if declared.keys:
                return [
                    {
                        key.name: self.named(key, element[key.name])
                        for key in declared.keys
                        if isinstance(element, dict) and element.get(key.name) is not None
                    }
                    for element in value
                ]
            return [self.named(declared, element) for element in value]
        return self.state.name_of(declared.ref, value) if declared.ref and isinstance(value, str) else value

    def _wanted(self, item: Item) -> dict[str, Any]:
        return {
            name: hide(value) if item.type.field(name).secret else self.named(item.type.field(name), self._ident(value))
            for name, value in item.resolved.items()
        }

    def _shown(self, item: Item) -> dict[str, Any]:
        assert item.current is not None
        values = {
            declared.name: (declared, read_field(declared, item.current))
            for declared in item.type.fields
            if not declared.secret
        }
        return {
            name: self.named(declared, value)
            for name, (declared, value) in values.items()
            if value not in (None, "", [], {})
        }

    def described(self, item: Item) -> dict[str, Any]:
        """An entry as it is after the run, or would be after a check: its identifier and its fields without secrets."""
        values = self._shown(item) if item.current is not None else {}
        wanted = {
            name: value
            for name, value in self._wanted(item).items()
            if not item.type.field(name).secret and not item.type.field(name).write_only
        }
        return {"id": item.id, **values, **wanted}

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

    def _pruned(self) -> list[Change]:
        claimed = {(item.type.name, item.id) for item in self.items}
        result = []
        for kind in TYPES:
            for raw in self.state.objects.get(kind.name, []) if kind.mark and not kind.singleton else []:
                ident = str(raw[kind.id_key])
                if (kind.name, ident) in claimed or not self.is_owned(kind, raw):
                    continue
                values = {
                    name: self.named(kind.field(name), read_field(kind.field(name), raw)) for name in kind.identity
                }
                item = Item(kind, "(pruned)", values, absent=True, current=raw, id=ident)
                result.append(Change("delete", item, before=self._shown(item), reason="no longer in the document"))
        return result


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


def intent_key(key: Iterable[Any]) -> str:
    """An identity as the ledger keeps it."""
    return json.dumps(list(key), default=str)


def _swapped(raw: Raw, declared: Field) -> Any:
    return read_field(declared, raw)


def _hashable(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_hashable(element) for element in value)
    if isinstance(value, dict):
        return tuple(sorted((key, _hashable(element)) for key, element in value.items()))
    return value
