"""What stays lets go of what leaves: the services keep whatever something else still refers to."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.types.registry import TYPES

from .conftest import Desk

Document = dict[str, list[Any]]
NET: Document = {"networks": ["n"]}
OUT: Document = {"networks": [{"name": "out", "external": True}]}
RANGES = {"a": "10.0.0.0/24", "b": "10.0.1.0/24", "c": "10.0.2.0/24"}
LIMIT = [{"type": "bandwidth_limit", "max_kbps": 100}]


def subnets(*names: str) -> Document:
    return {"subnets": [{"name": name, "network": "n", "cidr": RANGES[name]} for name in names]}


def joined(*documents: Document) -> Document:
    return {key: [entry for one in documents for entry in one.get(key, [])] for one in documents for key in one}


# What leaves; what refers to it and stays; the field by which it does.
CASES: list[tuple[str, Document, Document, str, Any]] = [
    ("network.qos_policy", {"qos_policies": [{"name": "gone", "rules": LIMIT}]}, NET, "qos_policy", "gone"),
    (
        "port.qos_policy",
        {"qos_policies": [{"name": "gone", "rules": LIMIT}]},
        {**NET, "ports": [{"name": "p", "network": "n"}]},
        "qos_policy",
        "gone",
    ),
    (
        "floating_ip.qos_policy",
        {"qos_policies": [{"name": "gone", "rules": LIMIT}]},
        {
            **OUT,
            "subnets": [{"name": "s", "network": "out", "cidr": "203.0.113.0/24"}],
            "floating_ips": [{"name": "f", "network": "out"}],
        },
        "qos_policy",
        "gone",
    ),
    (
        "subnet_pool.address_scope",
        {"address_scopes": [{"name": "gone", "ip_version": 4}]},
        {"subnet_pools": [{"name": "p", "prefixes": ["10.0.0.0/8"]}]},
        "address_scope",
        "gone",
    ),
    (
        "port.security_groups",
        {"security_groups": ["gone"]},
        {**NET, "security_groups": ["stays"], "ports": [{"name": "p", "network": "n"}]},
        "security_groups",
        ["stays", "gone"],
    ),
    (
        "router.external_network",
        {
            "networks": [{"name": "gone", "external": True}],
            "subnets": [{"name": "s", "network": "gone", "cidr": "203.0.113.0/24"}],
        },
        {"routers": ["r"]},
        "external_network",
        "gone",
    ),
    ("router.interfaces", subnets("a"), {**NET, **subnets("b"), "routers": ["r"]}, "interfaces", ["a", "b"]),
    (
        "router.ports",
        {"ports": [{"name": "gone", "network": "n", "fixed_ips": [{"subnet": "a", "ip_address": "10.0.0.9"}]}]},
        {**NET, **subnets("a"), "routers": ["r"]},
        "ports",
        ["gone"],
    ),
    (
        "floating_ip.port",
        {"ports": [{"name": "gone", "network": "n"}]},
        {
            "networks": [*NET["networks"], *OUT["networks"]],
            "subnets": [*subnets("a")["subnets"], {"name": "s", "network": "out", "cidr": "203.0.113.0/24"}],
            "routers": [{"name": "r", "external_network": "out", "interfaces": ["a"]}],
            "floating_ips": [{"name": "f", "network": "out"}],
        },
        "port",
        "gone",
    ),
    ("volume_type.qos", {"volume_qos_specs": [{"name": "gone"}]}, {"volume_types": ["t"]}, "qos", "gone"),
]


def test_every_field_that_lets_go_is_tried() -> None:
    fields = {f"{kind.name}.{declared.name}" for kind in TYPES for declared in kind.fields if declared.lets_go}
    assert fields - {"port.fixed_ips"} == {case[0] for case in CASES}


@pytest.mark.parametrize(("place", "leaves", "stays", "field", "value"), CASES, ids=[case[0] for case in CASES])
@pytest.mark.parametrize("how", ["pruned", "absent"])
def test_what_stays_lets_go(
    desk: Desk, place: str, leaves: Document, stays: Document, field: str, value: Any, how: str
) -> None:
    kind = next(kind for kind in TYPES if kind.name == place.partition(".")[0])
    refer = [
        {**({"name": entry} if isinstance(entry, str) else entry), field: value} for entry in stays[kind.plural][-1:]
    ]
    desk.run(joined(leaves, {**stays, kind.plural: [*stays[kind.plural][:-1], *refer]}))
    absent = {
        key: [{**({"name": e} if isinstance(e, str) else e), "state": "absent"} for e in some]
        for key, some in leaves.items()
    }
    wanted = stays if how == "pruned" else joined(absent, stays)
    options = {"prune": "owned"} if how == "pruned" else {}
    planned = desk.run(wanted, check=True, **options)
    done = desk.run(wanted, **options)
    assert done["changes"] == planned["changes"]
    assert sum(line.startswith("delete") for line in done["changes"]) == sum(
        len(entries) for entries in leaves.values()
    )
    assert any(line.startswith("update") and f"{field} " in line for line in done["changes"]), done["changes"]
    assert not desk.run(wanted, **options)["changed"]


@pytest.mark.parametrize("others", ["b", "c", ""], ids=["one that stays", "one that is made", "none"])
def test_a_port_leaves_a_subnet_that_is_removed(desk: Desk, others: str) -> None:
    port: Document = {"ports": [{"name": "p", "network": "n", "fixed_ips": [{"subnet": "a"}]}]}
    desk.run({**NET, **subnets("a", "b"), **port})
    wanted = {**NET, **subnets(*others), "ports": [{"name": "p", "network": "n"}]}
    planned = desk.run(wanted, prune="owned", check=True)
    assert desk.run(wanted, prune="owned")["changes"] == planned["changes"]
    addresses = [ip["ip_address"] for ip in desk.one("port", name="p")["fixed_ips"]]
    assert [address.rsplit(".", 1)[0] for address in addresses] == [RANGES[name].rsplit(".", 1)[0] for name in others]
    assert not desk.cloud.find("subnet", name="a")
    assert not desk.run(wanted, prune="owned")["changed"]


def test_a_port_moves_to_a_subnet_that_the_document_does_not_know(desk: Desk) -> None:
    desk.run({**NET, **subnets("a", "b")}, owner="")
    desk.run({**NET, "ports": [{"name": "p", "network": "n", "fixed_ips": [{"subnet": "a"}]}]})
    desk.run(
        {**NET, "subnets": [{"name": "a", "network": "n", "state": "absent"}], "ports": [{"name": "p", "network": "n"}]}
    )
    assert desk.one("port", name="p")["fixed_ips"][0]["ip_address"].startswith("10.0.1.")


def test_a_new_port_does_not_come_into_a_subnet_that_leaves(desk: Desk) -> None:
    desk.run({**NET, **subnets("a"), "ports": [{"name": "p", "network": "n"}]})
    wanted = {**NET, **subnets("b"), "ports": [{"name": name, "network": "n"} for name in "pq"]}
    desk.run(wanted, prune="owned")
    assert all(port["fixed_ips"][0]["ip_address"].startswith("10.0.1.") for port in desk.cloud.all("port"))
    assert not desk.run(wanted, prune="owned")["changed"]
