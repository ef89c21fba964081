"""Distribution packages as one transaction: what is missing, what an interrupted run left behind, one installation."""

from __future__ import annotations

import contextlib
import fcntl
import glob
import os
import re
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ansible_collections.stackwright.cloud.plugins.module_utils.common import command as programs
from ansible_collections.stackwright.cloud.plugins.module_utils.common import progress
from ansible_collections.stackwright.cloud.plugins.module_utils.host import dpkg, files

LISTS = "/var/lib/apt/lists"
LOCK = "/var/lib/dpkg/lock-frontend"
LOCK_SECONDS = 600
# Seconds that an installation may take, and the question what it would bring, or the fetching of the lists.
INSTALL_SECONDS = 3600.0
LISTS_SECONDS = 900.0
SOURCES = "/etc/apt/sources.list.d/stackwright.list"
POLICY = "/usr/sbin/policy-rc.d"
POLICY_SAVED = "/usr/sbin/policy-rc.d.stackwright-saved"
POLICY_TEXT = (
    "#!/bin/sh\n# Stackwright: services start when they are configured, not when they are unpacked\nexit 101\n"
)


class PackagesError(Exception):
    """The package manager failed; ``hint`` says what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def read_state() -> dpkg.State:
    """What dpkg knows of this host; a run of it that was cut off counts as a package left half done."""
    state = dpkg.read()
    if dpkg.interrupted():
        state.unfinished = state.unfinished or ["(interrupted dpkg)"]
    return state


def wait_for_others(seconds: float = LOCK_SECONDS) -> None:
    """Wait until no package manager works on the host: that of an interrupted run goes on to its end.

    :raises PackagesError: one still works after this time.
    """
    deadline = time.monotonic() + seconds
    with open(LOCK, "ab") as stream:
        while True:
            try:
                fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError):
                if time.monotonic() >= deadline:
                    raise PackagesError(
                        f"another package manager has held {LOCK} for {seconds:.0f} s",
                        "See with lsof or fuser on the host which it is, let it end, then run again.",
                    ) from None
                time.sleep(1)
            else:
                return


def read_sources() -> str:
    """Text of our own file of package sources, empty if there is none."""
    try:
        with open(SOURCES, encoding="utf-8") as stream:
            return stream.read()
    except FileNotFoundError:
        return ""


def write_sources(text: str) -> None:
    """Write or, with an empty text, remove our own file of package sources."""
    if text:
        files.replace(SOURCES, text, 0o644)
    else:
        os.unlink(SOURCES)


def lists_age() -> float:
    """Seconds since the package lists were last fetched; infinite if there are none, or our sources are newer."""
    found = glob.glob(f"{LISTS}/*_Packages*")
    if not found:
        return float("inf")
    newest = max([os.stat(LISTS).st_mtime, *(os.stat(path).st_mtime for path in glob.glob(f"{LISTS}/partial"))])
    if os.path.exists(SOURCES) and os.stat(SOURCES).st_mtime >= newest:
        return float("inf")
    return time.time() - newest


def step_of(line: str, names: int) -> str:
    """What a line of apt's status tells: kind, what, percent, words; empty for what is no step."""
    kind, _, rest = line.partition(":")
    percent = rest.split(":")[1:2]
    share = percent[0].split(".")[0] if percent else ""
    if not share.isdigit():
        return ""
    doing = {"dlstatus": "downloading", "pmstatus": "unpacking and configuring"}.get(kind, "")
    return f"{doing} what {names} packages need, {share} %" if doing else ""


def _tell_steps(source: int, names: int) -> None:
    """Tell apt's progress as this host's step until apt closes its end."""
    said = ""
    with os.fdopen(source, encoding="utf-8", errors="replace") as stream:
        for line in stream:
            step = step_of(line, names)
            if step and step != said:
                said = step
                progress.tell_on_host(step)


@contextlib.contextmanager
def _steps_told(names: int) -> Iterator[int]:
    """Inside the block what apt writes to the descriptor is told as this host's step."""
    source, sink = os.pipe()
    teller = threading.Thread(target=_tell_steps, args=(source, names), daemon=True)
    teller.start()
    try:
        yield sink
    finally:
        os.close(sink)
        # a daemon that a package has started may hold the other end for ever
        teller.join(2)
        progress.tell_on_host("")


def _run(command: list[str], doing: str, seconds: float = INSTALL_SECONDS, inherits: Sequence[int] = ()) -> str:
    environment = {
        **os.environ,
        "DEBIAN_FRONTEND": "noninteractive",
        "APT_LISTCHANGES_FRONTEND": "none",
        "LC_ALL": "C.UTF-8",
    }
    try:
        done = programs.run(command, seconds, environment, inherits=inherits)
    except programs.CommandTimeoutError as error:
        hint = "See what holds it up: ps on the host, and /var/log/apt/term.log. The next run finishes what was begun."
        raise PackagesError(f"{doing} failed: {error}", hint) from error
    if done.returncode == 0:
        return done.stdout
    output = done.stdout + done.stderr
    errors = re.findall(r"^(?:E|dpkg): ?(.*)$", output, re.MULTILINE) or output.strip().splitlines()[-5:]
    cause = "; ".join(dict.fromkeys(line.strip() for line in errors[:6]))
    raise PackagesError(f"{doing} failed: {cause}", hint_for(output))


