"""What a person can do to a rollout: pause it, give it a deadline, let it do without surge (resilience 5).

Each is a change of what the rollout decides by itself (`lws.planning.leaderworkerset.rollout`), and none of them does
anything unless the set, or a policy, asks for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Final

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import Pod
from lws.api.leaderworkerset.policies import SetPolicies
from lws.api.leaderworkerset.policykeys import PAUSED as PAUSED_VALUE
from lws.api.leaderworkerset.status import RolloutStatus
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.actions import EmitEvent
from lws.apimachinery.conditions import Wanted, find, timestamp, with_condition
from lws.apimachinery.moments import after, parsed
from lws.apimachinery.objects import Condition
from lws.planning.leaderworkerset import events
from lws.planning.leaderworkerset.blockers import NAMED, named
from lws.planning.leaderworkerset.conditions import UPDATE_IN_PROGRESS
from lws.planning.leaderworkerset.groups import ABSENT, GroupState, group_name, revision_key
from lws.planning.leaderworkerset.groupstatus import Lookup
from lws.planning.leaderworkerset.rollout import Budget, Decision, LeaderNumbers

PAUSED: Final = "Paused"
STALLED: Final = "Stalled"
ROLLOUT_PAUSED: Final = "RolloutPaused"
ROLLOUT_RESUMED: Final = "RolloutResumed"
DEADLINE_EXCEEDED: Final = "ProgressDeadlineExceeded"
ROLLOUT_PROGRESSING: Final = "RolloutProgressing"
LATER_FALLBACK: Final = 60.0  # seconds without capacity after which a rollout that did without surge once does so again
LOOK_AGAIN: Final = 60.0


@dataclass(frozen=True, slots=True)
class Steering:
    """How one pass over a rollout is steered.

    Attributes:
        paused: whether it stands still because somebody wants it to.
        stalled: whether it made no progress for longer than its deadline.
        late: names the groups that are to be updated and ready and are not, if it is stalled.
        fallback: whether groups are taken down one by one, for their surge finds no room.
        rollout: what is to be remembered; None for nothing.
        obstacle: why the earlier revision is not put back, if it is stalled; empty if it is.
        again: in how many seconds that may change by itself.
    """

    paused: bool = False
    stalled: bool = False
    late: str = ""
    fallback: bool = False
    rollout: RolloutStatus | None = None
    obstacle: str = ""
    again: float | None = None


@dataclass(frozen=True, slots=True)
class Course:
    """The rollout as it is.

    Attributes:
        key: the current revision key.
        budget: the resolved numbers.
        leaders: leader pods that count, by index, or by a number that stands for their key.
        states: states of their groups.
        lookup: finds the pods of groups; None where only leaders are looked at.
        hashed: whether groups are known by a key.
    """

    key: str
    budget: Budget
    leaders: Mapping[int, Pod]
    states: Mapping[int, GroupState]
    lookup: Lookup | None = None
    hashed: bool = False

    @property
    def lacking(self) -> int:
        """How many of the wanted groups that may be of the current revision are not both updated and ready."""
        wanted = self._wanted
        return max(0, len(wanted) - sum(state.good for at, state in self.states.items() if self.hashed or at in wanted))

    @property
    def late(self) -> str:
        """Names some of them; by key those of the current revision first, then the oldest."""
        lacking = self.lacking
        return named(list(islice(self._late(), min(NAMED, lacking))), lacking)

    @property
    def _wanted(self) -> range:
        """The groups that the user's partition lets go; there is none by key."""
        return range(0 if self.hashed else self.budget.partition, self.budget.replicas)

    def _late(self) -> Iterable[str]:
        if not self.hashed:
            return (str(index) for index in self._wanted if not self.states.get(index, ABSENT).good)
        found = [self.leaders[at] for at, state in self.states.items() if not state.good]
        found.sort(key=lambda pod: (revision_key(pod) != self.key, pod.metadata.creation_timestamp, pod.metadata.name))
        return map(group_name, found)

    @property
    def begun(self) -> bool:
        """Whether some group is of another revision."""
        return any(revision_key(pod) != self.key for pod in self.leaders.values())

    def pods(self, index: int) -> Sequence[Pod]:
        """The pods of a group."""
        leader = self.leaders[index]
        found = () if self.lookup is None else self.lookup.members(leader)
        return found or (leader,)


