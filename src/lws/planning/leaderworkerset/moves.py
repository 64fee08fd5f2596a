"""What it takes to move groups off nodes that are to be emptied, whatever groups are known by (resilience 6.3, 6.4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import Pod
from lws.api.leaderworkerset.policies import SetPolicies
from lws.api.leaderworkerset.status import Evacuation
from lws.apimachinery.actions import Delete, EmitEvent, Patch, Reference
from lws.apimachinery.intstr import IntOrString
from lws.apimachinery.moments import after, parsed
from lws.apimachinery.resources import PODS
from lws.planning.leaderworkerset import disruption, emptying, events
from lws.planning.leaderworkerset.emptying import Found
from lws.planning.leaderworkerset.groups import ABSENT, GroupState, gated, group_name, marked
from lws.planning.leaderworkerset.groupstatus import Lookup, unready_since
from lws.planning.leaderworkerset.recovery import tolerates
from lws.planning.leaderworkerset.statusnews import restored

if TYPE_CHECKING:
    from lws.planning.leaderworkerset.snapshots import SetSnapshot

PATIENCE: Final = 60.0  # seconds after which a group that is not ready is moved without waiting for anything
NO_ROOM: Final = 600.0  # seconds for which an extra group may find no room before that is told
LOOK_AGAIN: Final = 60.0

MOVED: Final = "moved"
WITHIN_BUDGET: Final = "moved_within_budget"
ABANDONED: Final = "abandoned"
NO_CAPACITY: Final = "no_capacity"
RESULTS: Final = (MOVED, WITHIN_BUDGET, ABANDONED, NO_CAPACITY)


class Extra(IntEnum):
    """What becomes of the extra group."""

    NONE = 0
    KEPT = 1  # if it is there
    WANTED = 2


@dataclass(frozen=True, slots=True)
class Ground:
    """The groups of a set as a move finds them.

    Attributes:
        replicas: how many are wanted.
        leaders: leader pods that count, by index, or by the number of `groups.leaders_by_number`.
        ending: indices of leaders that are being deleted.
        states: states of their groups.
        found: which are affected.
        policies: what the set has chosen.
        record: what the status says of a move under way.
        rolling: whether a rollout is in progress, or about to begin.
        queued: whether somebody admits groups one by one and knows of no extra one.
        place: whether a move of this set may be under way now.
        holding: whether it counts among those of the cluster.
        whole: whether groups are recreated as a whole when a pod of theirs ends.
        hashed: whether groups are known by a key.
        lookup: finds pods of groups.
        since: since when groups are known to be not as wanted of which no object tells, by index.
        uid: of the set.
        made: how many groups the leader Deployment is told to have, and how many it has; 0 by index.
        now: the time.
    """

    replicas: int
    leaders: Mapping[int, Pod]
    ending: frozenset[int]
    states: Mapping[int, GroupState]
    found: Found
    policies: SetPolicies
    record: Evacuation | None
    rolling: bool
    queued: bool
    place: bool
    holding: bool
    whole: bool
    hashed: bool
    lookup: Lookup
    since: Mapping[int, datetime]
    uid: str
    now: datetime
    made: tuple[int, int] = (0, 0)

    def ready(self, index: int) -> bool:
        """Whether this group is."""
        return self.states.get(index, ABSENT).ready

    @property
    def budget(self) -> int:
        """How many groups may be down for the sake of nodes; 0 without a budget."""
        chosen: IntOrString | None = self.policies.disruption_budget
        return 0 if chosen is None else disruption.allowed(chosen, self.replicas)

    def wanted(self, index: int) -> bool:
        """Whether this group is one of those that the set asks for; by key none is any other's extra."""
        return self.hashed or index < self.replicas

    @property
    def to_move(self) -> list[int]:
        """Wanted groups that are affected and ready, lowest first; by key the oldest."""
        found = [index for index in self.found.affected if self.wanted(index) and self.ready(index)]
        return sorted(found, key=lambda index: by_age(self.leaders[index])) if self.hashed else found

    @property
    def down(self) -> int:
        """How many wanted groups are not ready."""
        return max(0, self.replicas - sum(self.ready(index) for index in self.leaders if self.wanted(index)))

    @property
    def extra_there(self) -> bool:
        """Whether there is a group beyond those that are wanted, ending ones included."""
        if self.hashed:
            return len(self.leaders) + len(self.ending) > self.replicas
        return self.replicas in self.leaders or self.replicas in self.ending

    def pods(self, index: int) -> Sequence[Pod]:
        """The pods of a group that has a leader."""
        return self.lookup.members(self.leaders[index]) or (self.leaders[index],)


