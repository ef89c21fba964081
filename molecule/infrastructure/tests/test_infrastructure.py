"""Database, message queue and cache answer over their own protocols, on the management address alone."""

from __future__ import annotations

import pytest


def address(host):
    return host.ansible.get_variables()["lab_management_address"]


def test_the_database_answers_queries(host):
    assert host.check_output("mariadb --batch --skip-column-names -e 'SELECT 6 * 7'") == "42"
    assert host.check_output("mariadb -BN -e 'SELECT @@transaction_isolation'") == "READ-COMMITTED"


def test_the_message_queue_takes_and_gives_messages(host):
    assert host.run("rabbitmqctl -q await_startup --timeout 30").rc == 0
    assert "nodedown" not in host.check_output("rabbitmqctl -q status")


def test_the_cache_keeps_what_it_is_given(host):
    script = f"import memcache; c = memcache.Client(['{address(host)}:11211']); assert c.set('proof', 'kept'); print(c.get('proof'))"
    assert host.check_output(f'python3 -c "{script}"') == "kept"


@pytest.mark.parametrize("port", [3306, 5672, 11211])
def test_services_listen_on_the_management_address_only(host, port):
    assert host.socket(f"tcp://{address(host)}:{port}").is_listening
    listening = host.check_output(f"ss -H -l -t -n 'sport = :{port}'").splitlines()
    assert [line.split()[3] for line in listening] == [f"{address(host)}:{port}"]
