"""Everything that a diagnosis looks at, as it was read at about one moment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import Deployment, PodGroup, StatefulSet
from lws.apimachinery.objects import Condition, OwnerReference
from lws.planning.leaderworkerset.diagnosis.objects import (
    Event,
    Metadata,
    NodeReport,
    ObjectReference,
    PodReport,
    Workload,
)
from lws.planning.leaderworkerset.groups import GroupState

QUEUE: Final = labels.KUEUE_QUEUE
WORKLOAD: Final = "kueue.x-k8s.io/pod-group-name"


@dataclass(frozen=True, slots=True)
class SetFacts:
    """The LeaderWorkerSet: what is declared and what its status says.

    Attributes:
        metadata: identity, labels, annotations, deletion.
        replicas: wanted groups.
        size: pods of a new group.
        leader_ready_first: whether workers wait for their leader (startupPolicy LeaderReady).
        subdomain_per_group: whether each group has a Service of its own.
        partition: the user's.
        allowed_unavailable: groups that an update may take down at once.
        max_surge: groups that may exist beyond ``replicas``.
        observed_generation: the generation that the status describes; None if the status does not say.
        ready: groups ready, by the status.
        updated: groups of the current revision, by the status.
        present: groups that exist, by the status.
        conditions: of the status.
        waits: what is told of groups that wait to be recreated, by UID of their leader.
        hashed: whether its groups are known by a key, and have no index.
    """

    metadata: Metadata
    replicas: int = 1
    size: int = 1
    leader_ready_first: bool = False
    subdomain_per_group: bool = False
    partition: int = 0
    allowed_unavailable: int = 1
    max_surge: int = 0
    observed_generation: int | None = None
    ready: int = 0
    updated: int = 0
    present: int = 0
    conditions: tuple[Condition, ...] = ()
    waits: Mapping[str, str] = field(default_factory=dict)
    hashed: bool = False

    @property
    def name(self) -> str:
        """Its name."""
        return self.metadata.name

    @property
    def leaders_by(self) -> str:
        """The kind of the object that makes its leaders."""
        return "Deployment" if self.hashed else "StatefulSet"

    @property
    def topology(self) -> str:
        """The node label of exclusive placement; empty without."""
        return self.metadata.annotation(labels.EXCLUSIVE_TOPOLOGY) or ""

    @property
    def owner(self) -> OwnerReference | None:
        """The object that writes this set, if one controls it."""
        return self.metadata.controller

    @property
    def unseen(self) -> bool:
        """Whether the status describes an earlier generation. A status that does not say is not unseen."""
        return self.observed_generation is not None and self.observed_generation < self.metadata.generation


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """One group.

    Attributes:
        index: which; of groups that are known by a key, the how manieth by age.
        base: what its worker StatefulSet is named, and its workers before their ordinals.
        state: by the rules of spec 7.2.
        size: pods that it should have.
        leader: its leader pod.
        workers: its other pods, by worker index.
        worker_set: the StatefulSet that has the name of its workers, whoever owns it.
        unlabelled: workers that are there without our label, by name.
        scaled_by: the field manager that wrote the replicas of the StatefulSet; empty if nobody looked.
    """

    index: int
    state: GroupState
    size: int = 1
    leader: PodReport | None = None
    workers: tuple[PodReport, ...] = ()
    worker_set: StatefulSet | None = None
    base: str = ""
    unlabelled: tuple[str, ...] = ()
    scaled_by: str = ""

    @property
    def pods(self) -> tuple[PodReport, ...]:
        """Leader and workers, those that there are."""
        return (self.leader, *self.workers) if self.leader is not None else self.workers

    @property
    def revision(self) -> str:
        """The key of its leader; empty when it has none."""
        return self.leader.metadata.label(labels.REVISION) if self.leader else ""


@dataclass(frozen=True, slots=True)
class Holder:
    """A pod of some set that occupies a topology domain."""

    domain: str
    namespace: str
    set_name: str
    group: str
    priority: int | None = None


@dataclass(frozen=True, slots=True)
class ForeignObject:
    """An object that is not ours and has a name that the set needs."""

    kind: str
    name: str
    why: str


@dataclass(frozen=True, slots=True)
class GangFacts:
    """A PodGroup and what is said of it.

    Attributes:
        pod_group: the PodGroup.
        queue_exists: whether its queue does; None if that could not be read.
        words: what its scheduler says of it (`gangs.words_of`).
    """

    pod_group: PodGroup
    queue_exists: bool | None = None
    words: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """One look at a set and what belongs to it.

    Attributes:
        lws: the set.
        leader_set: the StatefulSet of its name, or the Deployment if its groups are known by a key.
        groups: by index, without gaps.
        strays: pods with the set's label that belong to no group: no index, or one that is not counted.
        events: about the set, its StatefulSets and pods.
        nodes: those that unready pods are on, by name; None stands for a node that does not exist. A node that is not
            a key was not, or might not be, read.
        domains: values of the topology label that nodes have; None if nodes could not be listed.
        holders: pods of other groups in these domains.
        workloads: Kueue's, by name; None stands for one that does not exist.
        foreign: what is in the way.
        gangs: PodGroups of pods without a node, by name; None stands for one that does not exist.
        events_read: whether events were read at all.
        kept: why pods are not let go from their lost nodes, by name, where that is known without events.
    """

    lws: SetFacts
    leader_set: StatefulSet | Deployment | None = None
    groups: tuple[GroupFacts, ...] = ()
    strays: tuple[PodReport, ...] = ()
    events: tuple[Event, ...] = ()
    nodes: Mapping[str, NodeReport | None] = field(default_factory=dict)
    domains: frozenset[str] | None = None
    holders: tuple[Holder, ...] = ()
    workloads: Mapping[str, Workload | None] = field(default_factory=dict)
    foreign: tuple[ForeignObject, ...] = ()
    gangs: Mapping[str, GangFacts | None] = field(default_factory=dict)
    events_read: bool = True
    kept: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The current revision's key; empty without a leader object."""
        return self.leader_set.metadata.label(labels.REVISION) if self.leader_set else ""

    @property
    def partition(self) -> int:
        """The leader StatefulSet's partition."""
        strategy = self.leader_set.spec.update_strategy if isinstance(self.leader_set, StatefulSet) else None
        rolling = strategy.rolling_update if strategy else None
        return (rolling.partition or 0) if rolling else 0

    def warnings(self, reference: ObjectReference, mentions: str = "") -> list[Event]:
        """Warnings about an object, or about another one in relation to it, newest first.

        Events without UIDs are matched by kind and name. ``mentions`` is a name that the message must have as a whole.
        """
        found = [
            event
            for event in self.events
            if event.type == "Warning"
            and _mentions(event.message, mentions)
            and any(_same(one, reference) for one in (event.involved_object, event.related) if one)
        ]
        return sorted(found, key=lambda event: event.time, reverse=True)

    def failure(self, reference: ObjectReference, mentions: str = "") -> str:
        """The words of the newest warning that a creation or an update failed; empty if there is none."""
        failed = (one for one in self.warnings(reference, mentions) if one.reason in ("FailedCreate", "FailedUpdate"))
        return next((one.message for one in failed), "")

    def refused_by_replicaset(self) -> str:
        """The words of the newest warning that a ReplicaSet of the set could not create a leader; else empty."""
        failed = (
            event
            for event in self.events
            if event.reason == "FailedCreate"
            and event.involved_object is not None
            and event.involved_object.kind == "ReplicaSet"
            and event.involved_object.name.rpartition("-")[0] == self.lws.name
        )
        newest = max(failed, key=lambda event: event.time, default=None)
        return "" if newest is None else newest.message


def pod_reference(pod: PodReport) -> ObjectReference:
    """How events refer to a pod."""
    return ObjectReference("Pod", pod.metadata.name, pod.metadata.uid)


def statefulset_reference(found: StatefulSet | Deployment) -> ObjectReference:
    """How events refer to a StatefulSet, or a Deployment."""
    kind = "StatefulSet" if isinstance(found, StatefulSet) else "Deployment"
    return ObjectReference(kind, found.metadata.name, found.metadata.uid)


def _same(one: ObjectReference, other: ObjectReference) -> bool:
    if one.uid and other.uid:
        return one.uid == other.uid
    return (one.kind, one.name) == (other.kind, other.name)


def _mentions(message: str, name: str) -> bool:
    return not name or re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w.-])", message) is not None
