"""One look at a LeaderWorkerSet and all that belongs to it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import msgspec

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import ControllerRevision, Pod, StatefulSet
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.resources import CONTROLLERREVISIONS, PODS, STATEFULSETS, Resource
from lws.client.api import ApiClient
from lws.planning.leaderworkerset.groups import ABSENT, GroupState, leaders_by_index, size_of, states
from lws.planning.leaderworkerset.revisions import own_revisions

JSON: TypeAlias = dict[str, Any]
CORE_EVENTS = Resource("", "v1", "events", "Event")


@dataclass(frozen=True, slots=True)
class Group:
    """One group as it is now. Pods are as the server sent them."""

    index: int
    state: GroupState
    leader: JSON | None = None
    workers: tuple[JSON, ...] = ()
    worker_set: StatefulSet | None = None
    size: int = 1

    @property
    def revision(self) -> str:
        """The key of the group's leader; empty when it has none."""
        return label(self.leader, labels.REVISION) if self.leader else ""


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything that the subcommands read; made of lists that were read one after another."""

    lws: LeaderWorkerSet
    leader_set: StatefulSet | None = None
    worker_sets: Mapping[str, StatefulSet] = field(default_factory=dict)
    pods: tuple[JSON, ...] = ()
    revisions: tuple[ControllerRevision, ...] = ()
    events: tuple[JSON, ...] = ()

    @property
    def key(self) -> str:
        """The current revision's key."""
        return self.leader_set.metadata.label(labels.REVISION) if self.leader_set else ""

    @property
    def count(self) -> int:
        """How many groups exist or are being made, surge included."""
        if self.leader_set is None:
            return 0
        return 1 if self.leader_set.spec.replicas is None else self.leader_set.spec.replicas

    @property
    def partition(self) -> int:
        """The leader StatefulSet's partition."""
        strategy = self.leader_set.spec.update_strategy if self.leader_set else None
        rolling = strategy.rolling_update if strategy else None
        return (rolling.partition or 0) if rolling else 0

    def groups(self) -> tuple[Group, ...]:
        """The groups, by index."""
        typed = msgspec.convert(self.pods, tuple[Pod, ...])
        leaders = [pod for pod in typed if pod.metadata.label(labels.WORKER_INDEX) == labels.LEADER_INDEX]
        by_index = leaders_by_index(leaders, self.lws.metadata.name)
        raw = {pod["metadata"]["name"]: pod for pod in self.pods}
        workers: dict[str, list[JSON]] = {}
        for pod in self.pods:
            if label(pod, labels.WORKER_INDEX) != labels.LEADER_INDEX:
                workers.setdefault(label(pod, labels.GROUP_INDEX), []).append(pod)
        found = []
        known = states(self.key, self.lws, leaders, self.worker_sets, self.revisions)
        for index in range(self.count):
            leader, state = by_index.get(index), known.get(index, ABSENT)
            name = f"{self.lws.metadata.name}-{index}"
            size = size_of(leader, self.lws, self.revisions) if leader else self.lws.spec.leader_worker_template.size
            members = sorted(workers.get(str(index), []), key=lambda pod: int(label(pod, labels.WORKER_INDEX) or 0))
            found.append(Group(index, state, raw.get(name), tuple(members), self.worker_sets.get(name), size))
        return tuple(found)


def label(obj: JSON | None, key: str) -> str:
    """A label of a raw object, or the empty string."""
    return str(((obj or {}).get("metadata", {}).get("labels") or {}).get(key, ""))


async def look(client: ApiClient, namespace: str, name: str) -> Picture:
    """Read the set and what belongs to it.

    Raises:
        NotFoundError: there is no such LeaderWorkerSet.
    """
    raw = await client.get(LEADERWORKERSETS, namespace, name)
    selector = f"{labels.NAME}={name}"
    sets, pods, revisions, events = await asyncio.gather(
        client.list(STATEFULSETS, namespace, label_selector=selector),
        client.list(PODS, namespace, label_selector=selector),
        client.list(CONTROLLERREVISIONS, namespace, label_selector=selector),
        client.list(CORE_EVENTS, namespace, field_selector="type=Warning"),
    )
    statefulsets = {item.metadata.name: item for item in msgspec.convert(sets["items"], list[StatefulSet])}
    lws = LeaderWorkerSet.from_json(raw)
    return Picture(
        lws=lws,
        leader_set=statefulsets.pop(name, None),
        worker_sets=statefulsets,
        pods=tuple(pods["items"]),
        revisions=tuple(own_revisions(lws, msgspec.convert(revisions["items"], list[ControllerRevision]))),
        events=tuple(event for event in events["items"] if _about(event, name)),
    )


def _about(event: JSON, name: str) -> bool:
    subject = str((event.get("involvedObject") or {}).get("name", ""))
    return subject == name or subject.startswith(f"{name}-")
