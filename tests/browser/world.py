"""A cluster with sets in many states, the controller and the page, in real time: browsers have no other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import NODES
from lws.cli.kubectl.ui.command import page
from lws.client.api import ApiClient
from lws_sandbox.cluster import Cluster, Sandbox
from lws_sandbox.drills import Drills
from lws_sandbox.nodes import preset
from lws_sandbox.quickstart.environment import controller, real_env, sandbox_env
from lws_sandbox.quickstart.manifests import apply, read_manifests
from lws_sandbox.real.binaries import find
from lws_sandbox.real.cluster import real_cluster
from tests.cli.sessions import Plugin

EXAMPLES: Final = Path(__file__).parents[2] / "examples"
WITHIN: Final = 60.0


@dataclass(frozen=True, slots=True)
class World:
    """What a test plays with.

    Attributes:
        client: may do everything.
        address: of the page, with its token.
        drill: runs a drill by its name.
    """

    client: ApiClient
    address: str
    drill: Callable[[str, JSON], Awaitable[Any]]

    def at(self, path: str) -> str:
        """The address of a view, with the token."""
        return self.address.replace("/?", f"{path}&" if "?" in path else f"{path}?")

    async def explain(self, name: str) -> str:
        """What `kubectl lws explain-stuck` prints."""
        return await Plugin(self.client).run(f"explain-stuck {name}")

    async def apply(self, *examples: str) -> None:
        """Apply examples by their file names."""
        for name in examples:
            await apply(self.client, read_manifests([EXAMPLES / name]))

    async def until(self, name: str, wanted: Callable[[JSON], bool]) -> JSON:
        """The LeaderWorkerSet, as soon as it is as wanted."""
        async with asyncio.timeout(WITHIN):
            while True:
                live = await self.client.get(LEADERWORKERSETS, "default", name)
                if wanted(live):
                    return live
                await asyncio.sleep(0.1)

    async def ready(self, *names: str) -> None:
        """Wait until sets are whole."""
        for name in names:
            await self.until(name, _whole)

    async def lose(self, node: str) -> None:
        """A node's kubelet stops, and the control plane has noticed, which takes it forty seconds."""
        await self.drill("node.fail", {"name": node})
        async with asyncio.timeout(2 * WITHIN):
            while True:
                conditions = (await self.client.get(NODES, "", node))["status"]["conditions"]
                if any(one["type"] == "Ready" and one["status"] != "True" for one in conditions):
                    return
                await asyncio.sleep(0.5)

    async def roll(self, name: str, image: str) -> None:
        """Change the image of a set."""
        live = await self.client.get(LEADERWORKERSETS, "default", name)
        template = live["spec"]["leaderWorkerTemplate"]
        for part in ("leaderTemplate", "workerTemplate"):
            if part in template:
                template[part]["spec"]["containers"][0]["image"] = image
        await self.client.patch(LEADERWORKERSETS, "default", name, {"spec": {"leaderWorkerTemplate": template}})


def _whole(live: JSON) -> bool:
    return bool((live.get("status") or {}).get("readyReplicas") == live["spec"]["replicas"])


@asynccontextmanager
async def world(*, real: bool = False) -> AsyncIterator[World]:
    """A cluster of 32 nodes with the controller and a page that may act: a sandbox, or on a real control plane."""
    shape, rng = preset("gpu-rack"), Random(7)
    async with AsyncExitStack() as stack:
        cluster: Cluster
        if real:
            cluster = live = await stack.enter_async_context(real_cluster(find(), shape=shape, random=rng))
            env = await stack.enter_async_context(real_env(live, rng))
        else:
            cluster = sandbox = await stack.enter_async_context(Sandbox(shape=shape, random=rng))
            env = sandbox_env(sandbox)
        await stack.enter_async_context(controller(env))
        serving = page(env.client("ui"), namespace="", server="sandbox", acting=True, stay=1.0)
        yield World(env.client("test"), await stack.enter_async_context(serving), Drills(cluster).run)
