"""The inventory of servers: several clouds and regions, addresses, groups, cache, faults that name the cloud."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.stackwright.cloud.plugins.inventory.servers import InventoryModule
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.errors import CloudError
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.faces.servers import (
    Choice,
    Source,
    address_of,
    free_group_name,
    group_name,
    inventory_names,
    plain_address,
    read_clouds,
    sources_of,
)
from ansible_collections.stackwright.cloud.tests import hostile
from ansible_collections.stackwright.cloud.tests.cloud_simulator import CloudSimulator

from .conftest import Desk


def add_server(cloud: CloudSimulator, name: str, addresses: dict[str, list[str]], **more: Any) -> str:
    """A server with a port per network."""
    flavor = (
        cloud.find("flavor", name="small") or [cloud.put("flavor", name="small", ram=1, vcpus=1, disk=1, _access=set())]
    )[0]
    image = (cloud.find("image", name="debian") or [cloud.put("image", name="debian", status="active", owner="x")])[0]
    given = {
        "status": "ACTIVE",
        "metadata": {},
        "tags": [],
        "key_name": "ops",
        "security_groups": [{"name": "default"}],
    } | more
    server = cloud.put("server", name=name, tenant_id=cloud.admin_project, image={"id": image["id"]},
                       flavor={"original_name": "small", "id": flavor["id"]}, **given)["id"]  # fmt: skip
    for network, ips in addresses.items():
        found = cloud.find("network", name=network) or [
            cloud.put("network", name=network, project_id=cloud.admin_project)
        ]
        port = cloud.put(
            "port",
            name="",
            network_id=found[0]["id"],
            project_id=cloud.admin_project,
            device_id=server,
            mac_address="fa:16:3e:00:00:01",
            security_groups=[],
            fixed_ips=[{"subnet_id": "s", "ip_address": ip} for ip in ips if not ip.startswith("203.")],
        )["id"]
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
    return json.loads(ran.stdout, object_hook=untrusted) if ran.returncode == 0 else ran.stdout + ran.stderr


def untrusted(entry: dict[str, Any]) -> Any:
    """The text of a value that ansible-inventory marks as one that is never a template."""
    return entry["__ansible_unsafe"] if set(entry) == {"__ansible_unsafe"} else entry


def test_a_real_inventory_of_two_clouds(both: Desk) -> None:
    found = inventory(
        both,
        clouds=["simulated", {"cloud": "partner", "regions": ["North"]}],
        keyed_groups=[{"key": "server_metadata.role", "prefix": "role"}, {"key": "server_cloud", "prefix": "cloud"}],
        groups={"stopped": "server_status == 'SHUTOFF'"},
        compose={"ansible_user": "'debian' if server_image == 'debian' else 'root'"},
    )
    hosts = found["_meta"]["hostvars"]
    webs = sorted(name for name in hosts if name.startswith("server_web-"))
    assert len(webs) == 2 and len(hosts) == 3, "two servers of one name are told apart"
    assert found["role_store"]["hosts"] == found["stopped"]["hosts"] == ["server_db"]
    assert len(found["cloud_simulated"]["hosts"]) == 2 and len(found["cloud_partner"]["hosts"]) == 1
    (front,) = found["role_front"]["hosts"]
    assert hosts[front]["ansible_host"] == "203.0.113.5" and hosts["server_db"]["ansible_host"] == "10.0.0.6"
    assert hosts["server_db"]["ansible_user"] == "debian"
    assert hosts["server_db"]["server_flavor"] == "small" and hosts["server_db"]["server_project"] == "admin"
    assert hosts[front]["server_tags"] == ["a", "b"]
    (other,) = found["cloud_partner"]["hosts"]
    assert hosts[other]["server_region"] == "North" and hosts[other]["ansible_host"] == "10.1.0.5"


PROD = """\
all:
  hosts: {laptop: {}}
  children:
    controller: {hosts: {controller1: {ansible_host: 192.0.2.10, ansible_user: ops}, controller2: }}
    role_inner: {hosts: {controller1: }}
    role_empty: {vars: {note: declared}}
"""


def together(desk: Desk, *order: str, **content: Any) -> Any:
    """What ansible-inventory makes of the servers and of the operator's own hosts, read in this order."""
    (desk.path / "prod.yml").write_text(PROD)
    (desk.path / "servers.yml").write_text(yaml.safe_dump({"plugin": "stackwright.cloud.servers", **content}))
    desk.environment["ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED"] = "true"
    ran = desk.command("ansible-inventory", *(word for name in order for word in ("-i", f"{name}.yml")), "--list")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert not hostile.raw(ran.stdout.replace("\n", "")) and "Found both group and host" not in ran.stderr
    return json.loads(ran.stdout, object_hook=untrusted)


