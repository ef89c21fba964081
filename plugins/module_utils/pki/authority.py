"""The cloud's own certificate authorities, as one secret of the inventory's vault.

There is one authority, and a second one while the first is being replaced: then both are trusted and one of them
issues. The secret also holds a seed, from which the keys of all certificates follow, and the time from which their
validity is counted. So nothing else has to be kept: see :mod:`leaf`.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import datetime
import json
import secrets as random
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

ORGANIZATION = "Stackwright"
YEARS = 10
DAY = datetime.timedelta(days=1)
SEED_BYTES = 32


class AuthorityError(ValueError):
    """The secret is no authority, or not one that what is asked can be done with. The text holds none of it."""


@dataclass(frozen=True)
class Authority:
    """One authority: its key and its own certificate."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> str:
        """The certificate, which everybody may know."""
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def name(self) -> str:
        """The name under which it issues."""
        return str(self.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


@dataclass(frozen=True)
class Authorities:
    """All authorities that are trusted, the one that issues, and what certificates are made from.

    :param seed: secret from which keys follow. :param since: when validity begins to be counted.
    :param issues: place in ``trusted`` of the one that issues.
    """

    seed: bytes
    since: datetime.datetime
    trusted: tuple[Authority, ...]
    issues: int = 0

    @property
    def issuing(self) -> Authority:
        """The authority that issues."""
        return self.trusted[self.issues]

    @property
    def pems(self) -> list[str]:
        """The certificates of all that are trusted, the issuing one's first."""
        return [self.issuing.pem, *(one.pem for place, one in enumerate(self.trusted) if place != self.issues)]


def _moment(now: datetime.datetime) -> datetime.datetime:
    """A time as certificates hold it: UTC, whole seconds."""
    return now.astimezone(datetime.UTC).replace(microsecond=0)


def create(now: datetime.datetime) -> Authority:
    """A new authority, trusted from a day before `now`, since clocks differ, for ten years."""
    key = ec.generate_private_key(ec.SECP256R1())
    begun = _moment(now)
    # two authorities of a cloud must not share a name: clients look an issuer up by it
    common = f"{ORGANIZATION} authority {begun:%Y-%m-%d} {random.token_hex(4)}"
    name = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANIZATION), x509.NameAttribute(NameOID.COMMON_NAME, common)]
    )
    public = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begun - DAY)
        .not_valid_after(begun + 365 * YEARS * DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign=False, issue=True), critical=True)
        .add_extension(public, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(public), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Authority(key, certificate)


def _usage(sign: bool, issue: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=issue,
        crl_sign=issue,
        encipher_only=False,
        decipher_only=False,
    )


LEAF_USAGE = _usage(sign=True, issue=False)


def new(now: datetime.datetime) -> Authorities:
    """The authorities of a new cloud."""
    return Authorities(random.token_bytes(SEED_BYTES), _moment(now), (create(now),))


def renewed(known: Authorities, now: datetime.datetime) -> Authorities:
    """The same authorities with a new seed: every certificate gets a new key and its whole validity from now on."""
    return dataclasses.replace(known, seed=random.token_bytes(SEED_BYTES), since=_moment(now))


def joined(known: Authorities, now: datetime.datetime) -> Authorities:
    """With a second authority, which is trusted and does not issue yet.

    :raises AuthorityError: there are two already.
    """
    if len(known.trusted) > 1:
        raise AuthorityError("one authority is being replaced already, and this has to come to its end first")
    return dataclasses.replace(known, trusted=(*known.trusted, create(now)))


def switched(known: Authorities, now: datetime.datetime) -> Authorities:
    """With the newest authority as the one that issues; the former is trusted still."""
    return dataclasses.replace(renewed(known, now), issues=len(known.trusted) - 1)


def retired(known: Authorities) -> Authorities:
    """With the issuing authority alone."""
    return dataclasses.replace(known, trusted=(known.issuing,), issues=0)


def text_of(known: Authorities) -> str:
    """The authorities as a secret: one line, which opens all certificates of the cloud."""
    document = {
        "seed": known.seed.hex(),
        "since": known.since.isoformat(),
        "issues": known.issues,
        "authorities": [{"key": _key_text(one.key), "certificate": one.pem} for one in known.trusted],
    }
    return base64.b64encode(json.dumps(document).encode()).decode()


def _key_text(key: ec.EllipticCurvePrivateKey) -> str:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def read(text: str) -> Authorities:
    """The authorities that a secret holds.

    :raises AuthorityError: it holds none.
    """
    try:
        document = json.loads(base64.b64decode(text, validate=True))
        seed = bytes.fromhex(document["seed"])
        since = datetime.datetime.fromisoformat(document["since"])
        trusted = tuple(_authority(one) for one in document["authorities"])
        issues = int(document["issues"])
    except (binascii.Error, ValueError, KeyError, TypeError) as error:
        raise AuthorityError(f"is no certificate authority ({type(error).__name__})") from None
    if not trusted or not 0 <= issues < len(trusted) or len(seed) != SEED_BYTES or since.tzinfo is None:
        raise AuthorityError("is no certificate authority: a part of it is missing")
    return Authorities(seed, since, trusted, issues)


def _authority(data: dict[str, str]) -> Authority:
    key = serialization.load_pem_private_key(data["key"].encode(), None)
    certificate = x509.load_pem_x509_certificate(data["certificate"].encode())
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise AuthorityError("holds a key that does not belong to its certificate")
    return Authority(key, certificate)


def fingerprint(certificate: x509.Certificate) -> str:
    """A certificate in a line: its SHA-256, in hexadecimal digits."""
    return certificate.fingerprint(hashes.SHA256()).hex()
