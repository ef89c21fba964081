"""What is given up goes before what takes or removes it, whatever the order of the document."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Desk

RANGES = {"one": "10.77.1.0/24", "two": "10.77.2.0/24", "ext": "198.51.100.0/24", "other": "203.0.113.0/24"}
PLACES: dict[str, list[Any]] = {
    "networks": ["one", "two", {"name": "ext", "external": True}, {"name": "other", "external": True}],
    "subnets": [{"name": name, "network": name, "cidr": block} for name, block in RANGES.items()],
}


def world(**entries: Any) -> dict[str, Any]:
    return {**PLACES, **entries}


def settle(desk: Desk, before: dict[str, Any], after: dict[str, Any], **options: Any) -> list[str]:
    desk.run(before)
    planned = desk.run(after, check=True, **options)["changes"]
    changes: list[str] = desk.run(after, **options)["changes"]
    assert sorted(changes) == sorted(planned)
    assert desk.run(after, **options)["changes"] == []
    return changes


def behind(**more: Any) -> dict[str, Any]:
    return world(
        routers=[{"name": "r", "external_network": "ext", "interfaces": ["one"]}],
        ports=[{"name": name, "network": "one"} for name in "pq"],
        **more,
    )


def test_a_route_leaves_with_the_interface_that_it_needs(desk: Desk) -> None:
    route = {"destination": "10.98.0.0/16", "nexthop": "10.77.2.9"}
    settle(
        desk,
        world(routers=[{"name": "r", "interfaces": ["one", "two"], "routes": [route]}]),
        world(routers=[{"name": "r", "interfaces": ["one"], "routes": []}]),
    )
    settle(
        desk,
        world(routers=[{"name": "r", "interfaces": ["one"], "routes": []}]),
        world(routers=[{"name": "r", "interfaces": ["two"], "routes": [route]}]),
    )


def test_a_gateway_and_interfaces_leave_after_the_floating_addresses(desk: Desk) -> None:
    address = {"name": "f", "network": "ext"}
    settle(
        desk,
        behind(floating_ips=[{**address, "port": "p"}]),
        world(
            routers=[{"name": "r", "external_network": "", "interfaces": []}], floating_ips=[{**address, "port": ""}]
        ),
    )


def test_floating_addresses_are_removed_before_the_router_changes(desk: Desk) -> None:
    settle(
        desk,
        behind(floating_ips=[{"name": "f", "network": "ext", "port": "p"}]),
        world(
            routers=[{"name": "r", "external_network": "", "interfaces": []}],
            floating_ips=[{"name": "f", "state": "absent"}],
        ),
    )


def test_a_network_is_no_longer_external_once_its_router_has_moved(desk: Desk) -> None:
    after = behind()
    after["networks"] = ["one", "two", {"name": "ext", "external": False}, {"name": "other", "external": True}]
    after["routers"] = [{"name": "r", "external_network": "other", "interfaces": ["one"]}]
    settle(desk, behind(), after)


def test_a_subnet_moves_from_router_to_router(desk: Desk) -> None:
    def routers(one: list[str], two: list[str]) -> dict[str, Any]:
        return world(routers=[{"name": "r1", "interfaces": one}, {"name": "r2", "interfaces": two}])

    settle(desk, routers(["one"], ["two"]), routers(["two"], ["one"]))


def test_ports_exchange_their_addresses(desk: Desk) -> None:
    def ports(p: str, q: str) -> dict[str, Any]:
        return world(
            ports=[{"name": n, "network": "one", "fixed_ips": [{"ip_address": a}]} for n, a in (("p", p), ("q", q))]
        )

    settle(desk, ports("10.77.1.20", "10.77.1.21"), ports("10.77.1.21", "10.77.1.20"))


def test_a_new_port_takes_the_address_that_another_gives_up(desk: Desk) -> None:
    first, second = ({"name": n, "network": "one", "fixed_ips": [{"ip_address": "10.77.1.20"}]} for n in "pq")
    moved = {**first, "fixed_ips": [{"ip_address": "10.77.1.30"}]}
    settle(desk, world(ports=[first]), world(ports=[second, moved]))


def test_floating_addresses_exchange_their_ports(desk: Desk) -> None:
    def addresses(a: str, b: str) -> dict[str, Any]:
        return behind(floating_ips=[{"name": n, "network": "ext", "port": p} for n, p in (("a", a), ("b", b))])

    settle(desk, addresses("p", "q"), addresses("q", "p"))


def test_a_subport_moves_from_trunk_to_trunk(desk: Desk) -> None:
    def trunks(one: list[str], two: list[str]) -> dict[str, Any]:
        subports = [[{"port": p, "segmentation_id": 5} for p in ports] for ports in (one, two)]
        return world(
            ports=[{"name": name, "network": "one"} for name in ("t1", "t2", "s")],
            trunks=[{"name": f"t{n}", "port": f"t{n}", "subports": subports[n - 1]} for n in (1, 2)],
        )

    settle(desk, trunks(["s"], []), trunks([], ["s"]))


def test_a_host_moves_from_zone_to_zone(desk: Desk) -> None:
    def zones(a: list[str], b: list[str]) -> dict[str, Any]:
        return {"aggregates": [{"name": n, "availability_zone": n, "hosts": h} for n, h in (("a", a), ("b", b))]}

    settle(desk, zones(["compute-1"], []), zones([], ["compute-1"]))


def test_networks_exchange_their_names(desk: Desk) -> None:
    desk.run({"networks": [{"name": "a", "description": "A"}, {"name": "b", "description": "B"}]})
    a, b = (desk.one("network", name=name)["id"] for name in "ab")
    swapped = {"networks": [{"id": a, "name": "b"}, {"id": b, "name": "a"}], "ports": [{"name": "p", "network": "a"}]}
    desk.run(swapped)
    assert desk.one("network", name="a")["description"] == "B"
    assert desk.one("port", name="p")["network_id"] == b
    assert desk.run(swapped)["changes"] == []


@pytest.mark.parametrize(
    ("plural", "kind"), [("projects", "project"), ("users", "user"), ("groups", "group"), ("aggregates", "aggregate")]
)
def test_names_that_may_be_there_once_are_exchanged(desk: Desk, plural: str, kind: str) -> None:
    desk.run({plural: [{"name": "a"}, {"name": "b"}]})
    a, b = (str(desk.one(kind, name=name)["id"]) for name in "ab")
    document = {plural: [{"id": a, "name": "b"}, {"id": b, "name": "c"}, {"name": "a"}]}
    desk.run(document)
    assert {str(one["id"]): one["name"] for one in desk.cloud.all(kind) if str(one["id"]) in (a, b)} == {a: "b", b: "c"}
    assert desk.one(kind, name="a")
    swapped = {plural: [{"id": a, "name": "c"}, {"id": b, "name": "b"}]}
    desk.run(swapped)
    assert desk.run(swapped)["changes"] == []


@pytest.mark.parametrize("kept", [True, False])
def test_a_route_to_nowhere_is_found_in_the_plan(desk: Desk, kept: bool) -> None:
    route = {"destination": "10.98.0.0/16", "nexthop": "10.77.2.9"}
    document = world(routers=[{"name": "r", "interfaces": ["one"], "routes": [route]}])
    if kept:
        desk.run(world(routers=[{"name": "r", "interfaces": ["one", "two"], "routes": [route]}]))
        document["routers"] = [{"name": "r", "interfaces": ["one"], "routes": [route]}]
    (error,) = desk.refuse(document)
    assert error["path"] == "routers[0].routes[0].nexthop"
    assert "10.77.2.9" in error["cause"]
    assert not desk.cloud.writes()
