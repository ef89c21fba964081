"""The boot test against a cloud of doubles: every step, every fault with its evidence, and nothing left behind."""

from __future__ import annotations

import itertools
import json
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace as Thing
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.verify import boot_test, guest_shell
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.boot_test import MARK, BootTest, Settings
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.guest_shell import Answer, Shell

PREFIX = "stackwright-verify"
KINDS = ("image", "flavor", "network", "subnet", "router", "group", "keypair", "server", "ip")


class Cloud:
    """Image, compute and network API in memory. ``faults`` maps a method's name to what is called instead of it."""

    def __init__(self, computes: tuple[str, ...] = ("compute1", "compute2")) -> None:
        self.compute = self.image = self.network = self
        self.store: dict[str, dict[str, Thing]] = {kind: {} for kind in KINDS}
        self.computes = computes
        self.calls: list[str] = []
        self.faults: dict[str, Callable[..., Any]] = {}
        self.counter = itertools.count(1)
        self.boots: dict[str, int] = {}
        self.mtu = 1442
        self.user_data = True
        self.metadata: Callable[[Thing], str] = lambda server: json.dumps({"uuid": server.id})
        self.lingering: set[str] = set()

    def __getattribute__(self, name: str) -> Any:
        found = object.__getattribute__(self, name)
        if callable(found) and not name.startswith("_") and name not in ("metadata",):
            object.__getattribute__(self, "calls").append(name)
            return object.__getattribute__(self, "faults").get(name, found)
        return found

    def _make(self, kind: str, **fields: Any) -> Thing:
        identity = f"{kind}-{next(self.counter)}"
        thing = Thing(**({"id": identity, "description": ""} | fields))
        self.store[kind][identity] = thing
        return thing

    def _server(self, identity: str) -> Thing:
        if identity not in self.store["server"]:
            raise OSError(f"{identity} could not be found")
        return self.store["server"][identity]

    def _left(self, *kinds: str) -> list[str]:
        return [thing.name for kind in kinds or KINDS for thing in self.store[kind].values()]

    # image
    def create_image(self, **fields: Any) -> Thing:
        assert Path(fields["filename"]).name == "guest.qcow2"
        return self._make(
            "image", name=fields["name"], status="active", size=17e6, properties={"stackwright": fields["stackwright"]}
        )

    def get_image(self, identity: str) -> Thing:
        return self.store["image"][identity]

    def images(self, name: str) -> list[Thing]:
        return [image for image in self.store["image"].values() if image.name == name]

    def delete_image(self, identity: str) -> None:
        del self.store["image"][identity]

    # compute
    def create_flavor(self, **fields: Any) -> Thing:
        return self._make("flavor", **fields)

    def flavors(self, is_public: bool) -> list[Thing]:
        return [flavor for flavor in self.store["flavor"].values() if flavor.is_public == is_public]

    def delete_flavor(self, identity: str) -> None:
        del self.store["flavor"][identity]

    def create_keypair(self, **fields: Any) -> Thing:
        assert fields["public_key"].startswith("ssh-ed25519 ")
        return self._make("keypair", **fields)

    def keypairs(self) -> list[Thing]:
        return list(self.store["keypair"].values())

    def delete_keypair(self, name: str) -> None:
        self.store["keypair"] = {key: pair for key, pair in self.store["keypair"].items() if pair.name != name}

    def create_server(self, **fields: Any) -> Thing:
        number = len(self.store["server"]) + 10
        host = fields.get("host", self.computes[0])
        server = self._make(
            "server",
            name=fields["name"],
            status="BUILD",
            task_state="spawning",
            fault=None,
            metadata=fields["metadata"],
            compute_host=host,
            hypervisor_hostname=host,
            addresses={"n": [{"addr": f"192.168.213.{number}", "OS-EXT-IPS:type": "fixed"}]},
            disk="",
        )
        self.boots[server.id] = 1
        return server

    def get_server(self, identity: str) -> Thing:
        server = self._server(identity)
        shown = Thing(**vars(server))
        server.status = {"BUILD": "ACTIVE", "REBUILD": "ACTIVE"}.get(server.status, server.status)
        return shown

    def servers(self) -> list[Thing]:
        shown = list(self.store["server"].values())
        for identity in self.lingering & set(self.store["server"]):
            del self.store["server"][identity]
        return shown

    def delete_server(self, identity: str) -> None:
        self.lingering.add(identity)

    def rebuild_server(self, identity: str, image: str) -> None:
        assert image in self.store["image"]
        server = self.store["server"][identity]
        server.status, server.disk = "REBUILD", ""
        self.boots[identity] += 1

    def get_server_console_output(self, identity: str) -> dict[str, str]:
        server = self._server(identity)
        return {
            "output": "BIOS\r\nstackwright-guest: started, kernel 6\r\n"
            f"stackwright-guest: host key ssh-ed25519 AAAA{self.boots[identity]}{server.name[-1]}\r\n"
            f"stackwright-guest: instance {server.id} hostname {server.name} keys 1\r\n"
            "stackwright-guest: ready after 4.5 s\r\n"
        }

    def server_actions(self, identity: str) -> list[Thing]:
        return [Thing(request_id="req-1")]

    def get_server_action(self, request: str, identity: str) -> Thing:
        events = [
            {"event": "schedule", "result": "Success", "traceback": None, "host": "controller1"},
            {"event": "build", "result": "Error", "traceback": "Trace\n  libvirtError: no KVM\n", "host": "compute1"},
        ]
        return Thing(events=events)

    def services(self) -> list[Thing]:
        return [Thing(binary="nova-compute", host="compute9", state="down")]

    # network
    def networks(self, **query: Any) -> list[Thing]:
        return [
            network
            for network in self.store["network"].values()
            if all(getattr(network, key, None) == value for key, value in query.items())
        ]

    def create_network(self, **fields: Any) -> Thing:
        return self._make("network", **({"mtu": self.mtu, "subnet_ids": [], "is_router_external": False} | fields))

    def delete_network(self, identity: str) -> None:
        assert not [port for port in self._ports() if port.network == identity], "network in use"
        del self.store["network"][identity]
        self.store["subnet"] = {k: v for k, v in self.store["subnet"].items() if v.network_id != identity}

    def create_subnet(self, **fields: Any) -> Thing:
        subnet = self._make("subnet", **fields)
        self.store["network"][fields["network_id"]].subnet_ids.append(subnet.id)
        return subnet

    def create_router(self, **fields: Any) -> Thing:
        return self._make("router", interfaces=[], **fields)

    def routers(self, name: str) -> list[Thing]:
        return [router for router in self.store["router"].values() if router.name == name]

    def delete_router(self, identity: str) -> None:
        assert not self.store["router"][identity].interfaces, "router in use"
        del self.store["router"][identity]

    def add_interface_to_router(self, router: str, subnet_id: str) -> None:
        self.store["router"][router].interfaces.append(subnet_id)

    def remove_interface_from_router(self, router: str, port_id: str) -> None:
        self.store["router"][router].interfaces.remove(port_id.removeprefix("port-"))

    def _ports(self) -> Iterator[Thing]:
        common = {"status": "ACTIVE", "binding_vif_type": "ovs", "binding_host_id": "compute1"}
        for router in self.store["router"].values():
            for subnet in router.interfaces:
                yield Thing(
                    id=f"port-{subnet}",
                    device_id=router.id,
                    device_owner="network:router_interface",
                    network=self.store["subnet"][subnet].network_id,
                    fixed_ips=[{"ip_address": "192.168.213.1"}],
                    **common,
                )
        for server in [one for one in self.store["server"].values() if hasattr(one, "addresses")]:
            yield Thing(
                id=f"port-{server.id}",
                device_id=server.id,
                device_owner="compute:nova",
                network="tenant",
                fixed_ips=[{"ip_address": server.addresses["n"][0]["addr"]}],
                **common,
            )

    def ports(self, device_id: str) -> Iterator[Thing]:
        return iter([port for port in self._ports() if port.device_id == device_id])

    def create_security_group(self, **fields: Any) -> Thing:
        return self._make("group", rules=[], **fields)

    def create_security_group_rule(self, security_group_id: str, **fields: Any) -> None:
        self.store["group"][security_group_id].rules.append(fields)

    def security_groups(self, name: str) -> list[Thing]:
        return [group for group in self.store["group"].values() if group.name == name]

    def delete_security_group(self, identity: str) -> None:
        del self.store["group"][identity]

    def create_ip(self, **fields: Any) -> Thing:
        address = {"floating_ip_address": "203.0.113.77", "status": "ACTIVE", "fixed_ip_address": "192.168.213.10"}
        return self._make("ip", name="ip", **address, **fields)

    def ips(self) -> list[Thing]:
        return list(self.store["ip"].values())

    def delete_ip(self, identity: str) -> None:
        del self.store["ip"][identity]

    def agents(self) -> list[Thing]:
        return [Thing(binary="ovn-controller", host="compute1", is_alive=True)]


