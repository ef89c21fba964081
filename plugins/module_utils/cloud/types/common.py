"""Fields and steps that several services have alike."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Iterable, Mapping
from io import BufferedReader
from typing import Any
from urllib.parse import quote

from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.errors import ApiError
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.schema import (
    AUTH_PROJECT,
    MARK,
    Field,
    Item,
    Operation,
    Plan,
    Query,
    Raw,
    read_field,
    words,
)

NAME = Field("name", "Name.", required=True)
DESCRIPTION = Field("description", "Description for people.")
# Names that mean themselves in a regular expression.
_PLAIN = re.compile(r"[A-Za-z0-9_-]+")


def project_field(api: str) -> Field:
    """The field "project" of a type that belongs to one, whose objects name it below ``api``."""
    return Field(
        "project",
        "Project that it belongs to, that of the login by default. Another one needs a role in it.",
        api=api,
        ref="project",
        immutable=True,
        default=AUTH_PROJECT,
    )


def without_what_leaves(planner: Plan, item: Item, declared: Field) -> Any:
    """What a field refers to, less what leaves with this run; empty when that was all, None when nothing of it
    leaves."""
    held = read_field(declared, item.current or {})
    if isinstance(held, list):
        staying = [element for element in held if not planner.leaves(declared.ref, str(element))]
        return staying if len(staying) < len(held) else None
    return "" if held and planner.leaves(declared.ref, str(held)) else None


def without_none(value: Any) -> Any:
    """A mapping as services keep metadata, without the keys that are to be gone."""
    found = words(value)
    return {key: element for key, element in found.items() if element is not None} if found is not None else None


def kept(value: Mapping[str, Any] | None, ignored: Iterable[str] = ()) -> dict[str, Any]:
    """A mapping of the cloud without our mark and what the service itself puts in."""
    return {key: element for key, element in (value or {}).items() if key not in ignored and not key.startswith(MARK)}


def metadata_field(
    doc: str, ignored: Iterable[str] = (), apply: Callable[[Operation, Any, Any], None] | None = None
) -> Field:
    """The field "metadata", compared as a whole but for the keys in ``ignored``."""
    return Field(
        "metadata",
        f"{doc} Keys that it does not name are removed.",
        "dict",
        read=lambda raw: kept(raw.get("metadata"), ignored),
        normal=without_none,
        apply=apply,
    )


def set_metadata(op: Operation, before: Any, after: Any) -> None:
    """Change an object's metadata, a call for what is new and one for each key that goes."""
    new = {key: value for key, value in (after or {}).items() if (before or {}).get(key) != value}
    if new:
        op.call("POST", f"{op.type.path}/{op.id}/metadata", {"metadata": new})
    for key in sorted((before or {}).keys() - (after or {}).keys()):
        op.call("DELETE", f"{op.type.path}/{op.id}/metadata/{quote(key, safe='')}", accept=(404,))


def marked_metadata(op: Operation) -> dict[str, Any]:
    """The metadata that a new object is to get, our mark among them."""
    found = dict(without_none(op.values.get("metadata")) or {})
    return {**found, MARK: op.owner} if op.owner else found


def per_project(
    query: Query, path: str = "", params: list[tuple[str, Any]] | None = None, key: str = "project_id"
) -> list[Raw]:
    """All pages of a collection in every project that is asked for; each object knows its project below ``key``."""
    found: dict[str, Raw] = {}
    for project in query.projects:
        for raw in query.collect(path, params=params, project=project):
            raw.setdefault(key, project or query.cloud.project_id)
            found.setdefault(str(raw[query.type.id_key]), raw)
    return list(found.values())


def pattern(names: Iterable[str]) -> str:
    """A regular expression for what these names, and maybe others, begin with; for a single name it is exact.

    Empty where they begin differently or begin with what is no plain word. Alternatives would narrow it further, but
    Nova takes a vertical bar literally where its database is MySQL or MariaDB.
    """
    names = list(names)
    if len(names) == 1:
        return f"^{names[0]}$" if _PLAIN.fullmatch(names[0]) else ""
    same = itertools.takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False))
    begin = "".join(letters[0] for letters in same)
    return f"^{begin}" if _PLAIN.fullmatch(begin) else ""


def wants(query: Query, name: Any, *keys: str) -> bool:
    """Whether somebody wants to know one of these fields of the object of this name."""
    return query.full or any(entry.get("name") == name and any(key in entry for key in keys) for entry in query.entries)


def open_file(path: str) -> Callable[[], BufferedReader]:
    """What opens a file; an ApiError says why it cannot be."""

    def opened() -> BufferedReader:
        try:
            return open(os.path.expanduser(path), "rb")
        except OSError as error:
            raise ApiError(
                0, f"{error.strerror}", f"Read the file {path}", "Name a file on the host that runs the module."
            ) from error

    return opened
