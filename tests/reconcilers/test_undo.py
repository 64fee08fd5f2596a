"""What becomes of a rollout that has stalled: held, undone or let go on, by index and by key (resilience 5, 1.6)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.policykeys import PREFIX
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import (
    CONFIGMAPS,
    CONTROLLERREVISIONS,
    NODES,
    PODS,
    VALIDATINGWEBHOOKCONFIGURATIONS,
)
from lws.client.transport import Transport
from tests.reconcilers.test_steering import annotate, condition, edit, holding, policies, told
from tests.simulation.chaos import CrashPoint
from tests.simulation.cluster import NAMESPACE, Cluster, manifest
from tests.simulation.hashed import HASH_LOOPS, going
from tests.virtual import virtual_time

NOWHERE = {"nodeSelector": {"no": "such"}}  # so that groups of a template with it never come up
IDENTITIES = pytest.mark.parametrize("identity", ["Ordinal", "Hash"])
SHORT = pytest.mark.parametrize("identity", ["Ordinal", pytest.param("Hash", marks=pytest.mark.long)])
UNDONE = f"{PREFIX}undone"
WRITES = ("leaderworkersets/status", "controllerrevisions", "leaderworkersets")  # of an undoing, in their order


@asynccontextmanager
async def set_up(identity: str = "Ordinal", *, owner: JSON | None = None, **chosen: str) -> AsyncIterator[Cluster]:
    """A cluster with a set of eight groups that has a deadline of ten minutes."""
    async with Cluster(loops=HASH_LOOPS) as cluster:
        await cluster.start()
        meta = policies(progress_deadline="10m", **chosen)
        if owner is not None:
            service = await cluster.client.create(CONFIGMAPS, {"metadata": {"name": "service", "namespace": NAMESPACE}})
            meta["ownerReferences"] = [{**owner, "uid": service["metadata"]["uid"]}]
        rolling = {"maxUnavailable": 1, "maxSurge": 1}
        body = manifest(replicas=8, size=2, rolling=rolling, metadata=meta, groupIdentity=identity)
        await cluster.client.create(LEADERWORKERSETS, body)
        await cluster.available("sample")
        await cluster.quiet(3)
        yield cluster


async def break_it(cluster: Cluster, image: str = "app:2") -> None:
    """Give the set a template whose groups never come up."""
    template = {"spec": {"containers": [{"name": "main", "image": image}], **NOWHERE}}
    change = {"spec": {"leaderWorkerTemplate": {"workerTemplate": template}}}
    await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, "sample", change)


async def stalled(cluster: Cluster, state: str = "True") -> None:
    """Wait until the set is Stalled, or is not any more."""
    await cluster.until(holding(cluster, "Stalled", state), seconds=1200, every=2)


async def message(cluster: Cluster) -> str:
    """What the condition Stalled says."""
    found = await cluster.client.get(LEADERWORKERSETS, NAMESPACE, "sample")
    return next(str(each["message"]) for each in found["status"]["conditions"] if each["type"] == "Stalled")


async def leaders(cluster: Cluster) -> dict[str, str]:
    """The image of each leader that lives, by its UID."""
    pods = [each for each in await cluster.all(PODS, f"{labels.WORKER_INDEX}=0") if not going(each)]
    return {each["metadata"]["uid"]: each["spec"]["containers"][0]["image"] for each in pods}


async def marks(cluster: Cluster) -> list[str]:
    """The marks of the set's own revisions."""
    found = await cluster.all(CONTROLLERREVISIONS, f"{labels.NAME}=sample,!controller.kubernetes.io/hash")
    return [value for each in found if (value := (each["metadata"].get("annotations") or {}).get(UNDONE)) is not None]


@pytest.mark.long
@IDENTITIES
@virtual_time
async def test_r13_hold_keeps_what_is_ready_until_an_edit(identity: str) -> None:
    """R13: with U 1, S 1 two groups at most are broken; the stalled rollout replaces nothing; an edit ends it."""
    async with set_up(identity) as cluster:
        before = await leaders(cluster)
        await break_it(cluster)
        await stalled(cluster)
        held = await leaders(cluster)
        assert 1 <= len(before.keys() - held.keys()) <= 1
        assert list(held.values()).count("app:2") <= 2
        await asyncio.sleep(900)
        assert await leaders(cluster) == held
        (note,) = await cluster.events("RolloutStalled")
        assert " and 5 more did not: " in note
        assert note.endswith("it is held until there is progress, or an edit")
        await edit(cluster, "app:3")
        await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, "sample", {"spec": somewhere()})
        await cluster.available("sample")
        assert set((await leaders(cluster)).values()) == {"app:3"}
        assert await condition(cluster, "Stalled") == ("False", "RolloutProgressing")


