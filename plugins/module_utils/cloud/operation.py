"""The generic ways to list, make, change and remove objects, and to mark them."""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.schema import (
    MARK,
    Field,
    Operation,
    Query,
    Raw,
    body_of,
)

# Longest address that every server in front of an API takes.
LONGEST_QUERY = 6000


def list_objects(query: Query) -> list[Raw]:
    """List a collection, filtered by name where the service can."""
    kind = query.type
    base = list(kind.list_params.items())
    if query.names is not None and kind.name_filter:
        if not query.names:
            found: list[Raw] = []
        elif len(query.names) == 1 or kind.name_filter == "many":
            names = [(kind.name_param, name) for name in sorted(query.names)]
            if sum(len(name) + 7 for _, name in names) > LONGEST_QUERY:
                return query.collect()
            found = query.collect(params=base + names)
        else:
            return query.collect()
        if query.owner and kind.mark == "tags":
            known = {raw[kind.id_key] for raw in found}
            marked = query.collect(params=[*base, ("tags", mark_tag(query.owner))])
            found += [raw for raw in marked if raw[kind.id_key] not in known]
        elif query.owner:
            return query.collect()
        return found
    return query.collect()


def mark_tag(owner: str) -> str:
    """The tag that marks an object as made by a document."""
    return f"{MARK}={owner}"


def born_tags(op: Operation) -> list[str]:
    """All tags of a new object whose request takes them: the entry's and the ownership mark."""
    return [*(op.values.get("tags") or []), *([mark_tag(op.owner)] if op.owner else [])]


def mark_metadata_filter(owner: str) -> list[tuple[str, Any]]:
    """The query that finds objects by the ownership mark in their metadata."""
    return [("metadata", json.dumps({MARK: owner}))]


def is_mark(tag: str) -> bool:
    """Whether a tag or property is one of our ownership marks."""
    return tag.startswith(MARK)


def settle_object(op: Operation) -> Raw:
    """The new object in full, once it is ready to be used."""
    if op.type.settle:
        return op.type.settle(op)
    return op.wait_until(op.type.ready) if op.wait and op.type.ready else op.raw


def create_object(op: Operation) -> Raw:
    """POST the object to its collection."""
    if op.type.create:
        return op.type.create(op)
    body = body_of(op.type, op.values)
    if op.owner and op.type.mark == "metadata":
        body.setdefault("metadata", {})[MARK] = op.owner
    elif op.owner and op.type.mark == "property":
        body[MARK] = op.owner
    answer = op.call("POST", op.type.path, {op.type.body_key: body}).body
    raw: Raw = answer[op.type.body_key]
    return raw


def update_object(op: Operation, changes: dict[str, Any]) -> None:
    """Send the changed fields; fields with calls of their own are applied elsewhere."""
    if op.type.update:
        op.type.update(op, changes)
        return
    values = {name: value for name, value in changes.items() if op.type.field(name).apply is None}
    if values:
        sent = op.values if op.type.update_whole else values
        op.call(op.type.update_method, f"{op.type.path}/{op.id}", {op.type.body_key: body_of(op.type, sent)})


def delete_object(op: Operation) -> None:
    """DELETE the object; that it is gone already is fine."""
    if op.type.delete:
        op.type.delete(op)
        return
    op.call("DELETE", f"{op.type.path}/{op.id}", accept=(404,))


def apply_field(op: Operation, declared: Field, before: Any, after: Any) -> None:
    """Set one field by its own calls."""
    if declared.apply:
        declared.apply(op, before, after)


def set_tags(op: Operation, tags: list[str], owned: bool = False) -> list[str]:
    """Replace an object's tags, keeping ownership marks. Returns all that it has then."""
    marks = [tag for tag in op.raw.get("tags") or [] if is_mark(tag)]
    if owned and mark_tag(op.owner) not in marks:
        marks.append(mark_tag(op.owner))
    wanted = sorted({*tags, *marks})
    op.call("PUT", f"{op.type.tags_path or op.type.path}/{op.id}/tags", {"tags": wanted})
    return wanted
