"""Moves groups off nodes that are to be emptied: make before break (resilience 6.3).

One extra group stands in while others are moved one by one; it always has the highest index. What a restart of the
controller has to know is in ``status.evacuation``: it names the group that is moved, and its leader, before that is
deleted. So a leader of another UID, or none, means that the group is under way, and nothing is moved twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from lws.api.leaderworkerset.objects import Pod
from lws.api.leaderworkerset.status import Evacuation
from lws.apimachinery.conditions import timestamp
from lws.apimachinery.integers import natural
from lws.planning.leaderworkerset import disruption, events
from lws.planning.leaderworkerset.groups import GroupState, group_name
from lws.planning.leaderworkerset.hash_evacuation import by_key
from lws.planning.leaderworkerset.moves import (
    ABANDONED,
    MOVED,
    NOTHING,
    Extra,
    Ground,
    Moves,
    at_once,
    concerns,
    ground_of,
    recorded,
    told_no_room,
    told_of_pods,
    waiting_for_room,
    within_budget,
)
from lws.planning.leaderworkerset.rollout import Budget, Decision, LeaderNumbers
from lws.planning.leaderworkerset.snapshots import SetSnapshot


def moves(
    snapshot: SetSnapshot,
    leaders: Mapping[int, Pod],
    states: Mapping[int, GroupState],
    now: datetime,
    *,
    rolling: bool,
) -> Moves:
    """What a set does for the sake of nodes; see `ground_of` for the arguments."""
    if not concerns(snapshot):
        return NOTHING
    if snapshot.lookup is None:
        return Moves(recorded(snapshot), Extra.KEPT)
    return plan(ground_of(snapshot, snapshot.lookup, leaders, states, now, rolling=rolling))


def plan(ground: Ground) -> Moves:
    """What is to be done now."""
    overdue = at_once(ground)
    found = _finishing(ground) or _moving(ground)
    deletes = {each.uid: each for each in (*overdue.deletes, *found.deletes)}
    return replace(
        found,
        deletes=tuple(deletes.values()),
        told=(*told_of_pods(ground), *found.told),
        results=(*overdue.results, *found.results),
        again=min((each for each in (overdue.again, found.again) if each is not None), default=None),
    )


def _finishing(ground: Ground) -> Moves | None:
    """A move whose leader is gone is finished, whatever else changed; None for any other."""
    record = ground.record
    if record is None or record.without_extra:
        return None
    if any(leader.metadata.uid == record.leader_uid for leader in ground.leaders.values()):
        return None
    if not ground.hashed:  # another group takes the place of one that is known by a key
        index = natural(record.group)
        if index is None or index >= ground.replicas:
            return None
        if not ground.ready(index):
            moves = Moves(record, Extra.KEPT, hold=True, holds=True)
            return moves if index not in ground.leaders else waiting_for_room(ground, record, moves, ground.pods(index))
    moves = _moving(replace(ground, record=None, place=True))
    return replace(moves, results=(MOVED, *moves.results))


def _moving(ground: Ground) -> Moves:
    """The move of the next group, or of the one that was chosen and is there still."""
    to_move = [] if ground.rolling else ground.to_move
    if not ground.policies.evacuate:
        return within_budget(ground, to_move, None, ABANDONED if ground.record is not None else "")
    if not to_move:
        kept = not ground.rolling and ground.down > 0
        ended = (ABANDONED,) if _under_way(ground) else ()
        return Moves(extra=Extra.KEPT if kept else Extra.NONE, results=ended)
    if ground.queued:
        return _without_extra(ground, to_move, "its queue admits no more groups than the set wants")
    index, record = _chosen(ground, to_move)
    if record.without_extra and ground.budget:
        return within_budget(ground, to_move, record)
    record = record.model_copy(update={"without_extra": False})
    if ground.record is None and not ground.place:
        return Moves(extra=Extra.KEPT if ground.down else Extra.NONE, waits=True)
    if ground.record is None:
        group = ground.found.affected[index]
        once = f"{ground.uid}/{events.EVACUATE_GROUP}/{record.leader_uid}"
        told = events.group_made_in_advance(f"Group {record.group}", group.nodes, once)
        return Moves(record, Extra.WANTED, told=(told,), holds=True)
    return (by_key if ground.hashed else _by_index)(ground, record, index)


def _under_way(ground: Ground) -> bool:
    return ground.record is not None and not ground.record.without_extra


def _chosen(ground: Ground, to_move: Sequence[int]) -> tuple[int, Evacuation]:
    """The move that goes on, or that of the lowest group."""
    record = ground.record
    for index in to_move:
        if record is not None and ground.leaders[index].metadata.uid == record.leader_uid:
            return index, record
    leader = ground.leaders[to_move[0]]
    return to_move[0], Evacuation(
        group=group_name(leader),
        leader_uid=leader.metadata.uid,
        since=timestamp(ground.now),
        without_extra=record is not None and record.without_extra,
    )


def _by_index(ground: Ground, record: Evacuation, index: int) -> Moves:
    """Move a group once the extra one is ready, and the status has said which."""
    extra = ground.leaders.get(ground.replicas)
    moves = Moves(record, Extra.WANTED, holds=ground.place, waits=not ground.place)
    if extra is None:
        return moves
    if ground.replicas in ground.found.affected:  # it may go, for it stands in for nobody yet
        return replace(moves, deletes=disruption.moves(ground.found.affected[ground.replicas], whole=True))
    if ground.ready(ground.replicas):
        if record != ground.record or not ground.place:
            return moves
        return replace(moves, deletes=disruption.moves(ground.found.affected[index], whole=True))
    return waiting_for_room(ground, record, moves, ground.pods(ground.replicas))


def _without_extra(ground: Ground, to_move: Sequence[int], why: str) -> Moves:
    """A set that cannot have an extra group at all."""
    leader = ground.leaders[to_move[0]]
    told = told_no_room(ground, group_name(leader), why, leader.metadata.uid)
    moves = within_budget(ground, to_move, None)
    return replace(moves, told=(*moves.told, told))


def steered(moves: Moves, budget: Budget, decision: Decision, now: LeaderNumbers | None, *, armed: bool) -> Decision:
    """What the leader StatefulSet is told in place of what the rollout decided."""
    if now is None or moves.extra is Extra.NONE:
        return decision
    wanted = budget.replicas + 1
    replicas = wanted if moves.extra is Extra.WANTED else min(now.replicas, wanted)
    if not moves.hold:
        return replace(decision, replicas=max(decision.replicas, replicas))
    held = wanted if armed else min(now.partition, wanted)  # the extra group keeps its revision, for it stands in
    return replace(decision, replicas=max(decision.replicas, replicas), partition=max(decision.partition, held))
