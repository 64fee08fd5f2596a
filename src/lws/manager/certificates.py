"""Self-signed certificates for callers that do not verify, copies on disk, and the expiry metrics of what is served."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from lws.manager.metrics import Metrics
from lws.runtime.privatefiles import write_private
from lws.webhook.certificate import CERTIFICATE_FILE, KEY_FILE
from lws.webhook.certs import CertificateError, Pair, dns_names, make_unverified, read_certificates, read_pair


def self_signed(names: Sequence[str], now: datetime, ciphers: str | None = None) -> Pair:
    """A certificate for these names, signed by an authority that is thrown away.

    Args:
        names: the first is the subject.
        now: validity begins an hour ago.
        ciphers: those that are accepted of TLS 1.2, if not OpenSSL's own: they may be for RSA keys alone.
    """
    return make_unverified(names, now, elliptic=ciphers is None)


def keep(folder: Path, pair: Pair) -> None:
    """Have a copy of a certificate that a restarted process finds again; only our own user can read it.

    Raises:
        OSError: it cannot be written.
    """
    for name, content in ((KEY_FILE, pair.key), (CERTIFICATE_FILE, pair.certificate)):
        write_private(folder / name, content)


def kept(folder: Path, names: Sequence[str], now: datetime) -> Pair | None:
    """The copy that `keep` made, if it is whole, valid and bears these names."""
    try:
        pair = Pair((folder / CERTIFICATE_FILE).read_bytes(), (folder / KEY_FILE).read_bytes())
        leaf, _ = read_pair(pair)
    except (OSError, CertificateError):
        return None
    good = leaf.not_valid_before_utc <= now < leaf.not_valid_after_utc and set(names) <= set(dns_names(leaf))
    return pair if good else None


def note_read(metrics: Metrics, name: str, served: bytes | None, *, good: bool) -> None:
    """Count that certificate files were read, and export when the served certificate ends."""
    (metrics.certificates.reads if good else metrics.certificates.read_errors).inc()
    if served is None:
        return
    try:
        certificate = read_certificates(served)[0]
    except (CertificateError, IndexError):
        return
    end = certificate.not_valid_after_utc
    metrics.certificate_expiry.labels(name).set(end.timestamp())
    metrics.certificate_lifetime.labels(name).set((end - certificate.not_valid_before_utc).total_seconds())
