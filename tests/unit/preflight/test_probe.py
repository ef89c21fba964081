"""The probe reports what is really there. It runs on the machine of the tests, or reads files that a test provides."""

from __future__ import annotations

import datetime
import http.server
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.pki import authority
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight import probe
from ansible_collections.stackwright.cloud.tests.stand_ins import Said, StandIns


@pytest.fixture
def server() -> Iterator[int]:
    """The port of a web server that knows /debian/dists/trixie/InRelease and nothing else."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            known = {"/debian/dists/trixie/InRelease": 200, "/closed/dists/trixie/InRelease": 403}
            self.send_response(known.get(self.path, 404))
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield httpd.server_address[1]
        httpd.shutdown()


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Paths and contents that the probe finds in place of the machine's own files."""
    contents: dict[str, str] = {}
    monkeypatch.setattr(probe, "_read", lambda path: contents.get(path, ""))
    return contents


def test_observation_is_complete_and_travels_as_json() -> None:
    seen = json.loads(json.dumps(probe.observe({})))
    assert seen["hostname"] == socket.gethostname()
    assert seen["user"] == os.geteuid()
    assert abs(seen["time"] - time.time()) < 5
    assert seen["memory_mb"] > 100
    assert seen["disk_free_mb"] > 0
    assert "lo" in seen["interfaces"]
    assert "127.0.0.1" in seen["addresses"]
    assert seen["os"]["ID"]
    assert seen["init"]


def test_listener_is_found_with_address_and_process() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        (found,) = probe.observe({"ports": [port]})["listeners"]
    assert (found["address"], found["port"]) == ("127.0.0.1", port)
    assert found["process"] == Path("/proc/self/comm").read_text(encoding="utf-8").strip()


def test_ports_that_nobody_asked_for_are_not_reported() -> None:
    with socket.create_server(("127.0.0.1", 0)):
        assert probe.observe({"ports": [1]})["listeners"] == []


@pytest.mark.parametrize(
    ("encoded", "address"),
    [
        ("0100007F", "127.0.0.1"),
        ("00000000", "0.0.0.0"),
        ("00000000000000000000000000000000", "::"),
        ("B80D0120000000000000000001000000", "2001:db8::1"),
        ("0000000000000000FFFF00000B00000A", "10.0.0.11"),
    ],
)
def test_addresses_of_the_socket_table_are_decoded(encoded: str, address: str) -> None:
    assert probe._decode(encoded) == address


@pytest.mark.parametrize(
    ("cgroups", "unit"),
    [
        ("0::/system.slice/mariadb.service", "mariadb"),
        (
            "12:memory:/system.slice/rabbitmq-server.service\n1:name=systemd:/system.slice/rabbitmq-server.service",
            "rabbitmq-server",
        ),
        ("0::/system.slice/system-getty.slice/getty@tty1.service", "getty@tty1"),
        ("0::/user.slice/user-0.slice/user@0.service/app.slice/server.service", "server"),
        ("0::/user.slice/user-0.slice/session-1.scope", ""),
    ],
)
def test_unit_is_read_from_the_control_groups(cgroups: str, unit: str) -> None:
    assert probe._unit(cgroups) == unit


def test_memory_is_what_the_control_group_leaves(files: dict[str, str]) -> None:
    files["/proc/meminfo"] = "MemTotal:       16384000 kB\nMemFree: 1 kB\n"
    assert probe._memory_mb() == 16000
    files["/sys/fs/cgroup/memory.max"] = "max\n"
    assert probe._memory_mb() == 16000
    files["/sys/fs/cgroup/memory.max"] = str(4 * 2**30)
    assert probe._memory_mb() == 4096


def test_peers_and_names_are_tried() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            refused = closed.getsockname()[1]
            seen = probe.observe(
                {
                    "peers": [{"address": "127.0.0.1", "port": port}, {"address": "127.0.0.1", "port": refused}],
                    "names": ["localhost", "no-such-host.invalid"],
                }
            )
    assert seen["peers"] == [{"reason": "", "refused": False}, {"reason": "connection refused", "refused": True}]
    assert seen["names"]["localhost"] is True
    assert seen["names"]["no-such-host.invalid"] is False


