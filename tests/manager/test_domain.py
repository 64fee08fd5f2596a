"""The domain's own metrics: groups, rollouts, recreations, blocked sets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import Pod, PodStatus, StatefulSet, StatefulSetSpec, StatefulSetStatus
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.actions import Plan
from lws.apimachinery.objects import Condition, ObjectMeta, OwnerReference
from lws.manager.metrics import Metrics
from lws.reconcilers.leaderworkerset.metrics import DomainMetrics
from lws.reconcilers.leaderworkerset.observe import Caches
from lws_sandbox.virtual_time import VirtualClock
from tests.virtual import virtual_time

SET = ("default", "vllm")
START = "2026-01-01T00:00:00Z"


class Informer:
    """A cache that a test fills."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], Any] = {}
        self.handlers: list[Callable[[Any, Any, bool], None]] = []
        self.store = self

    def get(self, namespace: str, name: str) -> Any:
        """One object."""
        return self.objects.get((namespace, name))

    def on_change(self, handler: Callable[[Any, Any, bool], None]) -> None:
        """Have it told."""
        self.handlers.append(handler)

    def put(self, obj: Any, *, initial: bool = False) -> None:
        """Add or change an object."""
        old = self.objects.get(obj.metadata.key)
        self.objects[obj.metadata.key] = obj
        for handler in self.handlers:
            handler(old, obj, initial)

    def remove(self, obj: Any) -> None:
        """Delete an object."""
        old = self.objects.pop(obj.metadata.key)
        for handler in self.handlers:
            handler(old, None, False)


class Bench:
    """Domain metrics over caches that a test fills."""

    def __init__(self) -> None:
        self.sets, self.pods, self.statefulsets = Informer(), Informer(), Informer()
        self.metrics = Metrics()
        self.domain = DomainMetrics(self.metrics, VirtualClock())
        caches = SimpleNamespace(sets=self.sets, pods=self.pods, statefulsets=self.statefulsets)
        self.domain.watch(cast("Caches", caches))

    def value(self, name: str, /, **labels_: str) -> float | None:
        """A metric's value."""
        return self.metrics.registry.get_sample_value(name, labels_)

    def of_set(self, name: str) -> float | None:
        """A metric's value for the set."""
        return self.value(name, namespace="default", name="vllm")

    def became_ready(self) -> list[float]:
        """How many groups became ready, and how many seconds that took in all."""
        return [self.value(f"lws_group_ready_seconds_{part}") or 0.0 for part in ("count", "sum")]


def leader(*, ready: bool, uid: str = "u0", size: str = "3") -> Pod:
    """The leader pod of group 0."""
    return Pod(
        metadata=ObjectMeta(
            name="vllm-0",
            namespace="default",
            uid=uid,
            creation_timestamp=START,
            labels={labels.WORKER_INDEX: "0", labels.NAME: "vllm"},
            annotations={labels.SIZE: size},
        ),
        status=PodStatus(conditions=(Condition(type="Ready", status="True" if ready else "False"),)),
    )


def workers(ready: int, *, owner: str = "u0") -> StatefulSet:
    """The worker StatefulSet of group 0."""
    return StatefulSet(
        metadata=ObjectMeta(
            name="vllm-0",
            namespace="default",
            labels={labels.GROUP_INDEX: "0"},
            owner_references=(OwnerReference(kind="Pod", name="vllm-0", uid=owner, controller=True),),
        ),
        spec=StatefulSetSpec(replicas=2),
        status=StatefulSetStatus(ready_replicas=ready),
    )


@virtual_time
async def test_a_group_is_ready_when_leader_and_workers_are() -> None:
    """The time to ready runs from the leader's creation until leader and all workers are ready, counted once."""
    bench = Bench()
    bench.pods.put(leader(ready=False))
    await asyncio.sleep(10)
    bench.pods.put(leader(ready=True))
    bench.statefulsets.put(workers(1))
    assert bench.became_ready() == [0, 0]
    await asyncio.sleep(15)
    bench.statefulsets.put(workers(2))
    assert bench.became_ready() == pytest.approx([1, 25])
    bench.statefulsets.put(workers(1))
    bench.statefulsets.put(workers(2))
    assert bench.became_ready() == pytest.approx([1, 25])


