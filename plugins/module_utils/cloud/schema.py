"""How a resource type is declared, and what its functions get to work with.

A declaration is data. Functions appear only where a service departs from "a collection of objects that are listed, made
with POST, changed with PATCH or PUT and removed with DELETE". They get a query (what to list), an operation (what to
change), an entry of the document, or the plan as far as it is theirs to ask.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.api import Answer, Cloud
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.errors import ApiError, Problem
from ansible_collections.stackwright.cloud.plugins.module_utils.common.text import one_line

Raw = dict[str, Any]
Kind = Literal["str", "int", "float", "bool", "list", "set", "dict"]

MARK = "stackwright-owner"
# Field values that stand for something known only once the cloud was asked.
AUTH_PROJECT = "(project of the login)"
AUTH_DOMAIN = "(domain of the login)"
# Types that others lie in, and the fields that say so; and the one whose token a scoped type needs.
SCOPES = ("domain", "project")
TOKEN_SCOPE = "project"
LABELS = "tags"


@dataclass(frozen=True)
class Field:
    """One key of a document entry.

    ``api`` is the key in the API object, dotted when nested; ``name`` otherwise. ``ref`` names the resource type that
    the value (or each element of a list or set) refers to. ``immutable`` fields can only change by replacing the
    resource. A ``write_only`` field is sent when the resource is made and never compared. ``merge`` compares only the
    given keys of a dict. ``read`` takes the value from the API object, ``normal`` brings values of both sides into one
    form, ``apply`` sets the value by calls of its own after the resource was made, instead of in its body. ``default``
    is what the service assumes when the field is left out; it counts for identity and is not compared. ``keys``
    describe the elements of a list of mappings. ``compare`` gets the API object, the wanted value and all values of the
    entry, and returns both sides where the object's own value is not enough. ``fixed`` gets the same and the two sides;
    it says why this change needs a new object, or nothing. ``lets_go`` gives the value that an object must have since
    something that it refers to, or would, leaves with this run, though the entry does not speak of the field; None for
    no change.
    """

    name: str
    doc: str = ""
    kind: Kind = "str"
    api: str = ""
    ref: str = ""
    # Values that are no reference, though the field is one.
    words: tuple[str, ...] = ("",)
    required: bool = False
    choices: tuple[str, ...] = ()
    immutable: bool = False
    secret: bool = False
    write_only: bool = False
    merge: bool = False
    # Whether it is compared again after it was written; not what was proved while it was sent.
    reread: bool = True
    default: Any = None
    export: bool = True
    # Values that an export leaves out, since the service takes them where none was asked for.
    unsaid: tuple[str, ...] = ()
    read: Callable[[Raw], Any] | None = None
    normal: Callable[[Any], Any] | None = None
    apply: Callable[[Operation, Any, Any], None] | None = None
    compare: Callable[[Raw, Any, Mapping[str, Any]], tuple[Any, Any]] | None = None
    fixed: Callable[[Raw, Any, Any, Mapping[str, Any]], str] | None = None
    lets_go: Callable[[Plan, Item, Field], Any] | None = None
    # Whether an object has the wanted value, where that can only be tried out: asked once all else of the plan is
    # sound. None where nothing is to be tried, a text for a warning.
    proved: Callable[[Plan, Item], bool | str | None] | None = None
    keys: tuple[Field, ...] = ()

    @property
    def key(self) -> str:
        """The key in the API object."""
        return self.api or self.name


def holders(declared: Field) -> list[Field]:
    """A field with the keys of its elements, and the keys of theirs."""
    return [declared, *(inner for key in declared.keys for inner in holders(key))]


@dataclass(frozen=True)
class ResourceType:
    """One kind of resource. ``identity`` are the fields by which an entry and an object of the cloud are the same."""

    name: str
    plural: str
    service: str
    path: str
    fields: tuple[Field, ...]
    doc: str = ""
    key: str = ""
    collection: str = ""
    identity: tuple[str, ...] = ("name",)
    # Identity fields that, when left out, are not looked at.
    loose: tuple[str, ...] = ()
    id_key: str = "id"
    microversion: str = ""
    list_path: str = ""
    list_params: Mapping[str, Any] = field(default_factory=dict)
    name_filter: Literal["", "one", "many"] = ""
    name_param: str = "name"
    update_method: Literal["PATCH", "PUT", "POST", ""] = "PATCH"
    update_whole: bool = False
    mark: Literal["tags", "metadata", "property", "ledger", ""] = "ledger"
    # Where the tags lie, if not below ``path``.
    tags_path: str = ""
    after: tuple[str, ...] = ()
    # New objects that refer to the same one by this field are made one after the other.
    in_turn: str = ""
    # Types whose objects may be in use by one of this type without the listing saying so: they are removed after it.
    uses: tuple[str, ...] = ()
    # Fields that references may name an object by, besides the first of its identity.
    also_named_by: tuple[str, ...] = ()
    # What the login's own object is called, its identifier first; it is known without a listing.
    of_login: Callable[[Cloud], tuple[str, ...]] | None = None
    # Whether the first entry, of this type, must be whole before the second one is made.
    before: Callable[[Item, Item], bool] | None = None
    # What the removal of these objects leaves behind, by identifier, for people.
    leaves_behind: Callable[[Plan, Sequence[str]], Mapping[str, list[str]]] | None = None
    # Field by which an entry takes over an object that none of its names finds, and why one cannot be taken over.
    adopted_by: str = ""
    unadoptable: Callable[[Raw], str] | None = None
    # Looked up in the cloud but never made, changed or removed on its own.
    singleton: bool = False
    # Always there: nothing makes or removes it.
    permanent: bool = False
    # Its function ``create`` sends the ownership mark along.
    born_marked: bool = False
    # Listed and changed with a token of the project that the entry's field "project" names.
    scoped: bool = False
    ready: str = ""
    failed: tuple[str, ...] = ("error",)
    # Waits for a new object and returns it in full; by default its state has to become ``ready``.
    settle: Callable[[Operation], Raw] | None = None
    # Whether the service makes the object of such an entry by itself, so that it is never made, only changed: gets the
    # values.
    comes_by_itself: Callable[[Mapping[str, Any]], bool] | None = None
    # Why an object can only be made anew, and whether something would be lost with it; None for a sound one.
    broken: Callable[[Raw], tuple[str, bool] | None] | None = None
    listing: Callable[[Query], list[Raw]] | None = None
    # The listing is narrowed by identifiers (``Query.ident``), so it comes after those of other types.
    list_last: bool = False
    create: Callable[[Operation], Raw] | None = None
    update: Callable[[Operation, dict[str, Any]], None] | None = None
    # Gives up what an update gives up, before anything else in the run takes it: gets the fields that change. What it
    # does is noted in the operation's object.
    release: Callable[[Operation, frozenset[str]], None] | None = None
    # No two objects may have one name in one domain, not even for a moment.
    unique_names: bool = False
    # What was written is read again; not where a listing is behind what was written.
    reread: bool = True
    delete: Callable[[Operation], None] | None = None
    check: Callable[[Mapping[str, Any]], list[tuple[str, str, str]]] | None = None
    # As ``check``, for entries that the cloud lacks yet.
    check_new: Callable[[Mapping[str, Any]], list[tuple[str, str, str]]] | None = None
    # Problems between the entries of this type, and with what the cloud holds; called once, before any change.
    validate: Callable[[Plan, list[Item]], list[Problem]] | None = None
    # Fields that a new object takes from the one that another field refers to: {"project": "network"}.
    inherits: Mapping[str, str] = field(default_factory=dict)
    skip_export: Callable[[Raw], str] | None = None
    # Why an object cannot be removed as it is, and what to do; empty if it can.
    kept_by: Callable[[Raw], tuple[str, str] | None] | None = None
    # What the service gave an object and later tasks need, such as addresses: gets the object and the plan.
    tells: Callable[[Raw, Plan], dict[str, Any]] | None = None
    # Fields that a new object in place of an old one does not take from it, since they hang on what changes.
    not_carried: tuple[str, ...] = ()
    # The same, for what follows from other fields, so that nothing is lost with it.
    derived: tuple[str, ...] = ()

    def field(self, name: str) -> Field:
        """The field called ``name``; KeyError otherwise."""
        for candidate in self.fields:
            if candidate.name == name:
                return candidate
        raise KeyError(name)

    @property
    def field_names(self) -> list[str]:
        """Names of all fields, in order."""
        return [candidate.name for candidate in self.fields]

    @property
    def body_key(self) -> str:
        """The key that wraps one object in requests and answers."""
        return self.key or self.name

    @property
    def collection_key(self) -> str:
        """The key that wraps a list of objects in answers."""
        return self.collection or self.plural


def dig(raw: Mapping[str, Any], path: str) -> Any:
    """Value at a dotted path; None where a step is missing. A key that itself holds the dots or colons wins."""
    if path in raw:
        return raw[path]
    value: Any = raw
    for step in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(step)
    return value


def bury(body: dict[str, Any], path: str, value: Any) -> None:
    """Set the value at a dotted path, making the steps that are missing."""
    *steps, last = path.split(".")
    for step in steps:
        body = body.setdefault(step, {})
    body[last] = value


def read_field(declared: Field, raw: Raw) -> Any:
    """The value of a field in an API object, in the form in which it is compared."""
    value = declared.read(raw) if declared.read else dig(raw, declared.key)
    return canonical(declared, value)


def words(value: Any) -> Any:
    """A mapping as services keep metadata: every value as text. None stays, it stands for a key that is not there."""
    if not isinstance(value, Mapping):
        return value
    return {str(key): element if element is None else text(element) for key, element in value.items()}


def text(value: Any) -> str:
    """A value as text; booleans as services write them."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def canonical(declared: Field, value: Any) -> Any:
    """Bring a value into the form in which both sides are compared."""
    if value is None:
        return None
    if declared.normal:
        value = declared.normal(value)
    if declared.kind == "set":
        try:
            return sorted(set(value), key=str)
        except TypeError:
            return sorted(value, key=str)
    if declared.kind == "list":
        return list(value)
    return value


