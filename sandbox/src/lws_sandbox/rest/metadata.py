"""What every object has: its metadata, filled in and checked as k8s.io/apiserver `registry/rest` does."""

from __future__ import annotations

import uuid
from datetime import datetime
from random import Random
from typing import Final

from lws.apimachinery.manifests import JSON
from lws_sandbox import naming
from lws_sandbox.status import Cause, Causes

GENERATED: Final = "bcdfghjklmnpqrstvwxz2456789"
STANDARD_FINALIZERS: Final = ("orphan", "foregroundDeletion", "kubernetes")
ANNOTATIONS_LIMIT: Final = 256 * 1024


def timestamp(now: datetime) -> str:
    """RFC 3339 to the second, as metadata carries it."""
    return now.strftime("%Y-%m-%dT%H:%M:%SZ")


def generated_name(base: str, random: Random) -> str:
    """A name that begins with ``base``, cut so that five random characters fit into 63."""
    return base[:58] + "".join(random.choices(GENERATED, k=5))


def new_uid(random: Random) -> str:
    """A version 4 UUID from the server's source of randomness."""
    return str(uuid.UUID(int=random.getrandbits(128), version=4))


def drop_unwritable(metadata: JSON) -> None:
    """Drop what no client can write at creation."""
    for member in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"):
        metadata.pop(member, None)


def fill_in(metadata: JSON, now: datetime, random: Random) -> None:
    """What the server decides at creation; what a client sent in these members is dropped."""
    drop_unwritable(metadata)
    metadata["uid"] = new_uid(random)
    metadata["creationTimestamp"] = timestamp(now)


def dedupe_owners(metadata: JSON) -> list[str]:
    """Drop owner references that are there twice, in place; returns the warnings."""
    owners = metadata.get("ownerReferences")
    if not owners:
        return []
    kept: list[JSON] = []
    twice: list[str] = []
    for owner in owners:
        if owner in kept:
            twice.append(owner.get("uid", ""))
        else:
            kept.append(owner)
    if not twice:
        return []
    metadata["ownerReferences"] = kept
    observed = ", ".join(twice)
    return [
        (
            ".metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and "
            "may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: "
            + observed
        )
    ]


def validate(metadata: JSON, name_errors: list[str], *, custom: bool = False) -> list[Cause]:
    """What is wrong with the metadata of a new object; ``name_errors`` come from the rule of its kind."""
    causes = Causes()
    name = metadata.get("name") or ""
    if not name:
        causes.required("metadata.name", "name or generateName is required")
    else:
        for why in name_errors:
            causes.invalid("metadata.name", name, why)
    _common(metadata, causes, custom=custom)
    return causes.found


def validate_labels(labels: JSON | None, path: str, causes: Causes) -> None:
    """Keys and values of labels."""
    for key, value in (labels or {}).items():
        for why in naming.qualified_name(key):
            causes.invalid(path, key, why)
        for why in naming.label_value(value):
            causes.invalid(path, value, why)


def validate_annotations(annotations: JSON | None, path: str, causes: Causes) -> None:
    """Keys of annotations, and their size all together."""
    size = 0
    for key, value in (annotations or {}).items():
        for why in naming.qualified_name(key.lower()):
            causes.invalid(path, key, why)
        size += len(key.encode()) + len(value.encode())
    if size > ANNOTATIONS_LIMIT:
        causes.add("FieldValueTooLong", path, f"Too long: may not be more than {ANNOTATIONS_LIMIT} bytes")


def _common(metadata: JSON, causes: Causes, *, custom: bool) -> None:
    generation = metadata.get("generation")
    if isinstance(generation, int) and generation < 0:
        causes.invalid("metadata.generation", generation, "must be greater than or equal to 0")
    validate_labels(metadata.get("labels"), "metadata.labels", causes)
    validate_annotations(metadata.get("annotations"), "metadata.annotations", causes)
    _owners(metadata.get("ownerReferences") or [], causes)
    _finalizers(metadata.get("finalizers") or [], causes, custom=custom)


