"""A cluster with sets in many states, the controller and the page, in real time: browsers have no other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import NODES
from lws.cli.kubectl.ui.command import page
from lws.client.api import ApiClient
from lws_sandbox.cluster import Sandbox
from lws_sandbox.drills import Drills
from lws_sandbox.nodes import preset
from lws_sandbox.quickstart.environment import controller, sandbox_env
from lws_sandbox.quickstart.manifests import apply, read_manifests
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
        """A node's kubelet stops, and the control plane has noticed: it would take it forty seconds."""
        await self.drill("node.fail", {"name": node})
        live = await self.client.get(NODES, "", node)
        for condition in live["status"]["conditions"]:
            if condition["type"] == "Ready":
                condition["status"] = "Unknown"
        await self.client.patch(
            NODES, "", node, {"status": {"conditions": live["status"]["conditions"]}}, subresource="status"
        )

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
async def world(shape: str = "gpu-rack") -> AsyncIterator[World]:
    """A sandbox with the controller and a page that may act."""
    sandbox = Sandbox(shape=preset(shape), random=Random(7))
    async with sandbox:
        env = sandbox_env(sandbox)
        async with (
            controller(env),
            page(env.client("ui"), namespace="", server="sandbox", acting=True, stay=1.0) as address,
        ):
            yield World(env.client("test"), address, Drills(sandbox).run)
