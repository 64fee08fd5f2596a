"""Which pod's fault came first when a group failed, and how it failed (resilience 2.1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum, auto
from typing import Final

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import ContainerStateTerminated, ContainerStatus, Node, Pod
from lws.api.leaderworkerset.status import Failure
from lws.apimachinery.durations import format_duration
from lws.apimachinery.integers import natural
from lws.apimachinery.moments import after, parsed
from lws.apimachinery.objects import Condition, ObjectMeta
from lws.planning.leaderworkerset.nodes import node_lost
from lws.planning.leaderworkerset.restarts import restarts, statuses

SAME: Final = timedelta(seconds=5)  # kubelets write whole seconds by clocks that differ, and one fault makes others
DISRUPTION: Final = "DisruptionTarget"
NODE_LOST: Final = "NodeLost"
DELETED: Final = "Deleted"
VANISHED: Final = "Vanished"
_KILLED: Final = 128  # exit codes above it are those of signals


class Cause(StrEnum):
    """Why a group was recreated, as metrics tell it: few values, whatever the cluster reports."""

    OOM_KILLED = "OOMKilled"
    ERROR = "Error"
    EVICTED = "Evicted"
    PREEMPTED = "Preempted"
    NODE_LOST = "NodeLost"
    DELETED = "Deleted"


_BY_WHOM: Final[Mapping[str, Cause]] = {
    "EvictionByEvictionAPI": Cause.EVICTED,
    "TerminationByKubelet": Cause.EVICTED,
    "PreemptionByScheduler": Cause.PREEMPTED,
    "DeletionByTaintManager": Cause.NODE_LOST,
    "DeletionByPodGC": Cause.NODE_LOST,
}
_UNCOUNTED: Final = ("EvictionByEvictionAPI", "PreemptionByScheduler", "DeletionByTaintManager")


class Kind(IntEnum):
    """What kind of fault it is; of several at the same time the first is the culprit's."""

    NODE_LOST = auto()
    DISRUPTED = auto()
    DELETED = auto()
    OOM_KILLED = auto()
    SIGNAL = auto()
    EXIT_CODE = auto()


@dataclass(frozen=True, slots=True)
class Fault:
    """How one pod failed.

    Attributes:
        pod: its name.
        meta: its metadata, if it was seen.
        node: where it was.
        kind: what kind of fault.
        time: when it was, by the clock of whoever noted it.
        reason: the kubelet's, or `NODE_LOST`, `DELETED` or `VANISHED`.
        container: the one that ended; empty if none did.
        ended: how it ended.
        message: the last words, or those of who ended the pod.
        by: reason of the condition DisruptionTarget; empty without one.
        restarted: the container runs again, or is about to, so what ended is its previous instance.
    """

    pod: str
    kind: Kind
    time: datetime
    reason: str
    meta: ObjectMeta | None = None
    node: str = ""
    container: str = ""
    ended: ContainerStateTerminated | None = None
    message: str = ""
    by: str = ""
    restarted: bool = False

    @property
    def counts(self) -> bool:
        """Whether it tells of the program: evictions, preemptions and lost nodes do not (resilience 3.1)."""
        return self.kind is not Kind.NODE_LOST and self.by not in _UNCOUNTED

    @property
    def cause(self) -> Cause:
        """As metrics tell it."""
        if self.by:
            return _BY_WHOM.get(self.by, Cause.EVICTED)
        match self.kind:
            case Kind.NODE_LOST:
                return Cause.NODE_LOST
            case Kind.DISRUPTED:
                return Cause.EVICTED
            case Kind.DELETED:
                return Cause.DELETED
            case Kind.OOM_KILLED:
                return Cause.OOM_KILLED
        return Cause.ERROR

    @property
    def ran_seconds(self) -> int:
        """For how long the container ran; 0 if that is not known."""
        began = parsed(self.ended.started_at) if self.ended is not None else None
        return 0 if began is None else max(0, int((self.time - began).total_seconds()))

    @property
    def words(self) -> str:
        """The fault in words, without a final stop."""
        where = f"pod {self.pod} on node {self.node}" if self.node else f"pod {self.pod}"
        if self.container and self.ended is None:
            return f"container {self.container} of {where} was restarted"
        if self.ended is not None:
            code = f"signal {self.ended.signal}" if self.ended.signal else str(self.ended.exit_code)
            named = f" ({self.reason})" if self.reason else ""
            ran = f" after {format_duration(self.ran_seconds)}" if self.ran_seconds else ""
            return f"container {self.container} of {where} exited with {code}{named}{ran}"
        if self.reason == NODE_LOST:
            return f"node {self.node} of pod {self.pod} is lost"
        if self.reason == VANISHED:
            return f"pod {self.pod} is gone"
        if self.reason == DELETED:
            return f"{where} is being deleted" + (f" ({self.by})" if self.by else "")
        return f"{where} failed ({self.reason})"


def counts(failure: Failure) -> bool:
    """Whether a failure that is recorded tells of the program."""
    return failure.reason != NODE_LOST and failure.message.partition(":")[0] not in _UNCOUNTED


def cause_of(failure: Failure) -> Cause:
    """The cause of a failure that is recorded."""
    by = failure.message.partition(":")[0]
    if by in _BY_WHOM:
        return _BY_WHOM[by]
    known = {NODE_LOST: Cause.NODE_LOST, DELETED: Cause.DELETED, VANISHED: Cause.DELETED}
    if failure.reason in known:
        return known[failure.reason]
    if not failure.container:
        return Cause.EVICTED
    return Cause.OOM_KILLED if failure.reason == Cause.OOM_KILLED else Cause.ERROR


