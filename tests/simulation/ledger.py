"""What the invariants remember of sets, groups and what befell them, and what they found."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import orjson

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import PODS, STATEFULSETS
from lws.client.transport import Request
from lws_sandbox.storage import Event, Storage
from tests.simulation.policies import PolicyRules, leads

HEARSAY: Final = 5.0  # seconds within which an operator need not have heard of a change
DYING_SECONDS: Final = 5.0  # a deletion younger than this may not have been heard of
GENERATIONS: Final = 4  # so many of the last ones may still be what an operator believes in


@dataclass(frozen=True, slots=True)
class Shape:
    """The numbers of one generation of a set, worked out from what its user wrote (spec 7.1).

    Attributes:
        replicas: R.
        unavailable: U as it is written, percentages rounded down.
        surge: S, percentages rounded up, at most R.
        partition: Q.
        size: pods of a group.
    """

    replicas: int
    unavailable: int
    surge: int
    partition: int
    size: int

    @classmethod
    def of(cls, lws: JSON) -> Shape:
        """Read a set."""
        spec = lws["spec"]
        rolling = ((spec.get("rolloutStrategy") or {}).get("rollingUpdateConfiguration")) or {}
        replicas, size = spec.get("replicas", 1), spec["leaderWorkerTemplate"].get("size", 1)
        unavailable, surge = rolling.get("maxUnavailable", 1), rolling.get("maxSurge", 0)
        return cls.resolved(replicas, unavailable, surge, rolling.get("partition", 0), size)

    @classmethod
    def resolved(
        cls, replicas: int, unavailable: int | str, surge: int | str, partition: int = 0, size: int = 1
    ) -> Shape:
        """Percentages are of the replicas."""
        if isinstance(unavailable, str):
            unavailable = int(unavailable[:-1]) * replicas // 100
        if isinstance(surge, str):
            surge = (int(surge[:-1]) * replicas + 99) // 100
        return cls(replicas, unavailable, min(replicas, surge), partition, size)

    @property
    def allowed(self) -> int:
        """How many groups may be down: U, or 1 if neither U nor S lets anything move (CD-13)."""
        return self.unavailable if self.unavailable or self.surge or not self.replicas else 1

    @property
    def told(self) -> int:
        """What the leader StatefulSet is told (spec 5.3)."""
        return max(1, self.unavailable + self.surge)


@dataclass
class Ledger:
    """What the invariants remember, and what they found.

    Attributes:
        shapes: the last few generations of each set, by UID, oldest first.
        partitions: the last partition applied, by UID of the leader StatefulSet and key.
        asked: UIDs of leaders whose deletion is asked for or was answered, by operator.
        failed: UIDs of leaders in whose groups some pod restarted, was deleted or ended.
        drifted: when somebody else last changed the leader StatefulSet.
        charges: set UID, entry and leader UID of every restart that was charged.
        relimited: whether some set was written with another restart budget than before.
        violations: what was found, with its time.
        made: when each set was first written, by UID.
        rules: what sets have chosen beyond the reference.
    """

    now: Callable[[], datetime]
    elapsed: Callable[[], float]
    storage: Storage
    shapes: dict[str, list[Shape]] = field(default_factory=lambda: defaultdict(list))
    partitions: dict[tuple[str, str], int] = field(default_factory=dict)
    asked: set[tuple[int, str]] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    drifted: float = -60.0
    charges: set[tuple[str, str, str]] = field(default_factory=set)
    relimited: bool = False
    violations: list[str] = field(default_factory=list)
    made: dict[str, float] = field(default_factory=dict)
    rules: PolicyRules = field(init=False)
    _leaders: dict[str, str] = field(default_factory=dict)  # UID of a worker StatefulSet -> UID of its leader
    _named: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))  # name of a set -> its UIDs

    def __post_init__(self) -> None:
        """Hear of everything that befalls pods."""
        self.rules = PolicyRules(self)
        self.storage.subscribe(str(STATEFULSETS), self._statefulset_changed)
        self.storage.subscribe(str(PODS), self._pod_changed)

    def complain(self, problem: str) -> None:
        """Note a violation."""
        self.violations.append(f"{self.elapsed():9.3f}s {problem}")

    def edited(self, lws: JSON) -> None:
        """A set was written by its user."""
        uid, name = lws["metadata"]["uid"], lws["metadata"]["name"]
        self.made.setdefault(uid, self.elapsed())
        if uid not in self.shapes:  # pods of a former namesake are still being collected
            self.shapes[uid] = [each for former in self._named[name] for each in self.shapes[former][-1:]]
            self._named[name].append(uid)
        self.shapes[uid].append(Shape.of(lws))
        del self.shapes[uid][:-GENERATIONS]

    def get(self, resource: Any, namespace: str, name: str) -> JSON | None:
        """A stored object."""
        return self.storage.get(str(resource), namespace, name)

    def dying(self, obj: JSON) -> bool:
        """Whether an object's deletion began long enough ago for everyone to know."""
        meta = obj["metadata"]
        stamp = meta.get("deletionTimestamp")
        if stamp is None:
            return False
        begun = datetime.fromisoformat(stamp) - timedelta(seconds=meta.get("deletionGracePeriodSeconds") or 0)
        return (self.now() - begun).total_seconds() > DYING_SECONDS

    @property
    def meddled(self) -> bool:
        """Whether somebody else changed what makes the leaders a moment ago, and may have had it make some."""
        return self.elapsed() - self.drifted < 2 * HEARSAY

    def look(self) -> None:
        """The invariants of the cluster as a whole."""
        self.rules.looked()
        for lws in self.storage.objects(str(LEADERWORKERSETS)):
            shapes = self.shapes[lws["metadata"]["uid"]]
            name = lws["metadata"]["name"]
            pods = [
                each
                for each in self.storage.objects(str(PODS))
                if (each["metadata"].get("labels") or {}).get(labels.NAME) == name
                and "deletionTimestamp" not in each["metadata"]
            ]
            # Groups that an update has not reached keep the size that they were made with.
            sizes = [int((each["metadata"].get("annotations") or {}).get(labels.SIZE) or 0) for each in pods]
            size = max((*(each.size for each in shapes), *sizes), default=0)
            most = max((each.replicas + each.surge for each in shapes), default=0) * size
            if len(pods) > most and not self.meddled:
                self.complain(f"{name}: {len(pods)} live pods, at most {most} may be")

    def _statefulset_changed(self, event: Event) -> None:
        owner = controller(event.obj)
        if owner is not None and owner["kind"] == "Pod":
            self._leaders[event.obj["metadata"]["uid"]] = owner["uid"]

    def _pod_changed(self, event: Event) -> None:
        """Remember whose group an incident is."""
        pod = event.obj
        if event.type != "DELETED" and "deletionTimestamp" not in pod["metadata"] and not restarted(pod):
            return
        uid, owner = pod["metadata"]["uid"], controller(pod)
        leader = self._leaders.get(owner["uid"], uid) if owner is not None else uid
        self.failed.add(leader)
        self.rules.happened(leader, leads=leads(pod))


def controller(obj: JSON) -> JSON | None:
    """The owner that controls an object."""
    return next((each for each in obj["metadata"].get("ownerReferences", ()) if each.get("controller")), None)


def restarted(pod: JSON) -> bool:
    """Whether some init or regular container was restarted (spec 9.1)."""
    status = pod.get("status") or {}
    every = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    return any(each.get("restartCount", 0) > 0 for each in every)


def target(request: Request) -> tuple[str, str, str]:
    """Plural with subresource, namespace, and name; the name of a new object is that of its manifest."""
    parts = request.path.strip("/").split("/")
    at = parts.index("namespaces")
    namespace, plural, rest = parts[at + 1], parts[at + 2], parts[at + 3 :]
    kind = "/".join([plural, *rest[1:]])
    name = rest[0] if rest else str(orjson.loads(request.body)["metadata"].get("name", ""))
    return kind, namespace, name


def uid_of(request: Request) -> str:
    """The UID that a deletion asks for."""
    body = orjson.loads(request.body or b"{}")
    return str((body.get("preconditions") or {}).get("uid", ""))
