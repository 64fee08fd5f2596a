"""The LeaderWorkerSetOperator, declared once (operator 2, 5.2).

From these models the CustomResourceDefinition is generated, and objects are parsed; an absent member reads as its
default. What the reference keeps apart stays apart: an empty list of tolerations is not an absent one.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

from pydantic import Field

from lws.api.customresource import Model, read
from lws.api.fields import Core, Shape, enum, int32, text
from lws.api.operand import messages
from lws.api.operand.names import SINGLETON
from lws.api.operand.status import LeaderWorkerSetOperatorStatus
from lws.apimachinery.manifests import JSON
from lws.apimachinery.objects import ObjectMeta

MANAGED: Final = "Managed"
UNMANAGED: Final = "Unmanaged"
FORCE: Final = "Force"
REMOVED: Final = "Removed"
AUTO: Final = "Auto"
CERT_MANAGER: Final = "CertManager"
INTERNAL: Final = "Internal"
CUSTOM: Final = "Custom"
KEEP: Final = "Keep"
WHEN_UNUSED: Final = "WhenUnused"
OPERAND: Final = "Operand"
REFUSE: Final = "Refuse"
ADOPT: Final = "Adopt"
FIXED: Final = "Fixed"
ENABLED: Final = "Enabled"
DISABLED: Final = "Disabled"

_ANYTHING: Final = Shape({"type": "object", "nullable": True, "x-kubernetes-preserve-unknown-fields": True})
_STRINGS: Final = Shape({"type": "object", "additionalProperties": {"type": "string"}})
_LABEL: Final = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
_SCRAPERS: Final[JSON] = {
    "type": "array",
    "maxItems": 16,
    "x-kubernetes-list-type": "atomic",
    "items": {
        "type": "object",
        "required": ["namespace", "serviceAccount"],
        "properties": {
            "namespace": {"type": "string", "pattern": _LABEL, "description": "Where it lives."},
            "serviceAccount": {"type": "string", "minLength": 1, "description": "Its name."},
        },
    },
}
_COMPONENTS: Final[JSON] = {
    "type": "array",
    "maxItems": 16,
    "x-kubernetes-list-type": "set",
    "items": {"type": "string", "pattern": _LABEL},
}
LogLevel = Annotated[str, enum("", "Normal", "Debug", "Trace", "TraceAll", default="Normal")]


class NodePlacement(Model):
    """Where pods of the operand may run."""

    node_selector: Annotated[dict[str, str] | None, _STRINGS] = Field(
        None, description="Replaces the node selector of the operand's pods unless it is empty."
    )
    tolerations: Annotated[list[JSON] | None, Core("Toleration", listed=True, atomic=True)] = Field(
        None, description="Replaces the tolerations of the operand's pods; an empty list clears them."
    )
    affinity: Annotated[JSON | None, Core("Affinity")] = Field(
        None, description="Replaces the affinity of the operand's pods."
    )


class IssuerReference(Model):
    """An issuer of cert-manager that is already there."""

    required = ("name",)

    name: Annotated[str, Shape({"type": "string", "minLength": 1})] = Field("", description="Name of the issuer.")
    kind: Annotated[str, enum("Issuer", "ClusterIssuer", default="Issuer")] = Field(
        "Issuer", description="Whether it serves one namespace or all."
    )
    group: Annotated[str, text("cert-manager.io")] = Field(
        "cert-manager.io", description="API group of the issuer; external issuers have their own."
    )


class Certificates(Model):
    """Who makes the certificates of the webhook and of the metrics endpoint (operator 5.5)."""

    rules: ClassVar[tuple[tuple[str, str], ...]] = (
        ("!has(self.issuerRef) || self.mode != 'Internal'", messages.ISSUER_WITH_INTERNAL),
    )

    mode: Annotated[str, enum(AUTO, CERT_MANAGER, INTERNAL, default=AUTO)] = Field(
        AUTO, description="CertManager, Internal (the operand's own), or Auto: decided once by what the cluster has."
    )
    issuer_ref: IssuerReference | None = Field(None, description="Issuer to use instead of one of the operator's own.")


class GangScheduling(Model):
    """Groups that start as one."""

    required = ("schedulerProvider",)

    scheduler_provider: Annotated[str, enum("volcano", "kubernetes")] = Field(
        "", description="Volcano, or the Workload API of Kubernetes itself."
    )


class ClientConnection(Model):
    """How fast the operand may ask the API server."""

    qps: Annotated[int | None, int32(minimum=1)] = Field(None, description="Requests a second.")
    burst: Annotated[int | None, int32(minimum=1)] = Field(None, description="Requests at once.")


class OperandConfiguration(Model):
    """What can be set in the operand's configuration file."""

    gang_scheduling: GangScheduling | None = Field(None, description="Groups that start as one, or not at all.")
    client_connection: ClientConnection | None = Field(None, description="The operand's own limit on its requests.")


