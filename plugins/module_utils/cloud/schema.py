"""How a resource type is declared: its fields, where the API keeps them, and what they refer to.

A declaration is data. Functions appear only where a service departs from "a collection of objects that are listed, made with
POST, changed with PATCH or PUT and removed with DELETE".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.engine.document import Item
    from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.engine.plan import Planner
    from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.errors import Problem
    from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.operation import Operation, Query

Raw = dict[str, Any]
Kind = Literal["str", "int", "float", "bool", "list", "set", "dict"]

MARK = "stackwright-owner"
# Field values that stand for something known only once the cloud was asked.
AUTH_PROJECT = "(project of the login)"
AUTH_DOMAIN = "(domain of the login)"


@dataclass(frozen=True)
class Field:
    """One key of a document entry.

    ``api`` is the key in the API object, dotted when nested; ``name`` otherwise. ``ref`` names the resource type that the value
    (or each element of a list or set) refers to. ``immutable`` fields can only change by replacing the resource. A ``write_only``
    field is sent when the resource is made and never compared. ``merge`` compares only the given keys of a dict.
    ``read`` takes the value from the API object, ``normal`` brings values of both sides into one form, ``apply`` sets the value by
    calls of its own after the resource was made, instead of in its body. ``default`` is what the service assumes when the field
    is left out; it counts for identity and is not compared. ``keys`` describe the elements of a list of mappings.
    ``compare`` gets the API object, the wanted value and all values of the entry, and returns both sides where the object's
    own value is not enough. ``fixed`` gets the same and the two sides; it says why this change needs a new object, or nothing.
    ``lets_go`` gives the value that an object must have since something that it refers to, or would, leaves with this run,
    though the entry does not speak of the field; None for no change.
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
    lets_go: Callable[[Planner, Item, Field], Any] | None = None
    keys: tuple[Field, ...] = ()

    @property
    def key(self) -> str:
        """The key in the API object."""
        return self.api or self.name


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
    # Why an object can only be made anew, and whether something would be lost with it; None for a sound one.
    broken: Callable[[Raw], tuple[str, bool] | None] | None = None
    listing: Callable[[Query], list[Raw]] | None = None
    # The listing is narrowed by identifiers (``Query.ident``), so it comes after those of other types.
    list_last: bool = False
    create: Callable[[Operation], Raw] | None = None
    update: Callable[[Operation, dict[str, Any]], None] | None = None
    # Gives up what an update gives up, before anything else in the run takes it: gets the fields that change. What it does is
    # noted in the operation's object.
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
    validate: Callable[[Planner, list[Item]], list[Problem]] | None = None
    # Fields that a new object takes from the one that another field refers to: {"project": "network"}.
    inherits: Mapping[str, str] = field(default_factory=dict)
    skip_export: Callable[[Raw], str] | None = None
    # Why an object cannot be removed as it is, and what to do; empty if it can.
    kept_by: Callable[[Raw], tuple[str, str] | None] | None = None
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
