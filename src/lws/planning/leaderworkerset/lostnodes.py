"""Pods on nodes that nothing is heard of any more: when they are let go, and what forbids that (resilience 6.2).

What is written rests on a fresh read of pod and node; what the caches show only tells that it is time for one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lws.api.leaderworkerset.objects import Pod
from lws.apimachinery.actions import Delete, EmitEvent, Reference
from lws.apimachinery.conditions import timestamp
from lws.apimachinery.moments import after
from lws.apimachinery.resources import PODS
from lws.planning.leaderworkerset import events, recovery
from lws.planning.leaderworkerset.groups import marked
from lws.planning.leaderworkerset.nodes import mounts
from lws.planning.leaderworkerset.retention import held

if TYPE_CHECKING:
    from datetime import datetime

    from lws.planning.leaderworkerset.snapshots import GroupSnapshot

CLAIMS_REMEDY: Final = (
    "the old process may write still: if its machine is off, taint the node node.kubernetes.io/out-of-service, or"
    " delete the Node"
)
RECHECK: Final = 10.0  # seconds until a release is considered again that something passing forbade


@dataclass(frozen=True, slots=True)
class Standing:
    """What becomes of one pod.

    Attributes:
        again: in how many seconds to look again; None if nothing is awaited.
        ask: the pod that is to be read afresh before anything is decided.
        lost: whether it counts as failed, though nothing has deleted it yet.
        release: lets it go.
        told: why it is not let go.
    """

    again: float | None = None
    ask: Pod | None = None
    lost: bool = False
    release: Delete | None = None
    told: tuple[EmitEvent, ...] = ()


NOTHING: Final = Standing()


def look(snapshot: GroupSnapshot, pod: Pod | None) -> Standing:
    """What becomes of this pod of the group, if its node is lost and the set wants such pods to be let go."""
    lws, policy, seen = snapshot.lws, snapshot.policies.release_lost_nodes_after, snapshot.silent
    if lws is None or pod is None or seen is None or pod.spec.node_name not in seen.since:
        return NOTHING
    if held(pod) or (snapshot.leader is not None and marked(snapshot.leader)):
        return NOTHING  # what an exhausted group left is kept for people to look at (next 5.5)
    if not pod.metadata.deleting and recovery.tolerates(lws):
        return NOTHING  # its deletion by others will be seen
    since = seen.since[pod.spec.node_name]
    left = (after(since, policy.seconds) - snapshot.now).total_seconds()
    if left > 0:
        return Standing(again=left)
    reference = Reference.to(PODS, pod.metadata)
    if seen.doubtful:
        why = f"{seen.lost} of {seen.total} nodes are not ready, which tells of the control plane and not of nodes"
        return Standing(again=RECHECK, told=(events.not_released(reference, pod.spec.node_name, why, "doubtful"),))
    found = snapshot.reread.get(pod.metadata.uid)
    if found is None or (policy.any_claim and not found.fresh):
        return Standing(ask=pod)
    if found.claims and not policy.any_claim:
        why = f"{mounts(found.claims)}; {CLAIMS_REMEDY}"
        return Standing(told=(events.not_released(reference, pod.spec.node_name, why, "claims"),))
    if not found.same:
        return Standing(again=RECHECK)
    if not pod.metadata.deleting:
        return Standing(lost=True)
    return Standing(release=_release(pod, since))


def _release(pod: Pod, since: datetime) -> Delete:
    """Without grace, for nobody is there to end it; the pod that was judged and no other."""
    meta = pod.metadata
    told = events.released(Reference.to(PODS, meta), pod.spec.node_name, timestamp(since))
    return Delete(PODS, meta.namespace, meta.name, meta.uid, on_success=(told,), grace=0)
