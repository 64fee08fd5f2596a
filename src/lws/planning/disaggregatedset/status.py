"""Status of a DisaggregatedSet (disaggregatedset 9, DD-24 to DD-27)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from msgspec.structs import replace

from lws.api.disaggregatedset.resources import DISAGGREGATEDSETS
from lws.api.disaggregatedset.types import RoleStatus
from lws.apimachinery.actions import Patch
from lws.apimachinery.conditions import Wanted, as_json, find, with_condition
from lws.apimachinery.manifests import JSON
from lws.apimachinery.objects import Condition
from lws.planning.disaggregatedset import pace
from lws.planning.disaggregatedset.problems import Problem
from lws.planning.disaggregatedset.snapshots import Snapshot

BLOCKED: Final = "Blocked"
AVAILABLE: Final = Wanted(
    "Available",
    "AllRolesReady",
    "All roles have reached their desired replica count, ready and updated to the current revision",
)
PROGRESSING: Final = Wanted(
    "Progressing",
    "RolloutInProgress",
    "Not all roles have reached their desired replica count, ready and updated to the current revision",
)
RESOLVED: Final = Wanted(BLOCKED, "Resolved", "Nothing keeps the set from being as it should be", "False")
_LONGEST_MESSAGE: Final = 1024


def plan(
    snapshot: Snapshot, scales: Mapping[str, int], problems: Sequence[Problem], now: datetime
) -> tuple[Patch, ...]:
    """Write what changed of the status, nothing if that is nothing."""
    ds, told = snapshot.ds, snapshot.ds.status
    roles = tuple(_role(snapshot, role.name) for role in ds.spec.roles)
    wanted = AVAILABLE if _available(snapshot, roles, scales) else PROGRESSING
    conditions = _blocked(_toggled(told.conditions, wanted, ds.metadata.generation, now), problems, snapshot, now)
    change: JSON = {}
    if ds.metadata.generation != told.observed_generation:
        change["observedGeneration"] = ds.metadata.generation
    if roles != told.role_statuses:
        change["roleStatuses"] = [_json(each) for each in roles]
    if conditions != told.conditions:
        change["conditions"] = [as_json(each) for each in conditions]
    return write(snapshot, change)


def unreadable(snapshot: Snapshot, message: str, now: datetime) -> tuple[Patch, ...]:
    """Say why there is no revision (DD-34); the rest of the status stays as it was."""
    problem = Problem("ChildRejected", message)
    conditions = _blocked(snapshot.ds.status.conditions, [problem], snapshot, now)
    if conditions == snapshot.ds.status.conditions:
        return ()
    return write(snapshot, {"conditions": [as_json(each) for each in conditions]})


def write(snapshot: Snapshot, change: JSON) -> tuple[Patch, ...]:
    """A merge patch of the status."""
    meta = snapshot.ds.metadata
    patch = Patch(DISAGGREGATEDSETS, meta.namespace, meta.name, meta.uid, {"status": change}, subresource="status")
    return (patch,) if change else ()


def _role(snapshot: Snapshot, name: str) -> RoleStatus:
    """The sums over all slices and revisions, what is going included."""
    found = [child for child in snapshot.children if child.role == name]
    return RoleStatus(
        name=name,
        replicas=sum(child.lws.status.replicas for child in found),
        ready_replicas=sum(child.lws.status.ready_replicas for child in found),
        updated_replicas=sum(child.lws.status.updated_replicas for child in found if child.revision == snapshot.target),
    )


def _available(snapshot: Snapshot, roles: Sequence[RoleStatus], scales: Mapping[str, int]) -> bool:
    for role, told in zip(snapshot.ds.spec.roles, roles, strict=True):
        count = pace.wanted(role, scales)
        desired = None if count is None else count * snapshot.ds.spec.slices
        if not told.replicas == told.ready_replicas == told.updated_replicas == desired:
            return False
    if not all(child.observed for view in snapshot.slices for child in view.target.values()):
        return False
    return not any(child.replicas for view in snapshot.slices for child in view.old)


def _toggled(conditions: Sequence[Condition], wanted: Wanted, generation: int, now: datetime) -> tuple[Condition, ...]:
    """One of the pair is True; the other, if there is one, turns False in the words of the first."""
    out = with_condition(conditions, wanted, generation, now)
    opposite = PROGRESSING if wanted is AVAILABLE else AVAILABLE
    other = find(out, opposite.type)
    if other is None:
        return out
    if other.status == "True":
        return with_condition(out, Wanted(opposite.type, wanted.reason, wanted.message, "False"), generation, now)
    return tuple(replace(each, observed_generation=generation) if each is other else each for each in out)


def _blocked(
    conditions: Sequence[Condition], problems: Sequence[Problem], snapshot: Snapshot, now: datetime
) -> tuple[Condition, ...]:
    """Blocked tells the first problem; without any it turns False, if it was ever there."""
    generation = snapshot.ds.metadata.generation
    if problems:
        first = problems[0]
        wanted = Wanted(BLOCKED, first.reason, first.message[:_LONGEST_MESSAGE])
        return with_condition(conditions, wanted, generation, now)
    if find(conditions, BLOCKED) is None:
        return tuple(conditions)
    return with_condition(conditions, RESOLVED, generation, now)


def _json(role: RoleStatus) -> JSON:
    counts = {
        "replicas": role.replicas,
        "readyReplicas": role.ready_replicas,
        "updatedReplicas": role.updated_replicas,
    }
    return {"name": role.name, **{key: value for key, value in counts.items() if value}}
