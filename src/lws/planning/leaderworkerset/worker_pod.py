"""What the end or failure of one worker pod means for its group (spec 5.5 steps 1 to 4)."""

from __future__ import annotations

from lws.api.leaderworkerset.objects import Pod
from lws.apimachinery.actions import DONE
from lws.planning.leaderworkerset import lostnodes, retention
from lws.planning.leaderworkerset.failures import review
from lws.planning.leaderworkerset.leader_pod import GroupPlan, of_earlier_set, unlabelled
from lws.planning.leaderworkerset.snapshots import GroupSnapshot


def plan_worker_pod(snapshot: GroupSnapshot, name: str, pod: Pod | None) -> GroupPlan:
    """Plan one pass over a worker pod; None stands for one that is gone (CD-01)."""
    return _plan(snapshot, name, pod).on(lostnodes.look(snapshot, pod))


def _plan(snapshot: GroupSnapshot, name: str, pod: Pod | None) -> GroupPlan:
    if pod is not None:
        problem = unlabelled(pod)
        if problem is not None:
            return GroupPlan(problem, snapshot.record)
    released = retention.plan_worker(snapshot, pod)
    if released is not None:
        return GroupPlan(released, snapshot.record)
    lws, leader = snapshot.lws, snapshot.leader
    if lws is None or not snapshot.served:
        return GroupPlan(DONE, snapshot.record)
    if leader is not None and of_earlier_set(leader, lws, snapshot.leader_statefulset):
        return GroupPlan(DONE, snapshot.record)
    return GroupPlan.of(review(snapshot, name, pod))
