"""What an operator may rely on beyond the boot test: bind addresses, private files, units that stay down."""

from __future__ import annotations

import hashlib
import json

import pytest

APIS = {
    "Keystone": 5000,
    "Glance": 9292,
    "Placement": 8778,
    "Nova": 8774,
    "metadata": 8775,
    "Neutron": 9696,
    "Horizon": 80,
    "noVNC": 6080,
}


def group(host):
    return host.ansible.get_variables()["lab_definition"]["machines"][host.backend.get_hostname()]["group"]


@pytest.fixture
def compute(host):
    if group(host) != "compute":
        pytest.skip("guests are on compute nodes")
    return host


@pytest.fixture
def controller(host):
    if group(host) != "controller":
        pytest.skip("the APIs are on controllers")
    return host


def test_apis_listen_on_the_management_address_only(controller):
    address = controller.ansible.get_variables()["lab_management_address"]
    for name, port in APIS.items():
        listening = controller.check_output(f"ss -H -l -t -n 'sport = :{port}'").splitlines()
        assert {line.split()[3] for line in listening} == {f"{address}:{port}"}, name


def test_addresses_in_the_catalogue_are_there_once_and_are_the_right_ones(controller):
    variables = controller.ansible.get_variables()
    auth = {
        "identity": {
            "methods": ["password"],
            "password": {
                "user": {
                    "name": "glance",
                    "domain": {"id": "default"},
                    "password": controller.ansible(
                        "debug", "msg={{ stackwright_secrets.glance_identity }}", become=False
                    )["msg"],
                }
            },
        },
        "scope": {"project": {"name": "service", "domain": {"id": "default"}}},
    }
    script = (
        "import sys, urllib.request as u\n"
        f"r = u.Request('https://{variables['lab_management_address']}:5000/v3/auth/tokens', sys.argv[1].encode(),\n"
        "    {'Content-Type': 'application/json'})\n"
        "print(u.urlopen(r).read().decode())\n"
    )
    token = json.loads(controller.check_output("python3 -c %s %s", script, json.dumps({"auth": auth})))["token"]
    seen = {
        (service["type"], endpoint["interface"]): endpoint["url"]
        for service in token["catalog"]
        for endpoint in service["endpoints"]
    }
    assert sum(len(service["endpoints"]) for service in token["catalog"]) == len(seen)
    for kind, port in (("image", 9292), ("placement", 8778), ("compute", 8774), ("network", 9696)):
        for interface in ("internal", "public"):
            assert f"//{variables['lab_management_address']}:{port}" in seen[kind, interface], (kind, interface)


NOBODY = "setpriv --reuid=65534 --regid=65534 --clear-groups timeout 10"


@pytest.mark.parametrize(
    "command",
    [
        "virsh -c qemu:///system list",
        "virsh -r -c qemu:///system list",
        "ovsdb-client list-dbs unix:/run/openvswitch/db.sock",
        "ovsdb-client list-dbs tcp:127.0.0.1:6640",
    ],
)
def test_an_account_without_rights_gets_nowhere_on_a_compute_node(compute, command):
    assert compute.run(f"{NOBODY} {command}").rc != 0
    assert compute.run(f"timeout 10 {command}").rc == (1 if "6640" in command else 0)


# Asks OVN's databases at an address and ports what any client may ask: in clear text, over TLS without a certificate,
# with one of another authority, and with that of a directory. Prints what was answered, by port and client.
OVN_CLIENTS = """
import json, socket, ssl, sys
address, directory, ports = sys.argv[1], sys.argv[2], [int(port) for port in sys.argv[3:]]
clients = {"clear": None, "nothing": "", "stranger": "/root/stranger", "own": directory}
said = {}
for port in ports:
    for client, own in clients.items():
        try:
            with socket.create_connection((address, port), timeout=10) as connection:
                if own is not None:
                    context = ssl.create_default_context(cafile="/etc/ssl/stackwright/ca.pem")
                    if own:
                        context.load_cert_chain(own + "/certificate.pem", own + "/key.pem")
                    connection = context.wrap_socket(connection, server_hostname=address)
                connection.sendall(b'{"method": "echo", "params": [], "id": 1}')
                answer = connection.recv(100).decode()
        except OSError as error:
            answer = type(error).__name__
        said[f"{port} {client}"] = "served" if "result" in answer else "refused"
print(json.dumps(said))
"""
STRANGER = (
    "mkdir -p /root/stranger && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
    "-subj /CN=compute1 -keyout /root/stranger/key.pem -out /root/stranger/certificate.pem"
)


