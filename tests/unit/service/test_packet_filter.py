"""What the specifications' filter entries become: who is let in, in nftables' own words."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.service import packet_filter
from ansible_collections.stackwright.cloud.plugins.module_utils.service.packet_filter import FilterError, Member, Site

MEMBERS = [
    Member("controller1", ("10.0.0.11", "10.1.0.11"), frozenset({"nova.api", "keystone.keystone"})),
    Member("compute1", ("10.0.0.31", "10.1.0.31"), frozenset({"nova.compute"})),
    Member("compute2", ("fd00::32",), frozenset({"nova.compute"})),
]
KNOWN = {"nova.api", "nova.compute", "keystone.keystone", "heat.api"}


def entry(site: bool = False, **data: Any) -> packet_filter.Entry:
    return packet_filter.read("entry", {key.rstrip("_"): value for key, value in data.items()}, site)


def lines(
    *entries: packet_filter.Entry,
    site: Site | None = None,
    public: tuple[str, ...] = (),
    ports: tuple[int, ...] = (22,),
) -> list[str]:
    """The rules that the entries add, without what every host has."""
    text = packet_filter.render(packet_filter.work_out(entries, MEMBERS, site or Site(), KNOWN, public), ports)
    always = packet_filter.render(packet_filter.Rules(), ports).splitlines()
    return [line.strip() for line in text.splitlines() if line not in always]


def test_cluster_ports_are_for_the_hosts_that_carry_the_named_components() -> None:
    assert lines(entry(name="MariaDB", ports=[3306], addresses=["10.0.0.11"], from_=["nova.api", "keystone"])) == [
        'ip saddr { 10.0.0.11/32, 10.1.0.11/32 } ip daddr { 10.0.0.11 } tcp dport { 3306 } accept comment "MariaDB"'
    ]
    assert lines(entry(name="tunnels", ports=[6081], protocol="udp", from_="nova.compute")) == [
        'ip saddr { 10.0.0.31/32, 10.1.0.31/32 } udp dport { 6081 } accept comment "tunnels"',
        'ip6 saddr { fd00::32/128 } udp dport { 6081 } accept comment "tunnels"',
    ]


def test_component_that_no_host_carries_lets_nobody_in() -> None:
    assert lines(entry(name="x", ports=[1], from_="heat.api")) == []
    assert lines(entry(name="x", ports=[1], addresses=["127.0.0.1"], from_="local")) == []


def test_hosts_that_carry_one_address_hear_each_other_and_nobody_else() -> None:
    assert lines(entry(name="addresses", protocol="vrrp", **{"from": "nova.compute"})) == [
        line.replace("tcp dport { 1 } ", "meta l4proto vrrp ")
        for line in lines(entry(name="addresses", ports=[1], **{"from": "nova.compute"}))
    ]
    with pytest.raises(packet_filter.FilterError, match="vrrp knows no ports"):
        entry(name="addresses", protocol="vrrp", ports=[1], **{"from": "members"})


def test_members_are_all_hosts_and_what_the_site_adds() -> None:
    found = lines(entry(name="x", ports=["5900-6923"], from_="members"), site=Site(members=("10.9.0.0/24",)))
    assert found[0].startswith(
        "ip saddr { 10.0.0.11/32, 10.0.0.31/32, 10.1.0.11/32, 10.1.0.31/32, 10.9.0.0/24 } tcp dport { 5900-6923 }"
    )


def test_users_are_everybody_or_the_sites_networks_and_the_members() -> None:
    api = entry(name="Keystone", ports=[5000], addresses=["10.0.0.11"], from_="users")
    assert lines(api) == ['ip daddr { 10.0.0.11 } tcp dport { 5000 } accept comment "Keystone"']
    found = lines(api, site=Site(users=("192.0.2.0/24",)))
    assert len(found) == 1 and "192.0.2.0/24" in found[0] and "10.0.0.31/32" in found[0]


def test_users_reach_the_public_address_alone_where_the_host_has_one() -> None:
    api = entry(name="Nova", ports=[8774], addresses=["10.0.0.11", "198.51.100.7"], from_="users")
    outer, *inner = lines(api, public=("198.51.100.7",))
    assert outer == 'ip daddr { 198.51.100.7 } tcp dport { 8774 } accept comment "Nova"'
    assert [line for line in inner if "10.0.0.11, 198.51.100.7" in line and line.startswith("ip saddr { 10.0.0.11/32,")]
    # a daemon that takes one address only listens on all; users are held to the public one all the same
    every = entry(name="Glance", ports=[9292], addresses=["0.0.0.0"], from_="users")
    assert (
        lines(every, public=("198.51.100.7",))[0]
        == 'ip daddr { 198.51.100.7 } tcp dport { 9292 } accept comment "Glance"'
    )


def test_nothing_comes_in_from_guests_not_even_what_is_open_to_everybody() -> None:
    text = packet_filter.render(
        packet_filter.work_out([entry(interfaces=["br-int", "tap*"], from_="nobody")], MEMBERS, Site(), KNOWN), [22]
    )
    position = text.index
    assert position('iifname "tap*" counter drop') < position("ct state established") < position("tcp dport { 22 }")


def test_rules_of_the_site_may_name_networks_interfaces_and_both_families() -> None:
    assert lines(entry(True, name="exporter", ports=[9100], from_=["10.5.0.0/24", "fd00:5::/64"])) == [
        'ip saddr { 10.5.0.0/24 } tcp dport { 9100 } accept comment "exporter"',
        'ip6 saddr { fd00:5::/64 } tcp dport { 9100 } accept comment "exporter"',
    ]
    assert lines(entry(True, interfaces=["virbr*"], from_="users")) == [
        'iifname "virbr*" accept comment "rule of the site"'
    ]


def test_ssh_is_open_on_the_ports_it_listens_on_for_the_networks_that_may_log_in() -> None:
    assert 'tcp dport { 22, 2222 } accept comment "SSH"' in packet_filter.render(packet_filter.Rules(), [2222, 22, 22])
    limited = lines(site=Site(ssh=("10.0.0.0/24", "10.0.1.0/24", "fd00::/64")))
    assert limited == [
        'ip saddr { 10.0.0.0/23 } tcp dport { 22 } accept comment "SSH"',
        'ip6 saddr { fd00::/64 } tcp dport { 22 } accept comment "SSH"',
    ]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"port": [1], "from": "users"}, "unknown key 'port'. Did you mean 'ports'?"),
        ({"ports": [0], "from": "users"}, "0 is no port"),
        ({"ports": ["90-80"], "from": "users"}, "'90-80' is no port"),
        ({"ports": [True], "from": "users"}, "True is no port"),
        ({"ports": [80]}, "say from whom"),
        ({"ports": [80], "from": "everyone!"}, "is no address and no network"),
        ({"ports": [80], "from": "10.0.0.1/24"}, "has host bits set"),
        ({"ports": [80], "from": "users", "protocol": "sctp"}, "'sctp' is none of tcp, udp"),
        ({"ports": [80], "from": "nobody"}, "nobody goes with interfaces alone"),
        ({"from": "users"}, "give ports"),
        ({"ports": [80], "from": "users", "name": 'x" accept; flush ruleset; #'}, "without quotes"),
        ({"interfaces": ['eth0" accept'], "from": "users"}, "is no name of an interface"),
        ({"ports": [80], "from": "users", "addresses": ["all"]}, "'all' is no IP address"),
        ({"ports": [80], "from": "users", "unit": "x"}, "unknown key 'unit'"),
        ("8080", "must be a mapping"),
    ],
)
def test_wrong_rules_of_the_site_are_refused_with_what_is_right(data: Any, said: str) -> None:
    with pytest.raises(FilterError, match=r"base_filter_rules, entry 1.*") as error:
        packet_filter.read("base_filter_rules, entry 1", data, site=True)
    assert said in str(error.value)


def test_component_that_does_not_exist_is_named_with_the_nearest() -> None:
    with pytest.raises(FilterError, match=r"no component 'nova.comput'. Did you mean 'nova.compute'\?"):
        lines(entry(True, name="x", ports=[80], from_="nova.comput"))


def netns(*command: str, given: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["unshare", "--net", *command], input=given, capture_output=True, text=True, check=False)


@pytest.mark.skipif(not shutil.which("nft") or os.geteuid() != 0, reason="loading a table takes nft and root")
def test_nftables_takes_the_table_once_and_again() -> None:
    text = packet_filter.render(
        packet_filter.work_out(
            [
                entry(
                    name="a", ports=[3306, "49152-49261"], addresses=["10.0.0.11"], from_=["nova.api", "nova.compute"]
                ),
                entry(name="b", ports=[5000], addresses=["10.0.0.11", "198.51.100.7"], from_="users"),
                entry(interfaces=["br-int", "tap*"], from_="nobody"),
                entry(
                    True,
                    ports=[1],
                    interfaces=["virbr0"],
                    protocol="udp",
                    from_=["fd00::/64", "10.0.0.0/8", "10.1.0.0/16"],
                ),
            ],
            MEMBERS,
            Site(ssh=("10.0.0.0/8",)),
            KNOWN,
            ("198.51.100.7",),
        ),
        [22],
    )
    done = netns("sh", "-c", "nft -f - && nft list table inet stackwright", given=text)
    assert done.returncode == 0, done.stderr
    assert netns("nft", "-c", "-f", "-", given=text + text).returncode == 0


TRY = """
import socket, subprocess, sys
def ip(*words): subprocess.run(["ip", *words], check=True)
def inside(pid, *words):
    return subprocess.run(["nsenter", "--net=/proc/%s/ns/net" % pid, *words], capture_output=True, text=True)
