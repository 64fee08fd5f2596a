"""The budget of a set in groups: a PodDisruptionBudget that is never opened (resilience 6.4).

A budget of Kubernetes counts pods, and would let two drains take pods of two groups. So ours forbids every eviction,
and we empty nodes ourselves, as many groups at once as the set's budget allows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import DisruptionBudget, LabelRequirement, LabelSelector, Pod
from lws.api.leaderworkerset.policies import SetPolicies
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.actions import Action, Create, Delete, Patch, Reference
from lws.apimachinery.intstr import IntOrString, scaled
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import PODDISRUPTIONBUDGETS, PODS
from lws.planning.leaderworkerset import events
from lws.planning.leaderworkerset.emptying import Affected
from lws.planning.leaderworkerset.groups import group_name
from lws.planning.leaderworkerset.metadata import owned_by_set
from lws.planning.leaderworkerset.statusnews import restored

if TYPE_CHECKING:
    from lws.planning.leaderworkerset.snapshots import SetSnapshot

LISTING: Final = 1.0  # seconds until budgets that are being listed are looked at again
INSTALL: Final = "component config/disruption grants it"


@dataclass(frozen=True, slots=True)
class BudgetsSeen:
    """What there is of PodDisruptionBudgets in the set's namespace.

    Attributes:
        known: whether they have been listed; until then nothing is decided.
        unavailable: why they cannot be had; empty if they can.
        budgets: all of the namespace.
        pods: labels of the set's pods.
    """

    known: bool = False
    unavailable: str = ""
    budgets: tuple[DisruptionBudget, ...] = ()
    pods: tuple[Mapping[str, str], ...] = ()


NOT_ASKED: Final = BudgetsSeen()


@dataclass(frozen=True, slots=True)
class BudgetPlan:
    """What is to be done about the closed budget, whether it may be there after that, and when to look again."""

    actions: tuple[Action, ...] = ()
    kept: bool = False
    again: float | None = None


def wanted_by(policies: SetPolicies) -> bool:
    """Whether a set that has chosen these asks for the closed budget."""
    return policies.evacuate or policies.disruption_budget is not None


def plan(lws: LeaderWorkerSet, seen: BudgetsSeen, *, wanted: bool, before: bool) -> BudgetPlan:
    """Have the closed budget there while it is wanted and nobody else's is over the same pods, and only then.

    Args:
        lws: the set.
        seen: what there is.
        wanted: whether the set asks for it.
        before: whether it may be there, as the set's status says.
    """
    meta = lws.metadata
    if not (wanted or before):
        return BudgetPlan()
    if seen.unavailable:
        told = events.budget_withheld(f"{seen.unavailable}; {INSTALL}", meta.uid)
        return BudgetPlan((told,) if wanted else (), before)
    if not seen.known:
        return BudgetPlan(kept=before, again=LISTING)
    named = next((each for each in seen.budgets if each.metadata.name == meta.name), None)
    ours = named if named is not None and _is_ours(lws, named) else None
    others = sorted(each.metadata.name for each in seen.budgets if each is not ours and _concerns(each, lws, seen.pods))
    if ours is None and named is not None and meta.name not in others:
        others.insert(0, meta.name)
    if wanted and others:
        why = f"PodDisruptionBudget {others[0]} is over the same pods, and with two of them every eviction fails"
        told = events.budget_withheld(why, meta.uid)
        return BudgetPlan((told,) if ours is None else (_removed(ours), told))
    if not wanted:
        return BudgetPlan(() if ours is None else (_removed(ours),))
    if ours is None:
        owner = Reference.to(LEADERWORKERSETS, meta)
        return BudgetPlan((Create(PODDISRUPTIONBUDGETS, manifest(lws), owner=owner),), True)
    return BudgetPlan(_closed_again(lws, ours), True)


def planned(snapshot: SetSnapshot) -> BudgetPlan:
    """The same for a set as it was seen."""
    return plan(snapshot.lws, snapshot.budgets, wanted=wanted_by(snapshot.policies), before=kept(snapshot))


def kept(snapshot: SetSnapshot) -> bool:
    """Whether the closed budget may be there, as the status says, be it that the server drops that."""
    return bool(restored(snapshot.lws.status, snapshot.told).disruption_budget)


def manifest(lws: LeaderWorkerSet) -> JSON:
    """The closed budget."""
    meta = lws.metadata
    return {
        "apiVersion": PODDISRUPTIONBUDGETS.api_version,
        "kind": PODDISRUPTIONBUDGETS.kind,
        "metadata": {
            "name": meta.name,
            "namespace": meta.namespace,
            "labels": {labels.NAME: meta.name},
            "ownerReferences": owned_by_set(lws),
        },
        "spec": {"maxUnavailable": 0, "selector": {"matchLabels": {labels.NAME: meta.name}}},
    }


def _is_ours(lws: LeaderWorkerSet, budget: DisruptionBudget) -> bool:
    owner = budget.metadata.controller
    return owner is not None and owner.uid == lws.metadata.uid


def _removed(budget: DisruptionBudget) -> Delete:
    meta = budget.metadata
    return Delete(PODDISRUPTIONBUDGETS, meta.namespace, meta.name, meta.uid)


def _closed_again(lws: LeaderWorkerSet, budget: DisruptionBudget) -> tuple[Patch, ...]:
    """What somebody opened, or pointed at other pods, is put back."""
    spec, meta = budget.spec, budget.metadata
    selector = LabelSelector(match_labels={labels.NAME: lws.metadata.name})
    closed = spec.max_unavailable == 0 and spec.min_available is None
    if meta.deleting or (closed and not spec.unhealthy_pod_eviction_policy and spec.selector == selector):
        return ()
    wanted = manifest(lws)["spec"]
    selector_change = {**wanted["selector"], "matchExpressions": None}
    change = {"spec": {**wanted, "minAvailable": None, "unhealthyPodEvictionPolicy": None, "selector": selector_change}}
    return (Patch(PODDISRUPTIONBUDGETS, meta.namespace, meta.name, meta.uid, change),)


def _concerns(budget: DisruptionBudget, lws: LeaderWorkerSet, pods: Iterable[Mapping[str, str]]) -> bool:
    """Whether a budget is over some pod of the set, or over all that will be there."""
    every = [{labels.NAME: lws.metadata.name}, *pods]
    return any(selects(budget.spec.selector, found) for found in every)


def selects(selector: LabelSelector | None, found: Mapping[str, str]) -> bool:
    """Whether the selector is for an object with these labels; none is for nothing."""
    if selector is None:
        return False
    equal = all(found.get(key) == value for key, value in (selector.match_labels or {}).items())
    return equal and all(_holds(each, found) for each in selector.match_expressions or ())


def _holds(requirement: LabelRequirement, found: Mapping[str, str]) -> bool:
    value, values = found.get(requirement.key), requirement.values or ()
    match requirement.operator:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
    return value is None


def allowed(budget: IntOrString, replicas: int) -> int:
    """How many groups may be down for the sake of nodes; of a percentage at least one."""
    if isinstance(budget, int):
        return budget
    return max(1, scaled(budget, replicas, round_up=False))


def moves(group: Affected, *, whole: bool) -> tuple[Delete, ...]:
    """The deletions that move a group; where it is not recreated as a whole, of its pods on these nodes only.

    A leader takes its group along in any case.
    """
    leader = group.leader
    deleted: Sequence[Pod] = group.pods
    if whole or group.pods[0].metadata.uid == leader.metadata.uid:
        deleted = (leader,)
    names = ", ".join(f"pod {pod.metadata.name}" for pod in deleted)
    if deleted[0] is leader:
        names = f"leader {names}"
    told = events.group_moved(group_name(leader), group.nodes, names, Reference.to(PODS, leader.metadata))
    return tuple(
        Delete(
            PODS,
            pod.metadata.namespace,
            pod.metadata.name,
            pod.metadata.uid,
            "Foreground" if pod is leader else None,
            (told,) if pod is deleted[0] else (),
        )
        for pod in deleted
    )
