"""The example of the page on Volcano."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import yaml

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.resources import LEADERWORKERSETS, PODGROUPS
from lws.apimachinery.resources import NODES, PODS
from lws_sandbox.partners import PRIORITYCLASSES
from tests.simulation.cluster import NAMESPACE, Cluster
from tests.virtual import virtual_time

EXAMPLE: Final = Path(__file__).parents[2] / "examples/18-volcano.yaml"


@virtual_time
async def test_g8_the_example_of_the_page_starts_all_or_nothing() -> None:
    """With room for one group and a pod, one is whole and of the other nothing runs; PodGroups have the set's words."""
    priority, example = yaml.safe_load_all(EXAMPLE.read_text(encoding="utf-8"))
    async with Cluster(gang=True) as cluster:
        gpus = {each: {"nvidia.com/gpu": "2"} for each in ("capacity", "allocatable")}
        names = [each["metadata"]["name"] for each in (await cluster.client.list(NODES))["items"]][:4]
        for name in names:
            await cluster.client.patch(NODES, "", name, {"status": gpus}, subresource="status")
        await cluster.start()
        await cluster.client.create(PRIORITYCLASSES, priority)
        example["metadata"]["namespace"] = NAMESPACE
        await cluster.client.create(LEADERWORKERSETS, example)

        async def placed() -> list[int]:
            pods = await cluster.all(PODS, f"{labels.NAME}=ganged")
            nodes = [each["metadata"]["labels"][labels.GROUP_INDEX] for each in pods if each["spec"].get("nodeName")]
            return [nodes.count(index) for index in ("0", "1")]

        async def one_stands() -> bool:
            return sorted(await placed()) == [0, 3]

        await cluster.until(one_stands, seconds=60)
        for group in await cluster.all(PODGROUPS):
            asked = (group["spec"]["queue"], group["spec"]["priorityClassName"], group["spec"]["minResources"])
            assert asked == ("default", "inference", {"nvidia.com/gpu": "6"})
        more = {each: {"nvidia.com/gpu": "8"} for each in ("capacity", "allocatable")}
        await cluster.client.patch(NODES, "", names[3], {"status": more}, subresource="status")
        await cluster.available("ganged")
        assert await placed() == [3, 3]
