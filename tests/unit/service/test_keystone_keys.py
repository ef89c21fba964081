"""Controllers that share a root have the same keys at the same time, and no token ends by a change of keys."""

from __future__ import annotations

import base64
import grp
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.service.programs import keystone_keys as program
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

ROOT, OTHER = b"\x01" * 32, b"\x02" * 32
DAY = 86400
NOON = 20000 * DAY + DAY // 2
GROUP = grp.getgrgid(os.getegid()).gr_name


class Controller:
    """A host with a key repository; ``root`` and ``now`` are its own."""

    def __init__(self, path: Path, root: bytes = ROOT, now: float = NOON) -> None:
        self.path, self.root, self.now = path, root, now

    def rotate(self, period: int = DAY, keep: int = 5) -> Controller:
        directory = program.Directory(str(self.path), os.getegid())
        program.tokens(directory, self.root, period, keep, self.now)
        os.close(directory.handle)
        for path in self.path.iterdir():
            # what was written just now is of this host's time
            if path.stat().st_mtime > self.now:
                os.utime(path, (self.now, self.now))
        return self

    def numbers(self) -> list[int]:
        return sorted(int(path.name) for path in self.path.iterdir())

    def keys(self) -> MultiFernet:
        """As Keystone reads them: the highest encrypts, all decrypt."""
        return MultiFernet([Fernet((self.path / str(number)).read_bytes()) for number in reversed(self.numbers())])

    def token(self) -> bytes:
        return self.keys().encrypt(b"who")

    def takes(self, token: bytes) -> bool:
        try:
            return self.keys().decrypt(token) == b"who"
        except InvalidToken:
            return False


@pytest.fixture(autouse=True)
def group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "GROUP", GROUP)


def random_key() -> bytes:
    return base64.urlsafe_b64encode(os.urandom(32))


def test_hosts_with_one_root_have_the_same_keys_and_others_have_others(tmp_path: Path) -> None:
    one, two = Controller(tmp_path / "a").rotate(), Controller(tmp_path / "b").rotate()
    assert one.numbers() == two.numbers() == [0, 19997, 19998, 19999, 20000]
    assert two.takes(one.token()) and one.takes(two.token())
    assert not Controller(tmp_path / "c", OTHER).rotate().takes(one.token())
    assert len({path.read_bytes() for path in one.path.iterdir()}) == 5
    assert program.key(ROOT, "token", 7) != program.key(ROOT, "credential", 7)


def test_tokens_live_through_rotations_on_hosts_whose_clocks_differ_until_their_time(tmp_path: Path) -> None:
    one, two = Controller(tmp_path / "a").rotate(), Controller(tmp_path / "b").rotate()
    held = [one.token()]
    for day in range(1, 5):
        one.now = NOON + day * DAY
        one.rotate()
        held.append(one.token())
        # two has not rotated yet, and knows the new key already
        assert two.takes(held[-1]) and one.takes(two.token())
        two.now = one.now
        two.rotate()
        assert all(two.takes(token) for token in held[-4:])
    assert one.numbers() == two.numbers() == [0, 20001, 20002, 20003, 20004]
    assert not one.takes(held[0])
    before = {path.name: path.stat().st_ino for path in one.path.iterdir()}
    one.rotate()
    assert {path.name: path.stat().st_ino for path in one.path.iterdir()} == before


def test_a_host_that_was_off_takes_what_others_gave_meanwhile(tmp_path: Path) -> None:
    late = Controller(tmp_path / "a").rotate()
    on = Controller(tmp_path / "b", now=NOON + 5 * DAY).rotate()
    yesterday = on.token()
    late.now = NOON + 6 * DAY
    assert late.rotate().takes(yesterday)
    assert late.numbers() == [0, 20003, 20004, 20005, 20006]


def test_another_root_takes_over_with_the_next_key_and_ends_no_token(tmp_path: Path) -> None:
    one, two = Controller(tmp_path / "a").rotate(), Controller(tmp_path / "b").rotate()
    held = one.token()
    one.root = OTHER
    one.rotate()
    # the second host is not reached yet
    assert two.takes(one.token()) and one.takes(two.token())
    two.root = OTHER
    two.rotate()
    one.now = NOON + DAY
    one.rotate()
    assert two.takes(one.token()) and one.takes(held)
    new = Controller(tmp_path / "c", OTHER, NOON + DAY).rotate()
    assert new.takes(one.token()) and one.takes(new.token())


def test_random_keys_of_before_stay_until_what_they_encrypted_has_ended(tmp_path: Path) -> None:
    host = Controller(tmp_path / "a")
    host.path.mkdir()
    for number in (0, 6, 7):
        (host.path / str(number)).write_bytes(random_key())
        os.utime(host.path / str(number), (NOON, NOON))
    held = host.token()
    assert host.rotate().takes(held)
    assert host.numbers() == [0, 6, 7, 19997, 19998, 19999, 20000]
    host.now = NOON + 5 * DAY
    assert host.rotate().takes(held)
    host.now += 1
    assert not host.rotate().takes(held)
    assert host.numbers() == [0, 20002, 20003, 20004, 20005]


