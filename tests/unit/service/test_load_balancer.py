"""What HAProxy and keepalived are told, and what is said of the servers behind them."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.tests.role_variables import component

HAPROXY, KEEPALIVED = "/etc/haproxy/haproxy.cfg", "/etc/keepalived/keepalived.conf"
CHECK = "/usr/local/lib/stackwright/load-balancer-check"
HOSTS = {f"controller{number}": f"192.0.2.1{number}" for number in (1, 2, 3)}
GIVEN: dict[str, Any] = {
    "loadbalancer_members": HOSTS,
    "loadbalancer_apis": [{"name": "glance", "port": 9292, "health": "/healthcheck", "servers": HOSTS}],
    "loadbalancer_database_servers": HOSTS,
    "loadbalancer_dashboard_servers": {},
    "stackwright_internal_address": "192.0.2.10",
    "stackwright_public_address": "192.0.2.20",
}
DASHBOARD = {"name": "panel", "port": 8443, "servers": HOSTS, "redirect_from": 80, "strict_transport_seconds": 600}


def balancer(**more: Any) -> dict[str, Any]:
    return component("loadbalancer", "loadbalancer", **{**GIVEN, **more})


def section(name: str, **more: Any) -> list[str]:
    """The lines of one section of HAProxy's configuration."""
    text = balancer(**more)["files"][HAPROXY]["content"]
    found = re.search(rf"^{name}\n(.*?)(?:^\S|\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"{name} is not in:\n{text}"
    return [line.strip() for line in found[1].splitlines() if line.strip()]


def test_servers_are_asked_over_tls_by_their_names() -> None:
    lines = section("backend glance")
    assert "http-check send meth GET uri /healthcheck ver HTTP/1.1 hdr Host 192.0.2.10" in lines
    assert "timeout server 600s" in lines
    assert [line.split()[1:3] for line in lines if line.startswith("server ")] == [
        [name, f"{address}:9292"] for name, address in HOSTS.items()
    ]
    assert all(f"verifyhost {line.split()[1]}" in line for line in lines if line.startswith("server "))
    (default,) = [line for line in section("defaults") if line.startswith("default-server")]
    assert "check-ssl ssl verify required ca-file /etc/ssl/stackwright/ca.pem" in default
    assert "slowstart 10s" in default


def test_each_address_is_served_and_what_clients_say_of_their_way_is_dropped_first() -> None:
    lines = section("frontend glance")
    assert [line.split()[1] for line in lines if line.startswith("bind")] == ["192.0.2.10:9292", "192.0.2.20:9292"]
    dropped = [number for number, line in enumerate(lines) if "del-header" in line]
    set_there = [number for number, line in enumerate(lines) if "set-header X-Forwarded" in line]
    assert len(dropped) == 4
    assert max(dropped) < min(set_there)
    assert "option forwardfor" in lines


def test_who_asks_too_much_is_told_where_a_limit_is_set() -> None:
    assert not [line for line in section("frontend glance") if "429" in line]
    limited = section("frontend glance", loadbalancer_request_limits={"glance": 50})
    assert "http-request deny deny_status 429 if { sc_http_req_rate(0) gt 50 }" in limited


def test_clear_text_leads_to_the_dashboard_over_tls_and_browsers_are_told_to_stay_there() -> None:
    more = {"loadbalancer_frontends": [DASHBOARD]}
    assert "http-request redirect location https://192.0.2.20:8443%[pathq] code 301" in section(
        "frontend panel-clear", **more
    )
    assert 'http-response set-header Strict-Transport-Security "max-age=600"' in section("frontend panel", **more)


def test_writes_go_to_one_database_at_a_time() -> None:
    servers = [line for line in section("listen database") if line.startswith("server ")]
    assert [line.endswith("backup") for line in servers] == [False, True, True]
    assert all("port 9200" in line for line in servers)
    (alone,) = [
        line
        for line in section("listen database", loadbalancer_database_servers={"controller1": "192.0.2.11"})
        if line.startswith("server ")
    ]
    assert "9200" not in alone


def test_one_address_is_one_router_and_a_host_that_comes_back_takes_nothing() -> None:
    text = balancer(inventory_hostname="controller2", ansible_host="192.0.2.12")["files"][KEEPALIVED]["content"]
    assert re.findall(r"virtual_router_id (\d+)", text) == ["51", "52"]
    assert re.findall(r"192.0.2.\d0/32", text) == ["192.0.2.10/32", "192.0.2.20/32"]
    assert text.count("nopreempt") == 2
    assert "advert_int 0.3\n" in text
    peers = re.search(r"unicast_peer \{(.*?)\}", text, re.DOTALL)
    assert peers
    assert peers[1].split() == ["192.0.2.11", "192.0.2.13"]


def test_new_configuration_and_certificates_are_taken_by_a_reload() -> None:
    files = balancer()["files"]
    for path in (HAPROXY, "/etc/haproxy/stackwright/certificate.pem", "/etc/haproxy/stackwright/key.pem"):
        assert files[path]["reloads"] == ["haproxy"]
        assert "units" not in files[path]
    assert files[HAPROXY]["validate"][-1] == "%s"


STAT = "# pxname,svname,scur,status\nglance,FRONTEND,0,OPEN\n{}glance,BACKEND,0,UP\n"


@pytest.mark.parametrize(
    ("states", "status", "said"),
    [
        (("UP", "UP", "UP"), 0, "3 servers of 1 back ends answer"),
        (("UP", "DOWN", "UP 1/2"), 3, "glance: controller2 does not answer"),
        (("DOWN", "DOWN 1/2", "MAINT"), 1, "no server answers behind glance"),
    ],
)
def test_back_ends_are_told_by_the_servers_that_answer(
    tmp_path: Path, states: tuple[str, ...], status: int, said: str
) -> None:
    rows = "".join(f"glance,controller{number},0,{state}\n" for number, state in enumerate(states, 1))
    path = f"{tmp_path}/s"
    script = tmp_path / "check"
    script.write_text(balancer()["files"][CHECK]["content"].replace("/run/haproxy/admin.sock", path))

    def answer() -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(100)
            connection.sendall(STAT.format(rows).encode())

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        thread = threading.Thread(target=answer)
        thread.start()
        done = subprocess.run(["python3", "-I", str(script)], capture_output=True, text=True, check=False)
        thread.join()
    assert (done.returncode, (done.stderr or done.stdout).strip()) == (status, said)
    os.unlink(path)
    silent = subprocess.run(["python3", "-I", str(script)], capture_output=True, text=True, check=False)
    assert (silent.returncode, "does not answer on its socket" in silent.stderr) == (1, True)
