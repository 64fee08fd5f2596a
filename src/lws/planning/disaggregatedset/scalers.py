"""The scalers of External roles: one for each, its value used and its status told (disaggregatedset 8)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from lws.api.disaggregatedset import labels, names
from lws.api.disaggregatedset.resources import ROLESCALERS
from lws.api.disaggregatedset.types import DisaggregatedSet, DisaggregatedSetRoleScaler, Role
from lws.api.leaderworkerset import labels as lws_labels
from lws.apimachinery.actions import Action, Create, Delete, Patch
from lws.apimachinery.conditions import Wanted, as_json, with_condition
from lws.apimachinery.manifests import JSON
from lws.planning.disaggregatedset import events
from lws.planning.disaggregatedset.children import owners
from lws.planning.disaggregatedset.snapshots import Snapshot

_BOUND: Final = Wanted("Ready", "Bound", "Scaler bound to a live DisaggregatedSet role")


@dataclass(frozen=True, slots=True)
class Scales:
    """What came of a pass over the scalers.

    Attributes:
        replicas: wanted replicas of every External role that has a scaler, or gets one now.
        actions: creations, deletions and conflicts.
        used: the scalers that tell the replicas.
    """

    replicas: Mapping[str, int]
    actions: tuple[Action, ...]
    used: tuple[DisaggregatedSetRoleScaler, ...]


def plan(snapshot: Snapshot, now: datetime) -> Scales:
    """Give every External role its scaler, and take it from every other."""
    ds = snapshot.ds
    external = {role.name: role for role in ds.spec.roles if role.external}
    actions: list[Action] = []
    replicas: dict[str, int] = {}
    used: dict[str, DisaggregatedSetRoleScaler] = {}
    for scaler in sorted(snapshot.scalers, key=lambda each: each.metadata.name):
        meta, served = scaler.metadata, scaler.metadata.label(labels.ROLE)
        if served in external:
            used.setdefault(served, scaler)
        elif not meta.deleting:
            told = (events.scaler_deleted(meta.name, served),)
            actions.append(Delete(ROLESCALERS, meta.namespace, meta.name, meta.uid, on_success=told))
    for role in external.values():
        name = names.scaler(ds.metadata.name, role.name)
        foreign = snapshot.foreign_scalers.get(name)
        if role.name in used:
            replicas[role.name] = used[role.name].spec.replicas
        elif foreign is None:
            replicas[role.name] = seed(snapshot, role)
            actions.append(_create(ds, role, replicas[role.name]))
        elif not snapshot.inherited(foreign):
            actions.append(events.scaler_conflict(name, foreign.uid, now))
    return Scales(replicas, tuple(actions), tuple(used.values()))


def seed(snapshot: Snapshot, role: Role) -> int:
    """With how many replicas a new scaler begins: as many as the role has now (DD-17)."""
    view = snapshot.slices[0]
    old = [child for child in view.old if child.role == role.name]
    target = view.target.get(role.name)
    if target is None and not old:
        return 1
    return max(sum(child.initial for child in old), target.replicas if target is not None else 0)


def describe(snapshot: Snapshot, scaler: DisaggregatedSetRoleScaler, now: datetime) -> tuple[Patch, ...]:
    """Tell what an autoscaler reads; nothing if it is there already (DD-16)."""
    meta, told = scaler.metadata, scaler.status
    role = meta.label(labels.ROLE)
    status: JSON = {
        "replicas": sum(child.lws.status.replicas for child in snapshot.children if child.role == role),
        "selector": _selector(snapshot.ds, role),
        "observedGeneration": meta.generation,
    }
    before = {
        "replicas": told.replicas,
        "selector": told.selector,
        "observedGeneration": told.observed_generation,
    }
    change = {key: value for key, value in status.items() if value != before[key]}
    conditions = with_condition(told.conditions, _BOUND, meta.generation, now)
    if conditions != told.conditions:
        change["conditions"] = [as_json(each) for each in conditions]
    if not change or meta.deleting:
        return ()
    return (Patch(ROLESCALERS, meta.namespace, meta.name, meta.uid, {"status": change}, subresource="status"),)


def _selector(ds: DisaggregatedSet, role: str) -> str:
    leader = f"{lws_labels.WORKER_INDEX}={lws_labels.LEADER_INDEX}"
    return f"{labels.NAME}={ds.metadata.name},{labels.ROLE}={role},{leader}"


def _create(ds: DisaggregatedSet, role: Role, replicas: int) -> Create:
    name = names.scaler(ds.metadata.name, role.name)
    manifest: JSON = {
        "apiVersion": ROLESCALERS.api_version,
        "kind": ROLESCALERS.kind,
        "metadata": {
            "name": name,
            "namespace": ds.metadata.namespace,
            "labels": labels.scaler(ds.metadata.name, role.name),
            "ownerReferences": owners(ds, blocking=True),
        },
        "spec": {"replicas": replicas},
    }
    return Create(ROLESCALERS, manifest, on_success=(events.scaler_created(name, role.name),))
