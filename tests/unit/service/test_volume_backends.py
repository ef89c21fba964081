"""Back ends of the block storage service: what is written of each, and what is refused before it can be."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.stackwright.cloud.plugins.filter.volume_backends import work_out
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.kinds import KINDS
from ansible_collections.stackwright.cloud.plugins.module_utils.service.volume_backends import (
    BackendError,
    worked_out,
)
from ansible_collections.stackwright.cloud.tests.role_variables import component

LOCAL = {"driver": "directory", "path": "/srv/cinder"}
SHARE = {"driver": "nfs", "share": "storage.example.org:/volumes", "mount_options": "nfsvers=4.2"}


def test_a_directory_stands_for_a_share_that_is_mounted_already() -> None:
    found = worked_out({"local": LOCAL})
    (mount,) = found.mounts
    # the sum of "127.0.0.1:/srv/cinder", as os-brick makes it
    assert mount == ("/srv/cinder", "/var/lib/cinder/mnt/af8c22d515aabca2867396279bc072f1")
    options = found.options["local"]
    assert (options["nas_host"], options["nas_share_path"]) == ("127.0.0.1", "/srv/cinder")
    assert options["volume_backend_name"] == "local" and found.packages == []


def test_a_share_needs_the_client_of_its_protocol_and_takes_options() -> None:
    found = worked_out({"fast": SHARE | {"options": {"max_over_subscription_ratio": 2.0}}, "local": LOCAL})
    assert (found.names, found.packages) == (["fast", "local"], ["nfs-common"])
    options = found.options["fast"]
    assert (options["nas_host"], options["nas_mount_options"]) == ("storage.example.org", "nfsvers=4.2")
    assert options["max_over_subscription_ratio"] == 2.0
    assert (
        worked_out({"six": SHARE | {"share": "[2001:db8::5]:/volumes"}}).options["six"]["nas_host"] == "[2001:db8::5]"
    )


def test_pools_of_ceph_belong_to_one_user_and_are_one_for_each_back_end() -> None:
    found = worked_out({"ceph": {"driver": "rbd"}, "fast": {"driver": "rbd", "pool": "ssd"}, "local": LOCAL})
    assert found.ceph_pools == ["volumes", "ssd"]
    assert (found.options["fast"]["rbd_pool"], found.options["fast"]["rbd_user"]) == ("ssd", "cinder")


@pytest.mark.parametrize(
    ("backends", "said"),
    [
        ({}, "at least one"),
        ([LOCAL], "at least one"),
        ({"local": "directory"}, "must be a mapping"),
        ({"local": {"driver": "directroy", "path": "/srv"}}, "none of directory, nfs, rbd. Did you mean 'directory'?"),
        ({"local": {"path": "/srv"}}, "driver None is none of"),
        ({"local": LOCAL | {"pathh": 1}}, "unknown key 'pathh'. Did you mean 'path'?"),
        ({"local": LOCAL | {"path": "srv; reboot"}}, "path must be an absolute path"),
        ({"local": LOCAL | {"path": "/srv/a b"}}, "path must be an absolute path"),
        ({"fast": {"driver": "nfs"}}, "share must be a share such as"),
        ({"fast": SHARE | {"share": "/volumes"}}, "share must be a share such as"),
        ({"local": LOCAL | {"options": ["a"]}}, "options must map"),
        ({"fast": {"driver": "rbd", "pool": "a b"}}, "pool must be the name of a pool in Ceph"),
        ({"one": {"driver": "rbd"}, "two": {"driver": "rbd"}}, "two: one keeps its volumes in the same place"),
        ({"nova": LOCAL}, "cannot be the name"),
        ({"Local": LOCAL}, "cannot be the name"),
        ({"one": LOCAL, "two": LOCAL}, "two: one keeps its volumes in the same place"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_written(backends: Any, said: str) -> None:
    with pytest.raises(BackendError) as told:
        worked_out(backends)
    assert said in str(told.value)
    test = KINDS["volume_backends"].test
    assert test
    fault = test({})(backends)
    assert fault and said in fault[0] and "docs/optional-services.md" in fault[1]
    with pytest.raises(AnsibleFilterError, match="volume_backends: "):
        work_out(backends)


def test_the_service_gets_a_section_and_a_mount_for_each() -> None:
    cinder = component("cinder", "cinder", cinder_backends={"local": LOCAL, "fast": SHARE})
    options = cinder["files"]["/etc/cinder/cinder.conf"]["options"]
    assert options["DEFAULT"]["enabled_backends"] == "local,fast"
    assert options["fast"]["nas_share_path"] == "/volumes"
    assert cinder["files"]["/etc/cinder/cinder.conf"]["free_sections"] == ["local", "fast"]
    assert "nfs-common" in cinder["packages"]
    unit = cinder["files"]["/etc/systemd/system/stackwright-volume-directories.service"]["content"]
    assert unit.count("mount --bind") == 1 and "-o cinder -g cinder -m 0770 /srv/cinder\n" in unit


@pytest.mark.parametrize(
    ("value", "fit"),
    [
        (["ns1.example.org."], True),
        (["my_controller."], True),
        ([], True),
        ("ns1.example.org.", True),
        (["ns1.example.org"], False),
        (["ns1..example.org."], False),
        (["-."], False),
        ([7], False),
    ],
)
def test_names_of_name_servers_end_with_a_dot(value: Any, fit: bool) -> None:
    test = KINDS["zone_names"].test
    assert test and (test({})(value) is None) is fit
