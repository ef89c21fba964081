"""The inventory of servers: several clouds and regions, addresses, groups, cache, faults that name the cloud."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.stackwright.cloud.plugins.inventory.servers import InventoryModule, plain
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.errors import CloudError
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.servers import (
    Choice,
    Source,
    address_of,
    inventory_names,
    read_clouds,
    sources_of,
)
from ansible_collections.stackwright.cloud.tests.cloud_simulator import CloudSimulator

from .conftest import Desk


def add_server(cloud: CloudSimulator, name: str, addresses: dict[str, list[str]], **more: Any) -> str:
    """A server with a port per network."""
    flavor = (cloud.find("flavor", name="small") or [cloud.put("flavor", name="small", ram=1, vcpus=1, disk=1, _access=set())])[0]
    image = (cloud.find("image", name="debian") or [cloud.put("image", name="debian", status="active", owner="x")])[0]
    given = {"status": "ACTIVE", "metadata": {}, "tags": [], "key_name": "ops", "security_groups": [{"name": "default"}]} | more
    server = cloud.put("server", name=name, tenant_id=cloud.admin_project, image={"id": image["id"]},
                       flavor={"original_name": "small", "id": flavor["id"]}, **given)["id"]  # fmt: skip
    for network, ips in addresses.items():
        found = cloud.find("network", name=network) or [cloud.put("network", name=network, project_id=cloud.admin_project)]
        port = cloud.put("port", name="", network_id=found[0]["id"], project_id=cloud.admin_project, device_id=server,
                         mac_address="fa:16:3e:00:00:01", security_groups=[],
                         fixed_ips=[{"subnet_id": "s", "ip_address": ip} for ip in ips if not ip.startswith("203.")])["id"]  # fmt: skip
        for ip in ips:
            if ip.startswith("203."):
                cloud.put("floating_ip", floating_ip_address=ip, port_id=port, project_id=cloud.admin_project)
    return str(server)


@pytest.fixture
def partner() -> Iterator[CloudSimulator]:
    """A second cloud, in another region."""
    with CloudSimulator(region="North") as cloud:
        yield cloud


@pytest.fixture
def both(desk: Desk, partner: CloudSimulator, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desk with the clouds "simulated" and "partner", both with a server called web."""
    desk.write_clouds({"clouds": {**desk.cloud.clouds["clouds"], "partner": partner.clouds["clouds"]["simulated"]}})
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", desk.environment["OS_CLIENT_CONFIG_FILE"])
    add_server(desk.cloud, "web", {"blue": ["10.0.0.5", "fd00::5", "203.0.113.5"], "management": ["10.9.0.5"]},
               metadata={"role": "front", "note": "{{ lookup('pipe', 'id') }}"}, tags=["b", "a"])  # fmt: skip
    add_server(desk.cloud, "db", {"blue": ["10.0.0.6"]}, status="SHUTOFF", metadata={"role": "store"})
    add_server(partner, "web", {"red": ["10.1.0.5"]})
    return desk


def inventory(desk: Desk, *flags: str, **content: Any) -> Any:
    """What ansible-inventory makes of a file; its output when it fails."""
    path = desk.path / "servers.yml"
    path.write_text(yaml.safe_dump({"plugin": "stackwright.cloud.servers", **content}))
    desk.environment["ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED"] = "true"
    ran = desk.command("ansible-inventory", "--inventory", str(path), "--list", *flags)
    return json.loads(ran.stdout) if ran.returncode == 0 else ran.stdout + ran.stderr


def test_a_real_inventory_of_two_clouds(both: Desk) -> None:
    found = inventory(
        both,
        clouds=["simulated", {"cloud": "partner", "regions": ["North"]}],
        keyed_groups=[{"key": "server_metadata.role", "prefix": "role"}, {"key": "server_cloud", "prefix": "cloud"}],
        groups={"stopped": "server_status == 'SHUTOFF'"},
        compose={"ansible_user": "'debian' if server_image == 'debian' else 'root'"},
    )
    hosts = found["_meta"]["hostvars"]
    webs = sorted(name for name in hosts if name.startswith("web-"))
    assert len(webs) == 2 and len(hosts) == 3, "two servers of one name are told apart"
    assert found["role_store"]["hosts"] == found["stopped"]["hosts"] == ["db"]
    assert len(found["cloud_simulated"]["hosts"]) == 2 and len(found["cloud_partner"]["hosts"]) == 1
    (front,) = found["role_front"]["hosts"]
    assert hosts[front]["ansible_host"] == "203.0.113.5" and hosts["db"]["ansible_host"] == "10.0.0.6"
    assert hosts["db"]["ansible_user"] == "debian"
    assert hosts["db"]["server_flavor"] == "small" and hosts["db"]["server_project"] == "admin"
    assert hosts[front]["server_tags"] == ["a", "b"]
    (other,) = found["cloud_partner"]["hosts"]
    assert hosts[other]["server_region"] == "North" and hosts[other]["ansible_host"] == "10.1.0.5"


