"""Every simulated type through openstacksdk itself: made, listed, read, changed, removed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import openstack
import pytest
from ansible_collections.stackwright.cloud.tests.cloud_simulator import CloudSimulator
from openstack import exceptions

Values = dict[str, Any]


@dataclass
class World:
    """A simulated cloud, a connection, and the identifiers of what cases stand on."""

    cloud: CloudSimulator
    conn: Any
    ids: dict[str, str] = field(default_factory=dict)

    def need(self, name: str) -> str:
        """The identifier of something a case stands on, made when first asked for."""
        if name not in self.ids:
            self.ids[name] = NEEDS[name](self).id
        return self.ids[name]


@pytest.fixture
def world() -> Iterator[World]:
    with CloudSimulator() as cloud, openstack.connect(**cloud.login) as conn:
        yield World(cloud, conn)


NEEDS: dict[str, Callable[[World], Any]] = {
    "network": lambda w: w.conn.network.create_network(name="base"),
    "subnet": lambda w: w.conn.network.create_subnet(network_id=w.need("network"), ip_version=4, cidr="10.9.0.0/24"),
    "port": lambda w: w.need("subnet") and w.conn.network.create_port(network_id=w.need("network"), name="base"),
    "external": lambda w: w.conn.network.create_network(name="out", is_router_external=True),
    "external subnet": lambda w: w.conn.network.create_subnet(
        network_id=w.need("external"), ip_version=4, cidr="203.0.113.0/24"
    ),
    "group": lambda w: w.conn.network.create_security_group(name="base"),
    "service": lambda w: w.conn.identity.create_service(type="load-balancer", name="octavia"),
    "flavor": lambda w: w.conn.compute.create_flavor(name="base", ram=512, vcpus=1, disk=1),
    "image": lambda w: w.conn.image.create_image(
        name="base", disk_format="raw", container_format="bare", data=b"bits", validate_checksum=True
    ),
    "volume": lambda w: w.conn.block_storage.create_volume(size=1, name="base"),
}


@dataclass
class Case:
    """One type: which proxy and noun the SDK has for it, what is sent, what is changed, and what must be refused."""

    proxy: str
    noun: str
    make: Callable[[World], Values]
    change: Values | None = None
    plural: str = ""
    twice: bool = False
    lists: bool = True


CASES = {
    "domain": Case("identity", "domain", lambda w: {"name": "d", "enabled": False}, {"description": "n"}, twice=True),
    "project": Case(
        "identity", "project", lambda w: {"name": "p", "domain_id": "default"}, {"description": "n"}, twice=True
    ),
    "user": Case(
        "identity", "user", lambda w: {"name": "u", "domain_id": "default"}, {"email": "a@example.org"}, twice=True
    ),
    "group": Case(
        "identity", "group", lambda w: {"name": "g", "domain_id": "default"}, {"description": "n"}, twice=True
    ),
    "role": Case("identity", "role", lambda w: {"name": "r"}, {"description": "n"}, twice=True),
    "region": Case("identity", "region", lambda w: {"id": "North"}, {"description": "n"}, twice=True),
    "service": Case("identity", "service", lambda w: {"name": "s", "type": "dns"}, {"description": "n"}),
    "endpoint": Case(
        "identity",
        "endpoint",
        lambda w: {"service_id": w.need("service"), "interface": "public", "url": "http://a", "region_id": "RegionOne"},
        {"url": "http://b"},
    ),
    "network": Case("network", "network", lambda w: {"name": "n"}, {"description": "n"}),
    "subnet": Case(
        "network",
        "subnet",
        lambda w: {"network_id": w.need("network"), "ip_version": 4, "cidr": "10.8.0.0/24", "name": "s"},
        {"name": "t", "dns_nameservers": ["9.9.9.9"]},
    ),
    "subnet_pool": Case(
        "network", "subnet_pool", lambda w: {"name": "p", "prefixes": ["10.7.0.0/16"]}, {"description": "n"}
    ),
    "address_scope": Case("network", "address_scope", lambda w: {"name": "a", "ip_version": 4}, {"name": "b"}),
    "address_group": Case("network", "address_group", lambda w: {"name": "a"}, {"name": "b"}),
    "segment": Case(
        "network",
        "segment",
        lambda w: {
            "network_id": w.need("network"),
            "network_type": "vlan",
            "physical_network": "p",
            "segmentation_id": 7,
        },
        {"name": "n"},
        twice=True,
    ),
    "router": Case("network", "router", lambda w: {"name": "r"}, {"description": "n"}),
    "port": Case("network", "port", lambda w: {"network_id": w.need("network"), "name": "p"}, {"description": "n"}),
    "trunk": Case(
        "network", "trunk", lambda w: {"port_id": w.need("port"), "name": "t"}, {"description": "n"}, twice=True
    ),
    "security_group": Case("network", "security_group", lambda w: {"name": "g"}, {"description": "n"}),
    "security_group_rule": Case(
        "network",
        "security_group_rule",
        lambda w: {
            "security_group_id": w.need("group"),
            "direction": "ingress",
            "protocol": "tcp",
            "port_range_min": 22,
            "port_range_max": 22,
        },
        twice=True,
    ),
    "floating_ip": Case(
        "network",
        "ip",
        lambda w: {"floating_network_id": w.need("external subnet") and w.need("external")},
        {"description": "n"},
    ),
    "qos_policy": Case("network", "qos_policy", lambda w: {"name": "q"}, {"description": "n"}, plural="qos_policies"),
    "rbac_policy": Case(
        "network",
        "rbac_policy",
        lambda w: {
            "object_type": "network",
            "object_id": w.need("network"),
            "action": "access_as_shared",
            "target_project_id": w.cloud.admin_project,
        },
        {"target_project_id": "*"},
        plural="rbac_policies",
        twice=True,
    ),
    "flavor": Case(
        "compute", "flavor", lambda w: {"name": "f", "ram": 64, "vcpus": 1, "disk": 1}, {"description": "n"}, twice=True
    ),
    "keypair": Case("compute", "keypair", lambda w: {"name": "k", "public_key": "ssh-ed25519 AAAA"}, twice=True),
    "server_group": Case("compute", "server_group", lambda w: {"name": "g", "policy": "anti-affinity"}),
    "aggregate": Case("compute", "aggregate", lambda w: {"name": "a"}, {"name": "b"}, twice=True),
    "server": Case(
        "compute",
        "server",
        lambda w: {
            "name": "s",
            "flavor_id": w.need("flavor"),
            "image_id": w.need("image"),
            "networks": [{"uuid": w.need("subnet") and w.need("network")}],
        },
        {"name": "t"},
    ),
    "image": Case(
        "image", "image", lambda w: {"name": "i", "disk_format": "raw", "container_format": "bare"}, {"name": "j"}
    ),
    "volume_type": Case("block_storage", "type", lambda w: {"name": "t"}, {"description": "n"}, twice=True),
    "volume_qos": Case("block_storage", "qos_spec", lambda w: {"name": "q"}, plural="qos_specs", twice=True),
    "volume": Case("block_storage", "volume", lambda w: {"name": "v", "size": 1}, {"description": "n"}),
    "snapshot": Case(
        "block_storage", "snapshot", lambda w: {"name": "s", "volume_id": w.need("volume")}, {"description": "n"}
    ),
    "backup": Case("block_storage", "backup", lambda w: {"name": "b", "volume_id": w.need("volume")}),
    "stack": Case(
        "orchestration",
        "stack",
        lambda w: {"name": "st", "template": {"heat_template_version": "2021-04-16"}},
        twice=True,
    ),
    "zone": Case("dns", "zone", lambda w: {"name": "example.org.", "email": "a@example.org"}, {"ttl": 300}, twice=True),
}


def sdk_has(case: Case, conn: Any) -> bool:
    """Whether this SDK can make the type."""
    return hasattr(getattr(conn, case.proxy), f"create_{case.noun}")


@pytest.mark.parametrize("name", CASES)
def test_a_type_lives_through_its_whole_life(world: World, name: str) -> None:
    case = CASES[name]
    proxy = getattr(world.conn, case.proxy)
    values = case.make(world)
    if not sdk_has(case, world.conn):
        # openstacksdk has no face for it: the same over its plain HTTP methods.
        answer = proxy.post("/qos-specs", json={"qos_specs": values})
        assert answer.status_code == 200
        identifier = answer.json()["qos_specs"]["id"]
        assert proxy.post("/qos-specs", json={"qos_specs": values}).status_code == 409
        assert [q["name"] for q in proxy.get("/qos-specs").json()["qos_specs"]] == ["q"]
        assert proxy.delete(f"/qos-specs/{identifier}").status_code == 202
        assert proxy.get(f"/qos-specs/{identifier}").status_code == 404
        return
    made = getattr(proxy, f"create_{case.noun}")(**values)
    identifier = made.id
    if case.twice:
        with pytest.raises(exceptions.ConflictException):
            getattr(proxy, f"create_{case.noun}")(**values)
    assert identifier in {one.id for one in getattr(proxy, case.plural or f"{case.noun}s")()}
    assert getattr(proxy, f"get_{case.noun}")(identifier).id == identifier
    if case.change:
        getattr(proxy, f"update_{case.noun}")(identifier, **case.change)
        after = getattr(proxy, f"get_{case.noun}")(identifier)
        assert {k: getattr(after, k) for k in case.change} == case.change
    getattr(proxy, f"delete_{case.noun}")(identifier, ignore_missing=False)
    assert identifier not in {one.id for one in getattr(proxy, case.plural or f"{case.noun}s")()}
    with pytest.raises(exceptions.NotFoundException):
        getattr(proxy, f"delete_{case.noun}")(identifier, ignore_missing=False)


def test_role_assignments_come_and_go(world: World) -> None:
    identity = world.conn.identity
    user = identity.create_user(name="eve", domain_id="default", password="pw")
    role, project = identity.find_role("member"), identity.find_project("admin")
    identity.assign_project_role_to_user(project, user, role)
    [found] = identity.role_assignments(user_id=user.id, include_names=True)
    assert (found.role["name"], found.scope["project"]["name"]) == ("member", "admin")
    identity.unassign_project_role_from_user(project, user, role)
    assert not list(identity.role_assignments(user_id=user.id))


def test_group_roles_reach_the_members(world: World) -> None:
    identity = world.conn.identity
    user = identity.create_user(name="eve", domain_id="default", password="pw")
    group = identity.create_group(name="staff", domain_id="default")
    identity.add_user_to_group(user, group)
    identity.assign_project_role_to_group(world.cloud.admin_project, group, identity.find_role("reader"))
    with openstack.connect(**world.cloud.login_as("eve", "pw", "admin")) as eve:
        assert eve.current_user_id == user.id
        with pytest.raises(exceptions.ForbiddenException):
            eve.identity.create_project(name="x", domain_id="default")


def test_an_application_credential_logs_in(world: World) -> None:
    made = world.conn.identity.create_application_credential(world.conn.current_user_id, "robot")
    login = world.cloud.login | {
        "auth_type": "v3applicationcredential",
        "auth": {"auth_url": world.cloud.login["auth"]["auth_url"], "application_credential_id": made.id,
                 "application_credential_secret": made.secret},
    }  # fmt: skip
    with openstack.connect(**login) as conn:
        assert conn.current_project_id == world.cloud.admin_project


def test_a_router_joins_networks_and_guards_what_is_used(world: World) -> None:
    net = world.conn.network
    world.need("external subnet")
    router = net.create_router(name="r", external_gateway_info={"network_id": world.need("external")})
    net.add_interface_to_router(router, subnet_id=world.need("subnet"))
    address = net.create_ip(floating_network_id=world.need("external"), port_id=world.need("port"))
    assert (address.status, address.router_id) == ("ACTIVE", router.id)
    for refused in (
        lambda: net.delete_router(router),
        lambda: net.delete_network(world.need("network")),
        lambda: net.delete_subnet(world.need("subnet")),
        lambda: net.remove_interface_from_router(router, subnet_id=world.need("subnet")),
    ):
        with pytest.raises(exceptions.ConflictException):
            refused()
    net.delete_ip(address)
    net.remove_interface_from_router(router, subnet_id=world.need("subnet"))
    net.delete_router(router)


def test_subnets_must_fit(world: World) -> None:
    net = world.conn.network
    world.need("subnet")
    for wrong in (
        {"cidr": "10.9.0.128/25"},
        {"cidr": "10.5.0.0/24", "gateway_ip": "fe80::1"},
        {"cidr": "10.5.0.0/99"},
        {"cidr": "fd00::/64"},
    ):
        with pytest.raises(exceptions.BadRequestException):
            net.create_subnet(network_id=world.need("network"), ip_version=4, **wrong)
    with pytest.raises(exceptions.BadRequestException):
        exceptions.raise_from_response(
            net.put(f"/subnets/{world.need('subnet')}", json={"subnet": {"cidr": "10.1.0.0/24"}})
        )


def test_neutron_refuses_filters_it_does_not_know(world: World) -> None:
    assert world.conn.network.get("/networks?colour=red").status_code == 400


def test_a_security_group_has_two_rules_at_first(world: World) -> None:
    group = world.conn.network.create_security_group(name="web")
    assert {(r["direction"], r["ethertype"]) for r in group.security_group_rules} == {
        ("egress", "IPv4"),
        ("egress", "IPv6"),
    }


def test_forwarding_trunk_and_quality_of_service(world: World) -> None:
    net = world.conn.network
    world.need("external subnet")
    address = net.create_ip(floating_network_id=world.need("external"))
    rule = {"protocol": "tcp", "external_port": 80, "internal_port": 8080, "internal_port_id": world.need("port")}
    made = net.create_port_forwarding(floatingip_id=address.id, **rule)
    with pytest.raises(exceptions.ConflictException):
        net.create_port_forwarding(floatingip_id=address.id, **rule)
    net.update_port_forwarding(made, address, internal_port=8081)
    assert [f.internal_port for f in net.port_forwardings(address)] == [8081]
    child = net.create_port(network_id=world.need("network"))
    trunk = net.create_trunk(port_id=world.need("port"))
    net.add_trunk_subports(trunk, [{"port_id": child.id, "segmentation_type": "vlan", "segmentation_id": 5}])
    with pytest.raises(exceptions.ConflictException):
        net.delete_port(child, ignore_missing=False)
    net.delete_trunk_subports(trunk, [{"port_id": child.id}])
    policy = net.create_qos_policy(name="q")
    net.create_qos_bandwidth_limit_rule(policy, max_kbps=100)
    net.create_qos_dscp_marking_rule(policy, dscp_mark=10)
    assert {r["type"] for r in net.get_qos_policy(policy.id).rules} == {"bandwidth_limit", "dscp_marking"}


def test_quotas_of_the_three_services_hold(world: World) -> None:
    project = world.cloud.admin_project
    world.conn.network.update_quota(project, networks=1)
    world.conn.network.create_network(name="a")
    with pytest.raises(exceptions.ConflictException):
        world.conn.network.create_network(name="b")
    assert world.conn.compute.update_quota_set(project, cores=3).cores == 3
    assert world.conn.block_storage.update_quota_set(project, volumes=0).volumes == 0
    with pytest.raises(exceptions.HttpException) as refusal:
        world.conn.block_storage.create_volume(size=1)
    assert refusal.value.status_code == 413


def test_a_server_is_eventually_ready_and_obeys(world: World) -> None:
    compute = world.conn.compute
    bigger = compute.create_flavor(name="bigger", ram=1024, vcpus=2, disk=1)
    values = CASES["server"].make(world)
    world.need("volume")
    world.cloud.polls_until_ready = 2
    server = compute.create_server(**values)
    assert compute.get_server(server).status == "BUILD"
    server = compute.wait_for_server(server, interval=0.01)
    assert server.addresses["base"][0]["addr"] == "10.9.0.2"
    compute.resize_server(server, bigger.id)
    compute.wait_for_server(server, status="VERIFY_RESIZE", interval=0.01)
    compute.confirm_server_resize(server)
    server = compute.wait_for_server(server, interval=0.01)
    assert server.flavor["original_name"] == "bigger"
    with pytest.raises(exceptions.ConflictException):
        compute.start_server(server)
    compute.create_volume_attachment(server, volume_id=world.need("volume"))
    assert [a.volume_id for a in compute.volume_attachments(server)] == [world.need("volume")]
    compute.delete_server(server)
    assert not world.cloud.all("port")
    assert world.cloud.find("volume")[0]["status"] == "available"


def test_a_server_can_fail(world: World) -> None:
    world.cloud.fail_next["server"] = 1
    assert world.conn.compute.create_server(**CASES["server"].make(world)).status == "ERROR"


def test_flavors_have_specs_and_access(world: World) -> None:
    compute = world.conn.compute
    flavor = compute.create_flavor(name="own", ram=64, vcpus=1, disk=1, is_public=False)
    compute.create_flavor_extra_specs(flavor, {"hw:cpu_policy": "dedicated"})
    compute.flavor_add_tenant_access(flavor, world.cloud.admin_project)
    assert compute.fetch_flavor_extra_specs(flavor).extra_specs == {"hw:cpu_policy": "dedicated"}
    assert [a["tenant_id"] for a in compute.get_flavor_access(flavor)] == [world.cloud.admin_project]
    compute.delete_flavor_extra_specs_property(flavor, "hw:cpu_policy")
    assert compute.fetch_flavor_extra_specs(flavor).extra_specs == {}


def test_aggregates_hold_hosts_and_make_zones(world: World) -> None:
    compute = world.conn.compute
    made = compute.create_aggregate(name="fast", availability_zone="fast")
    compute.add_host_to_aggregate(made, "compute-1")
    with pytest.raises(exceptions.BadRequestException):
        compute.delete_aggregate(made)
    assert {z.name for z in compute.availability_zones()} == {"nova", "fast"}
    compute.remove_host_from_aggregate(made, "compute-1")
    assert compute.set_aggregate_metadata(made, {"ssd": "true"}).metadata["ssd"] == "true"


def test_image_data_are_checked_and_shared(world: World) -> None:
    image = world.conn.image.get_image(world.need("image"))
    assert (image.status, image.hash_value) == ("active", hashlib.sha512(b"bits").hexdigest())
    world.conn.image.update_image(image, visibility="shared", os_distro="debian")
    world.conn.image.add_member(image, member_id=world.cloud.admin_project)
    assert [m.member_id for m in world.conn.image.members(image)] == [world.cloud.admin_project]
    assert world.conn.image.download_image(image).content == b"bits"


def test_volume_types_are_encrypted_and_volumes_grow(world: World) -> None:
    storage = world.conn.block_storage
    kind = storage.create_type(name="safe")
    storage.create_type_encryption(
        kind, provider="luks", control_location="front-end", cipher="aes-xts-plain64", key_size=256
    )
    assert storage.get_type_encryption(kind).key_size == 256
    storage.update_type_extra_specs(kind, volume_backend_name="ceph")
    assert storage.get_type(kind.id).extra_specs == {"volume_backend_name": "ceph"}
    storage.extend_volume(world.need("volume"), 3)
    assert storage.get_volume(world.need("volume")).size == 3


def test_objects_keep_their_metadata(world: World) -> None:
    store = world.conn.object_store
    store.create_container("docs")
    store.set_container_metadata("docs", owner="shop")
    store.set_account_metadata(cost="12")
    store.upload_object(container="docs", name="a/b", data=b"hello")
    store.set_object_metadata("a/b", container="docs", colour="red")
    assert store.get_container_metadata("docs").metadata == {"owner": "shop"}
    assert store.get_object_metadata("a/b", container="docs").metadata == {"colour": "red"}
    assert store.get_account_metadata().metadata == {"cost": "12"}
    assert store.download_object("a/b", container="docs") == b"hello"
    with pytest.raises(exceptions.ConflictException):
        store.delete_container("docs", ignore_missing=False)
    store.delete_object("a/b", container="docs")
    store.delete_container("docs", ignore_missing=False)


def test_records_live_in_their_zone(world: World) -> None:
    dns = world.conn.dns
    zone = dns.create_zone(name="example.org.", email="a@example.org")
    record = dns.create_recordset(zone, name="www.example.org.", type="A", records=["192.0.2.1"])
    with pytest.raises(exceptions.ConflictException):
        dns.create_recordset(zone, name="www.example.org.", type="A", records=["192.0.2.2"])
    with pytest.raises(exceptions.BadRequestException):
        dns.create_recordset(zone, name="www.example.com.", type="A", records=["192.0.2.2"])
    dns.update_recordset(record, records=["192.0.2.9"])
    assert [r.records for r in dns.recordsets(zone) if r.type == "A"] == [["192.0.2.9"]]
    dns.delete_recordset(record, zone)


def test_stacks_are_updated(world: World) -> None:
    heat = world.conn.orchestration
    stack = heat.create_stack(name="st", template={"heat_template_version": "2021-04-16", "resources": {}})
    heat.update_stack(
        stack.id, template={"heat_template_version": "2021-04-16", "resources": {"n": {"type": "OS::Neutron::Net"}}}
    )
    assert [r.name for r in heat.resources(heat.get_stack(stack.id))] == ["n"]
    assert heat.find_stack("st").status == "UPDATE_COMPLETE"
