"""What both pod reconcilers have in common: carrying out the plan of a group."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import msgspec

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import Pod
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.actions import Delete, EmitEvent, Patch, Plan, Reference
from lws.apimachinery.objects import Key, ObjectMeta
from lws.apimachinery.resources import NODES, PODS
from lws.errors import StaleError
from lws.planning.leaderworkerset import nodes
from lws.planning.leaderworkerset.culprit import Cause, Fault, cause_of
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

    def released(self) -> None:
        """A pod was let go from a lost node."""
        ...


class LogKeeper(Protocol):
    """Keeps the last lines of failed containers."""

    async def read(self, lws: LeaderWorkerSet, fault: Fault, lines: int) -> str:
        """The last lines of the culprit's container."""
        ...

    async def keep(self, lws: LeaderWorkerSet, fault: Fault, text: str) -> None:
        """Keep them."""
        ...


@dataclass(frozen=True, slots=True)
class Shared:
    """What the reconcilers of leaders and of workers have in common.

    Attributes:
        memory: what is remembered of groups.
        records: what is remembered of failures.
        listener: hears of recreated groups.
        box: keeps the last lines of failed containers.
    """

    memory: GroupMemory
    records: SetRecords
    listener: GroupListener | None = None
    box: LogKeeper | None = None


def regarding(lws: LeaderWorkerSet | None) -> ObjectRef | None:
    """What events are about: the set, if it is still there."""
    return None if lws is None else ObjectRef.to(LEADERWORKERSETS, lws.metadata)


