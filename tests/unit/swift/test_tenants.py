"""Services whose data lie in the object store: what they write on their hosts."""

from __future__ import annotations

from typing import Any

from ansible_collections.stackwright.cloud.tests.role_variables import component

STORE = "/etc/glance/swift-store.conf"
PROBE = {"services_facts": {"kvm": False, "security_module": "", "boots": True}}


def glance(**given: Any) -> dict[str, Any]:
    return component("glance", "glance", **PROBE, **given)


def test_images_lie_in_a_container_of_the_service_and_the_login_in_a_file_for_it_alone() -> None:
    found = glance(glance_store="swift")
    options = found["files"]["/etc/glance/glance-api.conf"]["options"]
    assert options["DEFAULT"]["enabled_backends"] == "objects:swift,local:file"
    assert options["glance_store"]["default_backend"] == "objects"
    assert options["objects"]["swift_store_config_file"] == STORE
    # the database keeps the reference in place of a login
    assert not {"swift_store_user", "swift_store_key"} & set(options["objects"])
    file = found["files"][STORE]
    assert (file["state"], file["group"], file["mode"], file["units"]) == ("file", "glance", "0640", ["glance-api"])
    assert file["options"]["objects"]["user"] == "service:glance" and not file.get("public")
    assert "python3-swiftclient" in found["packages"]


def test_without_it_there_is_no_login() -> None:
    found = glance()
    assert found["files"][STORE]["state"] == "absent"
    assert not found["files"]["/etc/glance/glance-api.conf"]["options"]["objects"]


def test_backups_lie_in_a_container_of_the_service() -> None:
    found = component("cinder", "cinder", cinder_backup="swift", **PROBE)
    options = found["files"]["/etc/cinder/cinder.conf"]["options"]["DEFAULT"]
    assert options["backup_driver"] == "cinder.backup.drivers.swift.SwiftBackupDriver"
    assert (options["backup_swift_auth"], options["backup_swift_project"]) == ("single_user", "service")
    assert options["backup_swift_container"] == "volume-backups"
    assert "python3-swiftclient" in found["packages"]
