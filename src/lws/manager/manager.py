"""The composition root: builds everything that a controller process is made of, and nests its lifetimes.

Flow:
    Up: probes and metrics, event-loop watchdog, certificates and webhook, caches synced, leadership, events, workers.
    Down: the reverse: workers are drained before the lease is given up, and caches stop after both.

Guarantees:
    * Reconcilers and events write only while this process leads, by a fence below their client.
    * Nothing is global: any number of managers live in one process, each with its own metrics.
    * Without sockets (``sockets=False``) no port is opened, no thread is used and all time is the running loop's;
      admission is then asked through `ControllerManager.handle_review`.
"""

from __future__ import annotations

from random import Random

import structlog

from lws.api.leaderworkerset.labels import FIELD_MANAGER
from lws.api.leaderworkerset.schedulingrules import GATE, Support
from lws.apimachinery.objects import Key
from lws.client.api import ApiClient
from lws.client.limiter import TokenBucket
from lws.client.transport import Transport
from lws.clock import Clock
from lws.informers.registry import InformerRegistry
from lws.manager.admission import Admission
from lws.manager.endpoints import metrics_endpoint, probes
from lws.manager.metrics import PREFIX, Metrics
from lws.manager.process import Process
from lws.manager.settings import Settings
from lws.manager.version import user_agent
from lws.planning.leaderworkerset.schedulers import PROVIDERS
from lws.reconcilers.disaggregatedset import build as disaggregatedset
from lws.reconcilers.disaggregatedset.metrics import DisaggregatedSetMetrics
from lws.reconcilers.disaggregatedset.observe import Caches as DisaggregatedSetCaches
from lws.reconcilers.leaderworkerset import kinds
from lws.reconcilers.leaderworkerset.build import Controllers, build
from lws.reconcilers.leaderworkerset.caches import Caches
from lws.reconcilers.leaderworkerset.metrics import DomainMetrics
from lws.reconcilers.leaderworkerset.suspects import SuspectBook
from lws.runtime.builder import ControllerOptions
from lws.runtime.caches import (
    broken_informers,
    cache_service,
    export_informers,
    failing_watches,
    unavailable_apis,
    unsynced,
)
from lws.runtime.controller import Controller
from lws.runtime.fence import Fence
from lws.runtime.leader import LeaderElector
from lws.runtime.leadership import Leadership
from lws.runtime.lifetimes import Service, Supervisor, background, together
from lws.runtime.watchdog import Watchdog

COMPONENT = "leaderworkerset"
REVIEW_QPS = 20.0  # requests a second to authenticate and authorize those who ask for metrics
REVIEW_BURST = 20
_log = structlog.stdlib.get_logger("lws.manager")


