"""The journal of an enforcement: what was there before each change, and the way back.

This file is self-contained on purpose. A copy of it lies beside each journal on the host, where a timer runs it as a program
to undo unproved changes of access (sshd, PAM, accounts, sudo, firewall) when the control node has gone away.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

BASE = "/var/lib/stackwright/hardening"
RESERVE = 1 << 20
ACCESS_GROUPS = ("sshd", "pam", "account", "sudo", "firewall")
TOOL_ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
    "APT_LISTCHANGES_FRONTEND": "none",
    "NEEDRESTART_SUSPEND": "1",
}


KERNEL_SETTINGS = "/proc/sys"
CONTAINER_MARKS = ("/run/systemd/container", "/run/.containerenv", "/.dockerenv")
UNIT_DIRECTORY = "/etc/systemd/system"
RUNNING = ("active", "reloading", "activating")


class JournalError(Exception):
    """The journal cannot be written, read or followed; the text says which and what to do."""


def in_container(root: str = "") -> bool:
    """Whether this host is a container, which shares its kernel with others."""
    if any(os.path.exists(root + mark) for mark in CONTAINER_MARKS):
        return True
    with contextlib.suppress(OSError):
        if b"container=" in Path(root + "/proc/1/environ").read_bytes():
            return True
    with contextlib.suppress(OSError):
        # The first PID namespace has a fixed inode number in every Linux kernel.
        return os.readlink(root + "/proc/self/ns/pid") != "pid:[4026531836]"
    return False


def run_tool(argv: list[str], timeout: float = 900) -> tuple[int, str]:
    """Run a program with a fixed environment; returns its exit code and its output (both streams)."""
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=TOOL_ENVIRONMENT,
            timeout=timeout, check=False,
        )  # fmt: skip
    except OSError as error:
        return 127, f"{argv[0]}: {error.strerror}"
    except subprocess.TimeoutExpired:
        return 124, f"{argv[0]}: no end after {timeout:.0f} seconds"
    return done.returncode, done.stdout.decode("utf-8", "replace")


# A session of its own, which nobody's end stops half way: a connection that breaks must not leave sshd stopped.
RELOAD_AT_REST = """
trap '' PIPE
code=0
systemctl stop "$@" || code=$?
systemctl daemon-reload || code=$?
systemctl start "$@" || code=$?
exit $code
"""


def reload_units(tool: Callable[[list[str]], tuple[int, str]], root: str = "") -> list[str]:
    """Have systemd read its units anew without losing one that runs.

    systemd keeps a state for every name that a unit mentions. Where such a name has become an alias of a running unit, the reload may
    take the empty state of the name for the unit's own: the unit counts as stopped, its process goes on unseen, and systemd itself
    aborts when that process ends (systemd issues 14141 and 38817). Units with such a new alias are stopped while it reads.

    :returns: what could not be done, a sentence each.
    """
    resting = _newly_named(tool, root)
    if "ssh.service" in resting:
        code, output = tool(["sshd", "-t"])
        if code:  # it would not come back
            return [
                f"systemd did not read its units anew, since sshd refuses its configuration: {output.strip()[-200:]}"
            ]
    argv = ["setsid", "--wait", "sh", "-c", RELOAD_AT_REST, "sh", *resting] if resting else ["systemctl", "daemon-reload"]
    code, output = tool(argv)
    if not code:
        return []
    how = f" while {', '.join(resting)} rested" if resting else ""
    return [f"systemctl daemon-reload{how} failed ({code}): {output.strip()[-300:]}"]


def _newly_named(tool: Callable[[list[str]], tuple[int, str]], root: str) -> list[str]:
    """The running units with an alias on disk that systemd still takes for a unit of its own."""
    units: dict[str, str] = {}
    with contextlib.suppress(OSError), os.scandir(root + UNIT_DIRECTORY) as entries:
        for entry in entries:
            target = os.path.basename(os.readlink(entry.path)) if entry.is_symlink() else ""
            if target not in ("", "null", entry.name):
                units[entry.name] = target
    if not units:
        return []
    names = sorted({*units, *units.values()})
    _, output = tool(["systemctl", "show", "--property=Id,ActiveState", *names])
    blocks = [dict(line.partition("=")[::2] for line in one.split("\n")) for one in output.strip("\n").split("\n\n")]
    known = dict(zip(names, blocks, strict=False))
    return sorted(
        {
            unit
            for alias, unit in units.items()
            if known.get(alias, {}).get("Id") == alias and known.get(unit, {}).get("ActiveState") in RUNNING
        }
    )


def sync_directory(path: str) -> None:
    """Make a rename in the directory `path` durable."""
    number = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def write_atomically(path: str, content: bytes, mode: int, uid: int, gid: int, mtime_ns: int | None = None) -> None:
    """Replace `path` by a file with this content, owner and mode, so that a reader sees the old file or the new one.

    A symbolic link at `path` is replaced, never followed.

    :raises OSError: when the directory is missing, read-only or full; the old file is then untouched.
    """
    directory = os.path.dirname(path)
    temporary = os.path.join(
        directory, f".stackwright-{os.getpid()}-{hashlib.sha256(os.fsencode(path)).hexdigest()[:8]}"
    )
    number = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            view = memoryview(content)
            while view:
                view = view[os.write(number, view) :]
            if os.geteuid() == 0:
                os.fchown(number, uid, gid)
            os.fchmod(number, mode)
            if mtime_ns is not None:
                os.utime(number, ns=(mtime_ns, mtime_ns))
            os.fsync(number)
        finally:
            os.close(number)
        os.rename(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    sync_directory(directory)


def attributes(path: str) -> dict[str, str]:
    """The extended attributes of `path` as hexadecimal text, without following a link."""
    found: dict[str, str] = {}
    with contextlib.suppress(OSError):
        for name in os.listxattr(path, follow_symlinks=False):
            with contextlib.suppress(OSError):
                found[name] = os.getxattr(path, name, follow_symlinks=False).hex()
    return found


class Journal:
    """The journal of one run, in a directory of its own.

    Entries are added with :meth:`add` and are durable after :meth:`sync`; only then may the changes be made.
    """

    def __init__(self, run_id: str, root: str = "/", base: str = BASE) -> None:
        self.run_id = run_id
        self.root = root.rstrip("/")
        self.directory = f"{self.root}{base}/{run_id}"

    @property
    def exists(self) -> bool:
        """Whether the journal was begun on this host."""
        return os.path.exists(f"{self.directory}/journal.jsonl")

    def begin(self, head: dict[str, Any], program: bytes | None = None) -> None:
        """Make the directory, the reserve that a rollback on a full disk gives back, and the undo program.

        :raises JournalError: when it cannot be written; nothing on the host has been changed then.
        """
        try:
            os.makedirs(f"{self.directory}/blobs", mode=0o700, exist_ok=True)
            os.chmod(self.directory, 0o700)
            with open(f"{self.directory}/reserve", "wb") as reserve:
                reserve.write(b"\0" * RESERVE)
            if program is not None:
                write_atomically(f"{self.directory}/undo.py", program, 0o600, os.geteuid(), os.getegid())
            self.write_head({**head, "run_id": self.run_id, "state": "running"})
            self._append([])
        except OSError as error:
            raise JournalError(
                f"The journal {self.directory} cannot be written: {error.strerror}. Nothing was changed. "
                "Free space or make the file system writable, then run again."
            ) from error

    def write_head(self, head: dict[str, Any]) -> None:
        """Replace the description of the run."""
        content = json.dumps(head, sort_keys=True).encode() + b"\n"
        write_atomically(f"{self.directory}/run.json", content, 0o600, os.geteuid(), os.getegid())

    def head(self) -> dict[str, Any]:
        """The description of the run: run_id, time, profile, state (running, done, undone groups)."""
        try:
            data = json.loads(Path(f"{self.directory}/run.json").read_bytes())
        except (OSError, ValueError) as error:
            raise JournalError(f"{self.directory}/run.json cannot be read: {error}") from error
        return dict(data)

    def _append(self, entries: Iterable[dict[str, Any]]) -> None:
        with open(f"{self.directory}/journal.jsonl", "ab") as log:
            log.writelines(json.dumps(entry, sort_keys=True).encode() + b"\n" for entry in entries)
            log.flush()
            os.fsync(log.fileno())

    def blob(self, content: bytes) -> str:
        """Keep `content`; returns the name under which it is kept."""
        name = hashlib.sha256(content).hexdigest()
        path = f"{self.directory}/blobs/{name}"
        if not os.path.exists(path):
            write_atomically(path, content, 0o600, os.geteuid(), os.getegid())
        return name

    def before(self, path: str, content: bool = True) -> dict[str, Any]:
        """What is at `path` now, keeping its content in a blob where `content` is asked for."""
        real = self.root + path
        try:
            found = os.lstat(real)
        except FileNotFoundError:
            return {"type": "absent"}
        except NotADirectoryError:
            return {"type": "absent"}
        state: dict[str, Any] = {
            "mode": stat.S_IMODE(found.st_mode),
            "uid": found.st_uid,
            "gid": found.st_gid,
            "mtime_ns": found.st_mtime_ns,
        }
        if stat.S_ISLNK(found.st_mode):
            return {**state, "type": "link", "target": os.readlink(real)}
        if stat.S_ISDIR(found.st_mode):
            return {**state, "type": "directory", "xattrs": attributes(real)}
        if not stat.S_ISREG(found.st_mode):
            return {**state, "type": "other"}
        state["type"] = "file"
        state["xattrs"] = attributes(real)
        if content:
            with open(real, "rb") as source:
                state["blob"] = self.blob(source.read())
        return state

    def add(self, entries: list[dict[str, Any]]) -> None:
        """Append entries and make them durable.

        :raises JournalError: when that fails; the changes they announce must not be made.
        """
        try:
            self._append(entries)
        except OSError as error:
            raise JournalError(
                f"The journal {self.directory} cannot be written: {error.strerror}. The change it announces was not made."
            ) from error

    def entries(self) -> list[dict[str, Any]]:
        """All entries in order; a half-written last line (a crash while appending) announces nothing and is left out."""
        found: list[dict[str, Any]] = []
        try:
            lines = Path(f"{self.directory}/journal.jsonl").read_bytes().split(b"\n")
        except OSError as error:
            raise JournalError(f"{self.directory}/journal.jsonl cannot be read: {error.strerror}") from error
        for at, line in enumerate(lines):
            if not line:
                continue
            try:
                found.append(json.loads(line))
            except ValueError as error:
                if at == len(lines) - 1:
                    break
                raise JournalError(f"{self.directory}/journal.jsonl, line {at + 1} is damaged: {error}") from error
        return found

    def release_reserve(self) -> None:
        """Give the room back that was kept for a rollback on a full disk."""
        with contextlib.suppress(OSError):
            os.unlink(f"{self.directory}/reserve")

    def close(self, groups: list[str]) -> None:
        """Mark the run as done, with the groups of access changes that it made."""
        self.write_head({**self.head(), "state": "done", "groups": groups})

    def undo(
        self, groups: Iterable[str] | None = None, tool: Callable[[list[str]], tuple[int, str]] = run_tool
    ) -> list[str]:
        """Restore what was before the run, newest change first.

        :param groups: only these groups of changes; all when None.
        :returns: what could not be restored, a sentence each; empty when everything was.
        """
        wanted = None if groups is None else set(groups)
        problems: list[str] = []
        head = self.head()
        undone = set(head.get("undone", []))
        self.release_reserve()
        entries = [
            one for one in self.entries() if one["group"] not in undone and (wanted is None or one["group"] in wanted)
        ]
        kept_before = {one["path"] for one in entries if one["kind"] == "file" and one["before"]["type"] != "absent"}
        commands: list[list[str]] = []
        after: list[list[str]] = []
        for entry in reversed(entries):
            kind = entry["kind"]
            try:
                if kind == "file":
                    self._restore(entry["path"], entry["before"])
                elif kind == "sysctl":
                    problems += _restore_setting(entry["key"], entry["value"], in_container(self.root))
                elif kind == "unit":
                    commands += _unit_commands(entry)
                elif kind == "packages":
                    there = _listing(self.root)
                    for argv in _package_commands(entry, _installed(self.root)):
                        code, output = tool(argv)
                        if code:
                            problems.append(f"{' '.join(argv)} failed ({code}): {output.strip()[-300:]}")
                    for path in sorted(_listing(self.root) - there, reverse=True):
                        if path not in kept_before:  # backups that maintainer scripts make while they remove
                            _remove(self.root + path)
                elif kind == "before-undo":
                    tool(entry["argv"])
                elif kind == "after-undo" and entry["argv"] not in after:
                    after.append(entry["argv"])
            except OSError as error:
                problems.append(f"{entry.get('path', entry.get('key', kind))}: {error.strerror}")
        if any(one["kind"] == "file" and "/systemd/" in one["path"] for one in entries):
            problems += reload_units(tool, self.root)
        packages = any(one["kind"] == "packages" for one in entries)
        if packages:
            after.append(["systemctl", "reset-failed"])
        for argv in commands + after:
            code, output = tool(argv)
            gone = argv[0] == "systemctl" and ("not loaded" in output or "not found" in output)
            gone = gone or (code == 127 and packages)  # the program went with the package that the run had brought
            if code and not gone:
                problems.append(f"{' '.join(argv)} failed ({code}): {output.strip()[-300:]}")
        done = sorted(undone | {one["group"] for one in entries})
        state = "rolled back" if wanted is None and not problems else head.get("state", "running")
        self.write_head({**head, "undone": done if not problems else sorted(undone), "state": state})
        return problems

    def _restore(self, path: str, before: dict[str, Any]) -> None:
        real = self.root + path
        kind = before["type"]
        if kind == "absent":
            _remove(real)
            return
        current = None
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            current = os.lstat(real)
        if kind == "link":
            if current is None or not stat.S_ISLNK(current.st_mode) or os.readlink(real) != before["target"]:
                _remove(real)
                os.symlink(before["target"], real)
            os.chown(real, before["uid"], before["gid"], follow_symlinks=False)
            return
        if kind == "directory":
            if current is not None and not stat.S_ISDIR(current.st_mode):
                _remove(real)
                current = None
            if current is None:
                os.makedirs(real)
            _restore_attributes(real, before.get("xattrs"))
        elif "blob" in before:
            content = Path(f"{self.directory}/blobs/{before['blob']}").read_bytes()
            if current is not None and stat.S_ISDIR(current.st_mode):
                _remove(real)
                current = None
            if not _same(real, content):
                os.makedirs(os.path.dirname(real), exist_ok=True)
                write_atomically(real, content, before["mode"], before["uid"], before["gid"], before["mtime_ns"])
                for name, value in before.get("xattrs", {}).items():
                    with contextlib.suppress(OSError):
                        os.setxattr(real, name, bytes.fromhex(value), follow_symlinks=False)
        elif current is None:
            return
        found = os.lstat(real)
        owned = (found.st_uid, found.st_gid) == (before["uid"], before["gid"]) or os.geteuid() != 0
        dated = "blob" not in before or found.st_mtime_ns == before["mtime_ns"]
        if owned and dated and stat.S_IMODE(found.st_mode) == before["mode"]:
            return  # a disk that refuses writes has nothing to restore
        number = os.open(real, os.O_PATH | os.O_NOFOLLOW)
        try:
            handle = f"/proc/self/fd/{number}"
            if not owned:
                os.chown(handle, before["uid"], before["gid"])
            os.chmod(handle, before["mode"])
            if not dated:
                os.utime(handle, ns=(before["mtime_ns"], before["mtime_ns"]))
        finally:
            os.close(number)


def _restore_attributes(path: str, before: dict[str, str] | None) -> None:
    """Give a directory the extended attributes that it had; None where an older journal does not know them."""
    now = attributes(path)
    for name in set(now) - set(now if before is None else before):
        os.removexattr(path, name, follow_symlinks=False)
    for name, value in (before or {}).items():
        if now.get(name) != value:
            os.setxattr(path, name, bytes.fromhex(value), follow_symlinks=False)


def _same(path: str, content: bytes) -> bool:
    try:
        found = os.lstat(path)
        if not stat.S_ISREG(found.st_mode) or found.st_size != len(content):
            return False
        return Path(path).read_bytes() == content
    except OSError:
        return False


def _remove(path: str) -> None:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        if stat.S_ISDIR(os.lstat(path).st_mode):
            shutil.rmtree(path)
        else:
            os.unlink(path)


def _restore_setting(key: str, value: str, container: bool) -> list[str]:
    """Set the running value of a kernel setting back; what stands in the way."""
    if container and not key.startswith("net."):  # it belongs to the kernel that containers share, and was never changed
        return []
    place = Path(KERNEL_SETTINGS, key.replace(".", "/"))
    try:
        if place.read_text("ascii").strip() != value:
            place.write_text(value, "ascii")
    except FileNotFoundError:
        pass  # it went with its module
    except OSError as error:
        return [
            f"sysctl {key} could not be set back to {value}: {error.strerror}. The kernel takes some settings back only when it "
            "starts: restart the host."
        ]
    return []


def _unit_commands(entry: dict[str, Any]) -> Iterator[list[str]]:
    unit = entry["unit"]
    # The links of enablement are restored as files; only what runs is left to do here.
    yield ["systemctl", "start" if entry["active"] else "stop", unit]


def _installed(root: str) -> dict[str, str]:
    versions: dict[str, str] = {}
    with contextlib.suppress(OSError):
        text = Path(f"{root}/var/lib/dpkg/status").read_text("utf-8", "replace")
        for block in text.split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line and line[0] != " ")
            if fields.get("Status", "").split()[-1:] in (["installed"], ["config-files"]):
                suffix = "" if fields["Status"].endswith(" installed") else " (configuration)"
                versions[fields["Package"] + suffix] = fields.get("Version", "")
    return versions


def _listing(root: str) -> set[str]:
    """Paths where maintainer scripts leave things behind."""
    found: set[str] = set()
    stack = ["/etc", "/var/lib/ucf", "/var/lib/systemd", "/var/lib/dpkg/alternatives", "/var/backups"]
    while stack:
        directory = stack.pop()
        with contextlib.suppress(OSError), os.scandir(root + directory) as entries:
            for entry in entries:
                found.add(f"{directory}/{entry.name}")
                if entry.is_dir(follow_symlinks=False):
                    stack.append(f"{directory}/{entry.name}")
    return found


def _package_commands(entry: dict[str, Any], now: dict[str, str]) -> Iterator[list[str]]:
    """The commands that bring the package set back: take away what came, reinstall what went, exactly those versions."""
    before: dict[str, str] = entry["before"]
    mark = " (configuration)"
    came = sorted(one for one in set(now) - set(before) if not one.endswith(mark))
    came += sorted({one.removesuffix(mark) for one in set(now) - set(before)} - set(came))
    went = sorted(one for one in set(before) - set(now) if not one.endswith(mark))
    # Purging would take data along that was there before the package came back.
    purged = [one for one in came if one + mark not in before]
    removed = [one for one in came if one + mark in before]
    if removed or (came and went):
        yield ["dpkg", "--remove", "--force-depends", *(came if went else removed)]
    if went:
        wanted = [f"{one}={before[one]}" for one in went]
        yield [
            "apt-get", "-y", "-q", "--no-install-recommends", "--allow-downgrades", "-o", "Dpkg::Options::=--force-confold",
            "-o", "Dpkg::Options::=--force-confmiss", "install", *wanted,
        ]  # fmt: skip
    if purged:
        yield ["dpkg", "--purge", "--force-depends", *purged]


def runs(root: str = "/", base: str = BASE) -> list[str]:
    """The run ids on this host, oldest first (an id begins with its time)."""
    directory = f"{root.rstrip('/')}{base}"
    with contextlib.suppress(OSError):
        return sorted(one for one in os.listdir(directory) if os.path.exists(f"{directory}/{one}/run.json"))
    return []


def guard_boot(journal: Journal) -> None:
    """Have the unproved groups undone by the next boot too: a timer that was only started is gone with the boot.

    The unit is found at boot, so systemd needs no reload now; :func:`release_boot` takes it away again.
    """
    name = f"stackwright-undo-{journal.run_id}-boot.service"
    directory = journal.directory[len(journal.root) :]
    text = (
        "[Unit]\nDescription=Undo changes of access that no fresh login has proved\n"
        f"ConditionPathExists={directory}/unproved\nAfter=ssh.service\n\n"
        f"[Service]\nType=oneshot\nExecStart=/usr/bin/python3 -I {directory}/undo.py\n"
    )
    wants = f"{journal.root}{UNIT_DIRECTORY}/multi-user.target.wants"
    os.makedirs(wants, mode=0o755, exist_ok=True)
    path = f"{journal.root}{UNIT_DIRECTORY}/{name}"
    write_atomically(path, text.encode(), 0o644, os.geteuid(), os.getegid())
    with contextlib.suppress(FileExistsError):
        os.symlink(f"{UNIT_DIRECTORY}/{name}", f"{wants}/{name}")
    sync_directory(wants)


def release_boot(journal: Journal) -> None:
    """Take the unit of :func:`guard_boot` away."""
    name = f"stackwright-undo-{journal.run_id}-boot.service"
    for path in (f"{UNIT_DIRECTORY}/multi-user.target.wants/{name}", f"{UNIT_DIRECTORY}/{name}"):
        if os.path.lexists(journal.root + path):  # a disk that refuses writes says so before it looks
            os.unlink(journal.root + path)


def main(arguments: list[str]) -> int:
    """Undo the unproved groups of the run in this file's directory: ``undo.py [GROUP ...]``."""
    directory = Path(__file__).resolve().parent
    journal = Journal(directory.name, base=str(directory.parent))
    pending = directory / "unproved"
    if not pending.exists():
        return 0
    groups = arguments or pending.read_text("utf-8").split()
    problems = journal.undo(groups)
    (directory / "undone-by-timer").write_text(
        "\n".join([time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), " ".join(groups), *problems]) + "\n", "utf-8"
    )
    pending.unlink()
    release_boot(journal)
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
