"""Failures of groups: recreations by cause, what they cost, and groups that fail again and again.

Guarantees:
    * Every set has its counters, at zero, from the first scrape on: a counter that is born with its first event
      would hide it from ``increase()``. They are the leader's alone, and go with their set.
    * One incident of a group counts once, however many of its pods tell of it within `APART` seconds.
    * What is remembered is bounded by the groups that failed within `WINDOW`, and by those being recreated.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from typing import Final

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import Pod
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.names import parent_and_ordinal
from lws.apimachinery.objects import Key
from lws.clock import Clock
from lws.planning.leaderworkerset.culprit import Cause
from lws.planning.leaderworkerset.groups import is_hashed, pod_ready
from lws.reconcilers.leaderworkerset.caches import Caches
from lws.telemetry.metrics import MetricsRegistry, Samples

WINDOW: Final = 3600.0
APART: Final = 60.0
MOST: Final = 64  # incidents of one group that are remembered; more within the window make no difference


class Incidents:
    """Counts them; see the module for its guarantees.

    Args:
        metrics: where to export.
        caches: which sets there are, and changes of their pods.
        clock: measures spans.
        counting: whether this process is the one that counts, for it leads.
    """

    def __init__(self, metrics: MetricsRegistry, caches: Caches, clock: Clock, counting: Callable[[], bool]) -> None:
        self._caches = caches
        self._clock = clock
        self._counting = counting
        self._recreations: dict[Key, Counter[Cause]] = {}
        self._released = 0
        self._lost = dict.fromkeys(Cause, 0.0)  # seconds
        self._recreating: dict[Key, dict[str, tuple[Cause, float]]] = {}  # by set and leader: since when
        self._failures: dict[Key, dict[str, deque[float]]] = {}  # by set and leader: when
        caches.pods.on_change(self._pod_changed)
        caches.sets.on_change(self._set_changed)
        self._export(metrics)

    def _export(self, metrics: MetricsRegistry) -> None:
        one = ("namespace", "name")
        metrics.sampled_counter("lws_group_recreations", "Groups recreated, by cause.", (*one, "reason"), self._counted)
        metrics.sampled_counter(
            "lws_group_recreation_seconds",
            "Time from failures of groups until they were ready again, by cause, summed over all sets.",
            ("reason",),
            lambda: [((cause,), self._lost[cause]) for cause in Cause] if self._counting() else [],
        )
        metrics.sampled_counter(
            "lws_released_pods",
            "Pods that were deleted without waiting for their lost node.",
            (),
            lambda: [((), float(self._released))] if self._counting() else [],
        )
        metrics.sampled_gauge(
            "lws_group_failures_max",
            "Most failures of any one group of the set within the last hour: recreations, restarts in place, and losses"
            " of readiness.",
            one,
            self._most_failures,
        )

    def recreated(self, set_key: Key, leader: str, cause: Cause) -> None:
        """A group was deleted to be made anew. Of a set that is gone by then nothing is counted: it left already."""
        if self._caches.sets.store.get(*set_key) is None:
            return
        self._recreations.setdefault(set_key, Counter())[cause] += 1
        self._recreating.setdefault(set_key, {})[leader] = (cause, self._clock.monotonic())
        self._failed(set_key, leader)

    def released(self) -> None:
        """A pod was let go from a lost node."""
        self._released += 1

    def became_ready(self, set_key: Key, leader: str) -> None:
        """A group is ready. One that is known by a key has another name than the one that it replaces."""
        waiting = self._recreating.get(set_key, {})
        lws = self._caches.sets.store.get(*set_key)
        name = next(iter(waiting), leader) if lws is not None and lws.spec.hashed else leader
        found = waiting.pop(name, None)
        if found is not None:
            cause, since = found
            self._lost[cause] += self._clock.monotonic() - since

    def _counted(self) -> Iterator[tuple[tuple[str, ...], float]]:
        if not self._counting():
            return
        for lws in self._caches.sets.store:
            counts = self._recreations.get(lws.metadata.key, Counter())
            for cause in Cause:
                yield (*lws.metadata.key, cause), counts[cause]

    def _most_failures(self) -> Samples:
        begin = self._clock.monotonic() - WINDOW
        for key, groups in [*self._failures.items()]:
            for leader, times in [*groups.items()]:
                while times and times[0] < begin:
                    times.popleft()
                if not times:
                    del groups[leader]
            if groups:
                yield key, max(map(len, groups.values()))
            else:
                del self._failures[key]

    def _failed(self, set_key: Key, leader: str) -> None:
        now = self._clock.monotonic()
        times = self._failures.setdefault(set_key, {}).setdefault(leader, deque(maxlen=MOST))
        if not times or now - times[-1] >= APART:
            times.append(now)

    def _pod_changed(self, old: Pod | None, new: Pod | None, _initial: bool) -> None:
        if old is None or new is None or old.metadata.uid != new.metadata.uid or new.metadata.deleting:
            return
        if (pod_ready(old) and not pod_ready(new)) or _restarts(new) > _restarts(old):
            meta = new.metadata
            set_key = (meta.namespace, meta.label(labels.NAME))
            if self._caches.sets.store.get(*set_key) is not None:
                leader = meta.annotation(labels.LEADER_NAME) if is_hashed(new) else ""
                self._failed(set_key, leader or _leader_of(new))

    def _set_changed(self, old: LeaderWorkerSet | None, new: LeaderWorkerSet | None, _initial: bool) -> None:
        if old is None:
            return
        key = old.metadata.key
        if new is None or new.metadata.uid != old.metadata.uid:
            self._recreations.pop(key, None)
            self._recreating.pop(key, None)
            self._failures.pop(key, None)
        elif key in self._recreating:  # groups that are not wanted any more will never be ready
            kept = self._recreating[key].items()
            wanted = new.spec.replicas
            if new.spec.hashed:
                self._recreating[key] = dict(list(kept)[:wanted])
            else:
                self._recreating[key] = {leader: it for leader, it in kept if parent_and_ordinal(leader)[1] < wanted}


def _leader_of(pod: Pod) -> str:
    """The name of the pod's leader, or its own."""
    meta = pod.metadata
    return meta.name if is_hashed(pod) else f"{meta.label(labels.NAME)}-{meta.label(labels.GROUP_INDEX)}"


def _restarts(pod: Pod) -> int:
    status = pod.status
    statuses = (*(status.init_container_statuses or ()), *(status.container_statuses or ()))
    return sum(each.restart_count for each in statuses)
