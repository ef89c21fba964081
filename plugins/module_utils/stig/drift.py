"""What is no longer as the last enforcement left it."""

from __future__ import annotations

import contextlib
import json
import os
import stat
from pathlib import Path
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.stig import findings
from ansible_collections.stackwright.cloud.plugins.module_utils.stig import journal as journals
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.host import Host, show

BASELINE = f"{journals.BASE}/enforced.json"
# What changes by itself and is no drift.
MOVING = ("/proc/", "/sys/", "/var/log/", "/run/", "/var/lib/dpkg/", "/var/cache/")


def remember(host: Host, journal: journals.Journal | None, run_id: str | None) -> None:
    """Keep what the enforced files are now, for the drift of later audits."""
    path = host.root + BASELINE
    own = {one["path"] for one in journal.entries() if one["kind"] == "file"} if journal else set()
    old: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError):
        old = json.loads(Path(path).read_bytes())
    if not journal and old:
        return
    paths = {
        one
        for one in host.read_paths | own | set(old.get("paths", {}))
        if not one.startswith(MOVING)
        and (one in host.read_paths or not one.startswith("/var/"))  # data that the packages keep
        and _small(host.root + one)
    }
    data = {
        "time": findings.now(),
        "run_id": run_id,
        "paths": {one: host.fingerprint(one) for one in sorted(paths)},
        "directories": {pattern: names for pattern, names in host.globbed.items() if pattern.startswith("/etc/")},
        "packages": sorted(host.packages),
    }
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    journals.write_atomically(path, json.dumps(data).encode(), 0o600, os.geteuid(), os.getegid())


def drift(host: Host) -> list[findings.Drift]:
    """What is no longer as the last enforcement left it."""
    try:
        data = json.loads(Path(host.root + BASELINE).read_bytes())
    except (OSError, ValueError):
        return []
    since = str(data["time"])
    found = []
    for path, was in data["paths"].items():
        fresh = host.fingerprint(path)
        if fresh != was:
            found.append(findings.Drift(show(path), describe_change(was, fresh), since))
    for pattern, names in data["directories"].items():
        found += [
            findings.Drift(show(one), "created", since)
            for one in host.glob(pattern)
            if one not in names and one not in data["paths"]
        ]
    now_installed = set(host.packages)
    found += [
        findings.Drift("package " + one, "removed", since) for one in sorted(set(data["packages"]) - now_installed)
    ]
    return found


def _small(path: str) -> bool:
    try:
        found = os.lstat(path)
    except OSError:
        return True
    return not stat.S_ISREG(found.st_mode) or found.st_size < 4 << 20


def describe_change(was: str, fresh: str) -> str:
    """How a fingerprint changed, in words."""
    if fresh == "absent":
        return "removed"
    if was == "absent":
        return "created"
    old, new = was.split(" "), fresh.split(" ")
    if old[0] != new[0]:
        return f"was a {old[0]}, is a {new[0]} now"
    if old[0] == "link":
        return f"points to {new[-1]} instead of {old[-1]}"
    parts = []
    if old[1:2] != new[1:2]:
        parts.append(f"mode {old[1]} became {new[1]}")
    if old[2:3] != new[2:3]:
        parts.append(f"owner {old[2]} became {new[2]}")
    if old[3:] != new[3:]:
        parts.append("content changed")
    return ", ".join(parts)
