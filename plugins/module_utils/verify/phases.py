"""The phases of a host's services that ask what verification asks, too: what the machine can do, and health."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.host.systemd import STAYS, STAYS_RESTARTED, Lasting
from ansible_collections.stackwright.cloud.plugins.module_utils.service import packages
from ansible_collections.stackwright.cloud.plugins.module_utils.service.phases import (
    FACTS,
    Context,
    Phase,
    PhaseError,
    Result,
    Spec,
    find_out,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.health import (
    failure_message,
    parse_check,
    summary,
    wait_healthy,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.probe_image import probe_image

IMAGES = Path("/var/lib/stackwright/probe")

HEALTH: Spec = {
    "checks": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str"},
            "url": {"type": "str"},
            "status": {"type": "list", "elements": "int"},
            "contains": {"type": "str"},
            "send": {"type": "str"},
            "ca": {"type": "path"},
            "certificate": {"type": "path"},
            "client": {"type": "path"},
            "host": {"type": "str", "default": "127.0.0.1"},
            "port": {"type": "int"},
            "command": {"type": "list", "elements": "str"},
            "unit": {"type": "str"},
            "log": {"type": "path"},
            "timeout": {"type": "float", "default": 5},
        },
    },
    "units": {"type": "list", "elements": "str", "default": []},
    "timeout": {"type": "float", "default": 60},
    "interval": {"type": "float", "default": 1},
    "settle": {"type": "float", "default": STAYS},
    "settle_restarted": {"type": "float", "default": STAYS_RESTARTED},
}


def ask_machine(asked: Mapping[str, Any], context: Context) -> Result:
    """What the machine can do, tried with the test guest."""
    return find_out(asked, context, lambda: probe_image(IMAGES, packages.update_lists))


def be_healthy(asked: Mapping[str, Any], context: Context) -> Result:
    """Wait until all checks pass."""
    try:
        checks = [parse_check(entry) for entry in [*asked["checks"], *({"unit": unit} for unit in asked["units"])]]
    except ValueError as error:
        raise PhaseError(str(error)) from error
    report = wait_healthy(
        checks,
        timeout=asked["timeout"],
        interval=asked["interval"],
        lasting=Lasting(asked["settle"], asked["settle_restarted"]),
    )
    outcomes = [
        {
            "name": outcome.check.name,
            "kind": outcome.check.kind,
            "target": outcome.check.target,
            "ok": outcome.passed,
            "cause": outcome.cause,
            "evidence": outcome.evidence,
            "degraded": outcome.degraded,
        }
        for outcome in report.outcomes
    ]
    told = {"checks": outcomes, "rounds": report.rounds, "seconds": round(report.seconds, 2)}
    degraded = [f"{outcome.check.name}: {outcome.degraded}" for outcome in report.outcomes if outcome.degraded]
    result: Result = {"changed": False, **told, "summary": summary(report), "degraded": degraded}
    if report.failed:
        raise PhaseError(failure_message(report), **result)
    return result


MORE: dict[str, Phase] = {"facts": Phase(FACTS, ask_machine), "health": Phase(HEALTH, be_healthy)}