class GuestShell(Shell):
    """Answers as the guests of the cloud would; ``replies`` maps part of a command to another answer."""

    def __init__(self, directory: Path, cloud: Cloud) -> None:
        super().__init__(directory)
        self.cloud = cloud
        self.replies: dict[str, Answer] = {}
        self.said: list[str] = []

    def run(self, address: str, remote: str, jump: str | None = None, timeout: float = 30) -> Answer:
        self.said.append(remote)
        servers = list(self.cloud.store["server"].values())
        server = next((one for one in servers if one.addresses["n"][0]["addr"] == address), servers[0])
        expected = f"ssh-ed25519 AAAA{self.cloud.boots[server.id]}{server.name[-1]}"
        if self.known.get(address) != expected:
            return Answer(255, "", "Host key verification failed.")
        for part, answer in self.replies.items():
            if part in remote:
                return answer
        if remote == "hostname":
            return Answer(0, server.name + "\n")
        if "meta_data.json" in remote:
            return Answer(0, self.cloud.metadata(server))
        if remote.startswith("head -c"):
            return Answer(0, "x" * boot_test.BULK)
        if "resolv.conf" in remote:
            user_data = "stackwright-user-data\n" if self.cloud.user_data else ""
            return Answer(0, f"{self.cloud.mtu}\n{user_data}search x\nnameserver 192.0.2.53\n")
        if "of=/dev/vda" in remote:
            server.disk = remote.split()[1]
        return Answer(0, server.disk + "\n")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Bench:
    """A boot test ready to run, with the doubles around it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.cloud = Cloud()
        self.cloud._make("network", name="public", mtu=1500, subnet_ids=["s"], is_router_external=True)
        self.cloud._make("server", name="customer", metadata={}, status="ACTIVE")
        self.cloud.store["server"].clear()
        self.shell = GuestShell(directory, self.cloud)
        self.clock = Clock()
        self.pings = Answer(0, "")

    def test(self, **settings: Any) -> BootTest:
        return BootTest(
            self.cloud,
            replace(Settings("/x/guest.qcow2", timeout=30), **settings),
            self.shell,
            self.clock,
            self.clock.sleep,
            lambda address: self.pings,
        )

    def fails(self, **settings: Any) -> tuple[str, boot_test.BootTestError, BootTest]:
        test = self.test(**settings)
        with pytest.raises(boot_test.BootTestError) as error:
            test.run()
        failed = [step["name"] for step in test.steps.done if not step["ok"]]
        return failed[0], error.value, test


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_whole_test_passes_and_leaves_only_what_was_there(bench: Bench) -> None:
    test = bench.test()
    test.run()
    assert all(step["ok"] for step in test.steps.done)
    assert [step["name"] for step in test.steps.done][-1] == "everything made is removed"
    assert bench.cloud._left() == ["public"]


def test_security_group_lets_icmp_and_ssh_in_and_no_more(bench: Bench) -> None:
    test = bench.test()
    test.make_group()
    (group,) = bench.cloud.store["group"].values()
    assert [(rule["protocol"], rule.get("port_range_min")) for rule in group.rules] == [("icmp", None), ("tcp", 22)]
    assert {rule["direction"] for rule in group.rules} == {"ingress"}


def test_external_network_is_made_and_removed_when_there_is_none(bench: Bench) -> None:
    bench.cloud.store["network"].clear()
    made: list[dict[str, Any]] = []

    def create_subnet(**fields: Any) -> Thing:
        made.append(fields)
        return Cloud.create_subnet(bench.cloud, **fields)

    bench.cloud.faults["create_subnet"] = create_subnet
    bench.test(
        external_cidr="203.0.113.0/24",
        external_gateway="203.0.113.1",
        external_pool_start="203.0.113.100",
        external_pool_end="203.0.113.199",
    ).run()
    assert made[0]["allocation_pools"] == [{"start": "203.0.113.100", "end": "203.0.113.199"}]
    assert made[0]["gateway_ip"] == "203.0.113.1"
    assert bench.cloud._left() == []


def test_cloud_without_external_network_is_told_what_to_set(bench: Bench) -> None:
    bench.cloud.store["network"].clear()
    step, error, _ = bench.fails()
    assert step == "external network is there"
    assert "set verify_external_cidr" in str(error)


def test_two_hosts_get_a_guest_each_that_reach_each_other_with_full_packets(bench: Bench) -> None:
    test = bench.test(hosts=("compute1", "compute2"))
    test.run()
    assert [guest.name for guest in test.made.guests] == [f"{PREFIX}-1", f"{PREFIX}-2"]
    pings = [remote for remote in bench.shell.said if remote.startswith("ping ")]
    assert pings == ["ping -c 3 -s 56 -W 3 192.168.213.11", "ping -c 3 -s 1414 -W 3 192.168.213.11"]
    assert bench.cloud._left() == ["public"]


def test_lost_full_packets_fail_and_name_the_hosts(bench: Bench) -> None:
    bench.shell.replies["ping -c 3 -s 1414"] = Answer(1, "", "")
    step, error, _ = bench.fails(hosts=("compute1", "compute2"))
    assert step == "guests on different hosts reach each other"
    assert "a ping of 1442 bytes to stackwright-verify-2 (192.168.213.11, host compute2)" in str(error)


def test_server_on_another_host_than_asked_for_fails(bench: Bench) -> None:
    create = Cloud.create_server
    bench.cloud.faults["create_server"] = lambda **fields: create(bench.cloud, **(fields | {"host": "compute1"}))
    _, error, _ = bench.fails(hosts=("compute1", "compute2"))
    assert "was to run on compute2, but runs on compute1" in str(error)


def test_server_in_error_tells_its_fault_with_evidence_and_is_removed(bench: Bench) -> None:
    def create(**fields: Any) -> Thing:
        server = Cloud.create_server(bench.cloud, **fields)
        server.status, server.fault = "ERROR", {"message": "No valid host was found."}
        return server

    bench.cloud.faults["create_server"] = create
    step, error, test = bench.fails()
    assert step == "server boots"
    assert "No valid host was found." in str(error)
    message = boot_test.failure_message(error, test.steps, "http://k:5000")
    assert "against http://k:5000 failed at the step 'server boots'" in message
    assert "stackwright-verify: build failed on compute1: libvirtError: no KVM" in message
    assert "down: nova-compute on compute9" in message
    assert "port 192.168.213.10 (compute:nova): ACTIVE, bound as ovs on compute1" in message
    assert "  stackwright-guest: ready after 4.5 s" in message
    assert bench.cloud._left() == ["public"]


def test_silent_floating_address_fails_after_the_timeout(bench: Bench) -> None:
    bench.pings = Answer(1, "")
    step, error, _ = bench.fails()
    assert step == "floating address answers to ping"
    assert "no answer to ping from 203.0.113.77 after 30 s" in str(error)
    assert any("floating address 203.0.113.77: ACTIVE, for 192.168.213.10" in line for line in error.evidence)
    assert bench.cloud._left() == ["public"]


def test_missing_ping_is_not_taken_for_silence(bench: Bench) -> None:
    bench.pings = Answer(127, "", "ping is not installed")
    _, error, _ = bench.fails()
    assert str(error) == "ping is not installed (package iputils-ping)"


def test_refused_login_tells_what_ssh_said(bench: Bench) -> None:
    bench.shell.replies["hostname"] = Answer(255, "", "Permission denied (publickey).")
    step, error, _ = bench.fails()
    assert step == "SSH logs in through the floating address"
    assert "Permission denied (publickey)" in str(error)


def test_login_to_another_machine_is_noticed(bench: Bench) -> None:
    bench.shell.replies["hostname"] = Answer(0, "other\n")
    assert "a machine called other" in str(bench.fails()[1])


def test_data_that_is_cut_short_fails(bench: Bench) -> None:
    bench.shell.replies["head -c"] = Answer(0, "x" * 1000)
    assert "of 1 MiB sent by stackwright-verify 1000 bytes arrived" in str(bench.fails()[1])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda cloud: setattr(cloud, "metadata", lambda server: '{"uuid": "other"}'),
            "gave the uuid other instead of",
        ),
        (lambda cloud: setattr(cloud, "metadata", lambda server: "<html>"), "answered '<html>' instead of JSON"),
        (lambda cloud: setattr(cloud, "user_data", False), "the user data did not run"),
    ],
)
def test_wrong_data_in_the_guest_fails(bench: Bench, change: Callable[[Cloud], None], words: str) -> None:
    change(bench.cloud)
    step, error, _ = bench.fails()
    assert step == "metadata, name server, MTU and user data are right in the guest"
    assert words in str(error)


def test_mtu_and_name_server_must_come_from_dhcp(bench: Bench) -> None:
    bench.shell.replies["resolv.conf"] = Answer(0, "1500\nstackwright-user-data\nnameserver 192.0.2.53\n")
    assert "the guest's MTU is 1500, the network's 1442" in str(bench.fails()[1])
    bench.shell.key.unlink()
    bench.shell.replies["resolv.conf"] = Answer(0, "1442\nstackwright-user-data\n")
    assert "lacks the name servers 192.0.2.53; it has none" in str(bench.fails()[1])


def test_metadata_of_another_instance_on_the_console_fails(bench: Bench) -> None:
    output = Cloud.get_server_console_output
    bench.cloud.faults["get_server_console_output"] = lambda identity: {
        "output": output(bench.cloud, identity)["output"].replace("instance server", "instance strange")
    }
    assert "got metadata of instance strange-" in str(bench.fails()[1])


def test_guest_that_never_reports_fails_with_the_end_of_its_console(bench: Bench) -> None:
    bench.cloud.faults["get_server_console_output"] = lambda identity: {"output": "\x1b[2JKernel panic\r\n"}
    step, error, _ = bench.fails()
    assert step == "console log tells that the guest is ready"
    assert 'its console says "Kernel panic" after 30 s' in str(error)
    assert "  Kernel panic" in error.evidence


def test_rebuild_that_keeps_the_disk_is_noticed(bench: Bench) -> None:
    def rebuild(identity: str, image: str) -> None:
        disk = bench.cloud.store["server"][identity].disk
        Cloud.rebuild_server(bench.cloud, identity, image)
        bench.cloud.store["server"][identity].disk = disk

    bench.cloud.faults["rebuild_server"] = rebuild
    assert "after the rebuild the disk still holds" in str(bench.fails()[1])


def test_rebuild_that_does_not_happen_is_noticed(bench: Bench) -> None:
    bench.cloud.faults["rebuild_server"] = lambda identity, image: None
    step, error, _ = bench.fails()
    assert step == "rebuilt server has its address and a new disk"
    assert "did not leave the status ACTIVE" in str(error)


def test_console_of_the_former_boot_is_not_taken_for_the_rebuilt_guest(bench: Bench) -> None:
    output = Cloud.get_server_console_output
    looks = itertools.count()

    def late(identity: str) -> dict[str, str]:
        boots = bench.cloud.boots[identity]
        old = boots > 1 and next(looks) < 5
        bench.cloud.boots[identity] = boots - old
        try:
            return output(bench.cloud, identity)
        finally:
            bench.cloud.boots[identity] = boots

    bench.cloud.faults["get_server_console_output"] = late
    bench.test().run()


def test_rebuild_that_changes_the_address_is_noticed(bench: Bench) -> None:
    def rebuild(identity: str, image: str) -> None:
        Cloud.rebuild_server(bench.cloud, identity, image)
        bench.cloud.store["server"][identity].addresses["n"][0]["addr"] = "192.168.213.99"

    bench.cloud.faults["rebuild_server"] = rebuild
    assert "had the address 192.168.213.10, now it has 192.168.213.99" in str(bench.fails()[1])


def test_remains_of_an_interrupted_run_are_removed_and_nothing_of_others(bench: Bench) -> None:
    earlier = bench.test(hosts=("compute1", "compute2"))
    for make in (
        earlier.make_image,
        earlier.make_flavor,
        earlier.make_external,
        earlier.make_network,
        earlier.make_group,
        earlier.make_key,
        earlier.boot_guests,
        earlier.reach_by_ping,
    ):
        make()
    bench.shell.key.unlink()
    theirs: dict[str, Any] = {
        "name": PREFIX,
        "description": "mine",
        "metadata": {},
        "properties": {},
        "status": "ACTIVE",
    }
    for kind in ("image", "server", "group", "router", "network", "ip", "flavor"):
        bench.cloud._make(kind, **theirs, is_public=False, floating_ip_address="203.0.113.9", interfaces=[])
    bench.cloud.store["server"]["server-theirs"] = Thing(id="server-theirs", **(theirs | {"name": f"{PREFIX}-9"}))
    later = bench.test()
    assert later.remove_all(later.mark) == ""
    done = later.remove_all(later.any_run)
    assert done == "2 servers, floating address, router, network, security group, key pair, flavor, image"
    left = [thing.description for kind in KINDS for thing in bench.cloud.store[kind].values()]
    assert not any(text.startswith(MARK) for text in left)
    assert left.count("mine") == 8


def test_two_tests_at_the_same_time_leave_each_other_alone(bench: Bench) -> None:
    other = bench.test(prefix=f"{PREFIX}-2", hosts=("compute1", "compute2"))
    for make in (other.make_external, other.make_network, other.make_image, other.make_flavor, other.make_group):
        make()
    other.make_key()
    other.boot_guests()
    other.reach_by_ping()
    bench.shell.key.unlink()
    before = bench.cloud._left()
    test = bench.test()
    assert test.remove_all(test.any_run) == ""
    assert bench.cloud._left() == before


def test_run_that_outlives_its_caller_removes_nothing_of_a_later_one(bench: Bench) -> None:
    orphan, later = bench.test(), bench.test()

    def next_run_begins(**fields: Any) -> None:
        del bench.cloud.faults["create_ip"]
        bench.shell.key.unlink()
        later.remove_all(later.any_run)
        for make in (later.make_image, later.make_flavor, later.make_external, later.make_network, later.make_group):
            make()
        later.make_key()
        later.boot_guests()
        raise OSError("the port is gone")

    bench.cloud.faults["create_ip"] = next_run_begins
    with pytest.raises(boot_test.BootTestError, match="the port is gone"):
        orphan.run()
    for kind in ("image", "flavor", "network", "router", "group", "keypair", "server"):
        assert PREFIX in bench.cloud._left(kind)[-1]


def test_removal_goes_on_after_an_error_and_tells_it(bench: Bench) -> None:
    def refuse(identity: str) -> None:
        raise OSError("group in use")

    bench.cloud.faults["delete_security_group"] = refuse
    step, error, _ = bench.fails()
    assert step == "everything made is removed"
    assert "security group stackwright-verify: group in use; the next run tries again" in str(error)
    assert bench.cloud._left("image", "flavor", "server", "router", "keypair", "ip") == []


def test_error_of_an_api_is_a_failed_step_with_evidence(bench: Bench) -> None:
    def refuse(**fields: Any) -> None:
        raise OSError("HttpException: 503\nmore")

    bench.cloud.faults["create_router"] = refuse
    step, error, _ = bench.fails()
    assert step == "network, subnet and router are made"
    assert str(error) == "the API refused: HttpException: 503"
    assert "down: nova-compute on compute9" in error.evidence
    assert bench.cloud._left() == ["public"]


def test_signal_ends_the_test_and_everything_is_removed(bench: Bench) -> None:
    before = signal.getsignal(signal.SIGTERM)
    bench.cloud.faults["create_ip"] = lambda **fields: os.kill(os.getpid(), signal.SIGTERM)
    test = bench.test()
    with pytest.raises(boot_test.InterruptedRunError, match="SIGTERM"):
        test.run()
    assert bench.cloud._left() == ["public"]
    assert signal.getsignal(signal.SIGTERM) is before


def test_failed_test_can_be_kept_for_a_look(bench: Bench) -> None:
    bench.pings = Answer(1, "")
    bench.fails(keep_failed=True)
    assert bench.cloud._left("server", "router") == [PREFIX, PREFIX]
    bench.pings = Answer(0, "")
    bench.shell.key.unlink()
    bench.test(keep_failed=True).run()
    assert bench.cloud._left() == ["public"]


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
