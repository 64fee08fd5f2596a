"""A group as the planners see it, and passes over it that keep its record."""

from __future__ import annotations

from typing import Any

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import Pod, StatefulSet
from lws.apimachinery.actions import Delete
from lws.planning.leaderworkerset.leader_pod import plan_leader_pod
from lws.planning.leaderworkerset.members import MemberRecord
from lws.planning.leaderworkerset.snapshots import GroupSnapshot
from lws.planning.leaderworkerset.worker_pod import plan_worker_pod
from tests.planning import making

AFTER_START = "RecreateGroupAfterStart"
ON_RESTART = "RecreateGroupOnPodRestart"
ANNOTATION = {"annotations": {labels.RECREATE_GROUP_AFTER_START: ""}}


class Group:
    """A complete group of three, ready, under a restart policy."""

    def __init__(self, policy: str = ON_RESTART, *, annotated: bool = False, status: dict[str, Any] | None = None):
        self.lws = making.lws(
            size=3, section={"restartPolicy": policy}, metadata=ANNOTATION if annotated else {}, status=status
        )
        self.key = making.key_of(self.lws)
        self.leader: Pod | None = making.leader(0, self.key, size=3)
        self.workers: list[Pod] = [making.worker(0, 1, self.key), making.worker(0, 2, self.key)]
        self.worker_set: StatefulSet | None = making.worker_set(0, self.key, size=3)
        self.record: MemberRecord | None = None
        self.going = ""
        self.leader_set = making.leader_set(self.key)
        self.extra: list[Pod] = []

    def snapshot(self) -> GroupSnapshot:
        """What the planner sees."""
        pods = [each for each in (self.leader, *self.workers) if each is not None]
        return GroupSnapshot(
            lws=self.lws,
            leader=self.leader,
            worker_statefulset=self.worker_set,
            leader_statefulset=self.leader_set,
            group_pods=(*pods, *self.extra),
            workers={each.metadata.name: each for each in self.workers},
            revisions=(making.revision(self.lws),),
            record=self.record,
            going=self.going,
        )

    def worker_pass(self, index: int = 1) -> list[Delete]:
        """One pass over a worker; its record is kept. The deletions of the plan."""
        name = f"sample-0-{index}"
        pod = next((each for each in self.workers if each.metadata.name == name), None)
        planned = plan_worker_pod(self.snapshot(), name, pod)
        self.record = planned.record
        return making.deleted(planned.plan)

    def leader_pass(self) -> list[Delete]:
        """One pass over the leader; its record is kept. The deletions of the plan."""
        planned = plan_leader_pod(self.snapshot())
        self.record = planned.record
        return making.deleted(planned.plan)


def worker(key: str, index: int = 1, **changes: Any) -> Pod:
    """A worker of group 0."""
    return making.worker(0, index, key, **changes)


FAILED: dict[str, Any] = {"restarts": 1}
GONE: dict[str, Any] = {"deletion_timestamp": making.STAMP}
