"""What the operator reads of users' LeaderWorkerSets, and how it counts it (operator 5.3)."""

from __future__ import annotations

from typing import Final

from lws.apimachinery.objects import CachedStruct, Condition, ObjectMeta
from lws.apimachinery.resources import Resource

LEADERWORKERSETS: Final = Resource("leaderworkerset.x-k8s.io", "v1", "leaderworkersets", "LeaderWorkerSet")


class WorkloadTemplate(CachedStruct, frozen=True):
    """The size of a group."""

    size: int = 1


class WorkloadSpec(CachedStruct, frozen=True):
    """How many groups are wanted."""

    replicas: int = 1
    leader_worker_template: WorkloadTemplate = WorkloadTemplate()


class WorkloadStatus(CachedStruct, frozen=True):
    """How many groups there are."""

    replicas: int = 0
    ready_replicas: int = 0
    updated_replicas: int = 0
    conditions: tuple[Condition, ...] | None = ()


class Workload(CachedStruct, frozen=True):
    """A LeaderWorkerSet of a user."""

    metadata: ObjectMeta
    spec: WorkloadSpec = WorkloadSpec()
    status: WorkloadStatus = WorkloadStatus()

    def is_true(self, condition: str) -> bool:
        """Whether a condition of this type is True."""
        return any(each.type == condition and each.status == "True" for each in self.status.conditions or ())
