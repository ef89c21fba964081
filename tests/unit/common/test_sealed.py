"""Sealed files: what comes out is what went in, for those who know the passphrase, and nothing lies in clear."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.common import sealed
from ansible_collections.stackwright.cloud.tests.stand_ins import Said, StandIns

SECRET = "a passphrase that nobody guesses"


@pytest.fixture(autouse=True)
def few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealed, "ROUNDS", 2)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A directory with another in it, of more than one piece."""
    found = tmp_path / "store"
    (found / "inner").mkdir(parents=True)
    (found / "inner" / "big").write_bytes(bytes(range(256)) * 12000)
    (found / "small").write_text("small")
    return found


def test_what_comes_out_is_what_went_in(tmp_path: Path, store: Path) -> None:
    target = tmp_path / "file"
    sealed.seal(str(target), SECRET, {"keyring": "key = öäü\n"}, {"store": str(store)})
    assert target.stat().st_mode & 0o777 == 0o600
    assert b"key" not in target.read_bytes()
    (tmp_path / "out").mkdir()
    assert sealed.unseal(str(target), SECRET, str(tmp_path / "out")) == {"keyring": "key = öäü\n"}
    for path in store.rglob("*"):
        if path.is_file():
            assert (tmp_path / "out" / "store" / path.relative_to(store)).read_bytes() == path.read_bytes()
    # the texts alone, without what follows them
    assert sealed.unseal(str(target), SECRET) == {"keyring": "key = öäü\n"}
    assert sorted(one.name for one in tmp_path.iterdir()) == ["file", "out", "store"]


def test_two_files_of_the_same_content_differ(tmp_path: Path) -> None:
    for name in ("a", "b"):
        sealed.seal(str(tmp_path / name), SECRET, {"same": "x" * 100})
    assert (tmp_path / "a").read_bytes()[40:] != (tmp_path / "b").read_bytes()[40:]


@pytest.mark.parametrize("place", [25, 60, -1])
def test_a_file_that_was_changed_is_refused_before_anything_is_decrypted(tmp_path: Path, place: int) -> None:
    target = tmp_path / "file"
    sealed.seal(str(target), SECRET, {"text": "something of some length" * 9})
    content = bytearray(target.read_bytes())
    content[place] ^= 1
    target.write_bytes(content)
    with pytest.raises(sealed.SealError, match="another passphrase, or is damaged"):
        sealed.unseal(str(target), SECRET)


def test_others_do_not_open_it(tmp_path: Path) -> None:
    target = tmp_path / "file"
    sealed.seal(str(target), SECRET, {"text": "x"})
    with pytest.raises(sealed.SealError, match="another passphrase"):
        sealed.unseal(str(target), SECRET + "x")
    target.write_bytes(b"x" * 100)
    with pytest.raises(sealed.SealError, match="no sealed file"):
        sealed.unseal(str(target), SECRET)


def test_an_archive_cannot_write_elsewhere(tmp_path: Path) -> None:
    """Names in an archive lead to no other place, even for those who know the passphrase."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "x").write_text("x")
    sealed.seal(str(tmp_path / "file"), SECRET, {}, {"../outside": str(tmp_path / "real")})
    (tmp_path / "out").mkdir()
    with pytest.raises(sealed.SealError, match="would lie elsewhere"):
        sealed.unseal(str(tmp_path / "file"), SECRET, str(tmp_path / "out"))
    assert not (tmp_path / "outside").exists()


def test_a_failure_leaves_no_half_file(tmp_path: Path, stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_ins.add("openssl", lambda _call: Said(status=1, errors="no such cipher"))
    with pytest.raises(sealed.SealError, match="openssl ended with 1: no such cipher"):
        sealed.seal(str(tmp_path / "file"), SECRET, {"text": "x"})
    assert list(tmp_path.glob("file*")) == []
    monkeypatch.setenv("PATH", "")
    with pytest.raises(sealed.SealError, match="openssl cannot be run"):
        sealed.seal(str(tmp_path / "file"), SECRET, {"text": "x"})
