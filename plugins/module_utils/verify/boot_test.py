"""Boot test: proves a cloud by using it as a customer would, and leaves nothing behind.

What is made is one document, which the cloud engine applies step by step and removes as a whole. Everything in it
carries the name and the mark of its run, so that what an interrupted run left is found by the next, while a run that
outlives its caller removes nothing of a later one. Nothing else is ever deleted.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.api import Cloud
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.engine.converge import Options, converge
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.errors import ApiError
from ansible_collections.stackwright.cloud.plugins.module_utils.verify import vnc
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.boot_content import (
    Document,
    Run,
    Settings,
    document,
    external_document,
    remains,
    traces,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.boot_guest import BootTestError, Guest
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.cloud import API_ERRORS, Steps, first_line
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.gateway import (
    GatewayError,
    Route,
    Runner,
    interface_with,
    route_through,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.gateway import run as run_here
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.guest_shell import (
    Answer,
    Boot,
    Shell,
    console_report,
    large_ping,
    parse_boot,
    ping,
    ping_v6,
    restarts,
    told_size,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.volume_steps import (
    VolumeSteps,
    volumes_document,
)

MIB = 1 << 20
BULK = 4 * MIB
# Seconds between two questions to the hypervisors, how often one must be sure, and how often a guest may begin to boot.
ASK_AGAIN = 3.0
# Seconds between two looks at what is waited for.
LOOK_AGAIN = 0.5
SURE = 2
BOOTS = 3
SOUND = ("running", "pending", "")
# What is written to a guest's disk, and where: its last sectors, behind the file system.
MARK_OF_DISK = "stackwright-was-here"
END_OF_DISK = "$(( $(cat /sys/block/vda/size) - 8 ))"


class InterruptedRunError(BaseException):
    """The run was told to stop by a signal. No error of an API: no handler for those may swallow it."""


@dataclass
class Made:
    """Identities of what this run made or found."""

    image: str = ""
    external: str = ""
    # Whether the external network is of this run.
    external_made: bool = False
    mtu: int = 0
    external_mtu: int = 0
    # The external network's IPv4 subnet, and the range and gateway of its IPv6 one, where it has one.
    external_subnet: str = ""
    external_cidr_v6: str = ""
    external_gateway_v6: str = ""
    # Address of the router in the network in which guests configure themselves, and in that of DHCPv6.
    gateway_v6: str = ""
    stateful_gateway_v6: str = ""
    key: str = ""
    larger: str = ""
    router: str = ""
    port: str = ""
    floating_address: str = ""
    guests: list[Guest] = field(default_factory=list)


@dataclass
class Signals:
    """Turns SIGINT, SIGTERM and SIGHUP into :class:`InterruptedRunError`, so that what was made is removed."""

    held: bool = False
    pending: str = ""

    @contextlib.contextmanager
    def as_errors(self) -> Iterator[None]:
        """Raise the error wherever the run is when a signal comes; further signals are ignored."""

        def stop(number: int, frame: object) -> None:
            for name in previous:
                signal.signal(name, signal.SIG_IGN)
            self.pending = f"interrupted by {signal.Signals(number).name}"
            if not self.held:
                self._raise()

        previous = {name: signal.getsignal(name) for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        for name in previous:
            signal.signal(name, stop)
        try:
            yield
        finally:
            for name, handler in previous.items():
                signal.signal(name, handler)

    @contextlib.contextmanager
    def after(self) -> Iterator[None]:
        """Let the block end first: threads that are making something would go on behind the back of the removal."""
        self.held = True
        try:
            yield
        finally:
            self.held = False
        if self.pending:
            self._raise()

    def _raise(self) -> None:
        text, self.pending = self.pending, ""
        raise InterruptedRunError(text)


class BootTest:
    """The steps of the test: ``engine`` makes and removes, the openstacksdk connection ``cloud`` and a :class:`Shell`
    prove."""

    def __init__(
        self,
        cloud: Any,
        engine: Cloud,
        settings: Settings,
        shell: Shell,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        pinger: Callable[[str], Answer] = ping,
        large_pinger: Callable[[str, int], Answer] = large_ping,
        pinger_v6: Callable[[str, int], Answer] = ping_v6,
        here: Runner = run_here,
        screen: Callable[[str, str | None], str] = vnc.through_proxy,
    ) -> None:
        self.cloud, self.engine, self.settings, self.shell = cloud, engine, settings, shell
        self.now, self.sleep, self.pinger, self.large_pinger = now, sleep, pinger, large_pinger
        self.pinger_v6, self.here, self.screen = pinger_v6, here, screen
        self.route: Route | None = None
        self.steps = Steps(now)
        self.this_run = Run(settings.prefix)
        self.signals = Signals()
        self.made = Made()
        self.volumes = VolumeSteps(self)
        self.asked = now()
        names = settings.hosts or ("",)
        self.made.guests = [
            Guest(f"{self.this_run.name}-{number}" if len(names) > 1 else self.this_run.name, host)
            for number, host in enumerate(names, 1)
        ]

    # ------------------------------------------------------------------ helpers

    def wait(self, doing: str, probe: Callable[[], tuple[Any, str]], timeout: float | None = None) -> Any:
        """Repeat ``probe`` until it returns something true; raise with its last cause when time is up.

        ``probe`` returns the value looked for (or something false) and the reason why it is not there yet.
        """
        limit = self.settings.timeout if timeout is None else timeout
        start = self.now()
        while True:
            value, cause = probe()
            if value:
                return value
            if self.now() - start >= limit:
                raise BootTestError(f"{doing}: {cause} after {limit:.0f} s")
            if self.now() - self.asked >= ASK_AGAIN:
                self.ask_hypervisors()
                self.asked = self.now()
            self.sleep(LOOK_AGAIN)

    def ask_hypervisors(self) -> None:
        """Raise when a guest that is to run does not, whatever Nova's own listing says.

        Diagnostics are the one call of the API that Nova passes on to the hypervisor. Asked twice, since a state may be
        passing.
        """
        for guest in self.made.guests:
            state = self.domain_state(guest) if guest.expected else ""
            guest.unsound = 0 if state in SOUND else guest.unsound + 1
            if guest.unsound >= SURE:
                raise BootTestError(
                    f"{guest.name} does not run: its hypervisor says {state}, although Nova says ACTIVE"
                )

    def stopped(self) -> str:
        """What goes before the cause of a failure: guests that no longer run, where it does not say so itself."""
        told = []
        for guest in self.made.guests:
            with contextlib.suppress(*API_ERRORS):
                state = self.domain_state(guest) if guest.expected and guest.unsound < SURE else ""
                if state not in SOUND:
                    told.append(f"{guest.name} does not run: its hypervisor says {state}, although Nova says ACTIVE; ")
        return "".join(told)

    def domain_state(self, guest: Guest) -> str:
        """State of the guest's domain as its hypervisor tells it now; empty when Nova has no answer.

        Nova refuses diagnostics of a domain that does not run, and names the state that it remembers, which may still
        be "running".
        """
        answer = self.cloud.compute.get(f"/servers/{guest.id}/diagnostics", microversion="2.48")
        if answer.status_code == 200:
            return str(answer.json().get("state") or "")
        if answer.status_code != 409 or "get_diagnostics" not in answer.text:
            return ""
        named = re.search(r"power state (\w+)", answer.text)
        return named[1] if named and named[1] not in SOUND else "not running"

    def converge(self, wanted: Document, **options: Any) -> dict[str, Any]:
        """Let the engine apply a document; raise with every cause when it cannot."""
        wishes = Options(timeout=self.settings.timeout, **options)
        with self.signals.after():
            result, failure = converge(self.engine.login, wanted, wishes, lambda login: self.engine)
        if failure is not None:
            told = [
                ": ".join(filter(None, (problem.about, f"{problem.cause} {problem.mend}".strip())))
                for problem in failure.problems
            ]
            raise BootTestError("; ".join(told))
        return result

    def document(self) -> Document:
        """Everything that this run makes, as far as it is known by now."""
        made = self.made
        guests = [(guest.name, guest.host) for guest in made.guests]
        whole = document(
            self.this_run,
            self.settings,
            guests,
            external=made.external,
            external_subnet=made.external_subnet,
            key=made.key,
            port=made.port,
        )
        if made.external_made:
            for kind, entries in external_document(self.this_run, self.settings).items():
                whole[kind] += entries
        if self.volumes.begun:
            whole |= volumes_document(self.this_run)
        return whole

    def make(self, *kinds: str, wait: bool = True) -> list[dict[str, Any]]:
        """Make the document's resources of these types; returns them as they are then."""
        whole = self.document()
        own = (self.this_run.external, self.this_run.external_v6)
        part = {kind: [one for one in whole[kind] if one["name"] not in own] for kind in kinds}
        resources: list[dict[str, Any]] = self.converge(part, wait=wait, describe=True)["described"]
        return resources

    @property
    def first(self) -> Guest:
        """The guest with the floating address."""
        return self.made.guests[0]

    # ------------------------------------------------------------------ steps

    def run(self) -> None:
        """Do all steps; whatever happens, remove what was made unless ``keep_failed`` says otherwise."""
        several = len(self.made.guests) > 1
        plan: list[tuple[str, Callable[[], str | None]]] = [
            ("remains of earlier runs are removed", self.remove_remains),
            ("image is stored", self.make_image),
            ("flavor is made", self.make_flavor),
            ("external network is there", self.make_external),
            ("network, subnet and router are made", self.make_network),
            ("security group lets ICMP and SSH in", self.make_group),
            ("key pair is made", self.make_key),
            ("servers boot" if several else "server boots", self.boot_guests),
            ("console log tells that the guest is ready", self.read_consoles),
            ("screen is shown through the console's proxy", self.see_screen),
            ("floating address answers to ping", self.reach_by_ping),
            ("SSH logs in through the floating address, data pass both ways", self.reach_by_ssh),
            ("large packets pass, or are answered", self.send_large_packets),
            ("metadata, name server, MTU and user data are right in the guest", self.look_inside),
        ]
        if self.settings.tenant_cidr_v6:
            plan.append(("guests have IPv6 addresses and reach their router by them", self.reach_by_ipv6))
            if self.settings.routed_v6:
                plan.append(("guests are reached from outside by IPv6, through their router", self.reach_from_outside))
        if several:
            plan.append(("guests on different hosts reach each other", self.reach_each_other))
        plan.append(("rebuilt server has its address and a new disk", self.rebuild))
        if several and self.settings.migrate:
            plan.append(("server is migrated to another host with its disk", self.migrate))
        if self.settings.resize:
            plan.append(("resized server keeps its address and runs on", self.resize))
        if self.settings.volumes:
            plan += self.volumes.plan()
        failed = kept = False
        try:
            with self.signals.as_errors():
                for name, action in plan:
                    self.step(name, action)
        except BaseException as error:
            failed, kept = True, self.settings.keep_failed and isinstance(error, BootTestError)
            raise
        finally:
            if self.route:
                self.route.unset(self.here)
            if not kept:
                try:
                    self.steps.run("everything made is removed", self.remove_own)
                except BootTestError:
                    if not failed:
                        raise

    def step(self, name: str, action: Callable[[], str | None]) -> None:
        """Do one step; turn any error of an API into a :class:`BootTestError` with evidence."""
        try:
            self.steps.run(name, action)
        except BootTestError as error:
            evidence = error.evidence + self.evidence()
            raise BootTestError(f"{self.stopped()}{error}", evidence) from None
        except API_ERRORS as error:
            raise BootTestError(f"the API refused: {first_line(error)}", self.evidence()) from None

    def make_image(self) -> str:
        """Upload the guest image and wait until it is active."""
        (image,) = self.make("images")
        self.made.image = image["id"]
        return f"{os.path.getsize(self.settings.image) / 1e6:.0f} MB"

    def make_flavor(self) -> None:
        """Make a private flavor that suffices for the guest, and one for its resize."""
        self.made.larger = str(self.make("flavors")[-1]["id"])

    def make_external(self) -> str:
        """Take the named or first external network with a subnet, or make one from the settings."""
        wanted = self.settings
        networks = [network for network in self.cloud.network.networks(is_router_external=True) if network.subnet_ids]
        if wanted.external_name:
            networks = [network for network in networks if network.name == wanted.external_name]
        if networks:
            self.made.external = networks[0].id
            return f"{networks[0].name}, found"
        if not wanted.external_cidr:
            called = f" called {wanted.external_name}" if wanted.external_name else ""
            raise BootTestError(
                f"the cloud has no external network{called} with a subnet, and nothing says how to make one: make it, "
                "or set verify_external_cidr, verify_external_gateway and the pool of floating addresses"
            )
        self.made.external_made = True
        result = self.converge(external_document(self.this_run, wanted))
        self.made.external = result["ids"]["networks"][self.this_run.external]
        return f"made on {wanted.external_physical_network}"

    def make_network(self) -> str:
        """Make the tenant network with a subnet, and a router to the external network."""
        external = self.cloud.network.get_network(self.made.external)
        self.made.external_mtu = int(external.mtu or 0)
        for subnet in self.cloud.network.subnets(network_id=self.made.external):
            if subnet.ip_version == 4:
                self.made.external_subnet = self.made.external_subnet or subnet.id
            elif subnet.gateway_ip and not self.made.external_cidr_v6:
                self.made.external_cidr_v6, self.made.external_gateway_v6 = subnet.cidr, subnet.gateway_ip
        made = self.make("networks", "subnets", "routers")
        (network,) = [one for one in made if one["name"] == self.this_run.name and "mtu" in one]
        self.made.mtu, self.made.router = int(network["mtu"]), made[-1]["id"]
        gateways = {one["cidr"]: str(one["gateway_ip"]) for one in made if "cidr" in one}
        self.made.gateway_v6 = gateways.get(self.settings.tenant_cidr_v6, "")
        self.made.stateful_gateway_v6 = gateways.get(self.settings.stateful_cidr_v6, "")
        ranges = ", ".join(gateways)
        return f"{ranges}, MTU {self.made.mtu}, outside {self.made.external_mtu}"

    def make_group(self) -> None:
        """Make a security group that lets ICMP and SSH in."""
        self.make("security_groups")

    def make_key(self) -> None:
        """Generate a key pair here and register its public half."""
        try:
            self.made.key = self.shell.make_key(self.this_run.name)
        except OSError as error:
            raise BootTestError(str(error)) from None
        self.make("keypairs")

    def boot_guests(self) -> str:
        """Create all servers, then wait until each is active and has an address."""
        for guest, server in zip(self.made.guests, self.make("servers", wait=False), strict=True):
            guest.id = server["id"]
        return ", ".join(self.wait_active(guest) for guest in self.made.guests)

    def wait_active(self, guest: Guest) -> str:
        """Wait until the server is active with an address, on the host asked for; return "address on host"."""

        def active() -> tuple[Any, str]:
            server = self.cloud.compute.get_server(guest.id)
            if server.status == "ERROR":
                fault = (server.fault or {}).get("message", "nova gives no reason")
                raise BootTestError(f"server {guest.name} is in status ERROR: {fault}")
            addresses = fixed_addresses(server.addresses, 4)
            state = f"server {guest.name} is {server.status} (task {server.task_state})"
            return server.status == "ACTIVE" and addresses and (server, addresses), state

        server, addresses = self.wait("the server must become active", active)
        if guest.address and guest.address not in addresses:
            raise BootTestError(
                f"server {guest.name} had the address {guest.address}, now it has {', '.join(addresses)}"
            )
        guest.address = addresses[0]
        guest.address_v6 = address_in(self.settings.tenant_cidr_v6, server.addresses)
        guest.stateful_v6 = address_in(self.settings.stateful_cidr_v6, server.addresses)
        host = server.compute_host or server.hypervisor_hostname or ""
        if guest.host and host and short(host) != short(guest.host):
            raise BootTestError(f"server {guest.name} was to run on {guest.host}, but runs on {host}")
        guest.expected = True
        return f"{guest.address} on {host or 'an unnamed host'}"

    def console(self, guest: Guest) -> str:
        """The guest's console log."""
        answer = self.cloud.compute.get_server_console_output(guest.id)
        return str(answer.get("output") or "")

    def read_consoles(self) -> str:
        """Wait until every guest says on its console that it is ready; remember its host key."""
        return ", ".join(f"{self.wait_ready(guest):.0f} s after power on" for guest in self.made.guests)

    def see_screen(self) -> str:
        """Open the screen of the first guest as a browser does."""
        console = self.cloud.compute.create_console(self.first.id, console_type="novnc")
        trusted = self.cloud.session.verify
        try:
            return self.screen(str(console["url"]), trusted if isinstance(trusted, str) else None)
        except (OSError, vnc.VncError) as error:
            raise BootTestError(
                f"the console of {self.first.name} cannot be opened: {error}; see nova-novncproxy, and the guest's log "
                "in /var/log/libvirt/qemu on its host"
            ) from error

    def wait_ready(self, guest: Guest, old_key: str = "") -> float:
        """Wait for the guest's report with another host key than ``old_key``; return the seconds its boot took."""

        def ready() -> tuple[Any, str]:
            console = self.console(guest)
            boot = parse_boot(console)
            if (boots := restarts(console)) >= BOOTS and boot is None:
                raise BootTestError(
                    f"{guest.name} restarts over and over: its console shows {boots} boots, none to its end"
                )
            said = console_report(console, 1)
            last = f'its console says "{said[0]}"' if said else "its console is empty"
            return boot is not None and boot.host_key != old_key and boot, f"{guest.name} is not ready, {last}"

        boot: Boot = self.wait("the guest must report on its console", ready)
        guest.boot = boot
        self.shell.trust(guest.address, boot.host_key)
        if boot.uuid != guest.id:
            raise BootTestError(
                f"guest {guest.name} got metadata of instance {boot.uuid or '(none)'} instead of {guest.id}: "
                "see the metadata agent on its host and nova-api-metadata"
            )
        return boot.seconds

    def reach_by_ping(self) -> str:
        """Give the first guest a floating address and ping it from this machine."""
        ports = self.cloud.network.ports(device_id=self.first.id)
        port = next(
            (port.id for port in ports if any(ip["ip_address"] == self.first.address for ip in port.fixed_ips)), ""
        )
        if not port:
            raise BootTestError(f"server {self.first.name} has no port with the address {self.first.address}")
        self.made.port = port
        (floating,) = self.make("floating_ips")
        address = self.made.floating_address = str(floating["address"])
        self.shell.trust(address, self.first.boot.host_key if self.first.boot else "")

        def answers() -> tuple[Any, str]:
            answer = self.pinger(address)
            if answer.status == 127:
                raise BootTestError(f"{answer.errors} (package iputils-ping)")
            return answer.status == 0, f"no answer to ping from {address}"

        self.wait(f"the floating address {address} must answer", answers)
        return address

    def ssh(self, guest: Guest, remote: str, timeout: float = 30, given: str | None = None) -> Answer:
        """Run a command in a guest: the first through the floating address, others through the first."""
        if guest is self.first:
            return self.shell.run(self.made.floating_address, remote, timeout=timeout, given=given)
        return self.shell.run(guest.address, remote, jump=self.made.floating_address, timeout=timeout, given=given)

    def inside(self, guest: Guest, remote: str, doing: str, timeout: float = 30, given: str | None = None) -> str:
        """Output of a command in a guest; raises when it fails."""
        answer = self.ssh(guest, remote, timeout, given)
        if answer.status:
            said = " ".join((answer.errors or answer.output).split())[-300:]
            raise BootTestError(f"{doing} in {guest.name} failed with status {answer.status}: {said}")
        return answer.output.strip()

    def wait_ssh(self, guest: Guest) -> None:
        """Wait until a login to the guest succeeds and the guest tells its name."""

        def logs_in() -> tuple[Any, str]:
            answer = self.ssh(guest, "hostname")
            said = " ".join(answer.errors.split())[-300:]
            return (
                answer.status == 0 and answer.output.strip(),
                f"no login to {guest.name}: {said or 'no reason given'}",
            )

        name = self.wait("SSH must log in", logs_in)
        if name != guest.name:
            raise BootTestError(f"the login reached a machine called {name} instead of {guest.name}")

    def reach_by_ssh(self) -> str:
        """Log in, and move data both ways, which shows faults of MTU and checksums that a short login hides."""
        self.wait_ssh(self.first)
        return self.move_data(self.first)

    def move_data(self, guest: Guest) -> str:
        """Move 4 MiB into the guest and out of it and count them; raises when they are too slow. Returns both rates."""
        start = self.now()
        self.inside(guest, "true", "a command")
        login = self.now() - start
        rates = []
        for way in ("into", "out of"):
            start = self.now()
            self.move(guest, way)
            # what a login takes says nothing of the network
            seconds = max(self.now() - start - login, 0.01)
            rates.append(BULK / MIB / seconds)
            if rates[-1] < self.settings.throughput_minimum:
                raise BootTestError(self.too_slow(way, guest, f"{rates[-1]:.2f} MiB/s"))
        return f"{rates[0]:.1f} MiB/s into {guest.name}, {rates[1]:.1f} MiB/s out of it"

    def move(self, guest: Guest, way: str) -> None:
        """Move 4 MiB ``into`` the guest or ``out of`` it over SSH, and count what arrived."""
        least = self.settings.throughput_minimum
        limit = 30 + BULK / MIB / least if least else 90
        if way == "into":
            answer = self.ssh(guest, "wc -c", limit, "x" * BULK)
            arrived = int(answer.output) if answer.output.strip().isdigit() else 0
        else:
            answer = self.ssh(guest, f"head -c {BULK} /dev/zero | tr '\\0' x", limit)
            arrived = len(answer.output.strip())
        if answer.status == 124:
            raise BootTestError(self.too_slow(way, guest, f"less than 4 MiB in {limit:.0f} s"))
        if arrived != BULK:
            said = " ".join(answer.errors.split())[-300:]
            raise BootTestError(
                f"of 4 MiB sent {way} {guest.name} {arrived} bytes arrived{f': {said}' if said else ''}"
            )

    def too_slow(self, way: str, guest: Guest, measured: str) -> str:
        """Why slow data are a fault, and where to look."""
        return (
            f"data pass {way} {guest.name} at {measured}; no healthy network is below "
            f"{self.settings.throughput_minimum:g} MiB/s "
            "(verify_throughput_minimum). On the userspace datapath see ovn_emit_need_to_frag, "
            "otherwise the MTU of the networks "
            "below and ovs-appctl coverage/show on the compute hosts"
        )

    def send_large_packets(self) -> str:
        """Send packets as large as the external network's, which may not be split: TCP finds its size by itself, others
        do not."""
        address, size = self.made.floating_address, self.made.external_mtu or self.made.mtu
        answer = self.large_pinger(address, size)
        told = told_size(answer)
        if answer.status and 0 < told < size:
            # a proper answer: the sender knows now, and what it says must be true
            size, answer = told, self.large_pinger(address, told)
            if not answer.status:
                return f"{self.made.external_mtu} bytes are too large, the sender is told that {size} pass, and they do"
        if not answer.status:
            return f"{size} bytes"
        lost = (
            f"packets of {size} bytes to {address} that must not be split are lost without an answer; "
            f"the guests' network takes "
            f"{self.made.mtu}: let the network below carry {self.made.external_mtu + 58} bytes (over "
            f"IPv6 {self.made.external_mtu + 78}) "
            "and say so in neutron_underlay_mtu"
        )
        if self.settings.large_packets:
            raise BootTestError(f"{lost}, or accept it with verify_large_packets: false")
        return lost

    def reach_by_ipv6(self) -> str:
        """Let each guest have the addresses that Neutron says, by advertisements and by DHCPv6, and ping router and
        each other."""
        kinds = [("by advertisement", "eth0", self.made.gateway_v6, [guest.address_v6 for guest in self.made.guests])]
        if self.settings.stateful_cidr_v6:
            stateful = [guest.stateful_v6 for guest in self.made.guests]
            kinds.append(("by DHCPv6", "eth1", self.made.stateful_gateway_v6, stateful))
        told = []
        for how, interface, router, addresses in kinds:
            for guest, address in zip(self.made.guests, addresses, strict=True):
                self.wait("IPv6 must be configured in the guest", partial(self.has_ipv6, guest, address, interface), 30)
            targets = [router, *addresses[1:]]
            for target in targets:
                self.wait("IPv6 must pass", partial(self.answers_to_ipv6, addresses[0], target), 30)
            told.append(f"{addresses[0]} {how}, which reaches {', '.join(targets)}")
        return "; ".join(told)

    def answers_to_ipv6(self, address: str, target: str) -> tuple[bool, str]:
        """Whether a full packet from an address of the first guest to ``target`` is answered."""
        answer = self.ssh(self.first, f"ping -6 -c 2 -s {self.made.mtu - 48} -W 3 -I {address} {target}")
        where = f"from {self.first.name} ({address}) to {target}"
        return answer.status == 0, f"a ping of {self.made.mtu} bytes {where} has no answer"

    def has_ipv6(self, guest: Guest, address: str, interface: str) -> tuple[bool, str]:
        """Whether an interface of the guest has its address, and the guest a route to its router, and what is
        missing."""
        if not address:
            cidr = self.settings.tenant_cidr_v6 if interface == "eth0" else self.settings.stateful_cidr_v6
            raise BootTestError(f"Neutron gave {guest.name} no address of {cidr}")
        command = f"ip -6 address show dev {interface}; ip -6 route; tail -n 1 /run/dhcpcd.log"
        found = self.inside(guest, command, "reading its IPv6 configuration")
        if f"{address}/" in found:
            return "default via fe80" in found, f"{guest.name} has no IPv6 route to its router"
        why = "no advertisement of a router reached it"
        if interface == "eth1":
            why = f"DHCPv6 did not hand it out; the client's last words: {found.splitlines()[-1]}"
        return False, f"{guest.name} lacks {address} on {interface}: {why}"

    def reach_from_outside(self) -> str:
        """Ping the first guest's own IPv6 address from this machine with a full packet, and log in by it."""
        address, via = self.first.address_v6, self.router_outside()
        interface = interface_with(self.settings.external_gateway, self.here)
        if not via:
            lacking = "the router has no IPv6 address outside: the external network has no IPv6 subnet"
            if interface:
                return f"not asked: {lacking}"
            raise BootTestError(f"{lacking}; make one with the site's router as its gateway, or unset verify_routed_v6")
        if interface:
            cidr = self.made.external_cidr_v6
            self.route = route_through(
                interface, self.made.external_gateway_v6, cidr, self.settings.tenant_cidr_v6, via
            )
            try:
                self.route.set(self.here)
            except GatewayError as error:
                return f"not asked: this machine cannot be the gateway of {cidr}: {error}"
        size = min(filter(None, (self.made.external_mtu, self.made.mtu)))

        def answers() -> tuple[Any, str]:
            answer = self.pinger_v6(address, size)
            lost = f"no answer to a ping of {size} bytes to {address} through the router's {via}"
            return (
                answer.status == 0,
                f"{lost}; the way there must lead to that address, and the router's way back to the external network",
            )

        self.wait("the guest's IPv6 network must be reached from outside", answers, 30)
        self.shell.trust(address, self.first.boot.host_key if self.first.boot else "")
        answer = self.shell.run(address, "hostname")
        if answer.output.strip() != self.first.name:
            said = " ".join((answer.errors or answer.output).split())[-300:]
            raise BootTestError(
                f"ping to {address} is answered, but no login to {self.first.name} succeeds there: {said}"
            )
        return f"ping of {size} bytes to {address} through {via}, SSH"

    def router_outside(self) -> str:
        """IPv6 address of the router on the external network; empty where that has no IPv6 subnet."""
        gateway = self.cloud.network.get_router(self.made.router).external_gateway_info or {}
        held = [str(ip["ip_address"]) for ip in gateway.get("external_fixed_ips") or []]
        return next((address for address in held if ":" in address), "")

    def look_inside(self) -> str:
        """Compare what metadata service and DHCP gave the guest with what was asked for."""
        text = self.inside(
            self.first,
            "timeout 20 wget -q -O - http://169.254.169.254/openstack/latest/meta_data.json",
            "reading http://169.254.169.254/openstack/latest/meta_data.json",
        )
        try:
            uuid = json.loads(text).get("uuid")
        except ValueError:
            raise BootTestError(f"the metadata service answered {text[:200]!r} instead of JSON") from None
        if uuid != self.first.id:
            raise BootTestError(f"the metadata service gave the uuid {uuid} instead of {self.first.id}")
        found = self.inside(
            self.first,
            "cat /sys/class/net/eth0/mtu; cat /run/stackwright-user-data; cat /etc/resolv.conf",
            "reading its configuration",
        ).splitlines()
        mtu, user_data, resolver = found[0], (found[1:2] or [""])[0], found[2:]
        if self.made.mtu and mtu != str(self.made.mtu):
            raise BootTestError(f"the guest's MTU is {mtu}, the network's {self.made.mtu}: DHCP did not hand it out")
        if user_data != "stackwright-user-data":
            raise BootTestError("the user data did not run in the guest")
        servers = [line.split()[1] for line in resolver if line.startswith("nameserver ") and len(line.split()) > 1]
        missing = [server for server in self.settings.name_servers if server not in servers]
        if missing:
            raise BootTestError(
                f"the guest lacks the name servers {', '.join(missing)}; it has {', '.join(servers) or 'none'}"
            )
        return f"uuid {uuid}, MTU {mtu}"

    def reach_each_other(self) -> str:
        """Ping every other guest from the first with small and with MTU sized packets, then log in and fetch data."""
        if self.made.mtu < 68:
            raise BootTestError(f"the tenant network's MTU is {self.made.mtu}, so that no full packet can be sent")
        rates = []
        for guest in self.made.guests[1:]:
            for size in (56, self.made.mtu - 28):
                doing = f"a ping of {size + 28} bytes to {guest.name} ({guest.address}, host {guest.host})"
                remote = f"ping -c 3 -s {size} -W 3 {guest.address}"

                def answers(remote: str = remote, doing: str = doing) -> tuple[Any, str]:
                    answer = self.ssh(self.first, remote)
                    return answer.status == 0, f"{doing} from {self.first.name} (host {self.first.host}) has no answer"

                self.wait("guests must reach each other through the tunnel", answers, min(60, self.settings.timeout))
            self.wait_ssh(guest)
            rates.append(self.move_data(guest))
        return f"ping of 84 and {self.made.mtu} bytes, SSH, {', '.join(rates)}"

    def mark_disk(self, guest: Guest) -> None:
        """Write a word to the end of the guest's disk."""
        command = f"echo {MARK_OF_DISK} | dd of=/dev/vda bs=512 seek={END_OF_DISK} conv=notrunc,fsync 2>/dev/null"
        self.inside(guest, command, "writing to the disk")
        if self.mark_of(guest) != MARK_OF_DISK:
            raise BootTestError("what was written to the guest's disk cannot be read back")

    def mark_of(self, guest: Guest) -> str:
        """What stands at the end of the guest's disk."""
        command = f"dd if=/dev/vda bs=512 skip={END_OF_DISK} count=1 2>/dev/null | tr -d '\\0'"
        return self.inside(guest, command, "reading the disk")

    def rebuild(self) -> str:
        """Rebuild the first server from the image: the address stays, what was written to the disk is gone."""
        guest = self.first
        self.mark_disk(guest)
        old_key = guest.boot.host_key if guest.boot else ""
        guest.expected = False
        self.cloud.compute.rebuild_server(guest.id, image=self.made.image)
        self.wait(
            "the rebuild must begin",
            lambda: (self.rebuilding(guest, old_key), f"server {guest.name} did not leave the status ACTIVE"),
        )
        self.wait_active(guest)
        self.wait_ready(guest, old_key)
        self.shell.trust(self.made.floating_address, guest.boot.host_key if guest.boot else "")
        self.wait_ssh(guest)
        if MARK_OF_DISK in self.mark_of(guest):
            raise BootTestError("after the rebuild the disk still holds what was written before: it was not made anew")
        return f"kept {guest.address}"

    def resize(self) -> str:
        """Give the first server the larger flavor, confirm it, and let it boot again."""
        where = self.moved("resized", partial(self.cloud.compute.resize_server, self.first.id, self.made.larger))
        return f"kept {self.first.address}, on {where}"

    def migrate(self) -> str:
        """Have the first server brought to another host with its disk, confirm it, and let it boot again."""
        guest, before = self.first, self.first.host
        self.mark_disk(guest)
        where = self.moved("migrated", partial(self.cloud.compute.migrate_server, guest.id))
        if short(where) == short(before):
            raise BootTestError(f"{guest.name} was migrated and is on {where} still")
        if self.mark_of(guest) != MARK_OF_DISK:
            raise BootTestError(
                f"what was written to the disk of {guest.name} on {before} is not on its disk on {where}"
            )
        return f"from {before} to {where}, kept {guest.address} and its disk"

    def moved(self, how: str, begin: Callable[[], None]) -> str:
        """Have the first server resized or migrated, confirm it, and wait until it serves again; returns its host."""
        guest = self.first
        old_key = guest.boot.host_key if guest.boot else ""
        guest.expected = False
        begin()

        def done() -> tuple[Any, str]:
            server = self.cloud.compute.get_server(guest.id)
            if server.status == "ERROR" or (server.status == "ACTIVE" and not server.task_state and server.fault):
                raise BootTestError(
                    f"{guest.name} was not {how}: {(server.fault or {}).get('message', 'nova gives no reason')}"
                )
            return (
                server.status == "VERIFY_RESIZE" and server,
                f"server {guest.name} is {server.status} (task {server.task_state})",
            )

        server = self.wait(f"the server must be {how}", done)
        where = str(server.compute_host or server.hypervisor_hostname or "")
        # it may have been told which host to begin on
        guest.host = where if guest.host else ""
        self.cloud.compute.confirm_server_resize(guest.id)
        self.wait_active(guest)
        self.wait_ready(guest, old_key)
        self.shell.trust(self.made.floating_address, guest.boot.host_key if guest.boot else "")
        self.wait_ssh(guest)
        return where

    def rebuilding(self, guest: Guest, old_key: str) -> bool:
        """Whether the rebuild is seen: the server left ACTIVE, or has already booted with another host key."""
        server = self.cloud.compute.get_server(guest.id)
        if server.status != "ACTIVE":
            return True
        boot = parse_boot(self.console(guest))
        return boot is not None and boot.host_key != old_key

    @property
    def image(self) -> str:
        """Identifier of the guest's image."""
        return self.made.image

    def boot_from_volume(self, name: str) -> tuple[Guest, str]:
        """Make a server that boots from the volume of this name, wherever, and wait until it is logged in to."""
        guest = Guest(name, "")
        self.made.guests.append(guest)
        (wanted,) = [one for one in self.document()["servers"] if one["name"] == name]
        wanted = {**{key: value for key, value in wanted.items() if key != "image"}, "boot_volume": name}
        (server,) = self.converge({"servers": [wanted]}, wait=False, describe=True)["described"]
        guest.id = server["id"]
        where = self.wait_active(guest)
        seconds = self.wait_ready(guest)
        self.wait_ssh(guest)
        return guest, f"{where}, {seconds:.0f} s after power on"

    # ------------------------------------------------------------------ removal

    def remove_remains(self) -> str:
        """Remove what earlier runs with the same prefix left."""
        found: Document = {}
        problems: list[str] = []
        for kind in traces(self.settings.volumes):
            try:
                found |= remains(self.engine, self.settings.prefix, kind)
            except ApiError as error:
                problems.append(f"{kind.replace('_', ' ')}s cannot be listed: {first_line(error)}")
        return self.remove(found, problems)

    def remove_own(self) -> str:
        """Remove what this run made."""
        return self.remove(self.document(), [])

    def remove(self, unwanted: Document, problems: list[str]) -> str:
        """Remove everything that a document names, in the order that dependencies ask for, and tell what it was.

        Goes on after an error and reports all of them; raises :class:`BootTestError` when something is left.
        """
        removed: list[str] = []
        try:
            if unwanted.get("backups"):
                self.volumes.forget_increments()
            plan = self.converge(unwanted, state="absent")["plan"]
            removed = [change["type"].replace("_", " ") for change in plan]
        except BootTestError as error:
            problems.append(str(error))
        if problems:
            what = "; ".join(problems)
            raise BootTestError(
                f"cannot remove everything called {self.settings.prefix}: {what}; the next run tries again"
            )
        counts = {kind: removed.count(kind) for kind in dict.fromkeys(removed)}
        return ", ".join(f"{number} {kind}s" if number > 1 else kind for kind, number in counts.items())

    # ------------------------------------------------------------------ evidence

    def evidence(self) -> list[str]:
        """What helps to understand a failure: servers, ports, floating address, agents that are down, console."""
        lines: list[str] = []
        for gather in (
            self.server_evidence,
            self.action_evidence,
            self.network_evidence,
            self.agent_evidence,
            self.console_evidence,
        ):
            try:
                lines += gather()
            except API_ERRORS as error:
                lines.append(f"({gather.__name__.replace('_', ' ')} not available: {first_line(error)})")
        return lines

    def server_evidence(self) -> list[str]:
        """State, host and fault of each server."""
        lines = []
        for guest in self.made.guests:
            if guest.id:
                server = self.cloud.compute.get_server(guest.id)
                fault = (server.fault or {}).get("message", "")
                lines.append(
                    f"server {guest.name}: {server.status}, task {server.task_state}, host {server.compute_host}"
                    + (f", fault: {fault}" if fault else "")
                )
        return lines

    def action_evidence(self) -> list[str]:
        """What failed on the compute hosts, which the servers' faults often leave out."""
        compute = self.cloud.compute
        lines = []
        for guest in self.made.guests:
            for action in compute.server_actions(guest.id) if guest.id else []:
                events = compute.get_server_action(action.request_id, guest.id).events or []
                for event in [dict(one) for one in events]:
                    if event.get("result") == "Error":
                        trace = str(event.get("traceback") or event.get("details") or "").strip().splitlines()
                        what = f"{guest.name}: {event.get('event')} failed on {event.get('host')}"
                        lines.append(": ".join([what, *(line.strip()[:400] for line in trace[-1:])]))
        return lines

    def network_evidence(self) -> list[str]:
        """State of the ports of servers and router, and of the floating address."""
        lines = []
        for owner in [guest.id for guest in self.made.guests if guest.id] + (
            [self.made.router] if self.made.router else []
        ):
            for port in self.cloud.network.ports(device_id=owner):
                address = ", ".join(entry["ip_address"] for entry in port.fixed_ips or [])
                binding = f"bound as {port.binding_vif_type} on {port.binding_host_id or 'no host'}"
                lines.append(f"port {address} ({port.device_owner}): {port.status}, {binding}")
        for ip in self.cloud.network.ips() if self.made.floating_address else []:
            if ip.floating_ip_address == self.made.floating_address:
                lines.append(f"floating address {ip.floating_ip_address}: {ip.status}, for {ip.fixed_ip_address}")
        return lines

    def agent_evidence(self) -> list[str]:
        """Agents and services that their API calls down."""
        agents = [f"{agent.binary} on {agent.host}" for agent in self.cloud.network.agents() if not agent.is_alive]
        services = [f"{one.binary} on {one.host}" for one in self.cloud.compute.services() if one.state != "up"]
        return [f"down: {name}" for name in agents + services]

    def console_evidence(self) -> list[str]:
        """End of each guest's console log."""
        lines = []
        for guest in self.made.guests:
            if guest.id:
                tail = console_report(self.console(guest))
                lines.append(f"console of {guest.name}:" if tail else f"console of {guest.name} is empty")
                lines += [f"  {line}" for line in tail]
        return lines


