"""What a run tells later tasks: identifiers and what the services gave, by type and name, in a run that changes nothing
too."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.types.server import SERVER
from ansible_collections.stackwright.cloud.tests.unit.cloud.test_floating import INSIDE, server
from ansible_collections.stackwright.cloud.tests.unit.cloud_types.conftest import Desk, desk

__all__ = ["desk"]
DOCUMENT: dict[str, Any] = {
    **INSIDE,
    "ports": [{"name": "p", "network": "b"}, {"name": "twin", "network": "a"}, {"name": "twin", "network": "b"}],
    "servers": [
        {**server("web1", "a"), "networks": [{"network": "a"}, {"port": "p"}]},
        server("web2", "a"),
    ],
    "floating_ips": [
        {"name": "one", "network": "outside", "port": "p"},
        {"name": "two", "network": "outside", "server": "web2"},
        {"name": "free", "network": "outside"},
    ],
    "application_credentials": [{"name": "robot", "secret": "s3cret"}],
}  # fmt: skip


def test_a_run_tells_what_later_tasks_need_whether_it_changes_anything_or_not(desk: Desk) -> None:
    made = desk.run(DOCUMENT)["resources"]
    again = desk.run(DOCUMENT)
    assert (again["changed"], again["resources"]) == (False, made)
    for kind, name in (("server", "web1"), ("network", "a"), ("router", "r"), ("port", "p")):
        assert made[f"{kind}s"][name]["id"] == desk.one(kind, name=name)["id"]
    port = desk.one("port", name="p")
    assert made["ports"]["p"]["fixed_ips"] == [ip["ip_address"] for ip in port["fixed_ips"]]
    assert made["ports"]["p"]["mac_address"] == port["mac_address"]
    addresses = {one["description"]: one["floating_ip_address"] for one in desk.cloud.all("floating_ip")}
    assert {name: one["address"] for name, one in made["floating_ips"].items()} == addresses
    web1, web2 = made["servers"]["web1"], made["servers"]["web2"]
    assert set(web1["addresses"]) == {"a", "b"} and web1["addresses"]["b"] == made["ports"]["p"]["fixed_ips"]
    assert (web1["floating_addresses"], web2["floating_addresses"]) == ([addresses["one"]], [addresses["two"]])
    gateway = desk.one("router", name="r")["external_gateway_info"]["external_fixed_ips"]
    assert made["routers"]["r"]["external_addresses"] == [ip["ip_address"] for ip in gateway]
    assert (made["subnets"]["a"]["cidr"], made["subnets"]["a"]["gateway_ip"]) == ("10.8.0.0/24", "10.8.0.1")
    assert made["networks"]["a"]["network_type"] == "geneve"
    # One name does not tell these apart, so all do.
    assert {"twin a", "twin b"} < set(made["ports"]) and "twin" not in made["ports"]
    assert made["application_credentials"]["robot"].keys() == {"id"}


def test_an_address_that_moves_is_told_of_the_server_that_has_it_then(desk: Desk) -> None:
    desk.run(DOCUMENT)
    moved = {
        **DOCUMENT,
        "floating_ips": [DOCUMENT["floating_ips"][0], {"name": "two", "network": "outside", "server": ""}],
    }
    servers = desk.run(moved)["resources"]["servers"]
    assert (len(servers["web1"]["floating_addresses"]), servers["web2"]["floating_addresses"]) == (1, [])


def test_a_plan_tells_of_what_is_there_and_leaves_the_rest_empty(desk: Desk) -> None:
    desk.run(INSIDE)
    planned = desk.run(DOCUMENT, check=True)["resources"]
    assert planned["networks"]["a"]["id"] == desk.one("network", name="a")["id"]
    assert planned["servers"]["web1"] == {"id": ""}


def test_addresses_are_those_of_the_ports_where_the_compute_service_is_late() -> None:
    stale = [{"addr": one, "OS-EXT-IPS-MAC:mac_addr": "fa:16:3e:00:00:01"} for one in ("10.8.0.4", "10.8.0.5")]
    raw = {
        "id": "s",
        "addresses": {"a": stale, "b": [{"addr": "10.9.0.4", "OS-EXT-IPS-MAC:mac_addr": "fa:16:3e:00:00:02"}]},
        "(ports)": [{"id": "p", "mac_address": "fa:16:3e:00:00:01", "fixed_ips": [{"ip_address": "10.8.0.6"}]}],
    }
    assert SERVER.tells is not None
    plan: Any = SimpleNamespace(own={"floating_ip": []}, state=SimpleNamespace(by_id={}))
    assert SERVER.tells(raw, plan)["addresses"] == {"a": ["10.8.0.6"], "b": ["10.9.0.4"]}