def ovn_clients(host, address, directory, *ports):
    host.run_expect([0], STRANGER)
    ports = " ".join(map(str, ports))
    return json.loads(host.check_output(f"python3 -c %s {address} {directory} {ports}", OVN_CLIENTS))


def test_databases_of_the_network_serve_no_client_without_a_certificate_of_the_cloud(controller):
    address = controller.ansible.get_variables()["lab_management_address"]
    ports = (6641, 6642, 16642)
    said = ovn_clients(controller, address, "/etc/ovn/stackwright", *ports)
    assert {name for name, what in said.items() if what == "served"} == {f"{port} own" for port in ports}


def southbound(host, directory):
    """ovn-sbctl at the port of chassis, with the certificate of a directory."""
    remote = host.check_output("ovs-vsctl get Open_vSwitch . external_ids:ovn-remote").strip('"')
    key, certificate = f"{directory}/key.pem", f"{directory}/certificate.pem"
    return f"ovn-sbctl --timeout=10 --db={remote} -p {key} -c {certificate} -C /etc/ssl/stackwright/ca.pem"


def test_a_compute_node_writes_its_own_rows_and_no_others(compute):
    name = compute.check_output("ovs-vsctl get Open_vSwitch . external_ids:system-id").strip('"')
    assert name == compute.ansible.get_variables()["inventory_hostname"]
    ask = southbound(compute, "/etc/openvswitch/stackwright")
    assert name in compute.check_output(f"{ask} --bare --columns=name list Chassis").split()
    compute.run_expect([0], f"{ask} set Chassis_Private {name} external_ids:stackwright-proof=1")
    compute.run_expect([0], f"{ask} remove Chassis_Private {name} external_ids stackwright-proof")
    for change in (
        "chassis-add another geneve 192.0.2.9",
        "create Datapath_Binding tunnel_key=4242",
        "set SB_Global . options:stackwright-proof=1",
        f"set Chassis {name} name=another",
    ):
        refused = compute.run(f"{ask} {change}")
        assert refused.rc != 0 and "prohibit" in refused.stderr, change


def test_a_compute_node_does_not_reach_what_is_for_services(compute):
    remote = compute.check_output("ovs-vsctl get Open_vSwitch . external_ids:ovn-remote").strip('"')
    said = ovn_clients(compute, remote.split(":")[1], "/etc/openvswitch/stackwright", 6641, 6642, 16642)
    assert {name for name, what in said.items() if what == "served"} == {"6642 own"}


def test_a_certificate_does_not_alter_the_rows_of_another_chassis(controller):
    chassis = controller.check_output("ovn-sbctl --bare --columns=name list Chassis").split()[0]
    address = controller.ansible.get_variables()["lab_management_address"]
    own = "-p /etc/ovn/stackwright/key.pem -c /etc/ovn/stackwright/certificate.pem -C /etc/ssl/stackwright/ca.pem"
    ask = f"ovn-sbctl --timeout=10 --db=ssl:{address}:6642 {own}"
    assert chassis in controller.check_output(f"{ask} --bare --columns=name list Chassis")
    for table in ("Chassis", "Chassis_Private"):
        refused = controller.run(f"{ask} set {table} {chassis} external_ids:stackwright-proof=1")
        assert refused.rc != 0 and "prohibit" in refused.stderr, table


def test_compute_nodes_ask_no_cache(compute):
    assert "memcache" not in compute.check_output("cat /etc/nova/nova.conf")


def test_compute_nodes_hear_what_becomes_of_their_guests(compute):
    log = compute.check_output("cat /var/log/nova/nova-compute.log")
    assert "does not support events" not in log.rpartition("Starting compute node")[2]


def test_sessions_of_the_dashboard_are_not_in_a_shared_cache(controller):
    settings = controller.check_output("cat /etc/openstack-dashboard/local_settings.d/_9000_stackwright.py")
    assert "backends.db" in settings and "memcached" not in settings
    assert int(controller.check_output("mariadb -BN horizon -e 'SELECT COUNT(*) FROM django_session'")) >= 0


def test_nothing_failed(host):
    assert host.check_output("systemctl list-units --failed --plain --no-legend") == ""


# One file of each kind of node that surely holds a secret.
SECRET = {"controller": "/etc/keystone/keystone.conf", "compute": "/etc/nova/nova.conf"}

