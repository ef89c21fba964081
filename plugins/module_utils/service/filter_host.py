"""The packet filter on its host: tried in the kernel under a timer, and written down only when a fresh login proved it.

The kernel's table is loaded first, with a timer of systemd's that puts back what was there. The file that the next boot
reads is written when the control node has logged in anew and confirms. Whatever goes wrong in between (a lost control
node, a reboot, a full disk) leads back to the table that was proved before.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.host import files as descriptors
from ansible_collections.stackwright.cloud.plugins.module_utils.host import sockets, systemd
from ansible_collections.stackwright.cloud.plugins.module_utils.service import configuration, packet_filter

NFT = "/usr/sbin/nft"
SSHD = "/usr/sbin/sshd"
RULES = "/etc/stackwright/filter.nft"
UNIT = "stackwright-filter"
UNIT_FILE = f"/etc/systemd/system/{UNIT}.service"
# Debian's nftables.service begins with "flush ruleset", whenever it is started or reloaded.
DROPIN = "/etc/systemd/system/nftables.service.d/stackwright-filter.conf"
STATE = "/var/lib/stackwright/filter"
TIMER = "stackwright-filter-undo"
SECONDS = 60

UNIT_TEXT = f"""\
# Written by Stackwright. Change it through the inventory (base_filter); edits made here are overwritten.
[Unit]
Description=Packet filter of Stackwright
DefaultDependencies=no
After=nftables.service ufw.service
Before=network-pre.target shutdown.target
Wants=network-pre.target
Conflicts=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={NFT} -f {RULES}
ExecReload={NFT} -f {RULES}

