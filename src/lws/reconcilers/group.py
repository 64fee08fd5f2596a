"""What both pod reconcilers have in common: carrying out the plan of a group."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from lws.planning.actions import Delete
from lws.planning.leader_pod import GroupPlan
from lws.planning.snapshots import GroupSnapshot
from lws.reconcilers.apply import Executor, verdict
from lws.reconcilers.memory import GroupMemory
from lws.reconcilers.triggers import Key
from lws.runtime.controller import Verdict


class GroupListener(Protocol):
    """Hears of groups that are recreated, for metrics."""

    def recreated(self, set_key: Key, leader: str, reason: str) -> None:
        """The leader's deletion was accepted."""
        ...


async def carry_out(
    key: Key,
    leader_key: Key,
    look: Callable[[], tuple[GroupSnapshot, GroupPlan]],
    executor: Executor,
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
        return verdict(group.plan, await executor.run(key, group.plan, snapshot.lws))
    memory.claim(leader_key, deletion.uid)
    try:
        outcome = await executor.run(key, group.plan, snapshot.lws)
    except BaseException:
        memory.release(leader_key, deletion.uid)
        raise
    if outcome.deleted and listener is not None and snapshot.lws is not None:
        listener.recreated(snapshot.lws.metadata.key, leader_key[1], "failure")
    return verdict(group.plan)


async def _judged(
    look: Callable[[], tuple[GroupSnapshot, GroupPlan]], executor: Executor
) -> tuple[GroupSnapshot, GroupPlan, Delete | None]:
    """The snapshot, its plan, and the deletion in it; judged again once its witness was heard, which takes a while."""
    heard = ""
    while True:
        snapshot, group = look()
        deletion = next((action for action in group.plan.actions if isinstance(action, Delete)), None)
        if deletion is None or deletion.witness is None or deletion.witness.uid == heard:
            return snapshot, group, deletion
        await executor.hear(deletion.witness)
        heard = deletion.witness.uid
