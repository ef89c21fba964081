"""Certificates of authorities as a file, which is what libraries take."""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import tempfile

_BEGIN = "-----BEGIN CERTIFICATE-----"


@functools.cache
def as_file(given: str) -> str:
    """The path of a file with authorities.

    :param given: the path, or the certificates themselves, in PEM; these are in a file as long as the process lives.
    """
    if not given.lstrip().startswith(_BEGIN):
        return given
    with tempfile.NamedTemporaryFile("w", suffix=".pem", delete=False) as stream:
        stream.write(given)
    atexit.register(_remove, stream.name)
    return stream.name


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)