def steer(
    lws: LeaderWorkerSet, policies: SetPolicies, remembered: RolloutStatus | None, course: Course, now: datetime
) -> Steering:
    """What holds in this pass.

    Args:
        lws: the set.
        policies: what it has chosen.
        remembered: what came of the last pass.
        course: the rollout as it is.
        now: the time.
    """
    paused = policies.rollout == PAUSED_VALUE
    if not (policies.progress_deadline or policies.surge_fallback):
        return Steering(paused=paused)
    if not course.begun and not course.lacking:
        return Steering(paused=paused)
    known = remembered if remembered is not None and remembered.revision == course.key else None
    fallback, again = _fallback(policies, known, course, now)
    rollout = RolloutStatus(revision=course.key, fallback=fallback or (known is not None and known.fallback))
    if not policies.progress_deadline:
        return Steering(paused, fallback=fallback, rollout=rollout if rollout.fallback else None, again=again)
    was_paused = any(each.type == PAUSED and each.status == "True" for each in lws.status.conditions)
    edited = remembered is not None and known is None
    moved = _progress(lws, known, course, now, waits=paused or was_paused or edited or _gated(course))
    rollout = rollout.model_copy(update={"progress_time": timestamp(moved)})
    left = (after(moved, policies.progress_deadline) - now).total_seconds()
    stalled = left <= 0 and course.lacking > 0
    every = [each for each in (again, left if left > 0 else None) if each is not None]
    late = course.late if stalled else ""
    return Steering(paused, stalled, late, fallback, rollout, again=min(every, default=None))


def _progress(
    lws: LeaderWorkerSet, known: RolloutStatus | None, course: Course, now: datetime, *, waits: bool
) -> datetime:
    """When the rollout moved last; time in which it is to stand still does not count, nor does what an edit ended."""
    if waits:
        return now
    updating = find(lws.status.conditions, UPDATE_IN_PROGRESS)
    moments = [parsed(known.progress_time) if known is not None else None]
    if known is None and updating is not None and updating.status == "True":
        moments.append(parsed(updating.last_transition_time))
    for index, state in course.states.items():
        ready = course.leaders[index].condition("Ready") if state.good and index in course.leaders else None
        moments.append(parsed(ready.last_transition_time) if ready is not None else None)
    found = [each for each in moments if each is not None]
    if known is None and not any(each is not None for each in moments[:2]):
        return now
    return min(max(found, default=now), now)


def _gated(course: Course) -> bool:
    """Whether every updated group that is not ready is held by somebody's scheduling gate, and there is one.

    Ours is none of these: it holds a group whose predecessor does not go, which is no progress (next 4).
    """
    waiting = [index for index in _updated(course) if not course.states[index].ready]
    return bool(waiting) and all(any(map(_held_by_others, course.pods(index))) for index in waiting)


def _held_by_others(pod: Pod) -> bool:
    return any(gate.name != labels.REPLACEMENT_GATE for gate in pod.spec.scheduling_gates or ())


def _updated(course: Course) -> list[int]:
    return [
        index for index, pod in course.leaders.items() if revision_key(pod) == course.key and index in course.states
    ]


def _fallback(
    policies: SetPolicies, known: RolloutStatus | None, course: Course, now: datetime
) -> tuple[bool, float | None]:
    """Whether surge has found no capacity for long enough, or in how many seconds it will have been long enough."""
    budget = course.budget
    if not policies.surge_fallback or budget.max_unavailable or not budget.max_surge or not course.begun:
        return False, None
    waiting = [index for index in _updated(course) if not course.states[index].ready]
    since = [_unschedulable_since(course.pods(index)) for index in waiting]
    moments = [each for each in since if each is not None]
    if not waiting or len(moments) < len(since):
        return False, None
    patience = LATER_FALLBACK if known is not None and known.fallback else policies.surge_fallback
    left = (after(max(moments), patience) - now).total_seconds()
    return left <= 0, left if left > 0 else None


