"""Keys of cephx, Ceph's own login. Source: CryptoKey::encode in Ceph's src/auth/Crypto.cc."""

from __future__ import annotations

import base64
import secrets
import struct

# Kind (1: AES), the time of making (seconds and nanoseconds, which nothing reads), length, the key itself.
_KEY = struct.Struct("<HIIH16s")


def new_key() -> str:
    """A new key."""
    return base64.b64encode(_KEY.pack(1, 0, 0, 16, secrets.token_bytes(16))).decode()


def is_key(text: str) -> bool:
    """Whether a text is a key."""
    try:
        kind, _, _, length, _ = _KEY.unpack(base64.b64decode(text, validate=True))
    except (ValueError, struct.error):
        return False
    return (kind, length) == (1, 16)