def in_group(found: dict[str, Any], group: str) -> set[str]:
    """Hosts of a group and of the groups in it."""
    entry = found.get(group, {})
    below = (in_group(found, child) for child in entry.get("children", []))
    return set(entry.get("hosts", [])).union(*below)


HOSTILE_GROUPS: dict[str, Any] = {
    "keyed_groups": [
        {"key": "server_metadata.note", "prefix": "role"},
        {"key": "server_metadata.note"},
        {"key": "server_metadata.note", "separator": ""},
        {"key": "server_tags", "prefix": "tag", "parent_group": "{{ server_metadata.note }}"},
        {"key": "server_metadata"},
        {"key": "server_name", "prefix": ""},
    ],
    "leading_separator": False,
    "compose": {
        "copied": "server_metadata.note",
        "ansible_python_interpreter": "server_metadata.interpreter | default(omit)",
    },
    "groups": {"noted": "server_metadata.note is defined"},
}


@pytest.mark.parametrize("order", [("servers", "prod"), ("prod", "servers")])
def test_hostile_servers_run_nothing_and_take_nobodys_place(both: Desk, order: tuple[str, ...]) -> None:
    trap = both.path / "trap"
    texts = hostile.corpus(trap)
    for label, text in texts.items():
        add_server(
            both.cloud, text, {"blue": ["10.0.0.66"]}, metadata={"note": text, text: label, "label": label}, tags=[text]
        )
    add_server(both.cloud, "inner", {"blue": ["10.0.0.67"]}, metadata={"note": "inner", "label": "inner"})
    found = together(both, *order, clouds=["simulated"], **HOSTILE_GROUPS)
    hosts = found["_meta"]["hostvars"]
    assert hosts["controller1"]["ansible_host"] == "192.0.2.10" and hosts["controller1"]["ansible_user"] == "ops"
    assert not {"controller1", "controller2", "laptop", *hostile.TAKEN} & {
        n for n, v in hosts.items() if "server_id" in v
    }
    assert not any(name.startswith(("ansible_", "server_")) for name in hosts.get("controller2", {}))
    reached = {v["server_metadata"]["label"] for v in hosts.values() if "label" in v.get("server_metadata", {})}
    assert reached == {*texts, "inner"}, "every server is a host of its own"
    assert all(re.fullmatch(r"server[A-Za-z0-9._-]{,120}", name) for name, v in hosts.items() if "server_id" in v)
    assert in_group(found, "controller") == {"controller1", "controller2"}
    if order[0] == "prod":
        assert in_group(found, "role_inner") == {"controller1"} and len(in_group(found, "server_role_inner")) == 1
    assert {name for name in found if not name.isidentifier()} == set()
    ran = both.command("ansible", *(word for name in order for word in ("-i", f"{name}.yml")), "noted", "-m",
                       "ansible.builtin.debug", "-a", "msg={{ [server_metadata, server_name, copied, server_tags] }}",
                       "-e", "ansible_connection=local")  # fmt: skip
    assert ran.stdout.count("SUCCESS") == len(texts) + 2
    both.command("ansible-inventory", "-i", "servers.yml", "--graph", "--vars")
    assert not trap.exists()


def test_without_a_prefix_a_server_still_takes_no_name_that_is_there(both: Desk) -> None:
    for name in hostile.TAKEN:
        add_server(both.cloud, name, {"blue": ["10.0.0.66"]})
    found = together(both, "prod", "servers", clouds=["simulated"], prefix="")
    hosts = found["_meta"]["hostvars"]
    assert hosts["controller1"]["ansible_host"] == "192.0.2.10" and "localhost" not in hosts
    assert {"db", "web"} <= set(hosts)
    assert sum(v.get("server_name") in hostile.TAKEN for v in hosts.values()) == len(hostile.TAKEN)
    assert "prefix: 'a b' cannot begin" in inventory(both, clouds=["simulated"], prefix="a b")


def test_files_of_two_clouds_share_their_groups(both: Desk, partner: CloudSimulator) -> None:
    add_server(partner, "far", {"red": ["10.1.0.9"]}, metadata={"role": "front"})
    groups = {"keyed_groups": [{"key": "server_metadata.role", "prefix": "role", "parent_group": "controller"}]}
    (both.path / "other.yml").write_text(
        yaml.safe_dump({"plugin": "stackwright.cloud.servers", "clouds": ["partner"], **groups})
    )
    found = together(both, "prod", "other", "servers", clouds=["simulated"], **groups)
    assert sorted(found["role_front"]["hosts"]) == [
        "server_far",
        "server_web-" + found_id(found, "simulated", "web")[:8],
    ]
    assert "server_far" in in_group(found, "controller"), "a parent that the operator names is meant"


