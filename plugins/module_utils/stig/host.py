"""The host as the controls see it: files behind an overlay of planned changes, packages, units, and what the kernel
says.

Controls plan their remedies into the overlay; nothing reaches the disk before :meth:`Host.commit` has journaled it.
"""

from __future__ import annotations

import contextlib
import difflib
import errno
import fnmatch
import glob
import hashlib
import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.host import dpkg, systemd
from ansible_collections.stackwright.cloud.plugins.module_utils.stig import journal as journals

DEFAULT_ACL = journals.DEFAULT_ACL
FULL = (errno.ENOSPC, errno.EDQUOT)  # every further write would fail as well
# Files that decide who gets in, whatever control changes them.
ACCESS_PATHS = {
    "/etc/ssh/sshd_config": "sshd", "/etc/pam.d/": "pam", "/etc/security/": "pam", "/etc/nsswitch.conf": "pam",
    "/etc/passwd": "account", "/etc/shadow": "account", "/etc/group": "account", "/etc/gshadow": "account",
    "/etc/sudoers": "sudo", "/etc/ufw/": "firewall", "/etc/default/ufw": "firewall",
}  # fmt: skip


class HostError(Exception):
    """Something on the host is not of the kind that a control can work with; the text names file and reason."""


@dataclass
class Pending:
    """A planned state of one path. `content` None keeps what is there; `removed` deletes the path.

    `acl` is the default access control list of a directory, as the kernel keeps it. Where `mode` is None, the bits of
    `clear` are taken from the mode that is found and those of `add` are given to it. `was` is device and inode of what
    the plan is made for; nothing else gets its mode or owner.
    """

    content: bytes | None = None
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    removed: bool = False
    group: str = "files"
    link: str | None = None
    acl: bytes | None = None
    clear: int = 0
    add: int = 0
    was: tuple[int, int] | None = None

    def bits(self, mode: int) -> int:
        """The planned mode of something that has this one."""
        return self.mode if self.mode is not None else mode & ~self.clear | self.add


@dataclass
class Failure:
    """A planned path that could not be made so; not `tried` where the disk was full before its turn came."""

    path: str
    group: str
    reason: str
    tried: bool = True


@dataclass
class UnitState:
    """What systemd knows of a unit: enabled is one of enabled, disabled, masked, static, missing.

    `forgotten` is the process of a unit that systemd takes for stopped although the process runs; 0 where all is well.
    """

    enabled: str
    active: bool
    forgotten: int = 0


@dataclass
class Meta:
    """Kind (file, directory, link, other), mode, owner and group of a path."""

    kind: str
    mode: int
    uid: int
    gid: int
    size: int = 0


def show(text: str) -> str:
    """A path or value for people: control characters and undecodable bytes escaped."""
    return "".join(
        one
        if one.isprintable()
        else f"\\x{ord(one) & 0xFF:02x}"
        if ord(one) < 256 or ord(one) >= 0xDC80
        else repr(one)[1:-1]
        for one in text
    )


