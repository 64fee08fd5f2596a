"""What a StatefulSet does next: a pure function of the set, its pods and its claims.

A plan has four stages in a fixed order: living replicas, owners of the claims of surplus pods, deletion of surplus
pods, deletion of pods to update. An ordered set (`OrderedReady`) runs the steps one by one and its plan ends at the
first step that has to be waited for; a parallel set runs every stage in batches that double while all goes well. A
failed step ends the round, whose status is written all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from lws.apimachinery.intstr import scaled
from lws.apimachinery.manifests import JSON
from lws_sandbox.controllers.objects import is_terminating, meta, name_of
from lws_sandbox.controllers.pods import (
    available_in,
    is_available,
    is_created,
    is_finished,
    is_running_and_ready,
    is_unavailable,
    phase,
    revision_of,
)
from lws_sandbox.controllers.statefulset import identity, retention
from lws_sandbox.controllers.statefulset.revisions import restore


@dataclass(frozen=True, slots=True)
class CreatePod:
    """Create the pod's missing claims, then the pod; then see to the owners of the claims that there are."""

    pod: JSON
    claims: tuple[JSON, ...] = ()
    ending_claims: tuple[str, ...] = ()
    owned_claims: tuple[JSON, ...] = ()


@dataclass(frozen=True, slots=True)
class CreateClaims:
    """Create claims that a waiting pod lacks."""

    pod: JSON
    claims: tuple[JSON, ...]
    ending_claims: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UpdatePod:
    """Write the pod's identity and storage (None: they are right), its missing claims, and the owners of its claims."""

    pod: JSON
    changed: JSON | None
    claims: tuple[JSON, ...] = ()
    owned_claims: tuple[JSON, ...] = ()


@dataclass(frozen=True, slots=True)
class UpdateClaims:
    """Write the owners of a surplus pod's claims."""

    claims: tuple[JSON, ...]


@dataclass(frozen=True, slots=True)
class DeletePod:
    """Delete the pod; ``for_update`` makes it no longer count as current."""

    pod: JSON
    for_update: bool = False


Step: TypeAlias = CreatePod | CreateClaims | UpdatePod | UpdateClaims | DeletePod


@dataclass(frozen=True, slots=True)
class StatefulSetPlan:
    """The stages in order, the status as observed before they run, and when to look again if nothing happens."""

    status: JSON
    stages: tuple[tuple[tuple[Step, ...], ...], ...]
    ordered: bool
    requeue_after: float | None = None


@dataclass(slots=True)
class _Observed:
    """What a round works on."""

    statefulset: JSON
    updated: JSON
    update_revision: str
    claims: Mapping[str, JSON]
    now: datetime
    ordered: bool
    min_ready: int
    replicas: list[JSON] = field(default_factory=list)
    surplus: list[JSON] = field(default_factory=list)


_Decide: TypeAlias = Callable[[_Observed, JSON], tuple[tuple[Step, ...], bool]]


def plan_statefulset(
    statefulset: JSON,
    pods: Sequence[JSON],
    claims: Mapping[str, JSON],
    current: JSON,
    update: JSON,
    collisions: int,
    now: datetime,
) -> StatefulSetPlan:
    """Decide one round.

    Args:
        statefulset: the live set.
        pods: the pods that it controls and whose names it gives.
        claims: claims of the namespace, by name.
        current: the current revision.
        update: the update revision.
        collisions: for the status.
        now: the time of day.
    """
    spec = statefulset["spec"]
    seen = _Observed(
        statefulset=statefulset,
        updated=restore(statefulset, update),
        update_revision=name_of(update),
        claims=claims,
        now=now,
        ordered=spec.get("podManagementPolicy") != "Parallel",
        min_ready=int(spec.get("minReadySeconds") or 0),
    )
    status = observed_status(statefulset, pods, name_of(current), name_of(update), collisions, now)
    requeue = _next_availability(seen, pods)
    if is_terminating(statefulset):
        return StatefulSetPlan(status, (), seen.ordered, requeue)
    _sort_pods(seen, pods, restore(statefulset, current), name_of(current))
    return StatefulSetPlan(status, _stages(seen), seen.ordered, requeue)


def observed_status(
    statefulset: JSON, pods: Sequence[JSON], current: str, update: str, collisions: int, now: datetime
) -> JSON:
    """The status as the pods show it, member by member; zero counts that the API omits are there as 0."""
    min_ready = int(statefulset["spec"].get("minReadySeconds") or 0)
    stored = [pod for pod in pods if is_created(pod)]
    ready = [pod for pod in stored if is_running_and_ready(pod)]
    living = [revision_of(pod) for pod in stored if not is_terminating(pod)]
    return {
        "observedGeneration": meta(statefulset).get("generation", 0),
        "replicas": len(stored),
        "readyReplicas": len(ready),
        "currentReplicas": living.count(current),
        "updatedReplicas": living.count(update),
        "currentRevision": current,
        "updateRevision": update,
        "collisionCount": collisions,
        "availableReplicas": sum(is_available(pod, min_ready, now) for pod in ready),
    }


