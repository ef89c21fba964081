"""Certificates as clients see them: who vouches for a server, under which name, for how many days, and whether it talks
to those who do not encrypt.

Only the standard library is used, since this runs on the machines of the cloud.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.common.text import clean
from ansible_collections.stackwright.cloud.plugins.module_utils.host.sockets import exactly

SECONDS = 30.0
DAY = 86400.0
MYSQL, HTTPS, MUTUAL = "mysql", "https", "mutual"
PROTOCOLS = ("tls", HTTPS, MYSQL, MUTUAL)
# MariaDB's protocol. Source: mariadb.com/kb/en/connection.
_CAPABILITIES = 0x00080000 | 0x00008000 | 0x00000200  # plug-ins of authentication, secure authentication, protocol 4.1
_SSL = 0x00000800
_CHARACTER_SET = 45
_NEEDS_TLS = 3159  # ER_SECURE_TRANSPORT_REQUIRED
_ERROR, _ALERT = 0xFF, 0x15
# The header of AMQP 0-9-1, which other servers take for nonsense.
_HELLO = b"AMQP\x00\x00\x09\x01"
# What a database of Open vSwitch answers whoever is let in (RFC 7047, 4.1.11).
_ECHO = b'{"method": "echo", "params": [], "id": 1}'
# A server of clear-text HTTP answers what it is asked under the name that it is known by.
_REQUEST = "GET / HTTP/1.0\r\nHost: {name}\r\n\r\n"


class ServedError(Exception):
    """A server does not speak the protocol that it is asked in."""


@dataclass(frozen=True)
class Place:
    """Where a certificate is shown. ``name`` is what clients call the server, ``ca`` the file of those who vouch."""

    service: str
    host: str
    port: int
    ca: str
    name: str = ""
    protocol: str = "tls"

    @property
    def where(self) -> str:
        """For people."""
        return f"{self.service} ({self.host}:{self.port})"


@dataclass(frozen=True)
class Seen:
    """What a client sees there: days left, or what is wrong."""

    place: Place
    days: int | None = None
    issuer: str = ""
    cause: str = ""

    def plain(self) -> dict[str, Any]:
        """The data for a module's result."""
        place = {"service": self.place.service, "host": self.place.host, "port": self.place.port}
        return {**place, "days": self.days, "issuer": self.issuer, "cause": self.cause}

    def line(self) -> str:
        """One line for people."""
        if self.days is None:
            return f"{self.place.where}: {self.cause}"
        valid = f"{self.place.where}: {self.days} days left, issued by {self.issuer}"
        return f"{valid}; {self.cause}" if self.cause else valid


def _packet(connection: socket.socket) -> bytes:
    """One packet of MariaDB's protocol, without its header."""
    hung_up = ServedError("the server hung up in the middle of its greeting")
    header = exactly(connection, 4, hung_up)
    return exactly(connection, int.from_bytes(header[:3], "little"), hung_up)


def _login(capabilities: int, rest: bytes = b"") -> bytes:
    payload = struct.pack("<IIB23x", capabilities, 1 << 24, _CHARACTER_SET) + rest
    return len(payload).to_bytes(3, "little") + b"\x01" + payload


@contextlib.contextmanager
def _connected(place: Place) -> Iterator[socket.socket]:
    """A connection in clear text, a database's greeting read."""
    with socket.create_connection((place.host, place.port), timeout=SECONDS) as connection:
        if place.protocol == MYSQL and (greeting := _packet(connection))[:1] != b"\x0a":
            # such as 1130: nobody may log in from this host
            said = (
                greeting[3:].decode(errors="replace") if greeting[:1] == bytes([_ERROR]) else "no greeting of MariaDB"
            )
            raise ServedError(f"the server says: {said}")
        yield connection


def _common_name(name: Any) -> str:
    """The common name of what the library tells of a certificate's issuer: names of names, each with its kind."""
    return next((str(value) for part in name or () for kind, value in part if kind == "commonName"), "")


