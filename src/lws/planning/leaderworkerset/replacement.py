"""When a leader loses the gate under which it was made: its group may take the place of another (next 4).

Of the gated leaders of a set the lowest in rank is admitted first: whatever defers it defers the others too. So whoever
has to look again after a change has one leader to look at.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import Deployment, Pod
from lws.api.leaderworkerset.types import IMMEDIATE, LeaderWorkerSet
from lws.apimachinery.actions import Action, EmitEvent, JsonPatch, Reference
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import PODS
from lws.planning.leaderworkerset import events, hash_budget
from lws.planning.leaderworkerset.groups import gated, is_hashed, lives, marked, revision_key
from lws.planning.leaderworkerset.snapshots import GroupSnapshot

RECHECK: Final = 10.0  # seconds until a deferred leader is looked at again if nothing wakes it first (next 4.3)
_COST: Final = "/metadata/annotations/" + labels.DELETION_COST.replace("/", "~1")


def rank_order(leader: Pod, key: str) -> tuple[bool, str, str]:
    """Sorts gated leaders: those of the Deployment's key, then the older ones, then by name."""
    meta = leader.metadata
    return revision_key(leader) != key, meta.creation_timestamp or "", meta.name


def first_in_rank(leaders: Iterable[Pod], deployment: Deployment | None) -> Pod | None:
    """The gated leader that is the next to be admitted."""
    key = "" if deployment is None else revision_key(deployment)
    waiting = (pod for pod in leaders if lives(pod) and gated(pod))
    return min(waiting, key=lambda pod: rank_order(pod, key), default=None)


@dataclass(frozen=True, slots=True)
class Admission:
    """Whether a gated leader may be scheduled, and for how many groups, or for which, it waits if that is told."""

    admitted: bool
    block: int | str = 0


def judge(
    lws: LeaderWorkerSet,
    deployment: Deployment | None,
    leader: Pod,
    leaders: Sequence[Pod],
    terminating: int,
    extra: int = 0,
) -> Admission:
    """The table of next 4.3, first match wins.

    Args:
        lws: the live set; its live policy rules.
        deployment: what makes the leaders.
        leader: the gated leader.
        leaders: every leader pod of the set.
        terminating: T.
        extra: how many more groups than the set wants there may be.
    """
    key, own = "" if deployment is None else revision_key(deployment), revision_key(leader)
    if key and own and own != key:
        return Admission(False)
    ended = [pod for pod in leaders if marked(pod)]
    live = [pod for pod in leaders if lives(pod) and not marked(pod)]
    waiting = [pod for pod in live if gated(pod)]
    before = [pod for pod in waiting if rank_order(pod, key) < rank_order(leader, key)]
    of_key = [pod for pod in live if revision_key(pod) == own]
    places = sum(not gated(pod) for pod in of_key) + sum(revision_key(pod) == own for pod in (*before, *ended))
    if places >= lws.spec.replicas + extra:
        return Admission(False)
    block = len(ended) if lws.spec.group_replacement_policy == IMMEDIATE else terminating
    if block > 0 and len(before) >= len(waiting) - block:
        return Admission(False, block)
    return Admission(True)


def judge_by_index(leader: Pod, group_pods: Iterable[Pod]) -> Admission:
    """A gated leader that has an index waits for whatever else bears it (next 4.3)."""
    if any(pod.metadata.uid != leader.metadata.uid for pod in group_pods):
        return Admission(False, leader.metadata.label(labels.GROUP_INDEX))
    return Admission(True)


def plan(snapshot: GroupSnapshot, leader: Pod) -> tuple[bool, tuple[Action, ...]]:
    """Whether this leader is admitted, now or before, and what is to be done and told."""
    if snapshot.lws is None or not gated(leader):
        return True, ()
    if snapshot.unprepared:
        return False, ()
    if is_hashed(leader):
        found = judge(
            snapshot.lws, snapshot.leader_deployment, leader, snapshot.peers, snapshot.terminating, _extra(snapshot)
        )
    else:
        found = judge_by_index(leader, snapshot.group_pods)
    reference = Reference.to(PODS, leader.metadata)
    if found.admitted:
        claimed = hash_budget.claim(snapshot.lws, leader, snapshot.peers) if is_hashed(leader) else ()
        return True, (*claimed, lift(leader, events.replacement_admitted(reference)))
    return False, (events.replacement_deferred(reference, found.block),) if found.block else ()


def _extra(snapshot: GroupSnapshot) -> int:
    """Whether the Deployment makes one more, which stands in for a group that is to be moved (resilience 6.3)."""
    lws, deployment = snapshot.lws, snapshot.leader_deployment
    if lws is None or deployment is None or not snapshot.policies.evacuate:
        return 0
    return int(deployment.spec.replicas == lws.spec.replicas + 1)


def lift(leader: Pod, told: EmitEvent) -> JsonPatch:
    """Remove our gate, and the deletion cost that came with it; what others put there stays."""
    meta, gates = leader.metadata, leader.spec.scheduling_gates or ()
    at = next(index for index, gate in enumerate(gates) if gate.name == labels.REPLACEMENT_GATE)
    path = f"/spec/schedulingGates/{at}"
    operations: list[JSON] = [
        {"op": "test", "path": f"{path}/name", "value": labels.REPLACEMENT_GATE},
        {"op": "remove", "path": path},
    ]
    if meta.annotation(labels.DELETION_COST) == labels.GATED_COST:
        operations.append({"op": "remove", "path": _COST})
    return JsonPatch(PODS, meta.namespace, meta.name, meta.resource_version, tuple(operations), on_success=(told,))
