"""When failures of a group are forgotten (resilience 3.1), and how much of them is written."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from lws.api.leaderworkerset.objects import Pod
from lws.api.leaderworkerset.status import Failure, GroupRestarts
from lws.apimachinery.conditions import timestamp
from lws.apimachinery.objects import Condition
from lws.planning.leaderworkerset.records import Records, settle
from lws.planning.leaderworkerset.snapshots import SetSnapshot
from tests.planning import making
from tests.planning.making import NOW

LWS = making.lws()
KEY = making.key_of(LWS)
LATER = timestamp(NOW + timedelta(seconds=30))


def leader(uid: str = "present", **changes: Any) -> Pod:
    """The leader of group 0."""
    return making.leader(0, KEY, uid=uid, **changes)


def look(pod: Pod | None, *, revision: str = KEY, index: str = "0", **entry: Any) -> GroupRestarts | None:
    """What is left of an entry after one look at the set."""
    given = {"leader_uid": "failed", "restarts": 3, "time": making.EARLIER, **entry}
    known = Records((Failure(leader_uid="failed", revision=revision),), {index: GroupRestarts(index=index, **given)})
    snapshot = SetSnapshot(LWS, making.leader_set(KEY), leaders=() if pod is None else (pod,), records=known)
    return settle(snapshot, {}, NOW).records.restarts.get(index)


def ending(pod: Pod, *, phase: str = "Running", by: str = "") -> Pod:
    """The pod while it is being deleted."""
    conditions = (Condition(type="DisruptionTarget", status="True", reason=by),) if by else ()
    status = replace(pod.status, phase=phase, conditions=conditions)
    return replace(pod, metadata=replace(pod.metadata, deletion_timestamp=making.STAMP), status=status)


FORGOTTEN: dict[str, dict[str, Any]] = {
    "its leader is of a new revision": {"pod": leader(), "revision": "old"},
    "a person deletes its leader": {"pod": ending(leader())},
    "a person deletes its leader in a wait": {"pod": ending(leader("failed")), "next_retry_time": LATER},
    "its leader went in a wait": {"pod": None, "next_retry_time": LATER},
    "its leader was replaced in a wait": {"pod": leader(), "next_retry_time": LATER},
    "it is not wanted any more": {"pod": None, "index": "7"},
}
KEPT: dict[str, dict[str, Any]] = {
    "its leader is new and of the same revision": {"pod": leader(ready=False)},
    "we delete its leader": {"pod": ending(leader("failed"))},
    "it has no leader for a moment": {"pod": None},
    "its leader is evicted": {"pod": ending(leader(), by="EvictionByEvictionAPI")},
    "its leader has failed": {"pod": ending(leader(), phase="Failed")},
    "it waits": {"pod": leader("failed"), "next_retry_time": LATER},
}


@pytest.mark.parametrize("case", FORGOTTEN)
def test_settled_groups_are_forgotten(case: str) -> None:
    """A group is settled by a new revision, a person, or the end of it."""
    assert look(**FORGOTTEN[case]) is None


@pytest.mark.parametrize("case", KEPT)
def test_others_are_kept(case: str) -> None:
    """Nothing that the cluster or we do to a group settles it."""
    assert look(**KEPT[case]) is not None


def test_a_disruption_ends_a_wait_and_keeps_the_count() -> None:
    """A leader that is evicted while its group waits is gone at once; the failures before it still count."""
    left = look(ending(leader("failed"), by="EvictionByEvictionAPI"), next_retry_time=LATER)
    assert left is not None
    assert (left.restarts, left.next_retry_time) == (3, "")


def test_r04_ready_for_long_enough_settles_from_when_it_was_first_seen() -> None:
    """R04: ten minutes count from when this process first saw the group ready; the look comes at their end."""
    entry = GroupRestarts(index="0", leader_uid="failed", restarts=1, time=making.EARLIER)
    lws = making.lws(size=1)
    snapshot = SetSnapshot(lws, making.leader_set(KEY), leaders=(leader(size=1),), records=Records((), {"0": entry}))
    first = settle(snapshot, {}, NOW)
    assert (first.ready_since, first.again) == ({"0": NOW}, 600.0)
    almost = settle(snapshot, first.ready_since, NOW + timedelta(seconds=599))
    assert (almost.records, almost.again) == (snapshot.records, 1.0)
    assert settle(snapshot, first.ready_since, NOW + timedelta(seconds=600)).records == Records()
    down = dataclasses.replace(snapshot, leaders=(leader(size=1, ready=False),))
    assert settle(down, first.ready_since, NOW).ready_since == {}


def test_the_status_has_room_for_the_groups_that_matter_most() -> None:
    """Of more than a hundred counts those that wait are written, then the highest; of failures the newest ten."""
    every = {
        str(n): GroupRestarts(index=str(n), restarts=n, next_retry_time=LATER if n == 1 else "") for n in range(1, 151)
    }
    written = Records((), every).written_restarts
    assert [each.index for each in written] == ["1", *map(str, range(52, 151))]
    records = Records()
    for number in range(12):
        records = records.noting(Failure(leader_uid=str(number)), None)
    assert [each.leader_uid for each in records.failures] == [str(n) for n in range(11, 1, -1)]
