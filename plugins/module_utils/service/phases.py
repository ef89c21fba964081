"""What is done to a host, phase by phase: each takes what a module takes, and returns what that module returns.

A phase has an argument spec and a function. The modules of the same names are faces of single phases; the module
``services`` does all of a host's phases in one call.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.host import systemd
from ansible_collections.stackwright.cloud.plugins.module_utils.service import (
    bootstrap,
    compute_probe,
    configuration,
    databases,
    lock,
    masking,
    messaging,
    open_vswitch,
    packages,
    units,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.service.probe_guest import Hardware

Result = dict[str, Any]
Spec = dict[str, dict[str, Any]]


class PhaseError(Exception):
    """A phase failed; ``result`` is what its module says then: ``msg``, ``hint`` and what else there is."""

    def __init__(self, msg: str, **more: Any) -> None:
        super().__init__(msg)
        self.result: Result = {"msg": msg, **more}


def _nothing(_: Any) -> None:
    """For whoever has nothing to mask and nobody to warn."""


@dataclass(frozen=True)
class Context:
    """How a phase is done.

    :param check: nothing is changed.
    :param mask: hides values in all that the module says from then on.
    :param warn: tells the operator something that stops nothing.
    """

    check: bool = False
    mask: Callable[[Iterable[str]], None] = _nothing
    warn: Callable[[str], None] = _nothing


@dataclass(frozen=True)
class Phase:
    """One phase: the arguments that it takes, and what does it."""

    spec: Spec
    run: Callable[[Mapping[str, Any], Context], Result]


def _told(changes: list[str], **more: Any) -> Result:
    """The result of a phase that says what it changed in lines."""
    text = "".join(f"{line}\n" for line in changes)
    return {"changed": bool(changes), "changes": changes, "diff": {"before": "", "after": text}, **more}


def _named_diff(what: str, before: str, after: str) -> dict[str, str]:
    return {"before_header": what, "after_header": what, "before": before, "after": after}


PACKAGES: Spec = {
    "names": {"type": "list", "elements": "str", "required": True},
    "recommends": {"type": "bool", "default": False},
    "start_services": {"type": "bool", "default": False},
    "sources": {"type": "list", "elements": "str"},
    "lists_valid_seconds": {"type": "int", "default": 3600},
    "upgrade": {"type": "str", "choices": ["none", "fetch", "install"], "default": "none"},
}


def install(asked: Mapping[str, Any], context: Context) -> Result:
    """The packages of a host, in one transaction."""
    if asked["upgrade"] != "none":
        return _upgrade(asked, context)
    names, lines = sorted(set(asked["names"])), asked["sources"]
    try:
        known = packages.read_sources()
        wanted = known if lines is None else "".join(f"{line}\n" for line in lines)
        diff = [_named_diff(packages.SOURCES, known, wanted)] if wanted != known else []
        state = packages.read_state()
        missing = [name for name in names if name not in state.installed]
        if context.check:
            added = _would_add(asked, missing, bool(diff))
        else:
            if diff:
                packages.write_sources(wanted)
            # a policy of ours that is still there is what a killed run left
            todo = missing or state.unfinished or packages.policy_is_ours()
            added = _install(asked, names) if todo else []
    except packages.PackagesError as error:
        raise PhaseError(str(error), hint=error.hint) from error
    except OSError as error:
        raise PhaseError(f"The host's package database cannot be used: {error}") from error
    diff.append(_named_diff("packages", "", "".join(f"{name}\n" for name in added)))
    changed = bool(added or state.unfinished or wanted != known)
    return {"changed": changed, "added": added, "missing": missing, "diff": diff}


def _would_add(asked: Mapping[str, Any], missing: list[str], new_sources: bool) -> list[str]:
    """What an installation would add, as far as the lists at hand can tell."""
    if not missing or new_sources or packages.lists_age() == float("inf"):
        return missing
    return packages.simulate(missing, asked["recommends"])


def _install(asked: Mapping[str, Any], names: list[str]) -> list[str]:
    """Finish what was left half done, install what is missing; return what was added."""
    packages.wait_for_others()
    packages.restore_policy()
    before = packages.read_state()
    missing = [name for name in names if name not in before.installed]
    with contextlib.nullcontext() if asked["start_services"] else packages.services_held():
        if before.unfinished:
            packages.finish()
        if missing:
            if packages.lists_age() > asked["lists_valid_seconds"]:
                packages.update_lists()
            packages.install(missing, asked["recommends"])
    return sorted(set(packages.read_state().installed) - set(before.installed))


def _upgrade(asked: Mapping[str, Any], context: Context) -> Result:
    """Newer versions of what is installed of some packages; what is not installed stays away."""
    try:
        installed = packages.read_state().installed
        names = sorted(set(asked["names"]) & installed.keys())
        if not context.check:
            packages.wait_for_others()
            packages.restore_policy()
            if packages.lists_age() > asked["lists_valid_seconds"]:
                packages.update_lists()
        found = packages.newer(names) if names else []
        if found and not context.check:
            if asked["upgrade"] == "fetch":
                packages.fetch(names)
            else:
                with packages.services_held():
                    packages.install(names, recommends=False)
    except packages.PackagesError as error:
        raise PhaseError(str(error), hint=error.hint) from error
    except OSError as error:
        raise PhaseError(f"The host's package database cannot be used: {error}") from error
    sides = ["".join(f"{one.name} {getattr(one, side)}\n" for one in found) for side in ("before", "after")]
    told = [{"name": one.name, "before": one.before, "after": one.after} for one in found]
    changed = bool(found) and asked["upgrade"] == "install"
    diff = [_named_diff("packages", *(sides if changed else ["", ""]))]
    changes = [f"{one.name} {one.after} in place of {one.before}" for one in found] if changed else []
    return {"changed": changed, "changes": changes, "upgraded": told, "added": [], "missing": [], "diff": diff}


FACTS: Spec = {
    "again": {"type": "bool", "default": False},
    "kvm": {"type": "bool", "default": True},
    "datapath": {"type": "str", "choices": ["auto", "system", "netdev"], "default": "auto"},
    "cpu_mode": {"type": "str", "default": "host-model"},
    "cpu_models": {"type": "list", "elements": "str", "default": []},
    "machine": {"type": "str", "default": "pc"},
}


def find_out(asked: Mapping[str, Any], context: Context, image: Callable[[], Any]) -> Result:
    """What the machine can do. :param image: returns the guest that is tried."""
    found: Result = {
        "changed": False,
        "datapath": compute_probe.datapath(asked["datapath"], asked["again"]),
        "security_module": compute_probe.security_module(),
    }
    if asked["datapath"] != "auto" or shutil.which("ovs-dpctl"):
        found["ansible_facts"] = {"stackwright_datapath": found["datapath"]}
    if asked["kvm"]:
        hardware = Hardware(asked["cpu_mode"], tuple(asked["cpu_models"]), asked["machine"])
        try:
            found["kvm"], found["told_by"] = compute_probe.kvm_answer(hardware, image, asked["again"])
        except compute_probe.ProbeError as error:
            raise PhaseError(str(error)) from error
    return found


SWITCH: Spec = {
    "external_ids": {"type": "dict", "default": {}},
    "other_config": {"type": "dict", "default": {}},
    "manager": {"type": "str", "default": ""},
    "forbidden_managers": {"type": "list", "elements": "str", "default": []},
    "datapath": {"type": "str", "choices": ["system", "netdev"], "default": "system"},
    "bridges": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "interface": {"type": "str", "default": ""},
            "address": {"type": "str", "default": ""},
        },
    },
    "needed": {"type": "list", "elements": "str", "default": []},
}


def set_switch(asked: Mapping[str, Any], context: Context) -> Result:
    """Open vSwitch and its bridges."""
    wanted = open_vswitch.Wanted(
        external_ids={key: str(value) for key, value in asked["external_ids"].items()},
        other_config={key: str(value) for key, value in asked["other_config"].items()},
        manager=asked["manager"],
        forbidden_managers=asked["forbidden_managers"],
        datapath=asked["datapath"],
        bridges=[open_vswitch.Bridge(**bridge) for bridge in asked["bridges"]],
    )
    if context.check and not os.path.exists(open_vswitch.CONTROL):
        return {"changed": True, "changes": ["everything, once Open vSwitch is installed"]}
    try:
        started = units.show(["openvswitch-switch"])["openvswitch-switch"].get("ActiveState") == "active"
        if not started and context.check:
            return {"changed": True, "changes": ["start openvswitch-switch"]}
        if not started:
            systemd.must("start", "openvswitch-switch", seconds=systemd.JOB_SECONDS)
        changes, restart = open_vswitch.converge(wanted, asked["needed"], context.check)
        if restart and not context.check:
            systemd.must("restart", "openvswitch-switch", seconds=systemd.JOB_SECONDS)
    except (open_vswitch.SwitchError, systemd.UnitsError) as error:
        raise PhaseError(
            f"Open vSwitch could not be set up: {error}",
            hint="Check ovn_bridge_interfaces, ovn_external_interface and ovn_tunnel_interface in the "
            "inventory, and journalctl -u openvswitch-switch.",
        ) from error
    return _told(changes)


FILES: Spec = {
    "files": {"type": "dict", "required": True},
    "secrets": {"type": "list", "elements": "str", "no_log": True, "default": []},
    "packages_pending": {"type": "bool", "default": False},
}


def write(asked: Mapping[str, Any], context: Context) -> Result:
    """All configuration files, as one transaction."""
    pending = asked["packages_pending"] and context.check
    secrets = asked["secrets"]
    context.mask(masking.words(secrets))
    # The arguments would be shown with -vvv, and hold every secret of the host.
    shown = {"files": sorted(asked["files"]), "packages_pending": asked["packages_pending"]}
    invocation = {"module_args": shown}
    try:
        files = [configuration.from_data(path, data) for path, data in asked["files"].items()]
        for file in files:
            context.mask(masking.words(configuration.secrets_in(file)))
        outcome = configuration.apply(files, context.check, pending)
    except configuration.ConfigurationError as error:
        raise PhaseError(
            f"The configuration was refused: {error.problems[0]}"
            + (f" (and {len(error.problems) - 1} more)" if len(error.problems) > 1 else ""),
            problems=error.problems,
            hint="Correct the named files' options in the inventory (config overrides) and run again.",
            invocation=invocation,
        ) from error
    except (ValueError, RuntimeError, OSError) as error:
        raise PhaseError(f"The configuration could not be applied: {error}", invocation=invocation) from error
    for file in outcome.files:
        context.mask(masking.words(configuration.secrets_in(file)))
    for warning in outcome.warnings:
        context.warn(warning)
    diff = [
        _named_diff(change.path, *configuration.shown(file, change, secrets))
        for file, change in zip(outcome.files, outcome.changes, strict=True)
    ]
    return {
        "changed": bool(outcome.changes),
        "changed_files": [change.path for change in outcome.changes],
        "restart": outcome.units,
        "reload": outcome.reloads,
        "generation": outcome.generation,
        "diff": diff,
        "invocation": invocation,
    }


DATABASES: Spec = {
    "databases": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "user": {"type": "str", "required": True},
            "password": {"type": "str", "required": True, "no_log": True},
        },
    },
    "hosts": {"type": "list", "elements": "str", "required": True},
}


def make_databases(asked: Mapping[str, Any], context: Context) -> Result:
    """Databases and their users."""
    hosts = list(dict.fromkeys(asked["hosts"]))
    try:
        wanted = [databases.Database(**entry, hosts=hosts) for entry in asked["databases"]]
        if context.check and not os.path.exists(databases.SOCKET):
            # the server starts in the course of the run that is foretold
            return _told([f"create database {one.name}" for one in wanted])
        with databases.session() as connection:
            return _told(databases.converge(connection, wanted, context.check))
    except databases.DatabaseError as error:
        raise PhaseError(
            f"The services' databases could not be prepared: {error}",
            hint="See systemctl status mariadb and journalctl -u mariadb on the host; run again once it answers.",
        ) from error


MESSAGING: Spec = {
    "users": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "password": {"type": "str", "required": True, "no_log": True},
            "vhost": {"type": "str", "default": ""},
            "configure": {"type": "str", "default": messaging.ALL},
            "write": {"type": "str", "default": messaging.ALL},
            "read": {"type": "str", "default": messaging.ALL},
            "topics": {"type": "dict", "default": {}},
        },
    },
    "absent": {"type": "list", "elements": "str", "default": ["guest"]},
}


def make_users(asked: Mapping[str, Any], context: Context) -> Result:
    """Users and virtual hosts of the message queue."""
    wanted = [messaging.User(**entry) for entry in asked["users"]]
    try:
        if context.check and units.show([messaging.UNIT])[messaging.UNIT].get("ActiveState") != "active":
            # the broker starts in the course of the run that is foretold
            return _told([f"create message queue user {user.name}" for user in wanted])
        return _told(messaging.converge(wanted, asked["absent"], context.check))
    except (messaging.MessagingError, systemd.UnitsError, OSError) as error:
        raise PhaseError(
            f"The services' message queue users could not be prepared: {error}",
            hint="See systemctl status rabbitmq-server and /var/log/rabbitmq on the host; run again once it answers.",
        ) from error


STEPS: Spec = {
    "steps": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "command": {"type": "list", "elements": "str", "required": True},
            "user": {"type": "str", "default": "root"},
            "environment": {"type": "dict", "default": {}, "no_log": True},
            "after": {"type": "list", "elements": "str", "default": []},
            "packages": {"type": "list", "elements": "str", "default": []},
            "inputs": {"type": "list", "elements": "str", "default": []},
            "database": {"type": "str", "default": ""},
            "creates": {"type": "str", "default": ""},
            "removes": {"type": "str", "default": ""},
            "done_query": {"type": "str", "default": ""},
        },
    },
    "parallel": {"type": "int", "default": 2},
}


def _due(steps: list[bootstrap.Step]) -> dict[str, str]:
    """Names of the steps that are due, with the reasons."""
    versions = packages.read_state().installed
    server = databases.session() if os.path.exists(databases.SOCKET) else contextlib.nullcontext()
    with server as connection:
        tables = databases.tables(connection) if connection else None
        reasons = {
            s.name: bootstrap.is_due(s, versions, tables, lambda query: databases.finds(connection, query))
            for s in steps
        }
    return {name: reason for name, reason in reasons.items() if reason}


def take_steps(asked: Mapping[str, Any], context: Context) -> Result:
    """The one-time steps that are due."""
    steps = [bootstrap.Step(**entry) for entry in asked["steps"]]
    try:
        due = _due(steps)
        if due and not context.check:
            # steps of a run that was killed work on, and must be seen to their end before what is due is known
            with lock.exclusive(bootstrap.LOCK) as held:
                due = _due(steps)
                run = functools.partial(bootstrap.execute, lock=held)
                installed = packages.read_state().installed
                bootstrap.run([step for step in steps if step.name in due], installed, asked["parallel"], run)
    except lock.LockError as error:
        raise PhaseError(
            f"Bootstrap steps cannot begin: {error}",
            hint=f"See with 'fuser -v {bootstrap.LOCK}' on the host which command it is, let it end, then run again.",
        ) from error
    except (bootstrap.BootstrapError, databases.DatabaseError) as error:
        problems = getattr(error, "problems", [str(error)])
        raise PhaseError(
            f"Bootstrap steps failed: {problems[0]}" + (f" (and {len(problems) - 1} more)" if problems[1:] else ""),
            problems=problems,
            hint="Steps that succeeded are remembered; mend the cause and run again.",
        ) from error
    return _told([f"{name}: {reason}" for name, reason in due.items()])


UNITS: Spec = {
    "units": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["started", "stopped"], "default": "started"},
            "enabled": {"type": "bool", "default": True},
            "files": {"type": "list", "elements": "str", "default": []},
            "reloads": {"type": "list", "elements": "str", "default": []},
            "log": {"type": "str", "default": ""},
        },
    },
    "restart": {"type": "list", "elements": "str", "default": []},
    "reload": {"type": "list", "elements": "str", "default": []},
    "held": {"type": "list", "elements": "str", "default": []},
    "timeout": {"type": "int", "default": 120},
}


def bring(asked: Mapping[str, Any], context: Context) -> Result:
    """Units brought to their states; of those whose restarts are held, ``held`` of the result has the ones due."""
    try:
        return _bring(asked, context)
    except systemd.UnitsError as error:
        raise PhaseError(
            f"The units could not be brought to their states: {error}",
            hint="See systemctl status of the unit and journalctl -b -p err on the host, mend the cause and run again.",
        ) from error


def _bring(asked: Mapping[str, Any], context: Context) -> Result:
    wanted = [units.Unit(**entry) for entry in asked["units"]]
    names = [unit.name for unit in wanted]
    now = units.show(names)
    reload_needed = any(
        state.get("NeedDaemonReload") == "yes" or state.get("LoadState") == "not-found" for state in now.values()
    )
    if reload_needed and not context.check:
        systemd.systemctl("daemon-reload")
        now = units.show(names)
    restart, reload = (asked[key] if context.check else [] for key in ("restart", "reload"))
    decided = units.plan(wanted, now, set(restart), reload)
    held: list[str] = []
    if context.check:
        # what is missing now comes with its package
        decided.start += decided.missing
    else:
        held = [name for name in decided.restart if name in asked["held"]]
        decided.restart = [name for name in decided.restart if name not in held]
    result = _told(decided.lines(), restarted=decided.restart, **({"held": held} if held else {}))
    if context.check:
        return result
    if decided.missing:
        raise PhaseError(
            f"The host has no unit {', '.join(decided.missing)}",
            hint="The package that brings it is not installed, or a unit file was removed by hand.",
            **result,
        )
    units.carry_out(decided, asked["timeout"])
    failed = units.wait(wanted, asked["timeout"], [*decided.start, *decided.restart])
    if failed:
        by_name = {unit.name: unit for unit in wanted}
        causes = {name: units.last_words(by_name[name]) for name in failed}
        raise PhaseError(
            "Units that do not run: " + ", ".join(f"{name}: {cause}" for name, cause in failed.items()),
            stderr="\n".join(f"--- {name}\n{text}" for name, text in causes.items()),
            hint="The last words of each unit stand above; mend their cause and run again.",
            **result,
        )
    return result


# What the host does alone. Facts and health need what other rooms know; whoever applies phases adds them.
OWN: dict[str, Phase] = {
    "packages": Phase(PACKAGES, install),
    "switch": Phase(SWITCH, set_switch),
    "files": Phase(FILES, write),
    "databases": Phase(DATABASES, make_databases),
    "messaging": Phase(MESSAGING, make_users),
    "steps": Phase(STEPS, take_steps),
    "units": Phase(UNITS, bring),
}
