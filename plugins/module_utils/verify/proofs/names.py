"""The DNS service has its name servers answer for a zone as long as that is there."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.common import command
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.cloud import first_line
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.proofs.bench import Bench, ProofError, Tenant

SERVICE = "dns"
DIG = "/usr/bin/dig"
DIG_SECONDS = 20.0
POOLS = "/etc/designate/pools.yaml"
# An address for documentation (RFC 5737).
ADDRESS = "192.0.2.77"
ANSWERED = f"NOERROR {ADDRESS}"


@dataclass(frozen=True)
class Server:
    """A name server, as Designate asks it."""

    host: str
    port: int

    def answer(self, name: str) -> str:
        """Status and addresses that it answers with, as in ``NOERROR 192.0.2.1``.

        :raises ProofError: dig cannot be run.
        """
        flags = ["+norecurse", "+noauthority", "+noadditional", "+tries=1", "+time=3"]
        try:
            done = command.run([DIG, f"@{self.host}", "-p", str(self.port), *flags, name, "A"], DIG_SECONDS)
        except (OSError, command.CommandTimeoutError) as error:
            raise ProofError(f"dig cannot ask {self.host}: {first_line(error)}") from error
        return read(done.stdout) or f"no answer: {' '.join((done.stderr or done.stdout).split())[-200:]}"


def read(output: str) -> str:
    """Status and data of the answers in what dig prints; empty where there is no answer."""
    status = ""
    found: list[str] = []
    for line in output.splitlines():
        if "->>HEADER<<-" in line and "status: " in line:
            status = line.split("status: ")[1].split(",")[0]
        elif line and not line.startswith(";"):
            found.append(line.split(None, 4)[-1])
    return " ".join([status, *sorted(found)]).strip()


def servers(path: str) -> list[Server]:
    """The name servers of the default pool, from the file that Designate was told.

    :raises ProofError: the file cannot be read, or names none.
    """
    yaml = importlib.import_module("yaml")
    try:
        pools: list[dict[str, Any]] = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        found = [Server(str(one["host"]), int(one.get("port", 53))) for one in pools[0]["nameservers"]]
    except (OSError, yaml.YAMLError, ValueError, KeyError, IndexError, TypeError) as error:
        raise ProofError(f"the name servers cannot be read from {path}: {first_line(error)}") from error
    if not found:
        raise ProofError(f"{path} names no name server")
    return found


def _watch(bench: Bench, server: Server, name: str, wanted: str, what: str) -> None:
    seen = [""]

    def look() -> bool:
        seen[0] = server.answer(name)
        return seen[0] == wanted

    try:
        bench.wait(what, look)
    except ProofError as error:
        raise ProofError(f"{error}; {server.host} answers {seen[0]!r} and not {wanted!r}") from None


def _active(owner: Tenant, path: str) -> bool:
    state = str(owner.need(SERVICE, "GET", path, 200).body["status"])
    if state == "ERROR":
        raise ProofError(f"{path} gets the state ERROR; see the log of designate-worker")
    return state == "ACTIVE"


def prove(bench: Bench) -> list[str]:
    """Make a zone with a record, ask the name servers with dig, and again once the zone is removed.

    :raises ProofError: the service fails.
    """
    asked = servers(POOLS)
    # a top-level domain that is kept for such uses (RFC 2606)
    zone = f"{bench.name('zone')}.example."
    name = f"www.{zone}"
    with bench.tenant("other") as other, bench.tenant("owner") as owner:
        wanted = {"name": zone, "email": f"hostmaster@{zone[:-1]}", "ttl": 60}
        path = f"/v2/zones/{owner.need(SERVICE, 'POST', '/v2/zones', 202, json=wanted).body['id']}"
        try:
            record = {"name": name, "type": "A", "records": [ADDRESS]}
            owner.need(SERVICE, "POST", f"{path}/recordsets", 201, 202, json=record)
            bench.wait("a zone is active", lambda: _active(owner, path))
            for server in asked:
                _watch(bench, server, name, ANSWERED, f"a record of a zone at {server.host}")
            other.client.refused(SERVICE, "GET", path, "a project sees another one's zone")
        finally:
            owner.ask(SERVICE, "DELETE", path)
        bench.wait("a zone is removed", lambda: owner.ask(SERVICE, "GET", path).status == 404)
        for server in asked:
            _watch(bench, server, name, "REFUSED", f"a removed zone at {server.host}")
    hosts = ", ".join(server.host for server in asked)
    return [f"dig had a zone's record of {hosts}, and nothing once the zone was removed"]
