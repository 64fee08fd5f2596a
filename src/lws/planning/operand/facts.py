"""What the desired objects depend on beside the LeaderWorkerSetOperator: pure values, found out by an observer."""

from __future__ import annotations

from dataclasses import dataclass, field

from lws.apimachinery.resources import Resource


@dataclass(frozen=True, slots=True)
class ClusterTls:
    """The TLS settings of OpenShift's API server.

    Attributes:
        profile: ``Old``, ``Intermediate``, ``Modern`` or ``Custom``.
        minimum_version: of a custom profile, such as ``VersionTLS12``.
        ciphers: of a custom profile, by OpenSSL's names.
    """

    profile: str = "Intermediate"
    minimum_version: str = ""
    ciphers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """The surroundings of an installation.

    Attributes:
        namespace: where the operand runs.
        operator_namespace: where the operator runs.
        owner_uid: of the LeaderWorkerSetOperator.
        image: the operand's image: the one that the operator was told, else the one that is there; empty if none is.
        image_told: whether the operator was told.
        version: the version that this operator's own objects are of.
        openshift: whether the cluster is one of OpenShift's.
        served: kinds that the API server serves, as ``Issuer.cert-manager.io``; of optional APIs only.
        certificates: who makes the certificates: ``CertManager`` or ``Internal``.
        in_use: whose certificates the operand's pods serve now; more than one kind while they roll.
        tier: of the operand's size; None if its size is fixed.
        tier_floor: the tier below which its memory ran out.
        tls: the cluster's own TLS settings, if it has some.
    """

    namespace: str
    operator_namespace: str
    owner_uid: str
    image: str = ""
    image_told: bool = True
    version: str = ""
    openshift: bool = False
    served: frozenset[str] = field(default_factory=frozenset)
    certificates: str = "Internal"
    in_use: frozenset[str] = frozenset()
    tier: int | None = None
    tier_floor: int = 0
    tls: ClusterTls = ClusterTls()

    def serves(self, *resources: Resource) -> bool:
        """Whether the API server serves all of these optional kinds."""
        return all(f"{each.kind}.{each.group}" in self.served for each in resources)
