"""One transaction of packages: what was there before it, what it changed, and nothing that others changed beside it."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.stig import apt, files
from ansible_collections.stackwright.cloud.plugins.module_utils.stig import journal as journals

# What a package transaction may change besides the packages' own files.
TREE = (
    "/etc",
    "/usr",
    "/var/lib",
    "/var/log",
    "/var/spool",
    "/var/cache",
    "/opt",
    "/root",
    "/home",
    "/srv",
    "/boot",
    "/run/log",
)
TREE_SKIPPED = {"/var/lib/stackwright", "/var/cache/apt", "/var/lib/apt/lists", *files.SKIPPED}
KEPT = (
    "/etc/",
    "/var/lib/apt/extended_states",
    "/var/lib/dpkg/",
    "/var/lib/pam/",
    "/var/lib/systemd/",
    "/var/lib/ucf/",
    "/var/cache/debconf/",
    "/var/cache/ldconfig/",
)
OF_PACKAGES = (
    "/etc/",
    "/usr/",
    "/boot/",
    "/var/lib/dpkg/",
    "/var/lib/ucf/",
    "/var/lib/pam/",
    "/var/lib/systemd/",
    "/var/lib/apt/extended_states",
    "/var/cache/debconf/",
    "/var/cache/ldconfig/",
)
DATA = ("/var/lib", "/var/cache", "/var/spool")


Facts = tuple[Any, ...]


def tree(root: str) -> dict[str, Facts]:
    """The directories that packages touch and every path below: kind, mode, owner, group, size and change time."""
    found: dict[str, Facts] = {}
    stack = [one for one in TREE if os.path.isdir(root + one)]

    def keep(path: str, status: os.stat_result) -> str:
        kind = "d" if stat.S_ISDIR(status.st_mode) else "f" if stat.S_ISREG(status.st_mode) else "l"
        mode = stat.S_IMODE(status.st_mode)
        found[path] = (kind, mode, status.st_uid, status.st_gid, status.st_size, status.st_mtime_ns)
        return kind

    for path in stack:
        keep(path, os.lstat(root + path))
    while stack:
        directory = stack.pop()
        try:
            with os.scandir(root + directory) as entries:
                for entry in entries:
                    path = f"{directory}/{entry.name}"
                    if path not in TREE_SKIPPED and keep(path, entry.stat(follow_symlinks=False)) == "d":
                        stack.append(path)
        except OSError:
            continue
    return found


class Brought:
    """Tells what maintainer scripts made or changed from what users and services did while packages were installed."""

    def __init__(self, listed: set[str], after: dict[str, Facts]) -> None:
        self.listed, self.after = listed, after
        self.made: set[str] = set()

    def touches(self, path: str) -> bool:
        """Whether a changed path is one of those that packages change, in directories that only root can change."""
        return (path.startswith(OF_PACKAGES) or path in TREE or path in self.listed) and self._roots(path)

    def makes(self, path: str) -> bool:
        """Whether a new path came with the packages and does not go with them by itself; ask for a directory before
        what is in it."""
        if path in self.listed and not path.startswith("/etc/"):
            return False  # dpkg removes it
        if path.startswith("/var/lib/dpkg/info/"):
            return False
        above = os.path.dirname(path)
        data = path.startswith(DATA) and (above in DATA or above in self.listed or above in self.made)
        if not (data or (path.startswith(OF_PACKAGES) and self._roots(path))):
            return False
        self.made.add(path)
        return True

    def _roots(self, path: str) -> bool:
        while path != "/":
            path = os.path.dirname(path)
            facts = self.after.get(path)
            if facts is not None and (facts[2] not in (0, os.geteuid()) or facts[1] & 0o002):
                return False
        return True


@dataclass
class Transaction:
    """A transaction in a run's journal: begin it before anything is changed, and close it when all is done."""

    entries: journals.Journal
    root: str
    before: dict[str, Facts] = field(default_factory=dict)
    kept: list[dict[str, Any]] = field(default_factory=list)
    line: dict[str, Any] = field(default_factory=dict)

    def begin(self, plan: apt.Plan, wanted: Iterable[str]) -> None:
        """Note what is there, so that a crash during the transaction still leads back.

        :param wanted: the packages that controls asked for.
        """
        self.before = tree(self.root)
        self.kept = [
            {"kind": "file", "group": "packages", "path": path, "before": self.entries.before(path)}
            for path, facts in self.before.items()
            if path.startswith(KEPT)
            and not path.startswith("/var/lib/dpkg/info/")
            and facts[0] == "f"
            and facts[4] < 8 << 20
        ]
        installed = journals._installed(self.root)
        self.line = {
            "kind": "packages",
            "group": "packages",
            "before": installed,
            "planned": sorted(plan.coming),
            "removing": sorted(plan.going),
        }
        self.entries.add([self.line])
        self.entries.write_head({**self.entries.head(), "packages": sorted(wanted)})
        # Journaled as files so that a crash during the transaction still leads back.
        self._rewrite([*self.kept, self.line])

    def _rewrite(self, lines: list[dict[str, Any]]) -> None:
        """Replace the journal as a whole. It is followed backwards: what comes before the packages is restored after
        them."""
        text = "".join(json.dumps(one, sort_keys=True) + "\n" for one in lines)
        path = f"{self.entries.directory}/journal.jsonl"
        journals.write_atomically(path, text.encode(), 0o600, os.geteuid(), os.getegid())

    def close(self) -> None:
        """Note what the packages changed, and nothing that users and services changed beside them."""
        root, transaction, before = self.root, self.line, self.before
        after = tree(root)
        installed = journals._installed(root)
        was = transaction["before"]
        came = {one.removesuffix(journals.CONFIGURATION) for one in set(installed) - set(was)} & {
            *transaction["planned"]
        }
        transaction |= {
            "came": sorted(came),
            "went": sorted(
                {one for one in set(was) - set(installed) if not one.endswith(journals.CONFIGURATION)}
                & {*transaction["removing"]}
            ),
            "upgraded": {
                one: [was[one], installed[one]]
                for one in transaction["planned"]
                if one in was and one in installed and was[one] != installed[one]
            },
        }
        leaving = journals.Leaving(transaction, root)
        brought = Brought({path for one in came for path in leaving._paths(one, "list")}, after)
        changed = [one for one in self.kept if after.get(one["path"]) != before[one["path"]]]
        known = {one["path"] for one in self.kept}
        metadata = [
            {
                "kind": "file",
                "group": "packages",
                "path": path,
                "before": {
                    "type": "directory" if facts[0] == "d" else "file",
                    "mode": facts[1],
                    "uid": facts[2],
                    "gid": facts[3],
                    "mtime_ns": facts[5],
                },
            }
            for path, facts in before.items()
            if path not in known
            and facts[0] in "fd"
            and path in after
            and after[path][:4] != facts[:4]
            and brought.touches(path)
        ]
        fresh = [
            {"kind": "file", "group": "packages", "path": path, "before": {"type": "absent"}}
            for path in sorted(after, key=lambda one: one.count("/"))
            if path not in before and brought.makes(path)
        ]
        transaction["state"] = sorted(
            path
            for path, facts in after.items()
            if facts[0] == "d" and path not in before and os.path.dirname(path) in before and path.startswith(DATA)
            and (path in brought.listed or path in brought.made)
        )  # fmt: skip
        lines = [*changed, *metadata, *fresh]
        for one in lines:
            one["left"] = self.entries.left(one)["state"]
        self._rewrite([*lines, transaction])
        self.entries.forget_blobs()
