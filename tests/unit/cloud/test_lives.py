"""The life of each type of the identity and network services, by the promises that all types keep."""

from __future__ import annotations

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.types.registry import TYPES
from ansible_collections.stackwright.cloud.tests.cloud_simulator.network import default_group
from ansible_collections.stackwright.cloud.tests.unit.cloud_types import test_lives as promises
from ansible_collections.stackwright.cloud.tests.unit.cloud_types.conftest import WAN, Desk, desk
from ansible_collections.stackwright.cloud.tests.unit.cloud_types.test_lives import Life

__all__ = ["desk"]

EXTERNAL = {
    "networks": [{"name": "outside", "external": True}],
    "subnets": [{"name": "outside", "network": "outside", "cidr": "203.0.113.0/24"}],
}
INSIDE = {
    "networks": [*EXTERNAL["networks"], "inside"],
    "subnets": [*EXTERNAL["subnets"], {"name": "a", "network": "inside", "cidr": "10.8.0.0/24"},
                {"name": "b", "network": "inside", "cidr": "10.8.1.0/24"}],
}  # fmt: skip
BEHIND = {
    **INSIDE,
    "routers": [{"name": "r", "external_network": "outside", "interfaces": ["a"]}],
    "ports": [{"name": name, "network": "inside", "fixed_ips": [{"subnet": "a"}]} for name in ("p", "q")],
}
IDENTITY = [
    Life(
        "domains",
        {"name": "d", "description": "One"},
        {"description": "Two", "enabled": False, "options": {"immutable": False}},
        foreign={"name": "other"},
    ),
    Life(
        "projects",
        {"name": "p", "description": "One", "tags": ["a"], "parent": "admin"},
        {"description": "Two", "enabled": False, "tags": ["b"], "options": {"immutable": False}},
        {"parent": "service"},
        foreign={"name": "p", "domain_id": "x"},
    ),
    Life(
        "users",
        {"name": "u", "password": "pw", "email": "u@example.org", "default_project": "admin"},
        {"email": "v@example.org", "enabled": False, "description": "Two", "default_project": ""},
        calls=3,
        foreign={"name": "u", "domain_id": "x"},
    ),
    Life(
        "groups",
        {"name": "g", "members": ["eve"]},
        {"members": ["bob"], "description": "Two"},
        calls=5,
        needs={"users": ["eve", "bob"]},
        foreign={"name": "g", "domain_id": "x"},
    ),
    Life("roles", {"name": "r"}, {"description": "Two", "options": {"immutable": False}}, foreign={"name": "other"}),
    Life(
        "regions",
        {"name": "South", "parent": "RegionOne"},
        {"description": "Two", "parent": ""},
        foreign={"id": "other"},
    ),
    Life(
        "services",
        {"name": "s", "type": "t"},
        {"description": "Two", "enabled": False},
        foreign={"name": "s", "type": "u"},
    ),
    Life(
        "endpoints",
        {"service": "s", "interface": "public", "region": "RegionOne", "url": "http://a"},
        {"url": "http://b", "enabled": False},
        needs={"services": [{"name": "s", "type": "t"}]},
        foreign={"service_id": "x", "interface": "public", "region_id": "RegionOne", "url": "http://a"},
        calls=4,
    ),
    Life(
        "application_credentials",
        {
            "name": "a",
            "secret": "s3cret",
            "roles": ["admin"],
            "expires_at": "2030-01-01 12:00:00Z",
            "access_rules": [{"path": "/v2.1/servers", "method": "get", "service": "compute"}],
        },
        {},
        {"description": "Robot"},
        calls=3,
        foreign={"name": "a", "user_id": "x"},
    ),
]
LIVES = [
    *IDENTITY,
    Life(
        "networks",
        {
            "name": "n",
            "description": "One",
            "mtu": 1400,
            "tags": ["a"],
            "qos_policy": "slow",
            "port_security": False,
            "vlan_transparent": False,
        },
        {
            "description": "Two",
            "mtu": 1300,
            "tags": ["b"],
            "qos_policy": "",
            "enabled": False,
            "shared": True,
            "dns_domain": "example.org.",
            "external": True,
        },
        {"network_type": "vlan"},
        needs={"qos_policies": ["slow"]},
        foreign={"name": "n", "project_id": "x"},
        calls=3,
    ),
    Life(
        "segments",
        {"name": "s", "network": "n", "network_type": "vlan", "physical_network": "p", "segmentation_id": 7},
        {"description": "Rack"},
        {"segmentation_id": 8},
        calls=3,
        needs={"networks": ["n"]},
        foreign={"name": "s", "network_id": "x", "network_type": "vlan", "segmentation_id": 9},
    ),
    Life(
        "subnets",
        {
            "name": "s",
            "network": "n",
            "cidr": "10.7.0.0/24",
            "gateway_ip": "10.7.0.9",
            "dns_nameservers": ["10.7.0.3"],
            "allocation_pools": [{"start": "10.7.0.20", "end": "10.7.0.90"}],
            "tags": ["a"],
            "dns_publish_fixed_ip": True,
            "host_routes": [{"destination": "10.9.0.0/16", "nexthop": "10.7.0.2"}],
        },
        {
            "gateway_ip": "none",
            "dns_nameservers": [],
            "tags": [],
            "dhcp": False,
            "description": "Racks",
            "dns_publish_fixed_ip": False,
            "allocation_pools": [{"start": "10.7.0.2", "end": "10.7.0.5"}, {"start": "10.7.0.7", "end": "10.7.0.8"}],
            "host_routes": [],
        },
        {
            "cidr": "10.7.1.0/24",
            "gateway_ip": "10.7.1.1",
            "allocation_pools": [{"start": "10.7.1.20", "end": "10.7.1.90"}],
        },
        needs={"networks": ["n"]},
        foreign={"name": "s", "network_id": "x", "cidr": "10.7.0.0/24"},
        calls=3,
    ),
    Life(
        "subnet_pools",
        {"name": "p", "prefixes": ["10.0.0.0/16", "10.1.0.0/16"], "min_prefix_length": 20, "address_scope": "s"},
        {"prefixes": ["10.0.0.0/12"], "default_prefix_length": 26, "description": "All", "address_scope": ""},
        {"prefixes": ["10.0.0.0/16"]},
        needs={"address_scopes": [{"name": "s", "ip_version": 4}]},
        calls=3,
        foreign={"name": "p", "project_id": "x", "prefixes": ["10.0.0.0/8"], "ip_version": 4},
    ),
    Life(
        "address_scopes",
        {"name": "a", "ip_version": 4},
        {"shared": True},
        {"ip_version": 6},
        foreign={"name": "a", "project_id": "x", "ip_version": 4},
    ),
    Life(
        "routers",
        {
            "name": "r",
            "external_network": "outside",
            "interfaces": ["a"],
            "tags": ["x"],
            "snat": True,
            "routes": [{"destination": "10.9.0.0/16", "nexthop": "10.8.0.9"}],
        },
        {"interfaces": ["b"], "snat": False, "description": "Way out", "tags": [], "routes": [], "enabled": False},
        {"distributed": True},
        needs=INSIDE,
        foreign={"name": "r", "project_id": "x"},
        calls=5,
    ),
    Life(
        "ports",
        {
            "name": "p",
            "network": "inside",
            "fixed_ips": [{"subnet": "a", "ip_address": "10.8.0.7"}],
            "security_groups": ["g"],
            "allowed_address_pairs": [{"ip_address": "10.8.0.99"}],
            "tags": ["a"],
            "device_owner": "own:thing",
            "extra_dhcp_opts": [
                {"opt_name": "tftp-server", "opt_value": "10.8.0.3"},
                {"opt_name": "bootfile-name", "opt_value": "a"},
            ],
        },
        {
            "fixed_ips": [{"subnet": "a"}, {"subnet": "b", "ip_address": "10.8.1.7"}],
            "security_groups": [],
            "tags": ["b"],
            "allowed_address_pairs": [],
            "description": "Web",
            "dns_name": "web",
            "dns_domain": "Example.org.",
            "extra_dhcp_opts": [
                {"opt_name": "bootfile-name", "opt_value": "b", "ip_version": 4},
                {"opt_name": "bootfile-name", "opt_value": "c", "ip_version": 6},
            ],
            "host": "compute-1",
            "device_owner": "",
            "propagate_uplink_status": True,
        },
        {"mac_address": "fa:16:3e:12:34:56"},
        needs={**INSIDE, "security_groups": ["g"]},
        foreign={"name": "p", "network_id": "x", "project_id": "x"},
        calls=5,
    ),
    Life(
        "trunks",
        {"name": "t", "port": "p", "subports": [{"port": "q", "segmentation_id": 5}], "tags": ["a"]},
        {"subports": [{"port": "q", "segmentation_id": 6}], "description": "Uplink", "tags": []},
        {"port": "o"},
        needs={**INSIDE, "ports": [{"name": n, "network": "inside"} for n in ("p", "q", "o")]},
        foreign={"name": "t", "project_id": "x", "port_id": "y"},
        calls=5,
    ),
    Life(
        "address_groups",
        {"name": "a", "addresses": ["192.0.2.1", "198.51.100.0/24"]},
        {"addresses": ["198.51.100.0/24", "2001:db8::/64"], "description": "Partners"},
        foreign={"name": "a", "project_id": "x", "addresses": []},
    ),
    Life(
        "security_groups",
        {
            "name": "g",
            "tags": ["a"],
            "rules": [
                {"protocol": "tcp", "port_range_min": 25, "remote_address_group": "partners"},
                {"protocol": "TCP", "port_range_min": 22, "remote_ip_prefix": "0.0.0.0/0"},
                {"protocol": "icmp", "ethertype": "IPv6"},
                {"remote_group": "g"},
                {"protocol": 6, "port_range_min": 22},
            ],
        },
        {
            "description": "Web",
            "tags": [],
            "rules": [
                {"protocol": "tcp", "port_range_min": 443, "port_range_max": 444, "remote_ip_prefix": "10.0.0.0/8"},
                {"remote_group": "g"},
            ],
        },
        needs={"address_groups": [{"name": "partners", "addresses": ["192.0.2.0/24"]}]},
        foreign={"name": "g", "project_id": "x"},
        calls=3,
    ),
    Life(
        "floating_ips",
        {"name": "web", "network": "outside", "port": "p", "tags": ["a"]},
        {"port": "q", "tags": ["b"]},
        {"address": "203.0.113.77"},
        needs=BEHIND,
        foreign={"description": "web", "project_id": "x", "floating_network_id": "y"},
        calls=7,
    ),
    Life(
        "port_forwardings",
        {"floating_ip": "web", "protocol": "tcp", "external_port": 80, "internal_port": 8080, "port": "p"},
        {"internal_port": 8081, "port": "q", "description": "Web"},
        needs={**BEHIND, "floating_ips": [{"name": "web", "network": "outside"}]},
        calls=8,
        foreign={"floatingip_id": "x", "protocol": "tcp", "external_port": 80, "internal_port": 80},
    ),
    Life(
        "qos_policies",
        {
            "name": "q",
            "rules": [{"type": "bandwidth_limit", "max_kbps": 1000}, {"type": "dscp_marking", "dscp_mark": 10}],
        },
        {
            "rules": [
                {"type": "bandwidth_limit", "max_kbps": 2000, "max_burst_kbps": 100},
                {"type": "bandwidth_limit", "direction": "ingress", "max_kbps": 5},
            ],
            "description": "Slow",
            "shared": True,
        },
        foreign={"name": "q", "project_id": "x"},
    ),
    Life(
        "rbac_policies",
        {"network": "n", "action": "access_as_shared", "target_project": "p"},
        calls=4,
        needs={"networks": ["n"], "projects": ["p"]},
        foreign={"object_type": "network", "object_id": WAN, "action": "access_as_shared", "target_tenant": "x"},
    ),
]