@dataclass(frozen=True, slots=True)
class Moves:
    """What one pass does for the sake of nodes.

    Attributes:
        record: what the status is to say.
        extra: what becomes of the extra group.
        hold: whether the partition may not fall, for the extra group stands in for one that is under way.
        deletes: pods that are deleted.
        marks: which leader a Deployment is to remove first.
        told: events of this pass.
        results: moves that ended, for metrics.
        holds: whether this counts among the moves of the cluster.
        waits: whether it waits for others to end theirs.
        again: in how many seconds something may change by itself.
    """

    record: Evacuation | None = None
    extra: Extra = Extra.NONE
    hold: bool = False
    deletes: tuple[Delete, ...] = ()
    marks: tuple[Patch, ...] = ()
    told: tuple[EmitEvent, ...] = ()
    results: tuple[str, ...] = ()
    holds: bool = False
    waits: bool = False
    again: float | None = None


NOTHING: Final = Moves()


def ground_of(
    snapshot: SetSnapshot,
    lookup: Lookup,
    leaders: Mapping[int, Pod],
    states: Mapping[int, GroupState],
    now: datetime,
    *,
    rolling: bool,
) -> Ground:
    """The ground of a set.

    Args:
        snapshot: the set.
        lookup: finds what it does not hold.
        leaders: leader pods by index, or by number, ending ones included.
        states: states of the groups whose leaders count.
        now: the time.
        rolling: whether a rollout is in progress, or about to begin.
    """
    lws, made = snapshot.lws, snapshot.leader_deployment
    present = {index: pod for index, pod in leaders.items() if not pod.metadata.deleting}
    told = 1 if made is None or made.spec.replicas is None else made.spec.replicas
    return Ground(
        replicas=lws.spec.replicas,
        leaders=present,
        ending=frozenset(leaders.keys() - present.keys()),
        states=states,
        found=emptying.look(present, lookup),
        policies=snapshot.policies,
        record=recorded(snapshot),
        rolling=rolling,
        queued=bool(lws.metadata.label(labels.KUEUE_QUEUE)),
        place=snapshot.place,
        holding=snapshot.holding,
        whole=not tolerates(lws),
        hashed=lws.spec.hashed,
        lookup=lookup,
        since=snapshot.unready_since,
        uid=lws.metadata.uid,
        now=now,
        made=(0, 0) if made is None else (told, made.status.replicas),
    )


def concerns(snapshot: SetSnapshot) -> bool:
    """Whether there can be anything to move, or to finish."""
    policies = snapshot.policies
    return policies.evacuate or policies.disruption_budget is not None or recorded(snapshot) is not None


def recorded(snapshot: SetSnapshot) -> Evacuation | None:
    """What the status says of a move, be it that the server drops what it does not know."""
    return restored(snapshot.lws.status, snapshot.told).evacuation


def at_once(ground: Ground) -> Moves:
    """Affected groups that have not been ready for a while, the extra one included, are deleted without waiting."""
    if not (ground.policies.evacuate or ground.budget):
        return NOTHING
    deletes: list[Delete] = []
    again: list[float] = []
    moved = 0
    for index, group in ground.found.affected.items():
        if ground.ready(index) or marked(group.leader):
            continue
        since = min(filter(None, map(unready_since, ground.pods(index))), default=None)
        since = since or ground.since.get(index, ground.now)
        left = (after(since, PATIENCE) - ground.now).total_seconds()
        if left > 0:
            again.append(left)
            continue
        deletes += disruption.moves(group, whole=_whole(ground))
        moved += ground.wanted(index) and not _is_target(ground, group.leader)
    return Moves(deletes=tuple(deletes), results=(MOVED,) * moved, again=min(again, default=None))


def _whole(ground: Ground) -> bool:
    return ground.whole or ground.policies.evacuate


def _is_target(ground: Ground, leader: Pod) -> bool:
    return ground.record is not None and ground.record.group == group_name(leader)


def by_age(leader: Pod) -> tuple[str, str]:
    """Sorts leaders, the oldest first."""
    return leader.metadata.creation_timestamp or "", leader.metadata.name


