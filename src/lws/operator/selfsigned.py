"""Certificates for ports whose callers check none: metrics without a mounted certificate, and development."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from lws.webhook.certs import Pair, make_ca, make_leaf


def self_signed(names: Sequence[str], now: datetime) -> Pair:
    """A certificate for these names, signed by an authority that is thrown away."""
    ca = make_ca(now)
    leaf = make_leaf(ca, names, now)
    return Pair(leaf.certificate + ca.certificate, leaf.key)
