"""What should run and answer on a host once its controls pass, and whether it does."""

from __future__ import annotations

import socket
from pathlib import Path

from ansible_collections.stackwright.cloud.plugins.module_utils.stig import access, findings, listeners, system
from ansible_collections.stackwright.cloud.plugins.module_utils.stig import journal as journals
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.host import Host, HostError
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.judge import Control


def resulting_state(host: Host, controls: list[Control]) -> list[findings.State]:
    """Facts of the running host: units of the passing controls run, sshd offers what it is configured for, timers are
    gone."""
    if host.root:
        return []
    try:
        unique = {one.what: one for one in _unit_states(host, controls)}
    except HostError as error:
        what = "the states of units can be told"
        unique = {what: findings.State(what, False, str(error))}
    for run_id in journals.runs():
        directory = Path(f"{journals.BASE}/{run_id}")
        if (directory / "undone-by-timer").exists() and not (directory / "seen").exists():
            lines = (directory / "undone-by-timer").read_text("utf-8").split("\n")
            unique[run_id] = findings.State(
                f"access changes of run {run_id} hold", False,
                f"the timer undid {lines[1]} at {lines[0]}, since no fresh login was proved",
            )  # fmt: skip
    return list(unique.values())


def _unit_states(host: Host, controls: list[Control]) -> list[findings.State]:
    found: list[findings.State] = []
    for control in controls:
        if control.finding.status not in ("pass", "not_testable"):
            continue
        for spec in control.resources:
            if spec["type"] == "unit" and spec.get("active") and not (spec.get("kernel") and host.container):
                name = system._stands_for(host, spec["name"])
                state = host.unit(name)
                found.append(findings.State(f"{name} runs", state.active, "" if state.active else "it does not run"))
    found += [
        findings.State(f"{name} runs", False, f"process {state.forgotten} runs, but systemd has lost it")
        for name, state in host.units().items()
        if state.forgotten
    ]
    if "openssh-server" in host.packages and (host.unit("ssh.service").active or listeners.by_socket(host)):
        found.append(sshd_answers(host))
    return found


def sshd_answers(host: Host) -> findings.State:
    """Ask the running sshd for its algorithms and compare them with its configuration."""
    what = "sshd answers with its configured algorithms"
    try:
        settings = access.effective(host, "sshd")
    except HostError as error:
        return findings.State(what, False, str(error))
    where = listeners.places(host)
    told = [_first_words(name, port) for name, port in where]
    data = next((one for one in told if isinstance(one, bytes)), None)
    if data is None:
        return findings.State(what, False, str(told[0]))
    lists = algorithm_lists(data)
    for at, option in ((3, "ciphers"), (5, "macs")):
        if len(lists) > at and set(lists[at].split(",")) != set(settings.get(option, "").split(",")):
            return findings.State(what, False, f"it offers {option} {lists[at]} instead of {settings.get(option)}")
    return findings.State(what, len(lists) >= 6, "" if len(lists) >= 6 else "no key exchange offered")


def _first_words(name: str, port: int) -> bytes | str:
    """What sshd says first at an address; why it says nothing as text."""
    data = b""
    try:
        with socket.create_connection((name, port), timeout=5) as link:
            link.sendall(b"SSH-2.0-Stackwright_state\r\n")
            while len(data) < 65536:
                part = link.recv(65536)
                if not part:
                    break
                data += part
                at = data.find(b"\n")
                if at >= 0 and len(data) > at + 6:
                    length = int.from_bytes(data[at + 1 : at + 5], "big")
                    if len(data) >= at + 5 + length:
                        break
    except OSError as error:
        return f"port {port} of {name}: {error.strerror or error}"
    return data


def algorithm_lists(data: bytes) -> list[str]:
    """The name lists of an SSH_MSG_KEXINIT (RFC 4253, 7.1) after the version line: kex, host key, ciphers, MACs, ..."""
    start = data.find(b"\n") + 1
    packet = data[start:]
    if len(packet) < 22 or packet[5] != 20:
        return []
    found, at = [], 22
    for _ in range(10):
        length = int.from_bytes(packet[at : at + 4], "big")
        found.append(packet[at + 4 : at + 4 + length].decode("ascii", "replace"))
        at += 4 + length
    return found
