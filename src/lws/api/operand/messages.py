"""Texts that people and programs read; those of the reference are its own, byte for byte (operator 2, 3)."""

from __future__ import annotations

from typing import Final

SINGLETON: Final = "LeaderWorkerSetOperator is a singleton, .metadata.name must be 'cluster'"
MUST_INCREASE: Final = "must only increase"
ISSUER_WITH_INTERNAL: Final = "issuerRef needs mode CertManager or Auto: the operand's own certificates have no issuer"
TLS_NOT_CUSTOM: Final = "minVersion and cipherSuites need profile Custom"
CIPHERS_WITH_13: Final = "cipherSuites are those of TLS 1.2: with VersionTLS13 they cannot be chosen"
NAMESPACE_IMMUTABLE: Final = "operand.namespace is immutable"

MISSING_CERT_MANAGER: Final = "please make sure that cert-manager is installed on your cluster"
DEPLOYMENT_UNAVAILABLE: Final = "Operand Deployment is not available"
