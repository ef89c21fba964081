"""The boot test against a simulated cloud: every step, every fault with its evidence, and nothing left behind."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.api import Cloud, Login
from ansible_collections.stackwright.cloud.plugins.module_utils.verify import boot_content, boot_test, guest_shell, vnc
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.boot_content import MARK, Settings
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.boot_test import BootTest
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.cloud import connect
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.guest_shell import Answer, Shell
from ansible_collections.stackwright.cloud.tests.cloud_simulator import CloudSimulator

PREFIX = "stackwright-verify"
KINDS = ("image", "flavor", "network", "subnet", "router", "security_group", "keypair", "server", "floating_ip", "port")
VOLUME_KINDS = ("volume", "snapshot", "backup", "volume_type")
HOSTS = ("compute-1", "compute-2")


def console(server: dict[str, Any]) -> str:
    """What a guest prints, with another host key after each rebuild."""
    return (
        "BIOS\r\nstackwright-guest: started, kernel 6\r\n"
        f"stackwright-guest: host key {host_key(server)}\r\n"
        f"stackwright-guest: instance {server['id']} hostname {server['name']} keys 1\r\n"
        "stackwright-guest: ready after 4.5 s\r\n"
    )


def host_key(server: dict[str, Any]) -> str:
    return f"ssh-ed25519 AAAA{server.get('_boots', 1)}{server['name'][-1]}"


class GuestShell(Shell):
    """Answers as the guests of the cloud would; ``replies`` maps part of a command to another answer."""

    def __init__(self, directory: Path, cloud: CloudSimulator) -> None:
        super().__init__(directory)
        self.cloud = cloud
        self.replies: dict[str, Answer] = {}
        self.said: list[str] = []
        self.volumes = VolumeDisks(cloud)
        self.disks: dict[tuple[str, int], str] = {}
        self.mtu = 0
        self.user_data = True
        self.tick: Callable[[str], None] = lambda remote: None
        self.metadata: Callable[[dict[str, Any]], str] = lambda server: json.dumps({"uuid": server["id"]})

    def volume_in(self, server: dict[str, Any], remote: str) -> Answer | None:
        """What a command says of a volume that the server has; nothing where it is about none."""
        device = re.search(r"/(?:sys/block|dev)/(vd[a-z])", remote)
        if not device or not re.search("urandom|sha256sum|/size", remote) or "END" in remote:
            return None
        self.volumes.look()
        for volume in self.cloud.all("volume"):
            held = volume["attachments"]
            if held and (held[0]["server_id"], held[0]["device"]) == (server["id"], f"/dev/{device[1]}"):
                if "urandom" in remote:
                    self.volumes.written[volume["id"]] = f"{len(self.said)}"
                sectors = volume["size"] << 21 if self.volumes.fault != "stays small" else 1 << 21
                return Answer(
                    0,
                    f"{hashlib.sha256(self.volumes.of(volume).encode()).hexdigest()}  -\n"
                    if "sha256sum" in remote
                    else f"{sectors}\n",
                )
        return Answer(0, "ls: /sys/block: No such file or directory\n") if "ls " in remote else None

    def server_at(self, address: str) -> dict[str, Any]:
        """The server with a fixed or floating address."""
        ports = [ip["port_id"] for ip in self.cloud.find("floating_ip", floating_ip_address=address)]
        for port in self.cloud.all("port"):
            if port["id"] in ports or any(ip["ip_address"] == address for ip in port["fixed_ips"]):
                return self.cloud.get("server", port["device_id"])
        raise AssertionError(f"nobody has {address}")

    def run(
        self, address: str, remote: str, jump: str | None = None, timeout: float = 30, given: str | None = None
    ) -> Answer:
        self.said.append(remote)
        self.tick(remote)
        server = self.server_at(address)
        if self.known.get(address) != host_key(server):
            return Answer(255, "", "Host key verification failed.")
        for part, answer in self.replies.items():
            if part in remote:
                return answer
        if (volume := self.volume_in(server, remote)) is not None:
            return volume
        disk = (server["id"], server.get("_boots", 1))
        if remote == "hostname":
            return Answer(0, server["name"] + "\n")
        if "meta_data.json" in remote:
            return Answer(0, self.metadata(server))
        if remote.startswith("head -c"):
            return Answer(0, "x" * boot_test.BULK)
        if remote == "wc -c":
            return Answer(0, f"{len(given or '')}\n")
        if remote.startswith("ip -6 address"):
            ports = self.cloud.find("port", device_id=server["id"])
            lines = [f"    inet6 {ip['ip_address']}/64 scope global\n" for port in ports for ip in port["fixed_ips"]]
            return Answer(0, "".join(lines) + "default via fe80::f816:3eff:fe00:1 dev eth0  metric 1024\nBOUND6\n")
        if "resolv.conf" in remote:
            user_data = "stackwright-user-data\n" if self.user_data else ""
            return Answer(0, f"{self.mtu}\n{user_data}search x\nnameserver 192.0.2.53\n")
        if "of=/dev/vda" in remote:
            self.disks[disk] = remote.split()[1]
        return Answer(0, self.disks.get(disk, "") + "\n")


class VolumeDisks:
    """What the volumes of the cloud hold: what was written last, or that of the time of a snapshot or backup."""

    def __init__(self, cloud: CloudSimulator) -> None:
        self.cloud = cloud
        self.written: dict[str, str] = {}
        self.kept: dict[str, str] = {}
        self.fault = ""

    def look(self) -> None:
        """Keep what new snapshots and backups are of, as the services do when they are made."""
        for kind in ("snapshot", "backup"):
            for one in self.cloud.all(kind):
                self.kept.setdefault(one["id"], self.of(self.cloud.get("volume", one["volume_id"])))

    def of(self, volume: dict[str, Any]) -> str:
        """What a volume holds."""
        for source in (volume.get("_restored"), volume.get("snapshot_id")):
            if source and volume["id"] not in self.written:
                return "" if self.fault == "forgets" else self.kept[source]
        return self.written.get(volume["id"], "")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Bench:
    """A boot test ready to run against a simulated cloud with an external network."""

    def __init__(self, directory: Path, cloud: CloudSimulator) -> None:
        self.directory, self.cloud = directory, cloud
        cloud.polls_until_ready = 1
        cloud.extra["console"] = console
        (directory / "guest.qcow2").write_bytes(b"QFI\xfb" + bytes(2_000_000))
        auth = cloud.login["auth"]
        self.clock = Clock()
        self.sdk = connect({"auth": auth, "region_name": cloud.region, "interface": "public"})
        self.engine = Cloud(Login(auth=auth, region_name=cloud.region), sleep=self.clock.sleep)
        network = self.sdk.network.create_network(name="public", is_router_external=True)
        self.sdk.network.create_subnet(network_id=network.id, name="public", ip_version=4, cidr="203.0.113.0/24")
        self.shell = GuestShell(directory, cloud)
        self.shell.mtu = network.mtu
        self.pings = Answer(0, "")
        self.large_pings: dict[int, Answer] = {}
        self.pings_v6 = Answer(0, "")
        self.pinged_v6: list[tuple[str, int]] = []
        # What this machine's own programs say, by the beginning of the command, and all that they were told.
        self.here: dict[str, Answer] = {}
        self.told: list[str] = []
        # What the console's proxy shows at an address, or why it does not.
        self.screen: Callable[[str, str | None], str] = lambda url, ca: f"{url}, 720 x 400"
        self.before = self.held()

    def held(self) -> set[tuple[str, str]]:
        """Type and identifier of all that the cloud holds, but for what it makes by itself."""
        kinds = (*KINDS, *VOLUME_KINDS)
        return {
            (kind, thing["id"]) for kind in kinds for thing in self.cloud.all(kind) if thing.get("name") != "default"
        }

    def left(self) -> set[str]:
        """Types of what was made and is still there."""
        return {kind for kind, _ in self.held() - self.before}

    def named(self, kind: str) -> list[str]:
        return [thing["name"] for thing in self.cloud.all(kind)]

    def test(self, **settings: Any) -> BootTest:
        self.shell.key.unlink(missing_ok=True)
        return BootTest(
            self.sdk,
            self.engine,
            replace(Settings(str(self.directory / "guest.qcow2"), timeout=30), **settings),
            self.shell,
            self.clock,
            self.clock.sleep,
            lambda address: self.pings,
            lambda address, size: self.large_pings.get(size, Answer(0, "")),
            self.ping_v6,
            self.run_here,
            lambda url, ca: self.screen(url, ca),
        )

    def ping_v6(self, address: str, size: int) -> Answer:
        self.pinged_v6.append((address, size))
        return self.pings_v6

    def run_here(self, command: Sequence[str]) -> Answer:
        self.told.append(" ".join(command))
        return next((answer for start, answer in self.here.items() if self.told[-1].startswith(start)), Answer(0, ""))

    def is_gateway(self) -> None:
        """This machine holds the external network's gateway address."""
        held = [{"ifname": "lo", "addr_info": []}, {"ifname": "bridge7", "addr_info": [{"local": "203.0.113.1"}]}]
        self.here["ip -json address"] = Answer(0, json.dumps(held))

    def fails(self, **settings: Any) -> tuple[str, boot_test.BootTestError, BootTest]:
        test = self.test(**settings)
        with pytest.raises(boot_test.BootTestError) as error:
            test.run()
        failed = [step["name"] for step in test.steps.done if not step["ok"]]
        return failed[0], error.value, test

    def without_external_network(self) -> None:
        for kind in ("subnet", "network"):
            self.cloud.objects[kind].clear()
        self.before = self.held()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with CloudSimulator() as cloud:
        yield Bench(tmp_path, cloud)


