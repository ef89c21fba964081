"""What a host's services are open to, by its effect: who listens, who is let in, and which doors stay shut.

Nothing here reads a configuration: sockets are taken from the kernel, a closed socket is one that an account without
rights is refused at, a closed port one to which a connection does not come about.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import pwd
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.verify.security import Row

EVERY = ("0.0.0.0", "::")
STRANGER = "nobody"
SSH = ("ssh", "sshd")
SHOWN = 8


def is_ssh(listener: Mapping[str, Any]) -> bool:
    """Whether it is the host's own sshd, or the socket that systemd holds for it."""
    return listener["protocol"] == "tcp" and (
        str(listener["process"]).startswith("sshd")
        or str(listener["unit"]).split("@")[0] in SSH
        or listener.get("socket") in SSH
    )


def _names(entry: Mapping[str, Any], listener: Mapping[str, Any]) -> bool:
    return entry["protocol"] == listener["protocol"] and any(
        first <= listener["port"] <= last for first, last in entry["ports"]
    )


def complaint(listener: Mapping[str, Any], expected: Sequence[Mapping[str, Any]]) -> str:
    """Why a listener may not be there, with what to do; empty when it may."""
    if is_ssh(listener):
        return ""
    unit, process = str(listener["unit"]), str(listener["process"])
    # what has a range of ports has it for one program alone
    named = [entry for entry in expected if _names(entry, listener) and process.startswith(entry.get("process") or "")]
    mismatch = ""
    for entry in named:
        addresses = entry.get("addresses") or []
        if addresses and listener["address"] not in addresses:
            mismatch = f"{entry['name']} is to listen on {', '.join(addresses)} alone"
        elif entry.get("unit") and unit and unit != entry["unit"]:
            mismatch = f"the port is that of {entry['name']} (unit {entry['unit']})"
        else:
            return ""
    shown = unit or (f"{listener['socket']}.socket" if listener.get("socket") else "")
    where = f"[{listener['address']}]" if ":" in str(listener["address"]) else str(listener["address"])
    said = (
        f"{process or 'an unknown process'}{f' (unit {shown})' if shown else ''} listens on {where} port "
        f"{listener['port']}/{listener['protocol']}"
    )
    if mismatch.endswith("alone"):
        return (
            f"{said}: {mismatch}. Run site.yml, and see in systemctl cat {shown or 'of its unit'} what "
            f"decides about the address"
        )
    stop = f"systemctl disable --now {shown}" if shown else "stop it"
    return (
        f"{said}: {mismatch or 'no specification names it'}. If it is not wanted: {stop}; if it is, name it "
        f"in base_listeners"
    )


def complaints(found: Iterable[Mapping[str, Any]], expected: Sequence[Mapping[str, Any]]) -> list[str]:
    """Every listener that may not be there, each once."""
    return list(dict.fromkeys(text for one in found if (text := complaint(one, expected))))


def connect_as(account: str, path: str) -> str:
    """Connect to a socket as an account, with all its groups: ``""`` when that works, else the error's name.

    ``path`` is one in the file system, or ``ADDRESS:PORT`` of this host.

    A child does it, so that this process keeps its rights. Errors other than the kernel's are told as ``EIO``.
    """
    entry = pwd.getpwnam(account)
    groups = [] if account == STRANGER else os.getgrouplist(account, entry.pw_gid)
    child = os.fork()
    if child == 0:
        code = errno.EIO
        try:
            os.setgroups(groups)
            os.setgid(entry.pw_gid)
            os.setuid(entry.pw_uid)
            _connect(path)
            code = 0
        except OSError as error:
            code = error.errno or errno.EIO
        finally:
            os._exit(min(code, 255))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return errno.errorcode.get(code, "EIO") if code else ""


def _connect(path: str) -> None:
    address, _, port = path.rpartition(":")
    family, where = (socket.AF_UNIX, path) if path.startswith("/") else (socket.AF_INET, (address, int(port)))
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.settimeout(5)
        client.connect(where)


