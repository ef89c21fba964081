"""Prints the settings of this machine's kernel that its containers share, as JSON, apart from those that change by
themselves."""

from __future__ import annotations

import json
import pathlib

# Counters, random numbers, what follows the load, and the interpreters that any container's packages register;
# `hostname` and the like have a value per container.
MOVING = (
    "fs/aio-nr",
    "fs/binfmt_misc",
    "fs/dentry-state",
    "fs/file-nr",
    "fs/inode-nr",
    "fs/inode-state",
    "fs/quota",
    "kernel/ns_last_pid",
    "kernel/pty/nr",
    "kernel/random",
    "kernel/tainted",
    "kernel/cap_last_cap",
    "kernel/hostname",
    "kernel/domainname",
    "kernel/perf_event_max_sample_rate",
)


def settings() -> dict[str, str]:
    """Every readable value below kernel, fs and vm."""
    found = {}
    for area in ("kernel", "fs", "vm"):
        for path in sorted(pathlib.Path("/proc/sys", area).rglob("*")):
            name = str(path.relative_to("/proc/sys"))
            if path.is_file() and not name.startswith(MOVING):
                try:
                    found[name] = path.read_text("utf-8", "replace")
                except OSError:  # to be written only, or not for this kernel
                    continue
    return found


if __name__ == "__main__":
    print(json.dumps(settings()))