def _unschedulable_since(pods: Sequence[Pod]) -> datetime | None:
    """Since when some pod of a group finds no node; None if each has one, or is held by a gate."""
    found = [pod.condition("PodScheduled") for pod in pods]
    waits = [each for each in found if each is not None and (each.status, each.reason) == ("False", "Unschedulable")]
    moments = [moment for each in waits if (moment := parsed(each.last_transition_time)) is not None]
    return min(moments, default=None)


def budget_of(steering: Steering, budget: Budget) -> Budget:
    """The numbers to go by: without room for surge one group at a time is taken down (spec 7.3, 7.5)."""
    return replace(budget, max_unavailable=1) if steering.fallback else budget


def steered(
    steering: Steering, policies: SetPolicies, decision: Decision, now: LeaderNumbers | None, course: Course
) -> Decision:
    """What the leader StatefulSet is told in place of what the rollout decided."""
    if now is None:
        return decision
    if steering.paused:
        return replace(
            decision, partition=_held(decision, now, course), replicas=_without_more_surge(decision, now, course)
        )
    if held(steering, policies):
        return replace(decision, partition=max(decision.partition, now.partition))
    return decision


def held(steering: Steering, policies: SetPolicies) -> bool:
    """Whether no further group is to be replaced: somebody wants that, or the rollout has stalled and is to wait."""
    return steering.paused or (steering.stalled and policies.on_stall != "Ignore")


def _held(decision: Decision, now: LeaderNumbers, course: Course) -> int:
    """The partition of a pause: nothing falls, and what an earlier fall released but nobody replaced yet is held."""
    if decision.case.startswith("2"):
        return decision.partition
    there = course.leaders
    replaced = (
        index
        for index, pod in there.items()
        if revision_key(pod) == course.key or (pod.metadata.deleting and index >= now.partition)
    )
    lowest = min(replaced, default=now.replicas)
    return max(now.partition, lowest if course.begun else 0, course.budget.partition)


def _without_more_surge(decision: Decision, now: LeaderNumbers, course: Course) -> int:
    wanted = course.budget.replicas
    before = now.recorded_replicas if now.recorded_replicas is not None else now.replicas
    surge = max(0, now.replicas - before)
    return wanted + max(0, min(surge, decision.replicas - wanted))


def conditions(
    values: Sequence[Condition], steering: Steering, policies: SetPolicies, lws: LeaderWorkerSet, now: datetime
) -> tuple[Condition, ...]:
    """The conditions with Paused and Stalled; each is absent until it was True for the first time."""
    generation = lws.metadata.generation
    found = tuple(values)
    paused = Wanted(PAUSED, ROLLOUT_PAUSED, "The rollout is paused by annotation; no group is replaced")
    resumed = Wanted(PAUSED, ROLLOUT_RESUMED, "The rollout is not paused", "False")
    if steering.paused or find(found, PAUSED) is not None:
        found = with_condition(found, paused if steering.paused else resumed, generation, now)
    late = Wanted(STALLED, DEADLINE_EXCEEDED, _late(steering, policies))
    well = Wanted(STALLED, ROLLOUT_PROGRESSING, "The rollout makes progress, or is complete", "False")
    if steering.stalled or find(found, STALLED) is not None:
        found = with_condition(found, late if steering.stalled else well, generation, now)
    return found


def _late(steering: Steering, policies: SetPolicies) -> str:
    does = {
        "Hold": "it is held until there is progress, or an edit",
        "Ignore": "it goes on",
        "Undo": "the template of the earlier revision is put back",
    }[policies.on_stall]
    if steering.obstacle:
        does = f"it is held and not undone, for {steering.obstacle}"
    return f"No group became updated and ready within the deadline; {steering.late} did not: {does}"


def told(steering: Steering, policies: SetPolicies, lws: LeaderWorkerSet, key: str) -> tuple[EmitEvent, ...]:
    """The events of this pass."""
    out = []
    if steering.stalled and steering.rollout is not None:
        once = f"{lws.metadata.uid}/{STALLED}/{key}/{steering.rollout.progress_time}/{steering.obstacle}"
        out.append(events.rollout_stalled(_late(steering, policies), once))
    if steering.fallback:
        out.append(events.surge_unschedulable(f"{lws.metadata.uid}/{events.SURGE_UNSCHEDULABLE}/{key}"))
    return tuple(out)
