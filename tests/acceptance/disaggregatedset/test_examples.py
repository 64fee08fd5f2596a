"""The examples of DisaggregatedSets come up where the quickstart runs them, and each shows what it says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest
import yaml

from lws.api.disaggregatedset import labels
from lws.api.disaggregatedset.resources import DISAGGREGATEDSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import NODES, PODS
from lws.client.api import ApiClient
from lws_sandbox.cluster import Sandbox
from lws_sandbox.drills import Drills
from lws_sandbox.nodes import preset
from lws_sandbox.quickstart.environment import controller, sandbox_env
from lws_sandbox.quickstart.manifests import apply
from lws_sandbox.virtual_time import VirtualClock
from tests.virtual import virtual_time

pytestmark = pytest.mark.long

EXAMPLES = sorted((Path(__file__).parents[3] / "examples").glob("1[3-7]-*.yaml"))
ZONE = "topology.kubernetes.io/zone"


@asynccontextmanager
async def running(number: str) -> AsyncIterator[tuple[Sandbox, ApiClient, JSON]]:
    """An example that is Available."""
    (path,) = [each for each in EXAMPLES if each.name.startswith(number)]
    documents = list(yaml.safe_load_all(path.read_text()))
    sandbox = Sandbox(shape=preset("small"), clock=VirtualClock(), random=Random(7))
    async with sandbox, controller(sandbox_env(sandbox)):
        client = sandbox.client()
        await apply(client, documents)
        name = documents[0]["metadata"]["name"]
        await until(lambda: available(client, name))
        yield sandbox, client, await client.get(DISAGGREGATEDSETS, "default", name)


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until a condition holds, in virtual time."""
    async with asyncio.timeout(900):
        while not await holds():  # noqa: ASYNC110 -- virtual time: a look costs nothing
            await asyncio.sleep(1)


async def available(client: ApiClient, name: str) -> bool:
    """Whether the set is Available."""
    conditions = (await client.get(DISAGGREGATEDSETS, "default", name)).get("status", {}).get("conditions", [])
    return any((each["type"], each["status"]) == ("Available", "True") for each in conditions)


def counts(ds: JSON) -> dict[str, int]:
    """Ready groups of every role."""
    return {each["name"]: each["readyReplicas"] for each in ds["status"]["roleStatuses"]}


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("13", {"prefill": 2, "decode": 3}),
        ("14", {"encode": 2, "prefill": 2, "decode": 4}),
        ("15", {"prefill": 2, "decode": 4}),
        ("16", {"prefill": 2, "decode": 4}),
    ],
)
@virtual_time
async def test_examples_come_up(number: str, expected: dict[str, int]) -> None:
    """Every role has its groups, in every slice."""
    async with running(number) as (_, _, ds):
        assert counts(ds) == expected


@virtual_time
async def test_example_16_a_zone_for_each_slice() -> None:
    """All pods of a slice are in one zone, and the slices in different ones."""
    async with running("16") as (_, client, _):
        zones = {
            node["metadata"]["name"]: node["metadata"]["labels"][ZONE] for node in (await client.list(NODES))["items"]
        }
        found: dict[str, set[str]] = {}
        for pod in (await client.list(PODS, "default"))["items"]:
            found.setdefault(pod["metadata"]["labels"][labels.SLICE], set()).add(zones[pod["spec"]["nodeName"]])
        assert [len(each) for each in found.values()] == [1, 1]
        assert found["0"] != found["1"]


@virtual_time
async def test_example_17_a_role_by_load() -> None:
    """The autoscaler finds the scaler, and the role follows it."""
    async with running("17") as (sandbox, client, ds):
        assert counts(ds) == {"prefill": 1, "decode": 1}
        await Drills(sandbox).metric_set("cpu", 150.0)

        async def scaled() -> bool:
            live = await client.get(DISAGGREGATEDSETS, "default", ds["metadata"]["name"])
            return counts(live)["decode"] >= 3

        await until(scaled)
