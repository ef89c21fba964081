"""What a cluster is to hold, as an operator describes it: typed, and judged without the cluster.

The classes say what there may be. Whatever a document does not name stays as it is: nothing is removed that nobody
asked to remove, and no pool ever.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ansible_collections.stackwright.cloud.plugins.module_utils.common import words
from ansible_collections.stackwright.cloud.plugins.module_utils.common.cephx import is_key
from ansible_collections.stackwright.cloud.plugins.module_utils.common.problem import Problem

Part = TypeVar("Part")

REPLICATED, ERASURE = "replicated", "erasure"
FLAGS = (
    "noout",
    "noin",
    "noup",
    "nodown",
    "nobackfill",
    "norebalance",
    "norecover",
    "noscrub",
    "nodeep-scrub",
    "pause",
)
AUTOSCALE = ("on", "off", "warn")
COMPRESSION = ("none", "passive", "aggressive", "force")
ALGORITHMS = ("snappy", "zlib", "zstd", "lz4")
# Copies that a pool may have. One copy loses its data with its disk.
FEWEST, MOST = 2, 10
_NAME = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]*\Z")
_ENTITY = re.compile(r"(client|mgr|mds|osd)\.[A-Za-z0-9_.-]+\Z")
SERVICES = ("mon", "mgr", "osd", "mds")


class DocumentError(Exception):
    """A document cannot be brought about; ``problems`` has all faults at once."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = list(problems)


@dataclass(frozen=True)
class Rule:
    """Where copies, or pieces, of a pool's objects may lie."""

    name: str
    type: str = REPLICATED
    root: str = "default"
    failure_domain: str = "host"
    device_class: str = ""
    profile: str = ""


@dataclass(frozen=True)
class Pool:
    """One pool. ``None`` is what is left as the cluster has it."""

    name: str
    type: str = REPLICATED
    profile: str = ""
    size: int | None = None
    min_size: int | None = None
    pg_num: int | None = None
    autoscale: str | None = None
    rule: str | None = None
    application: str | None = None
    quota_bytes: int | None = None
    quota_objects: int | None = None
    compression: str | None = None
    compression_algorithm: str | None = None
    bulk: bool | None = None
    target_size_ratio: float | None = None
    overwrites: bool | None = None


@dataclass(frozen=True)
class User:
    """Somebody with a key. Without a key in the document an existing one stays, and a new user gets one."""

    name: str
    caps: Mapping[str, str] = field(default_factory=dict)
    key: str = field(default="", repr=False)
    state: str = "present"


