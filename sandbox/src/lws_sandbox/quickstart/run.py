"""``make run``: a cluster, the controller and an example in one process, with a view of what happens.

Environment: ``ONCE=1`` ends as soon as everything is Ready, with exit code 0, or 1 with the reason after a minute.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

from rich.console import Console
from rich.live import Live

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.resources import PODS
from lws.client.api import ApiClient
from lws.errors import ApiError, ConfigurationError, LwsError, TransportError
from lws.telemetry.logs import LogSettings, configure_logging
from lws.yamltext import load_all
from lws_sandbox.cli.main import KUBECONFIG, add_plane_option, add_shape_options
from lws_sandbox.cli.start import until_interrupted
from lws_sandbox.cluster import Sandbox
from lws_sandbox.controllers.discovery import by_kind, discover, group_of
from lws_sandbox.endpoint import Address, on_sockets
from lws_sandbox.nodes import Shape, preset, read_shape
from lws_sandbox.quickstart.environment import Home, at_real, at_sandbox, controller
from lws_sandbox.quickstart.view import SetRow, blockers, draw, lines, read_set
from lws_sandbox.real import endpoint as real
from lws_sandbox.real.binaries import find
from lws_sandbox.real.cluster import real_cluster
from lws_sandbox.real.control_plane import ControlPlane
from lws_sandbox.time_travel import LoopClock, TravellingLoop

JSON = dict[str, Any]
EXAMPLE: Final = "01-vllm-two-groups.yaml"
PATIENCE: Final = 60.0
PERIOD: Final = 0.25


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run.

    Attributes:
        once: end when all is Ready.
        manifests: files to apply.
        kubeconfig: where to write it.
    """

    once: bool
    manifests: tuple[Path, ...]
    kubeconfig: Path
    options: argparse.Namespace


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; returns the exit code."""
    try:
        plan = _plan(arguments)
        plan.kubeconfig.parent.mkdir(parents=True, exist_ok=True)
        with (plan.kubeconfig.parent / "run.log").open("w") as log:
            configure_logging(LogSettings(level="info", format="console"), log)
            with asyncio.Runner(loop_factory=TravellingLoop) as runner:
                return runner.run(run(plan, Console()))
    except (LwsError, OSError) as error:
        sys.stderr.write(f"run: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 0


@dataclass(frozen=True, slots=True)
class Ground:
    """The cluster that everything runs on.

    Attributes:
        address: where it is.
        home: of the controller.
        plane: the processes of a real control plane, if it is one.
    """

    address: Address
    home: Home
    plane: ControlPlane | None = None


async def run(plan: Plan, console: Console) -> int:
    """Start everything, apply the manifests, show what happens; returns the exit code.

    Raises:
        ConfigurationError: something cannot be started, or a process of a real control plane ends.
    """
    options = plan.options
    shape = read_shape(options.shape) if options.shape else preset(options.preset)
    grounds = _real if options.control_plane == "real" else _ours
    documents = [document for path in plan.manifests for document in _documents(path)]
    async with grounds(plan, shape) as ground, controller(ground.home):
        client = ground.home.client("lws-run")
        await apply(client, documents)
        stop = asyncio.create_task(until_interrupted(ground.plane))
        try:
            if console.is_terminal and not plan.once:
                await _live(client, console, _hints(ground.address), stop)
                return 0
            return await _plain(client, console, _hints(ground.address), stop, once=plan.once)
        finally:
            stop.cancel()


@asynccontextmanager
async def _ours(plan: Plan, shape: Shape) -> AsyncIterator[Ground]:
    sandbox = Sandbox(shape=shape, clock=LoopClock(), random=Random(0))  # noqa: S311 -- simulation, no secret
    async with sandbox, on_sockets(sandbox, plan.kubeconfig) as address:
        yield Ground(address, at_sandbox(sandbox))


@asynccontextmanager
async def _real(plan: Plan, shape: Shape) -> AsyncIterator[Ground]:
    random = Random(0)  # noqa: S311 -- simulation, no secret
    async with (
        real_cluster(find(), shape=shape, random=random) as cluster,
        real.on_sockets(cluster, plan.kubeconfig) as address,
        at_real(cluster, random) as home,
    ):
        yield Ground(address, home, cluster.plane)


async def apply(client: ApiClient, documents: Sequence[JSON]) -> None:
    """Apply manifests, each through the resource that its kind is served by.

    Raises:
        ConfigurationError: a kind is not served, or the server refuses; the message names the object.
    """
    kinds = by_kind(await discover(client))
    for document in documents:
        key = (group_of(document["apiVersion"]), document["kind"])
        if key not in kinds:
            kinds = by_kind(await discover(client))
        resource = kinds.get(key)
        name = (document.get("metadata") or {}).get("name", "")
        if resource is None:
            raise ConfigurationError(f"{document['kind']} {name}: the cluster serves no such kind")
        metadata = document["metadata"]
        if resource.namespaced and not metadata.get("namespace"):
            document = {**document, "metadata": {**metadata, "namespace": "default"}}
        try:
            await client.apply(resource, document, field_manager="lws-run")
        except ApiError as error:
            raise ConfigurationError(f"{document['kind']} {name}: {error}") from error


def examples() -> Path:
    """The folder of examples, in the checkout that this package is installed from or in the working directory.

    Raises:
        ConfigurationError: there is none.
    """
    places = [Path.cwd(), *Path(__file__).resolve().parents]
    found = next((place / "examples" for place in places if (place / "examples" / EXAMPLE).is_file()), None)
    if found is None:
        raise ConfigurationError(f"examples/{EXAMPLE} is not to be found: run this in a checkout, or name a manifest")
    return found


class Watch:
    """What was seen last, and what keeps us from seeing more: a drill may have the API server fail for a while."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client
        self.sets: list[SetRow] = []
        self.trouble = ""

    async def look(self) -> None:
        """See what is now."""
        try:
            self.sets = await observe(self._client)
            self.trouble = ""
        except (ApiError, TransportError) as error:
            self.trouble = f"the API server cannot be read: {error}"