def made_by(test: BootTest) -> None:
    """Do all steps up to the floating address, as a run that is killed then."""
    test.make_image()
    test.make_flavor()
    test.make_external()
    test.make_network()
    test.make_group()
    test.make_key()
    test.boot_guests()
    test.read_consoles()
    test.reach_by_ping()


def test_console_that_cannot_be_opened_fails_with_the_reason(bench: Bench) -> None:
    def refused(url: str, ca: str | None) -> str:
        raise vnc.VncError("the server hung up")

    bench.screen = refused
    step, error, test = bench.fails()
    assert step == "screen is shown through the console's proxy"
    assert f"the console of {test.first.name} cannot be opened: the server hung up" in str(error)


def test_whole_test_passes_and_leaves_only_what_was_there(bench: Bench) -> None:
    test = bench.test()
    test.run()
    assert all(step["ok"] for step in test.steps.done)
    assert test.steps.done[1]["detail"] == "2 MB"
    removed = test.steps.done[-1]
    assert removed["name"] == "everything made is removed"
    assert (
        removed["detail"]
        == "image, flavor, 2 networks, 3 subnets, router, security group, keypair, server, floating ip"
    )
    assert bench.left() == set()


def test_security_group_lets_icmp_and_ssh_in_and_no_more(bench: Bench) -> None:
    test = bench.test()
    test.make_group()
    (group,) = bench.cloud.find("security_group", name=test.this_run.name)
    rules = bench.cloud.find("security_group_rule", security_group_id=group["id"], direction="ingress")
    assert sorted(
        (rule["protocol"], rule["port_range_min"], rule["port_range_max"], rule["ethertype"]) for rule in rules
    ) == [
        ("icmp", None, None, "IPv4"),
        ("ipv6-icmp", None, None, "IPv6"),
        ("tcp", 22, 22, "IPv4"),
        ("tcp", 22, 22, "IPv6"),
    ]


