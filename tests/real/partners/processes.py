"""What every partner needs: a control plane for itself, its published YAML applied, and its process."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

import yaml

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import CUSTOMRESOURCEDEFINITIONS, Resource
from lws.client.api import ApiClient
from lws_sandbox.control import MASTERS
from lws_sandbox.controllers.kubelet.runtime import Delays
from lws_sandbox.nodes import NodeShape
from lws_sandbox.real.cluster import RealCluster
from lws_sandbox.real.process import Process, running
from tests.real.conftest import need_binaries
from tests.real.planes import BRISK, RealPlane, real_plane
from tests.tools import need

START: Final = 60.0  # seconds that a partner may take to be ready
BETWEEN: Final = 0.1

Life = Callable[[RealPlane, Path], AbstractAsyncContextManager[Any]]
"""From a control plane and an empty folder to a partner that runs while the context is entered."""


@contextmanager
def beside(life: Life, folder: Path, delays: Delays = BRISK, nodes: Sequence[NodeShape] = ()) -> Iterator[RealPlane]:
    """A control plane of its own, with a partner that runs beside it."""
    for name in ("plane", "partner"):
        (folder / name).mkdir()
    with real_plane(need_binaries(), folder / "plane", delays=delays, nodes=nodes) as plane:
        partner = life(plane, folder / "partner")
        plane.call(partner.__aenter__())
        try:
            yield plane
        finally:
            plane.call(_leave(partner))


async def _leave(partner: AbstractAsyncContextManager[Any]) -> None:
    await partner.__aexit__(None, None, None)


def published(binary: str, folder: str) -> list[JSON]:
    """The objects that a partner publishes as YAML in a folder of its sources, in the order of the files."""
    kept = Path(need(binary)).resolve().parents[1] / "manifests" / folder
    files = sorted(kept.glob("*.yaml"))
    return [each for path in files for each in yaml.safe_load_all(path.read_text()) if each]


async def install_definitions(client: ApiClient, definitions: list[JSON]) -> None:
    """Apply CustomResourceDefinitions, and wait until they are served.

    Raises:
        TimeoutError: they are not.
    """
    for each in definitions:
        await client.apply(CUSTOMRESOURCEDEFINITIONS, each, field_manager="test-install")
    for each in definitions:
        name = each["metadata"]["name"]
        await until(lambda name=name: _established(client, name), f"{name} established", START)  # type: ignore[misc]


async def _established(client: ApiClient, name: str) -> bool:
    found = await client.get(CUSTOMRESOURCEDEFINITIONS, "", name)
    conditions = (found.get("status") or {}).get("conditions") or ()
    return any((each["type"], each["status"]) == ("Established", "True") for each in conditions)


def kubeconfig_for(cluster: RealCluster, user: str) -> Path:
    """A kubeconfig of somebody who may do everything."""
    plane = cluster.plane
    return plane.keys.write_kubeconfig(user, plane.url, user, (MASTERS,))


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@asynccontextmanager
async def process(command: list[str], folder: Path, ready: Callable[[], Any]) -> AsyncIterator[Process]:
    """Run a command until the context is left; entered when ``await ready()`` is true.

    Raises:
        ConfigurationError: it ends, or is not ready in time; with the end of its log.
    """
    async with running(Path(command[0]), command[1:], folder) as begun:
        ended = asyncio.ensure_future(begun.ended())
        try:
            async with asyncio.timeout(START):
                while not await ready():
                    if ended.done():
                        raise ended.result()
                    await asyncio.sleep(BETWEEN)
        except TimeoutError:
            raise begun.unready(START) from None
        finally:
            ended.cancel()
        yield begun


async def listening(port: int) -> bool:
    """Whether somebody accepts connections at a port of loopback."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def until(holds: Callable[[], Any], what: str, seconds: float = 90.0) -> None:
    """Ask a server again until ``await holds()`` is true.

    Raises:
        TimeoutError: it does not become true.
    """
    try:
        async with asyncio.timeout(seconds):
            while not await holds():  # noqa: ASYNC110 -- another process: there is nothing to wait on
                await asyncio.sleep(BETWEEN)
    except TimeoutError:
        raise TimeoutError(f"{what} did not come within {seconds:.0f} s") from None


def resource_of(manifest: JSON) -> Resource:
    """The resource that a CustomResourceDefinition defines, in its storage version."""
    spec = manifest["spec"]
    version = next(each["name"] for each in spec["versions"] if each["storage"])
    return Resource(
        spec["group"], version, spec["names"]["plural"], spec["names"]["kind"], spec["scope"] == "Namespaced"
    )
