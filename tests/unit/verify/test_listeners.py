"""What is open and must not be: judged by the kernel's sockets and by connections that are refused."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.host import sockets
from ansible_collections.stackwright.cloud.plugins.module_utils.service import filter_host
from ansible_collections.stackwright.cloud.plugins.module_utils.verify import listeners
from ansible_collections.stackwright.cloud.plugins.modules import listeners as module

EXPECTED = [
    {"name": "MariaDB", "ports": [[3306, 3306]], "protocol": "tcp", "addresses": ["10.0.0.11"], "unit": "mariadb"},
    {"name": "name service", "ports": [[4369, 4369]], "protocol": "tcp", "addresses": ["127.0.0.1"], "unit": ""},
    {"name": "consoles", "ports": [[5900, 6923]], "protocol": "tcp", "addresses": [], "unit": "", "process": "qemu"},
]


def listener(port: int, address: str = "10.0.0.11", **more: Any) -> dict[str, Any]:
    return {"protocol": "tcp", "address": address, "port": port, "pid": "7", "process": "x", "unit": "", **more}


@pytest.mark.parametrize(
    "found",
    [
        listener(3306, process="mariadbd", unit="mariadb"),
        listener(4369, "127.0.0.1", process="epmd", unit="epmd"),
        listener(5901, process="qemu-system-x86", unit="machine-qemu"),
        listener(22, "0.0.0.0", process="sshd", unit="ssh"),
        listener(2222, "::", process="systemd", pid="1", socket="ssh"),
        listener(3306, process="", unit=""),
    ],
)
def test_services_listen_where_their_specifications_say(found: dict[str, Any]) -> None:
    assert listeners.complaint(found, EXPECTED) == ""


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (
            listener(6640, "127.0.0.1", process="ovsdb-server", unit="ovsdb-server"),
            "ovsdb-server (unit ovsdb-server) listens on 127.0.0.1 port 6640/tcp: no specification names it."
            " If it is not wanted: systemctl disable --now ovsdb-server; if it is, name it in base_listeners",
        ),
        (
            listener(4369, "::", process="epmd", unit="epmd"),
            "listens on [::] port 4369/tcp: name service is to listen on 127.0.0.1 alone. Run site.yml",
        ),
        (listener(3306, process="nc", unit="backdoor"), "the port is that of MariaDB (unit mariadb)"),
        (listener(3306, protocol="udp"), "no specification names it"),
        (listener(8080, process="systemd", pid="1", socket="cockpit"), "systemd (unit cockpit.socket) listens on"),
    ],
)
def test_listener_that_nobody_named_is_told_with_process_unit_and_what_to_do(found: dict[str, Any], said: str) -> None:
    assert said in listeners.complaint(found, EXPECTED)
    assert len(listeners.complaints([found, found], EXPECTED)) == 1


def test_sockets_of_this_process_are_found_in_the_kernels_tables() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.bind(("127.0.0.1", 0))  # as a client's: the kernel gave the port
        port = server.getsockname()[1]
        found = {(one["protocol"], one["port"]): one for one in sockets.listeners()}
        assert found["tcp", port]["address"] == "127.0.0.1" and found["tcp", port]["pid"] == str(os.getpid())
        assert ("udp", client.getsockname()[1]) not in found


@pytest.mark.parametrize(
    ("outcome", "said"),
    [("EACCES", ""), ("", "nobody is let in at"), ("ECONNREFUSED", "is not refused for want of rights (ECONNREFUSED)")],
)
def test_socket_that_lets_nobody_in_is_told(tmp_path: Path, outcome: str, said: str) -> None:
    path = tmp_path / "libvirt-sock"
    path.touch()
    told, tried = listeners.socket_complaints(
        [{"name": "libvirt", "path": str(path)}, {"name": "libvirt", "path": str(tmp_path / "not-here")}],
        lambda account, name: outcome,
    )
    assert tried == 1 and (said in told[0] if said else not told)


def test_account_that_needs_a_socket_must_get_in(tmp_path: Path) -> None:
    path = tmp_path / "libvirt-sock"
    path.touch()
    given = [{"name": "libvirt", "path": str(path), "accounts": ["root", "no-such-account"]}]
    told, _ = listeners.socket_complaints(given, lambda account, name: "EACCES")
    assert told == [f"root is not let in at {path} (libvirt): EACCES. See the modes of the socket and its directory"]
    assert listeners.socket_complaints(given, lambda account, name: "EACCES" if account == "nobody" else "")[0] == []


def test_local_port_that_lets_nobody_in_is_told() -> None:
    given = [{"name": "memcached", "path": "127.0.0.1:11211", "accounts": ["root"]}]
    told, tried = listeners.socket_complaints(given, lambda account, name: "")
    assert tried == 1 and told == [
        "nobody is let in at 127.0.0.1:11211 (memcached), so any account of this host is. Run base.yml, and see "
        "nft list table inet stackwright"
    ]
    (told_of_root,), _ = listeners.socket_complaints(given, lambda account, name: "ECONNREFUSED")
    assert told_of_root.startswith("root is not let in at 127.0.0.1:11211 (memcached): ECONNREFUSED. See nft list")
    refused = {"nobody": "ECONNREFUSED"}
    assert listeners.socket_complaints(given, lambda account, name: refused.get(account, ""))[0] == []


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming nobody takes root")
def test_local_port_is_asked_as_the_account() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert listeners.connect_as("nobody", f"127.0.0.1:{port}") == ""
    assert listeners.connect_as("nobody", f"127.0.0.1:{port}") == "ECONNREFUSED"


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming nobody takes root")
def test_rights_of_a_socket_decide_and_not_the_directorys(tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = Path("/run") / f"stackwright-test-{os.getpid()}"
    directory.mkdir(mode=0o755)
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(directory / "s"))
            server.listen()
            (directory / "s").chmod(0o660)
            assert listeners.connect_as("nobody", str(directory / "s")) == "EACCES"
            (directory / "s").chmod(0o666)
            assert listeners.connect_as("nobody", str(directory / "s")) == ""
    finally:
        (directory / "s").unlink()
        directory.rmdir()


CLOSED = [
    {"host": "controller1", "name": "MariaDB", "address": "10.0.0.11", "port": 3306, "sources": ["10.0.0.11/32"]},
    {
        "host": "controller1",
        "name": "RabbitMQ",
        "address": "10.0.0.11",
        "port": 5672,
        "sources": ["10.0.0.11/32", "10.0.0.99/32"],
    },
]


def test_closed_ports_are_tried_and_members_are_left_out() -> None:
    assert listeners.strangers(CLOSED, 1, lambda *_: ("no answer", "10.0.0.1")) == ([], 2, 0)
    told, tried, rightly = listeners.strangers(CLOSED, 1, lambda *_: ("", "10.0.0.99"))
    assert (tried, rightly) == (1, 1)
    assert told[0].startswith(
        "MariaDB of controller1 (10.0.0.11 port 3306) takes connections from 10.0.0.99, which is no member"
    )


def test_a_connection_that_comes_about_is_seen_and_a_refused_one_too() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert listeners.reach("127.0.0.1", port, 1) == ("", "127.0.0.1")
    assert listeners.reach("127.0.0.1", port, 1) == (os.strerror(errno.ECONNREFUSED), "127.0.0.1")


def test_row_names_the_first_problems_and_counts_the_rest() -> None:
    row = listeners.row("Effect-Listeners", "base", "t", "12 listeners", [f"p{n}" for n in range(10)], "controller1")
    assert row.status == "failed" and row.cause.endswith("p7; and 2 more")
    assert listeners.row("Effect-Listeners", "base", "t", "v", [], "h").status == "passed"


def test_module_gives_a_row_for_each_kind_of_proof(run_module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filter_host, "complaints", lambda wanted: [] if wanted else ["still loaded"])
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        closed = {"host": "c", "name": "x", "address": "127.0.0.1", "port": port, "sources": ["192.0.2.0/24"]}
        mine = {"name": "test", "ports": [[1, 65535]], "protocol": "tcp", "addresses": [], "unit": ""}
        found = run_module(
            module, host="h", expected=[mine, {**mine, "protocol": "udp"}], sockets=[], filter=True, closed=[closed]
        )
        assert [(one["check"], one["status"]) for one in found["rows"]] == [
            ("Effect-Listeners", "passed"), ("Effect-Filter", "passed"), ("Effect-Strangers", "failed"),
        ]  # fmt: skip
        assert len(found["problems"]) == 1
        stranger = run_module(module, host="h", expected=[])
        assert any(f"port {port}/tcp: no specification names it" in text for text in stranger["problems"])


def test_sockets_that_systemd_holds_are_named_after_their_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    told = "Id=cockpit.socket\nListen=[::]:9090 (Stream)\n\nId=epmd.socket\nListen=127.0.0.1:4369 (Stream)\n"
    monkeypatch.setattr(filter_host, "run", lambda command: (0, told, ""))
    found = filter_host.named([listener(9090, "::", pid="1", process="systemd"), listener(4369, "127.0.0.1", pid="1")])
    assert [one["socket"] for one in found] == ["cockpit", "epmd"]
    assert filter_host.named([listener(1)]) == [listener(1)]