def found_id(found: dict[str, Any], cloud: str, name: str) -> str:
    """The identifier of the server of this name in this cloud."""
    hosts = found["_meta"]["hostvars"].values()
    return str(next(v["server_id"] for v in hosts if (v.get("server_cloud"), v.get("server_name")) == (cloud, name)))


def test_an_address_is_an_address() -> None:
    """One with a zone would carry any text into the variable that Ansible connects with."""
    assert plain_address("FD00::5") == "fd00::5" and plain_address("10.0.0.5") == "10.0.0.5"
    assert plain_address("fe80::1%{{ x }}") == plain_address("-oProxyCommand=id") == plain_address("") == ""


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
    assert "ansible_host" not in found["_meta"]["hostvars"]["server_db"]


def test_regions_come_from_the_file_or_the_catalogue(both: Desk) -> None:
    service = both.cloud.find("service", type="compute")[0]["id"]
    url = both.cloud.find("endpoint", service_id=service)[0]["url"]
    both.cloud.put("endpoint", service_id=service, interface="public", region_id="South", region="South", url=url)
    hosts, faults = read_clouds([Source("simulated", ("RegionOne", "South"))])
    assert not faults and [host["server_region"] for host in hosts if host["server_name"] == "db"] == [
        "RegionOne",
        "South",
    ]
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
    assert "server_late" in inventory(both, "--flush-cache", clouds=["simulated"], **cache)["_meta"]["hostvars"]


def test_a_cloud_that_cannot_be_read_is_named(both: Desk, partner: CloudSimulator) -> None:
    partner.fault(method="GET", service="compute", status=500, times=0)
    told = inventory(both, clouds=["simulated", "partner"])
    assert "Cloud partner, region North: GET" in told and "500" in told and "Traceback" not in told
    found = inventory(both, clouds=["simulated", "partner"], unreachable="warn")
    assert sorted(found["_meta"]["hostvars"]) == ["server_db", "server_web"]
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
    assert "rack" not in inventory(both, **wrong)["_meta"]["hostvars"]["server_db"]
    told = inventory(both, strict=True, **wrong)
    assert "Cloud simulated, region RegionOne, server db: Could not set rack for host server_db" in " ".join(
        told.split()
    )


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


def named(*names: str) -> list[dict[str, Any]]:
    return [{"server_name": name, "server_id": f"{number}0000000-1"} for number, name in enumerate(names)]


def test_names_of_hosts() -> None:
    hosts = named("a", "b", "a")
    assert inventory_names(hosts, "name") == ["a-00000000", "b", "a-20000000"]
    assert inventory_names(hosts, "name", "vm-") == ["vm-a-00000000", "vm-b", "vm-a-20000000"]
    assert inventory_names(hosts, "id", "vm-") == ["00000000-1", "10000000-1", "20000000-1"]
    assert inventory_names(hosts, "name", "", {"b"}) == ["a-00000000", "b-10000000", "a-20000000"]
    assert inventory_names(named("my server", "x[1:9]", "..", "é"), "name", "s_") == [
        "s_my-server-00000000", "s_x-1-9-10000000", "s-20000000", "s-30000000"]  # fmt: skip


def test_names_that_pretend_to_be_made_ones_are_told_apart() -> None:
    names = inventory_names(named("a", "a", "a-00000000", "a-00000000-1", "a-10000000", "A"), "name")
    assert len(set(names)) == 6
    twice = [*named("a"), *named("a")]
    assert (
        len(set(inventory_names([{**twice[0], "server_cloud": "x"}, {**twice[1], "server_cloud": "y"}], "name"))) == 2
    )
    assert inventory_names([{"server_name": "x", "server_id": "localhost"}], "id")[0].startswith("localhost-")


def test_names_of_groups() -> None:
    assert group_name("role_web 1\n\u202e") == "role_web_1__" and group_name("1a") == "_1a"
    assert len({group_name("x" * 300 + end) for end in "ab"}) == 2 and len(group_name("x" * 300)) == 100
    assert free_group_name("a", {"a", "server_a"}, {}) == "server_server_a"
    assert free_group_name("all", set(), {}) == "server_all" and free_group_name("b", {"a"}, {"b": 1}) == "server_b"


def test_only_yaml_files_are_read(tmp_path: Path) -> None:
    for name in ("a.yml", "a.yaml", "a.ini"):
        (tmp_path / name).write_text("plugin: stackwright.cloud.servers\n")
        assert InventoryModule().verify_file(str(tmp_path / name)) == (name != "a.ini")
