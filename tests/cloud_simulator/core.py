"""The generic part: declared collections of objects, their REST behaviour, faults and call counting.

A service declares its resource types as :class:`Collection` data. What is not "a collection of objects" is a
:class:`Route`.
"""

from __future__ import annotations

import ast
import copy
import csv
import json
import re
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from typing import Any
from urllib.parse import urlencode

Object = dict[str, Any]
# Query words that are never fields of an object.
WORDS = frozenset(
    {
        "limit",
        "marker",
        "sort_key",
        "sort_dir",
        "sort",
        "fields",
        "page_reverse",
        "all_tenants",
        "all_projects",
        "with_count",
        "offset",
        "include_names",
        "format",
        "is_public",
        "member_status",
        "global_tenant",
        "detailed",
        "tags-any",
        "not-tags",
        "not-tags-any",
        "reverse",
        "delimiter",
        "end_marker",
        "prefix",
        "path",
        "usage",
        "usages",
        "effective",
    }
)


class Refusal(Exception):
    """A request that is answered with an error status."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = dict(headers or {})
        self.type = ""


class Dropped(Exception):
    """The connection is to be closed without an answer."""


@dataclass
class Token:
    """What a token stands for. ``expires`` is in seconds of :func:`time.time`."""

    id: str
    user_id: str
    expires: float
    project_id: str = ""
    domain_id: str = ""
    system: bool = False
    roles: frozenset[str] = frozenset()
    methods: tuple[str, ...] = ("password",)

    @property
    def admin(self) -> bool:
        """Whether the token may do everything."""
        return "admin" in self.roles


@dataclass
class Request:
    """One request as the services see it. ``path`` is below the service's root."""

    method: str
    service: str
    path: str
    query: dict[str, list[str]]
    headers: Message
    body: bytes
    base: str
    token: Token | None = None

    @property
    def who(self) -> Token:
        """The token; Refusal 401 when there is none."""
        if self.token is None:
            raise Refusal(401, "The request you have made requires authentication.")
        return self.token

    def json(self) -> Any:
        """The decoded body; Refusal 400 when it is not JSON."""
        try:
            return json.loads(self.body or b"{}")
        except ValueError as error:
            raise Refusal(400, f"The body is not JSON: {error}.") from error

    def wrapped(self, key: str) -> Object:
        """The object below ``key`` of the body; Refusal 400 when it is absent."""
        body = self.json()
        value = body.get(key) if isinstance(body, dict) else None
        if not isinstance(value, dict):
            raise Refusal(400, f"The body lacks '{key}'.")
        return value

    def one(self, name: str, otherwise: str = "") -> str:
        """The last value of a query word."""
        return self.query.get(name, [otherwise])[-1]

    def need_admin(self) -> None:
        """Refusal 403 without the admin role."""
        if not self.who.admin:
            raise Refusal(403, "You are not authorized to perform the requested action.")