# Prints the files below /etc that hold a word with one of the given digests, with their modes. The secrets stay off the
# command line.
FILES_WITH = """
import hashlib, json, pathlib, re, sys
digests = set(sys.argv[1:])
found = {}
for path in pathlib.Path("/etc").rglob("*"):
    if path.is_file() and not path.is_symlink():
        words = set(re.findall(rb"[A-Za-z0-9_.~-]{8,}", path.read_bytes()))
        if digests & {hashlib.sha256(word).hexdigest() for word in words}:
            found[str(path)] = path.stat().st_mode & 0o777
print(json.dumps(found))
"""


def test_files_with_secrets_are_not_for_everybody(host):
    """Looks for the secrets themselves, whatever a file's syntax: a pattern of options passes once it fits nothing."""
    secrets = host.ansible("debug", "msg={{ stackwright_secrets.values() | list }}", become=False)["msg"]
    digests = " ".join(hashlib.sha256(one.encode()).hexdigest() for one in secrets)
    found = json.loads(host.check_output(f"python3 -c %s {digests}", FILES_WITH))
    assert SECRET[group(host)] in found
    assert {path: oct(mode) for path, mode in found.items() if mode & 0o007} == {}


def test_the_previous_generation_of_a_file_is_kept(host):
    assert host.check_output("find /var/lib/stackwright/generations -name nova.conf | head -1").endswith(
        "/etc/nova/nova.conf"
    )


# Logs in to the message queue as Nova does, to each virtual host that is named, and prints what came of it.
MESSAGES = """
import configparser, json, ssl, sys, urllib.parse
import amqp
configuration = configparser.ConfigParser(interpolation=None, strict=False)
configuration.read("/etc/nova/nova.conf")
url = urllib.parse.urlsplit(configuration["DEFAULT"]["transport_url"])
TLS = {"ca_certs": "/etc/ssl/stackwright/ca.pem", "cert_reqs": ssl.CERT_REQUIRED, "server_hostname": url.hostname}
login = {"host": f"{url.hostname}:{url.port}", "userid": url.username, "password": url.password}
said = {}
for vhost in sys.argv[1:]:
    try:
        with amqp.Connection(**login, ssl=TLS, virtual_host=vhost, connect_timeout=10, read_timeout=10) as connection:
            connection.connect()
        said[vhost] = "permitted"
    except (amqp.exceptions.AMQPError, OSError) as error:
        said[vhost] = type(error).__name__
print(json.dumps(said))
"""


def test_a_service_may_use_its_own_virtual_host_and_no_other(controller):
    said = json.loads(controller.check_output("python3 -c %s /nova /neutron /", MESSAGES))
    assert said["/nova"] == "permitted"
    assert "permitted" not in (said["/neutron"], said["/"])


# Logs in to the message queue as a compute node does, and tries each on a channel of its own.
RIGHTS = """
import configparser, json, ssl, urllib.parse
import amqp
configuration = configparser.ConfigParser(interpolation=None, strict=False)
configuration.read("/etc/nova/nova.conf")
url = urllib.parse.urlsplit(configuration["DEFAULT"]["transport_url"])
TLS = {"ca_certs": "/etc/ssl/stackwright/ca.pem", "cert_reqs": ssl.CERT_REQUIRED, "server_hostname": url.hostname}
OWN = "compute.stackwright-stand-in"
QUEUE = {"queue": OWN, "exclusive": True, "arguments": {"x-queue-type": "classic"}}
TRIES = {
    "have a queue": lambda channel: channel.queue_declare(**QUEUE),
    "hear what is for compute nodes": lambda channel: channel.queue_bind(OWN, "nova", OWN),
    "speak to compute nodes": lambda channel: channel.basic_publish(amqp.Message("{}"), "nova", OWN),
    "take the conductor's messages": lambda channel: channel.basic_get("conductor"),
    "take the scheduler's messages": lambda channel: channel.basic_get("scheduler"),
    "hear what is for the conductor": lambda channel: channel.queue_bind(OWN, "nova", "conductor"),
    "hear all": lambda channel: channel.queue_bind(OWN, "nova", "#"),
    "hear what is for all schedulers": lambda channel: channel.queue_bind(OWN, "scheduler_fanout", ""),
    "speak to the scheduler": lambda channel: channel.basic_publish(amqp.Message("{}"), "nova", "scheduler"),
    "have a queue of another name": lambda channel: channel.queue_declare("conductor.stand-in", exclusive=True),
    "remove the conductor's queue": lambda channel: channel.queue_delete("conductor"),
}
login = {"host": f"{url.hostname}:{url.port}", "userid": url.username, "password": url.password}
said = {"user": url.username}
with amqp.Connection(**login, ssl=TLS, virtual_host=url.path[1:], confirm_publish=True, read_timeout=10) as connection:
    connection.connect()
    for what, attempt in TRIES.items():
        try:
            attempt(connection.channel())
            said[what] = "done"
        except amqp.exceptions.AccessRefused:
            said[what] = "refused"
print(json.dumps(said))
"""


