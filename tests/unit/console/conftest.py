"""Real runs of ansible-playbook over the fixtures, each done once."""

from __future__ import annotations

import fcntl
import functools
import json
import os
import pty
import re
import subprocess
import sys
import termios
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

FIXTURES = Path(__file__).parent / "fixtures"
PLAYBOOK = str(Path(sys.executable).parent / "ansible-playbook")


@dataclass
class Outcome:
    """What a run printed and left behind."""

    code: int
    screen: str
    log: str
    summary: dict[str, Any]


def environment(directory: Path, **more: str) -> dict[str, str]:
    """The environment of a run whose logs go to `directory`."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "STACKWRIGHT_"))}
    return {
        **kept,
        "ANSIBLE_CONFIG": str(FIXTURES / "ansible.cfg"),
        "ANSIBLE_LOCAL_TEMP": str(directory / "tmp"),
        "STACKWRIGHT_LOG_DIRECTORY": str(directory / "log"),
        "ANSIBLE_NOCOLOR": "1",
        "TERM": "xterm",
        "COLUMNS": "120",
        **more,
    }


def outcome(code: int, screen: str, directory: Path) -> Outcome:
    """Collect what a finished run left."""
    summary = json.loads((directory / "log" / "last.json").read_text())
    return Outcome(code, screen, Path(summary["log"]).read_text(), summary)


@pytest.fixture(scope="session")
def play(tmp_path_factory):
    """Run a fixture playbook without a terminal; the same arguments run once only."""

    @functools.cache
    def run(playbook: str, *arguments: str, **more: str) -> Outcome:
        directory = tmp_path_factory.mktemp("run")
        done = subprocess.run(
            [PLAYBOOK, playbook, *arguments],
            cwd=FIXTURES,
            env=environment(directory, **more),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=120,
        )
        return outcome(done.returncode, done.stdout, directory)

    return run


@pytest.fixture
def launch(tmp_path):
    """Start a fixture playbook whose logs go to `tmp_path`/log."""

    def start(*arguments: str, **how: Any) -> subprocess.Popen[Any]:
        return subprocess.Popen([PLAYBOOK, *arguments], cwd=FIXTURES, env=environment(tmp_path), **how)

    return start


def rendered(raw: str) -> str:
    """What a terminal would show in the end."""
    lines = [""]
    column = 0
    for piece in re.findall(r"\x1b\[[\d;?]*[A-Za-z]|[\r\n]|[^\x1b\r\n]+", raw):
        if piece == "\n":
            lines.append("")
        elif piece == "\r":
            column = 0
        elif piece == "\x1b[K":
            lines[-1] = lines[-1][:column]
        elif not piece.startswith("\x1b"):
            lines[-1] = lines[-1][:column] + piece + lines[-1][column + len(piece) :]
            column += len(piece)
    return "\n".join(lines)


@pytest.fixture(scope="session")
def terminal(tmp_path_factory):
    """Run a fixture playbook on a terminal; press Ctrl-C once `interrupt_at` has been on it, and give `answers`."""

    def run(
        playbook: str, *arguments: str, interrupt_at: str = "", answers: tuple[tuple[str, str], ...] = ()
    ) -> tuple[Outcome, str]:
        directory = tmp_path_factory.mktemp("terminal")
        leader, follower = pty.openpty()
        process = subprocess.Popen(
            [PLAYBOOK, playbook, *arguments],
            cwd=FIXTURES,
            env=environment(directory),
            stdout=follower,
            stderr=follower,
            stdin=follower,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(follower)
        raw = b""
        waiting = list(answers)
        give_up = time.monotonic() + 120
        while time.monotonic() < give_up:
            try:
                piece = os.read(leader, 65536)
            except OSError:
                break
            if not piece:
                break
            raw += piece
            if waiting and waiting[0][0] in raw.decode(errors="replace"):
                time.sleep(1.5)  # long enough for the live line to come back, were it not held back
                os.write(leader, waiting.pop(0)[1].encode())
            if interrupt_at and interrupt_at in raw.decode(errors="replace"):
                os.write(leader, b"\x03")
                interrupt_at = ""
        os.close(leader)
        text = raw.decode().replace("\r\n", "\n")
        return outcome(process.wait(timeout=30), rendered(text), directory), text

    return run