def told(failure: Failure) -> str:
    """A failure that is recorded, in few words."""
    where = f"pod {failure.pod} on node {failure.node}" if failure.node else f"pod {failure.pod}"
    if failure.container:
        code = f"signal {failure.signal}" if failure.signal else str(failure.exit_code)
        named = f" ({failure.reason})" if failure.reason else ""
        return f"container {failure.container} of {where} exited with {code}{named}"
    return f"{where}: {failure.reason}"


def vanished(name: str, now: datetime) -> Fault:
    """A pod of which nothing tells but its absence (CD-01)."""
    return Fault(name, Kind.DELETED, now, VANISHED)


def faults(pod: Pod, nodes: Mapping[str, Node | None], now: datetime, settled: int = 0) -> tuple[Fault, ...]:
    """All that is wrong with a pod of a failed group; empty if it is well.

    Args:
        pod: the pod.
        nodes: nodes of the group's pods, None for one that is gone; what is not a key was not looked at.
        now: stands for times that nobody noted.
        settled: restarts of its containers that count no more.
    """
    return tuple(_faults(pod, nodes, now, settled))


def first(found: Iterable[Fault]) -> Fault:
    """The culprit: the first fault, and of those at about the same time the one that explains the others."""
    every = sorted(found, key=lambda each: each.time)
    early = [each for each in every if each.time - every[0].time <= SAME]
    return min(early, key=lambda each: (each.kind, _index(each), each.time))


def disruption(pod: Pod) -> Condition | None:
    """The condition by which whoever ends a pod for the cluster's sake says so first."""
    found = pod.condition(DISRUPTION)
    return found if found is not None and found.status == "True" else None


def began_ending(meta: ObjectMeta) -> datetime | None:
    """When the deletion of a pod was asked for: its ``deletionTimestamp`` is when its grace is over."""
    deadline = parsed(meta.deletion_timestamp)
    return None if deadline is None else after(deadline, -(meta.deletion_grace_period_seconds or 0))


def _faults(pod: Pod, nodes: Mapping[str, Node | None], now: datetime, settled: int) -> Iterator[Fault]:
    meta, node = pod.metadata, pod.spec.node_name
    target = disruption(pod)
    by, said = ("", "") if target is None else (target.reason, target.message)
    if node in nodes and node_lost(nodes[node], now):
        there = nodes[node]
        condition = None if there is None else there.not_ready
        when = parsed(condition.last_transition_time) if condition is not None else began_ending(meta)
        message = condition.message if condition is not None else "the node does not exist"
        yield Fault(meta.name, Kind.NODE_LOST, when or now, NODE_LOST, meta, node, message=message, by=by)
    ending = began_ending(meta) if meta.deleting else None
    if pod.status.phase == "Failed":
        when = parsed(target.last_transition_time) if target is not None else _unready_since(pod)
        ended = _latest(pod) if not pod.status.reason else None
        yield _failed(pod, when or ending or now, ended, by, said)
    elif meta.deleting:
        kind = Kind.DISRUPTED if by else Kind.DELETED
        yield Fault(meta.name, kind, ending or now, DELETED, meta, node, message=said, by=by)
    if restarts(pod) > settled:
        yield from _restarted(pod, ending, now)


def _failed(pod: Pod, when: datetime, ended: ContainerStatus | None, by: str, said: str) -> Fault:
    """A pod that its kubelet gave up, or whose containers will not be started again."""
    status, meta = pod.status, pod.metadata
    last = None if ended is None else ended.last_terminated
    if ended is not None and last is not None and not by:
        return _ended(pod, ended, last, when)
    message = status.message or said
    return Fault(
        meta.name, Kind.DISRUPTED, when, status.reason or "Failed", meta, pod.spec.node_name, "", None, message, by
    )


def _restarted(pod: Pod, ending: datetime | None, now: datetime) -> Iterator[Fault]:
    """Containers that ended and were restarted; what ends once the pod is being deleted ends because of that."""
    for each in statuses(pod):
        if not each.restart_count:
            continue
        last = each.last_state.terminated if each.last_state is not None else each.terminated
        if last is None:
            meta = pod.metadata
            yield Fault(meta.name, Kind.EXIT_CODE, now, "", meta, pod.spec.node_name, each.name)
            continue
        when = parsed(last.finished_at) or now
        if ending is None or when < ending:
            yield _ended(pod, each, last, when)


def _ended(pod: Pod, container: ContainerStatus, last: ContainerStateTerminated, when: datetime) -> Fault:
    kind = Kind.EXIT_CODE
    if last.reason == Cause.OOM_KILLED:
        kind = Kind.OOM_KILLED
    elif last.signal or last.exit_code > _KILLED:
        kind = Kind.SIGNAL
    meta, again = pod.metadata, container.terminated is not last
    return Fault(
        meta.name, kind, when, last.reason, meta, pod.spec.node_name, container.name, last, last.message, "", again
    )


def _latest(pod: Pod) -> ContainerStatus | None:
    """The container that ended badly first."""
    bad = [each for each in statuses(pod) if each.last_terminated is not None and each.last_terminated.exit_code]
    return min(bad, key=lambda each: (each.last_terminated and each.last_terminated.finished_at) or "", default=None)


def _unready_since(pod: Pod) -> datetime | None:
    condition = pod.condition("Ready")
    return parsed(condition.last_transition_time) if condition is not None else None


def _index(fault: Fault) -> int:
    index = natural(fault.meta.label(labels.WORKER_INDEX)) if fault.meta is not None else None
    return 0 if index is None else index
