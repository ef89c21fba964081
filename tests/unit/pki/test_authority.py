"""The cloud's own authority: what it issues, to whom it issues nothing, and how it is replaced."""

from __future__ import annotations

import datetime
import ipaddress
import subprocess
from pathlib import Path

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.stackwright.cloud.plugins.filter.trusted_authorities import trusted_authorities
from ansible_collections.stackwright.cloud.plugins.module_utils.pki import authority, leaf, rotation
from ansible_collections.stackwright.cloud.plugins.module_utils.pki.authority import DAY, Authorities
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

NOW = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)
TERMS = leaf.Terms(365, 60)
NAMES = ["controller1", "192.0.2.11", "fd00::11", "localhost"]
KNOWN = authority.new(NOW)


def issued(
    known: Authorities = KNOWN,
    now: datetime.datetime = NOW,
    host: str = "controller1",
    purpose: str = "/etc/orbit",
    names: list[str] = NAMES,
    terms: leaf.Terms = TERMS,
) -> leaf.Leaf:
    return leaf.issue(known, host, purpose, names, terms, now)


def certificate(one: leaf.Leaf) -> x509.Certificate:
    return x509.load_pem_x509_certificate(one.certificate.encode())


def test_an_unchanged_host_is_issued_nothing() -> None:
    again = authority.read(authority.text_of(KNOWN))
    assert issued() == issued(again, NOW + 304 * DAY, names=[*reversed(NAMES), "localhost"])


@pytest.mark.parametrize(
    "other",
    [
        issued(names=[*NAMES, "another"]),
        issued(host="controller2"),
        issued(purpose="/etc/tide"),
        issued(authority.renewed(KNOWN, NOW)),
        issued(authority.new(NOW)),
        issued(authority.switched(authority.joined(KNOWN, NOW), NOW)),
        issued(now=NOW + 305 * DAY),
    ],
    ids=["names", "host", "purpose", "renewed on purpose", "authority", "second authority", "days left"],
)
def test_a_certificate_is_issued_anew_with_another_serial_number(other: leaf.Leaf) -> None:
    assert certificate(other).serial_number != certificate(issued()).serial_number


def test_keys_of_hosts_purposes_and_periods_differ_and_fit_their_certificates() -> None:
    found = [
        issued(),
        issued(host="controller2"),
        issued(purpose="/etc/tide"),
        issued(now=NOW + 305 * DAY),
        issued(authority.renewed(KNOWN, NOW)),
    ]
    assert len({one.key for one in found}) == len(found)
    for one in found:
        key = serialization.load_pem_private_key(one.key.encode(), None)
        assert key.public_key() == certificate(one).public_key()


@given(st.integers(min_value=0, max_value=3600))
@settings(max_examples=20, deadline=None)
def test_more_days_are_left_than_the_next_one_needs(day: int) -> None:
    now = NOW + day * DAY
    found = certificate(issued(now=now))
    left = found.not_valid_after_utc - now
    assert found.not_valid_before_utc < now
    assert left > 60 * DAY or found.not_valid_after_utc == KNOWN.issuing.certificate.not_valid_after_utc


def test_a_clock_that_was_set_back_is_issued_the_first_certificate() -> None:
    assert issued(now=NOW - 40 * DAY) == issued()


def test_a_certificate_holds_what_strict_clients_want() -> None:
    found = certificate(issued())
    extensions = found.extensions
    basic = extensions.get_extension_for_class(x509.BasicConstraints)
    assert basic.critical and not basic.value.ca
    usage = extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical and usage.value.digital_signature and not usage.value.key_cert_sign
    assert list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        ExtendedKeyUsageOID.SERVER_AUTH,
        ExtendedKeyUsageOID.CLIENT_AUTH,
    ]
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["controller1", "localhost"]
    assert names.get_values_for_type(x509.IPAddress) == [
        ipaddress.ip_address("192.0.2.11"),
        ipaddress.ip_address("fd00::11"),
    ]
    assert found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "controller1"
    assert not certificate(issued(host="a" * 65)).subject.get_attributes_for_oid(NameOID.COMMON_NAME)


