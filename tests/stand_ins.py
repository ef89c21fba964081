"""Programs that are real processes and do what a test says: stand-ins for those of a host that a test machine lacks."""

from __future__ import annotations

import contextlib
import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Hands over how it was called to the test, and behaves as the test says. Isolated and without site packages it starts
# in a few ms.
STAND_IN = """#!/usr/bin/python3 -IS
import json, os, socket, sys, time
with socket.socket(socket.AF_UNIX) as test:
    test.connect({address!r})
    deaf = {deaf!r} or sys.stdin.isatty()
    given = "" if deaf else sys.stdin.buffer.read().decode("utf-8", "surrogateescape")
    with test.makefile("rw") as stream:
        stream.write(json.dumps([sys.argv, given, dict(os.environ), os.getcwd()]) + "\\n")
        stream.flush()
        answer = json.loads(stream.readline())
if answer is None:
    time.sleep(600)
sys.stdout.write(answer[1])
sys.stderr.write(answer[2])
sys.exit(answer[0])
"""


@dataclass(frozen=True)
class Call:
    """How a program was called: its name, arguments, standard input, environment and directory."""

    name: str
    words: list[str]
    given: str
    environment: dict[str, str]
    directory: str


@dataclass(frozen=True)
class Said:
    """What a program is to do: exit status and output. One that ``hangs`` says nothing and does not end."""

    output: str = ""
    status: int = 0
    errors: str = ""
    hangs: bool = False


@dataclass
class StandIns:
    """Programs that are real processes, each answered by a function of the test; ``calls`` keeps how they were
    called."""

    directory: Path
    answers: dict[str, Callable[[Call], Said]] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    faults: list[BaseException] = field(default_factory=list)

    def add(self, name: str, answer: Callable[[Call], Said] | Said, deaf: bool = False) -> str:
        """Put a program there (or change what it does); return its path. A ``deaf`` one ends without reading its
        input."""
        self.answers[name] = answer if callable(answer) else lambda call: answer
        path = self.directory / "bin" / name
        text = STAND_IN.format(address=str(self.directory / "socket"), deaf=deaf)
        if not path.exists() or path.read_text() != text:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
            path.chmod(0o755)
        return str(path)

    def lines(self, *names: str) -> list[str]:
        """Calls of these programs (of all if none is named), a line each."""
        return [" ".join([call.name, *call.words]) for call in self.calls if not names or call.name in names]

    def answer(self, request: bytes) -> bytes:
        argv, *rest = json.loads(request)
        call = Call(Path(argv[0]).name, argv[1:], *rest)
        self.calls.append(call)
        try:
            said = self.answers[call.name](call)
        except BaseException as fault:
            self.faults.append(fault)
            raise
        return json.dumps(None if said.hangs else [said.status, said.output, said.errors]).encode() + b"\n"


@contextlib.contextmanager
def stand_ins(directory: Path) -> Iterator[StandIns]:
    """Answer for stand-ins below a directory during the block; a fault of the test's own functions is told at its
    end."""
    programs = StandIns(directory)

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(programs.answer(self.rfile.readline()))

    class Server(socketserver.ThreadingUnixStreamServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass

    with Server(str(directory / "socket"), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield programs
        finally:
            server.shutdown()
            thread.join()
    assert programs.faults == []
