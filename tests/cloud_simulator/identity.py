"""Keystone v3: tokens, catalogue, and the identity resources."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from .core import Answer, Collection, Handler, Object, Refusal, Request, Route, State, Token, new_id, now

SERVICE = "identity"
Assignment = tuple[str, str, str, str, str, bool]
Hook = Callable[[State, Request, Object], None]


def hexed(type: str, **more: Any) -> Collection:
    """An identity collection: identifiers without dashes, admin only, one big page."""
    path = more.pop("path", f"/v3/{type}s")
    return Collection(type=type, service=SERVICE, path=path, dashed_ids=False, admin_write=True, page="none",
                      missing_ref=404, **more)  # fmt: skip


def default_domain(state: State, request: Request, obj: Object) -> None:
    """A domain for what came without one: that of the token's user."""
    if not obj.get("domain_id"):
        user = state.get("user", request.who.user_id)
        obj["domain_id"] = request.who.domain_id or user["domain_id"]
    if "parent_id" in obj and not obj["parent_id"]:
        obj["parent_id"] = obj["domain_id"]


USER_OPTIONS = {
    "ignore_change_password_upon_first_use",
    "ignore_password_expiry",
    "ignore_lockout_failure_attempts",
    "ignore_user_inactivity",
    "lock_password",
    "multi_factor_auth_enabled",
    "multi_factor_auth_rules",
}


def merged_options(before: Object, given: Object, known: set[str] = USER_OPTIONS) -> Object:
    """Options that are given replace those that are there, null removes one, and an unknown one is refused."""
    if unknown := sorted(set(given) - known):
        raise Refusal(
            400,
            f"Invalid input for field 'options': Additional properties are not allowed ({unknown[0]!r} was unexpected)",
        )
    return {name: value for name, value in {**before, **given}.items() if value is not None}


def new_guarded(then: Hook) -> Hook:
    """What can be immutable takes that option alone."""

    def hook(state: State, request: Request, obj: Object) -> None:
        then(state, request, obj)
        obj["options"] = merged_options({}, obj.get("options") or {}, {"immutable"})

    return hook


def change_guarded(state: State, request: Request, obj: Object, values: Object) -> None:
    """What is immutable takes no change but the end of that, alone in its request."""
    given = values.get("options") or {}
    if obj["options"].get("immutable") and (set(values) != {"options"} or "immutable" not in given):
        raise Refusal(
            403, f'Unable to update immutable resource: `{obj["id"]}`. Set resource option "immutable" to false first.'
        )
    if "options" in values:
        values["options"] = merged_options(obj["options"], given, {"immutable"})


def drop_guarded(then: Hook) -> Hook:
    """What is immutable stays."""

    def hook(state: State, request: Request, obj: Object) -> None:
        if obj["options"].get("immutable"):
            raise Refusal(
                403,
                f'Unable to delete immutable resource: `{obj["id"]}`. Set resource option "immutable" to false first.',
            )
        then(state, request, obj)

    return hook


def new_user(state: State, request: Request, obj: Object) -> None:
    """The password is kept apart."""
    default_domain(state, request, obj)
    obj["options"] = merged_options({}, obj.get("options") or {})
    obj["_password"] = obj.pop("password", None)


def change_user(state: State, request: Request, obj: Object, values: Object) -> None:
    """A new password ends the user's tokens; options are merged."""
    if "options" in values:
        values["options"] = merged_options(obj.get("options") or {}, values["options"])
    if "password" in values:
        obj["_password"] = values.pop("password")
        for key in [k for k, t in state.tokens.items() if t.user_id == obj["id"] and t.user_id != request.who.user_id]:
            del state.tokens[key]


def forget(state: State, request: Request, obj: Object) -> None:
    """Assignments and memberships go with what they name."""
    identifier = obj["id"]
    grants: set[Assignment] = state.extra["assignments"]
    state.extra["assignments"] = {g for g in grants if identifier not in g}
    state.extra["members"] = {m for m in state.extra["members"] if identifier not in m}


