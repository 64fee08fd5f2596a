"""What was observed of an installation: the snapshot that planners work on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from lws.api.operand.types import LeaderWorkerSetOperator
from lws.apimachinery.manifests import JSON
from lws.apimachinery.objects import ObjectMeta
from lws.apimachinery.resources import Resource

Key = tuple[str, str]  # kind and name


@dataclass(frozen=True, slots=True)
class Probe:
    """How a look at the operand's webhook ended; an empty ``fault`` is a pass."""

    at: datetime
    fault: str = ""


@dataclass(frozen=True, slots=True)
class CertificateEnds:
    """When the certificates that are served end; empty where that is not known."""

    webhook: str = ""
    metrics: str = ""


@dataclass(frozen=True, slots=True)
class Workloads:
    """What the LeaderWorkerSets of the cluster are doing (operator 5.3)."""

    sets: int = 0
    sets_available: int = 0
    sets_progressing: int = 0
    sets_blocked: int = 0
    groups_desired: int = 0
    groups_ready: int = 0
    groups_updated: int = 0
    pods: int = 0


@dataclass(frozen=True, slots=True)
class World:
    """One moment.

    Attributes:
        operator: the object that says what is wanted.
        live: what there is under the names that are wanted, and everything else that bears our label.
        owned_definitions: CustomResourceDefinitions that are owned by a LeaderWorkerSetOperator.
        pods: of the operand.
        replica_sets: of the operand.
        leases: of operands and operators, in every namespace.
        probe: the last look at the webhook.
        secrets: those of certificates that there are, by name.
        trusted_for: seconds for which both webhook configurations have trusted cert-manager's authority.
        ends: of certificates.
        workloads: of users; None while the cluster does not serve LeaderWorkerSets.
        now: the time of day.
        resources: of live objects, by apiVersion and kind.
        other_scale: of the Deployment of an installation in another namespace that is to be adopted.
        other_denied: why that may not be looked at; empty if it may.
        cluster_monitoring: whether the namespace is labelled for OpenShift's monitoring.
    """

    operator: LeaderWorkerSetOperator
    live: Mapping[Key, JSON]
    now: datetime
    owned_definitions: tuple[ObjectMeta, ...] = ()
    pods: tuple[JSON, ...] = ()
    replica_sets: tuple[JSON, ...] = ()
    leases: tuple[JSON, ...] = ()
    probe: Probe | None = None
    secrets: Mapping[str, JSON] = field(default_factory=dict)
    trusted_for: float = 0.0
    ends: CertificateEnds = CertificateEnds()
    workloads: Workloads | None = None
    resources: Mapping[tuple[str, str], Resource] = field(default_factory=dict)
    other_scale: JSON | None = None
    other_denied: str = ""
    cluster_monitoring: bool = False
