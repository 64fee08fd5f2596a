"""Gang scheduling: one PodGroup for each group, whoever schedules it (spec 11, CD-07, CD-31 to CD-34, CD-60).

Of a group, the leader exists before its workers, and these may have to wait for its node or for its readiness. A
scheduler places nothing until ``minMember`` pods exist, so that must never be more than can exist by then.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from lws.api.leaderworkerset import gangs, labels
from lws.api.leaderworkerset.objects import Pod, PodGroup, StatefulSet, controlled_by
from lws.api.leaderworkerset.types import LEADER_READY, LeaderWorkerSet
from lws.apimachinery.actions import Create, Patch, Reference
from lws.apimachinery.manifests import JSON, annotations_of
from lws.apimachinery.resources import PODS, Resource
from lws.planning.leaderworkerset import events
from lws.planning.leaderworkerset.groups import pod_ready
from lws.planning.leaderworkerset.metadata import owned_by_pod


@dataclass(frozen=True, slots=True)
class Gang:
    """The gang of one group.

    Attributes:
        name: of its PodGroup.
        whole: whether its workers belong to it; else the leader is alone in it (CD-60).
        size: pods of the group.
        min_member: pods that must have a node for any to get one, as things are now.
    """

    name: str
    whole: bool
    size: int
    min_member: int

    @property
    def members(self) -> int:
        """Pods that belong to it, once all of them exist."""
        return self.size if self.whole else 1


class SchedulerProvider(Protocol):
    """A scheduler that starts groups as gangs. To support another one, write one file in `schedulers`."""

    @property
    def resource(self) -> Resource:
        """The kind of its pod groups."""
        ...

    @property
    def schedulers(self) -> Collection[str]:
        """The names by which pods ask for it (CD-31)."""
        ...

    def manifest(
        self, live: LeaderWorkerSet, section: JSON, gang: Gang, marks: Mapping[str, str], owners: list[JSON]
    ) -> JSON:
        """The pod group of a group.

        Args:
            live: the live set, for its annotations.
            section: normal form of the ``leaderWorkerTemplate`` of the group's revision (CD-07).
            gang: name and numbers.
            marks: its labels.
            owners: its owner references.
        """
        ...


def marks(live: LeaderWorkerSet, index: str, key: str) -> dict[str, str]:
    """The labels of a group's PodGroup."""
    return {labels.NAME: live.metadata.name, labels.GROUP_INDEX: index, labels.REVISION: key}


def name_of(provider: SchedulerProvider | None, leader: Pod) -> str:
    """The name of the leader's PodGroup; empty if it is not ganged.

    It is not without a mark (CD-23), under somebody else's mark (CD-33), nor with another scheduler (CD-31).
    """
    own = gangs.group_name(leader.metadata.labels)
    ours = leader.metadata.annotation(labels.POD_GROUP_NAME) == own
    return own if provider and ours and gangs.is_ganged(leader.spec.scheduler_name, provider.schedulers) else ""


def is_complete(leader: Pod, workers: StatefulSet | None, size: int) -> bool:
    """Whether the group was started: it does without its PodGroup, however that was lost."""
    return pod_ready(leader) if size == 1 else workers is not None


def gang_of(
    provider: SchedulerProvider | None,
    live: LeaderWorkerSet,
    section: JSON,
    leader: Pod,
    workers: StatefulSet | None,
    size: int,
) -> Gang | None:
    """The gang of the group of this leader; None if it is not ganged.

    Args:
        provider: the gang scheduler, if there is one.
        live: the live set, for startup policy and topology.
        section: normal form of the ``leaderWorkerTemplate`` of the leader's revision.
        leader: the leader pod.
        workers: the StatefulSet of its workers.
        size: pods of the group.
    """
    name = name_of(provider, leader)
    if provider is None or not name:
        return None
    whole = _workers_join(section["workerTemplate"], name, provider.schedulers)
    if workers is not None:
        annotations = workers.spec.template.metadata.annotations
        whole = annotations is not None and annotations.pod_group == name
    alone = not whole or (workers is None and not leader.spec.node_name and _workers_wait(live))
    return Gang(name, whole, size, 1 if alone else size)


def plan_pod_group(
    provider: SchedulerProvider | None,
    live: LeaderWorkerSet,
    section: JSON,
    leader: Pod,
    gang: Gang | None,
    existing: PodGroup | None,
) -> tuple[Create | Patch, ...]:
    """Create the group's PodGroup, or have it follow the group.

    That of a set with ``spec.scheduling`` belongs to the set (`typedgangs`).
    """
    if provider is None or gang is None or live.spec.scheduling is not None:
        return ()
    owner = Reference.to(PODS, leader.metadata)
    if existing is not None:
        ours = not existing.metadata.deleting and controlled_by(existing.metadata, leader)
        return follow(provider, live, gang, existing, owner) if ours else ()
    own = marks(live, leader.metadata.label(labels.GROUP_INDEX), leader.metadata.label(labels.REVISION))
    body = provider.manifest(live, section, gang, own, owned_by_pod(leader))
    return (Create(provider.resource, body, on_failure=(events.pod_group_failed(owner),), owner=owner),)


def _workers_wait(live: LeaderWorkerSet) -> bool:
    """Whether workers are not made before their leader has a node."""
    return live.spec.startup_policy == LEADER_READY or bool(live.metadata.annotation(labels.EXCLUSIVE_TOPOLOGY))


def _workers_join(template: JSON, name: str, schedulers: Collection[str]) -> bool:
    """Whether workers of this template, which are not made yet, can be members."""
    scheduler = (template.get("spec") or {}).get("schedulerName")
    mark = annotations_of(template).get(labels.POD_GROUP_NAME)
    return gangs.is_ganged(scheduler, schedulers) and gangs.may_be_marked(mark, name)


def follow(
    provider: SchedulerProvider, live: LeaderWorkerSet, gang: Gang, existing: PodGroup, about: Reference
) -> tuple[Patch, ...]:
    """Raise minMember once the workers can exist (CD-32), and move a PodGroup that waits to another queue (CD-34).

    One whose workers are not members was made by the reference, or by an earlier release, whose admission marked
    workers one by one: its numbers stay. ``about`` is what an event of a failure relates to.
    """
    spec: JSON = {}
    if gang.whole and existing.spec.min_member != gang.min_member:
        spec["minMember"] = gang.min_member
    queue = live.metadata.annotation(labels.QUEUE_NAME)
    if queue and queue != existing.spec.queue and existing.status.phase in gangs.NOT_ENQUEUED:
        spec["queue"] = queue
    if not spec:
        return ()
    meta, failed = existing.metadata, events.pod_group_not_updated(about, once=live.metadata.uid)
    change = {"spec": spec}
    return (
        Patch(
            provider.resource,
            meta.namespace,
            meta.name,
            meta.uid,
            change,
            optional=True,
            on_failure=(failed,),
        ),
    )