class ControllerManager(Process):
    """One controller process, or one of several in a simulation; see the module for its guarantees.

    Args:
        settings: everything that can be set.
        transport: reaches the API server; the caller closes it.
        clock: the time of day, and spans.
        random: source of all chance.
        host: the API server's name, for metrics.
        sockets: whether to serve webhook, metrics and probes on ports.
        lease_transport: reaches the API server for the lease alone, so that no other request can delay a renewal; the
            caller closes it. ``transport`` if absent.
        metrics: where to count; an own one if absent.
    """

    def __init__(
        self,
        settings: Settings,
        transport: Transport,
        *,
        clock: Clock,
        random: Random,
        host: str = "",
        sockets: bool = True,
        metrics: Metrics | None = None,
        lease_transport: Transport | None = None,
    ) -> None:
        super().__init__(
            user_agent(), FIELD_MANAGER, settings.hostname, clock=clock, random=random, host=host, metrics=metrics
        )
        self.settings = settings
        self._sockets = sockets
        connection = settings.configuration.client_connection
        self._limiter = TokenBucket(connection.qps, connection.burst) if connection.qps > 0 else None
        # Reads, leases, certificates and reviews are every replica's business; all other writes are the leader's.
        self.client = self.make_client(transport, self._limiter, field_manager=FIELD_MANAGER)
        # Reviews are caused by strangers, so they have a budget of their own.
        reviews = TokenBucket(REVIEW_QPS, REVIEW_BURST)
        self._reviews = self.make_client(transport, reviews, field_manager=None, timeout=10.0)
        self._leadership = self._candidate(lease_transport or transport)
        fenced = Fence(transport, self.elector) if self.elector else transport
        self.writer = self.make_client(fenced, self._limiter, field_manager=FIELD_MANAGER)
        self.registry = InformerRegistry(self.client, clock=clock, random=self.chance(), resync=settings.resync)
        typed, api = settings.configuration.typed_scheduling, settings.policies.workload_api
        self.caches = Caches.of(self.registry, gang=bool(settings.gang_schedulers), typed=typed, api=api)
        self.suspects = SuspectBook(self.caches, settings.policies.source, clock)
        events = self.make_client(fenced, self._limiter, field_manager=None)
        self.recorder = self.make_recorder(events, COMPONENT)
        self._recorders = [self.recorder]
        options = ControllerOptions(
            clock,
            self.chance(),
            metrics=self.metrics.controllers,
            workers=settings.workers,
            deadline=settings.reconcile_deadline,
        )
        self.controllers = self._make_controllers(options)
        self.disaggregated = self._make_disaggregated(options, events) if settings.disaggregated else None
        self.admission = Admission(
            settings,
            self.client,
            clock=clock,
            random=self.chance(),
            metrics=self.metrics,
            scheduling=self._scheduling,
            avoided=self.suspects.avoided,
        )
        self.watchdog = Watchdog(clock, period=settings.watchdog or 1.0, lagged=self.metrics.loop_lag.observe)
        self._stopping = False
        self.supervisor = Supervisor(self._services(), stopping=self._leave)
        self._add_checks()
        export_informers(self.metrics, self.registry, PREFIX)

    async def run(self) -> None:
        """Run until cancelled, then stop in order.

        Raises:
            ConfigurationError: something cannot be started as configured.
            LeadershipLostError: another may lead now.
        """
        await self.supervisor.run()

    async def wait_ready(self) -> None:
        """Wait until caches are synced, this process leads, and its workers run."""
        await self.supervisor.ready.wait()

    def handle_review(self, path: str, body: bytes, content_type: str = "application/json") -> tuple[int, bytes]:
        """Answer one AdmissionReview without a socket: HTTP status and body."""
        return self.admission.handle_review(path, body, content_type)

    @property
    def elector(self) -> LeaderElector | None:
        """The candidate for the lease; None if there is no election."""
        return self._leadership.elector if self._leadership is not None else None

    @property
    def leading(self) -> bool:
        """Whether this process may act now."""
        return self.elector is None or self.elector.leading

    def _scheduling(self) -> Support:
        """What there is for typed scheduling now (next 7.1)."""
        configuration, unavailable = self.settings.configuration, {}
        for kind, informer in (("Workload", self.caches.workloads), ("PodGroup", self.caches.scheduling_groups)):
            if informer is not None and informer.unavailable:
                unavailable[kind] = informer.unavailable
        gate = configuration.feature_gates.get(GATE, False)
        return Support(gate, configuration.scheduler_provider, unavailable, self.caches.api)

    # How it is built.

    def _candidate(self, transport: Transport) -> Leadership | None:
        election = self.settings.configuration.leader_election
        if not election.leader_elect:
            self.metrics.leader.leader.labels(election.resource_name).set(1)  # whoever runs alone leads
            return None
        return self.make_leadership(
            transport,
            namespace=self.settings.lease_namespace,
            name=election.resource_name,
            identity=self.settings.hostname,
            timing=election.timing,
        )

    def _make_controllers(self, options: ControllerOptions) -> Controllers:
        provider = PROVIDERS.get(self.settings.configuration.scheduler_provider)
        domain = DomainMetrics(self.metrics, self.caches, self.clock, lambda: self.leading, self.suspects)
        controllers = build(
            self.caches,
            self.writer,
            self.recorder,
            options,
            provider=provider(self.settings.gang_schedulers) if provider is not None else None,
            groups=domain,
            policies=self.settings.policies.source,
            suspects=self.suspects,
            leading=lambda: self.leading,
        )
        domain.watch(controllers)
        return controllers

    def _make_disaggregated(self, options: ControllerOptions, events: ApiClient) -> Controller[Key]:
        """The controller of DisaggregatedSets, which reports events under a name of its own."""
        recorder = self.make_recorder(events, disaggregatedset.NAME)
        self._recorders.append(recorder)
        caches = DisaggregatedSetCaches.of(self.registry, children=kinds.LEADERWORKERSETS, services=kinds.SERVICES)
        DisaggregatedSetMetrics(self.metrics, caches)
        return disaggregatedset.build(caches, self.writer, recorder, options)

    def _services(self) -> list[Service]:
        services: list[Service] = []
        configuration = self.settings.configuration
        if self._sockets:
            self.metrics.export_process()
            services.append(probes(configuration.health, self.readyz, self.healthz))
            services.append(metrics_endpoint(self.settings, self.client, self._reviews, self.metrics, clock=self.clock))
        if self.settings.watchdog is not None:
            services.append(background("watchdog", self.watchdog.run))
        services += self.admission.services(sockets=self._sockets)
        services.append(cache_service(self.registry, clock=self.clock, patience=self.settings.start_patience))
        if self._leadership is not None:
            services.append(self._leadership.service(self.recorder))
        services += [background("events", each.run) for each in self._recorders]
        # All of them drain at the same time, each within its own limit.
        every = (*self.controllers, *(() if self.disaggregated is None else (self.disaggregated,)))
        controllers = [background(each.name, each.run, stop_seconds=6.0) for each in every]
        services.append(together("controllers", controllers))
        return services

    def _leave(self) -> None:
        """Be no endpoint any more before anything is taken down."""
        self._stopping = True
        self.admission.leave()

    def _add_checks(self) -> None:
        self.readyz.add("shutdown", lambda: "the process is shutting down" if self._stopping else None)
        self.readyz.add("caches", lambda: unsynced(self.registry))
        self.readyz.add("watches", lambda: failing_watches(self.registry))
        self.readyz.add_note("optional-apis", lambda: unavailable_apis(self.registry))
        self.healthz.add("informers", lambda: broken_informers(self.registry))
        self.healthz.add("event-loop", lambda: self.watchdog.problem)
        self.admission.add_checks(self.readyz, sockets=self._sockets)