class Operand(Model):
    """Size and surroundings of the operand."""

    replicas: Annotated[int, int32(2, minimum=1, maximum=5)] = Field(2, description="Pods of the operand.")
    sizing: Annotated[str, enum(FIXED, AUTO, default=FIXED)] = Field(
        FIXED, description="Auto gives the operand more CPU and memory the more pods the cluster's sets have."
    )
    resources: Annotated[JSON | None, Core("ResourceRequirements")] = Field(
        None, description="Resources of the operand's container; given ones replace the operator's."
    )
    priority_class_name: Annotated[str, text()] = Field("", description="Priority class of the operand's pods.")
    image_pull_secrets: Annotated[list[JSON], Core("LocalObjectReference", listed=True)] = Field(
        default_factory=list, description="Pull secrets of the operand's pods, in the operand's namespace."
    )
    namespace: Annotated[str, Shape({"type": "string", "pattern": _LABEL})] = Field(
        "", description="Where the operand runs; the operator's own namespace by default. It cannot change."
    )
    components: Annotated[list[str], Shape(_COMPONENTS)] = Field(
        default_factory=list, description="Components of config/ that no other member chooses, by name."
    )
    configuration: OperandConfiguration = Field(
        default_factory=OperandConfiguration, description="Members of the operand's configuration file."
    )


