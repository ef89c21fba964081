"""What is wrong with a network before anything is sent, and what the network types do beyond the promises of all
types."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Desk

NETWORK = {"networks": ["n"]}
TWO = {
    "networks": ["n", "m"],
    "subnets": [
        {"name": "a", "network": "n", "cidr": "10.0.0.0/24"},
        {"name": "b", "network": "m", "cidr": "10.0.0.0/16"},
    ],
}


def subnet(**more: Any) -> dict[str, Any]:
    return {**NETWORK, "subnets": [{"name": "s", "network": "n", "cidr": "10.0.0.0/24", **more}]}


def group(*rules: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"security_groups": [{"name": "g", "rules": list(rules), **more}]}


@pytest.mark.parametrize(
    ("document", "path", "words"),
    [
        (
            subnet(gateway_ip="fe80::1"),
            "subnets[0].gateway_ip",
            "The gateway fe80::1 is no IPv4 address, as 10.0.0.0/24 needs.",
        ),
        (subnet(dns_nameservers=["10.0.0.2", "2001:db8::53"]), "subnets[0].dns_nameservers[1]", "takes IPv4 ones only"),
        (subnet(dns_nameservers=["dns"]), "subnets[0].dns_nameservers[0]", "is no address"),
        (
            subnet(host_routes=[{"destination": "10.9.0.1/16", "nexthop": "10.0.0.9"}]),
            "subnets[0].host_routes[0].destination",
            "Write 10.9.0.0/16.",
        ),
        (
            subnet(host_routes=[{"destination": "2001:db8::/32", "nexthop": "fe80::9"}]),
            "subnets[0].host_routes[0].nexthop",
            "not of IPv4",
        ),
        (subnet(ipv6_ra_mode="slaac"), "subnets[0].ipv6_ra_mode", "for IPv6"),
        ({"networks": [{"name": "n", "dns_domain": "example.org"}]}, "networks[0].dns_domain", "Write example.org."),
        ({"networks": [{"name": "n", "tags": ["a", "b,c"]}]}, "networks[0].tags[1]", "no comma"),
        ({"projects": [{"name": "p", "tags": ["b,c"]}]}, "projects[0].tags[0]", "no comma"),
        (
            {"routers": [{"name": "r", "routes": [{"destination": "x", "nexthop": "10.0.0.1"}]}]},
            "routers[0].routes[0].destination",
            "is no range",
        ),
        (
            group({"protocol": "esp", "port_range_min": 22}),
            "security_groups[0].rules[0].port_range_min",
            "has no ports",
        ),
        (
            group({"protocol": "tpc", "port_range_min": 22}),
            "security_groups[0].rules[0].protocol",
            "Did you mean 'tcp'?",
        ),
        (
            group({"protocol": "icmp", "port_range_min": 256}),
            "security_groups[0].rules[0].port_range_min",
            "no ICMP type",
        ),
        (
            {"qos_policies": [{"name": "q", "rules": [{"type": "dscp_marking", "dscp_mark": 3}]}]},
            "qos_policies[0].rules[0].dscp_mark",
            "It takes 0, 8, 10",
        ),
        (
            {
                "subnet_pools": [{"name": "p", "prefixes": ["10.0.0.0/16"]}],
                **NETWORK,
                "subnets": [{"name": "s", "network": "n", "subnet_pool": "p", "ip_version": 6}],
            },
            "subnets[0].ip_version",
            "IPv4 ranges",
        ),
        (
            {"aggregates": [{"name": "a", "availability_zone": "x", "metadata": {"availability_zone": "y"}}]},
            "aggregates[0].metadata.availability_zone",
            "Move it",
        ),
        (subnet(gateway_ip="10.0.0"), "subnets[0].gateway_ip", "is no address"),
        (subnet(cidr="10.0.0.5/24"), "subnets[0].cidr", "Write 10.0.0.0/24."),
        (subnet(cidr="ten"), "subnets[0].cidr", "is no range of addresses"),
        (subnet(ip_version=6), "subnets[0].ip_version", "of version 4"),
        (
            subnet(allocation_pools=[{"start": "10.0.0.9", "end": "10.0.1.9"}]),
            "subnets[0].allocation_pools[0]",
            "outside",
        ),
        (
            subnet(allocation_pools=[{"start": "10.0.0.9", "end": "10.0.0.5"}]),
            "subnets[0].allocation_pools[0]",
            "comes after",
        ),
        (subnet(allocation_pools=[{"start": "10.0.0.9", "end": "x"}]), "subnets[0].allocation_pools[0]", "no range"),
        (
            subnet(gateway_ip="10.0.0.6", allocation_pools=[{"start": "10.0.0.5", "end": "10.0.0.9"}]),
            "subnets[0].allocation_pools[0]",
            "The gateway 10.0.0.6 is among",
        ),
        ({**NETWORK, "subnets": [{"name": "s", "network": "n"}]}, "subnets[0].cidr", "One of cidr and subnet_pool"),
        (
            {"subnets": [{"name": "s", "network": "nn", "cidr": "10.0.0.0/24"}]},
            "subnets[0].network",
            "There is no network 'nn'",
        ),
        (
            {
                **NETWORK,
                "subnets": [
                    {"name": "s", "network": "n", "cidr": "10.0.0.0/24"},
                    {"name": "t", "network": "n", "cidr": "10.0.0.128/25"},
                ],
            },
            "subnets[1].cidr",
            "10.0.0.128/25 overlaps 10.0.0.0/24 of subnets[0]",
        ),
        ({**TWO, "routers": [{"name": "r", "interfaces": ["a", "b"]}]}, "routers[0].interfaces[1]", "overlap"),
        (
            {**NETWORK, "routers": [{"name": "r", "external_network": "n"}]},
            "routers[0].external_network",
            "is not external",
        ),
        (
            {**subnet(gateway_ip="none"), "routers": [{"name": "r", "interfaces": ["s"]}]},
            "routers[0].interfaces[0]",
            "has no gateway",
        ),
        (
            {"routers": [{"name": "r", "external_fixed_ips": [{"ip_address": "x"}]}]},
            "routers[0].external_network",
            "missing",
        ),
        (
            {
                **subnet(),
                "ports": [{"name": "p", "network": "n", "fixed_ips": [{"subnet": "s", "ip_address": "10.1.0.9"}]}],
            },
            "ports[0].fixed_ips[0].ip_address",
            "The address 10.1.0.9 is outside the subnet 10.0.0.0/24.",
        ),
        (
            {**NETWORK, "ports": [{"name": "p", "network": "n", "fixed_ips": [{}]}]},
            "ports[0].fixed_ips[0]",
            "is wanted",
        ),
        (
            {**NETWORK, "ports": [{"name": "p", "network": "n", "allowed_address_pairs": [{"ip_address": "x"}]}]},
            "ports[0].allowed_address_pairs[0].ip_address",
            "no address or range",
        ),
        (
            {
                **NETWORK,
                "ports": [{"name": "p", "network": "n", "port_security": False, "security_groups": ["default"]}],
            },
            "ports[0].port_security",
            "no groups",
        ),
        ({"subnet_pools": [{"name": "p"}]}, "subnet_pools[0].prefixes", "needs ranges"),
        (
            {"subnet_pools": [{"name": "p", "prefixes": ["10.0.0.1/8"]}]},
            "subnet_pools[0].prefixes[0]",
            "Write 10.0.0.0/8.",
        ),
        (group({"port_range_min": 22}), "security_groups[0].rules[0].protocol", "Ports need a protocol"),
        (group({"protocol": "tcp", "port_range_max": 22}), "security_groups[0].rules[0].port_range_min", "missing"),
        (group({"protocol": "tcp", "port_range_min": 0}), "security_groups[0].rules[0].port_range_min", "is no port"),
        (
            group({"protocol": "tcp", "port_range_min": 9, "port_range_max": 8}),
            "security_groups[0].rules[0].port_range_max",
            "8 is less than 9",
        ),
        (
            group({"remote_ip_prefix": "::/0", "ethertype": "IPv4"}),
            "security_groups[0].rules[0].ethertype",
            "is no IPv4",
        ),
        (group({"remote_ip_prefix": "10.0.0.0/8", "remote_group": "g"}), "security_groups[0].rules[0]", "Only one of"),
        (group({"protcol": "tcp"}), "security_groups[0].rules[0].protcol", "Did you mean 'protocol'?"),
        (
            {"security_groups": [{"name": "g", "default_egress": True}]},
            "security_groups[0].default_egress",
            "together with",
        ),
        (
            {"qos_policies": [{"name": "q", "rules": [{"type": "dscp_marking"}]}]},
            "qos_policies[0].rules[0]",
            "needs dscp_mark",
        ),
        (
            {"qos_policies": [{"name": "q", "rules": [{"type": "dscp_marking", "dscp_mark": 8, "max_kbps": 8}]}]},
            "qos_policies[0].rules[0].max_kbps",
            "has no max_kbps",
        ),
        (
            {"qos_policies": [{"name": "q", "rules": [{"type": "dscp_marking", "dscp_mark": 8}] * 2}]},
            "qos_policies[0].rules[1]",
            "one rule of a type",
        ),
        (
            {"rbac_policies": [{"action": "access_as_shared", "target_project": "*"}]},
            "rbac_policies[0]",
            "Exactly one of",
        ),
        ({"floating_ips": [{"name": "f"}]}, "floating_ips[0].network", "needs a network"),
        ({**NETWORK, "floating_ips": [{"network": "n", "address": "x"}]}, "floating_ips[0].address", "is no address"),
        (
            {
                "port_forwardings": [
                    {"floating_ip": "f", "protocol": "tcp", "external_port": 0, "internal_port": 1, "port": "p"}
                ]
            },
            "port_forwardings[0].external_port",
            "is no port",
        ),
    ],
)
def test_what_cannot_work_is_refused_before_any_change(desk: Desk, document: Any, path: str, words: str) -> None:
    errors = desk.refuse(document)
    told = {error["path"]: f"{error['cause']} {error['mend']}" for error in errors}
    assert path in told
    assert words in told[path]
    assert not desk.cloud.writes()


def test_a_new_subnet_may_not_meet_one_that_is_there(desk: Desk) -> None:
    desk.run(subnet())
    document = {**NETWORK, "subnets": [{"name": "t", "network": "n", "cidr": "10.0.0.0/25"}]}
    (error,) = desk.refuse(document)
    assert "10.0.0.0/25 overlaps 10.0.0.0/24 of the subnet s" in error["cause"]
    assert not desk.cloud.writes()
    # What goes in the same run is not in the way.
    assert len(desk.run(document, prune="owned")["changes"]) == 2


def test_ranges_of_networks_apart_may_overlap(desk: Desk) -> None:
    assert desk.run(TWO)["changed"]


def test_a_gateway_that_is_changed_later_must_be_of_the_version_too(desk: Desk) -> None:
    desk.run(subnet())
    (error,) = desk.refuse({"subnets": [{"name": "s", "network": "n", "gateway_ip": "fe80::1"}]})
    assert "no IPv4 address, as 10.0.0.0/24 needs" in error["cause"]


def test_a_gateway_moves_only_where_it_can(desk: Desk) -> None:
    desk.run({**subnet(), "routers": [{"name": "r", "interfaces": ["s"]}]})
    errors = desk.refuse({"subnets": [{"name": "s", "network": "n", "gateway_ip": "10.0.0.254"}]})
    assert [error["path"] for error in errors] == ["subnets[0].gateway_ip"] * 2
    assert "10.0.0.2 to 10.0.0.254" in errors[0]["cause"]
    assert "The router r has the gateway's address 10.0.0.1." in errors[1]["cause"]
    pools = {"gateway_ip": "10.0.0.254", "allocation_pools": [{"start": "10.0.0.2", "end": "10.0.0.99"}]}
    desk.run({"routers": [{"name": "r", "interfaces": []}]})
    desk.run({"subnets": [{"name": "s", "network": "n", **pools}]})
    assert desk.one("subnet", name="s")["gateway_ip"] == "10.0.0.254"


def test_what_an_object_in_use_cannot_have_changed_is_found_in_the_plan(desk: Desk) -> None:
    document: dict[str, Any] = {
        **NETWORK,
        "security_groups": ["g"],
        "ports": [{"name": "p", "network": "n", "security_groups": ["g"]}],
    }
    desk.run(document)
    (error,) = desk.refuse({"security_groups": [{"name": "g", "stateful": False}]})
    assert (error["path"], "while 1 port has the group" in error["cause"]) == ("security_groups[0].stateful", True)
    assert not desk.cloud.writes()


def test_a_profile_of_a_port_is_for_accounts_of_services(desk: Desk) -> None:
    def document(**profile: str) -> dict[str, Any]:
        return {**NETWORK, "ports": [{"name": "p", "network": "n", "binding_profile": profile}]}

    (error,) = desk.refuse(document(rack="1"))
    assert (error["path"], "disallowed by policy" in error["cause"]) == ("ports[0]", True)
    desk.run({"roles": ["service"]})
    desk.cloud.grant("service", desk.one("user", name="admin")["id"], project=desk.cloud.admin_project)
    desk.run(document(rack="1", row="7"))
    assert not desk.run(document(rack="1"))["changed"]
    desk.run(document(rack="2"))
    assert desk.one("port", name="p")["binding:profile"] == {"rack": "2", "row": "7"}
    assert not desk.run(document(rack="2"))["changed"]


def test_a_floating_address_leads_to_the_first_of_several(desk: Desk) -> None:
    document: dict[str, Any] = {
        **OUTSIDE,
        "routers": [{"name": "r", "external_network": "out", "interfaces": ["s"]}],
        "ports": [{"name": "p", "network": "n", "fixed_ips": [{"ip_address": f"10.0.0.{n}"} for n in (7, 8)]}],
        "floating_ips": [{"name": "f", "network": "out", "port": "p"}],
    }
    desk.run(document)
    assert desk.one("floating_ip")["fixed_ip_address"] == "10.0.0.7"
    assert not desk.run(document)["changed"]


def test_an_ambiguous_network_lists_the_candidates(desk: Desk) -> None:
    made = [desk.cloud.put("network", name="n", project_id=desk.cloud.admin_project)["id"] for _ in range(2)]
    (error,) = desk.refuse({"subnets": [{"name": "s", "network": "n", "cidr": "10.0.0.0/24"}]})
    assert all(ident in error["cause"] for ident in made)
    document = {"subnets": [{"name": "s", "network": made[1], "cidr": "10.0.0.0/24"}]}
    desk.run(document)
    assert desk.one("subnet", name="s")["network_id"] == made[1]
    assert not desk.run(document)["changed"]


def test_what_lies_in_a_network_belongs_to_its_project(desk: Desk) -> None:
    document = {
        "projects": ["web"],
        "networks": [{"name": "n", "project": "web"}],
        "subnets": [{"name": "s", "network": "n", "cidr": "10.0.0.0/24"}],
        "ports": [{"name": "p", "network": "n"}],
    }
    desk.run(document)
    project = desk.one("project", name="web")["id"]
    assert desk.one("subnet", name="s")["project_id"] == desk.one("port", name="p")["project_id"] == project
    more = {"ports": [{"name": "q", "network": {"name": "n", "project": "web"}}]}
    desk.run(more)
    assert desk.one("port", name="q")["project_id"] == project
    assert not desk.run({**document, **more})["changed"]


def test_names_are_looked_for_in_the_project_that_is_meant(desk: Desk) -> None:
    for project in ("web", "shop"):
        desk.run({"projects": [project], "networks": [{"name": "n", "project": project}]})
    document = {"projects": ["web"], "routers": [], "networks": [{"name": "n", "project": "web", "mtu": 1300}]}
    assert desk.run(document)["changes"] == ["update network n: mtu 1442 -> 1300"]


# Security groups -----------------------------------------------------------------------------------------------------


def held(desk: Desk) -> list[tuple[Any, ...]]:
    ident = desk.one("security_group", name="g")["id"]
    return sorted(
        (r["direction"], r["ethertype"], str(r["protocol"]), str(r["port_range_min"]), str(r["remote_ip_prefix"]))
        for r in desk.cloud.find("security_group_rule", security_group_id=ident)
    )


OUT = [("egress", "IPv4", "None", "None", "None"), ("egress", "IPv6", "None", "None", "None")]


def test_rules_are_one_unit(desk: Desk) -> None:
    ssh, web = ({"protocol": "tcp", "port_range_min": port} for port in (22, 443))
    desk.run(group(ssh, web))
    assert held(desk) == [*OUT, ("ingress", "IPv4", "tcp", "22", "None"), ("ingress", "IPv4", "tcp", "443", "None")]
    # Ten new rules are one request, one that goes is one.
    desk.run(group(web, *({"protocol": "udp", "port_range_min": port} for port in range(1, 11))))
    assert desk.cloud.count("POST", type="security_group_rule") == 1
    assert desk.cloud.count("DELETE", type="security_group_rule") == 1
    assert desk.run(group())["changed"]
    assert held(desk) == OUT


def test_what_may_go_out_can_be_closed_and_opened(desk: Desk) -> None:
    rule = {"protocol": "tcp", "port_range_min": 22}
    desk.run(group(rule, default_egress=False))
    assert held(desk) == [("ingress", "IPv4", "tcp", "22", "None")]
    assert not desk.run(group(rule, default_egress=False))["changed"]
    desk.run(group(rule, {"direction": "egress", "remote_ip_prefix": "10.0.0.0/8"}))
    assert len(held(desk)) == 2
    desk.run(group(rule))
    assert len(held(desk)) == 3


def test_rules_left_out_are_left_alone(desk: Desk) -> None:
    desk.run({"security_groups": ["g"]})
    ident = desk.one("security_group", name="g")["id"]
    desk.cloud.put("security_group_rule", security_group_id=ident, direction="ingress", project_id="x")
    assert not desk.run({"security_groups": ["g"]})["changed"]


def test_the_same_rule_said_in_other_words_is_no_change(desk: Desk) -> None:
    desk.run(group({"protocol": "tcp", "port_range_min": 22, "remote_ip_prefix": "0.0.0.0/0"}))
    same = {"protocol": "6", "port_range_min": 22, "port_range_max": 22, "ethertype": "IPv4", "direction": "ingress"}
    assert not desk.run(group(same))["changed"]
    assert not desk.run(group(same, {**same, "protocol": "TCP"}))["changed"]


def test_groups_may_name_each_other(desk: Desk) -> None:
    document = {
        "security_groups": [
            {"name": "web", "rules": [{"remote_group": "db"}]},
            {"name": "db", "rules": [{"remote_group": "web"}, {"remote_group": "db"}]},
        ]
    }
    desk.run(document)
    assert not desk.run(document)["changed"]
    assert len(desk.run({}, prune="owned")["changes"]) == 2


# Routers -------------------------------------------------------------------------------------------------------------
OUTSIDE = {
    "networks": [{"name": "out", "external": True}, "n"],
    "subnets": [{"name": "out", "network": "out", "cidr": "203.0.113.0/24"},
                {"name": "s", "network": "n", "cidr": "10.0.0.0/24"}],
}  # fmt: skip


def test_a_router_may_join_by_a_port_with_an_address_of_its_own(desk: Desk) -> None:
    document: dict[str, Any] = {
        **OUTSIDE,
        "ports": [{"name": "p", "network": "n", "fixed_ips": [{"subnet": "s", "ip_address": "10.0.0.254"}]}],
        "routers": [{"name": "r", "ports": ["p"]}],
    }
    desk.run(document)
    assert desk.one("port", name="p")["device_id"] == desk.one("router", name="r")["id"]
    assert not desk.run(document)["changed"]
    # The port joins the subnet as well as any.
    assert not desk.run({**document, "routers": [{"name": "r", "interfaces": ["s"]}]})["changed"]
    assert desk.run({"routers": [{"name": "r", "interfaces": []}]})["changed"]
    assert not desk.cloud.find("port", name="p")
    desk.run(document)
    assert desk.run(document, state="absent")["changed"]
    assert not desk.cloud.find("router")


def test_a_gateway_can_be_moved_and_taken_away(desk: Desk) -> None:
    def router(**more: Any) -> dict[str, Any]:
        return {**OUTSIDE, "routers": [{"name": "r", **more}]}

    fixed = {"external_fixed_ips": [{"subnet": "out", "ip_address": "203.0.113.9"}]}
    desk.run(router(external_network="out", **fixed))
    info = desk.one("router", name="r")["external_gateway_info"]
    assert info["external_fixed_ips"][0]["ip_address"] == "203.0.113.9"
    assert not desk.run(router(external_network="out", **fixed))["changed"]
    # The address stays when something else about the gateway changes.
    desk.run(router(external_network="out", snat=False))
    info = desk.one("router", name="r")["external_gateway_info"]
    assert (info["enable_snat"], info["external_fixed_ips"][0]["ip_address"]) == (False, "203.0.113.9")
    desk.run(router(external_network=""))
    assert desk.one("router", name="r")["external_gateway_info"] is None
    assert not desk.run(router(external_network=""))["changed"]


def test_a_floating_address_follows_its_port_and_can_be_freed(desk: Desk) -> None:
    document: dict[str, Any] = {
        **OUTSIDE,
        "routers": [{"name": "r", "external_network": "out", "interfaces": ["s"]}],
        "ports": [{"name": "p", "network": "n"}],
        "floating_ips": [{"name": "f", "network": "out", "port": "p", "address": "203.0.113.50"}],
    }
    desk.run(document)
    assert desk.one("floating_ip")["floating_ip_address"] == "203.0.113.50"
    # The whole is taken down in an order that the service accepts.
    freed = {**document, "floating_ips": [{"name": "f", "network": "out", "port": ""}]}
    desk.run(freed)
    assert desk.one("floating_ip")["port_id"] is None
    assert not desk.run(freed)["changed"]
    desk.run(document)
    assert len(desk.run({}, prune="owned")["changes"]) == 7
    assert not desk.cloud.find("network")


def test_a_network_is_shared_with_everybody_or_one_project(desk: Desk) -> None:
    document = {
        "networks": ["n"],
        "rbac_policies": [
            {"network": "n", "action": "access_as_shared", "target_project": name} for name in ("*", "service")
        ],
    }
    desk.run(document)
    assert {r["target_tenant"] for r in desk.cloud.all("rbac_policy")} == {
        "*",
        desk.one("project", name="service")["id"],
    }
    assert not desk.run(document)["changed"]
    assert len(desk.run({**document, "rbac_policies": []}, prune="owned")["changes"]) == 2


def test_lists_are_filtered_by_the_service(desk: Desk) -> None:
    document = {
        **OUTSIDE,
        "security_groups": ["g"],
        "routers": [{"name": "r", "interfaces": ["s"]}],
        "ports": [{"name": "p", "network": "n"}],
    }
    desk.run(document)
    desk.cloud.fill(300, 0)
    desk.cloud.page_size = 50
    assert not desk.run(document)["changed"]
    lists = [call for call in desk.cloud.calls if call.service == "network"]
    assert len(lists) <= 6
    assert all({"name", "device_id"} & set(call.query) for call in lists)
