"""URLs that hold a login, spelled so that a password of any characters is read back as it is."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode


def encoded(text: str) -> str:
    """Percent-encoded, but for letters, digits and ``-_.~`` (RFC 3986, section 2.3).

    No sign is left that divides a URL, and none that an option file reads as a reference (``$``).
    """
    return quote(text, safe="")


def host_and_port(host: str, port: int | str = "") -> str:
    """A host as a URL has it: IPv6 addresses stand in brackets. A port that the host names itself wins."""
    text = str(host).strip()
    if text.startswith("[") or text.count(":") == 1:
        bare, _, own = text.rpartition(":") if not text.endswith("]") else (text, "", "")
        text, port = bare, own or port
    try:
        text = f"[{text}]" if ipaddress.ip_address(text).version == 6 else text
    except ValueError:
        if not text or set(text) & set("@/?#, \\\\"):
            raise ValueError(f"{text!r} is no host name or address") from None
    return f"{text}:{port}" if port else text


def _hosts(hosts: str | Sequence[str]) -> list[str]:
    found = hosts.split(",") if isinstance(hosts, str) else list(hosts)
    if not found:
        raise ValueError("a URL needs at least one host")
    return found


def database_url(
    password: str,
    user: str,
    hosts: str | Sequence[str],
    database: str = "",
    options: Mapping[str, Any] | None = None,
    driver: str = "mysql+pymysql",
    port: int | str = "",
    ca: str = "",
) -> str:
    """The URL of a database for SQLAlchemy.

    :param hosts: one address, as text or as a list of one: the driver knows no others.
    :param ca: file with the authorities that vouch for the server; with it, the driver speaks TLS.
    :raises ValueError: there is not exactly one host.
    """
    found = _hosts(hosts)
    if len(found) != 1:
        raise ValueError(f"the driver {driver} takes one host, not {len(found)}: give the address of a load balancer")
    query = urlencode({**(options or {"charset": "utf8mb4"}), **({"ssl_ca": ca} if ca else {})}, safe="/")
    return f"{driver}://{encoded(user)}:{encoded(password)}@{host_and_port(found[0], port)}/{encoded(database)}?{query}"


def transport_url(
    password: str,
    user: str,
    hosts: str | Sequence[str],
    virtual_host: str = "/",
    port: int | str = 5672,
    transport: str = "rabbit",
    ca: str = "",
) -> str:
    """The URL of a message queue for oslo.messaging: the login stands before each of the hosts.

    :param hosts: addresses, as a list or with commas between them; each may have a port of its own.
    :param ca: file with the authorities that vouch for the servers; with it, the driver speaks TLS.
    """
    login = f"{encoded(user)}:{encoded(password)}"
    places = ",".join(f"{login}@{host_and_port(host, port)}" for host in _hosts(hosts))
    query = "?" + urlencode({"ssl": 1, "ssl_ca_file": ca}, safe="/") if ca else ""
    return f"{transport}://{places}/{quote(virtual_host, safe='/')}{query}"


def endpoint_url(hosts: str | Sequence[str], port: int | str = "", path: str = "") -> str:
    """The URL under which an API is reached.

    :param hosts: one address, as text or as a list of one: a client asks one. :param path: begins with ``/``, or is
        empty.
    :raises ValueError: there is not exactly one host, or the path does not begin with ``/``.
    """
    found = _hosts(hosts)
    if len(found) != 1:
        raise ValueError(f"an endpoint has one host, not {len(found)}: give the address of a load balancer")
    if path and not path.startswith("/"):
        raise ValueError(f"the path {path!r} must begin with /")
    return f"https://{host_and_port(found[0], port)}{path}"


def option_value(text: str) -> str:
    """A value as it stands in a file that oslo.config reads, which takes ``$`` for a reference and drops enclosing
    quotes."""
    doubled = text.replace("$", "$$")
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "\"'"
    return f'"{doubled}"' if quoted or text != text.strip() else doubled
