"""Who on the network answers for an address, asked by ARP (RFC 826), and who speaks VRRP there (RFC 5798)."""

from __future__ import annotations

import contextlib
import fcntl
import ipaddress
import socket
import struct
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

_ARP, _IP, _VRRP = 0x0806, 0x0800, 112
_REQUEST, _REPLY = 1, 2
_EVERYBODY = b"\xff" * 6
_ADDRESS_OF_LINK = 0x8927  # SIOCGIFHWADDR


@dataclass
class Heard:
    """Link addresses by the addresses that they answer for, and virtual router identifiers with their senders."""

    answers: dict[str, set[str]] = field(default_factory=dict)
    routers: dict[int, set[str]] = field(default_factory=dict)


def request(link: bytes, own: str, target: str) -> bytes:
    """The frame that asks everybody who has an address."""
    body = struct.pack("!HHBBH", 1, _IP, 6, 4, _REQUEST) + link + socket.inet_aton(own)
    return _EVERYBODY + link + struct.pack("!H", _ARP) + body + bytes(6) + socket.inet_aton(target)


def hear(frame: bytes, heard: Heard) -> None:
    """Take from a frame who answers for an address, or which virtual router is alive."""
    if len(frame) < 34:
        return
    kind = int.from_bytes(frame[12:14], "big")
    if kind == _ARP and len(frame) >= 42 and int.from_bytes(frame[20:22], "big") == _REPLY:
        heard.answers.setdefault(socket.inet_ntoa(frame[28:32]), set()).add(frame[22:28].hex(":"))
    elif kind == _IP and frame[23] == _VRRP:
        body = 14 + (frame[14] & 15) * 4
        if len(frame) > body + 1:
            heard.routers.setdefault(frame[body + 1], set()).add(socket.inet_ntoa(frame[26:30]))


def ask(interface: str, own: str, targets: Iterable[str], seconds: float = 2.0) -> Heard:
    """Ask for addresses on an interface, and listen for some seconds.

    :raises OSError: there is no such interface, or this is not root.
    """
    heard, wanted = Heard(), [one for one in targets if ipaddress.ip_address(one).version == 4]
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003)) as link:
        link.bind((interface, 0))
        told = fcntl.ioctl(link.fileno(), _ADDRESS_OF_LINK, struct.pack("256s", interface.encode()))
        end, again = time.monotonic() + seconds, 0.0
        while (left := end - time.monotonic()) > 0:
            if time.monotonic() > again:
                for one in wanted:
                    link.send(request(told[18:24], own, one))
                again = time.monotonic() + seconds / 2.5
            link.settimeout(min(left, 0.2))
            with contextlib.suppress(TimeoutError):
                hear(link.recv(2048), heard)
    return heard
