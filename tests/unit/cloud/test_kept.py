"""Services that drop, add and normalise: no endless changes, and no agreement where there is none."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Desk

NET = {"networks": ["n"]}
DUAL = {
    "networks": ["n"],
    "subnets": [
        {"name": "v4", "network": "n", "cidr": "10.0.0.0/24"},
        {"name": "v6", "network": "n", "cidr": "2001:db8::/64", "ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"},
    ],
}
OUT = {
    "networks": [{"name": name, "external": True} for name in ("e1", "e2")],
    "subnets": [{"name": name, "network": name, "cidr": block}
                for name, block in (("e1", "198.51.100.0/24"), ("e2", "203.0.113.0/24"))],
}  # fmt: skip


def group(*rules: dict[str, Any]) -> dict[str, Any]:
    return {"security_groups": [{"name": "g", "rules": list(rules)}]}


def port(**more: Any) -> dict[str, Any]:
    return {**DUAL, "ports": [{"name": "p", "network": "n", **more}]}


def subnet(**more: Any) -> dict[str, Any]:
    return {**NET, "subnets": [{"name": "s", "network": "n", **more}]}


def qos(**rule: Any) -> dict[str, Any]:
    return {"qos_policies": [{"name": "q", "rules": [rule]}]}


@pytest.mark.parametrize(
    ("document", "then"),
    [
        (group({"protocol": "tcp", "port_range_min": 1, "port_range_max": 65535}), None),
        (group({"protocol": "udp", "port_range_min": 1, "port_range_max": 65535}), group({"protocol": 17})),
        (group({"protocol": "sctp", "port_range_min": 5060}), None),
        (group({"protocol": "dccp", "port_range_min": 7}, {"protocol": "udplite", "port_range_min": 8}), None),
        (
            group({"protocol": "vrrp"}, {"protocol": "112"}, {"protocol": 51}, {"protocol": "AH"}),
            group({"protocol": 112}, {"protocol": "ah"}),
        ),
        (group({"protocol": "icmp", "ethertype": "IPv6"}, {"protocol": 58, "ethertype": "IPv6"}), None),
        (group({"protocol": "0"}, {"protocol": "any"}), group({})),
        (group({"protocol": "tcp", "port_range_min": 22, "remote_ip_prefix": "2001:DB8:0::/32"}), None),
        (group({"protocol": "tcp", "port_range_min": 22, "remote_ip_prefix": "192.0.2.7"}), None),
        (port(fixed_ips=[{"subnet": "v4"}]), None),
        (port(fixed_ips=[{"subnet": "v4"}, {"subnet": "v6"}]), port(fixed_ips=[{"subnet": "v4"}])),
        (port(fixed_ips=[]), None),
        (port(mac_address="FA-16-3E-00-00-AA"), port(mac_address="fa:16:3e:00:00:aa")),
        (
            port(
                allowed_address_pairs=[
                    {"ip_address": "10.0.0.9/32", "mac_address": "FA-16-3E-00-00-0B"},
                    {"ip_address": "2001:DB8:0:0::9"},
                ]
            ),
            None,
        ),
        (
            port(
                mac_address="fa:16:3e:00:00:aa",
                allowed_address_pairs=[{"ip_address": "10.0.0.9", "mac_address": "FA:16:3E:00:00:AA"}],
            ),
            port(allowed_address_pairs=[{"ip_address": "10.0.0.9"}]),
        ),
        (port(port_security=False), None),
        (subnet(cidr="10.0.0.0/24", allocation_pools=[]), None),
        (subnet(cidr="10.0.0.0/24", dns_nameservers=["10.0.0.9", "10.0.0.2"], host_routes=[]), None),
        (subnet(cidr="2001:DB8:0::/64", gateway_ip="FE80:0::1", dns_nameservers=["2001:DB8:0:0::53"]), None),
        (subnet(cidr="203.0.113.77/32", gateway_ip="203.0.113.1", dhcp=False), None),
        (subnet(cidr="2001:db8::7/128", gateway_ip="fe80::1", dhcp=False), None),
        (qos(type="bandwidth_limit", max_kbps=1000, max_burst_kbps=0), qos(type="bandwidth_limit", max_kbps=1000)),
        (qos(type="dscp_marking", dscp_mark=0), None),
        (
            {"networks": [{"name": "n", "dns_domain": "Example.ORG."}]},
            {"networks": [{"name": "n", "dns_domain": "example.org."}]},
        ),
        ({"networks": [{"name": "n", "tags": ["b", "a", "b"], "description": ""}]}, None),
    ],
    ids=lambda value: "" if value is None else str(value)[-60:],
)
def test_what_is_kept_in_another_form_is_no_change(desk: Desk, document: Any, then: Any) -> None:
    desk.run(document)
    assert desk.run(document)["changes"] == []
    assert desk.run(then or document)["changes"] == []
    assert not desk.cloud.writes()


@pytest.mark.parametrize(
    ("kind", "dropped", "document"),
    [
        ("network", "dns_domain", {"networks": [{"name": "x", "dns_domain": "example.org."}]}),
        ("network", "mtu", {"networks": [{"name": "x", "mtu": 9000}]}),
        ("port", "dns_name", {**NET, "ports": [{"name": "x", "network": "n", "dns_name": "web1"}]}),
        ("subnet", "service_types", subnet(name="x", cidr="10.0.0.0/24", service_types=["compute:nova"])),
        ("router", "distributed", {"routers": [{"name": "x", "distributed": True}]}),
        ("security_group", "stateful", {"security_groups": [{"name": "x", "stateful": False}]}),
        ("project", "description", {"projects": [{"name": "x", "description": "One"}]}),
        ("user", "email", {"users": [{"name": "x", "email": "x@example.org"}]}),
        ("flavor", "swap", {"flavors": [{"name": "x", "ram": 64, "vcpus": 1, "swap": 16}]}),
        ("volume", "description", {"volumes": [{"name": "x", "size": 1, "description": "One"}]}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_kept_is_told_and_never_called_a_change(desk: Desk, kind: str, dropped: str, document: Any) -> None:
    desk.cloud.dropped = {kind: {dropped, f"OS-FLV-{dropped}"}}
    for changed in (True, False, False):
        result, failure = desk.apply(document)
        (error,) = result["errors"]
        assert failure is not None
        assert error["path"].endswith(f"[0].{dropped}")
        assert f"The service did not keep {dropped}" in error["cause"]
        if dropped in ("swap", "distributed"):
            # A second run would have to make it anew.
            return
        assert result["changed"] is changed
    desk.cloud.dropped = {}
    assert desk.run(document)["changed"]
    assert not desk.run(document)["changed"]


def test_what_else_an_update_keeps_is_a_change(desk: Desk) -> None:
    desk.cloud.dropped = {"network": {"dns_domain"}}
    desk.run({"networks": [{"name": "n", "mtu": 1400}]})
    result, failure = desk.apply({"networks": [{"name": "n", "mtu": 1300, "dns_domain": "example.org."}]})
    assert (result["changed"], failure is not None) == (True, True)
    assert desk.one("network", name="n")["mtu"] == 1300


def test_a_gateway_moves_to_another_network_and_keeps_its_address_translation(desk: Desk) -> None:
    desk.run({**OUT, "routers": [{"name": "r", "external_network": "e1", "snat": False}]})
    moved = {**OUT, "routers": [{"name": "r", "external_network": "e2"}]}
    assert len(desk.run(moved)["changes"]) == 1
    info = desk.one("router", name="r")["external_gateway_info"]
    assert (info["network_id"], info["enable_snat"]) == (desk.one("network", name="e2")["id"], False)
    assert not desk.run(moved)["changed"]


def test_no_certain_address_of_a_gateway_means_any(desk: Desk) -> None:
    router = {"name": "r", "external_network": "e1"}
    desk.run({**OUT, "routers": [{**router, "external_fixed_ips": [{"ip_address": "198.51.100.78"}]}]})
    assert not desk.run({**OUT, "routers": [{**router, "external_fixed_ips": []}]})["changed"]
    assert not desk.run({"routers": [{**router, "external_network": "e1", "external_fixed_ips": []}]})["changed"]


def test_a_burst_can_be_taken_back(desk: Desk) -> None:
    desk.run(qos(type="bandwidth_limit", max_kbps=1000, max_burst_kbps=500))
    assert desk.run(qos(type="bandwidth_limit", max_kbps=1000))["changed"]
    assert desk.one("qos_bandwidth_limit_rule")["max_burst_kbps"] == 0
    assert not desk.run(qos(type="bandwidth_limit", max_kbps=1000))["changed"]


def test_a_subnet_takes_its_version_from_the_pool(desk: Desk) -> None:
    pool = {"subnet_pools": [{"name": "p", "prefixes": ["10.80.0.0/16"], "default_prefix_length": 26}]}
    document = {**pool, **subnet(subnet_pool="p")}
    desk.run(document)
    assert desk.one("subnet", name="s")["cidr"] == "10.80.0.0/26"
    assert not desk.run(document)["changed"]
    (error,) = desk.refuse({**pool, **subnet(subnet_pool="p", prefix_length=27)})
    assert (error["path"], "prefix length is 26, wanted 27" in error["cause"]) == ("subnets[0].prefix_length", True)


def test_the_default_group_of_a_new_project_is_given_its_rules(desk: Desk) -> None:
    rules = [{"protocol": "tcp", "port_range_min": 22}]
    document = {"projects": ["web"], "security_groups": [{"name": "default", "project": "web", "rules": rules}]}
    desk.run(document)
    (found,) = desk.cloud.find("security_group", name="default", project_id=desk.one("project", name="web")["id"])
    held = desk.cloud.find("security_group_rule", security_group_id=found["id"], direction="ingress")
    assert [rule["port_range_min"] for rule in held] == [22]
    assert not desk.run(document)["changed"]


def test_the_default_group_of_a_new_project_is_an_update_and_never_ones_own_to_prune(desk: Desk) -> None:
    rules = [{"protocol": "tcp", "port_range_min": 22}]
    project = {"projects": ["web"]}
    document = {**project, "security_groups": [{"name": "default", "project": "web", "rules": rules, "tags": ["a"]}]}
    planned = desk.run(document, check=True)
    (line,) = [line for line in planned["changes"] if "security group" in line]
    assert line.startswith("update security group default: rules (none) -> ") and line.endswith(
        "(the service makes it by itself)"
    )
    (change,) = [one for one in planned["plan"] if one["type"] == "security_group"]
    assert (change["action"], change["before"], planned["summary"]) == ("update", {}, {"create": 1, "update": 1})
    assert "security group default" in planned["diff"]["before"]
    done = desk.run(document)
    assert (done["changes"], done["plan"]) == (
        planned["changes"],
        [{**one, "id": o["id"]} for one, o in zip(planned["plan"], done["plan"], strict=True)],
    )
    assert desk.one("security_group", name="default", project_id=desk.one("project", name="web")["id"])["tags"] == ["a"]
    assert desk.run(document)["changes"] == []
    assert desk.run({**project, "roles": ["reader"]}, prune="owned")["changes"] == []