def test_what_the_owner_of_a_server_writes_is_never_a_template(both: Desk) -> None:
    """An inventory that trusted it would run the command."""
    inventory(both, clouds=["simulated"])
    ran = both.command("ansible", "--inventory", str(both.path / "servers.yml"), "web", "-m", "ansible.builtin.debug",
                       "-a", "msg={{ server_metadata.note }}")  # fmt: skip
    assert "lookup('pipe', 'id')" in ran.stdout and "uid=" not in ran.stdout
    assert plain({"a": ["{{ x }}", 1]}) == {"a": ["{{ x }}", 1]}


@pytest.mark.parametrize(
    ("choice", "address"),
    [
        (Choice(), "203.0.113.5"),
        (Choice(kinds=("fixed", "floating")), "10.0.0.5"),
        (Choice(networks=("management", "blue")), "10.9.0.5"),
        (Choice(networks=("blue",), version=6), "fd00::5"),
        (Choice(networks=("nowhere",)), ""),
        (Choice(kinds=("floating",), version=6), ""),
        (Choice(networks=("blue",), kinds=("fixed",), version=0), "10.0.0.5"),
    ],
)
def test_the_address_is_chosen_by_network_kind_and_version(both: Desk, choice: Choice, address: str) -> None:
    hosts, _ = read_clouds([Source("simulated")])
    (web,) = [host for host in hosts if host["server_name"] == "web"]
    assert address_of(web, choice) == address


def test_hosts_take_the_options_of_the_file(both: Desk) -> None:
    found = inventory(both, clouds=["simulated"], networks=["management"], statuses=["active"], hostname="id")
    (name,) = found["_meta"]["hostvars"]
    assert found["_meta"]["hostvars"][name]["server_id"] == name
    assert found["_meta"]["hostvars"][name]["ansible_host"] == "10.9.0.5"
    found = inventory(both, clouds=["simulated"], ip_version="any", networks=["management"])
    assert "ansible_host" not in found["_meta"]["hostvars"]["db"]


def test_regions_come_from_the_file_or_the_catalogue(both: Desk) -> None:
    service = both.cloud.find("service", type="compute")[0]["id"]
    url = both.cloud.find("endpoint", service_id=service)[0]["url"]
    both.cloud.put("endpoint", service_id=service, interface="public", region_id="South", region="South", url=url)
    hosts, faults = read_clouds([Source("simulated", ("RegionOne", "South"))])
    assert not faults and [host["server_region"] for host in hosts if host["server_name"] == "db"] == ["RegionOne", "South"]
    clouds = both.cloud.clouds
    del clouds["clouds"]["simulated"]["region_name"]
    both.write_clouds(clouds)
    both.cloud.forget_calls()
    assert {host["server_region"] for host in read_clouds([Source("simulated")])[0]} == {"RegionOne", "South"}
    assert both.cloud.count("POST", "identity") == 1, "one login for all regions"
    _, (fault,) = read_clouds([Source("simulated", ("Suoth",))])
    assert fault.startswith("Cloud simulated: ") and "Did you mean 'South'?" in fault


def test_all_projects_are_an_administrators_choice(both: Desk) -> None:
    project = both.cloud.put("project", name="shop", domain_id="default")["id"]
    server = add_server(both.cloud, "till", {})
    both.cloud.objects["server"][server]["tenant_id"] = project
    assert "till" not in [host["server_name"] for host in read_clouds([Source("simulated")])[0]]
    hosts, _ = read_clouds([Source("simulated", all_projects=True)])
    assert {host["server_name"]: host["server_project"] for host in hosts}["till"] == "shop"


