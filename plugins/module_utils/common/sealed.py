"""Directories and texts as one encrypted file, which can lie anywhere: a tar archive, compressed, that only those read
who know the passphrase. Nothing of it is ever on a disk in clear.

The file: :data:`MAGIC`, sixteen bytes of salt, what ``openssl enc`` makes of the archive (AES-256 in counter mode), and
the HMAC-SHA256 of all before it, which is looked at before anything is decrypted.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import io
import os
import secrets
import subprocess
import tarfile
import threading
from collections.abc import Iterator, Mapping
from typing import IO

from ansible_collections.stackwright.cloud.plugins.module_utils.common import archives

MAGIC = b"stackwright sealed 1\n"
SALT = 16
ROUNDS = 200_000
PIECE = 1 << 20
_MAC = hashlib.sha256().digest_size


class SealError(Exception):
    """A file cannot be sealed or opened; the text says why."""


def _keys(passphrase: str, salt: bytes) -> tuple[bytes, bytes]:
    """What openssl derives its key from, and the key of the checksum."""
    found = hashlib.pbkdf2_hmac("sha256", passphrase.encode(), salt, ROUNDS, 64)
    return found[:32].hex().encode(), found[32:]


@contextlib.contextmanager
def _openssl(
    words: list[str], secret: bytes, stdin: int | IO[bytes], stdout: int | IO[bytes]
) -> Iterator[subprocess.Popen[bytes]]:
    """OpenSSL, which reads its secret from a pipe that nobody else sees."""
    reading, writing = os.pipe()
    try:
        # the secret is itself the outcome of many rounds
        command = ["openssl", "enc", "-aes-256-ctr", "-pbkdf2", "-iter", "1", "-nosalt", "-pass", f"fd:{reading}"]
        program = subprocess.Popen(
            [*command, *words], stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, pass_fds=[reading]
        )
    except OSError as error:
        os.close(writing)
        raise SealError(f"openssl cannot be run: {error.strerror or error}") from error
    finally:
        os.close(reading)
    try:
        os.write(writing, secret + b"\n")
        os.close(writing)
        broken = False
        try:
            yield program
            if program.stdin:
                program.stdin.close()
        except BrokenPipeError:
            # it ended before it had read all, and says itself why
            broken = True
        if program.wait() or broken:
            said = program.stderr.read().decode(errors="replace") if program.stderr else ""
            raise SealError(f"openssl ended with {program.returncode}: {said.strip()[-200:]}")
    finally:
        if program.poll() is None:
            program.kill()
            program.wait()
        for end in (program.stdin, program.stdout, program.stderr):
            if end:
                with contextlib.suppress(OSError):
                    end.close()


def seal(target: str, passphrase: str, texts: Mapping[str, str], directories: Mapping[str, str] | None = None) -> None:
    """Write a sealed file; it is there whole, or not at all.

    :param target: its path; the directory must be there.
    :param texts: names in the archive, and what they hold. :param directories: names, and the directories with all in
        them.
    :raises SealError: openssl fails. :raises OSError: a file cannot be read or written.
    """
    salt = secrets.token_bytes(SALT)
    secret, checksum = _keys(passphrase, salt)
    draft = f"{target}.{secrets.token_hex(4)}"
    handle = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(handle, "r+b") as stream:
            stream.write(MAGIC + salt)
            stream.flush()
            with _openssl(["-e"], secret, subprocess.PIPE, stream) as program:
                assert program.stdin is not None
                with tarfile.open(fileobj=program.stdin, mode="w|gz") as archive:
                    for name, text in texts.items():
                        entry = tarfile.TarInfo(name)
                        entry.size, entry.mode = len(text.encode()), 0o600
                        archive.addfile(entry, io.BytesIO(text.encode()))
                    for name, directory in (directories or {}).items():
                        archive.add(directory, name)
            stream.seek(0)
            mac = hmac.new(checksum, digestmod="sha256")
            while piece := stream.read(PIECE):
                mac.update(piece)
            stream.write(mac.digest())
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(draft, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(draft)
        raise


def _checked(stream: IO[bytes], path: str, passphrase: str) -> tuple[bytes, int]:
    """The secret for openssl, and where what it encrypted ends; the stream stands at its beginning."""
    size = os.fstat(stream.fileno()).st_size
    head = stream.read(len(MAGIC) + SALT)
    if not head.startswith(MAGIC) or size < len(MAGIC) + SALT + _MAC:
        raise SealError(f"{path} is no sealed file")
    secret, checksum = _keys(passphrase, head[len(MAGIC) :])
    mac, end = hmac.new(checksum, head, "sha256"), size - _MAC
    while (at := stream.tell()) < end:
        mac.update(stream.read(min(PIECE, end - at)))
    if not hmac.compare_digest(mac.digest(), stream.read(_MAC)):
        raise SealError(f"{path} was sealed with another passphrase, or is damaged")
    stream.seek(len(head))
    return secret, end


@contextlib.contextmanager
def opened(path: str, passphrase: str) -> Iterator[tarfile.TarFile]:
    """The archive in a sealed file, as a stream: its entries can be read once, in their order.

    :raises SealError: the passphrase is another, or the file is damaged. :raises OSError: it cannot be read.
    """
    with open(path, "rb") as stream:
        secret, end = _checked(stream, path, passphrase)
        with _openssl(["-d"], secret, subprocess.PIPE, subprocess.PIPE) as program:
            feed, output = program.stdin, program.stdout
            assert feed is not None and output is not None

            def pour() -> None:
                # whoever reads may stop before the end
                with contextlib.suppress(BrokenPipeError, ValueError), feed:
                    while (at := stream.tell()) < end:
                        feed.write(stream.read(min(PIECE, end - at)))

            pourer = threading.Thread(target=pour, daemon=True)
            pourer.start()
            with tarfile.open(fileobj=output, mode="r|gz") as archive:
                yield archive
            while output.read(PIECE):
                pass
            pourer.join()


def _extract(archive: tarfile.TarFile, entry: tarfile.TarInfo, directory: str) -> None:
    try:
        archives.extract(archive, entry, directory)
    except archives.ArchiveError as error:
        raise SealError(str(error)) from error


def unseal(path: str, passphrase: str, directory: str = "") -> dict[str, str]:
    """The texts of a sealed file by their names; what lies in directories of it goes below one.

    :param directory: where its directories are put. Without it they are passed over.
    :raises SealError: see :func:`opened`. :raises OSError: a file cannot be read or written.
    """
    texts: dict[str, str] = {}
    with opened(path, passphrase) as archive:
        for entry in archive:
            if "/" in entry.name or entry.isdir():
                if directory:
                    _extract(archive, entry, directory)
            elif (held := archive.extractfile(entry)) is not None:
                texts[entry.name] = held.read().decode()
    return texts