def test_package_sources_are_asked_for_their_release_files(server: int) -> None:
    base = f"http://127.0.0.1:{server}"
    lines = [
        f"deb {base}/debian trixie main",
        f"deb [signed-by=/k] {base}/debian sid main",
        f"deb {base}/closed trixie main",
    ]
    seen = probe.observe({"mirror": True, "sources": lines, "timeout": 5})["mirrors"]
    mine = {url: asked for url, asked in seen.items() if url.startswith(base)}
    assert mine == {
        f"{base}/debian/dists/trixie/InRelease": {"reason": "", "answered": True},
        f"{base}/debian/dists/sid/InRelease": {"reason": "HTTP status 404", "answered": True},
        f"{base}/closed/dists/trixie/InRelease": {"reason": "", "answered": True},
    }


def test_silent_package_source_is_given_up_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, never answers
        begun = time.monotonic()
        asked = probe._ask(f"http://127.0.0.1:{silent.getsockname()[1]}/dists/x/InRelease", 0.3)
    assert asked == {"reason": "no answer within 0.3 seconds", "answered": False}
    assert time.monotonic() - begun < 3


def test_sources_in_both_formats_are_read(files: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    files["/etc/apt/sources.list"] = (
        "# deb http://no/ a main\ndeb http://one/debian trixie main\ndeb-src http://src/ x main\n"
    )
    files["/d/two.sources"] = (
        "Types: deb deb-src\nURIs: http://two/debian/\n https://three/debian\nSuites: trixie trixie-updates\n"
        "Components: main\n\n"
        "Types: deb\nURIs: http://off/\nSuites: x\nEnabled: no\n\n"
        "# a remark\nTypes: deb\nURIs: file:///srv/repository\nSuites: ./\n"
    )
    monkeypatch.setattr(probe, "_glob", lambda _, pattern: ["/d/two.sources"] if pattern == "*.sources" else [])
    assert probe._mirrors([]) == [
        "file:///srv/repository/InRelease",
        "http://one/debian/dists/trixie/InRelease",
        "http://two/debian/dists/trixie-updates/InRelease",
        "http://two/debian/dists/trixie/InRelease",
        "https://three/debian/dists/trixie-updates/InRelease",
        "https://three/debian/dists/trixie/InRelease",
    ]


@pytest.mark.parametrize("said", [b"SSH-2.0-OpenSSH_10.0\r\n", b"", b"HTTP/1.1 abc\r\n\r\n"])
def test_mirror_that_speaks_something_else_is_told_and_nothing_else_lost(said: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            link, _ = listener.accept()
            with link:
                link.recv(4096)
                link.sendall(said)

        threading.Thread(target=serve, daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/debian"
        seen = probe.observe({"mirror": True, "sources": [f"deb {url} trixie main"], "timeout": 5})
    assert seen["mirrors"][f"{url}/dists/trixie/InRelease"]["reason"] and seen["hostname"]


def test_address_that_is_none_is_told() -> None:
    assert probe._ask("http://mirror:port/debian", 1)["reason"] == "no HTTP answer (InvalidURL)"


def test_stanza_with_an_empty_field_is_read(files: dict[str, str]) -> None:
    assert probe._stanza("Types: deb\nEnabled:\nURIs: http://m/debian/\nSuites: trixie ./\n") == {
        "http://m/debian/dists/trixie/InRelease", "http://m/debian/InRelease",
    }  # fmt: skip


def test_addresses_are_found_without_iproute2(files: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    files["/proc/net/fib_trie"] = (
        "           |-- 192.0.2.7\n              /32 host LOCAL\n           |-- 192.0.2.0\n             "
        " /24 link UNICAST\n"
    )

    def missing(*words: object, **more: object) -> None:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr("subprocess.run", missing)
    assert probe._addresses() == [["", "192.0.2.7"]]
    assert probe._proxy("http") is None


def test_what_the_machine_does_not_show_is_absent() -> None:
    assert probe._glob("/proc/self/environ/x", "*") == []
    assert probe._disk_free_mb("/no/such/place") == 0
    assert not probe._resolve("no-such-host.invalid") and not probe._resolve("a" * 300)


def test_units_and_modules_are_those_of_this_machine(files: dict[str, str]) -> None:
    assert probe._unit("0::/user.slice/user@0.service/app.slice\n1:name=systemd:/system.slice/ssh.service\n") == "ssh"
    assert probe._unit("0::/\n") == ""
    release = os.uname().release
    files[f"/lib/modules/{release}/modules.builtin"] = "kernel/net/openvswitch/no-such-here.ko\n"
    assert probe._has_module("no-such-here") and not probe._has_module("nor-this")


def test_addresses_stand_with_their_interfaces_and_default_routes_are_known(
    files: dict[str, str], stand_ins: StandIns
) -> None:
    stand_ins.add(
        "ip",
        Said(
            "1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever\n"
            "2: eth0@if7    inet 10.0.0.5/24 brd 10.0.0.255 scope global eth0\\       valid_lft forever\n"
            "3: bond0.100    inet6 fd00::5/64 scope global \\       valid_lft forever\n"
        ),
    )
    assert probe._addresses() == [["bond0.100", "fd00::5"], ["eth0", "10.0.0.5"], ["lo", "127.0.0.1"]]
    files["/proc/net/route"] = (
        "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
        "eth0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        "eth1\t0000000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
    )
    assert probe._default_routes() == ["eth0"]


def test_cloud_init_that_writes_the_hosts_file_is_noticed(tmp_path: Path) -> None:
    root = str(tmp_path)
    assert probe._hosts_rewritten(root) == ""
    directory = tmp_path / "etc" / "cloud" / "cloud.cfg.d"
    directory.mkdir(parents=True)
    (directory.parent / "cloud.cfg").write_text("users: []\nmanage_etc_hosts: true\n")
    assert probe._hosts_rewritten(root) == str(directory.parent / "cloud.cfg")
    # the last word counts
    (directory / "10-site.cfg").write_text("manage_etc_hosts: false\n")
    assert probe._hosts_rewritten(root) == ""
    (directory / "20-vendor.cfg").write_text("manage_etc_hosts: 'template'\n")
    assert probe._hosts_rewritten(root) == str(directory / "20-vendor.cfg")
    (directory.parent / "cloud-init.disabled").touch()
    assert probe._hosts_rewritten(root) == ""


def test_daemons_of_services_whose_files_were_written_here_are_seen(files: dict[str, str], stand_ins: StandIns) -> None:
    stand_ins.add("systemctl", lambda call: Said("inactive\n" if call.words[-1] == "tide-worker" else "active\n"))
    files["/etc/tide.conf"] = "# Written by Stackwright. Change it through the inventory.\n"
    files["/etc/web.conf"] = "# somebody's own\n"
    one = {"units": ["tide-api", "tide-worker"], "files": ["/etc/none", "/etc/tide.conf"]}
    others = {"tide.tide": one, "web.web": {"units": ["web"], "files": ["/etc/web.conf"]}}
    assert probe._running(others) == {"tide.tide": ["tide-api"]}
    assert probe._running({"tide.tide": one | {"units": ["tide-worker"]}}) == {}


def test_authorities_that_the_host_trusts_are_read_as_the_inventory_knows_them(tmp_path: Path) -> None:
    now = datetime.datetime.now(datetime.UTC)
    known = authority.joined(authority.new(now), now)
    path = tmp_path / "ca.pem"
    assert probe._authorities(str(path)) == []
    path.write_text("nonsense\n-----BEGIN CERTIFICATE-----\n=\n-----END CERTIFICATE-----\n" + "".join(known.pems))
    assert probe._authorities(str(path))[-2:] == [authority.fingerprint(one.certificate) for one in known.trusted]