def within_budget(ground: Ground, to_move: Sequence[int], record: Evacuation | None, result: str = "") -> Moves:
    """Move as many groups as the budget allows to be down; an extra one that found no room is gone first."""
    moves = Moves(record, results=(result,) if result else ())
    if record is not None and ground.extra_there:
        return moves
    spare = max(0, ground.budget - ground.down)
    chosen = [ground.found.affected[index] for index in to_move[:spare]]
    deletes = [each for group in chosen for each in disruption.moves(group, whole=_whole(ground))]
    return replace(moves, deletes=tuple(deletes), results=(*moves.results, *(WITHIN_BUDGET,) * len(chosen)))


def no_room(ground: Ground, record: Evacuation, why: str, moves: Moves) -> Moves:
    """The extra group has found no room for long: its place is others', and the budget applies where there is one."""
    told = told_no_room(ground, record.group, why, f"{record.leader_uid}/{record.since}")
    if not ground.budget:
        results = (NO_CAPACITY,) if ground.holding else ()
        return replace(moves, holds=False, waits=False, told=(told,), results=results, again=LOOK_AGAIN)
    record = record.model_copy(update={"without_extra": True})
    return Moves(record, Extra.NONE, told=(told,), results=(NO_CAPACITY,))


def waiting_for_room(ground: Ground, record: Evacuation, moves: Moves, pods: Iterable[Pod]) -> Moves:
    """The extra group, which has these pods, is not ready yet; it may lack room."""
    since, why = without_room(pods)
    if since is None:
        return moves
    left = (after(since, NO_ROOM) - ground.now).total_seconds()
    return replace(moves, again=left) if left > 0 else no_room(ground, record, why, moves)


def told_no_room(ground: Ground, group: str, why: str, once: str) -> EmitEvent:
    """Why no extra group can be had, and what comes of it."""
    uids = {pod.metadata.uid for pod in ground.leaders.values()}
    if ground.budget:
        then = "groups are moved within the disruption budget instead"
    elif ground.record is not None and ground.record.leader_uid not in uids:
        then = "an extra group stands in for it until there is room for both, or a disruption budget"
    else:
        then = "it stays where it is, and a drain waits for a person, for room, or for a disruption budget"
    return events.no_room_to_evacuate(group, why, then, f"{ground.uid}/{events.NO_ROOM}/{once}")


def without_room(pods: Iterable[Pod]) -> tuple[datetime | None, str]:
    """Since when some pod of a group finds no node, or is held by others, and why; None if it has or may get one."""
    found = []
    for pod in pods:
        condition = pod.condition("PodScheduled")
        if condition is None or condition.status != "False":
            continue
        others = [gate.name for gate in pod.spec.scheduling_gates or ()] if not gated(pod) else []
        since = parsed(condition.last_transition_time) or parsed(pod.metadata.creation_timestamp)
        if since is not None and condition.reason == "Unschedulable":
            found.append((since, f"pod {pod.metadata.name} finds no node"))
        elif since is not None and others:
            found.append((since, f"pod {pod.metadata.name} is held by scheduling gate {others[0]}"))
    return min(found, default=(None, ""), key=lambda each: each[0])


def told_of_pods(ground: Ground) -> tuple[EmitEvent, ...]:
    """Pods that somebody placed on such nodes (resilience 6.3)."""
    placed = ground.found.placed
    return tuple(events.left_on_node(Reference.to(PODS, pod.metadata), pod.spec.node_name) for pod in placed)


def told_of_retained(snapshot: SetSnapshot) -> tuple[EmitEvent, ...]:
    """Pods of exhausted groups that keep such nodes from being emptied (resilience 6.4)."""
    lookup, name = snapshot.lookup, snapshot.lws.metadata.name
    if lookup is None or not concerns(snapshot):
        return ()
    out = []
    for leader in filter(marked, snapshot.leaders):
        for pod in lookup.members(leader) or (leader,):
            node = lookup.nodes([pod.spec.node_name]).get(pod.spec.node_name) if pod.spec.node_name else None
            if emptying.reason(node, pod) is not None:
                reference = Reference.to(PODS, pod.metadata)
                out.append(events.drain_blocked(reference, pod.spec.node_name, name, group_name(leader)))
    return tuple(out)
