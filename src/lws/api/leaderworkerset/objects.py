"""The Kubernetes objects that a LeaderWorkerSet's planners read, with only the members they read.

The LeaderWorkerSet itself is declared in `lws.api.leaderworkerset.types`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from lws.api.leaderworkerset import labels
from lws.apimachinery.objects import CachedStruct, Condition, ObjectMeta


class ResourceRequirements(CachedStruct, frozen=True):
    """Requests and limits of a container; quantities as written."""

    limits: dict[str, str | int | float] | None = None
    requests: dict[str, str | int | float] | None = None


class Container(CachedStruct, frozen=True):
    """What a planner reads of a container; a sidecar is an init container with restartPolicy Always."""

    name: str = ""
    resources: ResourceRequirements | None = None
    restart_policy: str | None = None


class SchedulingGate(CachedStruct, frozen=True):
    """Keeps the scheduler from looking at a pod."""

    name: str = ""


class PodSchedulingGroup(CachedStruct, frozen=True):
    """The PodGroup of ``scheduling.k8s.io`` that a pod belongs to."""

    pod_group_name: str = ""


class Toleration(CachedStruct, frozen=True):
    """A taint that a pod puts up with; without a key every taint, without an effect every effect."""

    key: str = ""
    operator: str = ""
    value: str = ""
    effect: str = ""


class PodSpec(CachedStruct, frozen=True):
    """What a planner reads of a pod's spec."""

    node_name: str = ""
    hostname: str = ""
    subdomain: str = ""
    scheduler_name: str = ""
    scheduling_gates: tuple[SchedulingGate, ...] | None = ()
    scheduling_group: PodSchedulingGroup | None = None
    containers: tuple[Container, ...] | None = ()
    init_containers: tuple[Container, ...] | None = ()
    tolerations: tuple[Toleration, ...] | None = ()
    priority: int | None = None


class Waiting(CachedStruct, frozen=True):
    """A container that has not started, or not again."""

    reason: str = ""
    message: str = ""


class ContainerStateTerminated(CachedStruct, frozen=True):
    """A container that ended, with its last words. The kubelet of 1.36 shows this state during back-off too."""

    exit_code: int = 0
    signal: int = 0
    reason: str = ""
    message: str = ""
    started_at: str | None = None
    finished_at: str | None = None


class ContainerState(CachedStruct, frozen=True):
    """Exactly one member is set; none means waiting."""

    waiting: Waiting | None = None
    running: dict[str, Any] | None = None
    terminated: ContainerStateTerminated | None = None


class ContainerStatus(CachedStruct, frozen=True):
    """One container as its kubelet reports it."""

    name: str = ""
    ready: bool = False
    image: str = ""
    restart_count: int = 0
    state: ContainerState | None = None
    last_state: ContainerState | None = None

    @property
    def waiting(self) -> Waiting | None:
        """The waiting state, if it is in one."""
        return self.state.waiting if self.state else None

    @property
    def terminated(self) -> ContainerStateTerminated | None:
        """How the present instance ended, if it did."""
        return self.state.terminated if self.state else None

    @property
    def last_terminated(self) -> ContainerStateTerminated | None:
        """How the present or, failing that, the previous instance ended."""
        return self.terminated or (self.last_state.terminated if self.last_state else None)


class PodStatus(CachedStruct, frozen=True):
    """What a planner reads of a pod's status."""

    phase: str = ""
    reason: str = ""
    message: str = ""
    conditions: tuple[Condition, ...] | None = ()
    init_container_statuses: tuple[ContainerStatus, ...] | None = ()
    container_statuses: tuple[ContainerStatus, ...] | None = ()


class Pod(CachedStruct, frozen=True):
    """A pod of some LeaderWorkerSet."""

    metadata: ObjectMeta
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()

    def condition(self, type_: str) -> Condition | None:
        """The condition of that type, if the pod has it."""
        return next((one for one in self.status.conditions or () if one.type == type_), None)

    @property
    def ready(self) -> bool:
        """Whether its Ready condition is True."""
        condition = self.condition("Ready")
        return condition is not None and condition.status == "True"


class LabelRequirement(CachedStruct, frozen=True):
    """One expression of a selector."""

    key: str = ""
    operator: str = ""
    values: tuple[str, ...] | None = ()


class LabelSelector(CachedStruct, frozen=True):
    """A selector by labels; one that says nothing selects everything."""

    match_labels: dict[str, str] | None = None
    match_expressions: tuple[LabelRequirement, ...] | None = ()


class RollingUpdate(CachedStruct, frozen=True):
    """Partition and budget of a StatefulSet's rolling update."""

    partition: int | None = None
    max_unavailable: int | str | None = None


class UpdateStrategy(CachedStruct, frozen=True):
    """How a StatefulSet replaces its pods."""

    type: str = ""
    rolling_update: RollingUpdate | None = None


class TemplateAnnotations(CachedStruct, frozen=True):
    """The annotations of a pod template that a planner reads."""

    size: str = msgspec.field(name=labels.SIZE, default="")
    pod_group: str = msgspec.field(name=labels.POD_GROUP_NAME, default="")


class TemplateMeta(CachedStruct, frozen=True):
    """The metadata of a pod template."""

    annotations: TemplateAnnotations | None = None


class PodTemplate(CachedStruct, frozen=True):
    """What a planner reads of a StatefulSet's pod template."""

    metadata: TemplateMeta = TemplateMeta()