def look(place: Place, now: Callable[[], float] = time.time) -> Seen:
    """See a server's certificate as a client does that checks chain and name."""
    try:
        context = ssl.create_default_context(cafile=place.ca)
    except OSError as error:
        return Seen(place, cause=f"the file of authorities {place.ca} cannot be used: {error.strerror or error}")
    try:
        with _connected(place) as plain:
            if place.protocol == MYSQL:
                plain.sendall(_login(_CAPABILITIES | _SSL))
            with context.wrap_socket(plain, server_hostname=place.name or place.host) as secure:
                shown = secure.getpeercert() or {}
    except ssl.SSLCertVerificationError as error:
        return Seen(place, cause=f"the certificate is not accepted: {clean(error.verify_message)}")
    except (OSError, ServedError) as error:
        return Seen(place, cause=f"no certificate is shown: {clean(str(getattr(error, 'strerror', '') or error))}")
    left = ssl.cert_time_to_seconds(str(shown["notAfter"])) - now()
    return Seen(place, days=int(left // DAY), issuer=clean(_common_name(shown.get("issuer"))))


def _greeting(place: Place) -> bytes:
    """What a client without TLS begins with."""
    if place.protocol == MYSQL:
        return _login(_CAPABILITIES, b"stackwright\0\0")
    return _REQUEST.format(name=place.name or place.host).encode() if place.protocol == HTTPS else _HELLO


def _looked_at(answer: bytes) -> str:
    """Whether a database looked at a login without TLS, from what it answers."""
    code = int.from_bytes(answer[1:3], "little") if answer[:1] == bytes([_ERROR]) else 0
    return "" if code == _NEEDS_TLS else f"a login without TLS is looked at (answer {code or answer[:1].hex()})"


def takes_clear_text(place: Place) -> str:
    """How a server answers a client that does not encrypt, where it does other than refuse it; empty if it refuses.

    Nothing secret is sent: a login without a password, the header of a protocol, or a request for a page.
    """
    try:
        with _connected(place) as connection:
            connection.sendall(_greeting(place))
            if place.protocol == MYSQL:
                return _looked_at(_packet(connection))
            said = connection.recv(64)
    except TimeoutError:
        return f"no refusal within {SECONDS:g} s"
    except ConnectionError:
        return ""
    except (OSError, ServedError) as error:
        return clean(str(error))
    refused = not said or said[0] == _ALERT or said.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400"))
    return "" if refused else f"a client without TLS is answered: {clean(said.decode(errors='replace'))!r}"


def takes_strangers(place: Place) -> str:
    """How a server whose clients have to show a certificate answers one that has none; empty if it refuses.

    It may do so in its handshake, or, by TLS 1.3, once the client takes the connection for made.
    """
    try:
        context = ssl.create_default_context(cafile=place.ca)
        with (
            _connected(place) as plain,
            context.wrap_socket(plain, server_hostname=place.name or place.host) as secure,
        ):
            secure.sendall(_ECHO)
            said = secure.recv(64)
    except TimeoutError:
        return f"no refusal of a client without a certificate within {SECONDS:g} s"
    except (ssl.SSLError, ConnectionError):
        return ""
    except OSError as error:
        return clean(str(error))
    return f"a client without a certificate is answered: {clean(said.decode(errors='replace'))!r}" if said else ""


def takes_too_many(place: Place) -> str:
    """Whom a server answers that it should refuse: who does not encrypt, and, where clients show a certificate, who has
    none. Empty if it refuses them."""
    return takes_clear_text(place) or (takes_strangers(place) if place.protocol == MUTUAL else "")


def place_of(data: Mapping[str, Any]) -> Place:
    """A place from a module's argument."""
    known = ("service", "host", "port", "ca", "name", "protocol")
    return Place(**{key: data[key] for key in known if data.get(key) is not None})


def look_at_all(places: Iterable[Place]) -> list[Seen]:
    """All of them at the same time. Who takes clear text is told so, for what the others are told is worth nothing
    then."""
    with ThreadPoolExecutor(max_workers=8) as pool:
        return list(pool.map(_judged, places))


def _judged(place: Place) -> Seen:
    seen = look(place)
    if seen.cause:
        return seen
    said = takes_too_many(place)
    return Seen(place, seen.days, seen.issuer, said) if said else seen
