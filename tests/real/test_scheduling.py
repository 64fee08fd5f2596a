"""Typed scheduling on servers that do not serve the Workload API (next 7)."""

from __future__ import annotations

import pytest

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.errors import ApiError
from tests.real.planes import Plane
from tests.real.world import World


def test_n39_n48_refusals_are_clear(plane: Plane) -> None:
    """Without the gate, and without the API, a set that asks for it is refused in words that say what is missing."""

    async def scenario(world: World) -> None:
        running = await world.start()
        with pytest.raises(ApiError, match="requires the WorkloadAwareScheduling feature gate"):
            await world.create(size=2, scheduling={})
        await running.stop()
        typed = {
            "featureGates": {"WorkloadAwareScheduling": True},
            "gangSchedulingManagement": {"schedulerProvider": "kubernetes"},
        }
        running = await world.start(configuration=typed)
        with world.reviewing(running):
            with pytest.raises(ApiError, match=r"scheduling\.k8s\.io/v1beta1 Workload API is not available: "):
                await world.create(size=2, scheduling={})
            await world.create(size=2)
            await world.settled("sample")
        assert world.get(LEADERWORKERSETS, "sample") is not None

    plane.run(scenario)
