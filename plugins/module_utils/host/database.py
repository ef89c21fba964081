"""What lies in the directory of a database server on this host. Reads only, and without the server.

Runs on targets too old for the rest, to say so: kept to what Python 3.8 understands.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

DATA = "/var/lib/mysql"
NOBODY = "00000000-0000-0000-0000-000000000000"
SYSTEM = frozenset({"mysql", "performance_schema", "sys", "test"})


def grastate(text: str) -> tuple[str, int, bool]:
    """UUID, position and mark in the text of `grastate.dat`; the UUID is empty where there is none."""
    said = dict(re.findall(r"(?m)^(\w+):\s*(\S+)\s*$", text))
    uuid = "" if said.get("uuid", NOBODY) == NOBODY else said["uuid"]
    number = said.get("seqno", "-1")
    return uuid, int(number) if re.fullmatch(r"-?\d+", number) else -1, said.get("safe_to_bootstrap") == "1"


def own_databases(data: Path = Path(DATA)) -> tuple[str, ...]:
    """Names of the databases in a directory that are not the server's own."""
    return tuple(sorted(path.parent.name for path in data.glob("*/db.opt") if path.parent.name not in SYSTEM))


def look(data: Path = Path(DATA)) -> dict[str, Any]:
    """UUID of the cluster that the data belongs to, empty where it belongs to none, and names of its databases."""
    try:
        text = (data / "grastate.dat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    return {"uuid": grastate(text)[0], "databases": list(own_databases(data))}