def test_external_network_is_made_and_removed_when_there_is_none(bench: Bench) -> None:
    bench.without_external_network()
    seen: list[dict[str, Any]] = []
    bench.shell.metadata = lambda server: (
        seen.extend(bench.cloud.find("subnet", cidr="203.0.113.0/24")) or json.dumps({"uuid": server["id"]})
    )
    bench.test(
        external_cidr="203.0.113.0/24",
        external_gateway="203.0.113.1",
        external_pool_start="203.0.113.100",
        external_pool_end="203.0.113.199",
    ).run()
    assert seen[0]["allocation_pools"] == [{"start": "203.0.113.100", "end": "203.0.113.199"}]
    assert (seen[0]["gateway_ip"], seen[0]["enable_dhcp"]) == ("203.0.113.1", False)
    assert bench.left() == set()


def test_cloud_without_external_network_is_told_what_to_set(bench: Bench) -> None:
    bench.without_external_network()
    step, error, _ = bench.fails()
    assert step == "external network is there"
    assert "set verify_external_cidr" in str(error)
    assert bench.left() == set()


def test_two_hosts_get_a_guest_each_that_reach_each_other_with_full_packets(bench: Bench) -> None:
    test = bench.test(hosts=HOSTS)
    test.run()
    assert [guest.name for guest in test.made.guests] == [f"{test.this_run.name}-1", f"{test.this_run.name}-2"]
    second = test.made.guests[1].address
    full = bench.shell.mtu - 28
    pings = [remote for remote in bench.shell.said if remote.startswith("ping -c")]
    assert pings == [f"ping -c 3 -s 56 -W 3 {second}", f"ping -c 3 -s {full} -W 3 {second}"]
    assert bench.left() == set()


def test_lost_full_packets_fail_and_name_the_hosts(bench: Bench) -> None:
    bench.shell.replies[f"ping -c 3 -s {bench.shell.mtu - 28}"] = Answer(1, "", "")
    step, error, test = bench.fails(hosts=HOSTS)
    assert step == "guests on different hosts reach each other"
    second = test.made.guests[1]
    assert f"a ping of {bench.shell.mtu} bytes to {second.name} ({second.address}, host compute-2)" in str(error)


def test_server_on_another_host_than_asked_for_fails(bench: Bench) -> None:
    get = bench.sdk.compute.get_server

    def moved(identity: str) -> Any:
        server = get(identity)
        server.compute_host = "compute-1"
        return server

    bench.sdk.compute.get_server = moved
    _, error, _ = bench.fails(hosts=HOSTS)
    assert "was to run on compute-2, but runs on compute-1" in str(error)


def test_server_in_error_tells_its_fault_with_evidence_and_is_removed(bench: Bench) -> None:
    bench.cloud.fail_next["server"] = 1
    bench.cloud.put("compute_service", host="compute-9", state="down")
    step, error, test = bench.fails()
    assert step == "server boots"
    assert "No valid host was found." in str(error)
    message = boot_test.failure_message(error, test.steps, "http://k:5000")
    assert "against http://k:5000 failed at the step 'server boots'" in message
    built = "compute__do_build_and_run_instance failed on compute-1: libvirtError: the hypervisor does not answer"
    assert f"{test.this_run.name}: {built}" in message
    assert "down: nova-compute on compute-9" in message
    assert "(compute:nova): ACTIVE, bound as " in message
    assert "  stackwright-guest: ready after 4.5 s" in message
    assert bench.left() == set()


def test_silent_floating_address_fails_after_the_timeout(bench: Bench) -> None:
    bench.pings = Answer(1, "")
    step, error, test = bench.fails()
    address = test.made.floating_address
    assert step == "floating address answers to ping"
    assert f"no answer to ping from {address} after 30 s" in str(error)
    assert any(f"floating address {address}: ACTIVE, for {test.first.address}" in line for line in error.evidence)
    assert bench.left() == set()


def test_missing_ping_is_not_taken_for_silence(bench: Bench) -> None:
    bench.pings = Answer(127, "", "ping is not installed")
    _, error, _ = bench.fails()
    assert str(error) == "ping is not installed (package iputils-ping)"


def test_refused_login_tells_what_ssh_said(bench: Bench) -> None:
    bench.shell.replies["hostname"] = Answer(255, "", "Permission denied (publickey).")
    step, error, _ = bench.fails()
    assert step == "SSH logs in through the floating address, data pass both ways"
    assert "Permission denied (publickey)" in str(error)


def test_login_to_another_machine_is_noticed(bench: Bench) -> None:
    bench.shell.replies["hostname"] = Answer(0, "other\n")
    assert "a machine called other" in str(bench.fails()[1])


def test_data_that_is_cut_short_fails(bench: Bench) -> None:
    bench.shell.replies["head -c"] = Answer(0, "x" * 1000)
    _, error, test = bench.fails()
    assert f"of 4 MiB sent out of {test.this_run.name} 1000 bytes arrived" in str(error)


