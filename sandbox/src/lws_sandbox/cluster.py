"""A whole cluster in one process: API server, control loops, nodes.

In-process it opens no socket and starts no thread, so it runs in virtual time; `endpoint.on_sockets` puts it on
loopback for real clients as well. Everything that happens by chance or by the clock comes from the arguments.
"""

from __future__ import annotations

from collections.abc import Collection
from random import Random
from types import TracebackType
from typing import Final, Protocol, Self

from lws.client.api import ApiClient
from lws.clock import Clock
from lws_sandbox.admission import Caller, LocalCaller
from lws_sandbox.bootstrap import bootstrap
from lws_sandbox.certificates import Authority
from lws_sandbox.control_loops import ControlLoops, fork
from lws_sandbox.kinds import Features
from lws_sandbox.nodes import Shape, preset
from lws_sandbox.server import ApiServer
from lws_sandbox.serverbuilder import build_server
from lws_sandbox.time_travel import LoopClock
from lws_sandbox.transport import InProcessTransport
from lws_sandbox.user import ADMIN, UserInfo

CONTROLLER_MANAGER: Final = UserInfo(
    "system:kube-controller-manager", groups=("system:masters", "system:authenticated")
)


class Cluster(Protocol):
    """What drills need of a cluster, whoever serves its API."""

    @property
    def loops(self) -> ControlLoops:
        """Its nodes and controllers."""
        ...

    @property
    def clock(self) -> Clock:
        """What time it is there."""
        ...

    @property
    def server(self) -> ApiServer | None:
        """The API server, if it is ours."""
        ...

    def admin(self, user_agent: str) -> ApiClient:
        """A client that may do everything."""
        ...


class Sandbox:
    """One cluster; an async context manager, ready when it is entered.

    Args:
        shape: nodes, delays, heartbeats; the preset ``small`` if absent.
        clock: tells the time; the event loop's own if absent.
        random: source of everything random.
        loops: names of the loops to run, as ``--controllers`` has them; all if absent.
        gang: let the scheduler place the pods of Volcano PodGroups together or not at all.
        workloads: serve Workloads of ``scheduling.k8s.io``, and let the scheduler heed their PodGroups.
        features: what the API server offers.
        webhooks: reaches admission webhooks; by default only those registered with ``local_webhooks``.
    """

    def __init__(
        self,
        *,
        shape: Shape | None = None,
        clock: Clock | None = None,
        random: Random | None = None,
        loops: Collection[str] | None = None,
        gang: bool = False,
        workloads: bool = False,
        features: Features | None = None,
        webhooks: Caller | None = None,
    ) -> None:
        self.random = random or Random(0)  # noqa: S311 -- simulation, no secret
        self.clock: Clock = clock or LoopClock()
        self.authority = Authority(self.clock.now())
        self.local_webhooks = LocalCaller(webhooks)
        features = features or Features()
        self.server = build_server(
            clock=self.clock, random=fork(self.random), caller=self.local_webhooks, features=features
        )
        self._transport = InProcessTransport(self.server, CONTROLLER_MANAGER)
        self.loops = ControlLoops(
            self._transport,
            ca=self.authority.certificate,
            shape=shape or preset("small"),
            clock=self.clock,
            random=self.random,
            wanted=lambda name: loops is None or name in loops,
            gang=gang,
            workloads=workloads,
            unused_claims=features.unused_claims,
        )

    def transport(self, user: UserInfo = ADMIN) -> InProcessTransport:
        """A way to the API server without sockets, as a user."""
        return InProcessTransport(self.server, user)

    def client(self, user: UserInfo = ADMIN, *, user_agent: str = "sandbox") -> ApiClient:
        """A client of the API server, as a user."""
        return ApiClient(self.transport(user), user_agent=user_agent, field_manager=None)

    def admin(self, user_agent: str) -> ApiClient:
        """A client that may do everything."""
        return self.client(user_agent=user_agent)

    async def __aenter__(self) -> Self:
        """Start everything; returns when the nodes are there and every loop has its caches."""
        await bootstrap(self.client(user_agent="kube-apiserver"))
        await self.loops.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything, the loops first."""
        try:
            await self.loops.__aexit__(kind, error, trace)
        finally:
            await self._transport.close()