def somewhere() -> JSON:
    """The change of a spec by which its groups find a node again."""
    return {"leaderWorkerTemplate": {"workerTemplate": {"spec": {"nodeSelector": None}}}}


@pytest.mark.long
@virtual_time
async def test_r13_by_key_the_hold_ends_with_progress() -> None:
    """R13 by key: a broken group that comes up after all lets the rollout go on to its end, without an edit."""
    async with set_up("Hash") as cluster:
        await break_it(cluster)
        await stalled(cluster)
        await cluster.client.patch(NODES, "", "node-0", {"metadata": {"labels": {"no": "such"}}})
        await cluster.available("sample", seconds=1200)
        assert set((await leaders(cluster)).values()) == {"app:2"}


@pytest.mark.long
@IDENTITIES
@virtual_time
async def test_r13_ignore_only_tells(identity: str) -> None:
    """R13: with Ignore the condition and the event come, and the rollout goes on by its own rules."""
    async with set_up(identity, on_stall="Ignore") as cluster:
        await break_it(cluster)
        await stalled(cluster)
        (note,) = await cluster.events("RolloutStalled")
        assert note.endswith("it goes on")


@SHORT
@virtual_time
async def test_r31_who_writes_the_bad_template_again_is_held(identity: str) -> None:
    """R13, R31: only broken groups restart for the undoing; written again, the bad template is held, not undone."""
    async with set_up(identity, on_stall="Undo", revision_history_limit="3") as cluster:
        before = await leaders(cluster)
        await break_it(cluster)
        await cluster.until(lambda: told(cluster, "RolledBack"), seconds=1200, every=2)
        await cluster.available("sample")
        await cluster.quiet(3)
        after = await leaders(cluster)
        assert set(after.values()) == {"app:1"}
        assert len(before.keys() - after.keys()) == 1
        await break_it(cluster)
        await asyncio.sleep(1500)
        assert await condition(cluster, "Stalled") == ("True", "ProgressDeadlineExceeded")
        assert (await message(cluster)).endswith("not undone, for it was undone once, and written again")
        assert len(await cluster.events("RolledBack")) == 1


@pytest.mark.long
@virtual_time
async def test_r31_a_set_that_somebody_owns_is_held() -> None:
    """R31: with a controller owner nothing is undone, for that would write the edit again; the condition says so."""
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "service", "controller": True}
    async with set_up(owner=owner, on_stall="Undo", revision_history_limit="3") as cluster:
        await break_it(cluster)
        await stalled(cluster)
        await asyncio.sleep(900)
        assert (await message(cluster)).endswith("not undone, for ConfigMap service would write the edit again")
        assert (await cluster.events("RolledBack"), await marks(cluster)) == ([], [])


async def refuse(cluster: Cluster, image: str) -> None:
    """Have a webhook of somebody else's refuse every LeaderWorkerSet with this image."""

    def review(_path: str, body: bytes, _content_type: str) -> tuple[int, bytes]:
        request = orjson.loads(body)["request"]
        found = orjson.dumps(request["object"]["spec"])
        allowed = f'"{image}"'.encode() not in found
        answer: JSON = {"uid": request["uid"], "allowed": allowed, "status": {"message": "the image is banned"}}
        return 200, orjson.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": answer})

    cluster.sandbox.local_webhooks.serve_url("https://images.example", review)
    rule = {"operations": ["UPDATE"], "apiGroups": ["leaderworkerset.x-k8s.io"], "apiVersions": ["v1"]}
    hook: dict[str, Any] = {
        "name": "images.example.org",
        "clientConfig": {"url": "https://images.example/x"},
        "rules": [{**rule, "resources": ["leaderworkersets"]}],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    await cluster.client.create(VALIDATINGWEBHOOKCONFIGURATIONS, {"metadata": {"name": "images"}, "webhooks": [hook]})
    await asyncio.sleep(2)


@pytest.mark.long
@virtual_time
async def test_r31_a_template_that_is_refused_is_asked_for_once() -> None:
    """R31: the old template refused by admission: the set is held, one event has the words; the rest goes on."""
    async with set_up(on_stall="Undo", revision_history_limit="3") as cluster:
        await break_it(cluster)
        await refuse(cluster, "app:1")
        await stalled(cluster)
        await asyncio.sleep(900)
        (note,) = await cluster.events("RollBackRefused")
        assert "the image is banned" in note
        assert "not undone, for the server does not admit the template of revision" in await message(cluster)
        assert await marks(cluster) == ["refused"]
        sent = [each for each in cluster.writes if (each.method, each.resource) == ("PATCH", "leaderworkersets")]
        assert len(sent) == 1
        await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, "sample", {"spec": {"replicas": 9}})
        await cluster.quiet(12)
        assert len(await leaders(cluster)) >= 9


