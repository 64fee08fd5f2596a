"""What users of LeaderWorkerSets want to see on a dashboard (operations 4).

Guarantees: a set that is gone leaves no series of its own behind; nothing is kept of a group once it was ready or is
gone; what was there before this process is not counted as new.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import Pod, StatefulSet
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.actions import Plan
from lws.apimachinery.objects import Condition, Key
from lws.clock import Clock
from lws.reconcilers.leaderworkerset.observe import Caches
from lws.telemetry.metrics import MetricsRegistry, Samples

ROLLOUT_BUCKETS: Final = (1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800)
UPDATE_IN_PROGRESS = "UpdateInProgress"


@dataclass(frozen=True, slots=True)
class _Pending:
    """A group that is not ready yet."""

    uid: str
    created: str


class DomainMetrics:
    """Listens to reconcilers and caches; see the module for its guarantees."""

    def __init__(self, metrics: MetricsRegistry, clock: Clock) -> None:
        self._group_ready_seconds = metrics.histogram(
            "lws_group_ready_seconds",
            "From the creation of a group's leader pod until the group was ready.",
            buckets=ROLLOUT_BUCKETS,
        )
        self._rollout_seconds = metrics.histogram(
            "lws_rollout_duration_seconds", "From the start of a rolling update to its end.", buckets=ROLLOUT_BUCKETS
        )
        self._recreations = metrics.counter(
            "lws_group_recreations", "Groups recreated, by reason.", ("namespace", "name", "reason")
        )
        self._clock = clock
        self._facts: dict[Key, Mapping[str, Any]] = {}
        self._pending: dict[Key, _Pending] = {}  # by leader pod
        self._recreated: dict[Key, set[str]] = {}  # reasons that a set's recreations were counted by
        self._caches: Caches | None = None
        one = ("namespace", "name")
        for fact, help_ in (
            ("desired", "Groups that the spec asks for."),
            ("ready", "Groups whose pods are all ready."),
            ("updated", "Ready groups of the current revision."),
        ):
            metrics.sampled_gauge(f"lws_groups_{fact}", help_, one, lambda fact=fact: self._samples(fact))  # type: ignore[misc]
        metrics.sampled_gauge("lws_blocked", "1 if a foreign object stands in the way of a set.", one, self._blocked)
        metrics.sampled_gauge("lws_rollout_progress_ratio", "Updated groups by desired ones.", one, self._progress)

    def planned(self, key: Key, plan: Plan) -> None:
        """A pass over this set was planned."""
        if plan.facts:
            self._facts[key] = {**self._facts.get(key, {}), **plan.facts}

    def gone(self, key: Key) -> None:
        """The set is gone: its series go with it."""
        self._facts.pop(key, None)
        for reason in self._recreated.pop(key, ()):
            self._recreations.remove(*key, reason)

    def recreated(self, set_key: Key, leader: str, reason: str) -> None:  # noqa: ARG002 -- a label for each would be too many
        """A group was deleted to be made anew. Of a set that is gone by then nothing is counted: it left already."""
        if self._caches is None or self._caches.sets.store.get(*set_key) is None:
            return
        self._recreated.setdefault(set_key, set()).add(reason)
        self._recreations.labels(*set_key, reason).inc()

    def watch(self, caches: Caches) -> None:
        """Listen to the caches from now on."""
        self._caches = caches
        caches.sets.on_change(self._set_changed)
        caches.pods.on_change(self._pod_changed)
        caches.statefulsets.on_change(self._statefulset_changed)

    def _samples(self, fact: str) -> Samples:
        return [(key, float(facts[fact])) for key, facts in self._facts.items() if fact in facts]

    def _blocked(self) -> Samples:
        return [(key, 1.0 if facts.get("blocked") else 0.0) for key, facts in self._facts.items()]

    def _progress(self) -> Samples:
        for key, facts in self._facts.items():
            if desired := facts.get("desired"):
                yield key, min(1.0, facts.get("updated", 0) / desired)

    def _set_changed(self, old: LeaderWorkerSet | None, new: LeaderWorkerSet | None, _initial: bool) -> None:
        began, ended = _updating(old), _updating(new)
        if began is not None and new is not None and ended is None and began.last_transition_time:
            self._rollout_seconds.observe(self._since(began.last_transition_time))

    def _pod_changed(self, old: Pod | None, new: Pod | None, initial: bool) -> None:
        pod = new or old
        assert pod is not None
        meta = pod.metadata
        if meta.label(labels.WORKER_INDEX) != labels.LEADER_INDEX:
            return
        if new is None:
            self._pending.pop(meta.key, None)
            return
        if (old is None or old.metadata.uid != meta.uid) and not initial and meta.creation_timestamp:
            self._pending[meta.key] = _Pending(meta.uid, meta.creation_timestamp)
        self._look(meta.key)

    def _statefulset_changed(self, _old: StatefulSet | None, new: StatefulSet | None, _initial: bool) -> None:
        if new is not None and new.metadata.label(labels.GROUP_INDEX):
            self._look(new.metadata.key)

    def _look(self, leader: Key) -> None:
        """Count a group that has just become ready."""
        pending = self._pending.get(leader)
        if pending is None or self._caches is None:
            return
        pod = self._caches.pods.store.get(*leader)
        if pod is None or pod.metadata.uid != pending.uid or not _ready(pod):
            return
        if pod.metadata.annotation(labels.SIZE) not in (None, "1") and not self._workers_ready(leader, pending.uid):
            return
        del self._pending[leader]
        self._group_ready_seconds.observe(self._since(pending.created))

    def _workers_ready(self, leader: Key, uid: str) -> bool:
        assert self._caches is not None
        workers = self._caches.statefulsets.store.get(*leader)
        if workers is None:
            return False
        owner = workers.metadata.controller
        wanted = 1 if workers.spec.replicas is None else workers.spec.replicas
        return owner is not None and owner.uid == uid and workers.status.ready_replicas >= wanted

    def _since(self, timestamp: str) -> float:
        return max(0.0, (self._clock.now() - datetime.fromisoformat(timestamp)).total_seconds())


def _ready(pod: Pod) -> bool:
    return any(each.type == "Ready" and each.status == "True" for each in pod.status.conditions or ())


def _updating(lws: LeaderWorkerSet | None) -> Condition | None:
    conditions = lws.status.conditions if lws is not None else ()
    return next((each for each in conditions if each.type == UPDATE_IN_PROGRESS and each.status == "True"), None)
