"""What can be watched, and how small it is kept.

Strings that many objects share (label keys and values, names of nodes, owners, phases) are held once. Of annotations,
pods keep those that planners read; kinds whose annotations no planner reads keep none.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import msgspec
import orjson
from msgspec.structs import force_setattr

from lws.api import labels, objects, resources
from lws.api.objects import Condition, Object, ObjectMeta
from lws.api.resources import Resource
from lws.api.types import LeaderWorkerSet
from lws.informers.decode import Decoder

T = TypeVar("T", bound=Object)
S = TypeVar("S", bound=Object)
_MANY: Final = 1000  # references that a string that was just made does not have


def sharing(intern: Callable[[str], str]) -> Callable[[str], str]:
    """How equal strings are held once: by interning, unless that would keep them for ever.

    Early releases of Python 3.12 never free an interned string (python/cpython#113993). There each object keeps its
    own, for memory is to follow the objects that there are.
    """
    probe = intern("".join(("a string ", "of ours")))
    immortal = sys.getrefcount(probe) > _MANY
    return str if immortal else intern


share: Final = sharing(sys.intern)


@dataclass(frozen=True, slots=True, eq=False)
class Kind(Generic[T]):
    """A resource, and how its objects are decoded; two kinds are the same only if they are one object."""

    resource: Resource
    struct: Any
    finish: Callable[[Any], T]

    def decoder(self) -> Decoder[T]:
        """A new decoder."""
        return Decoder(self.struct, self.finish)

    def __str__(self) -> str:
        return str(self.resource)


class RawObject(msgspec.Struct, frozen=True):
    """An object with everything the server sent, as a plain dict that must not be changed."""

    metadata: ObjectMeta
    raw: dict[str, Any]


def raw_kind(resource: Resource) -> Kind[RawObject]:
    """Whole objects of any resource; one kind for equal resources."""
    if resource not in _RAW_KINDS:
        _RAW_KINDS[resource] = Kind(resource, msgspec.Raw, _raw_object)
    return _RAW_KINDS[resource]


def _raw_object(raw: Any) -> RawObject:
    document = orjson.loads(memoryview(raw))
    metadata = msgspec.convert(document.get("metadata") or {}, ObjectMeta)
    return RawObject(metadata, document)


def _leaderworkerset(raw: Any) -> LeaderWorkerSet:
    return LeaderWorkerSet.from_json(bytes(raw))


def _pod(pod: objects.Pod) -> objects.Pod:
    _pool_meta(pod.metadata, _pod_annotation)
    force_setattr(pod.spec, "node_name", share(pod.spec.node_name))
    force_setattr(pod.status, "phase", share(pod.status.phase))
    for condition in pod.status.conditions or ():
        _pool_condition(condition)
    return pod


def _everything(obj: S) -> S:
    _pool_meta(obj.metadata, None)
    return obj


def _labels_only(obj: S) -> S:
    _pool_meta(obj.metadata, _nothing)
    return obj


def _pool_meta(meta: ObjectMeta, keep: Callable[[str], bool] | None) -> None:
    """Share strings; ``keep`` chooses annotations, None keeps all of them as they are."""
    force_setattr(meta, "namespace", share(meta.namespace))
    if meta.labels:
        force_setattr(meta, "labels", {share(key): share(value) for key, value in meta.labels.items()})
    if meta.annotations and keep is not None:
        kept = {share(key): share(value) for key, value in meta.annotations.items() if keep(key)}
        force_setattr(meta, "annotations", kept or None)
    for owner in meta.owner_references or ():
        for member in ("kind", "name", "uid", "api_version"):
            force_setattr(owner, member, share(getattr(owner, member)))


def _pool_condition(condition: Condition) -> None:
    force_setattr(condition, "type", share(condition.type))
    force_setattr(condition, "status", share(condition.status))
    force_setattr(condition, "reason", share(condition.reason))
    force_setattr(condition, "message", share(condition.message))


def _pod_annotation(key: str) -> bool:
    return key.startswith(labels.PREFIX) or key == labels.POD_GROUP_NAME


def _nothing(_: str) -> bool:
    return False


_RAW_KINDS: dict[Resource, Kind[RawObject]] = {}

LEADERWORKERSETS: Kind[LeaderWorkerSet] = Kind(resources.LEADERWORKERSETS, msgspec.Raw, _leaderworkerset)
PODS: Kind[objects.Pod] = Kind(resources.PODS, objects.Pod, _pod)
STATEFULSETS: Kind[objects.StatefulSet] = Kind(resources.STATEFULSETS, objects.StatefulSet, _everything)
SERVICES: Kind[objects.Service] = Kind(resources.SERVICES, objects.Service, _labels_only)
CONTROLLERREVISIONS: Kind[objects.ControllerRevision] = Kind(
    resources.CONTROLLERREVISIONS, objects.ControllerRevision, _everything
)
NODES: Kind[objects.Node] = Kind(resources.NODES, objects.Node, _labels_only)
PODGROUPS: Kind[objects.PodGroup] = Kind(resources.PODGROUPS, objects.PodGroup, _labels_only)
