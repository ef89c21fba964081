"""One authenticated session of a cloud: requests, pages, retries that the service asks for, and errors in plain words.

The SDK finds the credentials (clouds.yaml, environment, arguments), authenticates and carries the requests. Endpoints
are taken from the catalogue that comes with the token, so no version discovery is needed.
"""

from __future__ import annotations

import contextlib
import copy
import json
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.errors import (
    ApiError,
    CloudError,
    Problem,
    ensure_stop,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.common import authorities
from ansible_collections.stackwright.cloud.plugins.module_utils.common.text import whole_text
from ansible_collections.stackwright.cloud.plugins.module_utils.common.words import hint_or_list

PAGE = 1000
ATTEMPTS = 6
LONGEST_PAUSE = 60.0
# Service types of the catalogue, the first being ours, and the version part that a bare endpoint lacks.
SERVICES: dict[str, tuple[tuple[str, ...], str]] = {
    "identity": (("identity", "identityv3"), "v3"),
    "image": (("image", "imagev2"), "v2"),
    "network": (("network",), "v2.0"),
    "compute": (("compute",), "v2.1"),
    "block-storage": (("block-storage", "volumev3", "block-store", "volume"), "v3/{project}"),
    "orchestration": (("orchestration",), "v1/{project}"),
    "object-store": (("object-store",), "v1/AUTH_{project}"),
    "dns": (("dns",), "v2"),
    "placement": (("placement",), ""),
}
_VERSION = re.compile(r"/v\d+(\.\d+)?(/|$)")


@dataclass(frozen=True)
class Login:
    """What a module was told about the cloud. What the SDK understands; ``timeout`` in seconds per request."""

    cloud: str = ""
    auth: Mapping[str, Any] = field(default_factory=dict)
    auth_type: str = ""
    region_name: str = ""
    interface: str = "public"
    validate_certs: bool = True
    ca_cert: str = ""
    client_cert: str = ""
    client_key: str = ""
    timeout: float = 60.0
    # Addresses of services by type, in place of those in the catalogue.
    endpoint_overrides: Mapping[str, str] = field(default_factory=dict)


def _arguments(login: Login) -> dict[str, Any]:
    """Arguments for the SDK's configuration loader."""
    arguments: dict[str, Any] = {"interface": login.interface}
    if login.cloud:
        arguments["cloud"] = login.cloud
    if login.region_name:
        arguments["region_name"] = login.region_name
    if not login.validate_certs:
        arguments["verify"] = False
    elif login.ca_cert:
        arguments["cacert"] = authorities.as_file(login.ca_cert)
    if login.client_cert:
        arguments["cert"] = login.client_cert
        arguments["key"] = login.client_key
    auth = {key: value for key, value in login.auth.items() if value is not None}
    if not auth:
        return arguments
    kind = login.auth_type
    if not kind:
        if "application_credential_secret" in auth:
            kind = "v3applicationcredential"
        elif "password" in auth:
            kind = "v3password"
        elif "token" in auth:
            kind = "v3token"
    if kind.startswith("v3") and "auth_url" in auth and not _VERSION.search(str(auth["auth_url"])):
        auth["auth_url"] = str(auth["auth_url"]).rstrip("/") + "/v3"
    if kind in ("v3password", "password"):
        if "username" in auth and not {"user_domain_id", "user_domain_name"} & set(auth):
            auth["user_domain_id"] = "default"
        if "project_name" in auth and not {"project_domain_id", "project_domain_name"} & set(auth):
            auth["project_domain_id"] = "default"
    arguments["auth"] = auth
    if kind and not login.cloud:
        arguments["auth_type"] = kind
    return arguments


def _is_v3(config: Mapping[str, Any]) -> bool:
    """Whether a login with a password, of no version said, can only be one of version 3: that spares the question for
    it."""
    auth = config.get("auth") or {}
    return (
        config.get("auth_type") in (None, "password")
        and str(auth.get("auth_url", "")).rstrip("/").endswith("/v3")
        and not any(key.startswith("default_domain") for key in auth)
    )


@contextlib.contextmanager
def _without_tracing() -> Iterator[None]:
    """Keep the SDK from loading the library that traces requests, where it is installed: half of all the time that the
    import takes goes there."""
    if "osprofiler" in sys.modules:
        yield
        return
    modules: dict[str, Any] = dict.fromkeys(["osprofiler"])
    sys.modules.update(modules)
    try:
        yield
    finally:
        del sys.modules["osprofiler"]


def _session(login: Login) -> tuple[Any, Any]:
    """The SDK's cloud configuration and session. Nothing is sent yet."""
    try:
        with _without_tracing():
            import openstack.config
            import openstack.exceptions
    except ImportError as error:
        raise CloudError(
            Problem(
                f"The Python library openstacksdk cannot be imported ({error}).",
                "Install the package python3-openstacksdk on the host that runs the module.",
            )
        ) from error
    loader: Any = None
    try:
        files = not (login.auth and not login.cloud)
        loader = openstack.config.OpenStackConfig(load_yaml_config=files, load_envvars=files)
        arguments = _arguments(login)
        region = loader.get_one(**arguments)
        if not login.auth_type and _is_v3(region.config):
            region = loader.get_one(**arguments, auth_type="v3password")
        session = region.get_session()
    except (openstack.exceptions.SDKException, TypeError, ValueError) as error:
        # without a file of clouds the loader makes one up
        names = [one for one in getattr(loader, "get_cloud_names", list)() if one != "defaults"] if login.cloud else []
        raise CloudError(
            Problem(
                f"The login data for cloud '{login.cloud or login.auth.get('auth_url', '')}' cannot be used: "
                + ensure_stop(str(error)),
                (hint_or_list(login.cloud, names) if login.cloud and login.cloud not in names else "")
                or "Give the option auth, or cloud with a clouds.yaml file.",
            )
        ) from error
    except Exception as error:  # keystoneauth's missing options are no SDKException
        raise CloudError(
            Problem(f"The login data is incomplete: {error}.", "Give auth_url, username, password and project_name.")
        ) from error
    session.timeout = login.timeout
    return region, session


# The beginning of half a surrogate pair, or of a whole one, as JSON spells it.
SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


@dataclass
class Answer:
    """Status, headers and body of one answer."""

    status: int
    headers: Mapping[str, str]
    raw: Any

    @property
    def body(self) -> Any:
        """The decoded JSON body; an empty mapping when there is none."""
        if not self.raw.content:
            return {}
        try:
            body = self.raw.json()
        except ValueError:
            return {}
        return whole_text(body) if SURROGATE.search(self.raw.content) else body

    @property
    def text(self) -> str:
        """The body as text."""
        return str(self.raw.text)


class Cloud:
    """A logged-in cloud. Safe for use by several threads."""

    def __init__(
        self,
        login: Login,
        connect: Callable[[Login], tuple[Any, Any]] = _session,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.login = login
        self.calls = 0
        self.sleep = sleep
        self._lock = threading.Lock()
        self._scoped: dict[str, Any] = {}
        unknown = [service for service in login.endpoint_overrides if service not in SERVICES]
        if unknown:
            raise CloudError(
                *(
                    Problem(f"Unknown type of service '{name}'.", hint_or_list(name, SERVICES), "endpoint_overrides")
                    for name in unknown
                )
            )
        self._region, self._session = connect(login)
        try:
            self._access = self._patiently(lambda: self._session.auth.get_access(self._session))
        except Exception as error:
            raise CloudError(_login_problem(error, str(self.auth_url))) from error
        self.calls += 1
        self.project_id = str(self._access.project_id or "")
        self.user_id = str(self._access.user_id or "")
        self.domain_id = str(
            self._access.project_domain_id or self._access.domain_id or self._access.user_domain_id or "default"
        )
        self.project_name = str(self._access.project_name or "")
        self._catalogue: list[dict[str, Any]] = (
            list(self._access.service_catalog.catalog) if self._access.service_catalog else []
        )

    def _patiently(self, work: Callable[[], Any]) -> Any:
        """Do what asks for a token, again when the identity service says that it is busy (429, 503)."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return work()
            except Exception as error:
                pause = _busy(error)
                if pause is None or attempt == ATTEMPTS:
                    raise
                self.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    @property
    def auth_url(self) -> str:
        """Address of the identity service that was asked for a token."""
        return str(getattr(self._session.auth, "auth_url", "") or "")

    def services(self) -> list[str]:
        """Service types in the catalogue."""
        return sorted({str(entry.get("type")) for entry in self._catalogue})

    def regions(self, service: str) -> list[str]:
        """Regions in which the catalogue offers a service with the login's kind of endpoint."""
        wanted = self.login.interface.removesuffix("URL")
        return sorted(
            {
                str(endpoint.get("region_id") or endpoint.get("region") or "")
                for entry in self._catalogue
                if entry.get("type") in SERVICES[service][0]
                for endpoint in entry.get("endpoints", [])
                if endpoint.get("interface") == wanted
            }
            - {""}
        )

    def in_region(self, region: str) -> Cloud:
        """The same login with another region's endpoints."""
        other = copy.copy(self)
        other.login = replace(self.login, region_name=region)
        return other

    @property
    def region_name(self) -> str:
        """The region that the login or the configuration names; empty if neither does."""
        return self.login.region_name or str(getattr(self._region, "region_name", "") or "")

    def endpoint(self, service: str, project: str = "") -> str:
        """Base address of a service with its version part, without a slash at the end; empty if the catalogue lacks
        it."""
        names, version = SERVICES[service]
        wanted = self.login.interface.removesuffix("URL")
        region = self.region_name
        url = ""
        override = self.login.endpoint_overrides.get(service)
        if not override and self._region:
            override = self._region.config.get(f"{service.replace('-', '_')}_endpoint_override")
        if override:
            url = str(override)
        for name in names:
            for entry in self._catalogue:
                if url or entry.get("type") != name:
                    continue
                for endpoint in entry.get("endpoints", []):
                    if endpoint.get("interface") == wanted and region in (
                        "",
                        endpoint.get("region_id"),
                        endpoint.get("region"),
                    ):
                        url = str(endpoint["url"])
                        break
        if not url and service == "identity":
            url = self.auth_url
        if not url:
            return ""
        url = url.rstrip("/")
        if version and not _VERSION.search(url + "/"):
            url = f"{url}/{version.format(project=self.project_id)}"
        elif "{project}" in version and _VERSION.search(url).end() >= len(url):  # type: ignore[union-attr]
            url = f"{url}/{self.project_id}" if service != "object-store" else f"{url}/AUTH_{self.project_id}"
        if project and project != self.project_id and self.project_id:
            url = url.replace(self.project_id, project)
        return url

    def require(self, services: Mapping[str, str]) -> None:
        """Raise for every service that the catalogue lacks; ``services`` maps a type to the document path that needs
        it."""
        problems = [
            Problem(
                f"The catalogue of this cloud offers no service of type {service}"
                f"{f' in region {self.login.region_name}' if self.login.region_name else ''} with a "
                f"{self.login.interface} endpoint.",
                f"It offers {', '.join(self.services()) or 'nothing'}. Deploy and register the service, "
                f"or remove the entry.",
                path,
            )
            for service, path in services.items()
            if not self.endpoint(service)
        ]
        if problems:
            raise CloudError(*problems)

    def session(self, project: str = "") -> Any:
        """The session for a project's scope; the login's own when left out. Rescopes the token once per project."""
        if not project or project == self.project_id:
            return self._session
        with self._lock:
            if project not in self._scoped:
                from keystoneauth1 import session as sessions
                from keystoneauth1.identity import v3

                plugin = v3.Token(self.endpoint("identity"), self._session.get_token(), project_id=project)
                scoped = sessions.Session(
                    auth=plugin, verify=self._session.verify, cert=self._session.cert, timeout=self.login.timeout
                )
                try:
                    self.calls += 1
                    self._patiently(scoped.get_token)
                except Exception as error:
                    raise ApiError(
                        getattr(error, "http_status", 0) or 0,
                        f"{error}",
                        f"Log in to project {project}",
                        "Give the login's user a role in that project (role_assignments), or log in to it directly.",
                    ) from error
                self._scoped[project] = scoped
            return self._scoped[project]

    def call(
        self,
        service: str,
        method: str,
        path: str,
        body: Any = None,
        *,
        params: Any = None,
        headers: Mapping[str, str] | None = None,
        data: Any = None,
        timeout: float = 0,
        project: str = "",
        microversion: str = "",
        accept: tuple[int, ...] = (),
        authenticated: bool = True,
    ) -> Answer:
        """Do one request. 429 and 503 are repeated when the service says how long to wait.

        ``data`` is a body that is no JSON: bytes, or a function that opens it anew for each attempt. ``timeout``
        replaces that of the login, in seconds. Without ``authenticated`` no token is sent, and a 401 is final.

        :raises ApiError: the answer is an error that ``accept`` does not list, or there is no answer.
        """
        session = self.session(project)
        url = self.endpoint(service, project) + path
        sent: dict[str, str] = {"Accept": "application/json"}
        if microversion:
            sent["OpenStack-API-Version"] = f"{'volume' if service == 'block-storage' else service} {microversion}"
            if service == "compute":
                sent["X-OpenStack-Nova-API-Version"] = microversion
        sent.update(headers or {})
        arguments: dict[str, Any] = {"headers": sent, "raise_exc": False, "authenticated": authenticated, "log": False}
        if body is not None:
            arguments["json"] = body
        if timeout:
            arguments["timeout"] = timeout
        if params:
            arguments["params"] = params
        if method in ("GET", "HEAD"):
            arguments["connect_retries"] = 2
        request = f"{method} {url}"
        for attempt in range(1, ATTEMPTS + 1):
            with self._lock:
                self.calls += 1
            if data is not None:
                arguments["data"] = data() if callable(data) else data
            try:
                response = session.request(url, method, **arguments)
            except ApiError:
                raise
            except Exception as error:
                # An expired token is renewed on the way, and that may be refused for a while, too.
                busy = _busy(error)
                if busy is None or attempt == ATTEMPTS:
                    raise _transport_error(error, request) from error
                self.sleep(busy)
                continue
            pause = _pause(response)
            if response.status_code not in (429, 503) or pause is None or attempt == ATTEMPTS:
                break
            self.sleep(pause)
        if response.status_code >= 400 and response.status_code not in accept:
            message = message_of(response)
            quota = response.status_code == 403 and "quota" in message.lower()
            raise ApiError(
                response.status_code, message, request, general_mend(413 if quota else response.status_code, service)
            )
        return Answer(response.status_code, response.headers, response)

    def pages(
        self,
        service: str,
        path: str,
        collection: str,
        params: list[tuple[str, Any]] | None = None,
        *,
        project: str = "",
        microversion: str = "",
    ) -> Iterator[dict[str, Any]]:
        """Every object of a collection, page by page, in whichever way the service links its pages."""
        current: list[tuple[str, Any]] = list(params or [])
        seen: set[str] = set()
        while True:
            body = self.call(service, "GET", path, params=current, project=project, microversion=microversion).body
            if collection not in body:
                raise ApiError(0, f"the answer holds no '{collection}'", f"GET {self.endpoint(service)}{path}")
            yield from body[collection]
            link = _next(body, collection)
            if not link or not body[collection]:
                return
            if link in seen:
                raise ApiError(0, f"page {link} links to itself", f"GET {self.endpoint(service)}{path}")
            seen.add(link)
            from urllib.parse import parse_qsl, urlsplit

            # Behind a proxy the link's host may be wrong: only its query counts.
            current = list(parse_qsl(urlsplit(link).query, keep_blank_values=True))


def _next(body: Mapping[str, Any], collection: str) -> str:
    """The link to the next page; empty on the last one."""
    for links in (body.get(f"{collection}_links"), body.get("links")):
        if isinstance(links, list):
            for link in links:
                if link.get("rel") == "next":
                    return str(link["href"])
        elif isinstance(links, Mapping) and links.get("next"):
            return str(links["next"])
    return str(body.get("next") or "")


def _busy(error: Exception) -> float | None:
    """Seconds to wait after a login that was refused because of load; None for any other refusal."""
    response = getattr(error, "response", None)
    status = getattr(error, "http_status", 0)
    if status not in (429, 503):
        return None
    pause = _pause(response) if response is not None else None
    return 1.0 if pause is None else pause


def _pause(response: Any) -> float | None:
    """Seconds that the service asks to wait; None if it does not say, or says what is no time."""
    with contextlib.suppress(KeyError, TypeError, ValueError):
        pause = float(response.headers["Retry-After"])
        if pause >= 0:
            return min(pause, LONGEST_PAUSE)
    return 1.0 if response.status_code == 429 else None


def message_of(response: Any) -> str:
    """The service's own words in an error answer."""
    try:
        body = response.json()
    except ValueError:
        text = re.sub(r"(?s)<(title|h1)>.*?</\1>|<[^>]+>", " ", response.text or "")
        return " ".join(text.split())[:300] or str(response.reason)
    for keys in (("message", "faultstring", "detail"), ("explanation", "title")):
        queue = [body]
        while queue:
            value = queue.pop(0)
            if isinstance(value, dict):
                for key in keys:
                    if isinstance(value.get(key), str) and value[key]:
                        return " ".join(value[key].split())[:600]
                queue.extend(value.values())
            elif isinstance(value, list):
                queue.extend(value)
    return json.dumps(body)[:300]


def general_mend(status: int, service: str) -> str:
    """What to do about an answer of this status when nothing more is known."""
    return {
        401: "The token is no longer accepted: check the login and the clock of the hosts, then run again.",
        403: "The login's roles do not allow this: give it the role that the service's policy asks for.",
        409: "Something in the cloud is in the way, often an object that still uses this one: mend that and run again.",
        413: "The quota is used up: raise it or remove something, then run again.",
        429: "The service limits requests: lower the option parallel, or run again later.",
        500: f"See the log of the {service} service.",
        502: f"Check that the {service} service runs behind its load balancer, then run again.",
        503: f"The {service} service is overloaded or down: check it and run again.",
    }.get(status, "")


def _transport_error(error: Exception, request: str) -> ApiError:
    name = type(error).__name__
    if name == "SSLFailure":
        return ApiError(
            0, f"the server's certificate is not trusted ({error})", request, "Give its authority with ca_cert."
        )
    if name == "Unauthorized":
        return ApiError(401, str(error), request, general_mend(401, ""))
    return ApiError(
        0, f"no answer ({error})", request, "Check that the service runs and can be reached, then run again."
    )


def _login_problem(error: Exception, url: str) -> Problem:
    name = type(error).__name__
    if name == "Unauthorized":
        return Problem(
            f"The identity service at {url} refuses the login (401).",
            "Check username, password, project and their domains. It says the same of an account that "
            "is disabled, expired, "
            "or locked after too many failed logins.",
        )
    # A login of no certain version asks for the versions first, and hides the cause in its text.
    if name == "SSLFailure" or "certificate verify failed" in str(error):
        return Problem(
            f"The certificate of {url} is not trusted: {error}.", "Give the authority that signed it with ca_cert."
        )
    if name == "NotFound":
        return Problem(f"There is no identity API at {url} (404).", "auth_url should end in /v3.")
    return Problem(
        f"The identity service at {url} does not answer: {error}.", "Check auth_url, and that the service runs."
    )
