"""The operand's configuration file, computed (operator 5.2; operations 2)."""

from __future__ import annotations

import hashlib
from typing import Any, Final

import yaml

from lws.api.operand.types import CUSTOM, INTERNAL, LeaderWorkerSetOperatorSpec
from lws.apimachinery.manifests import JSON
from lws.planning.operand.facts import ClusterTls, Facts

# OpenShift names ciphers as OpenSSL does, the configuration file as IANA does.
_SUITES: Final = {
    "ECDHE-ECDSA-AES128-GCM-SHA256": "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256": "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384": "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384": "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305": "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "ECDHE-RSA-CHACHA20-POLY1305": "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
}
_TLS_13: Final = "VersionTLS13"


def configuration(base: JSON, spec: LeaderWorkerSetOperatorSpec, facts: Facts) -> JSON:
    """The file's content: that of `config/`, with what the spec and the cluster say, and the overrides over all."""
    result = dict(base)
    result["internalCertManagement"] = {"enable": facts.certificates == INTERNAL}
    connection = spec.operand.configuration.client_connection
    if connection is not None and (limits := connection.model_dump(by_alias=True, exclude_none=True)):
        result["clientConnection"] = limits
    if (gang := spec.operand.configuration.gang_scheduling) is not None:
        result["gangSchedulingManagement"] = {"schedulerProvider": gang.scheduler_provider}
    if tls := _tls(spec, facts.tls):
        result["tls"] = tls
    return merged(result, spec.unsupported_config_overrides or {})


def rendered(content: JSON) -> str:
    """The file's text: the same for equal content."""
    return str(yaml.safe_dump(content, sort_keys=False, default_flow_style=False, width=120))


def digest(text: str) -> str:
    """SHA-256 of the text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def merged(base: JSON, patch: JSON) -> JSON:
    """A JSON merge patch applied (RFC 7386)."""
    result = dict(base)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            inner: Any = result.get(key)
            result[key] = merged(inner if isinstance(inner, dict) else {}, value)
        else:
            result[key] = value
    return result


def _tls(spec: LeaderWorkerSetOperatorSpec, cluster: ClusterTls) -> JSON:
    """The section ``tls``; empty for the operand's defaults, which are those of the profile Intermediate."""
    wanted = spec.tls
    if wanted.profile == CUSTOM:
        return _section(wanted.min_version, tuple(wanted.cipher_suites))
    profile = cluster.profile if wanted.profile == "Cluster" else wanted.profile
    if profile == "Modern":
        return _section(_TLS_13, ())
    if profile == CUSTOM:
        lowest = _TLS_13 if cluster.minimum_version == _TLS_13 else "VersionTLS12"
        suites = tuple(_SUITES[name] for name in cluster.ciphers if name in _SUITES)
        return _section(lowest, () if lowest == _TLS_13 else suites)
    return {}


def _section(lowest: str, suites: tuple[str, ...]) -> JSON:
    section: JSON = {"minVersion": lowest} if lowest else {}
    return section | ({"cipherSuites": [*suites]} if suites else {})