@dataclass
class Answer:
    """What goes back. A dict or list is sent as JSON."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


Hook = Callable[["State", Request, Object], None]


@dataclass(frozen=True)
class Collection:
    """A resource type.

    ``path`` is below the service's root and may hold ``{parent}`` parts, which become fields of the objects
    (``/users/{user_id}/application_credentials``). ``unique`` are sets of fields that no two objects may share.
    ``refs`` maps fields to the types whose objects they name. ``used_by`` lists (type, field) that forbid removal.
    ``cascade`` lists (type, field) that go with the object. ``immutable`` fields are refused in updates (status 400).
    ``owner`` is the field with the project. ``view`` adds what is worked out when the object is shown. ``patterns`` are
    fields whose filter is a regular expression. With ``extras`` any property filters. ``lingers`` is the state in which
    a removed object is still seen for :attr:`State.polls_until_ready` looks.
    """

    type: str
    service: str
    path: str
    key: str = ""
    plural: str = ""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    required: tuple[str, ...] = ("name",)
    unique: tuple[tuple[str, ...], ...] = ()
    refs: Mapping[str, str] = field(default_factory=dict)
    used_by: tuple[tuple[str, str], ...] = ()
    cascade: tuple[tuple[str, str], ...] = ()
    immutable: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    unlisted: tuple[str, ...] = ()
    owner: str = ""
    admin_write: bool = False
    admin_read: bool = False
    own_only: bool = False
    methods: tuple[str, ...] = ("POST", "GET", "PATCH", "DELETE")
    statuses: Mapping[str, int] = field(default_factory=dict)
    id_key: str = "id"
    own_id: bool = False
    dashed_ids: bool = True
    page: str = "links"
    tags: bool = False
    bare: bool = False
    missing_ref: int = 400
    detail: bool = False
    on_create: Hook | None = None
    on_update: Callable[[State, Request, Object, Object], None] | None = None
    on_delete: Hook | None = None
    view: Callable[[State, Request, Object], Object] | None = None
    patterns: tuple[str, ...] = ()
    extras: bool = False
    lingers: str = ""
    visible: Callable[[State, Request, Object], bool] | None = None

    @property
    def body_key(self) -> str:
        """What wraps one object."""
        return self.key or self.type

    @property
    def list_key(self) -> str:
        """What wraps the list."""
        return self.plural or f"{self.body_key}s"


Handler = Callable[["State", Request, dict[str, str]], Answer]


@dataclass(frozen=True)
class Route:
    """A request that is not plain REST. ``pattern`` has ``{name}`` parts; ``type`` is the name under which calls are
    counted."""

    service: str
    method: str
    pattern: str
    handler: Handler
    type: str = ""
    open: bool = False


@dataclass
class Fault:
    """Something that goes wrong.

    The first ``skip`` matching requests pass, the next ``times`` (0: all further ones) suffer. ``status`` answers an
    error with ``retry_after`` seconds, ``delay`` answers late (seconds), ``drop`` closes the connection "before" or
    "after" the work.
    """

    method: str = ""
    service: str = ""
    path: str = ""
    skip: int = 0
    times: int = 1
    status: int = 0
    message: str = "A fault that was ordered."
    retry_after: float | None = None
    delay: float = 0.0
    drop: str = ""
    seen: int = 0

    def strikes(self, method: str, service: str, path: str) -> bool:
        """Count a request and tell whether the fault applies to it. ``method`` may be "write"."""
        if self.method == "write":
            if method in ("GET", "HEAD") or path.endswith("/auth/tokens"):
                return False
        elif self.method and self.method != method:
            return False
        if (self.service and self.service != service) or (self.path and not re.search(self.path, path)):
            return False
        self.seen += 1
        return self.seen > self.skip and (not self.times or self.seen <= self.skip + self.times)


@dataclass(frozen=True)
class Call:
    """One answered request. ``type`` is the resource type or the route's; status 0 means that the connection was
    dropped."""

    method: str
    service: str
    type: str
    path: str
    status: int
    # Words of the query.
    query: tuple[str, ...] = ()


@dataclass(frozen=True)
class Compiled:
    """A route as it is matched."""

    method: str
    pattern: re.Pattern[str]
    handler: Handler
    type: str
    open: bool


def new_id(dashed: bool = True) -> str:
    """A fresh identifier."""
    value = uuid.uuid4()
    return str(value) if dashed else value.hex


def now() -> str:
    """The time as the services write it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def microversion(request: Request) -> tuple[int, int]:
    """The version of the API that the request asks for; the lowest one when it names none."""
    lowest = {"compute": (2, 1), "volume": (3, 0)}.get(request.service, (1, 0))
    for word in request.headers.get("OpenStack-API-Version", "").split(","):
        service, _, version = word.strip().partition(" ")
        if service == request.service and version:
            major, _, minor = version.partition(".")
            return (int(major), int(minor))
    old = request.headers.get("X-OpenStack-Nova-API-Version", "") if request.service == "compute" else ""
    return (int(old.split(".")[0]), int(old.split(".")[1])) if old else lowest


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """``/a/{b}`` as a regular expression; ``{b:path}`` takes slashes too."""
    parts = re.split(r"({\w+(?::path)?})", pattern)
    text = "".join(
        (f"(?P<{p[1:-1].removesuffix(':path')}>.+)" if p.endswith(":path}") else f"(?P<{p[1:-1]}>[^/]+)")
        if p.startswith("{")
        else re.escape(p)
        for p in parts
    )
    return re.compile(f"{text}/?$")


