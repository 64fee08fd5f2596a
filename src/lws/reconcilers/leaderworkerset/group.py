"""What both pod reconcilers have in common: carrying out the plan of a group."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.actions import Delete
from lws.apimachinery.objects import Key
from lws.planning.leaderworkerset.leader_pod import GroupPlan
from lws.planning.leaderworkerset.recovery import Cause
from lws.planning.leaderworkerset.snapshots import GroupSnapshot
from lws.reconcilers.leaderworkerset.memory import GroupMemory
from lws.runtime.controller import Verdict
from lws.runtime.events import ObjectRef
from lws.runtime.executor import Executor
from lws.runtime.outcomes import verdict


class GroupListener(Protocol):
    """Hears of groups that are recreated, for metrics."""

    def recreated(self, set_key: Key, leader: str, cause: Cause) -> None:
        """The deletion of the leader of this name was accepted."""
        ...


def regarding(lws: LeaderWorkerSet | None) -> ObjectRef | None:
    """What events are about: the set, if it is still there."""
    return None if lws is None else ObjectRef.to(LEADERWORKERSETS, lws.metadata)


async def carry_out(
    key: Key,
    leader_key: Key,
    look: Callable[[], tuple[GroupSnapshot, GroupPlan]],
    executor: Executor[Key],
    memory: GroupMemory,
    listener: GroupListener | None,
) -> Verdict:
    """Run the plan for one pod of a group, and remember what it says of the members.

    While a leader is being deleted its group is claimed, so that no other failure deletes it once more. The record is
    kept as it was until the deletion has been accepted: a refusal leaves the incident to be judged again.

    Args:
        key: the pod.
        leader_key: the leader of its group.
        look: takes a snapshot and plans; without waiting, so that a plan is run on the world that it was made for.
        executor: carries out the plan.
        memory: what is remembered of groups.
        listener: hears of recreated groups.
    """
    snapshot, group, deletion = await _judged(look, executor)
    if deletion is None:
        memory.remember(leader_key, group.record)
        return verdict(group.plan, await executor.run(key, group.plan, regarding(snapshot.lws)))
    memory.claim(leader_key, deletion.uid)
    try:
        outcome = await executor.run(key, group.plan, regarding(snapshot.lws))
    except BaseException:
        memory.release(leader_key, deletion.uid)
        raise
    if outcome.deleted and listener is not None and snapshot.lws is not None and group.cause is not None:
        listener.recreated(snapshot.lws.metadata.key, leader_key[1], group.cause)
    return verdict(group.plan)


async def _judged(
    look: Callable[[], tuple[GroupSnapshot, GroupPlan]], executor: Executor[Key]
) -> tuple[GroupSnapshot, GroupPlan, Delete | None]:
    """The snapshot, its plan, and the deletion in it; judged again once its witness was heard, which takes a while."""
    heard = ""
    while True:
        snapshot, group = look()
        deletion = next((action for action in group.plan.actions if isinstance(action, Delete)), None)
        if deletion is None or deletion.witness is None or deletion.witness.uid == heard:
            return snapshot, group, deletion
        await executor.confirm_exists(deletion.witness)
        heard = deletion.witness.uid
