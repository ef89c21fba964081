"""What was read of a cloud, for plans, questions and exports alike: objects by type, and what a name means there."""

from __future__ import annotations

import concurrent.futures
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.api import Cloud
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.errors import ApiError
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.operation import list_objects
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.schema import (
    AUTH_DOMAIN,
    AUTH_PROJECT,
    Query,
    Raw,
    ResourceType,
    read_field,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.types.registry import BY_NAME

IDENTIFIER = re.compile(r"^([0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|default)$")


@dataclass
class Reading:
    """What was read of a cloud, by type, and what is meant there by a name: for plans, questions and exports alike."""

    cloud: Cloud
    objects: dict[str, list[Raw]] = field(default_factory=dict)
    by_id: dict[str, dict[str, Raw]] = field(default_factory=dict)
    # Objects that were asked for one by one, for their names.
    others: dict[tuple[str, str], Raw | None] = field(default_factory=dict)
    # Identifiers by word and objects by identity, of the types for which that was asked.
    _words: dict[str, dict[str, list[str]]] = field(default_factory=dict, repr=False)
    _keys: dict[str, dict[tuple[Any, ...], list[Raw]]] = field(default_factory=dict, repr=False)

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
        if declared.service != "network" or not IDENTIFIER.match(ident) or not self.cloud.endpoint("network"):
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
        self._words.pop(kind.name, None)
        self._keys.pop(kind.name, None)

    def meant(self, kind: ResourceType, word: str) -> list[str]:
        """Identifiers of the objects of a type that a word can mean."""
        if kind.name not in self._words:
            words: dict[str, list[str]] = defaultdict(list)
            for ident, raw in self.by_id.get(kind.name, {}).items():
                for one in words_for(kind, raw):
                    words[one].append(ident)
            self._words[kind.name] = words
        return self._words[kind.name].get(word, [])

    def alike(self, kind: ResourceType, raw: Raw) -> list[Raw]:
        """The objects of a type that have the identity of one of them."""
        if kind.name not in self._keys:
            keys: dict[tuple[Any, ...], list[Raw]] = defaultdict(list)
            for one in self.objects.get(kind.name, []):
                keys[current_key(kind, one)].append(one)
            self._keys[kind.name] = keys
        return self._keys[kind.name][current_key(kind, raw)]

    @staticmethod
    def listed(queries: Sequence[Query], parallel: int) -> list[list[Raw] | ApiError]:
        """The answers to queries that are asked side by side: objects, or why there are none."""

        def answer(query: Query) -> list[Raw] | ApiError:
            try:
                if not query.cloud.endpoint(query.type.service):
                    raise ApiError(0, "the catalogue does not offer it", f"Find the service {query.type.service}")
                return (query.type.listing or list_objects)(query)
            except ApiError as error:
                return error

        with concurrent.futures.ThreadPoolExecutor(parallel) as pool:
            return list(pool.map(answer, queries))


def words_for(kind: ResourceType, raw: Raw) -> set[str]:
    """The words by which references may mean an object: its identifier and its names."""
    named_by = (kind.identity[0], *kind.also_named_by)
    names = (read_field(kind.field(name), raw) for name in named_by)
    return {str(raw[kind.id_key]), *(str(name) for name in names if name)}


def names_of_login(kind: ResourceType, cloud: Cloud) -> tuple[str, ...]:
    """What the login's own object of a type is called, its identifier first; nothing where there is none."""
    return kind.of_login(cloud) if kind.of_login else ()


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
