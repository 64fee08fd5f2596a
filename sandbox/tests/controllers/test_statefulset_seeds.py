"""StatefulSets over a hundred seeds each: what must hold at every moment, and what must come of it."""

from __future__ import annotations

import pytest
from sandbox.tests.controllers.stage import Stage, play

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import PODS, STATEFULSETS
from lws_sandbox.controllers.objects import is_terminating, name_of
from lws_sandbox.controllers.pods import is_ready
from tests.virtual import virtual_time

pytestmark = pytest.mark.long

SEEDS = [range(10), *(pytest.param(range(start, start + 30), marks=pytest.mark.long) for start in range(10, 100, 30))]
every_seed = pytest.mark.parametrize("seeds", SEEDS, ids=lambda seeds: f"seeds-{seeds.start}")


def _ordinal(pod: JSON) -> int:
    return int(name_of(pod).rpartition("-")[2])


def _watch_order(stage: Stage) -> None:
    """Note every pod that comes before the ones below it are ready, or goes before the ones above it are gone."""

    def seen(old: JSON | None, new: JSON | None) -> None:
        pods = stage.pods()
        if old is None and new is not None:
            below = range(_ordinal(new))
            missing = [ordinal for ordinal in below if ordinal not in pods or not is_ready(pods[ordinal])]
            if missing:
                stage.faults.append(f"{name_of(new)} came before {missing} were ready")
        if old is not None and new is not None and is_terminating(new) and not is_terminating(old):
            above = [ordinal for ordinal in pods if ordinal > _ordinal(new)]
            if above:
                stage.faults.append(f"{name_of(new)} goes while {above} are there")

    stage.seen.append(seen)


async def _scale_in_order(stage: Stage) -> None:
    _watch_order(stage)
    replicas = stage.random.randint(1, 3)
    await stage.create(replicas=replicas)
    for _ in range(2):
        await stage.until(lambda: stage.ready(replicas), f"{replicas} ready pods")  # noqa: B023 -- awaited at once
        replicas = stage.random.randint(0, 4)
        await stage.change(replicas=replicas)
    await stage.until(lambda: stage.ready(replicas), f"{replicas} ready pods")


@every_seed
@virtual_time
async def test_ordered_sets_scale_one_by_one(seeds: range) -> None:
    """No pod comes before all below it are ready, none goes before all above it are gone, and all wanted ones come."""
    await play(_scale_in_order, seeds)


async def _scale_in_parallel(stage: Stage) -> None:
    allowed = replicas = stage.random.randint(1, 3)

    def seen(old: JSON | None, new: JSON | None) -> None:
        if old is None and new is not None and _ordinal(new) >= allowed:
            stage.faults.append(f"{name_of(new)} was never asked for")

    stage.seen.append(seen)
    await stage.create(replicas=replicas, podManagementPolicy="Parallel")
    for _ in range(3):
        await stage.pause(3.0)
        replicas = stage.random.randint(0, 4)
        allowed = max(allowed, replicas)
        await stage.change(replicas=replicas)
    await stage.until(lambda: stage.ready(replicas), f"{replicas} ready pods")


@every_seed
@virtual_time
async def test_parallel_sets_follow_hasty_changes(seeds: range) -> None:
    """However fast the scale changes, the last one wins, and no pod comes that was never asked for."""
    await play(_scale_in_parallel, seeds)


def _watch_budget(stage: Stage, budget: int) -> None:
    """Note every moment at which more pods are away than the update may take."""

    def seen(_old: JSON | None, _new: JSON | None) -> None:
        live = stage.set()
        if live is None:
            return
        there = sum(is_ready(pod) and not is_terminating(pod) for pod in stage.pods().values())
        if there < live["spec"]["replicas"] - budget:
            stage.faults.append(f"only {there} of {live['spec']['replicas']} are there")

    stage.seen.append(seen)


async def _canary(stage: Stage) -> None:
    replicas = stage.random.randint(2, 3)
    policy = stage.random.choice(["Parallel", "OrderedReady"])
    partition = stage.random.randint(0, replicas)
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": partition}}
    await stage.create(replicas=replicas, podManagementPolicy=policy, updateStrategy=strategy)
    await stage.until(lambda: stage.ready(replicas), "the first pods")
    before = stage.uids()
    _watch_budget(stage, 1)
    await stage.change_template("app:2")
    halfway = {ordinal: "app:2" if ordinal >= partition else "app:1" for ordinal in range(replicas)}
    await stage.until(lambda: stage.images() == halfway and stage.ready(replicas), "the canary")
    await stage.pause(5.0)
    assert {ordinal: uid for ordinal, uid in stage.uids().items() if ordinal < partition} == {
        ordinal: uid for ordinal, uid in before.items() if ordinal < partition
    }
    if partition:
        victim = stage.random.randrange(partition)
        await stage.client.delete(PODS, stage.namespace, f"a-{victim}")
        await stage.until(lambda: stage.uids().get(victim) not in (None, before[victim]), "its successor")
        assert stage.images()[victim] == "app:1"
        await stage.until(lambda: stage.ready(replicas), "its readiness")
    await stage.change(updateStrategy={"rollingUpdate": {"partition": 0}})
    everywhere = dict.fromkeys(range(replicas), "app:2")
    await stage.until(lambda: stage.images() == everywhere and stage.ready(replicas), "the whole update")
    await stage.until(lambda: _complete(stage), "the end of the update")


