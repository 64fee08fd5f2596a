"""What the certificate Secret holds, and what it should hold (operations 3). Pure but for new keys.

Guarantees: what `renewed` gives is consistent: the leaf is signed by the first authority of ``ca.crt``, and authorities
that other replicas may still be serving certificates of follow it, for a day.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from lws.webhook.certs import (
    CA_NAME,
    CLOCK_SKEW,
    CertificateError,
    Pair,
    check_leaf,
    is_due,
    make_ca,
    make_leaf,
    read_certificates,
    read_pair,
    to_pem,
)

CA_CERTIFICATE: Final = "ca.crt"
CA_KEY: Final = "ca.key"
LEAF_CERTIFICATE: Final = "tls.crt"
LEAF_KEY: Final = "tls.key"
EXTRA: Final = "extra.crt"  # certificates of others that are to be trusted as well, whatever they are
OVERLAP: Final = timedelta(days=1)  # how long a former authority stays in the bundle
FOREIGN_RENEW: Final = 0.1  # share of its lifetime that is left when somebody else's certificate is replaced
MOST_FORMER: Final = 4  # more former authorities than this are no rotation but an accident
_OWN_NAME: Final = x509.NameAttribute(NameOID.COMMON_NAME, CA_NAME)


@dataclass(frozen=True, slots=True)
class Keychain:
    """The content of the Secret: authority and leaf. ``ca.certificate`` is the bundle, the authority first."""

    ca: Pair
    leaf: Pair

    @classmethod
    def from_data(cls, data: Mapping[str, bytes]) -> Keychain:
        """Read the Secret's decoded data; members that are missing read as empty."""
        members = [data.get(name, b"") for name in (CA_CERTIFICATE, CA_KEY, LEAF_CERTIFICATE, LEAF_KEY)]
        return cls(Pair(members[0], members[1]), Pair(members[2], members[3]))

    def to_data(self) -> dict[str, bytes]:
        """The Secret's data, not yet encoded."""
        return {
            CA_CERTIFICATE: self.ca.certificate,
            CA_KEY: self.ca.key,
            LEAF_CERTIFICATE: self.leaf.certificate,
            LEAF_KEY: self.leaf.key,
        }


def renewed(current: Keychain, names: Sequence[str], now: datetime, known: bytes = b"") -> tuple[Keychain, str]:
    """The keychain that is due, and why; the same one and an empty reason if nothing is.

    Args:
        current: what the Secret holds.
        names: DNS names to serve.
        now: the time of day.
        known: a bundle of authorities known from elsewhere; they are kept beside a new one if ``current`` is broken.
    """
    if _is_foreign(current, names, now):
        return current, ""
    try:
        authority = _authority(current.ca)
    except CertificateError as error:
        return _anew(names, now, [*readable(current.ca.certificate), *readable(known)], str(error))
    if is_due(authority, now):
        return _anew(names, now, readable(current.ca.certificate), "the authority expires")
    bundle = read_certificates(current.ca.certificate)
    kept = to_pem([authority, *_former(bundle[1:], authority, now)])
    ca = Pair(kept, current.ca.key)
    try:
        leaf = _leaf(current.leaf, authority, names)
    except CertificateError as error:
        return Keychain(ca, make_leaf(ca, names, now)), str(error)
    if is_due(leaf, now):
        return Keychain(ca, make_leaf(ca, names, now)), "the serving certificate expires"
    if kept != current.ca.certificate and len(read_certificates(kept)) != len(bundle):
        return Keychain(ca, current.leaf), "former authorities have had their time"
    return current, ""


def distrust(bundle: bytes, certificate: bytes, names: Iterable[str], now: datetime) -> str:
    """Why a client that trusts ``bundle`` would refuse this serving certificate; empty if it would not."""
    try:
        leaf = read_certificates(certificate)[0]
    except CertificateError as error:
        return str(error)
    if not is_valid(leaf, now):
        return "certificate has expired or is not yet valid"
    for authority in readable(bundle):
        try:
            check_leaf(leaf, authority, names)
        except CertificateError:
            continue
        if is_valid(authority, now):
            return ""
    return "certificate signed by unknown authority"


def _authority(ca: Pair) -> x509.Certificate:
    certificate, _ = read_pair(ca)
    if not _is_authority(certificate):
        raise CertificateError("the certificate in ca.crt is no authority")
    return certificate


def _is_foreign(current: Keychain, names: Sequence[str], now: datetime) -> bool:
    """Whether somebody else, such as cert-manager, keeps a valid certificate here."""
    if current.ca.key or distrust(current.ca.certificate, current.leaf.certificate, names, now):
        return False
    try:
        leaf, _ = read_pair(current.leaf)
    except CertificateError:
        return False
    if leaf.issuer.get_attributes_for_oid(NameOID.COMMON_NAME)[:1] == [_OWN_NAME]:
        return False
    life = leaf.not_valid_after_utc - leaf.not_valid_before_utc
    return now < leaf.not_valid_after_utc - life * FOREIGN_RENEW


def _leaf(leaf: Pair, authority: x509.Certificate, names: Sequence[str]) -> x509.Certificate:
    certificate, _ = read_pair(leaf)
    check_leaf(certificate, authority, names)
    return certificate


def _anew(names: Sequence[str], now: datetime, former: Iterable[x509.Certificate], why: str) -> tuple[Keychain, str]:
    ca = make_ca(now)
    authority = read_certificates(ca.certificate)[0]
    bundle = to_pem([authority, *_former(former, authority, now)])
    return Keychain(Pair(bundle, ca.key), make_leaf(ca, names, now)), why


def _former(found: Iterable[x509.Certificate], authority: x509.Certificate, now: datetime) -> list[x509.Certificate]:
    """The former authorities that may still be needed, without repetition, newest first."""
    if now >= authority.not_valid_before_utc + CLOCK_SKEW + OVERLAP:
        return []
    kept = {
        certificate: None
        for certificate in found
        if certificate != authority and _is_authority(certificate) and is_valid(certificate, now)
    }
    return sorted(kept, key=lambda certificate: certificate.not_valid_before_utc, reverse=True)[:MOST_FORMER]


def readable(bundle: bytes) -> list[x509.Certificate]:
    """The certificates of a bundle; none if one of them cannot be read."""
    try:
        return read_certificates(bundle)
    except CertificateError:
        return []


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    except (x509.ExtensionNotFound, ValueError):
        return False
    return constraints.value.ca


def is_valid(certificate: x509.Certificate, now: datetime) -> bool:
    """Whether the time of day is within the certificate's dates."""
    return certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc
