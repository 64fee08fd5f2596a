"""What both pod reconcilers have in common: carrying out the plan of a group."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.actions import Delete, Reference
from lws.apimachinery.objects import Key
from lws.errors import StaleError
from lws.planning.leaderworkerset.culprit import Cause, cause_of
from lws.planning.leaderworkerset.leader_pod import GroupPlan
from lws.planning.leaderworkerset.snapshots import GroupSnapshot
from lws.reconcilers.leaderworkerset.memory import GroupMemory
from lws.reconcilers.leaderworkerset.records import SetRecords
from lws.runtime.controller import Verdict
from lws.runtime.events import ObjectRef
from lws.runtime.executor import Executor
from lws.runtime.outcomes import Outcome, verdict


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
    records: SetRecords,
    listener: GroupListener | None,
    outcome: Outcome | None = None,
) -> Verdict:
    """Run the plan for one pod of a group, and remember what it says of the members.

    While a leader is being deleted its group is claimed, so that no other failure deletes it once more. The record is
    kept as it was until the deletion has been accepted: a refusal leaves the incident to be judged again. A failure is
    recorded before its leader is deleted (resilience 2.1).

    Args:
        key: the pod.
        leader_key: the leader of its group.
        look: takes a snapshot and plans; without waiting, so that a plan is run on the world that it was made for.
        executor: carries out the plan.
        memory: what is remembered of groups.
        records: what is remembered of failures.
        listener: hears of recreated groups.
        outcome: filled in as the plan goes.
    """
    outcome = Outcome() if outcome is None else outcome
    snapshot, group = await _judged(leader_key, look, executor, memory)
    lws, deletion = snapshot.lws, _deletion(group)
    _note(snapshot, group, leader_key, memory, records)
    if deletion is None:
        memory.remember(leader_key, group.record)
        if group.settled is not None and snapshot.leader is not None:
            memory.settle(leader_key, group.settled)
        return verdict(group.plan, await executor.run(key, group.plan, regarding(lws), outcome))
    memory.claim(leader_key, deletion.uid)
    try:
        await executor.run(key, group.plan, regarding(lws), outcome)
    except BaseException:
        memory.release(leader_key, deletion.uid)
        raise
    if lws is not None:
        records.acted_upon(lws, deletion.uid)
        if outcome.deleted and listener is not None:
            listener.recreated(lws.metadata.key, leader_key[1], _cause(snapshot, group))
    return verdict(group.plan)


def _note(snapshot: GroupSnapshot, group: GroupPlan, leader_key: Key, memory: GroupMemory, records: SetRecords) -> None:
    incident = group.incident
    if snapshot.lws is None or incident is None:
        return
    records.note(snapshot.lws, incident)
    if incident.failure is not None:
        memory.note(leader_key, incident.failure.leader_uid)


def _deletion(group: GroupPlan) -> Delete | None:
    return next((action for action in group.plan.actions if isinstance(action, Delete)), None)


def _cause(snapshot: GroupSnapshot, group: GroupPlan) -> Cause:
    """Why the group was recreated; after a wait, what was recorded when it began."""
    if group.incident is not None:
        return group.incident.cause
    uid = "" if group.judged is None else group.judged.uid
    recorded = () if snapshot.lws is None else snapshot.lws.status.failures
    return next((cause_of(each) for each in recorded if each.leader_uid == uid), Cause.ERROR)


async def _judged(
    leader_key: Key,
    look: Callable[[], tuple[GroupSnapshot, GroupPlan]],
    executor: Executor[Key],
    memory: GroupMemory,
) -> tuple[GroupSnapshot, GroupPlan]:
    """The snapshot and its plan; judged again once its witness was heard, which takes a while."""
    heard: set[Reference] = set()
    while True:
        snapshot, group = look()
        judged = group.judged
        if judged is None:
            return snapshot, group
        if judged.witness is not None and judged.witness not in heard:
            await executor.confirm_exists(judged.witness)
            heard.add(judged.witness)
        elif judged.absent is not None and judged.absent not in heard:
            await _ask_for(leader_key, judged.absent, executor, memory)
            heard.add(judged.absent)
        else:
            return snapshot, group


async def _ask_for(leader_key: Key, absent: Reference, executor: Executor[Key], memory: GroupMemory) -> None:
    """Whether a member that vanished from the caches is there all the same, without our label (resilience 2.3)."""
    live = await executor.find(absent)
    meta = {} if live is None else live["metadata"]
    if live is None or meta.get("deletionTimestamp") or absent.uid not in ("", meta.get("uid")):
        return
    if labels.NAME not in (meta.get("labels") or {}):
        memory.release_member(leader_key, absent.name, meta["uid"])
    elif absent.uid:
        raise StaleError(f"{absent.resource} {absent.name} is there, the caches do not show it")