def hint_for(output: str) -> str:
    """Say what an operator can do about a failure of apt or dpkg, from what it printed."""
    if "No space left on device" in output or "don't have enough free space" in output:
        return "Free disk space on the host (see df -h /var) and run again; what was begun is finished then."
    if re.search(r"Unable to locate package|has no installation candidate", output):
        return (
            "The host's package sources do not offer it: check /etc/apt/sources.list* on the host or base_apt_sources."
        )
    if re.search(
        r"Could not (resolve|connect)|Temporary failure resolving|Connection timed out|Failed to fetch", output
    ):
        return (
            "The package mirror does not answer from this host: check its network, proxy and sources, then run again."
        )
    if "Could not get lock" in output:
        return "Another package manager has been running on the host for minutes; let it end, then run again."
    return "Look at /var/log/apt/term.log on the host, mend the cause and run again."


DPKG = ["/usr/bin/dpkg", "--configure"]
APT = [
    "/usr/bin/apt-get",
    "-q",
    "-y",
    "-o",
    "DPkg::Lock::Timeout=300",
    "-o",
    "Dpkg::Use-Pty=0",
    "-o",
    "Dpkg::Options::=--force-confold",
    "-o",
    "Dpkg::Options::=--force-confdef",
    "-o",
    "Acquire::http::Timeout=30",
    "-o",
    "Acquire::Retries=2",
]


def update_lists() -> None:
    progress.tell_on_host("fetching the package lists")
    _run([*APT, "-o", "APT::Update::Error-Mode=any", "update"], "fetching the package lists", LISTS_SECONDS)


def finish() -> None:
    """Finish what an interrupted package manager left half done."""
    _run([*DPKG, "-a", "--force-confold", "--force-confdef"], "finishing interrupted installations")
    _run([*APT, "--fix-broken", "install"], "repairing interrupted installations")


def simulate(names: list[str], recommends: bool) -> list[str]:
    """Names of all packages that an installation would bring."""
    output = _run(
        [*APT, *_recommends(recommends), "-s", "install", *names], "simulating the installation", LISTS_SECONDS
    )
    return re.findall(r"^Inst (\S+)", output, re.MULTILINE)


@dataclass(frozen=True)
class Newer:
    """A package of which there is a newer version than the one that is installed."""

    name: str
    before: str
    after: str


def newer(names: list[str]) -> list[Newer]:
    """What newer versions of installed packages would bring, they themselves and what they need."""
    output = _run([*APT, *_recommends(False), "-s", "install", *names], "looking for newer versions", LISTS_SECONDS)
    found = re.findall(r"^Inst (\S+) \[([^]]*)\] \((\S+)", output, re.MULTILINE)
    return [Newer(*one) for one in found]


def fetch(names: list[str]) -> None:
    """Fetch the newest versions of packages, and install none."""
    _run([*APT, *_recommends(False), "-d", "install", *names], f"fetching {len(names)} packages")


def _recommends(recommends: bool) -> list[str]:
    return ["--install-recommends" if recommends else "--no-install-recommends"]


def policy_is_ours() -> bool:
    try:
        with open(POLICY, encoding="utf-8") as stream:
            return stream.read() == POLICY_TEXT
    except OSError:
        return False


def restore_policy() -> None:
    """Take our policy-rc.d away and put the host's own back; also after an interrupted run."""
    if policy_is_ours():
        os.unlink(POLICY)
    if os.path.exists(POLICY_SAVED) and not os.path.exists(POLICY):
        os.replace(POLICY_SAVED, POLICY)


@contextlib.contextmanager
def services_held() -> Iterator[None]:
    """Inside the block no maintainer script starts a service: nothing starts before it is configured."""
    if os.path.exists(POLICY) and not policy_is_ours():
        os.replace(POLICY, POLICY_SAVED)
    with open(POLICY, "w", encoding="utf-8") as stream:
        stream.write(POLICY_TEXT)
    os.chmod(POLICY, 0o755)
    try:
        yield
    finally:
        restore_policy()


def install(names: list[str], recommends: bool) -> None:
    """Install packages in one transaction; raises :class:`PackagesError`."""
    with _steps_told(len(names)) as status:
        command = [*APT, "-o", f"APT::Status-Fd={status}", *_recommends(recommends), "install", *names]
        _run(command, f"installing {len(names)} packages", inherits=[status])
