"""Open vSwitch brought to a described state: settings of the database, bridges and their interfaces."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field

CONTROL = "/usr/bin/ovs-vsctl"


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
    """What the switch is to be. A value of '' in ``external_ids`` removes the key."""

    external_ids: dict[str, str] = field(default_factory=dict)
    other_config: dict[str, str] = field(default_factory=dict)
    manager: str = ""
    datapath: str = "system"
    bridges: list[Bridge] = field(default_factory=list)


def _run(arguments: list[str]) -> str:
    done = subprocess.run([CONTROL, "--timeout=20", *arguments], capture_output=True, text=True, check=False)
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


def forbid_own_interface(bridge: Bridge, connection: str) -> None:
    """Refuse to take an interface whose address the host is managed by, or that carries its default route.

    :param connection: address under which the control node reaches this host.
    :raises SwitchError: the interface is absent or in use.
    """
    if not bridge.interface:
        return
    if not os.path.exists(f"/sys/class/net/{bridge.interface}"):
        present = ", ".join(sorted(os.listdir("/sys/class/net")))
        raise SwitchError(f"interface {bridge.interface} does not exist on this host; it has {present}")
    text = subprocess.run(["ip", "-j", "address", "show", "dev", bridge.interface], capture_output=True, text=True, check=False).stdout
    addresses = [str(a.get("local")) for link in json.loads(text or "[]") for a in link.get("addr_info", [])]
    if connection and connection in addresses:
        raise SwitchError(f"interface {bridge.interface} carries {connection}, by which this host is managed; name another one")
    routes = json.loads(
        subprocess.run(["ip", "-j", "route", "show", "default"], capture_output=True, text=True, check=False).stdout or "[]"
    )
    if any(route.get("dev") == bridge.interface for route in routes):
        raise SwitchError(f"interface {bridge.interface} carries this host's default route; name another one")


def converge(wanted: Wanted, connection: str, check_mode: bool) -> tuple[list[str], bool]:
    """Bring the switch to what is wanted.

    :returns: what was (or would be) changed, a line each; whether the daemon has to restart for it.
    :raises SwitchError: an interface must not be used, or the switch refuses a command.
    """
    for bridge in wanted.bridges:
        forbid_own_interface(bridge, connection)
    root = table("Open_vSwitch", "external_ids,other_config")[0]
    changes: list[str] = []
    commands: list[list[str]] = []
    restart = False
    for column, values in (("external_ids", wanted.external_ids), ("other_config", wanted.other_config)):
        present = _map(root[column])
        for key, value in values.items():
            if value == present.get(key, ""):
                continue
            changes.append(f"{column}:{key} {present.get(key, '(unset)')} -> {value or '(unset)'}")
            if value:
                commands.append(["set", "Open_vSwitch", ".", f"{column}:{key}={json.dumps(value)}"])
            else:
                commands.append(["remove", "Open_vSwitch", ".", column, key])
            restart = restart or column == "other_config"
    managers = [str(row["target"]) for row in table("Manager", "target")]
    if wanted.manager and wanted.manager not in managers:
        changes.append(f"manager {wanted.manager}")
        commands.append(["set-manager", wanted.manager])
    bridges = {str(row["name"]): str(row["datapath_type"]) or "system" for row in table("Bridge", "name,datapath_type")}
    for bridge in wanted.bridges:
        if bridge.name not in bridges:
            changes.append(f"bridge {bridge.name} ({wanted.datapath})")
            commands.append(["--may-exist", "add-br", bridge.name, "--", "set", "Bridge", bridge.name, f"datapath_type={wanted.datapath}"])
        elif bridges[bridge.name] != wanted.datapath:
            changes.append(f"bridge {bridge.name} datapath {bridges[bridge.name]} -> {wanted.datapath}")
            commands.append(["set", "Bridge", bridge.name, f"datapath_type={wanted.datapath}"])
        ports = _run(["list-ports", bridge.name]).split() if bridge.name in bridges else []
        if bridge.interface and bridge.interface not in ports:
            changes.append(f"bridge {bridge.name} port {bridge.interface}")
            commands.append(["--may-exist", "add-port", bridge.name, bridge.interface])
    if not check_mode:
        for command in commands:
            _run(command)
    return changes, restart


def _succeeds(*command: str) -> bool:
    """Whether a program ends well; one that is not installed does not."""
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
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
