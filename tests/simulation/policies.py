"""What must hold of writes because the set has chosen it (resilience 2 to 5 and 7, R25).

Only what has been chosen for a while is held against an operator, which may not have heard of it yet.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.policykeys import PAUSED, PREFIX, RECOVERY_GRACE, ROLLOUT
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.durations import parse_duration
from lws.apimachinery.manifests import JSON, annotations_of
from lws.apimachinery.resources import CONTROLLERREVISIONS
from lws.planning.leaderworkerset.statusnews import RECORD_SECONDS

if TYPE_CHECKING:
    from tests.simulation.ledger import Ledger

HEARD: Final = 6.0  # seconds after which every operator has heard of what was chosen
HISTORY: Final = PREFIX + "revision-history-limit"
BACKOFF: Final = PREFIX + "restart-backoff"
WAITS: Final = {  # by what is chosen: how many failures are free, the first wait after them, and the longest
    None: (2, 10.0, 300.0),
    "off": (2**31, 0.0, 0.0),
    "free=0,initial=4s,max=20s": (0, 4.0, 20.0),
}
CHOICES: Final[tuple[dict[str, str | None], ...]] = (
    {RECOVERY_GRACE: "20s"},
    {RECOVERY_GRACE: "1m"},
    {RECOVERY_GRACE: None},
    {ROLLOUT: PAUSED},
    {ROLLOUT: PAUSED},
    {ROLLOUT: None},
    {HISTORY: "1"},
    {HISTORY: "3"},
    {HISTORY: None},
    {BACKOFF: "off"},
    {BACKOFF: "free=0,initial=4s,max=20s"},
    {BACKOFF: None},
)
NOTHING: Final[JSON] = {key: None for each in CHOICES for key in each}  # what ends all that a life may have chosen


@dataclass(frozen=True, slots=True)
class Deleted:
    """A leader that an operator deleted for the failure of its group.

    Attributes:
        time: when.
        age: how old it was, in seconds.
        whose: the name of its set.
        waits: what the back-off was then, as `WAITS` has it; None if it had just been changed, or had no say.
    """

    time: float
    age: float
    whose: str
    waits: tuple[int, float, float] | None

    def early(self, number: int) -> float:
        """By how many seconds it was deleted before a failure of this number was to be acted upon (resilience 3.2)."""
        free, initial, longest = self.waits or WAITS["off"]
        least = min(initial * 2.0 ** (number - free - 1), longest) if number > free else 0.0
        return least - self.age


@dataclass
class PolicyRules:
    """Judges writes of sets by what they chose.

    Args:
        ledger: what is remembered of the cluster, and takes complaints.

    Attributes:
        chosen: by annotation, its value, and since when it is what it is.
        befell: when something befell a worker first, by UID of the leader; only what the grace period runs for.
        ended: leaders to which something befell themselves.
        deleted: the leaders that operators deleted, by UID.
        unsaid: those of them of which an operator may have ended before it wrote the failure down.
    """

    ledger: Ledger
    chosen: dict[str, tuple[str | None, float]] = field(default_factory=dict)
    befell: dict[str, float] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    deleted: dict[str, Deleted] = field(default_factory=dict)
    unsaid: set[str] = field(default_factory=set)

    def chose(self, annotations: JSON, *, born: bool = False) -> None:
        """The user wrote these annotations; nobody has ever known a set without what it was ``born`` with."""
        since = -HEARD if born and not self.chosen else self.ledger.elapsed()
        for key, value in annotations.items():
            if self.chosen.get(key, (None, 0.0))[0] != value:
                self.chosen[key] = (value, since)

    def held(self, key: str) -> str | None:
        """What has been chosen for long enough."""
        value, since = self.chosen.get(key, (None, -HEARD))
        return value if self.ledger.elapsed() - since > HEARD else None

    def happened(self, leader_uid: str, *, leads: bool) -> None:
        """Something befell a pod of the group of this leader."""
        if leads:
            self.ended.add(leader_uid)
        self.befell.setdefault(leader_uid, self.ledger.elapsed())

    def recreated(self, leader: JSON) -> None:
        """An operator deletes this leader, for the failure of its group; of sets that nobody else made."""
        meta, now = leader["metadata"], self.ledger.elapsed()
        lws = self.ledger.get(LEADERWORKERSETS, meta["namespace"], meta["labels"][labels.NAME])
        if lws is not None and _owner(lws):
            return
        age = (self.ledger.now() - datetime.fromisoformat(meta["creationTimestamp"])).total_seconds()
        backoff, changed = self.chosen.get(BACKOFF, (None, -HEARD))
        spent = annotations_of(leader).get(labels.RESTART_BUDGET_EXHAUSTED) == "true"  # which is not recreated
        waits = WAITS[backoff] if now - changed > HEARD and not spent else None
        self.deleted.setdefault(meta["uid"], Deleted(now, age, meta["labels"][labels.NAME], waits))
        grace, since = self.held(RECOVERY_GRACE), self.befell.get(meta["uid"], now)
        # What was chosen after the failure was no promise when it happened.
        promised = self.chosen.get(RECOVERY_GRACE, (None, now))[1] + HEARD < since
        if grace and promised and meta["uid"] not in self.ended and now - since < parse_duration(grace):
            self.ledger.complain(f"{meta['name']}: recreated {now - since:.1f}s after a worker failed, grace {grace}")

    def ended_operator(self) -> None:
        """An operator ends; a failure is part of a write after the deletion, and is lost with it (resilience 2.2)."""
        now = self.ledger.elapsed()
        self.unsaid |= {uid for uid, each in self.deleted.items() if now - each.time < RECORD_SECONDS}

    def looked(self) -> None:
        """The recorded failures, compared with what was done."""
        for lws in self.ledger.storage.objects(str(LEADERWORKERSETS)):
            for failure in (lws.get("status") or {}).get("failures", ()):
                number, uid = failure.get("restarts", 0), failure.get("leaderUID", "")
                found = self.deleted.get(uid)
                if found is not None and not failure.get("healed") and found.early(number) > 2.0:
                    self.ledger.complain(
                        f"failure {number}: the leader of {found.age:.0f}s was deleted {found.early(number):.0f}s early"
                    )
                    del self.deleted[uid]

    def rested(self, lws: JSON) -> list[str]:
        """What is missing of the records at rest: of the last leader that was deleted for a failure."""
        whose = lws["metadata"]["name"]
        mine = [uid for uid, each in self.deleted.items() if each.whose == whose and uid not in self.unsaid]
        if not mine:
            return []
        last = max(mine, key=lambda uid: self.deleted[uid].time)
        told = {each.get("leaderUID") for each in (lws.get("status") or {}).get("failures", ())}
        same = self.deleted[last].time > self.ledger.made.get(lws["metadata"]["uid"], 0.0)
        return [f"the failure of leader {last} is not recorded: {told}"] if same and last not in told else []

    def applied(self, body: JSON, live: JSON | None) -> None:
        """A partition is applied: it does not fall in a pause, but to arm a new revision."""
        if live is None or self.held(ROLLOUT) != PAUSED or self.ledger.meddled:
            return
        before, after = _partition(live), _partition(body)
        if after < before and _revision(live) == _revision(body):
            self.ledger.complain(f"{body['metadata']['name']}: paused, the partition falls from {before} to {after}")

    def truncated(self, revision: JSON) -> None:
        """A revision is deleted: the newest earlier ones stay, as many as were chosen."""
        kept, named = self.held(HISTORY), revision["metadata"]["labels"][labels.NAME]
        owner = _owner(revision)
        own = [
            each
            for each in self.ledger.storage.objects(str(CONTROLLERREVISIONS))
            if (each["metadata"].get("labels") or {}).get(labels.NAME) == named
            and _owner(each) == owner
            and "controller.kubernetes.io/hash" not in each["metadata"]["labels"]
        ]
        if kept and int(kept) > 0 and len(own) - 1 < int(kept) + 1:
            self.ledger.complain(f"revision {revision['metadata']['name']} is deleted, {len(own) - 1} stay of {kept}+1")


def leads(pod: JSON) -> bool:
    """Whether a pod is a leader."""
    return (pod["metadata"].get("labels") or {}).get(labels.WORKER_INDEX) == labels.LEADER_INDEX


def _owner(obj: JSON) -> str:
    owners = obj["metadata"].get("ownerReferences") or [{}]
    return str(owners[0].get("uid", ""))


def _partition(statefulset: JSON) -> int:
    rolling = statefulset["spec"]["updateStrategy"].get("rollingUpdate") or {}
    return int(rolling.get("partition", 0))


def _revision(statefulset: JSON) -> str:
    return str((statefulset["metadata"].get("labels") or {}).get(labels.REVISION, ""))