ip("link", "set", "lo", "up")
ip("link", "add", "br0", "type", "bridge"); ip("address", "add", "10.0.0.11/24", "dev", "br0")
ip("link", "set", "br0", "up")
peers = {}
for name, address in (("member", "10.0.0.31"), ("stranger", "10.0.0.99"), ("tapguest", "10.0.0.32")):
    peers[name] = peer = subprocess.Popen(["unshare", "--net", "sleep", "60"])
    # the name space is there once the program runs in it
    while open("/proc/%d/comm" % peer.pid).read().strip() != "sleep": pass
    ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", str(peer.pid))
    ip("link", "set", name, "up")
    if name != "tapguest":
        ip("link", "set", name, "master", "br0")
    else:
        ip("address", "add", "10.0.2.1/24", "dev", name); ip("route", "add", "10.0.0.32/32", "dev", name)
    inside(peer.pid, "ip", "address", "add", address + "/24", "dev", "eth0")
    inside(peer.pid, "ip", "link", "set", "eth0", "up")
servers = [socket.create_server(("10.0.0.11", port)) for port in (22, 3306, 5000)]
loaded = subprocess.run(["nft", "-f", "-"], input=sys.stdin.read(), text=True, capture_output=True)
assert loaded.returncode == 0, loaded.stderr
client = "import socket,sys; socket.create_connection(('10.0.0.11', int(sys.argv[1])), timeout=0.7)"
for name, peer in peers.items():
    reached = lambda port: inside(peer.pid, sys.executable, "-c", client, port).returncode == 0
    open_ports = [port for port in ("22", "3306", "5000") if reached(port)]
    print(name, *open_ports)
    peer.kill()