def final_status(statefulset: JSON, status: JSON, deleted_for_update: int) -> JSON:
    """The status to write after a round: a finished update makes the update revision the current one."""
    final = {**status, "currentReplicas": status["currentReplicas"] - deleted_for_update}
    wanted = identity.wanted_replicas(statefulset)
    rolling = (statefulset["spec"].get("updateStrategy") or {}).get("type", "RollingUpdate") == "RollingUpdate"
    if rolling and final["updatedReplicas"] == final["readyReplicas"] == final["replicas"] == wanted:
        final["currentReplicas"] = final["updatedReplicas"]
        final["currentRevision"] = final["updateRevision"]
    return final


def status_differs(live: JSON, final: JSON) -> bool:
    """Whether the status has to be written; an older generation or the collision count alone is no reason."""
    if final["observedGeneration"] > (live.get("observedGeneration") or 0):
        return True
    counts = ("replicas", "readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas")
    revisions = ("currentRevision", "updateRevision")
    return any((live.get(key) or 0) != final[key] for key in counts) or any(
        (live.get(key) or "") != final[key] for key in revisions
    )


def _next_availability(seen: _Observed, pods: Sequence[JSON]) -> float | None:
    waits = [available_in(pod, seen.min_ready, seen.now) for pod in pods]
    return min((wait for wait in waits if wait), default=None)


def _sort_pods(seen: _Observed, pods: Sequence[JSON], current: JSON, current_revision: str) -> None:
    """Pods of wanted ordinals in order, missing ones made anew; surplus pods from the highest ordinal down."""
    by_ordinal = {identity.ordinal_of(pod): pod for pod in pods}
    first = identity.first_ordinal(seen.statefulset)
    for ordinal in range(first, first + identity.wanted_replicas(seen.statefulset)):
        pod = by_ordinal.pop(ordinal, None)
        if pod is None and _keeps_current(seen.statefulset, ordinal):
            pod = identity.new_pod(current, ordinal, current_revision)
        seen.replicas.append(pod or identity.new_pod(seen.updated, ordinal, seen.update_revision))
    seen.surplus = [by_ordinal[ordinal] for ordinal in sorted(by_ordinal, reverse=True) if ordinal >= 0]


def _keeps_current(statefulset: JSON, ordinal: int) -> bool:
    """Whether a missing pod comes back with the current revision: it lies below the partition."""
    strategy = statefulset["spec"].get("updateStrategy") or {}
    rolling = strategy.get("rollingUpdate")
    first = identity.first_ordinal(statefulset)
    if rolling is not None:
        return ordinal < first + int(rolling.get("partition") or 0)
    if strategy.get("type", "RollingUpdate") != "RollingUpdate":
        return False
    return ordinal < first + int((statefulset.get("status") or {}).get("currentReplicas") or 0)


def _stages(seen: _Observed) -> tuple[tuple[tuple[Step, ...], ...], ...]:
    replicas, blocked = _all(seen, seen.replicas, _replica_steps)
    if blocked:
        return (replicas,)
    owners = tuple(steps for pod in seen.surplus if (steps := _surplus_claims(seen, pod)))
    surplus, blocked = _all(seen, seen.surplus, _surplus_steps)
    if blocked:
        return (replicas, owners, surplus)
    updates = tuple((DeletePod(pod, for_update=True),) for pod in _to_update(seen))
    return (replicas, owners, surplus, updates)


def _all(seen: _Observed, pods: Sequence[JSON], decide: _Decide) -> tuple[tuple[tuple[Step, ...], ...], bool]:
    """The steps for each pod; in an ordered set up to the first one that has to be waited for."""
    stage: list[tuple[Step, ...]] = []
    for pod in pods:
        steps, wait = decide(seen, pod)
        if steps:
            stage.append(steps)
        if wait and seen.ordered:
            return tuple(stage), True
    return tuple(stage), False