@pytest.mark.parametrize(("before", "after"), [(3600, DAY), (DAY, 3600), (DAY, 0), (0, DAY), (7 * DAY, DAY)])
def test_another_period_ends_no_token(tmp_path: Path, before: int, after: int) -> None:
    host = Controller(tmp_path / "a").rotate(before)
    held = host.token()
    host.now += 60
    assert host.rotate(after).takes(held)
    other = Controller(tmp_path / "b", now=host.now).rotate(after)
    assert other.takes(host.token()) and host.takes(other.token())
    host.now += 60
    numbers = host.numbers()
    assert host.rotate(after).numbers() == numbers


def test_a_clock_that_goes_back_takes_the_key_back(tmp_path: Path) -> None:
    host = Controller(tmp_path / "a", now=20001 * DAY + 60).rotate()
    held = host.token()
    host.now -= 3600
    assert host.rotate().takes(held)
    assert Controller(tmp_path / "b", now=host.now).rotate().takes(host.token())


def test_without_rotation_one_key_stands(tmp_path: Path) -> None:
    host = Controller(tmp_path / "a").rotate(0)
    token = host.token()
    host.now += 1000 * DAY
    assert host.rotate(0).takes(token)
    assert max(host.numbers()) == program.STANDING


def made(path: Path, root: bytes = ROOT) -> list[int]:
    directory = program.Directory(str(path), os.getegid())
    program.credentials(directory, root)
    os.close(directory.handle)
    return sorted(int(one.name) for one in path.iterdir())


def test_credentials_are_encrypted_by_the_roots_key_and_read_by_former_ones(tmp_path: Path) -> None:
    fresh, grown = tmp_path / "a", tmp_path / "b"
    assert made(fresh) == made(fresh) == [1]
    grown.mkdir()
    for number in (0, 1):
        (grown / str(number)).write_bytes(random_key())
    held = Controller(grown).token()
    assert made(grown) == made(grown) == [0, 1, 2]
    assert Controller(grown).takes(held) and Controller(fresh).takes(Controller(grown).token())
    assert made(grown, OTHER) == [1, 2, 3]
    assert made(grown, ROOT + b"\x03") == [2, 3, 4]


def test_keys_are_roots_and_keystone_reads_them(tmp_path: Path) -> None:
    (tmp_path / "root").write_text(ROOT.hex() + "\n")
    keys = tmp_path / "keys"
    keys.mkdir(mode=0o700)
    (keys / "5").write_bytes(random_key())
    (keys / "5").chmod(0o600)
    call = [str(tmp_path / "root"), "tokens", str(keys), "--period=86400", "--keep=5"]
    assert program.main(call) == 0
    assert keys.stat().st_mode & 0o777 == program.DIRECTORY_MODE
    assert {path.stat().st_mode & 0o777 for path in keys.iterdir()} == {program.MODE}
    assert program.main([str(tmp_path / "root"), "credentials", str(tmp_path / "credentials")]) == 0
    assert [path.name for path in (tmp_path / "credentials").iterdir()] == ["1"]


@pytest.mark.parametrize(
    ("text", "group", "said"),
    [("xyz", GROUP, "hexadecimal"), (None, GROUP, "No such file"), ("00", "nobody-has-this", "name not found")],
)
def test_what_cannot_be_done_is_told(
    tmp_path: Path, text: str | None, group: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    if text is not None:
        (tmp_path / "root").write_text(text)
    monkeypatch.setattr(program, "GROUP", group)
    assert program.main([str(tmp_path / "root"), "credentials", str(tmp_path / "keys")]) == 1
    told = capsys.readouterr().err
    assert said in told and str(tmp_path / "keys") in told and told.startswith("keystone-keys: keys of credentials in")


def test_a_link_in_the_repository_is_not_followed(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.mkdir()
    (tmp_path / "shadow").write_text("secret")
    (keys / "7").symlink_to(tmp_path / "shadow")
    directory = program.Directory(str(keys), os.getegid())
    with pytest.raises(OSError):
        directory.own()
    os.close(directory.handle)


def test_it_is_a_program_by_itself(tmp_path: Path) -> None:
    copy = tmp_path / "keystone-keys"
    copy.write_text(Path(program.__file__).read_text(encoding="utf-8"))
    done = subprocess.run(
        [sys.executable, "-I", str(copy), "--help"], capture_output=True, text=True, check=True, timeout=60
    )
    assert "keys of tokens" in done.stdout.lower()
