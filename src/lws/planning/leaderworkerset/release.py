"""Leaders that are replaced by us, because the StatefulSet controller stands still before them (CD-36)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lws.api.leaderworkerset.objects import Pod, StatefulSet
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.actions import Delete
from lws.apimachinery.resources import PODS
from lws.planning.leaderworkerset.groups import GroupState, leaders_by_index, revision_key
from lws.planning.leaderworkerset.rollout import LeaderNumbers


def waiting_leaders(
    lws: LeaderWorkerSet,
    statefulset: StatefulSet | None,
    key: str,
    states: Mapping[int, GroupState],
    leaders: Iterable[Pod],
) -> tuple[Delete, ...]:
    """The outdated leaders that the partition has released and that something waiting for room holds back.

    The StatefulSet controller may pass no leader that is not ready, so below one that is held by a gate or finds no
    node nothing would be replaced. It must have seen the partition, or it would make the old revision again.
    """
    if statefulset is None or statefulset.status.observed_generation < statefulset.metadata.generation:
        return ()
    partition = LeaderNumbers.of(statefulset).partition
    by_index = leaders_by_index(leaders, lws.metadata.name)
    highest = max((index for index, state in states.items() if state.waiting and index >= partition), default=-1)
    if revision_key(statefulset) != key:
        return ()
    return tuple(
        Delete(PODS, lws.metadata.namespace, pod.metadata.name, pod.metadata.uid)
        for index, pod in sorted(by_index.items(), reverse=True)
        if partition <= index <= highest and revision_key(pod) != key
    )
