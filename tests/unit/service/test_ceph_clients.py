"""Services whose data are in Ceph: what they write on their hosts, and what the cluster holds for them."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.service import ceph_clients
from ansible_collections.stackwright.cloud.plugins.module_utils.service.specification import CephClient
from ansible_collections.stackwright.cloud.tests.role_variables import component

FSID = "89568ec8-0e1b-4e57-9a49-a09ff9b70ceb"
PROBE = {"services_facts": {"kvm": False, "security_module": "", "boots": True}}
IN_CEPH: dict[str, Any] = {
    "ceph_cloud": True,
    "ceph_cluster": FSID,
    "ceph_monitor_hosts": ["storage1", "storage2"],
    "groups": {"ceph_mon": ["storage1", "storage2"]},
    "hostvars": {
        f"storage{number}": {"inventory_hostname": f"storage{number}", "ansible_host": f"192.0.2.5{number}"}
        for number in (1, 2)
    },
    "group_names": ["controller"],
    "ceph_config_overrides": {"ceph.conf": {"client": {"rbd_cache": False}}},
    **PROBE,
}
CONF = "/etc/ceph/ceph.conf"


def carried(role: str, name: str, **given: Any) -> dict[str, Any]:
    return component(role, name, **{**IN_CEPH, **given})


@pytest.mark.parametrize(
    ("role", "name", "path", "key"),
    [
        ("glance", "glance", "/etc/ceph/ceph.client.glance.keyring", "the-ceph_glance"),
        ("cinder", "cinder", "/etc/ceph/ceph.client.cinder.keyring", "the-ceph_cinder"),
        ("cinder", "cinder", "/etc/ceph/ceph.client.cinder-backup.keyring", "the-ceph_cinder_backup"),
        ("nova", "compute", "/etc/ceph/ceph.client.nova.keyring", "the-ceph_nova"),
    ],
)
def test_a_host_has_the_way_to_the_cluster_and_the_key_of_its_own_service(
    role: str, name: str, path: str, key: str
) -> None:
    found = carried(role, name)
    options = found["files"][CONF]["options"]
    assert options["global"]["mon_host"] == "[v2:192.0.2.51:3300],[v2:192.0.2.52:3300]"
    assert options["global"]["ms_client_mode"] == "secure" and options["client"]["rbd_cache"] is False
    keyring = found["files"][path]
    assert (keyring["mode"], keyring["group"]) == ("0640", role) and f"key = {key}\n" in keyring["content"]
    assert not keyring.get("public") and keyring["units"]
    assert {"ceph-common", "python3-rbd"} <= set(found["packages"])


@pytest.mark.parametrize(("role", "name"), [("glance", "glance"), ("cinder", "cinder"), ("nova", "compute")])
def test_a_cloud_without_ceph_has_none_of_it(role: str, name: str) -> None:
    found = component(role, name, **PROBE)
    assert not [path for path in found["files"] if "ceph" in path or "secrets" in path]
    assert not {"ceph-common", "qemu-block-extra", "qemu-utils"} & set(found["packages"]) - {"qemu-utils"}


def test_a_host_of_the_cluster_keeps_its_own_configuration() -> None:
    nodes = {"storage": {"roles": ["ceph.osd"]}, "compute": {"roles": ["compute"]}}
    found = carried("nova", "compute", stackwright_nodes=nodes, group_names=["compute", "storage"])
    assert CONF not in found["files"] and "/etc/ceph/ceph.client.nova.keyring" in found["files"]


def test_images_become_raw_devices_that_disks_are_cloned_from() -> None:
    options = carried("glance", "glance")["files"]["/etc/glance/glance-api.conf"]["options"]
    assert options["DEFAULT"]["enabled_backends"] == "ceph:rbd,local:file"
    assert options["glance_store"]["default_backend"] == "ceph" and options["ceph"]["rbd_store_pool"] == "images"
    assert options["DEFAULT"]["show_image_direct_url"] is True
    assert options["image_conversion"]["output_format"] == "raw"
    local = component("glance", "glance")["files"]["/etc/glance/glance-api.conf"]["options"]
    assert (local["DEFAULT"]["enabled_backends"], local["glance_store"]["default_backend"]) == ("local:file", "local")
    assert local["image_import_opts"]["image_import_plugins"] is None


def test_qemu_gets_the_keys_of_disks_and_volumes_from_libvirt() -> None:
    found = carried("nova", "compute")
    libvirt = found["files"]["/etc/nova/nova.conf"]["options"]["libvirt"]
    own = libvirt["rbd_secret_uuid"]
    cinder = carried("cinder", "cinder")["files"]["/etc/cinder/cinder.conf"]["options"]
    volumes = cinder["backend_defaults"]["rbd_secret_uuid"]
    assert own != volumes and (libvirt["images_type"], libvirt["images_rbd_pool"]) == ("rbd", "vms")
    for uuid, key in ((own, "the-ceph_nova"), (volumes, "the-ceph_cinder")):
        secret = found["files"][f"/etc/libvirt/secrets/{uuid}.base64"]
        assert (secret["content"], secret["mode"], secret["units"]) == (key, "0600", ["libvirtd"])
        assert f"<uuid>{uuid}</uuid>" in found["files"][f"/etc/libvirt/secrets/{uuid}.xml"]["content"]
    assert "qemu-block-extra" in found["packages"]
    # the volumes' key opens no door but QEMU's
    assert "/etc/ceph/ceph.client.cinder.keyring" not in found["files"]


def test_volumes_alone_may_be_in_ceph() -> None:
    found = carried("nova", "compute", nova_disks="local")
    assert "images_type" not in found["files"]["/etc/nova/nova.conf"]["options"]["libvirt"]
    assert len([path for path in found["files"] if path.startswith("/etc/libvirt/secrets/")]) == 2
    assert CONF in found["files"] and "/etc/ceph/ceph.client.nova.keyring" not in found["files"]


def test_nova_finds_volumes_under_the_type_that_is_registered() -> None:
    for name in ("api", "compute"):
        options = component("nova", name, **PROBE)["files"]["/etc/nova/nova.conf"]["options"]["cinder"]
        assert options["catalog_info"] == "block-storage::internalURL" and options["os_region_name"] == "RegionOne"


def test_users_may_write_in_their_own_pools_and_read_in_those_that_they_clone_from() -> None:
    clients = [
        CephClient("cinder", writes=["volumes", "fast"], reads=["images"]),
        CephClient("cinder"),
        CephClient("glance", writes=["images"]),
        CephClient("cinder-backup", writes=["backups"]),
    ]
    found = ceph_clients.uses(clients, hosts=3)
    assert found.users["client.cinder"]["caps"] == {
        "mon": "profile rbd",
        "osd": "profile rbd pool=fast, profile rbd pool=volumes, profile rbd-read-only pool=images",
        "mgr": "profile rbd pool=fast, profile rbd pool=volumes",
    }
    assert found.users["client.glance"]["caps"]["osd"] == "profile rbd pool=images"
    assert found.secrets["client.cinder-backup"] == "ceph_cinder_backup"
    assert sorted(found.pools) == ["backups", "fast", "images", "volumes"]
    assert [ceph_clients.pool(hosts)["size"] for hosts in (2, 3, 9)] == [2, 3, 3]


def test_nobody_in_ceph_needs_nothing() -> None:
    found = ceph_clients.uses([], hosts=3)
    assert not (found.pools or found.users or found.secrets)
