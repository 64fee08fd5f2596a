"""MaxUnavailable on a real control plane: with its feature gate on, off, and on for the API server alone (CD-81)."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import pytest

from lws.apimachinery.resources import PODS, STATEFULSETS
from lws_sandbox.controllers.kubelet.runtime import Delays
from lws_sandbox.real.binaries import CONTROLLER_MANAGER
from tests.acceptance.support import figure
from tests.real.conftest import need_binaries
from tests.real.planes import BRISK, real_plane
from tests.real.world import World

GROUPS = 6
BUDGETS: dict[int | str, int] = {1: 1, 2: 2, 4: 4, "50%": 3}
ON, OFF = "--feature-gates=MaxUnavailableStatefulSet=true", "--feature-gates=MaxUnavailableStatefulSet=false"
READY = {"type": "Ready", "status": "True"}


def ready(world: World) -> int:
    """How many groups of one pod are ready and not ending."""
    return sum(
        "deletionTimestamp" not in pod["metadata"]
        and any(READY.items() <= each.items() for each in pod["status"].get("conditions", ()))
        for pod in world.all(PODS, name="sample")
    )


def runs(world: World, image: str) -> bool:
    """Whether all pods run this image."""
    return set(world.images("sample").values()) == {image}


@pytest.mark.real
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("server", "manager", "by_us"),
    [(ON, ON, False), (OFF, OFF, True), (ON, OFF, True)],
    ids=["heeded", "dropped", "ignored"],
)
def test_cd_81_budgets_on_a_real_control_plane(server: str, manager: str, by_us: bool, tmp_path: Path) -> None:
    """R - U groups are ready at every event of a pod; we delete leaders only where StatefulSets do not."""
    binaries = need_binaries()
    if CONTROLLER_MANAGER not in binaries:
        pytest.skip(f"{CONTROLLER_MANAGER} is not among the binaries")

    async def scenario(world: World) -> None:
        least = GROUPS

        def look(*_: object) -> None:
            nonlocal least
            least = min(least, ready(world))

        await world.start()
        await world.create(replicas=GROUPS, size=1)
        await world.settled("sample")
        world._informers[PODS].on_change(look)
        for number, (unavailable, allowed) in enumerate(BUDGETS.items(), 2):
            rolling = {"maxUnavailable": unavailable}
            await world.edit(rolloutStrategy={"type": "RollingUpdate", "rollingUpdateConfiguration": rolling})
            await world.settled("sample")
            least, begun = GROUPS, asyncio.get_running_loop().time()
            world.requests.clear()
            await world.roll(f"app:{number}")
            await world.until(partial(runs, world, f"app:{number}"), "the whole update")
            await world.settled("sample")
            seconds = asyncio.get_running_loop().time() - begun
            deleted = [each for each in world.requests.writes() if each.resource == "pods"]
            told = figure(
                f"U={unavailable}: at least {least} of {GROUPS} ready, {len(deleted)} deleted by us, {seconds:.0f} s"
            )
            assert least >= GROUPS - allowed, told
            assert allowed == 1 or bool(deleted) is by_us, told
        found = world.get(STATEFULSETS, "sample")
        assert found is not None
        assert ("maxUnavailable" in found["spec"]["updateStrategy"]["rollingUpdate"]) is (server == ON)

    # What is not heeded is noticed after five seconds: the rollout has to last longer.
    delays = Delays(start=0.05, init=0.05, ready=1.5, stop=0.05) if (server, manager) == (ON, OFF) else BRISK
    with real_plane(binaries, tmp_path, server, managers=(manager,), delays=delays) as plane:
        plane.run(scenario)