@pytest.mark.parametrize(("command", "way"), [("wc -c", "into"), ("head -c", "out of")])
def test_data_slower_than_any_healthy_network_fail_whichever_way_they_go(bench: Bench, command: str, way: str) -> None:
    def slow(remote: str) -> None:
        bench.clock.now += 12 if remote.startswith(command) else 2

    bench.shell.tick = slow
    step, error, test = bench.fails()
    assert step == "SSH logs in through the floating address, data pass both ways"
    # what a login takes is left out: 4 MiB in 10 s
    assert f"data pass {way} {test.this_run.name} at 0.40 MiB/s; no healthy network is below 0.5 MiB/s" in str(error)
    bench.test(throughput_minimum=0.3).run()
    bench.test(throughput_minimum=0).run()


def test_data_that_never_arrive_are_slow_data(bench: Bench) -> None:
    bench.shell.replies["wc -c"] = Answer(124, "", "no end within 38 s")
    _, error, test = bench.fails()
    assert f"data pass into {test.this_run.name} at less than 4 MiB in 38 s" in str(error)


def test_large_packets_pass_or_their_sender_is_told_what_does(bench: Bench) -> None:
    size = bench.shell.mtu
    step = "large packets pass, or are answered"
    for said, words in (
        (Answer(0, ""), f"{size} bytes"),
        (
            Answer(1, "From 203.0.113.5 icmp_seq=1 Frag needed and DF set (mtu = 1400)"),
            "told that 1400 pass, and they do",
        ),
    ):
        bench.large_pings = {size: said}
        test = bench.test()
        test.run()
        (detail,) = [one["detail"] for one in test.steps.done if one["name"] == step]
        assert words in detail
    # an answer that is not true, and none at all
    for said in ({size: bench.large_pings[size], 1400: Answer(1, "")}, {size: Answer(1, "100% packet loss")}):
        bench.large_pings = said
        failed, error, _ = bench.fails()
        assert failed == step
        assert "lost without an answer" in str(error)
        assert "neutron_underlay_mtu" in str(error)
    test = bench.test(large_packets=False)
    test.run()
    assert any("lost without an answer" in one["detail"] for one in test.steps.done)


IPV6 = "guests have IPv6 addresses and reach their router by them"
OUTSIDE = "guests are reached from outside by IPv6, through their router"
EXTERNAL = {
    "external_cidr": "203.0.113.0/24",
    "external_gateway": "203.0.113.1",
    "external_cidr_v6": "fd53:7477:e:1::/64",
    "tenant_cidr_v6": "fd53:7477:f:1::/64",
    "routed_v6": True,
}


def detail(test: BootTest, step: str) -> str:
    """What a step found."""
    (found,) = [one["detail"] for one in test.steps.done if one["name"] == step]
    return str(found)


def test_guests_have_addresses_by_advertisement_and_by_dhcp_and_ping_router_and_siblings_with_full_packets(
    bench: Bench,
) -> None:
    test = bench.test(hosts=HOSTS)
    test.run()
    first, second = test.made.guests
    assert first.address_v6.startswith("fd53:7477:6774:") and first.stateful_v6.startswith("fd53:7477:6775:")
    full = bench.shell.mtu - 48
    pings = [remote for remote in bench.shell.said if remote.startswith("ping -6")]
    assert pings == [
        f"ping -6 -c 2 -s {full} -W 3 -I {first.address_v6} fd53:7477:6774::1",
        f"ping -6 -c 2 -s {full} -W 3 -I {first.address_v6} {second.address_v6}",
        f"ping -6 -c 2 -s {full} -W 3 -I {first.stateful_v6} fd53:7477:6775::1",
        f"ping -6 -c 2 -s {full} -W 3 -I {first.stateful_v6} {second.stateful_v6}",
    ]
    assert f"{first.stateful_v6} by DHCPv6, which reaches fd53:7477:6775::1, {second.stateful_v6}" in detail(test, IPV6)
    looked = {remote.split(";")[0].split()[-1] for remote in bench.shell.said if remote.startswith("ip -6 address")}
    assert looked == {"eth0", "eth1"}
    modes = [one.get("ipv6_address_mode") for one in boot_content.document(test.this_run, test.settings, [])["subnets"]]
    assert modes == [None, "slaac", "dhcpv6-stateful"]


@pytest.mark.parametrize(
    ("command", "said", "words"),
    [
        ("show dev eth0", "    inet6 fe80::1/64 scope link\n", "on eth0: no advertisement of a router reached it"),
        ("show dev eth1", "    inet6 fe80::1/64 scope link\neth1: soliciting a DHCPv6 lease\n",
         "on eth1: DHCPv6 did not hand it out; the client's last words: eth1: soliciting a DHCPv6 lease"),
    ],
)  # fmt: skip
def test_address_that_does_not_come_is_told_with_what_should_have_brought_it(
    bench: Bench, command: str, said: str, words: str
) -> None:
    bench.shell.replies[command] = Answer(0, said)
    step, error, _ = bench.fails()
    assert step == IPV6
    assert words in str(error)


def test_ipv6_and_dhcpv6_can_be_left_out(bench: Bench) -> None:
    test = bench.test(stateful_cidr_v6="")
    test.run()
    assert "by advertisement" in detail(test, IPV6) and "DHCPv6" not in detail(test, IPV6)
    test = bench.test(tenant_cidr_v6="")
    test.run()
    assert IPV6 not in [one["name"] for one in test.steps.done]
    assert test.steps.done[-1]["detail"].startswith("image, flavor, network, subnet, router")


