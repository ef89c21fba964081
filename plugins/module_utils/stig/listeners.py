"""Who listens for logins on this host, on which addresses, and how sshd is brought to read its configuration."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.stackwright.cloud.plugins.module_utils.host import sockets, systemd
from ansible_collections.stackwright.cloud.plugins.module_utils.stig import access
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.host import Host, HostError

LISTEN, BOUND = "0A", "07"  # states in /proc/net: of a listening TCP socket, of a UDP socket without a peer
SECONDS = 10


@dataclass(frozen=True)
class Listener:
    """A listening TCP socket: address and port, and the inode that tells it from the one that comes after it."""

    address: str
    port: int
    inode: int

    @property
    def outside(self) -> bool:
        """Whether others than this host can reach it."""
        return not self.address.startswith("127.") and self.address != "::1"


def _address(text: str) -> str:
    """An address of /proc/net/tcp, which holds 32-bit words in the processor's order, as text."""
    raw = b"".join(bytes.fromhex(text[at : at + 8])[::-1] for at in range(0, len(text), 8))
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw)


def listening(host: Host, kind: str = "tcp", state: str = LISTEN) -> list[Listener]:
    """The listening TCP sockets of this host, or others by kind and state."""
    found = []
    for name in (kind, f"{kind}6"):
        with contextlib.suppress(OSError):
            for line in Path(f"{host.root}/proc/net/{name}").read_text("ascii").splitlines()[1:]:
                words = line.split()
                if len(words) > 9 and words[3] == state:
                    address, _, port = words[1].partition(":")
                    found.append(Listener(_address(address), int(port, 16), int(words[9])))
    return sorted(found, key=lambda one: (one.port, one.address))


def served(host: Host) -> dict[str, str]:
    """What others can reach here: ports as in ``80/tcp``, each with the programs that hold it."""
    holders: dict[int, str] = {}
    for path in Path(f"{host.root}/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(OSError, ValueError):
            for inode in sockets_of(host, int(path.parent.name)):
                holders.setdefault(inode, path.read_text("utf-8", "replace").strip())
    found: dict[str, set[str]] = {}
    for kind, state in (("tcp", LISTEN), ("udp", BOUND)):
        for one in listening(host, kind, state):
            if one.outside:
                found.setdefault(f"{one.port}/{kind}", set()).add(holders.get(one.inode, "a program"))
    return {port: " and ".join(sorted(names)) for port, names in found.items()}


def processes(host: Host) -> list[int]:
    """The processes that are sshd waiting for logins, started by systemd or by hand; daemons of the cloud's own units
    are none."""
    found = []
    for path in Path(f"{host.root}/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if re.match(rb"sshd: .*\[listener\]", path.read_bytes()) and not _of_the_cloud(path.parent):
                found.append(int(path.parent.name))
    return sorted(found)


def _of_the_cloud(process: Path) -> bool:
    try:
        cgroups = (process / "cgroup").read_text("utf-8", "replace")
    except OSError:
        return False
    return sockets.unit_of(cgroups).startswith(sockets.OWN_UNITS)


def sockets_of(host: Host, number: int) -> set[int]:
    """The inodes of the sockets that a process holds."""
    found = set()
    with contextlib.suppress(OSError):
        for name in os.listdir(f"{host.root}/proc/{number}/fd"):
            with contextlib.suppress(OSError):
                if match := re.match(r"socket:\[(\d+)\]", os.readlink(f"{host.root}/proc/{number}/fd/{name}")):
                    found.add(int(match[1]))
    return found


def by_socket(host: Host) -> bool:
    """Whether systemd itself listens for sshd."""
    return host.systemd and host.unit("ssh.socket").active


def _socket_ports(host: Host) -> list[int]:
    try:
        told = systemd.show(["ssh.socket"], ["Listen"], host.run)["ssh.socket"].get("Listen", "")
    except systemd.UnitsError:
        return []
    return [int(one) for one in re.findall(r"^(?:\S*:)?(\d+) \(Stream\)", told, re.MULTILINE)]


def _configured_ports(host: Host) -> list[int]:
    """The ports that sshd's configuration names; an address with a port of its own makes that of Port count for
    nothing."""
    code, output = access.sshd_dump(host)
    if code:
        return []
    own = re.findall(r"^listenaddress (?:\[[^\]]*\]|[^\s:\[]+):(\d+)", output, re.MULTILINE)
    return [int(one) for one in own or re.findall(r"^port (\d+)$", output, re.MULTILINE)]


def ports(host: Host) -> list[str]:
    """The ports through which one logs in: those that listen, and those that sshd is configured for where it listens
    itself."""
    if by_socket(host):
        found = _socket_ports(host)
    else:
        held = {inode for number in processes(host) for inode in sockets_of(host, number)}
        found = [one.port for one in listening(host) if one.inode in held and one.outside]
        found += _configured_ports(host)
    return [str(one) for one in sorted(set(found))] or ["22"]


def places(host: Host) -> list[tuple[str, int]]:
    """Addresses and ports where this host can be asked whether sshd answers, from within."""
    wild = {"0.0.0.0": "127.0.0.1", "::": "::1"}
    try:
        values = access.effective(host, "sshd")
    except HostError:
        values = {}
    port = int(values.get("port", "22"))
    address = values.get("listenaddress", "")
    match = re.match(r"\[?([^\]]*)\]?:(\d+)$", address)
    name, number = (match[1], int(match[2])) if match else ("0.0.0.0", port)
    if by_socket(host):
        own = _socket_ports(host)
        number = own[0] if own else number
    inet6 = values.get("addressfamily") == "inet6"
    if inet6 and name == "0.0.0.0":
        name = "::"
    found = [(wild.get(name, name), number)]
    if name == "0.0.0.0" and not inet6:
        found.append(("::1", number))
    elif name == "::":
        found.append(("127.0.0.1", number))
    return found


def again(host: Host) -> list[list[str]]:
    """The commands that have sshd read its configuration, for an undo as well; none where each connection reads it
    anew."""
    if not host.systemd:
        return [["kill", "-HUP", str(one)] for one in processes(host)]
    if by_socket(host):
        # systemd keeps the sockets; a service beside it must be started anew to get them back, and sessions go on.
        return [["systemctl", "restart", "ssh.service"]] if host.unit("ssh.service").active else []
    return [["systemctl", "try-reload-or-restart", "ssh.service"]]


def take_into_use(host: Host, seconds: float | None = None) -> str:
    """Have sshd read its configuration, and wait until it listens anew, which it does only then.

    :param seconds: how long at most; `SECONDS` by default.
    :returns: why it has not, or nothing.
    """
    patience = SECONDS if seconds is None else seconds
    before = {one: sockets_of(host, one) for one in processes(host)}
    for argv in again(host):
        code, output = host.run(argv)
        if code:
            return (
                f"sshd did not take its new configuration, which is undone: {' '.join(argv)} failed "
                f"({code}): {output.strip()[-300:]}"
            )
    if by_socket(host) or not before:
        return ""
    deadline = time.monotonic() + patience
    while True:
        now = {one: sockets_of(host, one) for one in processes(host)}
        if now and all(held and held != before.get(one) for one, held in now.items()):
            return ""
        if time.monotonic() > deadline:
            return (
                f"sshd did not take its new configuration, which is undone: process "
                f"{', '.join(map(str, before))} still listens "
                f"as before {patience:.0f} s after it was told to read it"
            )
        time.sleep(0.1)
