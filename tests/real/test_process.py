"""``lws-controller`` as a process of its own on a real control plane: started, killed, replaced."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from lws_sandbox.control import MASTERS
from tests.real.conftest import PLANES
from tests.real.planes import Plane, RealPlane
from tests.real.world import World

FLAGS = ("--metrics-bind-address=0", "--health-probe-bind-address=0")


@asynccontextmanager
async def controller(kubeconfig: Path, home: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A controller process; dead when the context is left."""
    command = [sys.executable, "-m", "lws", "--kubeconfig", str(kubeconfig), *FLAGS]
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "ENABLE_WEBHOOKS": "false"}
    with (home / "log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(*command, env=environment, stderr=log, stdout=log)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def kubeconfig_of(plane: RealPlane) -> Path:
    """A kubeconfig for somebody who may do everything."""
    running = plane.cluster.plane
    return running.keys.write_kubeconfig("lws-controller", running.url, "lws-controller", (MASTERS,))


@pytest.mark.parametrize("plane", PLANES[1:2], indirect=True)  # on the sandbox the simulation does it without processes
def test_a_killed_process_is_replaced_in_mid_rollout(plane: Plane, tmp_path: Path) -> None:
    """Two processes share a lease; the one that leads is killed, and the other ends the update it had begun."""
    assert isinstance(plane, RealPlane)
    kubeconfig = kubeconfig_of(plane)

    async def scenario(world: World) -> None:
        async with controller(kubeconfig, tmp_path) as first:
            await world.create(replicas=3, size=2)
            await world.settled("sample")
            before = world.uids()
            async with controller(kubeconfig, tmp_path):
                await world.roll("app:2")
                await world.until(lambda: "app:2" in world.images("sample").values(), "an updated pod")
                first.kill()
                await first.wait()
                world.requests.clear()
                await world.until(lambda: set(world.images("sample").values()) == {"app:2"}, "the whole update")
                await world.settled("sample")
                assert not {*before.values()} & {*world.uids().values()}
                assert len(world.revisions()) == 1
                deleted = [str(each) for each in world.requests.writes() if each.resource == "pods"]
                assert deleted == []

    plane.run(scenario)