def _replica_steps(seen: _Observed, pod: JSON) -> tuple[tuple[Step, ...], bool]:
    """Steps for a wanted pod, and whether an ordered set waits for it."""
    if is_finished(pod):
        return (() if is_terminating(pod) else (DeletePod(pod),)), True
    missing, ending = _missing_claims(seen, pod)
    if not is_created(pod):
        if any(retention.is_stale(claim, pod) for claim in _live_claims(seen, pod)):
            return (), True
        return (CreatePod(pod, missing, ending, _misowned_claims(seen, pod)),), True
    steps: tuple[Step, ...] = ()
    if phase(pod) == "Pending" and (missing or ending):
        steps = (CreateClaims(pod, missing, ending),)
    if seen.ordered and is_unavailable(pod, seen.min_ready, seen.now):
        return steps, True
    if seen.ordered and not is_running_and_ready(pod):
        return steps, True
    return (*steps, *_repairs(seen, pod, missing)), False


def _repairs(seen: _Observed, pod: JSON, missing: tuple[JSON, ...]) -> tuple[Step, ...]:
    """What brings an existing pod back to its identity, its storage, and its claims to their owners."""
    same_identity = identity.identity_matches(seen.updated, pod)
    same_storage = identity.storage_matches(seen.updated, pod)
    misowned = _misowned_claims(seen, pod)
    if same_identity and same_storage and not misowned:
        return ()
    changed = pod if same_identity else identity.with_identity(pod)
    if not same_storage:
        changed = identity.with_storage(seen.updated, changed)
    return (UpdatePod(pod, None if changed is pod else changed, () if same_storage else missing, misowned),)


def _surplus_claims(seen: _Observed, pod: JSON) -> tuple[Step, ...]:
    misowned = _misowned_claims(seen, pod)
    return (UpdateClaims(misowned),) if misowned else ()


def _surplus_steps(seen: _Observed, pod: JSON) -> tuple[tuple[Step, ...], bool]:
    """Delete a surplus pod; an ordered set waits for each, and for every unhealthy pod but the first."""
    if is_terminating(pod):
        return (), True
    available = is_running_and_ready(pod) and is_available(pod, seen.min_ready, seen.now)
    if seen.ordered and not available and pod is not _first_unavailable(seen):
        return (), True
    return (DeletePod(pod),), True


def _first_unavailable(seen: _Observed) -> JSON | None:
    candidates = [*seen.replicas, *reversed(seen.surplus)]
    return next((pod for pod in candidates if is_unavailable(pod, seen.min_ready, seen.now)), None)


def _to_update(seen: _Observed) -> list[JSON]:
    """The pods to replace now, from the highest ordinal down to the partition."""
    strategy = seen.statefulset["spec"].get("updateStrategy") or {}
    if strategy.get("type") == "OnDelete":
        return []
    rolling = strategy.get("rollingUpdate") or {}
    candidates = seen.replicas[int(rolling.get("partition") or 0) :][::-1]
    if rolling.get("maxUnavailable") is None:
        return _next_to_update(seen, candidates)
    allowed = max(1, scaled(rolling["maxUnavailable"], len(seen.replicas), round_up=False))
    unavailable = sum(is_unavailable(pod, seen.min_ready, seen.now) for pod in seen.replicas)
    return [pod for pod in candidates if _outdated(seen, pod)][: max(0, allowed - unavailable)]


def _next_to_update(seen: _Observed, candidates: Sequence[JSON]) -> list[JSON]:
    """One at a time, and none while a pod above it is not available."""
    for pod in candidates:
        if _outdated(seen, pod):
            return [pod]
        if is_unavailable(pod, seen.min_ready, seen.now):
            return []
    return []


def _outdated(seen: _Observed, pod: JSON) -> bool:
    return revision_of(pod) != seen.update_revision and not is_terminating(pod)


def _live_claims(seen: _Observed, pod: JSON) -> list[JSON]:
    names = (name_of(claim) for claim in identity.claims_for(seen.updated, identity.ordinal_of(pod)))
    return [seen.claims[name] for name in names if name in seen.claims]


def _missing_claims(seen: _Observed, pod: JSON) -> tuple[tuple[JSON, ...], tuple[str, ...]]:
    """Claims that are not there, and the names of those that are being deleted."""
    wanted = identity.claims_for(seen.updated, identity.ordinal_of(pod))
    missing = tuple(claim for claim in wanted if name_of(claim) not in seen.claims)
    ending = (name_of(claim) for claim in wanted if is_terminating(seen.claims.get(name_of(claim), {})))
    return missing, tuple(ending)


def _misowned_claims(seen: _Observed, pod: JSON) -> tuple[JSON, ...]:
    """The pod's claims as they shall be owned, those only that are owned otherwise."""
    return tuple(
        retention.with_owners(seen.updated, pod, claim)
        for claim in _live_claims(seen, pod)
        if not retention.owners_match(seen.updated, pod, claim)
    )