def short(host: str) -> str:
    """A host's name without its domain."""
    return host.split(".")[0]


def fixed_addresses(addresses: dict[str, Any] | None, version: int) -> list[str]:
    """Fixed addresses of this IP version of a server's ``addresses``."""
    return [
        entry["addr"]
        for entries in (addresses or {}).values()
        for entry in entries
        if entry.get("OS-EXT-IPS:type") == "fixed" and ipaddress.ip_address(entry["addr"]).version == version
    ]


def address_in(cidr: str, addresses: dict[str, Any] | None) -> str:
    """The fixed IPv6 address of this range among a server's ``addresses``; empty when there is none, or no range."""
    wanted = ipaddress.ip_network(cidr) if cidr else None
    return next((one for one in fixed_addresses(addresses, 6) if wanted and ipaddress.ip_address(one) in wanted), "")


def failure_message(error: BaseException, steps: Steps, where: str) -> str:
    """Text for the operator: the step, the cause, the evidence."""
    failed = [entry["name"] for entry in steps.done if not entry["ok"]]
    lines = [
        f"the boot test against {where} failed at the step '{failed[0] if failed else 'start'}': {first_line(error)}"
    ]
    lines += [f"  {line}" for line in getattr(error, "evidence", [])]
    if len(failed) > 1:
        lines.append(f"  afterwards also failed: {', '.join(failed[1:])}; the next run removes what is left")
    return "\n".join(lines)
