"""Calls of podman and other programs, with errors that an operator can read."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import stat
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.lab.errors import LabError

LOCK_PATIENCE = 3600


def tail(text: str, lines: int = 12) -> str:
    """Return the last lines of a command's output, without empty ones."""
    return "\n".join([line for line in text.splitlines() if line.strip()][-lines:])


def run(
    command: Sequence[str],
    doing: str,
    environment: Mapping[str, str] | None = None,
    data: bytes | None = None,
    log: Path | None = None,
    timeout: int | None = None,
    remedy: str = "",
) -> str:
    """Run a program and return its standard output.

    Args:
        command: The program and its arguments.
        doing: What this does and to what, for the error message.
        environment: Variables on top of this process's own.
        data: Standard input.
        log: File that receives output and errors together; the return value is then empty.
        timeout: Seconds after which the program is killed.
        remedy: What to do when it fails.

    Raises:
        LabError: The program is missing, failed or did not end in time.
    """
    merged = {**os.environ, **(environment or {})}
    try:
        if log is not None:
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("ab") as output:
                done = subprocess.run(
                    command, env=merged, input=data, stdout=output, stderr=output, timeout=timeout, check=False
                )
            errors = log.read_text(encoding="utf-8", errors="replace")
            remedy = f"{remedy} The whole output is in {log}".strip()
            text = ""
        else:
            done = subprocess.run(command, env=merged, input=data, capture_output=True, timeout=timeout, check=False)
            text = done.stdout.decode(errors="replace")
            errors = done.stderr.decode(errors="replace") or text
    except OSError as error:
        raise LabError(doing, f"{command[0]}: {error.strerror}", "Run tools/setup lab") from error
    except subprocess.TimeoutExpired as error:
        raise LabError(doing, f"{command[0]} did not end within {timeout} seconds", remedy) from error
    if done.returncode:
        raise LabError(doing, tail(errors) or f"{command[0]} ended with status {done.returncode}", remedy)
    return text


def private_directory(path: Path, doing: str) -> None:
    """Make a directory that nobody else can enter, so that no name in it can be taken before.

    Raises:
        LabError: There is something else under that name, or a directory of somebody else's.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise LabError(doing, f"{path} is not a directory of this user's", "Move it away")
        if stat.S_IMODE(found.st_mode) != 0o700:
            path.chmod(0o700)
    except OSError as error:
        raise LabError(doing, f"{path}: {error.strerror}", "The lab is made by root") from error


@contextmanager
def locked(path: Path, doing: str, patience: int = LOCK_PATIENCE) -> Iterator[None]:
    """Hold an exclusive lock on a file, so that two runs do not build or make the same thing at once.

    Raises:
        LabError: Another run kept the lock for longer than ``patience`` seconds, or its name is a link or somebody
        else's file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    remedy = f"Remove {path}"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        reason = "it is a link" if error.errno == errno.ELOOP else error.strerror
        raise LabError(doing, f"the lock {path} cannot be opened: {reason}", remedy) from error
    with os.fdopen(descriptor, "rb", buffering=0) as handle:
        held = os.fstat(descriptor)
        if not stat.S_ISREG(held.st_mode) or held.st_uid != os.geteuid():
            raise LabError(doing, f"the lock {path} is not a file of this user's", remedy)
        deadline = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise LabError(
                        doing, f"another run has been holding {path} for {patience} seconds", "End that run first"
                    ) from None
                time.sleep(0.2)
        yield


def ignore_hangup() -> None:
    """Let this process live on when its terminal closes; podman must not be cut off in the middle of a change."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


@dataclass
class Podman:
    """podman with the lab's own configuration file."""

    configuration: Path

    @property
    def environment(self) -> dict[str, str]:
        """Variables for podman. Before the lab has its configuration, podman can only be asked what exists."""
        return {"CONTAINERS_CONF": str(self.configuration)} if self.configuration.is_file() else {}

    def __call__(self, *arguments: str, doing: str, temporary: str = "", **options: Any) -> str:
        """Run podman with these arguments, its temporary files in ``temporary``; see `run`."""
        environment = {**self.environment, **({"TMPDIR": temporary} if temporary else {})}
        return run(["podman", *arguments], doing, environment=environment, **options)

    def succeeds(self, *arguments: str) -> bool:
        """Tell whether a podman command ends well, without looking at its output."""
        done = subprocess.run(
            ["podman", *arguments], env={**os.environ, **self.environment}, capture_output=True, check=False
        )
        return done.returncode == 0

    def containers(self, lab: str) -> dict[str, dict[str, Any]]:
        """Return the lab's containers by name: {"id", "state", "labels"}."""
        text = self(
            "ps", "--all", "--format", "json", "--filter", f"label=stackwright.lab={lab}", doing="Listing containers"
        )
        return {
            entry["Names"][0]: {"id": entry["Id"], "state": entry["State"], "labels": entry["Labels"] or {}}
            for entry in json.loads(text or "[]") or []
        }

    def networks(self, prefix: str) -> dict[str, dict[str, Any]]:
        """Return the networks whose name begins so, as podman describes them."""
        entries = json.loads(self("network", "ls", "--format", "json", doing="Listing networks") or "[]") or []
        return {entry["name"]: entry for entry in entries if entry["name"].startswith(prefix)}

    def image_exists(self, image: str) -> bool:
        """Tell whether an image of this name is stored."""
        return self.succeeds("image", "exists", image)

    def remove_containers(self, names: Sequence[str]) -> None:
        """Remove containers at the same time, also such that are half made or running."""
        if names:
            self("rm", "--force", "--time", "20", "--volumes", *names, doing=f"Removing {', '.join(names)}")
