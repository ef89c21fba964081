"""What proofs of services stand on: projects with a user each, their requests, and waiting for what is to come.

Everything is made below one prefix and removed in the end, whatever happens; a run that was killed is cleared up by the
next one.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.service.databases import DatabaseError
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.cloud import (
    API_ERRORS,
    MISSING_ERRORS,
    SdkError,
    first_line,
)

# An API that does not answer, or not with what was asked for.
ANSWER_ERRORS: tuple[type[Exception], ...] = (*API_ERRORS, KeyError, ValueError)
INTERVAL = 1.0


class ProofError(Exception):
    """A service does not do what it must; the text says what was tried and what came of it."""


@dataclass(frozen=True)
class Answer:
    """An API's answer: HTTP status, headers, and the body as bytes and as the data that its JSON holds."""

    status: int
    content: bytes = b""
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


class Client:
    """Requests of one login to one service after the other, by the catalogue of services.

    ``cloud`` is a connection of openstacksdk, ``name`` says in messages who asks.
    """

    def __init__(self, cloud: Any, interface: str, region: str, name: str) -> None:
        self.cloud, self.interface, self.region, self.name = cloud, interface, region, name

    def ask(self, service: str, method: str, path: str, **more: Any) -> Answer:
        """Send a request to the service of this type, whatever its answer is; ``more`` goes to keystoneauth."""
        where = {"service_type": service, "interface": self.interface, "region_name": self.region}
        given = self.cloud.session.request(path, method, endpoint_filter=where, raise_exc=False, **more)
        is_json = "json" in str(given.headers.get("Content-Type", ""))
        return Answer(
            given.status_code, given.content, given.json() if is_json and given.content else None, dict(given.headers)
        )

    def endpoint(self, service: str) -> str:
        """Where this login finds the service of this type."""
        where = {"service_type": service, "interface": self.interface, "region_name": self.region}
        return str(self.cloud.session.get_endpoint(**where))

    def has(self, service: str) -> bool:
        """Whether the catalogue has a service of this type."""
        try:
            return "://" in self.endpoint(service)
        except MISSING_ERRORS:
            return False

    def need(self, service: str, method: str, path: str, *statuses: int, **more: Any) -> Answer:
        """Send a request that must be answered with one of ``statuses``.

        :raises ProofError: it is answered otherwise.
        """
        answer = self.ask(service, method, path, **more)
        if answer.status not in statuses:
            said = " ".join(answer.content.decode(errors="replace").split())[:300]
            raise ProofError(
                f"{method} {path} of {self.name} gives HTTP {answer.status}, not "
                f"{' or '.join(map(str, statuses))}: {said or 'no text'}"
            )
        return answer

    def refused(self, service: str, method: str, path: str, what: str, **more: Any) -> None:
        """Send a request that must be refused.

        :raises ProofError: it is not refused as forbidden or not there.
        """
        answer = self.ask(service, method, path, **more)
        if answer.status not in (403, 404):
            raise ProofError(f"{what}: {method} {path} of {self.name} gives HTTP {answer.status}, not 403 or 404")


@dataclass
class Tenant:
    """A project of its own with one user, who has the role ``member`` in it; both have the same name."""

    project: str
    user: str
    client: Client
    name: str
    password: str = field(repr=False)

    @property
    def ask(self) -> Callable[..., Answer]:
        """See :meth:`Client.ask`."""
        return self.client.ask

    @property
    def need(self) -> Callable[..., Answer]:
        """See :meth:`Client.need`."""
        return self.client.need


class Bench:
    """Where a proof is made: the administrator's client, tenants, and time.

    :param login: connects with a user's name, password and project's name, as openstacksdk does.
    :param prefix: what all names begin with.
    :param timeout: seconds for each thing that is waited for.
    """

    def __init__(
        self,
        admin: Client,
        login: Callable[[str, str, str], Any],
        prefix: str,
        timeout: float,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.admin, self._login, self.prefix, self.timeout = admin, login, prefix, timeout
        self._now, self._sleep = now, sleep

    def name(self, what: str) -> str:
        """A new name below the prefix."""
        return f"{self.prefix}-{what}-{secrets.token_hex(4)}"

    def wait(self, what: str, look: Callable[[], Any]) -> Any:
        """Look until something is seen, and return it.

        :raises ProofError: there is nothing after the time; ``what`` says what was waited for.
        """
        end = self._now() + self.timeout
        while not (seen := look()):
            if self._now() >= end:
                raise ProofError(f"{what}: not within {self.timeout:.0f} s")
            self._sleep(INTERVAL)
        return seen

    @contextlib.contextmanager
    def tenant(self, what: str) -> Iterator[Tenant]:
        """A project with a user for the time of a block. A project that the block removes itself is no error."""
        name, password = self.name(what), f"{secrets.token_urlsafe(24)}aA1!"
        with contextlib.ExitStack() as made:

            def make(kind: str, body: dict[str, Any]) -> str:
                answer = self.admin.need("identity", "POST", f"/{kind}s", 201, json={kind: body})
                identifier = str(answer.body[kind]["id"])
                made.callback(self.admin.ask, "identity", "DELETE", f"/{kind}s/{identifier}")
                return identifier

            project = make("project", {"name": name, "domain_id": "default"})
            user = make("user", {"name": name, "domain_id": "default", "password": password})
            roles = self.admin.need("identity", "GET", "/roles?name=member", 200).body["roles"]
            if not roles:
                raise ProofError("there is no role member, which users of projects have")
            role = roles[0]["id"]
            self.admin.need("identity", "PUT", f"/projects/{project}/users/{user}/roles/{role}", 204)
            cloud = self._login(name, password, name)
            client = Client(cloud, self.admin.interface, self.admin.region, name)
            yield Tenant(project, user, client, name, password)

    def clear(self) -> None:
        """Remove the projects and users that a run left which was killed."""
        for kind in ("user", "project"):
            listed = self.admin.need("identity", "GET", f"/{kind}s?domain_id=default", 200).body[f"{kind}s"]
            for one in listed:
                if str(one["name"]).startswith(f"{self.prefix}-"):
                    self.admin.need("identity", "DELETE", f"/{kind}s/{one['id']}", 204, 404)


Proof = Callable[[Bench], list[str]]
"""Proves one service, and returns what it has proved, a phrase each.

:raises ProofError: the service fails it.
"""


@dataclass(frozen=True)
class Result:
    """What came of the proof of one service; ``problem`` is empty where it succeeded."""

    service: str
    proved: list[str]
    problem: str
    seconds: float


def run(bench: Bench, proofs: dict[str, Proof], tell: Callable[[str], None], now: Callable[[], float]) -> list[Result]:
    """Make all proofs; one that fails stops no other."""
    found = []
    for service, proof in proofs.items():
        tell(f"proving {service}")
        start, proved, problem = now(), list[str](), ""
        try:
            proved = proof(bench)
        except (ProofError, SdkError, DatabaseError) as error:
            problem = str(error)
        except ANSWER_ERRORS as error:
            problem = f"cannot be asked: {first_line(error)}"
        found.append(Result(service, proved, problem, round(now() - start, 1)))
    return found
