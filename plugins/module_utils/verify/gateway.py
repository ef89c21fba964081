"""The machine that runs the boot test as the gateway of the external network, as a lab's host is.

There nothing routes to the test guests' IPv6 network unless this machine does, so it gets an address and a route for
the time of the test. Anywhere else the site's routers do that, and nothing is changed.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ansible_collections.stackwright.cloud.plugins.module_utils.verify.guest_shell import Answer, run_program

Runner = Callable[[Sequence[str]], Answer]


class GatewayError(Exception):
    """This machine cannot be the gateway; the text says what was refused."""


def run(command: Sequence[str]) -> Answer:
    """Run a program of this machine, for at most ten seconds."""
    return run_program(command, 10)


def interface_with(address: str, runner: Runner = run) -> str:
    """The interface of this machine that holds an address; empty when none does, or nothing tells."""
    answer = runner(["ip", "-json", "address", "show"])
    if not address or answer.status:
        return ""
    for interface in json.loads(answer.output or "[]"):
        if any(entry.get("local") == address for entry in interface.get("addr_info") or []):
            return str(interface["ifname"])
    return ""


@dataclass(frozen=True)
class Route:
    """An address of this machine on an interface, with the length of its prefix, and a network that is reached ``via``
    a neighbour."""

    interface: str
    address: str
    network: str
    via: str

    def commands(self, verb: str) -> list[list[str]]:
        """What ``ip`` is told, with "replace" or "del"."""
        # A duplicate would be of this machine's own making, and the search for one takes a second.
        alone = ["nodad"] if verb == "replace" else []
        address = ["ip", "-6", "address", verb, self.address, "dev", self.interface, *alone]
        route = ["ip", "-6", "route", verb, self.network, "via", self.via, "dev", self.interface]
        return [address, route] if verb == "replace" else [route, address]

    def set(self, runner: Runner = run) -> None:
        """Set both.

        :raises GatewayError: the machine has no IPv6, or its user may not.
        """
        for command in self.commands("replace"):
            answer = runner(command)
            if answer.status:
                said = " ".join((answer.errors or answer.output).split())
                raise GatewayError(f"{' '.join(command)} failed: {said or f'status {answer.status}'}")

    def unset(self, runner: Runner = run) -> None:
        """Take both away, as far as they are there."""
        for command in self.commands("del"):
            runner(command)


def route_through(interface: str, gateway: str, external: str, network: str, via: str) -> Route:
    """The route to ``network`` through a router at ``via``, with the external network's ``gateway`` address as this
    machine's."""
    return Route(interface, f"{gateway}/{ipaddress.ip_network(external).prefixlen}", network, via)
