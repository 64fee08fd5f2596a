"""A cluster with sets in many states, the controller and the page, in real time: browsers have no other."""

from __future__ import annotations

import asyncio
import base64
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

import orjson

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import CLUSTERROLEBINDINGS, NODES, SERVICEACCOUNTS
from lws.cli.kubectl.ui.command import page
from lws.client.api import ApiClient
from lws.errors import ApiError, TransportError
from lws_sandbox.cluster import Sandbox
from lws_sandbox.drills import Drills
from lws_sandbox.endpoint import on_sockets
from lws_sandbox.nodes import preset
from lws_sandbox.quickstart.environment import controller, real_env, sandbox_env
from lws_sandbox.quickstart.manifests import apply, read_manifests
from lws_sandbox.real.binaries import API_SERVER, find
from lws_sandbox.real.cluster import RealCluster, real_cluster

EXAMPLES: Final = Path(__file__).parents[2] / "examples"
WITHIN: Final = 60.0
ACCOUNT: Final = "looker"


@dataclass(frozen=True, slots=True)
class World:
    """What a test plays with.

    Attributes:
        client: may do everything.
        address: of the page, with its token.
        drill: runs a drill by its name.
        cluster: what it all runs on.
    """

    client: ApiClient
    address: str
    drill: Callable[[str, JSON], Awaitable[Any]]
    cluster: Sandbox | RealCluster

    def at(self, path: str) -> str:
        """The address of a view, with the token."""
        return self.address.replace("/?", f"{path}&" if "?" in path else f"{path}?")

    async def end_watches(self) -> None:
        """End every watch as a lost connection does; a real API server is killed for that, and started again."""
        if isinstance(self.cluster, Sandbox):
            self.cluster.server.break_watches()
            return
        process = next(each for each in self.cluster.plane.processes if each.name == API_SERVER)
        await process.kill()
        await process.start()
        async with asyncio.timeout(WITHIN):
            while True:
                try:
                    await self.client.list(LEADERWORKERSETS, "default")
                    return
                except (ApiError, TransportError):
                    await asyncio.sleep(0.2)

    @asynccontextmanager
    async def command(self, folder: Path) -> AsyncIterator[Command]:
        """`kubectl lws ui --allow-actions` in a process of its own, as its users run it, with a token to be revoked."""
        async with AsyncExitStack() as stack:
            if isinstance(self.cluster, Sandbox):
                url = (await stack.enter_async_context(on_sockets(self.cluster, folder / "admin"))).url
                ca = self.cluster.authority.certificate
            else:
                url, ca = self.cluster.plane.url, self.cluster.plane.keys.authority.certificate
            config = folder / "kubeconfig"
            config.write_bytes(_kubeconfig(url, ca, await self._token()))
            yield await stack.enter_async_context(_running(config))

    async def _token(self) -> str:
        """Of a service account that may do everything."""
        account = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": "default"}
        await self.client.create(SERVICEACCOUNTS, {"metadata": {"name": ACCOUNT, "namespace": "default"}})
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
        binding = {"metadata": {"name": ACCOUNT}, "roleRef": role, "subjects": [account]}
        await self.client.create(CLUSTERROLEBINDINGS, binding)
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "metadata": {"namespace": "default"},
        }
        made = await self.client.create(
            SERVICEACCOUNTS, {**request, "spec": {"expirationSeconds": 3600}}, name=ACCOUNT, subresource="token"
        )
        return str(made["status"]["token"])

    async def revoke(self) -> None:
        """Have the token of `command` be nobody's."""
        await self.client.delete(SERVICEACCOUNTS, "default", ACCOUNT)

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


@dataclass(frozen=True, slots=True)
class Command:
    """The command as a process.

    Attributes:
        address: that it printed.
        pid: of the process.
    """

    address: str
    pid: int

    def at(self, path: str) -> str:
        """The address of a view, with the token."""
        return self.address.replace("/?", f"{path}&" if "?" in path else f"{path}?")


@asynccontextmanager
async def _running(config: Path) -> AsyncIterator[Command]:
    flags = ("ui", "-A", "--no-browser", "--allow-actions", "--kubeconfig", str(config))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "lws.cli.kubectl.main", *flags, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        line = (await process.stdout.readline()).decode()
        yield Command(line.split(" at ")[1].strip(), process.pid)
    finally:
        process.kill()
        await process.wait()


def _kubeconfig(url: str, ca: bytes, token: str) -> bytes:
    cluster = {"server": url, "certificate-authority-data": base64.b64encode(ca).decode()}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "test", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": "default"}}],
    }
    return orjson.dumps(document)  # JSON is YAML


def _whole(live: JSON) -> bool:
    return bool((live.get("status") or {}).get("readyReplicas") == live["spec"]["replicas"])


@asynccontextmanager
async def world(*, real: bool = False) -> AsyncIterator[World]:
    """A cluster of 32 nodes with the controller and a page that may act: a sandbox, or on a real control plane."""
    shape, rng = preset("gpu-rack"), Random(7)
    async with AsyncExitStack() as stack:
        cluster: Sandbox | RealCluster
        if real:
            cluster = live = await stack.enter_async_context(real_cluster(find(), shape=shape, random=rng))
            env = await stack.enter_async_context(real_env(live, rng))
        else:
            cluster = sandbox = await stack.enter_async_context(Sandbox(shape=shape, random=rng))
            env = sandbox_env(sandbox)
        await stack.enter_async_context(controller(env))
        serving = page(env.client("ui"), namespace="", server="sandbox", acting=True, stay=1.0)
        yield World(env.client("test"), await stack.enter_async_context(serving), Drills(cluster).run, cluster)
