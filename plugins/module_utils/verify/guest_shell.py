"""Commands in a test guest over the ``ssh`` program, with a key and known hosts of their own."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

# Not tied to the begin of a line: a starved hypervisor was seen to put characters of the emulated console before it.
HOST_KEY = re.compile(r"stackwright-guest: host key (ssh-ed25519 [A-Za-z0-9+/=]+)\s*$", re.MULTILINE)
READY = re.compile(r"stackwright-guest: ready after ([0-9.]+) s")
INSTANCE = re.compile(r"stackwright-guest: instance (\S+) hostname (\S+)")
STARTED = re.compile(r"^stackwright-guest: started", re.MULTILINE)
LOADER = re.compile(r"^SYSLINUX \d", re.MULTILINE)
REPORT = re.compile(r"^stackwright-guest: .*", re.MULTILINE)


@dataclass(frozen=True)
class Answer:
    """Exit status and output of one program."""

    status: int
    output: str
    errors: str = ""


def run_program(command: Sequence[str], timeout: float, given: str | None = None) -> Answer:
    """Run a program without a shell; a missing program or a time-out is told by status 127 or 124."""
    try:
        done = subprocess.run(
            command,
            input=given,
            stdin=subprocess.DEVNULL if given is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError:
        return Answer(127, "", f"{command[0]} is not installed on the machine that runs the test")
    except subprocess.TimeoutExpired:
        return Answer(124, "", f"no end within {timeout:g} s")
    return Answer(done.returncode, done.stdout, done.stderr)


@dataclass
class Shell:
    """SSH access to guests: private key and known hosts lie in ``directory``, which only its owner can read."""

    directory: Path
    known: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> Path:
        """Path of the private key."""
        return self.directory / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        """Path of the known hosts."""
        return self.directory / "known_hosts"

    def make_key(self, comment: str) -> str:
        """Generate the key pair with ssh-keygen; return the public key. Raises ``OSError`` with the reason."""
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(self.key)]
        answer = run_program(command, 30)
        if answer.status:
            raise OSError(f"ssh-keygen cannot make a key pair: {answer.errors.strip()}")
        return self.key.with_suffix(".pub").read_text(encoding="utf-8").strip()

    def trust(self, address: str, host_key: str) -> None:
        """Accept only this host key from ``address``."""
        self.known[address] = host_key
        lines = [f"{name} {key}\n" for name, key in self.known.items()]
        self.known_hosts.write_text("".join(lines), encoding="utf-8")

    def command(self, address: str, remote: str, jump: str | None = None) -> list[str]:
        """The ssh command line that runs ``remote`` as root at ``address``, through ``jump`` when given."""
        options = ["-F", "/dev/null", "-i", str(self.key)]
        for option in (
            "IdentitiesOnly=yes",
            "IdentityAgent=none",
            "BatchMode=yes",
            "StrictHostKeyChecking=yes",
            f"UserKnownHostsFile={self.known_hosts}",
            "GlobalKnownHostsFile=/dev/null",
            "ConnectTimeout=10",
            "LogLevel=ERROR",
        ):
            options += ["-o", option]
        proxy = []
        if jump:
            proxy = ["-o", "ProxyCommand=" + shlex.join(["ssh", *options, "-W", "%h:%p", f"root@{jump}"])]
        return ["ssh", *options, *proxy, f"root@{address}", remote]

    def run(
        self, address: str, remote: str, jump: str | None = None, timeout: float = 30, given: str | None = None
    ) -> Answer:
        """Run ``remote`` in the guest at ``address``, with ``given`` as its input."""
        return run_program(self.command(address, remote, jump), timeout, given)


def ping(address: str) -> Answer:
    """Three echo requests to ``address`` from this machine, within about four seconds."""
    return run_program(["ping", "-n", "-c", "3", "-i", "0.3", "-W", "2", address], 15)


def large_ping(address: str, size: int) -> Answer:
    """Two echo requests of ``size`` bytes (the whole IPv4 packet) that no router may split, within about three
    seconds."""
    return run_program(["ping", "-n", "-c", "2", "-i", "0.3", "-W", "2", "-M", "do", "-s", str(size - 28), address], 15)


def ping_v6(address: str, size: int) -> Answer:
    """Two echo requests of ``size`` bytes (the whole IPv6 packet) that the sender does not split, within about three
    seconds."""
    return run_program(
        ["ping", "-6", "-n", "-c", "2", "-i", "0.3", "-W", "2", "-M", "do", "-s", str(size - 48), address], 15
    )


def told_size(answer: Answer) -> int:
    """The size that fits, where a router or this machine's own interface told it; 0 otherwise.

    The words are those of ping of iputils: "Frag needed and DF set (mtu = 1442)", "message too long, mtu=1442".
    """
    found = re.search(r"mtu ?= ?(\d+)", answer.output + answer.errors)
    return int(found[1]) if found else 0


def console_report(console: str, lines: int = 25) -> list[str]:
    """Last lines of a console log without control characters."""
    clean = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|[^\x20-\x7e\n\t]", "", console)
    return [line.rstrip()[:160] for line in clean.splitlines() if line.strip()][-lines:]


def restarts(console: str) -> int:
    """How many boots a console log shows: the boot loader's, or those whose user space began."""
    return max(len(STARTED.findall(console)), len(LOADER.findall(console)))


@dataclass(frozen=True)
class Boot:
    """What a guest said of itself on the console when it was ready."""

    host_key: str
    uuid: str
    hostname: str
    seconds: float


def parse_boot(console: str) -> Boot | None:
    """The last boot in a console log that came to its end, or ``None``."""
    keys, instances, ready = (pattern.findall(console.replace("\r", "")) for pattern in (HOST_KEY, INSTANCE, READY))
    if not (keys and instances and ready):
        return None
    return Boot(keys[-1], instances[-1][0], instances[-1][1], float(ready[-1]))
