"""What a set looks like to who watches over it: its wanted groups counted by what keeps them from being ready.

Counted is what the caches hold, never what an earlier plan said, so a set whose reconcile fails is told of as it is.
Since when a group is not ready comes from the API, so that a change of leader or a restart does not begin it anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from lws.api.leaderworkerset.objects import Pod
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.objects import Condition
from lws.planning.leaderworkerset import accelerators
from lws.planning.leaderworkerset.accelerators import Amounts
from lws.planning.leaderworkerset.conditions import AVAILABLE, BLOCKED, UPDATE_IN_PROGRESS
from lws.planning.leaderworkerset.groups import (
    leaders_by_index,
    leaders_by_number,
    own_leaders,
    pod_ready,
    revision_key,
    size_of,
    state_of,
    workers_of,
)
from lws.planning.leaderworkerset.recovery import container_restarted
from lws.planning.leaderworkerset.snapshots import SetSnapshot

MISSING_GROUPS: Final = -1  # stands for the indices of all groups that have no leader

Members = Callable[[Pod], Sequence[Pod]]
"""The pods of a leader's group, the leader included."""


class NotReady(StrEnum):
    """Why a wanted group is not ready; of several reasons the first."""

    MISSING = "Missing"  # there is no leader pod
    NODE_LOST = "NodeLost"  # a pod is on a node that is gone or does not answer
    TERMINATING = "Terminating"  # its leader is being deleted
    FAILED = "Failed"  # a pod failed, or a container restarted
    UNSCHEDULABLE = "Unschedulable"  # no node takes a pod
    INCOMPLETE = "Incomplete"  # pods have not been created
    STARTING = "Starting"  # a pod has a node, and pulls images or runs init containers
    NOT_READY = "NotReady"  # all pods run, and some are not ready


@dataclass(frozen=True, slots=True)
class Census:
    """A set at one moment. Times are as the API writes them, empty for never.

    Attributes:
        desired: groups that the spec asks for.
        ready: wanted groups that are ready.
        updated: of these, those of the revision that the leader object has.
        reasons: the other wanted groups, by why they are not ready.
        not_ready_since: since when the wanted group has not been ready that has not for longest.
        unknown: the groups of which the API does not tell since when; `MISSING_GROUPS` for those without a leader.
        blocked: whether the set's condition Blocked is True.
        rollout_progress: when the rolling update in progress moved last: its begin, or the latest group that came up.
        requested: extended resources that the wanted groups ask for.
        serving: those that ready groups have.
        held: those on nodes, of groups that are not ready.
    """

    desired: int = 0
    ready: int = 0
    updated: int = 0
    reasons: Mapping[NotReady, int] = field(default_factory=dict)
    not_ready_since: str = ""
    unknown: frozenset[int] = frozenset()
    blocked: bool = False
    rollout_progress: str = ""
    requested: Amounts = field(default_factory=dict)
    serving: Amounts = field(default_factory=dict)
    held: Amounts = field(default_factory=dict)


def take_census(
    snapshot: SetSnapshot, members: Members, per_group: Amounts, lost: Callable[[str], bool] = lambda _: False
) -> Census:
    """Count the groups of one set; the cost follows the groups, and the pods of those that are not ready.

    Args:
        snapshot: the set.
        members: the pods of a group.
        per_group: `accelerators.of_group` of the set.
        lost: whether a node is lost, by name.
    """
    taking = _Taking(snapshot, members, per_group, lost)
    wanted = _by_key(snapshot) if snapshot.lws.spec.hashed else _by_index(snapshot)
    for index, leader in wanted.items():
        taking.look(index, leader)
    taking.miss(snapshot.lws.spec.replicas - len(wanted))
    return taking.result()


def _by_index(snapshot: SetSnapshot) -> dict[int, Pod]:
    """The leaders of the wanted groups."""
    own = own_leaders(snapshot.leaders, snapshot.leader_statefulset)
    ending = tuple(pod for pod in snapshot.leaders if pod.metadata.deleting)
    leaders = leaders_by_index((*ending, *own), snapshot.lws.metadata.name)
    return {index: leader for index, leader in leaders.items() if index < snapshot.lws.spec.replicas}


def _by_key(snapshot: SetSnapshot) -> dict[int, Pod]:
    """As many leaders as groups are wanted, the best of them, by the first digits of their keys.

    No group has a place of its own, so it is any of them that are wanted.
    """

    def worth(pod: Pod) -> tuple[bool, bool, str, str]:
        meta = pod.metadata
        return meta.deleting, not pod_ready(pod), meta.creation_timestamp or "", meta.name

    return leaders_by_number(sorted(snapshot.leaders, key=worth)[: snapshot.lws.spec.replicas])