# What functions get
# ----------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class Item:
    """One entry of a document; later, the object in the cloud that it stands for."""

    type: ResourceType
    path: str
    values: dict[str, Any]
    absent: bool = False
    wanted_id: str = ""
    current: Raw | None = None
    resolved: dict[str, Any] = field(default_factory=dict)
    id: str = ""
    # Another entry of the type has the same names, so its place is told with them.
    doubled: bool = False
    # The document's own project and domain, in which names are meant first.
    home: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str]:
        """Type and identifier: the names that some types have for identifiers may be the same."""
        return self.type.name, self.id

    @property
    def title(self) -> str:
        """Its names, for people."""
        places = [name for name in SCOPES if name in self.type.identity and "name" in self.values]
        words = [
            name if self.values[name] is True else _words(self.values[name])
            for name in self.type.identity
            if self.values.get(name) not in (None, False, "") and name not in places
        ]
        text = " ".join(words) or self.wanted_id
        if not self.doubled:
            return text
        told = [f"{name} {_words(self.values[name])}" for name in places if self.values.get(name)]
        return f"{text} ({', '.join(told) or self.wanted_id or self.path})"

    @property
    def label(self) -> str:
        """Type and names, for messages: "project web"."""
        return one_line(f"{self.type.name.replace('_', ' ')} {self.title}")

    def problem(self, cause: str, mend: str = "", key: str = "") -> Problem:
        """A problem of this entry, or of one of its keys."""
        return Problem(cause, mend, f"{self.path}.{key}" if key else self.path, self.label)


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return str(value.get("name", value.get("id", "")))
    return str(value)


