"""Leadership as a service: the lease, its metrics, its event."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from uuid import UUID

from lws.apimachinery.resources import LEASES
from lws.client.api import ApiClient
from lws.clock import Clock
from lws.runtime.events import EventRecorder, ObjectRef
from lws.runtime.leader import LeaderElector, Timing
from lws.runtime.lifetimes import Service
from lws.telemetry.serving import LeaderMetrics


class Leadership:
    """One candidate, wired to metrics and events.

    Args:
        client: reaches the lease; neither fenced nor limited.
        namespace: where the lease is.
        name: the lease's name.
        hostname: begins the candidate's identity.
        timing: the lease's spans.
        clock: judges deadlines.
        rng: the identity, and jitter.
        metrics: where to count; nowhere if absent.
    """

    def __init__(
        self,
        client: ApiClient,
        *,
        namespace: str,
        name: str,
        hostname: str,
        timing: Timing,
        clock: Clock,
        rng: Random,
        metrics: LeaderMetrics | None = None,
    ) -> None:
        self._lease = ObjectRef(LEASES.api_version, LEASES.kind, namespace, name)
        self._name = name
        self._clock = clock
        self._metrics = metrics
        if metrics is not None:
            metrics.leader.labels(name).set(0)
        self.elector = LeaderElector(
            client,
            namespace=namespace,
            name=name,
            identity=f"{hostname}_{UUID(int=rng.getrandbits(128), version=4)}",
            clock=clock,
            random=rng,
            timing=timing,
            changed=self._changed,
            slow_path=metrics.slow_path.labels(name).inc if metrics is not None else None,
        )

    def _changed(self, leading: bool) -> None:
        if self._metrics is None:
            return
        self._metrics.leader.labels(self._name).set(1 if leading else 0)
        if leading:
            self._metrics.acquired.labels(self._name).set(self._clock.now().timestamp())
            self._metrics.vacancy.labels(self._name).set(self.elector.vacancy)

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