def forget_domain(state: State, request: Request, obj: Object) -> None:
    """Only a disabled domain goes, and everything in it with it."""
    if obj["enabled"]:
        raise Refusal(403, "Cannot delete a domain that is enabled, please disable it first.")
    forget(state, request, obj)


def forget_project(state: State, request: Request, obj: Object) -> None:
    """A project with children stays."""
    if state.find("project", parent_id=obj["id"]):
        raise Refusal(403, f"Cannot delete project {obj['id']}: it is not a leaf in the hierarchy.")
    forget(state, request, obj)


def new_service(state: State, request: Request, obj: Object) -> None:
    """A service without a name is called by nothing."""
    obj.setdefault("name", "")


def endpoint_region(state: State, request: Request, obj: Object) -> None:
    """The region by either of its two keys must exist."""
    region = obj.pop("region", None) or obj.get("region_id")
    obj["region_id"] = region
    obj["region"] = region
    if region and region not in state.objects["region"]:
        raise Refusal(400, f"Region {region} does not exist.")
    if obj.get("interface") not in ("public", "internal", "admin"):
        raise Refusal(400, "'interface' must be public, internal or admin.")


def new_credential(state: State, request: Request, obj: Object) -> None:
    """An application credential is made by its own user for the token's project."""
    if obj["user_id"] != request.who.user_id:
        raise Refusal(403, "Only the user may make an application credential.")
    obj["project_id"] = request.who.project_id
    obj["_secret"] = obj.pop("secret", None) or new_id(False)
    services = {one["type"] for one in state.all("service")}
    for rule in obj["access_rules"]:
        if rule.keys() != {"path", "method", "service"}:
            raise Refusal(
                400, f"Invalid input for field 'access_rules': {rule} is not valid under any of the given schemas"
            )
        if rule["service"] not in services or not rule["path"].startswith("/"):
            raise Refusal(400, f"Invalid input for field 'access_rules': {rule}")
        rule["id"] = new_id(False)
    names = {o["name"]: o for o in state.all("role")}
    roles = obj.get("roles") or [{"name": n} for n in sorted(request.who.roles)]
    obj["roles"] = []
    for role in roles:
        found = state.objects["role"].get(role.get("id", "")) or names.get(role.get("name", ""))
        if found is None or found["name"] not in request.who.roles:
            raise Refusal(400, f"Role {role} is not assigned to the user.")
        obj["roles"].append({"id": found["id"], "name": found["name"], "domain_id": None})


def show_secret(state: State, request: Request, out: Object) -> Object:
    """The secret is shown in the answer that makes it, and never again."""
    if request.method == "POST":
        out["secret"] = state.objects["application_credential"][out["id"]]["_secret"]
    return out


