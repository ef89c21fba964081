"""Floating addresses that lead to servers by name, and those that are taken over by their address."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.api import Cloud
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.faces.export import Choice, Exporter, render
from ansible_collections.stackwright.cloud.tests.reading import read
from ansible_collections.stackwright.cloud.tests.unit.cloud.test_lives import EXTERNAL
from ansible_collections.stackwright.cloud.tests.unit.cloud_types.conftest import Desk, desk

__all__ = ["desk"]
INSIDE: dict[str, Any] = {
    "networks": [*EXTERNAL["networks"], "a", "b"],
    "subnets": [*EXTERNAL["subnets"], {"name": "a", "network": "a", "cidr": "10.8.0.0/24"},
                {"name": "b", "network": "b", "cidr": "10.8.1.0/24"}],
    "routers": [{"name": "r", "external_network": "outside", "interfaces": ["a", "b"]}],
}  # fmt: skip


def server(name: str, *networks: str) -> dict[str, Any]:
    return {"name": name, "flavor": "small", "image": "debian", "networks": [{"network": one} for one in networks]}


def document(servers: list[dict[str, Any]], **address: Any) -> dict[str, Any]:
    return {**INSIDE, "servers": servers, "floating_ips": [{"name": "web", "network": "outside", **address}]}


def port_of(desk: Desk, name: str, network: str) -> dict[str, Any]:
    ident = desk.one("server", name=name)["id"]
    return desk.one("port", device_id=ident, network_id=desk.one("network", name=network)["id"])


def test_an_address_leads_to_a_server_by_its_name(desk: Desk) -> None:
    wanted = document([server("web1", "a"), server("web2", "a")], server="web1")
    desk.run(wanted)
    assert desk.one("floating_ip")["port_id"] == port_of(desk, "web1", "a")["id"]
    assert desk.run(wanted)["changes"] == []
    moved = document([server("web1", "a"), server("web2", "a")], server="web2")
    assert desk.run(moved, check=True)["changes"] == ["update floating ip web: server web1 -> web2"]
    desk.run(moved)
    assert desk.one("floating_ip")["port_id"] == port_of(desk, "web2", "a")["id"]
    freed = document([server("web1", "a"), server("web2", "a")], server="")
    desk.run(freed)
    assert desk.one("floating_ip")["port_id"] is None
    assert desk.run(freed)["changes"] == []


def test_all_goes_in_one_run_and_the_role_that_the_login_needs_last(desk: Desk) -> None:
    wanted = {
        "defaults": {"project": "web"},
        "projects": ["web"],
        "role_assignments": [{"role": "admin", "user": "admin", "project": "web"}],
        **document([server("web1", "a", "b")], server="web1", server_network="b"),
    }
    desk.run(wanted)
    gone = desk.run(wanted, state="absent")
    # Ports of the server and the router go with these.
    assert "delete project web (leaves behind 1 security group)" in gone["changes"]
    removals = [call.path for call in desk.cloud.calls if call.method == "DELETE"]
    assert not desk.cloud.find("server") and not desk.cloud.find("floating_ip")
    server_gone = next(number for number, path in enumerate(removals) if "/servers/" in path)
    role_gone = next(number for number, path in enumerate(removals) if "/roles/" in path)
    assert server_gone < role_gone
    assert desk.run(wanted, state="absent")["changes"] == []


def test_the_network_or_the_address_says_which_interface(desk: Desk) -> None:
    both = [server("web1", "a", "b")]
    error = desk.refuse(document(both, server="web1"))
    assert (error["path"], "has 2 interfaces" in error["cause"]) == ("floating_ips[0].server", True)
    assert "server_network or fixed_ip" in error["mend"] and not desk.cloud.find("server")
    wanted = document(both, server="web1", server_network="b")
    desk.run(wanted)
    assert desk.one("floating_ip")["port_id"] == port_of(desk, "web1", "b")["id"]
    assert desk.run(wanted)["changes"] == []
    other = document(both, server="web1", server_network="a")
    assert desk.run(other)["changes"] == ["update floating ip web: server_network b -> a"]
    assert desk.one("floating_ip")["port_id"] == port_of(desk, "web1", "a")["id"]
    inner = port_of(desk, "web1", "b")["fixed_ips"][0]["ip_address"]
    by_address = document(both, server="web1", fixed_ip=inner)
    desk.run(by_address)
    assert desk.one("floating_ip")["fixed_ip_address"] == inner
    assert desk.run(by_address)["changes"] == []
    # A server that the document does not have is looked at, too.
    error = desk.refuse({**INSIDE, "floating_ips": [{"name": "web", "network": "outside", "server": "web1"}]})
    assert "The server web1 has 2 interfaces." in error["cause"]


def test_a_server_without_an_interface_is_told(desk: Desk) -> None:
    error = desk.refuse(document([server("web1")], server="web1"))
    assert (error["path"], "has no interface" in error["cause"]) == ("floating_ips[0]", True)


def test_an_address_of_a_server_that_is_still_being_made_waits_for_its_interface(desk: Desk) -> None:
    desk.cloud.polls_until_ready = 2
    wanted = document([server("web1", "a")], server="web1")
    desk.run(wanted, wait=False)
    assert desk.one("floating_ip")["port_id"] == port_of(desk, "web1", "a")["id"]


@pytest.mark.parametrize(
    ("address", "key"),
    [({"server": "web1", "port": "p"}, "server"), ({"server_network": "a"}, "server_network"),
     ({"server_id": "web1"}, "server_id"), ({"server": "web2"}, "server")],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_before_anything_is_made(desk: Desk, address: dict[str, Any], key: str) -> None:
    error = desk.refuse(document([server("web1", "a")], **address))
    assert error["path"] == f"floating_ips[0].{key}"
    assert not desk.cloud.find("server")


def test_an_export_names_the_server_where_the_port_is_its_own(desk: Desk) -> None:
    desk.run(document([server("web1", "a", "b")], server="web1", server_network="b"), owner="")
    found = Exporter(Cloud(desk.login, sleep=lambda _: None), Choice()).export()
    (address,) = found.document["floating_ips"]
    assert (address["server"], address["server_network"], "port" in address) == ("web1", "b", False)
    assert desk.run(read(render(found))["cloud_state_document"], owner="")["changes"] == []


def by_hand(desk: Desk, **more: Any) -> dict[str, Any]:
    """An address that somebody allocated without a document."""
    return desk.cloud.put("floating_ip", floating_network_id=desk.one("network", name="outside")["id"], description="",
                          floating_ip_address="203.0.113.55", project_id=desk.cloud.admin_project, **more)  # fmt: skip


def test_a_free_address_is_taken_over(desk: Desk) -> None:
    desk.run(INSIDE)
    held = by_hand(desk)
    wanted = document([server("web1", "a")], address="203.0.113.55", server="web1")
    planned = desk.run(wanted, check=True)
    (line,) = [line for line in planned["changes"] if "floating" in line]
    assert line == "update floating ip web: name  -> web, server  -> web1"
    desk.run(wanted)
    found = desk.one("floating_ip")
    assert (found["id"], found["description"], found["port_id"]) == (
        held["id"],
        "web",
        port_of(desk, "web1", "a")["id"],
    )
    assert desk.run(wanted)["changes"] == []
    # It was there before the document, so pruning leaves it.
    pruned = desk.run({"roles": ["reader"], **INSIDE}, prune="owned")
    assert not [line for line in pruned["changes"] if "floating" in line]


@pytest.mark.parametrize(
    ("more", "why"),
    [({"port_id": "x"}, "leads to port x"), ({"tags": ["stackwright-owner=other"]}, "another document made it"),
     ({"project_id": "x"}, "in another project")],
)  # fmt: skip
def test_an_address_that_is_not_free_is_refused_with_the_way_out(desk: Desk, more: dict[str, Any], why: str) -> None:
    desk.run(INSIDE)
    held = by_hand(desk)
    held |= more
    error = desk.refuse(document([], address="203.0.113.55"))
    assert error["path"] == "floating_ips[0].address"
    assert why in error["cause"]
    assert ("another project" in why) != (f"id: {held['id']}" in error["mend"])