class State:
    """All objects of the cloud, with the REST behaviour of the declared collections."""

    def __init__(self, collections: Iterable[Collection], routes: Iterable[Route]) -> None:
        self.lock = threading.RLock()
        self.types: dict[str, Collection] = {c.type: c for c in collections}
        self.objects: dict[str, dict[str, Object]] = {name: {} for name in self.types}
        self.extra: dict[str, Any] = {}
        self.tokens: dict[str, Token] = {}
        self.faults: list[Fault] = []
        self.calls: list[Call] = []
        self.page_size = 1000
        self.token_life = 3600.0
        # Polls that a new server, image, volume or stack needs until it is ready, and whether it then fails.
        self.polls_until_ready = 0
        # Fields by type that the services take without an error and do not keep.
        self.dropped: dict[str, set[str]] = {}
        self.fail_next: Counter[str] = Counter()
        self.routes: dict[str, list[Compiled]] = {}
        for kind in self.types.values():
            for route in tag_routes(kind) if kind.tags else []:
                self._add(route)
        for route in routes:
            self._add(route)
        for kind in self.types.values():
            for route in rest_routes(kind):
                self._add(route)

    def _add(self, route: Route) -> None:
        self.routes.setdefault(route.service, []).append(
            Compiled(route.method, compile_pattern(route.pattern), route.handler, route.type, route.open)
        )

    # -- objects

    def all(self, kind: str) -> list[Object]:
        """Every object of a type."""
        return list(self.objects[kind].values())

    def find(self, kind: str, **wanted: Any) -> list[Object]:
        """The objects whose fields have these values."""
        return [o for o in self.objects[kind].values() if all(o.get(k) == v for k, v in wanted.items())]

    def get(self, kind: str, identifier: str, status: int = 404) -> Object:
        """One object; Refusal with ``status`` when it is absent."""
        found = self.objects[kind].get(str(identifier))
        if found is None:
            raise Refusal(status, f"{kind} {identifier} could not be found.")
        return found

    def put(self, kind: str, **values: Any) -> Object:
        """Add an object without any request: for a test's starting state. Returns the stored object."""
        declared = self.types[kind]
        obj = copy.deepcopy(dict(declared.defaults)) | values
        if declared.id_key not in obj:
            obj[declared.id_key] = new_id(declared.dashed_ids)
        with self.lock:
            self.objects[kind][str(obj[declared.id_key])] = obj
        return obj

    def settle(
        self, kind: str, obj: Object, pending: str, ready: str, failed: str = "ERROR", status: str = "status"
    ) -> None:
        """Let an object pass through ``pending`` for the ordered number of polls."""
        if self.fail_next[kind]:
            self.fail_next[kind] -= 1
            ready = failed
        if self.polls_until_ready <= 0:
            obj[status] = ready
        else:
            obj[status] = pending
            obj["_settle"] = [self.polls_until_ready, status, ready]

    @staticmethod
    def poll(obj: Object) -> None:
        """Bring an eventual object one look nearer to its state."""
        if "_settle" in obj:
            left, key, ready = obj["_settle"]
            if left <= 0:
                obj[key] = ready
                del obj["_settle"]
            else:
                obj["_settle"][0] = left - 1

    # -- calls

    def count(self, method: str = "", service: str = "", type: str = "") -> int:
        """Number of answered or dropped requests that match. ``method`` "write" means everything but GET and HEAD."""
        return sum(
            1
            for call in list(self.calls)
            if (not method or call.method == method or (method == "write" and call.method not in ("GET", "HEAD")))
            and (not service or call.service == service)
            and (not type or call.type == type)
        )

    def writes(self) -> list[Call]:
        """Requests that may have changed something; those for tokens are not among them."""
        return [c for c in list(self.calls) if c.method not in ("GET", "HEAD") and c.type != "token"]

    def lists(self) -> Counter[str]:
        """Number of GET requests by type."""
        return Counter(c.type for c in list(self.calls) if c.method == "GET")

    # -- dispatch

    def dispatch(self, request: Request) -> tuple[Answer, str]:
        """Answer a request; also the type for counting. Raises Refusal."""
        compiled = self.routes.get(request.service)
        if compiled is None:
            raise Refusal(404, f"There is no service at {request.service}.")
        allowed = False
        for route in compiled:
            match = route.pattern.match(request.path)
            if match is None:
                continue
            allowed = True
            if route.method != request.method and not (request.method == "HEAD" and route.method == "GET"):
                continue
            with self.lock:
                try:
                    request.token = self.valid_token(request, route.open)
                    return route.handler(self, request, match.groupdict()), route.type
                except Refusal as refusal:
                    refusal.type = route.type
                    raise
        if allowed:
            raise Refusal(405, f"{request.method} is not allowed on {request.path}.")
        raise Refusal(404, f"There is nothing at {request.path}.")

    def valid_token(self, request: Request, optional: bool) -> Token | None:
        """The token of the request; Refusal 401 when it is missing, unknown or expired."""
        token = self.tokens.get(request.headers.get("X-Auth-Token", ""))
        if token is not None and token.expires > time.time():
            return token
        if optional:
            return None
        raise Refusal(401, "The request you have made requires authentication.", {"WWW-Authenticate": "Keystone"})


