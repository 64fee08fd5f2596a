"""What is remembered of a group's members (CD-01), over restarts of the controller and lagging watches."""

from __future__ import annotations

import pytest

from lws.planning.leaderworkerset import members
from lws.planning.leaderworkerset.members import LOST, MemberRecord
from tests.planning import making
from tests.planning.group import GONE, Group, worker

AVAILABLE = {
    "observedGeneration": 3,
    "conditions": [
        {
            "type": "Available",
            "status": "True",
            "reason": "AllGroupsReady",
            "message": "All replicas are ready",
            "lastTransitionTime": "2026-08-01T10:30:00Z",
        }
    ],
}
WRITTEN = "2026-08-01T10:30:00Z"
OVER = "2026-08-01T10:30:10Z"  # as far as the clocks of two API servers may be apart
LATER = "2026-08-01T11:00:00Z"


def restarted(available: bool = True, written: str = WRITTEN) -> Group:
    """A group as a controller finds it that has just started."""
    group = Group(status=AVAILABLE if available else None)
    group.lws = group.lws.model_copy(update={"status_written": written})
    return group


def test_record_survives_a_restart() -> None:
    """A worker replaced while no controller ran is found out by its age, and one that is missing by its absence."""
    replaced = restarted()
    replaced.workers[0] = worker(replaced.key, uid="successor", creation_timestamp=LATER)
    assert len(replaced.leader_pass()) == 1
    at_once = restarted()
    at_once.workers[0] = worker(at_once.key, uid="successor", creation_timestamp=OVER.replace("10Z", "11Z"))
    assert len(at_once.leader_pass()) == 1
    missing = restarted()
    missing.workers = [worker(missing.key, 2)]
    assert len(missing.worker_pass(2)) == 1


@pytest.mark.parametrize("replicas", [0, 1])
def test_members_that_the_worker_set_never_had_are_not_lost(replicas: int) -> None:
    """A worker StatefulSet smaller than its group, as older releases made in mid-resize, is kept as it is."""
    group = restarted()
    group.worker_set = making.worker_set(0, group.key, size=replicas + 1)
    group.workers = group.workers[:replicas]
    assert group.leader_pass() == []
    assert group.record is not None
    assert sorted(group.record.uids) == list(range(1, replicas + 1))


def test_a_quiet_group_survives_a_restart_untouched() -> None:
    """Members older than the proof are adopted."""
    group = restarted()
    assert group.leader_pass() == []
    assert group.record is not None
    assert group.record.uids == {1: "uid-worker-0-1", 2: "uid-worker-0-2"}


@pytest.mark.parametrize("doubt", ["not available", "never written", "young leader", "young set", "not wanted", "skew"])
def test_what_cannot_be_proved_is_not_acted_on(doubt: str) -> None:
    """Without proof that the group was complete, its workers are taken as they are first seen."""
    group = restarted(available=doubt != "not available", written="" if doubt == "never written" else WRITTEN)
    stamp = OVER if doubt == "skew" else LATER
    group.workers[0] = worker(group.key, uid="successor", creation_timestamp=stamp)
    if doubt == "young leader":
        group.leader = making.leader(0, group.key, size=3, creation_timestamp=WRITTEN)
    if doubt == "young set":
        group.worker_set = making.worker_set(0, group.key, size=3, creation_timestamp=LATER)
    if doubt == "not wanted":
        group.leader_set = making.leader_set(group.key, replicas=2, recorded=0)
    assert group.leader_pass() == []


def test_evidence_covers_only_groups_that_were_wanted() -> None:
    """Groups beyond the recorded replicas prove nothing: the condition does not speak of them."""
    group = restarted()
    proof = members.evidence(group.lws, making.leader_set(group.key, replicas=5, recorded=1))
    assert proof is not None
    assert proof.groups == 1


@pytest.mark.parametrize("seen", [True, False])
def test_member_lost_before_its_set_was_seen_is_lost(seen: bool) -> None:
    """What pods told before the cache had their StatefulSet is judged once it has it, whether their end was seen."""
    group = Group()
    late, group.worker_set = group.worker_set, None
    assert group.leader_pass() == []
    if seen:
        group.workers[0] = worker(group.key, **GONE)
        assert group.worker_pass() == []
    group.workers[0] = worker(group.key, uid="successor")
    assert group.worker_pass() == []
    group.worker_set = late
    assert len(group.leader_pass()) == 1


def test_unseen_set_of_an_earlier_leader_tells_nothing_of_the_next() -> None:
    """Workers that an earlier leader's StatefulSet left are no members of the set that comes in its place."""
    group = Group()
    late, group.worker_set = group.worker_set, None
    owner = making.controller("StatefulSet", "sample-0", "uid-of-former-set")
    group.workers = [worker(group.key, uid="former", owner_references=(owner,))]
    assert group.leader_pass() == []
    group.worker_set, group.workers = late, [worker(group.key), worker(group.key, 2)]
    assert group.leader_pass() == []


def test_record_is_pure_bookkeeping() -> None:
    """Observing keeps what is gone in place until it is consumed, and adopts what is new."""
    record = MemberRecord("leader", "uid-workers-0", {1: "a", 2: LOST})
    live = {2: worker("k", 2, uid="c"), 3: worker("k", 3, uid="d")}
    after, gone = members.observe(record, live)
    assert gone == (1, 2)
    assert after.uids == {1: "a", 2: LOST, 3: "d"}
    assert members.consume(after, (1, 2), live).uids == {2: "c", 3: "d"}