COLLECTIONS = [
    hexed(
        "domain",
        defaults={"description": "", "enabled": True, "tags": [], "options": {}},
        unique=(("name",),),
        on_create=new_guarded(lambda state, request, obj: None),
        on_update=change_guarded,
        on_delete=drop_guarded(forget_domain),
        cascade=(("project", "domain_id"), ("user", "domain_id"), ("group", "domain_id")),
    ),
    hexed(
        "project",
        defaults={"description": "", "enabled": True, "is_domain": False, "parent_id": None, "tags": [], "options": {}},
        unique=(("name", "domain_id"),),
        refs={"domain_id": "domain"},
        immutable=("domain_id",),
        tags=True,
        on_create=new_guarded(default_domain),
        on_update=change_guarded,
        on_delete=drop_guarded(forget_project),
    ),
    hexed(
        "user",
        defaults={"enabled": True, "options": {}, "password_expires_at": None},
        unique=(("name", "domain_id"),),
        refs={"domain_id": "domain"},
        immutable=("domain_id",),
        on_create=new_user,
        on_update=change_user,
        on_delete=forget,
        cascade=(("application_credential", "user_id"),),
    ),
    hexed(
        "group",
        defaults={"description": ""},
        unique=(("name", "domain_id"),),
        refs={"domain_id": "domain"},
        immutable=("domain_id",),
        on_create=default_domain,
        on_delete=forget,
    ),
    hexed(
        "role",
        defaults={"description": None, "domain_id": None, "options": {}},
        unique=(("name", "domain_id"),),
        on_create=new_guarded(lambda state, request, obj: None),
        on_update=change_guarded,
        on_delete=drop_guarded(forget),
    ),
    hexed(
        "region",
        defaults={"description": "", "parent_region_id": None},
        required=(),
        own_id=True,
        used_by=(("endpoint", "region_id"),),
    ),
    hexed(
        "service",
        defaults={"enabled": True, "description": ""},
        required=("type",),
        on_create=new_service,
        cascade=(("endpoint", "service_id"),),
    ),
    hexed(
        "endpoint",
        defaults={"enabled": True},
        required=("service_id", "url", "interface"),
        refs={"service_id": "service"},
        on_create=endpoint_region,
    ),
    hexed("credential", defaults={"project_id": None}, required=("type", "blob")),
    Collection(
        "application_credential",
        SERVICE,
        "/v3/users/{user_id}/application_credentials",
        dashed_ids=False,
        page="none",
        defaults={"description": None, "unrestricted": False, "expires_at": None, "access_rules": []},
        unique=(("name", "user_id"),),
        methods=("POST", "GET", "DELETE"),
        on_create=new_credential,
        view=show_secret,
    ),
    hexed(
        "registered_limit",
        defaults={"description": None, "region_id": None},
        required=("service_id", "resource_name", "default_limit"),
    ),
    hexed(
        "limit",
        defaults={"description": None, "region_id": None},
        required=("service_id", "resource_name", "resource_limit"),
    ),
]


def roles_of(state: State, user: str, project: str, domain: str, system: bool) -> frozenset[str]:
    """Names of the roles that a user has on a target, by himself or by a group."""
    groups = {g for g, u in state.extra["members"] if u == user}
    found = set()
    for role, actor, actor_id, target, target_id, _ in state.extra["assignments"]:
        mine = actor_id == user if actor == "user" else actor_id in groups
        where = (target == "project" and target_id == project) or (target == "domain" and target_id == domain)
        if mine and (where or (system and target == "system")) and role in state.objects["role"]:
            found.add(state.objects["role"][role]["name"])
    return frozenset(found)


def named(state: State, kind: str, given: Object) -> Object | None:
    """The object that {"id"} or {"name", "domain"} stands for."""
    if "id" in given:
        return state.objects[kind].get(given["id"])
    wanted = {"name": given.get("name")}
    if kind != "domain":
        domain = named(state, "domain", given.get("domain") or {"id": "default"})
        wanted["domain_id"] = domain["id"] if domain else None
    found = state.find(kind, **wanted)
    return found[0] if found else None


def authenticate(state: State, identity: Object) -> tuple[Object, Object | None]:
    """The user, and the application credential that limits the token; Refusal 401 otherwise."""
    denied = Refusal(401, "The request you have made requires authentication.")
    methods = identity.get("methods") or []
    if "password" in methods:
        given = identity["password"]["user"]
        user = named(state, "user", given)
        if user is None or not user["enabled"] or user.get("_password") != given.get("password"):
            raise denied
        return user, None
    if "application_credential" in methods:
        given = identity["application_credential"]
        found = state.objects["application_credential"].get(given.get("id", ""))
        if found is None and "user" in given:
            owner = named(state, "user", given["user"])
            own = state.find("application_credential", name=given.get("name"), user_id=owner["id"] if owner else None)
            found = own[0] if own else None
        if found is None or found["_secret"] != given.get("secret"):
            raise denied
        return state.get("user", found["user_id"], 401), found
    if "token" in methods:
        old = state.tokens.get(identity["token"]["id"])
        if old is None or old.expires <= time.time():
            raise denied
        return state.get("user", old.user_id, 401), None
    raise denied