def test_names_that_may_not_be_listed_are_identifiers(both: Desk) -> None:
    both.cloud.fault(method="GET", service="image", status=403, times=0)
    hosts, faults = read_clouds([Source("simulated")])
    assert not faults and hosts[0]["server_image"] == both.cloud.find("image", name="debian")[0]["id"]
    both.cloud.heal()
    with CloudSimulator(services=("identity", "compute")) as small:
        add_server(small, "web", {})
        both.write_clouds(small.clouds)
        assert len(read_clouds([Source("simulated")])[0][0]["server_image"]) > 30


def test_the_cache_saves_the_clouds_the_questions(both: Desk) -> None:
    cache = {"cache": True, "cache_plugin": "ansible.builtin.jsonfile", "cache_connection": str(both.path / "cache")}
    first = inventory(both, clouds=["simulated"], **cache)
    both.cloud.forget_calls()
    add_server(both.cloud, "late", {})
    assert inventory(both, clouds=["simulated"], **cache) == first
    assert not both.cloud.calls
    assert "late" in inventory(both, "--flush-cache", clouds=["simulated"], **cache)["_meta"]["hostvars"]


def test_a_cloud_that_cannot_be_read_is_named(both: Desk, partner: CloudSimulator) -> None:
    partner.fault(method="GET", service="compute", status=500, times=0)
    told = inventory(both, clouds=["simulated", "partner"])
    assert "Cloud partner, region North: GET" in told and "500" in told and "Traceback" not in told
    found = inventory(both, clouds=["simulated", "partner"], unreachable="warn")
    assert sorted(found["_meta"]["hostvars"]) == ["db", "web"]
    assert "Cloud partner" in inventory(both, clouds=["partner"], unreachable="warn")
    partner.heal()
    partner.fault(method="POST", service="identity", status=401, times=0)
    assert "Cloud partner: The identity service at" in inventory(both, clouds=["partner"])
    assert "Did you mean 'partner'" in inventory(both, clouds=["parner"])
    assert "clouds[0]: The name of a cloud" in inventory(both, clouds=[7])


def test_a_partial_answer_is_not_kept(both: Desk, partner: CloudSimulator) -> None:
    cache = {"cache": True, "cache_plugin": "ansible.builtin.jsonfile", "cache_connection": str(both.path / "cache")}
    partner.fault(method="GET", service="compute", status=500, times=0)
    inventory(both, clouds=["simulated", "partner"], unreachable="warn", **cache)
    partner.heal()
    assert len(inventory(both, clouds=["simulated", "partner"], **cache)["_meta"]["hostvars"]) == 3


def test_strict_faults_name_cloud_and_server(both: Desk) -> None:
    wrong = {"clouds": ["simulated"], "compose": {"rack": "server_metadata.rack"}}
    assert "rack" not in inventory(both, **wrong)["_meta"]["hostvars"]["db"]
    told = inventory(both, strict=True, **wrong)
    assert "Cloud simulated, region RegionOne, server db: Could not set rack for host db" in " ".join(told.split())


def test_the_option_clouds_is_checked_whole() -> None:
    with pytest.raises(CloudError) as caught:
        sources_of(["a", 7, {"cloud": "b", "region": "x"}, {"regions": []}])
    assert str(caught.value).splitlines() == [
        "clouds[1]: The name of a cloud, or a mapping with the key cloud, is wanted.",
        "clouds[2].region: Unknown key 'region'. Did you mean 'regions'?",
        "clouds[3]: The name of a cloud, or a mapping with the key cloud, is wanted.",
    ]
    assert sources_of([{"cloud": "b", "regions": "x", "all_projects": True}]) == [Source("b", ("x",), True)]
    assert sources_of("a") == [Source("a")]


def test_names_of_hosts() -> None:
    hosts = [{"server_name": n, "server_id": f"{i}0000000-1"} for i, n in enumerate(["a", "b", "a"])]
    assert inventory_names(hosts, "name") == ["a-00000000", "b", "a-20000000"]
    assert inventory_names(hosts, "id") == ["00000000-1", "10000000-1", "20000000-1"]


def test_only_yaml_files_are_read(tmp_path: Path) -> None:
    for name in ("a.yml", "a.yaml", "a.ini"):
        (tmp_path / name).write_text("plugin: stackwright.cloud.servers\n")
        assert InventoryModule().verify_file(str(tmp_path / name)) == (name != "a.ini")