def _owners(owners: list[JSON], causes: Causes) -> None:
    path = "metadata.ownerReferences"
    controllers: list[str] = []
    for owner in owners:
        version = owner.get("apiVersion", "")
        group, slash, bare = version.partition("/")
        if not slash:
            group, bare = "", version
        if "/" in bare:
            group, bare = "", ""
        if not bare:
            causes.invalid(f"{path}.apiVersion", version, "version must not be empty")
        for member in ("kind", "name", "uid"):
            if not owner.get(member):
                causes.invalid(f"{path}.{member}", owner.get(member, ""), "must not be empty")
        if (group, bare, owner.get("kind")) in (("", "v1", "Event"), ("events.k8s.io", "v1", "Event")):
            causes.invalid(path, owner, f"{group}/{bare}, Kind=Event is disallowed from being an owner")
        if owner.get("controller") is True:
            controllers.append(f"{owner.get('kind')}/{owner.get('name')}")
    if len(controllers) > 1:
        found = f'Found "true" in references for {controllers[0]} and {controllers[1]}'
        causes.invalid(path, owners, f"Only one reference can have Controller set to true. {found}")


def _finalizers(finalizers: list[str], causes: Causes, *, custom: bool) -> None:
    path = "metadata.finalizers"
    for index, finalizer in enumerate(finalizers):
        for why in naming.qualified_name(finalizer):
            causes.invalid(path, finalizer, why)
        if not custom and "/" not in finalizer and finalizer not in STANDARD_FINALIZERS:
            why = "name is neither a standard finalizer name nor is it fully qualified"
            causes.invalid(f"{path}[{index}]", finalizer, why)
    if {"orphan", "foregroundDeletion"} <= set(finalizers):
        causes.invalid(path, finalizers, "finalizer orphan and foregroundDeletion cannot be both set")


def finalizer_warnings(metadata: JSON, old: JSON | None) -> list[str]:
    """Custom objects may have finalizers of any form, but are warned of short ones."""
    before = set((old or {}).get("finalizers") or [])
    return [
        f'metadata.finalizers: "{name}": prefer a domain-qualified finalizer name to avoid accidental conflicts with '
        "other finalizer writers"
        for name in metadata.get("finalizers") or []
        if "/" not in name and name not in STANDARD_FINALIZERS and name not in before
    ]


def keep_system_fields(new: JSON, old: JSON) -> None:
    """What no update may change, taken from the old metadata (`rest.BeforeUpdate`)."""
    if not new.get("uid"):
        new["uid"] = old.get("uid")
    if not new.get("name"):
        new["name"] = old.get("name")
    if "creationTimestamp" in old:
        new["creationTimestamp"] = old["creationTimestamp"]
    if old.get("deletionTimestamp"):
        new["deletionTimestamp"] = old["deletionTimestamp"]
        if "deletionGracePeriodSeconds" in old and new.get("deletionGracePeriodSeconds") is None:
            new["deletionGracePeriodSeconds"] = old["deletionGracePeriodSeconds"]
    new.pop("selfLink", None)
    if "generation" in old:
        new["generation"] = old["generation"]
    else:
        new.pop("generation", None)


def validate_update(new: JSON, old: JSON, *, custom: bool = False) -> list[Cause]:
    """What may not change in metadata, and what is wrong with what did."""
    causes = Causes()
    if old.get("deletionTimestamp"):
        before = old.get("finalizers") or []
        added = sorted(set(new.get("finalizers") or []) - set(before))
        if added:
            listed = ", ".join(f'"{name}"' for name in added)
            causes.forbidden(
                "metadata.finalizers",
                "no new finalizers can be added if the object is being deleted, "
                f"found new finalizers []string{{{listed}}}",
            )
    for member in ("name", "namespace", "uid", "creationTimestamp"):
        if (new.get(member) or "") != (old.get(member) or ""):
            causes.invalid(f"metadata.{member}", new.get(member) or "", "field is immutable")
    for member in ("deletionTimestamp", "deletionGracePeriodSeconds"):
        if new.get(member) != old.get(member):
            causes.invalid(f"metadata.{member}", new.get(member), "field is immutable")
    _common(new, causes, custom=custom)
    return causes.found
