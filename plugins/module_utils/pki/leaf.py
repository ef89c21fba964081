"""Certificates that follow from the cloud's authority: the same question on the same day has the same answer.

Keys are derived from the authority's seed (HKDF, RFC 5869; the way from random bits to a key is that of FIPS 186-5,
appendix A.2.1), signatures are those of RFC 6979. Time is cut into periods: a certificate is valid for a whole
validity, and the next period begins as soon as no more than the days of renewal are left of it. So an unchanged host is
issued nothing, nothing is kept but the authority, and a certificate is another one when its names, its period, or the
authority changed.
"""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import json
from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.stackwright.cloud.plugins.module_utils.pki.authority import (
    DAY,
    LEAF_USAGE,
    ORGANIZATION,
    Authorities,
    fingerprint,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# Order of the group of P-256 (FIPS 186-5), and bytes from which a key is taken: 128 bits more than it needs.
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
KEY_BYTES = 48
# Longest common name (X.520); a longer host name stands among the alternative names alone.
LONGEST = 64


@dataclass(frozen=True)
class Terms:
    """How long certificates are valid, and how many days before their end the next ones are issued."""

    days: int = 365
    renewal: int = 60

    def __post_init__(self) -> None:
        if not 0 < self.renewal < self.days:
            raise ValueError(
                f"certificates of {self.days} days cannot be renewed {self.renewal} days before their end: "
                "the first number has to be greater, and neither 0"
            )


@dataclass(frozen=True)
class Leaf:
    """A certificate with its key, in PEM."""

    certificate: str
    key: str
    until: datetime.datetime


def period(known: Authorities, terms: Terms, now: datetime.datetime) -> tuple[int, datetime.datetime]:
    """Number and begin of the period in which `now` lies; a clock that was set back is in the first one."""
    begun = max(known.since, known.issuing.certificate.not_valid_before_utc + DAY)
    length = (terms.days - terms.renewal) * DAY
    number = max(0, (now - begun) // length)
    return number, begun + number * length


def issue(
    known: Authorities, host: str, purpose: str, names: Sequence[str], terms: Terms, now: datetime.datetime
) -> Leaf:
    """The certificate of a host for a purpose.

    :param purpose: tells the certificates of one host apart; each has a key of its own.
    :param names: host names and addresses that it bears, each once, in any order.
    :raises ValueError: a name is none.
    """
    number, begun = period(known, terms, now)
    issuer = known.issuing
    bears = sorted(set(names))
    key = _key(known.seed, [fingerprint(issuer.certificate), host, purpose, number])
    until = min(begun + terms.days * DAY, issuer.certificate.not_valid_after_utc)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    facts = [issuer.name, host, bears, begun.isoformat(), until.isoformat(), identifier.digest.hex()]
    own = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANIZATION)]
    if len(host) <= LONGEST:
        own.append(x509.NameAttribute(NameOID.COMMON_NAME, host))
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    public = issuer.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(own))
        .issuer_name(issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(_serial(facts))
        # clocks differ
        .not_valid_before(begun - DAY)
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(LEAF_USAGE, critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.SubjectAlternativeName([_name(one) for one in bears]), critical=False)
        .add_extension(identifier, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(public), critical=False)
        .sign(issuer.key, hashes.SHA256(), ecdsa_deterministic=True)
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Leaf(certificate.public_bytes(serialization.Encoding.PEM).decode(), secret.decode(), until)


def _key(seed: bytes, facts: Sequence[object]) -> ec.EllipticCurvePrivateKey:
    info = b"stackwright certificate key " + json.dumps(facts).encode()
    bits = HKDF(hashes.SHA512(), KEY_BYTES, None, info).derive(seed)
    return ec.derive_private_key(int.from_bytes(bits, "big") % (ORDER - 1) + 1, ec.SECP256R1())


def _serial(facts: Sequence[object]) -> int:
    """A positive number of at most 20 bytes (RFC 5280), which differs where anything of the certificate does."""
    return int.from_bytes(hashlib.sha256(json.dumps(facts).encode()).digest()[:20], "big") >> 1 or 1


def _name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)
