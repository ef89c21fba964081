"""Users of a RabbitMQ broker, read and written as one set of definitions.

``rabbitmqctl`` takes more than a second for each call, so all users are read in one export and written in one import.
Passwords travel as salted hashes in a private file on a temporary file system and never stand in an argument list.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from typing import Any

UNIT = "rabbitmq-server"
CONTROL = "/usr/sbin/rabbitmqctl"
TIMEOUT = 60
HASHING = "rabbit_password_hashing_sha256"
# The broker's own user reads the definitions, from a temporary file system.
OWNER = "rabbitmq"
RUNTIME = "/run"
DEFAULT_VHOST = "/"


class MessagingError(Exception):
    """The broker does not answer or refuses the definitions."""


ALL = ".*"


@dataclass
class User:
    """A user with permissions in one virtual host, full ones by default, and none in those that are not named for it.

    ``configure``, ``write`` and ``read`` are regular expressions over the names of queues and exchanges. ``topics`` has
    what it may ``write`` and ``read`` by routing key, by topic exchange; in those that are not named, all of it.
    """

    name: str
    password: str
    vhost: str = ""
    configure: str = ALL
    write: str = ALL
    read: str = ALL
    topics: dict[str, dict[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # each service has a virtual host of its own, called after its user
        self.vhost = self.vhost or f"/{self.name}"


def password_hash(password: str, salt: bytes) -> str:
    """Hash as the broker stores it: base64 of a 4-byte salt and SHA-256 of salt and password. Source: RabbitMQ's
    documentation on passwords."""
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def matches(password: str, stored: str) -> bool:
    try:
        salt = base64.b64decode(stored)[:4]
    except ValueError:
        return False
    return password_hash(password, salt) == stored


def _control(arguments: list[str]) -> str:
    try:
        done = subprocess.run(
            [CONTROL, "-q", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=TIMEOUT,
        )
    except subprocess.TimeoutExpired as error:
        raise MessagingError(f"rabbitmqctl {arguments[0]} did not end within {TIMEOUT} s") from error
    if done.returncode:
        said = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise MessagingError(f"rabbitmqctl {arguments[0]} failed: {' '.join(said[:3])}")
    return done.stdout


def read() -> dict[str, Any]:
    """Export the broker's definitions; what rabbitmqctl says ahead of them is left out."""
    output = _control(["export_definitions", "-", "--format", "json"])
    try:
        parsed: dict[str, Any] = json.loads("{" + output.partition("{")[2])
    except ValueError as error:
        # the answer may hold hashes, so it is not shown
        raise MessagingError(f"rabbitmqctl export_definitions ended well and gave no definitions ({error})") from None
    return parsed


@dataclass
class Difference:
    """What is to change, a line each, and how: definitions to import (hashes, no passwords), then what is taken
    away."""

    changes: list[str] = field(default_factory=list)
    write: dict[str, list[dict[str, Any]]] = field(
        default_factory=lambda: {"vhosts": [], "users": [], "permissions": [], "topic_permissions": []}
    )
    forbid: list[tuple[str, str]] = field(default_factory=list)
    unbound: list[tuple[str, str, str]] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    vhosts: list[str] = field(default_factory=list)


def difference(present: dict[str, Any], wanted: list[User], absent: list[str]) -> Difference:
    """Compare definitions with the wanted users.

    A wanted user may use the virtual hosts named for it and no other. The broker's own virtual host ``/`` goes with the
    queues that were left in it once nobody may use it any more, since no service could ever empty it.
    """
    users = {user["name"]: user for user in present.get("users", [])}
    vhosts = {vhost["name"] for vhost in present.get("vhosts", [])}
    permissions = {
        (p["user"], p["vhost"]): (p["configure"], p["write"], p["read"]) for p in present.get("permissions", [])
    }
    topics = {
        (t["user"], t["vhost"], t["exchange"]): (t["write"], t["read"]) for t in present.get("topic_permissions", [])
    }
    limited = {(user.name, user.vhost, exchange) for user in wanted for exchange in user.topics}
    own = {(user.name, user.vhost) for user in wanted}
    names = {user.name for user in wanted}
    result = Difference()
    for user in wanted:
        if user.vhost not in vhosts:
            result.changes.append(f"create virtual host {user.vhost}")
            result.write["vhosts"].append({"name": user.vhost})
            vhosts.add(user.vhost)
        stored = users.get(user.name)
        if stored is None or not matches(user.password, stored.get("password_hash", "")):
            result.changes.append(
                f"{'create' if stored is None else 'change the password of'} message queue user {user.name}"
            )
            hashed = password_hash(user.password, os.urandom(4))
            users[user.name] = {
                "name": user.name,
                "password_hash": hashed,
                "hashing_algorithm": HASHING,
                "tags": [],
                "limits": {},
            }
            result.write["users"].append(users[user.name])
        place = {"user": user.name, "vhost": user.vhost}
        rights = {"configure": user.configure, "write": user.write, "read": user.read}
        if permissions.get((user.name, user.vhost)) != tuple(rights.values()):
            result.changes.append(f"permit message queue user {user.name} in {user.vhost}")
            result.write["permissions"].append({**place, **rights})
        for exchange, by_key in user.topics.items():
            if topics.get((user.name, user.vhost, exchange)) != (by_key["write"], by_key["read"]):
                result.changes.append(f"limit message queue user {user.name} by topics of {exchange} in {user.vhost}")
                result.write["topic_permissions"].append(
                    {**place, "exchange": exchange, "write": by_key["write"], "read": by_key["read"]}
                )
    result.forbid = sorted(pair for pair in permissions if pair[0] in names and pair not in own)
    result.changes += [f"forbid message queue user {user} in {vhost}" for user, vhost in result.forbid]
    result.unbound = sorted(limit for limit in topics if limit[0] in names and limit not in limited)
    result.changes += [
        f"no longer limit message queue user {user} by topics of {exchange} in {vhost}"
        for user, vhost, exchange in result.unbound
    ]
    result.users = [user["name"] for user in present.get("users", []) if user["name"] in absent]
    result.changes += [f"remove message queue user {name}" for name in result.users]
    left = {vhost for user, vhost in {*permissions, *own} - set(result.forbid) if user not in result.users}
    if wanted and DEFAULT_VHOST in vhosts - left:
        result.vhosts = [DEFAULT_VHOST]
        result.changes.append(f"remove virtual host {DEFAULT_VHOST}, which nobody may use any more")
    return result


def converge(wanted: list[User], absent: list[str], check_mode: bool) -> list[str]:
    """Bring users to what is wanted; return what was (or would be) changed."""
    due = difference(read(), wanted, absent)
    if check_mode or not due.changes:
        return due.changes
    if any(due.write.values()):
        with tempfile.NamedTemporaryFile("w", dir=RUNTIME, suffix=".json") as definitions:
            json.dump(due.write, definitions)
            definitions.flush()
            shutil.chown(definitions.name, user=OWNER)
            _control(["import_definitions", definitions.name])
    for user, vhost in due.forbid:
        _control(["clear_permissions", "-p", vhost, user])
    for user, vhost, exchange in due.unbound:
        _control(["clear_topic_permissions", "-p", vhost, user, exchange])
    for name in due.users:
        _control(["delete_user", name])
    for vhost in due.vhosts:
        _control(["delete_vhost", vhost])
    return due.changes
