"""The Services of a slice: one for each child once its revision serves (disaggregatedset 5.8, DD-11 to DD-14)."""

from __future__ import annotations

from collections.abc import Mapping

from lws.api.disaggregatedset import labels, names
from lws.api.leaderworkerset.objects import Service
from lws.apimachinery.actions import Action, Create, Delete, EmitEvent
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import SERVICES
from lws.planning.disaggregatedset import events
from lws.planning.disaggregatedset.children import owners
from lws.planning.disaggregatedset.snapshots import Child, SliceView, Snapshot, slice_of


def plan(snapshot: Snapshot, view: SliceView, wanted: Mapping[str, int]) -> tuple[Action, ...]:
    """Services of the target revision once each of its roles has a ready group; none of drained children from then on.

    Args:
        snapshot: the set.
        view: the slice.
        wanted: replicas of every role.
    """
    serving = _serving(view, wanted)
    existing = {service.metadata.name: service for service in snapshot.services}
    actions: list[Action] = []
    if serving:
        for role in snapshot.ds.spec.roles:
            child = view.target.get(role.name)
            actions += _ensure(snapshot, child, existing) if child is not None else ()
    kept = {names.service(child.name) for child in (*view.old, *view.going) if child.replicas or not serving}
    kept |= {names.service(child.name) for child in view.target.values()}
    kept |= {names.service(name) for name in _expected(snapshot, view)}
    for service in snapshot.services:
        if slice_of(service.metadata) == view.index and service.metadata.name not in kept:
            actions += delete(snapshot, service)
    return tuple(actions)


def delete(snapshot: Snapshot, service: Service) -> tuple[Delete, ...]:
    """Delete a Service if it is the set's, or one of its children's, and not going anyway (DD-13)."""
    meta = service.metadata
    if meta.deleting or not snapshot.controls(meta):
        return ()
    return (Delete(SERVICES, meta.namespace, meta.name, meta.uid),)


def selects(selector: Mapping[str, str] | None, child_labels: Mapping[str, str]) -> bool:
    """Whether a Service selects what the child's own is to select."""
    return dict(selector or {}) == dict(child_labels)


def _serving(view: SliceView, wanted: Mapping[str, int]) -> bool:
    roles = [role for role, count in wanted.items() if count > 0]
    ready = (view.target[role].lws.status.ready_replicas if role in view.target else 0 for role in roles)
    return bool(roles) and all(ready)


def _expected(snapshot: Snapshot, view: SliceView) -> list[str]:
    """Names of target children that are missing for the moment."""
    ds = snapshot.ds
    missing = (role.name for role in ds.spec.roles if role.name not in view.target)
    return [names.child(ds.metadata.name, view.index, snapshot.target, role) for role in missing]


def _ensure(snapshot: Snapshot, child: Child, existing: Mapping[str, Service]) -> tuple[Action, ...]:
    name = names.service(child.name)
    live = existing.get(name)
    manifest = _manifest(snapshot, child)
    if live is None:
        foreign: tuple[EmitEvent, ...] = (events.service_conflict(name),)
        return (Create(SERVICES, manifest, on_foreign=foreign),)
    if snapshot.controls(live.metadata) or selects(live.spec.selector, manifest["spec"]["selector"]):
        return ()
    return (events.service_conflict(name, live.metadata.uid),)


def _manifest(snapshot: Snapshot, child: Child) -> JSON:
    meta = child.lws.metadata
    keys = (labels.NAME, labels.ROLE, labels.SLICE, labels.REVISION)
    selector = {key: meta.label(key) for key in keys if meta.label(key)}
    return {
        "apiVersion": SERVICES.api_version,
        "kind": SERVICES.kind,
        "metadata": {
            "name": names.service(child.name),
            "namespace": meta.namespace,
            "labels": selector,
            "ownerReferences": owners(snapshot.ds),
        },
        "spec": {"clusterIP": "None", "selector": dict(selector)},
    }
