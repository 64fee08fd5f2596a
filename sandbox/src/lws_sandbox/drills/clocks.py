"""Drills on time, and on the metrics that autoscalers read."""

from __future__ import annotations

import asyncio

from lws.apimachinery.manifests import JSON
from lws_sandbox.drills.base import ClusterAccess, DrillError, Finite, Seconds, Speed, checked
from lws_sandbox.time_travel import TravellingLoop


class ClockDrills(ClusterAccess):
    """The drills whose names begin with ``clock`` and ``metric``."""

    @checked
    async def clock_show(self) -> JSON:
        """What time it is in the sandbox."""
        loop = asyncio.get_running_loop()
        speed = loop.speed if isinstance(loop, TravellingLoop) else 1.0
        return {"now": self._cluster.clock.now().isoformat(), "speed": speed}

    @checked
    async def clock_forward(self, seconds: Seconds) -> JSON:
        """Let time pass at once, for everything in the sandbox."""
        self._own_server()
        advance = getattr(asyncio.get_running_loop(), "advance", None)
        if advance is None:
            raise DrillError("the clock of this sandbox cannot be moved: it runs on another program's event loop")
        advance(seconds)
        return await self.clock_show()

    @checked
    async def clock_speed(self, factor: Speed) -> JSON:
        """Let time run faster or slower: seconds of the sandbox in a second of the wall clock."""
        self._own_server()
        loop = asyncio.get_running_loop()
        if not isinstance(loop, TravellingLoop):
            raise DrillError("the speed can be changed where the sandbox runs by itself: lws-sandbox start")
        loop.run_at(factor)
        return await self.clock_show()

    @checked
    async def metric_set(self, metric: str, value: Finite, namespace: str = "", name: str = "") -> JSON:
        """Set a metric for autoscalers: percent for a utilisation, else the average per pod."""
        self._cluster.loops.metrics.set(metric, value, namespace=namespace, name=name)
        return {"metric": metric, "value": value}