async def observe(client: ApiClient) -> list[SetRow]:
    """Every LeaderWorkerSet with its pods, as they are now."""
    sets = await client.list(LEADERWORKERSETS)
    pods = (await client.list(PODS, label_selector="leaderworkerset.sigs.k8s.io/name"))["items"]
    return [
        read_set(item, [pod for pod in pods if pod["metadata"]["namespace"] == item["metadata"]["namespace"]])
        for item in sets["items"]
    ]


async def _live(client: ApiClient, console: Console, hints: Sequence[str], stop: asyncio.Task[None]) -> None:
    watch = Watch(client)
    with Live(console=console, auto_refresh=False) as live:
        while not stop.done():
            await watch.look()
            live.update(draw(watch.sets, [*([watch.trouble] if watch.trouble else []), *hints]), refresh=True)
            await asyncio.wait({stop}, timeout=PERIOD)
    stop.result()


async def _plain(
    client: ApiClient, console: Console, hints: Sequence[str], stop: asyncio.Task[None], *, once: bool
) -> int:
    before: dict[str, str] = {}
    begin = asyncio.get_running_loop().time()
    told = False
    watch = Watch(client)
    while not stop.done():
        trouble = watch.trouble
        await watch.look()
        for line in ([watch.trouble] if watch.trouble not in ("", trouble) else []) + lines(before, watch.sets):
            console.print(line, highlight=False, soft_wrap=True, markup=False)
        took = asyncio.get_running_loop().time() - begin
        done = bool(watch.sets) and all(row.done for row in watch.sets)
        if done and not told:
            told = True
            console.print(f"everything is Ready after {took:.1f} s", highlight=False)
            if once:
                return 0
            for hint in hints:
                console.print(hint, highlight=False, soft_wrap=True)
        if once and took > PATIENCE:
            sys.stderr.write(f"run: not Ready after {PATIENCE:.0f} s: {watch.trouble or blockers(watch.sets)}\n")
            return 1
        await asyncio.wait({stop}, timeout=PERIOD)
    stop.result()
    return 0


def _hints(address: Address) -> list[str]:
    """The lines with which to go on."""
    return [
        f"Go on in another terminal (the cluster is at {address.url}):",
        f"  export KUBECONFIG={address.kubeconfig}",
        "  kubectl get lws,sts,pods -o wide",
        "  kubectl scale lws vllm --replicas=3",
        "  kubectl get pods -l leaderworkerset.sigs.k8s.io/name=vllm -w",
        "  kubectl describe lws vllm",
        "  lws-sandbox pod crash vllm-0-1",
        "  lws-sandbox node fail node-0",
        "Ctrl-C ends it.",
    ]


def _documents(path: Path) -> list[JSON]:
    try:
        documents = [document for document in load_all(path.read_text()) if document is not None]
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    for document in documents:
        whole = isinstance(document, dict) and isinstance(document.get("metadata"), dict)
        if not whole or not all(isinstance(document.get(member), str) for member in ("apiVersion", "kind")):
            raise ConfigurationError(f"{path}: an object needs apiVersion, kind and metadata")
    return documents


def _plan(arguments: Sequence[str] | None) -> Plan:
    parser = argparse.ArgumentParser(
        prog="lws_sandbox.quickstart.run", description="A cluster, the controller and an example."
    )
    parser.add_argument("manifests", nargs="*", type=Path, help="files to apply; the first example if none")
    parser.add_argument("--kubeconfig", type=Path, default=Path(KUBECONFIG), help="file to write")
    add_plane_option(parser)
    add_shape_options(parser)
    options = parser.parse_args(arguments)
    manifests = tuple(options.manifests) or (examples() / EXAMPLE,)
    return Plan(os.environ.get("ONCE", "") not in ("", "0"), manifests, options.kubeconfig, options)


if __name__ == "__main__":
    sys.exit(main())