def test_icmpv6_that_does_not_pass_fails(bench: Bench) -> None:
    bench.shell.replies["ping -6"] = Answer(1, "")
    step, error, test = bench.fails()
    assert step == IPV6
    assert f"from {test.first.name} ({test.first.address_v6}) to fd53:7477:6774::1 has no answer" in str(error)


def test_labs_host_routes_to_the_guests_for_the_time_of_the_test(bench: Bench) -> None:
    bench.without_external_network()
    bench.is_gateway()
    test = bench.test(**EXTERNAL)
    test.run()
    via, guest = "fd53:7477:e:1::2", test.first.address_v6
    assert guest.startswith("fd53:7477:f:1:")
    assert bench.told[1:] == [
        "ip -6 address replace fd53:7477:e:1::1/64 dev bridge7 nodad",
        f"ip -6 route replace fd53:7477:f:1::/64 via {via} dev bridge7",
        f"ip -6 route del fd53:7477:f:1::/64 via {via} dev bridge7",
        "ip -6 address del fd53:7477:e:1::1/64 dev bridge7",
    ]
    assert bench.pinged_v6 == [(guest, bench.shell.mtu)]
    assert detail(test, OUTSIDE) == f"ping of {bench.shell.mtu} bytes to {guest} through {via}, SSH"
    assert bench.left() == set()


def test_route_of_a_lab_goes_after_a_failure_too(bench: Bench) -> None:
    bench.without_external_network()
    bench.is_gateway()
    bench.pings_v6 = Answer(1, "")
    step, error, test = bench.fails(**EXTERNAL)
    assert step == OUTSIDE
    assert (
        f"no answer to a ping of {bench.shell.mtu} bytes to {test.first.address_v6} through the "
        f"router's fd53:7477:e:1::2" in str(error)
    )
    assert bench.told[-1].startswith("ip -6 address del ")


def test_silent_tcp_behind_an_answer_to_ping_fails(bench: Bench) -> None:
    bench.without_external_network()
    bench.is_gateway()
    run = bench.shell.run

    def refused(address: str, remote: str, **options: Any) -> Answer:
        return (
            Answer(255, "", "Connection timed out")
            if address.startswith("fd53:7477:f:")
            else run(address, remote, **options)
        )

    bench.shell.run = refused  # type: ignore[method-assign, assignment]
    step, error, _ = bench.fails(**EXTERNAL)
    assert step == OUTSIDE
    assert "succeeds there: Connection timed out" in str(error)


def test_host_without_ipv6_and_network_without_it_are_told_in_a_lab(bench: Bench) -> None:
    bench.is_gateway()
    test = bench.test(**EXTERNAL)
    test.run()
    assert (
        detail(test, OUTSIDE)
        == "not asked: the router has no IPv6 address outside: the external network has no IPv6 subnet"
    )
    bench.without_external_network()
    bench.here["ip -6 address replace"] = Answer(2, "", "RTNETLINK answers: Permission denied\n")
    test = bench.test(**EXTERNAL)
    test.run()
    assert "not asked: this machine cannot be the gateway of fd53:7477:e:1::/64: " in detail(test, OUTSIDE)
    assert "Permission denied" in detail(test, OUTSIDE)


def test_sites_route_is_asked_at_the_address_that_it_leads_to(bench: Bench) -> None:
    (external,) = bench.cloud.find("network", name="public")
    step, error, _ = bench.fails(routed_v6=True)
    assert step == OUTSIDE
    assert "the external network has no IPv6 subnet; make one with the site's router as its gateway" in str(error)
    bench.sdk.network.create_subnet(network_id=external["id"], name="public-v6", ip_version=6, cidr="2001:db8:e::/64")
    test = bench.test(routed_v6=True, routed_via_v6="2001:db8:e::99")
    test.run()
    assert detail(test, OUTSIDE).endswith("through 2001:db8:e::99, SSH")
    # the site's routers know the way: nothing of this machine is changed
    assert [one for one in bench.told if not one.startswith("ip -json")] == []


@pytest.mark.parametrize("state", ["paused", "crashed", "shutdown"])
def test_guest_that_its_hypervisor_does_not_run_is_named_within_seconds(bench: Bench, state: str) -> None:
    bench.cloud.extra |= {"console": lambda server: "", "domain": lambda server: state}
    step, error, test = bench.fails(timeout=240)
    assert step == "console log tells that the guest is ready"
    assert str(error) == f"{test.this_run.name} does not run: its hypervisor says {state}, although Nova says ACTIVE"
    assert bench.clock.now < 20


def test_guest_that_nova_still_remembers_as_running_is_named_all_the_same(bench: Bench) -> None:
    bench.cloud.extra |= {
        "console": lambda server: "",
        "domain": lambda server: "paused",
        "power_state": lambda server: "running",
    }
    _, error, test = bench.fails(timeout=240)
    assert f"{test.this_run.name} does not run: its hypervisor says not running, although Nova says ACTIVE" in str(
        error
    )


def test_guest_that_stops_while_it_is_asked_is_named_as_well(bench: Bench) -> None:
    bench.shell.replies["show dev eth0"] = Answer(124, "", "no end within 30 s")
    bench.cloud.extra["domain"] = lambda server: (
        "paused" if any("show dev eth0" in remote for remote in bench.shell.said) else "running"
    )
    step, error, test = bench.fails()
    assert step == IPV6
    assert str(error).startswith(
        f"{test.this_run.name} does not run: its hypervisor says paused, although Nova says ACTIVE; reading its IPv6"
    )


