"""The composition root of ``lws-operator``: installs and keeps the controller (operator 5.1).

Guarantees:
    * Nothing is written unless this process leads, by a fence below its clients; the lease is the reference
      operator's own.
    * Nothing is global, and without sockets all time is the running loop's, as for `lws.manager.manager`.
    * A missing right or API never ends the process; only the operator's own definition must be there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final, TypeAlias

import structlog
from pydantic import ValidationError

import lws
from lws.api.operand import names
from lws.api.operand.crd import OPERATORS
from lws.api.operand.types import LeaderWorkerSetOperator
from lws.apimachinery.actions import Fold
from lws.apimachinery.manifests import JSON
from lws.apimachinery.ownership import Relation
from lws.apimachinery.resources import DEPLOYMENTS
from lws.client.api import ApiClient
from lws.client.limiter import TokenBucket
from lws.client.transport import Transport
from lws.clock import Clock
from lws.errors import ConfigurationError, NotFoundError
from lws.informers.registry import InformerRegistry
from lws.manager.configfile import validate
from lws.manager.endpoints import probes
from lws.manager.operand_certificate import OperatorCertificate
from lws.manager.process import Process
from lws.manager.restarts import GroupRestarts
from lws.manager.settings import HealthEndpoint, Tls
from lws.manager.version import build_information, user_agent
from lws.planning.operand.assets import Asset, assets
from lws.reconcilers.operand.apis import OptionalApis
from lws.reconcilers.operand.caches import KEY, Caches
from lws.reconcilers.operand.metrics import OperandMetrics
from lws.reconcilers.operand.observe import DISAGGREGATED_GROUP, SETS_GROUP, Observation, Observer, Surroundings
from lws.reconcilers.operand.olm import OperatorCondition
from lws.reconcilers.operand.preview import Restarts
from lws.reconcilers.operand.reconciler import OperandReconciler
from lws.runtime.authorization import Reviewer
from lws.runtime.builder import ControllerBuilder, ControllerOptions
from lws.runtime.caches import export_informers
from lws.runtime.controller import Controller
from lws.runtime.events import ObjectRef
from lws.runtime.executor import Executor
from lws.runtime.fence import Fence
from lws.runtime.leader import Timing
from lws.runtime.lifetimes import Service, Supervisor, background, together
from lws.runtime.servers import metrics_server
from lws.runtime.watchdog import Watchdog

TIMING: Final = Timing(lease_duration=137.0, renew_deadline=107.0, retry_period=26.0)  # the reference's
SYNC_SECONDS: Final = 10.0  # how long the start waits for caches; what is not synced by then is asked for
DEADLINE: Final = 120.0  # seconds that one pass may take
_QPS: Final = 50.0
_BURST: Final = 100
SetLogLevel: TypeAlias = Callable[[str], None]
"""Sets how much this process logs: Normal, Debug, Trace or TraceAll."""

_log = structlog.stdlib.get_logger("lws.operand")


@dataclass(frozen=True, slots=True)
class OperandSettings:
    """Everything that the operator is told.

    Attributes:
        surroundings: where it runs, and what it installs.
        hostname: part of its identity.
        health: address of the probes; ``0`` for none.
        metrics: address of the metrics; ``0`` for none.
        operator_condition: name of the OperatorCondition that OLM made; empty without OLM.
    """

    surroundings: Surroundings
    hostname: str = "localhost"
    health: str = ":8081"
    metrics: str = ":8443"
    operator_condition: str = ""


class OperandManager(Process):
    """One operator process; see the module for its guarantees.

    Args:
        settings: everything that can be set.
        transport: reaches the API server; the caller closes it.
        clock: the time of day, and spans.
        random: source of all chance.
        host: the API server's name, for metrics.
        sockets: whether to serve metrics and probes on ports.
        log_level: sets the level of this process's log; nothing happens if absent.
        objects: what is installed; the objects of this release if absent.
        lease_transport: reaches the API server for the lease alone, so that no other request can delay a renewal; the
            caller closes it. ``transport`` if absent.
        restarts: which groups of sets a new controller would restart; by default asked of this release's planners if
            the operand is of this release, and else not known.
    """

    def __init__(
        self,
        settings: OperandSettings,
        transport: Transport,
        *,
        clock: Clock,
        random: Random,
        host: str = "",
        sockets: bool = True,
        log_level: SetLogLevel | None = None,
        objects: Sequence[Asset] | None = None,
        lease_transport: Transport | None = None,
        restarts: Restarts | None = None,
    ) -> None:
        agent = user_agent().replace("lws/", "lws-operator/", 1)
        super().__init__(agent, names.FIELD_MANAGER, settings.hostname, clock=clock, random=random, host=host)
        self.settings = settings
        self._sockets = sockets
        self._set_log_level = log_level
        self._log_level = "Normal"
        self._certificate: OperatorCertificate | None = None
        self._limiter = TokenBucket(_QPS, _BURST)
        self._namespace = settings.surroundings.namespace
        self._reader = self._make_client(transport)
        self._reviews = self._make_client(transport, field_manager=None)
        self._leadership = self.make_leadership(
            lease_transport or transport,
            namespace=self._namespace,
            name=names.OPERATOR_LEASE,
            identity=f"{names.OPERATOR_IDENTITY}{settings.hostname}",
            timing=TIMING,
        )
        fence = Fence(transport, self._leadership.elector)
        writer = self._make_client(fence)
        events = self._make_client(fence, field_manager=None)
        self._recorder = self.make_recorder(events, names.EVENT_COMPONENT)
        self._level_recorder = self.make_recorder(events, names.LOGGING_COMPONENT)
        # The reconciler looks again by itself, at the latest every five minutes: one pass, not one for each cache.
        self.registry = InformerRegistry(self._reader, clock=clock, random=self.chance(), resync=None)
        options = ControllerOptions(clock, self.chance(), metrics=self.metrics.controllers, deadline=DEADLINE)
        self._builder: ControllerBuilder[str] = ControllerBuilder("operand", options)
        self._apis = OptionalApis(self._reader, clock)
        self.caches = Caches(
            self.registry, lambda initial: self._builder.queue.add(KEY, initial), self._definition_changed
        )
        if restarts is None and settings.surroundings.version == lws.__version__:
            restarts = GroupRestarts(self._reader, clock)
        self._restarts = restarts
        self._exported = OperandMetrics(self.metrics, build_information())
        self.failed, self.healed, self.rolled = self._exported.failed, self._exported.healed, self._exported.rolled
        self.controller = self._make_controller(writer, assets() if objects is None else objects)
        self.watchdog = Watchdog(clock, lagged=self.metrics.loop_lag.observe)
        self.supervisor = Supervisor(self._services())
        self.healthz.add("event-loop", lambda: self.watchdog.problem)
        export_informers(self.metrics, self.registry, "lws_operator")

    async def run(self) -> None:
        """Run until cancelled, then stop in order.

        Raises:
            ConfigurationError: the operator's definition is missing, or a port cannot be opened.
            LeadershipLostError: another may lead now.
        """
        await self._preflight()
        await self.supervisor.run()

    async def wait_ready(self) -> None:
        """Wait until this process leads and its worker runs."""
        await self.supervisor.ready.wait()

    # What the reconciler tells.

    def seen(self, operator: LeaderWorkerSetOperator) -> None:
        """Follow the object's level of this process's own log."""
        level = operator.spec.operator_log_level or "Normal"
        if level == self._log_level:
            return
        if self._set_log_level is not None:
            self._set_log_level(level)
        note = f'Operator log level changed from "{self._log_level}" to "{level}"'
        self._log_level = level
        self._level_recorder.record(self._deployment(), "Normal", "OperatorLogLevelChange", "LogLevel", note)

    def passed(self, observation: Observation, status: JSON, seconds: float) -> None:
        """Export how a pass went, and accept at our own port what the operand accepts at its (operator 5.2)."""
        self._exported.passed(observation, status, seconds)
        if self._certificate is not None:
            try:
                policy = Tls.model_validate(observation.wanted.config.get("tls") or {}).policy
                self._certificate.serving.accept(policy.minimum_version, policy.ciphers)
            except (ValidationError, ConfigurationError):
                return  # the object's own condition says what is wrong with it

    def standby(self, other: str) -> None:
        """Export whether somebody else works on the same object."""
        self._exported.standby(other)

    def record(
        self,
        regarding: ObjectRef,
        type: str,  # noqa: A002 -- the field's own word
        reason: str,
        action: str,
        note: str,
        related: ObjectRef | None = None,
        fold: Fold | None = None,
    ) -> None:
        """Record an event about the operator's Deployment, as the reference does, and about the object itself."""
        for each in (self._deployment(), regarding):
            self._recorder.record(each, type, reason, action, note, related, fold)

    # How it is built.

    def _make_client(self, transport: Transport, field_manager: str | None = names.FIELD_MANAGER) -> ApiClient:
        return self.make_client(transport, self._limiter, field_manager=field_manager)

    def _make_controller(self, writer: ApiClient, objects: Sequence[Asset]) -> Controller[str]:
        executor = Executor(writer, self, self.caches, self._builder.ledger, ownership=lambda *_: Relation.FOREIGN)
        observer = Observer(self._reader, self.caches, self._apis, objects, self.settings.surroundings, self.clock)
        olm = OperatorCondition(writer, self._namespace, self.settings.operator_condition, self.clock)
        reconciler = OperandReconciler(
            writer, self.caches, observer, self._apis, executor, _problem, self.clock, self, olm, self._restarts
        )
        return self._builder.build(reconciler.reconcile)

    def _definition_changed(self, name: str) -> bool:
        """Whether a definition that changed is of interest: that of an optional API, or one of sets."""
        return self._apis.changed(name) or name.partition(".")[2] in (SETS_GROUP, DISAGGREGATED_GROUP)

    def _services(self) -> list[Service]:
        services: list[Service] = []
        if self._sockets:
            self.metrics.export_process()
            health = HealthEndpoint.model_validate({"healthProbeBindAddress": self.settings.health})
            services.append(probes(health, self.readyz, self.healthz))
            services += self._metrics_services()
        services.append(background("watchdog", self.watchdog.run))
        services.append(Service("caches", self._run_caches))
        services.append(self._leadership.service(self._recorder))
        services.append(background("events", self._recorder.run))
        services.append(background("log level events", self._level_recorder.run))
        services.append(background(self.controller.name, self.controller.run, stop_seconds=6.0))
        return services

    def _metrics_services(self) -> list[Service]:
        address = self.settings.metrics
        self._certificate = certificate = OperatorCertificate(
            self._reader,
            self._apis,
            self._namespace,
            self.settings.surroundings.platform,
            clock=self.clock,
            random=self.chance(),
            metrics=self.metrics,
        )
        reviewer = Reviewer(self._reviews, self.clock)
        server = metrics_server(address, "--listen", self.metrics, reviewer, certificate.serving.context)
        return [server] if address == "0" else [together("metrics", [certificate.service(), server])]

    async def _run_caches(self, ready: Callable[[], None]) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.registry.run(), name="informers")
            try:
                async with asyncio.timeout(SYNC_SECONDS):
                    await self.registry.wait_synced()
            except TimeoutError:
                _log.warning("not all caches are synced; what they lack is asked for", troubles=self.registry.troubles)
            ready()

    async def _preflight(self) -> None:
        try:
            await self._reader.list(OPERATORS, limit=1)
        except NotFoundError:
            raise ConfigurationError(
                f"the cluster does not know {OPERATORS}; apply config/operator/crd, or install the bundle"
            ) from None

    def _deployment(self) -> ObjectRef:
        """The operator's own Deployment, which events are about as in the reference."""
        return ObjectRef(DEPLOYMENTS.api_version, DEPLOYMENTS.kind, self._namespace, names.OPERATOR_DEPLOYMENT)


def _problem(configuration: JSON) -> str:
    """What is wrong with a configuration file of the operand; empty if nothing."""
    try:
        validate(configuration, "the configuration")
    except ConfigurationError as error:
        return str(error)
    return ""
