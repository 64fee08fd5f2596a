"""Sets that somebody else's controller writes over and over, annotations and all (resilience 1.2)."""

from __future__ import annotations

import pytest

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.policykeys import PREFIX
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import CONFIGMAPS, CONTROLLERREVISIONS
from lws.manager.policies import Policies
from tests.cli.sessions import Plugin
from tests.simulation.cluster import NAMESPACE, Cluster, manifest
from tests.virtual import virtual_time


async def put(cluster: Cluster, image: str, owner: JSON) -> None:
    """Write the whole object as its owner builds it, without annotations; return when nothing moves any more."""
    live = await cluster.client.get(LEADERWORKERSETS, NAMESPACE, "sample")
    meta = {"ownerReferences": [owner], "resourceVersion": live["metadata"]["resourceVersion"]}
    await cluster.client.update(LEADERWORKERSETS, manifest(replicas=1, size=1, image=image, metadata=meta))
    await cluster.available("sample")
    await cluster.quiet(3)


async def stored(cluster: Cluster) -> int:
    """How many revisions there are."""
    return len(await cluster.all(CONTROLLERREVISIONS, f"{labels.NAME}=sample,!controller.kubernetes.io/hash"))


@pytest.mark.long
@virtual_time
async def test_r42_a_rule_outlives_an_owner_that_drops_annotations_and_a_pause_warns() -> None:
    """R42: the annotation counts until the owner's PUT, then the rule; `rollout pause` says that it will not last."""
    async with Cluster() as cluster:
        rules = {"rules": [{"namespaces": [NAMESPACE], "revisionHistoryLimit": 1}]}
        cluster.settings = cluster.settings.model_copy(update={"policies": Policies.model_validate(rules)})
        await cluster.start()
        service = await cluster.client.create(CONFIGMAPS, {"metadata": {"name": "service", "namespace": NAMESPACE}})
        owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "service", "uid": service["metadata"]["uid"]}
        meta = {
            "annotations": {f"{PREFIX}revision-history-limit": "0"},
            "ownerReferences": [{**owner, "controller": True}],
        }
        await cluster.client.create(LEADERWORKERSETS, manifest(replicas=1, size=1, metadata=meta))
        await cluster.available("sample")
        change = {"spec": {"containers": [{"name": "main", "image": "app:2"}]}}
        await cluster.client.patch(
            LEADERWORKERSETS, NAMESPACE, "sample", {"spec": {"leaderWorkerTemplate": {"workerTemplate": change}}}
        )
        await cluster.quiet(3)
        assert await stored(cluster) == 1
        for image in ("app:3", "app:4"):
            await put(cluster, image, {**owner, "controller": True})
            assert await stored(cluster) == 2

        plugin = Plugin(cluster.client)
        assert await plugin.run("rollout pause sample") == "leaderworkerset/sample paused\n"
        assert [text for text in plugin.errors if text.endswith("Its next write may undo this one.")]
        await put(cluster, "app:4", {**owner, "controller": True})
        paused = (await cluster.client.get(LEADERWORKERSETS, NAMESPACE, "sample"))["status"]["conditions"]
        assert {each["status"] for each in paused if each["type"] == "Paused"} == {"False"}
