"""Open vSwitch brought to a described state: settings of the database, bridges and their interfaces."""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.common import command as programs

CONTROL = "/usr/bin/ovs-vsctl"
# Seconds that a program of the network may take; ovs-vsctl limits itself to fewer.
SECONDS = 30.0
# What bridges and ports that were made here bear in their external identifiers.
MARK = "stackwright"


class SwitchError(Exception):
    """Open vSwitch does not answer or refuses a change."""


@dataclass
class Bridge:
    """A bridge and the interface that is its port; ``address`` (with prefix length) is what the bridge takes over."""

    name: str
    interface: str = ""
    address: str = ""


@dataclass
class Wanted:
    """What the switch is to be. A value of '' in ``external_ids`` removes the key.

    ``forbidden_managers`` are kinds of connections (ptcp, pssl) on which the database must not take clients.
    """

    external_ids: dict[str, str] = field(default_factory=dict)
    other_config: dict[str, str] = field(default_factory=dict)
    manager: str = ""
    forbidden_managers: list[str] = field(default_factory=list)
    datapath: str = "system"
    bridges: list[Bridge] = field(default_factory=list)


def _run(arguments: list[str]) -> str:
    try:
        done = programs.run([CONTROL, "--timeout=20", *arguments], SECONDS)
    except programs.CommandTimeoutError as error:
        raise SwitchError(str(error)) from error
    if done.returncode:
        raise SwitchError(f"ovs-vsctl {' '.join(arguments[:4])}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def _map(value: object) -> dict[str, str]:
    """OVSDB's JSON for a map is ["map", [[key, value], ...]]."""
    if isinstance(value, list) and len(value) == 2 and value[0] == "map":
        return {str(pair[0]): str(pair[1]) for pair in value[1]}
    return {}


def table(name: str, columns: str) -> list[dict[str, object]]:
    """Rows of a table as dictionaries."""
    parsed = json.loads(_run(["--format=json", f"--columns={columns}", "list", name]))
    return [dict(zip(parsed["headings"], row, strict=True)) for row in parsed["data"]]


def _ip(*arguments: str) -> list[dict[str, Any]]:
    """What ``ip`` says in JSON; nothing where it says nothing."""
    try:
        return list(json.loads(programs.run(["ip", "-j", *arguments], SECONDS).stdout or "[]"))
    except (OSError, programs.CommandTimeoutError, ValueError) as error:
        raise SwitchError(f"ip {' '.join(arguments)}: {error}") from error


def forbid_own_interface(bridge: Bridge, needed: Collection[str]) -> None:
    """Refuse to take an interface with an address that the host needs, or that carries its default route.

    :param needed: addresses under which the control node and other hosts reach this one. One that the bridge takes over
        is not lost.
    :raises SwitchError: the interface is absent or in use.
    """
    if not bridge.interface:
        return
    if not os.path.exists(f"/sys/class/net/{bridge.interface}"):
        present = ", ".join(sorted(os.listdir("/sys/class/net")))
        raise SwitchError(f"interface {bridge.interface} does not exist on this host; it has {present}")
    addresses = {
        str(a.get("local"))
        for link in _ip("address", "show", "dev", bridge.interface)
        for a in link.get("addr_info", [])
    }
    lost = sorted(addresses & set(needed) - {bridge.address.split("/")[0]})
    if lost:
        raise SwitchError(
            f"interface {bridge.interface} carries {lost[0]}, by which this host is reached; name another one"
        )
    if any(route.get("dev") == bridge.interface for route in _ip("route", "show", "default")):
        raise SwitchError(f"interface {bridge.interface} carries this host's default route; name another one")


@dataclass
class _Change:
    """Lines for people, and the commands that make them true."""

    lines: list[str] = field(default_factory=list)
    commands: list[list[str]] = field(default_factory=list)

    def add(self, line: str, command: list[str]) -> None:
        self.lines.append(line)
        self.commands.append(command)


def converge(wanted: Wanted, needed: Collection[str], check_mode: bool) -> tuple[list[str], bool]:
    """Bring the switch to what is wanted.

    Bridges and ports that were made here bear a mark; those that nobody wants any more are removed, others are left
    alone.

    :returns: what was (or would be) changed, a line each; whether the daemon has to restart for it.
    :raises SwitchError: an interface must not be used, or the switch refuses a command.
    """
    for bridge in wanted.bridges:
        forbid_own_interface(bridge, needed)
    root = table("Open_vSwitch", "external_ids,other_config")[0]
    change = _Change()
    restart = False
    for column, values in (("external_ids", wanted.external_ids), ("other_config", wanted.other_config)):
        present = _map(root[column])
        for key, value in values.items():
            if value == present.get(key, ""):
                continue
            command = ["set", "Open_vSwitch", ".", f"{column}:{key}={json.dumps(value)}"]
            change.add(
                f"{column}:{key} {present.get(key, '(unset)')} -> {value or '(unset)'}",
                command if value else ["remove", "Open_vSwitch", ".", column, key],
            )
            restart = restart or column == "other_config"
    _managers(wanted, change)
    _bridges(wanted, change)
    if not check_mode:
        for command in change.commands:
            _run(command)
    return change.lines, restart


def _managers(wanted: Wanted, change: _Change) -> None:
    """Where the database takes clients. The command that sets managers replaces all of them, so what stays is said
    again."""
    managers = [str(row["target"]) for row in table("Manager", "target")]
    kept = [one for one in managers if one == wanted.manager or one.split(":", 1)[0] not in wanted.forbidden_managers]
    final = list(dict.fromkeys([*kept, *([wanted.manager] if wanted.manager else [])]))
    lines = [f"manager {one} removed" for one in managers if one not in final] + [
        f"manager {one}" for one in final if one not in managers
    ]
    if lines:
        change.add("; ".join(lines), ["set-manager", *final] if final else ["del-manager"])


def _bridges(wanted: Wanted, change: _Change) -> None:
    """What the bridges and their ports need. What is no longer wanted leaves first: its interface may have a new
    place."""
    bridges = {str(row["name"]): row for row in table("Bridge", "name,datapath_type,external_ids")}
    marked = {str(row["name"]) for row in table("Port", "name,external_ids") if MARK in _map(row["external_ids"])}
    names = {bridge.name for bridge in wanted.bridges}
    ports = {name: _run(["list-ports", name]).split() for name in bridges if name in names}
    for name, row in bridges.items():
        if name not in names and MARK in _map(row["external_ids"]):
            change.add(f"bridge {name} removed", ["--if-exists", "del-br", name])
    for bridge in wanted.bridges:
        for port in ports.get(bridge.name, []):
            if port != bridge.interface and port in marked:
                change.add(f"bridge {bridge.name} port {port} removed", ["--if-exists", "del-port", bridge.name, port])
    for bridge in wanted.bridges:
        datapath = f"datapath_type={wanted.datapath}"
        if bridge.name not in bridges:
            made = [
                "--may-exist",
                "add-br",
                bridge.name,
                "--",
                "set",
                "Bridge",
                bridge.name,
                datapath,
                f"external_ids:{MARK}=true",
            ]
            change.add(f"bridge {bridge.name} ({wanted.datapath})", made)
        else:
            present = str(bridges[bridge.name]["datapath_type"]) or "system"
            if present != wanted.datapath:
                change.add(
                    f"bridge {bridge.name} datapath {present} -> {wanted.datapath}",
                    ["set", "Bridge", bridge.name, datapath],
                )
            if MARK not in _map(bridges[bridge.name]["external_ids"]):
                change.add(
                    f"bridge {bridge.name} marked as ours", ["set", "Bridge", bridge.name, f"external_ids:{MARK}=true"]
                )
        if bridge.interface and bridge.interface not in ports.get(bridge.name, []):
            mark = ["--", "set", "Port", bridge.interface, f"external_ids:{MARK}=true"]
            change.add(
                f"bridge {bridge.name} port {bridge.interface}",
                ["--may-exist", "add-port", bridge.name, bridge.interface, *mark],
            )
        elif bridge.interface and bridge.interface not in marked:
            change.add(
                f"bridge {bridge.name} port {bridge.interface} marked as ours",
                ["set", "Port", bridge.interface, f"external_ids:{MARK}=true"],
            )


def _succeeds(*command: str) -> bool:
    """Whether a program ends well; one that is not installed, or hangs, does not."""
    try:
        return programs.run(command, SECONDS).returncode == 0
    except (OSError, programs.CommandTimeoutError):
        return False


def kernel_has_datapath() -> bool:
    """Whether the kernel offers Open vSwitch and Geneve, found out by making one of each and removing it again."""
    _succeeds("modprobe", "-q", "openvswitch")
    add, remove = ["ovs-dpctl", "add-dp", "swprobe"], ["ovs-dpctl", "del-dp", "swprobe"]
    add_link = ["ip", "link", "add", "swprobe-gnv", "type", "geneve", "external", "dstport", "6082"]
    remove_link = ["ip", "link", "del", "swprobe-gnv"]
    for present, absent in ((add, remove), (add_link, remove_link)):
        # a probe that was interrupted left its own behind, which is no proof of either
        _succeeds(*absent)
        if not _succeeds(*present):
            return False
        _succeeds(*absent)
    return True
