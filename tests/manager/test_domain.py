"""The domain's own metrics: groups, rollouts, recreations, blocked sets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from msgspec.structs import replace

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import Pod, PodStatus, StatefulSet, StatefulSetSpec, StatefulSetStatus
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.objects import Condition, ObjectMeta, OwnerReference
from lws.informers.store import StoreWriter
from lws.manager.metrics import Metrics
from lws.planning.leaderworkerset.culprit import Cause
from lws.reconcilers.leaderworkerset.build import Controllers
from lws.reconcilers.leaderworkerset.caches import (
    BY_GROUP,
    BY_LEADER,
    BY_SET,
    LEADERS_BY_SET,
    Caches,
    by_group,
    by_leader,
    by_set,
    leaders_by_set,
)
from lws.reconcilers.leaderworkerset.metrics import DomainMetrics
from lws.runtime.failing import Failing, FailureReason
from lws_sandbox.virtual_time import VirtualClock
from tests.virtual import virtual_time

SET = ("default", "vllm")
START = "2026-01-01T00:00:00Z"


class Informer:
    """A cache that a test fills."""

    def __init__(self, **indexes: Callable[[Any], str]) -> None:
        self._writer: StoreWriter[Any] = StoreWriter()
        for name, function in indexes.items():
            self._writer.add_index(name, function)
        self.store = self._writer.reader
        self.handlers: list[Callable[[Any, Any, bool], None]] = []
        self.synced = True
        self._version = 0

    def on_change(self, handler: Callable[[Any, Any, bool], None]) -> None:
        """Have it told."""
        self.handlers.append(handler)

    def put(self, obj: Any, *, initial: bool = False) -> None:
        """Add or change an object, under a new version."""
        self._version += 1
        metadata = replace(obj.metadata, resource_version=str(self._version))
        is_set = isinstance(obj, LeaderWorkerSet)
        new = obj.model_copy(update={"metadata": metadata}) if is_set else replace(obj, metadata=metadata)
        for change in self._writer.put(new):
            for handler in self.handlers:
                handler(change.old, change.new, initial)

    def remove(self, obj: Any) -> None:
        """Delete an object."""
        for change in self._writer.remove(*obj.metadata.key):
            for handler in self.handlers:
                handler(change.old, change.new, False)


class Bench:
    """Domain metrics over caches that a test fills."""

    def __init__(self) -> None:
        self.sets = Informer()
        self.pods = Informer(**{LEADERS_BY_SET: leaders_by_set, BY_GROUP: by_group, BY_LEADER: by_leader})
        self.statefulsets, self.revisions = Informer(**{BY_SET: by_set}), Informer(**{BY_SET: by_set})
        self.metrics = Metrics()
        caches = SimpleNamespace(
            sets=self.sets,
            pods=self.pods,
            statefulsets=self.statefulsets,
            revisions=self.revisions,
            deployments=Informer(),
        )
        self.leading = True
        self.domain = DomainMetrics(self.metrics, cast("Caches", caches), VirtualClock(), lambda: self.leading)

    def value(self, name: str, /, **labels_: str) -> float | None:
        """A metric's value."""
        return self.metrics.registry.get_sample_value(name, labels_)

    def of_set(self, name: str) -> float | None:
        """A metric's value for the set."""
        return self.value(name, namespace="default", name="vllm")

    def recreated(self, cause: str) -> float | None:
        """How often groups of the set were recreated for this cause."""
        return self.value("lws_group_recreations_total", namespace="default", name="vllm", reason=cause)

    def became_ready(self) -> list[float]:
        """How many groups became ready, and how many seconds that took in all."""
        return [self.value(f"lws_group_ready_seconds_{part}") or 0.0 for part in ("count", "sum")]


def leader(*, ready: bool, uid: str = "u0", size: str = "3", index: int = 0) -> Pod:
    """The leader pod of a group."""
    return Pod(
        metadata=ObjectMeta(
            name=f"vllm-{index}",
            namespace="default",
            uid=uid,
            creation_timestamp=START,
            labels={labels.WORKER_INDEX: "0", labels.NAME: "vllm", labels.GROUP_INDEX: str(index)},
            annotations={labels.SIZE: size},
        ),
        status=PodStatus(phase="Running", conditions=(Condition(type="Ready", status="True" if ready else "False"),)),
    )


