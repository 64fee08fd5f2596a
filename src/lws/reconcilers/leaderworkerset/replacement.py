"""Keeps count of the groups of sets that are known by a key, and of the leaders that wait for one to be gone (next 4).

Guarantees:
    * The count follows the cache of pods, event by event; asking for it costs nothing, however large a set is.
    * Of a set without pods nothing is remembered; of sets whose groups have an index nothing ever is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import Pod
from lws.apimachinery.objects import Key
from lws.planning.leaderworkerset.groups import gated, group_of, is_hashed, is_leader, leads, marked, passing
from lws.planning.leaderworkerset.replacement import first_in_rank
from lws.reconcilers.leaderworkerset.caches import LEADERS_BY_SET, Caches
from lws.reconcilers.leaderworkerset.triggers import NONE, Keys


@dataclass(slots=True)
class _Groups:
    """The groups of one set: how many pods each has, and how many leaders that live."""

    pods: dict[str, int] = field(default_factory=dict)
    leaders: dict[str, int] = field(default_factory=dict)
    terminating: int = 0

    def change(self, pod: Pod, by: int) -> None:
        """Count a pod in, or out."""
        group = group_of(pod)
        self.terminating -= self._ends(group)
        _add(self.pods, group, by)
        if is_leader(pod) and leads(pod):
            _add(self.leaders, group, by)
        self.terminating += self._ends(group)

    def _ends(self, group: str) -> bool:
        return group in self.pods and group not in self.leaders


def _add(counts: dict[str, int], group: str, by: int) -> None:
    counts[group] = counts.get(group, 0) + by
    if not counts[group]:
        del counts[group]


class GroupCounts:
    """How many groups of each set are terminating (T of next 4.2). Listens to the pods of these caches."""

    def __init__(self, caches: Caches) -> None:
        self._sets: dict[Key, _Groups] = {}
        caches.pods.on_change(self._changed)

    def terminating(self, key: Key) -> int:
        """How many groups of this set have pods, and no leader that lives."""
        found = self._sets.get(key)
        return 0 if found is None else found.terminating

    def __len__(self) -> int:
        """How many sets are remembered."""
        return len(self._sets)

    def _changed(self, old: Pod | None, new: Pod | None, _initial: bool) -> None:
        for pod, by in ((new, 1), (old, -1)):
            key = None if pod is None or not passing(pod) else set_of(pod)
            if pod is None or key is None:
                continue
            groups = self._sets.setdefault(key, _Groups())
            groups.change(pod, by)
            if not groups.pods:
                del self._sets[key]


def set_of(pod: Pod) -> Key | None:
    """The set of a pod whose group is known by a key."""
    name = pod.metadata.label(labels.NAME)
    return (pod.metadata.namespace, name) if name and is_hashed(pod) else None


def next_leader(caches: Caches) -> Callable[[Key], Keys]:
    """Tells the gated leader of a set that is the next to be admitted: the only one for which a change can matter."""

    def find(key: Key) -> Keys:
        leaders = caches.pods.store.by_index(LEADERS_BY_SET, "/".join(key))
        found = first_in_rank(leaders, caches.deployments.store.get(*key))
        return NONE if found is None else frozenset({found.metadata.key})

    return find


def sets_of_change(old: Pod | None, new: Pod | None) -> Keys:
    """The set in which a place may have become free, or the next leader in rank is another one now."""
    before, after = _part(old), _part(new)
    if before == after:
        return NONE
    return frozenset(key for pod in (old, new) if pod is not None and (key := set_of(pod)) is not None)


def leaders_of_index(old: Pod | None, new: Pod | None) -> Keys:
    """The leader whose index another pod has given up that is gone (next 4.3); nothing by key."""
    if old is None or new is not None or is_hashed(old):
        return NONE
    meta = old.metadata
    name, index = meta.label(labels.NAME), meta.label(labels.GROUP_INDEX)
    return frozenset({(meta.namespace, f"{name}-{index}")}) if name and index else NONE


def _part(pod: Pod | None) -> tuple[object, ...]:
    """What a pod contributes to the admission of others."""
    if pod is None or not is_hashed(pod):
        return ()
    if not is_leader(pod):
        return pod.metadata.uid, passing(pod)
    return pod.metadata.uid, pod.metadata.deleting, gated(pod), marked(pod), pod.metadata.label(labels.REVISION)
