"""What a resource type's functions get to work with, and the generic ways to list, make, change and remove."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.api import Answer, Cloud
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.errors import ApiError
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.schema import MARK, Field, Raw, ResourceType, bury

# Longest address that every server in front of an API takes.
LONGEST_QUERY = 6000


@dataclass
class Query:
    """Which objects of a type are wanted.

    ``names`` None means all. ``projects`` are the ids of those that entries name, for types that are asked project by project;
    empty stands for the login's. ``entries`` are the values of the document's entries, ``owned`` the ids in the ledger. With
    ``full``, what takes calls of its own is read of every object, otherwise of those whose entry has it.
    """

    cloud: Cloud
    type: ResourceType
    names: set[str] | None = None
    projects: tuple[str, ...] = ("",)
    owner: str = ""
    entries: Sequence[Mapping[str, Any]] = ()
    owned: frozenset[str] = frozenset()
    full: bool = False
    # Whether objects that no entry names are looked for, too.
    all: bool = False
    # Identifier of the only object that a reference can mean: type, reference; empty if it is not there, None if unsure.
    ident: Callable[[str, Any], str | None] = lambda kind, value: None

    def call(self, method: str, path: str, **options: Any) -> Answer:
        """A request for a part that the listing does not hold."""
        options.setdefault("microversion", self.type.microversion)
        return self.cloud.call(self.type.service, method, path, **options)

    def collect(
        self, path: str = "", collection: str = "", params: list[tuple[str, Any]] | None = None, project: str = ""
    ) -> list[Raw]:
        """All pages of a collection; the type's own by default."""
        kind = self.type
        return list(
            self.cloud.pages(
                kind.service,
                path or kind.list_path or kind.path,
                collection or kind.collection_key,
                params if params is not None else list(kind.list_params.items()),
                microversion=kind.microversion,
                project=project,
            )
        )


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


@dataclass
class Operation:
    """One change under way: the type, the object (``raw``, empty before it is made) and all values with references as ids."""

    cloud: Cloud
    type: ResourceType
    values: dict[str, Any]
    raw: Raw = field(default_factory=dict)
    owner: str = ""
    wait: bool = True
    timeout: float = 600.0
    scope: str = ""
    # What else in the run is to have: types and identifiers, and addresses of networks.
    contested: frozenset[tuple[str, str]] = frozenset()
    # How many requests that change something were answered well.
    written: int = 0

    @property
    def id(self) -> str:
        """Identifier of the object."""
        return str(self.raw[self.type.id_key])

    def call(self, method: str, path: str, body: Any = None, **options: Any) -> Answer:
        """A request to the type's service in the resource's project."""
        options.setdefault("microversion", self.type.microversion)
        options.setdefault("project", self.scope)
        answer = self.cloud.call(self.type.service, method, path, body, **options)
        self.written += method not in ("GET", "HEAD")
        return answer

    def body(self, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The API object for all values, or for some of them."""
        return body_of(self.type, self.values if changes is None else changes)

    def wait_until(
        self, *states: str, path: str = "", key: str = "status", mend: str = "Mend the cause and run again."
    ) -> Raw:
        """Poll the object until its state, below ``key``, is one of ``states`` (any case).

        :param mend: what to do when it failed.
        :raises ApiError: it came to a failed state, or the timeout passed.
        """
        address = path or f"{self.type.path}/{self.id}"
        wanted = {state.lower() for state in states}
        deadline = time.monotonic() + self.timeout
        pause = 0.2
        while True:
            body = self.call("GET", address).body
            raw: Raw = body.get(self.type.body_key, body)
            now = str(raw.get(key) or "").lower()
            if now in wanted:
                return raw
            if now in self.type.failed or now.startswith("error") or now.endswith("_failed"):
                why = fault_of(raw, key)
                raise ApiError(
                    0,
                    f"its state became {now}{f': {why}' if why else ''}",
                    f"Wait for {self.type.name} {self.id}",
                    mend,
                )
            if time.monotonic() > deadline:
                raise ApiError(
                    0,
                    f"still in state {now} after {self.timeout:.0f} seconds, not {' or '.join(states)}",
                    f"Wait for {self.type.name} {self.id}",
                    "Raise the option timeout, or look for the cause in the service's log.",
                )
            self.cloud.sleep(pause)
            pause = min(pause * 1.5, 3.0)

    def poll(self, done: Callable[[], bool], what: str) -> None:
        """Ask again and again until ``done``.

        :raises ApiError: the timeout passed; ``what`` says what was waited for.
        """
        deadline = time.monotonic() + self.timeout
        pause = 0.2
        while not done():
            if time.monotonic() > deadline:
                raise ApiError(0, f"not done after {self.timeout:.0f} seconds", what, "Raise the option timeout.")
            self.cloud.sleep(pause)
            pause = min(pause * 1.5, 3.0)

    def wait_gone(self, path: str = "") -> None:
        """Poll until the object is gone.

        :raises ApiError: the timeout passed, or the removal failed.
        """
        deadline = time.monotonic() + self.timeout
        pause = 0.2
        while True:
            answer = self.call("GET", path or f"{self.type.path}/{self.id}", accept=(404,))
            if answer.status == 404:
                return
            raw = answer.body.get(self.type.body_key, answer.body)
            state = str(raw.get("status", "")).lower()
            if state in ("deleted", "delete_complete"):
                return
            if state in ("error_deleting", "delete_failed") or time.monotonic() > deadline:
                raise ApiError(0, f"it is still there, in state {state}", f"Remove {self.type.name} {self.id}")
            self.cloud.sleep(pause)
            pause = min(pause * 1.5, 3.0)


def fault_of(raw: Raw, key: str = "status") -> str:
    """The service's own words for why an object failed; empty if it has none."""
    fault = raw.get("fault")
    if isinstance(fault, Mapping):
        return str(fault.get("message") or "")
    # A backup's reason may go on with a trace.
    return str(raw.get(f"{key}_reason") or str(raw.get("fail_reason") or "").partition("\n")[0])


def settle_object(op: Operation) -> Raw:
    """The new object in full, once it is ready to be used."""
    if op.type.settle:
        return op.type.settle(op)
    return op.wait_until(op.type.ready) if op.wait and op.type.ready else op.raw


def body_of(kind: ResourceType, values: Mapping[str, Any]) -> dict[str, Any]:
    """The API object for field values; fields with calls of their own are left out."""
    body: dict[str, Any] = {}
    for declared in kind.fields:
        if declared.name in values and declared.apply is None and values[declared.name] is not None:
            value = values[declared.name]
            # An empty reference takes the target away.
            bury(body, declared.key, None if declared.ref and value == "" else value)
    return body


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
