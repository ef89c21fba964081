"""A cluster of three machines: encrypted on the wire, data where it belongs, keys that open what they are for."""

from __future__ import annotations

import json
import re

import pytest

MODES = {f"ms_{kind}_mode" for kind in ("cluster", "service", "client", "mon_cluster", "mon_service", "mon_client")}


def ask(host, words):
    return json.loads(host.check_output(f"ceph {words} --format json"))


def test_nothing_speaks_unencrypted(host):
    """Version 1 of the messenger, which cannot encrypt, listens nowhere; every daemon wants all modes secure."""
    listening = host.check_output("ss -Htln")
    assert ":3300" in listening
    assert ":6789" not in listening
    # a daemon that is gone leaves its socket, on which nobody listens
    daemons = sorted(set(re.findall(r"/\S+[.]asok", host.check_output("ss -Hlx"))))
    assert daemons
    for daemon in daemons:
        shown = json.loads(host.check_output("ceph daemon %s config show", daemon))
        assert {name: shown[name] for name in MODES} == dict.fromkeys(MODES, "secure")
        assert shown["ms_bind_msgr1"] == "false"


def test_a_client_that_does_not_encrypt_is_refused(host):
    words = "--ms_mon_client_mode=crc --ms_client_mode=crc --connect-timeout 8 -s"
    assert host.run(f"ceph {words}").rc != 0
    assert host.run(f"ceph {words.replace('crc', 'secure')}").rc == 0


def test_the_cluster_is_as_described(host):
    pools = {one["pool_name"]: one for one in ask(host, "osd dump")["pools"]}
    assert {"images", "volumes", "archive"} <= pools.keys()
    assert (pools["images"]["size"], pools["archive"]["erasure_code_profile"]) == (3, "two_and_one")
    assert pools["volumes"]["quota_max_objects"] == 10000
    assert {"rack1", "rack2", "rack3"} <= {one["name"] for one in ask(host, "osd tree")["nodes"]}


def test_databases_of_osds_are_kept_apart(host):
    found = ask(host, "osd metadata")
    assert {(one["bluefs_dedicated_db"], one["bluefs_dedicated_wal"]) for one in found} == {("1", "0")}


def test_managers_load_their_modules(host):
    assert not {"MGR_MODULE_DEPENDENCY", "MGR_MODULE_ERROR"} & ask(host, "health detail")["checks"].keys()
    assert ask(host, "balancer status")["mode"]
    url = ask(host, "mgr services")["prometheus"] + "metrics"
    code = f"import urllib.request; print(urllib.request.urlopen({url!r}).read().decode())"
    assert "ceph_health_status" in host.check_output("python3 -c %s", code)


@pytest.mark.parametrize(
    ("path", "owner"), [("/etc/ceph/ceph.client.admin.keyring", "root"), ("/etc/ceph/ceph.mon.keyring", "ceph")]
)
def test_keys_are_their_owners_alone(host, path, owner):
    assert (host.file(path).user, host.file(path).mode) == (owner, 0o600)


def test_a_disk_that_holds_something_is_refused_and_left_alone(host):
    host.check_output("mkdir -p /srv/other && truncate -s 2G /srv/other/disk && mkswap /srv/other/disk")
    before = host.check_output("head -c 8M /srv/other/disk | sha256sum")
    words = json.dumps({"cluster": "any", "devices": [{"path": "/srv/other/disk"}]})
    try:
        answer = host.ansible("stackwright.cloud.ceph_osds", words, check=False, become=True)
    except host.ansible.AnsibleException as error:
        answer = error.result
    assert "/srv/other/disk is not empty: data (swap)" in answer["msg"]
    assert host.check_output("head -c 8M /srv/other/disk | sha256sum") == before