def socket_complaints(
    sockets: Iterable[Mapping[str, Any]], connect: Callable[[str, str], str] = connect_as
) -> tuple[list[str], int]:
    """What is wrong with sockets that only some accounts may connect to.

    :param sockets: mappings of ``name``, ``path`` (or ``ADDRESS:PORT``) and ``accounts``, those that must get in; a
        socket that does not exist here is no concern, and neither is an account.
    :returns: sentences, and how many sockets were tried.
    """
    problems: list[str] = []
    tried = 0
    for one in sockets:
        path = str(one["path"])
        port = not path.startswith("/")
        if not port and not os.path.exists(path):
            continue
        tried += 1
        outcome = connect(STRANGER, path)
        if port and not outcome:
            problems.append(
                f"{STRANGER} is let in at {path} ({one['name']}), so any account of this host is. Run base.yml, and "
                "see nft list table inet stackwright"
            )
        elif not port and outcome != "EACCES":
            how = "is let in" if not outcome else f"is not refused for want of rights ({outcome})"
            problems.append(
                f"{STRANGER} {how} at {path} ({one['name']}), so any account of this host is. See "
                f"systemctl cat of its socket unit, and restart that"
            )
        for account in one.get("accounts") or []:
            if _exists(account) and (why := connect(account, path)):
                look = "nft list table inet stackwright" if port else "the modes of the socket and its directory"
                problems.append(f"{account} is not let in at {path} ({one['name']}): {why}. See {look}")
    return problems, tried


def _exists(account: str) -> bool:
    try:
        pwd.getpwnam(account)
    except KeyError:
        return False
    return True


def reach(address: str, port: int, timeout: float) -> tuple[str, str]:
    """Try a TCP connection: why it does not come about (empty when it does), and the own address that it leaves
    from."""
    version = socket.AF_INET6 if ":" in address else socket.AF_INET
    own = ""
    try:
        with socket.socket(version, socket.SOCK_DGRAM) as route:
            route.connect((address, port))
            own = str(route.getsockname()[0])
    except OSError as error:
        return error.strerror or str(error), own
    try:
        socket.create_connection((address, port), timeout=timeout).close()
    except TimeoutError:
        return "no answer", own
    except OSError as error:
        return error.strerror or str(error), own
    return "", own


def is_among(address: str, networks: Iterable[str]) -> bool:
    """Whether an address belongs to one of the networks."""
    return bool(address) and any(ipaddress.ip_address(address) in ipaddress.ip_network(one) for one in networks)


def strangers(
    closed: Sequence[Mapping[str, Any]], timeout: float, attempt: Callable[[str, int, float], tuple[str, str]] = reach
) -> tuple[list[str], int, int]:
    """Try, from where this runs, the ports that it must not reach.

    :param closed: mappings of ``host``, ``name``, ``address``, ``port`` and ``sources``, the networks that may reach
        it.
    :returns: sentences about those that let us in, how many were tried, and how many are open to this machine rightly.
    """
    with ThreadPoolExecutor(max_workers=max(1, min(64, len(closed)))) as pool:
        outcomes = list(pool.map(lambda one: attempt(str(one["address"]), int(one["port"]), timeout), closed))
    problems, rightly = [], 0
    for one, (why, own) in zip(closed, outcomes, strict=True):
        if is_among(own, one["sources"]):
            rightly += 1
        elif not why:
            problems.append(
                f"{one['name']} of {one['host']} ({one['address']} port {one['port']}) takes "
                f"connections from {own}, which is no member of the"
                " cloud: see nft list table inet stackwright on it, and whether another machine passes "
                "the connection on under its address"
            )
    return problems, len(closed) - rightly, rightly


def row(check: str, service: str, title: str, value: str, problems: Sequence[str], host: str) -> Row:
    """A row of the table of security checks, with the problems as its cause."""
    shown = [*problems[:SHOWN], *([f"and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else [])]
    return Row(check, service, title, value, "failed" if problems else "passed", "; ".join(shown), host)
