"""Certificates: what is in them, and that others would trust them."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from lws.webhook.certs import (
    CertificateError,
    Pair,
    check_leaf,
    is_due,
    make_ca,
    make_leaf,
    make_unverified,
    read_certificates,
    read_pair,
    to_pem,
)

NOW = datetime(2026, 3, 1, tzinfo=UTC)
NAME = "lws-webhook-service.lws-system.svc"


@pytest.fixture(scope="module")
def ca() -> Pair:
    """An authority made at NOW."""
    return make_ca(NOW)


@pytest.fixture(scope="module")
def leaf(ca: Pair) -> Pair:
    """A leaf made at NOW."""
    return make_leaf(ca, [NAME], NOW)


def verify(ca: Pair, leaf: Pair, name: str, now: datetime) -> None:
    """Verify as an independent implementation does."""
    verifier = PolicyBuilder().store(Store(read_certificates(ca.certificate))).time(now)
    verifier.build_server_verifier(x509.DNSName(name)).verify(read_certificates(leaf.certificate)[0], [])


def test_authority(ca: Pair) -> None:
    """The authority is lws-ca of organisation lws, for ten years from an hour ago."""
    certificate = read_certificates(ca.certificate)[0]
    assert certificate.subject.rfc4514_string() == "CN=lws-ca,O=lws"
    assert certificate.not_valid_before_utc == NOW - timedelta(hours=1)
    assert certificate.not_valid_after_utc == NOW + timedelta(days=3650)


def test_leaf(leaf: Pair) -> None:
    """The leaf serves the Service's name for a year from an hour ago."""
    certificate = read_certificates(leaf.certificate)[0]
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert names.value.get_values_for_type(x509.DNSName) == [NAME]
    assert certificate.not_valid_before_utc == NOW - timedelta(hours=1)
    assert certificate.not_valid_after_utc == NOW + timedelta(days=365)


def test_keys_are_readable_by_the_reference(ca: Pair, leaf: Pair) -> None:
    """Keys are RSA in the old form, which is what the reference controller reads."""
    for pair in (ca, leaf):
        assert pair.key.startswith(b"-----BEGIN RSA PRIVATE KEY-----")


def test_trusted_while_valid(ca: Pair, leaf: Pair) -> None:
    """Others trust the leaf from its first minute to its last, for its name only."""
    for now in (NOW, NOW + timedelta(days=364)):
        verify(ca, leaf, NAME, now)
    for name, now in ((NAME, NOW + timedelta(days=366)), (NAME, NOW - timedelta(hours=2)), ("other.svc", NOW)):
        with pytest.raises(VerificationError):
            verify(ca, leaf, name, now)
    with pytest.raises(VerificationError):
        verify(make_ca(NOW), leaf, NAME, NOW)


def test_leaf_does_not_outlive_its_authority(ca: Pair) -> None:
    """A leaf made late in its authority's life ends with it."""
    late = make_leaf(ca, [NAME], NOW + timedelta(days=3600))
    assert read_certificates(late.certificate)[0].not_valid_after_utc == NOW + timedelta(days=3650)


def test_long_service_names(ca: Pair) -> None:
    """A name longer than a common name may be is still served."""
    name = f"{'s' * 63}.{'n' * 63}.svc"
    verify(ca, make_leaf(ca, [name], NOW), name, NOW)


def test_reading_pairs(ca: Pair, leaf: Pair) -> None:
    """A pair that is broken or mixed up is refused."""
    other = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    read_pair(ca)
    for certificate, key in (
        (b"", ca.key),
        (b"garbage", ca.key),
        (ca.certificate[:200], ca.key),
        (ca.certificate, b""),
        (ca.certificate, b"garbage"),
        (ca.certificate, leaf.key),
        (ca.certificate, other),
    ):
        with pytest.raises(CertificateError):
            read_pair(Pair(certificate, key))


def test_checking_leaves(ca: Pair, leaf: Pair) -> None:
    """A leaf belongs to the authority that signed it, and serves the names in it."""
    certificate, authority = (read_certificates(pair.certificate)[0] for pair in (leaf, ca))
    check_leaf(certificate, authority, [NAME])
    with pytest.raises(CertificateError, match="not signed by its authority"):
        check_leaf(certificate, read_certificates(make_ca(NOW).certificate)[0], [NAME])
    with pytest.raises(CertificateError, match="does not serve other"):
        check_leaf(certificate, authority, [NAME, "other"])
    with pytest.raises(CertificateError, match="does not serve"):
        check_leaf(authority, authority, [NAME])


@pytest.mark.parametrize(
    ("days", "due"), [(0, False), (274, False), (275, True), (364, True), (400, True), (-0.5, False), (-2, True)]
)
def test_due(leaf: Pair, days: float, due: bool) -> None:
    """A leaf is due 90 days before its end; a little before its beginning it is not."""
    assert is_due(read_certificates(leaf.certificate)[0], NOW + timedelta(days=days)) is due


@pytest.mark.parametrize("elliptic", [True, False])
def test_what_nobody_verifies_could_be_verified(elliptic: bool, tmp_path: Path) -> None:
    """A throw-away certificate serves TLS with its own key, by an authority that is sent along."""
    pair = make_unverified([NAME], NOW, elliptic=elliptic)
    leaf, authority = read_certificates(pair.certificate)
    verify(Pair(to_pem([authority]), b""), Pair(to_pem([leaf]), b""), NAME, NOW)
    assert isinstance(leaf.public_key(), ec.EllipticCurvePublicKey) == elliptic
    (tmp_path / "pair").write_bytes(pair.key + pair.certificate)
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tmp_path / "pair")
