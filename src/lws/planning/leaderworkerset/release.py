"""Leaders that are replaced by us, because the StatefulSet controller does not (CD-36, CD-81).

It passes no leader that is not ready, so below one that is held by a gate or finds no node nothing would be replaced.
And it goes one by one where it does not heed the StatefulSet's maxUnavailable: the API server drops the field then, or
the controller is seen not to take what it was granted. There we delete what it would, but for the one that it takes
itself, so that both ways a rollout goes through the same states.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lws.api.leaderworkerset.objects import Pod, StatefulSet
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.actions import Delete
from lws.apimachinery.resources import PODS
from lws.planning.leaderworkerset.groups import ABSENT, GroupState, leaders_by_index, revision_key, running_and_ready
from lws.planning.leaderworkerset.rollout import Budget, LeaderNumbers


@dataclass(frozen=True, slots=True)
class Released:
    """What becomes of the outdated leaders at or above the partition.

    Attributes:
        deletes: those that we replace, highest first, each under its UID.
        owed: whether a StatefulSet controller that heeds maxUnavailable would have gone on; no if as many are down as
            it was granted, or nothing is outdated; None if that cannot be told now.
    """

    deletes: tuple[Delete, ...] = ()
    owed: bool | None = None


def released_leaders(
    lws: LeaderWorkerSet,
    statefulset: StatefulSet | None,
    key: str,
    budget: Budget,
    states: Mapping[int, GroupState],
    leaders: Iterable[Pod],
    *,
    one_by_one: bool = False,
) -> Released:
    """The outdated leaders that the partition has released and that somebody but the StatefulSet controller replaces.

    It must have seen the partition, or it would make the old revision again. Groups that are ready are taken only as
    long as R - U remain; those that are down cost nothing.

    Args:
        lws: the set.
        statefulset: its leader StatefulSet.
        key: the current revision key.
        budget: the resolved numbers.
        states: of the groups, by index.
        leaders: those that count.
        one_by_one: whether the StatefulSet controller was seen to ignore maxUnavailable.
    """
    if statefulset is None or statefulset.status.observed_generation < statefulset.metadata.generation:
        return Released()
    if revision_key(statefulset) != key:
        return Released()
    numbers = LeaderNumbers.of(statefulset)
    present = {at: pod for at, pod in leaders_by_index(leaders, lws.metadata.name).items() if at < numbers.replicas}
    outdated = [
        at for at in sorted(present, reverse=True) if at >= numbers.partition and revision_key(present[at]) != key
    ]
    if not outdated:
        return Released(owed=False)
    available = {at for at, pod in present.items() if running_and_ready(pod)}
    passed = sum(at > outdated[0] for at in available) == numbers.replicas - outdated[0] - 1
    taken = outdated[0] if passed else -1  # by the StatefulSet controller in any case
    ours = _held_back(outdated, states, numbers.partition)
    granted = (numbers.max_unavailable or 0) - (numbers.replicas - len(available))
    owed = set(outdated[: max(0, granted)]) - {taken, *ours}
    if one_by_one or numbers.max_unavailable is None:
        ours |= set(outdated) - {taken}
    within = _within_budget(outdated, ours, taken, budget, numbers, states)
    return Released(
        tuple(
            Delete(PODS, lws.metadata.namespace, present[at].metadata.name, present[at].metadata.uid) for at in within
        ),
        True if owed else None if granted > 0 else False,
    )


def _held_back(outdated: Iterable[int], states: Mapping[int, GroupState], partition: int) -> set[int]:
    """Those at and below the highest leader that waits for room."""
    highest = max((at for at, state in states.items() if state.waiting and at >= partition), default=-1)
    return {at for at in outdated if at <= highest}


def _within_budget(
    outdated: Iterable[int],
    ours: set[int],
    taken: int,
    budget: Budget,
    numbers: LeaderNumbers,
    states: Mapping[int, GroupState],
) -> list[int]:
    """Of ours those that leave R - U groups ready, the one that the StatefulSet controller takes counted as gone.

    As in the partition's arithmetic, groups that wait for room and are to be replaced anyway use up nothing (CD-36).
    """
    counted = sum(state.ready or state.free for at, state in states.items() if at < numbers.replicas)
    spare = counted - budget.least_ready
    if taken not in ours:
        spare -= states.get(taken, ABSENT).ready
    within = []
    for at in outdated:
        if at not in ours:
            continue
        if states.get(at, ABSENT).ready:
            if spare <= 0:
                continue
            spare -= 1
        within.append(at)
    return within
