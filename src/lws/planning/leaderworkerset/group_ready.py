"""The condition by which a leader tells that its whole group is ready (next 3.7).

It is a readiness gate of the leader, so that the Deployment that made the leader counts groups.
"""

from __future__ import annotations

from datetime import datetime

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import Pod, StatefulSet
from lws.apimachinery.actions import Patch
from lws.apimachinery.conditions import find, timestamp
from lws.apimachinery.objects import Condition
from lws.apimachinery.resources import PODS
from lws.planning.leaderworkerset.groups import workers_ready

READY = "WorkerStatefulSetReady"
NOT_READY = "WorkerStatefulSetNotReady"


def found(leader: Pod) -> Condition | None:
    """The condition, if the leader has it."""
    return find(leader.status.conditions or (), labels.GROUP_READY)


def plan(leader: Pod, workers: StatefulSet | None, now: datetime) -> tuple[Patch, ...]:
    """Write the condition if its status changes; other conditions are left alone.

    Args:
        leader: the leader pod.
        workers: its worker StatefulSet; None for one that this very pass creates.
        now: stamps the condition.
    """
    ready = workers is not None and workers_ready(workers)
    status, old = "True" if ready else "False", found(leader)
    if old is not None and old.status == status:
        return ()
    condition = {
        "type": labels.GROUP_READY,
        "status": status,
        "reason": READY if ready else NOT_READY,
        "lastTransitionTime": timestamp(now),
    }
    meta = leader.metadata
    change = {"status": {"conditions": [condition]}}
    return (Patch(PODS, meta.namespace, meta.name, meta.uid, change, subresource="status", strategic=True),)
