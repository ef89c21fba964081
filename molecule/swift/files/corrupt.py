"""Changes bytes in the middle of one stored object of the first policy, and remembers which file it was.

corrupt.py HOST

Every server that has to have this object has it already: replication compares names, so that a copy that another lacked
would be carried to it as it is.
"""

from __future__ import annotations

import pathlib
import sys

from swift.common.ring import Ring

BELOW = pathlib.Path("/srv/node")
RING = Ring("/etc/swift", ring_name="object")


def has_to_be_here(path: pathlib.Path) -> bool:
    """Whether the rings name its device for it."""
    device, _, partition = path.relative_to(BELOW).parts[:3]
    return f"{sys.argv[1]}/{device}" in [node["meta"] for node in RING.get_part_nodes(int(partition))]


found = sorted(path for path in BELOW.glob("*/objects/*/*/*/*.data") if path.stat().st_size > 1000)
path = next(filter(has_to_be_here, found))
with path.open("r+b") as stream:
    stream.seek(path.stat().st_size // 2)
    stream.write(b"\0" * 16)
# the auditor reads what it did not read before it was stopped, unless it forgets how far it was
for left in BELOW.glob("*/objects*/auditor_status_*.json"):
    left.unlink()
pathlib.Path("/var/tmp/corrupted").write_text(str(path))
