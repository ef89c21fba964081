"""The way back: runs are undone from their journals, and services that systemd lost are given back to it."""

from __future__ import annotations

import contextlib
import os
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.stig import guard, listeners
from ansible_collections.stackwright.cloud.plugins.module_utils.stig import journal as journals
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.drift import BASELINE
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.host import Host, HostError
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.resource import EngineError


def chosen_runs(host: Host, to: str | None) -> list[str]:
    """The runs that a rollback takes back, newest first.

    :param to: the run's id; the newest one when None.
    :raises EngineError: when there is no such run.
    """
    root = host.root or "/"
    known = [one for one in journals.runs(root) if journals.Journal(one, root).head().get("state") != "rolled back"]
    if not known:
        if to is None:
            return []
        raise EngineError(
            f"There is no run {to} to roll back on this host: nothing was enforced or all is rolled back."
        )
    if to is not None and to not in known:
        raise EngineError(f"There is no run {to} on this host. The runs here, oldest first: {', '.join(known)}.")
    return [one for one in reversed(known) if to is None or one >= to][: 1 if to is None else None]


def rollback(host: Host, to: str | None, check_mode: bool = False) -> tuple[list[str], journals.Outcome]:
    """Take back what runs changed and nobody has changed since: a run and every later one, newest first.

    :param to: the run's id; the newest one when None.
    :param check_mode: only say what would be done.
    :returns: the runs undone, and what came of it.
    :raises EngineError: when there is no such run.
    """
    chosen = chosen_runs(host, to)
    total = journals.Outcome()
    if chosen and not check_mode:
        try:
            total.problems += reclaim(host)
        except HostError as error:  # files can be restored all the same
            total.problems.append(str(error))
    seen: dict[str, dict[str, Any]] = {}
    for run_id in chosen:
        run = journals.Journal(run_id, host.root or "/")
        if check_mode:
            outcome = run.foresee(seen)
        else:
            guard.release(run, host.run, host.systemd)
            outcome = run.follow(None, host.run)
        for mine, more in zip(
            (total.problems, total.kept, total.told), (outcome.problems, outcome.kept, outcome.told), strict=True
        ):
            mine += [one for one in more if one not in mine]
        total.parts += outcome.parts
    if chosen and not check_mode:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(host.root + BASELINE)
        host.forget()
    return chosen, total


def reclaim(host: Host) -> list[str]:
    """Give services back to systemd that run without it, and so can neither be reloaded nor stopped.

    systemd loses a unit that somebody enables while it runs, see :func:`journal.reload_units`, and never knew a process
    that was started by hand. A second sshd cannot start beside such a one, and takes the directory away without which
    nobody gets in.

    :returns: what is still not so, a sentence each.
    """
    if not host.systemd:
        return []
    lost = {name: [str(one.forgotten)] for name, one in host.units().items() if one.forgotten}
    hidden = "openssh-server" in host.packages and not host.unit("ssh.service").active and not listeners.by_socket(host)
    if hidden and (found := listeners.processes(host)):
        lost["ssh.service"] = [str(one) for one in found]
    if not lost:
        return []
    problems: list[str] = []
    if "ssh.service" in lost:
        os.makedirs(f"{host.root}/run/sshd", mode=0o755, exist_ok=True)
        code, output = host.run(["sshd", "-t"])
        if code:  # better one that systemd does not know of than none
            kept = ", ".join(lost.pop("ssh.service"))
            problems.append(f"sshd runs beside systemd (process {kept}): {output.strip()[-200:]}")
    # systemd aborts when a process ends that it still notes for a unit that it takes for dead; another reload makes it
    # forget.
    problems += journals.reload_units(host.run, host.root)
    for name, processes in lost.items():
        host.run(["kill", *processes])  # of sshd the listeners only: who is logged in stays so
        for one in processes:
            host.run(["timeout", "10", "tail", f"--pid={one}", "-s", "0.1", "-f", "/dev/null"])
        code, output = host.run(["systemctl", "restart", name])
        if code:
            problems.append(f"{name} was lost to systemd and does not start: {output.strip()[-200:]}")
    host.forget()
    return problems