class Tls(Model):
    """What the endpoints of the operand and of the operator accept."""

    rules: ClassVar[tuple[tuple[str, str], ...]] = (
        ("self.profile == 'Custom' || (!has(self.minVersion) && !has(self.cipherSuites))", messages.TLS_NOT_CUSTOM),
        (
            "!has(self.minVersion) || self.minVersion != 'VersionTLS13' || !has(self.cipherSuites)",
            messages.CIPHERS_WITH_13,
        ),
    )

    profile: Annotated[str, enum("Cluster", "Intermediate", "Modern", CUSTOM, default="Cluster")] = Field(
        "Cluster", description="Cluster follows OpenShift's API server, and is Intermediate elsewhere."
    )
    min_version: Annotated[str, enum("VersionTLS12", "VersionTLS13")] = Field(
        "", description="Lowest version of TLS; only with Custom."
    )
    cipher_suites: Annotated[
        list[str], Shape({"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "atomic"})
    ] = Field(default_factory=list, description="Cipher suites of TLS 1.2 by their IANA names; only with Custom.")


class Monitoring(Model):
    """How the operand is monitored (operator 5.9)."""

    mode: Annotated[str, enum(AUTO, ENABLED, DISABLED, default=AUTO)] = Field(
        AUTO, description="Auto: where the cluster serves ServiceMonitors."
    )
    scrapers: Annotated[list[JSON], Shape(_SCRAPERS)] = Field(
        default_factory=list, description="Who reads the metrics; the platform's own Prometheus by default."
    )
    alerts: Annotated[bool, Shape({"type": "boolean"}, True)] = Field(
        True, description="Whether there are alert rules."
    )


class NetworkPolicy(Model):
    """Who may reach the operand (operator 5.9)."""

    mode: Annotated[str, enum(ENABLED, DISABLED, default=ENABLED)] = Field(
        ENABLED, description="Whether a NetworkPolicy limits who reaches the operand's metrics."
    )


_NAMESPACE_IS_KEPT: Final = (
    "(has(self.operand) && has(self.operand.__namespace__) ? self.operand.__namespace__ : '') =="
    " (has(oldSelf.operand) && has(oldSelf.operand.__namespace__) ? oldSelf.operand.__namespace__ : '')"
)


class Rollout(Model):
    """How a new operand reaches the cluster (operator 5.7)."""

    strategy: Annotated[str, enum("Guarded", "Immediate", default="Guarded")] = Field(
        "Guarded", description="Guarded is watched and rolled back; Immediate applies everything at once."
    )
    approval: Annotated[str, enum("Automatic", "Manual", default="Automatic")] = Field(
        "Automatic", description="Manual waits for an annotation with the hash of status.plan."
    )
    soak_seconds: Annotated[int, int32(60, minimum=0, maximum=3600)] = Field(
        60, description="For how long the new pods must hold before a rollout counts as done."
    )
    deadline_seconds: Annotated[int, int32(600, minimum=60, maximum=3600)] = Field(
        600, description="How long the new pods may take to serve."
    )
    on_failure: Annotated[str, enum("Rollback", "Hold", default="Rollback")] = Field(
        "Rollback", description="Whether a rollout that fails is taken back, or left as it is."
    )
    allow_group_restarts: Annotated[bool, Shape({"type": "boolean"}, False)] = Field(
        False, description="Whether a rollout that restarts groups of sets may begin without approval."
    )


class Removal(Model):
    """What managementState Removed does (operator 5.8)."""

    policy: Annotated[str, enum(KEEP, WHEN_UNUSED, OPERAND, default=KEEP)] = Field(
        KEEP,
        description="Keep removes nothing; WhenUnused removes the operand once there is no set; Operand at once. Sets,"
        " their pods and definitions always stay.",
    )


class LeaderWorkerSetOperatorSpec(Model):
    """What is wanted."""

    rules: ClassVar[tuple[tuple[str, str], ...]] = ((_NAMESPACE_IS_KEPT, messages.NAMESPACE_IMMUTABLE),)

    management_state: Annotated[str, Shape({"type": "string", "pattern": "^(Managed|Unmanaged|Force|Removed)$"})] = (
        Field(MANAGED, description="Whether and how the operator manages the operand; Managed by default.")
    )
    log_level: LogLevel = Field("Normal", description="How much the operand logs.")
    operator_log_level: LogLevel = Field("Normal", description="How much the operator logs.")
    unsupported_config_overrides: Annotated[JSON | None, _ANYTHING] = Field(
        None,
        description="Merge patch over the operand's configuration file; while there is one, no upgrade is offered.",
    )
    observed_config: Annotated[JSON | None, _ANYTHING] = Field(None, description="Not used.")
    node_placement: NodePlacement = Field(
        default_factory=NodePlacement, description="Where pods of the operand may run."
    )
    certificates: Certificates = Field(default_factory=Certificates, description="Who makes the certificates.")
    operand: Operand = Field(default_factory=Operand, description="Size and surroundings of the operand.")
    tls: Tls = Field(default_factory=Tls, description="What TLS endpoints accept.")

    monitoring: Monitoring = Field(default_factory=Monitoring, description="How the operand is monitored.")
    network_policy: NetworkPolicy = Field(default_factory=NetworkPolicy, description="Who may reach the operand.")

    rollout: Rollout = Field(default_factory=Rollout, description="How a new operand reaches the cluster.")
    removal: Removal = Field(default_factory=Removal, description="What managementState Removed does.")
    take_over: Annotated[str, enum(REFUSE, ADOPT, default=REFUSE)] = Field(
        REFUSE, description="Whether an installation in another namespace is left alone, or taken over."
    )


class LeaderWorkerSetOperator(Model):
    """The operator's one object.

    ``raw_status`` is the status as the server has it, for what the next one is built upon; ``status`` describes it.
    """

    required = ("spec",)
    rules: ClassVar[tuple[tuple[str, str], ...]] = ((f"self.metadata.name == '{SINGLETON}'", messages.SINGLETON),)

    metadata: ObjectMeta
    spec: LeaderWorkerSetOperatorSpec = Field(
        default_factory=LeaderWorkerSetOperatorSpec, description="What is wanted."
    )
    status: LeaderWorkerSetOperatorStatus = Field(
        default_factory=LeaderWorkerSetOperatorStatus, description="What was last seen."
    )
    raw_status: JSON = Field(default_factory=dict, exclude=True, repr=False)

    @classmethod
    def from_json(cls, source: bytes | str | JSON) -> LeaderWorkerSetOperator:
        """Read an object from the wire or from parsed JSON.

        Raises:
            ValueError: not JSON, or a member of the wrong type, which the CustomResourceDefinition never lets in.
        """
        parsed, metadata = read(source)
        return cls(metadata=metadata, spec=parsed.get("spec") or {}, raw_status=parsed.get("status") or {})