@dataclass
class Host:
    """Cached access to one host below `root` (``/`` but for tests)."""

    root: str = "/"
    run: Callable[[list[str]], tuple[int, str]] = journals.run_tool
    overlay: dict[str, Pending] = field(default_factory=dict)
    units_wanted: dict[str, dict[str, Any]] = field(default_factory=dict)
    sysctls_wanted: dict[str, tuple[str, str]] = field(default_factory=dict)
    packages_wanted: dict[str, str] = field(default_factory=dict)
    activations: dict[str, str] = field(default_factory=dict)
    commands: list[dict[str, Any]] = field(default_factory=list)
    group: str = "files"
    mutations: int = 0
    failures: list[Failure] = field(default_factory=list)
    full: bool = False
    read_paths: set[str] = field(default_factory=set)
    globbed: dict[str, list[str]] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    _cache: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.root = self.root.rstrip("/")

    # ---------------------------------------------------------------- what is there

    def cached(self, name: str, make: Callable[[], Any]) -> Any:
        """The value of `make`, computed once until :meth:`forget`."""
        if name not in self._cache:
            self._cache[name] = make()
        return self._cache[name]

    def forget(self) -> None:
        """Drop all caches: the host has changed."""
        self._cache.clear()

    @property
    def container(self) -> bool:
        """Whether this is a container, which shares its kernel with others."""
        return bool(self.cached("container", lambda: journals.in_container(self.root)))

    def stat(self, path: str) -> Meta | None:
        """Kind, mode and owner of `path` as planned; None where there is nothing."""
        pending = self.overlay.get(path)
        if pending is not None and pending.removed:
            return None
        try:
            found = os.lstat(self.root + path)
        except (FileNotFoundError, NotADirectoryError):
            if pending is None or pending.content is None:
                return None
            return Meta("file", pending.mode or 0o644, pending.uid or 0, pending.gid or 0, len(pending.content))
        kind = (
            "file" if stat.S_ISREG(found.st_mode) else "directory" if stat.S_ISDIR(found.st_mode)
            else "link" if stat.S_ISLNK(found.st_mode) else "other"
        )  # fmt: skip
        meta = Meta(kind, stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid, found.st_size)
        if pending is not None:
            meta.kind = "file" if pending.content is not None else meta.kind
            meta.mode = pending.bits(meta.mode)
            meta.uid = meta.uid if pending.uid is None else pending.uid
            meta.gid = meta.gid if pending.gid is None else pending.gid
        return meta

    def exists(self, path: str) -> bool:
        """Whether something that can be followed is at `path`."""
        if path in self.overlay:
            return not self.overlay[path].removed
        return os.path.exists(self.root + path)

    def content(self, path: str) -> bytes | None:
        """The planned content of the file at `path`; None where there is no file.

        :raises HostError: when `path` is a directory or a device, or cannot be read.
        """
        self.read_paths.add(path)
        pending = self.overlay.get(path)
        if pending is not None:
            if pending.removed:
                return None
            if pending.content is not None:
                return pending.content
        return self.cached(f"content:{path}", lambda: self._read(path))  # type: ignore[no-any-return]

    def _read(self, path: str) -> bytes | None:
        real = self.root + path
        try:
            found = os.stat(real)
            if not stat.S_ISREG(found.st_mode):
                kind = "a directory" if stat.S_ISDIR(found.st_mode) else "not a regular file"
                raise HostError(
                    f"{show(path)} is {kind}; a configuration file belongs there. Move it away and run again."
                )
            if found.st_size > 32 << 20:
                raise HostError(f"{show(path)} has {found.st_size >> 20} MB, which no configuration file has.")
            return Path(real).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise HostError(f"{show(path)} cannot be read: {error.strerror}") from error

    def text(self, path: str) -> str | None:
        """The planned text of `path`; bytes that are not UTF-8 survive a round trip."""
        content = self.content(path)
        return None if content is None else content.decode("utf-8", "surrogateescape")

    def glob(self, pattern: str) -> list[str]:
        """Paths that match, planned ones included, sorted by name."""
        found = self.cached(
            f"glob:{pattern}", lambda: [one[len(self.root) :] for one in glob.glob(self.root + pattern)]
        )
        names = {one for one in found if not (one in self.overlay and self.overlay[one].removed)}
        depth = pattern.count("/")
        names |= {
            path
            for path, pending in self.overlay.items()
            if not pending.removed and pending.content is not None and path.count("/") == depth
            and fnmatch.fnmatchcase(path, pattern)
        }  # fmt: skip
        self.globbed[pattern] = sorted(names)
        return sorted(names)

    @property
    def packages(self) -> dict[str, str]:
        """Installed packages and their versions, from dpkg's database."""

        def parse() -> dict[str, str]:
            try:
                return dpkg.read(self.root).installed
            except OSError as error:
                raise HostError(f"dpkg's database cannot be read: {error.strerror}") from error

        return self.cached("packages", parse)  # type: ignore[no-any-return]

    def users(self) -> list[list[str]]:
        """The lines of /etc/passwd as lists of seven fields."""
        return [one.split(":") for one in (self.text("/etc/passwd") or "").splitlines() if one.count(":") == 6]

    def uid(self, name: str) -> int | None:
        """The number of an account; None where it does not exist."""
        return next((int(one[2]) for one in self.users() if one[0] == name), None)

    def gid(self, name: str) -> int | None:
        """The number of a group; None where it does not exist."""
        lines = (one.split(":") for one in (self.text("/etc/group") or "").splitlines())
        return next((int(one[2]) for one in lines if len(one) > 2 and one[0] == name), None)

    def owner(self, number: int) -> str:
        """The name of an account number, or the number."""
        return next((one[0] for one in self.users() if one[2] == str(number)), str(number))

    def group_name(self, number: int) -> str:
        """The name of a group number, or the number."""
        lines = (one.split(":") for one in (self.text("/etc/group") or "").splitlines())
        return next((one[0] for one in lines if len(one) > 2 and one[2] == str(number)), str(number))

    @property
    def systemd(self) -> bool:
        """Whether systemd runs this host."""
        return os.path.isdir(self.root + "/run/systemd/system")

    def unit(self, name: str) -> UnitState:
        """State of a unit; all units that were asked for come from one call of systemctl."""
        known: dict[str, UnitState] = self.cached("units", dict)
        if name not in known:
            wanted = sorted({name, *self._cache.get("unit names", [])})
            known.update(self._units(wanted))
        return known[name]

    def units(self) -> dict[str, UnitState]:
        """The units that were announced, and their states."""
        return {name: self.unit(name) for name in self._cache.get("unit names", [])}

    def expect_units(self, names: list[str]) -> None:
        """Name the units that controls will ask for, so that one call answers for all."""
        self._cache["unit names"] = names

    def _units(self, names: list[str]) -> dict[str, UnitState]:
        found = {name: UnitState("missing", False) for name in names}
        if not self.systemd or self.root:
            for name in names:
                if any(
                    os.path.exists(f"{self.root}{d}/{name}") for d in ("/etc/systemd/system", "/usr/lib/systemd/system")
                ):
                    wants = glob.glob(f"{self.root}/etc/systemd/system/*.wants/{name}")
                    mask = f"{self.root}/etc/systemd/system/{name}"
                    masked = os.path.islink(mask) and os.readlink(mask) == "/dev/null"
                    found[name] = UnitState("masked" if masked else "enabled" if wants else "disabled", False)
            return found
        asked = ("Id", "Names", "LoadState", "UnitFileState", "ActiveState", "MainPID")
        try:
            told = systemd.show(names, asked, self.run)
        except systemd.UnitsError as error:
            raise HostError(f"systemd does not tell the states of its units: {error}") from error
        for name, values in told.items():
            state = values.get("UnitFileState", "")
            load = values.get("LoadState", "")
            enabled = "masked" if load == "masked" else "missing" if load == "not-found" else state or "static"
            active = values.get("ActiveState") in journals.RUNNING
            process = values.get("MainPID", "0")
            forgotten = (
                not active and values.get("ActiveState") != "deactivating" and os.path.exists(f"/proc/{process}")
            )
            found[name] = UnitState(enabled, active, int(process) if forgotten else 0)
        return found

    def sysctl(self, key: str) -> str | None:
        """The running value of a kernel setting; None where this kernel does not show it."""
        with contextlib.suppress(OSError):
            return Path("/proc/sys/" + key.replace(".", "/")).read_text("ascii").strip() if not self.root else None
        return None

    def owns_sysctl(self, key: str) -> bool:
        """Whether a running value is this host's own: in a container only ``net.*`` is, and that only where it can be
        written."""
        if not self.container:
            return True
        with contextlib.suppress(OSError):
            return key.startswith("net.") and not os.statvfs("/proc/sys/net").f_flag & os.ST_RDONLY
        return False

    # ---------------------------------------------------------------- what is planned

    def write(self, path: str, text: str, mode: int | None = None) -> None:
        """Plan the content of a file; an existing file keeps mode and owner, a new one is root's with 0644."""
        content = text.encode("utf-8", "surrogateescape")
        meta = self.stat(path)
        if meta is not None and meta.kind == "directory":
            raise HostError(
                f"{show(path)} is a directory; a configuration file belongs there. Move it away and run again."
            )
        if self.content(path) == content and (meta is None or meta.kind != "link"):
            return
        pending = self.overlay.setdefault(path, Pending())
        pending.content, pending.removed, pending.group = content, False, self._group(path)
        if meta is None or meta.kind != "file":
            pending.mode, pending.uid, pending.gid = mode if mode is not None else 0o644, 0, 0
        elif mode is not None:
            pending.mode = mode
        self.mutations += 1

    def _group(self, path: str) -> str:
        known = self.overlay.get(path)
        if known is not None and known.group != "files":
            return known.group
        if self.group == "files":
            return next((group for place, group in ACCESS_PATHS.items() if path.startswith(place)), self.group)
        return self.group

    def remove(self, path: str) -> None:
        """Plan the removal of a file."""
        if self.stat(path) is not None:
            self.overlay[path] = Pending(removed=True, group=self._group(path))
            self.mutations += 1

    def want_link(self, path: str, target: str) -> None:
        """Plan a symbolic link."""
        real = self.root + path
        if os.path.islink(real) and os.readlink(real) == target:
            return
        self.overlay[path] = Pending(link=target, content=b"", group=self.group)
        self.mutations += 1

    def set_meta(
        self,
        path: str,
        mode: int | None = None,
        uid: int | None = None,
        gid: int | None = None,
        acl: bytes | None = None,
        clear: int = 0,
        add: int = 0,
        was: os.stat_result | None = None,
    ) -> None:
        """Plan mode, owner, group or the default access control list of what is at `path`.

        :param clear: bits to take from the mode that is found when the change is made; `add` those to give to it.
        :param was: the status of what the plan is made for.
        """
        pending = self.overlay.setdefault(path, Pending())
        if pending.group == "files":
            pending.group = self.group
        pending.clear |= clear
        pending.add |= add
        if was is not None:
            pending.was = (was.st_dev, was.st_ino)
        if mode is not None:
            pending.mode = mode
        if uid is not None:
            pending.uid = uid
        if gid is not None:
            pending.gid = gid
        if acl is not None:
            pending.acl = acl
        self.mutations += 1

    def want_unit(self, name: str, **state: Any) -> None:
        """Plan a unit's state: enabled (bool), active (bool), masked (bool)."""
        self.units_wanted.setdefault(name, {}).update(state, group=self.group)
        self.mutations += 1

    def want_sysctl(self, key: str, value: str) -> None:
        """Plan a running value, where it is this host's own."""
        if self.root or not self.owns_sysctl(key):
            return
        self.sysctls_wanted[key] = (value, self.group)
        self.mutations += 1

    def want_package(self, name: str, state: str) -> None:
        """Plan a package to be `present` or `absent`."""
        self.packages_wanted[name] = state
        self.mutations += 1

    def want_command(
        self, argv: list[str], guards: list[str], undo: list[str] | None = None, reload: list[str] | None = None
    ) -> None:
        """Plan a command that changes the files matching `guards`, which are journaled first.

        :param undo: run before the files are restored; `reload` takes the restored files into use again.
        """
        if not any(one["argv"] == argv for one in self.commands):
            one = {"argv": argv, "guards": guards, "undo": undo, "reload": reload, "group": self.group}
            self.commands.append(one)
            self.mutations += 1

    def activate(self, what: str) -> None:
        """Ask for a service or subsystem to take its new files into use after the commit."""
        self.activations.setdefault(what, self.group)

    # ---------------------------------------------------------------- the commit

    def diff(self) -> list[dict[str, str]]:
        """What the plan changes, for people: one part per file, then one for all that is not a file."""
        parts: list[dict[str, str]] = []
        for path, pending in sorted(self.overlay.items()):
            before = self._before_text(path)
            after = before if pending.content is None else pending.content.decode("utf-8", "replace")
            after = "" if pending.removed else after
            after = f"link to {pending.link}\n" if pending.link is not None else after
            name = show(path)
            if before != after and journals.is_secret(path, self._mode_shown(path, pending)):
                before, after = "(secret)\n" if before else "", "(secret, changed)\n" if after else ""
            meta = self._meta_lines(path, pending)
            if before != after or meta:
                parts.append(
                    {
                        "before_header": name,
                        "after_header": name,
                        "before": meta[0] + before if meta else before,
                        "after": meta[1] + after if meta else after,
                    }
                )
        rest = [f"package {name}: {state}\n" for name, state in sorted(self.packages_wanted.items())]
        rest += [f"sysctl {key} = {value}\n" for key, (value, _) in sorted(self.sysctls_wanted.items())]
        for unit, state in sorted(self.units_wanted.items()):
            rest.append(
                f"unit {unit}: " + ", ".join(f"{k}={v}" for k, v in sorted(state.items()) if k != "group") + "\n"
            )
        rest += [f"command {' '.join(one['argv'])}\n" for one in self.commands]
        if rest:
            parts.append({"before_header": "host", "after_header": "host", "before": "", "after": "".join(rest)})
        return parts

    def _mode_shown(self, path: str, pending: Pending) -> int | None:
        """The permission bits of what is there, or of the file that is to come."""
        with contextlib.suppress(OSError):
            return stat.S_IMODE(os.lstat(self.root + path).st_mode)
        return pending.mode

    def _before_text(self, path: str) -> str:
        with contextlib.suppress(OSError):
            found = os.lstat(self.root + path)
            if stat.S_ISREG(found.st_mode) and found.st_size < 1 << 20 and self.overlay[path].content is not None:
                return Path(self.root + path).read_bytes().decode("utf-8", "replace")
        return ""

    def _meta_lines(self, path: str, pending: Pending) -> tuple[str, str] | None:
        with contextlib.suppress(OSError):
            found = os.lstat(self.root + path)
            old = (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid)
            new = (
                pending.bits(old[0]),
                old[1] if pending.uid is None else pending.uid,
                old[2] if pending.gid is None else pending.gid,
            )
            if old != new or pending.acl is not None:
                limits = "" if pending.acl is None else " with a default ACL that limits new files"
                return (
                    f"mode {old[0]:04o} owner {old[1]} group {old[2]}\n",
                    f"mode {new[0]:04o} owner {new[1]} group {new[2]}{limits}\n",
                )
        return None

    def summary(self) -> list[str]:
        """The unified difference of the plan as lines, for logs and tests."""
        lines: list[str] = []
        for part in self.diff():
            lines += difflib.unified_diff(
                part["before"].splitlines(),
                part["after"].splitlines(),
                part["before_header"],
                part["after_header"],
                lineterm="",
            )
        return lines

    def groups(self) -> set[str]:
        """The groups that the plan touches."""
        return (
            {one.group for one in self.overlay.values()}
            | {one["group"] for one in self.units_wanted.values()}
            | {group for _, group in self.sysctls_wanted.values()}
            | {one["group"] for one in self.commands}
        )

    def commit(self, journal: journals.Journal) -> list[str]:
        """Journal the planned files, sysctls and units, then make them so.

        A path that cannot be written keeps only itself from being changed: it is in :attr:`failures`. A disk without
        room stops everything that follows (:attr:`full`).

        :returns: what could not be done, a sentence each. What was done is in the journal in any case.
        """
        problems: list[str] = []
        self.failures = []
        entries, before = self._announce(journal)
        journal.add(entries)
        for path, pending in sorted(self.overlay.items()):
            if self.full:
                reason = f"{show(path)} was not written: the disk is full"
                self.failures.append(Failure(path, pending.group, reason, tried=False))
                continue
            try:
                self._apply(path, pending, before[path])
            except OSError as error:
                reason = f"{show(path)} could not be written: {error.strerror}"
                self.failures.append(Failure(path, pending.group, reason))
                self.full = error.errno in FULL
        for key, (value, _) in self.sysctls_wanted.items():
            try:
                Path("/proc/sys/" + key.replace(".", "/")).write_text(value, "ascii")
            except OSError as error:
                problems.append(f"sysctl {key} could not be set to {value}: {error.strerror}")
        self.overlay.clear()
        self.sysctls_wanted.clear()
        units, self.units_wanted = self.units_wanted, {}
        if not self.full:
            problems += self._apply_units(units)
            journal.seal(entries)
        self.forget()
        return [*(one.reason for one in self.failures if one.tried), *problems]

    def _announce(self, journal: journals.Journal) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
        """The journal's entries for the plan, and what is at its paths now. What cannot be looked at is taken out of
        the plan."""
        entries: list[dict[str, Any]] = []
        known: dict[str, dict[str, Any]] = {}
        for path, pending in sorted(self.overlay.items()):
            try:
                parents = self._parents(path, pending, journal)
                before = journal.before(path, content=pending.content is not None or pending.removed)
            except OSError as error:
                self.failures.append(Failure(path, pending.group, f"{show(path)} could not be read: {error.strerror}"))
                del self.overlay[path]
                continue
            known[path] = before
            meant = self._meant(pending, before)
            entries += [
                *parents,
                {"kind": "file", "group": pending.group, "path": path, "before": before, "meant": meant},
            ]
        for key, (value, group) in self.sysctls_wanted.items():
            was = self.sysctl(key) or ""
            entries.append({"kind": "sysctl", "group": group, "key": key, "value": was, "set": value})
        for unit, state in self.units_wanted.items():
            for path in self._enablement(unit):
                entries.append({"kind": "file", "group": state["group"], "path": path, "before": journal.before(path)})
            found = self.unit(unit)
            if found.enabled != "missing" or state.get("masked"):
                entries.append({"kind": "unit", "group": state["group"], "unit": unit, "active": found.active})
        return entries, known

    @staticmethod
    def _meant(pending: Pending, before: dict[str, Any]) -> dict[str, Any]:
        """The state that a path is about to get, for a rollback after the run was cut off."""
        if pending.removed:
            return {"type": "absent"}
        if pending.link is not None:
            return {"type": "link", "target": pending.link, "mode": 0o777, "uid": 0, "gid": 0}
        file = before["type"] == "file"
        meant = {
            **{key: value for key, value in before.items() if key not in ("blob", "digest", "mtime_ns")},
            "mode": pending.bits(before["mode"] if file or (pending.content is None and "mode" in before) else 0o644),
            "uid": pending.uid if pending.uid is not None else before.get("uid", 0),
            "gid": pending.gid if pending.gid is not None else before.get("gid", 0),
        }
        if pending.content is not None:
            meant |= {"type": "file", "digest": hashlib.sha256(pending.content).hexdigest()}
        return meant

    def _parents(self, path: str, pending: Pending, journal: journals.Journal) -> list[dict[str, Any]]:
        missing: list[str] = []
        parent = os.path.dirname(path)
        while pending.content is not None and not os.path.isdir(self.root + parent):
            missing.append(parent)
            parent = os.path.dirname(parent)
        return [
            {"kind": "file", "group": pending.group, "path": one, "before": journal.before(one)}
            for one in missing[::-1]
        ]

    def _enablement(self, unit: str) -> list[str]:
        places = [f"/etc/systemd/system/{unit}", *self._links(unit)]
        for directory in ("/etc/systemd/system", "/usr/lib/systemd/system"):
            with contextlib.suppress(OSError):
                text = Path(f"{self.root}{directory}/{unit}").read_text("utf-8", "replace")
                for target in re.findall(r"^(WantedBy|RequiredBy)=(.*)$", text, re.MULTILINE):
                    suffix = "wants" if target[0] == "WantedBy" else "requires"
                    places += [f"/etc/systemd/system/{one}.{suffix}/{unit}" for one in target[1].split()]
                for names in re.findall(r"^Alias=(.*)$", text, re.MULTILINE):
                    places += [f"/etc/systemd/system/{one}" for one in names.split()]
        places += [os.path.dirname(one) for one in places if re.search(rf"\.(wants|requires)/{re.escape(unit)}$", one)]
        name = unit.removesuffix(".service")
        if os.path.exists(f"{self.root}/etc/init.d/{name}"):  # systemctl enables its links as well
            places += [f"/etc/rc{level}.d/{kind}01{name}" for level in "0123456S" for kind in "SK"]
            places += [one[len(self.root) :] for one in glob.glob(f"{self.root}/etc/rc?.d/[SK][0-9][0-9]{name}")]
        return sorted(set(places), key=lambda one: one.count("/"))

    def _links(self, unit: str) -> list[str]:
        return [one[len(self.root) :] for one in glob.glob(f"{self.root}/etc/systemd/system/*.*s/{unit}")]

    def _apply(self, path: str, pending: Pending, before: dict[str, Any]) -> None:
        owners = before.get("owners", ())
        if pending.content is not None and pending.link is None and not pending.removed:
            file = before["type"] == "file"
            mode = pending.bits(before["mode"] if file else 0o644)
            uid, gid = (
                known if known is not None else before[key] if file else 0
                for known, key in ((pending.uid, "uid"), (pending.gid, "gid"))
            )
            xattrs = before.get("xattrs", {}) if file else {}
            journals.write_atomically(
                path, pending.content, mode, uid, gid, owners=owners, xattrs=xattrs, make=True, root=self.root
            )
            return
        try:
            with journals.opened(path, owners, make=pending.link is not None, root=self.root) as place:
                if pending.removed or pending.link is not None:
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(place.name, dir_fd=place.directory)
                    if pending.link is not None:
                        os.symlink(pending.link, place.name, dir_fd=place.directory)
                    return
                was = pending.was or (int(before.get("device", 0)), int(before.get("number", 0)))
                journals.change_at(place, pending.uid, pending.gid, pending.bits, was, pending.acl)
        except FileNotFoundError:  # a log that was rotated away since the walk
            return

    def _apply_units(self, units: dict[str, dict[str, Any]]) -> list[str]:
        problems: list[str] = []
        if self.root or not self.systemd or not units:
            return problems
        links: list[list[str]] = []
        actions: list[list[str]] = []
        for unit, state in units.items():
            if "masked" in state:
                links.append(["mask", "--now", unit] if state["masked"] else ["unmask", unit])
            if "enabled" in state:
                links.append(["enable" if state["enabled"] else "disable", unit])
            if "active" in state:
                actions.append(["start" if state["active"] else "stop", unit])
        # One reload for all: each takes a second of systemd's time on a busy host.
        problems += self._systemctl([["--no-reload", *one] for one in links])
        problems += journals.reload_units(self.run, self.root)
        return problems + self._systemctl(actions)

    def _systemctl(self, commands: list[list[str]]) -> list[str]:
        problems = []
        for one in commands:
            code, output = self.run(["systemctl", *one])
            if code:
                problems.append(f"systemctl {' '.join(one)} failed ({code}): {output.strip()[-200:]}")
        return problems

    def fingerprint(self, path: str) -> str:
        """What a path is now, as text that changes when content, mode or owner do."""
        real = self.root + path
        try:
            found = os.lstat(real)
        except OSError:
            return "absent"
        base = f"{stat.S_IMODE(found.st_mode):04o} {found.st_uid}:{found.st_gid}"
        if stat.S_ISLNK(found.st_mode):
            return f"link to {os.readlink(real)}"
        if not stat.S_ISREG(found.st_mode):
            return f"directory {base}" if stat.S_ISDIR(found.st_mode) else f"other {base}"
        digest = "large"
        if found.st_size <= 4 << 20:
            try:
                digest = hashlib.sha256(Path(real).read_bytes()).hexdigest()
            except OSError as error:
                digest = f"unreadable ({error.strerror})"
        return f"file {base} {digest}"
