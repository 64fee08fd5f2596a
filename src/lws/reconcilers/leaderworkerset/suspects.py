"""Keeps what makes nodes suspect, and tells whom that concerns (resilience 6.5).

Guarantees:
    * Every replica keeps it, by its own caches; what it costs follows the sets that have failures, and is paid at most
      five times a second while these change. At rest nothing runs.
    * Memory is bounded by the sets whose status tells of failures.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.labels import HOSTNAME
from lws.api.leaderworkerset.objects import Node
from lws.api.leaderworkerset.policies import PolicySource, choose
from lws.api.leaderworkerset.status import Failure, SuspectNode
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.manifests import JSON, labels_of, namespace_of
from lws.apimachinery.objects import Key
from lws.apimachinery.resources import NODES
from lws.clock import Clock
from lws.planning.leaderworkerset import suspects
from lws.planning.leaderworkerset.groups import shown_group
from lws.planning.leaderworkerset.suspects import Suspicion
from lws.reconcilers.leaderworkerset.caches import Caches
from lws.runtime.events import ObjectRef, Recorder

BATCH_SECONDS: Final = 0.2  # for how long changes are gathered
SUSPECT: Final = "SuspectNode"


class SuspectBook:
    """Keeps it; see the module for its guarantees.

    Args:
        caches: sets and nodes.
        source: what the policies file says.
        clock: the time.
    """

    def __init__(self, caches: Caches, source: PolicySource, clock: Clock) -> None:
        self._caches = caches
        self._source = source
        self._policy = source.suspect_nodes
        self._clock = clock
        self._started = clock.now()
        self._failures: dict[Key, Sequence[Failure]] = {}
        self._found: Mapping[str, Suspicion] = {}
        self._listeners: list[Callable[[Mapping[str, Suspicion]], None]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._dirty = False
        caches.sets.on_change(self._set_changed)
        if self._policy.conditions:
            caches.nodes.on_change(self._node_changed)

    def on_change(self, listener: Callable[[Mapping[str, Suspicion]], None]) -> None:
        """Call it whenever other nodes are suspect than before, with those that became so while this process ran."""
        self._listeners.append(listener)

    @property
    def found(self) -> Mapping[str, Suspicion]:
        """The suspect nodes, by name."""
        return self._found

    def samples(self) -> Iterator[tuple[tuple[str, ...], float]]:
        """As metrics tell them."""
        return (((name, each.reason), 1.0) for name, each in sorted(self._found.items()))

    def asks(self, lws: LeaderWorkerSet) -> bool:
        """Whether the set wants its recreated groups to avoid them."""
        meta = lws.metadata
        return choose(self._source, meta.namespace, meta.labels, meta.annotations).policies.avoid_suspect_nodes

    def told(self, lws: LeaderWorkerSet) -> tuple[SuspectNode, ...]:
        """What the status of a set tells of them; nothing for a set that does not avoid them."""
        return suspects.as_status(self._found) if self._found and self.asks(lws) else ()

    def avoided(self, pod: JSON) -> tuple[str, ...]:
        """Host names that a new pod of a recreated group is to avoid, if its set wants that."""
        if not (self._found or self._dirty):
            return ()
        marks = labels_of(pod)
        lws = self._caches.sets.store.get(namespace_of(pod), marks.get(labels.NAME) or "")
        if lws is None or not lws.status.failures or not self.asks(lws):
            return ()
        group = "" if lws.spec.hashed else shown_group(marks.get(labels.GROUP_INDEX) or "")
        if not suspects.recreated(lws.status.failures, group, self._policy.window, self._clock.now()):
            return ()
        if self._dirty:
            self._look()
        nodes = (self._caches.nodes.store.get("", name) for name in self._found)
        return tuple(sorted({node.metadata.label(HOSTNAME) for node in nodes if node is not None} - {""}))

    def _set_changed(self, old: LeaderWorkerSet | None, new: LeaderWorkerSet | None, _initial: bool) -> None:
        changed = old if new is None else new
        if changed is None:
            return
        key, failures = changed.metadata.key, () if new is None else new.status.failures
        if failures == self._failures.get(key, ()):
            return
        if failures:
            self._failures[key] = failures
        else:
            self._failures.pop(key, None)
        self._soon()

    def _node_changed(self, old: Node | None, new: Node | None, _initial: bool) -> None:
        if any(_holds(old, each) != _holds(new, each) for each in self._policy.conditions):
            self._soon()

    def _soon(self) -> None:
        """Look once what changes at about the same time has changed."""
        if not self._dirty:
            self._dirty = True
            self._at(BATCH_SECONDS)

    def _at(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._look)

    def _look(self) -> None:
        """Find them anew, tell of a change, and look again when the first of them is suspect no more."""
        self._dirty = False
        now, before = self._clock.now(), self._found
        nodes = {node.metadata.name: node for node in self._caches.nodes.store}
        self._found = suspects.find(self._failures, nodes, self._policy, now)
        ends = [each.until for each in self._found.values() if each.until is not None]
        if ends:
            self._at(max(BATCH_SECONDS, (min(ends) - now).total_seconds()))
        if self._found != before:
            new = {name: each for name, each in self._found.items() if name not in before}
            fresh = {name: each for name, each in new.items() if each.since >= self._started}
            for listener in self._listeners:
                listener(fresh)


def _holds(node: Node | None, type_: str) -> bool:
    condition = None if node is None else node.condition(type_)
    return condition is not None and condition.status == "True"


def tell(caches: Caches, recorder: Recorder, fresh: Mapping[str, Suspicion]) -> None:
    """Record an event about each node that has become suspect."""
    for name, each in fresh.items():
        node = caches.nodes.store.get("", name)
        if node is not None:
            ends = "while that lasts" if each.until is None else f"until {each.until:%H:%M:%S}"
            note = f"Suspect {ends}: {each.told}"
            recorder.record(ObjectRef.to(NODES, node.metadata), "Warning", SUSPECT, "Suspect", note)
