"""Resource types of the identity service."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.api import Cloud, message_of
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.errors import ApiError, Problem
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.operation import born_tags, list_objects, set_tags
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.schema import (
    AUTH_DOMAIN,
    Field,
    Item,
    Operation,
    Plan,
    Query,
    Raw,
    ResourceType,
    body_of,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.types.common import DESCRIPTION, NAME, wants
from ansible_collections.stackwright.cloud.plugins.module_utils.common.words import hint_or_list

ENABLED = Field("enabled", "Whether it can be used.", "bool")
DOMAIN = Field(
    "domain", "Domain that it belongs to.", api="domain_id", ref="domain", immutable=True, default=AUTH_DOMAIN
)


def _of_domain(query: Query) -> list[Raw]:
    """The listing, of the login's domain alone where all names that are looked for are those of its entries."""
    own = {entry.get("name") for entry in query.entries if entry.get("domain") in (None, query.cloud.domain_id)}
    if query.owner or query.all or query.names is None or not query.names <= own or len(own) < len(query.entries):
        return list_objects(query)
    params = {**query.type.list_params, "domain_id": query.cloud.domain_id}
    return list_objects(replace(query, type=replace(query.type, list_params=params)))


def _tags(op: Operation, before: Any, after: Any) -> None:
    set_tags(op, after)


def _delete_domain(op: Operation) -> None:
    # The service removes only disabled domains.
    op.call("PATCH", f"/domains/{op.id}", {"domain": {"enabled": False}}, accept=(404,))
    op.call("DELETE", f"/domains/{op.id}", accept=(404,))


def _set_options(op: Operation, before: Any, after: Any) -> None:
    op.call("PATCH", f"{op.type.path}/{op.id}", {op.type.body_key: {"options": after}})


def _open_up(op: Operation, changes: frozenset[str]) -> None:
    """Take back that it is immutable, in a request of its own: with anything else the service refuses it."""
    if "options" in changes and is_immutable(op.raw) and not op.values["options"].get("immutable"):
        _set_options(op, None, {"immutable": op.values["options"]["immutable"]})
        op.raw["options"] = {**op.raw["options"], "immutable": op.values["options"]["immutable"]}


def is_immutable(raw: Raw) -> bool:
    """Whether the service refuses to change or remove an object."""
    return bool((raw.get("options") or {}).get("immutable"))


def _kept_by_option(raw: Raw) -> tuple[str, str] | None:
    if not is_immutable(raw):
        return None
    return (
        "It is immutable, so the service does not remove it.",
        "Set options: {immutable: false} first, in a run of its own.",
    )


def _frozen(planner: Plan, items: list[Item]) -> list[Problem]:
    """Changes of what stays immutable."""
    problems = []
    for item in items:
        stays = bool((item.values.get("options") or {}).get("immutable", True))
        if item.current is None or not is_immutable(item.current) or not stays:
            continue
        for name, value in item.resolved.items():
            declared = item.type.field(name)
            before, after = planner.compare(item, declared, value) if name not in item.type.identity else (None, None)
            if before != after:
                mend = "Set options: {immutable: false} with it, or take the old value."
                problems.append(item.problem("It is immutable, so the service does not change it.", mend, name))
    return problems


def check_options(values: Mapping[str, Any], known: Mapping[str, type], what: str) -> list[tuple[str, str, str]]:
    """Options that the service has, each in its form; null takes one away."""
    found = []
    for name, value in (values.get("options") or {}).items():
        if name not in known:
            found.append(("options", f"{name!r} is no option of a {what}.", hint_or_list(str(name), known)))
        elif value is not None and not isinstance(value, known[name]):
            found.append(("options", f"{name} must be {_FORMS[known[name]]}.", f"It is {value!r}."))
    return found


_FORMS: dict[type, str] = {bool: "true or false", list: "a list of lists of methods"}
# What Keystone takes as options of projects, domains and roles. Source: its API reference, "Resource Options".
OPTIONS: dict[str, type] = {"immutable": bool}
RESOURCE_OPTIONS = Field(
    "options",
    "immutable: true guards it against changes and removal. Only the options that it names are "
    "compared; null takes one away.",
    "dict",
    merge=True,
    read=lambda raw: raw.get("options") or None,
    # After all else, which the service refuses from then on.
    apply=_set_options,
)
# What is alike in types that can be immutable.
GUARDED: dict[str, Any] = {"release": _open_up, "kept_by": _kept_by_option, "validate": _frozen}


