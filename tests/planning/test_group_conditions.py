"""GroupsHealthy and Degraded, each for itself (resilience 4, next 5.4), and worker sets of older releases."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from itertools import combinations
from typing import Any

import pytest
from msgspec import structs

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import Pod
from lws.api.leaderworkerset.policies import SetPolicies
from lws.apimachinery.actions import Patch
from lws.apimachinery.manifests import JSON
from lws.planning.leaderworkerset.groupstatus import Lookup
from lws.planning.leaderworkerset.leader_pod import plan_leader_pod
from lws.planning.leaderworkerset.sets import plan_set
from tests.planning import making
from tests.planning.group import Group
from tests.planning.making import NOW
from tests.planning.world import World

LATER = NOW + timedelta(seconds=90)
FAULTS = ("exhausted", "unready", "scaled", "missing")
MIXTURES = [each for count in (1, 2, 3, 4) for each in combinations(FAULTS, count)][:12]
REASONS = {"exhausted": "Exhausted", "unready": "NotReady", "scaled": "WorkersScaled"}


def status_with(faults: Iterable[str]) -> JSON:
    """The status of a set of five groups whose first ones have one of these faults each; the last ones are well."""
    world = World.at_rest(replicas=5, size=2)
    key = making.key_of(world.lws)
    for index, fault in enumerate(faults):
        name = f"{making.NAME}-{index}"
        match fault:
            case "exhausted":
                notes = {labels.RESTART_BUDGET_EXHAUSTED: "true"}
                world.leaders[index] = making.leader(index, key, ready=False, annotations=notes)
            case "unready":
                world.leaders[index] = making.leader(index, key, ready=False, restarts=1)
                world.workers[name] = making.worker_set(index, key, ready=False)
            case "scaled":
                workers = world.workers[name]
                world.workers[name] = structs.replace(workers, spec=structs.replace(workers.spec, replicas=3))
            case "missing":
                world.leaders = [each for each in world.leaders if each.metadata.name != name]
    written: JSON = {}
    known: dict[int, Any] = {}
    for now in (NOW, LATER):
        lookup = Lookup(lambda leader: (leader, making.worker(_index(leader), 1, key)), lambda names: {})
        planned = plan_set(replace(world.snapshot(), lookup=lookup, unready_since=known), now)
        known = dict(planned.seen.since)
        written = making.status_of(planned.plan) or written
        if written:
            world.write_status(written)
    return written


def _index(leader: Pod) -> int:
    return int(leader.metadata.label(labels.GROUP_INDEX))


@pytest.mark.parametrize("faults", MIXTURES, ids="+".join)
def test_r06_each_condition_says_only_its_own(faults: tuple[str, ...]) -> None:
    """R06: Degraded is True for an exhausted budget and for nothing else; GroupsHealthy names what is wrong."""
    found = status_with(faults)
    degraded, healthy = (making.condition(found, kind) for kind in ("Degraded", "GroupsHealthy"))
    assert degraded is not None
    assert healthy is not None
    assert (degraded["status"] == "True") is ("exhausted" in faults)
    assert healthy["status"] == "False"
    told = {each["index"]: each["reason"] for each in found["groups"]}
    for index, fault in enumerate(faults):
        assert str(index) in told, told
        if fault in REASONS:
            assert told[str(index)] == REASONS[fault]
    assert len(told) == len(faults)
    assert healthy["message"].startswith(f"{len(faults)} of 5 groups: ")
    assert not any(reason in degraded["message"] for reason in told.values())
    if "exhausted" not in faults:
        assert "budget" not in healthy["message"]


def test_r40_a_worker_set_of_an_older_release_is_as_wanted() -> None:
    """R40: replicas that fit the size of their own template are no WorkersScaled, and nobody repairs them."""
    group = Group()
    assert group.leader is not None
    group.worker_set = making.worker_set(0, group.key, size=2)
    group.leader = making.leader(0, group.key, size=4)
    group.workers = [making.worker(0, 1, group.key)]
    snapshot = replace(group.snapshot(), policies=SetPolicies(repair_workers=True))
    planned = plan_leader_pod(snapshot)
    assert not any(isinstance(each, Patch) for each in planned.plan.actions)
    scaled = structs.replace(group.worker_set, spec=structs.replace(group.worker_set.spec, replicas=3))
    planned = plan_leader_pod(replace(snapshot, worker_statefulset=scaled))
    assert [each.change["spec"] for each in planned.plan.actions if isinstance(each, Patch)] == [{"replicas": 1}]