def scope_of(match: dict[str, str]) -> Object:
    """The parents in the path that are fields of the objects."""
    return {k: v for k, v in match.items() if k not in ("id", "tenant")}


def shown(state: State, request: Request, kind: Collection, obj: Object, in_list: bool = False) -> Object:
    """An object as it is sent."""
    hide = {*kind.hidden, *(kind.unlisted if in_list else ())}
    out = {k: v for k, v in obj.items() if not k.startswith("_") and k not in hide}
    return kind.view(state, request, out) if kind.view else out


def may_see(state: State, request: Request, kind: Collection, obj: Object) -> bool:
    """Whether the token's project may see an object."""
    if kind.visible:
        return kind.visible(state, request, obj)
    if not kind.owner or request.who.admin:
        return True
    return obj.get(kind.owner) == request.who.project_id or bool(obj.get("shared"))


def matches(obj: Object, query: Mapping[str, list[str]], kind: Collection | None = None) -> bool:
    """Whether an object passes the filters of a query: several values of one word mean any of them."""
    for word, values in query.items():
        if word in WORDS:
            continue
        if word == "metadata" and isinstance(obj.get("metadata"), dict):
            if not ast.literal_eval(values[-1]).items() <= obj["metadata"].items():
                return False
            continue
        if kind and word in kind.patterns:
            # Nova with MariaDB takes a vertical bar for one
            if not any(re.search(value.replace("|", "\\|"), str(obj.get(word))) for value in values):
                return False
            continue
        if values[-1].startswith("in:"):
            if str(obj.get(word)) not in next(csv.reader([values[-1][3:]])):
                return False
            continue
        if kind and kind.extras and word not in obj:
            return False
        if word == "tags":
            if not set(",".join(values).split(",")) <= set(obj.get("tags") or []):
                return False
            continue
        name, _, operator = word.partition("__")
        name = "project_id" if name == "tenant_id" and name not in obj else name
        # Services do not look at words they do not know; neutron refuses them (check_words).
        if name not in obj:
            continue
        have = obj[name]
        if name == "fixed_ips":
            wanted = [tuple(v.split("=", 1)) for v in values]
            if not all(any(str(ip.get(k)) == v for ip in have) for k, v in wanted):
                return False
            continue
        if isinstance(have, list):
            if not set(values) <= set(map(str, have)):
                return False
            continue
        text = str(have).lower() if isinstance(have, bool) else str(have)
        if operator == "contains":
            if values[-1] not in text:
                return False
        elif isinstance(have, bool):
            if text not in [{"1": "true", "0": "false"}.get(v.lower(), v.lower()) for v in values]:
                return False
        elif have is None:
            if not set(values) & {"", "None", "null"}:
                return False
        elif text not in values:
            return False
    return True


def check_words(kind: Collection, query: Mapping[str, list[str]]) -> None:
    """Refusal 400 for a filter that neutron does not know."""
    if kind.service == "network":
        known = {*kind.defaults, *kind.required, "id", "tags", "tenant_id", "gateway_ip", *WORDS}
        unknown = [w for w in query if w not in known]
        if unknown:
            raise Refusal(400, f"[{', '.join(unknown)}] is invalid attribute for filtering.")


