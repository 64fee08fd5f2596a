"""The controller beside a cluster, in the same process: for `make run`, and for tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from random import Random
from typing import Final

import orjson

from lws.api.disaggregatedset.resources import DISAGGREGATEDSETS, ROLESCALERS
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.client.api import ApiClient
from lws.client.transport import Request, Transport
from lws.clock import Clock
from lws.errors import ApiError, ConfigurationError, ForbiddenError
from lws.manager.manager import ControllerManager
from lws.manager.settings import Settings
from lws.runtime.fence import LeadershipLostError
from lws_sandbox.cluster import Sandbox
from lws_sandbox.quickstart.installation import NAMESPACE, WEBHOOK_SERVICE, Reach, by_service, by_url, install
from lws_sandbox.quickstart.reviews import Answer, reviews
from lws_sandbox.real.cluster import RealCluster

RESTART_DELAY: Final = 1.0  # seconds until a controller that ended is started again
EFFECTIVE_TIMEOUT: Final = 30.0  # seconds for an API server to act on what was installed
INTERVAL: Final = 0.1  # seconds between two tries


@dataclass(frozen=True, slots=True)
class ControllerEnv:
    """What a controller needs of the cluster that it runs beside.

    Attributes:
        transport: to the API server, as somebody who may do everything.
        clock: of the cluster.
        rng: for jitter and names.
        reach: how the API server reaches our webhooks.
        serve_reviews: sets the handler that answers reviews from now on.
    """

    transport: Transport
    clock: Clock
    rng: Random
    reach: Reach
    serve_reviews: Callable[[Answer], None]

    def client(self, user_agent: str) -> ApiClient:
        """A client that may do everything."""
        return ApiClient(self.transport, user_agent=user_agent, field_manager=None)


def sandbox_env(sandbox: Sandbox) -> ControllerEnv:
    """For a controller beside a sandbox, without sockets."""

    def serve(answer: Answer) -> None:
        sandbox.local_webhooks.serve(NAMESPACE, WEBHOOK_SERVICE, answer)

    return ControllerEnv(sandbox.transport(), sandbox.clock, sandbox.random, by_service, serve)


@asynccontextmanager
async def real_env(cluster: RealCluster, rng: Random) -> AsyncIterator[ControllerEnv]:
    """For a controller beside a real control plane, which asks for reviews over HTTPS on loopback.

    Raises:
        ConfigurationError: the socket cannot be had.
    """
    authority = cluster.plane.keys.authority
    transport = cluster.plane.transport()
    try:
        async with reviews(authority, cluster.clock.now()) as server:
            reach = by_url(server.url, authority.certificate)
            yield ControllerEnv(transport, cluster.clock, rng, reach, server.set_handler)
    finally:
        await transport.close()


@asynccontextmanager
async def controller(
    env: ControllerEnv, settings: Settings | None = None, *, installed: bool = False
) -> AsyncIterator[None]:
    """Install LeaderWorkerSets into a cluster and run their controller beside it, without ports of its own.

    Nothing is written if they are ``installed``.

    A controller that loses its lease ends, as when the clock jumps; another one takes its place, as a Deployment would
    have it.

    Raises:
        ConfigurationError: the controller cannot start, or the API server does not act on what was installed.
    """
    settings = (settings or Settings(namespace=NAMESPACE, watchdog=None)).model_copy(update={"disaggregated": True})
    if not installed:
        await install(env.client("lws-install"), env.reach)
    ready = asyncio.Event()
    task = asyncio.create_task(_keep_running(env, settings, ready), name="operators")
    waiting = asyncio.create_task(ready.wait(), name="operator ready")
    try:
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        await wait_effective(env.client("lws-install"))
        yield
    finally:
        waiting.cancel()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def wait_effective(client: ApiClient) -> None:
    """Wait until sets are served, and an object that breaks one of our rules is refused by our rule.

    API servers come to know of definitions and webhooks by watches of their own, a moment after they are stored.

    Raises:
        ConfigurationError: they do not within half a minute; the message tells the last answer.
    """
    deadline = asyncio.get_running_loop().time() + EFFECTIVE_TIMEOUT
    while problem := await _problem(client):
        if asyncio.get_running_loop().time() > deadline:
            raise ConfigurationError(
                f"the API server does not act on what was installed after {EFFECTIVE_TIMEOUT:.0f} s: {problem}"
            )
        await asyncio.sleep(INTERVAL)


async def _problem(client: ApiClient) -> str:
    """Why our rules are not in force yet; empty when they are."""
    try:
        made = await _try(client, {})
        if "networkConfig" not in made["spec"]:
            return "sets are created without our defaults"
        for resource in (DISAGGREGATEDSETS, ROLESCALERS):  # refused with 429 while their storage is being set up
            await client.list(resource, limit=1)
        await _try(client, {"subGroupPolicy": {"subGroupSize": 3}})
    except ForbiddenError:
        return ""
    except ApiError as error:
        return str(error)
    return "sets are created without our validation"


async def _try(client: ApiClient, section: JSON) -> JSON:
    """What would be stored of a set of two pods a group."""
    template = {"spec": {"containers": [{"name": "main", "image": "probe"}]}}
    manifest = {
        "apiVersion": LEADERWORKERSETS.api_version,
        "kind": LEADERWORKERSETS.kind,
        "metadata": {"name": "lws-install-probe"},
        "spec": {"leaderWorkerTemplate": {"size": 2, "workerTemplate": template, **section}},
    }
    headers = {"content-type": "application/json"}
    query = (("dryRun", "All"),)
    asked = Request("POST", LEADERWORKERSETS.path("default"), query, headers, orjson.dumps(manifest))
    made: JSON = orjson.loads((await client.send(asked)).body)
    return made


async def _keep_running(env: ControllerEnv, settings: Settings, ready: asyncio.Event) -> None:
    while True:
        operator = ControllerManager(
            settings,
            env.transport,
            clock=env.clock,
            random=Random(env.rng.getrandbits(64)),  # noqa: S311 -- simulation, no secret
            sockets=False,
        )
        env.serve_reviews(operator.handle_review)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_set_when_ready(operator, ready))
                group.create_task(operator.run())
        except* LeadershipLostError:
            await asyncio.sleep(RESTART_DELAY)


async def _set_when_ready(operator: ControllerManager, ready: asyncio.Event) -> None:
    await operator.wait_ready()
    ready.set()