def test_state_that_passes_is_no_fault(bench: Bench) -> None:
    seen: list[str] = []

    def domain(server: dict[str, Any]) -> str:
        seen.append("paused" if len(seen) % 2 else "running")
        return seen[-1]

    bench.cloud.extra |= {"domain": domain, "console": lambda server: console(server) if len(seen) > 4 else ""}
    bench.test().run()
    assert "paused" in seen


def test_guest_that_restarts_over_and_over_is_named(bench: Bench) -> None:
    bench.cloud.extra["console"] = lambda server: "SYSLINUX 6.04 EDD\r\nLoading\r\nKernel panic\r\n" * 3
    _, error, test = bench.fails(timeout=240)
    assert f"{test.this_run.name} restarts over and over: its console shows 3 boots" in str(error)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda shell: setattr(shell, "metadata", lambda server: '{"uuid": "other"}'),
            "gave the uuid other instead of",
        ),
        (lambda shell: setattr(shell, "metadata", lambda server: "<html>"), "answered '<html>' instead of JSON"),
        (lambda shell: setattr(shell, "user_data", False), "the user data did not run"),
    ],
)
def test_wrong_data_in_the_guest_fails(bench: Bench, change: Callable[[GuestShell], None], words: str) -> None:
    change(bench.shell)
    step, error, _ = bench.fails()
    assert step == "metadata, name server, MTU and user data are right in the guest"
    assert words in str(error)


def test_mtu_and_name_server_must_come_from_dhcp(bench: Bench) -> None:
    bench.shell.replies["resolv.conf"] = Answer(0, "9000\nstackwright-user-data\nnameserver 192.0.2.53\n")
    assert f"the guest's MTU is 9000, the network's {bench.shell.mtu}" in str(bench.fails()[1])
    bench.shell.replies["resolv.conf"] = Answer(0, f"{bench.shell.mtu}\nstackwright-user-data\n")
    assert "lacks the name servers 192.0.2.53; it has none" in str(bench.fails()[1])


def test_metadata_of_another_instance_on_the_console_fails(bench: Bench) -> None:
    bench.cloud.extra["console"] = lambda server: console(server).replace("instance ", "instance strange-")
    assert "got metadata of instance strange-" in str(bench.fails()[1])


def test_guest_that_never_reports_fails_with_the_end_of_its_console(bench: Bench) -> None:
    bench.cloud.extra["console"] = lambda server: "\x1b[2JKernel panic\r\n"
    step, error, _ = bench.fails()
    assert step == "console log tells that the guest is ready"
    assert 'its console says "Kernel panic" after 30 s' in str(error)
    assert "  Kernel panic" in error.evidence


def test_rebuild_that_keeps_the_disk_is_noticed(bench: Bench) -> None:
    rebuild = bench.sdk.compute.rebuild_server

    def keeps(identity: str, image: str) -> None:
        rebuild(identity, image=image)
        bench.shell.disks[identity, 2] = bench.shell.disks[identity, 1]

    bench.sdk.compute.rebuild_server = keeps
    assert "after the rebuild the disk still holds" in str(bench.fails()[1])


def test_rebuild_that_does_not_happen_is_noticed(bench: Bench) -> None:
    bench.sdk.compute.rebuild_server = lambda identity, image: None
    step, error, _ = bench.fails()
    assert step == "rebuilt server has its address and a new disk"
    assert "did not leave the status ACTIVE" in str(error)


def test_console_of_the_former_boot_is_not_taken_for_the_rebuilt_guest(bench: Bench) -> None:
    looks = itertools.count()

    def late(server: dict[str, Any]) -> str:
        boots = server.get("_boots", 1)
        old = boots > 1 and next(looks) < 5
        return console({**server, "_boots": boots - old})

    bench.cloud.extra["console"] = late
    bench.test().run()


def test_rebuild_that_changes_the_address_is_noticed(bench: Bench) -> None:
    rebuild = bench.sdk.compute.rebuild_server

    def moves(identity: str, image: str) -> None:
        rebuild(identity, image=image)
        for port in bench.cloud.find("port", device_id=identity):
            port["fixed_ips"][0]["ip_address"] = "192.168.213.99"

    bench.sdk.compute.rebuild_server = moves
    step, error, test = bench.fails()
    assert step == "rebuilt server has its address and a new disk"
    assert f"had the address {test.first.address}, now it has 192.168.213.99" in str(error)


def test_remains_of_an_interrupted_run_are_removed_and_nothing_of_others(bench: Bench) -> None:
    made_by(bench.test(hosts=HOSTS))
    # Named as a run might be, and yet somebody else's.
    name, mine = f"{PREFIX}-deadbeef", {"project_id": bench.cloud.admin_project, "description": "mine"}
    for kind in ("network", "router", "security_group"):
        bench.cloud.put(kind, name=name, **mine)
    bench.cloud.put("floating_ip", floating_ip_address="203.0.113.9", **mine)
    bench.cloud.put("flavor", name=name, ram=1, vcpus=1, description="mine")
    bench.cloud.put("image", name=name, owner=bench.cloud.admin_project, status="active")
    flavor = {"id": "f", "ram": 1, "vcpus": 1, "disk": 1}
    bench.cloud.put("server", name=name, tenant_id=bench.cloud.admin_project, flavor=flavor)
    later = bench.test()
    before = bench.held()
    assert later.remove_own() == ""
    assert bench.held() == before
    done = later.remove_remains()
    assert done == "2 servers, floating ip, router, 2 networks, security group, keypair, flavor, image"
    texts = [str(thing) for kind in KINDS for thing in bench.cloud.all(kind)]
    assert not any(MARK in text for text in texts)
    assert bench.left() == {"network", "router", "security_group", "floating_ip", "flavor", "image", "server"}
    assert later.remove_remains() == ""


