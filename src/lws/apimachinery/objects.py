"""What every cached object has: identity, ownership, labels, conditions.

Cached objects are frozen `msgspec.Struct`s decoded straight from the wire; members that a struct does not declare are
skipped without being built. Each API declares its own views on top of `CachedStruct`, with only the members it reads.
"""

from __future__ import annotations

from typing import Protocol, TypeAlias

import msgspec

Key: TypeAlias = tuple[str, str]
"""(namespace, name); the namespace is empty for cluster-scoped objects."""


class CachedStruct(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, gc=False, kw_only=True):
    """Base of every struct that a cache holds."""


class OwnerReference(CachedStruct, frozen=True):
    """One owner of an object."""

    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = False
    api_version: str = ""

    def as_json(self) -> dict[str, object]:
        """The reference as it is written."""
        out: dict[str, object] = {"apiVersion": self.api_version, "kind": self.kind, "name": self.name, "uid": self.uid}
        return {**out, "controller": True} if self.controller else out


class ObjectMeta(CachedStruct, frozen=True):
    """The metadata that planners read. Absent members read as empty."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    deletion_grace_period_seconds: int | None = None
    finalizers: tuple[str, ...] | None = ()
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

    def finalized_by(self, finalizer: str) -> bool:
        """Whether this finalizer holds the object."""
        return finalizer in (self.finalizers or ())

    @property
    def key(self) -> Key:
        """Where the object is."""
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


class Condition(CachedStruct, frozen=True):
    """A condition of any object."""

    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""
    last_transition_time: str | None = None
    observed_generation: int = 0