class _Taking:
    """One census while it is taken."""

    def __init__(
        self, snapshot: SetSnapshot, members: Members, per_group: Amounts, lost: Callable[[str], bool]
    ) -> None:
        self._snapshot = snapshot
        self._members = members
        self._per_group = per_group
        self._lost = lost
        self._waiting = {each.leader_uid for each in snapshot.lws.status.restarts if each.next_retry_time}
        leader_set = snapshot.leader_deployment if snapshot.lws.spec.hashed else snapshot.leader_statefulset
        self._key = revision_key(leader_set) if leader_set is not None else ""
        self._ready = self._updated = 0
        self._reasons: Counter[NotReady] = Counter()
        self._since: list[str] = []
        self._unknown: set[int] = set()
        self._moves: list[str] = []
        self._serving: list[tuple[Amounts, int]] = []
        self._held: list[tuple[Amounts, int]] = []

    def look(self, index: int, leader: Pod) -> None:
        """Count the group of this leader."""
        snapshot = self._snapshot
        size = size_of(leader, snapshot.lws, snapshot.revisions, snapshot.contents)
        state = state_of(leader, size, workers_of(leader, snapshot.statefulsets), self._key)
        if state.ready and not leader.metadata.deleting and leader.metadata.uid not in self._waiting:
            self._ready += 1
            self._updated += state.updated
            self._serving.append((self._per_group if state.updated else self._amounts(leader), 1))
            if state.updated:
                self._moves.append(_transition(leader))
            return
        pods = self._members(leader) or [leader]
        self._reasons[self._reason(leader, pods, size)] += 1
        self._held += [(accelerators.of_pod(pod), 1) for pod in pods if _holds_node(pod)]
        since = min(filter(None, map(_unready_since, pods)), default="")
        if since:
            self._since.append(since)
        else:
            self._unknown.add(index)

    def _reason(self, leader: Pod, pods: Sequence[Pod], size: int) -> NotReady:
        if any(pod.spec.node_name and self._lost(pod.spec.node_name) for pod in pods):
            return NotReady.NODE_LOST
        return NotReady.FAILED if leader.metadata.uid in self._waiting else _reason(leader, pods, size)

    def miss(self, count: int) -> None:
        """Count the groups without a leader."""
        if count <= 0:
            return
        self._reasons[NotReady.MISSING] += count
        since = _missing_since(self._snapshot.lws)
        if since:
            self._since.append(since)
        else:
            self._unknown.add(MISSING_GROUPS)

    def result(self) -> Census:
        """What was counted."""
        lws = self._snapshot.lws
        updating = _true(lws, UPDATE_IN_PROGRESS)
        began = "" if updating is None else updating.last_transition_time or ""
        return Census(
            desired=lws.spec.replicas,
            ready=self._ready,
            updated=self._updated,
            reasons=self._reasons,
            not_ready_since=min(self._since, default=""),
            unknown=frozenset(self._unknown),
            blocked=_true(lws, BLOCKED) is not None,
            rollout_progress=max([began, *self._moves]) if updating is not None else "",
            requested=accelerators.total([(self._per_group, lws.spec.replicas)]),
            serving=accelerators.total(self._serving),
            held=accelerators.total(self._held),
        )

    def _amounts(self, leader: Pod) -> Amounts:
        return accelerators.total((accelerators.of_pod(pod), 1) for pod in self._members(leader))


def _holds_node(pod: Pod) -> bool:
    return bool(pod.spec.node_name) and pod.status.phase not in ("Succeeded", "Failed")


def _unready_since(pod: Pod) -> str:
    """Since when the pod is not ready; empty if it is."""
    if pod_ready(pod):
        return ""
    condition = _condition(pod, "Ready", "False")
    turned = condition.last_transition_time if condition is not None else None
    return turned or pod.metadata.creation_timestamp or ""


def _missing_since(lws: LeaderWorkerSet) -> str:
    """Since when a set lacks groups; a rolling update takes some away by turns, so it tells nothing of these."""
    available = next((each for each in lws.status.conditions if each.type == AVAILABLE), None)
    if available is None:
        return lws.metadata.creation_timestamp or ""
    if available.status == "True" or _true(lws, UPDATE_IN_PROGRESS) is not None:
        return ""
    return available.last_transition_time or ""


def _transition(leader: Pod) -> str:
    condition = _condition(leader, "Ready", "True")
    return (condition.last_transition_time if condition is not None else None) or ""


def _condition(pod: Pod, kind: str, status: str) -> Condition | None:
    return next((each for each in pod.status.conditions or () if each.type == kind and each.status == status), None)


def _true(lws: LeaderWorkerSet, kind: str) -> Condition | None:
    return next((each for each in lws.status.conditions if each.type == kind and each.status == "True"), None)


def _reason(leader: Pod, pods: Sequence[Pod], size: int) -> NotReady:
    if leader.metadata.deleting:
        return NotReady.TERMINATING
    if any(pod.status.phase == "Failed" or container_restarted(pod) for pod in pods):
        return NotReady.FAILED
    if any(_condition(pod, "PodScheduled", "False") is not None for pod in pods):
        return NotReady.UNSCHEDULABLE
    if len(pods) < size:
        return NotReady.INCOMPLETE
    return NotReady.STARTING if any(pod.status.phase == "Pending" for pod in pods) else NotReady.NOT_READY
