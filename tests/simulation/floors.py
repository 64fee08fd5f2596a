"""How many groups of each role of a DisaggregatedSet are ready, and how many must be (disaggregatedset 12.1, 12.2)."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Final

from lws.api.disaggregatedset import labels as keys
from lws.api.disaggregatedset.resources import DISAGGREGATEDSETS, ROLESCALERS
from lws.api.disaggregatedset.revision import revision_of
from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON, annotations_of, labels_of
from lws.apimachinery.resources import PODS
from tests.simulation.ledger import HEARSAY, Ledger, Shape, controller
from tests.simulation.states import pod_ready

Place = tuple[int, str]  # slice and role
EVERY: Final = 1.0  # seconds between two looks


@dataclass(frozen=True, slots=True)
class Group:
    """The pods of one group at one moment."""

    leader: str = ""
    whole: bool = False
    nodes: frozenset[str] = frozenset()

    @classmethod
    def of(cls, pods: list[JSON]) -> Group:
        """Its pods, of which the leader may be missing."""
        leaders = [pod for pod in pods if labels_of(pod).get(labels.WORKER_INDEX) == labels.LEADER_INDEX]
        ready = [pod for pod in pods if pod_ready(pod) and "deletionTimestamp" not in pod["metadata"]]
        size = int(annotations_of(pods[0]).get(labels.SIZE) or 1)
        nodes = frozenset(pod["spec"].get("nodeName", "") for pod in pods)
        return cls(leaders[0]["metadata"]["uid"] if leaders else "", bool(leaders) and len(ready) == size, nodes)


@dataclass(frozen=True, slots=True)
class Role:
    """What a role of a slice must keep, and what it is made of.

    Attributes:
        floor: ready groups that must stay; where nothing old is, the role is scaled at once to what is wanted
            (disaggregatedset 5.4).
        rolling: whether something old is in the slice.
        new: the children of the target revision.
        old: the others.
    """

    floor: int
    rolling: bool
    new: list[JSON]
    old: list[JSON]


@dataclass
class Floors:
    """Complains when a role loses groups that it must keep.

    A group counts while it is ready, and while it is down because something befell it since it was. Old groups that
    were never ready lower the floor: a rollout counts replicas of what is old, and does not wait for them
    (disaggregatedset 6.1, 7.2). A role whose child somebody deleted by hand has lost that capacity
    (disaggregatedset 5.11), and is held to nothing until it is complete again.

    Args:
        ledger: what is remembered of the cluster, and takes complaints.
        frozen: the nodes that stand still.

    Attributes:
        looked: how often a role in a rollout was held to a floor above nothing.
        forgiven: roles whose child was deleted by hand, and is not made up for yet.
    """

    ledger: Ledger
    frozen: Collection[str]
    looked: int = 0
    forgiven: set[Place] = field(default_factory=set)
    _known: dict[tuple[str, int], Group] = field(default_factory=dict)  # as they were when they were last ready
    _struck: set[tuple[str, int]] = field(default_factory=set)
    _held: dict[Place, int] = field(default_factory=dict)
    _floors: dict[Place, deque[tuple[float, int]]] = field(default_factory=dict)

    def look(self) -> None:
        """Compare the groups of every role with what its rollout must leave, and with a moment ago."""
        groups = self._groups()
        for ds in self.ledger.storage.objects(str(DISAGGREGATEDSETS)):
            for place, role in self._roles(ds).items():
                self._judge(place, role, groups)

    def _judge(self, place: Place, role: Role, groups: dict[tuple[str, str], Group]) -> None:
        """A role that is below its floor does not fall further, whatever of the last edits was heard of."""
        old = [(child["spec"]["replicas"], self._count(child, groups)) for child in role.old]
        short = sum(replicas - count for replicas, count in old)
        held = sum(count for _, count in old) + sum(self._count(child, groups) for child in role.new)
        now, before = self.ledger.elapsed(), self._held.get(place, 0)
        recent = self._floors.setdefault(place, deque())
        recent.append((now, max(0, role.floor - short)))
        while now - recent[0][0] > HEARSAY:
            recent.popleft()
        least = min(each for _, each in recent)
        if not role.rolling and held >= role.floor:
            self.forgiven.discard(place)
        self.looked += bool(least) and role.rolling and place not in self.forgiven
        if before > held < least and place not in self.forgiven:
            self.ledger.complain(f"slice {place[0]}: {place[1]} falls from {before} ready groups to {held} of {least}")
        self._held[place] = held

    def _groups(self) -> dict[tuple[str, str], Group]:
        pods: dict[tuple[str, str], list[JSON]] = {}
        for pod in self.ledger.storage.objects(str(PODS)):
            told = labels_of(pod)
            if keys.NAME in told:
                pods.setdefault((told.get(labels.NAME, ""), told.get(labels.GROUP_INDEX, "")), []).append(pod)
        return {place: Group.of(members) for place, members in pods.items()}

    def _count(self, child: JSON, groups: dict[tuple[str, str], Group]) -> int:
        """The groups that a child is to have and that are ready, or were until something befell them."""
        meta, replicas = child["metadata"], child["spec"]["replicas"]
        for key in [key for key in self._known if key[0] == meta["uid"] and key[1] >= replicas]:
            del self._known[key]
            self._struck.discard(key)
        held = 0
        for index in range(replicas):
            key, group = (meta["uid"], index), groups.get((meta["name"], str(index)), Group())
            if group.whole:
                self._known[key] = group
                self._struck.discard(key)
            elif key in self._known and self._befell(self._known[key]):
                self._struck.add(key)
            held += group.whole or key in self._struck
        return held

    def _befell(self, group: Group) -> bool:
        return group.leader in self.ledger.failed or not group.nodes.isdisjoint(self.frozen)

    def _roles(self, ds: JSON) -> dict[Place, Role]:
        """Every role of every slice."""
        target, found = revision_of(ds["spec"]["roles"]), {}
        own = [each for each in self.ledger.storage.objects(str(LEADERWORKERSETS)) if _owner(each) == _uid(ds)]
        for index in range(ds["spec"].get("slices", 1)):
            here = [each for each in own if labels_of(each).get(keys.SLICE) == str(index)]
            old = [each for each in here if labels_of(each)[keys.REVISION] != target]
            for name, wanted, pace in self._wanted(ds):
                floor = _floor([each for each in old if _serves(each, name)], wanted, pace) if old else wanted
                staying = [each for each in here if _serves(each, name) and "deletionTimestamp" not in each["metadata"]]
                new = [each for each in staying if each not in old]
                found[index, name] = Role(floor, bool(old), new, [each for each in staying if each in old])
        return found

    def _wanted(self, ds: JSON) -> Iterator[tuple[str, int, JSON | None]]:
        """Every role with its replicas and its pace; an External one without a scaler is held to nothing."""
        for role in ds["spec"]["roles"]:
            count = role["spec"].get("replicas", 1)
            if (role.get("scaling") or {}).get("mode") == "External":
                name = f"{ds['metadata']['name']}-{role['name']}"
                scaler = self.ledger.get(ROLESCALERS, ds["metadata"]["namespace"], name)
                count = scaler["spec"]["replicas"] if scaler is not None else 0
            strategy = role["spec"].get("rolloutStrategy") or {}
            yield role["name"], count, strategy.get("rollingUpdateConfiguration")


def _floor(old: list[JSON], wanted: int, pace: JSON | None) -> int:
    """F of 12.1: min(I, T) - U."""
    initial = sum(map(_initial, old))
    if pace is None:
        return min(initial, wanted)
    shape = Shape.resolved(wanted, pace.get("maxUnavailable", 1), pace.get("maxSurge", 0))
    return max(0, min(initial, wanted) - shape.unavailable)


def _serves(child: JSON, role: str) -> bool:
    return labels_of(child)[keys.ROLE] == role


def _initial(child: JSON) -> int:
    """What a rollout takes as a child's beginning (DD-07)."""
    replicas: int = child["spec"]["replicas"]
    return max(replicas, int(annotations_of(child).get(keys.INITIAL_REPLICAS, 0)))


def _uid(obj: JSON) -> str:
    return str(obj["metadata"]["uid"])


def _owner(obj: JSON) -> str:
    owner = controller(obj)
    return "" if owner is None else str(owner["uid"])
