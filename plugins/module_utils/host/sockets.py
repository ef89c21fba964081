"""Sockets: who listens where on the host this runs on, without any program, and reading from a connection.

Runs on targets too old for the rest, to say so: kept to what Python 3.8 understands.
"""

from __future__ import annotations

import os
import re
import socket
import sys
from pathlib import Path
from typing import Any

LISTEN = "0A"  # state of a listening TCP socket in /proc/net/tcp
ESTABLISHED = "01"
UNCONNECTED = "07"  # state of a UDP socket that takes packets from everybody


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def decode(hexadecimal: str) -> str:
    """An address of /proc/net/tcp: 32-bit words in the machine's order."""
    words = [bytes.fromhex(hexadecimal[i : i + 8]) for i in range(0, len(hexadecimal), 8)]
    raw = b"".join(word[::-1] if sys.byteorder == "little" else word for word in words)
    if len(raw) == 16 and raw.startswith(b"\0" * 10 + b"\xff\xff"):
        raw = raw[12:]
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw)


def holders(inodes: Any, proc: str = "/proc") -> dict[str, str]:
    """Socket inode to the id of a process that holds it; process 1, which hands sockets on, only where no other
    does."""
    found: dict[str, str] = {}
    try:
        paths = sorted(Path(proc).glob("[0-9]*/fd/*"))
    except OSError:
        return found
    for path in paths:
        try:
            target = os.readlink(str(path))
        except OSError:
            continue
        if target.startswith("socket:[") and target[8:-1] in inodes:
            inode, process = target[8:-1], path.parts[-3]
            if found.get(inode, "1") == "1":
                found[inode] = process
    return found


# What the cloud's own units are called: an sshd of one of them logs nobody in.
OWN_UNITS = "stackwright-"


def unit_of(cgroups: str) -> str:
    """The systemd unit in the text of /proc/PID/cgroup, without its suffix; empty when there is none."""
    for line in cgroups.splitlines():
        for part in reversed(line.split(":", 2)[-1].split("/")):
            if part.endswith((".service", ".socket")) and not part.startswith("user@"):
                return part.rsplit(".", 1)[0]
    return ""


def rows(protocol: str, state: str, proc: str = "/proc") -> list[tuple[str, int, str]]:
    """Address, port and inode of every socket of this network name space in a state, IPv4 and IPv6."""
    found = []
    for table in (f"{proc}/net/{protocol}", f"{proc}/net/{protocol}6"):
        for line in _read(table).splitlines()[1:]:
            fields = line.split()
            if len(fields) > 9 and fields[3] == state:
                address, _, number = fields[1].partition(":")
                found.append((decode(address), int(number, 16), fields[9]))
    return found


def listeners(proc: str = "/proc") -> list[dict[str, Any]]:
    """Everything that waits for others: protocol, address, port, process, unit. Naming the process takes root.

    UDP sockets in the range from which the kernel takes ports for clients are left out: a question that waits for its
    answer.
    """
    ephemeral = [int(one) for one in re.findall(r"\d+", _read(f"{proc}/sys/net/ipv4/ip_local_port_range"))] or [
        32768,
        60999,
    ]
    open_sockets = [("tcp", *row) for row in rows("tcp", LISTEN, proc)]
    open_sockets += [
        ("udp", *row) for row in rows("udp", UNCONNECTED, proc) if not ephemeral[0] <= row[1] <= ephemeral[-1]
    ]
    held = holders({row[3] for row in open_sockets}, proc) if open_sockets else {}
    found = []
    for protocol, address, port, inode in sorted(set(open_sockets), key=lambda row: (row[0], row[2], row[1])):
        process = held.get(inode, "")
        found.append(
            {
                "protocol": protocol,
                "address": address,
                "port": port,
                "pid": process,
                "process": _read(f"{proc}/{process}/comm").strip() if process else "",
                "unit": unit_of(_read(f"{proc}/{process}/cgroup")) if process else "",
            }
        )
    return found


def ports_of_ancestors(proc: str = "/proc") -> set[int]:
    """Local ports of the connections that this process's ancestors named sshd hold: the way by which one is logged in
    now."""
    inodes = {inode: port for _address, port, inode in rows("tcp", ESTABLISHED, proc)}
    found: set[int] = set()
    process = str(os.getppid())
    while process not in ("", "0", "1"):
        if _read(f"{proc}/{process}/comm").startswith("sshd"):
            try:
                paths = list(Path(f"{proc}/{process}/fd").glob("*"))
            except OSError:
                paths = []
            for path in paths:
                try:
                    target = os.readlink(str(path))
                except OSError:
                    continue
                if target.startswith("socket:[") and target[8:-1] in inodes:
                    found.add(inodes[target[8:-1]])
        match = re.search(r"^PPid:\s+(\d+)", _read(f"{proc}/{process}/status"), re.MULTILINE)
        process = match[1] if match else ""
    return found


def exactly(connection: socket.socket, size: int, hung_up: Exception) -> bytes:
    """So many bytes of a connection.

    :raises Exception: ``hung_up``, where it ends before; OSError of the connection.
    """
    found = b""
    while len(found) < size:
        part = connection.recv(size - len(found))
        if not part:
            raise hung_up
        found += part
    return found
