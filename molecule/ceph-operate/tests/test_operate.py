"""A cluster whose hosts came and went, whose packages were renewed, and whose monitors were lost: it is what it was."""

from __future__ import annotations

import json

GONE, UPGRADED = "ceph3", "ceph1"


def name(host):
    return host.backend.get_hostname()


def ask(host, words):
    return json.loads(host.check_output(f"ceph {words} --format json"))


def test_members_are_those_of_the_inventory(host):
    if name(host) != GONE:
        assert sorted(ask(host, "quorum_status")["quorum_names"]) == ["ceph1", "ceph2", "ceph4"]
        tree = ask(host, "osd tree")["nodes"]
        assert {one["name"] for one in tree if one["type"] == "host"} == {"ceph1", "ceph2", "ceph4"}
        managers = ask(host, "mgr dump")
        assert {managers["active_name"], *(one["name"] for one in managers["standbys"])} == {"ceph2", "ceph4"}


def test_what_was_made_by_hand_is_there(host):
    if name(host) != GONE:
        assert ask(host, "auth get client.byhand")[0]["caps"] == {"mon": "allow r", "osd": "allow rw pool=images"}
        settings = {(one["section"], one["name"]): one["value"] for one in ask(host, "config dump")}
        assert settings["osd", "osd_max_scrubs"] == "3"
        assert host.check_output("ceph config-key get by/hand") == "value"


def test_the_host_with_newer_packages_alone_has_them(host):
    version = host.check_output("dpkg-query -W -f '${Version}' ceph-osd")
    assert version.endswith(".1") == (name(host) == UPGRADED)


def test_the_host_that_left_has_no_key_and_its_disk(host):
    if name(host) == GONE:
        left = host.run("ls -d /var/lib/ceph/mon/ceph-* /var/lib/ceph/osd/ceph-* /etc/ceph/ceph.*n.keyring")
        assert left.stdout == ""
        assert host.file("/srv/ceph/disk2").exists
