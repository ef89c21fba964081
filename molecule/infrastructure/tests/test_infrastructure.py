"""Database, message queue and cache answer over their own protocols, on the management address alone."""

from __future__ import annotations

import json
import socket

import pytest


def address(host):
    return host.ansible.get_variables()["lab_management_address"]


def test_the_database_answers_queries(host):
    assert host.check_output("mariadb --batch --skip-column-names -e 'SELECT 6 * 7'") == "42"
    assert host.check_output("mariadb -BN -e 'SELECT @@transaction_isolation'") == "READ-COMMITTED"


# Publishes three messages to a durable queue, then takes them on a new connection. Reads the login from its input.
MESSAGES = """
import json, ssl, sys
import amqp
login = json.load(sys.stdin)
def connected():
    trust = {"ca_certs": "/etc/ssl/stackwright/ca.pem", "cert_reqs": ssl.CERT_REQUIRED}
    name = {"server_hostname": login["host"].split(":")[0]}
    connection = amqp.Connection(**login, ssl={**trust, **name}, connect_timeout=10, read_timeout=10)
    connection.connect()
    return connection
sent = ["one", "two", "three"]
with connected() as connection:
    channel = connection.channel()
    channel.queue_declare("proof", durable=True, auto_delete=False)
    for text in sent:
        channel.basic_publish(amqp.Message(text, delivery_mode=2), routing_key="proof")
with connected() as connection:
    channel = connection.channel()
    taken = []
    while (message := channel.basic_get("proof", no_ack=True)) is not None:
        taken.append(message.body)
    channel.queue_delete("proof")
    assert taken == sent, taken
print(len(taken))
"""


def test_the_message_queue_takes_and_gives_messages(host):
    assert host.run("rabbitmqctl -q await_startup --timeout 30").rc == 0
    user, password = "proof", "a-password-for-the-proof-alone"
    login = json.dumps(
        {"host": f"{address(host)}:5671", "userid": user, "password": password, "virtual_host": "/proof"}
    )
    host.check_output("apt-get -q -y --no-install-recommends install python3-amqp")
    host.check_output("rabbitmqctl -q add_vhost /proof && rabbitmqctl -q add_user %s %s", user, password)
    try:
        host.check_output("rabbitmqctl -q set_permissions --vhost /proof %s '.*' '.*' '.*'", user)
        assert host.check_output("printf %%s %s | python3 -c %s", login, MESSAGES) == "3"
        wrong = login.replace(password, "another")
        assert host.run("printf %%s %s | python3 -c %s", wrong, MESSAGES).rc != 0
    finally:
        host.check_output("rabbitmqctl -q delete_user %s && rabbitmqctl -q delete_vhost /proof", user)


def test_the_cache_keeps_what_it_is_given(host):
    script = (
        "import memcache; c = memcache.Client(['127.0.0.1:11211']); assert c.set('proof', 'kept'); "
        "print(c.get('proof'))"
    )
    assert host.check_output(f'python3 -c "{script}"') == "kept"


@pytest.mark.parametrize(
    ("port", "own"), [(3306, ""), (5671, ""), (11211, "127.0.0.1"), (4369, "127.0.0.1"), (25672, "127.0.0.1")]
)
def test_services_listen_on_one_address_only(host, port, own):
    listening = host.check_output(f"ss -H -l -t -n 'sport = :{port}'").splitlines()
    assert [line.split()[3] for line in listening] == [f"{own or address(host)}:{port}"]


def reaches(host, port):
    """Whether this machine, which is no host of the cloud, gets a connection."""
    try:
        socket.create_connection((address(host), port), timeout=2).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("port", [3306, 5671, 11211, 4369])
def test_strangers_get_no_connection(host, port):
    assert reaches(host, 22)
    assert not reaches(host, port)


def test_it_is_the_packet_filter_that_keeps_strangers_out_and_it_outlives_a_flush(host):
    host.check_output("nft delete table inet stackwright")
    try:
        assert reaches(host, 3306)
    finally:
        host.check_output("systemctl restart nftables")
    assert not reaches(host, 3306) and reaches(host, 22)
    assert host.service("stackwright-filter").is_enabled
    host.check_output("systemctl disable --now nftables")
    assert not reaches(host, 3306) and reaches(host, 22)


def test_the_authority_was_replaced_and_no_client_noticed(host):
    told = json.loads(host.file("/root/clients.json").content_string)
    assert told["failed"] == [], told
    assert min(told["served"].values()) > 10
    # what either authority issued was shown
    assert {service: len(issuers) for service, issuers in told["issuers"].items()} == {"database": 2, "messages": 2}


CLEAR = """
import sys
import pymysql
try:
    pymysql.connect(host=sys.argv[1], user="nobody", password="none", ssl_disabled=True, connect_timeout=10)
except pymysql.MySQLError as error:
    print(error.args[0])
"""


def test_who_does_not_encrypt_is_refused(host):
    own = address(host)
    # "Connections using insecure transport are prohibited"
    assert host.check_output("python3 -c %s %s", CLEAR, own) == "3159"
    said = host.run("printf 'AMQP\\000\\000\\011\\001' | timeout 10 nc -N %s 5671 | od -An -tx1", own).stdout.split()
    # an alert of TLS, where a broker that listens would begin with a frame: 01
    assert said[:1] in ([], ["15"])


def test_keys_are_their_services_own(host):
    for service in ("mysql", "rabbitmq"):
        key = host.file(f"/etc/{service}/stackwright/key.pem")
        assert (key.user, key.mode) == (service, 0o400)
