"""Snapshots for tests, and plans told in short."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from lws.api.disaggregatedset import labels, names
from lws.api.disaggregatedset.revision import revision_of
from lws.api.disaggregatedset.types import DisaggregatedSet
from lws.api.leaderworkerset.objects import Service
from lws.apimachinery.actions import Action, Create, Delete, EmitEvent, Patch
from lws.apimachinery.manifests import JSON
from lws.apimachinery.objects import ObjectMeta, OwnerReference
from lws.planning.disaggregatedset import sets
from lws.planning.disaggregatedset.children import manifest
from lws.planning.disaggregatedset.snapshots import Child, Snapshot
from tests.api.disaggregatedset.making import child as live_child

NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)
OLD: Final = "0ld00000"


def child(
    ds: DisaggregatedSet,
    role: str,
    replicas: int,
    *,
    revision: str = "",
    slice_: int | None = 0,
    ready: int | None = None,
    initial: str | None = None,
    created: str = "2026-01-01T00:00:00Z",
    deleting: bool = False,
    observed: int = 1,
) -> Child:
    """A child as the controller would have made it for this set, all groups ready unless told otherwise.

    Of a role that the set does not have, it is made like the first one. A ``slice_`` of None is release 0.9.0's.
    """
    index = next((place for place, each in enumerate(ds.spec.roles) if each.name == role), 0)
    revision = revision or revision_of(ds.raw_roles)
    body = manifest(ds, index, slice_ or 0, revision, replicas)
    body["metadata"]["labels"][labels.ROLE] = role
    body["metadata"]["name"] = names.child(ds.metadata.name, slice_ or 0, revision, role)
    if slice_ is None:
        del body["metadata"]["labels"][labels.SLICE]
        body["metadata"]["name"] = names.legacy_child(ds.metadata.name, revision, role)
    body["metadata"]["creationTimestamp"] = created
    if initial is not None:
        body["metadata"]["annotations"] = {labels.INITIAL_REPLICAS: initial}
    if deleting:
        body["metadata"]["deletionTimestamp"] = created
    count = replicas if ready is None else ready
    status = {
        "replicas": replicas,
        "readyReplicas": count,
        "updatedReplicas": replicas,
        "observedGeneration": observed,
    }
    return Child(live_child(body, status=status))


def service(owner: Child | None = None, *, uid: str = "uid-x", name: str = "", **told: str) -> Service:
    """The Service of a child, or one of this name with these labels; controlled by whom the UID tells."""
    found = {f"{labels.PREFIX}{key}": value for key, value in told.items()}
    if owner is not None:
        keys = (labels.NAME, labels.ROLE, labels.SLICE, labels.REVISION)
        found = {key: value for key in keys if (value := owner.lws.metadata.label(key))} | found
    owners = (OwnerReference(kind="DisaggregatedSet", name="x", uid=uid, controller=True),) if uid else ()
    meta = ObjectMeta(
        name=name or (names.service(owner.name) if owner is not None else ""),
        namespace="default",
        uid="uid-service",
        labels=found,
        owner_references=owners,
    )
    return Service(metadata=meta)


def snapshot(ds: DisaggregatedSet, *children: Child, **more: Any) -> Snapshot:
    """A snapshot whose target is the set's own revision."""
    return Snapshot(**{"ds": ds, "target": revision_of(ds.raw_roles), "children": children, **more})


def planned(found: Snapshot) -> list[str]:
    """Everything that a pass would do before it tells the status."""
    plan = sets.plan(found, NOW)
    return told([action for part in plan.parts for action in part.actions])


def told(actions: Iterable[Action]) -> list[str]:
    """Actions in short, each event after what it tells of."""
    return [line for action in actions for line in _told(action)]


def _told(action: Action) -> Sequence[str]:
    match action:
        case EmitEvent(reason=reason):
            return [f"event {reason}"]
        case Create(resource=resource, manifest=body, on_success=events):
            replicas = body["spec"].get("replicas")
            shown = f"create {resource.kind} {body['metadata']['name']}"
            return [shown if replicas is None else f"{shown} {replicas}", *(f"event {each.reason}" for each in events)]
        case Delete(resource=resource, name=name, on_success=events):
            return [f"delete {resource.kind} {name}", *(f"event {each.reason}" for each in events)]
        case Patch(name=name, change=change, on_success=events):
            return [f"patch {name} {_change(change)}", *(f"event {each.reason}" for each in events)]
    raise AssertionError(action)


def _change(change: JSON) -> str:
    spec = change.get("spec", {})
    if "rolloutStrategy" in spec:
        return f"{spec['replicas']} loosened"
    return str(spec["replicas"]) if spec else f"initial {change['metadata']['annotations'][labels.INITIAL_REPLICAS]}"