def test_a_compute_node_hears_in_the_message_queue_what_is_for_compute_nodes_alone(compute):
    said = json.loads(compute.check_output("python3 -c %s", RIGHTS))
    assert said.pop("user") == "nova_compute"
    done = {what for what, came in said.items() if came == "done"}
    assert done == {"have a queue", "hear what is for compute nodes", "speak to compute nodes"}
    # what it may not do was no hindrance to its own work
    log = compute.file("/var/log/nova/nova-compute.log").content_string
    assert "ACCESS_REFUSED" not in log and "access to " not in log


# Logs in to the database as Nova does, from its own address and from another one of the same machine.
LOGINS = """
import configparser, json, urllib.parse
import pymysql
configuration = configparser.ConfigParser(interpolation=None, strict=False)
configuration.read("/etc/nova/nova.conf")
url = urllib.parse.urlsplit(configuration["database"]["connection"])
said = {}
for address in (None, "127.0.0.1"):
    try:
        trust = {"ssl": {"ca": "/etc/ssl/stackwright/ca.pem"}}
        login = {"host": url.hostname, "user": url.username, "password": url.password, **trust}
        pymysql.connect(**login, database="nova", bind_address=address).close()
        said[str(address)] = "permitted"
    except pymysql.MySQLError as error:
        said[str(address)] = error.args[0]
print(json.dumps(said))
"""


def test_the_database_takes_a_services_login_from_its_own_address_alone(controller):
    # the refusals of a login with and without a password, and of an address
    said = json.loads(controller.check_output("python3 -c %s", LOGINS))
    assert said["None"] == "permitted"
    assert said["127.0.0.1"] in (1045, 1698, 1130)


def test_guests_disks_and_what_guests_talk_to_are_not_roots_or_anybodys(host):
    if group(host) != "compute":
        pytest.skip("guests are on compute nodes")
    instances = host.file("/var/lib/nova/instances")
    assert (instances.user, instances.group, instances.mode) == ("nova", "libvirt-qemu", 0o750)
    assert host.run("setpriv --reuid=65534 --regid=65534 --clear-groups ls /var/lib/nova/instances").rc != 0
    agents = host.process.filter(comm="neutron-ovn-met")
    assert agents and {agent.user for agent in agents} == {"neutron"}


# The kernel gives a link its link-local address at any time after the agent has read the addresses: here it is there
# before.
ADDRESS_THAT_IS_THERE = """
import importlib.machinery
import importlib.util
from neutron import privileged
if {ours}:
    loader = importlib.machinery.SourceFileLoader("agent", "/usr/local/lib/stackwright/neutron-ovn-metadata-agent")
    loader.exec_module(importlib.util.module_from_spec(importlib.util.spec_from_loader("agent", loader)))
from neutron.agent.linux import ip_lib
privileged.default.set_client_mode(False)
ip_lib.IPDevice("there", "stackwright-test").addr.add_multiple(["fe80::1/64", "169.254.169.254/32"])
"""


def test_the_metadata_agent_takes_an_address_that_the_kernel_has_set_already(compute):
    namespace = "ip -n stackwright-test"
    compute.run_expect([0], "ip netns add stackwright-test")
    try:
        for command in (
            "link add there type veth peer name hither",
            "link set there up",
            "address add fe80::1/64 dev there",
        ):
            compute.run_expect([0], f"{namespace} {command}")
        packaged = compute.run("python3 -c %s", ADDRESS_THAT_IS_THERE.format(ours=False))
        assert "IpAddressAlreadyExists" in packaged.stderr, "the package's own agent no longer fails: ours can go"
        compute.run_expect([0], "python3 -c %s", ADDRESS_THAT_IS_THERE.format(ours=True))
        assert "169.254.169.254" in compute.check_output(f"{namespace} address show dev there")
    finally:
        compute.run("ip netns delete stackwright-test")
    assert "/usr/local/lib/stackwright/neutron-ovn-metadata-agent" in compute.check_output(
        "pgrep -af neutron-ovn-metadata-agent"
    )
