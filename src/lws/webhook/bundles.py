"""The authorities that webhook configurations publish, and those that stay published for a while.

Guarantees: an authority that was published and is not in the Secret any more, as when the Secret is restored from a
backup or handed to cert-manager, stays published for `FORMER_SECONDS`: by then every replica serves the new leaf.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from cryptography import x509

from lws.apimachinery.manifests import JSON
from lws.webhook.certs import read_certificates, to_pem
from lws.webhook.keychain import MOST_FORMER, is_valid, readable

FORMER_SECONDS: Final = 600.0  # replicas look every half minute, and are not ready once they could not for 5 minutes


class FormerAuthorities:
    """Remembers since when authorities are published that the Secret does not hold."""

    def __init__(self) -> None:
        self._since: dict[x509.Certificate, float] = {}  # monotonic

    def beside(self, own: bytes, published: Iterable[x509.Certificate], now: datetime, monotonic: float) -> bytes:
        """The bundle to publish: ``own``, and after it those of the others that may still be needed."""
        current = read_certificates(own)
        former = {each: None for each in published if each not in current and is_valid(each, now)}
        self._since = {each: self._since.get(each, monotonic) for each in former}
        kept = [each for each in former if monotonic - self._since[each] < FORMER_SECONDS]
        kept.sort(key=lambda each: each.not_valid_before_utc, reverse=True)
        return own + to_pem(kept[:MOST_FORMER])


def published_authorities(configurations: Iterable[JSON | None]) -> list[x509.Certificate]:
    """Every authority in webhook configurations, without repetition; what cannot be read is skipped."""
    found: dict[x509.Certificate, None] = {}
    for configuration in configurations:
        for hook in (configuration or {}).get("webhooks") or []:
            bundle = unbase64((hook.get("clientConfig") or {}).get("caBundle"))
            found.update(dict.fromkeys(readable(bundle)))
    return list(found)


def with_bundle(configuration: JSON, bundle: bytes) -> JSON:
    """The webhook configuration with this bundle in every webhook."""
    encoded = base64.b64encode(bundle).decode()
    hooks = [
        {**hook, "clientConfig": {**(hook.get("clientConfig") or {}), "caBundle": encoded}}
        for hook in configuration.get("webhooks") or []
    ]
    return {**configuration, "webhooks": hooks}


def decoded(secret: JSON | None) -> dict[str, bytes]:
    """The data of a Secret; what is no base64 reads as empty."""
    data = (secret or {}).get("data") or {}
    return {name: unbase64(value) for name, value in data.items()}


def unbase64(value: Any) -> bytes:
    """The bytes; none if it is no base64."""
    try:
        return base64.b64decode(value or "", validate=True)
    except (binascii.Error, ValueError, TypeError):
        return b""