@pytest.mark.long
@pytest.mark.parametrize("edge", ["before", "after", "lost"])
@virtual_time
async def test_r31_a_controller_that_ends_at_a_write_undoes_once(edge: str) -> None:
    """R31: whichever of the two writes of an undoing the controller ends at, there is one undoing, and no second."""
    for write in (1, 2):
        async with set_up(on_stall="Undo", revision_history_limit="3") as cluster:
            await break_it(cluster)
            await stalled_by(cluster, write, edge)
            await cluster.available("sample", seconds=1200)
            await cluster.quiet(3)
            assert set((await leaders(cluster)).values()) == {"app:1"}
            assert len(await marks(cluster)) == 1
            await break_it(cluster)
            await asyncio.sleep(1500)
            assert (await message(cluster)).endswith("not undone, for it was undone once, and written again")


async def stalled_by(cluster: Cluster, write: int, edge: str) -> None:
    """Have the controller end at this write of the undoing, and another one go on."""
    points: list[CrashPoint] = []
    dead = asyncio.Event()

    def wrap(transport: Transport) -> Transport:
        # The writes of the rollout were made before; the status that tells of the stall comes first.
        points.append(CrashPoint(transport, write + 1, edge, dead.set))
        return points[0]

    await asyncio.sleep(300)
    await cluster.operators[0].stop()
    running = await cluster.start(wrap)
    await cluster.until(lambda: reached(points[0]), seconds=900, every=1)
    if edge != "lost":
        written = [each.resource for each in cluster.writes if each.resource != "events"]
        assert written[-1] == WRITES[write - (edge == "before")]
        await running.crash()
        await asyncio.sleep(3)
        await cluster.start()


async def reached(point: CrashPoint) -> bool:
    """Whether the write was begun."""
    return point.reached


@virtual_time
async def test_undo_without_history_is_said_to_be_impossible() -> None:
    """Without earlier revisions Undo is Hold, and the condition says why."""
    async with set_up(on_stall="Undo", revision_history_limit="0") as cluster:
        await break_it(cluster)
        await stalled(cluster)
        assert (await message(cluster)).endswith("not undone, for no earlier revision is kept")


@pytest.mark.long
@IDENTITIES
@virtual_time
async def test_r32_groups_that_somebody_gates_do_not_count(identity: str) -> None:
    """R32: while the next groups are held by a scheduling gate for two hours the rollout is not stalled."""
    async with set_up(identity) as cluster:
        template = {
            "spec": {"containers": [{"name": "main", "image": "app:2"}], "schedulingGates": [{"name": "e.g/g"}]}
        }
        change = {"spec": {"leaderWorkerTemplate": {"workerTemplate": template}}}
        await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, "sample", change)
        await asyncio.sleep(7200)
        assert await condition(cluster, "Stalled") is None


@pytest.mark.long
@IDENTITIES
@virtual_time
async def test_r32_a_restart_does_not_begin_the_deadline_anew(identity: str) -> None:
    """R32: a controller that starts after nine minutes finds the rollout stalled at ten, by index and by key."""
    async with set_up(identity) as cluster:
        await break_it(cluster)
        await asyncio.sleep(540)
        await cluster.operators[0].crash()
        await cluster.start()
        assert await condition(cluster, "Stalled") is None
        await cluster.until(holding(cluster, "Stalled", "True"), seconds=90, every=1)
        assert len(await cluster.events("RolloutStalled")) == 1


@pytest.mark.long
@IDENTITIES
@virtual_time
async def test_r32_a_pause_does_not_count(identity: str) -> None:
    """R32: a rollout that was paused for two hours is not stalled, and ends once it is resumed."""
    async with set_up(identity, rollout="paused") as cluster:
        await edit(cluster, "app:2")
        await asyncio.sleep(7200)
        await annotate(cluster, rollout=None)
        await cluster.available("sample")
        assert await condition(cluster, "Stalled") is None
