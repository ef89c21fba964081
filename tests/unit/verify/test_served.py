"""What a client sees of a server's certificate, and who answers clients that do not encrypt: real servers, real TLS."""

from __future__ import annotations

import contextlib
import datetime
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.pki import authority, leaf
from ansible_collections.stackwright.cloud.plugins.module_utils.verify import health, served
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.security_host import check_clear_text

NOW = datetime.datetime.now(datetime.UTC)
GREETING = b"\x0a11.8.9-MariaDB\x00"
Talk = Callable[[socket.socket], None]


def context(directory: Path, known: authority.Authorities, now: datetime.datetime = NOW) -> ssl.SSLContext:
    issued = leaf.issue(known, "controller1", "/etc/orbit", ["127.0.0.1", "controller1"], leaf.Terms(), now)
    (directory / "ca.pem").write_text("".join(known.pems))
    (directory / "certificate.pem").write_text(issued.certificate)
    (directory / "key.pem").write_text(issued.key)
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    found.load_cert_chain(directory / "certificate.pem", directory / "key.pem")
    return found


@contextlib.contextmanager
def server(talk: Talk) -> Iterator[int]:
    """A server that has this to say to every client; gives its port."""

    def one(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            connection.settimeout(10)
            talk(connection)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=one, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield int(listener.getsockname()[1])


def tls(known: ssl.SSLContext, answer: bytes = b"") -> Talk:
    def talk(connection: socket.socket) -> None:
        with known.wrap_socket(connection, server_side=True) as secure:
            if answer:
                secure.recv(100)
                secure.sendall(answer)
            secure.recv(1)

    return talk


def database(known: ssl.SSLContext, code: int = 3159) -> Talk:
    """MariaDB's part of a greeting: TLS for who asks for it, an error for who does not."""

    def talk(connection: socket.socket) -> None:
        connection.sendall(len(GREETING).to_bytes(3, "little") + b"\x00" + GREETING)
        header = connection.recv(4)
        asked = connection.recv(int.from_bytes(header[:3], "little"))
        if int.from_bytes(asked[:4], "little") & 0x800:
            with known.wrap_socket(connection, server_side=True) as secure:
                secure.recv(1)
        else:
            said = b"\xff" + code.to_bytes(2, "little") + b"#HY000"
            connection.sendall(len(said).to_bytes(3, "little") + b"\x02" + said)

    return talk


def place(directory: Path, port: int, protocol: str = "tls", name: str = "") -> served.Place:
    return served.Place("orbit", "127.0.0.1", port, str(directory / "ca.pem"), name, protocol)


@pytest.mark.parametrize("protocol", ["tls", "https", "mysql"])
def test_days_left_are_counted_and_clear_text_is_refused(tmp_path: Path, protocol: str) -> None:
    known = authority.new(NOW)
    own = context(tmp_path, known)
    with server(database(own) if protocol == "mysql" else tls(own)) as port:
        (seen,) = served.look_at_all([place(tmp_path, port, protocol)])
    assert (seen.cause, seen.days, seen.issuer) == ("", 364, known.issuing.name)
    assert seen.plain() == {
        "service": "orbit",
        "host": "127.0.0.1",
        "port": port,
        "days": 364,
        "issuer": known.issuing.name,
        "cause": "",
    }


def test_another_name_another_authority_and_an_expired_certificate_are_told(tmp_path: Path) -> None:
    with server(tls(context(tmp_path, authority.new(NOW)))) as port:
        cause = served.look(place(tmp_path, port, name="controller2")).cause
        assert "the certificate is not accepted" in cause and "controller2" in cause
        (tmp_path / "ca.pem").write_text(authority.new(NOW).issuing.pem)
        assert "not accepted: unable to get local issuer" in served.look(place(tmp_path, port)).cause
        (tmp_path / "ca.pem").unlink()
        assert "authorities" in served.look(place(tmp_path, port)).cause
    old = NOW - datetime.timedelta(days=500)
    with server(tls(context(tmp_path, authority.new(old), old))) as port:
        assert served.look(place(tmp_path, port)).cause == ("the certificate is not accepted: certificate has expired")


def say(text: bytes) -> Talk:
    def talk(connection: socket.socket) -> None:
        connection.recv(100)
        connection.sendall(text)

    return talk


@pytest.mark.parametrize(
    ("talk", "said"),
    [
        (say(b"\x01\x00\x00 RabbitMQ"), "a client without TLS is answered"),
        (say(b"HTTP/1.1 200 OK"), "a client without TLS is answered: 'HTTP/1.1 200 OK'"),
        (say(b"HTTP/1.1 400 Bad Request"), ""),
        (say(b"\x15\x03\x03"), ""),
        (say(b""), ""),
    ],
)
def test_who_answers_clear_text_is_told(talk: Talk, said: str) -> None:
    with server(talk) as port:
        passed, text = check_clear_text({"host": "127.0.0.1", "port": port, "protocol": "tls"})
    assert passed is not bool(said) and said in text


def test_a_database_that_looks_at_logins_without_tls_is_told(tmp_path: Path) -> None:
    own = context(tmp_path, authority.new(NOW))
    with server(database(own, code=1045)) as port:
        (seen,) = served.look_at_all([place(tmp_path, port, "mysql")])
        assert seen.cause == "a login without TLS is looked at (answer 1045)" and seen.days == 364
    with server(say(b"SSH-2.0-OpenSSH_10.0")) as port:
        assert "no certificate is shown" in served.look(place(tmp_path, port, "mysql")).cause
        assert served.takes_clear_text(place(tmp_path, port, "mysql"))


def test_what_a_database_says_in_place_of_a_greeting_is_told(tmp_path: Path) -> None:
    context(tmp_path, authority.new(NOW))
    said = b"\xff" + (1130).to_bytes(2, "little") + b"Host '192.0.2.1' is not allowed to connect"
    with server(lambda connection: connection.sendall(len(said).to_bytes(3, "little") + b"\x00" + said)) as port:
        cause = served.look(place(tmp_path, port, "mysql")).cause
    assert cause == "no certificate is shown: the server says: Host '192.0.2.1' is not allowed to connect"


def test_a_server_that_is_not_there_shows_none(tmp_path: Path) -> None:
    context(tmp_path, authority.new(NOW))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
    assert served.look(place(tmp_path, port)).cause == "no certificate is shown: Connection refused"


def test_health_of_a_port_is_asked_over_tls_with_chain_and_name(tmp_path: Path) -> None:
    own = context(tmp_path, authority.new(NOW))
    asked = {"send": "hello", "contains": "RabbitMQ", "ca": str(tmp_path / "ca.pem"), "timeout": 5}

    def cause(**more: object) -> str:
        return health.wait_healthy([health.parse_check({**asked, **more})], timeout=0).outcomes[0].cause

    with server(tls(own, b"RabbitMQ")) as port:
        assert cause(port=port) == ""
        assert "not accepted" in cause(port=port, host="localhost")
    with server(say(b"RabbitMQ")) as port:
        assert cause(port=port)


def test_a_server_of_clear_text_pages_is_told_by_an_answer_to_a_request(tmp_path: Path) -> None:
    """It takes the header of another protocol for nonsense, and hangs up on that as one that speaks TLS does."""

    def pages(connection: socket.socket) -> None:
        if connection.recv(100).startswith(b"GET / HTTP/1.0\r\nHost: cloud.example\r\n\r\n"):
            connection.sendall(b"HTTP/1.1 300 Multiple Choices\r\n\r\n")

    with server(pages) as port:
        assert served.takes_clear_text(place(tmp_path, port)) == ""
        said = served.takes_clear_text(place(tmp_path, port, "https", "cloud.example"))
    assert "a client without TLS is answered: 'HTTP/1.1 300 Multiple Choices" in said


def test_health_of_an_api_waits_for_the_certificate_that_is_on_the_disk(tmp_path: Path) -> None:
    known = authority.new(NOW)
    own = context(tmp_path, known)
    shown = tmp_path / "certificate.pem"

    def cause(port: int) -> str:
        given = {"ca": str(tmp_path / "ca.pem"), "certificate": str(shown), "timeout": 5}
        check = health.parse_check({"url": f"https://127.0.0.1:{port}/", **given})
        return health.wait_healthy([check], timeout=0).outcomes[0].cause

    with server(tls(own, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")) as port:
        assert cause(port) == ""
        shown.write_text(leaf.issue(known, "other", "/etc/orbit", ["127.0.0.1"], leaf.Terms(), NOW).certificate)
        assert cause(port) == f"the certificate that is shown is not the one in {shown}"
        shown.write_text("none")
        assert f"the certificate in {shown} cannot be used" in cause(port)
        shown.unlink()
        assert cause(port) == f"the certificate in {shown} cannot be used: No such file or directory"


def mutual(tmp_path: Path, known: authority.Authorities, required: bool = True) -> ssl.SSLContext:
    own = context(tmp_path, known)
    if required:
        own.verify_mode = ssl.CERT_REQUIRED
        own.load_verify_locations(tmp_path / "ca.pem")
    return own


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_who_has_no_certificate_is_refused_by_a_server_whose_clients_show_one(
    tmp_path: Path, version: ssl.TLSVersion
) -> None:
    own = mutual(tmp_path, authority.new(NOW))
    own.maximum_version = version
    with server(tls(own, b'{"result": []}')) as port:
        assert served.takes_too_many(place(tmp_path, port, "mutual")) == ""


def test_a_server_that_answers_a_client_without_a_certificate_is_told(tmp_path: Path) -> None:
    with server(tls(mutual(tmp_path, authority.new(NOW), required=False), b'{"result": []}')) as port:
        (seen,) = served.look_at_all([place(tmp_path, port, "mutual")])
        given = {"host": "127.0.0.1", "port": port, "protocol": "mutual", "ca": str(tmp_path / "ca.pem")}
        passed, said = check_clear_text(given)
    assert seen.cause == "a client without a certificate is answered: '{\"result\": []}'"
    assert (passed, said) == (False, seen.cause)


def test_a_port_is_asked_by_a_certificate_and_has_to_show_the_one_in_the_file(tmp_path: Path) -> None:
    known = authority.new(NOW)
    asked = {"host": "127.0.0.1", "ca": str(tmp_path / "ca.pem"), "send": "?", "contains": "pong"}
    with server(tls(mutual(tmp_path, known), b"pong")) as port:
        shown = {"certificate": str(tmp_path / "certificate.pem")}
        check = health.parse_check({**asked, **shown, "port": port, "client": str(tmp_path)})
        assert health.check_tcp(check, 10) == ""
        assert health.check_tcp(health.parse_check({**asked, "port": port}), 10) != ""
        another = leaf.issue(known, "controller2", "/etc/orbit", ["127.0.0.1"], leaf.Terms(), NOW)
        (tmp_path / "certificate.pem").write_text(another.certificate)
        (tmp_path / "key.pem").write_text(another.key)
        assert health.check_tcp(check, 10) == (
            f"the certificate that is shown is not the one in {tmp_path / 'certificate.pem'}"
        )
