"""What operators of optional services may rely on beyond their proofs: who reaches what, and every resource type."""

from __future__ import annotations

import socket

import pytest
from scenario import resource_types_converge


def address(host):
    return host.ansible.get_variables()["lab_management_address"]


def connects(host, port):
    try:
        with socket.create_connection((address(host), port), timeout=3):
            return True
    except OSError:
        return False


@pytest.mark.parametrize(
    ("port", "open_to_users"),
    [
        *((port, True) for port in (8004, 8042, 8776, 8786, 9001, 9311, 53)),
        *((port, False) for port in (5354, 953)),
    ],
)
def test_users_reach_the_apis_and_the_name_server_and_nothing_else(host, port, open_to_users):
    assert connects(host, port) is open_to_users


def dig(host, *words):
    return host.check_output(f"dig @{address(host)} +tries=1 +time=3 {' '.join(words)}")


def test_the_name_server_asks_nobody_and_hands_out_no_zone(host):
    assert "status: REFUSED" in dig(host, "debian.org", "A")
    assert "ANSWER: 0" in dig(host, "version.bind", "TXT", "CH")


def test_the_name_servers_key_is_for_those_who_need_it(host):
    key = host.file("/etc/bind/designate.key")
    assert (key.user, key.group, key.mode) == ("bind", "designate", 0o440)
    assert host.run("setpriv --reuid=65534 --regid=65534 --clear-groups cat /etc/bind/designate.key").rc != 0
    assert "zone" in host.check_output("rndc -s 127.0.0.1 -k /etc/bind/designate.key status").lower()
    # without the key, or with another one, nobody gives the name server orders
    assert host.run("rndc -s 127.0.0.1 status").rc != 0


def test_volumes_and_backups_are_closed_to_other_accounts(host):
    for path in ("/srv/cinder", "/var/lib/cinder/backup"):
        assert host.run(f"setpriv --reuid=65534 --regid=65534 --clear-groups ls {path}").rc != 0


def test_nothing_failed(host):
    assert host.check_output("systemctl list-units --failed --plain --no-legend") == ""


def test_every_resource_type_of_these_services_converges():
    resource_types_converge("optional-services")
