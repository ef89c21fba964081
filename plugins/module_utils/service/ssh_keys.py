"""Keys for SSH that follow from one secret of the cloud: each host gets its own, and all public halves are known on the
control node.

The keys are Ed25519 (RFC 8709). The private file has the format of OpenSSH's PROTOCOL.key, without encryption. It holds
a number that is random there; here it follows from the key, so that an unchanged key is an unchanged file.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import struct

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

KIND = b"ssh-ed25519"
BLOCK = 8
WIDTH = 70


def _text(value: bytes) -> bytes:
    """A string of the SSH protocol (RFC 4251): its length, then itself."""
    return struct.pack(">I", len(value)) + value


def _seed(secret: str, purpose: str, host: str) -> bytes:
    """32 bytes for one host and purpose, from which the secret cannot be told."""
    for name, value in (("purpose", purpose), ("host", host)):
        if not value or "/" in value:
            raise ValueError(f"the {name} {value!r} must be a text without a slash that is not empty")
    return hmac.new(secret.encode(), f"stackwright/ssh/{purpose}/{host}".encode(), hashlib.sha256).digest()


def _public(seed: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def public_key(secret: str, purpose: str, host: str) -> str:
    """The public half as ``authorized_keys`` and ``known_hosts`` have it: kind and base64.

    :raises ValueError: purpose or host is empty or has a slash.
    """
    return f"{KIND.decode()} {base64.b64encode(_text(KIND) + _text(_public(_seed(secret, purpose, host)))).decode()}"


def private_key(secret: str, purpose: str, host: str) -> str:
    """The private key as a file for ssh and sshd.

    :raises ValueError: purpose or host is empty or has a slash.
    """
    seed = _seed(secret, purpose, host)
    public = _public(seed)
    check = hashlib.sha256(b"check" + seed).digest()[:4]
    inner = check + check + _text(KIND) + _text(public) + _text(seed + public) + _text(host.encode())
    inner += bytes(range(1, BLOCK - len(inner) % BLOCK + 1)) if len(inner) % BLOCK else b""
    outer = b"openssh-key-v1\0" + _text(b"none") + _text(b"none") + _text(b"") + struct.pack(">I", 1)
    text = base64.b64encode(outer + _text(_text(KIND) + _text(public)) + _text(inner)).decode()
    lines = [text[at : at + WIDTH] for at in range(0, len(text), WIDTH)]
    label = "OPENSSH PRIVATE KEY"
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""])
