"""TLS versions and cipher suites, named as Go and IANA name them."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

VERSIONS: Final = {"VersionTLS12": ssl.TLSVersion.TLSv1_2, "VersionTLS13": ssl.TLSVersion.TLSv1_3}

# TLS 1.3 suites are not configurable; naming one is allowed and changes nothing, as in Go.
SUITES_13: Final = frozenset({"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"})
SUITES_12: Final = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256": "ECDHE-ECDSA-AES128-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256": "ECDHE-RSA-AES128-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_RSA_WITH_AES_128_GCM_SHA256": "AES128-GCM-SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384": "AES256-GCM-SHA384",
    "TLS_RSA_WITH_AES_128_CBC_SHA": "AES128-SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256": "AES128-SHA256",
    "TLS_RSA_WITH_AES_256_CBC_SHA": "AES256-SHA",
}


@dataclass(frozen=True, slots=True)
class TlsPolicy:
    """What our TLS servers accept.

    Attributes:
        minimum_version: the lowest version.
        ciphers: an OpenSSL list for TLS 1.2, or None for OpenSSL's own.
    """

    minimum_version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
    ciphers: str | None = None


def tls_policy(minimum_version: str, suites: Sequence[str]) -> TlsPolicy:
    """Read the two members of ``tls`` in the configuration file.

    Raises:
        ValueError: a name is unknown, or both do not go together; the message says which.
    """
    if minimum_version and minimum_version not in VERSIONS:
        raise ValueError(f"tls.minVersion {minimum_version!r} is not supported: use VersionTLS12 or VersionTLS13")
    if minimum_version == "VersionTLS13" and suites:
        raise ValueError("tls.cipherSuites cannot be set when tls.minVersion is VersionTLS13: remove one of them")
    unknown = [suite for suite in suites if suite not in SUITES_12 and suite not in SUITES_13]
    if unknown:
        known = ", ".join(sorted(SUITES_12))
        raise ValueError(f"tls.cipherSuites: {unknown[0]!r} is not supported: use some of {known}")
    ciphers = [SUITES_12[suite] for suite in suites if suite in SUITES_12]
    if suites and not ciphers:  # nothing but suites of 1.3 is allowed, so 1.2 has none left
        return TlsPolicy(ssl.TLSVersion.TLSv1_3)
    return TlsPolicy(VERSIONS.get(minimum_version, ssl.TLSVersion.TLSv1_2), ":".join(dict.fromkeys(ciphers)) or None)
