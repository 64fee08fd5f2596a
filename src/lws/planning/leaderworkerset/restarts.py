"""Restarts of containers that are over: they count no more as failures of their group (spec 9.1, L4).

A restart count stays above zero for the life of its pod. What was no failure under the policy of its time would become
one when the policy changes, or when a controller that remembers nothing looks at it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lws.api.leaderworkerset.objects import ContainerStatus, Pod
from lws.planning.leaderworkerset.members import Evidence


def statuses(pod: Pod) -> tuple[ContainerStatus, ...]:
    """The init and regular containers of a pod, as its kubelet reports them."""
    return (*(pod.status.init_container_statuses or ()), *(pod.status.container_statuses or ()))


def restarts(pod: Pod) -> int:
    """How often containers of the pod were restarted, all together."""
    return sum(each.restart_count for each in statuses(pod))


def settled(
    known: Mapping[str, int] | None, pods: Iterable[Pod], *, tolerated: bool, proof: Evidence | None
) -> dict[str, int]:
    """By pod UID, how many restarts are over.

    Args:
        known: what is remembered; None at the first look at a group.
        pods: the pods of the group that are there; of others nothing is kept.
        tolerated: under the policy of this moment restarts do nothing, so all that there are will never do.
        proof: when the group is known to have been complete. At the first look, restarts before that are over.
    """
    found = {}
    for pod in pods:
        count, uid = restarts(pod), pod.metadata.uid
        if count and (tolerated or (known is None and proof is not None and _ended_before(pod, proof.time))):
            found[uid] = count
        elif known is not None and uid in known:
            found[uid] = known[uid]
    return found


def _ended_before(pod: Pod, moment: str) -> bool:
    """Whether every container that was restarted ended, the last time, before this moment (RFC 3339 in UTC)."""
    ends = [
        "" if each.last_state is None or each.last_state.terminated is None else each.last_state.terminated.finished_at
        for each in statuses(pod)
        if each.restart_count
    ]
    return all(end and end < moment for end in ends)
