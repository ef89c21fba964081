"""What libvirt and QEMU say of servers, asked on the host that runs them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.stackwright.cloud.plugins.module_utils.service.probe_guest import clean, said_by_qemu
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.guest_shell import Answer, run_program

LOGS = Path("/var/log/libvirt/qemu")
SECONDS = 10.0
TAIL = 64 << 10
# What QEMU says when KVM cannot run what guests do.
KVM_FAILS = ("KVM internal error", "kvm run failed")
DOMAIN = re.compile(r"[A-Za-z0-9._-]{1,64}")

Program = Callable[[Sequence[str], float], Answer]


@dataclass(frozen=True)
class Domain:
    """A server's domain: its name, libvirt's state with its reason, and QEMU's last words, of one line each."""

    name: str
    state: str
    words: str = ""


def virsh(program: Program, *words: str) -> Answer:
    """Ask libvirt's system daemon, for a limited time."""
    return program(["virsh", "--connect", "qemu:///system", *words], SECONDS)


def last_words(name: str) -> str:
    """What QEMU said of a fault in a domain's log, from its last 64 KiB, without control characters."""
    try:
        with (LOGS / f"{name}.log").open("rb") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - TAIL))
            log = stream.read().decode(errors="replace")
    except OSError as error:
        return f"its log cannot be read: {error.strerror}"
    # the log goes on from start to start
    return said_by_qemu(log.rpartition(": starting up")[2])


def ask(server: str, program: Program = run_program) -> Domain | None:
    """The domain of the server with this identifier; ``None`` if it is not on this host.

    A daemon that does not answer in time is told as the state.
    """
    found = virsh(program, "domname", server)
    name = found.output.strip()
    if found.status in (124, 127):
        return Domain("", f"libvirt does not answer: {clean(found.errors, 1)}")
    if found.status or not DOMAIN.fullmatch(name):
        return None
    state = virsh(program, "domstate", "--reason", server)
    return Domain(name, clean(state.output, 1) or clean(state.errors, 1), last_words(name))


def advice(domain: Domain) -> str:
    """What to do about a domain that does not run; empty if nothing is known."""
    if any(words in domain.words for words in KVM_FAILS):
        return (
            "KVM cannot run guests on this host: set nova_virt_type to qemu for it, then run site.yml and "
            "verify.yml again"
        )
    if domain.state.startswith("paused (user"):
        return f"somebody paused it behind Nova's back: virsh resume {domain.name} lets it go on"
    if domain.state.startswith("paused (I/O"):
        return "its disk could not be written: see df -h /var/lib/nova on this host"
    return ""


def lines(domain: Domain, server: str, host: str) -> list[str]:
    """The domain for people: where it is, its state, QEMU's words, what to do."""
    told = [f"hypervisor on {host}: {server}{f' ({domain.name})' if domain.name else ''} is {domain.state}"]
    told += [f"QEMU said: {domain.words}"] if domain.words else []
    told += [f"to do: {what}"] if (what := advice(domain)) else []
    return told
