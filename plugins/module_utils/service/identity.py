"""Registration of services with the identity service: projects, users, roles, services and endpoints in one converging pass."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any


class IdentityError(Exception):
    """The identity service refuses a request or does not answer."""


@dataclass
class Api:
    """The identity API, version 3, with one token. ``base`` ends in ``/v3``."""

    base: str
    token: str = ""
    timeout: float = 60

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, dict[str, Any], dict[str, str]]:
        """Do one request; return status, body and headers.

        :raises IdentityError: the service does not answer.
        """
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.base + path, data=data, method=method)
        request.add_header("Content-Type", "application/json")
        if self.token:
            request.add_header("X-Auth-Token", self.token)
        try:
            with urllib.request.urlopen(request, timeout=self.timeout) as answer:
                text = answer.read()
                return answer.status, json.loads(text) if text else {}, dict(answer.headers)
        except urllib.error.HTTPError as error:
            text = error.read()
            try:
                return error.code, json.loads(text), dict(error.headers)
            except ValueError:
                return error.code, {"error": {"message": text[:300].decode(errors="replace")}}, dict(error.headers)
        except OSError as error:
            raise IdentityError(f"{method} {self.base}{path}: {getattr(error, 'reason', error)}") from error

    def want(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Do one request that must succeed."""
        status, answer, _ = self.call(method, path, body)
        if status >= 400:
            raise IdentityError(f"{method} {path} was answered with {status}: {answer.get('error', {}).get('message', '')}")
        return answer

    def login(self, user: str, password: str, project: str | None) -> bool:
        """Get a token in the domain Default; False if user and password do not go together."""
        domain = {"name": "Default"}
        auth: dict[str, Any] = {
            "identity": {"methods": ["password"], "password": {"user": {"name": user, "domain": domain, "password": password}}}
        }
        if project:
            auth["scope"] = {"project": {"name": project, "domain": domain}}
        else:
            auth["scope"] = "unscoped"
        status, answer, headers = self.call("POST", "/auth/tokens", {"auth": auth})
        if status == 401:
            return False
        if status >= 400:
            raise IdentityError(f"a token for {user} was refused with {status}: {answer.get('error', {}).get('message', '')}")
        self.token = {name.lower(): value for name, value in headers.items()}["x-subject-token"]
        return True


def converge(api: Api, document: dict[str, list[dict[str, Any]]], check_mode: bool) -> list[str]:
    """Bring the identity service to a document.

    :param document: lists by kind: ``regions`` (id), ``projects`` (name, description), ``roles`` (name), ``users`` (name, password),
        ``role_assignments`` (role, user, project), ``services`` (name, type, description), ``endpoints`` (service, interface, url, region).
        Everything is in the domain Default.
    :returns: what was (or would be) changed, a line each, without secrets.
    """
    changes: list[str] = []
    domain = "default"

    def listed(kind: str, query: str = "") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = api.want("GET", f"/{kind}{query}")[kind]
        return found

    def make(kind: str, singular: str, values: dict[str, Any], line: str) -> str:
        changes.append(line)
        if check_mode:
            return ""
        return str(api.want("POST", f"/{kind}", {singular: values})[singular]["id"])

    regions = {region["id"] for region in listed("regions")} if document.get("regions") else set()
    for one in document.get("regions", []):
        if one["id"] not in regions:
            make("regions", "region", {"id": one["id"]}, f"create region {one['id']}")
    projects = {p["name"]: p["id"] for p in listed("projects", f"?domain_id={domain}")}
    for one in document.get("projects", []):
        if one["name"] not in projects:
            values = {"name": one["name"], "domain_id": domain, "description": one.get("description", "")}
            projects[one["name"]] = make("projects", "project", values, f"create project {one['name']}")
    roles = {r["name"]: r["id"] for r in listed("roles")}
    for one in document.get("roles", []):
        if one["name"] not in roles:
            roles[one["name"]] = make("roles", "role", {"name": one["name"]}, f"create role {one['name']}")
    users = {u["name"]: u["id"] for u in listed("users", f"?domain_id={domain}")}
    for one in document.get("users", []):
        if one["name"] not in users:
            values = {"name": one["name"], "domain_id": domain, "password": one["password"], "enabled": True}
            users[one["name"]] = make("users", "user", values, f"create user {one['name']}")
        elif not Api(api.base).login(one["name"], one["password"], None):
            changes.append(f"change the password of user {one['name']}")
            if not check_mode:
                api.want("PATCH", f"/users/{users[one['name']]}", {"user": {"password": one["password"]}})
    assigned = {
        (a["role"]["id"], a.get("user", {}).get("id"), a.get("scope", {}).get("project", {}).get("id"))
        for a in (listed("role_assignments") if document.get("role_assignments") else [])
    }
    for one in document.get("role_assignments", []):
        key = (roles.get(one["role"], ""), users.get(one["user"], ""), projects.get(one["project"], ""))
        if "" in key or key not in assigned:
            changes.append(f"assign role {one['role']} to {one['user']} in project {one['project']}")
            if not check_mode:
                api.want("PUT", f"/projects/{key[2]}/users/{key[1]}/roles/{key[0]}")
    services = {(s.get("name"), s["type"]): s["id"] for s in listed("services")}
    names = {name: ident for (name, _), ident in services.items()}
    for one in document.get("services", []):
        if (one["name"], one["type"]) not in services:
            values = {"name": one["name"], "type": one["type"], "description": one.get("description", ""), "enabled": True}
            names[one["name"]] = make("services", "service", values, f"create service {one['name']} ({one['type']})")
    endpoints = {(e["service_id"], e["interface"], e["region"]): e for e in (listed("endpoints") if document.get("endpoints") else [])}
    for one in document.get("endpoints", []):
        service = names.get(one["service"], "")
        present = endpoints.get((service, one["interface"], one["region"]))
        if present is None:
            values = {"service_id": service, "interface": one["interface"], "region": one["region"], "url": one["url"], "enabled": True}
            make("endpoints", "endpoint", values, f"create {one['interface']} endpoint of {one['service']}: {one['url']}")
        elif present["url"] != one["url"]:
            changes.append(f"change {one['interface']} endpoint of {one['service']}: {present['url']} -> {one['url']}")
            if not check_mode:
                api.want("PATCH", f"/endpoints/{present['id']}", {"endpoint": {"url": one["url"]}})
    return changes
