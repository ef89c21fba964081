"""Audit, enforcement and rollback of one host, in one process.

The request is the catalogue as the control node resolved it: controls with their parameters filled in, waivers, and the
mode.
"""

from __future__ import annotations

import os
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.stig import drift, findings, guard
from ansible_collections.stackwright.cloud.plugins.module_utils.stig import journal as journals
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.enforce import Enforcement
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.host import Host
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.resource import EngineError
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.rollback import rollback
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.state import resulting_state


def confirm(host: Host, run_id: str) -> list[str]:
    """Keep the access changes of a run: the fresh login was proved while they were in force."""
    return guard.confirm(journals.Journal(run_id, host.root or "/"), host.run, host.systemd)


def undo_groups(host: Host, run_id: str, groups: list[str]) -> list[str]:
    """Undo some access groups of a run now; the others stay guarded."""
    return guard.undo(journals.Journal(run_id, host.root or "/"), groups, host.run, host.systemd)


def carry_out(request: dict[str, Any], host: Host | None = None) -> dict[str, Any]:
    """Carry out a request and return the findings document with `changed`, `diff` and `problems` beside it.

    :param request: ``mode`` (audit, enforce, rollback, confirm, undo), ``controls``, ``profile``, ``run_id``,
        ``groups``, ``check_mode``, ``undo_after`` (seconds).
    :raises EngineError: when the request cannot be carried out.
    :raises journals.JournalError: when the journal cannot be written or followed.
    """
    host = host or Host()
    mode = request["mode"]
    release = dict(
        one.split("=", 1) for one in (host.text("/etc/os-release") or "").splitlines() if "=" in one and one[0] != "#"
    )
    name = release.get("ID", "").strip('"')
    if name != "debian":
        raise EngineError(f"This is {name or 'an unknown system'}; the catalogue is made for Debian 12 and 13 only.")
    engine = Enforcement(host, request)
    problems: list[str] = []
    rolled_back: list[str] = []
    back = journals.Outcome()
    if mode == "confirm":
        problems = confirm(host, request["run_id"])
        engine.resume(request["run_id"], list(request.get("postponed", [])))
        problems = [*problems, *engine.problems]
    elif mode == "undo":
        problems = undo_groups(host, request["run_id"], request["groups"])
        engine.armed = set(guard.unproved(journals.Journal(request["run_id"], host.root or "/")))
    elif mode == "rollback":
        rolled_back, back = rollback(host, request.get("run_id"), bool(request.get("check_mode")))
        problems, engine.changes = back.problems, back.parts
    elif mode == "enforce":
        engine.enforce(bool(request.get("check_mode")))
        problems = engine.problems
        if not request.get("check_mode"):
            try:
                drift.remember(host, engine.journal, engine.run_id)
            except OSError as error:
                problems.append(
                    f"{drift.BASELINE} could not be written: {error.strerror}. Audits will tell of no "
                    f"drift since this run."
                )
    else:
        engine.audit()
    document = findings.Document(
        host=request.get("host", ""),
        time=findings.now(),
        mode=mode if mode in findings.MODES else "enforce",
        profile=request.get("profile", ""),
        system=findings.System(
            name,
            release.get("VERSION_ID", "").strip('"'),
            os.uname().release,
            host.container,
            request.get("address", ""),
        ),
        run_id=engine.run_id,
        findings=[one.finding for one in engine.controls],
        drift=drift.drift(host) if mode == "audit" else [],
        state=resulting_state(host, engine.controls)
        if mode in ("audit", "enforce") or request.get("postponed")
        else [],
    )
    return {
        "document": document.as_dict(),
        "changed": engine.changed or bool(rolled_back),
        "diff": engine.changes,
        "problems": list(dict.fromkeys(problems)),
        "unproved": sorted(engine.armed),
        "postponed": sorted(engine.postponed),
        "rolled_back": rolled_back,
        "kept": back.kept,
        "changes": back.told,
    }