class StatefulSetSpec(CachedStruct, frozen=True):
    """What a planner reads of a StatefulSet's spec."""

    replicas: int | None = None
    service_name: str = ""
    selector: LabelSelector | None = None
    update_strategy: UpdateStrategy | None = None
    template: PodTemplate = PodTemplate()


class StatefulSetStatus(CachedStruct, frozen=True):
    """What a planner reads of a StatefulSet's status."""

    observed_generation: int = 0
    replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    current_revision: str = ""
    update_revision: str = ""


class StatefulSet(CachedStruct, frozen=True):
    """A leader or worker StatefulSet.

    ``document`` is the whole object, packed (`lws.apimachinery.packing`), of a leader StatefulSet; else empty. What is
    applied to it is compared with that after a start.
    """

    metadata: ObjectMeta
    spec: StatefulSetSpec = StatefulSetSpec()
    status: StatefulSetStatus = StatefulSetStatus()
    document: bytes = b""


class DeploymentSpec(CachedStruct, frozen=True):
    """What a planner reads of a Deployment's spec."""

    replicas: int | None = None
    selector: LabelSelector | None = None


class DeploymentStatus(CachedStruct, frozen=True):
    """What a planner reads of a Deployment's status."""

    observed_generation: int = 0
    replicas: int = 0
    ready_replicas: int = 0
    updated_replicas: int = 0


class Deployment(CachedStruct, frozen=True):
    """A leader Deployment (next 3.3)."""

    metadata: ObjectMeta
    spec: DeploymentSpec = DeploymentSpec()
    status: DeploymentStatus = DeploymentStatus()


class ServiceSpec(CachedStruct, frozen=True):
    """What a planner reads of a Service's spec."""

    cluster_ip: str = msgspec.field(name="clusterIP", default="")
    selector: dict[str, str] | None = None


class Service(CachedStruct, frozen=True):
    """A headless Service."""

    metadata: ObjectMeta
    spec: ServiceSpec = ServiceSpec()


class ControllerRevision(CachedStruct, frozen=True, gc=True):
    """A stored revision; ``data`` is its JSON as the server sent it."""

    metadata: ObjectMeta
    revision: int = 0
    data: Any = None


class Taint(CachedStruct, frozen=True):
    """Keeps pods that do not tolerate it off a node."""

    key: str = ""
    value: str = ""
    effect: str = ""
    time_added: str | None = None


class NodeSpec(CachedStruct, frozen=True):
    """What a planner reads of a node's spec."""

    unschedulable: bool = False
    taints: tuple[Taint, ...] | None = ()


class NodeStatus(CachedStruct, frozen=True):
    """Conditions of a node: Ready, and of the others those that are True."""

    conditions: tuple[Condition, ...] | None = ()


class Node(CachedStruct, frozen=True):
    """A node: its labels place groups, its readiness tells whether their pods are lost."""

    metadata: ObjectMeta
    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()

    def condition(self, type_: str) -> Condition | None:
        """The condition of that type, if the node has it; but for Ready, only while it is True."""
        return next((one for one in self.status.conditions or () if one.type == type_), None)

    @property
    def not_ready(self) -> Condition | None:
        """The Ready condition, unless it is True."""
        found = self.condition("Ready")
        return found if found is not None and found.status != "True" else None


class DisruptionBudgetSpec(CachedStruct, frozen=True):
    """What a planner reads of a disruption budget's spec."""

    selector: LabelSelector | None = None
    max_unavailable: int | str | None = None
    min_available: int | str | None = None
    unhealthy_pod_eviction_policy: str = ""


class DisruptionBudget(CachedStruct, frozen=True):
    """A PodDisruptionBudget, ours or anybody's."""

    metadata: ObjectMeta
    spec: DisruptionBudgetSpec = DisruptionBudgetSpec()


class Workload(CachedStruct, frozen=True, gc=True):
    """How a set's pods are placed together (next 7.4); ``spec`` as the server sent it."""

    metadata: ObjectMeta
    spec: Any = None


class SchedulingPodGroup(CachedStruct, frozen=True, gc=True):
    """Pods that are placed together, by the API of Kubernetes; ``spec`` as the server sent it."""

    metadata: ObjectMeta
    spec: Any = None


class PodGroupSpec(CachedStruct, frozen=True):
    """What of a PodGroup follows its group."""

    min_member: int = 0
    queue: str = ""


class PodGroupStatus(CachedStruct, frozen=True):
    """How far the scheduler is with a PodGroup; without a phase it has not looked at it."""

    phase: str = ""
    conditions: tuple[Condition, ...] | None = ()


class PodGroup(CachedStruct, frozen=True):
    """A gang."""

    metadata: ObjectMeta
    spec: PodGroupSpec = PodGroupSpec()
    status: PodGroupStatus = PodGroupStatus()

    @property
    def unschedulable(self) -> str:
        """Why its scheduler could not place it, by its condition; else empty."""
        found = (one for one in self.status.conditions or () if (one.type, one.status) == ("Unschedulable", "True"))
        return next((one.message for one in found), "")


def controlled_by(meta: ObjectMeta, pod: Pod) -> bool:
    """Whether the object's controller is this pod, by name and UID."""
    owner = meta.controller
    return (
        owner is not None and owner.kind == "Pod" and owner.name == pod.metadata.name and owner.uid == pod.metadata.uid
    )
