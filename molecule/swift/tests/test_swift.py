"""The storage nodes keep what they were given through the faults of the side effects, and nowhere else than where it
belongs."""

from __future__ import annotations

import json

import pytest


def variables(host):
    return host.ansible.get_variables()


def asked(host, method, address, path):
    """The status with which the object server of a storage node answers it."""
    script = (
        "import http.client, sys, time\n"
        "method, address, path = sys.argv[1:]\n"
        "c = http.client.HTTPConnection(address, 6200, timeout=30)\n"
        "c.request(method, path, b'x', {'X-Timestamp': f'{time.time():.5f}', 'Content-Type': 'a/b'})\n"
        "print(c.getresponse().status)\n"
    )
    return host.check_output("python3 -c %s %s %s %s", script, method, address, f"/{path}")


def test_copies_travel_on_the_network_for_them_alone(host):
    own = variables(host)
    listening = host.check_output("ss -H -l -t -n 'sport = :873 or sport = :6200'").splitlines()
    assert sorted(line.split()[3] for line in listening) == sorted(
        [
            f"{own['lab_management_address']}:6200",
            f"{own['lab_tunnel_address']}:6200",
            f"{own['lab_tunnel_address']}:873",
        ]
    )
    # the server of proxies does not replicate
    answers = [asked(host, "REPLICATE", own[name], "d1/1") for name in ("lab_management_address", "lab_tunnel_address")]
    assert answers == ["405", "200"]


def test_all_objects_are_still_what_they_were(host):
    if variables(host)["inventory_hostname"] != "object1":
        pytest.skip("asked by one node")
    answer = json.loads(host.check_output("python3 /var/tmp/objects.py check"))
    assert answer["failed"] == [] and answer["done"] == 500


def test_the_auditor_took_a_corrupted_object_away_and_replication_brought_it_back(host):
    if not host.file("/var/tmp/corrupted").exists:
        pytest.skip("nothing was corrupted here")
    path = host.check_output("cat /var/tmp/corrupted")
    name = path.split("/")[-2]
    assert host.run(f"find /srv/node/*/quarantined/objects -name '{name}*' | grep -q .").rc == 0
    host.check_output(f"timeout 120 sh -c 'until ls /srv/node/*/objects/*/*/{name}/*.data; do sleep 1; done'")


def test_a_missing_disk_takes_nothing_until_it_is_mounted_again(host):
    if variables(host)["inventory_hostname"] != "object4":
        pytest.skip("one node has disks")
    # the side effects took it away; a further run of this test does so itself
    host.run("umount --lazy /srv/node/d2")
    address = variables(host)["lab_management_address"]
    below = host.file("/srv/node/d2")
    assert (below.user, below.mode) == ("root", 0o755)
    assert host.run("runuser -u swift -- mkdir /srv/node/d2/objects").rc != 0
    assert asked(host, "PUT", address, "d2/1/a/c/o") == "507"
    # the disk that is there is written to
    assert asked(host, "PUT", address, "d1/1/a/c/o") == "201"
    host.check_output("systemctl restart stackwright-swift-devices")
    assert host.mount_point("/srv/node/d2").exists and host.file("/srv/node/d2").user == "swift"
    assert asked(host, "PUT", address, "d2/1/a/c/o") == "201"


def test_the_drained_device_holds_nothing_in_the_rings(host):
    if variables(host)["inventory_hostname"] != "object3":
        pytest.skip("one node was drained")
    script = (
        "from swift.common.ring import Ring\n"
        "for name in ('account', 'container', 'object', 'object-1'):\n"
        "    ring = Ring('/etc/swift', ring_name=name)\n"
        "    print({(d['meta'], d['weight']) for d in ring.devs if d and d['meta'] == 'object3/d2'},\n"
        "          sum(1 for row in ring._replica2part2dev_id for n in row if ring.devs[n]['meta'] == 'object3/d2'))\n"
    )
    assert host.check_output("python3 -c %s", script).splitlines() == ["{('object3/d2', 0.0)} 0"] * 4