def workers(ready: int, *, owner: str = "u0", index: int = 0) -> StatefulSet:
    """The worker StatefulSet of a group."""
    return StatefulSet(
        metadata=ObjectMeta(
            name=f"vllm-{index}",
            namespace="default",
            labels={labels.NAME: "vllm", labels.GROUP_INDEX: str(index)},
            owner_references=(OwnerReference(kind="Pod", name=f"vllm-{index}", uid=owner, controller=True),),
        ),
        spec=StatefulSetSpec(replicas=2),
        status=StatefulSetStatus(ready_replicas=ready, available_replicas=ready),
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
    bench.statefulsets.put(workers(2))
    bench.pods.put(leader(ready=True), initial=True)
    assert bench.became_ready() == [0, 0]


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


def a_set(replicas: int, *, uid: str = "s", conditions: Sequence[dict[str, str]] = (), **spec: Any) -> LeaderWorkerSet:
    """The set, of groups of three."""
    return LeaderWorkerSet.from_json(
        {
            "metadata": {"name": "vllm", "namespace": "default", "uid": uid, "creationTimestamp": START},
            "spec": {"replicas": replicas, "leaderWorkerTemplate": {"size": 3, "workerTemplate": {}}, **spec},
            "status": {"conditions": list(conditions)},
        }
    )


def up(bench: Bench) -> None:
    """Group 0, ready, and the leader StatefulSet that it belongs to."""
    bench.statefulsets.put(
        StatefulSet(metadata=ObjectMeta(name="vllm", namespace="default", labels={labels.NAME: "vllm"}))
    )
    bench.pods.put(leader(ready=True))
    bench.statefulsets.put(workers(2))


@virtual_time
async def test_figures_are_read_off_the_caches_whatever_was_planned() -> None:
    """Desired and ready groups follow the caches, though no reconcile of the set ever ended well."""
    bench = Bench()
    bench.sets.put(a_set(1))
    up(bench)
    assert [bench.of_set(f"lws_groups_{each}") for each in ("desired", "ready", "updated")] == [1, 1, 1]
    assert bench.of_set("lws_set_not_ready_since_timestamp_seconds") == 0
    bench.sets.put(a_set(3))
    assert [bench.of_set(f"lws_groups_{each}") for each in ("desired", "ready", "updated")] == [3, 1, 1]
    missing = {"namespace": "default", "name": "vllm", "reason": "Missing"}
    assert bench.value("lws_groups_not_ready", **missing) == 2
    bench.sets.remove(a_set(3))
    assert bench.of_set("lws_groups_desired") is None


@virtual_time
async def test_a_standby_exports_sets_and_counts_no_events() -> None:
    """A replica that does not lead shows its caches, and neither recreations nor durations."""
    bench = Bench()
    bench.leading = False
    bench.sets.put(a_set(1))
    up(bench)
    bench.sets.put(updating("True"))
    bench.sets.put(updating("False"))
    assert bench.of_set("lws_groups_ready") == 1
    assert bench.became_ready() == [0, 0]
    assert bench.value("lws_rollout_duration_seconds_count") == 0
    assert bench.recreated("Error") is None


@virtual_time
async def test_nothing_is_exported_of_caches_that_are_not_synced() -> None:
    """A replica whose caches are being filled shows no set, rather than one without groups."""
    bench = Bench()
    bench.pods.synced = False
    bench.sets.put(a_set(1))
    assert bench.of_set("lws_groups_desired") is None


@virtual_time
async def test_since_when_a_set_is_not_ready_is_out_of_the_api() -> None:
    """A replica that has just started tells the same time as one that saw it happen."""
    turned = "2025-12-31T23:00:00Z"
    condition = Condition(type="Ready", status="False", last_transition_time=turned)
    bench = Bench()
    bench.sets.put(a_set(1))
    up(bench)
    bench.pods.put(replace(leader(ready=False), status=PodStatus(phase="Running", conditions=(condition,))))
    since = bench.of_set("lws_set_not_ready_since_timestamp_seconds")
    assert since == datetime.fromisoformat(turned).timestamp()


@virtual_time
async def test_what_the_api_does_not_tell_is_remembered_from_the_first_scrape() -> None:
    """A set that says it is Available and lacks a group has done so since a scrape first saw that."""
    bench = Bench()
    available = {"type": "Available", "status": "True", "lastTransitionTime": START}
    bench.sets.put(a_set(1, conditions=[available]))
    first = bench.of_set("lws_set_not_ready_since_timestamp_seconds")
    await asyncio.sleep(600)
    assert bench.of_set("lws_set_not_ready_since_timestamp_seconds") == first
    up(bench)
    assert bench.of_set("lws_set_not_ready_since_timestamp_seconds") == 0
    bench.pods.remove(leader(ready=True))
    assert bench.of_set("lws_set_not_ready_since_timestamp_seconds") == pytest.approx((first or 0) + 600)


@virtual_time
async def test_counters_of_a_set_begin_at_zero_and_end_with_it() -> None:
    """Every cause of a recreation is exported at zero before the first one, and nothing once the set is gone."""
    bench = Bench()
    bench.sets.put(a_set(1))
    assert [bench.recreated(cause) for cause in Cause] == [0] * len(Cause)
    for _ in range(2):
        bench.domain.recreated(SET, "vllm-0", Cause.OOM_KILLED)
    assert bench.recreated("OOMKilled") == 2
    bench.sets.remove(a_set(1))
    assert bench.recreated("OOMKilled") is None


@virtual_time
async def test_a_new_set_of_the_name_begins_anew() -> None:
    """A set that was deleted and made again does not inherit its predecessor's counters."""
    bench = Bench()
    bench.sets.put(a_set(1))
    bench.domain.recreated(SET, "vllm-0", Cause.ERROR)
    bench.sets.put(a_set(1, uid="t"))
    assert bench.recreated("Error") == 0


@virtual_time
async def test_a_recreation_that_outlives_its_set_leaves_no_series() -> None:
    """The answer to a deletion may come after the end of the set, which then would never take its series along."""
    bench = Bench()
    bench.domain.recreated(SET, "vllm-0", Cause.ERROR)
    bench.sets.put(a_set(1))
    assert bench.recreated("Error") == 0


@virtual_time
async def test_a_recreation_costs_the_time_until_the_group_is_ready_again() -> None:
    """The seconds lost run from the failure until leader and workers of the new group are ready."""
    bench = Bench()
    bench.sets.put(a_set(1))
    bench.domain.recreated(SET, "vllm-0", Cause.NODE_LOST)
    await asyncio.sleep(30)
    bench.pods.put(leader(ready=False, uid="u1"))
    bench.pods.put(leader(ready=True, uid="u1"))
    await asyncio.sleep(60)
    bench.statefulsets.put(workers(2, owner="u1"))
    assert bench.value("lws_group_recreation_seconds_total", reason="NodeLost") == pytest.approx(90)
    assert bench.value("lws_group_recreation_seconds_total", reason="Error") == 0


@virtual_time
async def test_failures_of_one_group_are_counted_by_incident() -> None:
    """The worst group's failures within an hour are told: in place, by readiness or by recreation, each once."""
    bench = Bench()
    bench.sets.put(a_set(2))
    up(bench)
    for _ in range(3):
        await asyncio.sleep(240)
        bench.pods.put(leader(ready=False))
        bench.domain.recreated(SET, "vllm-0", Cause.ERROR)
        bench.pods.put(leader(ready=True))
    bench.domain.recreated(SET, "vllm-1", Cause.ERROR)
    assert bench.of_set("lws_group_failures_max") == 3
    await asyncio.sleep(3600)
    assert bench.of_set("lws_group_failures_max") == 1
    await asyncio.sleep(1)
    assert bench.of_set("lws_group_failures_max") is None


@virtual_time
async def test_a_group_that_is_taken_down_has_not_failed() -> None:
    """Pods that are being deleted, by a rolling update or a scale-down, are no failures."""
    bench = Bench()
    bench.sets.put(a_set(1))
    up(bench)
    going = leader(ready=False)
    bench.pods.put(replace(going, metadata=replace(going.metadata, deletion_timestamp=START)))
    assert bench.of_set("lws_group_failures_max") is None


@virtual_time
async def test_the_series_of_a_set_do_not_grow_with_its_pods() -> None:
    """A set of one group and a set of forty have the same series; at rest there are 7 gauges and 6 counters."""
    numbers = []
    for count in (1, 40):
        bench = Bench()
        bench.sets.put(a_set(count))
        up(bench)
        for index in range(1, count):
            bench.pods.put(leader(ready=True, index=index))
            bench.statefulsets.put(workers(2, index=index))
        families = bench.metrics.registry.collect()
        numbers.append(sum("name" in sample.labels for family in families for sample in family.samples))
    assert numbers == [13, 13]


@virtual_time
async def test_failing_sets_are_named_with_their_reason() -> None:
    """A set is shown as failing for its own reconcile or a pod's, since the first of them, once."""
    bench = Bench()
    bench.sets.put(a_set(1))
    up(bench)
    quota, panic = Failing(100.0, FailureReason.QUOTA), Failing(50.0, FailureReason.UNEXPECTED)
    controllers = [SimpleNamespace(failing={SET: quota}), SimpleNamespace(failing={("default", "vllm-0"): panic})]
    made = cast("Controllers", _Controllers(controllers))
    bench.domain.watch(made)
    of_set = {"namespace": "default", "name": "vllm"}
    name = "lws_set_failing_since_timestamp_seconds"
    assert bench.value(name, **of_set, reason="Unexpected") == 50
    assert bench.value(name, **of_set, reason="Quota") is None
    controllers[1].failing.clear()
    assert bench.value(name, **of_set, reason="Quota") == 100


class _Controllers:
    """Controllers of which it is known what they fail at."""

    def __init__(self, each: list[SimpleNamespace]) -> None:
        self._each = each
        self.sets = each[0]
        self.places = SimpleNamespace(results=list)

    def __iter__(self) -> Iterator[SimpleNamespace]:
        return iter(self._each)
