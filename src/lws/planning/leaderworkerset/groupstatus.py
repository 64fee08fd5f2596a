"""Which groups are not as wanted, since when and why: status.groups and the condition GroupsHealthy (resilience 4).

The words are those of the diagnosis that `kubectl lws explain-stuck` prints. Groups that come up, or are being
replaced, cost no diagnosis before they could be reported.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from lws.api.leaderworkerset.objects import Node, Pod, StatefulSet, Taint
from lws.api.leaderworkerset.status import GROUP_MESSAGE_BYTES, MESSAGE_BYTES, MOST_GROUPS, GroupRestarts, GroupStatus
from lws.apimachinery.conditions import Wanted, find, timestamp, with_condition
from lws.apimachinery.moments import after, parsed
from lws.apimachinery.objects import Condition
from lws.planning.leaderworkerset import culprit
from lws.planning.leaderworkerset.diagnosis import controllerfacts, words
from lws.planning.leaderworkerset.diagnosis.facts import Facts, GangFacts, GroupFacts, Holder
from lws.planning.leaderworkerset.diagnosis.findings import Finding, Reason
from lws.planning.leaderworkerset.diagnosis.groups import diagnose_group
from lws.planning.leaderworkerset.diagnosis.objects import Event
from lws.planning.leaderworkerset.groups import GroupState, group_name, marked, workers_scaled
from lws.planning.leaderworkerset.incidents import shortened
from lws.planning.leaderworkerset.restarts import restarts

if TYPE_CHECKING:
    from lws.planning.leaderworkerset.snapshots import SetSnapshot

HEALTHY: Final = "GroupsHealthy"
AS_EXPECTED: Final = "AsExpected"
PATIENCE: Final = 60.0  # seconds for which a group may be not as wanted before that is told
LOOK_AGAIN: Final = 60.0  # seconds between looks at groups that are not as wanted: pods change without waking their set
_JUST_BEGAN: Final = 10.0  # seconds after its scheduling in which a pod that was never ready got its condition
_SLOW: Final = frozenset(
    {
        Reason.GATED,
        Reason.WAITING_FOR_NAMES,
        Reason.WAITING_FOR_LEADER,
        Reason.POD_GROUP_PENDING,
        Reason.INIT_RUNNING,
        Reason.NOT_READY,
    }
)
_ABSENT: Final = GroupState()


class Topic(Enum):
    """What can be asked of the API server about a StatefulSet."""

    MANAGER = auto()
    WARNINGS = auto()


@dataclass(frozen=True, slots=True)
class Question:
    """Something that is to be told and that no cache holds."""

    topic: Topic
    about: StatefulSet


@dataclass(frozen=True, slots=True)
class Lookup:
    """How to look up what only trouble makes worth looking at.

    Attributes:
        members: the pods of a leader's group, the leader included.
        nodes: nodes by name; None for one that is gone.
        gang: a PodGroup of the set's namespace by name, and what is said of it; None where there are none for us.
        topology: values that a node label has, and the pods in these domains.
        unlabelled: workers of a leader that are there without their label, by name of the leader.
        emptied_since: when this process first saw a node with a taint; None for what was so when it began.
        claims: what keeps a pod on its lost node, by UID.
        manager: who scaled a StatefulSet; None if that is to be asked for.
        warnings: events that warn about a StatefulSet; None if they are to be asked for.
    """

    members: Callable[[Pod], Sequence[Pod]]
    nodes: Callable[[Iterable[str]], Mapping[str, Node | None]]
    gang: Callable[[str], GangFacts | None] | None = None
    topology: Callable[[str], tuple[frozenset[str], tuple[Holder, ...]]] = lambda _: (frozenset(), ())
    unlabelled: Callable[[str], Sequence[str]] = lambda _: ()
    emptied_since: Callable[[str, Taint], datetime | None] = lambda *_: None
    claims: Callable[[str], tuple[str, ...]] = lambda _: ()
    manager: Callable[[StatefulSet], str | None] = lambda _: ""
    warnings: Callable[[StatefulSet], tuple[Event, ...] | None] = lambda _: ()


@dataclass(frozen=True, slots=True)
class GroupsSeen:
    """What came of one look.

    Attributes:
        groups: those that are told.
        hidden: how many more there are.
        total: how many groups the set has or wants.
        reasons: of all of them, how often each.
        again: in how many seconds to look again; None if all is well.
        since: since when groups are known to be not as wanted, for those of which no object tells, by index.
        asked: what is to be asked for before this is told.
    """

    groups: tuple[GroupStatus, ...] = ()
    hidden: int = 0
    total: int = 0
    reasons: Mapping[Reason, int] = field(default_factory=dict)
    again: float | None = None
    since: Mapping[int, datetime] = field(default_factory=dict)
    asked: tuple[Question, ...] = ()


def look(
    snapshot: SetSnapshot,
    leaders: Mapping[int, Pod],
    states: Mapping[int, GroupState],
    now: datetime,
) -> GroupsSeen:
    """Look at every group that is wanted or exists.

    Args:
        snapshot: the set; without a `Lookup` nothing is found.
        leaders: leader pods by index, or by the number of `groups.leaders_by_number`, ending ones included.
        states: states of the groups whose leaders count.
        now: the time.
    """
    hashed = snapshot.lws.spec.hashed
    made_by = snapshot.leader_deployment if hashed else snapshot.leader_statefulset
    if snapshot.lookup is None or made_by is None:
        return GroupsSeen()
    looking = _Looking(snapshot, snapshot.lookup, now)
    unready = sorted(index for index in leaders if not states.get(index, _ABSENT).ready)
    for index in unready:
        looking.at(index, leaders[index], states.get(index, _ABSENT))
    wanted = snapshot.lws.spec.replicas
    looking.missing(wanted, sum(1 for index in leaders if index < wanted or hashed), leaders)
    return looking.result(max(wanted, len(leaders)))


class _Looking:
    """One look while it lasts."""

    def __init__(self, snapshot: SetSnapshot, lookup: Lookup, now: datetime) -> None:
        self._snapshot = snapshot
        self._lookup = lookup
        self._now = now
        self._told: list[GroupStatus] = []
        self._hidden = 0
        self._reasons: Counter[Reason] = Counter()
        self._again: list[float] = []
        self._facts: Facts | None = None
        self._since: dict[int, datetime] = {}
        self._asked: list[Question] = []

    def at(self, index: int, leader: Pod, state: GroupState) -> None:
        """Look at one group that has a leader."""
        name = group_name(leader) or str(index)
        entry = self._snapshot.records.restarts.get(name)
        if entry is not None and self._snapshot.records.waits(leader):
            self._tell(Reason.CRASH_LOOP, lambda: _waiting(name, entry, self._failure(entry)))
            return
        if marked(leader):
            self._exhausted(index, name, leader)
            return
        seen = self._known(index)
        if self._young(leader):
            return
        pods = self._lookup.members(leader) or [leader]
        since = min(filter(None, (unready_since(pod) for pod in pods)), default=seen)
        if not self._due(since, PATIENCE):
            return
        facts = self._of_set()
        facts, group = controllerfacts.group(self._snapshot, facts, index, leader, pods, state, self._lookup, self._now)
        facts, group = self._answered(facts, group, group.worker_set)
        findings = diagnose_group(facts, group)
        finding = min(findings, key=lambda each: each.reason, default=_unknown(index))
        if _starting(finding, pods, entry) and not self._due(since, self._snapshot.policies.slow_start):
            return
        self._again.append(LOOK_AGAIN)
        self._tell(finding.reason, lambda: _described(name, finding, leader, since, entry))

    def _exhausted(self, index: int, name: str, leader: Pod) -> None:
        """A group that nothing brings back but a person; what failed last, and the remedy."""
        found = (each for each in self._snapshot.records.failures if each.leader_uid == leader.metadata.uid)
        failure = next(found, None)
        said = "" if failure is None else f"{culprit.told(failure)}; "
        text = f"{said}the group has exhausted its restart budget"
        remedy = f"`kubectl lws restart {self._snapshot.lws.metadata.name} --group {name}` recreates it."
        finding = Finding(Reason.EXHAUSTED, text, remedy, index)
        since = culprit.began_ending(leader.metadata) or self._known(index)
        described = _described(name, finding, leader, since, self._snapshot.records.restarts.get(name))
        pod, node = ("", "") if failure is None else (failure.pod, failure.node)
        update = {"state": "Failed", "pod": pod, "node": node}
        self._tell(finding.reason, lambda: described.model_copy(update=update))

    def missing(self, wanted: int, present: int, leaders: Mapping[int, Pod]) -> None:
        """Look at the wanted groups that have no leader."""
        lacking = wanted - present
        if lacking <= 0:
            return
        index = next(index for index in range(wanted) if index not in leaders)
        since = self._known(index)
        if not self._due(since, PATIENCE):
            return
        self._again.append(LOOK_AGAIN)
        made_by = self._snapshot.leader_statefulset
        facts, group = self._answered(self._of_set(), controllerfacts.missing(index), made_by)
        (finding,) = diagnose_group(facts, group)
        status = GroupStatus(
            index="new" if self._snapshot.lws.spec.hashed else str(index),
            state="Missing",
            reason=finding.reason.text,
            message=words.told(finding, GROUP_MESSAGE_BYTES),
            since=timestamp(since),
        )
        self._tell(finding.reason, lambda: status)
        self._hidden += lacking - 1
        self._reasons[finding.reason] += lacking - 1

    def result(self, total: int) -> GroupsSeen:
        """What was found."""
        shown = sorted(self._told, key=lambda each: (len(each.index), each.index))
        again = min(self._again, default=None)
        asked = tuple(self._asked)
        return GroupsSeen(tuple(shown), self._hidden, total, self._reasons, again, self._since, asked)

    def _answered(self, facts: Facts, group: GroupFacts, workers: StatefulSet | None) -> tuple[Facts, GroupFacts]:
        """The facts with what had to be asked for: who scaled the workers, and why pods are missing."""
        if workers is None:
            return facts, group
        if group.worker_set is not None and workers_scaled(workers):
            manager = self._lookup.manager(workers)
            group = replace(group, scaled_by=manager or "")
            self._asked += [Question(Topic.MANAGER, workers)] if manager is None else []
        wanted = 1 if workers.spec.replicas is None else workers.spec.replicas
        if group.worker_set is None or len(group.workers) < wanted:
            events = self._lookup.warnings(workers)
            facts = replace(facts, events=(*facts.events, *(events or ())))
            self._asked += [Question(Topic.WARNINGS, workers)] if events is None else []
        return facts, group

    def _tell(self, reason: Reason, status: Callable[[], GroupStatus]) -> None:
        self._reasons[reason] += 1
        if len(self._told) < MOST_GROUPS:
            self._told.append(status())
        else:
            self._hidden += 1

    def _known(self, index: int) -> datetime:
        """Since when a group is known to be not as wanted of which no object tells since when."""
        return self._since.setdefault(index, self._snapshot.unready_since.get(index, self._now))

    def _young(self, leader: Pod) -> bool:
        """Whether the leader is too young for its group to be told of, which saves a look at its pods."""
        created = parsed(leader.metadata.creation_timestamp)
        return created is not None and not leader.metadata.deleting and not self._due(created, PATIENCE)

    def _due(self, since: datetime, seconds: float) -> bool:
        left = (after(since, seconds) - self._now).total_seconds()
        if left > 0:
            self._again.append(min(left, LOOK_AGAIN) if seconds > PATIENCE else left)
        return left <= 0

    def _of_set(self) -> Facts:
        if self._facts is None:
            self._facts = controllerfacts.of_set(self._snapshot)
        return self._facts

    def _failure(self, entry: GroupRestarts) -> str:
        """How the group failed last, in words."""
        found = (each for each in self._snapshot.records.failures if each.leader_uid == entry.leader_uid)
        failure = next(found, None)
        return "" if failure is None else culprit.told(failure)


def _unknown(index: int) -> Finding:
    return Finding(Reason.NOT_READY, "the group has not been counted as ready yet", group=index)


def unready_since(pod: Pod) -> datetime | None:
    """Since when a pod is not as wanted; None if it is. One that ends may take its grace."""
    if pod.metadata.deleting:
        return parsed(pod.metadata.deletion_timestamp)
    if pod.ready:
        return None
    condition = pod.condition("Ready")
    turned = None if condition is None else parsed(condition.last_transition_time)
    return turned or parsed(pod.metadata.creation_timestamp)


def _starting(finding: Finding, pods: Sequence[Pod], entry: GroupRestarts | None) -> bool:
    """Whether nothing has failed: the group has merely not started yet."""
    if finding.reason not in _SLOW or entry is not None or any(restarts(pod) for pod in pods):
        return False
    return finding.reason is not Reason.NOT_READY or not any(_was_ready(pod) for pod in pods if not pod.ready)


def _was_ready(pod: Pod) -> bool:
    """Whether a pod that is not ready has been: its condition turned long after it had got its node."""
    ready, scheduled = pod.condition("Ready"), pod.condition("PodScheduled")
    turned = None if ready is None else parsed(ready.last_transition_time)
    placed = None if scheduled is None else parsed(scheduled.last_transition_time)
    return turned is not None and placed is not None and turned > after(placed, _JUST_BEGAN)


def _described(name: str, finding: Finding, leader: Pod, since: datetime, entry: GroupRestarts | None) -> GroupStatus:
    is_pod = finding.noun.endswith("pod")
    return GroupStatus(
        index=name,
        state="Terminating" if leader.metadata.deleting else "NotReady",
        reason=finding.reason.text,
        message=words.told(finding, GROUP_MESSAGE_BYTES),
        pod=finding.name if is_pod else "",
        node=finding.node,
        since=timestamp(since),
        restarts=0 if entry is None else entry.restarts,
    )


def _waiting(name: str, entry: GroupRestarts, how: str) -> GroupStatus:
    said = f"{how}; " if how else ""
    message = f"{said}failed {entry.restarts} times, recreated at {entry.next_retry_time[11:19]}"
    return GroupStatus(
        index=name,
        state="BackOff",
        reason=Reason.CRASH_LOOP.text,
        message=shortened(message, GROUP_MESSAGE_BYTES),
        since=entry.time,
        restarts=entry.restarts,
        next_retry_time=entry.next_retry_time,
    )


def condition(values: Sequence[Condition], seen: GroupsSeen, generation: int, now: datetime) -> tuple[Condition, ...]:
    """The conditions with GroupsHealthy: absent until it is False for the first time, True once all is well again."""
    if seen.groups:
        reason = min(seen.reasons, key=lambda each: (-seen.reasons[each], each))
        wanted = Wanted(HEALTHY, reason.text, _summary(seen), "False")
        return with_condition(values, wanted, generation, now)
    if find(values, HEALTHY) is None:
        return tuple(values)
    return with_condition(values, Wanted(HEALTHY, AS_EXPECTED, "All groups are as wanted"), generation, now)


def _summary(seen: GroupsSeen) -> str:
    """Such as ``3 of 40 groups: 2 NodeLost (node n7), 1 Unschedulable; group 4: …``."""
    parts = []
    for reason, count in sorted(seen.reasons.items(), key=lambda each: (-each[1], each[0])):
        nodes = sorted({each.node for each in seen.groups if each.reason == reason.text and each.node})
        where = f" (node{'s' if len(nodes) > 1 else ''} {', '.join(nodes[:3])})" if nodes else ""
        parts.append(f"{count} {reason.text}{where}")
    count = sum(seen.reasons.values())
    first = seen.groups[0]
    text = f"{count} of {seen.total} groups: {', '.join(parts)}; group {first.index}: {first.message}"
    return shortened(text.replace("%", " percent"), MESSAGE_BYTES)