@dataclass(frozen=True)
class Document:
    """All that a cluster is to hold."""

    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    flags: Mapping[str, bool] = field(default_factory=dict)
    modules: Mapping[str, bool] = field(default_factory=dict)
    muted: Sequence[str] = ()
    erasure_profiles: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    rules: Sequence[Rule] = ()
    pools: Sequence[Pool] = ()
    users: Sequence[User] = ()
    locations: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Where hosts stand, from the root of the tree down."""


def _parts(part: type[Part], key: str, data: Any, problems: list[Problem]) -> tuple[Part, ...]:
    """The entries of one kind by their names, their keys known and their values of their kind."""
    if not isinstance(data, Mapping):
        problems.append(Problem(f"must map names to what they are, not {data!r}.", where=key))
        return ()
    fields = {one.name: one for one in dataclasses.fields(part) if one.name not in ("name", "key")}  # type: ignore[arg-type]
    found = []
    for name, entry in data.items():
        where, given = f"{key}.{name}", {"name": str(name)}
        if not isinstance(entry, Mapping):
            problems.append(Problem(f"must be a mapping, not {entry!r}.", where=where))
            continue
        for option, value in entry.items():
            if option not in fields:
                hint = words.hint_or_list(str(option), fields)
                problems.append(Problem(f"unknown key {option!r}.", hint, where))
            elif value is not None:
                given[str(option)] = _value(f"{where}.{option}", str(fields[option].type), value, problems)
        if not _NAME.match(str(name)):
            problems.append(Problem("is no name of letters, digits, dots, hyphens and underscores.", where=where))
        found.append(part(**given))
    return tuple(found)


def _mapping(key: str, data: Mapping[str, Any], problems: list[Problem]) -> Mapping[str, Any]:
    value = data.get(key) or {}
    if isinstance(value, Mapping):
        return value
    problems.append(Problem(f"must be a mapping, not {value!r}.", where=key))
    return {}


def _value(where: str, kind: str, value: Any, problems: list[Problem]) -> Any:
    wanted = kind.split(" ")[0]
    try:
        if wanted == "bool":
            if not isinstance(value, bool):
                raise ValueError
            return value
        if wanted in ("int", "float"):
            if isinstance(value, bool):
                raise ValueError
            return int(str(value)) if wanted == "int" else float(value)
        if wanted == "str":
            if isinstance(value, bool | Mapping | list):
                raise ValueError
            return str(value)
        if not isinstance(value, Mapping):
            raise ValueError
        return {str(key): " ".join(str(text).split()) for key, text in value.items()}
    except (TypeError, ValueError):
        meant = {"bool": "true or false", "int": "a whole number", "float": "a number", "str": "a text"}
        problems.append(Problem(f"{value!r} is not {meant.get(wanted, 'a mapping')}.", where=where))
        return value


def read(data: Mapping[str, Any], keys: Mapping[str, str] | None = None) -> Document:
    """The document of plain data.

    :param keys: keys of users by their names, apart from the rest, which may be shown.
    :raises DocumentError: naming everything that is wrong with it by itself.
    """
    problems: list[Problem] = []
    known = [one.name for one in dataclasses.fields(Document)]
    for name in data:
        if name not in known:
            problems.append(Problem(f"unknown key {name!r}.", words.hint_or_list(str(name), known), "document"))
    document = Document(
        settings=_mapping("settings", data, problems),
        flags=_mapping("flags", data, problems),
        modules=_mapping("modules", data, problems),
        muted=tuple(data.get("muted") or ()),
        erasure_profiles=_mapping("erasure_profiles", data, problems),
        rules=_parts(Rule, "rules", data.get("rules") or {}, problems),
        pools=_parts(Pool, "pools", data.get("pools") or {}, problems),
        users=tuple(
            dataclasses.replace(one, key=str((keys or {}).get(one.name) or ""))
            for one in _parts(User, "users", data.get("users") or {}, problems)
        ),
        locations=_mapping("locations", data, problems),
    )
    if problems:
        # what follows compares values, which would only stumble over the wrong ones
        raise DocumentError(problems)
    problems += [
        *_settings(document),
        *_locations(document),
        *_flags(document),
        *_profiles(document),
        *_pools(document),
        *_users(document),
    ]
    if problems:
        raise DocumentError(problems)
    return document


def _settings(document: Document) -> Iterable[Problem]:
    for who, options in document.settings.items():
        if not isinstance(options, Mapping):
            yield Problem(f"must map options to values, not {options!r}.", where=f"settings.{who}")


def _locations(document: Document) -> Iterable[Problem]:
    for host, place in document.locations.items():
        if not isinstance(place, Mapping) or not all(_NAME.match(str(name)) for name in place.values()):
            yield Problem(
                f"must map kinds of places to their names, not {place!r}.", "Such as rack: rack1.", f"locations.{host}"
            )


def _flags(document: Document) -> Iterable[Problem]:
    for name, value in document.flags.items():
        if name not in FLAGS:
            yield Problem("is no flag.", words.hint_or_list(str(name), FLAGS), "flags", str(name))
        elif not isinstance(value, bool):
            yield Problem(f"{value!r} is not true or false.", where=f"flags.{name}")


def _profiles(document: Document) -> Iterable[Problem]:
    for name, profile in document.erasure_profiles.items():
        where = f"erasure_profiles.{name}"
        try:
            fit = int(profile["k"]) >= 2 and int(profile["m"]) >= 1
        except (KeyError, TypeError, ValueError):
            fit = False
        if not fit:
            yield Problem(
                "needs k, pieces of data (2 at least), and m, pieces that may be lost (1 at least).", where=where
            )


def _pools(document: Document) -> Iterable[Problem]:
    for pool in document.pools:
        about = f"pool {pool.name!r}"
        if pool.type not in (REPLICATED, ERASURE):
            yield Problem(f"type {pool.type!r} is neither {REPLICATED} nor {ERASURE}.", about=about)
        if pool.type == ERASURE and pool.size is not None:
            yield Problem("an erasure coded pool has the size k + m of its profile.", "Leave size out.", about=about)
        if pool.type == ERASURE and not pool.profile:
            yield Problem("an erasure coded pool needs a profile.", "Name one of erasure_profiles.", about=about)
        if pool.size is not None and not FEWEST <= pool.size <= MOST:
            yield Problem(
                f"size {pool.size} is none from {FEWEST} to {MOST}.", "One copy is lost with its disk.", about=about
            )
        if pool.size is not None and pool.min_size is not None and pool.min_size > pool.size:
            yield Problem(f"min_size {pool.min_size} is above size {pool.size}: nothing could be written.", about=about)
        for key, value, choices in (
            ("autoscale", pool.autoscale, AUTOSCALE),
            ("compression", pool.compression, COMPRESSION),
            ("compression_algorithm", pool.compression_algorithm, ALGORITHMS),
        ):
            if value is not None and value not in choices:
                yield Problem(f"{key} {value!r} is none of {', '.join(choices)}.", "Quote on and off.", about=about)
        if pool.pg_num is not None and (pool.pg_num < 1 or pool.pg_num & (pool.pg_num - 1)):
            yield Problem(f"pg_num {pool.pg_num} is no power of two.", "Such as 32, 64 or 128.", about=about)


def _users(document: Document) -> Iterable[Problem]:
    for user in document.users:
        about = f"user {user.name!r}"
        if not _ENTITY.match(user.name):
            yield Problem("is no name such as client.images.", about=about)
        if user.state not in ("present", "absent"):
            yield Problem(f"state {user.state!r} is neither present nor absent.", about=about)
        if user.key and not is_key(user.key):
            yield Problem("its key is none of cephx.", "Take a secret of the kind cephx.", about=about)
        for service in user.caps:
            if service not in SERVICES:
                yield Problem(
                    f"there are no capabilities for {service!r}.", words.hint_or_list(service, SERVICES), about=about
                )
        if user.state == "present" and not user.caps:
            yield Problem("has no capabilities: it could not even log in.", about=about)
