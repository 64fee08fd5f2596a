"""When the failure of one pod takes its whole group down (spec 9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import Pod, StatefulSet, controlled_by
from lws.api.leaderworkerset.types import RECREATE_AFTER_START, RECREATE_ON_RESTART, LeaderWorkerSet
from lws.apimachinery.actions import Delete, EmitEvent, Reference
from lws.apimachinery.names import parent_and_ordinal
from lws.apimachinery.resources import PODS, STATEFULSETS
from lws.planning.leaderworkerset import events
from lws.planning.leaderworkerset.groups import is_leader, revision_key
from lws.planning.leaderworkerset.restarts import restarts


class Outcome(Enum):
    """What a failure leads to; the number is the row of spec 9.2."""

    NO_POLICY = 1
    NO_FAILURE = 2
    PENDING = 3
    NO_ORDINAL = 4
    LEADER_GONE = 5
    OTHER_REVISION = 6
    STALE_MEMBER = 7
    GOING = 8
    RECREATE = 9

    @property
    def group_goes(self) -> bool:
        """Whether nothing else is to be done for the group."""
        return self in (Outcome.GOING, Outcome.RECREATE)


@dataclass(frozen=True, slots=True)
class Failed:
    """A pod that failed, or is suspected to have.

    Attributes:
        name: its name, which the event tells.
        pod: the pod as it is; None when only its absence or its successor tells of it (CD-01).
        gone: the member that was expected is gone.
        settled: restarts of its containers that count no more.
        lost: its node has been lost for so long that nothing more is waited for (resilience 6.2).
    """

    name: str
    pod: Pod | None
    gone: bool = False
    settled: int = 0
    lost: bool = False

    @property
    def leads(self) -> bool:
        """Whether it is the leader itself."""
        return self.pod is not None and is_leader(self.pod)

    @property
    def failure(self) -> bool:
        """Whether this counts as a failure (spec 9.1)."""
        return self.gone or self.lost or (self.pod is not None and failing(self.pod, self.settled))


def failing(pod: Pod, settled: int = 0) -> bool:
    """Whether a pod that is there counts as failed: being deleted, or with a restarted container (spec 9.1)."""
    return pod.metadata.deleting or container_restarted(pod, settled)


def container_restarted(pod: Pod, settled: int = 0) -> bool:
    """Whether some init or regular container restarted, in phase Running or Pending, beyond what is over."""
    return pod.status.phase in ("Running", "Pending") and restarts(pod) > settled


def pending(group_pods: Sequence[Pod], size: int) -> bool:
    """Whether the group has not started in full (spec 9.3, CD-38): fewer than ``size`` pods, or one of them Pending."""
    return len(group_pods) < size or any(pod.status.phase == "Pending" for pod in group_pods)


def belongs(pod: Pod, leader: Pod, worker_set: StatefulSet | None) -> bool:
    """Whether a worker is a member of this leader's group and not of an earlier one (spec 9.4).

    ``worker_set`` is the live StatefulSet that the worker's controller names.
    """
    owner = pod.metadata.controller
    if owner is None:
        return False
    if owner.kind == "Pod":
        return owner.name == leader.metadata.name and owner.uid == leader.metadata.uid
    return (
        owner.kind == "StatefulSet"
        and worker_set is not None
        and worker_set.metadata.name == owner.name
        and worker_set.metadata.uid == owner.uid
        and controlled_by(worker_set.metadata, leader)
    )


def tolerates(lws: LeaderWorkerSet) -> bool:
    """Whether failures of pods do nothing to their group, under the live policy."""
    return lws.spec.leader_worker_template.restart_policy not in (RECREATE_ON_RESTART, RECREATE_AFTER_START)


def judge(
    lws: LeaderWorkerSet,
    failed: Failed,
    leader: Pod | None,
    worker_set: StatefulSet | None,
    *,
    pending: bool,
    going: bool = False,
) -> Outcome:
    """The decision table of spec 9.2: first match wins.

    Args:
        lws: the live set; its live policy rules.
        failed: the pod in question.
        leader: the live leader of its group, or the pod itself.
        worker_set: the live StatefulSet of the leader's name.
        pending: whether the group has not started in full.
        going: we have asked for this leader's deletion already, and our caches may not know it yet.
    """
    policy = lws.spec.leader_worker_template.restart_policy
    if tolerates(lws):
        return Outcome.NO_POLICY
    if not failed.failure:
        return Outcome.NO_FAILURE
    after_start = lws.metadata.annotation(labels.RECREATE_GROUP_AFTER_START) is not None
    if (policy == RECREATE_AFTER_START or after_start) and pending:
        return Outcome.PENDING
    stale = _stale(failed, leader, worker_set)
    if stale is not None:
        return stale
    if leader is None or leader.metadata.deleting or going:
        return Outcome.GOING
    return Outcome.RECREATE


def _stale(failed: Failed, leader: Pod | None, worker_set: StatefulSet | None) -> Outcome | None:
    """Rows 4 to 7: the failed pod is a worker, and not of the group as it is now.

    A member that is gone is spoken for by the StatefulSet that made it.
    """
    if failed.pod is not None and is_leader(failed.pod):
        return None
    if parent_and_ordinal(failed.name)[1] < 0:
        return Outcome.NO_ORDINAL
    if leader is None:
        return Outcome.LEADER_GONE
    witness: Pod | StatefulSet | None = worker_set if failed.gone else failed.pod
    if witness is not None and revision_key(witness) != revision_key(leader):
        return Outcome.OTHER_REVISION
    if isinstance(witness, Pod):
        current = belongs(witness, leader, worker_set)
    else:
        current = witness is not None and controlled_by(witness.metadata, leader)
    return None if current else Outcome.STALE_MEMBER


def recreate(
    leader: Pod,
    failed: Failed,
    worker_set: StatefulSet | None,
    absent: Reference | None = None,
    told: EmitEvent | None = None,
) -> Delete:
    """Delete the leader that was judged and no successor of it; the rest of the group goes first (spec 9.5, CD-02).

    A worker's end counts only while the StatefulSet that spoke for it is there. One that is deleted in the background
    takes its pods along, and their end may be seen before its own; one in foreground deletion was there (spec 5.7).
    ``absent`` is the member that is gone: it may only have lost the label that the caches select by. ``told`` is the
    event beside event 14.
    """
    meta = leader.metadata
    index = meta.label(labels.GROUP_INDEX)
    recreated = events.group_recreated(failed.name, Reference.to(PODS, meta), index)
    witness = None
    if worker_set is not None and not worker_set.metadata.deleting and _spoken_for(failed):
        witness = Reference.to(STATEFULSETS, worker_set.metadata)
    return Delete(
        PODS,
        meta.namespace,
        meta.name,
        meta.uid,
        "Foreground",
        (recreated,) if told is None else (recreated, told),
        witness,
        absent if failed.gone else None,
    )


def over(pod: Pod) -> bool:
    """Whether the pod has ended and will not run again."""
    return pod.status.phase in ("Succeeded", "Failed")


def remove(leader: Pod) -> Delete:
    """Delete a leader that is over: unlike StatefulSets, ReplicaSets replace such a pod and let it lie (ND-21)."""
    meta = leader.metadata
    return Delete(PODS, meta.namespace, meta.name, meta.uid, "Foreground")


def _spoken_for(failed: Failed) -> bool:
    """Whether a StatefulSet made the pod a member of its group."""
    if failed.pod is None:
        return True
    owner = failed.pod.metadata.controller
    return not is_leader(failed.pod) and owner is not None and owner.kind == "StatefulSet"
