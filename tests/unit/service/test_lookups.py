"""Lookups of services, as plays use them: the collection's own specifications in the variables of a small cloud."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleError
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible.vars.hostvars import HostVars
from ansible.vars.manager import VariableManager
from ansible_collections.stackwright.cloud.plugins.lookup import (
    ceph_clients,
    option,
    program,
    service_certificates,
    service_facts,
    service_frontends,
    service_hosts,
    service_names,
    service_packages,
    service_plan,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.service import host_view
from ansible_collections.stackwright.cloud.tests.role_variables import MADE, plugins_of_the_collection

INVENTORY = """
all:
  vars: {stackwright_internal_address: 10.0.0.11}
  children:
    controller:
      hosts: {controller1: {ansible_host: 10.0.0.11}}
    compute:
      hosts:
        compute1: {ansible_host: 10.0.0.31, nova_virt_type: auto}
        compute2: {ansible_host: 10.0.0.32, compute_services: [ovn.host, neutron.metadata]}
"""
NODES = {"controller": ["infrastructure", "controller"], "compute": ["compute"]}


def looked_up(module: Any, tmp_path: Path, host: str, *terms: Any, **variables: Any) -> Any:
    source = tmp_path / "hosts.yml"
    source.write_text(INVENTORY, encoding="utf-8")
    loader = DataLoader()
    inventory = InventoryManager(loader, [str(source)])
    manager = VariableManager(loader, inventory)
    options = {"issued": variables.pop("issued")} if "issued" in variables else {}
    # what roles would find out by lookups, which are not found here by their names
    manager._extra_vars = {
        "rabbitmq_members": {"controller1": "10.0.0.11"},
        "loadbalancer_members": {},
        "mariadb_members": [],
        **variables,
    }
    known = {**manager.get_vars(host=inventory.get_host(host)), "hostvars": HostVars(inventory, manager, loader)}
    with plugins_of_the_collection():
        return module.LookupModule(loader, Templar(loader, known)).run(list(terms), known, **options)


def test_agents_are_expected_where_their_service_is_carried(tmp_path: Path) -> None:
    found = looked_up(service_hosts, tmp_path, "controller1", NODES)[0]
    assert {(one["service"], one["binary"], *one["hosts"]) for one in found["agents"]} == {
        ("compute", "nova-conductor", "controller1"),
        ("compute", "nova-scheduler", "controller1"),
        ("compute", "nova-compute", "compute1"),
        ("network", "ovn-controller", "compute1", "compute2"),
        ("network", "neutron-ovn-metadata-agent", "compute1", "compute2"),
    }
    assert (found["hosts"]["ovn.central"], found["hosts"]["nova.compute"]) == (["controller1"], ["compute1"])


def test_front_ends_are_what_users_reach_with_all_hosts_that_serve_it(tmp_path: Path) -> None:
    (found,) = looked_up(service_frontends, tmp_path, "compute1", NODES)
    by_name = {one["name"]: one for one in found}
    assert by_name["glance"] == {
        "name": "glance",
        "port": 9292,
        "health": by_name["glance"]["health"],
        "servers": {"controller1": "10.0.0.11"},
    }
    assert {"keystone", "nova", "neutron", "placement"} <= by_name.keys()
    assert [one["port"] for one in found] == sorted(one["port"] for one in found)
    with pytest.raises(AnsibleError, match="give one mapping"):
        looked_up(service_frontends, tmp_path, "compute1", "glance")


def test_certificates_are_looked_at_where_they_are_shown_under_the_name_that_clients_use(tmp_path: Path) -> None:
    found = looked_up(
        service_certificates, tmp_path, "controller1", "infrastructure", stackwright_database_address="db.example"
    )
    assert [(one["service"], one["port"], one["protocol"], one["name"]) for one in found] == [
        ("mariadb", 3306, "mysql", "db.example"),
        ("rabbitmq", 5671, "tls", found[1]["host"]),
    ]
    assert {one["ca"] for one in found} == {"/etc/ssl/stackwright/ca.pem"}
    with pytest.raises(AnsibleError, match="service_certificates: service 'nava'"):
        looked_up(service_certificates, tmp_path, "controller1", "nava")


def test_every_api_the_dashboard_and_the_consoles_show_a_certificate(tmp_path: Path) -> None:
    found = looked_up(service_certificates, tmp_path, "controller1", "controller")
    assert {one["port"] for one in found if one["protocol"] == "https"} == {
        5000, 9292, 8778, 8774, 8775, 6080, 9696, 443,
    }  # fmt: skip
    assert {one["port"]: one["protocol"] for one in found if one["protocol"] != "https"} == dict.fromkeys(
        (6641, 6642, 16642), "mutual"
    )


def test_services_whose_certificates_are_shown_to_servers_alone_are_issued_them_too(tmp_path: Path) -> None:
    assert looked_up(service_certificates, tmp_path, "compute1", "compute") == []
    assert {"ovn.host", "neutron.metadata"} <= set(
        looked_up(service_certificates, tmp_path, "compute1", "compute", issued=True)
    )


def test_what_the_operator_takes_out_of_the_list_is_neither_fetched_nor_expected(tmp_path: Path) -> None:
    without = {"controller_services": ["keystone", "glance"]}
    found = looked_up(service_hosts, tmp_path, "compute1", {"controller": ["controller"]}, **without)[0]
    assert found["agents"] == [] and found["hosts"]["horizon.horizon"] == []
    packages = looked_up(service_packages, tmp_path, "controller1", "controller", **without)
    assert "glance-api" in packages and "openstack-dashboard-apache" not in packages
    assert looked_up(service_names, tmp_path, "controller1", "controller", **without) == ["keystone", "glance"]


def test_images_of_machines_with_ceph_are_made_before_the_cloud_has_secrets(tmp_path: Path) -> None:
    for host, node in (("compute1", "compute"), ("controller1", "controller")):
        packages = looked_up(service_packages, tmp_path, host, node, ceph_cloud=True, stackwright_secrets={})
        assert {"ceph-common", *(["qemu-block-extra"] if node == "compute" else [])} <= set(packages)


ABSENT = {"name": "horizon", "state": "absent"}


def test_readers_of_lists_pass_over_what_is_taken_off(tmp_path: Path) -> None:
    own = {"controller_services": ["keystone", {"name": "glance"}, ABSENT]}
    assert looked_up(service_names, tmp_path, "controller1", "controller", **own) == ["keystone", "glance"]
    assert looked_up(service_names, tmp_path, "controller1", own["controller_services"]) == ["keystone", "glance"]
    packages = looked_up(service_packages, tmp_path, "controller1", "controller", **own)
    assert "glance-api" in packages and "openstack-dashboard-apache" not in packages
    assert looked_up(service_hosts, tmp_path, "compute1", NODES, **own)[0]["hosts"]["horizon.horizon"] == []


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"name": "horizon", "state": "gone"}, "must be a service's name, or a mapping of name and state"),
        ({"name": "horizon", "stat": "absent"}, "must be a service's name, or a mapping of name and state"),
        ({"state": "absent"}, "must be a service's name, or a mapping of name and state"),
        ({"name": "keystone.keystone", "state": "absent"}, "service 'keystone' is listed twice"),
    ],
)
def test_entries_that_say_nothing_are_told(entry: dict[str, str], told: str, tmp_path: Path) -> None:
    with pytest.raises(AnsibleError, match=told):
        looked_up(service_names, tmp_path, "controller1", "controller", controller_services=["keystone", entry])


def test_only_hypervisors_are_asked_for_kvm(tmp_path: Path) -> None:
    facts = {
        host: looked_up(service_facts, tmp_path, host, node)[0]["facts"]
        for host, node in (("compute1", "compute"), ("compute2", "compute"), ("controller1", "controller"))
    }
    assert facts["compute1"] == {
        "datapath": "auto",
        "kvm": True,
        "cpu_mode": facts["compute1"]["cpu_mode"],
        "cpu_models": [],
        "machine": facts["compute1"]["machine"],
        "again": False,
    }
    assert facts["compute2"] == {"datapath": "auto"} and facts["controller1"] == {}


def test_an_option_of_a_role_that_is_not_part_of_the_play(tmp_path: Path) -> None:
    assert looked_up(option, tmp_path, "compute1", "nova_virt_type", "horizon_port") == ["auto", 443]
    with pytest.raises(
        AnsibleError, match=r"option: no role has the option 'horizon_prt'. Did you mean 'horizon_port'"
    ):
        looked_up(option, tmp_path, "compute1", "horizon_prt")
    with pytest.raises(AnsibleError, match="no role has the option '__nova_common'"):
        looked_up(option, tmp_path, "compute1", "__nova_common")


@pytest.mark.parametrize("module", [service_facts, service_names, service_packages])
def test_a_list_that_is_none_and_an_unknown_service_are_told(module: Any, tmp_path: Path) -> None:
    with pytest.raises(AnsibleError, match="compute_services must be a list of services, not 'nova'"):
        looked_up(module, tmp_path, "compute1", "compute", compute_services="nova")
    if module is not service_names:
        with pytest.raises(AnsibleError, match=r"there is no role 'nava' with specifications. Did you mean 'nova'"):
            looked_up(module, tmp_path, "compute1", "nava")


SHARED = {
    "memcached_encryption",
    "neutron_identity",
    "neutron_metadata_proxy",
    "nova_identity",
    "nova_compute_messaging",
}
HELD = {
    "infrastructure": set(),
    "compute": SHARED - {"memcached_encryption"},
    "controller": SHARED
    | {f"{one}_database" for one in ("glance", "horizon", "keystone", "neutron", "nova", "placement")}
    | {
        "glance_identity",
        "placement_identity",
        "neutron_messaging",
        "nova_messaging",
        "keystone_admin",
        "keystone_credential",
        "keystone_fernet",
        "horizon_secret_key",
    },
}


@pytest.mark.parametrize("node", sorted(HELD))
def test_each_kind_of_node_is_handed_the_secrets_of_its_own_plan_and_no_others(node: str, tmp_path: Path) -> None:
    declared = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in host_view.ROLES.glob("*/meta/secrets.yml")]
    secrets = {entry["name"]: f"the secret {entry['name']} $1/@%q9" for entries in declared for entry in entries}
    secrets |= MADE
    facts = {"kvm": False, "datapath": "system", "security_module": False}
    host = "compute1" if node == "compute" else "controller1"
    found = looked_up(service_plan, tmp_path, host, node, stackwright_secrets=secrets, services_facts=facts)[0]
    assert "problem" not in found, found
    assert {name for name, value in secrets.items() if value in found["secrets"]} == HELD[node]
    whole = json.dumps({key: value for key, value in found.items() if key != "secrets"})
    assert not [name for name in secrets.keys() - HELD[node] if f"the secret {name} " in whole]


def test_pools_and_users_follow_from_what_the_hosts_carry(tmp_path: Path) -> None:
    own = {"glance_store": "rbd", "nova_disks": "rbd", "ceph_cluster": "89568ec8-0e1b-4e57-9a49-a09ff9b70ceb"}
    found = looked_up(ceph_clients, tmp_path, "controller1", NODES, **own)[0]
    assert sorted(found["pools"]) == ["images", "vms"] and sorted(found["users"]) == ["client.glance", "client.nova"]
    assert looked_up(ceph_clients, tmp_path, "controller1", NODES)[0]["pools"] == {}
    with pytest.raises(AnsibleError, match="give one mapping"):
        looked_up(ceph_clients, tmp_path, "controller1", "controller")
    with pytest.raises(AnsibleError, match=r"ceph_clients: .*no role 'nowa'"):
        looked_up(ceph_clients, tmp_path, "controller1", {"controller": ["nowa"]})


def test_programs_are_read_whole_and_unknown_ones_are_told(tmp_path: Path) -> None:
    (text,) = looked_up(program, tmp_path, "controller1", "keystone_keys")
    assert text.startswith("#!/usr/bin/python3 -I\n") and text.endswith("sys.exit(main(sys.argv[1:]))\n")
    with pytest.raises(
        AnsibleError, match=r"program: there is no program 'keystone_kays'. Did you mean 'keystone_keys'"
    ):
        looked_up(program, tmp_path, "controller1", "keystone_kays")