@pytest.fixture(params=LIVES, ids=lambda life: life.plural)
def life(request: pytest.FixtureRequest, desk: Desk) -> Life:
    """One type after the other; somebody else has objects of the same name."""
    life: Life = request.param
    desk.cloud.put(life.kind, **life.foreign)
    # The service makes this group when it is first needed.
    default_group(desk.cloud, desk.cloud.admin_project)
    return life


test_it_is_made_as_planned_and_then_unchanged = promises.test_it_is_made_as_planned_and_then_unchanged
test_it_is_changed_in_place_as_planned = promises.test_it_is_changed_in_place_as_planned
test_what_cannot_change_in_place_needs_leave = promises.test_what_cannot_change_in_place_needs_leave
test_prune_takes_only_its_own = promises.test_prune_takes_only_its_own
test_it_is_removed_with_all_that_it_stands_on = promises.test_it_is_removed_with_all_that_it_stands_on
test_a_run_that_is_cut_off_is_finished_without_duplicates = (
    promises.test_a_run_that_is_cut_off_is_finished_without_duplicates
)
test_a_refusal_names_entry_resource_and_cause = promises.test_a_refusal_names_entry_resource_and_cause


def test_every_type_of_the_network_and_identity_has_a_life() -> None:
    named = {life.plural for life in LIVES}
    types = {kind.plural for kind in TYPES if kind.service in ("network", "identity")}
    # Assignments are no objects in the simulator, quotas are always there: both have tests of their own.
    assert types - named == {"role_assignments", "quotas"}
