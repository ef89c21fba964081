"""Compute nodes that registered themselves in a cell's database, and their mapping to the cell."""

from __future__ import annotations

import subprocess
import time
from typing import Any

MANAGE = ["/usr/sbin/runuser", "-u", "nova", "--", "/usr/bin/nova-manage", "cell_v2", "discover_hosts"]


def unmapped(connection: Any, database: str) -> dict[str, bool]:
    """Registered compute nodes by host name; the value says whether the node waits to be mapped."""
    import pymysql

    with connection.cursor() as cursor:
        try:
            cursor.execute(f"SELECT host, mapped FROM `{database}`.compute_nodes WHERE deleted = 0")
        except pymysql.err.ProgrammingError:
            # the schema is not there yet
            return {}
        return {str(host): not mapped for host, mapped in cursor.fetchall()}


def wait_for(connection: Any, database: str, hosts: list[str], timeout: float) -> tuple[dict[str, bool], list[str]]:
    """Wait until all hosts registered; return the nodes as :func:`unmapped` does, and the hosts that are missing in the end."""
    deadline = time.monotonic() + timeout
    while True:
        nodes = unmapped(connection, database)
        missing = [host for host in hosts if host not in nodes]
        if not missing or time.monotonic() > deadline:
            return nodes, missing
        time.sleep(1)


def discover() -> str:
    """Map what waits to be mapped; return what went wrong, or nothing."""
    done = subprocess.run(MANAGE, capture_output=True, text=True, check=False, cwd="/")
    return "" if done.returncode == 0 else " | ".join((done.stderr or done.stdout).strip().splitlines()[-3:])