def _complete(stage: Stage) -> bool:
    status = (stage.set() or {})["status"]
    return bool(status["currentRevision"] == status["updateRevision"])


@every_seed
@virtual_time
async def test_canaries_stay_above_their_partition(seeds: range) -> None:
    """Below the partition nothing moves, and what is deleted there comes back as it was; above it one at a time."""
    await play(_canary, seeds)


async def _stuck(stage: Stage) -> None:
    replicas = stage.random.randint(2, 3)
    policy = stage.random.choice(["Parallel", "OrderedReady"])
    await stage.create(replicas=replicas, podManagementPolicy=policy)
    await stage.until(lambda: stage.ready(replicas), "the first pods")
    before = stage.uids()
    top = replicas - 1
    await stage.change_template("app:bad", readinessGates=[{"conditionType": "example.com/never"}])
    await stage.until(lambda: stage.images().get(top) == "app:bad", "the first bad pod")
    await stage.pause(60.0)
    assert {ordinal: uid for ordinal, uid in stage.uids().items() if ordinal < top} == {
        ordinal: uid for ordinal, uid in before.items() if ordinal < top
    }
    await stage.change_template("app:3", readinessGates=None)
    if policy == "OrderedReady":
        await stage.pause(60.0)
        assert stage.images()[top] == "app:bad", "a broken pod of an ordered set waits for a hand"
        await stage.client.delete(PODS, stage.namespace, f"a-{top}")
    everywhere = dict.fromkeys(range(replicas), "app:3")
    await stage.until(lambda: stage.images() == everywhere and stage.ready(replicas), "the good update")


@every_seed
@virtual_time
async def test_stuck_rollouts_take_one_pod_only(seeds: range) -> None:
    """An update whose first pod never gets ready takes no other; in an ordered set that pod then waits for a hand."""
    await play(_stuck, seeds)


async def _deleted_meanwhile(stage: Stage) -> None:
    replicas = stage.random.randint(2, 4)
    await stage.create(replicas=replicas, podManagementPolicy=stage.random.choice(["Parallel", "OrderedReady"]))
    await stage.until(lambda: stage.ready(replicas), "the first pods")
    await stage.change_template("app:2")
    for _ in range(stage.random.randint(1, 2)):
        await stage.pause(6.0)
        there = sorted(stage.pods())
        if there:
            victim = stage.random.choice(there)
            grace = stage.random.choice([None, 0])
            await stage.client.delete(PODS, stage.namespace, f"a-{victim}", grace_period_seconds=grace)
    everywhere = dict.fromkeys(range(replicas), "app:2")
    await stage.until(lambda: stage.images() == everywhere and stage.ready(replicas), "the whole update")
    await stage.until(lambda: _complete(stage), "the end of the update")


@every_seed
@virtual_time
async def test_updates_survive_deletions(seeds: range) -> None:
    """Whichever pods are deleted while an update is under way, gently or at once, it comes to its end."""
    await play(_deleted_meanwhile, seeds)


async def _retention(stage: Stage) -> None:
    scaled, deleted = (stage.random.choice(["Retain", "Delete"]) for _ in range(2))
    many, few = stage.random.randint(2, 3), 1
    size = {"requests": {"storage": "1Gi"}}
    template = {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": size}}
    await stage.create(
        replicas=many,
        podManagementPolicy=stage.random.choice(["Parallel", "OrderedReady"]),
        volumeClaimTemplates=[template],
        persistentVolumeClaimRetentionPolicy={"whenScaled": scaled, "whenDeleted": deleted},
    )
    every = {f"data-a-{ordinal}" for ordinal in range(many)}
    await stage.until(lambda: stage.ready(many) and stage.claims() == every, "pods and claims")
    await stage.change(replicas=few)
    kept = every if scaled == "Retain" else {"data-a-0"}
    await stage.until(lambda: stage.ready(few) and stage.claims() == kept, "what scaling leaves")
    await stage.change(replicas=many)
    await stage.until(lambda: stage.ready(many) and stage.claims() == every, "pods and claims again")
    await stage.client.delete(STATEFULSETS, stage.namespace, "a", propagation="Background")
    left = every if deleted == "Retain" else set()
    await stage.until(lambda: not stage.pods() and stage.claims() == left, "what deletion leaves")


@every_seed
@virtual_time
async def test_claims_follow_the_retention_policy(seeds: range) -> None:
    """Claims of surplus pods and of deleted sets stay or go as the policy says, and are found again."""
    await play(_retention, seeds)
