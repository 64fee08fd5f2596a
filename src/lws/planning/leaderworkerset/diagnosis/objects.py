"""What a diagnosis reads of Kubernetes objects: more than the controller caches of the same kinds.

`PodReport` is a `Pod` in every other respect, so the rules on group states hold for it too.
"""

from __future__ import annotations

from typing import Any

from lws.api.leaderworkerset.objects import ContainerState as PreviousState
from lws.api.leaderworkerset.objects import (
    Container,
    ContainerStateTerminated,
    ContainerStatus,
    Pod,
    PodGroup,
    PodGroupStatus,
    PodSpec,
    PodStatus,
)
from lws.apimachinery.objects import CachedStruct, Condition, ObjectMeta


class Metadata(ObjectMeta, frozen=True):
    """Metadata with what tells how an object ends."""

    finalizers: tuple[str, ...] | None = ()
    deletion_grace_period_seconds: int | None = None


class Waiting(CachedStruct, frozen=True):
    """A container that has not started, or not again."""

    reason: str = ""
    message: str = ""


class Terminated(ContainerStateTerminated, frozen=True):
    """A container that ended, with its last words."""

    message: str = ""


class ContainerState(PreviousState, frozen=True):
    """Exactly one member is set; none means waiting."""

    waiting: Waiting | None = None
    running: dict[str, Any] | None = None
    terminated: Terminated | None = None


class ContainerReport(ContainerStatus, frozen=True):
    """One container as its kubelet reports it."""

    ready: bool = False
    image: str = ""
    state: ContainerState | None = None
    last_state: ContainerState | None = None

    @property
    def waiting(self) -> Waiting | None:
        """The waiting state, if it is in one."""
        return self.state.waiting if self.state else None

    @property
    def terminated(self) -> Terminated | None:
        """How the present instance ended, if it did."""
        return self.state.terminated if self.state else None

    @property
    def last_terminated(self) -> Terminated | None:
        """How the present or, failing that, the previous instance ended."""
        return self.terminated or (self.last_state.terminated if self.last_state else None)


class SchedulingGate(CachedStruct, frozen=True):
    """Keeps the scheduler from looking at a pod."""

    name: str = ""


class ContainerSpec(Container, frozen=True):
    """A container by name and requests; a sidecar is an init container with restartPolicy Always."""

    restart_policy: str | None = None


class PodReportSpec(PodSpec, frozen=True):
    """What a diagnosis reads of a pod's spec."""

    scheduling_gates: tuple[SchedulingGate, ...] | None = ()
    init_containers: tuple[ContainerSpec, ...] | None = ()


class PodReportStatus(PodStatus, frozen=True):
    """What a diagnosis reads of a pod's status."""

    reason: str = ""
    message: str = ""
    init_container_statuses: tuple[ContainerReport, ...] | None = ()
    container_statuses: tuple[ContainerReport, ...] | None = ()


class PodReport(Pod, frozen=True):
    """A pod of the set."""

    metadata: Metadata
    spec: PodReportSpec = PodReportSpec()
    status: PodReportStatus = PodReportStatus()

    def condition(self, type_: str) -> Condition | None:
        """The condition of that type, if the pod has it."""
        return next((one for one in self.status.conditions or () if one.type == type_), None)

    @property
    def ready(self) -> bool:
        """Whether its Ready condition is True."""
        condition = self.condition("Ready")
        return condition is not None and condition.status == "True"


class NodeStatus(CachedStruct, frozen=True):
    """Conditions of a node."""

    conditions: tuple[Condition, ...] | None = ()


class NodeReport(CachedStruct, frozen=True):
    """A node with its conditions."""

    metadata: ObjectMeta
    status: NodeStatus = NodeStatus()

    @property
    def not_ready(self) -> Condition | None:
        """The Ready condition, unless it is True."""
        found = next((one for one in self.status.conditions or () if one.type == "Ready"), None)
        return found if found is not None and found.status != "True" else None


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

    metadata: ObjectMeta
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

    metadata: ObjectMeta
    status: WorkloadStatus = WorkloadStatus()

    def condition(self, type_: str) -> Condition | None:
        """The condition of that type, if it has one."""
        return next((one for one in self.status.conditions or () if one.type == type_), None)


class PodGroupReportStatus(PodGroupStatus, frozen=True):
    """Phase and conditions of a PodGroup."""

    conditions: tuple[Condition, ...] | None = ()


class PodGroupReport(PodGroup, frozen=True):
    """A PodGroup as its scheduler reports it."""

    status: PodGroupReportStatus = PodGroupReportStatus()

    @property
    def unschedulable(self) -> str:
        """Why its scheduler could not place it, by its condition; else empty."""
        found = (one for one in self.status.conditions or () if (one.type, one.status) == ("Unschedulable", "True"))
        return next((one.message for one in found), "")
