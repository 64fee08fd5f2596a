"""What those who act on a simulated cluster share: the cluster, its chance, its operators, and what is remembered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Final

from lws.client.transport import Transport
from lws.errors import ApiError
from lws.runtime.fence import LeadershipLostError
from tests.simulation.chaos import Chaos, Trouble
from tests.simulation.cluster import Cluster, Running
from tests.simulation.inspector import Inspector
from tests.simulation.ledger import Ledger
from tests.simulation.probe import Probe

NAME: Final = "sim"
NODES: Final = 3


@dataclass
class World:
    """One simulated cluster and what happens to it.

    Attributes:
        cluster: the sandbox and its operators.
        random: decides what happens.
        ledger: what the invariants remember.
        trouble: what goes wrong on the way to the server.
        operators: how many there are in good times.
        policies: how often the user changed what a failure leads to.
        begun: when the last operator was started.
        inspector: what looks at writes by what is stored.
        probe: what looks at them by what their operator believes.
    """

    cluster: Cluster
    random: Random
    ledger: Ledger
    trouble: Trouble
    operators: int
    policies: int = 0
    begun: float = 0.0
    inspector: type[Inspector] = Inspector
    probe: type[Probe] = Probe
    _background: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def time(self) -> float:
        """Virtual seconds."""
        return asyncio.get_running_loop().time()

    @property
    def steady(self) -> bool:
        """Whether one operator has been at work for a while, and nothing keeps it from seeing and doing things."""
        trouble, works = self.trouble, [each for each in self.cluster.operators if not each.task.done()]
        ill = trouble.refused or trouble.unsent or trouble.unanswered or trouble.broken
        frozen = self.cluster.sandbox.loops.fleet.failed
        return self.operators == 1 and len(works) == 1 and not ill and not frozen and self.time - self.begun > 3.0

    async def start(self) -> Running:
        """Start an operator whose every request is looked at."""
        probes: list[Probe] = []

        def wrap(transport: Transport) -> Transport:
            chance = Random(self.random.getrandbits(64))
            inner = self.inspector(transport, self.ledger)
            probes.append(self.probe(Chaos(inner, chance, self.trouble), self.ledger))
            return probes[0]

        self.begun = self.time
        running = await self.cluster.start(wrap, ready=False)
        probes[0].operator = running.operator
        return running

    def later(self, seconds: float, what: Callable[[], Awaitable[object]]) -> None:
        """Do something after a while."""

        async def wait() -> None:
            await asyncio.sleep(seconds)
            with suppress(ApiError, LeadershipLostError):
                await what()

        self._background.add(asyncio.create_task(wait()))

    async def settled(self) -> None:
        """Wait for all that was to be done later."""
        await asyncio.gather(*self._background)