def catalogue(state: State, token: Token, base: str) -> list[Object]:
    """The catalogue as it is in a token."""
    out = []
    for service in state.all("service"):
        points = []
        for point in state.find("endpoint", service_id=service["id"]):
            if point["enabled"]:
                url = point["url"].replace("{base}", base.removesuffix("/identity"))
                for word in ("project_id", "tenant_id"):
                    url = url.replace(f"%({word})s", token.project_id).replace(f"$({word})s", token.project_id)
                points.append({"id": point["id"], "interface": point["interface"], "region": point["region_id"],
                               "region_id": point["region_id"], "url": url})  # fmt: skip
        if service["enabled"]:
            out.append({"id": service["id"], "type": service["type"], "name": service["name"], "endpoints": points})
    return out


def token_body(state: State, token: Token, base: str) -> Object:
    """A token as keystone describes it."""
    user = state.get("user", token.user_id)
    names = {o["name"]: o["id"] for o in state.all("role")}

    def domain(identifier: str) -> Object:
        return {"id": identifier, "name": state.get("domain", identifier)["name"]}

    stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(token.expires))
    body: Object = {
        "methods": list(token.methods),
        "expires_at": stamp,
        "issued_at": now(),
        "audit_ids": [token.id[:12]],
        "user": {
            "id": user["id"],
            "name": user["name"],
            "domain": domain(user["domain_id"]),
            "password_expires_at": None,
        },
    }
    if token.project_id or token.domain_id or token.system:
        body["roles"] = [{"id": names[n], "name": n} for n in sorted(token.roles)]
        body["catalog"] = catalogue(state, token, base)
    if token.project_id:
        project = state.get("project", token.project_id)
        body["project"] = {"id": project["id"], "name": project["name"], "domain": domain(project["domain_id"])}
        body["is_domain"] = False
    elif token.domain_id:
        body["domain"] = domain(token.domain_id)
    elif token.system:
        body["system"] = {"all": True}
    return {"token": body}


def issue(state: State, request: Request, match: dict[str, str]) -> Answer:
    """POST /v3/auth/tokens."""
    auth = request.wrapped("auth")
    user, limited = authenticate(state, auth["identity"])
    scope = auth.get("scope") or {}
    token = Token(new_id(False), user["id"], time.time() + state.token_life, methods=tuple(auth["identity"]["methods"]))
    target = None
    if limited:
        token.project_id = limited["project_id"]
        token.roles = frozenset(r["name"] for r in limited["roles"])
    elif isinstance(scope, dict) and scope:
        kind = next(iter(scope))
        if kind == "system":
            token.system = True
        else:
            target = named(state, kind, scope[kind])
            if target is None or not target["enabled"]:
                raise Refusal(401, "The request you have made requires authentication.")
            setattr(token, f"{kind}_id", target["id"])
        token.roles = roles_of(state, user["id"], token.project_id, token.domain_id, token.system)
        if not token.roles:
            raise Refusal(401, "The request you have made requires authentication.")
    state.tokens[token.id] = token
    return Answer(201, token_body(state, token, request.base), {"X-Subject-Token": token.id})


def check_token(state: State, request: Request, match: dict[str, str]) -> Answer:
    """GET of a token."""
    token = state.tokens.get(request.headers.get("X-Subject-Token", ""))
    if token is None or token.expires <= time.time():
        raise Refusal(404, "Could not recognize the token.")
    return Answer(200, token_body(state, token, request.base), {"X-Subject-Token": token.id})


def revoke(state: State, request: Request, match: dict[str, str]) -> Answer:
    """DELETE of a token."""
    state.tokens.pop(request.headers.get("X-Subject-Token", ""), None)
    return Answer(204)


def read_catalogue(state: State, request: Request, match: dict[str, str]) -> Answer:
    """GET /v3/auth/catalog."""
    return Answer(200, {"catalog": catalogue(state, request.who, request.base), "links": {}})


def version(state: State, request: Request, match: dict[str, str]) -> Answer:
    """GET /v3."""
    return Answer(200, {"version": one_version(request)})


def versions(state: State, request: Request, match: dict[str, str]) -> Answer:
    """GET /."""
    return Answer(300, {"versions": {"values": [one_version(request)]}})


def one_version(request: Request) -> Object:
    return {"id": "v3.14", "status": "stable", "updated": "2020-04-07T00:00:00Z",
            "links": [{"rel": "self", "href": f"{request.base}/v3/"}], "media-types": []}  # fmt: skip


