"""The three machines of the scenario `ha`, as their tests handle them."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

NAMES = ("controller1", "controller2", "controller3")


def container(name: str) -> str:
    """The container that is a machine."""
    return f"stackwright-molecule-ha-{name}"


def podman(*words: str) -> str:
    """What podman says."""
    done = subprocess.run(["podman", *words], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"podman {' '.join(words)}: {done.stderr}"
    return done.stdout


def asked(name: str, *command: str) -> tuple[int, str, str]:
    """Exit status, output and errors of a command on a machine."""
    done = subprocess.run(["podman", "exec", container(name), *command], capture_output=True, text=True, timeout=180)
    return done.returncode, done.stdout.strip(), done.stderr.strip()


def on(name: str, *command: str, ok: bool = True) -> str:
    """Output of a command on a machine, which has to end well if ``ok``."""
    status, output, errors = asked(name, *command)
    assert status == 0 or not ok, f"{name}: {' '.join(command)}: {output} {errors}"
    return output


def wait(what: str, holds: Callable[[], bool], seconds: float, seen: Callable[[], object] = str) -> float:
    """Seconds until something holds; ``seen`` says what a failure shows."""
    begun = time.monotonic()
    while not holds():
        assert time.monotonic() - begun < seconds, f"{what}: not within {seconds} s\n{seen()}"
        time.sleep(0.3)
    return time.monotonic() - begun