def test_two_tests_at_the_same_time_leave_each_other_alone(bench: Bench) -> None:
    made_by(bench.test(prefix=f"{PREFIX}-2", hosts=HOSTS))
    before = bench.held()
    bench.test().run()
    assert bench.held() == before


def test_run_that_outlives_its_caller_removes_nothing_of_a_later_one(bench: Bench) -> None:
    orphan, later = bench.test(), bench.test()
    held: set[tuple[str, str]] = set()

    def next_run_begins(address: str) -> Answer:
        later.remove_remains()
        bench.shell.key.unlink()
        made_by(later)
        held.update(bench.held())
        raise boot_test.BootTestError("the address is gone")

    orphan.pinger = next_run_begins
    with pytest.raises(boot_test.BootTestError, match="the address is gone"):
        orphan.run()
    assert bench.held() == held
    assert bench.left() == set(KINDS)


def test_removal_goes_on_after_an_error_and_tells_it(bench: Bench) -> None:
    bench.cloud.fault(method="DELETE", service="network", path="/security-groups", status=409, times=0)
    step, error, test = bench.fails()
    assert step == "everything made is removed"
    assert f"cannot remove everything called {PREFIX}: security group {test.this_run.name}: DELETE " in str(error)
    assert str(error).endswith("; the next run tries again")
    assert bench.left() == {"security_group"}
    bench.cloud.heal()
    bench.test().run()
    assert bench.left() == set()


def test_remains_that_cannot_be_listed_are_told_and_the_others_removed(bench: Bench) -> None:
    made_by(bench.test())
    bench.cloud.fault(method="GET", service="image", path="/images", status=500, times=0)
    step, error, _ = bench.fails()
    assert step == "remains of earlier runs are removed"
    assert "images cannot be listed: GET " in str(error)
    assert bench.left() == {"image"}


def test_error_of_an_api_is_a_failed_step_with_evidence(bench: Bench) -> None:
    bench.cloud.fault(method="POST", service="network", path="/routers", status=500, times=0)
    bench.cloud.put("compute_service", host="compute-9", state="down")
    step, error, test = bench.fails()
    assert step == "network, subnet and router are made"
    assert str(error).startswith(f"router {test.this_run.name}: POST ")
    assert "answered 500" in str(error)
    assert "down: nova-compute on compute-9" in error.evidence
    assert bench.left() == set()


def test_error_of_a_proof_is_a_failed_step_with_evidence(bench: Bench) -> None:
    bench.cloud.fault(method="POST", service="compute", path="/action", status=500, times=1)
    step, error, _ = bench.fails()
    assert step == "console log tells that the guest is ready"
    assert str(error).startswith("the API refused: ")
    assert bench.left() == set()


def test_signal_ends_the_test_and_everything_is_removed(bench: Bench) -> None:
    before = signal.getsignal(signal.SIGTERM)
    test = bench.test()
    test.pinger = lambda address: os.kill(os.getpid(), signal.SIGTERM) or Answer(0, "")
    with pytest.raises(boot_test.InterruptedRunError, match="SIGTERM"):
        test.run()
    assert bench.left() == set()
    assert signal.getsignal(signal.SIGTERM) is before


def test_signal_in_the_middle_of_a_request_leaves_nothing_either(bench: Bench) -> None:
    call = bench.engine.call

    def interrupted(service: str, method: str, path: str, *words: Any, **options: Any) -> Any:
        if (method, path) == ("POST", "/servers"):
            os.kill(os.getpid(), signal.SIGTERM)
        return call(service, method, path, *words, **options)

    bench.engine.call = interrupted  # type: ignore[method-assign]
    test = bench.test()
    with pytest.raises(boot_test.InterruptedRunError, match="SIGTERM"):
        test.run()
    assert bench.cloud.count("POST", type="server") == 1
    assert bench.left() == set(), test.steps.done[-1]


def test_failed_test_can_be_kept_for_a_look(bench: Bench) -> None:
    bench.pings = Answer(1, "")
    bench.fails(keep_failed=True)
    assert bench.left() == set(KINDS)
    bench.pings = Answer(0, "")
    bench.test(keep_failed=True).run()
    assert bench.left() == set()