# -- assignments and memberships


def grant_of(state: State, match: dict[str, str]) -> Assignment:
    """The assignment that a path names; Refusal 404 when a part is absent."""
    target, actor = match["target"].removesuffix("s"), match["actor"].removesuffix("s")
    if target not in ("domain", "project", "system") or actor not in ("user", "group"):
        raise Refusal(404, "There is nothing here.")
    if target != "system":
        state.get(target, match["target_id"])
    state.get(actor, match["actor_id"])
    state.get("role", match["role"])
    return match["role"], actor, match["actor_id"], target, match.get("target_id", "all"), "inherited" in match


def grant(state: State, request: Request, match: dict[str, str]) -> Answer:
    """PUT of an assignment."""
    request.need_admin()
    state.extra["assignments"].add(grant_of(state, match))
    return Answer(204)


def has_grant(state: State, request: Request, match: dict[str, str]) -> Answer:
    """HEAD of an assignment."""
    if grant_of(state, match) not in state.extra["assignments"]:
        raise Refusal(404, "Could not find role assignment.")
    return Answer(204)


def ungrant(state: State, request: Request, match: dict[str, str]) -> Answer:
    """DELETE of an assignment."""
    request.need_admin()
    has_grant(state, request, match)
    state.extra["assignments"].discard(grant_of(state, match))
    return Answer(204)


def grants_of_actor(state: State, request: Request, match: dict[str, str]) -> Answer:
    """The roles of one actor on one target."""
    actor, target = match["actor"].removesuffix("s"), match["target"].removesuffix("s")
    roles = [
        state.get("role", g[0]) for g in state.extra["assignments"]
        if g[1:5] == (actor, match["actor_id"], target, match.get("target_id", "all"))
    ]  # fmt: skip
    return Answer(200, {"roles": roles, "links": {"next": None}})


def assignments(state: State, request: Request, match: dict[str, str]) -> Answer:
    """GET /v3/role_assignments with its filters."""
    request.need_admin()
    names = "include_names" in request.query and request.one("include_names").lower() not in ("0", "false")
    out = []
    for role, actor, actor_id, target, target_id, inherited in sorted(state.extra["assignments"]):
        wanted = {
            "user.id": actor_id if actor == "user" else None, "group.id": actor_id if actor == "group" else None,
            "role.id": role, "scope.project.id": target_id if target == "project" else None,
            "scope.domain.id": target_id if target == "domain" else None,
        }  # fmt: skip
        if any(k in request.query and request.one(k) != v for k, v in wanted.items()):
            continue
        if "scope.system" in request.query and target != "system":
            continue

        def entity(kind: str, identifier: str) -> Object:
            found = state.get(kind, identifier)
            out: Object = {"id": identifier}
            if names:
                out["name"] = found["name"]
                if found.get("domain_id"):
                    out["domain"] = {"id": found["domain_id"], "name": state.get("domain", found["domain_id"])["name"]}
            return out

        scope: Object = {"system": {"all": True}} if target == "system" else {target: entity(target, target_id)}
        if inherited:
            scope["OS-INHERIT:inherited_to"] = "projects"
        out.append({"role": entity("role", role), actor: entity(actor, actor_id), "scope": scope, "links": {}})
    return Answer(200, {"role_assignments": out, "links": {"self": "", "previous": None, "next": None}})


def add_member(state: State, request: Request, match: dict[str, str]) -> Answer:
    """PUT of a user in a group."""
    request.need_admin()
    state.get("group", match["group"])
    state.get("user", match["user"])
    state.extra["members"].add((match["group"], match["user"]))
    return Answer(204)


def has_member(state: State, request: Request, match: dict[str, str]) -> Answer:
    """HEAD of a user in a group."""
    if (match["group"], match["user"]) not in state.extra["members"]:
        raise Refusal(404, f"User {match['user']} is not in group {match['group']}.")
    return Answer(204)


def drop_member(state: State, request: Request, match: dict[str, str]) -> Answer:
    """DELETE of a user in a group."""
    request.need_admin()
    has_member(state, request, match)
    state.extra["members"].discard((match["group"], match["user"]))
    return Answer(204)


