"""What moves need to know beyond their set: nodes that are to be emptied, and how many sets move (resilience 6.3).

Guarantees:
    * No more sets than the policies allow have a move under way, whatever order they are looked at in; a set that
      began one before a restart is among them until it was looked at.
    * Of nodes that are not to be emptied, and of sets that move nothing, nothing is remembered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import Node, Taint
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.objects import Key
from lws.clock import Clock
from lws.planning.leaderworkerset.disruption import NOT_ASKED, BudgetsSeen, kept, wanted_by
from lws.planning.leaderworkerset.emptying import reasons
from lws.planning.leaderworkerset.moves import RESULTS, Moves
from lws.planning.leaderworkerset.snapshots import SetSnapshot
from lws.reconcilers.leaderworkerset.caches import BY_GROUP, Caches, by_group
from lws.reconcilers.leaderworkerset.triggers import NONE, Keys


class EmptiedNodes:
    """Since when nodes are to be emptied, as far as this process has seen it begin.

    Args:
        caches: whose nodes are listened to.
        clock: the time of day.
    """

    def __init__(self, caches: Caches, clock: Clock) -> None:
        self._clock = clock
        self._seen: dict[str, dict[Taint, datetime | None]] = {}
        caches.nodes.on_change(self._changed)

    def since(self, name: str, taint: Taint) -> datetime | None:
        """When a node was first seen with a taint, be it that of a cordon; None if that was so at the beginning."""
        return self._seen.get(name, {}).get(taint)

    def __len__(self) -> int:
        """How many nodes are remembered."""
        return len(self._seen)

    def _changed(self, old: Node | None, new: Node | None, initial: bool) -> None:
        if new is None:
            if old is not None:
                self._seen.pop(old.metadata.name, None)
            return
        name, found = new.metadata.name, tuple(reasons(new))
        if not found:
            self._seen.pop(name, None)
            return
        known = self._seen.get(name, {})
        now = None if initial else self._clock.now()
        self._seen[name] = {taint: known.get(taint, now) for taint in found}


class Places:
    """Which sets have a move under way, and which wait for their turn.

    Args:
        caches: whose sets are listened to.
        most: how many may have one at once.
        wake: has a set reconciled.
    """

    def __init__(self, caches: Caches, most: int, wake: Callable[[Key], None]) -> None:
        self._caches = caches
        self._most = most
        self._wake = wake
        self._held: set[Key] = set()
        self._looked: set[Key] = set()  # of those that have held one or waited, the sets that this process looked at
        self._waiting: dict[Key, None] = {}
        self._ended: Counter[str] = Counter()
        caches.sets.on_change(self._changed)

    def holds(self, key: Key) -> bool:
        """Whether the set has a move under way."""
        return key in self._held

    def may(self, key: Key) -> bool:
        """Whether the set has one, or may begin one."""
        return key in self._held or len(self._held) < self._most

    def around(self, snapshot: SetSnapshot) -> SetSnapshot:
        """The snapshot with what there is of this beyond its set."""
        key = snapshot.lws.metadata.key
        return replace(snapshot, place=self.may(key), holding=self.holds(key), budgets=self._budgets(snapshot))

    def _budgets(self, snapshot: SetSnapshot) -> BudgetsSeen:
        """The PodDisruptionBudgets of the namespace, if the set has to do with any."""
        if not (wanted_by(snapshot.policies) or kept(snapshot)):
            return NOT_ASKED
        caches, informer, namespace = self._caches, self._caches.budgets, snapshot.lws.metadata.namespace
        informer.demand()
        if informer.unavailable or not informer.synced:
            return BudgetsSeen(unavailable=informer.unavailable)
        pods = (pod for leader in snapshot.leaders for pod in caches.pods.store.by_index(BY_GROUP, by_group(leader)))
        labelled = tuple(pod.metadata.labels or {} for pod in pods)
        return BudgetsSeen(known=True, budgets=tuple(informer.store.list(namespace)), pods=labelled)

    def planned(self, key: Key, moves: Moves) -> None:
        """A pass over the set begins that does this: what it holds is not for others from now on."""
        self._waiting.pop(key, None)
        if moves.waits:
            self._waiting[key] = None
        if moves.holds or moves.waits or key in self._held:
            self._looked.add(key)
        if moves.holds:
            self._held.add(key)
        elif key in self._held:
            self._release(key)

    def done(self, moves: Moves) -> None:
        """The pass has succeeded."""
        self._ended.update(moves.results)

    def results(self) -> Iterator[tuple[tuple[str], float]]:
        """How many moves ended, by their result."""
        for result in RESULTS:
            yield (result,), self._ended[result]

    def __len__(self) -> int:
        """How many sets have a move under way."""
        return len(self._held)

    def _release(self, key: Key) -> None:
        self._held.discard(key)
        waiting, self._waiting = self._waiting, {}
        for each in waiting:
            self._wake(each)

    def _changed(self, old: LeaderWorkerSet | None, new: LeaderWorkerSet | None, _initial: bool) -> None:
        if new is None:
            if old is not None:
                key = old.metadata.key
                self._looked.discard(key)
                self._waiting.pop(key, None)
                if key in self._held:
                    self._release(key)
            return
        key, record = new.metadata.key, new.status.evacuation
        if key in self._looked:
            return
        if record is not None and not record.without_extra:
            self._held.add(key)
        elif key in self._held:
            self._release(key)


def sets_on_node(caches: Caches, concerned: Callable[[LeaderWorkerSet], bool]) -> Callable[..., Keys]:
    """Which sets a change of a node wakes: those that it may have groups moved for, or not any more."""

    def trigger(old: Node | None, new: Node | None) -> Keys:
        if old is None or tuple(reasons(old)) == (() if new is None else tuple(reasons(new))):
            return NONE
        name = old.metadata.name
        metas = [pod.metadata for pod in caches.pods.store if pod.spec.node_name == name]
        found = {(meta.namespace, meta.label(labels.NAME)) for meta in metas}
        sets = ((key, caches.sets.store.get(*key)) for key in found)
        return frozenset(key for key, lws in sets if lws is not None and concerned(lws))

    return trigger
