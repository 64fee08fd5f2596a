"""The plugin's own reading of a set agrees with the API's model."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.types import LEADER_READY, UNIQUE_PER_REPLICA, LeaderWorkerSet
from lws.apimachinery.manifests import JSON
from lws.cli.kubectl.reading import read_groups, read_set
from lws.planning.leaderworkerset.rollout import Budget
from tests.planning.diagnosis_facts import leader_set, pod, revision, set_facts, worker_set

NUMBERS = st.none() | st.integers(0, 2**31 - 1)
PACE = st.none() | st.integers(0, 20) | st.integers(0, 100).map(lambda number: f"{number}%")


def members(**strategies: st.SearchStrategy[Any]) -> st.SearchStrategy[JSON]:
    """An object with any of these members."""
    return st.fixed_dictionaries({}, optional=strategies)


ROLLING = members(partition=st.none() | st.integers(0, 50), maxUnavailable=PACE, maxSurge=PACE)
SPEC = members(
    replicas=st.none() | st.integers(0, 1000),
    leaderWorkerTemplate=members(size=st.none() | st.integers(1, 50), workerTemplate=st.just({})),
    startupPolicy=st.sampled_from([None, "LeaderReady", "LeaderCreated"]),
    networkConfig=st.none() | members(subdomainPolicy=st.sampled_from(["Shared", "UniquePerReplica"])),
    rolloutStrategy=st.none() | members(rollingUpdateConfiguration=st.none() | ROLLING),
)
STATUS = members(
    replicas=NUMBERS,
    readyReplicas=NUMBERS,
    updatedReplicas=NUMBERS,
    conditions=st.none() | st.just([{"type": "Available", "status": "True", "message": "m", "reason": "r"}]),
)


@settings(max_examples=200, deadline=None)
@given(spec=SPEC, status=STATUS)
def test_a_set_reads_as_the_model_reads_it(spec: JSON, status: JSON) -> None:
    """Every default and every rounding is that of the declared API."""
    raw = {"metadata": {"name": "s", "namespace": "ns", "uid": "u"}, "spec": spec, "status": status}
    found, model = read_set(raw), LeaderWorkerSet.from_json(raw)
    budget = Budget.of(model)
    assert (found.replicas, found.size) == (model.spec.replicas, model.spec.leader_worker_template.size)
    assert found.leader_ready_first == (model.spec.startup_policy == LEADER_READY)
    assert found.subdomain_per_group == (model.spec.network_config.subdomain_policy == UNIQUE_PER_REPLICA)
    assert (found.partition, found.max_surge) == (budget.partition, budget.max_surge)
    assert found.allowed_unavailable == budget.allowed_unavailable
    assert found.ready == model.status.ready_replicas
    assert (found.updated, found.present) == (model.status.updated_replicas, model.status.replicas)
    assert found.conditions == model.status.conditions


@pytest.mark.parametrize(
    ("status", "unseen"), [({}, False), ({"observedGeneration": 2}, True), ({"observedGeneration": 3}, False)]
)
def test_only_an_older_generation_is_unseen(status: JSON, unseen: bool) -> None:
    """A status without a generation says nothing about what the controller has seen (W9)."""
    assert read_set({"metadata": {"name": "s", "generation": 3}, "spec": {}, "status": status}).unseen is unseen


def test_groups_are_bounded_by_what_exists() -> None:
    """A StatefulSet that somebody scaled to 2147483647 has as many groups as are wanted or have a leader (K1)."""
    leaders = [pod(f"s-{index}", group=index, worker=0) for index in (0, 1, 4)]
    groups, strays = read_groups(set_facts(2), leader_set(2**31 - 1), {"s-0": worker_set(0)}, leaders)
    assert [group.index for group in groups if group.leader] == [0, 1, 4]
    assert (len(groups), strays) == (5, ())


def test_sizes_come_from_the_leader_its_revision_or_the_set() -> None:
    """The size annotation counts, then the revision's, then the live one (CD-04); a number of 5,000 digits is none."""
    bad = {"annotations": {labels.SIZE: "9" * 5000}}
    leaders = [
        pod("s-0", group=0, worker=0),
        pod("s-1", group=1, worker=0, key="old", metadata=bad),
        pod("s-2", group=2, worker=0, key="gone", metadata=bad),
    ]
    stored = revision(1, "old", "app:1")
    assert stored.data["spec"]["leaderWorkerTemplate"].update(size=5) is None
    groups, _ = read_groups(set_facts(3, size=7), leader_set(3), {}, leaders, [stored])
    assert [group.size for group in groups] == [2, 5, 7]


def test_pods_of_no_group_are_strays() -> None:
    """Pods without an index, and workers of a group that is not counted, belong to none."""
    odd = {labels.WORKER_INDEX: "x" * 5000}
    pods = [
        pod("s-0", group=0, worker=0),
        pod("s-9-1", group=9, worker=1),
        pod("s-0-1", group=0, worker=1, labels=odd),
    ]
    _, strays = read_groups(set_facts(1), leader_set(1), {}, pods)
    assert sorted(one.metadata.name for one in strays) == ["s-0-1", "s-9-1"]
    assert msgspec.to_builtins(strays[0])
