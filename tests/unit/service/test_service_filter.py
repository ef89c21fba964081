"""What the product's own specifications let into the hosts of a small cloud, by the lookup as plays use it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible.vars.hostvars import HostVars
from ansible.vars.manager import VariableManager
from ansible_collections.stackwright.cloud.plugins.lookup import service_filter
from ansible_collections.stackwright.cloud.plugins.module_utils.service import host_view

INVENTORY = """
all:
  vars:
    stackwright_internal_address: 10.0.0.11
  children:
    controller: {hosts: {controller1: {ansible_host: 10.0.0.11, ovn_tunnel_address: 10.1.0.11}}}
    compute:
      hosts:
        compute1: {ansible_host: 10.0.0.31, ovn_tunnel_address: 10.1.0.31}
        compute2: {ansible_host: 10.0.0.32, ovn_tunnel_address: 10.1.0.32}
"""
ROLES = {
    "controller": ["base", "base.time", "pki", "infrastructure", "controller"],
    "compute": ["base", "base.time", "pki", "compute"],
}
COMPUTES = ["10.0.0.31/32", "10.0.0.32/32", "10.1.0.31/32", "10.1.0.32/32"]


def looked_up(tmp_path: Path, host: str, **variables: Any) -> dict[str, Any]:
    source = tmp_path / "hosts.yml"
    source.write_text(INVENTORY, encoding="utf-8")
    loader = DataLoader()
    inventory = InventoryManager(loader, [str(source)])
    manager = VariableManager(loader, inventory)
    members = {"rabbitmq_members": {"controller1": "10.0.0.11"}, "loadbalancer_members": {}}
    manager._extra_vars = {**members, "mariadb_members": ["controller1"], **variables}
    hostvars = HostVars(inventory, manager, loader)
    known = {**manager.get_vars(host=inventory.get_host(host)), "hostvars": hostvars}
    found: dict[str, Any] = service_filter.LookupModule(loader, Templar(loader, known)).run([ROLES], known)[0]
    return found


def rules(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in found["rules"]["rules"]}


def test_databases_and_queue_are_for_the_hosts_that_need_them(tmp_path: Path) -> None:
    found = rules(looked_up(tmp_path, "controller1"))
    assert found["MariaDB"]["sources"] == ["10.0.0.11/32", "10.1.0.11/32"]
    assert set(COMPUTES) < set(found["RabbitMQ"]["sources"]) and set(COMPUTES) < set(
        found["OVN southbound database"]["sources"]
    )
    assert found["OVN northbound database"]["sources"] == ["10.0.0.11/32", "10.1.0.11/32"]
    assert found["Nova metadata"]["sources"] == COMPUTES
    assert found["Keystone"]["sources"] is None and found["Keystone"]["addresses"] == ["10.0.0.11"]
    assert "memcached" not in found and "Erlang's name service" not in found


def test_compute_nodes_take_consoles_from_controllers_and_tunnels_from_each_other(tmp_path: Path) -> None:
    found = looked_up(tmp_path, "compute1")
    assert rules(found)["consoles of guests"]["sources"] == ["10.0.0.11/32", "10.1.0.11/32"]
    door = rules(found)["disks of servers that are migrated"]
    assert (door["sources"], door["ports"], door["addresses"]) == (COMPUTES, ["8022"], ["10.0.0.31"])
    assert rules(found)["tunnels"]["sources"] == COMPUTES and rules(found)["tunnels"]["ports"] == ["6081"]
    assert found["rules"]["refused"] == ["br-int", "tap*", "br-ex"]
    assert not any(one["path"].endswith(":11211") for one in found["sockets"])
    assert {one["path"] for one in found["sockets"]} > {"/run/libvirt/libvirt-sock", "/run/openvswitch/db.sock"}
    assert not any("users" in str(one) or one["sources"] is None for one in rules(found).values())


def test_cache_of_one_controller_is_for_the_accounts_of_its_services(tmp_path: Path) -> None:
    found = looked_up(tmp_path, "controller1")
    (cache,) = found["rules"]["reserved"]
    assert (cache["name"], cache["ports"]) == ("memcached", ["11211"])
    assert {"keystone", "glance", "nova", "neutron"} < set(cache["accounts"])
    assert {"name": "memcached", "path": "127.0.0.1:11211", "accounts": cache["accounts"]} in found["sockets"]
    assert not any("11211" in one["path"] for one in looked_up(tmp_path, "controller1", base_filter=False)["sockets"])
    several = looked_up(tmp_path, "controller1", stackwright_memcached_servers=["10.0.0.11:11211"])
    assert several["rules"]["reserved"] == []


def test_cache_of_several_controllers_is_for_them_alone(tmp_path: Path) -> None:
    found = looked_up(tmp_path, "controller1", stackwright_memcached_servers=["10.0.0.11:11211"])
    assert rules(found)["memcached"]["sources"] == ["10.0.0.11/32", "10.1.0.11/32"]
    assert {"host": "controller1", "name": "memcached", "address": "10.0.0.11", "port": 11211}.items() <= next(
        one for one in found["closed"] if one["name"] == "memcached"
    ).items()


def test_users_reach_the_public_address_alone_where_the_host_has_one(tmp_path: Path) -> None:
    facts = {"all_ipv4_addresses": ["10.0.0.11", "198.51.100.7"]}
    found = looked_up(tmp_path, "controller1", stackwright_public_address="198.51.100.7", ansible_facts=facts)
    keystone = [one for one in found["rules"]["rules"] if one["name"] == "Keystone"]
    assert [(one["addresses"], one["sources"] is None) for one in keystone] == [
        (["198.51.100.7"], True),
        (["10.0.0.11", "198.51.100.7"], False),
    ]
    elsewhere = looked_up(tmp_path, "controller1", stackwright_public_address="198.51.100.9", ansible_facts=facts)
    assert rules(elsewhere)["Keystone"]["addresses"] == ["10.0.0.11"]


def test_what_the_site_says_is_heeded_and_a_mistake_is_told(tmp_path: Path) -> None:
    found = looked_up(
        tmp_path, "compute1", base_filter_rules=[{"name": "exporter", "ports": [9100], "from": ["10.5.0.0/24"]}]
    )
    assert rules(found)["exporter"]["sources"] == ["10.5.0.0/24"]
    assert 9100 in [one["ports"][0][0] for one in found["listeners"]]
    assert (
        "Did you mean 'ports'"
        in looked_up(tmp_path, "compute1", base_filter_rules=[{"port": 1, "from": "users"}])["problem"]
    )
    assert looked_up(tmp_path, "compute1", base_filter=False)["enabled"] is False


BOOK = host_view.book({})
CHECKED = sorted(term for term in BOOK.names() if any(one.port or one.url for one in BOOK.read(term).health))


@pytest.mark.parametrize("term", CHECKED)
def test_every_service_that_is_asked_for_its_health_says_who_may_reach_it(term: str) -> None:
    """What an API asks for follows from its port; the others say both themselves."""
    component = BOOK.read(term)
    asked = {str(one.port) for one in component.health if one.port}
    asked |= {one.url.rsplit(":", 1)[1].split("/")[0] for one in component.health if one.url}
    named = {str(port) for one in component.filter for port in one.get("ports", [])}
    assert asked <= named, f"{term}: add the ports to its filter"
