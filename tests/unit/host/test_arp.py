"""Questions and answers of ARP, and signs of life of virtual routers, as they are on the wire."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.host import arp

LINK, OTHER = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")


def answer(address: str) -> bytes:
    body = bytes.fromhex("0001080006040002") + OTHER + socket.inet_aton(address) + LINK + socket.inet_aton("192.0.2.1")
    return LINK + OTHER + bytes.fromhex("0806") + body


def sign_of_life(number: int, sender: str) -> bytes:
    head = (
        bytes([0x45, 0, 0, 28, 0, 0, 0, 0, 255, 112, 0, 0]) + socket.inet_aton(sender) + socket.inet_aton("224.0.0.18")
    )
    return LINK + OTHER + bytes.fromhex("0800") + head + bytes([0x31, number, 100, 1, 0, 100, 0, 0])


def test_who_answers_and_who_is_alive_is_heard_and_nothing_else() -> None:
    heard = arp.Heard()
    asked = arp.request(LINK, "192.0.2.1", "192.0.2.10")
    assert (len(asked), asked[:6], asked[38:42]) == (42, b"\xff" * 6, socket.inet_aton("192.0.2.10"))
    for frame in (asked, b"short", answer("192.0.2.10"), sign_of_life(51, "192.0.2.7"), bytes(60)):
        arp.hear(frame, heard)
    assert heard == arp.Heard({"192.0.2.10": {"02:00:00:00:00:02"}}, {51: {"192.0.2.7"}})


ASKS = """
import json, subprocess, sys
def ip(*words): subprocess.run(["ip", *words], check=True)
ip("link", "add", "here", "type", "veth", "peer", "name", "there")
ip("netns", "add", "stranger-{pid}")
try:
    ip("link", "set", "there", "netns", "stranger-{pid}")
    ip("address", "add", "192.0.2.1/24", "dev", "here")
    ip("link", "set", "here", "up")
    ip("-n", "stranger-{pid}", "address", "add", "192.0.2.10/24", "dev", "there")
    ip("-n", "stranger-{pid}", "link", "set", "there", "up")
    from ansible_collections.stackwright.cloud.plugins.module_utils.host import arp
    heard = arp.ask("here", "192.0.2.1", ["192.0.2.10", "192.0.2.20"], 1.5)
    print(json.dumps({{address: len(links) for address, links in heard.answers.items()}}))
finally:
    ip("netns", "delete", "stranger-{pid}")
"""


@pytest.mark.skipif(shutil.which("unshare") is None, reason="asks in a network of its own")
def test_a_real_neighbour_answers_for_its_address_alone(tmp_path) -> None:
    script = ASKS.format(pid=f"{tmp_path.name}"[-20:])
    done = subprocess.run(
        ["unshare", "--net", sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"192.0.2.10": 1}
