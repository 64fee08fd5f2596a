"""What can be set, and its defaults: the configuration file's own shape (operations 2), with what only flags can say.

The models are the file's schema: unknown members are refused, values are not coerced, absent ones take the defaults
that the reference documents.
"""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    ValidationInfo,
    field_validator,
    model_validator,
)

from lws.api.leaderworkerset.schedulingrules import GATE, KUBERNETES
from lws.apimachinery.durations import parse_duration
from lws.manager.policies import Policies
from lws.manager.section import Section, Text
from lws.runtime.leader import Timing
from lws.runtime.tls import TlsPolicy, tls_policy

API_VERSION: Final = "config.lws.x-k8s.io/v1alpha1"
KIND: Final = "Configuration"
LEASE_NAME: Final = "b8b2488c.x-k8s.io"
WEBHOOK_PORT: Final = 9443
WEBHOOK_CERTIFICATES: Final = "/tmp/k8s-webhook-server/serving-certs"  # noqa: S108 -- the reference's own default
METRICS_CERTIFICATES: Final = "/tmp/k8s-metrics-server/serving-certs"  # noqa: S108 -- the reference's own default
SCRATCH: Final = "/tmp/lws-controller"  # noqa: S108 -- in the Deployment a volume that outlives its containers
PROVIDERS: Final = ("volcano",)

_LABEL = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


def _duration(value: object) -> object:
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError(f"{value} has no unit; write a duration as 15s")
    if not isinstance(value, str):
        raise ValueError("must be a duration such as 15s")
    return parse_duration(value)


Duration = Annotated[float, BeforeValidator(_duration)]


class Webhook(Section):
    """Where the webhook listens; an empty host means all addresses."""

    empty_is_absent = frozenset({"certDir"})

    port: Annotated[StrictInt, Field(ge=0, le=65535)] = WEBHOOK_PORT
    host: Text = ""
    cert_dir: Text = WEBHOOK_CERTIFICATES

    @field_validator("port")
    @classmethod
    def _zero_is_default(cls, value: int) -> int:
        """As the reference has it: the port that the Service leads to, and not one that the system picks."""
        return value or WEBHOOK_PORT


class MetricsEndpoint(Section):
    """Where metrics are served; ``0`` is nowhere."""

    empty_is_absent = frozenset({"bindAddress"})

    bind_address: Text = ":8443"


class HealthEndpoint(Section):
    """Where probes are answered, ``0`` is nowhere, and under which paths."""

    empty_is_absent = frozenset({"healthProbeBindAddress", "readinessEndpointName", "livenessEndpointName"})

    health_probe_bind_address: Text = ":8081"
    readiness_endpoint_name: Text = "readyz"
    liveness_endpoint_name: Text = "healthz"


class LeaderElection(Section):
    """Whether and how one process is chosen."""

    empty_is_absent = frozenset(
        {"leaseDuration", "renewDeadline", "retryPeriod", "resourceLock", "resourceName", "resourceNamespace"}
    )

    leader_elect: StrictBool = True
    lease_duration: Duration = 15.0
    renew_deadline: Duration = 10.0
    retry_period: Duration = 2.0
    resource_lock: Text = "leases"
    resource_name: Text = LEASE_NAME
    resource_namespace: Text = ""

    @property
    def timing(self) -> Timing:
        """The three spans."""
        return Timing(self.lease_duration, self.renew_deadline, self.retry_period)

    @field_validator("resource_lock")
    @classmethod
    def _only_leases(cls, value: str) -> str:
        if value != "leases":
            raise ValueError(f"{value!r} is not supported: use leases")
        return value

    @field_validator("resource_name")
    @classmethod
    def _lease(cls, value: str) -> str:
        if len(value) > 253 or not _SUBDOMAIN.fullmatch(value):
            raise ValueError(f"{value!r} is not a valid Lease name: use lower case letters, digits, - and .")
        return value

    @field_validator("resource_namespace")
    @classmethod
    def _namespace(cls, value: str) -> str:
        if value and not _NAMESPACE.fullmatch(value):
            raise ValueError(f"{value!r} is not a valid namespace name: use lower case letters, digits and -")
        return value

    @model_validator(mode="after")
    def _workable(self) -> LeaderElection:
        problem = self.timing.problem()
        if problem:
            raise ValueError(problem)
        return self


class InternalCertManagement(Section):
    """Whether the controller makes its own certificates, for which Services and in which Secret."""

    enable: StrictBool = True
    webhook_service_name: Text = "lws-webhook-service"
    webhook_secret_name: Text = "lws-webhook-server-cert"  # noqa: S105 -- a name
    metrics_service_name: Text = ""  # named after the webhook's when empty

    @field_validator("webhook_service_name", "metrics_service_name")
    @classmethod
    def _service(cls, value: str, info: ValidationInfo) -> str:
        if not value and info.field_name == "metrics_service_name":
            return value
        if not _LABEL.fullmatch(value):
            raise ValueError(f"{value!r} is not a valid Service name: use lower case letters, digits and -")
        return value

    @field_validator("webhook_secret_name")
    @classmethod
    def _secret(cls, value: str) -> str:
        if len(value) > 253 or not _SUBDOMAIN.fullmatch(value):
            raise ValueError(f"{value!r} is not a valid Secret name: use lower case letters, digits, - and .")
        return value


