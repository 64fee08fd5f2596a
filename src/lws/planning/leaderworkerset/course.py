"""The course of a set, read off the changes of its pods: what restarted in which order, and the worst moment. Pure.

Fed with every change of pods from some moment on, it says what a rollout, a scaling or a drain did to the groups. A
plan feeds it with the changes of a rehearsal (resilience 8); a test, with those of a cluster.

A group is named by its index, or by the first eight digits of its key (resilience 1.6). A key is drawn when its group
is made, so nobody can foresee it: a group that comes later and is known by a key has no name (resilience 8).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from lws.api.leaderworkerset import labels
from lws.apimachinery.integers import natural
from lws.apimachinery.manifests import JSON
from lws.apimachinery.quantity import Quantity
from lws.errors import TerminalError
from lws.planning.leaderworkerset.requests import Resources, pod_requests

Place = tuple[str, str]
"""Namespace and name of a set."""
Change = Literal["ADDED", "MODIFIED", "DELETED"]
Step = Literal["restart", "create", "remove"]
KEY_DIGITS: Final = 8
_ENDED: Final = ("Failed", "Succeeded")


@dataclass(frozen=True, slots=True)
class Happening:
    """A group whose leader went, or came where none had been; ``seconds`` since the beginning.

    ``group`` is empty for one that came after the beginning and is known by a key.
    """

    seconds: float
    step: Step
    group: str


@dataclass(frozen=True, slots=True)
class SetCourse:
    """What happened to one set.

    Attributes:
        namespace: of the set.
        name: of the set.
        happenings: restarts, creations and removals of groups in their order.
        ready_before: groups ready at the beginning.
        fewest_ready: groups ready at the worst moment.
        ready_after: groups ready at the end.
        pods_before: pods at the beginning.
        most_pods: pods at the moment with the most.
        pods_after: pods at the end.
        requests_before: what the pods requested at the beginning.
        most_requests: the most that was requested of each resource.
        requests_after: what they request at the end.
        unplaced: pods that found no node for a while, by name; those of groups without a name by what they are.
    """

    namespace: str
    name: str
    happenings: tuple[Happening, ...] = ()
    ready_before: int = 0
    fewest_ready: int = 0
    ready_after: int = 0
    pods_before: int = 0
    most_pods: int = 0
    pods_after: int = 0
    requests_before: Mapping[str, str] = field(default_factory=dict)
    most_requests: Mapping[str, str] = field(default_factory=dict)
    requests_after: Mapping[str, str] = field(default_factory=dict)
    unplaced: tuple[str, ...] = ()

    def groups(self, step: Step) -> tuple[str, ...]:
        """The groups to which that happened, in order; one that restarted twice is there twice."""
        return tuple(one.group for one in self.happenings if one.step == step)


@dataclass(slots=True)
class _Member:
    group: str
    keyed: bool
    worker: int
    size: int
    ready: bool
    ending: bool
    requests: Resources


class _Set:
    """The pods of one set as they are now, and what they went through."""

    def __init__(self) -> None:
        self.members: dict[str, _Member] = {}
        self.leaders: dict[str, str] = {}  # UID of the present leader of each group
        self.moves: list[tuple[float, str, bool]] = []  # when, which group, whether its leader came
        self.known: set[str] = set()  # groups that there were at the beginning
        self.nameless: set[str] = set()  # those that came later and are known by a key
        self.unplaced: dict[str, str] = {}  # what is said of a pod, by its name
        self.ready = self.fewest = 0
        self.pods = self.most = 0
        self.requests: Resources = {}
        self.peak: Resources = {}

    def begin(self) -> None:
        """What was seen so far is the beginning."""
        self.moves = []
        self.known, self.nameless = {one.group for one in self.members.values()}, set()
        self.unplaced = {}
        self.fewest, self.most, self.peak = self.ready, self.pods, dict(self.requests)

    def see(self, change: Change, uid: str, name: str, member: _Member, *, placed: bool, at: float) -> None:
        """One change of one pod."""
        before = self.members.get(uid)
        if member.keyed and member.group not in self.known:
            self.nameless.add(member.group)
        if change == "DELETED":
            self.members.pop(uid, None)
        else:
            self.members[uid] = member
            if not placed:
                self.unplaced[name] = self._told(name, member)
        if member.worker == 0:
            self._leader(change, uid, before, member, at)
        self._count(before, None if change == "DELETED" else member)

    def _told(self, name: str, member: _Member) -> str:
        if member.group not in self.nameless:
            return name
        return f"worker {member.worker} of a new group" if member.worker else "the leader of a new group"

    def _leader(self, change: Change, uid: str, before: _Member | None, member: _Member, at: float) -> None:
        going = change == "DELETED" or member.ending
        if before is None and not going:
            self.leaders[member.group] = uid
            self.moves.append((at, member.group, True))
        elif going and before is not None and not before.ending:
            self.moves.append((at, member.group, False))
        if change == "DELETED" and self.leaders.get(member.group) == uid:
            del self.leaders[member.group]

    def _count(self, before: _Member | None, after: _Member | None) -> None:
        self.pods += (after is not None) - (before is not None)
        if before is None or after is None:
            found, sign = (after, 1) if after is not None else (before, -1)
            for name, amount in (found.requests if found is not None else {}).items():
                self.requests[name] = self.requests.get(name, Quantity(0)) + amount * sign
        self.ready = self._ready()
        self.fewest, self.most = min(self.fewest, self.ready), max(self.most, self.pods)
        for name, amount in self.requests.items():
            if name not in self.peak or self.peak[name] < amount:
                self.peak[name] = amount

    def _ready(self) -> int:
        """Groups whose leader and all of whose workers are ready and stay."""
        whole: dict[str, int] = {}
        sizes: dict[str, int] = {}
        for one in self.members.values():
            if one.ready and not one.ending:
                whole[one.group] = whole.get(one.group, 0) + 1
                if one.worker == 0:
                    sizes[one.group] = one.size
        return sum(1 for group, size in sizes.items() if whole[group] >= size)


class Courses:
    """The courses of all sets whose pods are seen. Feed it the pods that there are, `begin`, then every change."""

    def __init__(self, sizes: Mapping[Place, int] | None = None) -> None:
        """``sizes`` are those of the sets, for leaders that do not tell theirs."""
        self._sizes = dict(sizes or {})
        self._sets: dict[Place, _Set] = {}
        self._start: dict[Place, tuple[int, int, Resources]] = {}

    def see(self, change: Change, pod: JSON, at: float = 0.0, *, into: Place | None = None) -> None:
        """One change of one pod, ``at`` seconds after the beginning. Pods of no set are passed over.

        With ``into`` it counts there, its group named ``SET/GROUP``: so the pods of several sets make one course.
        """
        meta = pod["metadata"]
        own = meta.get("labels") or {}
        name, group = own.get(labels.NAME), group_name(own)
        worker = natural(str(own.get(labels.WORKER_INDEX, "")))
        if not name or not group or worker is None:
            return
        place = (str(meta.get("namespace") or ""), str(name))
        size = natural(str((meta.get("annotations") or {}).get(labels.SIZE, ""))) or self._sizes.get(place, 1)
        status, spec = pod.get("status") or {}, pod.get("spec") or {}
        conditions = {one.get("type"): one for one in status.get("conditions") or ()}
        member = _Member(
            group=group if into is None else f"{name}/{group}",
            keyed=natural(own.get(labels.GROUP_INDEX)) is None and into is None,
            worker=worker,
            size=size,
            ready=conditions.get("Ready", {}).get("status") == "True",
            ending=bool(meta.get("deletionTimestamp")) or status.get("phase") in _ENDED,
            requests=_requests(spec),
        )
        placed = bool(spec.get("nodeName")) or conditions.get("PodScheduled", {}).get("reason") != "Unschedulable"
        found = self._sets.setdefault(into or place, _Set())
        found.see(change, str(meta["uid"]), meta["name"], member, placed=placed, at=at)

    def begin(self) -> None:
        """From now on changes count."""
        for place, one in self._sets.items():
            one.begin()
            self._start[place] = (one.ready, one.pods, dict(one.requests))

    def of(self, place: Place) -> SetCourse:
        """The course of a set so far."""
        one = self._sets.get(place) or _Set()
        ready, pods, requests = self._start.get(place, (0, 0, {}))
        return SetCourse(
            namespace=place[0],
            name=place[1],
            happenings=tuple(_happenings(one)),
            ready_before=ready,
            fewest_ready=min(one.fewest, ready),
            ready_after=one.ready,
            pods_before=pods,
            most_pods=one.most,
            pods_after=one.pods,
            requests_before=_written(requests),
            most_requests=_written(one.peak),
            requests_after=_written(one.requests),
            unplaced=tuple(sorted(one.unplaced.values())),
        )

    @property
    def places(self) -> list[Place]:
        """The sets that were seen, in order."""
        return sorted(self._sets)


def group_name(own: Mapping[str, str]) -> str:
    """The group that a pod's labels tell: its index, or the beginning of its key; empty for none."""
    text = own.get(labels.GROUP_INDEX, "")
    if natural(text) is not None:
        return text
    return text[:KEY_DIGITS] if text == own.get(labels.GROUP_KEY) else ""


def _happenings(one: _Set) -> Iterator[Happening]:
    """A leader that goes and comes again is a restart, told when it goes; one that stays away, a removal."""
    going: dict[str, int] = {}
    for number, (at, group, came) in enumerate(one.moves):
        told = "" if group in one.nameless else group
        if came and group in going:
            del going[group]
        elif came:
            yield Happening(at, "create", told)
        else:
            again = any(other == group and back for _, other, back in one.moves[number + 1 :])
            if again:
                going[group] = number
            yield Happening(at, "restart" if again else "remove", told)


def _requests(spec: Mapping[str, Any]) -> Resources:
    try:
        return pod_requests(dict(spec))
    except TerminalError:
        return {}


def _written(amounts: Resources) -> dict[str, str]:
    return {name: amounts[name].canonical() for name in sorted(amounts) if amounts[name] > Quantity(0)}
