"""Go programs of others, as their clients are published: nothing they send is refused, nothing they read is lost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Final

import pytest

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import CUSTOMRESOURCEDEFINITIONS
from tests.real.conftest import need_binaries
from tests.real.partners.processes import kubeconfig_for
from tests.real.planes import RealPlane, real_plane
from tests.real.world import World
from tests.tools import need

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]
TYPED: Final = "create watch update apply patch status scale list delete".split()
RUNTIME: Final = [
    "create or update",
    "cache",
    "patch",
    "apply",
    "status",
    "scale",
    "fields from the future",
    "delete all",
]

# With their defaults; what a program writes back without them gets these again.
UNKNOWN: Final = [".spec.groupIdentity", ".spec.groupReplacementPolicy", ".status.observedGeneration"]


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealPlane]:
    """A control plane."""
    need("lws-client")
    with real_plane(need_binaries(), tmp_path_factory.mktemp("clients")) as running:
        yield running


async def run(plane: RealPlane, world: World) -> tuple[int, str, str]:
    """Run the program in the world's namespace; its exit code and what it says."""
    command = [
        need("lws-client"),
        f"--kubeconfig={kubeconfig_for(plane.cluster, 'go-client')}",
        f"--namespace={world.namespace}",
    ]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)
    out, error = await process.communicate()
    return process.returncode or 0, out.decode(), error.decode()


def test_published_clients_work(plane: RealPlane) -> None:
    """The typed client and controller-runtime's do all they can; what their types do not know is known to us."""

    async def scenario(world: World) -> None:
        await world.start()
        code, out, error = await run(plane, world)
        assert code == 0, error
        assert [json.loads(line)["msg"] for line in error.splitlines()] == ['unknown field "spec.fromTheFuture"']
        told: JSON = json.loads(out)
        assert told["done"] == [*(f"typed {each}" for each in TYPED), *(f"runtime {each}" for each in RUNTIME)]
        assert told["unknown"] == UNKNOWN

    plane.run(scenario)


def test_a_member_that_is_not_stored_is_noticed(plane: RealPlane) -> None:
    """The counterpart: with a definition that drops one of their members, the program fails and names it."""

    async def scenario(world: World) -> None:
        await world.start()
        name = f"{LEADERWORKERSETS.plural}.{LEADERWORKERSETS.group}"
        whole = await world.client.get(CUSTOMRESOURCEDEFINITIONS, "", name)
        broken = json.loads(json.dumps(whole))
        template = broken["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
        del template["leaderWorkerTemplate"]["properties"]["subGroupPolicy"]
        broken = await world.client.update(CUSTOMRESOURCEDEFINITIONS, broken)
        try:
            await asyncio.sleep(2)  # API servers act on a definition a moment after they store it
            code, _, error = await run(plane, world)
            assert code == 1
            assert "subGroupPolicy" in error
        finally:
            whole["metadata"]["resourceVersion"] = broken["metadata"]["resourceVersion"]
            await world.client.update(CUSTOMRESOURCEDEFINITIONS, whole)

    plane.run(scenario)
