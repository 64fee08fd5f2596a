"""Leadership as a service of an operator: the lease, its metrics, its event."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from uuid import UUID

from lws.apimachinery.resources import LEASES
from lws.client.api import ApiClient
from lws.clock import Clock
from lws.manager.settings import Settings
from lws.runtime.events import EventRecorder, ObjectRef
from lws.runtime.leader import LeaderElector
from lws.runtime.lifetimes import Service
from lws.telemetry.metrics import Metrics


class Leadership:
    """One candidate, wired to metrics and events.

    Args:
        settings: the lease and its spans.
        client: reaches the lease; neither fenced nor limited.
        clock: judges deadlines.
        random: the identity, and jitter.
        metrics: where to count.
    """

    def __init__(
        self, settings: Settings, client: ApiClient, *, clock: Clock, random: Random, metrics: Metrics
    ) -> None:
        configured = settings.configuration.leader_election
        self._lease = ObjectRef(LEASES.api_version, LEASES.kind, settings.lease_namespace, configured.resource_name)
        gauge = metrics.leader.labels(configured.resource_name)
        gauge.set(0)
        self.elector = LeaderElector(
            client,
            namespace=settings.lease_namespace,
            name=configured.resource_name,
            identity=f"{settings.hostname}_{UUID(int=random.getrandbits(128), version=4)}",
            clock=clock,
            random=random,
            timing=configured.timing,
            changed=lambda leading: gauge.set(1 if leading else 0),
            slow_path=metrics.leader_slow_path.labels(configured.resource_name).inc,
        )

    def service(self, recorder: EventRecorder) -> Service:
        """Leads for as long as it runs; ready once it leads, and gives the lease up when it is stopped."""

        async def run(ready: Callable[[], None]) -> None:
            elector = self.elector
            try:
                await elector.acquire()
                note = f"{elector.identity} became leader"
                recorder.record(self._lease, "Normal", "LeaderElection", "LeaderElection", note)
                ready()
                await elector.hold()
            finally:
                await elector.release()

        return Service("leadership", run)