def test_openssl_accepts_the_chain_and_name_and_no_other(tmp_path: Path) -> None:
    second = authority.joined(KNOWN, NOW)
    for name, text in {
        "ca.pem": "".join(KNOWN.pems),
        "both.pem": "".join(second.pems),
        "other.pem": authority.new(NOW).issuing.pem,
        "leaf.pem": issued().certificate,
        "next.pem": issued(authority.switched(second, NOW)).certificate,
    }.items():
        (tmp_path / name).write_text(text)

    def accepted(leaf_file: str, ca: str, name: str) -> bool:
        moment = str(int((NOW + 10 * DAY).timestamp()))
        strict = ["openssl", "verify", "-x509_strict", "-attime", moment, "-purpose", "sslserver"]
        checked = [*strict, "-verify_ip", name, "-CAfile", ca, leaf_file]
        return subprocess.run(checked, cwd=tmp_path, capture_output=True, check=False, timeout=30).returncode == 0

    assert accepted("leaf.pem", "ca.pem", "192.0.2.11")
    assert not accepted("leaf.pem", "ca.pem", "192.0.2.12")
    assert not accepted("leaf.pem", "other.pem", "192.0.2.11")
    # while an authority is replaced, what either issued is accepted by those who trust both
    assert accepted("leaf.pem", "both.pem", "192.0.2.11") and accepted("next.pem", "both.pem", "192.0.2.11")
    assert not accepted("next.pem", "ca.pem", "192.0.2.11")


def test_an_authority_is_replaced_step_by_step() -> None:
    begun = authority.joined(KNOWN, NOW)
    assert begun.issuing == KNOWN.issuing and len(begun.pems) == 2 and issued(begun) == issued()
    with pytest.raises(authority.AuthorityError, match="one authority is being replaced already"):
        authority.joined(begun, NOW)
    moved = authority.switched(begun, NOW)
    assert moved.issuing == begun.trusted[1] and moved.pems[0] == begun.pems[1] and len(moved.pems) == 2
    done = authority.retired(moved)
    assert done.pems == moved.pems[:1] and issued(done) == issued(moved)


@pytest.mark.parametrize("text", ["", "no base64!", "e30=", "W10=", authority.text_of(KNOWN)[:-40]])
def test_what_is_no_authority_is_refused_without_a_word_of_it(text: str) -> None:
    with pytest.raises(authority.AuthorityError, match="is no certificate authority") as told:
        authority.read(text)
    assert not text or text not in str(told.value)
    with pytest.raises(AnsibleFilterError, match="trusted_authorities: the secret is no certificate authority"):
        trusted_authorities(text)


def test_a_key_of_another_authority_is_refused() -> None:
    mixed = authority.Authority(authority.new(NOW).issuing.key, KNOWN.issuing.certificate)
    text = authority.text_of(Authorities(KNOWN.seed, NOW, (mixed,)))
    with pytest.raises(authority.AuthorityError):
        authority.read(text)


def test_the_filter_gives_certificates_and_no_key() -> None:
    assert trusted_authorities(authority.text_of(KNOWN)) == [KNOWN.issuing.pem]
    assert "PRIVATE" not in KNOWN.issuing.pem


@pytest.mark.parametrize(("days", "renewal"), [(30, 30), (10, 0), (0, -1)])
def test_terms_that_cannot_be_kept_are_refused(days: int, renewal: int) -> None:
    with pytest.raises(ValueError, match="the first number has to be greater"):
        leaf.Terms(days, renewal)


def test_the_steps_of_a_replacement_may_be_repeated_and_none_is_left_out() -> None:
    begun = authority.text_of(KNOWN)
    with pytest.raises(authority.AuthorityError, match="is no certificate authority"):
        rotation.step("nothing", "join", NOW)
    joined = rotation.step(begun, "join", NOW)
    assert rotation.step(joined, "join", NOW) == joined
    with pytest.raises(authority.AuthorityError, match="the newest authority issues nothing yet"):
        rotation.step(joined, "retire", NOW)
    moved = rotation.step(joined, "switch", NOW)
    assert rotation.step(moved, "switch", NOW) == moved
    done = rotation.step(moved, "retire", NOW)
    assert rotation.step(done, "retire", NOW) == done
    assert authority.read(done).pems == authority.read(moved).pems[:1]
    assert rotation.step(begun, "keys", NOW) != begun
