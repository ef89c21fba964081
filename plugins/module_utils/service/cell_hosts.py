"""Compute nodes that registered themselves in a cell's database, and their mapping to the cell."""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.common import command

# Seconds in which nova-manage maps what waits for it.
DISCOVER_SECONDS = 300.0
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


def short(host: str) -> str:
    """A host's name in small letters and without its domain, as Nova's own checks compare names."""
    return host.split(".")[0].lower()


def wait_for(
    connection: Any, database: str, hosts: list[str], timeout: float
) -> tuple[dict[str, bool], list[str], list[str]]:
    """Wait until all hosts registered, under their name or one that differs from it by domain or capitals.

    :returns: the hosts, each with whether it waits to be mapped; the hosts that are missing in the end; the names of
        all nodes that did register.
    """
    deadline = time.monotonic() + timeout
    while True:
        nodes = unmapped(connection, database)
        by_short = {short(name): waits for name, waits in nodes.items()}
        found = {host: nodes.get(host, by_short.get(short(host), True)) for host in hosts if short(host) in by_short}
        missing = [host for host in hosts if host not in found]
        if not missing or time.monotonic() > deadline:
            return found, missing, sorted(nodes)
        time.sleep(1)


def discover() -> str:
    """Map what waits to be mapped; return what went wrong, or nothing."""
    try:
        done = command.run(MANAGE, DISCOVER_SECONDS, directory="/")
    except (command.CommandTimeoutError, OSError) as error:
        return str(error)
    return "" if done.returncode == 0 else " | ".join((done.stderr or done.stdout).strip().splitlines()[-3:])
