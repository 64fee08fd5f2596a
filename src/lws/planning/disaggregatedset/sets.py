"""What one DisaggregatedSet needs now (disaggregatedset 5.2).

A pass has parts. A part that fails ends, and stops no other, unless what follows rests on it; the status is told in
any case (DD-25).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from lws.api.disaggregatedset import labels, names
from lws.apimachinery.actions import Action
from lws.planning.disaggregatedset import children, events, problems, scalers, services, slices, status
from lws.planning.disaggregatedset.problems import Problem
from lws.planning.disaggregatedset.scalers import Scales
from lws.planning.disaggregatedset.snapshots import Snapshot, slice_of


@dataclass(frozen=True, slots=True)
class Part:
    """Actions that stand or fall together; ``name`` goes before their errors."""

    actions: tuple[Action, ...]
    name: str = ""
    decisive: bool = False


@dataclass(frozen=True, slots=True)
class SetPlan:
    """One pass: its parts in order, and what is known to be wrong before anything is written."""

    parts: tuple[Part, ...]
    scales: Scales
    problems: tuple[Problem, ...] = ()


def plan(snapshot: Snapshot, now: datetime) -> SetPlan:
    """Plan one pass over a DisaggregatedSet that is not being deleted."""
    scales = scalers.plan(snapshot, now)
    found = [
        problems.scaler_missing(role.name, names.scaler(snapshot.ds.metadata.name, role.name))
        for role in snapshot.ds.spec.roles
        if role.external and role.name not in scales.replicas
    ]
    migrating, removals = _migration(snapshot)
    parts = [Part((*_removed_slices(snapshot), *scales.actions, *removals), decisive=True)]
    followed = tuple(patch for child in snapshot.children for patch in children.follow(snapshot.ds, child))
    parts += [Part(followed)] if followed else []
    if not migrating:
        for view in snapshot.slices:
            planned = slices.plan(snapshot, view, scales.replicas)
            found += planned.problems
            parts.append(Part(tuple(planned.actions), f"slice {view.index}: "))
    told = (event for event in dict.fromkeys(problem.event for problem in found) if event is not None)
    return SetPlan((*parts, Part(tuple(told))), scales, tuple(found))


def describe(snapshot: Snapshot, planned: SetPlan, refused: Sequence[Problem], now: datetime) -> tuple[Part, ...]:
    """Tell how it went: the scalers' status, then the set's own."""
    told = [Part(scalers.describe(snapshot, scaler, now)) for scaler in planned.scales.used]
    found = (*planned.problems, *refused)
    return (*told, Part(status.plan(snapshot, planned.scales.replicas, found, now)))


def _removed_slices(snapshot: Snapshot) -> list[Action]:
    """Slices that the set no longer asks for go at once, with their Services (disaggregatedset 5.2 step 3)."""
    count = snapshot.ds.spec.slices
    out: list[Action] = [
        children.delete(child, events.slice_removed(child.name, child.slice))
        for child in snapshot.children
        if child.slice is not None and child.slice >= count and not child.going
    ]
    for service in snapshot.services:
        if (slice_of(service.metadata) or 0) >= count:
            out += services.delete(snapshot, service)
    return out


def _migration(snapshot: Snapshot) -> tuple[bool, list[Action]]:
    """Slice 0 of release 0.9.0 makes way for others: its Services go, then its children (disaggregatedset 5.9).

    Returns:
        Whether anything of it is left at the target revision, for the new slices wait for its end (DD-33); and what
        is to be deleted.
    """
    if snapshot.ds.spec.slices == 1:
        return False, []
    left = [child for child in snapshot.children if child.legacy and child.revision == snapshot.target]
    kept = [
        service
        for service in snapshot.services
        if not service.metadata.label(labels.SLICE)
        and service.metadata.label(labels.REVISION) == snapshot.target
        and snapshot.controls(service.metadata)
    ]
    actions = [action for service in kept for action in services.delete(snapshot, service)]
    gone = [children.delete(child, events.migrated(child.name)) for child in left if not child.going]
    return bool(left or kept), [*actions, *gone]
