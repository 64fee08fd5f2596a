"""What a planner can ask for: a plan is a tuple of these values, empty when the world is as desired.

An executor (`lws.reconcilers.apply`) runs them in order and stops at the first failure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from lws.api.objects import ObjectMeta
from lws.api.resources import Resource

JSON: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reference:
    """Names an object that may not exist yet; the executor fills in uid and resourceVersion from what it wrote."""

    resource: Resource
    namespace: str
    name: str
    uid: str = ""
    resource_version: str = ""

    @classmethod
    def to(cls, resource: Resource, meta: ObjectMeta) -> Reference:
        """Refer to a live object."""
        return cls(resource, meta.namespace, meta.name, meta.uid, meta.resource_version)


@dataclass(frozen=True, slots=True)
class EmitEvent:
    """Record an event about the LeaderWorkerSet (spec 12). In a note of ``on_failure``, ``{error}`` is the cause."""

    type: Literal["Normal", "Warning"]
    reason: str
    action: str
    note: str
    related: Reference | None = None


@dataclass(frozen=True, slots=True)
class Create:
    """Create an object; if the name is taken by one of ours, that is success.

    ``owner_uid`` is the UID that the controller of an existing object must have to count as ours.
    """

    resource: Resource
    manifest: JSON
    owner_uid: str = ""
    on_success: tuple[EmitEvent, ...] = ()
    on_failure: tuple[EmitEvent, ...] = ()


@dataclass(frozen=True, slots=True)
class Apply:
    """Server-side apply with field manager ``lws`` and force (spec 5.3)."""

    resource: Resource
    manifest: JSON
    on_success: tuple[EmitEvent, ...] = ()
    on_failure: tuple[EmitEvent, ...] = ()


@dataclass(frozen=True, slots=True)
class MergePatch:
    """JSON merge patch of one object, guarded by its resourceVersion when the patch carries one."""

    resource: Resource
    namespace: str
    name: str
    patch: JSON
    subresource: str = ""


@dataclass(frozen=True, slots=True)
class UpdateStatus:
    """Write the whole status with optimistic locking (spec 8.3.6)."""

    resource: Resource
    namespace: str
    name: str
    resource_version: str
    status: Mapping[str, Any]
    on_success: tuple[EmitEvent, ...] = ()


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete one object, only if it still has this UID (CD-02); gone or replaced is success."""

    resource: Resource
    namespace: str
    name: str
    uid: str
    propagation: Literal["Foreground", "Background", "Orphan"] | None = None
    on_success: tuple[EmitEvent, ...] = ()


Action: TypeAlias = EmitEvent | Create | Apply | MergePatch | UpdateStatus | Delete


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do now, and when to look again if nothing happens first (seconds; None: only on an event).

    ``error`` is raised after the actions have run, so that the key is retried with back-off.
    """

    actions: tuple[Action, ...] = ()
    requeue_after: float | None = None
    error: str | None = None