async def carry_out(
    key: Key,
    leader_key: Key,
    look: Callable[[], tuple[GroupSnapshot, GroupPlan]],
    executor: Executor[Key],
    shared: Shared,
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
        shared: what is remembered, and who hears of it.
        outcome: filled in as the plan goes.
    """
    outcome = Outcome() if outcome is None else outcome
    box = shared.box
    try:
        snapshot, group = await _judged(leader_key, look, executor, shared.memory)
    finally:
        shared.memory.forget_reread(key)
    _note(snapshot, group, leader_key, shared)
    await _let_go(key, snapshot, group, executor, shared)
    lws, fault = snapshot.lws, _readable(snapshot, group)
    if fault is not None and lws is not None and box is not None:
        text = await box.read(lws, fault, snapshot.policies.failure_log_lines)
        again, now = await _judged(leader_key, look, executor, shared.memory)  # the world went on meanwhile
        try:
            return await _run(key, leader_key, again, _telling(now, group), executor, shared, outcome)
        finally:
            await box.keep(lws, fault, text)
    return await _run(key, leader_key, snapshot, group, executor, shared, outcome)


async def _let_go(key: Key, snapshot: GroupSnapshot, group: GroupPlan, executor: Executor[Key], shared: Shared) -> None:
    """Let the pod go from its lost node; whatever else is planned does without it."""
    if group.release is None:
        return
    outcome = await executor.run(key, Plan((group.release,)), regarding(snapshot.lws))
    if outcome.deleted and shared.listener is not None:
        shared.listener.released()


def _readable(snapshot: GroupSnapshot, group: GroupPlan) -> Fault | None:
    """The container whose last lines are to be kept, at the moment at which its failure is recorded."""
    incident = group.incident
    if incident is None or incident.failure is None or not snapshot.policies.failure_log_lines:
        return None
    return incident.culprit


def _telling(now: GroupPlan, before: GroupPlan) -> GroupPlan:
    """The present plan with the words of the one before: what it was to tell of has been recorded since."""
    told = tuple(each for each in before.plan.actions if isinstance(each, EmitEvent))
    said = {each.once for each in now.plan.actions if isinstance(each, EmitEvent)}
    actions = (*(each for each in told if each.once not in said), *now.plan.actions)
    return replace(now, plan=replace(now.plan, actions=actions), incident=now.incident or before.incident)


async def _run(
    key: Key,
    leader_key: Key,
    snapshot: GroupSnapshot,
    group: GroupPlan,
    executor: Executor[Key],
    shared: Shared,
    outcome: Outcome,
) -> Verdict:
    """Carry out the plan, and remember what it says."""
    memory, listener = shared.memory, shared.listener
    lws, deletion = snapshot.lws, _deletion(group)
    if deletion is None:
        memory.remember(leader_key, group.record)
        if group.settled is not None and snapshot.leader is not None:
            memory.settle(leader_key, group.settled)
            if group.healing is not None or not snapshot.policies.group_recovery_grace:
                memory.heal(leader_key, group.healing)
        result = verdict(group.plan, await executor.run(key, group.plan, regarding(lws), outcome))
        if any(isinstance(each, Patch) and "spec" in each.change for each in group.plan.actions):
            memory.note_repair(leader_key, snapshot.now)
        return result
    memory.claim(leader_key, deletion.uid)
    try:
        await executor.run(key, group.plan, regarding(lws), outcome)
    except BaseException:
        memory.release(leader_key, deletion.uid)
        raise
    if lws is not None:
        shared.records.acted_upon(lws, deletion.uid)
        if outcome.deleted and listener is not None and not group.exhausted:
            listener.recreated(lws.metadata.key, leader_key[1], _cause(snapshot, group))
    return verdict(group.plan)


def _note(snapshot: GroupSnapshot, group: GroupPlan, leader_key: Key, shared: Shared) -> None:
    """Remember the failure before its leader is deleted."""
    incident = group.incident
    if snapshot.lws is None or incident is None:
        return
    shared.records.note(snapshot.lws, incident)
    if incident.failure is not None and incident.final:
        shared.memory.note(leader_key, incident.failure.leader_uid)


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
    fresh, asked = False, False
    while True:
        snapshot, group = look()
        if group.ask is not None and not asked:
            await _read_afresh(group.ask, executor, memory)
            asked = True
            continue
        judged = group.judged
        if judged is None:
            return snapshot, group
        if judged.witness is not None and judged.witness not in heard:
            await executor.confirm_exists(judged.witness)
            heard.add(judged.witness)
        elif judged.absent is not None and judged.absent not in heard:
            await _ask_for(leader_key, judged.absent, executor, memory)
            heard.add(judged.absent)
        elif group.budgeted and not fresh:
            await _confirm_fresh(snapshot, executor)
            fresh = True
        else:
            return snapshot, group


async def _read_afresh(pod: Pod, executor: Executor[Key], memory: GroupMemory) -> None:
    """A pod and its node as the server has them: nothing is let go on what caches show (resilience 6.2)."""
    live = await executor.find(Reference.to(PODS, pod.metadata))
    node = await executor.find(Reference(NODES, "", pod.spec.node_name))
    memory.note_reread(pod.metadata, nodes.reread(pod, live, node))


async def _confirm_fresh(snapshot: GroupSnapshot, executor: Executor[Key]) -> None:
    """Whether set and leader are as they were judged: a restart budget is spent on nothing older (next 5.4).

    Raises:
        StaleError: one of them is gone or has changed.
    """
    lws, leader = snapshot.lws, snapshot.leader
    assert lws is not None
    assert leader is not None
    judged = (Reference.to(LEADERWORKERSETS, lws.metadata), Reference.to(PODS, leader.metadata))
    for reference, meta in zip(judged, (lws.metadata, leader.metadata), strict=True):
        live = await executor.find(reference)
        found = None if live is None else msgspec.convert(live["metadata"], ObjectMeta)
        if found is None or _judged_by(found) != _judged_by(meta):
            raise StaleError(f"{reference.resource} {reference.name} has changed since its group was judged")


def _judged_by(meta: ObjectMeta) -> tuple[object, ...]:
    """What of a set's or leader's metadata decides about a restart budget."""
    keys = (labels.GROUP_RESTART_COUNTS, labels.RESTART_CHARGED, labels.RESTART_BUDGET_EXHAUSTED, labels.RECOVER)
    return (meta.uid, meta.generation, meta.deleting, *map(meta.annotation, keys))


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
