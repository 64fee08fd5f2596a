"""The webhook's certificates: our own certificate authority and the leaves it signs (operations 3).

Pure except for the keys, which come from the system's random source; validity follows from the time passed in. Keys
that are kept are RSA in the old PEM form, so that the reference controller can go on with them.
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_NAME: Final = "lws-ca"
CA_ORGANIZATION: Final = "lws"
CA_VALIDITY: Final = timedelta(days=3650)
LEAF_VALIDITY: Final = timedelta(days=365)
RENEW_BEFORE: Final = timedelta(days=90)
CLOCK_SKEW: Final = timedelta(hours=1)  # certificates begin this long ago, for readers whose clock is behind
FOREIGN_CLOCK: Final = timedelta(days=1)
_KEY_BITS: Final = 2048

_Key: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
_PublicKey: TypeAlias = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


class CertificateError(ValueError):
    """A certificate or key cannot be read, or two of them do not belong together."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes


def make_ca(now: datetime) -> Pair:
    """A new authority, valid from an hour ago for ten years."""
    certificate, key = _authority(_new_key(), now)
    return Pair(_pem(certificate), _key_pem(key))


def make_leaf(ca: Pair, names: Sequence[str], now: datetime) -> Pair:
    """A new serving certificate for these names and addresses.

    It is valid from an hour ago for a year, but not beyond its authority.

    Raises:
        CertificateError: the authority cannot be read.
    """
    key = _new_key()
    return Pair(_pem(_leaf(key, *read_pair(ca), names, now)), _key_pem(key))


def make_unverified(names: Sequence[str], now: datetime, *, elliptic: bool) -> Pair:
    """A serving certificate for callers that do not verify, with its authority, whose key is thrown away.

    Args:
        names: as `make_leaf` has them.
        now: validity begins an hour ago.
        elliptic: with keys that are made at once: RSA ones take a tenth of a second of nothing else.
    """
    first, key = (_new_elliptic_key(), _new_elliptic_key()) if elliptic else (_new_key(), _new_key())
    authority, signer = _authority(first, now)
    return Pair(_pem(_leaf(key, authority, signer, names, now)) + _pem(authority), _key_pem(key))


def _authority(key: _Key, now: datetime) -> tuple[x509.Certificate, _Key]:
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, CA_ORGANIZATION),
            x509.NameAttribute(NameOID.COMMON_NAME, CA_NAME),
        ]
    )
    builder = _builder(name, name, key.public_key(), now - CLOCK_SKEW, now + CA_VALIDITY)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    builder = builder.add_extension(_usage(key, signs_certificates=True), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    return builder.sign(key, hashes.SHA256()), key


def _leaf(
    key: _Key, authority: x509.Certificate, signer: _Key, names: Sequence[str], now: datetime
) -> x509.Certificate:
    end = min(now + LEAF_VALIDITY, authority.not_valid_after_utc)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    builder = _builder(subject, authority.subject, key.public_key(), now - CLOCK_SKEW, end)
    for extension, critical in (
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_usage(key, signs_certificates=False), True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        (x509.SubjectAlternativeName([_general_name(name) for name in names]), False),
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False),
    ):
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(signer, hashes.SHA256())


def read_pair(pair: Pair) -> tuple[x509.Certificate, rsa.RSAPrivateKey]:
    """The first certificate of a pair and its key.

    Raises:
        CertificateError: one cannot be read, or the key is another certificate's.
    """
    certificate = read_certificates(pair.certificate)[0]
    key = _read_key(pair.key)
    if key.public_key() != certificate.public_key():
        raise CertificateError("the private key is not the certificate's")
    return certificate, key


# Reading a key proves that it is one, which takes a tenth of a second; the same ones are looked at every half minute.
@functools.lru_cache(maxsize=32)
def _read_key(pem: bytes) -> rsa.RSAPrivateKey:
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:
        raise CertificateError("the private key cannot be read") from error
    if not isinstance(key, rsa.RSAPrivateKey):
        raise CertificateError("the private key is no RSA key")
    return key


def read_certificates(pem: bytes) -> list[x509.Certificate]:
    """Every certificate of a bundle, at least one.

    Raises:
        CertificateError: there is none, or one cannot be read.
    """
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise CertificateError("the certificate cannot be read") from error


def check_leaf(leaf: x509.Certificate, ca: x509.Certificate, names: Iterable[str]) -> None:
    """Check that ``ca`` signed ``leaf`` and that it serves all these names; dates are not looked at.

    Raises:
        CertificateError: it did not, or does not.
    """
    try:
        leaf.verify_directly_issued_by(ca)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise CertificateError("the certificate is not signed by its authority") from error
    served = set(dns_names(leaf))
    missing = [name for name in names if name not in served]
    if missing:
        raise CertificateError(f"the certificate does not serve {', '.join(missing)}")


def dns_names(certificate: x509.Certificate) -> list[str]:
    """The names that a certificate is for."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return extension.value.get_values_for_type(x509.DNSName)


def is_due(certificate: x509.Certificate, now: datetime) -> bool:
    """Whether a certificate is to be renewed: it is valid for less than 90 more days, or not within the next day."""
    # One that begins a little later was made by a replica whose clock is ahead: renewing it would start a quarrel.
    late = now < certificate.not_valid_before_utc - FOREIGN_CLOCK
    return late or now >= certificate.not_valid_after_utc - RENEW_BEFORE


def to_pem(certificates: Iterable[x509.Certificate]) -> bytes:
    """A bundle, in the order given."""
    return b"".join(_pem(certificate) for certificate in certificates)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS)


def _new_elliptic_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _builder(
    subject: x509.Name, issuer: x509.Name, key: _PublicKey, begin: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
    )


def _usage(key: _Key, *, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=isinstance(key, rsa.RSAPrivateKey),
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: _Key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