def test_ssh_uses_only_its_own_key_and_known_hosts(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    assert shell.make_key("c").startswith("ssh-ed25519 ")
    assert shell.key.stat().st_mode & 0o777 == 0o600
    shell.trust("203.0.113.7", "ssh-ed25519 AAAA")
    assert shell.known_hosts.read_text() == "203.0.113.7 ssh-ed25519 AAAA\n"
    command = shell.command("192.168.213.9", "true", jump="203.0.113.7")
    assert {"StrictHostKeyChecking=yes", "IdentitiesOnly=yes", "BatchMode=yes"} <= set(command)
    assert f"UserKnownHostsFile={shell.known_hosts}" in command
    (proxy,) = [word for word in command if word.startswith("ProxyCommand=")]
    assert str(shell.known_hosts) in proxy
    assert proxy.endswith("-W %h:%p root@203.0.113.7")


def test_console_is_read_of_the_last_boot_only_when_complete() -> None:
    first = "stackwright-guest: host key ssh-ed25519 AA\nstackwright-guest: instance u hostname h keys 1\n"
    assert guest_shell.parse_boot(first) is None
    boot = guest_shell.parse_boot(first + "stackwright-guest: ready after 4.2 s\n")
    assert boot == guest_shell.Boot("ssh-ed25519 AA", "u", "h", 4.2)
    assert guest_shell.console_report("\x1b[?7l\x1b[2JSeaBIOS\r\n\n\x00x") == ["SeaBIOS", "x"]


def test_characters_that_a_starved_console_puts_before_a_line_do_not_hide_it():
    console = (
        "stackwright-guest: host key ssh-ed25519 AAAAC3\n"
        "stacstackwright-guest: instance a1d7 hostname guest-a keys 1\n"
        "stackwright-guest: ready after 6.14 s\nkw"
    )
    assert guest_shell.parse_boot(console) == guest_shell.Boot("ssh-ed25519 AAAAC3", "a1d7", "guest-a", 6.14)


def test_resized_server_boots_again_with_its_address(bench: Bench) -> None:
    restarting(bench)
    test = bench.test(resize=True)
    test.run()
    assert test.steps.done[-2]["name"] == "resized server keeps its address and runs on"
    assert bench.left() == set()


def restarting(bench: Bench) -> None:
    """Have a server that was moved boot once more when it is confirmed."""
    confirm = bench.sdk.compute.confirm_server_resize

    def boots(identity: str) -> None:
        confirm(identity)
        server = bench.cloud.get("server", identity)
        number = server.get("_boots", 1)
        server["_boots"] = number + 1
        bench.shell.disks[identity, number + 1] = bench.shell.disks.get((identity, number), "")

    bench.sdk.compute.confirm_server_resize = boots


MIGRATED = "server is migrated to another host with its disk"


def test_server_is_migrated_to_another_host_with_its_disk(bench: Bench) -> None:
    restarting(bench)
    test = bench.test(hosts=HOSTS, migrate=True, resize=True)
    test.run()
    assert detail(test, MIGRATED) == f"from compute-1 to compute-2, kept {test.first.address} and its disk"
    assert detail(test, "resized server keeps its address and runs on") == f"kept {test.first.address}, on compute-2"
    assert bench.left() == set()
    # with a single host there is no other
    alone = bench.test(migrate=True)
    alone.run()
    assert MIGRATED not in [one["name"] for one in alone.steps.done]


def test_migration_that_leaves_disk_or_host_as_they_were_fails(bench: Bench) -> None:
    restarting(bench)
    confirm, migrate = bench.sdk.compute.confirm_server_resize, bench.sdk.compute.migrate_server

    def loses(identity: str) -> None:
        confirm(identity)
        bench.shell.disks[identity, bench.cloud.get("server", identity)["_boots"]] = ""

    bench.sdk.compute.confirm_server_resize = loses
    step, error, _ = bench.fails(hosts=HOSTS, migrate=True)
    assert step == MIGRATED
    assert "on compute-1 is not on its disk on compute-2" in str(error)

    def stays(identity: str) -> None:
        migrate(identity)
        bench.cloud.get("server", identity)["OS-EXT-SRV-ATTR:host"] = "compute-1"

    bench.sdk.compute.confirm_server_resize, bench.sdk.compute.migrate_server = confirm, stays
    assert "was migrated and is on compute-1 still" in str(bench.fails(hosts=HOSTS, migrate=True)[1])


def test_resize_that_nova_gives_up_is_told_with_its_fault(bench: Bench) -> None:
    get = bench.sdk.compute.get_server
    asked: list[str] = []
    bench.sdk.compute.resize_server = lambda identity, flavor: asked.append(flavor)

    def refused(identity: str) -> Any:
        server = get(identity)
        if asked:
            server.fault = {"message": "No valid host was found."}
        return server

    bench.sdk.compute.get_server = refused
    step, error, _ = bench.fails(resize=True)
    assert step == "resized server keeps its address and runs on"
    assert "was not resized: No valid host was found." in str(error)


def test_volumes_give_back_what_was_written_on_every_way(bench: Bench) -> None:
    test = bench.test(volumes=True)
    test.run()
    told = {step["name"]: step["detail"] for step in test.steps.done}
    assert told["attached volume grows, and keeps its data"] == "1 to 2 GiB"
    assert told["backup and increment give back the data of their times"] == "twice 8 MiB"
    assert told["server boots from a volume and writes to it"].startswith("192.168.213.")
    assert bench.left() == set()
    assert any("seek=512" in remote for remote in bench.shell.said), "a server wrote to the volume that it booted from"


@pytest.mark.parametrize(
    ("fault", "step", "said"),
    [
        ("forgets", "clone of a snapshot has the data of its time", "the clone of the snapshot does not hold what was"),
        ("stays small", "attached volume grows, and keeps its data", "the guest must see the larger volume"),
    ],
)
def test_volumes_that_lose_data_are_found_and_removed(bench: Bench, fault: str, step: str, said: str) -> None:
    bench.shell.volumes.fault = fault
    failed, error, _ = bench.fails(volumes=True)
    assert failed == step and said in str(error)
    assert bench.left() == set()


def test_volumes_of_a_killed_run_are_removed_by_the_next(bench: Bench) -> None:
    killed = bench.test(volumes=True)
    made_by(killed)
    killed.wait_ssh(killed.first)
    killed.volumes.attach()
    killed.volumes.extend()
    killed.volumes.clone()
    killed.volumes.make("backups", "increment")
    assert {"volume", "backup", "snapshot", "volume_type"} <= bench.left()
    bench.test(volumes=True).remove_remains()
    assert bench.left() == set()