"""


@pytest.mark.skipif(not shutil.which("nft") or os.geteuid() != 0, reason="network name spaces take nft and root")
def test_packets_of_members_come_in_those_of_strangers_and_guests_do_not() -> None:
    text = packet_filter.render(
        packet_filter.work_out(
            [
                entry(name="MariaDB", ports=[3306], addresses=["10.0.0.11"], from_="members"),
                entry(name="Keystone", ports=[5000], addresses=["10.0.0.11"], from_="users"),
                # a guest that took the address of a member
                entry(interfaces=["tap*"], from_="nobody"),
            ],
            [*MEMBERS, Member("compute3", ("10.0.0.32",))],
            Site(),
            KNOWN,
        ),
        [22],
    )
    done = netns(sys.executable, "-c", TRY, given=text)
    assert done.stdout.splitlines() == ["member 22 3306 5000", "stranger 22 5000", "tapguest"], done.stderr


LOCAL_TRY = """
import os, socket, subprocess, sys
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
servers = [socket.create_server(("127.0.0.1", port)) for port in (11211, 4369)]
loaded = subprocess.run(["nft", "-f", "-"], input=sys.stdin.read(), text=True, capture_output=True)
assert loaded.returncode == 0, loaded.stderr
for number in (0, 4242, 65534):
    reached = []
    for port in (11211, 4369):
        child = os.fork()
        if child == 0:
            os.setuid(number)
            try:
                socket.socket().connect(("127.0.0.1", port))
            except ConnectionRefusedError:
                os._exit(1)
            os._exit(0)
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0:
            reached.append(str(port))
    print(number, *reached)
"""


@pytest.mark.skipif(not shutil.which("nft") or os.geteuid() != 0, reason="network name spaces take nft and root")
def test_local_port_of_services_refuses_every_other_account() -> None:
    entries = [
        entry(name="memcached", ports=[11211], addresses=["127.0.0.1"], from_="local", accounts=["services"]),
        entry(name="epmd", ports=[4369], addresses=["127.0.0.1"], from_="local"),
    ]
    rules = packet_filter.work_out(entries, MEMBERS, Site(), KNOWN, accounts=["keystone", "gone"])
    text = packet_filter.render(rules, [22], {"keystone": 4242, "nobody": 65534})
    done = netns(sys.executable, "-c", LOCAL_TRY, given=text)
    assert done.stdout.splitlines() == ["0 11211 4369", "4242 11211 4369", "65534 4369"], done.stderr


def test_without_reserved_ports_there_is_no_chain_for_what_leaves() -> None:
    local = entry(name="epmd", ports=[4369], addresses=["127.0.0.1"], from_="local")
    assert "output" not in packet_filter.render(packet_filter.work_out([local], MEMBERS, Site(), KNOWN), [22])