DOMAIN_TYPE = ResourceType(
    "domain",
    "domains",
    "identity",
    "/domains",
    (NAME, DESCRIPTION, ENABLED, RESOURCE_OPTIONS),
    doc="A domain, which holds projects, users and groups.",
    unique_names=True,
    name_filter="one",
    delete=_delete_domain,
    of_login=lambda cloud: (cloud.domain_id,),
    check=lambda values: check_options(values, OPTIONS, "domain"),
    **GUARDED,
)


def _create_project(op: Operation) -> Raw:
    """POST with the tags, so that no project is ever without its mark."""
    body = body_of(op.type, op.values)
    if tags := born_tags(op):
        body["tags"] = tags
    raw: Raw = op.call("POST", "/projects", {"project": body}).body["project"]
    return raw


def _check_project(values: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    return check_options(values, OPTIONS, "project") + [
        (f"tags[{number}]", f"'{tag}' is no label of a project.", "A label has 1 to 255 characters, no comma or slash.")
        for number, tag in enumerate(values.get("tags") or [])
        if not 1 <= len(tag) <= 255 or "," in tag or "/" in tag
    ]


# What a project may hold that stays when it is removed: service, path, key of the list, type, the filter by project and
# what goes with it. So many projects are asked for one by one.
LEFT_BEHIND: tuple[tuple[str, str, str, str, str, list[tuple[str, Any]]], ...] = (
    ("network", "/networks", "networks", "network", "project_id", []),
    ("network", "/routers", "routers", "router", "project_id", []),
    ("network", "/ports", "ports", "port", "project_id", []),
    ("network", "/floatingips", "floatingips", "floating_ip", "project_id", []),
    ("network", "/security-groups", "security_groups", "security_group", "project_id", []),
    ("compute", "/servers/detail", "servers", "server", "project_id", [("all_tenants", "1")]),
    ("block-storage", "/volumes/detail", "volumes", "volume", "project_id", [("all_tenants", "1")]),
    ("image", "/images", "images", "image", "owner", []),
)
OWNER_KEYS = ("project_id", "tenant_id", "os-vol-tenant-attr:tenant_id", "owner")
FEW = 10


def _left_behind(planner: Plan, gone: Sequence[str]) -> dict[str, list[str]]:
    """What projects that are removed hold and the other services keep: these do not look at each other."""
    left: dict[str, list[str]] = defaultdict(list)
    for service, path, collection, kind, word, every in LEFT_BEHIND:
        if not planner.cloud.endpoint(service):
            continue
        queries: list[list[tuple[str, Any]]] = [[*every, (word, ident)] for ident in gone]
        if service == "network":
            queries = [[("project_id", ident) for ident in gone]]
        elif len(gone) > FEW:
            queries = [every]
        found: dict[str, int] = defaultdict(int)
        try:
            seen = {
                str(raw["id"]): str(next((raw[key] for key in OWNER_KEYS if raw.get(key)), ""))
                for params in queries
                for raw in planner.cloud.pages(service, path, collection, params)
                # A port that something has goes, or stays, with that.
                if not raw.get("device_id")
            }
        except ApiError:
            # Only administrators see what others have; the removal will tell what it is refused for.
            continue
        for ident, owner in seen.items():
            if owner in gone and not planner.leaves(kind, ident):
                found[owner] += 1
        for ident, count in found.items():
            left[ident].append(f"{count} {kind.replace('_', ' ')}{'s' if count > 1 else ''}")
    return left


PROJECT = ResourceType(
    "project",
    "projects",
    "identity",
    "/projects",
    (
        NAME,
        DOMAIN,
        DESCRIPTION,
        ENABLED,
        Field(
            "parent",
            "Project above this one.",
            api="parent_id",
            ref="project",
            immutable=True,
            read=lambda raw: raw.get("parent_id") if raw.get("parent_id") != raw.get("domain_id") else None,
        ),
        Field("tags", "Labels.", "set", apply=_tags),
        RESOURCE_OPTIONS,
    ),
    doc="A project, the owner of resources and quotas.",
    unique_names=True,
    identity=("name", "domain"),
    name_filter="one",
    listing=_of_domain,
    mark="tags",
    born_marked=True,
    create=_create_project,
    check=_check_project,
    of_login=lambda cloud: (cloud.project_id, cloud.project_name),
    leaves_behind=_left_behind,
    **GUARDED,
)


def proves(op: Operation, password: str) -> bool:
    """Whether a user's password is ``password``: one login, whose token is thrown away.

    :raises ApiError: the service says that the account is locked or its password expired, so the login proves nothing.
    """
    user = {"id": op.id, "password": password}
    answer = op.call(
        "POST",
        "/auth/tokens",
        {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": "unscoped"}},
        params={"nocatalog": ""},
        # A repetition with a new token of ours would be a second failed login of theirs.
        authenticated=False,
        accept=(401,),
    )
    said = message_of(answer.raw) if answer.status == 401 else ""
    if "locked" in said.lower() or "expired" in said.lower():
        raise ApiError(
            401,
            said,
            f"Prove the password of user {op.id}",
            "Wait for the lockout to end, or let the administrator enable the account anew, then run again.",
        )
    return answer.status < 300


def _has_password(planner: Plan, item: Item) -> bool | str | None:
    """Whether a user whose password is to be kept right has it: one login attempt.

    A failed attempt counts towards a lockout; the login that proves the new password takes the count back.
    """
    if item.values.get("update_password") != "always" or item.current is None:
        return None
    if not item.current.get("enabled", True):
        return f"{item.label} is disabled, so whether the password is right cannot be proved; it is left alone."
    return proves(Operation(planner.cloud, item.type, {}, raw=item.current), str(item.values["password"]))


def _user_body(op: Operation, values: Mapping[str, Any]) -> dict[str, Any]:
    body = body_of(op.type, values)
    body.pop("update_password", None)
    return body


def _create_user(op: Operation) -> Raw:
    raw: Raw = op.call("POST", "/users", {"user": _user_body(op, op.values)}).body["user"]
    return raw


def _update_user(op: Operation, changes: dict[str, Any]) -> None:
    body = _user_body(op, changes)
    if body:
        op.call("PATCH", f"/users/{op.id}", {"user": body})
    if (
        "password" in body
        and op.values.get("enabled", op.raw.get("enabled", True))
        and not proves(op, body["password"])
    ):
        raise ApiError(
            0,
            "the identity service took the new password and yet refuses a login with it",
            f"Prove the password of user {op.id}",
            "The account may be locked by failed logins or expired: wait for the lockout to end, then run again.",
        )


# What Keystone takes as options of a user. Source: its API reference, "Create user".
USER_OPTIONS: dict[str, type] = {
    "ignore_change_password_upon_first_use": bool,
    "ignore_password_expiry": bool,
    "ignore_lockout_failure_attempts": bool,
    "ignore_user_inactivity": bool,
    "lock_password": bool,
    "multi_factor_auth_enabled": bool,
    "multi_factor_auth_rules": list,
}

USER = ResourceType(
    "user",
    "users",
    "identity",
    "/users",
    (
        NAME,
        DOMAIN,
        Field(
            "password",
            "Password. Compared by one login where update_password is always.",
            secret=True,
            write_only=True,
            proved=_has_password,
        ),
        Field(
            "update_password",
            "Whether a password that differs is changed: on_create or always.",
            choices=("on_create", "always"),
            write_only=True,
            export=False,
        ),
        Field("email", "Mail address."),
        Field("default_project", "Project of logins that name none.", api="default_project_id", ref="project"),
        DESCRIPTION,
        ENABLED,
        Field(
            "options",
            "Exceptions from the rules on passwords and logins, such as "
            "ignore_lockout_failure_attempts: true. Only the options"
            " that it names are compared; null takes one away.",
            "dict",
            merge=True,
            read=lambda raw: raw.get("options") or None,
        ),
    ),
    doc="A user.",
    unique_names=True,
    identity=("name", "domain"),
    name_filter="one",
    listing=_of_domain,
    create=_create_user,
    update=_update_user,
    check=lambda values: check_options(values, USER_OPTIONS, "user"),
)


def _groups(query: Query) -> list[Raw]:
    found = list_objects(query)
    for raw in found:
        if wants(query, raw["name"], "members"):
            members = query.collect(f"/groups/{raw['id']}/users", "users", params=[])
            raw["(members)"] = [user["id"] for user in members]
    return found


def _members(op: Operation, before: Any, after: Any) -> None:
    for user in sorted(set(before or ()) - set(after)):
        op.call("DELETE", f"/groups/{op.id}/users/{user}", accept=(404,))
    for user in sorted(set(after) - set(before or ())):
        op.call("PUT", f"/groups/{op.id}/users/{user}")


GROUP = ResourceType(
    "group",
    "groups",
    "identity",
    "/groups",
    (
        NAME,
        DOMAIN,
        DESCRIPTION,
        Field(
            "members",
            "Users in it; others are taken out.",
            "set",
            ref="user",
            read=lambda raw: raw.get("(members)"),
            apply=_members,
        ),
    ),
    doc="A group of users.",
    unique_names=True,
    identity=("name", "domain"),
    name_filter="one",
    listing=_groups,
)


def _access_rules(value: Any) -> list[dict[str, str]]:
    found = [
        {"path": str(one["path"]), "method": str(one["method"]).upper(), "service": str(one["service"])}
        for one in value
    ]
    return sorted(found, key=lambda one: (one["service"], one["path"], one["method"]))


def _credentials_path(cloud: Cloud) -> str:
    return f"/users/{cloud.user_id}/application_credentials"


def _create_credential(op: Operation) -> Raw:
    body = op.body({name: value for name, value in op.values.items() if name != "roles"})
    if "access_rules" in body:
        body["access_rules"] = _access_rules(body["access_rules"])
    if "roles" in op.values:
        body["roles"] = [{"id": role} for role in op.values["roles"]]
    answer = op.call("POST", _credentials_path(op.cloud), {"application_credential": body}).body
    raw: Raw = answer["application_credential"]
    raw.pop("secret", None)
    return raw


def _delete_credential(op: Operation) -> None:
    op.call("DELETE", f"{_credentials_path(op.cloud)}/{op.id}", accept=(404,))


APPLICATION_CREDENTIAL = ResourceType(
    "application_credential",
    "application_credentials",
    "identity",
    "/application_credentials",
    (
        NAME,
        Field("description", "Description for people.", immutable=True),
        Field("secret", "Secret of a new one. It is not compared.", secret=True, write_only=True),
        Field(
            "roles",
            "Roles that it has, those of the login by default.",
            "set",
            ref="role",
            immutable=True,
            read=lambda raw: [role["id"] for role in raw.get("roles") or []],
        ),
        Field(
            "expires_at",
            "When it ends, such as 2027-01-31T12:00:00, in UTC.",
            immutable=True,
            normal=lambda value: str(value).replace(" ", "T").removesuffix("Z").split(".")[0],
        ),
        Field("unrestricted", "Whether it may make and remove others like it.", "bool", immutable=True),
        Field(
            "access_rules",
            "The only requests that it is good for; all that its roles allow by default.",
            "list",
            immutable=True,
            read=lambda raw: raw.get("access_rules") or [],
            normal=_access_rules,
            keys=(
                Field(
                    "path",
                    "Path of the request, such as /v2.1/servers; * stands for a part, ** for several.",
                    required=True,
                ),
                Field("method", "Method of the request, such as GET.", required=True),
                Field("service", "Type of the service that it goes to, such as compute.", required=True),
            ),
        ),
    ),
    doc="An application credential of the login's user in the login's project.",
    update_method="",
    listing=lambda query: [
        raw
        for raw in query.collect(_credentials_path(query.cloud), params=[])
        if raw.get("project_id") in (None, query.cloud.project_id)
    ],
    create=_create_credential,
    delete=_delete_credential,
    check_new=lambda values: (
        []
        if values.get("secret")
        else [("secret", "A new application credential needs a secret.", "One that the service makes would be lost.")]
    ),
)

ROLE = ResourceType(
    "role",
    "roles",
    "identity",
    "/roles",
    (
        NAME,
        Field("domain", "Domain of a domain's own role.", api="domain_id", ref="domain", immutable=True),
        DESCRIPTION,
        RESOURCE_OPTIONS,
    ),
    doc="A role.",
    check=lambda values: check_options(values, OPTIONS, "role"),
    **GUARDED,
    unique_names=True,
    identity=("name", "domain"),
)


def _assignment_filters(query: Query) -> list[tuple[str, Any]] | None:
    """What all assignments in question have in common; None when none of them can be there yet.

    The service takes one value for each filter.
    """
    if query.all or not query.entries:
        return []
    words = {
        "role": "role.id",
        "user": "user.id",
        "group": "group.id",
        "project": "scope.project.id",
        "domain": "scope.domain.id",
    }
    entries = [{key: query.ident(key, entry[key]) for key in words if key in entry} for entry in query.entries]
    entries = [entry for entry in entries if "" not in entry.values()]
    if not entries:
        return None
    first = entries[0]
    return [
        (word, first[key])
        for key, word in words.items()
        if first.get(key) and all(entry.get(key) == first[key] for entry in entries)
    ]


def _assignments(query: Query) -> list[Raw]:
    found = []
    filters = _assignment_filters(query)
    if filters is None:
        return []
    for raw in query.collect(params=filters):
        flat = {
            "role": raw["role"]["id"],
            "user": raw.get("user", {}).get("id"),
            "group": raw.get("group", {}).get("id"),
            "project": raw["scope"].get("project", {}).get("id"),
            "domain": raw["scope"].get("domain", {}).get("id"),
            "system": "all" if raw["scope"].get("system") else None,
            "inherited": "OS-INHERIT:inherited_to" in raw["scope"],
        }
        flat["id"] = _assignment_path(flat)
        found.append(flat)
    return found


def _assignment_path(values: Mapping[str, Any]) -> str:
    actor = f"users/{values['user']}" if values.get("user") else f"groups/{values.get('group')}"
    if values.get("system"):
        place = "system"
    elif values.get("project"):
        place = f"projects/{values['project']}"
    else:
        place = f"domains/{values.get('domain')}"
    if values.get("inherited"):
        return f"/OS-INHERIT/{place}/{actor}/roles/{values['role']}/inherited_to_projects"
    return f"/{place}/{actor}/roles/{values['role']}"


def _assign(op: Operation) -> Raw:
    path = _assignment_path(op.values)
    op.call("PUT", path)
    return {**op.values, "id": path}


def _unassign(op: Operation) -> None:
    op.call("DELETE", op.id, accept=(404,))


def _check_assignment(values: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    found = []
    if ("user" in values) == ("group" in values):
        found.append(("", "Exactly one of user and group is wanted.", ""))
    if sum(key in values for key in ("project", "domain", "system")) != 1:
        found.append(("", "Exactly one of project, domain and system is wanted.", ""))
    return found


def _opens(own: Item, item: Item) -> bool:
    """Whether an assignment may give the login the role that it needs to work in another entry's project."""
    return item.type.scoped and own.resolved.get("project") in (None, item.resolved.get("project"))


ROLE_ASSIGNMENT = ResourceType(
    "role_assignment",
    "role_assignments",
    "identity",
    "/role_assignments",
    (
        Field("role", "Role that is given.", ref="role", required=True),
        Field("user", "User that gets it.", ref="user"),
        Field("group", "Group that gets it.", ref="group"),
        Field("project", "Project in which it counts.", ref="project"),
        Field("domain", "Domain in which it counts.", ref="domain"),
        Field("system", "The whole cloud, written all.", choices=("all",)),
        Field("inherited", "Whether it counts in the projects below instead.", "bool", default=False),
    ),
    doc="A role of a user or group in a project, a domain or the system.",
    identity=("role", "user", "group", "project", "domain", "system", "inherited"),
    list_last=True,
    listing=_assignments,
    create=_assign,
    before=_opens,
    delete=_unassign,
    check=_check_assignment,
)

SERVICE = ResourceType(
    "service",
    "services",
    "identity",
    "/services",
    (NAME, Field("type", "Service type, such as compute.", required=True), DESCRIPTION, ENABLED),
    doc="A service of the catalogue.",
    also_named_by=("type",),
    identity=("name", "type"),
)

REGION = ResourceType(
    "region",
    "regions",
    "identity",
    "/regions",
    (
        Field("name", "Identifier of the region.", api="id", required=True),
        DESCRIPTION,
        Field("parent", "Region above this one.", api="parent_region_id", ref="region"),
    ),
    doc="A region.",
)

ENDPOINT = ResourceType(
    "endpoint",
    "endpoints",
    "identity",
    "/endpoints",
    (
        Field("service", "Service, by name or type.", api="service_id", ref="service", required=True),
        Field("interface", "Who uses it.", choices=("public", "internal", "admin"), required=True),
        Field("region", "Region that it serves.", api="region_id", ref="region"),
        Field("url", "Address of the API.", required=True),
        ENABLED,
    ),
    doc="An address of a service.",
    identity=("service", "interface", "region"),
)

IDENTITY_TYPES = (
    DOMAIN_TYPE,
    REGION,
    PROJECT,
    USER,
    GROUP,
    ROLE,
    ROLE_ASSIGNMENT,
    APPLICATION_CREDENTIAL,
    SERVICE,
    ENDPOINT,
)
