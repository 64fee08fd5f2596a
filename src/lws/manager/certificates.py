"""Self-signed certificates for callers that do not verify, and the expiry metrics of those that are served."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from lws.manager.metrics import Metrics
from lws.webhook.certs import CertificateError, Pair, make_ca, make_leaf, read_certificates


def self_signed(names: Sequence[str], now: datetime) -> Pair:
    """A certificate for these names, signed by an authority that is thrown away."""
    ca = make_ca(now)
    leaf = make_leaf(ca, names, now)
    return Pair(leaf.certificate + ca.certificate, leaf.key)


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