class ClientConnection(Section):
    """How many requests a second may be sent, and how many at once; a negative rate is no limit, as in client-go."""

    qps: Annotated[float, Field(strict=True, allow_inf_nan=False)] = 500.0
    burst: Annotated[StrictInt, Field(ge=1)] = 500

    @field_validator("qps")
    @classmethod
    def _some(cls, value: float) -> float:
        if not value:
            raise ValueError("0 requests per second is not usable: use a positive number, or a negative for no limit")
        return value


class GangScheduling(Section):
    """Which scheduler starts groups as one; only with the section present."""

    scheduler_provider: Text = ""

    @field_validator("scheduler_provider")
    @classmethod
    def _supported(cls, value: str) -> str:
        supported = (*PROVIDERS, KUBERNETES)
        if value and value not in supported:
            raise ValueError(f"{value!r} is not supported: use {' or '.join(supported)}")
        return value

    @model_validator(mode="after")
    def _given(self) -> GangScheduling:
        if not self.scheduler_provider:
            raise ValueError("schedulerProvider must be set when gang scheduling is enabled: use volcano or kubernetes")
        return self


class Tls(Section):
    """What the webhook's and the metrics' server accept."""

    min_version: Text = ""
    cipher_suites: tuple[Text, ...] = ()

    @model_validator(mode="after")
    def _known(self) -> Tls:
        tls_policy(self.min_version, self.cipher_suites)
        return self

    @property
    def policy(self) -> TlsPolicy:
        """As the servers want it."""
        return tls_policy(self.min_version, self.cipher_suites)


class Configuration(Section):
    """The configuration file."""

    api_version: Literal["config.lws.x-k8s.io/v1alpha1"] = API_VERSION
    kind: Literal["Configuration"] = KIND
    webhook: Webhook = Webhook()
    metrics: MetricsEndpoint = MetricsEndpoint()
    health: HealthEndpoint = HealthEndpoint()
    leader_election: LeaderElection = LeaderElection()
    internal_cert_management: InternalCertManagement = InternalCertManagement()
    client_connection: ClientConnection = ClientConnection()
    gang_scheduling_management: GangScheduling | None = None
    feature_gates: dict[str, StrictBool] = Field(default_factory=dict)
    tls: Tls = Tls()

    @field_validator("feature_gates")
    @classmethod
    def _known_gates(cls, value: dict[str, bool]) -> dict[str, bool]:
        for name in value:
            if name != GATE:
                raise ValueError(f"unrecognized feature gate: {name}; there is {GATE}")
        return value

    @property
    def scheduler_provider(self) -> str:
        """The configured scheduler provider; empty without one."""
        gang = self.gang_scheduling_management
        return "" if gang is None else gang.scheduler_provider

    @property
    def typed_scheduling(self) -> bool:
        """Whether ``spec.scheduling`` is acted upon: by the gate, and with a provider (next 7.1)."""
        return self.feature_gates.get(GATE, False) and bool(self.scheduler_provider)


class Settings(BaseModel):
    """Everything that a controller process is configured with.

    Attributes:
        configuration: the configuration file with the flags laid over it.
        policies: the policies file.
        namespace: where the controller itself lives: its lease, Secret and Service.
        webhooks: whether admission is served at all (``ENABLE_WEBHOOKS``).
        disaggregated: whether DisaggregatedSets are reconciled, from when the API server serves them.
        development: outside a cluster: the webhook needs no certificate of the cluster.
        local_webhook_host: name or address under which API servers reach this process, which then registers its
            webhooks by URL; empty for webhooks that somebody else registers.
        workers: how many keys each controller reconciles at once.
        reconcile_deadline: seconds that one reconcile may take.
        resync: seconds between looks at every object although nothing changed; None for never.
        watchdog: seconds between looks at the event loop's lag; None for never.
        start_patience: for how many seconds, at the start, the server may refuse a list before that is an error.
        notice: for how many seconds after a stop began the webhook still accepts connections: nodes need a moment to
            learn that this replica is no endpoint any more.
        scratch: a folder that outlives a restart of the container, for what is to be found again; empty for none.
        hostname: part of the identity in events and the lease.
    """

    model_config = ConfigDict(frozen=True)

    configuration: Configuration = Configuration()
    policies: Policies = Policies()
    namespace: str = "lws-system"
    webhooks: bool = True
    disaggregated: bool = False
    development: bool = False
    local_webhook_host: str = ""
    workers: int = Field(default=8, ge=1)
    reconcile_deadline: float = Field(default=60.0, gt=0)
    resync: float | None = Field(default=36_000.0, gt=0)
    watchdog: float | None = Field(default=1.0, gt=0)
    start_patience: float = Field(default=30.0, ge=0)
    notice: float = Field(default=0.0, ge=0)
    scratch: str = ""
    hostname: str = "localhost"

    @property
    def lease_namespace(self) -> str:
        """Where the lease is: as configured, else where the controller lives."""
        return self.configuration.leader_election.resource_namespace or self.namespace

    @property
    def gang_schedulers(self) -> tuple[str, ...]:
        """The schedulers whose groups are scheduled as gangs; none without gang scheduling (CD-31)."""
        return self.policies.gang_schedulers if self.configuration.scheduler_provider in PROVIDERS else ()
