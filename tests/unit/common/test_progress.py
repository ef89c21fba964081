"""Steps are told while a task runs, each once, without control characters, and never in the way of anything."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.common import progress
from ansible_collections.stackwright.cloud.plugins.module_utils.common.progress import Listener
from ansible_collections.stackwright.cloud.plugins.module_utils.host import watch


def test_what_is_told_is_heard_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(progress.VARIABLE, str(tmp_path))
    listener = Listener(str(tmp_path))
    progress.tell("image is stored")
    progress.tell("server boots")
    assert listener.hear() == ["image is stored", "server boots"]
    assert listener.hear() == []
    progress.tell("SSH logs in")
    assert listener.hear() == ["SSH logs in"]


def test_nobody_listens_and_nothing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(progress.VARIABLE, raising=False)
    progress.tell("unheard")
    monkeypatch.setenv(progress.VARIABLE, str(tmp_path / "gone"))
    progress.tell("unheard")
    assert Listener(str(tmp_path / "gone")).hear() == []


def test_hostile_lines_reach_nobody_raw_and_are_few(tmp_path: Path) -> None:
    (tmp_path / "1").write_bytes(
        b"\x1b[2J\x9b31mowned\x07\r\n" + b"\xe2\x80\xae evil \xff\n" + b"x" * 1000 + b"\n" + b"unfinished"
    )
    listener = Listener(str(tmp_path))
    lines = listener.hear()
    assert len(lines) == 3
    assert all(line.isprintable() and len(line) <= progress.LENGTH for line in lines)
    (tmp_path / "2").write_text("y\n" * 100_000)
    heard = [line for _ in range(50) for line in listener.hear()]
    assert len(heard) == progress.IN_ALL - 3


def test_a_line_is_heard_when_it_is_whole(tmp_path: Path) -> None:
    listener = Listener(str(tmp_path))
    (tmp_path / "1").write_text("server ")
    assert listener.hear() == []
    with (tmp_path / "1").open("a") as stream:
        stream.write("boots\n")
    assert listener.hear() == ["server boots"]


def test_step_of_a_host_replaces_the_one_before_and_follows_no_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "run" / "progress"
    monkeypatch.setattr(progress, "ON_HOST", str(place))
    progress.tell_on_host("downloading, 10 %")
    progress.tell_on_host("downloading, 20 %")
    assert place.read_text() == "downloading, 20 %\n"
    victim = tmp_path / "victim"
    victim.write_text("whole")
    place.with_name(f"progress.{os.getpid()}").symlink_to(victim)
    progress.tell_on_host("downloading, 30 %")
    assert victim.read_text() == "whole"
    place.with_name(f"progress.{os.getpid()}").unlink()
    progress.tell_on_host("")
    assert not place.exists()


class Connection:
    """A connection whose host is at these steps, one after the other; an exception is raised."""

    def __init__(self, *answers: Any, done: threading.Event) -> None:
        self.answers, self.done = list(answers), done

    def exec_command(self, command: str, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        assert command == f"cat {progress.ON_HOST}"
        assert sudoable is False
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, tuple) else (0, answer, b"")


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Listener:
    monkeypatch.setenv(progress.VARIABLE, str(tmp_path))
    monkeypatch.setattr(watch, "FIRST", 0)
    monkeypatch.setattr(watch, "AGAIN", 0)
    return Listener(str(tmp_path))


def test_steps_of_a_remote_host_are_told_with_its_name_when_they_change(told: Listener) -> None:
    done = threading.Event()
    answers = (b"downloading\n", b"downloading\n", (1, b"no such file", b""), b"\x1b[2Junpacking\n", OSError("gone"))
    watch._watch(Connection(*answers, done=done), "compute1", done)
    assert told.hear() == ["compute1: downloading", "compute1: [2Junpacking"]


def test_nothing_is_asked_once_the_module_is_done(told: Listener) -> None:
    done = threading.Event()
    done.set()
    watch._watch(Connection(done=done), "compute1", done)
    assert told.hear() == []