[Install]
WantedBy=sysinit.target
"""
DROPIN_TEXT = f"""# Written by Stackwright: what flushes all tables must not leave this host open.
[Service]
ExecStartPost=-{NFT} -f {RULES}
ExecReload=-{NFT} -f {RULES}
ExecStopPost=-{NFT} -f {RULES}
"""


class FilterHostError(Exception):
    """The filter cannot be read, tried or kept; the text has what was done and nft's or systemd's own words."""


@dataclass
class State:
    """How the host is against what it is to be: names of what differs, and texts for a diff."""

    files: list[configuration.Change]
    kernel: str = ""
    before: str = ""
    after: str = ""

    @property
    def changes(self) -> list[str]:
        """What would be changed, a line each."""
        return [f"write {change.path}" for change in self.files] + ([self.kernel] if self.kernel else [])


def run(command: Sequence[str], data: str | None = None) -> tuple[int, str, str]:
    """Run a program; return exit status, output and errors."""
    try:
        done = subprocess.run(
            command, input=data, capture_output=True, text=True, errors="replace", check=False, timeout=30
        )
    except FileNotFoundError:
        return 127, "", f"{command[0]} is not installed"
    except subprocess.TimeoutExpired:
        return 124, "", f"{command[0]} gave no answer within 30 s"
    return done.returncode, done.stdout, done.stderr


def _must(command: Sequence[str], doing: str, data: str | None = None) -> str:
    status, output, errors = run(command, data)
    if status:
        raise FilterHostError(f"{doing} failed: {' '.join((errors or output).split()[-60:]) or f'status {status}'}")
    return output


def ssh_ports(config: str, socket: str, held: Sequence[Mapping[str, Any]], own: set[int]) -> set[int]:
    """Every port on which one may log in over SSH.

    :param config: what ``sshd -T`` prints. :param socket: what ``systemctl show`` says of ssh.socket.
    :param held: the host's listeners. :param own: ports of the connection by which we came.
    """
    found = {int(port) for port in re.findall(r"^port (\d+)$", config, re.MULTILINE)}
    found |= {int(port) for port in re.findall(r"^listenaddress \S*:(\d+)$", config, re.MULTILINE)}
    for block in socket.split("\n\n"):
        if "ActiveState=active" in block:
            found |= {int(port) for port in re.findall(r"^Listen=\S*?:?(\d+) \(Stream\)", block, re.MULTILINE)}
    # the daemon that takes servers' disks is for other compute nodes alone, as its specification says
    daemons = [one for one in held if not str(one.get("unit", "")).startswith(sockets.OWN_UNITS)]
    found |= {
        int(one["port"]) for one in daemons if one["protocol"] == "tcp" and str(one["process"]).startswith("sshd")
    }
    return found | own


def find_ssh_ports() -> set[int]:
    """:func:`ssh_ports` of this host; 22 where nothing else is known."""
    config = run([SSHD, "-T"])[1]
    socket = run(["systemctl", "show", "--property=ActiveState,Listen", "ssh.socket", "sshd.socket"])[1]
    return ssh_ports(config, socket, sockets.listeners(), sockets.ports_of_ancestors()) or {22}


def listing() -> str:
    """The table as the kernel has it, without counters; empty where there is none."""
    return run([NFT, "-s", "list", "table", "inet", packet_filter.TABLE])[1]


def _accepted() -> dict[str, str]:
    """The text that was proved last, and how the kernel listed it."""
    try:
        found = json.loads(Path(STATE, "accepted.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def files(text: str) -> list[configuration.File]:
    """What is written for a table; for an empty text what is to be gone."""
    if not text:
        return [configuration.File(path, state="absent") for path in (RULES, UNIT_FILE, DROPIN)]
    return [
        configuration.File(RULES, content=text, mode=0o640),
        configuration.File(UNIT_FILE, content=UNIT_TEXT),
        configuration.File(DROPIN, content=DROPIN_TEXT),
    ]


def compare(text: str) -> State:
    """Hold the host against a table (an empty text: there is to be none)."""
    state = State([change for file in files(text) if (change := configuration.compare(file))])
    now, proved = listing(), _accepted()
    if not text:
        state.kernel = "remove the table from the kernel" if now else ""
    elif proved.get("text") != text:
        state.kernel = "load the table, and prove a fresh login"
    elif now != proved.get("listing"):
        state.kernel = "load the table anew: the kernel has another one"
        state.before, state.after = now, proved.get("listing", "")
    elif run(["systemctl", "is-enabled", UNIT])[0] or run(["systemctl", "is-active", UNIT])[0]:
        state.kernel = f"enable and start {UNIT}"
    return state


def validate(text: str) -> None:
    """Have nftables read the table without loading it.

    :raises FilterHostError: it refuses.
    """
    _must([NFT, "-c", "-f", "-"], "Checking the packet filter's table with nft -c", text)


def attempt(text: str, seconds: int = SECONDS) -> str:
    """Load a table that a timer takes back unless it is confirmed.

    :returns: the kernel's listing of it, which :func:`confirm` wants to see again.
    :raises FilterHostError: nft refuses the table, or no timer guards it; nothing was changed.
    """
    validate(text)
    os.makedirs(STATE, mode=0o700, exist_ok=True)
    before = run([NFT, "list", "table", "inet", packet_filter.TABLE])[1]
    empty = f"table inet {packet_filter.TABLE}\ndelete table inet {packet_filter.TABLE}\n"
    undo = f"{STATE}/undo.nft"
    descriptors.replace(undo, empty + before)
    _must([NFT, "-c", "-f", undo], "Checking the way back of the packet filter")
    run(["systemctl", "stop", f"{TIMER}.timer"])
    run(["systemctl", "reset-failed", f"{TIMER}.service"])
    _must(
        [
            "systemd-run",
            "--quiet",
            f"--on-active={seconds}",
            "--timer-property=AccuracySec=1s",
            f"--unit={TIMER}",
            "--",
            NFT,
            "-f",
            undo,
        ],
        "Starting the timer that guards the access to this host",
    )
    try:
        _must([NFT, "-f", "-"], "Loading the packet filter's table", text)
    except FilterHostError:
        run(["systemctl", "stop", f"{TIMER}.timer"])
        raise
    return listing()


def undo() -> None:
    """Take an unproved table back at once.

    :raises FilterHostError: nft refuses what was there before.
    """
    _must([NFT, "-f", f"{STATE}/undo.nft"], "Taking the packet filter's new table back")
    run(["systemctl", "stop", f"{TIMER}.timer"])


def confirm(text: str, tried: str) -> None:
    """Keep a table that was tried, for the next boots too.

    :param tried: what :func:`attempt` returned.
    :raises FilterHostError: the timer was faster, or the kernel's table is another one than the one that was tried.
    """
    run(["systemctl", "stop", f"{TIMER}.timer"])
    if listing() != tried:
        raise FilterHostError(
            "The table in the kernel is no longer the one with which the login was proved: the timer took it back"
        )
    configuration.apply(files(text), False)
    systemd.must("daemon-reload")
    systemd.must("-q", "enable", f"{UNIT}.service")
    systemd.must("start", f"{UNIT}.service")
    systemd.must("reload", f"{UNIT}.service")
    descriptors.replace(f"{STATE}/accepted.json", json.dumps({"text": text, "listing": listing()}))


def remove() -> None:
    """Take the filter away: unit, files and table.

    :raises FilterHostError: nft does not delete the table.
    """
    run(["systemctl", "disable", "--now", "-q", f"{UNIT}.service"])
    configuration.apply(files(""), False)
    systemd.must("daemon-reload")
    if listing():
        _must([NFT, "delete", "table", "inet", packet_filter.TABLE], "Removing the packet filter's table")
    Path(STATE, "accepted.json").unlink(missing_ok=True)


def complaints(wanted: bool) -> list[str]:
    """Whether the kernel has the table that was proved, and the next boot will: a sentence for each thing that is not
    so."""
    now, proved = listing(), _accepted()
    if not wanted:
        return ["the packet filter is still loaded although base_filter is false; run base.yml"] if now else []
    if not now:
        return [
            "the kernel has no table inet stackwright, so every port is open; run base.yml, and see what flushed it"
        ]
    found = []
    if now != proved.get("listing"):
        found.append("the table inet stackwright in the kernel is not the one that was proved; run base.yml")
    if run(["systemctl", "is-enabled", f"{UNIT}.service"])[0]:
        found.append(f"{UNIT}.service is not enabled, so the next boot leaves every port open; run base.yml")
    return found


def named(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The listeners, with the socket unit of those that systemd itself holds under ``socket``."""
    if not any(one["pid"] == "1" for one in found):
        return found
    units_by_place: dict[tuple[str, int], str] = {}
    told = run(["systemctl", "show", "--property=Id,Listen", "--state=active", "*.socket"])[1]
    for block in told.split("\n\n"):
        name = re.search(r"^Id=(\S+)\.socket$", block, re.MULTILINE)
        for place, port in (
            re.findall(r"^Listen=(\S*?):?(\d+) \((?:Stream|Datagram)\)", block, re.MULTILINE) if name else []
        ):
            units_by_place[place.strip("[]"), int(port)] = name[1] if name else ""
    for one in found:
        if one["pid"] == "1":
            one["socket"] = units_by_place.get((one["address"], one["port"]), "")
    return found
