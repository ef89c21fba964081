"""What this host offers the lab: cgroups, container runtime, limits, name servers, kernel modules."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import resource
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.stackwright.cloud.plugins.module_utils.lab.errors import LabError

# Debian 13's systemd starts on a host with cgroup v1 only when told twice.
LEGACY_WORDS = ("systemd.unified_cgroup_hierarchy=0", "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1")
# Some daemons walk over every possible descriptor, so more than this costs time and helps nobody.
MOST_FILES = 1048576
# inotify instances that a machine holds at least.
MACHINE_INOTIFY = 8
PROGRAMS = {
    "podman": "podman",
    "mmdebstrap": "mmdebstrap",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "nft": "nftables",
    "unshare": "util-linux",
    "tar": "tar",
}


@dataclass(frozen=True)
class Host:
    """What was detected. ``words`` go onto the command line of every machine's init."""

    cgroups: str
    runtime: str
    words: tuple[str, ...]
    files: int
    processes: int


def cgroup_version(root: Path = Path("/sys/fs/cgroup")) -> str:
    """Return ``v2`` when the unified hierarchy is the only one, otherwise ``v1`` (hybrid counts as v1)."""
    return "v2" if (root / "cgroup.controllers").exists() else "v1"


def choose_runtime(cgroups: str, available: Iterable[str]) -> str:
    """Return the container runtime to use: crun refuses cgroup v1, runc takes both.

    Raises:
        LabError: None of the usable runtimes is installed.
    """
    wanted = ("crun", "runc") if cgroups == "v2" else ("runc",)
    for runtime in wanted:
        if runtime in available:
            return runtime
    raise LabError(
        f"Choosing a container runtime for cgroup {cgroups}",
        f"{' and '.join(wanted)} {'are' if len(wanted) > 1 else 'is'} not installed",
        f"Run tools/setup lab, or install the package {wanted[0]}",
    )


def detect(root: Path = Path("/sys/fs/cgroup")) -> Host:
    """Detect this host's cgroups, runtime and limits.

    Raises:
        LabError: A program is missing; the message names the packages.
    """
    missing = sorted({package for program, package in PROGRAMS.items() if not shutil.which(program)})
    if missing:
        raise LabError(
            "Looking for the programs that the lab needs",
            f"not installed: {', '.join(missing)}",
            "Run tools/setup lab, or install these packages",
        )
    cgroups = cgroup_version(root)
    runtime = choose_runtime(cgroups, [name for name in ("crun", "runc") if shutil.which(name)])
    return Host(
        cgroups=cgroups,
        runtime=runtime,
        words=LEGACY_WORDS if cgroups == "v1" else (),
        files=hard_limit(resource.RLIMIT_NOFILE),
        processes=most_processes(
            hard_limit(resource.RLIMIT_NPROC), int(Path("/proc/sys/kernel/pid_max").read_text(encoding="ascii"))
        ),
    )


def most_processes(limit: int, pid_max: int) -> int:
    """Return how many processes containers may be allowed: podman keeps itself, and so them, to the largest pid."""
    return pid_max if limit < 0 else min(limit, pid_max)


def hard_limit(kind: int) -> int:
    """Return a hard limit of this process; -1 stands for none."""
    limit = resource.getrlimit(kind)[1]
    return -1 if limit == resource.RLIM_INFINITY else limit


def containers_conf(host: Host) -> str:
    """Return the content of the lab's own containers.conf.

    podman's default limits exceed what a host without CAP_SYS_RESOURCE may set, so the hard limits are named.
    """
    files = MOST_FILES if host.files < 0 else min(host.files, MOST_FILES)
    return (
        "# Written by the lab; it replaces the host's own settings for the lab's calls of podman.\n"
        "[containers]\n"
        f'default_ulimits = ["nofile={files}:{files}", "nproc={host.processes}:{host.processes}"]\n'
        "pids_limit = 0\n"
        "[engine]\n"
        f'runtime = "{host.runtime}"\n'
    )


def nameservers(texts: Mapping[str, str]) -> list[str]:
    """Return the name servers that machines can use, from the content of the host's resolver files in order.

    A loopback address is the host's own resolver and means something else inside a machine, so a file with nothing
    better is passed over.
    """
    for text in texts.values():
        found = []
        for line in text.splitlines():
            words = line.split()
            if len(words) < 2 or words[0] != "nameserver":
                continue
            try:
                address = ipaddress.ip_address(words[1].split("%")[0])
            except ValueError:
                continue
            if not address.is_loopback and address.version == 4:
                found.append(str(address))
        if found:
            return found
    return []


def host_nameservers() -> list[str]:
    """Return the name servers that this host uses itself, behind a local resolver as well."""
    files = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))
    return nameservers({str(path): path.read_text(encoding="utf-8") for path in files if path.is_file()})


def inotify_limit(path: Path = Path("/proc/sys/fs/inotify/max_user_instances")) -> int:
    """Return how many inotify instances one user of this host may hold."""
    return int(path.read_text(encoding="ascii"))


def inotify_instances(processes: Path = Path("/proc")) -> int:
    """Return how many inotify instances the processes that can be seen hold."""
    found = set()
    for directory in processes.glob("[0-9]*/fd"):
        with contextlib.suppress(OSError):
            for name in os.listdir(directory):
                with contextlib.suppress(OSError):
                    if "inotify" in os.readlink(directory / name):
                        found.add((directory, name))
    return len(found)


def check_inotify(machines: int, limit: int, held: int) -> None:
    """Refuse to start more machines than this host has inotify instances for.

    All machines' root is the same user of the kernel. A machine that gets none comes up, and then systemctl, libvirt
    and others wait for what they are never told.

    Args:
        machines: How many are to be started.
        limit: fs.inotify.max_user_instances.
        held: How many instances are in use.

    Raises:
        LabError: There are too few; the message says how many are wanted.
    """
    wanted = held + machines * MACHINE_INOTIFY
    if wanted > limit:
        raise LabError(
            f"Looking whether {machines} more machines can watch their files",
            f"fs.inotify.max_user_instances is {limit}, {held} are in use, and each machine takes "
            f"{MACHINE_INOTIFY} or more",
            f"Run: sysctl -w fs.inotify.max_user_instances={max(512, 2 * wanted)}, and put the line "
            f"into a file of /etc/sysctl.d",
        )


def conflicting_routes(cidrs: Iterable[str], routes: Iterable[Mapping[str, str]]) -> list[str]:
    """Return a sentence for every route of this host that overlaps one of the lab's networks.

    Args:
        cidrs: The lab's networks.
        routes: As `ip -json route` prints them, without those of the lab's own bridges.
    """
    problems = []
    for cidr in cidrs:
        network = ipaddress.ip_network(cidr)
        for route in routes:
            try:
                other = ipaddress.ip_network(route.get("dst", ""))
            except ValueError:
                continue
            if other.overlaps(network):
                problems.append(f"{cidr} overlaps the route to {other} on {route.get('dev', 'an interface')}")
    return problems
