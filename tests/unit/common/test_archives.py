"""Entries of archives lie where they are meant to, whichever Python unpacks them."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.common import archives


def packed(*entries: tarfile.TarInfo) -> io.BytesIO:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for one in entries:
            one.size = 1 if one.isfile() else 0
            archive.addfile(one, io.BytesIO(b"x") if one.isfile() else None)
    buffer.seek(0)
    return buffer


def entry(name: str, kind: bytes = tarfile.REGTYPE, mode: int = 0o644, link: str = "") -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.mode, found.linkname, found.uid = kind, mode, link, 4711
    return found


@pytest.fixture(params=[archives._FILTERED, {}], ids=["own Python", "older Python"])
def python(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "_FILTERED", request.param)


@pytest.mark.filterwarnings("ignore:Python 3.14 will")
@pytest.mark.usefixtures("python")
def test_files_and_directories_are_put_below_the_directory(tmp_path: Path) -> None:
    with tarfile.open(fileobj=packed(entry("a", tarfile.DIRTYPE, 0o777), entry("a/b", mode=0o6666))) as archive:
        archives.extract_all(archive, str(tmp_path))
    state = (tmp_path / "a/b").stat()
    assert (state.st_mode & 0o7777, state.st_uid) == (0o644, os.geteuid())
    assert (tmp_path / "a").stat().st_mode & 0o7777 == 0o755


@pytest.mark.parametrize(
    "wrong",
    [
        entry("../b"),
        entry("/etc/stackwright-b"),
        entry("b", tarfile.SYMTYPE, link="/etc/passwd"),
        entry("b", tarfile.LNKTYPE, link="../secret"),
        entry("b", tarfile.FIFOTYPE),
    ],
    ids=lambda one: f"{one.name} {one.type!r}",
)
@pytest.mark.filterwarnings("ignore:Python 3.14 will")
@pytest.mark.usefixtures("python")
def test_nothing_else_is_put_anywhere(tmp_path: Path, wrong: tarfile.TarInfo) -> None:
    (tmp_path / "into").mkdir()
    with tarfile.open(fileobj=packed(wrong)) as archive, pytest.raises(archives.ArchiveError):
        archives.extract_all(archive, str(tmp_path / "into"))
    assert [one.name for one in tmp_path.rglob("*")] == ["into"]


@pytest.mark.filterwarnings("ignore:Python 3.14 will")
@pytest.mark.usefixtures("python")
def test_a_link_that_lies_there_leads_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "into").mkdir()
    (tmp_path / "into" / "a").symlink_to(tmp_path)
    with tarfile.open(fileobj=packed(entry("a/b"))) as archive, pytest.raises(archives.ArchiveError, match="elsewhere"):
        archives.extract_all(archive, str(tmp_path / "into"))
    assert not (tmp_path / "b").exists()
