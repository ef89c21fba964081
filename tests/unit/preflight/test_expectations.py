"""What each host must offer, from the good inventory and the product's own roles and playbooks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cloudcase
import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight import plays


@pytest.fixture
def expected(tmp_path: Path) -> dict[str, dict[str, Any]]:
    return cloudcase.expectations_of(cloudcase.write({}, tmp_path))


def test_controller_listens_on_its_own_address(expected: dict[str, dict[str, Any]]) -> None:
    listeners = {one["service"]: one for one in expected["controller1"]["listeners"]}
    assert listeners["Keystone"] == {"service": "Keystone", "address": "10.9.0.11", "port": 5000, "unit": "keystone"}
    assert listeners["MariaDB"]["port"] == 3306
    assert listeners["Horizon"]["unit"] == "apache2"
    assert {"keystone", "mariadb", "nova-api"} <= set(expected["controller1"]["units"])


def test_changed_port_is_expected(tmp_path: Path) -> None:
    case = {"inventory": {"all": {"vars": {"horizon_port": 8080}}}}
    expected = cloudcase.expectations_of(cloudcase.write(case, tmp_path))
    assert {one["port"] for one in expected["controller1"]["listeners"] if one["service"] == "Horizon"} == {8080}


def test_compute_node_has_addresses_and_interfaces(expected: dict[str, dict[str, Any]]) -> None:
    compute = expected["compute1"]
    assert "Keystone" not in {one["service"] for one in compute["listeners"]}
    assert compute["hypervisor"] is True
    assert compute["addresses"] == [
        ["stackwright_management_address", "10.9.0.21"],
        ["ovn_tunnel_address", "10.9.1.21"],
    ]
    assert compute["interfaces"] == [["ovn_tunnel_interface", "eth1", "10.9.1.21"]]
    assert compute["name"] == "compute1"


def test_hosts_must_reach_the_controllers_but_not_themselves(expected: dict[str, dict[str, Any]]) -> None:
    assert [one["host"] for one in expected["compute1"]["peers"]] == ["controller1", "controller2", "controller3"]
    assert expected["controller1"]["peers"] == [
        {"host": "controller2", "address": "10.9.0.12", "port": 22, "assumed": False},
        {"host": "controller3", "address": "10.9.0.13", "port": 22, "assumed": False},
    ]


def test_forwarded_port_is_not_asked_of_another_address(tmp_path: Path) -> None:
    """Behind a NAT or a jump host the port of ansible_host says nothing of the management address."""
    forwarded = {"ansible_host": "10.9.9.1", "ansible_port": 52222, "stackwright_management_address": "10.9.0.12"}
    case = {
        "inventory": {
            "all": {
                "children": {"controller": {"hosts": {"controller2": forwarded, "controller3": {"ansible_port": 2222}}}}
            }
        }
    }
    peers = {
        one["host"]: one for one in cloudcase.expectations_of(cloudcase.write(case, tmp_path))["compute1"]["peers"]
    }
    assert peers["controller2"] == {"host": "controller2", "address": "10.9.0.12", "port": 22, "assumed": True}
    assert peers["controller3"] == {"host": "controller3", "address": "10.9.0.13", "port": 2222, "assumed": False}


def test_imported_playbooks_and_all_forms_of_roles_are_read(tmp_path: Path) -> None:
    (tmp_path / "site.yml").write_text(
        "- ansible.builtin.import_playbook: one.yml\n"
        "- hosts: compute\n  vars: {a: 1}\n"
        "  roles: [{role: stackwright.cloud.compute, vars: {b: 2}}, {name: ovn, c: 3}]\n"
        "- hosts: '{{ pattern }}'\n  roles: [never]\n",
        encoding="utf-8",
    )
    (tmp_path / "one.yml").write_text(
        "- hosts: controller:compute\n  roles: [stackwright.cloud.base]\n", encoding="utf-8"
    )
    assert plays.load(tmp_path / "site.yml") == [
        plays.Play("controller:compute", ("base",)),
        plays.Play("compute", ("compute", "ovn"), frozenset({"a", "b", "c"})),
    ]


def test_a_run_that_is_limited_knows_the_roles_of_all_hosts(tmp_path: Path) -> None:
    source = cloudcase.write({}, tmp_path)
    whole = {name: host.roles for name, host in cloudcase.view(source).hosts.items()}
    limited = cloudcase.view(source, limit="compute1")
    assert {name: host.roles for name, host in limited.hosts.items()} == whole
    assert "keystone" in whole["controller1"]


def test_a_host_is_to_trust_the_authorities_of_the_inventory(tmp_path: Path) -> None:
    expected = cloudcase.expectations_of(cloudcase.write({}, tmp_path / "all"))
    assert [len(one) for one in expected["compute1"]["authorities"]] == [64]
    case = {"secrets": {"pki_authority": "nonsense"}}
    assert cloudcase.expectations_of(cloudcase.write(case, tmp_path / "none"))["compute1"]["authorities"] == []


def test_what_a_host_does_not_carry_is_looked_for(tmp_path: Path) -> None:
    expected = cloudcase.expectations_of(cloudcase.write({}, tmp_path / "all"))
    assert expected["compute1"]["others"]["keystone.keystone"]["units"] == ["keystone", "keystone-fernet-rotate.timer"]
    assert "/etc/keystone/keystone.conf" in expected["compute1"]["others"]["keystone.keystone"]["files"]
    assert not {"base.base", "base.time", "nova.compute"} & expected["compute1"]["others"].keys()
    assert "horizon.horizon" not in expected["controller1"]["others"]
    services = ["ovn.central", "keystone", "glance", "placement", "nova.api", "neutron.server"]
    for more, looked_for in (([], True), ([{"name": "horizon", "state": "absent"}], False)):
        case = {"inventory": {"all": {"vars": {"controller_services": services + more}}}}
        expected = cloudcase.expectations_of(cloudcase.write(case, tmp_path / str(looked_for)))
        assert ("horizon.horizon" in expected["controller1"]["others"]) is looked_for


def test_names_among_several_places_of_a_service_are_resolved_one_by_one(tmp_path: Path) -> None:
    case = {"inventory": {"all": {"vars": {"stackwright_messaging_address": ["10.9.0.12", "queue.example.org"]}}}}
    expected = cloudcase.expectations_of(cloudcase.write(case, tmp_path))
    assert expected["controller1"]["names"] == [["stackwright_messaging_address", "queue.example.org"]]


def test_a_load_balancer_asks_who_has_what_it_is_to_carry(tmp_path: Path) -> None:
    case = {"inventory": {"all": {"vars": {"loadbalancer_members": {"controller1": "10.9.0.11"}}}}}
    expected = cloudcase.expectations_of(cloudcase.write(case, tmp_path))
    (address,) = expected["controller1"]["virtual"]["addresses"]
    assert expected["controller1"]["virtual"] == {
        "addresses": {address: "stackwright_internal_address"},
        "routers": [51],
        "own": "10.9.0.11",
        "members": ["10.9.0.11"],
    }
    assert expected["compute1"]["virtual"] == {}
