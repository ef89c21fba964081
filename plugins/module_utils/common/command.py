"""Programs that end: each runs at most so many seconds, with everything that it started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence

# Seconds in which a program that was killed has to be gone.
LAST_SECONDS = 5.0


class CommandTimeoutError(Exception):
    """A program did not end in its time and was killed; ``said`` is what it had said until then."""

    def __init__(self, command: Sequence[str], seconds: float, said: str) -> None:
        self.command, self.seconds, self.said = list(command), seconds, said
        last = " ".join(said.split())[-300:]
        super().__init__(
            f"{' '.join(command[:4])} did not end within {seconds:g} s" + (f"; its last words: {last}" if last else "")
        )


def run(
    command: Sequence[str],
    seconds: float,
    environment: Mapping[str, str] | None = None,
    directory: str | None = None,
    inherits: Sequence[int] = (),
) -> subprocess.CompletedProcess[str]:
    """Run a program without a shell and without input, whatever its exit status; return status and output.

    A program that is stopped at its limit may leave children that hold the pipes of its output, for which
    ``subprocess.run`` waits without end: here the program leads a session of its own, which is killed as a whole.

    :param seconds: how long it may take.
    :param inherits: open descriptors that it gets.
    :raises CommandTimeoutError: it took longer.
    :raises OSError: there is no such program.
    """
    started = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env=None if environment is None else dict(environment),
        cwd=directory,
        pass_fds=list(inherits),
        start_new_session=True,
    )
    try:
        output, errors = started.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        raise CommandTimeoutError(command, seconds, _end(started)) from None
    except BaseException:
        _kill(started)
        raise
    return subprocess.CompletedProcess(list(command), started.returncode, output, errors)


def _kill(started: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(started.pid, signal.SIGKILL)


def _end(started: subprocess.Popen[str]) -> str:
    """Kill the program's session; return what it had said. Whoever left that session and holds the pipes is not waited
    for."""
    _kill(started)
    try:
        output, errors = started.communicate(timeout=LAST_SECONDS)
    except subprocess.TimeoutExpired:
        for pipe in (started.stdout, started.stderr):
            if pipe:
                pipe.close()
        return ""
    return errors or output
