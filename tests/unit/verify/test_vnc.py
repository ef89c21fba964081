"""Whom a console serves, and what comes through its proxy: real sockets and real TLS."""

from __future__ import annotations

import contextlib
import datetime
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.pki import authority, leaf
from ansible_collections.stackwright.cloud.plugins.module_utils.verify import vnc

Talk = Callable[[socket.socket], None]
NOW = datetime.datetime.now(datetime.UTC)
SCREEN = struct.pack(">HH", 720, 400) + bytes(16) + struct.pack(">I", 5) + b"guest"


@pytest.fixture
def tls(tmp_path: Path) -> ssl.SSLContext:
    known = authority.new(NOW)
    issued = leaf.issue(known, "compute1", "/etc/orbit", ["127.0.0.1"], leaf.Terms(), NOW)
    (tmp_path / "ca.pem").write_text("".join(known.pems))
    (tmp_path / "certificate.pem").write_text(issued.certificate)
    (tmp_path / "key.pem").write_text(issued.key)
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    found.load_cert_chain(tmp_path / "certificate.pem", tmp_path / "key.pem")
    found.load_verify_locations(tmp_path / "ca.pem")
    return found


@contextlib.contextmanager
def server(talk: Talk) -> Iterator[int]:
    """A server that has this to say to its one client; gives its port."""

    def serve() -> None:
        with contextlib.suppress(OSError), listener.accept()[0] as connection:
            connection.settimeout(10)
            talk(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield int(listener.getsockname()[1])
    thread.join()


def hypervisor(context: ssl.SSLContext, types: bytes = b"\x13", kinds: tuple[int, ...] = (260,)) -> Talk:
    """What QEMU says, up to the result of the login."""

    def talk(connection: socket.socket) -> None:
        connection.sendall(b"RFB 003.008\n")
        connection.recv(12)
        connection.sendall(bytes([len(types)]) + types)
        if types == b"\x13" and connection.recv(1):
            connection.sendall(b"\x00\x02")
            connection.recv(2)
            connection.sendall(bytes([0, len(kinds)]) + struct.pack(f">{len(kinds)}I", *kinds))
            if connection.recv(4):
                connection.sendall(b"\x01")
                with context.wrap_socket(connection, server_side=True) as secure:
                    secure.sendall(bytes(4))

    return talk


def test_a_console_that_wants_a_certificate_serves_no_stranger(tls: ssl.SSLContext) -> None:
    tls.verify_mode = ssl.CERT_REQUIRED
    with server(hypervisor(tls)) as port:
        assert vnc.serves_strangers("127.0.0.1", port) == ""


@pytest.mark.parametrize(
    ("types", "kinds", "said"),
    [
        (b"\x01", (), "a client without TLS is offered none"),
        (b"\x13\x02", (), "a client without TLS is offered VeNCrypt, password"),
        (b"\x13", (257, 260), "TLS without certificates is offered (kinds 257, 260)"),
        (b"\x13", (260,), "a client without a certificate is served"),
    ],
)
def test_a_console_that_serves_strangers_is_told(
    tls: ssl.SSLContext, types: bytes, kinds: tuple[int, ...], said: str
) -> None:
    with server(hypervisor(tls, types, kinds)) as port:
        assert vnc.serves_strangers("127.0.0.1", port) == said


def test_what_is_no_console_is_told(tls: ssl.SSLContext) -> None:
    with (
        server(lambda connection: connection.sendall(b"220 mail.exam\r\n")) as port,
        pytest.raises(vnc.VncError, match="does not speak RFB"),
    ):
        vnc.serves_strangers("127.0.0.1", port)
    with (
        server(lambda connection: connection.sendall(b"RFB 003.008\n\x00" + struct.pack(">I", 4) + b"full")) as port,
        pytest.raises(vnc.VncError, match="the server refuses: full"),
    ):
        vnc.serves_strangers("127.0.0.1", port)


def proxy(context: ssl.SSLContext, answer: bytes, frames: bytes, asked: list[bytes]) -> Talk:
    """A proxy that answers the request for a WebSocket, and says all frames at once."""

    def talk(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secure:
            asked.append(secure.recv(4096))
            secure.sendall(answer + frames)
            while secure.recv(100):
                pass

    return talk


def frame(text: bytes, kind: int = 2) -> bytes:
    head = (
        bytes([0x80 | kind, len(text)]) if len(text) < 126 else bytes([0x80 | kind, 126]) + struct.pack(">H", len(text))
    )
    return head + text


UPGRADED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"


def test_a_screen_is_seen_through_the_proxy_with_the_token_of_its_address(tls: ssl.SSLContext, tmp_path: Path) -> None:
    asked: list[bytes] = []
    said = frame(b"RFB 003.008\n") + frame(b"\x01\x01") + frame(bytes(4)) + frame(SCREEN + bytes(200))
    with server(proxy(tls, UPGRADED, said, asked)) as port:
        url = f"https://127.0.0.1:{port}/vnc_lite.html?path=%3Ftoken%3Dabc-1"
        assert vnc.through_proxy(url, str(tmp_path / "ca.pem")) == "guest, 720 x 400"
    assert asked[0].startswith(b"GET /websockify?token=abc-1 HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("answer", "frames", "said"),
    [
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", b"", "the console's proxy answers 'HTTP/1.1 403 Forbidden'"),
        (UPGRADED, frame(b"\x03\xf3no certificate", 8), "the console's proxy closes: no certificate"),
        (UPGRADED, frame(b"RFB 003.008\n\x01\x13"), r"the console's proxy offers \[19\]"),
    ],
)
def test_a_proxy_that_shows_nothing_is_told(
    tls: ssl.SSLContext, tmp_path: Path, answer: bytes, frames: bytes, said: str
) -> None:
    with (
        server(proxy(tls, answer, frames, [])) as port,
        pytest.raises(vnc.VncError, match=said),
    ):
        vnc.through_proxy(f"https://127.0.0.1:{port}/vnc_lite.html?token=abc", str(tmp_path / "ca.pem"))