def page_of(state: State, request: Request, kind: Collection, found: list[Object]) -> tuple[list[Object], str]:
    """One page of the objects and the address of the next one, if any. ``limit`` counts objects, ``marker`` is an
    identifier."""
    sort = request.one("sort_key")
    if sort:
        found = sorted(found, key=lambda o: str(o.get(sort)), reverse=request.one("sort_dir") == "desc")
    if kind.page == "none":
        return found, ""
    if kind.page == "offset":
        start = int(request.one("offset") or 0)
        return found[start : start + min(int(request.one("limit") or state.page_size), state.page_size)], ""
    marker = request.one("marker")
    if marker:
        at = next((n for n, o in enumerate(found) if str(o[kind.id_key]) == marker), None)
        if at is None:
            raise Refusal(400, f"marker [{marker}] not found.")
        found = found[at + 1 :]
    try:
        limit = min(int(request.one("limit") or state.page_size), state.page_size)
    except ValueError as error:
        raise Refusal(400, "limit is not a number.") from error
    if limit <= 0 or len(found) <= limit:
        return found, ""
    page = found[:limit]
    words = {k: v for k, v in request.query.items() if k not in ("marker", "limit")}
    words |= {"limit": [str(limit)], "marker": [str(page[-1][kind.id_key])]}
    return page, f"{request.base}{request.path}?{urlencode(words, doseq=True)}"


def listed(state: State, request: Request, kind: Collection, match: dict[str, str]) -> Answer:
    """GET of a collection."""
    if kind.admin_read:
        request.need_admin()
    scope = scope_of(match)
    query = request.query
    if kind.service == "compute" and "metadata" in query:
        # Nova does not look at the filter of others than administrators, to whom it is a name of a joined table.
        if request.who.admin:
            raise Refusal(400, "Invalid filter field: metadata.")
        query = {word: values for word, values in query.items() if word != "metadata"}
    check_words(kind, query)
    found = []
    for obj in state.objects[kind.type].values():
        if any(obj.get(k) != v for k, v in scope.items()):
            continue
        if may_see(state, request, kind, obj) and (not query or matches(obj, query, kind)):
            found.append(obj)
    if kind.own_only and not (
        request.who.admin and request.one("all_tenants", request.one("all_projects")) in ("1", "True", "true")
    ):
        found = [o for o in found if o.get(kind.owner) == request.who.project_id]
    page, following = page_of(state, request, kind, found)
    for obj in page:
        state.poll(obj)
    short = kind.detail and not request.path.rstrip("/").endswith("/detail")
    items = [shown(state, request, kind, obj, True) for obj in page]
    if short:
        items = [
            {
                k: item[k]
                for k in (kind.id_key, "name", "links", "hypervisor_hostname", "state", "status")
                if k in item and (kind.type == "hypervisor" or k not in ("state", "status"))
            }
            for item in items
        ]
    fields = query.get("fields")
    if fields:
        items = [{k: item[k] for k in fields if k in item} for item in items]
    body: Object = {kind.list_key: items}
    if kind.service == "identity":
        body["links"] = {"self": f"{request.base}{request.path}", "previous": None, "next": following or None}
    elif kind.service == "dns":
        body["links"] = {"self": f"{request.base}{request.path}"} | ({"next": following} if following else {})
        body["metadata"] = {"total_count": len(found)}
    elif kind.service == "image":
        body |= {"first": request.path, "schema": f"/v2/schemas/{kind.list_key}"}
        if following:
            body["next"] = following[len(request.base) :]
    elif following:
        body[f"{kind.list_key}_links"] = [{"rel": "next", "href": following}]
    return Answer(200, body)


def check_unique(state: State, kind: Collection, obj: Object, own: str = "") -> None:
    """Refusal 409 when another object shares all fields of a unique set."""
    for names in kind.unique:
        wanted = [obj.get(n) for n in names]
        if any(w is None for w in wanted[:1]):
            continue
        for other in state.objects[kind.type].values():
            if str(other[kind.id_key]) != own and [other.get(n) for n in names] == wanted:
                raise Refusal(409, f"Conflict: a {kind.type} with {', '.join(names)} = {wanted} exists already.")


