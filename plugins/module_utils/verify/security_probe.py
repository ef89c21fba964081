"""Security checks that the APIs answer: a user who guesses is locked out, Glance fetches nothing from inside, weak
passwords fail.

What is made for a check is removed in the same call, whatever happens.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.verify.cloud import API_ERRORS, first_line
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.security import Row

# An API that does not answer, or not with what was asked for.
ANSWER_ERRORS: tuple[type[Exception], ...] = (*API_ERRORS, KeyError, ValueError)
PREFIX = "stackwright-verify-"
LOCKOUT = "Extra-Identity-Lockout"
PASSWORDS = "Extra-Identity-Passwords"
EXEMPT = "Extra-Identity-Services"
IMPORT = "Check-Image-05"


class Probe:
    """Behaviour of the APIs, asked with an administrator's connection of openstacksdk.

    ``attempts`` is the number of wrong passwords that lock a user out; ``services`` are users whom nobody may lock out;
    ``inside`` is an address of a web server that only the cloud's own machines should reach.
    """

    def __init__(self, cloud: Any, attempts: int, services: list[str], inside: str) -> None:
        self.cloud = cloud
        self.attempts = attempts
        self.services = services
        self.inside = inside

    def rows(self) -> list[Row]:
        """All rows. What cannot be asked counts as failed, with the reason as its value; an image service that the
        cloud does not have has no row."""
        checks: list[tuple[str, str, str, str, Callable[[], tuple[bool, str]]]] = [
            (
                LOCKOUT,
                "keystone",
                "who guesses passwords is locked out",
                "Set keystone_lockout_failure_attempts to 6 or so.",
                self.lockout,
            ),
            (PASSWORDS, "keystone", "weak passwords are refused", "Set keystone_password_regex.", self.weak_password),
            (
                EXEMPT,
                "keystone",
                "nobody can lock the services out",
                "Run site.yml; it sets the options of these users.",
                self.exempt,
            ),
            (
                IMPORT,
                "glance",
                "nobody has Glance fetch from inside",
                "Take web-download out of glance_import_methods.",
                self.web_download,
            ),
        ]
        access = self.cloud.session.auth.get_access(self.cloud.session)
        known = {entry.get("type") for entry in access.service_catalog.catalog}
        found = []
        for check, service, title, mend, action in checks:
            if check == IMPORT and "image" not in known:
                continue
            try:
                passed, value = action()
            except ANSWER_ERRORS as error:
                passed, value = False, f"cannot be asked: {first_line(error)}"
            found.append(Row(check, service, title, value, "passed" if passed else "failed", "" if passed else mend))
        return found

    def _call(self, service: str, method: str, path: str, **more: Any) -> Any:
        return getattr(self.cloud, service).request(path, method, raise_exc=False, **more)

    @contextlib.contextmanager
    def _user(self, password: str) -> Iterator[str]:
        """A user who lives for the time of a check."""
        name = f"{PREFIX}{secrets.token_hex(6)}"
        answer = self._call("identity", "POST", "/users", json={"user": {"name": name, "password": password}})
        if answer.status_code != 201:
            raise ValueError(f"making a user gives HTTP {answer.status_code}")
        user = answer.json()["user"]["id"]
        try:
            yield user
        finally:
            self._call("identity", "DELETE", f"/users/{user}")

    def _login(self, user: str, password: str) -> int:
        """Status of a login with a password and without a scope."""
        identity = {"methods": ["password"], "password": {"user": {"id": user, "password": password}}}
        body = {"auth": {"identity": identity, "scope": "unscoped"}}
        answer = self._call("identity", "POST", "/auth/tokens", json=body, authenticated=False)
        return int(answer.status_code)

    def lockout(self) -> tuple[bool, str]:
        """A user's own password is refused after so many wrong ones, and was good before."""
        password = f"{secrets.token_urlsafe(24)}aA1!"
        with self._user(password) as user:
            if (status := self._login(user, password)) != 201:
                raise ValueError(f"a new user's login gives HTTP {status}")
            tries = self.attempts or 6
            for _ in range(tries):
                self._login(user, secrets.token_urlsafe(24))
            refused = self._login(user, password) == 401
        return refused, f"after {tries} wrong passwords the right one is {'refused' if refused else 'taken'}"

    def weak_password(self) -> tuple[bool, str]:
        """No user can be made with a short password."""
        name = f"{PREFIX}{secrets.token_hex(6)}"
        answer = self._call("identity", "POST", "/users", json={"user": {"name": name, "password": "abc1"}})
        if answer.status_code == 201:
            self._call("identity", "DELETE", f"/users/{answer.json()['user']['id']}")
        return answer.status_code == 400, f"a password of four characters gives HTTP {answer.status_code}"

    def exempt(self) -> tuple[bool, str]:
        """Users of services are spared the lockout, which anybody could bring about."""
        answer = self._call("identity", "GET", "/users", params={"domain_id": "default"})
        options = {user["name"]: user.get("options") or {} for user in answer.json()["users"]}
        here = [name for name in self.services if name in options]
        lacking = [name for name in here if not options[name].get("ignore_lockout_failure_attempts")]
        if lacking and self.attempts:
            return False, f"can be locked out: {', '.join(lacking)}"
        return True, f"spared: {', '.join(here)}" if self.attempts else "nobody is locked out"

    def web_download(self) -> tuple[bool, str]:
        """An import from an address inside is refused."""
        listed = self._call("image", "GET", "/info/import")
        methods = listed.json()["import-methods"]["value"] if listed.status_code == 200 else []
        body = {
            "name": f"{PREFIX}{secrets.token_hex(6)}",
            "disk_format": "raw",
            "container_format": "bare",
            "visibility": "private",
        }
        made = self._call("image", "POST", "/images", json=body)
        if made.status_code != 201:
            raise ValueError(f"making an image gives HTTP {made.status_code}")
        image = made.json()["id"]
        try:
            order = {"method": {"name": "web-download", "uri": self.inside}}
            answer = self._call("image", "POST", f"/images/{image}/import", json=order)
        finally:
            self._call("image", "DELETE", f"/images/{image}")
        said = (
            f"methods {', '.join(methods) or 'none'}; web-download from {self.inside} gives HTTP {answer.status_code}"
        )
        return 400 <= answer.status_code < 500, said
