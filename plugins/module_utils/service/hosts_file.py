"""/etc/hosts with a block of ours in it; every other line is the site's.

The C library takes the first line that has a name, and some programs take all of them: a name of the cloud must stand
in one line only. So the names of the block are taken out of the site's lines, and what a line called such a host
besides, its full name above all, follows as further name in the block. The host's own name stays the first: that is
what ``hostname -f`` answers, under which Open vSwitch, libvirt and Nova know each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

BEGIN = "# BEGIN Stackwright: from the inventory; edits in this block are overwritten"
END = "# END Stackwright"
# The first line of the whole file that releases before 0.1 wrote; all below it was theirs.
WHOLE = "# Written by Stackwright. Change it through the inventory; edits made here are overwritten."
_LOCAL_NAMES = ("localhost", "ip6-localhost", "ip6-loopback", "localhost.localdomain")


@dataclass
class _Block:
    """Names that each host of the cloud has besides its own, in the order in which they were found."""

    hosts: Mapping[str, str]
    others: dict[str, list[str]] = field(default_factory=dict)

    def host_of(self, name: str) -> str:
        """The host that a name belongs to: its own, in any capitals, or with a domain behind it."""
        small = name.lower()
        return next(
            (
                host
                for host in self.hosts
                if small == host or small.startswith(f"{host}.") or host.startswith(f"{small}.")
            ),
            "",
        )

    def add(self, host: str, name: str) -> None:
        known = self.others.setdefault(host, [])
        if name.lower() not in (host, *map(str.lower, known)):
            known.append(name)

    def absorb(self, line: str) -> str | None:
        """A site's line without the names of the cloud's hosts; None when nothing is left of it."""
        entry, _, comment = line.partition("#")
        address, *names = entry.split() or [""]
        mine = [name for name in names if self.host_of(name)]
        if not mine:
            return line
        hosts = {self.host_of(name) for name in mine}
        for name in mine:
            self.add(self.host_of(name), name)
        rest = [name for name in names if name not in mine]
        same = len(hosts) == 1 and (_is_loopback(address) or address == self.hosts[next(iter(hosts))])
        if same and not any(name.lower() in _LOCAL_NAMES for name in rest):
            # the line is this host's alone, so that its other names are this host's as well
            for name in rest:
                self.add(next(iter(hosts)), name)
            return None
        if not rest:
            return None
        return f"{address} {' '.join(rest)}" + (f" #{comment}" if comment else "")


def _is_loopback(address: str) -> bool:
    return address.startswith("127.") or address == "::1"


def _parts(text: str) -> tuple[list[str], list[str], list[str]]:
    """Lines before the block, in it, and behind it. A second block is nobody's and goes."""
    before: list[str] = []
    inside: list[str] = []
    after: list[str] = []
    here = before
    for line in text.splitlines():
        if line.strip() == BEGIN:
            here = inside
        elif line.strip() == END and here is inside:
            here = after
        else:
            here.append(line)
    if here is inside and inside:
        raise ValueError(f"the block that begins with {BEGIN!r} has no end; put the line {END!r} behind its last line")
    return before, inside, after


def merge(text: str, hosts: Mapping[str, str], extra: Sequence[str] = ()) -> str:
    """The file with a block for these hosts.

    :param text: the file as it is.
    :param hosts: address of each host by name.
    :param extra: further lines of the operator's for the block.
    :raises ValueError: the block has a beginning and no end.
    """
    before, inside, after = _parts(text)
    block = _Block(hosts)
    for host in hosts:
        # RabbitMQ's nodes know each other by their short names
        if "." in host:
            block.add(host, host.split(".")[0])
    for line in inside:
        words = line.split()
        for name in words[2:] if len(words) > 1 and hosts.get(words[1]) else []:
            block.add(words[1], name)
    given = {" ".join(line.split()) for line in extra}
    site = [
        [
            left
            for line in lines
            if line.strip() != WHOLE
            and " ".join(line.split()) not in given
            and (left := block.absorb(line)) is not None
        ]
        for lines in (before, after)
    ]
    while site[0] and not site[0][-1].strip():
        site[0].pop()
    lines = [BEGIN]
    names = {name for line in (*site[0], *site[1], *extra) for name in line.partition("#")[0].split()[1:]}
    if "localhost" not in names:
        lines += ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback"]
    lines += [" ".join([hosts[host], host, *block.others.get(host, [])]) for host in sorted(hosts)]
    lines += [" ".join(line.split()) for line in extra]
    return "".join(f"{line}\n" for line in [*site[0], *lines, END, *site[1]])