def check_refs(state: State, kind: Collection, values: Object) -> None:
    """Refusal when a field names an object that is absent."""
    for name, target in kind.refs.items():
        value = values.get(name)
        for one in value if isinstance(value, list) else [value]:
            if one not in (None, ""):
                state.get(target, one, kind.missing_ref)


def created(state: State, request: Request, kind: Collection, match: dict[str, str]) -> Answer:
    """POST to a collection."""
    if kind.admin_write:
        request.need_admin()
    body = request.json()
    if not kind.bare and isinstance(body.get(kind.list_key), list):
        made = [create_one(state, request, kind, match, one) for one in body[kind.list_key]]
        return Answer(201, {kind.list_key: [shown(state, request, kind, obj) for obj in made]})
    obj = create_one(state, request, kind, match, body if kind.bare else request.wrapped(kind.body_key))
    out = shown(state, request, kind, obj)
    return Answer(kind.statuses.get("POST", 201), out if kind.bare else {kind.body_key: out})


def create_one(state: State, request: Request, kind: Collection, match: dict[str, str], values: Object) -> Object:
    """Check and store one new object."""
    for name in kind.required:
        if values.get(name) in (None, ""):
            raise Refusal(400, f"'{name}' is a required property of {kind.type}.")
    obj = copy.deepcopy(dict(kind.defaults)) | copy.deepcopy(values) | scope_of(match)
    if not kind.own_id or not obj.get(kind.id_key):
        obj[kind.id_key] = new_id(kind.dashed_ids)
    if kind.owner:
        given = obj.get(kind.owner) or obj.get("tenant_id")
        if given and given != request.who.project_id and not request.who.admin:
            raise Refusal(403, f"A {kind.type} may not be made for another project.")
        obj[kind.owner] = given or request.who.project_id
    check_refs(state, kind, obj)
    for name in state.dropped.get(kind.type, ()):
        obj[name] = copy.deepcopy(kind.defaults.get(name))
    if kind.on_create:
        kind.on_create(state, request, obj)
    check_unique(state, kind, obj)
    identifier = str(obj[kind.id_key])
    if identifier in state.objects[kind.type]:
        raise Refusal(409, f"{kind.type} {identifier} exists already.")
    state.objects[kind.type][identifier] = obj
    return obj


def fetch(state: State, request: Request, kind: Collection, match: dict[str, str]) -> Object:
    """The object that the path names; Refusal 404 when it is absent or not to be seen."""
    obj = state.get(kind.type, match["id"])
    if "_lingers" in obj:
        obj["_lingers"] -= 1
        if obj["_lingers"] < 0:
            del state.objects[kind.type][match["id"]]
            raise Refusal(404, f"{kind.type} {match['id']} could not be found.")
    if any(obj.get(k) != v for k, v in scope_of(match).items()) or not may_see(state, request, kind, obj):
        raise Refusal(404, f"{kind.type} {match['id']} could not be found.")
    return obj


def got(state: State, request: Request, kind: Collection, match: dict[str, str]) -> Answer:
    """GET of one object."""
    if kind.admin_read:
        request.need_admin()
    obj = fetch(state, request, kind, match)
    state.poll(obj)
    out = shown(state, request, kind, obj)
    return Answer(200, out if kind.bare else {kind.body_key: out})


def updated(state: State, request: Request, kind: Collection, match: dict[str, str]) -> Answer:
    """PATCH or PUT of one object."""
    if kind.admin_write:
        request.need_admin()
    obj = fetch(state, request, kind, match)
    values = request.json() if kind.bare else request.wrapped(kind.body_key)
    for name in kind.immutable:
        if name in values and values[name] != obj.get(name):
            raise Refusal(400, f"Cannot update read-only attribute {name} of {kind.type}.")
    values = {name: value for name, value in values.items() if name not in state.dropped.get(kind.type, ())}
    check_refs(state, kind, values)
    check_unique(state, kind, obj | values, str(obj[kind.id_key]))
    if kind.on_update:
        kind.on_update(state, request, obj, values)
    obj |= copy.deepcopy(values)
    for name in ("updated_at", "revision_number"):
        if name in obj:
            obj[name] = now() if name == "updated_at" else obj[name] + 1
    out = shown(state, request, kind, obj)
    return Answer(kind.statuses.get("PATCH", 200), out if kind.bare else {kind.body_key: out})


