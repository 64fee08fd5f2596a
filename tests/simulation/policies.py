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
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import CONTROLLERREVISIONS

if TYPE_CHECKING:
    from tests.simulation.ledger import Ledger

HEARD: Final = 6.0  # seconds after which every operator has heard of what was chosen
HISTORY: Final = PREFIX + "revision-history-limit"
BACKOFF: Final = PREFIX + "restart-backoff"
FREE: Final = 2
INITIAL: Final = 10.0
LONGEST: Final = 300.0
CHOICES: Final = (
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


@dataclass
class PolicyRules:
    """Judges writes of sets by what they chose.

    Args:
        ledger: what is remembered of the cluster, and takes complaints.

    Attributes:
        chosen: by annotation, its value, and since when it is what it is.
        untouched: whether the back-off has been the default all the time.
        befell: when something befell a worker first, by UID of the leader; only what the grace period runs for.
        ended: leaders to which something befell themselves.
        deleted: when an operator deleted a leader, by its UID.
    """

    ledger: Ledger
    chosen: dict[str, tuple[str | None, float]] = field(default_factory=dict)
    untouched: bool = True
    befell: dict[str, float] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    deleted: dict[str, tuple[float, float]] = field(default_factory=dict)

    def chose(self, annotations: JSON) -> None:
        """The user wrote these annotations."""
        for key, value in annotations.items():
            if self.chosen.get(key, (None, 0.0))[0] != value:
                self.chosen[key] = (value, self.ledger.elapsed())
            self.untouched = self.untouched and not (key == BACKOFF and value is not None)

    def held(self, key: str) -> str | None:
        """What has been chosen for long enough."""
        value, since = self.chosen.get(key, (None, 0.0))
        return value if self.ledger.elapsed() - since > HEARD else None

    def happened(self, leader_uid: str, *, leads: bool) -> None:
        """Something befell a pod of the group of this leader."""
        if leads:
            self.ended.add(leader_uid)
        self.befell.setdefault(leader_uid, self.ledger.elapsed())

    def recreated(self, leader: JSON) -> None:
        """An operator deletes this leader, for the failure of its group."""
        meta, now = leader["metadata"], self.ledger.elapsed()
        age = (self.ledger.now() - datetime.fromisoformat(meta["creationTimestamp"])).total_seconds()
        self.deleted.setdefault(meta["uid"], (now, age))
        grace, since = self.held(RECOVERY_GRACE), self.befell.get(meta["uid"], now)
        # What was chosen after the failure was no promise when it happened.
        promised = self.chosen.get(RECOVERY_GRACE, (None, now))[1] + HEARD < since
        if grace and promised and meta["uid"] not in self.ended and now - since < parse_duration(grace):
            self.ledger.complain(f"{meta['name']}: recreated {now - since:.1f}s after a worker failed, grace {grace}")

    def looked(self) -> None:
        """The recorded failures, compared with what was done."""
        for lws in self.ledger.storage.objects(str(LEADERWORKERSETS)):
            for failure in (lws.get("status") or {}).get("failures", ()):
                number, uid = failure.get("restarts", 0), failure.get("leaderUID", "")
                _, age = self.deleted.get(uid, (0.0, LONGEST))
                least = min(INITIAL * 2.0 ** (number - FREE - 1), LONGEST) if number > FREE else 0.0
                if self.untouched and not failure.get("healed") and age < least - 2.0:
                    self.ledger.complain(f"failure {number}: the leader of {age:.0f}s was deleted before {least:.0f}s")
                    self.deleted.pop(uid)

    def rested(self, lws: JSON) -> list[str]:
        """What is missing of the records at rest: of the last leader that was deleted for a failure."""
        if not self.deleted:
            return []
        last = max(self.deleted, key=lambda uid: self.deleted[uid][0])
        told = {each.get("leaderUID") for each in (lws.get("status") or {}).get("failures", ())}
        same = self.deleted[last][0] > self.ledger.made.get(lws["metadata"]["uid"], 0.0)
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
