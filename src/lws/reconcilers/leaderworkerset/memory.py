"""What the reconcilers of pods remember of groups between two looks.

All of it may be lost at any time: records are seeded again from what is seen
(`lws.planning.leaderworkerset.members`), and a deletion that was asked for is seen on the leader itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Final

from lws.api.leaderworkerset.objects import Pod
from lws.apimachinery.objects import Key, ObjectMeta
from lws.planning.leaderworkerset import culprit
from lws.planning.leaderworkerset.grace import Healing
from lws.planning.leaderworkerset.leader_pod import MOST_REPAIRS
from lws.planning.leaderworkerset.members import MemberRecord
from lws.planning.leaderworkerset.nodes import Reread
from lws.runtime.bounded import Bounded

REPAIR_SECONDS: Final = 3600.0


class GroupMemory:
    """Member records, and leaders whose deletion was asked for, by leader pod.

    Guarantees: from `claim` until the caches show the leader going or gone, or `release`, its group is `going` for
    everyone, so that several failures of one incident recreate it once. Memory is bounded by the groups that exist.
    """

    def __init__(self) -> None:
        self._records: dict[Key, MemberRecord] = {}
        self._going: dict[Key, str] = {}
        self._released: dict[Key, dict[str, str]] = {}
        self._settled: dict[Key, Mapping[str, int]] = {}
        self._refused: dict[Key, str] = {}
        self._noted: dict[Key, str] = {}
        self._healing: dict[Key, Healing] = {}
        self._ended: Bounded[Key, Pod] = Bounded()
        self._repairs: dict[Key, tuple[datetime, ...]] = {}
        self._rereads: dict[Key, tuple[str, Reread]] = {}
        self._claims: Bounded[str, tuple[str, ...]] = Bounded()

    def record(self, leader: Key) -> MemberRecord | None:
        """What is remembered of the group's members."""
        return self._records.get(leader)

    def remember(self, leader: Key, record: MemberRecord | None) -> None:
        """Keep the record, or forget it."""
        if record is None:
            self._records.pop(leader, None)
        else:
            self._records[leader] = record

    def settled(self, leader: Key) -> Mapping[str, int] | None:
        """Restarts of the group's pods that count no more, by UID; None before the first look."""
        return self._settled.get(leader)

    def settle(self, leader: Key, settled: Mapping[str, int]) -> None:
        """Keep them."""
        self._settled[leader] = settled

    def release_member(self, leader: Key, name: str, uid: str) -> None:
        """A worker of this leader was found to be there, though no cache shows it."""
        self._released.setdefault(leader, {})[name] = uid

    def released(self, leader: Key, shown: Collection[str]) -> dict[str, str]:
        """UIDs of such workers by name, as long as no cache shows a pod of the name."""
        known = self._released.get(leader)
        if not known:
            return {}
        left = {name: uid for name, uid in known.items() if name not in shown}
        if left:
            self._released[leader] = left
        else:
            del self._released[leader]
        return left

    def heal(self, leader: Key, healing: Healing | None) -> None:
        """Keep what came of a look at a group that is given time to get over failures; None for one that is not."""
        if healing is None:
            self._healing.pop(leader, None)
        else:
            self._healing[leader] = healing

    def healing(self, leader: Key) -> Healing | None:
        """What is remembered of such a group."""
        return self._healing.get(leader)

    def note(self, leader: Key, uid: str) -> None:
        """The failure of this leader's group is recorded."""
        self._noted[leader] = uid

    def noted(self, leader: Key) -> str:
        """UID of the leader whose failure was recorded last; empty for none."""
        return self._noted.get(leader, "")

    def note_end(self, old: Pod | None, new: Pod | None, _initial: bool = False) -> None:
        """A change of a pod, as caches tell it: of one that is gone or replaced, the last is kept if it tells why."""
        if old is None or (new is not None and new.metadata.uid == old.metadata.uid):
            return
        if old.status.phase == "Failed" or culprit.disruption(old) is not None:
            self._ended.put(old.metadata.key, old)

    def ended(self, leader: Key) -> Mapping[str, Pod]:
        """Pods of the group that are gone and told why, by name."""
        if not len(self._ended):
            return {}
        record, (namespace, name) = self._records.get(leader), leader
        names = [name, *(f"{name}-{index}" for index in (() if record is None else record.uids))]
        return {each: pod for each in names if (pod := self._ended.get((namespace, each))) is not None}

    def note_repair(self, leader: Key, now: datetime) -> None:
        """The number of the group's workers was put back."""
        self._repairs[leader] = (*self._repairs.get(leader, ()), now)[-MOST_REPAIRS:]

    def repairs(self, leader: Key, now: datetime) -> int:
        """How often that was done within an hour."""
        return sum(1 for each in self._repairs.get(leader, ()) if (now - each).total_seconds() < REPAIR_SECONDS)

    def note_reread(self, meta: ObjectMeta, reread: Reread) -> None:
        """A pod and its node were read afresh; what it mounts never changes."""
        self._rereads[meta.key] = (meta.uid, reread)
        if reread.claims:
            self._claims.put(meta.uid, reread.claims)

    def reread(self, pods: Iterable[Pod]) -> dict[str, Reread]:
        """By UID, what a fresh read told of these pods until it is forgotten; of what they mount, for good."""
        if not self._rereads and not len(self._claims):
            return {}
        metas = [pod.metadata for pod in pods]
        known = {
            meta.uid: Reread(same=False, claims=found, fresh=False)
            for meta in metas
            if (found := self.claims(meta.uid))
        }
        read = [(meta.uid, self._rereads.get(meta.key)) for meta in metas]
        return known | {uid: found[1] for uid, found in read if found is not None and found[0] == uid}

    def forget_reread(self, pod: Key) -> None:
        """What was read is not fresh any more."""
        self._rereads.pop(pod, None)

    def claims(self, uid: str) -> tuple[str, ...]:
        """Claims that a pod on a lost node mounts for writing, if that was read."""
        return self._claims.get(uid) or ()

    def note_refusal(self, leader: Key, words: str) -> bool:
        """Why the server refused the group's PodGroup, empty if it did not; whether that is news."""
        news = self._refused.get(leader, "") != words
        if words:
            self._refused[leader] = words
        else:
            self._refused.pop(leader, None)
        return news

    def refusal(self, leader: Key) -> str:
        """Why the server refused the group's PodGroup at the last try; else empty."""
        return self._refused.get(leader, "")

    def claim(self, leader: Key, uid: str) -> None:
        """The deletion of this leader is being asked for."""
        self._going[leader] = uid

    def release(self, leader: Key, uid: str) -> None:
        """The deletion was refused or lost."""
        if self._going.get(leader) == uid:
            del self._going[leader]

    def going(self, leader: Key, live: Pod | None) -> str:
        """The UID whose deletion was asked for, as long as the caches show it untouched; else empty."""
        uid = self._going.get(leader, "")
        if uid and (live is None or live.metadata.uid != uid or live.metadata.deleting):
            del self._going[leader]
            return ""
        return uid

    def forget(self, leader: Key) -> None:
        """The leader is gone."""
        self._records.pop(leader, None)
        self._going.pop(leader, None)
        self._released.pop(leader, None)
        self._settled.pop(leader, None)
        self._refused.pop(leader, None)
        self._noted.pop(leader, None)
        self._healing.pop(leader, None)
        self._repairs.pop(leader, None)

    def __len__(self) -> int:
        """How many groups are remembered."""
        by_leader = (self._records, self._going, self._released, self._settled, self._refused, self._noted)
        return len({leader for known in (*by_leader, self._healing) for leader in known})
