"""Users of a RabbitMQ broker, read and written as one set of definitions.

``rabbitmqctl`` takes more than a second for each call, so all users are read in one export and written in one import. Passwords
travel as salted hashes in a private file on a temporary file system and never stand in an argument list.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from typing import Any

UNIT = "rabbitmq-server"
CONTROL = "/usr/sbin/rabbitmqctl"
TIMEOUT = 60
HASHING = "rabbit_password_hashing_sha256"
# The broker's own user reads the definitions, from a temporary file system.
OWNER = "rabbitmq"
RUNTIME = "/run"


class MessagingError(Exception):
    """The broker does not answer or refuses the definitions."""


@dataclass
class User:
    """A user with full permissions in one virtual host."""

    name: str
    password: str
    vhost: str = "/"


def password_hash(password: str, salt: bytes) -> str:
    """Hash as the broker stores it: base64 of a 4-byte salt and SHA-256 of salt and password. Source: RabbitMQ's documentation on passwords."""
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
            [CONTROL, "-q", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=TIMEOUT
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


def difference(present: dict[str, Any], wanted: list[User], absent: list[str]) -> tuple[list[str], dict[str, Any]]:
    """Compare definitions with the wanted users.

    :returns: what is to change, a line each, and the definitions to import (hashes, no passwords).
    """
    users = {user["name"]: user for user in present.get("users", [])}
    vhosts = {vhost["name"] for vhost in present.get("vhosts", [])}
    permissions = {(p["user"], p["vhost"]): (p["configure"], p["write"], p["read"]) for p in present.get("permissions", [])}
    changes: list[str] = []
    write: dict[str, Any] = {"vhosts": [], "users": [], "permissions": []}
    for user in wanted:
        if user.vhost not in vhosts:
            changes.append(f"create virtual host {user.vhost}")
            write["vhosts"].append({"name": user.vhost})
            vhosts.add(user.vhost)
        stored = users.get(user.name)
        if stored is None or not matches(user.password, stored.get("password_hash", "")):
            changes.append(f"{'create' if stored is None else 'change the password of'} message queue user {user.name}")
            hashed = password_hash(user.password, os.urandom(4))
            users[user.name] = {"name": user.name, "password_hash": hashed, "hashing_algorithm": HASHING, "tags": [], "limits": {}}
            write["users"].append(users[user.name])
        if permissions.get((user.name, user.vhost)) != (".*", ".*", ".*"):
            changes.append(f"permit message queue user {user.name} in {user.vhost}")
            write["permissions"].append({"user": user.name, "vhost": user.vhost, "configure": ".*", "write": ".*", "read": ".*"})
    changes += [f"remove message queue user {user['name']}" for user in present.get("users", []) if user["name"] in absent]
    return changes, write


def converge(wanted: list[User], absent: list[str], check_mode: bool) -> list[str]:
    """Bring users to what is wanted; return what was (or would be) changed."""
    present = read()
    changes, write = difference(present, wanted, absent)
    if check_mode or not changes:
        return changes
    if any(write.values()):
        with tempfile.NamedTemporaryFile("w", dir=RUNTIME, suffix=".json") as definitions:
            json.dump(write, definitions)
            definitions.flush()
            shutil.chown(definitions.name, user=OWNER)
            _control(["import_definitions", definitions.name])
    for user in present.get("users", []):
        if user["name"] in absent:
            _control(["delete_user", user["name"]])
    return changes
