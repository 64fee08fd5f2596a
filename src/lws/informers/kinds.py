"""How a resource is decoded into cached objects, and how small these are kept.

A controller declares the kinds it watches: `typed_kind` for a struct with the members it reads, `raw_kind` for whole
documents. Strings that many objects share (label keys and values, owners) are held once, and annotations that nobody
reads are not held at all; which are read is the declaring controller's to say.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar, cast

import msgspec
import orjson
from msgspec.structs import force_setattr

from lws.apimachinery.objects import CachedStruct, Condition, Object, ObjectMeta
from lws.apimachinery.packing import packed
from lws.apimachinery.resources import Resource
from lws.informers.decode import Decoder

T = TypeVar("T", bound=Object)
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
    """A resource, and how its objects are decoded; two kinds are the same only if they are one object.

    Of a kind with ``metadata_only`` the server is asked for nothing but metadata.
    """

    resource: Resource
    struct: Any
    finish: Callable[[Any], T]
    metadata_only: bool = False

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


class MetadataObject(CachedStruct, frozen=True):
    """The metadata of an object, which is all that was asked for."""

    metadata: ObjectMeta


def metadata_kind(resource: Resource) -> Kind[MetadataObject]:
    """Nothing but the metadata of any resource, for objects that are large or not to be read; one kind for each."""
    if resource not in _METADATA_KINDS:
        _METADATA_KINDS[resource] = Kind(resource, MetadataObject, _pooled_metadata, metadata_only=True)
    return _METADATA_KINDS[resource]


def _pooled_metadata(obj: MetadataObject) -> MetadataObject:
    pool_metadata(obj.metadata, every_annotation)
    return obj


def every_annotation(_: str) -> bool:
    """Keep all annotations."""
    return True


def no_annotation(_: str) -> bool:
    """Keep no annotation."""
    return False


def typed_kind(
    resource: Resource,
    struct: type[T],
    *,
    annotations: Callable[[str], bool],
    finish: Callable[[T], None] | None = None,
) -> Kind[T]:
    """Objects decoded into a struct, their metadata's strings pooled.

    Args:
        resource: what is watched.
        struct: a frozen `lws.apimachinery.objects.CachedStruct` with the members that are read.
        annotations: which annotations are kept, by key (`every_annotation`, `no_annotation`, or a predicate).
        finish: pools further strings of a new object, with `pool_member` and `pool_condition`.
    """

    def pooled(obj: T) -> T:
        pool_metadata(obj.metadata, annotations)
        if finish is not None:
            finish(obj)
        return obj

    return Kind(resource, struct, pooled)


def packed_kind(kind: Kind[T], *, whole: Callable[[T], bool]) -> Kind[T]:
    """A typed kind whose objects, as far as ``whole`` says, carry their whole document as well, packed.

    The struct has a member ``document`` of bytes for it.
    """
    decoder = msgspec.json.Decoder(kind.struct)

    def kept(raw: Any) -> T:
        obj: T = kind.finish(decoder.decode(raw))
        if whole(obj):
            force_setattr(cast("msgspec.Struct", obj), "document", packed(memoryview(raw)))
        return obj

    return Kind(kind.resource, msgspec.Raw, kept)


def pool_metadata(meta: ObjectMeta, keep: Callable[[str], bool]) -> None:
    """Share the strings of new metadata, and drop the annotations that ``keep`` does not ask for."""
    pool_member(meta, "namespace")
    if meta.labels:
        force_setattr(meta, "labels", {share(key): share(value) for key, value in meta.labels.items()})
    if meta.annotations and keep is not every_annotation:
        kept = {share(key): share(value) for key, value in meta.annotations.items() if keep(key)}
        force_setattr(meta, "annotations", kept or None)
    for owner in meta.owner_references or ():
        for member in ("kind", "name", "uid", "api_version"):
            pool_member(owner, member)


def pool_condition(condition: Condition) -> None:
    """Share the strings of a new condition."""
    for member in ("type", "status", "reason", "message"):
        pool_member(condition, member)


def pool_member(struct: msgspec.Struct, member: str) -> None:
    """Share one string member of a struct that was just decoded."""
    force_setattr(struct, member, share(getattr(struct, member)))


_RAW_KINDS: dict[Resource, Kind[RawObject]] = {}
_METADATA_KINDS: dict[Resource, Kind[MetadataObject]] = {}