@virtual_time
async def test_a_group_of_one_is_ready_with_its_leader() -> None:
    """A group without workers is ready as soon as its leader is."""
    bench = Bench()
    bench.pods.put(leader(ready=False, size="1"))
    await asyncio.sleep(4)
    bench.pods.put(leader(ready=True, size="1"))
    assert bench.became_ready() == pytest.approx([1, 4])


@virtual_time
async def test_what_was_there_before_does_not_count() -> None:
    """Groups of the initial list are not counted as new, whatever they become."""
    bench = Bench()
    bench.pods.put(leader(ready=False), initial=True)
    bench.pods.put(leader(ready=True))
    bench.statefulsets.put(workers(2))
    assert bench.became_ready() == [0, 0]


@virtual_time
async def test_workers_of_an_earlier_leader_do_not_count() -> None:
    """Ready workers that belong to the leader's predecessor do not make the new group ready."""
    bench = Bench()
    bench.statefulsets.put(workers(2, owner="earlier"))
    bench.pods.put(leader(ready=True))
    assert bench.became_ready() == [0, 0]


@virtual_time
async def test_a_group_that_goes_leaves_nothing_behind() -> None:
    """A leader that is deleted before it was ready is forgotten."""
    bench = Bench()
    bench.pods.put(leader(ready=False))
    bench.pods.remove(leader(ready=False))
    assert bench.domain._pending == {}


def updating(status: str) -> LeaderWorkerSet:
    """A set with this state of its update, since the start."""
    condition = {"type": "UpdateInProgress", "status": status, "lastTransitionTime": START}
    return LeaderWorkerSet.from_json(
        {"metadata": {"name": "vllm", "namespace": "default"}, "spec": {}, "status": {"conditions": [condition]}}
    )


@virtual_time
async def test_a_rollout_lasts_from_its_condition_to_its_end() -> None:
    """The duration of a rolling update is how long UpdateInProgress was True."""
    bench = Bench()
    bench.sets.put(updating("True"))
    await asyncio.sleep(120)
    assert bench.value("lws_rollout_duration_seconds_count") == 0
    bench.sets.put(updating("False"))
    assert bench.value("lws_rollout_duration_seconds_count") == 1
    assert bench.value("lws_rollout_duration_seconds_sum") == pytest.approx(120)


@virtual_time
async def test_facts_of_a_plan_are_gauges_until_the_set_is_gone() -> None:
    """Desired, ready and updated groups and blocked sets are exported, and vanish with their set."""
    bench = Bench()
    bench.domain.planned(SET, Plan(facts={"desired": 4, "ready": 3, "updated": 1, "blocked": 0}))
    assert [bench.of_set(f"lws_groups_{fact}") for fact in ("desired", "ready", "updated")] == [4, 3, 1]
    assert bench.of_set("lws_rollout_progress_ratio") == 0.25
    assert bench.of_set("lws_blocked") == 0
    bench.domain.planned(SET, Plan(facts={"blocked": 1}))
    assert bench.of_set("lws_blocked") == 1
    assert bench.of_set("lws_groups_ready") == 3
    bench.domain.gone(SET)
    assert bench.of_set("lws_groups_ready") is None


@virtual_time
async def test_recreated_groups_are_counted_by_reason() -> None:
    """Each recreated group is counted for its set and reason, until the set is gone."""
    bench = Bench()
    bench.sets.put(LeaderWorkerSet.from_json({"metadata": {"namespace": "default", "name": "vllm"}}))
    for _ in range(2):
        bench.domain.recreated(SET, "vllm-0", "failure")
    of_set = {"namespace": "default", "name": "vllm", "reason": "failure"}
    assert bench.value("lws_group_recreations_total", **of_set) == 2
    bench.domain.gone(SET)
    assert bench.value("lws_group_recreations_total", **of_set) is None


@virtual_time
async def test_a_recreation_that_outlives_its_set_leaves_no_series() -> None:
    """The answer to a deletion may come after the end of the set, which then would never take its series along."""
    bench = Bench()
    bench.domain.gone(SET)
    bench.domain.recreated(SET, "vllm-0", "failure")
    assert bench.value("lws_group_recreations_total", namespace="default", name="vllm", reason="failure") is None
