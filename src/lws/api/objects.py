"""Objects as the caches hold them: typed, frozen, and only the members that some planner reads.

Everything is a frozen `msgspec.Struct` decoded straight from the wire; unknown members are skipped without being built.
The LeaderWorkerSet itself is declared in `lws.api.types`.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec


class _Slim(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, gc=False, kw_only=True):
    """Shape of every cached object."""


class OwnerReference(_Slim, frozen=True):
    """One owner of an object."""

    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = False
    api_version: str = ""


class ObjectMeta(_Slim, frozen=True):
    """The metadata that planners read. Absent members read as empty."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: tuple[OwnerReference, ...] | None = ()

    def label(self, key: str) -> str:
        """The label's value, or the empty string."""
        return (self.labels or {}).get(key, "")

    def annotation(self, key: str) -> str | None:
        """The annotation's value, or None when it is absent."""
        return (self.annotations or {}).get(key)

    @property
    def controller(self) -> OwnerReference | None:
        """The owner that controls this object, if any."""
        return next((owner for owner in self.owner_references or () if owner.controller), None)

    @property
    def key(self) -> tuple[str, str]:
        """(namespace, name)."""
        return (self.namespace, self.name)

    @property
    def deleting(self) -> bool:
        """Whether deletion has begun."""
        return self.deletion_timestamp is not None


class Object(Protocol):
    """What every cached object has."""

    @property
    def metadata(self) -> ObjectMeta:
        """Identity, ownership, labels."""
        ...


class Condition(_Slim, frozen=True):
    """A condition of any object."""

    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""
    last_transition_time: str | None = None
    observed_generation: int = 0


class ResourceRequirements(_Slim, frozen=True):
    """Requests and limits of a container; quantities as written."""

    limits: dict[str, str | int | float] | None = None
    requests: dict[str, str | int | float] | None = None


class Container(_Slim, frozen=True):
    """What a planner reads of a container."""

    name: str = ""
    resources: ResourceRequirements | None = None


class PodSpec(_Slim, frozen=True):
    """What a planner reads of a pod's spec."""

    node_name: str = ""
    containers: tuple[Container, ...] | None = ()
    init_containers: tuple[Container, ...] | None = ()


class ContainerStatus(_Slim, frozen=True):
    """How often a container was restarted."""

    name: str = ""
    restart_count: int = 0


class PodStatus(_Slim, frozen=True):
    """What a planner reads of a pod's status."""

    phase: str = ""
    conditions: tuple[Condition, ...] | None = ()
    init_container_statuses: tuple[ContainerStatus, ...] | None = ()
    container_statuses: tuple[ContainerStatus, ...] | None = ()


class Pod(_Slim, frozen=True):
    """A pod of some LeaderWorkerSet."""

    metadata: ObjectMeta
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()


class LabelSelector(_Slim, frozen=True):
    """A selector by equality."""

    match_labels: dict[str, str] | None = None


class RollingUpdate(_Slim, frozen=True):
    """Partition and budget of a StatefulSet's rolling update."""

    partition: int | None = None
    max_unavailable: int | str | None = None


class UpdateStrategy(_Slim, frozen=True):
    """How a StatefulSet replaces its pods."""

    type: str = ""
    rolling_update: RollingUpdate | None = None


class StatefulSetSpec(_Slim, frozen=True):
    """What a planner reads of a StatefulSet's spec."""

    replicas: int | None = None
    service_name: str = ""
    selector: LabelSelector | None = None
    update_strategy: UpdateStrategy | None = None


class StatefulSetStatus(_Slim, frozen=True):
    """What a planner reads of a StatefulSet's status."""

    observed_generation: int = 0
    replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    current_revision: str = ""
    update_revision: str = ""


class StatefulSet(_Slim, frozen=True):
    """A leader or worker StatefulSet."""

    metadata: ObjectMeta
    spec: StatefulSetSpec = StatefulSetSpec()
    status: StatefulSetStatus = StatefulSetStatus()


class ServiceSpec(_Slim, frozen=True):
    """What a planner reads of a Service's spec."""

    cluster_ip: str = msgspec.field(name="clusterIP", default="")
    selector: dict[str, str] | None = None


class Service(_Slim, frozen=True):
    """A headless Service."""

    metadata: ObjectMeta
    spec: ServiceSpec = ServiceSpec()


class ControllerRevision(_Slim, frozen=True, gc=True):
    """A stored revision; ``data`` is its JSON as the server sent it."""

    metadata: ObjectMeta
    revision: int = 0
    data: Any = None


class Node(_Slim, frozen=True):
    """A node: its labels place groups."""

    metadata: ObjectMeta


class PodGroup(_Slim, frozen=True):
    """A gang, known by its name and owner."""

    metadata: ObjectMeta
