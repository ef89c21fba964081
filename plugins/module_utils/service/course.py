"""A host's plan as the phases of one call, in their order."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Part = dict[str, Any]
REGISTRATION = "The identity service knows the services"
RUN = "The services run"


@dataclass(frozen=True)
class Wishes:
    """What is asked beside the plan: see the options of the module ``services``."""

    sources: Sequence[str] | None = None
    elsewhere: Collection[str] = ()
    parallel: int = 2
    timeout: int = 300


def _part(phase: str, title: str, **arguments: Any) -> Part:
    return {"phase": phase, "title": title, "arguments": arguments}


def first(packages: Sequence[str], facts: Mapping[str, Any], wishes: Wishes) -> list[Part]:
    """What comes before the plan is sure: packages, and what the machine can do.

    :param facts: what is asked of the machine, as the module ``compute_probe`` takes it.
    """
    sources = {} if wishes.sources is None else {"sources": list(wishes.sources)}
    found = []
    if packages or sources:
        found.append(
            _part("packages", "The packages of this host's services are installed", names=list(packages), **sources)
        )
    if facts:
        found.append(_part("facts", "What the machine can do is found out", **{"kvm": False, **facts}))
    return found


def rest(plan: Mapping[str, Any], wishes: Wishes, variable: Callable[[str], Any]) -> list[list[Part]]:
    """What the plan says, by stages. Hosts that need each other are at the same stage; a stage may be empty.

    :param variable: works out a variable of the host, and is asked for no more than is needed.
    """
    stages = [_alone(plan, wishes, variable)]
    for level in plan["early"]:
        answer = "The services answer that others need to start"
        stages += _level(level, wishes, "The services run that others need to start", answer)
    registration = []
    if plan["identity"]:
        asked = {
            "auth": variable("stackwright_administrator"),
            "ca_cert": variable("stackwright_ca_file"),
            "document": plan["identity"],
        }
        registration.append(_part("registration", REGISTRATION, **asked))
    return [*stages, registration, *_level(plan, wishes, RUN, "The services answer")]


def _alone(plan: Mapping[str, Any], wishes: Wishes, variable: Callable[[str], Any]) -> list[Part]:
    """What waits for no other host."""
    found = []
    if plan["files"]:
        title = "The services' configuration is written"
        found.append(_part("files", title, files=plan["files"], secrets=plan["secrets"]))
    # behind the file from which the switch takes its name again whenever it starts
    if plan["switch"]:
        found.append(_part("switch", "Open vSwitch is set, and its bridges exist", **plan["switch"]))
    if plan["databases"] and "databases" not in wishes.elsewhere:
        asked = {"databases": plan["databases"], "hosts": variable("services_database_clients")}
        found.append(_part("databases", "The services' databases exist", **asked))
    if plan["messaging"] and "messaging" not in wishes.elsewhere:
        found.append(_part("messaging", "The services may use the message queue", users=plan["messaging"]))
    if plan["bootstrap"]:
        asked = {"steps": plan["bootstrap"], "parallel": wishes.parallel}
        found.append(_part("steps", "The services' schemas, keys and cells are current", **asked))
    return found


def need_each_other(stages: Sequence[Sequence[Part]]) -> bool:
    """Whether hosts with such stages wait for others of them: for steps, or a service that they make up together."""
    return any(part["phase"] in ("steps", "registration", "health") for stage in stages for part in stage)


def turn(due: Mapping[str, Any], timeout: int) -> list[Part]:
    """What is done when it is a host's turn to restart what was held."""
    wishes = Wishes(timeout=timeout)
    run, answer = "The services are restarted, host by host", "The services answer after their restart"
    return [part for stage in _level(due, wishes, run, answer) for part in stage]


def _level(level: Mapping[str, Any], wishes: Wishes, run: str, answer: str) -> list[list[Part]]:
    """Units and health of components that run at the same time, a stage each."""
    units = [_part("units", run, units=level["units"], timeout=wishes.timeout)] if level["units"] else []
    health = [_part("health", answer, checks=level["health"], timeout=wishes.timeout)] if level["health"] else []
    return [units, health]


def without_turns(plan: Mapping[str, Any]) -> dict[str, Any]:
    """A plan whose components are restarted at once, since there is no other host to serve meanwhile."""
    levels = [_at_once(level) for level in plan["early"]]
    return {**plan, **_at_once(plan), "early": levels}


def _at_once(level: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: [{name: value for name, value in one.items() if name != "rolling"} for one in level[key]]
        for key in ("units", "health")
    }
