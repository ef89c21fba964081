"""Consoles of guests as clients see them: whom a hypervisor serves, and what comes through the proxy.

The protocol is RFB 3.8 (RFC 6143) with the security type VeNCrypt, version 0.2; a proxy speaks it in a WebSocket
(RFC 6455). Only the standard library is used, since this runs on the machines of the cloud.
"""

from __future__ import annotations

import base64
import os
import socket
import ssl
import struct
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

from ansible_collections.stackwright.cloud.plugins.module_utils.host.sockets import exactly

SECONDS = 30.0
VERSION = b"RFB 003.008\n"
NONE, VENCRYPT = 1, 19
X509_NONE = 260
_NAMES = {NONE: "none", 2: "password", VENCRYPT: "VeNCrypt"}
_BINARY, _CLOSE, _LONG = 2, 8, 126


class VncError(Exception):
    """A server does not speak the protocol; the text says what it did."""


Read = Callable[[int], bytes]
Write = Callable[[bytes], object]


def _exactly(connection: socket.socket) -> Read:
    return lambda size: exactly(connection, size, VncError("the server hung up"))


def _offered(read: Read, write: Write) -> list[int]:
    """The security types that a server offers."""
    if not (greeting := read(12)).startswith(b"RFB 003."):
        raise VncError(f"the server does not speak RFB: {greeting!r}")
    write(VERSION)
    (count,) = read(1)
    if not count:
        (size,) = struct.unpack(">I", read(4))
        raise VncError(f"the server refuses: {read(min(size, 200)).decode(errors='replace')}")
    return list(read(count))


def serves_strangers(host: str, port: int) -> str:
    """How a console serves a client that it should refuse: without TLS, or without a certificate. Empty if it refuses
    both."""
    with socket.create_connection((host, port), timeout=SECONDS) as plain:
        read = _exactly(plain)
        if (offered := _offered(read, plain.sendall)) != [VENCRYPT]:
            return f"a client without TLS is offered {', '.join(_NAMES.get(one, str(one)) for one in offered)}"
        plain.sendall(bytes([VENCRYPT]))
        if read(2) != b"\x00\x02":
            raise VncError("the server does not speak VeNCrypt 0.2")
        plain.sendall(b"\x00\x02")
        (status, count) = read(2)
        kinds = struct.unpack(f">{count}I", read(4 * count))
        if status or kinds != (X509_NONE,):
            return f"TLS without certificates is offered (kinds {', '.join(map(str, kinds))})"
        plain.sendall(struct.pack(">I", X509_NONE))
        if read(1) != b"\x01":
            raise VncError("the server does not begin with TLS")
        # who vouches for the server makes no difference: the question is whether it asks who the client is
        stranger = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        stranger.check_hostname, stranger.verify_mode = False, ssl.CERT_NONE
        try:
            with stranger.wrap_socket(plain) as secure:
                said = secure.recv(4)
        except (ssl.SSLError, ConnectionError):
            return ""
    return "a client without a certificate is served" if said else ""


def _upgraded(connection: socket.socket, host: str, path: str, token: str) -> None:
    """Turn a connection to a console's proxy into a WebSocket."""
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {host}",
        f"Origin: https://{host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Protocol: binary",
        f"Cookie: token={token}",
    ]
    connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        part = connection.recv(1)
        if not part or len(answer) > 8192:
            break
        answer += part
    if not answer.startswith(b"HTTP/1.1 101"):
        first = answer.partition(b"\r\n")[0].decode(errors="replace")
        raise VncError(f"the console's proxy answers {first!r}")


def _frames(connection: socket.socket) -> tuple[Read, Write]:
    """Reading from and writing to a WebSocket, whose frames' borders mean nothing."""
    raw, held = _exactly(connection), bytearray()

    def read(size: int) -> bytes:
        while len(held) < size:
            kind, length = raw(2)
            if length >= _LONG:
                length = int.from_bytes(raw(2 if length == _LONG else 8))
            text = raw(length)
            if kind & 0xF == _CLOSE:
                raise VncError(f"the console's proxy closes: {text[2:].decode(errors='replace')}")
            held.extend(text)
        found = bytes(held[:size])
        del held[:size]
        return found

    def write(text: bytes) -> None:
        # a mask of zeros leaves the text as it is; these are short
        connection.sendall(bytes([0x80 | _BINARY, 0x80 | len(text)]) + b"\0\0\0\0" + text)

    return read, write


def through_proxy(url: str, ca: str | None) -> str:
    """Open a guest's console at the address that Nova gave; return name and size of its screen.

    :raises VncError: the proxy or the hypervisor refuses, or says what is not understood.
    :raises OSError: there is no connection, or no TLS.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 443
    query = parse_qs(parts.query)
    token = query.get("token") or parse_qs(urlsplit(query.get("path", [""])[0]).query).get("token") or [""]
    context = ssl.create_default_context(cafile=ca)
    with (
        socket.create_connection((host, port), timeout=SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=host) as secure,
    ):
        _upgraded(secure, f"{host}:{port}", f"/websockify?token={token[0]}", token[0])
        read, write = _frames(secure)
        if NONE not in (offered := _offered(read, write)):
            raise VncError(f"the console's proxy offers {offered}")
        write(bytes([NONE]))
        if read(4) != b"\0\0\0\0":
            raise VncError("the console's proxy does not let a client in who has a token")
        write(b"\x01")
        width, height = struct.unpack(">HH", read(4))
        read(16)
        (size,) = struct.unpack(">I", read(4))
        return f"{read(size).decode(errors='replace')}, {width} x {height}"
