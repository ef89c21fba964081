"""What a cloud holds, as document entries: objects of many types, with names in place of identifiers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.api import Cloud
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.engine.reading import Reading, default_of
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.errors import ApiError, CloudError
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.operation import is_mark
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.schema import (
    AUTH_DOMAIN,
    AUTH_PROJECT,
    LABELS,
    SCOPES,
    Field,
    Query,
    Raw,
    ResourceType,
    holders,
    read_field,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.types.registry import BY_NAME
from ansible_collections.stackwright.cloud.plugins.module_utils.common.text import one_line


def referred(kinds: Iterable[ResourceType]) -> set[str]:
    """Types that the fields of ``kinds`` refer to, and those that these are told apart by."""
    found: set[str] = set()
    waiting = [holder.ref for kind in kinds for d in kind.fields for holder in holders(d) if holder.ref]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [f.ref for f in BY_NAME[name].fields if f.name in BY_NAME[name].identity and f.ref]
    return found


class Content:
    """Objects of a cloud by type, each listed at most once."""

    def __init__(self, cloud: Cloud, parallel: int = 8, full: bool = False) -> None:
        self.cloud, self.parallel, self.full = cloud, parallel, full
        self.reading = Reading(cloud)
        self.objects = self.reading.objects
        # Type, project (empty for the login's) and answer of each listing that was refused.
        self.refused: list[tuple[str, str, ApiError]] = []

    def read(
        self, names: Mapping[str, set[str] | None], optional: Iterable[str] = (), projects: tuple[str, ...] = ("",)
    ) -> None:
        """List types, those in ``names`` with only these names (None wants all); ``optional`` ones may be refused.

        ``projects`` are those in which types are looked for that are listed project by project.

        :raises CloudError: a type that is not optional cannot be listed.
        """
        wanted: dict[str, set[str] | None] = {**dict.fromkeys(optional), **names}
        queries = [
            Query(self.cloud, kind, wanted[kind.name], (project,), full=self.full)
            for kind in (BY_NAME[name] for name in wanted if name not in self.objects)
            for project in (projects if kind.scoped else ("",))
        ]
        found: dict[str, dict[str, Raw]] = defaultdict(dict)
        problems = []
        for query, answer in zip(queries, Reading.listed(queries, self.parallel), strict=True):
            kind, (project,) = query.type, query.projects
            if not isinstance(answer, ApiError):
                # Administrators may see the same object from several projects.
                found[kind.name].update((str(raw[kind.id_key]), raw) for raw in answer)
            elif kind.name in names and not project:
                problems.append(answer.problem(resource=kind.plural.replace("_", " ")))
            else:
                self.refused.append((kind.name, project, answer))
        if problems:
            raise CloudError(*problems)
        for name, objects in found.items():
            self.reading.put(BY_NAME[name], list(objects.values()))

    # Names -----------------------------------------------------------------------------------------------------------

    def reference(self, target: str, ident: Any, named: bool = True) -> Any:
        """How a document refers to an object: by name, by name and place where that is needed, by identifier
        otherwise."""
        kind = BY_NAME[target]
        raw = self.reading.by_id.get(target, {}).get(str(ident))
        name = read_field(kind.field(kind.identity[0]), raw) if raw else None
        if not named or not isinstance(name, str) or not name or kind.field(kind.identity[0]).ref or raw is None:
            return ident
        same = [self.reading.by_id[target][other] for other in self.reading.meant(kind, name)]
        if len(same) == 1:
            return name
        scopes = [scope for scope in SCOPES if scope in kind.identity]
        places = [{scope: read_field(kind.field(scope), one) for scope in scopes} for one in same]
        mine = {scope: read_field(kind.field(scope), raw) for scope in scopes}
        if places.count(mine) != 1 or None in mine.values() or kind.identity[0] != "name":
            return ident
        return {"name": name} | {
            scope: self.reference(kind.field(scope).ref or scope, value) for scope, value in mine.items()
        }

    def value(self, declared: Field, value: Any, named: bool = True) -> Any:
        """A field's value as a document writes it, without ownership marks."""
        if isinstance(value, list):
            if declared.keys:
                return [
                    {
                        key.name: self.value(key, element[key.name], named)
                        for key in declared.keys
                        # An empty set is a wish of its own: none of what all others have.
                        if element.get(key.name) not in (None, "", {}, *([] if key.kind == "set" else [[]]))
                    }
                    for element in value
                ]
            if declared.name == LABELS:
                value = [tag for tag in value if not is_mark(tag)]
            return [self.value(declared, element, named) for element in value]
        if isinstance(value, dict):
            return {key: element for key, element in value.items() if not is_mark(key)}
        return self.reference(declared.ref, value, named) if declared.ref and value is not None else value

    # Entries ---------------------------------------------------------------------------------------------------------

    def fields(self, kind: ResourceType, raw: Raw, named: bool = True) -> dict[str, Any]:
        """An object's identifier and fields without secrets, for people."""
        values = {
            declared.name: self.value(declared, read_field(declared, raw), named)
            for declared in kind.fields
            if not declared.secret and not declared.write_only
        }
        return {"id": str(raw[kind.id_key]), **values}

    def entry(self, kind: ResourceType, raw: Raw) -> dict[str, Any]:
        """The document entry that stands for an object and changes nothing about it."""
        found: dict[str, Any] = {}
        for declared in kind.fields:
            if declared.secret or (declared.write_only and not declared.read) or not declared.export:
                continue
            value = read_field(declared, raw)
            if value in declared.unsaid:
                continue
            if value in (None, "", [], {}):
                if declared.required:
                    found[declared.name] = value
                continue
            if declared.default in (AUTH_PROJECT, AUTH_DOMAIN) and self._unnamed_default(declared, value):
                continue
            if declared.default is not None and value == declared.default:
                continue
            shown = self.value(declared, value)
            if shown not in ([], {}):
                found[declared.name] = shown
        return {"id": str(raw[kind.id_key]), **found} if self._needs_id(kind, raw, found) else found

    def _unnamed_default(self, declared: Field, value: Any) -> bool:
        """Whether a place is the login's own, which a login that may not list such places leaves out."""
        return declared.ref not in self.objects and value == default_of(declared.default, self.cloud)

    def _needs_id(self, kind: ResourceType, raw: Raw, entry: Mapping[str, Any]) -> bool:
        """Whether the entry's names alone would find another object too, or none."""
        for name in kind.identity:
            declared = kind.field(name)
            if (
                name not in entry
                and name not in kind.loose
                and read_field(declared, raw) != default_of(declared.default, self.cloud)
            ):
                return True
        alike = self.reading.alike(kind, raw)
        if len(alike) == 1:
            return False
        told = [name for name in kind.loose if name in entry]
        mine = [read_field(kind.field(name), raw) for name in told]
        return [[read_field(kind.field(name), one) for name in told] for one in alike].count(mine) > 1

    def label(self, kind: ResourceType, raw: Raw) -> str:
        """An object for people: "user alice"."""
        words = [self.value(kind.field(name), read_field(kind.field(name), raw)) for name in kind.identity]
        shown = [
            str(word["name"] if isinstance(word, dict) else word)
            for name, word in zip(kind.identity, words, strict=True)
            if word not in (None, "", False) and (name not in SCOPES or kind.identity[0] != "name")
        ]
        return one_line(f"{kind.name.replace('_', ' ')} {' '.join(shown) or raw[kind.id_key]}")
