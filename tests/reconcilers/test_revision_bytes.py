"""Revisions that a Go controller wrote: servers compare their data byte for byte (CD-12)."""

from __future__ import annotations

import json

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery import gotext
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import CONTROLLERREVISIONS, PODS
from lws.client.transport import Request
from tests.simulation.cluster import NAMESPACE, Cluster, manifest
from tests.virtual import virtual_time

COMMAND = ["sh", "-c", "a && b <c >d"]


def _template(command: list[str]) -> JSON:
    containers = [{"name": "worker", "image": "registry.example/worker:1", "command": command}]
    return {"spec": {"leaderWorkerTemplate": {"workerTemplate": {"spec": {"containers": containers}}}}}


@virtual_time
async def test_a_revision_of_the_reference_is_raised() -> None:
    """An update called off returns to the revision of before, which gets the highest number, whoever wrote it."""
    async with Cluster() as cluster:
        sample = manifest(replicas=1, size=1)
        sample["spec"]["leaderWorkerTemplate"].update(_template(COMMAND)["spec"]["leaderWorkerTemplate"])
        await cluster.client.create(LEADERWORKERSETS, sample)
        running = await cluster.start()
        await cluster.available("sample")
        await cluster.quiet()
        await running.stop()
        await _rewrite(cluster)
        await cluster.start()
        await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, "sample", _template(["other"]))
        await cluster.until(lambda: _numbered(cluster, 2), every=0.01)
        await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, "sample", _template(COMMAND))
        await cluster.until(lambda: _numbered(cluster, 3), every=0.01)
        assert [each for each in cluster.writes if each.status == 422] == []


@virtual_time
async def test_a_revision_that_cannot_be_written_back_is_made_anew() -> None:
    """Content that a server sees as changed in every writing of ours gets a new revision, and the update goes on."""
    async with Cluster() as cluster:
        sample = manifest(replicas=1, size=1)
        sample["spec"]["leaderWorkerTemplate"].update(_template(["old"])["spec"]["leaderWorkerTemplate"])
        await cluster.client.create(LEADERWORKERSETS, sample)
        running = await cluster.start()
        await cluster.available("sample")
        await cluster.quiet()
        await running.stop()
        await _rewrite(cluster, spelt=True)
        await cluster.start()
        await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, "sample", _template(["other"]))
        await cluster.until(lambda: _numbered(cluster, 2), every=0.01)
        await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, "sample", _template(["old"]))
        await cluster.until(lambda: _numbered(cluster, 3), seconds=30, every=0.01)
        await cluster.available("sample")
        await cluster.quiet()
        assert len([each for each in cluster.writes if each.status == 422]) == 1
        assert {each["metadata"]["labels"][labels.REVISION] for each in await _own(cluster)} == {
            each["metadata"]["labels"][labels.REVISION] for each in await cluster.all(PODS)
        }


async def _rewrite(cluster: Cluster, *, spelt: bool = False) -> None:
    """Store the only revision again, as Go writes it; or ``spelt`` as nobody does, keys in another order."""
    (revision,) = await _own(cluster)
    meta = revision["metadata"]
    await cluster.client.delete(CONTROLLERREVISIONS, NAMESPACE, meta["name"])
    kept = {name: meta[name] for name in ("name", "labels", "ownerReferences")}
    body = gotext.encode({**revision, "metadata": kept})
    if spelt:
        sections = dict(reversed(revision["data"]["spec"].items()))
        body = json.dumps({**revision, "metadata": kept, "data": {"spec": sections}}).encode()
    path = f"/apis/apps/v1/namespaces/{NAMESPACE}/controllerrevisions"
    answer = await cluster.sandbox.transport().send(
        Request("POST", path, headers={"content-type": "application/json"}, body=body)
    )
    assert answer.status == 201
    assert spelt or b"\\u0026\\u0026 b \\u003c" in body


async def _numbered(cluster: Cluster, number: int) -> bool:
    return any(each["revision"] == number for each in await _own(cluster))


async def _own(cluster: Cluster) -> list[JSON]:
    listed = await cluster.all(CONTROLLERREVISIONS, labels.NAME)
    return [each for each in listed if each["metadata"]["ownerReferences"][0]["kind"] == LEADERWORKERSETS.kind]