class Held(Protocol):
    """What was read of a cloud."""

    @property
    def by_id(self) -> Mapping[str, Mapping[str, Raw]]:
        """Objects by type and identifier."""

    def name_of(self, kind: str, ident: str) -> str:
        """Name for an identifier, for people; the identifier itself when it is not known."""


class Plan(Protocol):
    """What a type's functions may ask while the plan is made: the document beside what the cloud holds."""

    @property
    def cloud(self) -> Cloud:
        """The cloud."""

    @property
    def state(self) -> Held:
        """What was read of it."""

    @property
    def own(self) -> Mapping[str, list[Item]]:
        """The document's entries by type; an empty list for a type that it does not have."""

    def target(self, item: Item, name: str) -> Any:
        """What a field refers to: the identifier of an object that stays, or the entry of one that is to be made."""

    def value_of(self, kind: str, place: Any, name: str) -> Any:
        """A field of an object, given by entry or identifier, as it will be; None if that is not known."""

    def leaves(self, kind: str, ident: str) -> bool:
        """Whether an object is about to be removed."""

    def compare(self, item: Item, declared: Field, value: Any) -> tuple[Any, Any]:
        """A field's present and wanted value, in one form."""


@dataclass
class Query:
    """Which objects of a type are wanted.

    ``names`` None means all. ``projects`` are the ids of those that entries name, for types that are asked project by
    project; empty stands for the login's. ``entries`` are the values of the document's entries, ``owned`` the ids in
    the ledger. With ``full``, what takes calls of its own is read of every object, otherwise of those whose entry has
    it.
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
    # Identifier of the only object that a reference can mean: type, reference; empty if it is not there, None if
    # unsure.
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


@dataclass
class Operation:
    """One change under way: the type, the object (``raw``, empty before it is made) and all values with references as
    ids."""

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


def body_of(kind: ResourceType, values: Mapping[str, Any]) -> dict[str, Any]:
    """The API object for field values; fields with calls of their own are left out."""
    body: dict[str, Any] = {}
    for declared in kind.fields:
        if declared.name in values and declared.apply is None and values[declared.name] is not None:
            value = values[declared.name]
            # An empty reference takes the target away.
            bury(body, declared.key, None if declared.ref and value == "" else value)
    return body
