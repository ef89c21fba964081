"""The dashboard lets its users in with their passwords and nobody else, and shows them what is theirs."""

from __future__ import annotations

import http.cookiejar
import json
import re
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Protocol

from ansible_collections.stackwright.cloud.plugins.module_utils.verify.proofs import objects
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.proofs.bench import Bench, ProofError

SITE = "/etc/apache2/sites-available/stackwright-horizon.conf"
LOGIN = "/auth/login/"
CONTAINERS = "/api/swift/containers/"
SECONDS = 60.0


class Form(HTMLParser):
    """Names and values of a page's fields."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember a field."""
        said = dict(attrs)
        if tag == "input" and said.get("name"):
            self.fields[str(said["name"])] = said.get("value") or ""


# Sends fields of a form, or asks for a page without any, and returns HTTP status and page.
Send = Callable[[str, Mapping[str, str] | None], tuple[int, str]]


class Browse(Protocol):
    """Makes a browser that knows nothing yet, for the dashboard at an address."""

    def __call__(self, base: str) -> Send:
        """See :func:`browser`."""


def browser(base: str) -> Send:
    """A browser with cookies of its own. It trusts the authorities that this host trusts.

    :param base: address of the dashboard, without the slash at its end.
    """
    cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
    secure = urllib.request.HTTPSHandler(context=ssl.create_default_context())
    opener = urllib.request.build_opener(cookies, secure, urllib.request.ProxyHandler({}))

    def send(path: str, fields: Mapping[str, str] | None) -> tuple[int, str]:
        data = None if fields is None else urllib.parse.urlencode(fields).encode()
        # it takes forms from its own pages alone, and has data for its own scripts alone
        headers = {"Referer": f"{base}{LOGIN}", "X-Requested-With": "XMLHttpRequest"}
        try:
            with opener.open(urllib.request.Request(base + path, data, headers), timeout=SECONDS) as answer:
                return int(answer.status), answer.read().decode(errors="replace")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode(errors="replace")
        except OSError as error:
            raise ProofError(f"{base}{path} does not answer: {error}") from error

    return send


def port(path: str) -> int:
    """The port of the dashboard, by the web server's configuration on this host.

    :raises ProofError: it does not tell.
    """
    try:
        found = re.search(r"^<VirtualHost \S*:(\d+)[ >][^<]*SSLEngine on", Path(path).read_text(), re.MULTILINE)
    except OSError as error:
        raise ProofError(f"where the dashboard answers is not known: {error}") from error
    if found is None:
        raise ProofError(f"{path} names no port on which the dashboard speaks TLS")
    return int(found[1])


def log_in(send: Send, user: str, password: str) -> bool:
    """Fill in the form of the first page; whether it lets the user in.

    :raises ProofError: there is no such form.
    """
    status, page = send(LOGIN, None)
    fields = Form(page).fields
    if lacking := [name for name in ("csrfmiddlewaretoken", "username", "password") if name not in fields]:
        raise ProofError(f"the dashboard's first page gives HTTP {status}, without the field {lacking[0]}")
    send(LOGIN, {**fields, "domain": "Default", "username": user, "password": password})
    return send("/api/keystone/user-session/", None)[0] == 200


def containers(send: Send) -> list[str]:
    """Names of the containers that the dashboard shows.

    :raises ProofError: it shows none.
    """
    status, text = send(CONTAINERS, None)
    try:
        return [str(one["name"]) for one in json.loads(text)["items"]]
    except (ValueError, KeyError, TypeError) as error:
        raise ProofError(f"the dashboard shows no containers: HTTP {status}: {' '.join(text.split())[:200]}") from error


def prove(bench: Bench, browse: Browse = browser, site: str = SITE) -> list[str]:
    """Log in with a wrong and with the right password, and look for a container of the user's own, where the cloud has
    an object store. Runs where the dashboard is.

    :raises ProofError: the dashboard fails.
    """
    host = urllib.parse.urlsplit(bench.admin.endpoint("identity")).hostname
    base = f"https://{host}:{port(site)}/horizon"
    with bench.tenant("owner") as owner:
        if log_in(browse(base), owner.name, "not the password"):
            raise ProofError("the dashboard lets somebody in with a wrong password")
        mine = browse(base)
        if not log_in(mine, owner.name, owner.password):
            raise ProofError("the dashboard does not let a user in; see /var/log/apache2/horizon-error.log")
        proved = ["users get in with their passwords and with no other"]
        if not owner.client.has(objects.SERVICE):
            return proved
        account = objects.Account(owner, owner.client.endpoint(objects.SERVICE))
        box = bench.name("shown")
        account.need("PUT", f"/{box}", 201)
        try:
            if (shown := containers(mine)) != [box]:
                raise ProofError(f"the dashboard shows the containers {shown} of an account that has {box} alone")
        finally:
            account.need("DELETE", f"/{box}", 204)
            objects.forget(account.name)
    return [*proved, "it shows a user's containers"]
