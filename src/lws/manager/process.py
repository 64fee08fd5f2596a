"""What every process of ours is made of, whatever it reconciles: metrics, health, chance, clients, events, leadership.

Guarantees: nothing is global; each part gets a generator of chance of its own, so that one part's use of it does not
shift another's.
"""

from __future__ import annotations

from random import Random

from lws.client.api import DEFAULT_TIMEOUT, ApiClient
from lws.client.limiter import Limiter
from lws.client.transport import Transport
from lws.clock import Clock
from lws.manager.metrics import Metrics
from lws.runtime.events import EventRecorder
from lws.runtime.health import Health
from lws.runtime.leader import Timing
from lws.runtime.leadership import Leadership


class Process:
    """The parts of a process.

    Args:
        agent: the user agent of its requests.
        field_manager: of its writes, unless a client says otherwise.
        hostname: part of its identity.
        clock: the time of day, and spans.
        random: source of all chance.
        host: the API server's name, for metrics.
        metrics: where to count; an own one if absent.
    """

    def __init__(
        self,
        agent: str,
        field_manager: str,
        hostname: str,
        *,
        clock: Clock,
        random: Random,
        host: str = "",
        metrics: Metrics | None = None,
    ) -> None:
        self.metrics = metrics or Metrics()
        self.readyz = Health("readyz")
        self.healthz = Health("healthz")
        self.clock = clock
        self.field_manager = field_manager
        self._agent = agent
        self._hostname = hostname
        self._random = random
        self._host = host

    def chance(self) -> Random:
        """A generator of its own for one part."""
        return Random(self._random.getrandbits(64))  # noqa: S311 -- jitter and names, no secret

    def make_client(
        self,
        transport: Transport,
        limiter: Limiter | None,
        *,
        field_manager: str | None,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> ApiClient:
        """A client whose requests are counted."""
        return ApiClient(
            transport,
            user_agent=self._agent,
            field_manager=field_manager,
            host=self._host,
            limiter=limiter,
            observer=self.metrics.client.observe_request,
            timeout=timeout,
        )

    def make_leadership(
        self, transport: Transport, *, namespace: str, name: str, identity: str, timing: Timing
    ) -> Leadership:
        """A candidate for a lease; a renewal must not queue behind other requests, so it has no rate limit."""
        return Leadership(
            self.make_client(transport, None, field_manager=self.field_manager),
            namespace=namespace,
            name=name,
            hostname=identity,
            timing=timing,
            clock=self.clock,
            rng=self.chance(),
            metrics=self.metrics.leader,
        )

    def make_recorder(self, client: ApiClient, component: str) -> EventRecorder:
        """Reports events under the name of a component."""
        return EventRecorder(
            client,
            component=component,
            hostname=self._hostname,
            clock=self.clock,
            random=self.chance(),
            dropped=lambda cause: self.metrics.events_dropped.labels(cause).inc(),
        )
