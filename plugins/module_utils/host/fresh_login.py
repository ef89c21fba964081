"""The proof that one can still log in: a second connection over the same path, which becomes root.

Runs on the control node inside an action plug-in, for whatever may lock operators out (sshd, PAM, sudo, the packet
filter).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

# No connection that is open already may answer in the place of a new one; the first value that ssh reads counts.
FRESH = "-o ControlMaster=no -o ControlPath=none -o ConnectTimeout=15"


def fresh_login(action: Any) -> str:
    """Log in anew over the action's own path and become root.

    :param action: the action plug-in, whose connection, become method and options are used.
    :returns: why that failed, or nothing.
    """
    from ansible.errors import AnsibleError
    from ansible.plugins.loader import connection_loader

    old = action._connection
    name = old.ansible_name if hasattr(old, "ansible_name") else old._load_name
    fresh = connection_loader.get(name, action._play_context, getattr(old, "_new_stdin", None))
    if fresh is None:
        return f"the connection {name} cannot be opened a second time"
    fresh._options = dict(old._options)
    fresh._origins = dict(getattr(old, "_origins", {}))
    if name.rsplit(".", 1)[-1] == "ssh":
        fresh.set_option("ssh_args", FRESH)
    if old.become is not None:
        fresh.set_become_plugin(old.become)
    action._connection = fresh
    try:
        done = action._low_level_execute_command("id -u", sudoable=True)
    except AnsibleError as error:
        return str(error)
    finally:
        action._connection = old
        fresh.close()
    if done.get("rc") != 0:
        return (done.get("stderr") or done.get("stdout") or "no output").strip()[-300:]
    return "" if done.get("stdout", "").strip().split("\n")[-1:] == ["0"] else "the login did not become root"


def wait_for_timer(login: Callable[[], str], seconds: int) -> str:
    """Wait until the host's timer has given the access back.

    :param seconds: after which the timer undoes the changes.
    :returns: why a login still fails, or nothing.
    """
    deadline = time.monotonic() + seconds + 60
    while failure := login():
        if time.monotonic() > deadline:
            return failure
        time.sleep(5)
    return ""


@dataclass
class Proof:
    """What came out: the groups undone, what was said about it, and why no login is possible at all (or nothing)."""

    undone: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    failure: str = ""


# What connections say when nobody gets in at all, before any question of who may become root.
NO_WAY_IN = (
    "Failed to connect to the host",
    "Permission denied (",
    "Connection refused",
    "Connection timed out",
    "No route to host",
)


def _likeliest(failure: str, groups: list[str]) -> str:
    """The group that is undone next: where the connection itself fails, those of sshd and the packet filter come
    first."""
    if any(one in failure for one in NO_WAY_IN):
        return next((one for one in ("sshd", "firewall", "account") if one in groups), groups[0])
    return groups[0]


def prove(
    groups: list[str],
    login: Callable[[], str],
    undo: Callable[[str], dict[str, Any]],
    wait: Callable[[], str],
    left_by_timer: Callable[[], list[str]] = list,
) -> Proof:
    """Log in anew; where that fails, undo the groups one after the other until it succeeds.

    The changes are confirmed by the caller, when :attr:`Proof.failure` is empty.

    :param groups: the unproved groups, the likeliest to be in the way first.
    :param login: returns why a fresh login fails, or nothing (:func:`fresh_login`).
    :param undo: has the host undo one group and returns the module's result.
    :param wait: waits for the timer on the host and returns as `login` does (:func:`wait_for_timer`).
    :param left_by_timer: the groups that the timer has not undone, once a login is possible again.
    """
    from ansible.errors import AnsibleError

    proof = Proof()
    left = list(groups)
    failure = login()
    while failure and left:
        group = _likeliest(failure, left)
        left.remove(group)
        proof.undone.append(group)
        try:
            back = undo(group)
        except AnsibleError as error:
            back = {"failed": True, "msg": str(error)}
        if back.get("failed"):
            # The open connection cannot become root either, so only the timer on the host can undo the changes.
            reason, failure = failure, wait()
            kept = [] if failure else left_by_timer()
            proof.undone = sorted(one for one in groups if one not in kept)
            proof.problems.append(
                f"No fresh login was possible ({reason}), so the timer on the host undid {', '.join(proof.undone)}. "
                "The findings of these groups stay open."
            )
            break
        proof.problems += back.get("problems", [])
        again = login()
        if not again:
            proof.problems.append(
                f"After the changes of group {group} no fresh login was possible ({failure}). "
                f"Undone: {', '.join(proof.undone)}. The findings of these groups stay open."
            )
        failure = again
    proof.failure = failure
    return proof