def members(state: State, request: Request, match: dict[str, str]) -> Answer:
    """GET of the users of a group."""
    state.get("group", match["group"])
    users = [state.get("user", u) for g, u in sorted(state.extra["members"]) if g == match["group"]]
    visible = [{k: v for k, v in u.items() if not k.startswith("_")} for u in users]
    return Answer(200, {"users": visible, "links": {"next": None}})


def groups_of(state: State, request: Request, match: dict[str, str]) -> Answer:
    """GET of the groups of a user."""
    found = [state.get("group", g) for g, u in sorted(state.extra["members"]) if u == match["user"]]
    return Answer(200, {"groups": found, "links": {"next": None}})


def projects_of(state: State, request: Request, match: dict[str, str]) -> Answer:
    """GET of the projects that a user may enter."""
    user = match.get("user") or request.who.user_id
    found = [p for p in state.all("project") if roles_of(state, user, p["id"], "", False)]
    return Answer(200, {"projects": found, "links": {"next": None}})


def own_password(state: State, request: Request, match: dict[str, str]) -> Answer:
    """POST /v3/users/ID/password."""
    user, given = state.get("user", match["user"]), request.wrapped("user")
    if user["_password"] != given.get("original_password"):
        raise Refusal(401, "The password is wrong.")
    user["_password"] = given["password"]
    return Answer(204)


GRANT = "/{target_id}/{actor}/{actor_id}/roles"


def grant_routes() -> list[Route]:
    """Assignments on domains, projects and the system, direct and inherited."""
    out = []

    def fixed(handler: Handler, **more: str) -> Handler:
        return lambda state, request, match: handler(state, request, match | more)

    ways: tuple[tuple[str, Handler], ...] = (("PUT", grant), ("HEAD", has_grant), ("DELETE", ungrant))
    for method, handler in ways:
        out.append(Route(SERVICE, method, "/v3/{target}" + GRANT + "/{role}", handler, "role_assignment"))
        out.append(Route(SERVICE, method, "/v3/OS-INHERIT/{target}" + GRANT + "/{role}/inherited_to_projects",
                         fixed(handler, inherited="1"), "role_assignment"))  # fmt: skip
        out.append(Route(SERVICE, method, "/v3/system/{actor}/{actor_id}/roles/{role}",
                         fixed(handler, target="system"), "role_assignment"))  # fmt: skip
    out.append(Route(SERVICE, "GET", "/v3/{target}" + GRANT, grants_of_actor, "role_assignment"))
    return out


ROUTES = [
    Route(SERVICE, "GET", "/", versions, "version", open=True),
    Route(SERVICE, "GET", "/v3", version, "version", open=True),
    Route(SERVICE, "POST", "/v3/auth/tokens", issue, "token", open=True),
    Route(SERVICE, "GET", "/v3/auth/tokens", check_token, "token"),
    Route(SERVICE, "DELETE", "/v3/auth/tokens", revoke, "token"),
    Route(SERVICE, "GET", "/v3/auth/catalog", read_catalogue, "catalogue"),
    Route(SERVICE, "GET", "/v3/auth/projects", projects_of, "project"),
    Route(SERVICE, "GET", "/v3/users/{user}/projects", projects_of, "project"),
    Route(SERVICE, "GET", "/v3/users/{user}/groups", groups_of, "membership"),
    Route(SERVICE, "POST", "/v3/users/{user}/password", own_password, "user"),
    Route(SERVICE, "GET", "/v3/role_assignments", assignments, "role_assignment"),
    Route(SERVICE, "GET", "/v3/groups/{group}/users", members, "membership"),
    Route(SERVICE, "PUT", "/v3/groups/{group}/users/{user}", add_member, "membership"),
    Route(SERVICE, "HEAD", "/v3/groups/{group}/users/{user}", has_member, "membership"),
    Route(SERVICE, "DELETE", "/v3/groups/{group}/users/{user}", drop_member, "membership"),
    *grant_routes(),
]
