"""What a diagnosis reads of Kubernetes objects: what the controller caches, and what only a person's tool looks at."""

from __future__ import annotations

from lws.api.leaderworkerset.objects import ContainerStateTerminated as Terminated
from lws.api.leaderworkerset.objects import ContainerStatus as ContainerReport
from lws.api.leaderworkerset.objects import Node as NodeReport
from lws.api.leaderworkerset.objects import Pod as PodReport
from lws.apimachinery.objects import CachedStruct, Condition
from lws.apimachinery.objects import ObjectMeta as Metadata

__all__ = [
    "ContainerReport",
    "Event",
    "EventSeries",
    "Metadata",
    "NodeReport",
    "ObjectReference",
    "PodReport",
    "Terminated",
    "Workload",
    "WorkloadStatus",
]


class ObjectReference(CachedStruct, frozen=True, kw_only=False):
    """What an event is about."""

    kind: str = ""
    name: str = ""
    uid: str = ""


class EventSeries(CachedStruct, frozen=True):
    """Repetitions of an event."""

    last_observed_time: str | None = None


class Event(CachedStruct, frozen=True):
    """An event, by the core API."""

    metadata: Metadata
    type: str = ""
    reason: str = ""
    message: str = ""
    involved_object: ObjectReference = ObjectReference()
    related: ObjectReference | None = None
    first_timestamp: str | None = None
    last_timestamp: str | None = None
    event_time: str | None = None
    series: EventSeries | None = None

    @property
    def time(self) -> str:
        """When it was last seen, comparable as text; empty if nothing tells."""
        series = self.series.last_observed_time if self.series else None
        return series or self.last_timestamp or self.event_time or self.first_timestamp or ""


class WorkloadStatus(CachedStruct, frozen=True):
    """Conditions of a Workload."""

    conditions: tuple[Condition, ...] | None = ()


class Workload(CachedStruct, frozen=True):
    """A Workload of Kueue: what it admits as one."""

    metadata: Metadata
    status: WorkloadStatus = WorkloadStatus()

    def condition(self, type_: str) -> Condition | None:
        """The condition of that type, if it has one."""
        return next((one for one in self.status.conditions or () if one.type == type_), None)
