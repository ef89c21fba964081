"""Heartbeat of OVN: every chassis and metadata agent answers a question that is put now.

Raising ``nb_cfg`` in the northbound database makes ovn-northd copy the number to the southbound one, where each
ovn-controller writes it into its row of ``Chassis_Private`` when it has caught up, and each metadata agent into that
row's external ids (after a random delay of up to half of Neutron's agent_down_time). Neutron does the same to tell
agents alive, but believes them for another 75 s.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.host.systemd import Runner
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.health import excerpt, run_command

METADATA_KEY = "neutron:ovn-metadata-sb-cfg"


class OvnError(Exception):
    """A database or ovn-northd does not answer; the text says which, and what to do."""


@dataclass(frozen=True)
class Chassis:
    """The last question a node answered: by ovn-controller, by the metadata agent (``None`` where there is none)."""

    host: str
    controller: int
    metadata: int | None


@dataclass
class Answers:
    """The question's number, the chassis, and a sentence for each that has not answered."""

    number: int
    chassis: list[Chassis] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0


def ovn(run: Runner, program: str, database: str, arguments: Sequence[str]) -> str:
    """Run ovn-nbctl or ovn-sbctl; raise :class:`OvnError` when it fails."""
    command = [program, "--timeout=15", *([f"--db={database}"] if database else []), *arguments]
    status, output = run(command)
    if status:
        which = "northbound" if program == "ovn-nbctl" else "southbound"
        raise OvnError(
            f"OVN's {which} database or ovn-northd does not answer ({program}: status {status}, {excerpt(output)}). "
            "See the units ovn-ovsdb-server-nb, ovn-ovsdb-server-sb and ovn-northd."
        )
    return output


def ask(run: Runner, database: str) -> int:
    """Put a new question and wait until ovn-northd has passed it on; return its number."""
    ovn(run, "ovn-nbctl", database, ["--wait=sb", "sync"])
    return int(ovn(run, "ovn-nbctl", database, ["get", "NB_Global", ".", "nb_cfg"]).strip())


def rows(text: str) -> list[dict[str, Any]]:
    """Rows of ``ovn-sbctl --format=json``, with OVSDB's maps and sets as dictionaries and lists."""

    def plain(value: Any) -> Any:
        if isinstance(value, list) and len(value) == 2 and value[0] == "map":
            return dict(value[1])
        if isinstance(value, list) and len(value) == 2 and value[0] == "set":
            return [plain(entry) for entry in value[1]]
        if isinstance(value, list) and len(value) == 2 and value[0] == "uuid":
            return value[1]
        return value

    table = json.loads(text)
    return [dict(zip(table["headings"], map(plain, row), strict=True)) for row in table["data"]]


def read_chassis(run: Runner, database: str) -> list[Chassis]:
    """What each chassis answered last."""
    listing = ["--format=json", "--no-leader-only"]
    hosts = {
        row["name"]: row["hostname"]
        for row in rows(ovn(run, "ovn-sbctl", database, [*listing, "--columns=name,hostname", "list", "Chassis"]))
    }
    private = rows(
        ovn(run, "ovn-sbctl", database, [*listing, "--columns=name,nb_cfg,external_ids", "list", "Chassis_Private"])
    )
    return [
        Chassis(
            hosts.get(row["name"], row["name"]),
            int(row["nb_cfg"]),
            int(row["external_ids"][METADATA_KEY]) if METADATA_KEY in row["external_ids"] else None,
        )
        for row in private
    ]


def short(host: str) -> str:
    """A host's name in lower case and without its domain."""
    return host.split(".")[0].lower()


def judge(number: int, chassis: Sequence[Chassis], controllers: Sequence[str], metadata: Sequence[str]) -> list[str]:
    """Name every host whose ovn-controller or metadata agent has not answered question ``number``, or is not there."""
    by_host = {short(one.host): one for one in chassis}
    problems = []
    for host in dict.fromkeys([*controllers, *metadata]):
        one = by_host.get(short(host))
        if one is None:
            problems.append(f"ovn-controller on {host}: not registered in OVN's southbound database")
            continue
        if one.controller < number and host in controllers:
            problems.append(f"ovn-controller on {host}: no answer (last {one.controller}, asked {number})")
        if host in metadata and one.metadata is None:
            problems.append(f"neutron-ovn-metadata-agent on {host}: not registered in OVN's southbound database")
        elif host in metadata and (one.metadata or 0) < number:
            problems.append(f"neutron-ovn-metadata-agent on {host}: no answer (last {one.metadata}, asked {number})")
    return problems


def heartbeat(
    controllers: Sequence[str],
    metadata: Sequence[str],
    timeout: float,
    question: int | None = None,
    northbound: str = "",
    southbound: str = "",
    run: Runner = run_command,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Answers:
    """Put a question (or take up ``question`` put before) and wait until all hosts have answered or time is up."""
    start = now()
    answers = Answers(ask(run, northbound) if question is None else question)
    while True:
        answers.chassis = read_chassis(run, southbound)
        answers.problems = judge(answers.number, answers.chassis, controllers, metadata)
        answers.seconds = now() - start
        if not answers.problems or answers.seconds >= timeout:
            return answers
        sleep(0.5)