def deleted(state: State, request: Request, kind: Collection, match: dict[str, str]) -> Answer:
    """DELETE of one object."""
    if kind.admin_write:
        request.need_admin()
    obj = fetch(state, request, kind, match)
    remove(state, request, kind, obj)
    if kind.lingers and state.polls_until_ready > 0:
        obj.pop("_settle", None)
        obj |= {"status": kind.lingers, "_lingers": state.polls_until_ready}
        state.objects[kind.type][str(obj[kind.id_key])] = obj
    return Answer(kind.statuses.get("DELETE", 204))


def remove(state: State, request: Request, kind: Collection, obj: Object) -> None:
    """Take an object out of the cloud; Refusal 409 when it is in use."""
    identifier = obj[kind.id_key]
    for other, name in kind.used_by:
        for user in state.objects[other].values():
            value = user.get(name)
            if value == identifier or (isinstance(value, list) and identifier in value):
                raise Refusal(409, f"{kind.type} {identifier} is in use by {other} {user['id']}.")
    if kind.on_delete:
        kind.on_delete(state, request, obj)
    for other, name in kind.cascade:
        for user in state.find(other, **{name: identifier}):
            remove(state, request, state.types[other], user)
    state.objects[kind.type].pop(str(identifier), None)


def tag_routes(kind: Collection) -> list[Route]:
    """Tags below an object, as neutron and keystone have them."""

    def read(state: State, request: Request, match: dict[str, str]) -> Answer:
        return Answer(200, {"tags": fetch(state, request, kind, match)["tags"]})

    def replace(state: State, request: Request, match: dict[str, str]) -> Answer:
        tags = request.json().get("tags")
        if not isinstance(tags, list) or not all(isinstance(t, str) and len(t) <= 255 for t in tags):
            raise Refusal(400, "'tags' must be a list of words.")
        fetch(state, request, kind, match)["tags"] = list(dict.fromkeys(tags))
        return Answer(200, {"tags": tags})

    def clear(state: State, request: Request, match: dict[str, str]) -> Answer:
        fetch(state, request, kind, match)["tags"] = []
        return Answer(204)

    def add(state: State, request: Request, match: dict[str, str]) -> Answer:
        tag = match.pop("tag")
        tags = fetch(state, request, kind, match)["tags"]
        if tag not in tags:
            tags.append(tag)
        return Answer(201)

    def drop(state: State, request: Request, match: dict[str, str]) -> Answer:
        tag = match.pop("tag")
        tags = fetch(state, request, kind, match)["tags"]
        if tag not in tags:
            raise Refusal(404, f"Tag {tag} could not be found.")
        tags.remove(tag)
        return Answer(204)

    # Neutron keeps the tags of /qos/policies below /policies.
    root = kind.path.replace("/qos/", "/")
    at, one, name = f"{root}/{{id}}/tags", f"{root}/{{id}}/tags/{{tag}}", f"{kind.type}_tags"
    return [
        Route(kind.service, "GET", at, read, name),
        Route(kind.service, "PUT", at, replace, name),
        Route(kind.service, "DELETE", at, clear, name),
        Route(kind.service, "PUT", one, add, name),
        Route(kind.service, "DELETE", one, drop, name),
    ]


def rest_routes(kind: Collection) -> list[Route]:
    """The routes of a collection."""

    def bind(work: Callable[[State, Request, Collection, dict[str, str]], Answer]) -> Handler:
        return lambda state, request, match: work(state, request, kind, match)

    one = f"{kind.path}/{{id}}"
    routes: list[Route] = []
    if "GET" in kind.methods:
        if kind.detail:
            routes.append(Route(kind.service, "GET", f"{kind.path}/detail", bind(listed), kind.type))
        routes.append(Route(kind.service, "GET", kind.path, bind(listed), kind.type))
        routes.append(Route(kind.service, "GET", one, bind(got), kind.type))
    if "POST" in kind.methods:
        routes.append(Route(kind.service, "POST", kind.path, bind(created), kind.type))
    routes += [Route(kind.service, m, one, bind(updated), kind.type) for m in ("PATCH", "PUT") if m in kind.methods]
    if "DELETE" in kind.methods:
        routes.append(Route(kind.service, "DELETE", one, bind(deleted), kind.type))
    return routes
